package app

import (
	"testing"
	"time"
)

func TestPacerHoldsUpdatesInAFlood(t *testing.T) {
	const flood = floodSize
	type step struct {
		at       time.Duration
		findings int    // of a batch; 0: the timer comes
		more     bool   // when it comes, more findings are on their way
		want     string // what the timer is told
	}
	for name, steps := range map[string][]step{
		"little comes in":                             {{0, 1, false, ""}, {issueSoon, 0, true, "all"}, {issueRest, 0, false, "all"}},
		"many come a few at a time":                   {{0, flood / 2, false, ""}, {10 * time.Millisecond, flood / 2, false, ""}, {20 * time.Millisecond, flood / 2, false, ""}, {issueQuiet, 0, true, "none"}},
		"little comes in all the time":                {{0, flood / 4, false, ""}, {issueQuiet, flood / 4, false, ""}, {2 * issueQuiet, flood / 4, false, ""}, {3 * issueQuiet, 0, true, "all"}},
		"a burst has ended":                           {{0, flood, false, ""}, {issueQuiet, 0, false, "first"}, {issueRest, 0, false, "all"}},
		"a flood goes on":                             {{0, flood, false, ""}, {issueQuiet, 0, false, "first"}, {2 * issueRest, flood, false, ""}, {2*issueRest + issueQuiet, 0, false, "first"}},
		"more of it is on its way":                    {{0, flood, false, ""}, {issueQuiet, 0, true, "none"}, {2 * issueQuiet, 0, true, "none"}, {3 * issueQuiet, 0, false, "first"}},
		"more is on its way for long":                 {{0, flood, false, ""}, {issueQuiet, 0, true, "none"}, {issueFlood - issueQuiet, flood, false, ""}, {issueFlood, 0, true, "first"}},
		"more is on its way, no flood":                {{0, flood, false, ""}, {issueRest, 0, true, "all"}},
		"little after a flood":                        {{0, flood, false, ""}, {issueQuiet, 0, false, "first"}, {2 * issueQuiet, 1, false, ""}, {2*issueQuiet + issueSoon, 0, false, "first"}, {issueRest, 0, false, "all"}},
		"it lasts too long, more of it is on its way": {{0, flood, false, ""}, {issueQuiet, 0, false, "first"}, {issueUpdates - issueSoon, flood, false, ""}, {issueUpdates - issueSoon, 0, true, "none"}, {issueUpdates, 0, true, "all"}},
		"it lasts too long for updates":               {{0, flood, false, ""}, {issueQuiet, 0, false, "first"}, {issueUpdates - issueSoon, flood, false, ""}, {issueUpdates, 0, false, "all"}, {issueUpdates + issueQuiet, 0, false, "first"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, start := newPacer(), time.Now()
			defer p.timer.Stop()
			p.due(start, false)
			for _, s := range steps {
				at := start.Add(s.at)
				if s.findings > 0 {
					p.after(s.findings, at)
					continue
				}
				issue, hold := p.due(at, s.more)
				if got := map[[2]bool]string{{false, true}: "none", {true, true}: "first", {true, false}: "all"}[[2]bool{issue, hold}]; got != s.want {
					t.Errorf("due(after %s) = %q; want %q", s.at, got, s.want)
				}
			}
		})
	}
}
