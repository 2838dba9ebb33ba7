// Package accessanalyzer reads the EventBridge events of IAM Access Analyzer
// about its findings: "Access Analyzer Finding" (access from outside), "Unused Access Finding for IAM entities"
// and "Internal Access Finding" (IAM user guide, "Monitoring IAM Access Analyzer with Amazon EventBridge").
package accessanalyzer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/loose"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/pipeline"
)

// Product is the name that Security Hub gives findings of Access Analyzer.
const Product = "IAM Access Analyzer"

// event holds the members that a report needs.
type event struct {
	Account   string       `json:"account"`
	Region    string       `json:"region"`
	Time      instant.Time `json:"time"`
	Resources []string     `json:"resources"` // the analyzer's ARN alone
	Detail    detail       `json:"detail"`
}

type detail struct {
	ID           string       `json:"id"`
	FindingID    string       `json:"findingId"` // of unused access
	Type         string       `json:"findingType"`
	AccountID    string       `json:"accountId"`
	Region       string       `json:"region"`
	Resource     string       `json:"resource"`
	ResourceType string       `json:"resourceType"`
	Status       string       `json:"status"`
	Error        string       `json:"error"`
	Public       bool         `json:"isPublic"`
	Deleted      bool         `json:"isDeleted"`
	Action       []string     `json:"action"`
	Principal    loose.Texts  `json:"principal"` // kinds of principals with one name each
	Created      instant.Time `json:"createdAt"`
	Updated      instant.Time `json:"updatedAt"`
	Analyzed     instant.Time `json:"analyzedAt"`
}

// Decode reads one event. Product, control and resource are those of the same finding in Security Hub, so both
// are one finding; the report is the analyzer's own, as one finding there may stand for several here, one a
// principal. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var e event
	if err := json.Unmarshal(data, &e, names.Checked(data)); err != nil {
		return pipeline.Report{}, err
	}
	d := &e.Detail
	id, account, region := cmp.Or(d.ID, d.FindingID), cmp.Or(d.AccountID, e.Account), cmp.Or(d.Region, e.Region)
	switch {
	case id == "":
		return pipeline.Report{}, errors.New("detail.id is missing")
	case account == "":
		return pipeline.Report{}, errors.New("detail.accountId is missing")
	case d.Resource == "":
		return pipeline.Report{}, errors.New("detail.resource is missing")
	}
	r := pipeline.Report{
		Product: Product, ID: id, Kind: pipeline.KindControl,
		Account: pipeline.Account{ID: account}, Region: region,
		Resource: pipeline.Resource{ID: d.Resource, Original: d.Resource, Type: d.ResourceType,
			Name: d.Resource[strings.LastIndexAny(d.Resource, "/:")+1:]},
		ObservedAt: later(d.Updated.Time, d.Analyzed.Time, e.Time.Time), FirstObserved: d.Created.Time,
		Links: []string{"https://console.aws.amazon.com/access-analyzer/home?region=" + region + "#/findings/details/" + id},
	}
	if len(e.Resources) > 0 {
		r.Generator = e.Resources[0]
		r.ID = r.Generator + "/finding/" + id
	}
	d.words(&r)
	r.Status, r.StatusReason = d.status()
	return r, nil
}

// later is the later of two times, else the third.
func later(a, b, other time.Time) time.Time {
	if b.After(a) {
		a = b
	}
	return instant.First(a, other)
}

// words fills what was found. The events say nothing of severity. LOW for access across accounts and MEDIUM for a role
// without use are what Security Hub shows (IAM user guide, "Integrate with Security Hub"; findings
// seen there); HIGH for access by everybody and the others are docket's choice.
func (d *detail) words(r *pipeline.Report) {
	who := d.who()
	switch d.Type {
	case "", "ExternalAccess":
		r.Control, r.Severity = "External Access Granted", pipeline.Low
		r.Title = d.Resource + " allows cross-account access"
		r.Tags = []string{"Software and Configuration Checks/AWS Security Best Practices/External Access Granted"}
		if d.Public {
			r.Severity, r.Title = pipeline.High, d.Resource+" allows public access"
			r.Tags = []string{"Effects/Data Exposure/External Access Granted"}
		}
		r.Description = sentence("Access from outside the analyzer's zone of trust", who, d.Action)
		r.Remediation.Text = "Where the access is not meant, take it out of the resource's policy; where it is, archive the finding in Access Analyzer with an archive rule."
	case "InternalAccess":
		r.Control, r.Severity = "Internal Access Granted", pipeline.Low
		r.Title = d.Resource + " can be reached from inside the organisation"
		r.Description = sentence("Access from inside the organisation to a resource that is watched for it", who, d.Action)
	default:
		r.Control, r.Severity = spaced(d.Type), pipeline.Low
		if d.Type == "UnusedIAMRole" || strings.HasPrefix(d.Type, "UnusedIAMUser") {
			r.Severity = pipeline.Medium
		}
		r.Title = d.Resource + ": " + strings.ToLower(r.Control[:1]) + r.Control[1:]
		r.Tags = []string{"Software and Configuration Checks/AWS Security Best Practices/" + r.Control}
		r.Remediation.Text = "Remove what nobody uses: the role, the user's key or password, or the permissions."
	}
}

func sentence(what, who string, actions []string) string {
	if who != "" {
		what += ", by " + who
	}
	if len(actions) > 0 {
		what += ": " + strings.Join(actions, ", ")
	}
	return what + "."
}

// who lists the principals in one order.
func (d *detail) who() string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(d.Principal)) {
		out = append(out, kind+" "+d.Principal[kind])
	}
	return strings.Join(out, ", ")
}

// spaced turns UnusedIAMUserAccessKey into "Unused IAM User Access Key", as Security Hub's types spell it.
func spaced(word string) string {
	var b strings.Builder
	for i := range len(word) {
		c := word[i]
		upper := func(j int) bool { return j >= 0 && j < len(word) && word[j] >= 'A' && word[j] <= 'Z' }
		if i > 0 && upper(i) && (!upper(i-1) || i+1 < len(word) && !upper(i+1)) {
			b.WriteByte(' ')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// status: RESOLVED is evidence, the analyzer looked again and the access was gone. ARCHIVED is
// what a person or a rule of theirs says about access that is still there. A finding that is deleted while it is
// active lost its analyzer, and nobody looks any more; one with an error could not be looked at.
func (d *detail) status() (pipeline.Status, string) {
	switch word := strings.ToUpper(d.Status); {
	case word == "RESOLVED":
		return pipeline.StatusResolved, "Access Analyzer status RESOLVED"
	case word == "ARCHIVED":
		return pipeline.StatusUnproven, "Access Analyzer status ARCHIVED"
	case d.Deleted:
		return pipeline.StatusUnproven, "the finding was deleted with its analyzer"
	case d.Error != "":
		return pipeline.StatusUnproven, fmt.Sprintf("Access Analyzer could not look: %.100s", d.Error)
	case word == "" || word == "ACTIVE":
		return pipeline.StatusOpen, ""
	}
	return pipeline.StatusOpen, fmt.Sprintf("Access Analyzer status %.40q is not known, counted as ACTIVE", d.Status)
}
