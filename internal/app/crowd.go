package app

import (
	"sync"
	"time"
)

const (
	// While that many requests hand in that many findings, triage leaves the CPU and the disk to them, so that a flood is
	// durable soon. A flood comes at once or beside crowdRate of them a second.
	crowdSize     = 4
	crowdFindings = 100
	crowdRate     = 500
	crowdMost     = 3 * crowdFindings // that are remembered: a flood outlasts one slow flush
	// crowdGap is how long a crowd may be out of sight: those that one flush answered come again together.
	crowdGap = 50 * time.Millisecond
	// giveWayFor is how long triage gives way at a stretch. It recovers as fast as time goes by, so that
	// triage has every other moment where the crowd never ends.
	giveWayFor = 5 * time.Second
	// giveWayLook is how often it looks whether the crowd has gone.
	giveWayLook = 5 * time.Millisecond
)

// crowd counts the requests that hand findings in and the findings that they brought, and knows when both were last
// many. A few findings that wait together for a slow disk are none. The zero value is ready, and its methods may be called at the same time.
type crowd struct {
	mu    sync.Mutex
	here  int
	level float64   // of findings: each adds one, a second takes crowdRate away
	at    time.Time // when level was worked out
	seen  time.Time // when it was last there
}

// enter notes a request.
func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.here++
}

// leave notes the end of a request that brought that many findings.
func (c *crowd) leave(findings int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.level, c.at = min(c.levelAt(now), crowdMost)+float64(findings), now
	if c.many(now) {
		c.seen = now
	}
	c.here--
}

func (c *crowd) levelAt(now time.Time) float64 {
	return max(0, c.level-now.Sub(c.at).Seconds()*crowdRate)
}

func (c *crowd) many(now time.Time) bool {
	return c.here >= crowdSize && c.levelAt(now) >= crowdFindings
}

// on reports whether it is there, or was a moment ago.
func (c *crowd) on(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Sub(c.seen) < crowdGap || c.many(now)
}

// way is how triage gives way to a crowd. The zero value is ready.
type way struct {
	given  time.Duration // as of at, less what it recovered; at most giveWayFor, for it may have been busy elsewhere meanwhile
	at     time.Time
	giving bool // since at
}

// give reports whether triage gives way from now until the next call.
func (w *way) give(crowded bool, now time.Time) bool {
	past := now.Sub(w.at)
	if !w.giving {
		past = -past
	}
	w.given, w.at = min(giveWayFor, max(0, w.given+past)), now
	w.giving = crowded && w.given < giveWayFor
	return w.giving
}
