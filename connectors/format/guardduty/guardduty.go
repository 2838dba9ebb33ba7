// Package guardduty reads findings in Amazon GuardDuty's own shape: as GetFindings
// answers and GuardDuty exports and sends them (camelCase, finding schema 2.0; GuardDuty API
// reference, type Finding), and as the AWS CLI prints them (PascalCase).
package guardduty

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/pipeline"
)

// Product is what Report.Product says of every finding, as through Security Hub.
const Product = "GuardDuty"

// finding holds the members that a report needs; the others are skipped. Names are
// matched in any case.
type finding struct {
	ARN         string       `json:"arn"`
	ID          string       `json:"id"`
	AccountID   string       `json:"accountId"`
	Partition   string       `json:"partition"`
	Region      string       `json:"region"`
	Type        string       `json:"type"`
	Title       string       `json:"title"`
	Description string       `json:"description"`
	Severity    number       `json:"severity"`
	Created     instant.Time `json:"createdAt"`
	Updated     instant.Time `json:"updatedAt"`
	Resource    resource     `json:"resource"`
	Service     service      `json:"service"`
}

type service struct {
	Archived   bool         `json:"archived"`
	DetectorID string       `json:"detectorId"`
	Count      number       `json:"count"`
	FirstSeen  instant.Time `json:"eventFirstSeen"`
	LastSeen   instant.Time `json:"eventLastSeen"`
	Role       string       `json:"resourceRole"`
	Additional sample       `json:"additionalInfo"`
	Action     action       `json:"action"`
	Detection  struct {
		Sequence struct {
			Resources []member `json:"resources"`
			Actors    []struct {
				User struct {
					Name string `json:"name"`
				} `json:"user"`
			} `json:"actors"`
			Endpoints []struct {
				IP     string `json:"ip"`
				Domain string `json:"domain"`
			} `json:"endpoints"`
		} `json:"sequence"`
	} `json:"detection"`
}

// number is a JSON number, or a text that holds one.
type number struct {
	value float64
	set   bool
}

// UnmarshalJSONFrom reads either; null is no number.
func (n *number) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	tok, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch tok.Kind() {
	case 'n':
		return nil
	case '0':
		n.value, n.set = tok.Float(), true
		return nil
	case '"':
		if n.value, err = strconv.ParseFloat(tok.String(), 64); err == nil {
			n.set = true
			return nil
		}
	}
	return errors.New("is no number")
}

// sample reports whether additionalInfo marks a sample finding. Events hold the mark itself;
// GetFindings has everything as JSON text in the member value.
type sample bool

// UnmarshalJSONFrom reads the mark and passes over everything else.
func (s *sample) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	text, err := d.ReadValue()
	if err != nil || text.Kind() != '{' {
		return err
	}
	var info struct {
		Sample jsontext.Value `json:"sample"`
		Value  jsontext.Value `json:"value"`
	}
	if json.Unmarshal(text, &info, json.MatchCaseInsensitiveNames(true)) != nil {
		return nil // two members of one name in what GuardDuty adds freely
	}
	*s = sample(marked(info.Sample))
	var inner string
	if info.Value.Kind() == '"' && json.Unmarshal(info.Value, &inner) == nil && strings.Contains(inner, `"sample"`) {
		var more struct {
			Sample jsontext.Value `json:"sample"`
		}
		if json.Unmarshal([]byte(inner), &more) == nil {
			*s = *s || sample(marked(more.Sample))
		}
	}
	return nil
}

func marked(v jsontext.Value) bool {
	return v.Kind() == 't' || v.Kind() == '"' && strings.EqualFold(string(v), `"true"`)
}

// IsEvent reports whether the detail of an EventBridge event of that source and detail type is one
// finding (GuardDuty user guide, "Processing GuardDuty findings with Amazon EventBridge").
func IsEvent(source, detailType string) bool {
	return source == "aws.guardduty" && detailType == "GuardDuty Finding"
}

// Moves says what the value of a member is to a report, as that of asff does.
func Moves(outer, inner []byte) int {
	var buf, buf2 [32]byte
	name := string(fold(buf[:0], outer))
	if inner != nil {
		if name == "service" && string(fold(buf2[:0], inner)) == "eventfirstseen" {
			return -1
		}
		return 0
	}
	switch name {
	case "updatedat":
		return 1
	case "createdat":
		return 2
	}
	return 0
}

// fold makes a name as the reader of any-case names compares it: in lower case, without - and _.
func fold(to, name []byte) []byte {
	for _, c := range name {
		switch {
		case c == '-' || c == '_':
		case c >= 'A' && c <= 'Z':
			to = append(to, c+'a'-'A')
		default:
			to = append(to, c)
		}
	}
	return to
}

// Decode reads one finding. The report has the identity that asff gives the same
// finding as Security Hub passes it on: product GuardDuty, the finding's ARN as its ID, and the
// resource that its type speaks of. ObservedAt is updatedAt, which moves when it happens again ("the
// last time this finding was updated with new activity", GuardDuty user guide, "Finding details") and
// which Security Hub passes on as UpdatedAt. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var f finding
	if err := json.Unmarshal(data, &f, json.MatchCaseInsensitiveNames(true)); err != nil {
		return pipeline.Report{}, err
	}
	switch {
	case f.ID == "":
		return pipeline.Report{}, errors.New("id is missing")
	case f.Type == "":
		return pipeline.Report{}, errors.New("type is missing")
	case f.AccountID == "":
		return pipeline.Report{}, errors.New("accountId is missing")
	}
	sev, err := f.severity()
	if err != nil {
		return pipeline.Report{}, err
	}
	r := pipeline.Report{
		Product: Product, ID: f.reportID(), Generator: f.detector(), Kind: pipeline.KindThreat, Occurred: true,
		Account: pipeline.Account{ID: f.AccountID}, Region: f.Region,
		Control: f.Type, Names: []string{"guardduty:" + f.Type}, Tags: f.tags(),
		Title: f.title(), Description: f.description(), Severity: sev, Status: pipeline.StatusOpen,
		ObservedAt:    instant.First(f.Updated.Time, f.Created.Time),
		FirstObserved: instant.First(f.Service.FirstSeen.Time, f.Created.Time),
	}
	if f.Service.Archived {
		r.Status, r.StatusReason = pipeline.StatusResolved, "archived in GuardDuty"
	}
	if link := f.console(); link != "" {
		r.Links = []string{link}
	}
	f.resource(&r)
	return r, nil
}

// severity follows the bands of the GuardDuty user guide ("Severity levels of GuardDuty findings"):
// Low 1.0 to 3.9, Medium 4.0 to 6.9, High 7.0 to 8.9, Critical 9.0 to 10.0. Below 1 nothing is defined.
func (f *finding) severity() (pipeline.Severity, error) {
	switch n := f.Severity.value; {
	case !f.Severity.set:
		return pipeline.SeverityUnknown, nil
	case !(n >= 0 && n <= 10):
		return 0, fmt.Errorf("severity: %g is not between 0 and 10", n)
	case n < 1:
		return pipeline.Informational, nil
	case n < 4:
		return pipeline.Low, nil
	case n < 7:
		return pipeline.Medium, nil
	case n < 9:
		return pipeline.High, nil
	}
	return pipeline.Critical, nil
}

// reportID is the finding's ARN; of a finding without one the id behind its region, as asff names it.
func (f *finding) reportID() string {
	if strings.HasPrefix(f.ARN, "arn:") {
		return f.ARN
	}
	if f.Service.DetectorID != "" && f.Region != "" {
		return "arn:" + first(f.Partition, "aws") + ":guardduty:" + f.Region + ":" + f.AccountID +
			":detector/" + f.Service.DetectorID + "/finding/" + f.ID
	}
	return f.Region + "/guardduty " + f.ID
}

// detector is the ARN of the detector that made the finding, as ASFF's GeneratorId is.
func (f *finding) detector() string {
	arn, _, ok := strings.Cut(f.reportID(), "/finding/")
	if !ok {
		return f.Service.DetectorID
	}
	return arn
}

// sampleMark is how GuardDuty's console marks the title of a sample finding.
const sampleMark = "[SAMPLE]"

// isSample reports whether the finding was made by "Generate sample findings". It is taken in
// as any other, since that is how people try the way to the ticket, and says so in title and tags.
func (f *finding) isSample() bool {
	return bool(f.Service.Additional) || strings.HasPrefix(f.Title, sampleMark)
}

func (f *finding) title() string {
	if f.isSample() && !strings.HasPrefix(f.Title, sampleMark) {
		return sampleMark + " " + first(f.Title, f.Type)
	}
	return first(f.Title, f.Type)
}

// tags are the parts of a finding type, ThreatPurpose:ResourceTypeAffected/ThreatFamilyName.DetectionMechanism!Artifact
// (GuardDuty user guide, "GuardDuty finding format"), so that routes can match purpose and family.
func (f *finding) tags() []string {
	tags := []string{f.Type}
	purpose, rest, ok := strings.Cut(f.Type, ":")
	if ok && purpose != "" {
		tags = append(tags, "purpose:"+purpose)
	}
	if _, family, ok := strings.Cut(rest, "/"); ok {
		if i := strings.IndexAny(family, ".!"); i > 0 {
			family = family[:i]
		}
		tags = append(tags, "family:"+family)
	}
	if f.Service.Role != "" {
		tags = append(tags, "role:"+strings.ToUpper(f.Service.Role))
	}
	if f.isSample() {
		tags = append(tags, "sample")
	}
	return tags
}

// description is GuardDuty's own, and behind it who acted, what the resource's part was and how often it was seen.
func (f *finding) description() string {
	lines := []string{f.Description}
	if actor := f.actor(); actor != "" {
		lines = append(lines, "Actor: "+actor+".")
	}
	if strings.EqualFold(f.Service.Role, "ACTOR") {
		lines = append(lines, "The resource itself acted: it may be compromised.")
	}
	if n := f.Service.Count.value; n > 1 && !f.Service.LastSeen.IsZero() {
		lines = append(lines, fmt.Sprintf("Seen %.0f times up to %s.", n, f.Service.LastSeen.Format("2006-01-02 15:04 UTC")))
	}
	lines = slices.DeleteFunc(lines, func(s string) bool { return s == "" })
	return strings.Join(lines, "\n\n")
}

// console is the finding's page in the AWS console; empty where its region or id is none.
func (f *finding) console() string {
	if f.Region == "" || !plain(f.Region) || !plain(f.ID) {
		return ""
	}
	host := ".console.aws.amazon.com"
	switch {
	case strings.HasPrefix(f.Region, "cn-"):
		host = ".console.amazonaws.cn"
	case strings.HasPrefix(f.Region, "us-gov-"):
		host = ".console.amazonaws-us-gov.com"
	}
	macro := "current"
	if f.Service.Archived {
		macro = "archived"
	}
	return "https://" + f.Region + host + "/guardduty/home?region=" + f.Region + "#/findings?macros=" + macro + "&fId=" + f.ID
}

// plain reports whether a word needs no escape in an address.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
