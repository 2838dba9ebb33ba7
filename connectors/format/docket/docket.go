// Package docket reads docket's own finding JSON, described in
// docs/formats/docket.md: the members of a report in snake_case.
package docket

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/pipeline"
)

// finding mirrors pipeline.Report without what docket works out itself. Words
// are read as text first, so that an error can name the member and the word.
type finding struct {
	Product       string                  `json:"product"`
	ID            string                  `json:"id"`
	Generator     string                  `json:"generator"`
	Kind          string                  `json:"kind"`
	Account       pipeline.Account        `json:"account"`
	Region        string                  `json:"region"`
	Resource      pipeline.Resource       `json:"resource"`
	Repository    string                  `json:"repository"`
	Control       string                  `json:"control"`
	Names         []string                `json:"names"`
	Title         string                  `json:"title"`
	Description   string                  `json:"description"`
	Remediation   pipeline.Remediation    `json:"remediation"`
	Links         []string                `json:"links"`
	Compliance    []string                `json:"compliance"`
	Severity      string                  `json:"severity"`
	RiskFactors   []string                `json:"risk_factors"`
	Tags          []string                `json:"tags"`
	Vulnerability *pipeline.Vulnerability `json:"vulnerability"`
	Code          *pipeline.Code          `json:"code"`
	Status        string                  `json:"status"`
	StatusReason  string                  `json:"status_reason"`
	ObservedAt    string                  `json:"observed_at"`
	FirstObserved string                  `json:"first_observed"`
	Occurred      *bool                   `json:"occurred"`
}

// Decode reads one finding. Product, id, title, severity and a resource in an
// account (or a repository) are required; an error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var f finding
	if err := json.Unmarshal(data, &f, names.Checked(data)); err != nil {
		return pipeline.Report{}, err
	}
	if err := f.required(); err != nil {
		return pipeline.Report{}, err
	}
	r := pipeline.Report{
		Product: f.Product, ID: f.ID, Generator: f.Generator, Account: f.Account, Region: f.Region, Resource: f.Resource,
		Repository: f.Repository, Control: f.Control, Names: f.Names, Title: f.Title, Description: f.Description,
		Remediation: f.Remediation, Links: f.Links, Compliance: f.Compliance, RiskFactors: f.RiskFactors, Tags: f.Tags,
		Vuln: f.Vulnerability, Code: f.Code, StatusReason: f.StatusReason,
	}
	if r.Resource.ID == "" {
		r.Resource.ID = first(r.Resource.Original, r.Repository)
	}
	if r.Resource.Original == "" {
		r.Resource.Original = r.Resource.ID
	}
	return r, errors.Join(f.words(&r), f.times(&r))
}

// Moves says what the value of a member is to a report, as that of asff does.
func Moves(outer, inner []byte) int {
	if inner == nil && string(outer) == "observed_at" {
		return 1
	}
	return 0
}

func (f *finding) required() error {
	var missing []error
	need := func(name string, words ...string) {
		if first(words...) == "" {
			missing = append(missing, errors.New(name+" is missing"))
		}
	}
	need("product", f.Product)
	need("id", f.ID)
	need("title", f.Title)
	need("severity", f.Severity)
	need("account.id", f.Account.ID, f.Repository)
	need("resource.id", f.Resource.ID, f.Resource.Original, f.Repository)
	return errors.Join(missing...)
}

// words reads severity, status and kind.
func (f *finding) words(r *pipeline.Report) error {
	var ok bool
	if r.Severity, ok = pipeline.ParseSeverity(f.Severity); !ok || r.Severity == pipeline.SeverityUnknown {
		return fmt.Errorf("severity: %.40q is none of CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL", f.Severity)
	}
	switch f.Status {
	case "":
		r.Status = pipeline.StatusOpen
	default:
		if err := r.Status.UnmarshalText([]byte(f.Status)); err != nil {
			return fmt.Errorf("status: %w", err)
		}
	}
	switch r.Kind = pipeline.Kind(f.Kind); r.Kind {
	case pipeline.KindControl, pipeline.KindVulnerability, pipeline.KindCode, pipeline.KindThreat:
	case "":
		switch {
		case f.Vulnerability != nil:
			r.Kind = pipeline.KindVulnerability
		case f.Code != nil:
			r.Kind = pipeline.KindCode
		default:
			r.Kind = pipeline.KindControl
		}
	default:
		return fmt.Errorf("kind: %.40q is none of control, vulnerability, code, threat", f.Kind)
	}
	r.Occurred = r.Kind == pipeline.KindThreat
	if f.Occurred != nil {
		r.Occurred = *f.Occurred
	}
	if r.Kind == pipeline.KindVulnerability && (f.Vulnerability == nil || f.Vulnerability.ID == "") {
		return errors.New("vulnerability.id is missing")
	}
	if r.Kind == pipeline.KindCode && f.Code == nil {
		return errors.New("code is missing")
	}
	return nil
}

func (f *finding) times(r *pipeline.Report) error {
	for _, t := range []struct {
		name, text string
		into       *time.Time
	}{{"observed_at", f.ObservedAt, &r.ObservedAt}, {"first_observed", f.FirstObserved, &r.FirstObserved}} {
		if *t.into = instant.Parse(t.text); t.text != "" && t.into.IsZero() {
			return fmt.Errorf("%s: %.40q is no time; write RFC 3339, 2026-01-31T12:00:00Z", t.name, t.text)
		}
	}
	return nil
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
