package httpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/docket-hub/docket/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "s3cr3t-token"

// newClient is a client of a server that answers with h.
func newClient(t *testing.T, h http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	o := Options{Base: srv.URL + "/base", Auth: func(r *http.Request) { r.SetBasicAuth("bot", token) }, Timeout: 2 * time.Second}
	tr := transport().(*http.Transport)
	t.Cleanup(tr.CloseIdleConnections)
	o.Transport = tr
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// class is the word for what an error means to deliver.
func class(err error) string {
	delay, named := pipeline.RetryDelay(err)
	wait := ""
	if named {
		wait = " " + delay.String()
	}
	switch {
	case err == nil:
		return "ok"
	case pipeline.IsUnsure(err):
		return "unsure" + wait
	case errors.Is(err, pipeline.ErrUnauthorized):
		return "unauthorized"
	case errors.Is(err, pipeline.ErrForbidden):
		return "forbidden"
	case errors.Is(err, pipeline.ErrGone):
		return "gone"
	case named:
		return "wait" + wait
	case pipeline.IsPermanent(err):
		return "permanent"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "context"
	default:
		return "retry"
	}
}

func TestStatusClasses(t *testing.T) {
	for _, c := range []struct {
		name        string
		status      int
		header      string // name: value
		read, write string
	}{
		{"created", 201, "", "ok", "ok"},
		{"no content", 204, "", "ok", "ok"},
		{"redirect", 302, "Location: /elsewhere", "retry", "retry"},
		{"bad request", 400, "", "permanent", "permanent"},
		{"unauthorized", 401, "", "unauthorized", "unauthorized"},
		{"forbidden", 403, "", "forbidden", "forbidden"},
		{"a CAPTCHA", 403, "X-Authentication-Denied-Reason: CAPTCHA_CHALLENGE; login-url=http://x/login.jsp", "unauthorized", "unauthorized"},
		{"a login that is not looked at", 403, "X-Seraph-LoginReason: AUTHENTICATION_DENIED", "unauthorized", "unauthorized"},
		{"a login that may not", 403, "X-Seraph-LoginReason: AUTHORISATION_FAILED", "forbidden", "forbidden"},
		{"not found", 404, "", "gone", "gone"},
		{"gone", 410, "", "gone", "gone"},
		{"time-out told by the server", 408, "", "retry", "retry"},
		{"conflict", 409, "", "retry", "retry"},
		{"too large", 413, "", "permanent", "permanent"},
		{"unprocessable", 422, "", "permanent", "permanent"},
		{"limit in seconds", 429, "Retry-After: 7", "wait 7s", "wait 7s"},
		{"limit without a wait", 429, "", "wait 10s", "wait 10s"},
		{"limit with a negative wait", 429, "Retry-After: -5", "wait 10s", "wait 10s"},
		{"limit with an absurd wait", 429, "Retry-After: 1000000000", "wait 1h0m0s", "wait 1h0m0s"},
		{"limit with no number", 429, "Retry-After: soon", "wait 10s", "wait 10s"},
		{"limit with a date", 429, "Retry-After: Fri, 02 Jan 2026 12:00:30 GMT", "wait 30s", "wait 30s"},
		{"limit with a date that has passed", 429, "Retry-After: Fri, 02 Jan 2026 11:00:30 GMT", "wait 10s", "wait 10s"},
		{"limit with a reset", 429, "X-RateLimit-Reset: 2026-01-02T12:02Z", "wait 2m0s", "wait 2m0s"},
		{"server error", 500, "", "retry", "unsure"},
		{"bad gateway", 502, "", "retry", "unsure"},
		{"unavailable", 503, "", "retry", "unsure"},
		{"unavailable for a while", 503, "Retry-After: 5", "wait 5s", "unsure 5s"},
		{"gateway time-out", 504, "Retry-After: 5", "retry", "unsure"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for method, want := range map[string]string{"GET": c.read, "POST": c.write, "PUT": c.write, "DELETE": c.write} {
				var calls atomic.Int32
				client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					calls.Add(1)
					w.Header().Set("Date", "Fri, 02 Jan 2026 12:00:00 GMT")
					if k, v, ok := strings.Cut(c.header, ": "); ok {
						w.Header().Set(k, v)
					}
					w.WriteHeader(c.status)
					if c.status != 204 {
						io.WriteString(w, `{"errorMessages":["no"]}`)
					}
				})
				_, err := client.Do(t.Context(), method, "x?q=private", map[string]int{"a": 1}, nil)
				if got := class(err); got != want {
					t.Errorf("Do(%s) = %s (%v); want %s", method, got, err, want)
				}
				if n := calls.Load(); n != 1 {
					t.Errorf("Do(%s) called %d times; want 1", method, n)
				}
				var e *Error
				if err != nil && (!errors.As(err, &e) || e.Status != c.status || !strings.Contains(string(e.Body), "no")) {
					t.Errorf("Do(%s) = %#v; want an Error with status and body", method, e)
				}
				if err != nil && strings.Contains(err.Error(), "private") {
					t.Errorf("Do(%s) = %v; want no query in it", method, err)
				}
			}
		})
	}
}

// hijack takes the connection over after the request was read.
func hijack(t *testing.T, do func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		do(conn)
		_ = conn.Close()
	}
}

func TestLostAnswers(t *testing.T) {
	write := func(s string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, s) } }
	for _, c := range []struct {
		name        string
		handler     http.HandlerFunc
		read, write string
	}{
		{"closed without an answer", hijack(t, func(net.Conn) {}), "retry", "unsure"},
		{"reset", hijack(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }), "retry", "unsure"},
		{"half a status line", hijack(t, write("HTTP/1.1 2")), "retry", "unsure"},
		{"half a body", hijack(t, write("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":")), "retry", "unsure"},
		{"half a body of a refusal", hijack(t, write("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{\"err")), "permanent", "permanent"},
		{"no HTTP at all", hijack(t, write("SSH-2.0-x\r\n\r\n")), "retry", "unsure"},
		{"a page instead of JSON", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in") }, "retry", "unsure"},
		{"an empty success", func(w http.ResponseWriter, _ *http.Request) {}, "retry", "unsure"},
		{"an endless body", func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i <= MaxBodyBytes>>20; i++ {
				_, _ = w.Write(make([]byte, 1<<20))
			}
		}, "retry", "unsure"},
		{"silence", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "retry", "unsure"},
		{"a body drop by drop", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		}, "retry", "unsure"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for method, want := range map[string]string{"GET": c.read, "POST": c.write} {
				var calls atomic.Int32
				client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					calls.Add(1)
					_, _ = io.Copy(io.Discard, r.Body)
					c.handler(w, r)
				}, func(o *Options) { o.Timeout = 200 * time.Millisecond })
				var out struct{ ID string }
				_, err := client.Do(t.Context(), method, "x", map[string]int{"a": 1}, &out)
				if got := class(err); got != want {
					t.Errorf("Do(%s) = %s (%v); want %s", method, got, err, want)
				}
				if n := calls.Load(); method == "POST" && n != 1 {
					t.Errorf("Do(%s) called %d times; want 1", method, n)
				}
			}
		})
	}
}

// dialSlowly never gets a connection.
type dialSlowly struct{}

func (dialSlowly) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestNothingSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	_ = l.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for name, base := range map[string]string{
		"refused connection":               closed,
		"no such name":                     "http://does-not-exist.invalid",
		"TLS to a server that speaks none": strings.Replace(plain.URL, "http:", "https:", 1),
	} {
		c, err := New(Options{Base: base, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), "POST", "x", 1, nil); class(err) != "retry" {
			t.Errorf("%s: Do() = %s (%v); want retry", name, class(err), err)
		}
	}
	slow := newClient(t, nil, func(o *Options) {
		o.Transport = dialSlowly{}
		o.Timeout = 20 * time.Millisecond
	})
	if _, err := slow.Do(t.Context(), "POST", "x", 1, nil); class(err) != "retry" {
		t.Errorf("Do() of a connection that takes too long = %s (%v); want retry", class(err), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := slow.Do(ctx, "POST", "x", 1, nil); !errors.Is(err, context.Canceled) || pipeline.IsUnsure(err) {
		t.Errorf("Do(cancelled) = %v; want %v and no doubt", err, context.Canceled)
	}
}

// TestWriteIsSentOnce lets the server close idle connections under a pool: the
// transport may take a new connection only for a write of which nothing went out.
func TestWriteIsSentOnce(t *testing.T) {
	var calls, kept atomic.Int32
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		calls.Add(1)
		if kept.Add(1)%2 == 0 { // every second answer of a kept connection is lost
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.Close()
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	for i := range 20 {
		h := http.Header{"Idempotency-Key": {"k"}, "X-Idempotency-Key": {"k"}}
		before := calls.Load()
		_, err := client.Send(t.Context(), Request{Method: "POST", Path: "x", Header: h, Body: []byte("{}")})
		if got := calls.Load() - before; got != 1 {
			t.Errorf("write %d arrived %d times (%v); want once", i, got, err)
		}
	}
}

func TestNoSecretInErrors(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.WriteHeader(400)
		if strings.HasSuffix(r.URL.Path, "/long") {
			io.WriteString(w, strings.Repeat("x", errorBodyBytes-len(token)+1)) // so that the cut goes through the secret
			io.WriteString(w, password)
			return
		}
		fmt.Fprintf(w, "you sent %s and %s", r.Header.Get("Authorization"), password)
	}
	client := newClient(t, echo)
	_, err := client.Do(t.Context(), "GET", "x", nil, nil)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Do() = %v; want an Error", err)
	}
	for _, s := range []string{err.Error(), string(e.Body)} {
		if strings.Contains(s, token) || strings.Contains(s, "Ym90O") {
			t.Errorf("Do() = %q; want no credentials", s)
		}
	}
	if _, err = client.Do(t.Context(), "GET", "long", nil, nil); !errors.As(err, &e) || len(e.Body) > errorBodyBytes || strings.Contains(string(e.Body), token[:5]) {
		t.Errorf("Do(long) = %v; want at most %d bytes of it, without a part of the secret", err, errorBodyBytes)
	}
	for _, bad := range []string{"http://bot:" + token + "@host", "ftp://host/" + token, "http://host?t=" + token, "http://%zz" + token, "host"} {
		if _, err := New(Options{Base: bad}); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("New(%q) = %v; want an error without its parts", bad, err)
		}
	}
}

func TestRequest(t *testing.T) {
	var got string
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, _, _ := r.BasicAuth()
		got = fmt.Sprintf("%s %s %s %s %s", r.Method, r.RequestURI, user, r.Header.Get("Content-Type"), body)
		if !strings.HasPrefix(r.UserAgent(), "docket") {
			t.Errorf("User-Agent = %q; want docket", r.UserAgent())
		}
		io.WriteString(w, `{"id":"1"}`)
	})
	var out struct{ ID string }
	r, err := client.Do(t.Context(), "POST", "/issue/A%2FB?x=a%2Bb", map[string]string{"a": "<&>"}, &out)
	want := `POST /base/issue/A%2FB?x=a%2Bb bot application/json {"a":"<&>"}` + "\n"
	if err != nil || got != want || out.ID != "1" || r.Status != 200 {
		t.Errorf("Do() = %+v, %v, sent %q; want id 1, sent %q", out, err, got, want)
	}
}

func TestClientLibrary(t *testing.T) {
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token {
			t.Errorf("credentials are missing")
		}
		if r.Method == "POST" {
			w.WriteHeader(502)
		}
		io.WriteString(w, "hello")
	})
	for method, want := range map[string]string{"GET": "ok", "POST": "unsure"} {
		req, _ := http.NewRequestWithContext(t.Context(), method, client.base.String()+"/x", nil)
		resp, err := client.HTTP(req)
		if class(err) != want {
			t.Errorf("HTTP(%s) = %v; want %s", method, err, want)
		}
		if err == nil {
			if body, _ := io.ReadAll(resp.Body); string(body) != "hello" {
				t.Errorf("HTTP(%s) body = %q; want hello", method, body)
			}
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://other.invalid/x", nil)
	if _, err := client.HTTP(req); !pipeline.IsPermanent(err) || req.Header.Get("Authorization") != "" {
		t.Errorf("HTTP(another server) = %v; want a refusal, and no credentials on it", err)
	}
}

func TestGateHoldsOnlyWhatIsLimited(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var calls atomic.Int32
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if strings.HasSuffix(r.URL.Path, "/limited") {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(429)
		}
	}, func(o *Options) { o.Now = func() time.Time { return now } })
	do := func(method, path, want string, wantCalls int32) {
		t.Helper()
		before := calls.Load()
		_, err := client.Do(t.Context(), method, path, nil, nil)
		if got := class(err); got != want || calls.Load()-before != wantCalls {
			t.Errorf("Do(%s %s) = %s (%v) with %d calls; want %s with %d", method, path, got, err, calls.Load()-before, want, wantCalls)
		}
	}
	do("POST", "limited", "wait 30s", 1)
	do("POST", "limited", "wait 30s", 0)
	do("PUT", "other", "ok", 1)
	now = now.Add(29 * time.Second)
	do("POST", "limited", "wait 1s", 0)
	now = now.Add(time.Second)
	do("POST", "limited", "wait 30s", 1)
}

func TestConditionalRead(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"1"` && r.URL.Query().Get("always") == "" {
			t.Errorf("If-None-Match = %q; want \"1\"", r.Header.Get("If-None-Match"))
		}
		w.WriteHeader(http.StatusNotModified)
	})
	got, err := c.Send(t.Context(), Request{Method: http.MethodGet, Path: "x", Header: http.Header{"If-None-Match": {`"1"`}}})
	if err != nil || got.Status != http.StatusNotModified || got.Body != nil {
		t.Errorf("Send() = %+v, %v; want 304 without a body", got, err)
	}
	if _, err := c.Send(t.Context(), Request{Method: http.MethodGet, Path: "x?always=1"}); err == nil {
		t.Error("Send() without a condition = nil; want 304 to be an error")
	}
}

func TestRedirects(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/base/old":
			http.Redirect(w, r, "/base/new", http.StatusMovedPermanently)
		case "/base/round":
			http.Redirect(w, r, "/base/round", http.StatusFound)
		default:
			_, _ = io.WriteString(w, "here")
		}
	}
	follow := func(o *Options) { o.Follow, o.Auth = true, nil }
	withAuth := func(o *Options) { o.Follow = true }
	tests := []struct {
		name, method, path string
		change             func(*Options)
		want               string // the body, or a part of the error
	}{
		{"followed", http.MethodGet, "old", follow, "here"},
		{"not asked for", http.MethodGet, "old", func(o *Options) { o.Auth = nil }, "301"},
		{"a write", http.MethodPost, "old", follow, "301"},
		{"with credentials", http.MethodGet, "old", withAuth, "301"},
		{"without an end", http.MethodGet, "round", follow, "points on and on"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newClient(t, answer, tt.change).Send(t.Context(), Request{Method: tt.method, Path: tt.path})
			var text string
			if err != nil {
				text = err.Error()
			} else {
				text = string(got.Body)
			}
			if !strings.Contains(text, tt.want) {
				t.Errorf("Send() = %q; want %q", text, tt.want)
			}
		})
	}
}

func TestMaxBody(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345678") }, func(o *Options) { o.MaxBody = 7 })
	if _, err := c.Send(t.Context(), Request{Method: http.MethodGet, Path: "x"}); err == nil || !strings.Contains(err.Error(), "longer than 7 bytes") {
		t.Errorf("Send() = %v; want the bound named", err)
	}
}
