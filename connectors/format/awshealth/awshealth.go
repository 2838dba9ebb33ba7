// Package awshealth reads the EventBridge event "AWS Health Event" where it says
// that credentials of an account are in the open or in other hands: the event types of the service RISK
// (AWS Health user guide, "Monitoring events in AWS Health with Amazon EventBridge").
package awshealth

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/loose"
	"github.com/docket-hub/docket/pipeline"
)

// Product is the name that Security Hub gives findings of AWS Health.
const Product = "Health"

// risk begins the event types that are findings: AWS_RISK_CREDENTIALS_EXPOSED,
// AWS_RISK_CREDENTIALS_EXPOSURE_SUSPECTED and their like.
const risk = "AWS_RISK_"

// maxEntities is how many affected entities a description names.
const maxEntities = 20

// event holds the members that a report needs.
type event struct {
	ID      string       `json:"id"`
	Account string       `json:"account"`
	Region  string       `json:"region"`
	Time    instant.Time `json:"time"`
	Detail  detail       `json:"detail"`
}

type detail struct {
	ARN          string        `json:"eventArn"`
	Code         string        `json:"eventTypeCode"`
	Status       string        `json:"statusCode"`
	Account      loose.Text    `json:"affectedAccount"`
	Page         loose.Text    `json:"page"`
	Start        string        `json:"startTime"`
	Updated      string        `json:"lastUpdatedTime"`
	Descriptions []description `json:"eventDescription"`
	Entities     []entity      `json:"affectedEntities"`
	Metadata     loose.Texts   `json:"eventMetadata"`
}

type description struct {
	Language string `json:"language"`
	Text     string `json:"latestDescription"`
}

type entity struct {
	Value string `json:"entityValue"`
}

// PassOver says why the event with this detail is no finding; empty where it is one.
func PassOver(d jsontext.Value) string {
	var x struct {
		Code string `json:"eventTypeCode"`
	}
	if json.Unmarshal(d, &x) == nil && strings.HasPrefix(x.Code, risk) {
		return ""
	}
	return "AWS Health's " + cmp.Or(x.Code, "event") + " is about no credential"
}

// Decode reads one event. The report is about the account, whatever key or user the event
// names, since all of the account has to be looked at then, and is one with what docket's own check
// health-exposure finds. That AWS ended the event is no evidence that the credential is gone: an event ends by
// itself after some days. An error names what is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return pipeline.Report{}, err
	}
	d := &e.Detail
	account := e.account()
	switch {
	case !strings.HasPrefix(d.Code, risk):
		return pipeline.Report{}, errors.New("detail.eventTypeCode is not one of " + risk + "*")
	case account == "":
		return pipeline.Report{}, errors.New("account is missing")
	case d.ARN == "" && e.ID == "":
		return pipeline.Report{}, errors.New("detail.eventArn is missing")
	}
	r := pipeline.Report{
		Product: Product, ID: account + " " + cmp.Or(d.ARN, e.ID), Kind: pipeline.KindControl,
		Account: pipeline.Account{ID: account}, Region: "global", Control: d.Code, Names: []string{"docket:health-exposure"},
		Resource: pipeline.Resource{ID: "AWS::::Account:" + account, Original: account, Type: "AwsAccount", Name: account},
		Title:    "AWS Health: " + title(d.Code), Description: d.text(), Severity: pipeline.Critical,
		RiskFactors: []string{"exposed_credential"},
		Remediation: pipeline.Remediation{URL: "https://repost.aws/knowledge-center/potential-account-compromise"},
		ObservedAt:  instant.First(when(d.Updated), e.Time.Time), FirstObserved: when(d.Start),
		Status: pipeline.StatusOpen,
	}
	if d.Page != "" && d.Page != "1" {
		r.ID += "#" + string(d.Page) // a long list of entities comes as several events
	}
	if strings.EqualFold(d.Status, "closed") {
		r.Status, r.StatusReason = pipeline.StatusUnproven, "statusCode closed: AWS ended the event, which says nothing of the credential"
	}
	return r, nil
}

// account is the account that the event is about: an administrator's bus carries those of the whole organisation.
func (e *event) account() string {
	for _, id := range []string{string(e.Detail.Account), e.Detail.Metadata["accountId"], e.Account} {
		if len(id) == 12 && strings.Trim(id, "0123456789") == "" {
			return id
		}
	}
	return ""
}

// title turns AWS_RISK_CREDENTIALS_EXPOSED into "credentials exposed".
func title(code string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(code, risk), "_", " "))
}

// text is the event's description with what it names behind it.
func (d *detail) text() string {
	var b strings.Builder
	for i, x := range d.Descriptions {
		if i == 0 || strings.HasPrefix(x.Language, "en") {
			b.Reset()
			b.WriteString(strings.ReplaceAll(x.Text, `\n`, "\n"))
		}
	}
	for i, x := range d.Entities {
		if i == 0 {
			b.WriteString("\n\nAffected:")
		}
		if i == maxEntities {
			b.WriteString(" …")
			break
		}
		b.WriteString(" " + x.Value)
	}
	for _, m := range []struct{ key, name string }{{"userName", "User"}, {"publicKey", "Key"}, {"exposedUrl", "Found at"}} {
		if v := d.Metadata[m.key]; v != "" {
			b.WriteString("\n" + m.name + ": " + v)
		}
	}
	return strings.TrimSpace(b.String())
}

// when reads the times of Health's events, which are those of HTTP ("Wed, 12 Feb 2025 00:37:54
// GMT"), the day in one digit or two.
func when(text string) time.Time {
	if t, err := time.Parse("Mon, 2 Jan 2006 15:04:05 MST", text); err == nil {
		return t.UTC()
	}
	return instant.Parse(text)
}
