package format

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// envelope is the part of an EventBridge event that matters here (EventBridge
// user guide, "Structure of events"; Security Hub user guide, "EventBridge event formats").
type envelope struct {
	ID         string `json:"id"`
	DetailType string `json:"detail-type"`
	Source     string `json:"source"`
	Detail     struct {
		Findings jsontext.Value `json:"findings"`
	} `json:"detail"`
}

// event takes the findings out of an EventBridge event. An event about
// something else is a note, not a reject: a rule may well send both here.
func (p *splitter) event(v *value) error {
	p.known = true
	var e envelope
	if err := json.Unmarshal(v.data, &e); err != nil {
		return p.reject(v, "EventBridge event: "+p.explain(v, err))
	}
	if len(e.Detail.Findings) == 0 || e.Detail.Findings.Kind() != '[' {
		p.note(fmt.Sprintf("skipped the EventBridge event %q of %s (id %s): it carries no findings", e.DetailType, e.Source, e.ID))
		return nil
	}
	line := v.line
	inner := newScanner(bytes.NewReader(bytes.Clone(e.Detail.Findings)))
	inner.line = line
	outer := p.s
	p.s = inner
	defer func() { p.s = outer }()
	if _, ok := inner.next(); !ok {
		return nil
	}
	inner.take()
	return p.array(maxNesting, p.value)
}
