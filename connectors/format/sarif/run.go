package sarif

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/connectors/format/internal/quoted"
)

// maxRule is the size up to which a rule travels whole with each of its
// results. CodeQL's longest help texts are about 10 KB; longer ones lose the help.
const maxRule = 16 << 10

// component is a tool's driver or extension.
type component struct {
	Name            string           `json:"name"`
	Version         string           `json:"version"`
	SemanticVersion string           `json:"semanticVersion"`
	GUID            string           `json:"guid"`
	InformationURI  string           `json:"informationUri"`
	Rules           []jsontext.Value `json:"rules"`
	index           map[string]int
}

type provenance struct {
	RepositoryURI string `json:"repositoryUri"`
	Branch        string `json:"branch"`
	RevisionID    string `json:"revisionId"`
}

type invocation struct {
	Start      instant.Time `json:"startTimeUtc"`
	End        instant.Time `json:"endTimeUtc"`
	Successful *bool        `json:"executionSuccessful"`
	Directory  location     `json:"workingDirectory"`
}

// location is an artifactLocation object.
type location struct {
	URI       string `json:"uri"`
	URIBaseID string `json:"uriBaseId"`
	Index     *int   `json:"index"`
}

// Run gathers what one run of a SARIF document says about all its results.
// It is used by one goroutine: Set and Artifact and Results in any order, then Look at
// every result, then Close, then Compose for every result.
type Run struct {
	driver      component
	extensions  []component
	automation  struct{ ID, GUID string }
	provenance  []provenance
	invocations []invocation
	properties  struct{ time time.Time }
	bases       map[string]location
	roots       []string // absolute places that paths are made relative to
	artifacts   []location
	results     bool // the run has an array of results
	external    bool // some results are in another file
	places      map[[16]byte][]spot
	runText     []byte            // the run as its records have it
	toolText    map[string][]byte // the tool likewise, by extension
}

type spot struct{ line, column int }

// Wants reports whether Set can use the run's member of that name, so that
// other members need not be kept in memory.
func Wants(key string) bool {
	switch key {
	case "tool", "automationDetails", "versionControlProvenance", "invocations", "properties", "originalUriBaseIds", "externalPropertyFileReferences":
		return true
	}
	return false
}

// Set takes one member of the run. The text is not kept.
func (r *Run) Set(key string, text []byte) error {
	switch key {
	case "tool":
		var t struct {
			Driver     component   `json:"driver"`
			Extensions []component `json:"extensions"`
		}
		if err := json.Unmarshal(text, &t); err != nil {
			return err
		}
		r.driver, r.extensions = t.Driver, t.Extensions
		r.driver.shorten()
		for i := range r.extensions {
			r.extensions[i].shorten()
		}
		return nil
	case "automationDetails":
		var a struct {
			ID   string `json:"id"`
			GUID string `json:"guid"`
		}
		err := json.Unmarshal(text, &a)
		r.automation.ID, r.automation.GUID = a.ID, a.GUID
		return err
	case "versionControlProvenance":
		return json.Unmarshal(text, &r.provenance)
	case "invocations":
		return json.Unmarshal(text, &r.invocations)
	case "originalUriBaseIds":
		return json.Unmarshal(text, &r.bases)
	case "properties":
		return r.setProperties(text)
	case "externalPropertyFileReferences":
		var e struct {
			Results jsontext.Value `json:"results"`
		}
		err := json.Unmarshal(text, &e)
		r.external = len(e.Results) > 2
		return err
	}
	return nil
}

// setProperties reads a time out of the run's property bag. The standard names
// none there; these are the words tools use.
func (r *Run) setProperties(text []byte) error {
	var p struct {
		End       instant.Time `json:"endTimeUtc"`
		Start     instant.Time `json:"startTimeUtc"`
		Timestamp instant.Time `json:"timestamp"`
		ScanTime  instant.Time `json:"scanTime"`
	}
	err := json.Unmarshal(text, &p)
	r.properties.time = instant.First(p.End.Time, p.Timestamp.Time, p.ScanTime.Time, p.Start.Time)
	return err
}

// Artifact takes one element of the run's artifacts; they are named by position.
func (r *Run) Artifact(text []byte) error {
	var a struct {
		Location location `json:"location"`
	}
	err := json.Unmarshal(text, &a)
	r.artifacts = append(r.artifacts, a.Location)
	return err
}

// HasResults notes that the run carries an array of results. A run without one
// did not look (SARIF 2.1.0, 3.14.23): it proves nothing.
func (r *Run) HasResults() { r.results = true }

// ID is the tool's own name for this run; empty where it gives none.
func (r *Run) ID() string {
	if r.automation.GUID != "" {
		return r.automation.GUID
	}
	return r.automation.ID
}

// Time is when the run ended, else began: the newest of its invocations, else
// what its property bag says; zero when it says nothing.
func (r *Run) Time() time.Time {
	var newest time.Time
	for _, i := range r.invocations {
		if t := instant.First(i.End.Time, i.Start.Time); t.After(newest) {
			newest = t
		}
	}
	return instant.First(newest, r.properties.time)
}

// Repository is the repository that the run looked at, without the ending .git
// and without credentials; empty where the run names none.
func (r *Run) Repository() string {
	for _, p := range r.provenance {
		if p.RepositoryURI != "" {
			return cleanURL(p.RepositoryURI)
		}
	}
	return ""
}

// Target is what the run looked at: repository, branch and category, else the
// category alone, else a remote root of its paths; empty when it names none. Branch and
// category are part of it because a scan of one says nothing about the other.
func (r *Run) Target() string {
	target := r.Repository()
	if target != "" {
		for _, p := range r.provenance {
			if p.Branch != "" {
				target += "@" + p.Branch
				break
			}
		}
	}
	category := r.category()
	switch {
	case target != "" && category != "":
		return target + " " + category
	case target != "":
		return target
	case category != "" && !strings.HasPrefix(category, "/"):
		return category
	}
	var roots []string
	for _, b := range r.bases {
		if u := strings.TrimSpace(b.URI); strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://") {
			roots = append(roots, cleanURL(u))
		}
	}
	if len(roots) == 0 {
		return ""
	}
	return slices.Min(roots)
}

// category is automationDetails.id without its last part, which names the
// single run (SARIF 2.1.0, 3.17.3). A category that begins with a slash is
// GitHub's default ("/language:python"), the same for every repository.
func (r *Run) category() string {
	id := r.automation.ID
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		return id[:i]
	}
	return id
}

// Scope names the target and the tool for proofs by absence; empty when the
// run names no target or no time, since it then proves nothing.
func (r *Run) Scope() string {
	if r.Target() == "" || r.Time().IsZero() || r.driver.Name == "" {
		return ""
	}
	return "sarif " + r.driver.Name + " " + r.Target()
}

// Incomplete says why the run did not look at everything; empty when it did.
func (r *Run) Incomplete() string {
	switch {
	case !r.results && r.external:
		return "its results are in another file"
	case !r.results:
		return "the run has no results array"
	case r.external:
		return "some results are in another file"
	}
	for _, i := range r.invocations {
		if i.Successful != nil && !*i.Successful {
			return "the tool says that it did not run successfully"
		}
	}
	return ""
}

// Found is what of a result tells it from the others.
type Found struct {
	identity identity
	rule     jsontext.Value
	owner    string // the extension that the rule is of
	err      error  // why the result cannot be read
}

// Read takes from a result what Look and Compose need. The text is not kept.
func (r *Run) Read(result []byte) Found {
	var x result1
	if err := json.Unmarshal(result, &x, names.Checked(result)); err != nil {
		return Found{err: err}
	}
	f := Found{identity: r.identify(&x)}
	f.rule, f.owner = r.rule(&x)
	return f
}

// Look takes note of where a result is, so that Compose can count results of
// equal text at different places of one file. A result that cannot be read is left to Compose.
func (r *Run) Look(f *Found) {
	if f.err != nil {
		return
	}
	if r.places == nil {
		r.places = make(map[[16]byte][]spot)
	}
	r.places[f.identity.group] = append(r.places[f.identity.group], f.identity.spot)
}

// Close ends the looking; the next calls are Compose.
func (r *Run) Close() {
	for k, spots := range r.places {
		slices.SortFunc(spots, spot.compare)
		r.places[k] = slices.Compact(spots)
	}
}

// occurrence numbers a result among those of equal text at other places; at the same place it is the same.
func (r *Run) occurrence(p identity) int {
	i, _ := slices.BinarySearchFunc(r.places[p.group], p.spot, spot.compare)
	return i
}

func (s spot) compare(t spot) int {
	return cmp.Or(cmp.Compare(s.line, t.line), cmp.Compare(s.column, t.column))
}

// Compose makes the record of one result, which Read read: a JSON object that Decode reads by itself.
func (r *Run) Compose(f *Found, result []byte) ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	tool, run, err := r.texts(f.owner)
	if err != nil {
		return nil, err
	}
	p := &f.identity
	var errs [3]error
	b := make([]byte, 0, 256+len(tool)+len(run)+len(f.rule)+len(p.place.Path)+len(p.place.Snippet)+len(p.stable)+len(result))
	b = append(append(b, `{"tool":`...), tool...)
	if len(f.rule) > 0 {
		b = compact(append(b, `,"rule":`...), f.rule)
	}
	b = append(append(b, `,"run":`...), run...)
	b, errs[0] = jsontext.AppendQuote(append(b, `,"place":{"path":`...), p.place.Path)
	b = fmt.Appendf(b, `,"line":%d,"column":%d`, p.place.Line, p.place.Column)
	b, errs[1] = jsontext.AppendQuote(append(b, `,"snippet":`...), p.place.Snippet)
	b, errs[2] = jsontext.AppendQuote(append(b, `},"stable":`...), p.stable)
	b = fmt.Appendf(b, `,"own":%t,"occurrence":%d,"result":`, p.own, r.occurrence(*p))
	return append(compact(b, result), '}'), errors.Join(errs[:]...)
}

// texts are tool and run as the records of results have them; owner is the
// extension that a result's rule is of.
func (r *Run) texts(owner string) (tool, run []byte, err error) {
	if r.runText == nil {
		part := runPart{Target: r.Target(), Repository: r.Repository(), AutomationID: r.automation.ID}
		if len(r.provenance) > 0 {
			part.Branch, part.Revision = r.provenance[0].Branch, r.provenance[0].RevisionID
		}
		if t := r.Time(); !t.IsZero() {
			part.Time = t.Format(time.RFC3339Nano)
		}
		if r.runText, err = json.Marshal(part); err != nil {
			return nil, nil, err
		}
		r.toolText = make(map[string][]byte)
	}
	if r.toolText[owner] == nil {
		part := toolPart{Name: r.driver.Name, Version: first(r.driver.SemanticVersion, r.driver.Version), Extension: owner}
		if r.toolText[owner], err = json.Marshal(part); err != nil {
			return nil, nil, err
		}
	}
	return r.toolText[owner], r.runText, nil
}

// compact appends a JSON value without the white space between its parts.
func compact(to, value []byte) []byte {
	from := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '"':
			n := quoted.End(value[i+1:])
			if n < 0 {
				n = quoted.Close(value[i+1:])
			}
			i += n + 1
		case ' ', '\t', '\r', '\n':
			to = append(to, value[from:i]...)
			from = i + 1
		}
	}
	return append(to, value[from:]...)
}

func hash16(parts ...string) [16]byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return [16]byte(h.Sum(nil))
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// shorten takes the help off rules that are too long to travel with every result.
func (c *component) shorten() {
	for i, rule := range c.Rules {
		if len(rule) > maxRule {
			c.Rules[i] = withoutHelp(rule)
		}
	}
}

// withoutHelp drops a rule's long help text and keeps the rest.
func withoutHelp(rule jsontext.Value) jsontext.Value {
	var m map[string]jsontext.Value
	if err := json.Unmarshal(rule, &m); err != nil {
		return nil
	}
	delete(m, "help")
	out, err := json.Marshal(m, json.Deterministic(true))
	if err != nil || len(out) > 4*maxRule {
		return nil
	}
	return out
}
