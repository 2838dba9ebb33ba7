package awstest

import (
	"net/http"
	"time"
)

// Match says which calls are meant. An empty field matches every value.
type Match struct {
	Service, Operation, Account, Region string
	// Nth, unless 0, means only the nth of the calls that the rest matches, the first is 1, counted since the fault was set.
	Nth int
	// Every, unless 0, means the first and then every so-manieth: 2 is every other one.
	Every int
}

func (m Match) fits(c Call) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return is(m.Service, c.Service) && is(m.Operation, c.Operation) && is(m.Account, c.Account) && is(m.Region, c.Region)
}

// Fault is what happens to a call instead of its answer. One with nothing but Delay only waits and then answers.
type Fault struct {
	Status int // 0: that of Code, which is 400, or 200 for a Body
	// Code and Message make an error in the form of the call's protocol. An AccessDeniedException and the like become
	// AccessDenied where the protocol calls it so.
	Code, Message string
	// Body is sent as it is, an HTML page for example, with Header's Content-Type.
	Body   string
	Header http.Header
	// Delay is waited before anything else; the client may go away meanwhile.
	Delay time.Duration
	// Cut closes the connection without an answer. With After, what was asked for is done first.
	Cut, After bool
	// Times, unless 0, is how often it happens at most.
	Times int
}

// Faults that AWS has for everybody.
func Throttled() Fault {
	return Fault{Status: http.StatusBadRequest, Code: "ThrottlingException", Message: "Rate exceeded"}
}

// SlowDown is how some services throttle: a 503 with a code of its own.
func SlowDown() Fault {
	return Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown", Message: "Please reduce your request rate."}
}

// Denied is what a caller without the right gets.
func Denied() Fault {
	return Fault{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "User is not authorized to perform this action"}
}

// Page is an HTML page with status 200, as a proxy or a captive portal answers.
func Page() Fault {
	return Fault{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}},
		Body: "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to the network.</body></html>"}
}

type fault struct {
	match Match
	do    Fault
	seen  int
	done  int
}

// Fault makes the calls that match fail. Where several faults match, the one that was set last decides.
func (s *Server) Fault(m Match, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{match: m, do: f})
}

// Heal takes all faults away.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Calls is how many calls matched so far, refused and failed ones included. Nth is not looked at.
func (s *Server) Calls(m Match) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c, count := range s.calls {
		if m.fits(c) {
			n += count
		}
	}
	return n
}

// struck counts the call and says which fault it meets.
func (s *Server) struck(c Call) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Session = ""
	s.calls[c]++
	var hit *fault
	for _, f := range s.faults {
		if !f.match.fits(c) {
			continue
		}
		f.seen++
		if (f.match.Nth == 0 || f.match.Nth == f.seen) && (f.match.Every == 0 || (f.seen-1)%f.match.Every == 0) && (f.do.Times == 0 || f.done < f.do.Times) {
			hit = f
		}
	}
	if hit == nil {
		return Fault{}, false
	}
	hit.done++
	return hit.do, true
}
