package triage

import (
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// FeedChange asks to judge findings again because the feeds say something else of them. Which feeds that are, Rules
// say: what Decide makes of the same finding, under the same rules and feeds, is the same whenever it is asked.
type FeedChange struct {
	Findings []uint64 // arrival numbers, as Outdated lists them
	Feeds    string   // Rules.Feeds when they were listed
	// Done: they are the last ones. Until then state does not name the feeds, and who comes after a crash
	// looks at all findings again.
	Done bool
}

// Outdated lists those of the findings from arrival number from on, and at most limit numbers further, of which the feeds of r say
// something else than they did when they were judged, and the number to go on at; 0 at the end. It only reads.
func Outdated(r *Rules, view View, from uint64, limit int) (seqs []uint64, next uint64, err error) {
	if r.Outdated == nil {
		return nil, 0, nil
	}
	end := view.Meta().NextSeq
	from = max(from, 1)
	scores := r.ReadsScores || suppressionsRead(view)
	for seq := from; ; seq++ {
		if seq >= end {
			return seqs, 0, nil
		}
		if seq >= from+uint64(limit) {
			return seqs, seq, nil
		}
		h, ok := view.HotBySeq(seq)
		if !ok || !counted(h.Member) {
			continue
		}
		rec, err := view.Record(seq)
		if err != nil {
			return nil, 0, err
		}
		if rec == nil || !mayNameCVE(rec.Reports) {
			continue
		}
		f := rec.Finding()
		if r.Outdated(&rec.Explanation, &f, scores) {
			seqs = append(seqs, seq)
		}
	}
}

// counted reports whether a finding's judgement matters: it counts in its case, or would without an exception.
func counted(s Status) bool { return s == Open || s == Suppressed || s == Watched }

// suppressionsRead reports whether an exception reads scores.
func suppressionsRead(view View) bool {
	for _, s := range view.Suppressions() {
		if s.Ended.IsZero() && ReadsScores(s.When) {
			return true
		}
	}
	return false
}

// ReadsScores reports whether an expression may read a score of EPSS.
func ReadsScores(when string) bool { return strings.Contains(when, "epss") }

// mayNameCVE spares findings that name none the work of merging their reports.
func mayNameCVE(reports []pipeline.Report) bool {
	for i := range reports {
		r := &reports[i]
		if r.Vuln != nil || r.Kind == pipeline.KindVulnerability || hasCVE(r.Control) {
			return true
		}
		for _, name := range r.Names {
			if hasCVE(name) {
				return true
			}
		}
	}
	return false
}

func hasCVE(name string) bool {
	return strings.Contains(name, "CVE-") || strings.Contains(name, "cve-")
}

// feeds judges findings again, and says in the story of each what changed. Priority and exceptions follow as they do
// after any news of the rules: up at once, down after a quiet day.
func (d *decider) feeds(in *FeedChange) error {
	for _, seq := range in.Findings {
		if err := d.refeed(seq); err != nil {
			return err
		}
	}
	if in.Done && in.Feeds == d.r.Feeds {
		d.l.meta.Feeds = in.Feeds
	}
	return nil
}

func (d *decider) refeed(seq uint64) error {
	h := d.l.hotSeq(seq)
	if h == nil || !counted(h.Member) {
		return nil // it was resolved or forgotten meanwhile
	}
	rec, err := d.mustRecord(seq)
	if err != nil {
		return err
	}
	f := rec.Finding()
	if f.Status == pipeline.StatusResolved {
		return nil
	}
	was := rec.Explanation
	// What the feeds changed is news of the finding: a case that has it is not quiet.
	if err := d.settle(h, rec, &f, !sameExplanation(was, d.r.Judge(&f).Explanation)); err != nil {
		return err
	}
	if h.Member == Suppressed {
		// What it would be is kept for the day that its exception ends.
		if now := d.r.Judge(&f).Explanation; !sameExplanation(rec.Explanation, now) {
			rec.Explanation = now
			d.l.putRecord(rec)
		}
	}
	if now := &rec.Explanation; !sameExplanation(was, *now) {
		d.auditFinding(seq, h.Case, "feed", "%s", feedNews(&was, now))
	}
	return nil
}

// feedNews is what the feeds say now, and what that changed.
func feedNews(was, now *pipeline.Explanation) string {
	var said []string
	for _, f := range now.Feeds {
		said = append(said, f.String())
	}
	text := strings.Join(said, "; ")
	if text == "" {
		text = "no feed says anything of it any more"
	}
	if was.Priority != now.Priority {
		text += ": " + now.Priority.String() + ", was " + was.Priority.String()
	}
	return text
}
