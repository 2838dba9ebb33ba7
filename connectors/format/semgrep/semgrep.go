// Package semgrep reads the JSON reports of Semgrep (Semgrep documentation, "Semgrep JSON and SARIF fields").
package semgrep

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/report"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings.
const (
	Name    = "semgrep"
	Product = "Semgrep"
)

// Kind is Semgrep's report.
func Kind() report.Kind {
	return report.Kind{
		Name: Name, Marks: []string{`"results"`}, Lists: []string{"results"},
		Is: func(k report.Keys) bool {
			return k["results"] && !k["runs"] && (k.All("results.check_id", "results.path") || k.All("errors", "paths") || k["errors"] && len(k) == 2)
		},
		Open: func([]byte) (report.Report, error) { return &document{}, nil },
	}
}

type document struct{ seen report.Occurrences }

// row is one record. Occurrence numbers equal texts of one rule in one file, which have no other name.
type row struct {
	Occurrence int            `json:"occurrence,omitempty"`
	Result     jsontext.Value `json:"result"`
}

// Scan implements report.Report: a report names neither its target nor its time.
func (d *document) Scan() (scope, run string, at time.Time) { return "", "", time.Time{} }

// Split implements report.Report.
func (d *document) Split(_ string, element []byte, each func([]byte) error) error {
	var r result
	if err := json.Unmarshal(element, &r); err != nil {
		return err
	}
	n := d.seen.At(r.ID+"\x00"+r.Path+"\x00"+r.text(), r.Start.Line, r.Start.Column)
	b, err := json.Marshal(row{n, element})
	if err != nil {
		return err
	}
	return each(b)
}

type result struct {
	ID    string `json:"check_id"`
	Path  string `json:"path"`
	Start struct {
		Line   int `json:"line"`
		Column int `json:"col"`
	} `json:"start"`
	Extra struct {
		Message     string `json:"message"`
		Severity    string `json:"severity"`
		Fingerprint string `json:"fingerprint"`
		Lines       string `json:"lines"`
		Fix         string `json:"fix"`
		Ignored     bool   `json:"is_ignored"`
		Metadata    struct {
			CWE        texts  `json:"cwe"`
			OWASP      texts  `json:"owasp"`
			References texts  `json:"references"`
			Shortlink  string `json:"shortlink"`
			Source     string `json:"source"`
		} `json:"metadata"`
	} `json:"extra"`
}

// texts is a text or a list of them.
type texts []string

// UnmarshalJSONFrom reads either; anything else is none.
func (t *texts) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	var one string
	var many []string
	switch {
	case v.Kind() == '"' && json.Unmarshal(v, &one) == nil:
		*t = texts{one}
	case v.Kind() == '[' && json.Unmarshal(v, &many) == nil:
		*t = many
	}
	return nil
}

// needsLogin is what Semgrep writes in place of what only its registered users get.
const needsLogin = "requires login"

// text is the code that was matched; "" where the report does not have it.
func (r *result) text() string {
	if r.Extra.Lines == needsLogin {
		return ""
	}
	return strings.Join(strings.Fields(r.Extra.Lines), " ")
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var w row
	if err := json.Unmarshal(data, &w); err != nil {
		return pipeline.Report{}, err
	}
	var r result
	if err := json.Unmarshal(w.Result, &r); err != nil {
		return pipeline.Report{}, err
	}
	if r.ID == "" || r.Path == "" {
		return pipeline.Report{}, errors.New("check_id or path is missing")
	}
	x := &r.Extra
	rule := r.ID[strings.LastIndexByte(r.ID, '.')+1:]
	out := pipeline.Report{
		Product: Product, Generator: Product, Kind: pipeline.KindCode, Control: r.ID, Status: pipeline.StatusOpen,
		Title: strings.ReplaceAll(rule, "-", " ") + " in " + r.Path, Description: x.Message,
		Links: x.Metadata.References, Compliance: append(append([]string{}, x.Metadata.CWE...), x.Metadata.OWASP...),
		Code:     &pipeline.Code{Rule: r.ID, Path: r.Path, Line: r.Start.Line, Snippet: r.text(), Occurrence: w.Occurrence},
		Resource: pipeline.Resource{ID: r.Path, Original: r.Path, Type: "File", Name: r.Path},
	}
	out.Remediation.URL = x.Metadata.Shortlink
	if out.Remediation.URL == "" {
		out.Remediation.URL = x.Metadata.Source
	}
	if x.Fix != "" && x.Fix != needsLogin {
		out.Remediation.Text = "Write instead:\n" + x.Fix
	}
	out.ID = strings.Join([]string{r.ID, r.Path, digest(r.text()), fmt.Sprint(w.Occurrence)}, "|")
	if x.Fingerprint != "" && x.Fingerprint != needsLogin {
		// Semgrep's own is already made of rule, path, text and index.
		out.Code.Fingerprint, out.Code.Occurrence, out.ID = x.Fingerprint, 0, x.Fingerprint
	}
	var err error
	if out.Severity, err = severity(x.Severity); err != nil {
		return pipeline.Report{}, err
	}
	if x.Ignored {
		out.Status, out.StatusReason = pipeline.StatusUnproven, "ignored in the code (nosemgrep)"
	}
	return out, nil
}

// digest stands for a line of code in an id, which is shown as it is: the line may be a password.
func digest(text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}

// severity reads Semgrep's words: rules written before 2024 say ERROR, WARNING and INFO for what is HIGH,
// MEDIUM and LOW since (Semgrep documentation, "Rule syntax", severity).
func severity(word string) (pipeline.Severity, error) {
	switch strings.ToUpper(word) {
	case "ERROR":
		return pipeline.High, nil
	case "WARNING":
		return pipeline.Medium, nil
	case "INFO", "INVENTORY", "EXPERIMENT":
		return pipeline.Low, nil
	}
	s, ok := pipeline.ParseSeverity(word)
	if !ok {
		return 0, fmt.Errorf("extra.severity: %.40q is no severity", word)
	}
	return s, nil
}
