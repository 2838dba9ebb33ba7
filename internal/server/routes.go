package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/api"
)

// route is one method and path. All of them stand in routes; docs/api.md
// describes each, and a test compares the two.
type route struct {
	method, path string
	need         need
	long         bool // no limit of time beyond that of a body
	success      int  // the status of success; 0: 200
	serve        func(x *exchange, r *http.Request) error
}

func (rt route) pattern() string { return rt.method + " " + rt.path }

func (rt route) status() int {
	if rt.success == 0 {
		return http.StatusOK
	}
	return rt.success
}

// routes is everything that is served.
func (s *Server) routes() []route {
	v := s.o.Service
	get, post := http.MethodGet, http.MethodPost
	list := []route{
		{method: get, path: "/api/v1/findings", need: needView, serve: filtered(v.Findings, findingsOf)},
		{method: get, path: "/api/v1/findings/{fingerprint}", need: needView, serve: named("fingerprint", v.Finding)},
		{method: get, path: "/api/v1/cases", need: needView, serve: filtered(v.Cases, casesOf)},
		{method: get, path: "/api/v1/cases/{id}", need: needView, serve: named("id", v.Case)},
		{method: get, path: "/api/v1/explain", need: needView, serve: s.explain},
		{method: get, path: "/api/v1/suppressions", need: needView, serve: listed(v.Suppressions)},
		{method: get, path: "/api/v1/sources", need: needView, serve: listed(v.Sources)},
		{method: get, path: "/api/v1/sinks", need: needView, serve: listed(v.Sinks)},
		{method: get, path: "/api/v1/deadletters", need: needView, serve: s.deadLetters},
		{method: get, path: "/api/v1/brake", need: needView, serve: s.brake},
		{method: post, path: "/api/v1/sinks/test", need: needAdmin, long: true, serve: s.testSinks},
		{method: get, path: "/api/v1/cases/{id}/preview", need: needView, serve: s.preview},
		{method: post, path: "/api/v1/reconcile", need: needAdmin, long: true, serve: s.reconcile},
		{method: get, path: "/api/v1/scopes", need: needView, serve: listed(v.Scopes)},
		{method: get, path: "/api/v1/rejects", need: needView, serve: s.rejects},
		{method: get, path: "/api/v1/routes", need: needView, serve: s.routeTree},
		{method: post, path: "/api/v1/routes/test", need: needRespond, long: true, serve: s.routeTest},
		{method: post, path: "/api/v1/rules/diff", need: needAdmin, long: true, serve: s.ruleDiff},
		{method: post, path: "/api/v1/act", need: needRespond, serve: s.act},
		{method: post, path: "/api/v1/drill", need: needAdmin, long: true, serve: s.drill},
		{method: post, path: "/api/v1/plan", need: needRespond, long: true, serve: s.plan},
		{method: post, path: "/api/v1/apply", need: needAdmin, long: true, serve: s.apply},
		{method: post, path: "/api/v1/sources/{name}/run", need: needAdmin, long: true, serve: s.runSource},
		{method: post, path: "/api/v1/sources/{name}/reset", need: needAdmin, success: http.StatusNoContent, serve: s.resetSource},
		{method: post, path: "/api/v1/state/verify", need: needAdmin, long: true, serve: s.verify},
		{method: post, path: "/api/v1/state/backup", need: needAdmin, long: true, serve: s.backup},
		{method: post, path: "/api/v1/state/export", need: needAdmin, long: true, serve: s.export},
		{method: post, path: "/api/v1/ingest/{source}", need: needIngest, long: true, success: http.StatusAccepted, serve: s.ingest},
		{method: post, path: "/hooks/{sink}", need: needNothing, success: http.StatusAccepted, serve: s.hook},
		{method: get, path: "/metrics", need: needView, serve: passed(s.o.Metrics)},
		{method: get, path: "/-/healthy", need: needNothing, serve: s.healthy},
		{method: get, path: "/-/ready", need: needNothing, serve: s.ready},
		{method: post, path: "/-/reload", need: needAdmin, long: true, success: http.StatusNoContent, serve: s.reload},
		{method: http.MethodPut, path: "/-/reload", need: needAdmin, long: true, success: http.StatusNoContent, serve: s.reload},
	}
	if s.o.Pprof {
		list = append(list,
			route{method: get, path: "/debug/pprof/", need: needAdmin, long: true, serve: passed(http.HandlerFunc(pprof.Index))},
			route{method: get, path: "/debug/pprof/profile", need: needAdmin, long: true, serve: passed(http.HandlerFunc(pprof.Profile))},
			route{method: get, path: "/debug/pprof/trace", need: needAdmin, long: true, serve: passed(http.HandlerFunc(pprof.Trace))},
		)
	}
	return list
}

// passed adapts a handler of somebody else.
func passed(h http.Handler) func(*exchange, *http.Request) error {
	return func(x *exchange, r *http.Request) error {
		h.ServeHTTP(x, r)
		return nil
	}
}

// handler is round every route: who may, for how long, and what its error becomes.
func (s *Server) handler(rt route) http.Handler {
	name := otherRoute
	if rt.path != "" {
		name = rt.pattern()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*exchange) // serve hands nothing else to the router
		x.route = name
		if rt.need != needNothing {
			by, err := s.identify(r)
			if err == nil {
				x.by = by
				err = rt.need.allow(by)
			}
			if err != nil {
				x.fail(err)
				return
			}
		}
		ctx := r.Context()
		r.Body = http.MaxBytesReader(x, r.Body, s.o.MaxBodyBytes)
		if rt.long {
			if err := s.unhurried(x, r); err != nil {
				x.fail(err)
				return
			}
		} else {
			limited, cancel := context.WithTimeoutCause(ctx, s.t.short, errSlow)
			defer cancel()
			ctx = limited
			r = r.WithContext(ctx)
		}
		if err := rt.serve(x, r); err != nil {
			x.fail(ended(ctx, err))
		}
	})
}

// unhurried lifts the limits of time of a connection for one request, but that
// of its body. That one must go with the body's end: net/http reads on behind it to see
// the client leave, and would take the limit for just that.
func (s *Server) unhurried(x *exchange, r *http.Request) error {
	c := http.NewResponseController(x)
	var until time.Time
	if r.ContentLength != 0 {
		until = time.Now().Add(s.t.upload)
		r.Body = &whole{r.Body, func() { _ = c.SetReadDeadline(time.Time{}) }} // a closed connection needs no limit
	}
	if err := errors.Join(c.SetReadDeadline(until), c.SetWriteDeadline(time.Time{})); err != nil {
		return fmt.Errorf("setting the time limits of the request: %w", err)
	}
	return nil
}

// whole tells when a body was read to its end.
type whole struct {
	io.ReadCloser
	tell func()
}

func (w *whole) Read(b []byte) (int, error) {
	n, err := w.ReadCloser.Read(b)
	if err == io.EOF {
		w.tell()
	}
	return n, err
}

// nowhere answers for every path and method that is no route.
func (s *Server) nowhere(x *exchange, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		other := *r
		other.Method = method
		if _, pattern := s.mux.Handler(&other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return refusal{http.StatusNotFound, api.CodeNotFound, "there is nothing at this address: docs/api.md lists what there is"}
	}
	x.Header().Set("Allow", strings.Join(allowed, ", "))
	return refusal{http.StatusMethodNotAllowed, api.CodeInvalid, "this address takes " + strings.Join(allowed, " or ")}
}

// levelOf is how loudly a request is logged: a defect or a failure of ours as an
// error; what the caller did, and what passes by itself, only for debugging.
func levelOf(x *exchange) slog.Level {
	if x.err != nil && failureOf(x.err).status == http.StatusInternalServerError {
		return slog.LevelError
	}
	return slog.LevelDebug
}
