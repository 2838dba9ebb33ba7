package triage

import (
	"slices"

	"github.com/docket-hub/docket/pipeline"
)

// rekeyed notes that the map in force changed the group of a finding, for regroup once all findings are known anew, and for the day
// that the finding counts again. A finding that the rules had put elsewhere before is left to people.
func (d *decider) rekeyed(h *Hot, f *pipeline.Finding, was string) error {
	if h.Case == 0 {
		return nil
	}
	key := d.r.Judge(f).Key
	c, err := d.mustCase(h.Case)
	if err != nil || key == was || slices.Contains(c.Rekeyed, key) || !c.Holds(was) && !slices.Contains(c.Rekeyed, was) {
		return err
	}
	c.Rekeyed = append(slices.Clip(c.Rekeyed), key)
	d.l.keepCase(c)
	return nil
}

// Holds reports whether a group is the case's own, or became its own by a new map.
func (c *Case) Holds(key string) bool { return c.Key == key || slices.Contains(c.Groups, key) }

// regroup looks at the next case, if the map gave its findings another group. A case is about the group of its leading finding:
// another open case that is about that group too is made one with it; of one that has it only beside its own the findings of
// the group follow.
func (d *decider) regroup() error {
	m := &d.l.meta.Migration
	c, err := d.l.caseOf(m.Case)
	if err != nil {
		return err
	}
	if c == nil || !c.Open || len(c.Rekeyed) == 0 {
		m.Case++
		return nil
	}
	home, err := d.home(c)
	if err != nil {
		return err
	}
	other, err := d.l.caseOf(d.l.Newest(home))
	switch {
	case err != nil:
		return err
	case !slices.Contains(c.Rekeyed, home) || other == c:
		m.Case++
		return nil
	case other == nil || !other.Open:
		m.Case++
		return d.claim(home, c)
	}
	its, err := d.home(other)
	if err != nil {
		return err
	}
	from, into := other, c
	switch {
	case its != home && other.OpenCount() == 0: // it waits for quiet, and none of its findings would follow
		m.Case++
		return d.claim(home, c)
	case its == home && keptBefore(other, c) < 0:
		from, into = c, other
	}
	m.From, m.Into, m.Member = from.Number, into.Number, 0
	return d.claim(home, into)
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

// about is the group of a case: its own, unless a new map gave its leading finding another.
func (d *decider) about(c *Case) (string, error) {
	if len(c.Rekeyed)+len(c.Groups) == 0 {
		return c.Key, nil
	}
	home, err := d.home(c)
	if err != nil || !slices.Contains(c.Rekeyed, home) && !slices.Contains(c.Groups, home) {
		return c.Key, err
	}
	return home, nil
}

// scatter looks at up to n findings of the next case: those that the map gave a group with an open case of its own go there.
// It returns what is left of n.
func (d *decider) scatter(n int) (left int, err error) {
	m := &d.l.meta.Migration
	c, err := d.l.caseOf(m.Case)
	if err != nil {
		return 0, err
	}
	if c == nil || !c.Open || len(c.Rekeyed) == 0 {
		m.Case++
		return n - 1, nil
	}
	home, err := d.home(c)
	if err != nil {
		return 0, err
	}
	left, err = d.rehome(c, n, func(v Verdict) (*Case, error) {
		if v.Key == home || !slices.Contains(c.Rekeyed, v.Key) {
			return c, nil
		}
		into, err := d.splitInto(c, v)
		m.Stays = m.Stays || into == c
		return into, err
	})
	if err != nil || left == 0 {
		return 0, err
	}
	if !m.Stays && c.OpenCount() == c.Total { // none of another group is there, nor may come back
		c.Rekeyed = nil
		d.l.keepCase(c)
	}
	m.Case, m.Member, m.Stays = m.Case+1, 0, false
	return left - 1, nil
}

// foldSome looks at up to n findings of the case From: those whose group is now that of Into move there, and without any left
// From closes. It returns what is left of n.
func (d *decider) foldSome(n int) (left int, err error) {
	m := &d.l.meta.Migration
	from, err := d.mustCase(m.From)
	if err != nil {
		return 0, err
	}
	into, err := d.mustCase(m.Into)
	if err != nil {
		return 0, err
	}
	left, err = d.rehome(from, n, func(v Verdict) (*Case, error) {
		if d.l.Newest(v.Key) == into.Number {
			return into, nil
		}
		return from, nil
	})
	if err != nil || left == 0 && from.OpenCount() > 0 {
		return 0, err
	}
	if from.OpenCount() == 0 {
		if err := d.closeMerged(from, into); err != nil {
			return 0, err
		}
	}
	m.Again = m.Again || from.Open && from.Number < m.Case
	m.From, m.Into, m.Member = 0, 0, 0
	return max(0, left-1), nil
}

// rehome looks at up to n open findings of a case from Migration.Member on, and moves each into the case that to names.
// It returns what is left of n; 0 while there may be more to look at.
func (d *decider) rehome(c *Case, n int, to func(Verdict) (*Case, error)) (left int, err error) {
	m := &d.l.meta.Migration
	var seqs []uint64
	err = d.l.MembersFrom(c.Number, m.Member, func(x Member) bool {
		if x.Status == Open {
			seqs = append(seqs, x.Seq)
		}
		return len(seqs) < n
	})
	if err != nil {
		return 0, err
	}
	moved := false
	for _, seq := range seqs {
		rec, err := d.mustRecord(seq)
		if err != nil {
			return 0, err
		}
		m.Member = seq + 1
		f := rec.Finding()
		v := d.r.Judge(&f)
		into, err := to(v)
		if err != nil {
			return 0, err
		}
		if into == c {
			continue
		}
		x, _, err := d.l.Member(c.Number, seq)
		if err != nil {
			return 0, err
		}
		c.Count[x.Priority]--
		d.left(x)
		if err := d.join(into, d.l.hotSeq(seq), rec, &f, v, false); err != nil {
			return 0, err
		}
		moved = true
	}
	if moved {
		if err := d.relead(c, c.Lead); err != nil {
			return 0, err
		}
		d.revised(c)
		d.reprioritise(c)
	}
	return n - len(seqs), nil
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
		if !slices.Contains(was.Rekeyed, key) {
			was.Rekeyed = append(slices.Clip(was.Rekeyed), key) // its findings of that group follow, now, under the map after this one, or when they count again
		}
		d.l.keepCase(was)
	}
	d.l.newest[key] = c.Number
	if !c.Holds(key) {
		c.Groups = append(slices.Clip(c.Groups), key)
	}
	d.l.keepCase(c)
	return nil
}

// reclaim makes a case that reopens the newest one of the group that a map gave its leading finding, where no other is open.
func (d *decider) reclaim(c *Case) error {
	key, err := d.about(c)
	if err != nil || key == c.Key {
		return err
	}
	other, err := d.l.caseOf(d.l.Newest(key))
	if err != nil || other != nil && other.Open {
		return err
	}
	return d.claim(key, c)
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
