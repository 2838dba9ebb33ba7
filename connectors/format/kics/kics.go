// Package kics reads the JSON reports of KICS (KICS documentation, "Results").
package kics

import (
	"cmp"
	"errors"
	"fmt"
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

// row is one record: a place that a query found, with the query.
type row struct {
	Query jsontext.Value `json:"query"`
	File  jsontext.Value `json:"file"`
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
	for _, f := range files {
		b, err := json.Marshal(row{query, f})
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
	var f struct {
		Name       string `json:"file_name"`
		Similarity string `json:"similarity_id"`
		Line       int    `json:"line"`
		SearchKey  string `json:"search_key"`
		Resource   string `json:"resource_name"`
		Expected   string `json:"expected_value"`
		Actual     string `json:"actual_value"`
	}
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
	if f.Expected != "" {
		out.Remediation.Text = "Expected: " + f.Expected
		if f.Actual != "" {
			out.Remediation.Text += "\nFound: " + f.Actual
		}
	}
	if strings.EqualFold(q.Category, "Secret Management") {
		out.RiskFactors = []string{"exposed_credential"}
	}
	return out, nil
}
