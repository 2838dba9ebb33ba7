package triage

import (
	"fmt"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// dueAtOnce is how many cases one tick looks at; the next tick goes on.
const dueAtOnce = 500

// tick lets time do what it does: waits end, priorities follow down, acks and
// exceptions end, quiet cases close, old ones are forgotten.
func (d *decider) tick() error {
	for _, s := range d.l.Suppressions() {
		if !s.Ended.IsZero() {
			continue
		}
		switch {
		case !s.Until.After(d.now):
			s.Ended = d.now
			d.putSuppression(s)
			if err := d.endSuppression(s.Name, fmt.Sprintf("suppression %s ended on %s", s.Name, lastDay(s.Until))); err != nil {
				return err
			}
		case !s.Noticed && s.Until.Sub(d.now) <= noticeBefore && s.Until.Sub(s.Created) > noticeBefore:
			s.Noticed = true
			d.putSuppression(s)
			if err := d.notice(s); err != nil {
				return err
			}
		}
	}
	for _, n := range d.l.Due(d.now, dueAtOnce) {
		c, err := d.mustCase(n)
		if err != nil {
			return err
		}
		if err := d.caseDue(c); err != nil {
			return err
		}
	}
	return nil
}

// lastDay is the day that an instant ends: a suppression until the 31st ends with that day.
func lastDay(t time.Time) string { return t.Add(-time.Nanosecond).Format("2006-01-02") }

// notice tells the tickets of what it holds that an exception is about to end.
func (d *decider) notice(s Suppression) error {
	told := map[uint64]bool{}
	var cases []uint64
	d.l.SuppressedBy(s.Name, func(seq uint64) bool {
		if h := d.l.hotSeq(seq); h != nil && h.Case != 0 && !told[h.Case] {
			told[h.Case] = true
			cases = append(cases, h.Case)
		}
		return true
	})
	for _, n := range cases {
		c, err := d.mustCase(n)
		if err != nil {
			return err
		}
		d.say(c, fmt.Sprintf("The suppression %s (%s) ends on %s: what is still reported then counts again.",
			s.Name, s.Reason, lastDay(s.Until)))
		d.auditCase(c, "notice", "", "suppression %s ends on %s", s.Name, lastDay(s.Until))
		d.revised(c)
	}
	return nil
}

func (d *decider) caseDue(c *Case) error {
	over := func(t time.Time) bool { return !t.IsZero() && !t.After(d.now) }
	if !c.Open {
		if over(c.PurgeAt) && c.AtRest() && c.OpenCount() == 0 && c.Suppressed == 0 {
			return d.forget(c)
		}
		if over(c.PurgeAt) {
			c.PurgeAt = d.now.Add(quietDay) // something is still under way or stuck there: look again tomorrow
			d.l.putCase(c)
		}
		return d.recheck(c)
	}
	if over(c.WaitTill) {
		if err := d.waitAgain(c); err != nil {
			return err
		}
	}
	if c.Ack != nil && over(c.Ack.Until) {
		d.auditCase(c, "unacked", "", "the ack of %s ended", c.Ack.By)
		c.Ack = nil
		d.revised(c)
	}
	if over(c.Snooze) {
		c.Snooze = time.Time{}
	}
	if over(c.LowerAt) {
		if want := c.wanted(); want != 0 && c.PriorityBy == "" && c.Priority.Above(want) {
			d.say(c, fmt.Sprintf("Priority falls from %s to %s after a quiet day.", c.Priority, want))
			d.auditCase(c, "priority", "", "%s, was %s: a quiet day", want, c.Priority)
			c.Priority = want
			c.LowerAt = time.Time{}
			d.revised(c)
			d.reprioritise(c)
		}
		c.LowerAt = time.Time{}
	}
	if c.Recurring && over(c.QuietAt) {
		c.QuietAt = time.Time{}
		if c.OpenCount() == 0 {
			c.Recurring, c.Returns = false, nil
			d.closeWhenDone(c)
		}
	}
	d.l.putCase(c)
	return nil
}

// lookedAgain: a source looked after a person's close and still reports the finding.
// A threat stays closed until it happened again.
func (d *decider) lookedAgain(h *Hot, l look) error {
	c, err := d.mustCase(h.Case)
	if err != nil {
		return err
	}
	if c.Open || c.Person == nil || !l.at.After(c.Person.At) {
		return nil
	}
	rec, err := d.mustRecord(h.Seq)
	if err != nil {
		return err
	}
	if f := rec.Finding(); f.Kind == pipeline.KindThreat && !l.occurred {
		return nil
	}
	if c.Person.Seen.IsZero() {
		c.Person.Seen = l.at
		d.l.putCase(c)
	}
	if l.occurred && !c.Person.WontFix {
		return d.reopenPerson(c, "it happened again at "+l.at.Format(time.RFC3339))
	}
	if c.Person.WontFix || c.Person.Reopened {
		return d.dispute(c)
	}
	return d.recheck(c)
}

// recheck reopens, once, a ticket that a person closed while the problem is still there.
func (d *decider) recheck(c *Case) error {
	p := c.Person
	if p == nil || p.Seen.IsZero() || p.Reopened || p.WontFix || d.now.Before(p.At.Add(c.Settings.RecheckAfter)) {
		return nil
	}
	return d.reopenPerson(c, fmt.Sprintf("%s closed it, and a source that looked again at %s still reports it", p.By, p.Seen.Format(time.RFC3339)))
}

func (d *decider) reopenPerson(c *Case, why string) error {
	seqs, err := d.openMembers(c)
	if err != nil {
		return err
	}
	to, err := d.successor(c)
	switch {
	case err != nil:
		return err
	case len(seqs) == 0:
		c.Person.Seen = time.Time{} // nothing of it is left to reopen it for
		d.l.putCase(c)
		return nil
	case to != nil:
		return d.fold(c, to, seqs, why)
	}
	if err := d.standing(seqs, Open); err != nil {
		return err
	}
	d.reopen(c, why, false)
	c.Person = &PersonClose{Reopened: true}
	d.reprioritise(c)
	return d.reclaim(c)
}

// openMembers lists the members of a case that count.
func (d *decider) openMembers(c *Case) ([]uint64, error) {
	var seqs []uint64
	err := d.l.Members(c.Number, func(m Member) bool {
		if m.Status == Open {
			seqs = append(seqs, m.Seq)
		}
		return true
	})
	return seqs, err
}

// dispute asks for an exception with an end, once.
func (d *decider) dispute(c *Case) error {
	if c.Disputed != "" {
		return nil
	}
	c.Disputed = "closed by " + c.Person.By + ", still reported"
	d.say(c, "Still reported after it was closed. If the risk is accepted, say so with an end: docket suppress add.")
	d.auditCase(c, "disputed", "", "%s", c.Disputed)
	d.revised(c)
	return nil
}

// standing sets where findings stand without touching their case.
func (d *decider) standing(seqs []uint64, s Status) error {
	for _, seq := range seqs {
		h := d.l.hotSeq(seq)
		if h == nil {
			continue
		}
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		h.Member = s
		d.place(h, rec)
	}
	return nil
}

// forget removes a case past its retention, and the findings that are in no other.
func (d *decider) forget(c *Case) error {
	var seqs []uint64
	err := d.l.Members(c.Number, func(m Member) bool {
		seqs = append(seqs, m.Seq)
		return true
	})
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if h := d.l.hotSeq(seq); h != nil && h.Case == c.Number && h.Member != Suppressed {
			d.l.purge(seq) // its former fingerprints go with its record
		}
	}
	if d.l.Newest(c.Key) == c.Number {
		d.l.newest[c.Key] = 0
		if g := d.l.Team(groupName(c.Key)); (!c.Ticketed.IsZero() || lastGen(c) > 1) && lastGen(c) > g.Gen {
			g.Gen = lastGen(c)
			d.l.teams[g.Name] = g
		}
	}
	for _, key := range c.Groups {
		if d.l.Newest(key) != c.Number {
			continue
		}
		d.l.newest[key] = 0
		if g := d.l.Team(groupName(key)); lastGen(c) > g.Gen {
			g.Gen = lastGen(c)
			d.l.teams[g.Name] = g
		}
	}
	d.l.purgedCases[c.Number] = true
	return nil
}
