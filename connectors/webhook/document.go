package webhook

import (
	"fmt"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// The events.
const (
	EventOpened   = "opened"
	EventUpdated  = "updated"
	EventClosed   = "closed"
	EventReopened = "reopened"
)

// heldState is the field of Applied.Held that says whether the record was left open.
const heldState = "state"

// documentVersion changes when a member is taken away or means something else. New members may come at any time.
const documentVersion = 1

// Document is the body of a request: the whole ticket as it should be now. Texts are cleaned
// of control characters and are not escaped for anything.
type Document struct {
	Version int         `json:"version"`
	Event   string      `json:"event"` // opened, updated, closed, reopened
	ID      string      `json:"id"`    // of this revision of this ticket; the Idempotency-Key
	Ticket  ticketBody  `json:"ticket"`
	Ref     *refBody    `json:"ref,omitempty"` // what the receiver answered to an earlier event
	Changes []changeOne `json:"changes"`       // what happened since the last revision that was delivered
}

type ticketBody struct {
	Key         string        `json:"key"`      // the same for all events of one ticket
	Case        string        `json:"case"`     // DK-1
	Revision    uint64        `json:"revision"` // grows; ignore one that is below what you hold
	State       string        `json:"state"`    // open, closed
	Why         string        `json:"why,omitempty"`
	Priority    string        `json:"priority"`
	Severity    string        `json:"severity"`
	Score       int           `json:"score"`
	Rule        string        `json:"rule,omitempty"`
	Reasons     []reasonBody  `json:"reasons"`
	Title       string        `json:"title"`
	Description string        `json:"description,omitempty"`
	Text        string        `json:"text"` // the ticket as Markdown
	Remediation string        `json:"remediation,omitempty"`
	Team        string        `json:"team"`
	Assignees   []string      `json:"assignees"`
	Acked       string        `json:"acked,omitempty"`
	Labels      []string      `json:"labels"`
	Account     string        `json:"account,omitempty"`
	Region      string        `json:"region,omitempty"`
	Resource    resourceBody  `json:"resource"`
	Since       time.Time     `json:"since"`
	Due         *time.Time    `json:"due,omitempty"`
	Open        int           `json:"findings_open"`
	Total       int           `json:"findings_total"`
	Findings    []findingBody `json:"findings"` // the first 50
	CaseURL     string        `json:"case_url,omitempty"`
}

type reasonBody struct {
	What   string `json:"what"`
	Points int    `json:"points,omitempty"`
	Why    string `json:"why,omitempty"`
}

type resourceBody struct {
	ID   string `json:"id"`
	Type string `json:"type,omitempty"`
	Name string `json:"name,omitempty"`
}

type findingBody struct {
	Fingerprint string `json:"fingerprint"`
	Title       string `json:"title"`
	Severity    string `json:"severity"`
	Status      string `json:"status"`
	Account     string `json:"account,omitempty"`
	Region      string `json:"region,omitempty"`
	Resource    string `json:"resource,omitempty"`
}

type changeOne struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time"`
	Lines []string  `json:"lines"`
}

type refBody struct {
	ID  string `json:"id"`
	Key string `json:"key,omitempty"`
	URL string `json:"url,omitempty"`
}

func (d *Document) state() string { return d.Ticket.State }

func newDocument(t *pipeline.Ticket) *Document {
	d := &Document{
		Version: documentVersion, Event: eventOf(t), ID: fmt.Sprintf("%s/r%d", t.Key, t.Rev),
		Changes: []changeOne{},
		Ticket: ticketBody{
			Key: t.Key, Case: t.Case, Revision: t.Rev, State: stateOf(t.Open), Why: ticket.Clean(t.Why),
			Priority: t.Priority.String(), Severity: t.Severity.String(), Score: t.Explanation.Score, Rule: ticket.Clean(t.Explanation.Rule),
			Reasons: []reasonBody{}, Title: ticket.Clean(t.Title), Description: ticket.Clean(t.Description), Text: ticket.Markdown(*t),
			Remediation: ticket.Clean(t.Remediation.Text), Team: ticket.Clean(t.Team), Assignees: cleaned(t.Assignees), Acked: ticket.Clean(t.Acked),
			Labels: cleaned(t.Labels), Account: ticket.Clean(t.Account.ID), Region: ticket.Clean(t.Region),
			Resource: resourceBody{ticket.Clean(t.Resource.ID), ticket.Clean(t.Resource.Type), ticket.Clean(t.Resource.Name)},
			Since:    t.Since, Open: t.Count, Total: t.Total, Findings: []findingBody{}, CaseURL: t.CaseURL,
		},
	}
	if !t.Due.IsZero() {
		d.Ticket.Due = &t.Due
	}
	if !t.Ref.IsZero() {
		d.Ref = &refBody{t.Ref.ID, t.Ref.Key, t.Ref.URL}
	}
	for _, r := range t.Explanation.Reasons {
		d.Ticket.Reasons = append(d.Ticket.Reasons, reasonBody{ticket.Clean(r.What), r.Points, ticket.Clean(r.Why)})
	}
	for _, f := range t.Findings {
		d.Ticket.Findings = append(d.Ticket.Findings, findingBody{
			f.Fingerprint.String(), ticket.Clean(f.Title), f.Severity.String(), f.Status, ticket.Clean(f.Account), ticket.Clean(f.Region), ticket.Clean(f.Resource),
		})
	}
	for _, c := range t.Comments {
		d.Changes = append(d.Changes, changeOne{c.EventID, c.Time, cleaned(c.Lines)})
	}
	return d
}

// eventOf says what a ticket tells, by what was delivered before.
func eventOf(t *pipeline.Ticket) string {
	switch {
	case !t.Open:
		return EventClosed
	case t.Ref.IsZero():
		return EventOpened
	case t.Last[heldState] == stateOf(false):
		return EventReopened
	}
	return EventUpdated
}

func stateOf(open bool) string {
	if open {
		return "open"
	}
	return "closed"
}

// cleaned is a list of texts, never nil.
func cleaned(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = ticket.Clean(s)
	}
	return out
}
