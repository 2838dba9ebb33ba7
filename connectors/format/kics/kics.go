// Package kics reads the JSON reports of KICS (KICS documentation, "Results").
package kics

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/report"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings.
const (
	Name    = "kics"
	Product = "KICS"
)

// Kind is KICS's report.
func Kind() report.Kind {
	return report.Kind{
		Name: Name, Marks: []string{`"files_scanned"`, `"queries_total"`}, Lists: []string{"queries"},
		Is: func(k report.Keys) bool { return k["queries_total"] || k.All("files_scanned", "queries") },
		Open: func(head []byte) (report.Report, error) {
			var d struct {
				End instant.Time `json:"end"`
			}
			err := json.Unmarshal(head, &d)
			return &document{d.End.Time}, err
		},
	}
}

type document struct{ end time.Time }

// row is one record: a place that a query found, with the query. Where several places of the
// query are the same to KICS, Said is what is wrong at each of them: one finding, which says the same
// whichever of its places is read last.
type row struct {
	Query jsontext.Value `json:"query"`
	File  jsontext.Value `json:"file"`
	Said  texts          `json:"said,omitempty"`
}

// place is one of a query's files.
type place struct {
	Name       string `json:"file_name"`
	Similarity string `json:"similarity_id"`
	Line       int    `json:"line"`
	SearchKey  string `json:"search_key"`
	Resource   string `json:"resource_name"`
	Expected   string `json:"expected_value"`
	Actual     string `json:"actual_value"`
}

// text is what should be at the place and what is; "" where the report does not say.
func (p *place) text() string {
	switch {
	case p.Expected == "":
		return ""
	case p.Actual == "":
		return "Expected: " + p.Expected
	}
	return "Expected: " + p.Expected + "\nFound: " + p.Actual
}

// mostText bounds what is said of places that are the same to KICS, in bytes: every record of them holds it.
const mostText = 4 << 10

// texts are what is wrong at places that are the same, each once, in the report's order.
type texts []string

func (t texts) with(text string) texts {
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "")
	}
	size := len(text)
	for _, known := range t {
		size += len(known)
	}
	if text == "" || size > mostText || slices.Contains(t, text) {
		return t
	}
	return append(t, text)
}

// Scan implements report.Report: the paths that a report names are those of a container, the same for every repository.
func (d *document) Scan() (scope, run string, at time.Time) { return "", "", d.end }

// Split implements report.Report: a query's places become a record each.
func (d *document) Split(_ string, element []byte, each func([]byte) error) error {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(element, &members); err != nil {
		return err
	}
	var files []jsontext.Value
	if err := json.Unmarshal(members["files"], &files); err != nil {
		return fmt.Errorf("files: %w", err)
	}
	delete(members, "files")
	query, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return err
	}
	said, count := map[string]texts{}, map[string]int{}
	for _, f := range files {
		// A place that cannot be read is refused by Decode.
		var p place
		if json.Unmarshal(f, &p) == nil {
			said[p.Similarity] = said[p.Similarity].with(p.text())
			count[p.Similarity]++
		}
	}
	for _, f := range files {
		var p place
		var all texts
		if json.Unmarshal(f, &p) == nil && p.Similarity != "" && count[p.Similarity] > 1 {
			all = said[p.Similarity]
		}
		b, err := json.Marshal(row{query, f, all})
		if err != nil {
			return err
		}
		if err := each(b); err != nil {
			return err
		}
	}
	return nil
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return pipeline.Report{}, err
	}
	var q struct {
		Name     string `json:"query_name"`
		ID       string `json:"query_id"`
		URL      string `json:"query_url"`
		Severity string `json:"severity"`
		Platform string `json:"platform"`
		Category string `json:"category"`
		Text     string `json:"description"`
		CWE      string `json:"cwe"`
	}
	var f place
	if err := json.Unmarshal(r.Query, &q); err != nil {
		return pipeline.Report{}, err
	}
	if err := json.Unmarshal(r.File, &f); err != nil {
		return pipeline.Report{}, err
	}
	if q.ID == "" || f.Name == "" {
		return pipeline.Report{}, errors.New("query_id or file_name is missing")
	}
	out := pipeline.Report{
		Product: Product, Generator: Product + " " + q.Platform, Kind: pipeline.KindCode, Control: q.ID, Status: pipeline.StatusOpen,
		// The similarity id is made of query, path and the place's key: KICS's own word for "the same" (documentation, "Results").
		ID:    cmp.Or(f.Similarity, strings.Join([]string{q.ID, f.Name, f.SearchKey}, "|")),
		Title: q.Name, Description: q.Text, Remediation: pipeline.Remediation{URL: q.URL},
		Code:     &pipeline.Code{Rule: q.ID, Path: f.Name, Line: f.Line, Snippet: f.SearchKey, Fingerprint: f.Similarity},
		Resource: pipeline.Resource{ID: f.Name, Original: f.Name, Type: "File", Name: cmp.Or(f.Resource, f.Name)},
	}
	switch strings.ToUpper(q.Severity) {
	case "TRACE":
		out.Severity = pipeline.Informational
	default:
		s, ok := pipeline.ParseSeverity(q.Severity)
		if !ok {
			return pipeline.Report{}, fmt.Errorf("severity: %.40q is no severity", q.Severity)
		}
		out.Severity = s
	}
	if out.Remediation.Text = f.text(); len(r.Said) > 0 {
		out.Remediation.Text = strings.Join(r.Said, "\n")
	}
	if strings.EqualFold(q.Category, "Secret Management") {
		out.RiskFactors = []string{"exposed_credential"}
	}
	return out, nil
}
