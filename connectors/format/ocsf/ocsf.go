// Package ocsf reads findings in the Open Cybersecurity Schema Framework
// (schema.ocsf.io, versions 1.1 to 1.5): the classes vulnerability finding
// (2002), compliance finding (2003) and detection finding (2004), as Prowler 4 and 5
// and AWS Security Hub write them.
package ocsf

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/pipeline"
)

// The classes that are treated apart from the others.
const (
	classVulnerability = 2002
	classDetection     = 2004
)

// event holds the members that a report needs; the others are skipped.
type event struct {
	Class        int          `json:"class_uid"`
	Metadata     metadata     `json:"metadata"`
	SeverityID   *int         `json:"severity_id"`
	Severity     string       `json:"severity"`
	Status       string       `json:"status"`
	StatusID     int          `json:"status_id"`
	StatusCode   string       `json:"status_code"`
	StatusDetail string       `json:"status_detail"`
	Comment      comment      `json:"comment"`
	ActivityID   int          `json:"activity_id"`
	Message      string       `json:"message"`
	Info         info         `json:"finding_info"`
	Resources    []resource   `json:"resources"`
	Resource     *resource    `json:"resource"` // before 1.3
	Cloud        cloud        `json:"cloud"`
	Compliance   compliance   `json:"compliance"`
	Vulns        []vuln       `json:"vulnerabilities"`
	Remediation  remediation  `json:"remediation"`
	Risk         string       `json:"risk_details"`
	Time         instant.Time `json:"time"`
	TimeDT       instant.Time `json:"time_dt"`
	EventTime    instant.Time `json:"event_time"` // Prowler 4.0 to 4.2
	Unmapped     unmapped     `json:"unmapped"`
}

// unmapped is what a product has beside the schema; the parts that nobody knows are stepped over.
type unmapped struct {
	relatedURL string
	compliance jsontext.Value
}

// UnmarshalJSONFrom reads an object; any other value is skipped.
func (u *unmapped) UnmarshalJSONFrom(d *jsontext.Decoder) error {
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
		member := string(name)
		switch {
		case member == `"related_url"` && d.PeekKind() == '"':
			tok, err := d.ReadToken()
			if err != nil {
				return err
			}
			u.relatedURL = tok.String()
		case member == `"compliance"`:
			v, err := d.ReadValue()
			if err != nil {
				return err
			}
			u.compliance = v.Clone()
		default:
			if err := d.SkipValue(); err != nil {
				return err
			}
		}
	}
	_, err := d.ReadToken()
	return err
}

type metadata struct {
	EventCode string  `json:"event_code"`
	UID       string  `json:"uid"`
	Product   product `json:"product"`
}

type product struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor_name"`
	UID    string `json:"uid"`
}

type info struct {
	UID        string       `json:"uid"`
	Title      string       `json:"title"`
	Desc       string       `json:"desc"`
	Types      []string     `json:"types"`
	SrcURL     string       `json:"src_url"`
	Created    instant.Time `json:"created_time"`
	CreatedDT  instant.Time `json:"created_time_dt"`
	Modified   instant.Time `json:"modified_time"`
	ModifiedDT instant.Time `json:"modified_time_dt"`
	First      instant.Time `json:"first_seen_time"`
	FirstDT    instant.Time `json:"first_seen_time_dt"`
	Last       instant.Time `json:"last_seen_time"`
	LastDT     instant.Time `json:"last_seen_time_dt"`
	Analytic   struct {
		UID  string `json:"uid"`
		Name string `json:"name"`
	} `json:"analytic"`
}

type resource struct {
	UID    string   `json:"uid"`
	UIDAlt string   `json:"uid_alt"`
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Region string   `json:"region"`
	Labels []string `json:"labels"`
	Tags   []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"tags"`
}

type cloud struct {
	Provider string `json:"provider"`
	Region   string `json:"region"`
	Account  struct {
		UID    string   `json:"uid"`
		Name   string   `json:"name"`
		Labels []string `json:"labels"`
	} `json:"account"`
	Org struct {
		OUName string `json:"ou_name"`
	} `json:"org"`
}

type compliance struct {
	Control      string   `json:"control"`
	Requirements []string `json:"requirements"`
	Standards    []string `json:"standards"`
	Status       string   `json:"status"`
	StatusID     int      `json:"status_id"`
}

type remediation struct {
	Desc       string   `json:"desc"`
	References []string `json:"references"`
}

type vuln struct {
	Severity string `json:"severity"`
	Title    string `json:"title"`
	CVE      struct {
		UID  string `json:"uid"`
		CVSS []struct {
			Version string  `json:"version"`
			Base    float64 `json:"base_score"`
		} `json:"cvss"`
		EPSS struct {
			Score number `json:"score"`
		} `json:"epss"`
		References []string `json:"references"`
	} `json:"cve"`
	Advisory struct {
		UID string `json:"uid"`
	} `json:"advisory"`
	Packages []struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Release string `json:"release"`
		Fixed   string `json:"fixed_in_version"`
	} `json:"affected_packages"`
	Exploit     bool        `json:"is_exploit_available"`
	References  []string    `json:"references"`
	Remediation remediation `json:"remediation"`
}

// Scope names the read that a record belongs to: Prowler looks at a whole
// account, so its records are a complete scan of that provider and account by that tool.
// The scope is empty for every other product, and where the account is missing or blanked out.
// The time is the record's own, zero where it has none. part gives the text of an outer member
// (metadata, cloud, time_dt, time, event_time), nil where the record has none.
func Scope(part func(string) []byte) (scope string, at time.Time, err error) {
	var m struct {
		Product struct {
			Name string `json:"name"`
		} `json:"product"`
	}
	if err := member(part, "metadata", &m); err != nil || !strings.EqualFold(m.Product.Name, "Prowler") {
		return "", time.Time{}, err
	}
	var c struct {
		Provider string `json:"provider"`
		Account  struct {
			UID string `json:"uid"`
		} `json:"account"`
	}
	if err := member(part, "cloud", &c); err != nil {
		return "", time.Time{}, err
	}
	if scope = ProwlerScope(c.Provider, c.Account.UID); scope == "" {
		return "", time.Time{}, nil
	}
	for _, key := range []string{"time_dt", "time", "event_time"} {
		var t instant.Time
		if err := member(part, key, &t); err != nil {
			return "", time.Time{}, err
		}
		if at = t.Time; !at.IsZero() {
			break
		}
	}
	return scope, at, nil
}

// ProwlerScope names Prowler's read of an account, the same for each of its formats; "" where the account is missing
// or blanked out.
func ProwlerScope(provider, account string) string {
	if account == "" || strings.HasPrefix(account, "<") {
		return ""
	}
	return "ocsf Prowler " + first(strings.ToLower(provider), "cloud") + " " + account
}

func member(part func(string) []byte, key string, into any) error {
	text := part(key)
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// Decode reads one finding. The report's ID is finding_info.uid; where that is
// missing or blanked out ("<finding_uid>" in published Prowler output) it is made of check,
// account, region and resource. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var e event
	if err := json.Unmarshal(data, &e, names.Checked(data)); err != nil {
		return pipeline.Report{}, err
	}
	sev, err := e.severity()
	if err != nil {
		return pipeline.Report{}, err
	}
	product := e.product()
	if product == "" {
		return pipeline.Report{}, errors.New("metadata.product.name is missing")
	}
	r := pipeline.Report{
		Product: product, Generator: first(e.Info.Analytic.UID, e.Metadata.EventCode), Severity: sev,
		Account: pipeline.Account{ID: e.Cloud.Account.UID, Name: e.Cloud.Account.Name, Tags: labels(e.Cloud.Account.Labels)},
		Title:   first(e.Info.Title, e.Message), Description: e.description(), Tags: e.Info.Types,
		ObservedAt:    instant.First(e.TimeDT.Time, e.Time.Time, e.EventTime.Time, e.Info.ModifiedDT.Time, e.Info.Modified.Time, e.Info.LastDT.Time, e.Info.Last.Time),
		FirstObserved: instant.First(e.Info.FirstDT.Time, e.Info.First.Time, e.Info.CreatedDT.Time, e.Info.Created.Time),
	}
	if e.Cloud.Org.OUName != "" {
		r.Account.OU = []string{e.Cloud.Org.OUName}
	}
	e.resource(&r)
	e.kind(&r)
	e.advice(&r)
	if r.ID = e.reportID(&r); r.ID == "" {
		return pipeline.Report{}, errors.New("finding_info.uid is missing")
	}
	r.Status, r.StatusReason = e.status()
	return r, nil
}

// Moves says what the value of a member is to a report, as that of asff does.
func Moves(outer, inner []byte) int {
	switch string(outer) {
	case "time_dt":
		return only(inner, 1)
	case "time":
		return only(inner, 2)
	case "event_time":
		return only(inner, 3)
	case "metadata":
		switch string(inner) {
		case "logged_time", "logged_time_dt", "processed_time", "processed_time_dt":
			return -1
		}
	case "finding_info":
		switch string(inner) {
		case "modified_time_dt":
			return 4
		case "modified_time":
			return 5
		case "last_seen_time_dt":
			return 6
		case "last_seen_time":
			return 7
		case "created_time", "created_time_dt", "first_seen_time", "first_seen_time_dt":
			return -1
		}
	}
	return 0
}

// only is n for an outer member, 0 for one inside it.
func only(inner []byte, n int) int {
	if inner != nil {
		return 0
	}
	return n
}

// reportID keeps one product's equal uids of different places apart only where
// the uid does not name the place itself.
func (e *event) reportID(r *pipeline.Report) string {
	if uid := e.Info.UID; uid != "" && !strings.HasPrefix(uid, "<") {
		return uid
	}
	if r.Control == "" {
		return ""
	}
	return strings.Join([]string{r.Control, r.Account.ID, r.Region, r.Resource.Original}, " ")
}

// product is the product's name; Security Hub writes its own in front of AWS services.
func (e *event) product() string {
	name := first(e.Metadata.Product.Name, e.Metadata.Product.UID)
	switch strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(name, " ", ""), "Amazon")) {
	case "prowler":
		return "Prowler"
	case "securityhub", "awssecurityhub", "securityhubcspm", "awssecurityhubcspm":
		return "Security Hub"
	case "guardduty":
		return "GuardDuty"
	case "inspector", "inspector2":
		return "Inspector"
	case "macie":
		return "Macie"
	}
	return name
}

// securityHub reports whether Security Hub carried the event: its status is a
// person's, as the workflow status of ASFF is.
func (e *event) securityHub() bool {
	return strings.Contains(e.Metadata.Product.UID, ":securityhub:") || e.product() == "Security Hub"
}

func (e *event) description() string {
	switch {
	case e.StatusDetail != "" && e.Info.Desc != "" && e.StatusDetail != e.Info.Desc:
		return e.StatusDetail + "\n\n" + e.Info.Desc
	}
	return first(e.StatusDetail, e.Info.Desc, e.Message)
}

func (e *event) severity() (pipeline.Severity, error) {
	if e.SeverityID != nil {
		switch id := *e.SeverityID; {
		case id >= 1 && id <= 5:
			return pipeline.Severity(id), nil
		case id == 6: // Fatal
			return pipeline.Critical, nil
		}
	}
	v, ok := pipeline.ParseSeverity(e.Severity)
	if !ok && e.SeverityID == nil {
		return 0, fmt.Errorf("severity: %.40q is no severity", e.Severity)
	}
	return v, nil
}

// status reads the outcome of a check first, then what was made of the
// finding. The word wins over its number: Prowler 4.2 writes status "New" beside status_id 3, Suppressed.
func (e *event) status() (pipeline.Status, string) {
	comp := strings.ToUpper(first(e.Compliance.Status, [...]string{"", "Pass", "Warning", "Fail"}[within(e.Compliance.StatusID, 3)]))
	code := strings.ToUpper(e.StatusCode)
	state := strings.ToUpper(e.Status)
	if state == "" {
		state = [...]string{"", "NEW", "IN PROGRESS", "SUPPRESSED", "RESOLVED", "ARCHIVED", "DELETED"}[within(e.StatusID, 6)]
	}
	if own := OwnStatus(string(e.Comment)); own != "" && own == state && e.securityHub() {
		state = "" // docket's own
	}
	switch {
	case code == "PASS" || code == "PASSED":
		return pipeline.StatusResolved, "status_code " + code
	case comp == "PASS" || comp == "PASSED":
		return pipeline.StatusResolved, "compliance.status " + comp
	case state == "ARCHIVED" || state == "DELETED":
		return pipeline.StatusResolved, "status " + state
	case state == "SUPPRESSED":
		return pipeline.StatusUnproven, "status SUPPRESSED"
	case state == "RESOLVED" && e.securityHub():
		return pipeline.StatusUnproven, "status RESOLVED, set at Security Hub"
	case state == "RESOLVED" || state == "CLOSED":
		return pipeline.StatusResolved, "status " + state
	case e.ActivityID == 3:
		return pipeline.StatusResolved, "activity_id 3 (Close)"
	case code == "MANUAL" || code == "NOT_AVAILABLE" || code == "MUTED":
		return pipeline.StatusUnproven, "status_code " + code
	case comp == "NOT_AVAILABLE" || comp == "UNKNOWN":
		return pipeline.StatusUnproven, "compliance.status " + comp
	}
	switch code {
	case "", "FAIL", "FAILED", "WARNING":
	default:
		if e.product() == "Prowler" {
			return pipeline.StatusOpen, fmt.Sprintf("status_code %.40q is not known, counted as FAIL", e.StatusCode)
		}
	}
	switch comp {
	case "", "FAIL", "FAILED", "WARNING":
		return pipeline.StatusOpen, ""
	}
	return pipeline.StatusOpen, fmt.Sprintf("compliance.status %.40q is not known, counted as FAIL", comp)
}

// within is n as an index up to last, 0 for anything else.
func within(n, last int) int {
	if n < 0 || n > last {
		return 0
	}
	return n
}

// number is a number that some tools write as a text.
type number float64

// UnmarshalJSONFrom reads a number or a text that holds one; anything else is zero.
func (n *number) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	var f float64
	if json.Unmarshal([]byte(strings.Trim(string(v), `" `)), &f) == nil {
		*n = number(f)
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
