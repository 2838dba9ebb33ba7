package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"
)

// requestHeader names the request in the answer, as the log names it.
const requestHeader = "Docket-Request"

// errSlow is the cause that ends a request with a small answer.
var errSlow = errors.New("docket did not come to an answer in time")

// requestIDs makes ids that are unique for as long as anybody compares logs.
type requestIDs struct {
	prefix string
	n      *atomic.Uint64
}

func newRequestIDs() requestIDs { return requestIDs{rand.Text()[:8] + "-", new(atomic.Uint64)} }

func (i requestIDs) next() string { return i.prefix + strconv.FormatUint(i.n.Add(1), 10) }

// exchange is one request's answer, with what is known of the request.
type exchange struct {
	http.ResponseWriter
	id     string
	route  string // for metrics and log
	by     caller
	status int   // 0: nothing was answered yet
	err    error // what went wrong, for the log
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// fail answers with err, unless an answer has begun.
func (x *exchange) fail(err error) {
	x.err = err
	if x.status == 0 {
		failureOf(err).write(x)
	}
}

// serve is round every request: it names, measures and logs it and turns a panic into an answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	x := &exchange{ResponseWriter: w, id: s.ids.next(), route: otherRoute}
	h := w.Header()
	h.Set(requestHeader, x.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	defer func() {
		p := recover()
		cut := p != nil && x.status != 0
		if p != nil {
			s.panicked(x, p)
		}
		if x.status == 0 {
			x.status = http.StatusOK // what net/http answers for a handler that wrote nothing
		}
		took := time.Since(began)
		s.metrics.served(x.route, x.status, took)
		s.log(x, took)
		if cut {
			// Only a broken connection tells the client that the answer is not whole.
			panic(http.ErrAbortHandler)
		}
	}()
	s.mux.ServeHTTP(x, r)
}

// panicked answers for a handler that panicked. The value may hold anything a
// source sent, so only that of the runtime is logged.
func (s *Server) panicked(x *exchange, p any) {
	s.metrics.panics.Inc()
	what := fmt.Sprintf("a value of type %T", p)
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	s.o.Log.Error("a request ended in a defect of docket", "request", x.id, "route", x.route, "panic", what, "stack", string(debug.Stack()))
	if x.status == 0 {
		failureOf(fmt.Errorf("a defect of docket: its log has the details under request %s", x.id)).write(x)
	}
}

func (s *Server) log(x *exchange, took time.Duration) {
	level := levelOf(x)
	if !s.o.Log.Enabled(context.Background(), level) {
		return
	}
	args := []any{"request", x.id, "route", x.route, "status", x.status, "duration", took, "by", x.by.name}
	if x.err != nil {
		args = append(args, "err", x.err)
	}
	s.o.Log.Log(context.Background(), level, "request", args...)
}
