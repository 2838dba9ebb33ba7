package triage

import (
	"fmt"
	"slices"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// quietDay is how long a case's findings must be unchanged before its priority follows down.
const quietDay = 24 * time.Hour

// top is the priority of the most urgent open findings; 0 without any.
func (c *Case) top() pipeline.Priority {
	for p := pipeline.P1; p <= pipeline.P5; p++ {
		if c.Count[p] > 0 {
			return p
		}
	}
	return 0
}

// wanted is the priority that the open findings ask for.
func (c *Case) wanted() pipeline.Priority {
	p := c.top()
	if c.Recurring && p > pipeline.P1 {
		return p - 1
	}
	return p
}

// Explained is why the case has the priority that it has: what the rules say of its leading finding, and who set another.
func (c *Case) Explained() pipeline.Explanation {
	x := c.Explanation
	if c.PriorityBy == "" {
		return x
	}
	x.Priority = c.Priority
	why := "set to " + c.Priority.String() + " by " + c.PriorityBy
	if want := c.wanted(); want != 0 {
		why += "; by the rules it would be " + want.String()
	}
	x.Reasons = append(slices.Clone(x.Reasons), pipeline.Reason{What: "a person", Why: why})
	return x
}

// reprioritise lets the priority of an open case follow its findings: up at
// once, down after a quiet day, not at all where a person set it.
func (d *decider) reprioritise(c *Case) {
	if !c.Open {
		return
	}
	priority, lower, due := c.Priority, c.LowerAt, c.Due
	want := c.wanted()
	switch {
	case want == 0 || c.PriorityBy != "" || want == c.Priority:
		c.LowerAt = time.Time{}
	case c.Priority == 0:
		c.Priority = want
	case want.Above(c.Priority):
		d.say(c, fmt.Sprintf("Priority rises from %s to %s.", c.Priority, want))
		d.auditCase(c, "priority", "", "%s, was %s", want, c.Priority)
		c.Priority = want
		if c.Ack != nil {
			d.auditCase(c, "unacked", "", "the ack of %s ended: the priority rose", c.Ack.By)
			c.Ack = nil
		}
		c.LowerAt = time.Time{}
	default:
		c.LowerAt = c.Changed.Add(quietDay)
	}
	if want != 0 {
		d.due(c)
	}
	if d.tickets(c) || c.Priority != priority || !c.LowerAt.Equal(lower) || !c.Due.Equal(due) {
		d.l.putCase(c)
	}
}

// due works the SLA date out: the earliest that the case's priority or a milder
// one gives, so that a rise can only shorten it.
func (d *decider) due(c *Case) {
	if d.r.Due == nil || c.Priority == 0 {
		return
	}
	start := c.Since
	switch d.r.SLAStart {
	case "first_seen":
		start = c.Opened
	case "ticketed":
		start = c.Ticketed
	}
	c.Due = time.Time{}
	if start.IsZero() {
		return // no ticket yet: the time does not run
	}
	for p := c.Priority; p <= pipeline.P5; p++ {
		if at := d.r.Due(p, start); !at.IsZero() && (c.Due.IsZero() || at.Before(c.Due)) {
			c.Due = at
		}
	}
}
