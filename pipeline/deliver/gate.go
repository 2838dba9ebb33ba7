package deliver

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Rate bounds how often a sink is called. The zero Rate is no bound.
type Rate struct {
	PerSecond float64 // calls a second in the long run
	Burst     int     // calls at once after a quiet time; 0: PerSecond rounded up
}

// Validate reports a rate that lets nothing through.
func (r Rate) Validate() error {
	if r.PerSecond < 0 || r.Burst < 0 || r.PerSecond == 0 && r.Burst > 0 {
		return fmt.Errorf("rate is %g a second with a burst of %d; both must be more than 0", r.PerSecond, r.Burst)
	}
	return nil
}

const (
	breakAfter = 3 // failures in a row that open the breaker
	openMin    = time.Second
	openMax    = 30 * time.Second
)

// gate is what a call of the sink passes: the breaker, and the rate. An open
// breaker lets nothing through until its time is over, then one call at a time until one of
// them is answered.
type gate struct {
	rate Rate

	mu       sync.Mutex
	open     bool
	until    time.Time // open: nothing passes before
	opened   int       // times that it opened since the last answer
	failures int       // in a row, while closed
	probing  bool      // a call finds out whether the sink is back
	// decided counts what the breaker decided. Calls that began before its last decision
	// do not count: many that were under way together fail together.
	decided uint64
	tokens  float64
	filled  time.Time
}

// pass is the right to one call.
type pass struct {
	decided uint64
	probe   bool
}

func newGate(r Rate) gate {
	if r.Burst == 0 {
		r.Burst = max(1, int(r.PerSecond+0.999))
	}
	return gate{rate: r, tokens: float64(r.Burst)}
}

// enter gives a pass, or says how long to wait before asking again. The pass ends with left or unused.
func (g *gate) enter(now time.Time) (*pass, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.shutFor(now); d > 0 {
		return nil, d
	}
	if g.rate.PerSecond > 0 {
		if !g.filled.IsZero() {
			g.tokens = min(float64(g.rate.Burst), g.tokens+now.Sub(g.filled).Seconds()*g.rate.PerSecond)
		}
		g.filled = now
		if g.tokens < 1 {
			return nil, time.Duration((1-g.tokens)/g.rate.PerSecond*float64(time.Second)) + time.Microsecond
		}
		g.tokens--
	}
	g.probing = g.open
	return &pass{g.decided, g.open}, 0
}

// shutFor is how long the breaker lets nothing through.
func (g *gate) shutFor(now time.Time) time.Duration {
	switch {
	case !g.open:
		return 0
	case g.probing:
		return max(brakePoll, g.until.Sub(now))
	}
	return max(0, g.until.Sub(now))
}

// blocks is how long a call may not start although it may have a pass: the breaker opened meanwhile.
func (g *gate) blocks(p *pass, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p == nil || !g.open {
		return g.shutFor(now)
	}
	if p.probe && p.decided == g.decided {
		return 0
	}
	return max(brakePoll, g.until.Sub(now)) // its time being over lets a probe through, not a pass of before
}

// unused gives a pass back that no call came of.
func (g *gate) unused(p *pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens = min(float64(g.rate.Burst), g.tokens+1)
	if p.probe && p.decided == g.decided {
		g.probing = false
	}
}

// answered ends a pass with an answer of the sink, whatever it says; news is
// true when that closed the breaker.
func (g *gate) answered(p *pass) (news bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.decided != g.decided {
		return false
	}
	news = g.open
	g.failures = 0
	if news {
		g.decided++
		g.open, g.probing, g.opened, g.until = false, false, 0, time.Time{}
	}
	return news
}

// failed ends a pass without an answer; news is true when that opened the breaker for the first time.
func (g *gate) failed(p *pass, now time.Time) (news bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.decided != g.decided {
		return false
	}
	if g.failures++; !g.open && g.failures < breakAfter {
		return false
	}
	news = !g.open
	d := min(openMin<<min(g.opened, 8), openMax)
	g.shut(now.Add(d/2 + rand.N(d/2)))
	g.opened++
	return news
}

// shutUntil opens the breaker until then, whatever passed before: the sink is
// there but takes nothing. One call finds out when that changed.
func (g *gate) shutUntil(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut(at)
}

func (g *gate) shut(at time.Time) {
	g.decided++
	g.open, g.probing, g.failures = true, false, 0
	g.until = at
}

// state is when the next call finds out whether the sink is back, while it is open.
func (g *gate) state() (open bool, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.until
}
