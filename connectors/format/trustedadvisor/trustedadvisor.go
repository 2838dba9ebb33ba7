// Package trustedadvisor reads the records that the source of that name makes: one object for each
// resource that a check of AWS Trusted Advisor lists, whichever of its two APIs listed it.
// docs/formats/trustedadvisor.md describes them.
//
// Sources: AWS Support API reference, version 2013-04-15 (TrustedAdvisorCheckDescription, TrustedAdvisorCheckResult,
// TrustedAdvisorResourceDetail); AWS Trusted Advisor API reference, version 2022-09-15 (CheckSummary,
// RecommendationResourceSummary); AWS Support user guide, "Trusted Advisor check reference".
package trustedadvisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/pipeline"
)

// Product is who made these reports, in the spelling of Report.Product.
const Product = "Trusted Advisor"

// The colours of a check and of a resource, in the words of both APIs.
const (
	StatusOK           = "ok"            // green
	StatusWarning      = "warning"       // yellow
	StatusError        = "error"         // red
	StatusNotAvailable = "not_available" // the check could not look
)

// Record is one resource of one check.
type Record struct {
	CheckID     string `json:"checkId"`
	CheckName   string `json:"checkName"`
	Category    string `json:"category"`              // the pillar: security, cost_optimizing, …
	Description string `json:"description,omitempty"` // of the check, HTML
	Account     string `json:"account"`
	Timestamp   string `json:"timestamp"` // RFC 3339: when Trusted Advisor looked last
	// CheckStatus is the colour of the check as a whole; where it is not_available the resources say nothing.
	CheckStatus  string `json:"checkStatus,omitempty"`
	Status       string `json:"status"`
	Region       string `json:"region,omitempty"`
	ResourceID   string `json:"resourceId,omitempty"`    // Trusted Advisor's own id of the row; it changes with the row
	AWSResource  string `json:"awsResourceId,omitempty"` // of the newer API alone: the resource's id or ARN
	IsSuppressed bool   `json:"isSuppressed"`            // a person excluded it
	// Metadata holds the row's cells by the names of the check's columns; empty cells are left out.
	Metadata map[string]string `json:"metadata"`
}

// Encode is the record as Decode reads it, its members in a fixed order.
func (in *Record) Encode() ([]byte, error) {
	if in.Metadata == nil {
		c := *in
		c.Metadata = map[string]string{}
		in = &c
	}
	return json.Marshal(in, json.Deterministic(true))
}

// Moves says what the value of a member is to a report, as that of asff does.
func Moves(outer, inner []byte) int {
	switch {
	case inner == nil && string(outer) == "timestamp":
		return 1
	case string(outer) == "metadata" && string(inner) == updatedColumn:
		return -1
	}
	return 0
}

// updatedColumn is set anew each time that a check looks; nothing of a report comes from it.
const updatedColumn = "Last Updated Time"

// Decode reads one record. Check, account, status and time are required; an error names what is missing or wrong.
//
// A red resource is open and HIGH, or CRITICAL where Security Hub's control for the same is; a yellow one open and MEDIUM; a
// green one resolved. One that a person excluded is unproven unless it is green, and so is everything of a check that could not look.
//
// It reads the whole EventBridge event "Trusted Advisor Check Item Refresh Notification", too, as the record that it tells of.
func Decode(data []byte) (pipeline.Report, error) {
	var both struct {
		Record
		event
	}
	if err := json.Unmarshal(data, &both, names.Checked(data)); err != nil {
		return pipeline.Report{}, err
	}
	in := both.Record
	if both.DetailType != "" {
		in = both.record(both.Account)
	}
	if err := in.required(); err != nil {
		return pipeline.Report{}, err
	}
	c := checkOf(in.CheckID)
	r := pipeline.Report{
		Product: Product, Kind: pipeline.KindControl, Account: pipeline.Account{ID: in.Account},
		Control: in.CheckID, Names: in.names(), Title: in.title(), Tags: tagsOf(in.Category),
		Links: []string{console(in.Category)}, ObservedAt: instant.Parse(in.Timestamp),
	}
	if r.ObservedAt.IsZero() {
		return pipeline.Report{}, fmt.Errorf("timestamp: %.40q is no time", in.Timestamp)
	}
	if err := in.status(&r, c); err != nil {
		return pipeline.Report{}, err
	}
	cells := cellsOf(in.Metadata)
	in.place(&r, c, cells)
	r.ID = in.reportID(&r, c, cells)
	text := sectionsOf(in.Description)
	r.Description = join("\n\n", text.what, in.facts())
	r.Remediation = pipeline.Remediation{Text: text.fix, URL: reference(in.Category)}
	return r, nil
}

func (in *Record) required() error {
	var missing []error
	for _, m := range []struct{ name, value string }{
		{"checkId", in.CheckID}, {"account", in.Account}, {"status", in.Status}, {"timestamp", in.Timestamp},
	} {
		if m.value == "" {
			missing = append(missing, errors.New(m.name+" is missing"))
		}
	}
	return errors.Join(missing...)
}

// names are the check's own and, of a check that shows a control of Security Hub, that
// control's, which the check's description tells ("Security Hub Control Id: Athena.1").
func (in *Record) names() []string {
	names := []string{"trustedadvisor:" + in.CheckID}
	if _, rest, ok := strings.Cut(in.Description, hubControl); ok {
		id, _, _ := strings.Cut(strings.TrimSpace(rest), "<")
		if f := strings.Fields(id); len(f) > 0 && strings.Contains(f[0], ".") {
			names = append(names, "fsbp:"+strings.TrimRight(f[0], ".,;"))
		}
	}
	return names
}

const hubControl = "Security Hub Control Id:"

func (in *Record) title() string {
	if t := strings.TrimSpace(in.CheckName); t != "" {
		return t
	}
	return "Trusted Advisor check " + in.CheckID
}

func (in *Record) status(r *pipeline.Report, c *check) error {
	switch in.Status {
	case StatusError:
		r.Status, r.Severity, r.StatusReason = pipeline.StatusOpen, pipeline.High, "status error (red)"
		if c.critical {
			r.Severity = pipeline.Critical
		}
	case StatusWarning:
		r.Status, r.Severity, r.StatusReason = pipeline.StatusOpen, pipeline.Medium, "status warning (yellow)"
	case StatusOK:
		r.Status, r.Severity, r.StatusReason = pipeline.StatusResolved, pipeline.Informational, "status ok (green)"
	case StatusNotAvailable:
		r.Status, r.Severity, r.StatusReason = pipeline.StatusUnproven, pipeline.Informational, "status not_available: Trusted Advisor could not look"
	default:
		return fmt.Errorf("status: %.40q is none of ok, warning, error, not_available", in.Status)
	}
	switch {
	case in.CheckStatus == StatusNotAvailable:
		r.Status, r.StatusReason = pipeline.StatusUnproven, "the check is not_available: Trusted Advisor could not look"
	case in.IsSuppressed && r.Status == pipeline.StatusOpen:
		r.Status, r.StatusReason = pipeline.StatusUnproven, "excluded in Trusted Advisor, "+r.StatusReason
	}
	return nil
}

// place works out region and resource.
func (in *Record) place(r *pipeline.Report, c *check, cells cells) {
	r.Region = cells.first(regionColumns)
	if r.Region == "" {
		r.Region = strings.TrimSpace(in.Region)
	}
	if r.Region == "-" || c.global {
		r.Region = "global"
	}
	id, typ := cells.first(c.id), c.typ
	if c.typ == typeAccount {
		id = in.Account
	}
	if id == "" && c.typ == "" {
		id, typ = cells.known()
	}
	if id == "" {
		id = strings.TrimSpace(in.AWSResource)
	}
	if id == "" || id == rootUser {
		// What has no resource of its own is a matter of the account, and so is its root user.
		id, typ = in.Account, typeAccount
	}
	id, _, _ = strings.Cut(id, " (") // "sg-0123 (vpc-0123)"
	r.Resource = pipeline.Resource{ID: id, Type: typ, Original: id, Name: cells.first(c.name)}
	if r.Region == "" && typ == typeAccount {
		r.Region = "global"
	}
}

// rootUser is how the credential report, and after it the check of access keys, calls the root user
// (IAM user guide, "Getting credential reports").
const rootUser = "<root_account>"

// reportID holds no space, and is the same for a row each time it is listed and by either API. Trusted Advisor's own id of a row is a
// hash over all its cells, times and reasons too, and serves only where they name no resource.
func (in *Record) reportID(r *pipeline.Report, c *check, cells cells) string {
	id := join("/", in.CheckID, in.Account, r.Region, r.Resource.ID)
	if c.unknown && r.Resource.Type == typeAccount && in.ResourceID != "" {
		return id + "/" + in.ResourceID
	}
	for _, column := range c.keys {
		if v := cells[plain(column)]; v != "" {
			id += "/" + v
		}
	}
	return strings.ReplaceAll(id, " ", "_")
}

// facts are the row's cells, one a line, without those that change each time the check looks.
func (in *Record) facts() string {
	var lines []string
	for name, v := range in.Metadata {
		switch {
		case v == "", name == updatedColumn, plain(name) == "status":
		default:
			lines = append(lines, strings.TrimSpace(name)+": "+v)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func tagsOf(category string) []string {
	if category == "" {
		return nil
	}
	return []string{category}
}

// join puts sep between the parts that are not empty.
func join(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}
