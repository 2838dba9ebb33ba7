// Package prowler reads what Prowler writes besides OCSF and ASFF: its own JSON (Prowler 3) and CSV with a column a
// field (Prowler 3 to 5, and the columns of Prowler 2), of which the splitter makes an object a row (Prowler documentation, "Reporting").
package prowler

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/loose"
	"github.com/docket-hub/docket/connectors/format/ocsf"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings, as in Prowler's OCSF and ASFF.
const (
	Name    = "prowler"
	Product = "Prowler"
)

// IsTable reports whether columns of a CSV are Prowler's.
func IsTable(columns []string) bool {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(columns, n) })
	}
	return has("CHECK_ID", "STATUS", "RESOURCE_UID") || has("CHECK_ID", "STATUS", "FINDING_UNIQUE_ID") || has("TITLE_ID", "CHECK_RESULT", "TITLE_TEXT")
}

// row is a finding in any of the shapes.
type row struct {
	// Prowler 3, JSON
	Started  instant.Time `json:"AssessmentStartTime"`
	UID      string       `json:"FindingUniqueId"`
	Provider string       `json:"Provider"`
	Check    string       `json:"CheckID"`
	Title    string       `json:"CheckTitle"`
	Service  string       `json:"ServiceName"`
	Status   string       `json:"Status"`
	Extended string       `json:"StatusExtended"`
	Severity string       `json:"Severity"`
	Type     string       `json:"ResourceType"`
	Text     string       `json:"Description"`
	Risk     string       `json:"Risk"`
	URL      string       `json:"RelatedUrl"`
	Fix      struct {
		Recommendation struct {
			Text string `json:"Text"`
			URL  string `json:"Url"`
		} `json:"Recommendation"`
	} `json:"Remediation"`
	Compliance map[string][]string `json:"Compliance"`
	Categories []string            `json:"Categories"`
	Account    string              `json:"AccountId"`
	Region     string              `json:"Region"`
	Resource   string              `json:"ResourceId"`
	ARN        string              `json:"ResourceArn"`
	Tags       loose.Texts         `json:"ResourceTags"`

	// CSV of Prowler 3 to 5
	CTime        instant.Time `json:"TIMESTAMP"`
	CStarted     instant.Time `json:"ASSESSMENT_START_TIME"` // 3
	CUID         string       `json:"FINDING_UID"`
	CUID3        string       `json:"FINDING_UNIQUE_ID"`
	CProvider    string       `json:"PROVIDER"`
	CCheck       string       `json:"CHECK_ID"`
	CTitle       string       `json:"CHECK_TITLE"`
	CStatus      string       `json:"STATUS"`
	CExtended    string       `json:"STATUS_EXTENDED"`
	CMuted       string       `json:"MUTED"`
	CSeverity    string       `json:"SEVERITY"`
	CType        string       `json:"RESOURCE_TYPE"`
	CResource    string       `json:"RESOURCE_UID"`
	CResource3   string       `json:"RESOURCE_ARN"`
	CName        string       `json:"RESOURCE_NAME"`
	CTags        string       `json:"RESOURCE_TAGS"`
	CAccount     string       `json:"ACCOUNT_UID"`
	CAccount3    string       `json:"ACCOUNT_ID"`
	CAccountName string       `json:"ACCOUNT_NAME"`
	CRegion      string       `json:"REGION"`
	CText        string       `json:"DESCRIPTION"`
	CRisk        string       `json:"RISK"`
	CURL         string       `json:"RELATED_URL"`
	CFix         string       `json:"REMEDIATION_RECOMMENDATION_TEXT"`
	CFixURL      string       `json:"REMEDIATION_RECOMMENDATION_URL"`
	CCompliance  string       `json:"COMPLIANCE"` // "CIS-1.4: 1.20 | SOC2: cc_6_7"
	CCategories  string       `json:"CATEGORIES"`

	// CSV of Prowler 2
	TAccount  string `json:"ACCOUNT_NUM"`
	TCheck    string `json:"TITLE_ID"`
	TTitle    string `json:"TITLE_TEXT"` // "[check13] Ensure … (Scored)"
	TStatus   string `json:"CHECK_RESULT"`
	TExtended string `json:"CHECK_RESULT_EXTENDED"`
	TSeverity string `json:"CHECK_SEVERITY"`
	TType     string `json:"CHECK_ASFF_RESOURCE_TYPE"`
	TRisk     string `json:"CHECK_RISK"`
	TFix      string `json:"CHECK_REMEDIATION"`
	TURL      string `json:"CHECK_DOC"`
}

// Scope names the read that a record belongs to, as Prowler's OCSF does, and its time.
func Scope(data []byte) (scope string, at time.Time) {
	var r row
	if json.Unmarshal(data, &r) != nil {
		return "", time.Time{} // Decode says what is wrong
	}
	account := cmp.Or(r.Account, r.CAccount, r.CAccount3)
	return ocsf.ProwlerScope(cmp.Or(r.Provider, r.CProvider), account), r.time()
}

func (r *row) time() time.Time {
	return instant.First(r.Started.Time, r.CTime.Time, r.CStarted.Time)
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return pipeline.Report{}, err
	}
	out := pipeline.Report{
		Product: Product, Kind: pipeline.KindControl, Control: cmp.Or(r.Check, r.CCheck), Title: cmp.Or(r.Title, r.CTitle),
		Account: pipeline.Account{ID: cmp.Or(r.Account, r.CAccount, r.CAccount3, r.TAccount), Name: r.CAccountName},
		Region:  cmp.Or(r.Region, r.CRegion), Description: cmp.Or(r.Text, r.CText),
		Remediation: pipeline.Remediation{Text: cmp.Or(r.Fix.Recommendation.Text, r.CFix, r.TFix), URL: cmp.Or(r.Fix.Recommendation.URL, r.CFixURL, r.TURL)},
		ObservedAt:  r.time(), Compliance: r.compliance(),
	}
	if r.TTitle != "" {
		r.second(&out)
	}
	if out.Control == "" {
		return pipeline.Report{}, errors.New("the check's id is missing")
	}
	out.Names = []string{"prowler:" + out.Control}
	if risk := cmp.Or(r.Risk, r.CRisk, r.TRisk); risk != "" {
		out.Description = strings.TrimSpace(out.Description + "\n\n" + risk)
	}
	if said := cmp.Or(r.Extended, r.CExtended, r.TExtended); said != "" {
		out.Description = strings.TrimSpace(out.Description + "\n\n" + said)
	}
	if url := cmp.Or(r.URL, r.CURL); url != "" {
		out.Links = []string{url}
	}
	r.resource(&out)
	out.ID = cmp.Or(given(r.UID), given(r.CUID), given(r.CUID3), strings.Join([]string{out.Control, out.Account.ID, out.Region, out.Resource.ID}, "|"))
	var err error
	if out.Severity, err = severity(cmp.Or(r.Severity, r.CSeverity, r.TSeverity)); err != nil {
		return pipeline.Report{}, err
	}
	out.Status, out.StatusReason, err = status(cmp.Or(r.Status, r.CStatus, r.TStatus), strings.EqualFold(r.CMuted, "true"))
	return out, err
}

// given is an id, unless published output blanked it out ("<finding_uid>").
func given(id string) string {
	if strings.HasPrefix(id, "<") {
		return ""
	}
	return id
}

// second takes what Prowler 2 puts into the title: the check's own name stands in brackets before it.
func (r *row) second(out *pipeline.Report) {
	out.Control, out.Title = r.TCheck, r.TTitle
	if rest, ok := strings.CutPrefix(r.TTitle, "["); ok {
		if name, title, ok := strings.Cut(rest, "]"); ok {
			out.Control, out.Title = name, strings.TrimSpace(title)
		}
	}
	for _, end := range []string{"(Scored)", "(Not Scored)", "(Not part of CIS benchmark)"} {
		out.Title = strings.TrimSpace(strings.TrimSuffix(out.Title, end))
	}
}

// resource names what has the problem. Prowler 2 has no column for it: where it is not the account, only its
// sentence about the result tells one from another.
func (r *row) resource(out *pipeline.Report) {
	res := &out.Resource
	res.Type = cmp.Or(r.Type, r.CType, r.TType)
	res.ID = cmp.Or(given(r.ARN), given(r.CResource), given(r.CResource3), given(r.Resource), given(r.CName))
	res.Name = cmp.Or(given(r.CName), given(r.Resource))
	switch {
	case res.ID != "":
	case res.Type == "AwsAccount" || r.TExtended == "":
		res.ID = out.Account.ID
	default:
		res.ID = out.Control + ": " + r.TExtended
	}
	res.Original = res.ID
	res.Tags = r.Tags
	for _, pair := range strings.Split(r.CTags, "|") {
		if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			if res.Tags == nil {
				res.Tags = map[string]string{}
			}
			res.Tags[k] = v
		}
	}
}

func (r *row) compliance() []string {
	var out []string
	for name, list := range r.Compliance {
		for _, id := range list {
			out = append(out, name+"/"+id)
		}
	}
	for _, part := range strings.Split(r.CCompliance, "|") {
		if name, ids, ok := strings.Cut(part, ":"); ok {
			for _, id := range strings.Split(ids, ",") {
				out = append(out, strings.TrimSpace(name)+"/"+strings.TrimSpace(id))
			}
		}
	}
	slices.Sort(out)
	return out
}

func severity(word string) (pipeline.Severity, error) {
	s, ok := pipeline.ParseSeverity(word)
	if !ok {
		return 0, fmt.Errorf("severity: %.40q is no severity", word)
	}
	return s, nil
}

// status: MANUAL asks a person to look, and a muted failure is a person's word.
func status(word string, muted bool) (pipeline.Status, string, error) {
	switch strings.ToUpper(strings.TrimSpace(word)) {
	case "FAIL":
		if muted {
			return pipeline.StatusUnproven, "muted in Prowler", nil
		}
		return pipeline.StatusOpen, "", nil
	case "PASS":
		return pipeline.StatusResolved, "Prowler status PASS", nil
	case "MANUAL", "INFO", "WARNING", "MUTED":
		return pipeline.StatusUnproven, "Prowler status " + strings.ToUpper(word), nil
	}
	return 0, "", fmt.Errorf("status: %.40q is none of FAIL, PASS, MANUAL, INFO", word)
}
