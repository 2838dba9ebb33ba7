package triage

import (
	"fmt"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// envelope takes packed records in, then the end markers behind them.
func (d *decider) envelope(e *pipeline.Envelope) error {
	d.approved = e.Approved
	d.l.rejects = append(d.l.rejects, e.Rejects...)
	d.sum.Rejected += len(e.Rejects)
	for i := range e.Items {
		if err := d.item(e, &e.Items[i]); err != nil {
			return err
		}
	}
	for i := range e.Scans {
		if err := d.scanEnd(e.Scan, &e.Scans[i]); err != nil {
			return err
		}
	}
	return nil
}

func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// item judges one report against what is known. The unchanged repeat ends
// here, without decoding the record.
func (d *decider) item(e *pipeline.Envelope, it *pipeline.Item) error {
	h := d.l.hotOf(it.Print)
	var known *HotReport
	if h != nil {
		known = h.Find(it.Key)
	}
	if it.Mild && (known == nil || it.Status != pipeline.StatusResolved && !older(it, known)) {
		return d.mild(e, it, h, known)
	}
	d.sum.Read++
	if known == nil && d.history(it) {
		d.sum.Older++
		if h == nil {
			d.seeNothing(e.Scan, it.Scope)
		} else if it.Scope != "" {
			d.see(e.Scan, it.Scope, h.Seq, it.Key)
		}
		return nil
	}
	if known != nil {
		if ended, err := d.known(e, h, known, it); ended || err != nil {
			return err
		}
	}
	return d.news(e, it, h, known)
}

// known judges a report that is known by what the item says, and reports whether that was all: nothing of it is news.
func (d *decider) known(e *pipeline.Envelope, h *Hot, known *HotReport, it *pipeline.Item) (ended bool, err error) {
	if it.Scope != "" {
		d.see(e.Scan, it.Scope, h.Seq, it.Key)
	}
	switch {
	case known.Hash != 0 && it.Hash == known.Hash && it.Status == known.Status && it.Severity == known.Severity:
		return true, d.repeat(h, known, it)
	case older(it, known):
		d.sum.Older++
		return true, nil
	}
	return false, nil
}

// news takes in a report that is unknown, or says something else than before.
func (d *decider) news(e *pipeline.Envelope, it *pipeline.Item, h *Hot, known *HotReport) error {
	rep, err := d.r.Decode(e.Source, it)
	if err != nil {
		return d.refuse(e, it, &rep, err)
	}
	if known == nil {
		if rep.Print != it.Print && !rep.Print.IsZero() {
			// It was on its way while another equivalence map came into force.
			now := *it
			now.Print, it = rep.Print, &now
			if h = d.l.hotOf(it.Print); h != nil {
				known = h.Find(it.Key)
			}
		}
		if known == nil && h != nil && h.Print != it.Print {
			// h went by that fingerprint under an earlier equivalence map. By the one in force it is another finding's.
			if err := d.take(it.Print); err != nil {
				return err
			}
			h = nil
		}
		if known != nil {
			if ended, err := d.known(e, h, known, it); ended || err != nil {
				return err
			}
		} else if h != nil && it.Scope != "" {
			d.see(e.Scan, it.Scope, h.Seq, it.Key)
		}
	}
	fresh := h == nil
	if fresh {
		h = &Hot{Seq: d.l.meta.NextSeq, Print: it.Print}
		d.l.meta.NextSeq++
		if it.Scope != "" {
			d.see(e.Scan, it.Scope, h.Seq, it.Key)
		}
	}
	own, err := d.echo(h, &rep)
	if err != nil {
		return err
	}
	if own {
		said := *it
		said.Status, rep.Status, rep.StatusReason = pipeline.StatusOpen, pipeline.StatusOpen, "archived by docket while the exception lasts"
		it = &said
	}
	return d.change(h, it, rep, fresh)
}

// refuse keeps a record that cannot be read.
func (d *decider) refuse(e *pipeline.Envelope, it *pipeline.Item, rep *pipeline.Report, err error) error {
	d.sum.Rejected++
	d.l.rejects = append(d.l.rejects, pipeline.Reject{
		Origin: e.Origin, Reason: err.Error(), Time: d.now, Source: e.Source, ID: rep.ID,
	})
	d.breakScan(e.Scan, it.Scope, "a record of it was rejected: "+err.Error())
	return nil
}

// mild judges a report that is milder than what its source takes in: an unknown one is none, a known one leaves
// the filter, and is unwatched from then on unless another report stands for its finding.
func (d *decider) mild(e *pipeline.Envelope, it *pipeline.Item, h *Hot, known *HotReport) error {
	d.seeNothing(e.Scan, it.Scope)
	if known == nil || known.Status == pipeline.StatusResolved || known.Hash == 0 {
		return nil
	}
	d.sum.Read++
	d.sum.Changed++
	known.Hash = 0 // whatever comes next of it is news
	d.l.putHot(h)
	_, err := d.unwatch(it.Scope, []SeenKey{{h.Seq, it.Key}})
	return err
}

// history reports that a newer whole scan of the scope did not report what this
// record says. Where records keep times of their own these say nothing about the scan's.
func (d *decider) history(it *pipeline.Item) bool {
	if it.Scope == "" || pipeline.KeepsTimes(it.Scope) {
		return false
	}
	newest := d.l.Scope(it.Scope).Time
	return !newest.IsZero() && it.Observed < newest.UnixMilli()
}

// older orders two versions of one report: by the product's own time; of two
// with equal time open beats unproven beats resolved, and higher beats lower.
func older(it *pipeline.Item, known *HotReport) bool {
	if it.Observed != known.Observed {
		return it.Observed < known.Observed
	}
	if it.Status != known.Status {
		return standing(it.Status) < standing(known.Status)
	}
	if it.Severity != known.Severity {
		return it.Severity < known.Severity
	}
	return it.Hash <= known.Hash
}

func standing(s pipeline.Status) int {
	switch s {
	case pipeline.StatusOpen:
		return 2
	case pipeline.StatusUnproven:
		return 1
	}
	return 0
}

// repeat is the common case: nothing but the time moved.
func (d *decider) repeat(h *Hot, known *HotReport, it *pipeline.Item) error {
	d.sum.Unchanged++
	if it.Observed <= known.Observed {
		return nil
	}
	d.l.touch(h.Seq, it.Key, it.Observed)
	if h.Member == Watched && it.Status == pipeline.StatusOpen {
		return d.lookedAgain(h, look{at: instant(it.Observed), occurred: it.Occurred})
	}
	return nil
}

// change takes a new or changed report in and settles the finding in its case.
func (d *decider) change(h *Hot, it *pipeline.Item, rep pipeline.Report, fresh bool) error {
	var rec *Record
	if fresh {
		d.sum.New++
		rec = &Record{Seq: h.Seq, Print: h.Print, FirstSeen: d.now}
	} else {
		d.sum.Changed++
		var err error
		if rec, err = d.mustRecord(h.Seq); err != nil {
			return err
		}
	}
	was := pipeline.Status(0)
	if len(rec.Reports) > 0 {
		old := rec.Finding()
		was = old.Status
	}
	d.putReport(rec, rep)
	hr := HotReport{Key: it.Key, IDHash: it.IDHash, Hash: it.Hash, Observed: it.Observed, Status: it.Status, Severity: it.Severity}
	if old := h.Find(it.Key); old == nil || old.Status != it.Status {
		if err := d.retell(h, &rep); err != nil {
			return err
		}
	}
	d.setHot(h, hr, it.Scope)
	rec.LastChange, rec.Unwatched = d.now, false
	d.observed(h, rec)
	f := rec.Finding()
	if was == pipeline.StatusOpen && f.Status == pipeline.StatusResolved {
		d.sum.Resolved++
	}
	return d.settle(h, rec, &f, true)
}

// observed brings the record's times up to those of the repeats, which only the hot record follows.
func (d *decider) observed(h *Hot, rec *Record) {
	for i := range rec.Reports {
		r := &rec.Reports[i]
		if hr := h.Find(pipeline.ReportKey(r.Product, r.ID)); hr != nil && hr.Observed > r.ObservedAt.UnixMilli() {
			r.ObservedAt = instant(hr.Observed)
		}
	}
}

func (d *decider) putReport(rec *Record, rep pipeline.Report) {
	raw := rep.Raw
	rep.Raw = nil
	for i := range rec.Reports {
		if rec.Reports[i].Product == rep.Product && rec.Reports[i].ID == rep.ID {
			if o := rec.Reports[i].FirstObserved; !o.IsZero() && (rep.FirstObserved.IsZero() || o.Before(rep.FirstObserved)) {
				rep.FirstObserved = o
			}
			rec.also(rec.Reports[i].Scope, rep.Scope)
			rec.Reports[i], rec.Raw[i] = rep, raw
			d.l.putRecord(rec)
			return
		}
	}
	rec.Reports = append(rec.Reports, rep)
	for len(rec.Raw) < len(rec.Reports)-1 {
		rec.Raw = append(rec.Raw, nil)
	}
	rec.Raw = append(rec.Raw, raw)
	d.l.putRecord(rec)
}

func (d *decider) setHot(h *Hot, hr HotReport, scope string) {
	if old := h.Find(hr.Key); old != nil {
		*old = hr
	} else {
		h.Reports = append(h.Reports, hr)
	}
	d.l.putHot(h)
	if scope != "" {
		// An unproven one is kept too: absence proves that it is gone.
		d.l.scopeReports[ScopeReport{scope, h.Seq, hr.Key}] = hr.Status != pipeline.StatusResolved
	}
}

// settle puts a finding whose view may have changed where it belongs: the
// life-cycle table of one finding. Without news it is the rules that may have changed, not the reports.
func (d *decider) settle(h *Hot, rec *Record, f *pipeline.Finding, news bool) error {
	if h.Case == 0 && h.Member != Suppressed {
		if f.Status != pipeline.StatusOpen {
			return nil
		}
		return d.admit(h, rec, f)
	}
	if h.Member == Suppressed {
		return d.settleSuppressed(h, rec, f)
	}
	c, err := d.mustCase(h.Case)
	if err != nil {
		return err
	}
	switch {
	case f.Status == pipeline.StatusResolved && (h.Member == Open || h.Member == Watched):
		return d.leave(c, h, rec, Resolved, evidence(f))
	case f.Status == pipeline.StatusOpen && h.Member == Resolved:
		return d.admit(h, rec, f)
	case h.Member == Open || h.Member == Watched:
		if name := d.suppressedBy(f); name != "" {
			return d.suppress(c, h, rec, name)
		}
		if err := d.restate(c, h, rec, f, news); err != nil || h.Member == Open || f.Status != pipeline.StatusOpen {
			return err
		}
		return d.lookedAgain(h, lastLook(f))
	}
	return nil
}

// look is a source's look at a finding.
type look struct {
	at       time.Time
	occurred bool // it is a threat, and happened again
}

// lastLook is the newest look that still found the problem.
func lastLook(f *pipeline.Finding) look {
	var l look
	for i := range f.Reports {
		if r := &f.Reports[i]; r.Status == pipeline.StatusOpen && r.ObservedAt.After(l.at) {
			l = look{at: r.ObservedAt, occurred: r.Occurred}
		}
	}
	return l
}

// settleSuppressed: a resolved one needs its exception no longer.
func (d *decider) settleSuppressed(h *Hot, rec *Record, f *pipeline.Finding) error {
	if f.Status == pipeline.StatusResolved {
		d.release(h, rec)
		if h.Case == 0 {
			h.Member = NotMember
			d.place(h, rec)
			return nil
		}
		c, err := d.mustCase(h.Case)
		if err != nil {
			return err
		}
		return d.leave(c, h, rec, Resolved, evidence(f))
	}
	name := d.suppressedBy(f)
	switch {
	case name == rec.SuppressedBy:
		return nil
	case name != "":
		d.release(h, rec)
		d.hold(h, rec, name)
		return nil
	}
	return d.unsuppress(h, rec, f, "it no longer matches the suppression "+rec.SuppressedBy)
}

func evidence(f *pipeline.Finding) string {
	newest := &f.Reports[0]
	for i := range f.Reports {
		if f.Reports[i].ObservedAt.After(newest.ObservedAt) {
			newest = &f.Reports[i]
		}
	}
	why := newest.StatusReason
	if why == "" {
		why = "resolved"
	}
	return fmt.Sprintf("%s reported by %s at %s", why, newest.Product, newest.ObservedAt.Format(time.RFC3339))
}

// place writes where a finding stands into both its records.
func (d *decider) place(h *Hot, rec *Record) {
	rec.Case, rec.Member = h.Case, h.Member
	d.l.putHot(h)
	d.l.putRecord(rec)
}

// admit gives an open finding its place: under an exception, back in its case, or in the case of its group.
func (d *decider) admit(h *Hot, rec *Record, f *pipeline.Finding) error {
	v := d.r.Judge(f)
	rec.Explanation = v.Explanation
	if name := d.suppressedBy(f); name != "" {
		if h.Case != 0 {
			// It was resolved in a case: under the exception it belongs to none until it counts again.
			h.Case = 0
		}
		d.hold(h, rec, name)
		d.auditFinding(h.Seq, 0, "suppressed", "no ticket: suppressed by %s", name)
		return nil
	}
	if h.Case != 0 {
		c, err := d.mustCase(h.Case)
		if err != nil {
			return err
		}
		own, err := d.ownCase(c, v)
		if err != nil {
			return err
		}
		if own == c && (c.Open || d.returns(c) && d.l.Newest(c.Key) == c.Number) {
			return d.join(c, h, rec, f, v, true)
		}
	}
	c, err := d.caseFor(v, f, rec.FirstSeen)
	if err != nil {
		return err
	}
	if c.Previous == 0 && c.Total == 0 {
		c.Previous = h.Case // other rules put it elsewhere than last time
	}
	return d.join(c, h, rec, f, v, h.Member == Resolved)
}

// returns reports whether a finding that is back now reopens this closed case.
func (d *decider) returns(c *Case) bool {
	return c.Closed == ClosedFixed && d.now.Sub(c.ClosedAt) <= c.Settings.ReopenWindow
}

// caseFor is the case that a finding of this group belongs to: the open one,
// one that closed as fixed a short while ago, else a new one.
func (d *decider) caseFor(v Verdict, f *pipeline.Finding, seen time.Time) (*Case, error) {
	n := d.l.Newest(v.Key)
	if n == 0 {
		return d.newCase(v, started(f, seen, d.now), nil), nil
	}
	c, err := d.mustCase(n)
	if err != nil {
		return nil, err
	}
	if c.Open || d.returns(c) {
		return c, nil
	}
	return d.newCase(v, started(f, seen, d.now), c), nil
}

func (d *decider) newCase(v Verdict, since time.Time, previous *Case) *Case {
	c := &Case{
		Number: d.l.meta.NextCase, Key: v.Key, Group: v.Group, Team: v.Team, Route: v.Route, Why: v.Why,
		Sinks: v.Sinks, Gen: d.l.Team(groupName(v.Key)).Gen + 1, Settings: v.Settings, Open: true, Opened: d.now, Changed: d.now,
		Since: since, Drill: v.Drill, Entries: map[string]*Entry{},
	}
	d.l.meta.NextCase++
	if previous != nil {
		c.Previous, c.Gen = previous.Number, max(c.Gen, lastGen(previous)+1)
	}
	for _, s := range c.Sinks {
		c.Entries[s] = &Entry{Gen: c.Gen, St: Idle}
	}
	if plan := d.l.Approval(v.Key); plan != "" {
		c.Approved = true
		d.l.approvals[v.Key] = ""
	}
	d.l.newest[v.Key] = c.Number
	d.l.putCase(c)
	d.sum.Opened++
	d.counted[c.Number] = true
	d.auditCase(c, "opened", "", "opened for team %s by %s", c.Team, c.Route)
	return c
}

// nextGen is the generation of a further ticket of the case's group. The newest
// case of the group remembers it, so that no later case takes the same key.
func (d *decider) nextGen(c *Case) int {
	g := max(lastGen(c), d.l.Team(groupName(c.Key)).Gen) + 1
	if n := d.l.Newest(c.Key); n != c.Number {
		if s, err := d.l.caseOf(n); err == nil && s != nil {
			g = max(g, lastGen(s)+1)
			s.Gen = g
			d.l.putCase(s)
		}
	}
	return g
}

// groupName is the name under which a group's last generation is kept once its
// cases are purged: a ticket key is never used again.
func groupName(key string) string { return "group " + key }

func lastGen(c *Case) int {
	g := c.Gen
	for _, e := range c.Entries {
		g = max(g, e.Gen)
	}
	return g
}

// started is when a finding began: the source's word, else when docket first saw it.
func started(f *pipeline.Finding, seen, now time.Time) time.Time {
	at := f.FirstObserved
	if at.IsZero() {
		at = seen
	}
	if at.After(now) {
		return now
	}
	return at
}
