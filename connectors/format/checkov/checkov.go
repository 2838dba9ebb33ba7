// Package checkov reads Checkov's JSON reports (checkov documentation, "CLI output formats"): one object, or
// an array of one a framework.
package checkov

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/report"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings.
const (
	Name    = "checkov"
	Product = "Checkov"
)

// The lists of a report, and what their elements are.
const (
	failed  = "results.failed_checks"
	skipped = "results.skipped_checks"
)

// Kind is Checkov's report. Checks that passed are not looked at: of a resource that was changed Checkov names
// no earlier failure, so what they prove is what their absence from the failures proves.
func Kind() report.Kind {
	return report.Kind{
		Name: Name, Marks: []string{`"check_type"`, `"checkov_version"`}, Lists: []string{failed, skipped, "results.passed_checks"},
		Is: func(k report.Keys) bool {
			return k.All("check_type", "results") || k.All("passed", "failed", "checkov_version")
		},
		Open: func(head []byte) (report.Report, error) {
			d := &document{}
			return d, json.Unmarshal(head, d)
		},
	}
}

type document struct {
	CheckType string `json:"check_type"`
}

// row is one record.
type row struct {
	CheckType string         `json:"check_type"` // terraform, cloudformation, dockerfile, sca_package, secrets, …
	Skipped   bool           `json:"skipped,omitempty"`
	Check     jsontext.Value `json:"check"`
}

// Scan implements report.Report: a report names neither its target nor its time.
func (d *document) Scan() (scope, run string, at time.Time) { return "", "", time.Time{} }

// Split implements report.Report.
func (d *document) Split(list string, element []byte, each func([]byte) error) error {
	if list != failed && list != skipped {
		return nil
	}
	b, err := json.Marshal(row{d.CheckType, list == skipped, element})
	if err != nil {
		return err
	}
	return each(b)
}

type check struct {
	ID     string `json:"check_id"`
	Name   string `json:"check_name"`
	Result struct {
		Result  string `json:"result"`
		Comment string `json:"suppress_comment"`
	} `json:"check_result"`
	Code       [][]jsontext.Value `json:"code_block"` // pairs of a line's number and text
	Path       string             `json:"file_path"`
	RepoPath   string             `json:"repo_file_path"`
	Lines      []int              `json:"file_line_range"`
	Resource   string             `json:"resource"`
	Severity   string             `json:"severity"` // only with a key of the platform
	Guideline  string             `json:"guideline"`
	Text       string             `json:"description"`
	Benchmarks map[string][]struct {
		Name string `json:"name"`
	} `json:"benchmarks"`
	Vulnerability *struct {
		ID      string  `json:"id"`
		Package string  `json:"package_name"`
		Version string  `json:"package_version"`
		Fix     string  `json:"lowest_fixed_version"`
		CVSS    float64 `json:"cvss"`
		Link    string  `json:"link"`
		Text    string  `json:"description"`
	} `json:"vulnerability_details"`
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return pipeline.Report{}, err
	}
	var c check
	if err := json.Unmarshal(r.Check, &c); err != nil {
		return pipeline.Report{}, err
	}
	if c.ID == "" {
		return pipeline.Report{}, errors.New("check_id is missing")
	}
	path := strings.TrimPrefix(cmp.Or(c.RepoPath, c.Path), "/")
	if path == "" {
		return pipeline.Report{}, errors.New("file_path is missing")
	}
	out := pipeline.Report{
		Product: Product, Generator: Product + " " + r.CheckType, Kind: pipeline.KindCode, Control: c.ID,
		ID:    strings.Join([]string{r.CheckType, c.ID, path, c.Resource}, "|"),
		Title: cmp.Or(c.Name, c.ID), Description: c.Text, Remediation: pipeline.Remediation{URL: c.Guideline},
		Severity: pipeline.Medium, // Checkov itself gives none; only the platform does
		Status:   pipeline.StatusOpen,
	}
	if c.Severity != "" {
		s, ok := pipeline.ParseSeverity(c.Severity)
		if !ok {
			return pipeline.Report{}, fmt.Errorf("severity: %.40q is no severity", c.Severity)
		}
		out.Severity = s
	}
	if r.Skipped || strings.EqualFold(c.Result.Result, "skipped") {
		out.Status, out.StatusReason = pipeline.StatusUnproven, "skipped in the code: "+cmp.Or(c.Result.Comment, "no reason given")
	}
	for name, list := range c.Benchmarks {
		for _, b := range list {
			out.Compliance = append(out.Compliance, name+"/"+b.Name)
		}
	}
	slices.Sort(out.Compliance)
	if v := c.Vulnerability; v != nil && v.ID != "" {
		out.Kind, out.Control = pipeline.KindVulnerability, v.ID
		out.Vuln = &pipeline.Vulnerability{ID: v.ID, Package: v.Package, Version: v.Version, FixedVersion: v.Fix, CVSS: v.CVSS}
		out.Title, out.Description = v.ID+" in "+v.Package, v.Text
		out.ID = strings.Join([]string{r.CheckType, v.ID, path, v.Package}, "|")
		if v.Link != "" {
			out.Links = []string{v.Link}
		}
		out.Resource = pipeline.Resource{ID: path, Original: path, Type: "File", Name: path}
		return out, nil
	}
	// The resource's address names the place whatever is written above it or changed in it.
	out.Code = &pipeline.Code{Rule: c.ID, Path: path, Snippet: c.text(), Fingerprint: c.Resource}
	if len(c.Lines) > 0 {
		out.Code.Line = c.Lines[0]
	}
	out.Resource = pipeline.Resource{ID: path, Original: path, Type: "File", Name: cmp.Or(c.Resource, path)}
	if r.CheckType == "secrets" {
		out.RiskFactors = []string{"exposed_credential"}
	}
	return out, nil
}

// text is the block of code.
func (c *check) text() string {
	var b strings.Builder
	for _, pair := range c.Code {
		var line string
		if len(pair) == 2 && json.Unmarshal(pair[1], &line) == nil {
			b.WriteString(line)
		}
	}
	return b.String()
}
