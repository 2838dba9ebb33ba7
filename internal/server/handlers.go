package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// originBytes is how long the name may be that a sender gives its document.
const originBytes = 256

// rejectsMax is how many rejects one answer holds at most.
const rejectsMax = 1000

// answer writes a value.
func answer(x *exchange, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	writeJSON(x, status, data)
	return nil
}

// query reads the parameters of a request: only the known ones, each at most once.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := parameters(r)
	if err != nil {
		return nil, err
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, refusal{http.StatusBadRequest, api.CodeInvalid, fmt.Sprintf("unknown query parameter %q", name)}
		}
		if len(values) > 1 {
			return nil, refusal{http.StatusBadRequest, api.CodeInvalid, fmt.Sprintf("query parameter %s stands %d times; give it once", name, len(values))}
		}
	}
	return q, nil
}

func parameters(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refusal{http.StatusBadRequest, api.CodeInvalid, "the query cannot be read: write its values in percent-encoding"}
	}
	for name, values := range q {
		for _, word := range append(values, name) {
			if err := text(word); err != nil {
				return nil, err
			}
		}
	}
	return q, nil
}

// text refuses what cannot be a name: bytes that are no UTF-8, and control characters, which forge lines of a log.
func text(word string) error {
	if !utf8.ValidString(word) || strings.ContainsFunc(word, unicode.IsControl) {
		return refusal{http.StatusBadRequest, api.CodeInvalid, "the address holds bytes that are no text"}
	}
	return nil
}

// flag reads a parameter that is true or false; absent is false.
func flag(q url.Values, name string) (bool, error) {
	word := q.Get(name)
	if word == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(word)
	if err != nil {
		return false, refusal{http.StatusBadRequest, api.CodeInvalid, fmt.Sprintf("query parameter %s: %q is neither true nor false", name, word)}
	}
	return on, nil
}

// filtered adapts a question with a filter; whole completes its answer.
func filtered[T any](ask func(context.Context, api.Filter) (T, error), whole func(*T)) func(*exchange, *http.Request) error {
	return func(x *exchange, r *http.Request) error {
		q, err := parameters(r)
		if err != nil {
			return err
		}
		f, err := api.ParseFilter(q)
		if err != nil {
			return err
		}
		v, err := ask(r.Context(), f)
		if err != nil {
			return err
		}
		whole(&v)
		return answer(x, http.StatusOK, v)
	}
}

// A list without anything is [] in JSON, not null.
func findingsOf(l *api.FindingList) { l.Findings = some(l.Findings) }
func casesOf(l *api.CaseList)       { l.Cases = some(l.Cases) }

func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// named adapts a question about one thing, which an element of the path names.
func named[T any](element string, ask func(context.Context, string) (T, error)) func(*exchange, *http.Request) error {
	return func(x *exchange, r *http.Request) error {
		name := r.PathValue(element)
		if err := text(name); err != nil {
			return err
		}
		if _, err := query(r); err != nil {
			return err
		}
		v, err := ask(r.Context(), name)
		if err != nil {
			return err
		}
		return answer(x, http.StatusOK, v)
	}
}

// listed adapts a question for everything of a kind.
func listed[T any](ask func(context.Context) ([]T, error)) func(*exchange, *http.Request) error {
	return func(x *exchange, r *http.Request) error {
		if _, err := query(r); err != nil {
			return err
		}
		v, err := ask(r.Context())
		if err != nil {
			return err
		}
		return answer(x, http.StatusOK, some(v))
	}
}

func (s *Server) explain(x *exchange, r *http.Request) error {
	q, err := query(r, "ref")
	if err != nil {
		return err
	}
	if q.Get("ref") == "" {
		return refusal{http.StatusBadRequest, api.CodeInvalid, "give ?ref=: a case (DK-1), a fingerprint or a source's own id"}
	}
	v, err := s.o.Service.Explain(r.Context(), q.Get("ref"))
	if err != nil {
		return err
	}
	return answer(x, http.StatusOK, v)
}

func (s *Server) rejects(x *exchange, r *http.Request) error {
	q, err := query(r, "limit")
	if err != nil {
		return err
	}
	limit := 100
	if word := q.Get("limit"); word != "" {
		if limit, err = strconv.Atoi(word); err != nil || limit < 0 {
			return refusal{http.StatusBadRequest, api.CodeInvalid, fmt.Sprintf("query parameter limit: %q is no count", word)}
		}
	}
	list, err := s.o.Service.Rejects(r.Context(), min(limit, rejectsMax))
	if err != nil {
		return err
	}
	return answer(x, http.StatusOK, some(list))
}

func (s *Server) routeTree(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	tree, err := s.o.Service.RouteTree(r.Context())
	if err != nil {
		return err
	}
	return answer(x, http.StatusOK, api.Tree{Tree: tree})
}

func (s *Server) routeTest(x *exchange, r *http.Request) error {
	q, err := query(r, "origin")
	if err != nil {
		return err
	}
	d, err := s.open(r)
	if err != nil {
		return err
	}
	defer s.close(d)
	v, err := s.o.Service.RouteTest(r.Context(), d, origin(q, "request "+x.id))
	if err != nil {
		return d.blame(err)
	}
	v.Results = some(v.Results)
	return answer(x, http.StatusOK, v)
}

// origin is what a sender calls its document, cut where it is too long for a list.
func origin(q url.Values, otherwise string) string {
	name := q.Get("origin")
	if name == "" {
		return otherwise
	}
	if len(name) > originBytes {
		name = strings.ToValidUTF8(name[:originBytes], "") + "…"
	}
	return name
}

// act hands an interaction on. What a caller could use to pose as a tracker, or
// to approve its own suppression, is not taken from the body.
func (s *Server) ruleDiff(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var in api.RuleDiffRequest
	if err := s.decode(r, &in); err != nil {
		return err
	}
	v, err := s.o.Service.RuleDiff(r.Context(), in)
	if err != nil {
		return err
	}
	return answer(x, http.StatusOK, v)
}

func (s *Server) act(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var in pipeline.Interaction
	if err := s.decode(r, &in); err != nil {
		return err
	}
	in.Via = "api"
	if x.by.name != "" {
		in.Via = x.by.String()
	}
	if sup := in.Suppression; sup != nil {
		sup.By, sup.ApprovedBy, sup.Config, sup.Created = in.By, "", false, time.Time{}
	}
	v, err := s.o.Service.Act(r.Context(), in)
	if err != nil {
		return err
	}
	v.Lines = some(v.Lines)
	return answer(x, http.StatusOK, v)
}

func (s *Server) deadLetters(x *exchange, r *http.Request) error {
	q, err := parameters(r)
	if err != nil {
		return err
	}
	f, err := api.ParseDeadLetterFilter(q)
	if err != nil {
		return err
	}
	v, err := s.o.Service.DeadLetters(r.Context(), f)
	if err != nil {
		return err
	}
	return answer(x, http.StatusOK, some(v))
}

func (s *Server) brake(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	v, err := s.o.Service.Brake(r.Context())
	if err != nil {
		return err
	}
	v.Sinks = some(v.Sinks)
	return answer(x, http.StatusOK, v)
}

func (s *Server) plan(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	return stream(s, x, r, s.o.Service.Plan)
}

func (s *Server) drill(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var in api.DrillRequest
	if err := s.decode(r, &in); err != nil {
		return err
	}
	return stream(s, x, r, func(ctx context.Context, p api.Progress) (api.DrillResult, error) {
		return s.o.Service.Drill(ctx, in, p)
	})
}

func (s *Server) apply(x *exchange, r *http.Request) error {
	q, err := query(r, "strict")
	if err != nil {
		return err
	}
	strict, err := flag(q, "strict")
	if err != nil {
		return err
	}
	var plan api.Plan
	if err := s.decode(r, &plan); err != nil {
		return err
	}
	return stream(s, x, r, func(ctx context.Context, p api.Progress) (api.Applied, error) {
		return s.o.Service.Apply(ctx, plan, strict, p)
	})
}

func (s *Server) runSource(x *exchange, r *http.Request) error {
	q, err := query(r, "full")
	if err != nil {
		return err
	}
	full, err := flag(q, "full")
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if err := text(name); err != nil {
		return err
	}
	return stream(s, x, r, func(ctx context.Context, p api.Progress) (api.Summary, error) {
		return s.o.Service.RunSource(ctx, name, full, p)
	})
}

func (s *Server) resetSource(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	name := r.PathValue("name")
	if err := text(name); err != nil {
		return err
	}
	if err := s.o.Service.ResetSource(r.Context(), name); err != nil {
		return err
	}
	x.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) verify(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	v, err := s.o.Service.Verify(r.Context())
	if err != nil {
		return err
	}
	v.Problems, v.Streams = some(v.Problems), some(v.Streams)
	return answer(x, http.StatusOK, v)
}

func (s *Server) reload(x *exchange, r *http.Request) error {
	if err := s.o.Service.Reload(r.Context()); err != nil {
		return err
	}
	x.WriteHeader(http.StatusNoContent)
	return nil
}

// ingest takes a document in. It answers once what it accepted is on disk.
func (s *Server) ingest(x *exchange, r *http.Request) error {
	q, err := query(r, "format", "complete", "origin")
	if err != nil {
		return err
	}
	source := r.PathValue("source")
	if err := text(source); err != nil {
		return err
	}
	d, err := s.open(r)
	if err != nil {
		return err
	}
	defer s.close(d)
	got, err := s.o.Service.Ingest(r.Context(), api.IngestRequest{
		Source: source, Body: d, Format: q.Get("format"), Complete: q.Get("complete"), Origin: origin(q, "request "+x.id),
	})
	s.metrics.findings.WithLabelValues("accepted").Add(float64(got.Accepted))
	s.metrics.findings.WithLabelValues("rejected").Add(float64(len(got.Rejected)))
	if err != nil {
		return partly(d.blame(err), got.Accepted)
	}
	got.Rejected = some(got.Rejected)
	return answer(x, http.StatusAccepted, got)
}

// partly is why a document was not taken in whole. Sending it again is safe:
// what was taken before is the same finding then.
func partly(err error, accepted int) error {
	f := failureOf(err)
	// A full stream is the sender's to wait for; a full disk is docket's trouble.
	if f.status == http.StatusServiceUnavailable && f.body.Code == api.CodeBusy && !errors.Is(err, pipeline.ErrNoRoom) {
		f.status = http.StatusTooManyRequests
	}
	if accepted > 0 {
		f.body.Message += fmt.Sprintf(" (%d findings before it were taken in)", accepted)
	}
	return answered{f, err}
}

// answered is an error whose answer is made up already.
type answered struct {
	failure
	err error
}

func (e answered) Error() string { return e.body.Message }
func (e answered) Unwrap() error { return e.err }

func (s *Server) healthy(x *exchange, _ *http.Request) error {
	x.Header().Set(api.InstallationHeader, s.o.Installation)
	return answer(x, http.StatusOK, map[string]bool{"healthy": true})
}

// ready tells what is not ready only to those who may look; a load balancer needs the status alone.
func (s *Server) ready(x *exchange, r *http.Request) error {
	x.Header().Set(api.InstallationHeader, s.o.Installation)
	err := s.o.Service.Ready(r.Context())
	if err == nil && s.stopping.Err() != nil {
		err = errStopping
	}
	if err == nil {
		return answer(x, http.StatusOK, map[string]bool{"ready": true})
	}
	message := "not ready: send a token to be told why"
	if by, denied := s.identify(r); errors.Join(denied, needView.allow(by)) == nil {
		message = "not ready: " + err.Error()
	}
	return refusal{http.StatusServiceUnavailable, api.CodeNotReady, message}
}
