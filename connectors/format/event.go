package format

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/guardduty"
	"github.com/docket-hub/docket/pipeline"
)

// envelope is the part of an EventBridge event that matters here (EventBridge
// user guide, "Structure of events"; Security Hub user guide, "EventBridge event formats").
type envelope struct {
	ID         string         `json:"id"`
	DetailType string         `json:"detail-type"`
	Source     string         `json:"source"`
	Detail     jsontext.Value `json:"detail"`
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
	if guardduty.IsEvent(e.Source, e.DetailType) && e.Detail.Kind() == '{' {
		return p.hand(pipeline.Record{Format: GuardDuty, Origin: p.opt.Origin, Index: p.index, Data: bytes.Clone(e.Detail)})
	}
	if d.Findings.Kind() != '[' {
		p.note(fmt.Sprintf("skipped the EventBridge event %q of %s (id %s): it carries no findings", e.DetailType, e.Source, e.ID))
		return nil
	}
	outer, line := p.s, v.line
	defer func() { p.s = outer }()
	p.s = newScanner(bytes.NewReader(d.Findings))
	p.s.line = line
	if _, ok := p.s.next(); !ok {
		return nil
	}
	p.s.take()
	return p.array(maxNesting, p.value)
}
