package app

import (
	"testing"
	"time"
)

func TestPacerHoldsUpdatesInAFlood(t *testing.T) {
	const flood = floodSize
	type step struct {
		at       time.Duration
		findings int  // of a batch; 0: the timer comes
		hold     bool // what the timer is told
	}
	for name, steps := range map[string][]step{
		"little comes in":       {{0, 1, false}, {issueSoon, 0, false}, {issueRest, 0, false}},
		"a burst has ended":     {{0, flood, false}, {issueQuiet, 0, true}, {issueRest, 0, false}},
		"a flood goes on":       {{0, flood, false}, {issueQuiet, 0, true}, {issueFlood, flood, false}, {issueFlood + issueQuiet, 0, true}},
		"little after a flood":  {{0, flood, false}, {issueQuiet, 0, true}, {2 * issueQuiet, 1, false}, {2*issueQuiet + issueSoon, 0, true}, {issueRest, 0, false}},
		"it lasts too long":     {{0, flood, false}, {issueQuiet, 0, true}, {issueUpdates - issueSoon, flood, false}, {issueUpdates, 0, false}},
		"it goes on after that": {{0, flood, false}, {issueQuiet, 0, true}, {issueUpdates - issueSoon, flood, false}, {issueUpdates, 0, false}, {issueUpdates + issueQuiet, 0, true}},
	} {
		t.Run(name, func(t *testing.T) {
			p, start := newPacer(), time.Now()
			defer p.timer.Stop()
			p.due(start)
			for _, s := range steps {
				at := start.Add(s.at)
				if s.findings > 0 {
					p.after(s.findings, at)
				} else if got := p.due(at); got != s.hold {
					t.Errorf("due(after %s) = %v; want %v", s.at, got, s.hold)
				}
			}
		})
	}
}
