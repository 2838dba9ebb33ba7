package app

import (
	"testing"
	"time"
)

func TestCrowdIsManyRequestsWithAFlood(t *testing.T) {
	type step struct {
		after        time.Duration // the step before
		enter, leave int           // requests
		findings     int           // of each that leaves
		want         bool
	}
	for name, steps := range map[string][]step{
		"nobody comes":             {{}, {after: time.Hour}},
		"a flood in one request":   {{enter: 1}, {leave: 1, findings: 10 * crowdFindings}},
		"a flood from three":       {{enter: crowdSize}, {leave: 1}, {leave: 1, findings: 10 * crowdFindings}},
		"many with little":         {{enter: crowdSize}, {after: time.Millisecond, leave: crowdSize, findings: 1}, {enter: crowdSize}},
		"many with a flood":        {{enter: 2 * crowdSize}, {leave: crowdSize, findings: crowdFindings / crowdSize, want: true}, {after: crowdFindings * time.Second / crowdRate}},
		"answered together":        {{enter: crowdSize}, {leave: 1, findings: crowdFindings, want: true}, {leave: crowdSize - 1, findings: crowdFindings, want: true}, {after: crowdGap - 1, want: true}, {after: 1}},
		"they come again in time":  {{enter: crowdSize}, {leave: 1, findings: crowdFindings, want: true}, {leave: crowdSize - 1, findings: crowdFindings, want: true}, {after: crowdGap - 1, enter: crowdSize, want: true}, {after: crowdGap, want: true}},
		"many while a flood lasts": {{enter: 1}, {leave: 1, findings: crowdFindings}, {enter: crowdSize, want: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var c crowd
			now := time.Now()
			for i, s := range steps {
				now = now.Add(s.after)
				for range s.enter {
					c.enter()
				}
				for range s.leave {
					c.leave(s.findings, now)
				}
				if got := c.on(now); got != s.want {
					t.Errorf("on() at step %d = %v; want %v", i, got, s.want)
				}
			}
		})
	}
}

// TestCrowdThinsOut has single findings follow a burst, each a bit later than a flood's would.
func TestCrowdThinsOut(t *testing.T) {
	var c crowd
	now := time.Now()
	for range 2 * crowdSize {
		c.enter()
	}
	for range crowdSize {
		c.leave(crowdFindings/crowdSize, now)
	}
	if !c.on(now) {
		t.Fatal("on() = false in the burst; want true")
	}
	for range 100 {
		now = now.Add(time.Second * 3 / 2 / crowdRate)
		c.enter()
		c.leave(1, now)
	}
	if c.on(now) {
		t.Error("on() = true after the burst; want false")
	}
}

func TestWayIsGivenForAWhile(t *testing.T) {
	type look struct {
		at      time.Duration
		crowded bool
		want    bool
	}
	for name, looks := range map[string][]look{
		"nobody comes":   {{0, false, false}, {time.Hour, false, false}},
		"a short burst":  {{0, true, true}, {giveWayFor / 2, false, false}},
		"a long one":     {{0, true, true}, {giveWayFor - 1, true, true}, {giveWayFor, true, false}},
		"one that stays": {{0, true, true}, {giveWayFor, true, false}, {giveWayFor + time.Second, true, true}, {giveWayFor + 2*time.Second, true, false}},
		"a second one":   {{0, true, true}, {giveWayFor, false, false}, {2 * giveWayFor, true, true}, {3*giveWayFor - 1, true, true}, {3 * giveWayFor, true, false}},
		"busy elsewhere": {{0, true, true}, {time.Hour, true, false}, {time.Hour + giveWayFor, true, true}},
		"long after one": {{0, true, true}, {giveWayFor, true, false}, {time.Hour, true, true}, {time.Hour + giveWayFor - 1, true, true}, {time.Hour + giveWayFor, true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var w way
			start := time.Now()
			for _, l := range looks {
				if got := w.give(l.crowded, start.Add(l.at)); got != l.want {
					t.Errorf("give(%v, after %s) = %v; want %v", l.crowded, l.at, got, l.want)
				}
			}
		})
	}
}
