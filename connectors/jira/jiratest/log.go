package jiratest

import (
	"net/http"
	"regexp"
	"slices"
	"time"
)

// Request is one request that arrived.
type Request struct {
	Method, Path string // the path with its query
	Route        string // the operation, as "POST issue/{key}/comment"; "GET ?" for what is not there
	Status       int    // what was answered; 0 when nothing was
	Fault        Kind   // what struck it; None when nothing did
	At           time.Time
	Header       http.Header
	Body         []byte
}

// Created is one create that took effect.
type Created struct {
	ID, Key   string
	TicketKey string    // the marker that it carried: docket- and 20 hex digits, from a label or a text field
	At        time.Time // when it took effect, which a late one does long after its request
}

// log appends a request and returns where.
func (s *Server) log(r *http.Request, route string, body []byte, f Fault) int {
	if s.opts.NoBodies {
		body = nil
	}
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.RequestURI(), Route: route, Fault: f.Kind, At: s.now(), Header: r.Header.Clone(), Body: body,
	})
	return len(s.requests) - 1
}

// Requests counts the requests that match; a nil match counts all.
func (s *Server) Requests(match func(Request) bool) int {
	n := 0
	for _, r := range s.RequestLog() {
		if match == nil || match(r) {
			n++
		}
	}
	return n
}

// RequestLog lists every request, oldest first.
func (s *Server) RequestLog() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Creates lists every create that took effect, in their order.
func (s *Server) Creates() []Created {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	return slices.Clone(s.creates)
}

// OpenByKey lists for every ticket key the issues that were created with it, that
// are still there and that are not in a status of the category done, oldest first.
func (s *Server) OpenByKey() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	out := map[string][]string{}
	for _, c := range s.creates {
		if is := s.there(c.ID); c.TicketKey != "" && is != nil && !is.archived && is.status.Category != CategoryDone {
			out[c.TicketKey] = append(out[c.TicketKey], is.key)
		}
	}
	return out
}

// marker finds the ticket key that an issue carries.
func marker(is *issue) string {
	form := regexp.MustCompile(`^docket-[0-9a-f]{8,}$`)
	labels, _ := is.fields["labels"].([]string)
	for _, l := range labels {
		if form.MatchString(l) {
			return l
		}
	}
	for _, f := range is.project.Fields {
		if text, ok := is.fields[f.ID].(string); ok && form.MatchString(text) {
			return text
		}
	}
	return ""
}
