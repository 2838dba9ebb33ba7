package triage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// see notes that a read reported this report, for the proof of absence.
func (d *decider) see(read, scope string, seq uint64, key [16]byte) {
	if read == "" {
		return
	}
	s := d.l.seenOf(read, scope)
	s.Count++
	s.Keys[SeenKey{seq, key}] = true
}

// seeNothing counts a record of a read that names no finding known here.
func (d *decider) seeNothing(read, scope string) {
	if read != "" {
		d.l.seenOf(read, scope).Count++
	}
}

func (d *decider) breakScan(read, scope, why string) {
	if read != "" && scope != "" {
		s := d.l.seenOf(read, scope)
		s.Count++
		s.Broken = why
	}
}

// scanEnd judges a whole read of a scope: what it did not report is gone, when
// the read is complete, its count is what triage saw, and none is newer.
func (d *decider) scanEnd(read string, s *pipeline.Scan) error {
	seen := d.l.Seen(read, s.Scope)
	delete(d.l.seen, [2]string{read, s.Scope})
	d.l.seenEnded[[2]string{read, s.Scope}] = true
	sc := d.l.Scope(s.Scope)
	why := ""
	switch {
	case s.Left:
		return d.abandon(sc, s)
	case !s.Complete:
		why = cmp.Or(s.Why, "the read did not reach its end")
	case seen.Broken != "":
		why = seen.Broken
	case seen.Count != s.Count:
		why = fmt.Sprintf("the marker counts %d records, %d arrived", s.Count, seen.Count)
	case s.Time.IsZero():
		why = "the report has no time of its own"
	case s.Time.Before(sc.Time):
		why = fmt.Sprintf("a newer scan of %s is known", sc.Time.Format("2006-01-02 15:04"))
	case sc.ScanID != "" && sc.Filter != s.Filter:
		// Another filter: what it leaves out is unwatched, not gone.
		return d.refilter(sc, s, seen)
	case s.Count == 0 && sc.Count > 0 && !d.emptyAgain(sc, s):
		why = "the answer is empty where there was a full one: a second one must confirm it"
	}
	if why != "" {
		d.provesNothing(s, why)
		return nil
	}
	return d.absent(sc, s, seen)
}

// provesNothing says so once, however often the same scan is read again.
func (d *decider) provesNothing(s *pipeline.Scan, why string) {
	sc := d.l.Scope(s.Scope)
	said := s.Time.Format(time.RFC3339Nano) + " " + why
	if sc.Said == said || s.Time.Before(sc.Time) {
		return // an older scan is ordinary: its records are counted as older
	}
	sc.Said = said
	d.l.scopes[sc.Name] = sc
	d.auditScan(s, "proves nothing: "+why)
}

// emptyAgain remembers a first empty answer; a later empty scan confirms it.
func (d *decider) emptyAgain(sc Scope, s *pipeline.Scan) bool {
	switch {
	case sc.HeldWhy == heldEmpty && s.Time.After(sc.HeldTime), sc.HeldNone && !s.Time.Before(sc.HeldTime):
		return true
	case sc.HeldWhy != heldEmpty && s.Time.After(sc.HeldTime):
		sc.HeldID, sc.HeldWhy, sc.HeldTime, sc.HeldNone = s.ID, heldEmpty, s.Time, false
		d.l.scopes[sc.Name] = sc
	}
	return false
}

const heldEmpty = "empty answer"

func (d *decider) auditScan(s *pipeline.Scan, text string) {
	d.l.audit = append(d.l.audit, Audit{Time: d.now, Kind: "scan", Text: "scan of " + s.Scope + " " + text})
}

// compare lists the reports of the scope that the read did not report. One of
// the scan's own time stays: of two with equal time open wins. What it did
// report belongs to the scope from now on, wherever it was reported before.
func (d *decider) compare(s *pipeline.Scan, seen Seen) ([]SeenKey, error) {
	var gone []SeenKey
	d.l.ScopeReports(s.Scope, func(seq uint64, key [16]byte) bool {
		if seen.Keys[SeenKey{seq, key}] {
			delete(seen.Keys, SeenKey{seq, key})
		} else {
			if h := d.l.hotSeq(seq); h != nil {
				if r := h.Find(key); r != nil && r.Observed < s.Time.UnixMilli() {
					gone = append(gone, SeenKey{seq, key})
				}
			}
		}
		return true
	})
	gone = d.stillThere(gone, seen.Keys)
	gone, err := d.onlyHere(s.Scope, gone)
	if err != nil {
		return nil, err
	}
	for k := range seen.Keys {
		if err := d.watch(s.Scope, k); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// stillThere leaves out the reports that the read did report, before an equivalence map
// gave them to another finding.
func (d *decider) stillThere(gone []SeenKey, seen map[SeenKey]bool) []SeenKey {
	if len(gone) == 0 {
		return nil
	}
	moved := map[[16]byte]bool{}
	for k := range seen {
		if h := d.l.hotSeq(k.Seq); h == nil || h.Find(k.Key) == nil {
			moved[k.Key] = true
		}
	}
	return slices.DeleteFunc(gone, func(g SeenKey) bool { return moved[g.Key] })
}

// watch puts a report that a whole read reported into its scope.
func (d *decider) watch(scope string, k SeenKey) error {
	h := d.l.hotSeq(k.Seq)
	if h == nil {
		return nil
	}
	if r := h.Find(k.Key); r == nil || r.Status == pipeline.StatusResolved {
		return nil
	}
	d.l.scopeReports[ScopeReport{scope, k.Seq, k.Key}] = true
	rec, err := d.mustRecord(k.Seq)
	if err != nil {
		return err
	}
	i := rec.report(k.Key)
	if other := i >= 0 && rec.also(scope, rec.Reports[i].Scope); !rec.Unwatched && !other {
		return nil
	}
	rec.Unwatched = false
	d.l.putRecord(rec)
	return nil
}

// report is the index of a report, -1 for none.
func (r *Record) report(key [16]byte) int {
	return slices.IndexFunc(r.Reports, func(x pipeline.Report) bool { return pipeline.ReportKey(x.Product, x.ID) == key })
}

// also remembers a scope beside the one that the report itself names, and reports whether that is news.
func (r *Record) also(scope, own string) bool {
	if scope == own || !pipeline.IsStanding(scope) || slices.Contains(r.Also, scope) {
		return false
	}
	r.Also = append(r.Also, scope)
	return true
}

// watchedIn reports whether a report stands in a scope of a standing source other than but.
func (d *decider) watchedIn(rec *Record, i int, but string) bool {
	rep := &rec.Reports[i]
	key := pipeline.ReportKey(rep.Product, rep.ID)
	in := func(scope string) bool {
		return scope != but && pipeline.IsStanding(scope) && d.l.InScope(ScopeReport{scope, rec.Seq, key})
	}
	return in(rep.Scope) || slices.ContainsFunc(rec.Also, in)
}

// onlyHere leaves out the reports that stand in another scope, too: what one way does not show any more, while
// another goes on to, is not gone. It leaves this scope.
func (d *decider) onlyHere(scope string, gone []SeenKey) ([]SeenKey, error) {
	if !pipeline.IsStanding(scope) {
		return gone, nil
	}
	var only []SeenKey
	for _, g := range gone {
		rec, err := d.mustRecord(g.Seq)
		if err != nil {
			return nil, err
		}
		if i := rec.report(g.Key); i >= 0 && d.watchedIn(rec, i, scope) {
			d.l.scopeReports[ScopeReport{scope, g.Seq, g.Key}] = false
			continue
		}
		only = append(only, g)
	}
	return only, nil
}

// absent resolves what a complete scan did not report, unless that would
// close too much of the scope at once: then the scan is held and says so.
func (d *decider) absent(sc Scope, s *pipeline.Scan, seen Seen) error {
	gone, err := d.compare(s, seen)
	if err != nil {
		return err
	}
	if held := d.tooMuch(s, gone); held != "" && !d.approved {
		if sc.HeldWhy != held || !sc.HeldTime.Equal(s.Time) {
			sc.HeldID, sc.HeldWhy, sc.HeldTime, sc.HeldNone = s.ID, held, s.Time, s.Count == 0
			d.l.scopes[sc.Name] = sc
			d.auditScan(s, "is held: "+held)
		}
		return nil
	}
	if sc.ScanID == "" || !sc.Time.Equal(s.Time) || sc.Count != s.Count || sc.HeldWhy != "" {
		d.l.scopes[sc.Name] = Scope{Name: sc.Name, ScanID: s.ID, Time: s.Time, Filter: s.Filter, Count: s.Count}
	}
	for _, g := range gone {
		if err := d.gone(s, g); err != nil {
			return err
		}
	}
	return nil
}

// tooMuch applies close.max_ratio: the cases that would close, of all open cases of the scope.
func (d *decider) tooMuch(s *pipeline.Scan, gone []SeenKey) string {
	if d.r.Limits.CloseRatio <= 0 || len(gone) < max(1, d.r.Limits.CloseMin) {
		return ""
	}
	all, leaving := map[uint64]bool{}, map[uint64]int{}
	d.l.ScopeReports(s.Scope, func(seq uint64, _ [16]byte) bool {
		if h := d.l.hotSeq(seq); h != nil && h.Case != 0 && h.Member == Open {
			all[h.Case] = true
		}
		return true
	})
	left := map[uint64]int{} // reports of a finding that are still standing
	for _, g := range gone {
		h := d.l.hotSeq(g.Seq)
		if h == nil || h.Case == 0 || h.Member != Open {
			continue
		}
		if _, begun := left[g.Seq]; !begun {
			for i := range h.Reports {
				if h.Reports[i].Status != pipeline.StatusResolved {
					left[g.Seq]++
				}
			}
		}
		if left[g.Seq]--; left[g.Seq] == 0 {
			leaving[h.Case]++
		}
	}
	closing := 0
	for n, k := range leaving {
		if c, err := d.l.caseOf(n); err == nil && c != nil && k >= c.OpenCount() {
			closing++
		}
	}
	if closing < max(1, d.r.Limits.CloseMin) || float64(closing) <= d.r.Limits.CloseRatio*float64(len(all)) {
		return ""
	}
	return fmt.Sprintf("it would close %d of the scope's %d cases at once (close.max_ratio %g): apply a plan to let it",
		closing, len(all), d.r.Limits.CloseRatio)
}

// gone resolves one report by proven absence.
func (d *decider) gone(s *pipeline.Scan, g SeenKey) error {
	h := d.l.hotSeq(g.Seq)
	hr := h.Find(g.Key)
	rec, err := d.mustRecord(g.Seq)
	if err != nil {
		return err
	}
	i := rec.report(g.Key)
	if i < 0 {
		return fmt.Errorf("finding number %d lost a report: run `docket state verify`", g.Seq)
	}
	hr.Status, hr.Hash = pipeline.StatusResolved, 0
	rec.Reports[i].Status = pipeline.StatusResolved
	if !pipeline.KeepsTimes(s.Scope) {
		// Where records keep times of their own, one that is listed again with its old time is back.
		hr.Observed, rec.Reports[i].ObservedAt = s.Time.UnixMilli(), s.Time
	}
	rec.Reports[i].StatusReason = "absent from the scan of " + s.Scope
	d.l.scopeReports[ScopeReport{s.Scope, g.Seq, g.Key}] = false
	rec.LastChange = d.now
	d.observed(h, rec)
	d.l.putRecord(rec)
	d.l.putHot(h)
	f := rec.Finding()
	if f.Status == pipeline.StatusResolved {
		d.sum.Resolved++
	}
	return d.settle(h, rec, &f, true)
}

// refilter: the scope is read under another filter from now on. What that
// leaves out is listed as unwatched and never closed as fixed.
func (d *decider) refilter(sc Scope, s *pipeline.Scan, seen Seen) error {
	missing, err := d.compare(s, seen)
	if err != nil {
		return err
	}
	n, err := d.unwatch(s.Scope, missing)
	if err != nil {
		return err
	}
	d.l.scopes[sc.Name] = Scope{Name: sc.Name, ScanID: s.ID, Time: s.Time, Filter: s.Filter, Count: s.Count}
	d.auditScan(s, fmt.Sprintf("is read under another filter: %d findings are unwatched", n))
	return nil
}

// abandon: the source reads the scope no more. Of what is known there nobody will say that it is fixed.
func (d *decider) abandon(sc Scope, s *pipeline.Scan) error {
	if s.Time.Before(sc.Time) {
		return nil // a newer read of it is known
	}
	var all []SeenKey
	d.l.ScopeReports(s.Scope, func(seq uint64, key [16]byte) bool {
		all = append(all, SeenKey{seq, key})
		return true
	})
	n, err := d.unwatch(s.Scope, all)
	if err != nil || sc.ScanID == "" && len(all) == 0 {
		return err
	}
	// Without the id of a scan, the next full read of the scope begins anew.
	d.l.scopes[sc.Name] = Scope{Name: sc.Name, Time: s.Time}
	d.auditScan(s, fmt.Sprintf("ended, %s: %d findings are unwatched", cmp.Or(s.Why, "it is read no more"), n))
	return nil
}

// unwatch takes reports out of the proof of absence, and counts the findings that no
// other report stands for: one that is open, and that a standing source did not stop to read itself.
func (d *decider) unwatch(scope string, gone []SeenKey) (int, error) {
	for _, g := range gone {
		d.l.scopeReports[ScopeReport{scope, g.Seq, g.Key}] = false
	}
	leaving := make(map[SeenKey]bool, len(gone))
	for _, g := range gone {
		leaving[g] = true
	}
	n := 0
	for _, g := range gone {
		if d.l.hotSeq(g.Seq) == nil {
			continue
		}
		rec, err := d.mustRecord(g.Seq)
		if err != nil {
			return n, err
		}
		if rec.Unwatched || d.stands(rec, leaving) {
			continue
		}
		rec.Unwatched = true
		d.l.putRecord(rec)
		n++
	}
	return n, nil
}

// stands reports whether a finding has an open report that somebody still looks at, those that leave a scope now left out
// unless another scope holds them.
func (d *decider) stands(rec *Record, leaving map[SeenKey]bool) bool {
	h := d.l.hotSeq(rec.Seq)
	for i := range rec.Reports {
		key := pipeline.ReportKey(rec.Reports[i].Product, rec.Reports[i].ID)
		if hr := h.Find(key); hr == nil || hr.Status != pipeline.StatusOpen {
			continue
		}
		if leaving[SeenKey{rec.Seq, key}] || pipeline.IsStanding(rec.Reports[i].Scope) {
			if !d.watchedIn(rec, i, "") {
				continue
			}
		}
		return true
	}
	return false
}
