// Package asff reads findings in the AWS Security Finding Format, version
// 2018-10-08 (AWS Security Hub user guide, "ASFF syntax"; API reference, type AwsSecurityFinding).
package asff

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/pipeline"
)

// finding holds the members that a report needs; the others are skipped.
type finding struct {
	ID             string       `json:"Id"`
	ProductARN     string       `json:"ProductArn"`
	ProductName    string       `json:"ProductName"`
	GeneratorID    string       `json:"GeneratorId"`
	AccountID      string       `json:"AwsAccountId"`
	AccountName    string       `json:"AwsAccountName"`
	Region         string       `json:"Region"`
	Types          []string     `json:"Types"`
	FirstObserved  instant.Time `json:"FirstObservedAt"`
	LastObserved   instant.Time `json:"LastObservedAt"`
	Created        instant.Time `json:"CreatedAt"`
	Updated        instant.Time `json:"UpdatedAt"`
	Severity       severity     `json:"Severity"`
	Title          string       `json:"Title"`
	Description    string       `json:"Description"`
	SourceURL      string       `json:"SourceUrl"`
	RecordState    string       `json:"RecordState"`
	WorkflowState  string       `json:"WorkflowState"`
	Fields         fields       `json:"ProductFields"`
	Resources      []resource   `json:"Resources"`
	Compliance     compliance   `json:"Compliance"`
	Vulns          []vuln       `json:"Vulnerabilities"`
	ProviderFields struct {
		Severity severity `json:"Severity"`
	} `json:"FindingProviderFields"`
	Workflow struct {
		Status string `json:"Status"`
	} `json:"Workflow"`
	Own         own `json:"UserDefinedFields"`
	Remediation struct {
		Recommendation struct {
			Text string `json:"Text"`
			URL  string `json:"Url"`
		} `json:"Recommendation"`
	} `json:"Remediation"`
}

type severity struct {
	Label      string   `json:"Label"`
	Normalized *float64 `json:"Normalized"`
}

type resource struct {
	Type   string `json:"Type"`
	ID     string `json:"Id"`
	Region string `json:"Region"`
	Tags   tags   `json:"Tags"`
}

type compliance struct {
	Status            string   `json:"Status"`
	SecurityControlID string   `json:"SecurityControlId"`
	Requirements      []string `json:"RelatedRequirements"`
	Standards         []struct {
		ID string `json:"StandardsId"`
	} `json:"AssociatedStandards"`
}

// fields are the few product fields that matter. GuardDuty sends up to a
// hundred, so the others are stepped over without making strings of them.
type fields struct {
	ControlID, RuleID, StandardsControlARN string
	ConfigRule, ResourceOwner              string
	ProductName                            string
	InspectorStatus, InspectorScore        string
	RecommendationURL                      string
}

// UnmarshalJSONFrom reads an object; a value that is no text is skipped.
func (f *fields) UnmarshalJSONFrom(d *jsontext.Decoder) error { return texts(d, f.member) }

// OwnWorkflow is the user-defined field that docket's write-back puts beside Workflow.Status: the status that docket
// set last. Where both are the same, the status is docket's and nobody's opinion.
const OwnWorkflow = "docket/workflow"

// own is what docket's write-back left in a finding.
type own struct{ workflow string }

// UnmarshalJSONFrom reads an object; a value that is no text is skipped.
func (o *own) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return texts(d, func(name []byte) *string {
		if string(name) == OwnWorkflow {
			return &o.workflow
		}
		return nil
	})
}

// texts reads the members of an object that member wants; any other value is skipped.
func texts(d *jsontext.Decoder, member func(name []byte) *string) error {
	if d.PeekKind() != '{' {
		return d.SkipValue()
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return err
		}
		into := member(name[1 : len(name)-1])
		if into == nil || d.PeekKind() != '"' {
			if err := d.SkipValue(); err != nil {
				return err
			}
			continue
		}
		tok, err := d.ReadToken()
		if err != nil {
			return err
		}
		*into = tok.String()
	}
	_, err := d.ReadToken()
	return err
}

func (f *fields) member(name []byte) *string {
	switch string(name) {
	case "ControlId":
		return &f.ControlID
	case "RuleId":
		return &f.RuleID
	case "StandardsControlArn":
		return &f.StandardsControlARN
	case "RecommendationUrl":
		return &f.RecommendationURL
	case "ResourceOwnerAccount":
		return &f.ResourceOwner
	case "aws/config/ConfigRuleName":
		return &f.ConfigRule
	case "aws/securityhub/ProductName":
		return &f.ProductName
	case "aws/inspector/FindingStatus":
		return &f.InspectorStatus
	case "aws/inspector/inspectorScore":
		return &f.InspectorScore
	}
	return nil
}

// Moves says what the value of a member is to a report: 0, a part of it; n > 0, only the time that
// comes n-th for ObservedAt; -1, nothing, or FirstObserved. inner is a member of the object that outer
// holds, nil for outer itself.
func Moves(outer, inner []byte) int {
	if inner != nil {
		var f fields
		if string(outer) == "ProductFields" && f.member(inner) == nil {
			return -1
		}
		return 0
	}
	switch string(outer) {
	case "UpdatedAt":
		return 1
	case "LastObservedAt":
		return 2
	case "CreatedAt":
		return 3
	case "FirstObservedAt", "ProcessedAt":
		return -1
	}
	return 0
}

// Decode reads one finding. The report's ID is the finding's Id where that is
// an ARN of the product's own region, else the Id behind region and product, since Security Hub
// names a finding by ProductArn and Id together. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var f finding
	if err := json.Unmarshal(data, &f, names.Checked(data)); err != nil {
		return pipeline.Report{}, err
	}
	product := f.product()
	switch {
	case f.ID == "":
		return pipeline.Report{}, errors.New("Id is missing")
	case product == "":
		return pipeline.Report{}, errors.New("ProductArn is missing")
	case f.AccountID == "":
		return pipeline.Report{}, errors.New("AwsAccountId is missing")
	}
	sev, err := f.severity()
	if err != nil {
		return pipeline.Report{}, err
	}
	r := pipeline.Report{
		Product: product, ID: f.reportID(), Generator: f.GeneratorID,
		Account: pipeline.Account{ID: f.AccountID, Name: f.AccountName},
		Title:   f.Title, Description: f.Description, Severity: sev, Tags: f.Types,
		Remediation:   pipeline.Remediation{Text: f.Remediation.Recommendation.Text, URL: first(f.Remediation.Recommendation.URL, f.Fields.RecommendationURL)},
		ObservedAt:    instant.First(f.Updated.Time, f.LastObserved.Time, f.Created.Time),
		FirstObserved: instant.First(f.FirstObserved.Time, f.Created.Time),
	}
	if owner := f.Fields.ResourceOwner; product == accessAnalyzer && owner != "" && owner != f.AccountID {
		// An organisation's analyzer is the administrator's; what it found is another account's.
		r.Account = pipeline.Account{ID: owner}
	}
	if f.SourceURL != "" {
		r.Links = append(r.Links, f.SourceURL)
	}
	f.kind(&r)
	f.resource(&r)
	f.compliance(&r)
	r.Status, r.StatusReason = f.status()
	return r, nil
}

// severity follows Label, else the bands of Normalized (Security Hub API
// reference, type Severity), else what the provider sent. Severity.Product is on the
// provider's own scale and ignored. A finding that says nothing at all is SeverityUnknown.
func (f *finding) severity() (pipeline.Severity, error) {
	for _, s := range []severity{f.Severity, f.ProviderFields.Severity} {
		v, ok := pipeline.ParseSeverity(s.Label)
		switch {
		case ok && v != pipeline.SeverityUnknown:
			return v, nil
		case s.Normalized != nil:
			return band(*s.Normalized), nil
		case !ok:
			return 0, fmt.Errorf("Severity.Label: %.40q is no severity", s.Label)
		}
	}
	return pipeline.SeverityUnknown, nil
}

func band(n float64) pipeline.Severity {
	switch {
	case n < 1:
		return pipeline.Informational
	case n < 40:
		return pipeline.Low
	case n < 70:
		return pipeline.Medium
	case n < 90:
		return pipeline.High
	}
	return pipeline.Critical
}

// status keeps evidence (PASSED, ARCHIVED, a closed Inspector finding) apart
// from what a person set at the source (Workflow). Words that are not known count as
// open, so that a new word never hides a problem.
func (f *finding) status() (pipeline.Status, string) {
	var (
		comp   = word(f.Compliance.Status)
		record = word(f.RecordState)
		flow   = word(f.Workflow.Status)
	)
	if flow == "" && word(f.WorkflowState) == "RESOLVED" {
		flow = "RESOLVED" // the member's old name; its other words say nothing here
	}
	if flow == word(f.Own.workflow) {
		flow = "" // docket's own
	}
	switch {
	case comp == "PASSED":
		return pipeline.StatusResolved, "Compliance.Status PASSED"
	case record == "ARCHIVED":
		return pipeline.StatusResolved, "RecordState ARCHIVED"
	case word(f.Fields.InspectorStatus) == "CLOSED":
		return pipeline.StatusResolved, "Inspector status CLOSED"
	case flow == "RESOLVED" || flow == "SUPPRESSED":
		return pipeline.StatusUnproven, "Workflow.Status " + flow
	case comp == "NOT_AVAILABLE":
		return pipeline.StatusUnproven, "Compliance.Status NOT_AVAILABLE"
	}
	switch comp {
	case "", "FAILED", "WARNING":
	default:
		return pipeline.StatusOpen, fmt.Sprintf("Compliance.Status %.40q is not known, counted as FAILED", f.Compliance.Status)
	}
	if record != "" && record != "ACTIVE" {
		return pipeline.StatusOpen, fmt.Sprintf("RecordState %.40q is not known, counted as ACTIVE", f.RecordState)
	}
	if flow != "" && flow != "NEW" && flow != "NOTIFIED" {
		return pipeline.StatusOpen, fmt.Sprintf("Workflow.Status %.40q is not known, counted as NEW", f.Workflow.Status)
	}
	return pipeline.StatusOpen, ""
}

func word(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
