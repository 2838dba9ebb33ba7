package triage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// MapChange says that another equivalence map identifies findings from here on.
type MapChange struct {
	Version string `json:"version"`
}

// Migration is how far state has come on its way to another equivalence map: all findings first, in order of
// arrival, then the cases whose leading finding has another group now, then the other findings of such cases. It is stored
// with each step, so that it goes on where it stopped; taking a step twice is the same as once. The zero Migration is none.
type Migration struct {
	To       string `json:"to"`
	Finding  uint64 `json:"finding"` // next arrival number to look at
	Till     uint64 `json:"till"`
	Case     uint64 `json:"case,omitempty"` // next case to look at, once the findings are done
	CaseTill uint64 `json:"case_till,omitempty"`
	Again    bool   `json:"again,omitempty"`  // a case before Case has another leading finding since it was looked at
	Others   bool   `json:"others,omitempty"` // every case is in the group of its leading finding: now the other findings
	From     uint64 `json:"from,omitempty"`   // the case whose findings are on their way into Into
	Into     uint64 `json:"into,omitempty"`
	Member   uint64 `json:"member,omitempty"` // next arrival number to look at in the case that findings leave
	Stays    bool   `json:"stays,omitempty"`  // a finding of another group stays in that case, since its group has no open one
}

// Alias is a fingerprint that a finding went by under an earlier map.
type Alias struct {
	Print pipeline.Fingerprint `json:"fingerprint"`
	Seq   uint64               `json:"seq"` // the arrival number it had then; of another finding where two became one
	Map   string               `json:"map"` // the map that ended it
	At    time.Time            `json:"at"`
}

// mapChange begins the migration to another map; one that is under way to it goes on. A state
// that knows no finding is there at once.
func (d *decider) mapChange(in *MapChange) error {
	m := &d.l.meta
	switch {
	case m.Migration.To == in.Version || m.Map == in.Version && m.Migration == (Migration{}):
		return nil
	case m.NextSeq <= 1:
		m.Map, m.Migration = in.Version, Migration{}
		return nil
	}
	m.Migration = Migration{To: in.Version, Finding: 1, Till: m.NextSeq}
	d.l.audit = append(d.l.audit, Audit{Time: d.now, Kind: "map", Text: "findings are identified by the equivalence map " + in.Version + " from here on"})
	return nil
}

// migrate takes the next step: it looks at n findings or cases.
func (d *decider) migrate(n int) error {
	m := &d.l.meta.Migration
	if m.To == "" || m.To != d.r.Map || d.r.Identify == nil {
		return nil
	}
	for ; n > 0 && m.Finding < m.Till; m.Finding, n = m.Finding+1, n-1 {
		if err := d.identify(m.Finding); err != nil {
			return err
		}
	}
	if m.Finding < m.Till {
		return nil
	}
	if m.Case == 0 {
		m.Case, m.CaseTill = 1, d.l.meta.NextCase
	}
	for n > 0 {
		var err error
		switch {
		case m.From != 0:
			n, err = d.foldSome(n)
		case m.Case < m.CaseTill && m.Others:
			n, err = d.scatter(n)
		case m.Case < m.CaseTill:
			n, err = n-1, d.regroup()
		case m.Again:
			m.Again, m.Case = false, 1
		case !m.Others:
			m.Others, m.Case = true, 1
		default:
			d.l.meta.Map, d.l.meta.Migration = m.To, Migration{}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// identify gives the reports of one finding their identity under the map in force, and puts each where it belongs then.
func (d *decider) identify(seq uint64) error {
	h := d.l.hotSeq(seq)
	if h == nil || d.moving[seq] {
		return nil
	}
	rec, err := d.mustRecord(seq)
	if err != nil {
		return err
	}
	before := rec.Finding()
	to, changed := d.prints(rec)
	if !changed {
		return nil
	}
	d.sum.Identified++
	stay := d.stays(rec, to)
	was, number := d.r.Judge(&before).Key, h.Case
	for _, print := range others(to, stay) {
		if err := d.splitOff(h, rec, to, print, was); err != nil {
			return err
		}
	}
	if stay != h.Print {
		// Whoever goes by that fingerprint moves first: it may leave it, or take the one that is given up here.
		d.moving[seq] = true
		if t := d.holder(stay); t != nil {
			err = d.identify(t.Seq)
		}
		delete(d.moving, seq)
		if err != nil {
			return err
		}
		t := d.holder(stay)
		if t == nil {
			if err := d.rename(h, rec, stay); err != nil {
				return err
			}
		} else {
			rt, err := d.mustRecord(t.Seq)
			if err != nil {
				return err
			}
			its, other := rt.Finding(), t.Case
			if h, rec, err = d.mergeFindings(h, rec, t); err != nil {
				return err
			}
			if h == t {
				was, number = d.r.Judge(&its).Key, other
			}
		}
	}
	d.l.putHot(h)
	d.l.putRecord(rec)
	if h.Case != 0 {
		d.l.touchedMembers[memberKey{h.Case, h.Seq}] = true
	}
	f := rec.Finding()
	if h.Case == number {
		if err := d.rekeyed(h, &f, was); err != nil {
			return err
		}
	}
	return d.settle(h, rec, &f, false)
}

// prints gives each report of rec its fields under the map in force, and says by its key which fingerprint it has then.
func (d *decider) prints(rec *Record) (to map[[16]byte]pipeline.Fingerprint, changed bool) {
	to = make(map[[16]byte]pipeline.Fingerprint, len(rec.Reports))
	reports := slices.Clone(rec.Reports)
	for i := range reports {
		r := &reports[i]
		print, ok := d.r.Identify(r, rec.Print)
		if !ok {
			d.sum.Unidentified++
		}
		to[pipeline.ReportKey(r.Product, r.ID)] = print
		changed = changed || print != rec.Print || !samePlace(r, &rec.Reports[i])
	}
	if changed {
		rec.Reports = reports
	}
	return to, changed
}

func samePlace(a, b *pipeline.Report) bool {
	return a.Problem == b.Problem && a.RemediationGroup == b.RemediationGroup && a.Account.ID == b.Account.ID && a.Region == b.Region &&
		a.Resource.ID == b.Resource.ID && a.Resource.Type == b.Resource.Type
}

// others are the fingerprints but stay, in order.
func others(to map[[16]byte]pipeline.Fingerprint, stay pipeline.Fingerprint) []pipeline.Fingerprint {
	var out []pipeline.Fingerprint
	for _, print := range to {
		if print != stay && !slices.Contains(out, print) {
			out = append(out, print)
		}
	}
	slices.SortFunc(out, func(a, b pipeline.Fingerprint) int { return slices.Compare(a[:], b[:]) })
	return out
}

// stays chooses the part that goes on as the finding: the one that keeps the fingerprint, else the one with the
// report that gives the finding its words.
func (d *decider) stays(rec *Record, to map[[16]byte]pipeline.Fingerprint) pipeline.Fingerprint {
	for _, print := range to {
		if print == rec.Print {
			return print
		}
	}
	r := &rec.Reports[pipeline.Leading(rec.Reports)]
	return to[pipeline.ReportKey(r.Product, r.ID)]
}

// holder is the finding that goes by a fingerprint now and is not about to leave it; nil for none.
func (d *decider) holder(print pipeline.Fingerprint) *Hot {
	h := d.l.hotOf(print)
	if h == nil || h.Print != print || d.moving[h.Seq] {
		return nil
	}
	return h
}

// rename gives a finding another fingerprint; the old one leads to it from then on, unless it is another finding's.
func (d *decider) rename(h *Hot, rec *Record, print pipeline.Fingerprint) error {
	old := h.Print
	if err := d.take(print); err != nil {
		return err
	}
	h.Print, rec.Print = print, print
	d.l.putPrint(h)
	d.l.putRecord(rec)
	if d.holder(old) == nil {
		d.alias(rec, Alias{Print: old, Seq: h.Seq, Map: d.r.Map, At: d.now})
	}
	if h.Case != 0 {
		m, ok, err := d.l.Member(h.Case, h.Seq)
		if err != nil {
			return err
		}
		if ok {
			m.Line.Fingerprint = print
			d.l.keepMember(m)
		}
	}
	d.auditFinding(h.Seq, h.Case, "identified", "fingerprint %s, was %s: by the equivalence map %s", print.Short(), old.Short(), d.r.Map)
	return nil
}

// alias lets a former fingerprint lead to a finding.
func (d *decider) alias(rec *Record, a Alias) {
	if a.Print == rec.Print {
		return
	}
	if i := slices.IndexFunc(rec.Aliases, func(x Alias) bool { return x.Print == a.Print }); i >= 0 {
		rec.Aliases = slices.Delete(slices.Clone(rec.Aliases), i, i+1)
	}
	rec.Aliases = append(slices.Clip(rec.Aliases), a)
	d.l.putAlias(a.Print, rec.Seq)
	d.l.putRecord(rec)
}

// take frees a fingerprint that is to be a finding's own: until now it was another one's former one.
func (d *decider) take(print pipeline.Fingerprint) error {
	x := d.l.hotOf(print)
	if x == nil || x.Print == print {
		return nil
	}
	rec, err := d.mustRecord(x.Seq)
	if err != nil {
		return err
	}
	rec.Aliases = slices.DeleteFunc(slices.Clone(rec.Aliases), func(a Alias) bool { return a.Print == print })
	d.l.putRecord(rec)
	d.l.putAlias(print, 0)
	return nil
}

// mergeFindings makes two findings of one fingerprint one: it stays in the case that counts more, of equals in the older one.
func (d *decider) mergeFindings(a *Hot, ra *Record, b *Hot) (*Hot, *Record, error) {
	print := b.Print
	rb, err := d.mustRecord(b.Seq)
	if err != nil {
		return nil, nil, err
	}
	keep, rkeep, drop, rdrop := a, ra, b, rb
	if first, err := d.before(b, a); err != nil {
		return nil, nil, err
	} else if first {
		keep, rkeep, drop, rdrop = b, rb, a, ra
	}
	for len(rdrop.Reports) > 0 {
		if err := d.hand(drop, rdrop, keep, rkeep, 0); err != nil {
			return nil, nil, err
		}
	}
	if rdrop.FirstSeen.Before(rkeep.FirstSeen) {
		rkeep.FirstSeen = rdrop.FirstSeen
	}
	rkeep.Unwatched = rkeep.Unwatched && rdrop.Unwatched
	former := append(slices.Clone(rdrop.Aliases), Alias{Print: drop.Print, Seq: drop.Seq, Map: d.r.Map, At: d.now})
	text := fmt.Sprintf("%s became one with %s: by the equivalence map %s", drop.Print.Short(), keep.Print.Short(), d.r.Map)
	d.auditFinding(drop.Seq, drop.Case, "merged", "%s", text)
	d.auditFinding(keep.Seq, keep.Case, "merged", "%s", text)
	d.sum.Merged++
	left, err := d.takeOut(drop, rdrop)
	if err != nil {
		return nil, nil, err
	}
	d.l.purge(drop.Seq)
	if keep.Print != print {
		if err := d.rename(keep, rkeep, print); err != nil {
			return nil, nil, err
		}
	}
	for _, x := range former {
		if d.holder(x.Print) == nil {
			d.alias(rkeep, x)
		}
	}
	d.l.putHot(keep)
	d.l.putRecord(rkeep)
	return keep, rkeep, d.afterMerge(keep, rkeep, drop, left)
}

// afterMerge brings the case of the finding that stays up to its new reports, and the one that lost the other to an end if nothing counts there.
func (d *decider) afterMerge(keep *Hot, rec *Record, drop *Hot, left *Case) error {
	if keep.Case != 0 {
		c, err := d.mustCase(keep.Case)
		if err != nil {
			return err
		}
		f := rec.Finding()
		if since := started(&f, rec.FirstSeen, d.now); since.Before(c.Since) {
			c.Since = since
		}
		if c.Open {
			d.revised(c)
		}
	}
	if left == nil {
		return nil
	}
	switch {
	case !left.Open:
		d.l.putCase(left)
		d.retire(left, false)
		return nil
	case left.OpenCount() == 0 && left.Number != keep.Case && keep.Case != 0:
		into, err := d.mustCase(keep.Case)
		if err != nil {
			return err
		}
		return d.closeMerged(left, into)
	}
	if err := d.relead(left, drop.Seq); err != nil {
		return err
	}
	d.revised(left)
	d.reprioritise(left)
	d.closeWhenDone(left)
	return nil
}

// takeOut takes a finding that is about to go out of the count of its case, and returns that case if it counted there.
func (d *decider) takeOut(h *Hot, rec *Record) (*Case, error) {
	d.release(h, rec)
	if h.Case == 0 {
		return nil, nil
	}
	c, err := d.mustCase(h.Case)
	if err != nil {
		return nil, err
	}
	m, ok, err := d.l.Member(h.Case, h.Seq)
	if err != nil || !ok {
		return nil, err
	}
	switch m.Status {
	case Open:
		c.Count[m.Priority]--
	case Suppressed:
		c.Suppressed--
	default:
		return nil, nil // its case is over, and stays the story that it is
	}
	d.left(m)
	d.l.putCase(c)
	delete(d.carried, h.Seq)
	return c, nil
}

// before reports whether a finding stays rather than another one when both become one.
func (d *decider) before(a, b *Hot) (bool, error) {
	rank := func(h *Hot) int {
		switch h.Member {
		case Open:
			return 0
		case Watched:
			return 1
		case Suppressed:
			return 2
		case Resolved:
			return 3
		}
		return 4
	}
	if x := cmp.Compare(rank(a), rank(b)); x != 0 {
		return x < 0, nil
	}
	if a.Case == b.Case || a.Case == 0 || b.Case == 0 {
		return cmp.Or(cmp.Compare(min(b.Case, 1), min(a.Case, 1)), cmp.Compare(a.Seq, b.Seq)) < 0, nil
	}
	ca, err := d.mustCase(a.Case)
	if err != nil {
		return false, err
	}
	cb, err := d.mustCase(b.Case)
	return err == nil && keptBefore(ca, cb) < 0, err
}

// keptBefore orders cases that become one: an open one before a closed one, one with a ticket before one without, then
// the older ticket. Of closed ones the last that closed is the first.
func keptBefore(a, b *Case) int {
	no := func(c *Case, so func(*Case) bool) int {
		if so(c) {
			return 0
		}
		return 1
	}
	open := func(c *Case) bool { return c.Open }
	if x := cmp.Or(cmp.Compare(no(a, open), no(b, open)), cmp.Compare(no(a, hasTicket), no(b, hasTicket))); x != 0 {
		return x
	}
	if !a.Open {
		return cmp.Or(b.ClosedAt.Compare(a.ClosedAt), cmp.Compare(b.Number, a.Number))
	}
	return cmp.Or(a.Ticketed.Compare(b.Ticketed), a.Opened.Compare(b.Opened), cmp.Compare(a.Number, b.Number))
}

// hasTicket reports whether a ticket of the case is there or on its way.
func hasTicket(c *Case) bool {
	return slices.ContainsFunc(c.TicketSinks(), func(sink string) bool { return c.Entries[sink].N > 0 || !c.Entries[sink].Ref.IsZero() })
}

// withTickets is a case with its tickets, as a comment links it.
func withTickets(c *Case) string {
	var refs []string
	for _, sink := range c.TicketSinks() {
		if r := c.Entries[sink].Ref; !r.IsZero() {
			name := cmp.Or(r.Key, r.ID)
			if name == c.ID() && r.URL != "" {
				name = "" // said already
			}
			refs = append(refs, strings.TrimSpace(name+" "+r.URL))
		}
	}
	if len(refs) == 0 {
		return c.ID()
	}
	return c.ID() + " (" + strings.Join(refs, ", ") + ")"
}
