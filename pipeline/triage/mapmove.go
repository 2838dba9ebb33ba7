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
// it did, or in the open case of its group where there is one.
func (d *decider) splitOff(h *Hot, rec *Record, to map[[16]byte]pipeline.Fingerprint, print pipeline.Fingerprint) error {
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

// splitInto is the open case of a group where it has one, else the case that the finding was in.
func (d *decider) splitInto(c *Case, v Verdict) (*Case, error) {
	if c.Holds(v.Key) {
		return c, nil
	}
	w, err := d.l.caseOf(d.l.Newest(v.Key))
	if err != nil || w == nil || !w.Open {
		return c, err
	}
	return w, nil
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

// rekeyed notes that the map in force changed the group of a finding of an open case: regroup follows, once all findings are known anew.
func (d *decider) rekeyed(h *Hot, f *pipeline.Finding, was string) error {
	if h.Case == 0 || h.Member != Open {
		return nil
	}
	key := d.r.Judge(f).Key
	c, err := d.mustCase(h.Case)
	if err != nil || key == was || !c.Open || !c.Holds(was) || slices.Contains(c.Rekeyed, key) {
		return err // the rules had put it elsewhere before: people move it
	}
	c.Rekeyed = append(slices.Clip(c.Rekeyed), key)
	d.l.keepCase(c)
	return nil
}

// Holds reports whether a group is the case's own, or became its own by a new map.
func (c *Case) Holds(key string) bool { return c.Key == key || slices.Contains(c.Groups, key) }

// regroup looks at a case whose findings the map gave another group, and reports whether it is to be looked at again. A
// case is about the group of its leading finding: another open case of that group is made one with it. Of the other
// findings those go elsewhere whose group has an open case.
func (d *decider) regroup(number uint64) (again bool, err error) {
	c, err := d.l.caseOf(number)
	if err != nil || c == nil || len(c.Rekeyed) == 0 {
		return false, err
	}
	home, err := d.home(c)
	if err != nil {
		return false, err
	}
	if c.Open && slices.Contains(c.Rekeyed, home) {
		w, err := d.l.caseOf(d.l.Newest(home))
		if err != nil {
			return false, err
		}
		other := w != nil && w.Number != c.Number && w.Open
		if other {
			at, err := d.home(w)
			if err != nil {
				return false, err
			}
			other = at == home
		}
		if other {
			from, into := c, w
			if keptBefore(c, w) < 0 {
				from, into = w, c
			}
			if err := d.claim(home, into); err != nil {
				return false, err
			}
			d.l.meta.Migration.From, d.l.meta.Migration.Into = from.Number, into.Number
			return true, nil
		}
		if err := d.claim(home, c); err != nil {
			return false, err
		}
	}
	if c.Open {
		if err := d.scatter(c, home); err != nil {
			return false, err
		}
	}
	c.Rekeyed = nil
	d.l.keepCase(c)
	return false, nil
}

// home is the group of a case's leading finding; "" where it is not known.
func (d *decider) home(c *Case) (string, error) {
	rec, err := d.l.record(c.Lead)
	if err != nil || rec == nil {
		return "", err
	}
	f := rec.Finding()
	return d.r.Judge(&f).Key, nil
}

// scatter lets the findings that the map gave a group with an open case of its own go there.
func (d *decider) scatter(c *Case, home string) error {
	seqs, err := d.openMembers(c)
	if err != nil {
		return err
	}
	var into *Case
	for _, seq := range seqs {
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		f := rec.Finding()
		v := d.r.Judge(&f)
		if v.Key == home || !slices.Contains(c.Rekeyed, v.Key) {
			continue
		}
		w, err := d.splitInto(c, v)
		if err != nil {
			return err
		}
		if w == c {
			continue
		}
		if err := d.moveMember(c, w, seq, rec, &f, v); err != nil {
			return err
		}
		into = w
	}
	if into == nil {
		return nil
	}
	return d.settleLeft(c, into)
}

func (d *decider) moveMember(c, into *Case, seq uint64, rec *Record, f *pipeline.Finding, v Verdict) error {
	m, _, err := d.l.Member(c.Number, seq)
	if err != nil {
		return err
	}
	c.Count[m.Priority]--
	d.left(m)
	return d.join(into, d.l.hotSeq(seq), rec, f, v, false)
}

// settleLeft brings a case up to what is left of it.
func (d *decider) settleLeft(c, into *Case) error {
	if c.OpenCount() == 0 {
		return d.closeMerged(c, into)
	}
	if err := d.relead(c, c.Lead); err != nil {
		return err
	}
	d.revised(c)
	d.reprioritise(c)
	return nil
}

// foldSome moves the next n findings of a case into the one that it is made one with; without any left it closes.
func (d *decider) foldSome(n int) error {
	m := &d.l.meta.Migration
	from, err := d.mustCase(m.From)
	if err != nil {
		return err
	}
	into, err := d.mustCase(m.Into)
	if err != nil {
		return err
	}
	seqs, err := d.openMembers(from)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if n == 0 {
			return nil
		}
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		f := rec.Finding()
		v := d.r.Judge(&f)
		if d.l.Newest(v.Key) != into.Number {
			continue
		}
		if err := d.moveMember(from, into, seq, rec, &f, v); err != nil {
			return err
		}
		n--
	}
	m.From, m.Into = 0, 0
	return d.settleLeft(from, into)
}

// claim makes a case the newest one of a group that the map gave its findings.
func (d *decider) claim(key string, c *Case) error {
	old := d.l.Newest(key)
	if old == c.Number {
		return nil
	}
	was, err := d.l.caseOf(old)
	if err != nil {
		return err
	}
	if was != nil {
		if g := d.l.Team(groupName(key)); lastGen(was) > g.Gen {
			g.Gen = lastGen(was) // no later ticket of the group takes a key that was used
			d.l.teams[g.Name] = g
		}
		was.Groups = slices.DeleteFunc(slices.Clone(was.Groups), func(k string) bool { return k == key })
		d.l.keepCase(was)
	}
	d.l.newest[key] = c.Number
	if !c.Holds(key) {
		c.Groups = append(slices.Clip(c.Groups), key)
	}
	d.l.keepCase(c)
	return nil
}

// closeMerged closes a case whose findings are in another one now; each ticket links the other.
func (d *decider) closeMerged(c, into *Case) error {
	if c.Since.Before(into.Since) {
		into.Since = c.Since
	}
	into.Manual, into.Approved = into.Manual || c.Manual, into.Approved || c.Approved
	d.say(into, withTickets(c)+" is merged into this one: the equivalence map "+d.r.Map+" takes both for one problem.")
	d.auditCase(into, "merged", "", "%s is merged into it: by the equivalence map %s", withTickets(c), d.r.Map)
	d.revised(into)
	d.reprioritise(into)
	c.MovedTo, c.Person, c.Disputed, c.Recurring = into.Number, nil, "", false
	d.close(c, ClosedMerged, "one problem with "+withTickets(into)+" by the equivalence map "+d.r.Map)
	d.sum.CasesMerged++
	return nil
}
