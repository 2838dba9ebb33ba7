package format

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/awsconfig"
	"github.com/docket-hub/docket/connectors/format/awshealth"
	"github.com/docket-hub/docket/connectors/format/guardduty"
	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/trustedadvisor"
	"github.com/docket-hub/docket/pipeline"
)

// envelope is the part of an EventBridge event that matters here (EventBridge
// user guide, "Structure of events"; Security Hub user guide, "EventBridge event formats").
type envelope struct {
	ID         string         `json:"id"`
	DetailType string         `json:"detail-type"`
	Source     string         `json:"source"`
	Account    string         `json:"account"`
	Stamp      string         `json:"time"`
	Detail     jsontext.Value `json:"detail"`
}

// name is the event for people.
func (e *envelope) name() string {
	return fmt.Sprintf("the EventBridge event %.80q of %.80s (id %.80s)", e.DetailType, e.Source, e.ID)
}

// event takes the findings out of an EventBridge event. An event about
// something else is a note, not a reject: a rule may well send both here.
func (p *splitter) event(v *value) error {
	p.known = true
	var e envelope
	if err := json.Unmarshal(v.data, &e); err != nil {
		return p.reject(v, "EventBridge event: "+p.explain(v, err))
	}
	var d struct {
		Findings jsontext.Value `json:"findings"`
	}
	if e.Detail.Kind() == '{' {
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			return p.reject(v, "EventBridge event: "+Reason(err))
		}
	}
	if d.Findings.Kind() == '[' {
		return p.within(bytes.NewReader(d.Findings), v.line, e.name(), func() error {
			if _, ok := p.s.next(); !ok {
				return nil
			}
			p.s.take()
			return p.array(maxNesting, p.value)
		})
	}
	format, whole, why := e.native()
	if why != "" {
		return p.skip(&e, why)
	}
	rec := pipeline.Record{Format: format, Origin: p.opt.Origin, Index: p.index, Observed: instant.Parse(e.Stamp), Data: e.Detail}
	switch {
	case whole:
		rec.Data = p.s.give(v)
	case format == TrustedAdvisor:
		var err error
		if rec.Data, why, err = e.advisor(); err != nil {
			return p.reject(v, "EventBridge event: "+Reason(err))
		}
		if why != "" {
			return p.skip(&e, why)
		}
	}
	return p.hand(rec)
}

// skip passes an event over.
func (p *splitter) skip(e *envelope, why string) error {
	p.note(fmt.Sprintf("skipped %s: %.200s", e.name(), why))
	return nil
}

// within reads on in another text and comes back to this one. Of one that holds nothing there is a note.
func (p *splitter) within(text io.Reader, line int, name string, read func() error) error {
	outer, before := p.s, p.told()
	defer func() { p.s, p.v.cut = outer, false }() // an inner text that was cut does not end this one
	p.s = newScanner(text)
	p.s.line = line
	err := read()
	if err == nil && p.told() == before {
		p.note(name + " holds no records")
	}
	return err
}

// told is how much was said of the document so far.
func (p *splitter) told() int {
	return p.doc.Records + p.doc.Rejected + len(p.doc.Notes) + len(p.pending)
}

// native names the format of the one finding that an event is about, and whether
// its record is the whole event rather than its detail; why is the reason for passing it over. The
// source counts too, because only AWS may send events whose source begins with "aws." (EventBridge API
// reference, PutEventsRequestEntry), while anybody may copy a detail-type.
func (e *envelope) native() (format string, whole bool, why string) {
	if guardduty.IsEvent(e.Source, e.DetailType) {
		return GuardDuty, false, e.undetailed()
	}
	switch e.Source + " " + e.DetailType {
	case "aws.inspector2 Inspector2 Finding":
		format = Inspector2
	case "aws.macie Macie Finding":
		format = Macie
	case "aws.access-analyzer Access Analyzer Finding", "aws.access-analyzer Unused Access Finding for IAM entities",
		"aws.access-analyzer Internal Access Finding":
		format, whole = AccessAnalyzer, true
	case "aws.config Config Rules Compliance Change":
		format, whole, why = AWSConfig, true, awsconfig.PassOver(e.Detail)
	case "aws.health AWS Health Event":
		format, whole, why = AWSHealth, true, awshealth.PassOver(e.Detail)
	case "aws.trustedadvisor Trusted Advisor Check Item Refresh Notification":
		format, whole, why = TrustedAdvisor, true, trustedadvisor.PassOver(e.Detail)
	default:
		return "", false, "it carries no findings"
	}
	if why == "" {
		why = e.undetailed()
	}
	return format, whole, why
}

func (e *envelope) undetailed() string {
	if e.Detail.Kind() != '{' {
		return "it has no detail"
	}
	return ""
}

// notification takes a message out of what SNS wraps round it for SQS and HTTP, unless the
// subscription delivers raw messages (SNS developer guide, "Parsing Amazon SNS message formats").
func (p *splitter) notification(v *value) error {
	p.known = true
	var n struct {
		Type    string `json:"Type"`
		ID      string `json:"MessageId"`
		Topic   string `json:"TopicArn"`
		Message string `json:"Message"`
	}
	if err := json.Unmarshal(v.data, &n); err != nil {
		return p.reject(v, "SNS notification: "+p.explain(v, err))
	}
	if n.Type != "Notification" {
		p.note(fmt.Sprintf("skipped the message %.80q of %.200s (id %.80s): it is no notification", n.Type, n.Topic, n.ID))
		return nil
	}
	if p.wrapped {
		return p.reject(v, "a notification in a notification")
	}
	p.wrapped = true
	defer func() { p.wrapped = false }()
	return p.within(strings.NewReader(n.Message), v.line, fmt.Sprintf("the notification of %.200s (id %.80s)", n.Topic, n.ID), p.texts)
}
