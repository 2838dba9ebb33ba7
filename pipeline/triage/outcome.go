package triage

import (
	"fmt"

	"github.com/docket-hub/docket/pipeline"
)

// outcome applies the end of an action: the transitions of protocol section 2.
func (d *decider) outcome(o *pipeline.Outcome) error {
	n, ok := ParseCaseID(o.Case)
	if !ok {
		return fmt.Errorf("an outcome names %q, which is no case id", o.Case)
	}
	c, err := d.l.caseOf(n)
	if err != nil || c == nil {
		return err // purged meanwhile: nothing of it is left to change
	}
	e := c.Entries[o.Sink]
	if e == nil {
		return nil
	}
	if o.Result == pipeline.OutcomeSighted || o.N != e.N || e.St != Inflight {
		if e.St != Inflight && o.N == e.N && o.Result != pipeline.OutcomeSighted {
			return nil // the same outcome again
		}
		return d.sighting(c, o.Sink, e, o)
	}
	if o.Result != pipeline.OutcomeDone {
		d.sum.Failures++
	}
	switch o.Result {
	case pipeline.OutcomeDone:
		d.delivered(c, o.Sink, e, o)
	case pipeline.OutcomeRefused:
		e.St, e.Reason, e.Since = Dead, o.Reason, d.now
		d.auditCase(c, "dead_letter", "", "%s refused revision %d: %s", o.Sink, o.Rev, o.Reason)
	case pipeline.OutcomeUnknown:
		e.St, e.Reason, e.Since = Parked, o.Reason, d.now
		d.auditCase(c, "parked", "", "%s: it is not known what became of revision %d: %s", o.Sink, o.Rev, o.Reason)
	case pipeline.OutcomeGone:
		d.ticketGone(c, o.Sink, e)
	default:
		return fmt.Errorf("case %s: the outcome of action %d has the unknown result %q", o.Case, o.N, o.Result)
	}
	d.l.putCase(c)
	return nil
}

func (d *decider) delivered(c *Case, sink string, e *Entry, o *pipeline.Outcome) {
	created := e.Ref.IsZero()
	if !o.Ref.IsZero() {
		e.Ref = o.Ref
	}
	e.St, e.Again, e.Reason, e.Sent = Idle, false, "", nil
	e.Delivered, e.Last = e.Rev, o.Held
	switch {
	case created:
		d.sum.TicketsCreated++
	case e.IsOpen && !e.RevOpen:
		d.sum.TicketsClosed++
	default:
		d.sum.TicketsUpdated++
	}
	e.IsOpen = e.RevOpen
	if e.InComments > 0 {
		e.Comments = e.Comments[min(e.InComments, len(e.Comments)):]
		e.InComments = 0
	}
	if !e.Twin.IsZero() {
		e.Twin = pipeline.Ref{}
	}
	if !o.Twin.IsZero() && o.Twin.ID != e.Ref.ID {
		e.Twin = o.Twin
	}
	switch {
	case created:
		d.auditCase(c, "ticket", "", "%s made %s", sink, refWord(e.Ref))
	default:
		d.auditCase(c, "delivered", "", "%s holds revision %d in %s", sink, e.Delivered, refWord(e.Ref))
	}
}

func refWord(r pipeline.Ref) string {
	if r.Key != "" {
		return r.Key
	}
	return r.ID
}

// ticketGone: a person deleted the record. It is made again once by itself; after that the case is disputed.
func (d *decider) ticketGone(c *Case, sink string, e *Entry) {
	d.auditCase(c, "ticket_gone", "", "%s: %s does not exist any more", sink, refWord(e.Ref))
	e.Ref, e.Last, e.Sent = pipeline.Ref{}, nil, nil
	e.Gen++
	if e.GoneOnce {
		e.St, e.Reason, e.Since = Gone, "the ticket was deleted twice", d.now
		c.Disputed = "its ticket was deleted twice"
		return
	}
	e.GoneOnce, e.St, e.Delivered = true, Idle, 0
	if !e.WantOpen {
		e.Delivered = e.Wanted
	}
}

// sighting looks only at the record that a late or foreign attempt names.
func (d *decider) sighting(c *Case, sink string, e *Entry, o *pipeline.Outcome) error {
	if o.Ref.IsZero() {
		return nil
	}
	switch {
	case e.Ref.ID == o.Ref.ID:
		e.Again = true
	case e.Ref.IsZero() && e.St != Inflight && o.Gen == e.Gen:
		e.Ref, e.Again, e.St = o.Ref, true, Idle
	case e.Ref.IsZero():
		return nil // the action in flight will find it by key
	default:
		e.Twin = o.Ref
		d.auditCase(c, "twin", "", "%s: %s is a second ticket of this case; it will be linked and closed", sink, refWord(o.Ref))
	}
	d.l.putCase(c)
	return nil
}

// reissue puts actions that no message is stored for back on their way.
func (d *decider) reissue(list []Reissue) error {
	for _, x := range list {
		c, err := d.mustCase(x.Case)
		if err != nil {
			return err
		}
		e := c.Entries[x.Sink]
		if e == nil || e.St != Inflight || e.N != x.N {
			continue
		}
		e.K++
		if err := d.action(c, x.Sink, e); err != nil {
			return err
		}
		d.l.putCase(c)
	}
	return nil
}
