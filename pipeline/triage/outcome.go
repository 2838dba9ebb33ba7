package triage

import (
	"fmt"
	"time"

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
	sink := o.Sink
	if to, renamed := d.r.Renamed[sink]; renamed && c.Entries[sink] == nil {
		sink = to
	}
	e := c.Entries[sink]
	switch {
	case e == nil:
		return nil
	case o.Key != "" && o.Key != pipeline.TicketKey(d.r.Installation, c.Key, o.Gen):
		// It is about another group: state was put back to an older copy, and numbers its cases anew.
		d.auditCase(c, "ignored", "", "%s reported on a ticket of another case that was called %s; nothing of it was taken over", sink, c.ID())
		return nil
	case e.Back != nil:
		return d.backOutcome(c, sink, e, o)
	case o.Result == pipeline.OutcomeAdopted:
		d.adopted(c, sink, e, o)
		return nil
	case o.Result == pipeline.OutcomeSighted || o.N != e.N:
		d.sighting(c, sink, e, o)
		return nil
	case e.Awaited:
		// Its worker drained what it held: what became of it is known after all.
		e.Awaited = false
	case e.St != Inflight && o.Result == pipeline.OutcomeDone:
		d.sighting(c, sink, e, o) // the same outcome again, or a person decided before it was known
		return nil
	case e.St != Inflight:
		return nil // the same outcome again
	}
	return d.ended(c, sink, e, o)
}

// ended applies how the action under way ended.
func (d *decider) ended(c *Case, sink string, e *Entry, o *pipeline.Outcome) error {
	if o.Result != pipeline.OutcomeDone && (o.Result != pipeline.OutcomeGone || e.GoneOnce) {
		d.sum.Failures++ // a ticket that was deleted once is made again, and nothing failed
	}
	if o.Result == pipeline.OutcomeRefused || o.Result == pipeline.OutcomeUnknown {
		e.sent(o.Sent)
		e.Turning = e.Turning || !e.Ref.IsZero() && e.RevOpen != e.opened()
	}
	switch o.Result {
	case pipeline.OutcomeDone:
		d.delivered(c, sink, e, o)
	case pipeline.OutcomeRefused:
		e.St, e.Reason, e.Since = Dead, o.Reason, d.now
		if d.r.SinkConfig != nil {
			e.Under = d.r.SinkConfig(c.Team, c.Route, sink)
		}
		d.auditCase(c, "dead_letter", "", "%s refused revision %d: %s", sink, o.Rev, o.Reason)
	case pipeline.OutcomeUnknown:
		e.St, e.Reason, e.Since = Parked, o.Reason, d.now
		d.auditCase(c, "parked", "", "%s: it is not known what became of revision %d: %s", sink, o.Rev, o.Reason)
	case pipeline.OutcomeGone:
		d.ticketGone(c, sink, e)
	default:
		return fmt.Errorf("case %s: the outcome of action %d has the unknown result %q", o.Case, o.N, o.Result)
	}
	d.seenMeanwhile(c, e, o)
	d.l.putCase(c)
	return d.waited(c, sink, e)
}

// seenMeanwhile: where the action failed, a record that was sighted while it was
// in flight is the ticket after all; where it succeeded with another, a second one.
func (d *decider) seenMeanwhile(c *Case, e *Entry, o *pipeline.Outcome) {
	seen := e.Sighted
	e.Sighted = pipeline.Ref{}
	switch {
	case seen.IsZero() || seen.ID == e.Ref.ID:
	case o.Result == pipeline.OutcomeDone:
		d.doubled(c, o.Sink, e, seen)
	case e.Ref.IsZero() && o.Gen == e.Gen:
		e.Ref, e.Again, e.St, e.Reason, e.Since = seen, true, Idle, "", time.Time{}
		d.auditCase(c, "sighted", "", "%s is the ticket after all", refWord(seen))
	}
}

func (d *decider) delivered(c *Case, sink string, e *Entry, o *pipeline.Outcome) {
	created := e.Ref.IsZero()
	if !o.Ref.IsZero() {
		e.Ref = o.Ref
	}
	e.St, e.Reason, e.Since, e.Delivered = Idle, "", time.Time{}, o.Rev
	switch {
	case created:
		d.sum.TicketsCreated++
	case e.IsOpen && !e.RevOpen:
		d.sum.TicketsClosed++
	default:
		d.sum.TicketsUpdated++
	}
	e.wrote(o)
	if e.InComments > 0 && o.Rev == e.Rev {
		e.Comments = e.Comments[min(e.InComments, len(e.Comments)):]
	}
	e.InComments = 0
	if e.Twin == e.InTwin {
		e.Twin = pipeline.Ref{}
	}
	e.InTwin = pipeline.Ref{}
	if !o.Twin.IsZero() && o.Twin.ID != e.Ref.ID {
		d.doubled(c, sink, e, o.Twin)
	}
	switch {
	case created:
		d.auditCase(c, "ticket", "", "%s made %s", sink, refWord(e.Ref))
	default:
		d.auditCase(c, "delivered", "", "%s holds revision %d in %s", sink, e.Delivered, refWord(e.Ref))
	}
}

// forgetRecord: the entry's record is given up, and all that is known of it.
func (e *Entry) forgetRecord() {
	e.Ref, e.Last, e.HeldAt, e.Sent, e.Theirs, e.Waiting = pipeline.Ref{}, nil, time.Time{}, nil, nil, nil
	e.Heard, e.HeardAt, e.IsOpen = nil, time.Time{}, false
	e.LeftOpen, e.Turning = false, false
}

func refWord(r pipeline.Ref) string {
	if r.Key != "" {
		return r.Key
	}
	return r.ID
}

// deletedTwice is why a case is disputed whose ticket people do not want.
const deletedTwice = "its ticket was deleted twice"

// ticketGone: a person deleted the record. It is made again once by itself; after that the case is disputed.
func (d *decider) ticketGone(c *Case, sink string, e *Entry) {
	d.auditCase(c, "ticket_gone", "", "%s: %s does not exist any more", sink, refWord(e.Ref))
	e.forgetRecord()
	e.Gen = d.nextGen(c)
	if e.GoneOnce && e.WantOpen {
		e.St, e.Reason, e.Since = Gone, "the ticket was deleted twice", d.now
		c.Disputed = deletedTwice
		return
	}
	e.GoneOnce, e.St, e.Delivered = true, Idle, 0
	if !e.WantOpen {
		e.Delivered = e.Wanted
	}
}

// sighting looks only at the record that a late or foreign attempt names.
func (d *decider) sighting(c *Case, sink string, e *Entry, o *pipeline.Outcome) {
	switch {
	case o.Ref.IsZero():
		return
	case e.Ref.ID == o.Ref.ID:
		if e.Again || o.Result != pipeline.OutcomeSighted {
			return // an earlier outcome once more says nothing new
		}
		e.Again = true
	case e.Ref.IsZero() && o.Gen != e.Gen:
		return // a ticket that was given up
	case e.Ref.IsZero() && e.St == Inflight:
		e.Sighted = o.Ref // the action in flight will find it by key, or fail
	case e.Ref.IsZero():
		e.Ref, e.Again, e.St, e.Reason, e.Since = o.Ref, true, Idle, "", time.Time{}
	case e.Twin == o.Ref:
		return
	default:
		d.doubled(c, sink, e, o.Ref)
	}
	d.l.putCase(c)
}

// doubled notes a second record of a case's ticket: the next action links and closes it.
func (d *decider) doubled(c *Case, sink string, e *Entry, second pipeline.Ref) {
	if second.ID != e.Twin.ID && second.ID != e.InTwin.ID {
		d.sum.TicketsDoubled++
		d.auditCase(c, "twin", "", "%s: %s is a second ticket of this case; it will be linked and closed", sink, refWord(second))
	}
	e.Twin = second
}

// adopted: a person made a record that is there the ticket of this case, under the
// generation that the record is of. It is written once more, above the revision that it holds. Without a
// record only the generation moves on, past tickets that were given up. What is under way decides by itself.
func (d *decider) adopted(c *Case, sink string, e *Entry, o *pipeline.Outcome) {
	same := e.Ref.ID == o.Ref.ID
	switch {
	case e.St == Inflight || o.Gen < e.Gen:
		return
	case o.Ref.IsZero() && !e.Ref.IsZero():
		return // the ticket that is known has a generation already
	case same && o.Gen == e.Gen && (o.Ref.Key == "" || o.Ref.Key == e.Ref.Key):
		return
	}
	e.Gen, c.Gen = o.Gen, max(c.Gen, o.Gen)
	d.l.putCase(c)
	if o.Ref.IsZero() {
		return
	}
	if !same {
		e.forgetRecord() // what is known is of the other one
	}
	e.free()
	e.Ref, e.Again = o.Ref, true
	if o.Reason != "" {
		e.Pending.Lines = append(e.Pending.Lines, o.Reason)
	}
	if o.Rev >= c.Rev {
		c.Rev = o.Rev
		d.revised(c)
	}
	d.auditCase(c, "adopted", "", "%s: %s is the ticket of this case from here on", sink, refWord(o.Ref))
}

// reissue puts actions that no message is stored for back on their way.
func (d *decider) reissue(list []Reissue) error {
	for _, x := range list {
		c, err := d.l.caseOf(x.Case)
		if err != nil {
			return err
		}
		if c == nil {
			continue // purged meanwhile
		}
		e := c.Entries[x.Sink]
		if e == nil || e.St != Inflight || e.N != x.N {
			continue
		}
		if e.Back != nil {
			// What it said is known no more, and need not be: the next action says what is to be said now.
			e.Back.again()
			e.St = Idle
			d.l.putCase(c)
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
