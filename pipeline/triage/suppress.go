package triage

import (
	"fmt"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// noticeBefore is how long before its end a suppression is announced.
const noticeBefore = 7 * 24 * time.Hour

// active lists the suppressions in force. Only a confirmed tick ends one, so
// that a jump of the clock ends none.
func (d *decider) active() []Suppression {
	if !d.loaded {
		d.exceptions = d.exceptions[:0]
		for _, s := range d.l.Suppressions() {
			if s.Ended.IsZero() && (!d.r.NeedsApproval || s.Config || s.ApprovedBy != "") {
				d.exceptions = append(d.exceptions, s)
			}
		}
		d.loaded = true
	}
	return d.exceptions
}

// suppressedBy is the first suppression, by name, that holds the finding.
func (d *decider) suppressedBy(f *pipeline.Finding) string {
	for _, s := range d.active() {
		if ok, err := d.r.Matches(s.When, f); err == nil && ok {
			return s.Name
		}
	}
	return ""
}

func (d *decider) putSuppression(s Suppression) {
	d.l.suppressions[s.Name] = &s
	d.loaded = false
}

// hold marks a finding as under an exception.
func (d *decider) hold(h *Hot, rec *Record, name string) {
	rec.SuppressedBy = name
	h.Member = Suppressed
	d.l.holds[HoldChange{Suppression: name, Seq: h.Seq}] = true
	d.place(h, rec)
	d.l.touchedMembers[memberKey{h.Case, h.Seq}] = true // it may be held by another one now
}

// release takes the exception off the record; the caller decides where the finding goes.
func (d *decider) release(h *Hot, rec *Record) {
	if rec.SuppressedBy != "" {
		d.l.holds[HoldChange{Suppression: rec.SuppressedBy, Seq: h.Seq}] = false
		rec.SuppressedBy = ""
		d.l.putRecord(rec)
	}
}

// suppress takes an open member out of its case's count; when nothing else is
// open, the case closes as accepted.
func (d *decider) suppress(c *Case, h *Hot, rec *Record, name string) error {
	m, ok, err := d.l.Member(c.Number, h.Seq)
	if err != nil || !ok {
		return err
	}
	c.Count[m.Priority]--
	c.Suppressed++
	m.Status, m.Line.Status = Suppressed, Suppressed.String()
	d.l.putMember(m)
	d.hold(h, rec, name)
	d.say(c, fmt.Sprintf("%s is accepted by suppression %s.", m.Line.Resource, name))
	d.auditFinding(h.Seq, c.Number, "suppressed", "suppressed by %s", name)
	d.changed(c)
	if err := d.relead(c, h.Seq); err != nil {
		return err
	}
	d.reprioritise(c)
	d.closeWhenDone(c)
	if c.Closed == ClosedPerson && c.OpenCount() == 0 {
		// What a person closed is accepted with an end now: at the end its ticket reopens.
		c.Closed, c.Person, c.Disputed = ClosedAccepted, nil, ""
	}
	return nil
}

// unsuppress lets a finding count again: its ticket reopens, whenever it closed.
func (d *decider) unsuppress(h *Hot, rec *Record, f *pipeline.Finding, why string) error {
	d.release(h, rec)
	d.auditFinding(h.Seq, h.Case, "unsuppressed", "%s", why)
	if h.Case == 0 {
		h.Member = NotMember
		d.place(h, rec)
		if f.Status != pipeline.StatusOpen {
			return nil
		}
		return d.admit(h, rec, f)
	}
	c, err := d.mustCase(h.Case)
	if err != nil {
		return err
	}
	m, ok, err := d.l.Member(c.Number, h.Seq)
	if err != nil || !ok {
		return err
	}
	if m.Status == Suppressed {
		c.Suppressed--
	}
	to, err := d.successor(c)
	if err != nil {
		return err
	}
	own, err := d.ownCase(c, d.r.Judge(f))
	switch {
	case err != nil:
		return err
	case own != c && c.Closed != ClosedPerson && f.Status == pipeline.StatusOpen:
		return d.elsewhere(c, h, rec, f, m, why)
	case c.Open || c.Closed == ClosedAccepted && f.Status == pipeline.StatusOpen && to == nil:
		return d.countAgain(c, h, rec, f, Open, why)
	case c.Closed == ClosedPerson:
		// A person closed the rest of it meanwhile: a source must look again here too.
		return d.countAgain(c, h, rec, f, Watched, why)
	}
	return d.elsewhere(c, h, rec, f, m, why)
}

// countAgain makes a finding a counting member of its case again, which reopens when it is to be worked on.
func (d *decider) countAgain(c *Case, h *Hot, rec *Record, f *pipeline.Finding, as Status, why string) error {
	back := !c.Open && as == Open
	if back {
		d.reopen(c, why, false)
	}
	before, _, err := d.l.Member(c.Number, h.Seq)
	if err != nil {
		return err
	}
	v := d.r.Judge(f)
	rec.Explanation = v.Explanation
	h.Member = as
	d.place(h, rec)
	m := Member{Case: c.Number, Seq: h.Seq, Status: Open, Priority: v.Explanation.Priority, Line: row(f, Open), Told: before.Told}
	if err := d.counts(c, m, v.Explanation); err != nil {
		return err
	}
	if back {
		if err := d.reclaim(c); err != nil {
			return err
		}
	}
	c.PurgeAt = time.Time{}
	d.say(c, m.Line.Resource+" counts again: "+why+".")
	d.changed(c)
	d.reprioritise(c)
	return nil
}

// elsewhere takes a finding that counts again out of its closed case: it finds
// its place as one that is back.
func (d *decider) elsewhere(c *Case, h *Hot, rec *Record, f *pipeline.Finding, m Member, why string) error {
	d.left(m)
	h.Case, h.Member = 0, NotMember
	d.place(h, rec)
	if f.Status == pipeline.StatusOpen {
		if err := d.admit(h, rec, f); err != nil {
			return err
		}
		if h.Case != 0 {
			c.MovedTo = h.Case
			d.say(c, m.Line.Resource+" counts again in "+CaseID(h.Case)+": "+why+".")
		}
	}
	d.revised(c)
	d.retire(c, false)
	return nil
}

// successor is the open case of the same group that was made after this one closed, or nil.
func (d *decider) successor(c *Case) (*Case, error) {
	key, err := d.about(c)
	if err != nil {
		return nil, err
	}
	n := d.l.Newest(key)
	if n == 0 || n == c.Number {
		return nil, nil
	}
	s, err := d.mustCase(n)
	if err != nil || !s.Open {
		return nil, err
	}
	return s, nil
}

// fold gives the findings of a closed case that count again to the open case
// of their group, because a group has one ticket at a time.
func (d *decider) fold(c, to *Case, seqs []uint64, why string) error {
	for _, seq := range seqs {
		h := d.l.hotSeq(seq)
		if h == nil {
			continue
		}
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		m, _, err := d.l.Member(c.Number, seq)
		if err != nil {
			return err
		}
		f := rec.Finding()
		c.Count[m.Priority]--
		d.left(m)
		if err := d.join(to, h, rec, &f, d.r.Judge(&f), true); err != nil {
			return err
		}
	}
	c.Closed, c.MovedTo, c.Person, c.Disputed = ClosedMoved, to.Number, nil, ""
	d.sayEverywhere(c, fmt.Sprintf("%s counts again in %s: %s.", countWord(len(seqs)), to.ID(), why))
	d.auditCase(c, "moved", "", "%s to %s: %s", countWord(len(seqs)), to.ID(), why)
	d.revised(c)
	d.retire(c, false)
	return nil
}

// endSuppression lets everything that it held count again.
func (d *decider) endSuppression(name, why string) error {
	var held []uint64
	d.l.SuppressedBy(name, func(seq uint64) bool {
		held = append(held, seq)
		return true
	})
	for _, seq := range held {
		h := d.l.hotSeq(seq)
		if h == nil {
			continue
		}
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		f := rec.Finding()
		if other := d.suppressedBy(&f); other != "" && other != name {
			d.release(h, rec)
			d.hold(h, rec, other)
			continue
		}
		if err := d.unsuppress(h, rec, &f, why); err != nil {
			return err
		}
	}
	return nil
}

// config makes another configuration the one in force: its suppressions are
// taken over, and every finding that counts is looked at again, a few at a time.
func (d *decider) config(in *ConfigChange) error {
	wanted := map[string]bool{}
	for _, s := range d.r.Suppressions {
		wanted[s.Name] = true
		have, ok := d.find(s.Name)
		if ok && have.Config && have.When == s.When && have.Until.Equal(s.Until) {
			if have.Reason != s.Reason || have.By != s.By {
				have.Reason, have.By = s.Reason, s.By
				d.putSuppression(have)
			}
			continue
		}
		n := Suppression{Suppression: s}
		n.Config = true
		if n.Created.IsZero() {
			n.Created = d.now
		}
		if !s.Until.After(d.now) {
			n.Ended = d.now
		}
		d.putSuppression(n)
	}
	for _, s := range d.l.Suppressions() {
		if s.Config && !wanted[s.Name] {
			d.l.suppressions[s.Name] = nil
			d.loaded = false
			if err := d.endSuppression(s.Name, "suppression "+s.Name+" was removed"); err != nil {
				return err
			}
		}
	}
	for _, team := range d.r.Teams {
		c, err := d.l.caseOf(d.l.Team(team).Digest)
		if err != nil {
			return err
		}
		if c != nil {
			d.refit(c)
		}
	}
	d.l.meta.Config = in.Hash
	d.startSweep()
	return nil
}

func (d *decider) find(name string) (Suppression, bool) {
	for _, s := range d.l.Suppressions() {
		if s.Name == name {
			return s, true
		}
	}
	return Suppression{}, false
}

func (d *decider) startSweep() {
	if d.l.meta.NextSeq > 1 {
		d.l.meta.Sweep, d.l.meta.SweepTill = 1, d.l.meta.NextSeq
	}
}

// sweep looks at the next n findings again under the rules in force: priority,
// text, SLA and exceptions follow at once; the case that a finding is in does not.
func (d *decider) sweep(n int) error {
	if d.l.meta.Sweep == 0 {
		return nil
	}
	seq := d.l.meta.Sweep
	for ; n > 0 && seq < d.l.meta.SweepTill; seq, n = seq+1, n-1 {
		h := d.l.hotSeq(seq)
		if h == nil {
			continue
		}
		if h.Case != 0 {
			c, err := d.mustCase(h.Case)
			if err != nil {
				return err
			}
			d.refit(c)
		}
		if h.Member != Open && h.Member != Suppressed && h.Member != Watched {
			continue
		}
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		f := rec.Finding()
		if f.Status == pipeline.StatusResolved {
			continue
		}
		if h.Case != 0 {
			d.l.touchedMembers[memberKey{h.Case, seq}] = true // it, or its exception, may be told of in other words, or for the first time
		}
		if err := d.settle(h, rec, &f, false); err != nil {
			return err
		}
	}
	d.l.meta.Sweep = seq
	if seq >= d.l.meta.SweepTill {
		d.l.meta.Sweep, d.l.meta.SweepTill = 0, 0
	}
	return nil
}
