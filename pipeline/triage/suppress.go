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
	if err := d.reprioritise(c); err != nil {
		return err
	}
	d.closeWhenDone(c)
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
	if !c.Open && c.Closed != ClosedAccepted {
		// Its case ended for another reason meanwhile: it finds its place as a finding that is back.
		m.Status, m.Line.Status = Resolved, Resolved.String()
		d.l.putMember(m)
		h.Member = Resolved
		d.place(h, rec)
		d.l.putCase(c)
		return d.admit(h, rec, f)
	}
	if !c.Open {
		d.reopen(c, why)
	}
	v := d.r.Judge(f)
	rec.Explanation = v.Explanation
	h.Member = Open
	d.place(h, rec)
	m = Member{Case: c.Number, Seq: h.Seq, Status: Open, Priority: v.Explanation.Priority, Line: row(f, Open)}
	d.l.putMember(m)
	c.Count[m.Priority]++
	if c.OpenCount() == 1 || m.Priority.Above(c.Priority) {
		d.lead(c, h.Seq, v.Explanation)
	}
	d.say(c, m.Line.Resource+" counts again: "+why+".")
	d.changed(c)
	return d.reprioritise(c)
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
		if h == nil || h.Member != Open && h.Member != Suppressed {
			continue
		}
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		f := rec.Finding()
		if h.Case != 0 && h.Member == Open {
			c, err := d.mustCase(h.Case)
			if err != nil {
				return err
			}
			d.refit(c)
		}
		if f.Status == pipeline.StatusResolved {
			continue
		}
		if err := d.settle(h, rec, &f); err != nil {
			return err
		}
	}
	d.l.meta.Sweep = seq
	if seq >= d.l.meta.SweepTill {
		d.l.meta.Sweep, d.l.meta.SweepTill = 0, 0
	}
	return nil
}

// refit carries renamed and removed sinks over into a case's entries.
func (d *decider) refit(c *Case) {
	for i, sink := range c.Sinks {
		to, renamed := d.r.Renamed[sink]
		if !renamed || c.Entries[to] != nil {
			continue
		}
		c.Sinks[i] = to
		c.Entries[to] = c.Entries[sink]
		delete(c.Entries, sink)
		d.l.putCase(c)
	}
	for sink, e := range c.Entries {
		if !d.sinkIs(sink) && e.St == Inflight {
			e.St, e.Reason, e.Since = Parked, "the sink was removed from the configuration", d.now
			d.l.putCase(c)
		}
	}
}
