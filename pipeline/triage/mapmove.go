package triage

import (
	"cmp"
	"slices"

	"github.com/docket-hub/docket/pipeline"
)

// hand gives one report of a finding to another one, with what it is compared with and the scopes that it stands in.
func (d *decider) hand(from *Hot, rf *Record, to *Hot, rt *Record, i int) error {
	rep := rf.Reports[i]
	var raw []byte
	if i < len(rf.Raw) {
		raw = rf.Raw[i]
		rf.Raw = slices.Delete(slices.Clone(rf.Raw), i, i+1)
	}
	rf.Reports = slices.Delete(slices.Clone(rf.Reports), i, i+1)
	key := pipeline.ReportKey(rep.Product, rep.ID)
	hr := from.Find(key)
	if hr == nil {
		return nil // state says of it in `docket state verify`
	}
	moved := *hr
	from.Reports = slices.DeleteFunc(slices.Clone(from.Reports), func(r HotReport) bool { return r.Key == key })
	d.l.putHot(from)
	d.l.putRecord(rf)
	for _, scope := range append([]string{rep.Scope}, rf.Also...) {
		if scope == "" || !d.l.InScope(ScopeReport{scope, from.Seq, key}) {
			continue
		}
		d.l.scopeReports[ScopeReport{scope, from.Seq, key}] = false
		d.l.scopeReports[ScopeReport{scope, to.Seq, key}] = true
		rt.also(scope, rep.Scope)
	}
	if have := to.Find(key); have != nil && cmp.Compare(have.Observed, moved.Observed) >= 0 {
		return nil // the one that is there says the same, later
	}
	if err := d.retell(to, &rep); err != nil {
		return err
	}
	rep.Raw = raw
	d.putReport(rt, rep)
	d.setHot(to, moved, "")
	return nil
}

// splitOff takes the reports that have another fingerprint now out of a finding. They go to the finding that goes
// by it, or become one of their own. Neither makes a ticket: what counted goes on counting where
// it did, or in the open case of its group where there is one. was is the group that the whole had.
func (d *decider) splitOff(h *Hot, rec *Record, to map[[16]byte]pipeline.Fingerprint, print pipeline.Fingerprint, was string) error {
	n := d.holder(print)
	fresh := n == nil
	var nrec *Record
	var err error
	if fresh {
		if err := d.take(print); err != nil {
			return err
		}
		n = &Hot{Seq: d.l.meta.NextSeq, Print: print}
		d.l.meta.NextSeq++
		d.l.putPrint(n)
		nrec = &Record{Seq: n.Seq, Print: print, FirstSeen: rec.FirstSeen, LastChange: rec.LastChange, Unwatched: rec.Unwatched}
	} else if nrec, err = d.mustRecord(n.Seq); err != nil {
		return err
	}
	for i := 0; i < len(rec.Reports); {
		r := &rec.Reports[i]
		if to[pipeline.ReportKey(r.Product, r.ID)] != print {
			i++
			continue
		}
		if err := d.hand(h, rec, n, nrec, i); err != nil {
			return err
		}
	}
	if len(nrec.Reports) == 0 {
		return nil
	}
	d.l.putHot(n)
	d.l.putRecord(nrec)
	d.sum.Split++
	f := nrec.Finding()
	d.auditFinding(h.Seq, h.Case, "split", "%s is a finding of its own: by the equivalence map %s", print.Short(), d.r.Map)
	if fresh {
		err = d.settleSplit(h, n, nrec, &f)
	} else {
		err = d.settleJoined(h, n, nrec, &f)
	}
	if err == nil {
		err = d.rekeyed(n, &f, was)
	}
	d.auditFinding(n.Seq, n.Case, "split", "it was part of %s: until the equivalence map %s", h.Print.Short(), d.r.Map)
	return err
}

// settleSplit gives a finding that was part of another one its place.
func (d *decider) settleSplit(h, n *Hot, rec *Record, f *pipeline.Finding) error {
	v := d.r.Judge(f)
	rec.Explanation = v.Explanation
	open := f.Status == pipeline.StatusOpen
	switch {
	case h.Case == 0 && h.Member == Suppressed && f.Status != pipeline.StatusResolved, h.Case == 0 && open:
		if name := d.suppressedBy(f); name != "" {
			d.hold(n, rec, name)
			return nil
		}
		if open {
			return d.admit(n, rec, f)
		}
		return nil
	case h.Case == 0 || f.Status == pipeline.StatusUnproven && h.Member != Suppressed:
		return nil
	}
	c, err := d.mustCase(h.Case)
	if err != nil {
		return err
	}
	if h.Member == Open && open {
		into, err := d.splitInto(c, v)
		if err != nil {
			return err
		}
		d.carryTold(h, n)
		return d.join(into, n, rec, f, v, false)
	}
	as := Resolved
	switch {
	case h.Member == Suppressed && f.Status != pipeline.StatusResolved:
		as = Suppressed
	case h.Member == Watched && open:
		as = Watched
	}
	return d.placeSplit(c, h, n, rec, f, v, as)
}

// placeSplit makes a finding a member of the case that it was part of already, and stands there as it did.
func (d *decider) placeSplit(c *Case, h, n *Hot, rec *Record, f *pipeline.Finding, v Verdict, as Status) error {
	told, _, err := d.l.Member(c.Number, h.Seq)
	if err != nil {
		return err
	}
	n.Case, n.Member = c.Number, as
	m := Member{Case: c.Number, Seq: n.Seq, Status: as, Priority: v.Explanation.Priority, Line: row(f, as), Told: told.Told}
	c.Total++
	switch as {
	case Watched:
		m.Status, m.Line = Open, row(f, Open)
		c.Count[m.Priority]++
	case Suppressed:
		c.Suppressed++
	}
	d.l.putMember(m)
	d.place(n, rec)
	if d.l.putCase(c); c.Open {
		d.revised(c)
	}
	if as != Suppressed {
		return nil
	}
	if name := d.suppressedBy(f); name != "" {
		d.hold(n, rec, name)
		return nil
	}
	return d.unsuppress(n, rec, f, "as a finding of its own it no longer matches the suppression of "+h.Print.Short())
}

// carryTold lets a finding go on from what the products were told of the one that it was part of.
func (d *decider) carryTold(h, n *Hot) {
	if m, ok, err := d.l.Member(h.Case, h.Seq); err == nil && ok && len(m.Told) > 0 {
		d.carried[n.Seq] = m.Told
	}
}

// splitInto is the open case of a finding's group where it has one, else the case that the finding is, or was, in.
func (d *decider) splitInto(c *Case, v Verdict) (*Case, error) {
	w, err := d.l.caseOf(d.l.Newest(v.Key))
	if err != nil || w == nil || !w.Open {
		return c, err
	}
	return w, nil
}

// ownCase is the case that a finding goes on in which counts again: the one it was in, unless an equivalence map gave it the group
// of another open one. Changed rules alone move nothing.
func (d *decider) ownCase(c *Case, v Verdict) (*Case, error) {
	if !c.Holds(v.Key) && !slices.Contains(c.Rekeyed, v.Key) {
		return c, nil
	}
	return d.splitInto(c, v)
}

// settleJoined brings a finding up to the reports that came to it from another one.
func (d *decider) settleJoined(h, n *Hot, rec *Record, f *pipeline.Finding) error {
	counts := n.Member == Open || n.Member == Watched || n.Member == Suppressed
	if h.Member != Open && h.Member != Watched || f.Status != pipeline.StatusOpen || counts {
		return d.settle(n, rec, f, false)
	}
	own, err := d.l.caseOf(n.Case)
	if err != nil {
		return err
	}
	if own != nil && own.Open {
		return d.settle(n, rec, f, false)
	}
	c, err := d.mustCase(h.Case)
	if err != nil {
		return err
	}
	v := d.r.Judge(f)
	rec.Explanation = v.Explanation
	if h.Member == Watched {
		return d.placeSplit(c, h, n, rec, f, v, Watched)
	}
	into, err := d.splitInto(c, v)
	if err != nil {
		return err
	}
	return d.join(into, n, rec, f, v, true)
}
