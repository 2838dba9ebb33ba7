package triage

import (
	"fmt"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// quietDay is how long a case's findings must be unchanged before its priority follows down.
const quietDay = 24 * time.Hour

// some is how many findings a comment names; the rest is a number.
const some = 5

// join makes a finding an open member of an open (or reopening) case.
func (d *decider) join(c *Case, h *Hot, rec *Record, f *pipeline.Finding, v Verdict, back bool) error {
	rejoined := h.Case == c.Number
	if !c.Open {
		d.reopen(c, fmt.Sprintf("%s is back", line(f)))
	}
	h.Case, h.Member = c.Number, Open
	d.place(h, rec)
	m := Member{Case: c.Number, Seq: h.Seq, Status: Open, Priority: v.Explanation.Priority, Line: row(f, Open)}
	d.l.putMember(m)
	c.Count[m.Priority]++
	if !rejoined {
		c.Total++
	}
	if s := started(f, d.now); s.Before(c.Since) {
		c.Since = s
	}
	d.wait(c, f, v)
	c.Settings = v.Settings
	if c.Lead == 0 || m.Priority.Above(c.Priority) || c.OpenCount() == 1 {
		d.lead(c, h.Seq, v.Explanation)
	}
	d.eachTicket(c, func(e *Entry) {
		e.Pending.Joined++
		if len(e.Pending.JoinedSome) < some {
			e.Pending.JoinedSome = append(e.Pending.JoinedSome, line(f))
		}
	})
	word := "joined"
	if back {
		word = "came back"
	}
	d.auditFinding(h.Seq, c.Number, "joined", "%s: %s", word, v.Explanation.Priority)
	d.changed(c)
	return d.reprioritise(c)
}

// wait holds the first ticket until the source has seen the problem for as long as the route says.
func (d *decider) wait(c *Case, f *pipeline.Finding, v Verdict) {
	till := started(f, d.now).Add(v.Settings.For)
	switch {
	case v.Settings.For <= 0 || !till.After(d.now):
		if c.OpenCount() <= 1 || !c.WaitTill.IsZero() {
			c.WaitTill = time.Time{}
		}
	case c.OpenCount() == 1 || !c.WaitTill.IsZero() && till.Before(c.WaitTill):
		c.WaitTill = till
	}
}

func (d *decider) lead(c *Case, seq uint64, x pipeline.Explanation) {
	c.Lead, c.Explanation = seq, x
}

// restate refreshes what a member says after a change of its reports or of the rules.
func (d *decider) restate(c *Case, h *Hot, rec *Record, f *pipeline.Finding) error {
	m, ok, err := d.l.Member(c.Number, h.Seq)
	if err != nil || !ok {
		return err
	}
	v := d.r.Judge(f)
	before := m
	m.Line = row(f, m.Status)
	if p := v.Explanation.Priority; p != m.Priority {
		if m.Status == Open {
			c.Count[m.Priority]--
			c.Count[p]++
		}
		m.Priority = p
	}
	rec.Explanation = v.Explanation
	d.l.putRecord(rec)
	same := sameMember(before, m)
	if !same {
		d.l.putMember(m)
	}
	settings := sameSettings(c.Settings, v.Settings)
	if !settings {
		c.Settings = v.Settings
		d.l.putCase(c)
	}
	if c.Lead == h.Seq {
		c.Explanation = v.Explanation
	}
	if m.Priority.Above(c.Priority) && m.Status == Open {
		d.lead(c, h.Seq, v.Explanation)
	}
	if !same || c.Lead == h.Seq {
		d.changed(c)
	}
	return d.reprioritise(c)
}

// leave takes an open, watched or suppressed member out: it is resolved.
func (d *decider) leave(c *Case, h *Hot, rec *Record, to Status, why string) error {
	m, ok, err := d.l.Member(c.Number, h.Seq)
	if err != nil || !ok {
		return err
	}
	switch m.Status {
	case Open:
		c.Count[m.Priority]--
	case Suppressed:
		c.Suppressed--
	}
	m.Status, m.Line.Status = to, to.String()
	d.l.putMember(m)
	h.Member = to
	d.place(h, rec)
	c.Evidence = why
	d.eachTicket(c, func(e *Entry) {
		e.Pending.Gone++
		if len(e.Pending.GoneSome) < some {
			e.Pending.GoneSome = append(e.Pending.GoneSome, m.Line.Resource+": "+why)
		}
	})
	d.auditFinding(h.Seq, c.Number, to.String(), "%s", why)
	d.changed(c)
	if err := d.relead(c, h.Seq); err != nil {
		return err
	}
	if err := d.reprioritise(c); err != nil {
		return err
	}
	d.closeWhenDone(c)
	return nil
}

// relead chooses the finding whose words the ticket carries, after the old one left:
// the most urgent open one, of equals the first that arrived.
func (d *decider) relead(c *Case, left uint64) error {
	if c.Lead != left || c.OpenCount() == 0 {
		return nil
	}
	var best Member
	err := d.l.Members(c.Number, func(m Member) bool {
		if m.Status == Open && (best.Seq == 0 || m.Priority.Above(best.Priority)) {
			best = m
		}
		return true
	})
	if err != nil || best.Seq == 0 {
		return err
	}
	rec, err := d.mustRecord(best.Seq)
	if err != nil {
		return err
	}
	d.lead(c, best.Seq, rec.Explanation)
	return nil
}

// closeWhenDone closes a case without open findings: as fixed, or as accepted while exceptions hold the rest.
func (d *decider) closeWhenDone(c *Case) {
	if !c.Open || c.OpenCount() > 0 || c.Digest {
		return
	}
	if c.Recurring {
		if quiet := c.Changed.Add(c.Settings.FlapQuiet); quiet.After(d.now) {
			c.QuietAt = quiet
			d.l.putCase(c)
			return
		}
	}
	if c.Suppressed > 0 {
		d.close(c, ClosedAccepted, "all that is left is an accepted exception")
		return
	}
	d.close(c, ClosedFixed, c.Evidence)
}

func (d *decider) close(c *Case, reason CloseReason, why string) {
	c.Open, c.Closed, c.ClosedAt, c.Evidence = false, reason, d.now, why
	c.LowerAt, c.WaitTill, c.Held, c.QuietAt = time.Time{}, time.Time{}, "", time.Time{}
	c.Ack, c.Snooze = nil, time.Time{}
	if d.r.Retain > 0 {
		c.PurgeAt = d.now.Add(d.r.Retain)
	}
	d.say(c, closeLine(reason, why))
	d.sum.Closed++
	d.auditCase(c, "closed", "", "%s", closeLine(reason, why))
	d.changed(c)
}

func closeLine(reason CloseReason, why string) string {
	switch reason {
	case ClosedFixed:
		return "Closed as fixed: " + why + "."
	case ClosedAccepted:
		return "Closed as accepted: " + why + "."
	case ClosedPerson:
		return "Closed by a person: " + why + "."
	case ClosedEmpty:
		return "Closed: no case waits for room any more."
	}
	return "Closed: " + why + "."
}

// reopen takes a closed case up again, with the ticket that it had.
func (d *decider) reopen(c *Case, why string) {
	c.Open, c.Closed, c.ClosedAt, c.Evidence, c.PurgeAt = true, "", time.Time{}, "", time.Time{}
	c.Person = nil
	c.Returns = append(c.Returns, d.now)
	if n := len(c.Returns); n > 100 {
		c.Returns = c.Returns[n-100:]
	}
	if !c.Recurring && d.flapping(c) {
		c.Recurring = true
		d.say(c, fmt.Sprintf("Came back %d times within %s: marked recurring, it stays open until it has been quiet for %s.",
			c.Settings.FlapTimes, c.Settings.FlapWithin, c.Settings.FlapQuiet))
		d.auditCase(c, "recurring", "", "came back %d times within %s", c.Settings.FlapTimes, c.Settings.FlapWithin)
	}
	d.say(c, "Reopened: "+why+".")
	d.sum.Reopened++
	d.auditCase(c, "reopened", "", "%s", why)
	d.changed(c)
}

func (d *decider) flapping(c *Case) bool {
	if c.Settings.FlapTimes <= 0 {
		return false
	}
	n := 0
	for _, t := range c.Returns {
		if d.now.Sub(t) <= c.Settings.FlapWithin {
			n++
		}
	}
	return n >= c.Settings.FlapTimes
}

// wanted is the priority that the open findings ask for.
func (c *Case) wanted() pipeline.Priority {
	for p := pipeline.P1; p <= pipeline.P5; p++ {
		if c.Count[p] > 0 {
			if c.Recurring && p > pipeline.P1 {
				return p - 1
			}
			return p
		}
	}
	return 0
}

// reprioritise lets the case's priority follow its findings: up at once, down
// after a quiet day, not at all where a person set it.
func (d *decider) reprioritise(c *Case) error {
	want := c.wanted()
	if want == 0 || c.PriorityBy != "" {
		c.LowerAt = time.Time{}
		d.tickets(c)
		return nil
	}
	switch {
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
	case c.Priority.Above(want):
		c.LowerAt = c.Changed.Add(quietDay)
	default:
		c.LowerAt = time.Time{}
	}
	d.due(c)
	d.tickets(c)
	d.l.putCase(c)
	return nil
}

// due works the SLA date out; a rise can only shorten it.
func (d *decider) due(c *Case) {
	if d.r.Due == nil || c.Priority == 0 {
		return
	}
	start := c.Since
	switch d.r.SLAStart {
	case "first_seen":
		start = c.Opened
	case "ticketed":
		start = time.Time{}
		for _, e := range c.Entries {
			if e.N > 0 && (start.IsZero() || e.Issued.Before(start)) {
				start = e.Issued
			}
		}
		if start.IsZero() {
			start = d.now
		}
	}
	c.Due = d.r.Due(c.Priority, start)
}

// tickets says for each sink of the case whether a ticket should be there and open.
func (d *decider) tickets(c *Case) {
	for sink, e := range c.Entries {
		want := c.Open && d.sinkIs(sink)
		if want && e.N == 0 && e.Ref.IsZero() {
			want = c.Manual || c.Digest || c.WaitTill.IsZero() && !c.Settings.TicketsFrom.Above(c.Priority)
		}
		if want != e.WantOpen {
			e.WantOpen = want
			e.Wanted = c.Rev
			if want && e.Ref.IsZero() && e.N == 0 {
				e.Delivered = 0 // what was settled as "nothing to do" is to be done now
			}
		}
	}
}

func (d *decider) sinkIs(name string) bool { return d.r.Sinks == nil || d.r.Sinks[name] }

// changed starts a new revision of what the tickets should say.
func (d *decider) changed(c *Case) {
	c.Rev++
	c.Changed = d.now
	if !c.LowerAt.IsZero() {
		c.LowerAt = d.now.Add(quietDay)
	}
	d.tickets(c)
	for _, e := range c.Entries {
		e.Wanted = c.Rev
		if e.N == 0 && e.Ref.IsZero() && !e.WantOpen {
			e.Delivered = e.Wanted // nothing to do: there is no record, and none is wanted
		}
	}
	d.sum.Updated++
	d.l.putCase(c)
}

// say adds a line to the next comment of every ticket that the case has.
func (d *decider) say(c *Case, text string) {
	d.eachTicket(c, func(e *Entry) {
		if len(e.Pending.Lines) < 20 {
			e.Pending.Lines = append(e.Pending.Lines, text)
		}
	})
}

// eachTicket visits the entries that have, or are about to have, a record: a
// first text carries all by itself and needs no comment.
func (d *decider) eachTicket(c *Case, fn func(*Entry)) {
	for _, e := range c.Entries {
		if e.N > 0 || !e.Ref.IsZero() {
			fn(e)
		}
	}
}

func sameMember(a, b Member) bool {
	if a.Status != b.Status || a.Priority != b.Priority || len(a.Line.Products) != len(b.Line.Products) {
		return false
	}
	x, y := a.Line, b.Line
	x.Products, y.Products = nil, nil
	for i := range a.Line.Products {
		if a.Line.Products[i] != b.Line.Products[i] {
			return false
		}
	}
	return x.Title == y.Title && x.Severity == y.Severity && x.Status == y.Status &&
		x.Account == y.Account && x.Region == y.Region && x.Resource == y.Resource
}

func sameSettings(a, b Settings) bool {
	if len(a.Assignee) != len(b.Assignee) {
		return false
	}
	for i := range a.Assignee {
		if a.Assignee[i] != b.Assignee[i] {
			return false
		}
	}
	a.Assignee, b.Assignee = nil, nil
	return a.TicketsFrom == b.TicketsFrom && a.For == b.For && a.ReopenWindow == b.ReopenWindow &&
		a.RecheckAfter == b.RecheckAfter && a.FlapTimes == b.FlapTimes && a.FlapWithin == b.FlapWithin && a.FlapQuiet == b.FlapQuiet
}

// line names a finding in half a line.
func line(f *pipeline.Finding) string {
	what := f.Title
	if what == "" {
		what = f.Control
	}
	return what + " (" + f.Resource.ID + ")"
}

// row is a finding in a ticket's list.
func row(f *pipeline.Finding, s Status) pipeline.TicketFinding {
	return pipeline.TicketFinding{
		Fingerprint: f.Fingerprint, Title: f.Title, Severity: f.Severity, Status: s.String(),
		Account: f.Account.ID, Region: f.Region, Resource: f.Resource.ID, Products: f.Products,
	}
}
