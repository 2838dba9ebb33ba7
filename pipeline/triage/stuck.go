package triage

import (
	"maps"
	"slices"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Stuck is what keeps an entry from being delivered until a person decides:
// dead, parked or gone; empty when nothing does. given is true when a person gave it up.
func (e *Entry) Stuck() (st Standing, given bool) {
	switch {
	case e.GivenUp != "":
		return e.GivenUp, true
	case e.St == Dead, e.St == Parked, e.St == Gone:
		return e.St, false
	}
	return "", false
}

// free makes an entry one that may hold an action.
func (e *Entry) free() {
	if e.Back != nil {
		e.Back.again()
	}
	e.St, e.Reason, e.Since, e.Under, e.GivenUp, e.Awaited = Idle, "", time.Time{}, "", "", false
}

// stuck lists the sinks, or the one that in names, where one of these standings holds.
func (d *decider) stuck(c *Case, in *pipeline.Interaction, which ...Standing) (out []string) {
	for _, sink := range slices.Sorted(maps.Keys(c.Entries)) {
		st, _ := c.Entries[sink].Stuck()
		if (in.Sink == "" || in.Sink == sink) && slices.Contains(which, st) {
			out = append(out, sink)
		}
	}
	return out
}

// retry lets what is dead or gone try again, with what is wanted now. What was parked when
// it was given up is parked again: nobody knows yet what became of it.
func (d *decider) retry(c *Case, in *pipeline.Interaction) error {
	any := false
	for _, sink := range d.stuck(c, in, Dead, Gone, Parked) {
		e := c.Entries[sink]
		st, given := e.Stuck()
		if st == Parked && !given && e.Back == nil {
			continue
		}
		if st == Parked && e.Back == nil {
			e.St, e.GivenUp, e.Since = Parked, "", d.now
			d.auditCase(c, "parked", in.By, "%s: say what became of it: resolve --ticket KEY, or --none", sink)
		} else {
			e.free()
			e.Delivered = 0
			d.auditCase(c, "retried", in.By, "asked for another try in %s", sink)
		}
		if c.Disputed == deletedTwice {
			c.Disputed = ""
		}
		any = true
	}
	if !any {
		if len(d.stuck(c, in, Parked)) > 0 {
			return refused("it is not known what became of it: look, then resolve it with --ticket KEY or --none")
		}
		return refused("nothing of it is a dead letter")
	}
	d.l.putCase(c)
	return nil
}

// drop gives up what cannot be delivered: nothing more of this case is sent there, until somebody retries.
func (d *decider) drop(c *Case, in *pipeline.Interaction) error {
	any := false
	for _, sink := range d.stuck(c, in, Dead, Parked, Gone) {
		e := c.Entries[sink]
		st, given := e.Stuck()
		if given {
			continue
		}
		reason := e.Reason
		e.free()
		e.GivenUp, e.Reason, e.Since, e.Delivered = st, reason, d.now, e.Wanted
		if c.Disputed == deletedTwice {
			c.Disputed = ""
		}
		any = true
		d.auditCase(c, "dropped", in.By, "%s: given up: %s", sink, reason)
	}
	if !any {
		return refused("nothing of it is a dead letter")
	}
	d.l.putCase(c)
	return nil
}

// unpark takes a person's word for what became of a parked action. Without a sink it
// is the one where something is parked.
func (d *decider) unpark(c *Case, in *pipeline.Interaction) error {
	where := d.stuck(c, in, Parked)
	switch {
	case len(where) == 0 && in.Sink != "":
		return refused("nothing of it is parked in " + in.Sink)
	case len(where) == 0:
		return refused("nothing of it is parked")
	case len(where) > 1:
		return refused("it is parked in several sinks: name one with --sink")
	}
	sink := where[0]
	if !d.sinkIs(sink) {
		return refused("the sink " + sink + " takes no actions")
	}
	e := c.Entries[sink]
	e.free()
	word := "the record does not exist"
	switch {
	case e.Back != nil:
		word = "it is told again"
	case !in.Ref.IsZero():
		if e.Ref.ID != in.Ref.ID {
			e.forgetRecord()
		}
		e.Ref, e.Again = in.Ref, true
		word = "the record is " + refWord(in.Ref)
	case !e.Ref.IsZero():
		e.forgetRecord()
		e.Gen, e.Delivered = d.nextGen(c), 0
	default:
		e.Delivered = 0
	}
	d.l.putCase(c)
	d.auditCase(c, "resolved", in.By, "%s: %s", sink, word)
	return nil
}

// brake turns the brake on or off. The loops of the sinks read it before each write.
func (d *decider) brake(in *pipeline.Interaction) {
	on := in.Verb == pipeline.VerbBrakeOn
	note := func(kind, text string) {
		if in.Text != "" {
			text += ": " + in.Text
		}
		d.l.audit = append(d.l.audit, Audit{Time: d.now, Kind: kind, By: in.By, Text: text})
	}
	b := &d.l.meta.Brake
	switch {
	case b.On == on && on:
		note("refused", "the brake is on already, by "+b.By)
		return
	case b.On == on:
		note("refused", "the brake is off already")
		return
	case on:
		note("brake", "no outside write starts any more")
	default:
		note("unbrake", "outside writes start again")
	}
	*b = Brake{On: on, By: in.By, Since: d.now, Text: in.Text}
}
