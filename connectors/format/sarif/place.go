package sarif

import (
	"encoding/hex"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// result1 is the part of a result that tells which rule it is about and where.
type result1 struct {
	RuleID    string `json:"ruleId"`
	RuleIndex *int   `json:"ruleIndex"`
	Rule      struct {
		ID        string `json:"id"`
		Index     *int   `json:"index"`
		Component struct {
			Name  string `json:"name"`
			GUID  string `json:"guid"`
			Index *int   `json:"index"`
		} `json:"toolComponent"`
	} `json:"rule"`
	Message             message           `json:"message"`
	Locations           []resultPlace     `json:"locations"`
	Fingerprints        map[string]string `json:"fingerprints"`
	PartialFingerprints map[string]string `json:"partialFingerprints"`
}

type message struct {
	Text      string   `json:"text"`
	ID        string   `json:"id"`
	Arguments []string `json:"arguments"`
}

type region struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
	Snippet     struct {
		Text string `json:"text"`
	} `json:"snippet"`
}

type resultPlace struct {
	Physical struct {
		Artifact location `json:"artifactLocation"`
		Region   region   `json:"region"`
		Context  region   `json:"contextRegion"`
	} `json:"physicalLocation"`
	Logical []struct {
		Name string `json:"fullyQualifiedName"`
	} `json:"logicalLocations"`
}

// place is where a result is, in words that do not depend on the machine that scanned.
type place struct {
	Path    string `json:"path,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Snippet string `json:"snippet,omitempty"`
}

// identity is what tells a result from the others of its run.
type identity struct {
	place  place
	stable string   // what stays the same when lines move; without the occurrence
	own    bool     // stable rests on the tool's own fingerprint, or on the message where there is no place
	group  [16]byte // results of one group are told apart by their spot
	spot   spot
}

// identify works out what names the result: the tool's own fingerprint where
// it gives one that survives moved lines, else rule, path and the text there, else
// (no place at all) rule and message. A line number is never part of it.
func (r *Run) identify(x *result1) identity {
	rule := first(x.RuleID, x.Rule.ID)
	if rule == "" {
		v, _ := r.rule(x)
		rule = first(idOf(v), "unnamed rule")
	}
	id := identity{place: r.place(x)}
	id.spot = spot{line: id.place.Line, column: id.place.Column}
	text := shortHash(strings.Join(strings.Fields(id.place.Snippet), " "))
	switch key, kind := fingerprint(x); {
	case kind == enough:
		// The path stands beside it and places are counted, since tools give one hash
		// to equal lines: flawfinder within a file, CodeQL in two files.
		id.stable, id.own = rule+" "+key+" "+id.place.Path, true
	case kind == distinguishing:
		id.stable, id.own = rule+" "+key+" "+id.place.Path+" "+text, true
	case id.place.Path != "":
		id.stable = rule + " " + id.place.Path + " " + text
	default:
		id.stable, id.own = rule+" message="+shortHash(x.Message.ID+x.Message.Text+strings.Join(x.Message.Arguments, "\x00")), true
	}
	id.group = hash16(id.stable)
	return id
}

func shortHash(s string) string {
	if s == "" {
		return "-"
	}
	h := hash16(s)
	return hex.EncodeToString(h[:8])
}

// What a tool's fingerprints are good for.
const (
	none           = iota
	enough         // names the result in its file: `fingerprints`, or the line hash that GitHub defines
	distinguishing // only tells results at one place apart
)

// fingerprint chooses among what the tool gave. Of `fingerprints` the highest
// version wins (SARIF 2.1.0, 3.27.16). Of partialFingerprints the hash of the line that
// GitHub defines is enough with the path; its ":N" counts equal lines of the file, so it
// is taken off and equal results are counted instead. Other partial ones only help to
// tell results at one place apart, and only those that do not speak of file, line or column,
// since these change with every edit.
func fingerprint(x *result1) (string, int) {
	best, version := "", -1
	for k, v := range x.Fingerprints {
		if v == "" || strings.ContainsRune(v, ' ') {
			continue // semgrep writes "requires login" in the place of one
		}
		n := 0
		if i := strings.LastIndex(k, "/v"); i >= 0 {
			n, _ = strconv.Atoi(k[i+2:])
		}
		if n > version || n == version && k+"="+v < best {
			best, version = k+"="+v, n
		}
	}
	if best != "" {
		return best, enough
	}
	if v := x.PartialFingerprints["primaryLocationLineHash"]; v != "" {
		v, _, _ = strings.Cut(v, ":")
		return "primaryLocationLineHash=" + v, enough
	}
	var rest []string
	for k, v := range x.PartialFingerprints {
		if lower := strings.ToLower(k); v != "" && !strings.ContainsRune(v, ' ') && !strings.Contains(lower, "file") &&
			!strings.Contains(lower, "line") && !strings.Contains(lower, "column") && !strings.Contains(lower, "location") {
			rest = append(rest, k+"="+v)
		}
	}
	if len(rest) == 0 {
		return "", none
	}
	slices.Sort(rest)
	return strings.Join(rest, ","), distinguishing
}

// place is the first place of the result that has one.
func (r *Run) place(x *result1) place {
	for _, l := range x.Locations {
		p := l.Physical
		if file := r.resolve(p.Artifact); file != "" {
			return place{Path: file, Line: p.Region.StartLine, Column: p.Region.StartColumn, Snippet: first(p.Region.Snippet.Text, p.Context.Snippet.Text)}
		}
	}
	for _, l := range x.Locations {
		for _, name := range l.Logical {
			if name.Name != "" {
				return place{Path: name.Name, Snippet: l.Physical.Region.Snippet.Text}
			}
		}
	}
	return place{}
}

// resolve is a location's path relative to the root of what was scanned:
// slashes forward, %-escapes undone, the scanning machine's directories taken off.
func (r *Run) resolve(l location) string {
	if l.URI == "" && l.Index != nil && *l.Index >= 0 && *l.Index < len(r.artifacts) {
		l = r.artifacts[*l.Index]
	}
	uri := strings.TrimSpace(l.URI)
	if uri == "" {
		return ""
	}
	if scheme, _, ok := strings.Cut(uri, "://"); ok && scheme != "file" {
		return uri
	}
	prefix, base := "", l.URIBaseID
	for range len(r.bases) { // bounded: bases may name one another in a ring
		b, ok := r.bases[base]
		if u := strings.TrimSpace(b.URI); !ok || u == "" || strings.Contains(u, ":") || strings.HasPrefix(u, "/") {
			break
		} else {
			prefix, base = path.Join(u, prefix), b.URIBaseID
		}
	}
	file := localPath(uri)
	if !strings.HasPrefix(file, "/") && !isDrive(file) {
		return strings.TrimPrefix(path.Join(localPath(prefix), file), "/")
	}
	for _, root := range r.rootPaths() {
		if rest, ok := strings.CutPrefix(file, root+"/"); ok {
			return rest
		}
	}
	return file
}

// rootPaths are the absolute directories that the run names, longest first.
func (r *Run) rootPaths() []string {
	if r.roots != nil {
		return r.roots
	}
	r.roots = []string{}
	add := func(uri string) {
		if p := strings.TrimSuffix(localPath(strings.TrimSpace(uri)), "/"); len(p) > 1 && (p[0] == '/' || isDrive(p)) {
			r.roots = append(r.roots, p)
		}
	}
	for _, b := range r.bases {
		add(b.URI)
	}
	for _, i := range r.invocations {
		add(i.Directory.URI)
	}
	slices.SortFunc(r.roots, func(a, b string) int { return len(b) - len(a) })
	return r.roots
}

func isDrive(p string) bool { return len(p) > 1 && p[1] == ':' }

// localPath turns a file: URI or a relative reference into a clean path.
func localPath(uri string) string {
	if rest, ok := strings.CutPrefix(uri, "file://"); ok {
		if i := strings.IndexByte(rest, '/'); i > 0 {
			rest = rest[i:] // a host's name
		}
		uri = rest
	}
	if p, err := url.PathUnescape(uri); err == nil {
		uri = p
	}
	uri = strings.ReplaceAll(uri, `\`, "/")
	if len(uri) > 2 && uri[0] == '/' && uri[2] == ':' {
		uri = uri[1:] // /C:/code
	}
	if uri == "" {
		return ""
	}
	return path.Clean(uri)
}

// cleanURL is an address without user, ending slash and .git.
func cleanURL(s string) string {
	s = strings.TrimSpace(s)
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		u.User = nil
		s = u.String()
	}
	return strings.TrimSuffix(strings.TrimRight(s, "/"), ".git")
}

// rule finds the rule object of a result, and the extension's name where one owns it.
func (r *Run) rule(x *result1) (jsontext.Value, string) {
	id, index := first(x.RuleID, x.Rule.ID), x.RuleIndex
	if x.Rule.Index != nil {
		index = x.Rule.Index
	}
	owner, name := &r.driver, ""
	for i := range r.extensions {
		e, c := &r.extensions[i], x.Rule.Component
		if c.Index != nil && *c.Index == i || c.GUID != "" && c.GUID == e.GUID || c.Name != "" && c.Name == e.Name {
			owner, name = e, e.Name
		}
	}
	if index != nil && *index >= 0 && *index < len(owner.Rules) {
		return owner.Rules[*index], name
	}
	if v := owner.find(id); v != nil {
		return v, name
	}
	for i := range r.extensions {
		if v := r.extensions[i].find(id); v != nil {
			return v, r.extensions[i].Name
		}
	}
	return r.driver.find(id), ""
}

// find is the component's rule by id; "CA1000/1" names a part of CA1000 (SARIF 2.1.0, 3.52.4).
func (c *component) find(id string) jsontext.Value {
	if c.index == nil {
		c.index = make(map[string]int, len(c.Rules))
		for i, v := range c.Rules {
			if id := idOf(v); id != "" {
				c.index[id] = i
			}
		}
	}
	for id != "" {
		if i, ok := c.index[id]; ok {
			return c.Rules[i]
		}
		id = id[:max(0, strings.LastIndexByte(id, '/'))]
	}
	return nil
}
