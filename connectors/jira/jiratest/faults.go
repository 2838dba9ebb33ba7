package jiratest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Kind is a way in which a request goes wrong.
type Kind int

// The kinds of faults. "Before" keeps the request from taking effect.
const (
	None         Kind = iota
	DropBefore        // the connection is closed before the request took effect
	DropAfter         // it takes effect, the connection is closed
	AnswerBefore      // Status without an effect: 429, 503, 409, …
	AnswerAfter       // it takes effect, and Status is what is heard of it
	HangAfter         // it takes effect, and nothing is heard until the client gives up or, where Delay is set, so long
	HangBefore        // the same without the effect
	HalfAnswer        // it takes effect, and half of the answer's body is sent
	Slow              // it takes effect, and the answer begins after Delay of real time
	Trickle           // it takes effect, and the answer comes byte by byte over Delay of real time
	// Late closes the connection at once, or with Hang when the client gives up; the
	// request takes effect Delay later by the server's clock.
	Late
	Twice // it takes effect twice, as when a proxy repeats it; the second answer is sent
)

// answers reports whether a whole answer is meant to be sent.
func (k Kind) answers() bool {
	return slices.Contains([]Kind{None, AnswerBefore, AnswerAfter, Slow, Trickle, Twice}, k)
}

// before reports whether the request has no effect when it arrives.
func (k Kind) before() bool {
	return slices.Contains([]Kind{DropBefore, AnswerBefore, HangBefore, Late}, k)
}

// Fault is what happens to a request.
type Fault struct {
	Kind   Kind
	Status int // of AnswerBefore and AnswerAfter
	// RetryAfter is that header's value as it is sent: seconds, an HTTP date, "-1", anything; empty: no header.
	RetryAfter string
	Reason     string // of the header RateLimit-Reason: jira-burst-based, jira-per-issue-on-write
	Delay      time.Duration
	Hang       bool
	Reset      bool // a connection that is cut is reset, not closed
}

// Rule says which requests a fault strikes. The first rule that matches decides.
type Rule struct {
	Route string // "POST issue", "PUT issue/{key}", …, "POST *", "" for every request
	Issue string // only requests whose path names this issue
	Body  string // only requests whose body holds this text
	Skip  int    // so many that match pass first
	Times int    // it strikes so often at most; 0: without end
	// Share strikes that part of what matches, chosen by the seed; 0: all.
	Share       float64
	From, Until time.Time // a span of the server's clock; zero: open
	Fault       Fault
}

type rule struct {
	Rule
	index, seen, struck int
}

// span is a time in which the server is down.
type span struct{ from, until time.Time }

// lateRequest is a request whose effect is yet to come.
type lateRequest struct {
	c   *call
	h   handler
	due time.Time
}

// Inject adds rules behind those that there are.
func (s *Server) Inject(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rules {
		s.rules = append(s.rules, &rule{Rule: r, index: len(s.rules)})
	}
}

// Heal takes every rule and every time of being down away. Late effects still come.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.down = nil, nil
}

// Struck counts the requests that a rule has struck.
func (s *Server) Struck() int {
	return s.Requests(func(r Request) bool { return r.Fault != None })
}

// Down lets nothing take effect between two instants of the server's clock: every
// connection is closed without an answer. For a port that refuses connections, see Refuse.
func (s *Server) Down(from, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = append(s.down, span{from, until})
}

func (s *Server) isDown() bool {
	now := s.now()
	return slices.ContainsFunc(s.down, func(d span) bool { return !now.Before(d.from) && now.Before(d.until) })
}

// strike finds the fault of a request.
func (s *Server) strike(route string, c *call) Fault {
	now := s.now()
	for _, r := range s.rules {
		switch {
		case r.Route != "" && r.Route != route && r.Route != c.req.Method+" *":
		case r.Issue != "" && r.Issue != c.vars["key"], !bytes.Contains(c.body, []byte(r.Body)):
		case !r.From.IsZero() && now.Before(r.From), !r.Until.IsZero() && !now.Before(r.Until):
		case r.Times > 0 && r.struck >= r.Times:
		default:
			r.seen++
			if r.seen <= r.Skip || r.Share > 0 && s.draw(r) >= r.Share {
				continue
			}
			r.struck++
			return r.Fault
		}
	}
	return Fault{}
}

// draw is a number from 0 to 1 that depends on the seed, the rule and how many requests it has seen.
func (s *Server) draw(r *rule) float64 {
	return rand.New(rand.NewPCG(s.opts.Seed, uint64(r.index)<<32|uint64(r.seen))).Float64()
}

// reply is the answer that a fault puts in the place of the real one.
func (f Fault) reply(s *Server) reply {
	out := refuse(f.Status)
	switch f.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		out.body = fmt.Sprintf("<html><body><h1>%d %s</h1></body></html>", f.Status, http.StatusText(f.Status))
	case http.StatusInternalServerError:
		out = refuse(f.Status, "Internal server error")
	case http.StatusTooManyRequests:
		out = refuse(f.Status, "Rate limit exceeded.")
	case http.StatusConflict:
		out = refuse(f.Status, "The issue was changed by somebody else.")
	}
	out.header = http.Header{}
	if f.RetryAfter != "" {
		out.header.Set("Retry-After", f.RetryAfter)
	}
	if f.Reason != "" {
		out.header.Set("RateLimit-Reason", f.Reason)
	}
	if f.Status == http.StatusTooManyRequests {
		out.header.Set("X-RateLimit-Limit", "100")
		out.header.Set("X-RateLimit-Remaining", "0")
		if !s.opts.DataCenter {
			out.header.Set("X-RateLimit-Reset", s.now().UTC().Add(time.Minute).Truncate(time.Minute).Format("2006-01-02T15:04Z"))
		}
	}
	return out
}

// drop closes the connection without an answer, or resets it.
func drop(w http.ResponseWriter, reset bool) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0) // at worst it is closed like any other
			}
			conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler) // net/http's own way to end a connection that cannot be taken over
}

// wait passes real time, until the client gives up or the server closes; it reports whether the client is still there.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	var over <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
		return true
	case <-r.Context().Done():
		return false
	case <-s.closed:
		return false
	}
}

// hold does what a fault does before an answer; false: there will be none.
func (s *Server) hold(r *http.Request, f Fault) bool {
	switch f.Kind {
	case DropBefore, DropAfter:
		return false
	case Late:
		if f.Hang {
			s.wait(r, 0)
		}
		return false
	case HangAfter, HangBefore:
		return s.wait(r, f.Delay) && f.Kind == HangAfter
	case Slow:
		return s.wait(r, f.Delay)
	}
	return true
}

// send writes an answer as the fault wants it and returns its status, 0 when it did not go out whole.
func (s *Server) send(w http.ResponseWriter, r *http.Request, out reply, f Fault) int {
	data, kind := out.encode()
	if !s.hold(r, f) || f.Kind == HalfAnswer && len(data) == 0 {
		drop(w, f.Reset)
		return 0
	}
	header := w.Header()
	for name, values := range out.header {
		header[name] = values
	}
	if kind != "" {
		header.Set("Content-Type", kind)
	}
	if s.opts.DataCenter && s.opts.RateLimitHeaders && header.Get("X-RateLimit-Limit") == "" {
		for name, value := range map[string]string{"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "99",
			"X-RateLimit-FillRate": "10", "X-RateLimit-Interval-Seconds": "1", "retry-after": "0"} {
			header.Set(name, value)
		}
	}
	if out.status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(data)))
	}
	w.WriteHeader(out.status)
	var ok bool
	switch {
	case f.Kind == HalfAnswer:
		put(w, data[:len(data)/2])
		drop(w, f.Reset)
	case f.Kind == Trickle:
		ok = s.trickle(w, r, data, f.Delay)
	default:
		ok = put(w, data) // sent at once: webhooks go out before this request ends
	}
	if !ok {
		return 0
	}
	return out.status
}

// trickle sends an answer byte by byte.
func (s *Server) trickle(w http.ResponseWriter, r *http.Request, data []byte, over time.Duration) bool {
	for i := range data {
		if !put(w, data[i:i+1]) || !s.wait(r, max(over/time.Duration(len(data)), 1)) {
			return false
		}
	}
	return true
}

// put writes and sends; false: the client has gone.
func put(w http.ResponseWriter, data []byte) bool {
	if len(data) > 0 {
		if _, err := w.Write(data); err != nil {
			return false
		}
	}
	return http.NewResponseController(w).Flush() == nil
}

// postpone keeps a request for later.
func (s *Server) postpone(c *call, h handler, delay time.Duration) {
	s.late = append(s.late, &lateRequest{c, h, s.now().Add(delay)})
}

// Waiting counts the late effects that are yet to come.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	return len(s.late)
}

// settle lets every late effect take place whose time has come, in their order.
// Whatever looks at the state calls it first, so that nobody sees a state without them.
func (s *Server) settle() {
	slices.SortStableFunc(s.late, func(a, b *lateRequest) int { return a.due.Compare(b.due) })
	now := s.opts.Now()
	for len(s.late) > 0 && !s.late[0].due.After(now) {
		next := s.late[0]
		s.late = s.late[1:]
		s.asOf = next.due
		s.run(next.c, next.h)
		s.asOf = time.Time{}
	}
}
