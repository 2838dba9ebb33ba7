package triage

import (
	"fmt"
	"slices"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// some is how many findings a comment names; the rest is a number.
const some = 5

// join makes a finding an open member of an open (or reopening) case.
func (d *decider) join(c *Case, h *Hot, rec *Record, f *pipeline.Finding, v Verdict, back bool) error {
	before, known, err := d.l.Member(c.Number, h.Seq)
	if err == nil && !known {
		before.Told, err = d.toldBefore(h)
	}
	if err != nil {
		return err
	}
	closed := !c.Open
	if closed {
		d.reopen(c, fmt.Sprintf("%s is back", line(f)), true)
	}
	h.Case, h.Member = c.Number, Open
	d.place(h, rec)
	m := Member{Case: c.Number, Seq: h.Seq, Status: Open, Priority: v.Explanation.Priority, Line: row(f, Open), Told: before.Told}
	if err := d.counts(c, m, v.Explanation); err != nil {
		return err
	}
	if closed {
		if err := d.reclaim(c); err != nil {
			return err
		}
	}
	if !known {
		c.Total++
	}
	since := started(f, rec.FirstSeen, d.now)
	if since.Before(c.Since) {
		c.Since = since
	}
	d.wait(c, since, v)
	c.Settings = v.Settings
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
	d.reprioritise(c)
	return nil
}

// counts makes m an open member that counts, and the leading one when it is the most urgent.
func (d *decider) counts(c *Case, m Member, x pipeline.Explanation) error {
	lead, err := d.leadPriority(c)
	if err != nil {
		return err
	}
	d.l.putMember(m)
	c.Count[m.Priority]++
	if lead == 0 || c.Lead == m.Seq || m.Priority.Above(lead) {
		d.lead(c, m.Seq, x)
	}
	return nil
}

// leadPriority is the priority of the finding whose words the ticket carries; 0 when it does not count.
func (d *decider) leadPriority(c *Case) (pipeline.Priority, error) {
	m, ok, err := d.l.Member(c.Number, c.Lead)
	if err != nil || !ok || m.Status != Open {
		return 0, err
	}
	return m.Priority, nil
}

// wait holds the first ticket until the source has seen the problem for as long as the route says.
func (d *decider) wait(c *Case, since time.Time, v Verdict) {
	till := since.Add(v.Settings.For)
	switch {
	case v.Settings.For <= 0 || !till.After(d.now):
		c.WaitTill = time.Time{}
	case c.OpenCount() == 1 || !c.WaitTill.IsZero() && till.Before(c.WaitTill):
		c.WaitTill = till
	}
}

// waitAgain works the end of the wait out from the findings that are open now.
func (d *decider) waitAgain(c *Case) error {
	var seqs []uint64
	err := d.l.Members(c.Number, func(m Member) bool {
		if m.Status == Open {
			seqs = append(seqs, m.Seq)
		}
		return true
	})
	c.WaitTill = time.Time{}
	for _, seq := range seqs {
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		f := rec.Finding()
		till := started(&f, rec.FirstSeen, d.now).Add(c.Settings.For)
		if !till.After(d.now) {
			c.WaitTill = time.Time{}
			break
		}
		if c.WaitTill.IsZero() || till.Before(c.WaitTill) {
			c.WaitTill = till
		}
	}
	d.tickets(c)
	d.l.putCase(c)
	return err
}

func (d *decider) lead(c *Case, seq uint64, x pipeline.Explanation) {
	c.Lead, c.Explanation = seq, x
}

// restate refreshes what a member says after news of its reports, or after a change of the rules.
func (d *decider) restate(c *Case, h *Hot, rec *Record, f *pipeline.Finding, news bool) error {
	m, ok, err := d.l.Member(c.Number, h.Seq)
	if err != nil || !ok {
		return err
	}
	lead, err := d.leadPriority(c)
	if err != nil {
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
	explained := sameExplanation(rec.Explanation, v.Explanation)
	if !explained {
		rec.Explanation = v.Explanation
		d.l.putRecord(rec)
	}
	same := sameMember(before, m)
	if !same {
		d.l.putMember(m)
	}
	assigned, err := d.resettle(c, v.Settings)
	if err != nil {
		return err
	}
	led := c.Lead == h.Seq
	switch {
	case led:
		c.Explanation = v.Explanation
		if before.Priority.Above(m.Priority) {
			if err := d.relead(c, h.Seq); err != nil {
				return err
			}
		}
	case m.Status == Open && m.Priority.Above(lead):
		d.lead(c, h.Seq, v.Explanation)
	}
	due := c.Due
	switch {
	case news && (led || !same):
		d.changed(c)
	case !same || led && !explained || assigned:
		d.revised(c)
	}
	rev := c.Rev
	d.reprioritise(c)
	if !c.Due.Equal(due) && c.Rev == rev && same && !led {
		d.revised(c)
	}
	return nil
}

// resettle takes over what the route says now, and reports whether the ticket shows it.
func (d *decider) resettle(c *Case, s Settings) (bool, error) {
	if sameSettings(c.Settings, s) {
		return false, nil
	}
	before := c.Settings
	c.Settings = s
	d.l.putCase(c)
	if c.Open && before.For != s.For && !c.WaitTill.IsZero() {
		if err := d.waitAgain(c); err != nil {
			return false, err
		}
	}
	return !slices.Equal(before.Assignee, s.Assignee), nil
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
	d.reprioritise(c)
	d.closeWhenDone(c)
	d.retire(c, to == Resolved)
	return nil
}

// retire takes note that nothing of a closed case is left that could count again. Where evidence
// says that its last finding is gone, it is fixed, whoever closed it before; only
// what a person closed for good stays so.
func (d *decider) retire(c *Case, evidence bool) {
	if c.Open || c.OpenCount() > 0 || c.Suppressed > 0 {
		return
	}
	if evidence && (c.Closed == ClosedAccepted || c.Closed == ClosedPerson && (c.Person == nil || !c.Person.WontFix)) {
		c.Closed, c.ClosedAt, c.Person, c.Disputed = ClosedFixed, d.now, nil, ""
		d.say(c, "Confirmed as fixed: "+c.Evidence+".")
		d.auditCase(c, "confirmed", "", "fixed: %s", c.Evidence)
	}
	if d.r.Retain > 0 && c.PurgeAt.IsZero() {
		c.PurgeAt = d.now.Add(d.r.Retain)
	}
	d.l.putCase(c)
}

// relead chooses the finding whose words the ticket carries, after the old one left: of the most urgent open ones the
// next that arrived after it, else the first. So a case whose findings go one after the other is gone through once.
func (d *decider) relead(c *Case, left uint64) error {
	if c.Lead != left || c.OpenCount() == 0 {
		return nil
	}
	best, top := uint64(0), c.top()
	from := func(seq uint64) error {
		return d.l.MembersFrom(c.Number, seq, func(m Member) bool {
			if m.Status == Open && m.Priority == top {
				best = m.Seq
			}
			return best == 0
		})
	}
	err := from(left)
	if err == nil && best == 0 {
		err = from(0)
	}
	if err != nil || best == 0 {
		return err
	}
	rec, err := d.mustRecord(best)
	if err != nil {
		return err
	}
	d.lead(c, best, rec.Explanation)
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
	d.say(c, closeLine(reason, why))
	d.sum.Closed++
	d.counted[c.Number] = true
	d.auditCase(c, "closed", "", "%s", closeLine(reason, why))
	d.changed(c)
	d.retire(c, false)
}

func closeLine(reason CloseReason, why string) string {
	switch reason {
	case ClosedFixed:
		return "Closed as fixed: " + why + "."
	case ClosedAccepted:
		return "Closed as accepted: " + why + "."
	case ClosedPerson:
		return "Closed by a person: " + why + "."
	case ClosedMerged:
		return "Closed as merged: " + why + "."
	case ClosedEmpty:
		return "Closed: no case waits for room any more."
	}
	return "Closed: " + why + "."
}

// reopen takes a closed case up again, with the ticket that it had. It came
// back when its findings did; what people and exceptions reopen does not flap.
func (d *decider) reopen(c *Case, why string, cameBack bool) {
	c.Open, c.Closed, c.ClosedAt, c.Evidence, c.PurgeAt = true, "", time.Time{}, "", time.Time{}
	c.Person, c.Disputed = nil, ""
	if n := d.l.Newest(c.Key); n != c.Number {
		c.Gen = max(c.Gen, d.l.Team(groupName(c.Key)).Gen)
		newer, err := d.l.caseOf(n)
		if err == nil && newer != nil {
			c.Gen = max(c.Gen, lastGen(newer))
		}
		if err == nil && (newer == nil || !newer.Open) { // an open one holds the group since another map gave it that
			d.l.newest[c.Key] = c.Number
		}
	}
	if cameBack {
		c.Returns = append(c.Returns, d.now)
	}
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
	d.counted[c.Number] = true
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

// tickets says for each sink of the case whether a ticket should be there and
// open, and reports whether that changed.
func (d *decider) tickets(c *Case) bool {
	changed, any := false, false
	for _, sink := range c.TicketSinks() {
		e := c.Entries[sink]
		want := c.Open && d.sinkIs(sink)
		if want && e.N == 0 && e.Ref.IsZero() {
			want = c.Manual || c.Digest || c.WaitTill.IsZero() && !c.Settings.TicketsFrom.Above(c.Priority)
		}
		if want != e.WantOpen {
			changed = true
			e.WantOpen = want
			e.LeftOpen = e.LeftOpen && !want
			e.Wanted = c.Rev
			if want && e.Ref.IsZero() && e.N == 0 {
				e.Delivered = 0 // what was settled as "nothing to do" is to be done now
			}
		}
		any = any || want
	}
	if c.Held != "" && !any {
		c.Held, changed = "", true // it waits for no ticket any more
	}
	return changed
}

// changed starts a new revision because the findings changed: the case is not quiet.
func (d *decider) changed(c *Case) {
	c.Changed = d.now
	if !c.LowerAt.IsZero() {
		c.LowerAt = d.now.Add(quietDay)
	}
	d.revised(c)
}

// revised starts a new revision of what the tickets should say.
func (d *decider) revised(c *Case) {
	c.Rev++
	d.tickets(c)
	for _, sink := range c.TicketSinks() {
		e := c.Entries[sink]
		e.Wanted = c.Rev
		if e.N == 0 && e.Ref.IsZero() && !e.WantOpen {
			e.Delivered = e.Wanted // nothing to do: there is no record, and none is wanted
		}
	}
	if !d.counted[c.Number] {
		d.counted[c.Number] = true
		d.sum.Updated++
	}
	d.l.putCase(c)
}

// say adds a line to the next comment of every ticket that the case has, but for
// the one in which a person did what the line tells.
func (d *decider) say(c *Case, text string) {
	d.eachTicket(c, func(e *Entry) {
		if d.from != "" && e == c.Entries[d.from] {
			return
		}
		if len(e.Pending.Lines) < 20 {
			e.Pending.Lines = append(e.Pending.Lines, text)
		}
	})
}

// eachTicket visits the entries that have, or are about to have, a record: a
// first text carries all by itself and needs no comment.
func (d *decider) eachTicket(c *Case, fn func(*Entry)) {
	for _, e := range c.Entries {
		if e.Back == nil && (e.N > 0 || !e.Ref.IsZero()) {
			fn(e)
		}
	}
}

func sameMember(a, b Member) bool {
	x, y := &a.Line, &b.Line
	return a.Status == b.Status && a.Priority == b.Priority && slices.Equal(x.Products, y.Products) &&
		x.Title == y.Title && x.Severity == y.Severity && x.Status == y.Status &&
		x.Account == y.Account && x.Region == y.Region && x.Resource == y.Resource
}

func sameSettings(a, b Settings) bool {
	return slices.Equal(a.Assignee, b.Assignee) && a.TicketsFrom == b.TicketsFrom && a.For == b.For &&
		a.ReopenWindow == b.ReopenWindow && a.RecheckAfter == b.RecheckAfter &&
		a.FlapTimes == b.FlapTimes && a.FlapWithin == b.FlapWithin && a.FlapQuiet == b.FlapQuiet
}

func sameExplanation(a, b pipeline.Explanation) bool {
	return a.Priority == b.Priority && a.Score == b.Score && a.Rule == b.Rule &&
		slices.EqualFunc(a.Reasons, b.Reasons, sameReason) && slices.Equal(a.Errors, b.Errors)
}

// sameReason leaves out which copy of a feed was asked: a decision keeps the date of the copy that it was made with until it
// is another decision, so that a feed's daily copy changes no ticket.
func sameReason(a, b pipeline.Reason) bool {
	return a.What == b.What && a.Points == b.Points && a.Feed == b.Feed && (a.Feed != "" || a.Why == b.Why)
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
