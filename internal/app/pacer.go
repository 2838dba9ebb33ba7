package app

import "time"

const (
	// Actions are issued this long after what asks for them, so that what belongs together is one
	// revision: hardly at all when little comes in; in a flood when it ends, or has lasted a while. What a flood changes
	// about tickets that are there waits longer than its new tickets, for it is likely to change more.
	issueSoon    = 5 * time.Millisecond
	issueQuiet   = 100 * time.Millisecond
	issueFlood   = 3 * time.Second
	issueRest    = time.Second     // without a flood's batch: updates wait no more
	issueUpdates = 6 * time.Second // the longest that they wait
	// Findings are a flood when that many came in one batch, or at once beside floodRate of them a second.
	floodSize = 200
	floodRate = 1000
	// So few findings in one batch, which the reader had wait for more already, wait no more.
	issueAtOnce = 20
)

// pacer says when actions are issued.
type pacer struct {
	timer *time.Timer
	since time.Time // of the first batch that waits for it; zero: none does
	level int       // of findings: each adds one, a second takes floodRate away
	at    time.Time // when level was worked out
	last  time.Time // of the newest batch of a flood
	held  time.Time // since when updates wait for the end of the flood; zero: none does
}

// newPacer begins with an issue at once.
func newPacer() *pacer { return &pacer{timer: time.NewTimer(0), since: time.Now()} }

// after notes a batch of that many findings.
func (p *pacer) after(findings int, now time.Time) {
	first := p.since.IsZero()
	if first {
		p.since = now
	}
	p.level = min(max(0, p.level-int(now.Sub(p.at).Seconds()*floodRate)), floodSize) + findings
	p.at = now
	switch {
	case p.level >= floodSize:
		p.last = now
		p.timer.Reset(min(issueQuiet, max(0, issueFlood-now.Sub(p.since))))
	case first:
		p.timer.Reset(issueSoon)
	}
}

// due notes that the timer has come, while more findings are on their way in or none. It says whether actions are to be
// issued now, and whether updates go on waiting, as a flood lasts. It comes again for what waits.
func (p *pacer) due(now time.Time, more bool) (issue, hold bool) {
	if p.since.IsZero() {
		p.since = now
	}
	flood := now.Sub(p.last) < issueRest
	left := issueFlood - now.Sub(p.since)
	if !p.held.IsZero() {
		left = min(left, issueUpdates-now.Sub(p.held))
	}
	if flood && more && left > 0 {
		p.timer.Reset(min(issueQuiet, left))
		return false, true
	}
	if p.held.IsZero() {
		p.held = p.since
	}
	p.since = time.Time{}
	rest := min(issueRest-now.Sub(p.last), issueUpdates-now.Sub(p.held))
	if rest <= 0 {
		p.held = time.Time{}
		return true, false
	}
	p.timer.Reset(rest)
	return true, true
}
