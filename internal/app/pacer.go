package app

import "time"

const (
	// Actions are issued this long after what asks for them, so that what belongs together is one
	// revision: hardly at all when little comes in; in a flood when it ends, or has lasted a while.
	issueSoon  = 5 * time.Millisecond
	issueQuiet = 100 * time.Millisecond
	issueFlood = time.Second
	floodSize  = 200 // findings in one batch
	// So few findings in one batch, which the reader had wait for more already, wait no more.
	issueAtOnce = 20
)

// pacer says when actions are issued.
type pacer struct {
	timer *time.Timer
	since time.Time // of the first batch that waits for it; zero: none does
}

// newPacer begins with an issue at once.
func newPacer() *pacer { return &pacer{timer: time.NewTimer(0), since: time.Now()} }

// after notes a batch of that many findings.
func (p *pacer) after(findings int) {
	now := time.Now()
	first := p.since.IsZero()
	if first {
		p.since = now
	}
	switch {
	case findings >= floodSize:
		p.timer.Reset(min(issueQuiet, max(0, issueFlood-now.Sub(p.since))))
	case first:
		p.timer.Reset(issueSoon)
	}
}
