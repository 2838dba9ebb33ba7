// Package awsconfig reads the EventBridge event "Config Rules Compliance Change"
// of AWS Config (Config developer guide, "Monitoring AWS Config with Amazon EventBridge"): one rule's new
// verdict about one resource.
package awsconfig

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/pipeline"
)

// Product is the name that Security Hub gives findings of Config.
const Product = "Config"

// event holds the members that a report needs.
type event struct {
	Account string       `json:"account"`
	Region  string       `json:"region"`
	Time    instant.Time `json:"time"`
	Detail  detail       `json:"detail"`
}

type detail struct {
	AccountID    string       `json:"awsAccountId"`
	Region       string       `json:"awsRegion"`
	Rule         string       `json:"configRuleName"`
	RuleARN      string       `json:"configRuleARN"`
	ResourceType string       `json:"resourceType"`
	ResourceID   string       `json:"resourceId"`
	Created      instant.Time `json:"notificationCreationTime"`
	New          struct {
		Compliance string       `json:"complianceType"`
		Annotation string       `json:"annotation"`
		Recorded   instant.Time `json:"resultRecordedTime"`
	} `json:"newEvaluationResult"`
}

// PassOver says why the event with this detail is not read; empty where it is. The rules that
// Security Hub made for its own controls are its affair: their verdicts come as its findings
// (Security Hub user guide, "AWS Config rules in Security Hub").
func PassOver(d jsontext.Value) string {
	var x struct {
		Rule string `json:"configRuleName"`
	}
	if json.Unmarshal(d, &x) == nil && strings.HasPrefix(x.Rule, "securityhub-") {
		return "the rule " + x.Rule + " belongs to Security Hub, which reports what it finds itself"
	}
	return ""
}

// Decode reads one event. NON_COMPLIANT is open, COMPLIANT resolved; NOT_APPLICABLE and
// INSUFFICIENT_DATA prove nothing: the resource may be gone, or the rule's scope was changed. Config rates
// no rule, so every finding is MEDIUM, as Security Hub shows them. An error names what is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return pipeline.Report{}, err
	}
	d := &e.Detail
	account, region := cmp.Or(d.AccountID, e.Account), cmp.Or(d.Region, e.Region)
	for _, m := range []struct{ name, value string }{
		{"detail.awsAccountId", account}, {"detail.configRuleName", d.Rule}, {"detail.resourceType", d.ResourceType},
		{"detail.resourceId", d.ResourceID}, {"detail.newEvaluationResult.complianceType", d.New.Compliance},
	} {
		if m.value == "" {
			return pipeline.Report{}, errors.New(m.name + " is missing")
		}
	}
	rule := cmp.Or(d.RuleARN, account+"/"+region+"/"+d.Rule)
	r := pipeline.Report{
		Product: Product, ID: rule + "/" + d.ResourceType + "/" + d.ResourceID, Generator: d.RuleARN, Kind: pipeline.KindControl,
		Account: pipeline.Account{ID: account}, Region: region, Control: d.Rule,
		Resource:    pipeline.Resource{ID: d.ResourceID, Original: d.ResourceID, Type: d.ResourceType, Name: d.ResourceID},
		Title:       fmt.Sprintf("%s does not comply with the Config rule %s", d.ResourceID, d.Rule),
		Description: d.New.Annotation, Severity: pipeline.Medium,
		ObservedAt: instant.First(d.New.Recorded.Time, d.Created.Time, e.Time.Time),
	}
	if d.ResourceType == "AWS::::Account" {
		r.Resource.Type = "AwsAccount"
	}
	switch word := strings.ToUpper(d.New.Compliance); word {
	case "NON_COMPLIANT":
		r.Status = pipeline.StatusOpen
	case "COMPLIANT":
		r.Status, r.StatusReason = pipeline.StatusResolved, "Config says COMPLIANT"
	case "NOT_APPLICABLE", "INSUFFICIENT_DATA":
		r.Status, r.StatusReason = pipeline.StatusUnproven, "Config says "+word
	default:
		r.Status, r.StatusReason = pipeline.StatusOpen, fmt.Sprintf("complianceType %.40q is not known, counted as NON_COMPLIANT", d.New.Compliance)
	}
	return r, nil
}
