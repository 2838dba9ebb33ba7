package triage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// interaction applies what a person did. What cannot be applied is refused
// into the story, not dropped; the same id a second time does nothing.
func (d *decider) interaction(in *pipeline.Interaction) error {
	from := len(d.l.audit)
	defer func() {
		for i := from; i < len(d.l.audit); i++ {
			d.l.audit[i].Cause = in.ID
		}
	}()
	if in.ID != "" {
		if d.l.Done(in.ID) {
			return nil
		}
		d.l.done[in.ID] = true
	}
	switch in.Verb {
	case pipeline.VerbSuppress, pipeline.VerbUnsuppress:
		return d.interactSuppression(in)
	case pipeline.VerbBrakeOn, pipeline.VerbBrakeOff:
		d.brake(in)
		return nil
	}
	for _, id := range in.Cases {
		n, ok := ParseCaseID(id)
		if !ok {
			continue
		}
		c, err := d.l.caseOf(n)
		if err != nil {
			return err
		}
		if c == nil {
			d.l.audit = append(d.l.audit, Audit{Time: d.now, Case: n, Kind: "refused", By: in.By, Text: string(in.Verb) + ": there is no such case"})
			continue
		}
		if why := d.act(c, in); why != nil {
			if refusal := refused(""); errors.As(why, &refusal) {
				d.auditCase(c, "refused", in.By, "%s: %s", in.Verb, refusal)
				continue
			}
			return why
		}
	}
	return nil
}

// refused is why an interaction changes nothing, for the person who asked.
type refused string

func (r refused) Error() string { return string(r) }

func (d *decider) act(c *Case, in *pipeline.Interaction) error {
	switch in.Verb {
	case pipeline.VerbAck:
		return d.ack(c, in)
	case pipeline.VerbUnack:
		if c.Ack == nil {
			return refused("nobody has taken it")
		}
		c.Ack = nil
		return d.told(c, in, "No longer taken (%s).", d.who(in))
	case pipeline.VerbSnooze:
		if !c.Open {
			return refused("the case is closed")
		}
		if !in.Until.After(d.now) {
			return refused("a snooze needs an end in the future")
		}
		c.Snooze = in.Until
		d.l.putCase(c)
		d.auditCase(c, "snoozed", in.By, "no reminder until %s", in.Until.Format(time.RFC3339))
		return nil
	case pipeline.VerbAssign:
		c.Assignee = in.Text
		return d.told(c, in, "Assigned to %s by %s.", in.Text, d.who(in))
	case pipeline.VerbComment:
		return d.told(c, in, "%s: %s", d.who(in), in.Text)
	case pipeline.VerbClose:
		return d.closeByPerson(c, in)
	case pipeline.VerbReopen:
		return d.reopenByPerson(c, in)
	case pipeline.VerbTicket:
		return d.ticketByHand(c, in)
	case pipeline.VerbMove:
		return d.move(c, in)
	case pipeline.VerbRetry:
		return d.retry(c, in)
	case pipeline.VerbResolveParked:
		return d.unpark(c, in)
	case pipeline.VerbDrop:
		return d.drop(c, in)
	}
	return refused(fmt.Sprintf("unknown verb %q", in.Verb))
}

// told records what a person did and tells the tickets.
func (d *decider) told(c *Case, in *pipeline.Interaction, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	d.say(c, text)
	d.auditCase(c, string(in.Verb), in.By, "%s", text)
	d.revised(c) // what people do does not make the findings less quiet
	return nil
}

func (d *decider) ack(c *Case, in *pipeline.Interaction) error {
	if !c.Open {
		return refused("the case is closed")
	}
	until := in.Until
	if until.IsZero() {
		until = d.now.Add(d.r.AckFor)
	}
	if !until.After(d.now) {
		return refused("an ack needs an end in the future")
	}
	if d.r.AckMax > 0 && until.Sub(d.now) > d.r.AckMax {
		return refused(fmt.Sprintf("an ack lasts %s at most (ack.max)", d.r.AckMax))
	}
	c.Ack = &Ack{By: in.By, At: d.now, Until: until, Text: in.Text, Via: d.from}
	text := ""
	if in.Text != "" {
		text = ": " + in.Text
	}
	return d.told(c, in, "Taken by %s until %s%s.", d.who(in), until.Format("2006-01-02"), text)
}

func (d *decider) closeByPerson(c *Case, in *pipeline.Interaction) error {
	if !c.Open {
		return refused("the case is closed already")
	}
	open, err := d.openMembers(c)
	if err != nil {
		return err
	}
	if err := d.standing(open, Watched); err != nil {
		return err
	}
	reopened := c.Person != nil && c.Person.Reopened
	why := d.who(in)
	if in.Text != "" {
		why += ": " + in.Text
	}
	d.close(c, ClosedPerson, why)
	at := d.now
	if !in.At.IsZero() {
		at = in.At
	}
	c.Person = &PersonClose{By: in.By, At: at, WontFix: in.WontFix, Reopened: reopened}
	d.l.putCase(c)
	return nil
}

func (d *decider) reopenByPerson(c *Case, in *pipeline.Interaction) error {
	if c.Open {
		return refused("the case is open already")
	}
	if c.Closed == ClosedMoved || c.Closed == ClosedMerged {
		return refused("its findings are in " + CaseID(c.MovedTo) + " now")
	}
	watched, err := d.openMembers(c)
	if err != nil {
		return err
	}
	to, err := d.successor(c)
	switch {
	case err != nil:
		return err
	case len(watched) == 0:
		return refused("none of its findings is open")
	case to != nil:
		return d.fold(c, to, watched, d.who(in)+" reopened "+c.ID())
	}
	if err := d.standing(watched, Open); err != nil {
		return err
	}
	d.reopen(c, d.who(in)+" reopened it", false)
	d.reprioritise(c)
	return d.reclaim(c)
}

func (d *decider) ticketByHand(c *Case, in *pipeline.Interaction) error {
	switch {
	case !c.Open:
		return refused("the case is closed")
	case len(c.TicketSinks()) == 0:
		return refused("its route " + c.Route + " has no sinks")
	case c.Manual:
		return refused("a ticket was asked for already")
	}
	c.Manual = true
	d.tickets(c)
	d.l.putCase(c)
	d.auditCase(c, "ticket_asked", in.By, "asked for a ticket: tickets_from, for and limits do not hold it")
	return nil
}

// move follows changed rules: open findings whose group is another now go to
// its case; when none is left, this one closes with a link.
func (d *decider) move(c *Case, in *pipeline.Interaction) error {
	if !c.Open {
		return refused("the case is closed")
	}
	open, err := d.openMembers(c)
	if err != nil {
		return err
	}
	moved, target := 0, uint64(0)
	for _, seq := range open {
		h := d.l.hotSeq(seq)
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		f := rec.Finding()
		v := d.r.Judge(&f)
		if c.Holds(v.Key) {
			continue
		}
		to, err := d.caseFor(v, &f, rec.FirstSeen)
		if err != nil {
			return err
		}
		m, _, err := d.l.Member(c.Number, seq)
		if err != nil {
			return err
		}
		c.Count[m.Priority]--
		d.left(m)
		if to.Total == 0 {
			to.Previous = c.Number // it was made for them: its ticket links this one
		}
		if err := d.join(to, h, rec, &f, v, false); err != nil {
			return err
		}
		moved, target = moved+1, to.Number
	}
	if moved == 0 {
		return refused("the rules in force keep it where it is")
	}
	d.say(c, fmt.Sprintf("%s moved to %s by %s, as the rules in force say.", countWord(moved), CaseID(target), in.By))
	d.auditCase(c, "moved", in.By, "%s to %s", countWord(moved), CaseID(target))
	c.MovedTo = target
	if c.OpenCount() == 0 {
		d.close(c, ClosedMoved, "moved to "+CaseID(target))
		return nil
	}
	if err := d.relead(c, c.Lead); err != nil {
		return err
	}
	d.changed(c)
	d.reprioritise(c)
	return nil
}

func (d *decider) interactSuppression(in *pipeline.Interaction) error {
	s := in.Suppression
	if s == nil {
		return nil
	}
	note := func(kind, format string, args ...any) {
		d.l.audit = append(d.l.audit, Audit{Time: d.now, Kind: kind, By: in.By, Text: fmt.Sprintf(format, args...)})
	}
	have, exists := d.find(s.Name)
	if in.Verb == pipeline.VerbUnsuppress {
		switch {
		case !exists:
			note("refused", "there is no suppression %s", s.Name)
			return nil
		case have.Config:
			note("refused", "suppression %s stands in the configuration: remove it there", s.Name)
			return nil
		}
		d.l.suppressions[s.Name] = nil
		d.loaded = false
		note("unsuppressed", "suppression %s removed", s.Name)
		return d.endSuppression(s.Name, "suppression "+s.Name+" was removed by "+in.By)
	}
	if exists && have.Ended.IsZero() {
		note("refused", "there is a suppression %s already", s.Name)
		return nil
	}
	if strings.TrimSpace(s.Reason) == "" || !s.Until.After(d.now) {
		note("refused", "suppression %s needs a reason and an end in the future", s.Name)
		return nil
	}
	n := Suppression{Suppression: *s}
	n.Created, n.Config = d.now, false
	d.putSuppression(n)
	note("suppression", "suppression %s until %s: %s", s.Name, s.Until.Format(time.RFC3339), s.Reason)
	d.startSweep()
	return nil
}

// approve takes a plan's word: these groups are outside limits.
func (d *decider) approve(in *Approval) error {
	d.l.meta.Applied = true
	for _, key := range slices.Sorted(slices.Values(in.Groups)) {
		c, err := d.l.caseOf(d.l.Newest(key))
		if err != nil {
			return err
		}
		if c == nil || !c.Open && !d.returns(c) {
			d.l.approvals[key] = in.Plan
			continue
		}
		if !c.Approved {
			c.Approved, c.Held = true, ""
			d.l.putCase(c)
			d.auditCase(c, "approved", "", "approved by plan %s", in.Plan)
		}
	}
	return nil
}
