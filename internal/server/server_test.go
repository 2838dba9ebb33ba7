package server

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/api"
)

// dial is a raw connection that the test writes to by hand.
func (x *running) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", x.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestSlowHeader(t *testing.T) {
	x := start(t, func(_ *Options, tm *timings) { tm.header = 50 * time.Millisecond })
	conn := x.dial(t)
	fmt.Fprint(conn, "GET /-/healthy HTTP/1.1\r\nHost: x\r\nX-Slow:") // and nothing more
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("reading from the connection of a slow header = %v; want that the server closed it", err)
	}
}

func TestLargeHeader(t *testing.T) {
	x := start(t, nil)
	got := x.send(t, RoleViewer, "GET", "/api/v1/sinks", nil, "X-Large", strings.Repeat("x", 80<<10))
	if got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 80 KiB = %d; want 431", got.status)
	}
}

func TestSlowAnswer(t *testing.T) {
	x := start(t, func(_ *Options, tm *timings) { tm.short = 50 * time.Millisecond })
	x.fake.caseOf = func(ctx context.Context, _ string) (api.CaseDetail, error) {
		<-ctx.Done()
		return api.CaseDetail{}, fmt.Errorf("reading the case: %w", ctx.Err())
	}
	got := x.send(t, RoleViewer, "GET", "/api/v1/cases/DK-1", nil)
	if got.status != 503 || got.failed().Code != "timeout" || !strings.Contains(got.failed().Message, errSlow.Error()) {
		t.Errorf("an answer that takes too long = %d %s; want 503 that says so", got.status, got.body)
	}
}

func TestPanics(t *testing.T) {
	x := start(t, nil)
	for _, tc := range []struct {
		name   string
		panic  func()
		logged string
	}{
		{"of the runtime", func() { var none []int; _ = none[len(none)] }, "index out of range"},
		{"with a value that may hold anything", func() { panic("canary-panic") }, "a value of type string"},
		{"with an error", func() { panic(errors.New("canary-panic")) }, "a value of type *errors.errorString"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x.fake.caseOf = func(context.Context, string) (api.CaseDetail, error) {
				tc.panic()
				return api.CaseDetail{}, nil
			}
			got := x.send(t, RoleViewer, "GET", "/api/v1/cases/DK-1", nil)
			id := got.header.Get(requestHeader)
			if got.status != 500 || got.failed().Code != "internal" || id == "" || !strings.Contains(got.failed().Message, id) {
				t.Errorf("answer = %d %s; want 500 that names request %s", got.status, got.body, id)
			}
			if log := x.log.String(); !strings.Contains(log, tc.logged) || !strings.Contains(log, id) || strings.Contains(log, "canary-panic") {
				t.Errorf("log = %s; want %q, the request's id and not the value", log, tc.logged)
			}
		})
	}
	x.fake.planOf = func(_ context.Context, p api.Progress) (api.Plan, error) {
		p("reading", 1, 2)
		panic("half way")
	}
	c := x.client(t, RoleAdmin)
	if _, err := c.Plan(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "reading docket's answer") {
		t.Errorf("Plan() that panics half way = %v; want an answer that was cut", err)
	}
	if _, err := c.Sinks(t.Context()); err != nil {
		t.Errorf("Sinks() afterwards = %v; want no error", err)
	}
	if page := x.send(t, RoleViewer, "GET", "/metrics", nil).body; !strings.Contains(page, "docket_http_panics_total 4\n") {
		t.Errorf("metrics = %s; want 4 panics", page)
	}
}

// TestTokensNeverShow uses tokens, right and wrong ones, in every way, with
// failures and panics, and looks for them in all that comes out.
func TestTokensNeverShow(t *testing.T) {
	x := start(t, nil)
	var out strings.Builder
	x.fake.caseOf = func(context.Context, string) (api.CaseDetail, error) { panic("a defect") }
	roles := append(Roles(), "stranger")
	for _, role := range roles {
		for _, rt := range x.routes() {
			if strings.HasPrefix(rt.path, "/debug/pprof/") {
				continue
			}
			got := x.send(t, role, rt.method, target(rt), strings.NewReader(`{}`))
			fmt.Fprintln(&out, got.header, got.body)
		}
		got := x.send(t, role, "GET", "/api/v1/nothing?token="+bearer(role), nil)
		fmt.Fprintln(&out, got.header, got.body)
		c := x.client(t, role)
		_, err := c.Case(t.Context(), "DK-1")
		fmt.Fprintf(&out, "%v %+v %#v\n", err, c, c)
		_, err = api.NewClient("http://127.0.0.1:1", bearer(role)).Sinks(t.Context())
		fmt.Fprintln(&out, err)
		_, err = api.NewClient("ftp://"+bearer(role)+"@x", bearer(role)).Sinks(t.Context())
		fmt.Fprintln(&out, err)
	}
	x.SetTokens([]Token{token("odd", "no-role", bearer(RoleAdmin))})
	fmt.Fprintf(&out, "%s %+v %#v", x.log, x.keys.Load(), x.o)
	for _, role := range roles {
		canary := bearer(role)
		for form, text := range map[string]string{"plain": canary, "hex": hex.EncodeToString([]byte(canary)),
			"base64": base64.RawStdEncoding.EncodeToString([]byte(canary)), "URL": url.QueryEscape(canary)} {
			if i := strings.Index(out.String(), text); i >= 0 {
				t.Errorf("the token of %s shows as %s: …%.200s", role, form, out.String()[max(0, i-100):])
			}
		}
	}
	if log := x.log.String(); !strings.Contains(log, "by=the-viewer") || !strings.Contains(log, `route="GET /api/v1/cases/{id}"`) || strings.Contains(log, "DK-1") {
		t.Errorf("log = %.2000s; want names of tokens and routes, and no ids", log)
	}
}

func TestAnswersAreMarked(t *testing.T) {
	x := start(t, nil)
	for _, target := range []string{"/-/healthy", "/api/v1/sinks", "/api/v1/nothing"} {
		h := x.send(t, RoleViewer, "GET", target, nil).header
		if h.Get("Content-Type") != "application/json" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" || h.Get(requestHeader) == "" {
			t.Errorf("GET %s has the headers %v; want JSON, nosniff, no-store and the request's id", target, h)
		}
	}
}

func TestStop(t *testing.T) {
	s, err := New(withRegistry(start(t, nil).o))
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr() != nil {
		t.Errorf("Addr() before Start = %v; want nil", s.Addr())
	}
	if err := errors.Join(s.Stop(t.Context()), s.Stop(t.Context())); err != nil {
		t.Errorf("Stop() without Start, twice = %v; want no error", err)
	}
	if err := s.Start(); err == nil {
		t.Error("Start() after Stop = nil; want an error")
	}
	x := start(t, nil)
	if err := x.Start(); err == nil {
		t.Error("Start() twice = nil; want an error")
	}
	o := withRegistry(x.o)
	o.Listen = x.Addr().String()
	if s, err = New(o); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Start() on an address in use = %v; want an error that says so", err)
	}
	if _, err := New(x.o); err == nil {
		t.Error("New() with a registry in use = nil; want an error")
	}
	if _, err := New(Options{}); err == nil {
		t.Error("New() of nothing = nil; want an error")
	}
}

// TestStopWaits lets a short request finish, and cuts off one that does not.
func TestStopWaits(t *testing.T) {
	x := start(t, nil)
	begun, free := make(chan struct{}, 1), make(chan struct{})
	x.fake.caseOf = func(ctx context.Context, id string) (api.CaseDetail, error) {
		begun <- struct{}{}
		if id == "DK-2" {
			<-ctx.Done()
			return api.CaseDetail{}, ctx.Err()
		}
		<-free
		return api.CaseDetail{}, nil
	}
	done := make(chan error, 1)
	ask := func(id string) {
		_, err := x.client(t, RoleViewer).Case(context.Background(), id)
		done <- err
	}
	go ask("DK-1")
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- x.Stop(context.Background()) }()
	<-x.stopping.Done()
	close(free)
	if err := <-done; err != nil {
		t.Errorf("Case() during Stop = %v; want its answer", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop() = %v; want no error", err)
	}

	y, err := New(withRegistry(x.o))
	if err != nil {
		t.Fatal(err)
	}
	if err := y.Start(); err != nil {
		t.Fatal(err)
	}
	c := api.NewClient(y.Addr().String(), bearer(RoleViewer))
	defer c.Close()
	go func() {
		_, err := c.Case(context.Background(), "DK-2")
		done <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("the stop took longer than 20ms"))
	defer cancel()
	if err := y.Stop(ctx); err == nil || !strings.Contains(err.Error(), "the stop took longer than 20ms") {
		t.Errorf("Stop() of a request that does not end = %v; want what cut it off", err)
	}
	if err := <-done; err == nil {
		t.Error("Case() that was cut off = nil; want an error")
	}
}

// TestBadRequests sends what no client of ours would.
func TestBadRequests(t *testing.T) {
	x := start(t, nil)
	for _, tc := range []struct{ name, request, want string }{
		{"a path trick", "GET /api/v1/ingest/../cases HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 307 "},
		{"two slashes", "GET //api/v1/cases HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 307 "},
		{"an encoded path trick", "GET /-/healthy%2F..%2Fapi HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 401 "},
		{"the server itself", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 "},
		{"a tunnel", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", "HTTP/1.1 404 "},
		{"two lengths", "POST /api/v1/act HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 400 "},
		{"no HTTP", "\x16\x03\x01\r\n\r\n", "HTTP/1.1 400 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := x.dial(t)
			fmt.Fprint(conn, tc.request)
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, tc.want) {
				t.Errorf("answer = %q, %v; want %s", line, err, tc.want)
			}
		})
	}
}
