package deliver

import (
	"maps"
	"sync"
	"time"
)

// Status is what one sink's delivery is doing, for health pages, metrics and
// the end of `run --once`.
type Status struct {
	Sink     string
	InFlight int       // actions in hand, those that wait included
	Waiting  int       // actions that can do nothing before some time: see Waiting
	Until    time.Time // the earliest such time; zero when nothing waits
	Braked   bool
	// Stopped says why the sink is stopped (its credentials are refused); empty when it is not.
	Stopped     string
	Held        time.Time // no call before this time, as the server asked; zero when it did not
	Open        bool      // the breaker is open: the sink did not answer several times in a row
	Probe       time.Time // Open: when the next call finds out whether it is back
	LastError   string
	LastErrorAt time.Time
	LastSuccess time.Time // of a call that the sink took; zero before the first
	// Attempts counts by result, from the start of the Loop: done, refused,
	// unknown, gone (outcomes); limited, stopped, lost, retry (calls that ended
	// otherwise); lost_claim, sighted, repeated, superseded, held, unreadable. Every word is always there.
	Attempts map[string]uint64
}

// results are the words of Status.Attempts.
func results() map[string]uint64 {
	return map[string]uint64{
		"done": 0, "refused": 0, "unknown": 0, "gone": 0,
		"limited": 0, "stopped": 0, "lost": 0, "retry": 0,
		"lost_claim": 0, "sighted": 0, "repeated": 0, "superseded": 0, "held": 0, "unreadable": 0,
	}
}

// status is the part of a Loop that others look at.
type status struct {
	mu        sync.Mutex
	inFlight  int
	empty     bool                 // the last fetch brought nothing
	deferred  map[string]time.Time // by claim key: put back, comes again then
	waits     map[*attempt]time.Time
	stopped   string
	stops     int // refusals of the credentials in a row
	stoppedTo time.Time
	held      time.Time
	lastErr   string
	lastErrAt time.Time
	lastGood  time.Time
	counts    map[string]uint64
}

func newStatus() status {
	return status{deferred: map[string]time.Time{}, waits: map[*attempt]time.Time{}, counts: results()}
}

// Status returns a copy that the caller owns.
func (l *Loop) Status() Status {
	n, until := l.Waiting()
	braked := l.o.Brake()
	open, probe := l.gate.state()
	s := &l.status
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{
		Sink: l.o.Name, InFlight: s.inFlight, Waiting: n, Until: until, Braked: braked, Stopped: s.stopped,
		LastError: s.lastErr, LastErrorAt: s.lastErrAt, LastSuccess: s.lastGood, Attempts: maps.Clone(s.counts),
	}
	if s.held.After(time.Now()) {
		out.Held = s.held
	}
	if open && s.stopped == "" {
		out.Open, out.Probe = true, probe
	}
	return out
}

// Why a sink makes no calls, in the order in which Status.Why looks.
const (
	WhyBrake       = "brake"
	WhyCredentials = "credentials"
	WhyRetryAfter  = "retry_after"
	WhyBreaker     = "breaker"
)

// Why is what keeps the sink from being called now; empty when nothing does.
func (s *Status) Why() string {
	switch {
	case s.Braked:
		return WhyBrake
	case s.Stopped != "":
		return WhyCredentials
	case !s.Held.IsZero():
		return WhyRetryAfter
	case s.Open:
		return WhyBreaker
	}
	return ""
}

// Idle reports that the last fetch brought nothing, nothing is in hand and
// nothing was put back to come again: all that was issued so far is over. It is false before the first fetch.
func (l *Loop) Idle() bool {
	n, _ := l.Waiting()
	s := &l.status
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.empty && n == 0 && s.inFlight == 0
}

// Waiting is how many actions can do nothing now (they wait for grace, a
// look, a server's Retry-After, a retry or somebody's lease) and the earliest time at
// which one of them can; zero when none waits.
func (l *Loop) Waiting() (n int, until time.Time) {
	s := &l.status
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	sooner := func(at time.Time) {
		n++
		if until.IsZero() || at.Before(until) {
			until = at
		}
	}
	for key, at := range s.deferred {
		// The queue gives it out again soon after; one that another worker dealt with meanwhile never comes.
		if now.Sub(at) > l.o.AckWait {
			delete(s.deferred, key)
			continue
		}
		sooner(at)
	}
	for _, at := range s.waits {
		sooner(at)
	}
	return n, until
}

func (s *status) begin(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	delete(s.deferred, key)
}

func (s *status) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
}

func (s *status) fetched(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty = n == 0 && err == nil
}

func (s *status) count(result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[result]++
}

func (s *status) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr, s.lastErrAt = err.Error(), time.Now()
}

func (s *status) succeeded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastGood = time.Now()
}

func (s *status) deferTo(key string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deferred[key] = at
}

func (s *status) waitTo(w *attempt, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits[w] = at
}

func (s *status) waitOver(w *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waits, w)
}

func (s *status) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waits)
}

// hold keeps every call of the sink back as the server asked, where it asked that of every call.
func (s *status) hold(d Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := time.Now().Add(d.Delay); d.Delay > 0 && !d.Part && at.After(s.held) {
		s.held = at
	}
}

// stop records refused credentials and returns when the sink is tried again,
// and whether this is news. Refusals of calls that were under way together count once.
func (s *status) stop(err error) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.lastErr, s.lastErrAt = err.Error(), now
	news := s.stopped == ""
	if !now.Before(s.stoppedTo) {
		s.stoppedTo = now.Add(min(stopMin<<min(s.stops, 8), stopMax))
		s.stops++
	}
	s.stopped = err.Error()
	return s.stoppedTo.Sub(now), news
}

// answered records that the sink took our credentials; true when it was stopped before.
func (s *status) answered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.stopped != ""
	s.stopped, s.stops, s.stoppedTo = "", 0, time.Time{}
	return was
}

func (s *status) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped != ""
}

func (s *status) heldFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, s.held.Sub(now), s.stoppedTo.Sub(now))
}
