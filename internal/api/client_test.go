package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAddress(t *testing.T) {
	for _, tc := range []struct {
		given, want string
		ok          bool
	}{
		{"127.0.0.1:8080", "http://127.0.0.1:8080", true},
		{"http://docket.example:8080/", "http://docket.example:8080", true},
		{"https://docket.example/docket/", "https://docket.example/docket", true},
		{":8080", "http://127.0.0.1:8080", true},
		{"0.0.0.0:8080", "http://127.0.0.1:8080", true},
		{"[::]:8080", "http://[::1]:8080", true},
		{"[::1]:8080", "http://[::1]:8080", true},
		{"", "", false},
		{"ftp://x", "", false},
		{"http://user:word@x", "", false},
		{"http://x?y=1", "", false},
		{"http://\x7f", "", false},
	} {
		got, err := address(tc.given)
		if got != tc.want || (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("address(%q) = %q, %v; want %q, ok %v", tc.given, got, err, tc.want, tc.ok)
		}
	}
}

func TestFilterValues(t *testing.T) {
	whole := Filter{
		Team: []string{"a", "b,c"}, Priority: []string{"P1"}, State: []string{"open"}, Account: []string{"1"}, Region: []string{"eu"},
		Source: []string{"Security Hub"}, RiskFactor: []string{"x"}, Repository: []string{"é/&="}, Severity: []string{"HIGH"},
		Since: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Limit: 7, Cursor: "c",
	}
	for name, f := range map[string]Filter{"empty": {}, "whole": whole} {
		sent, err := url.ParseQuery(f.Values().Encode())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFilter(sent)
		if diff := cmp.Diff(f, got); diff != "" || err != nil {
			t.Errorf("ParseFilter(Values(%s)) = %v (-want +got):\n%s", name, err, diff)
		}
	}
	for name, v := range map[string]url.Values{
		"unknown": {"x": {"1"}}, "twice": {"limit": {"1", "2"}}, "no count": {"limit": {"x"}}, "negative": {"limit": {"-1"}}, "no time": {"since": {"7d"}},
	} {
		if _, err := ParseFilter(v); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseFilter(%s) = %v; want ErrInvalid", name, err)
		}
	}
}

func TestErrorBody(t *testing.T) {
	for code, want := range map[string]error{
		CodeNotFound: ErrNotFound, CodeInvalid: ErrInvalid, CodeTooLarge: ErrInvalid, CodeRefused: ErrRefused, CodeBusy: ErrBusy,
		CodeTimeout: ErrBusy, CodeStopping: ErrBusy, CodeUnauthorized: ErrUnauthorized, CodeForbidden: ErrForbidden, CodeNotReady: nil, CodeInternal: nil, "later": nil,
	} {
		err := ErrorBody{code, "what the server says"}.Err(0)
		if err.Error() != "what the server says" || want != nil && !errors.Is(err, want) {
			t.Errorf("ErrorBody{%s}.Err() = %v; want %v with the server's words", code, err, want)
		}
	}
}

// against is a client of a server that answers with h.
func against(t *testing.T, h http.HandlerFunc) *Client {
	s := httptest.NewServer(h)
	c := NewClient(s.URL, "a-token")
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return c
}

// TestStrangeServers asks what is no docket, or a docket that breaks off.
func TestStrangeServers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		header string // NAME: VALUE
		body   string
		want   string
	}{
		{"another program", 200, "", "<html>hello", "reading docket's answer"},
		{"another program's error", 404, "", "<html>not found", "what answers is no docket"},
		{"a redirect", 302, "Location: http://127.0.0.1:1/", "", "what answers is no docket"},
		{"an error without a code", 500, "", "{}", "what answers is no docket"},
		{"nothing", 200, "", "", "reading docket's answer"},
		{"cut short", 200, "", `[{"name":"x"`, "reading docket's answer"},
		{"of another kind", 200, "", `{"name":"x"}`, "reading docket's answer"},
		{"an endless error", 500, "", `{"error":{"code":"internal","message":"` + strings.Repeat("x", 2*errorMax), "what answers is no docket"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := against(t, func(w http.ResponseWriter, _ *http.Request) {
				if name, value, ok := strings.Cut(tc.header, ": "); ok {
					w.Header().Set(name, value)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			if _, err := c.Sinks(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Sinks() = %v; want an error with %q", err, tc.want)
			}
			if tc.status == 200 {
				tc.want = "reading docket's answer"
			}
			if _, err := c.Plan(t.Context(), nil); err == nil || tc.name != "of another kind" && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Plan() = %v; want an error with %q", err, tc.want)
			}
			if got, err := c.Ping(t.Context()); !errors.Is(err, ErrUnreachable) {
				t.Errorf("Ping() = %q, %v; want ErrUnreachable", got, err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := NewClient(addr, "a-token")
	defer c.Close()
	if _, err := c.Ping(t.Context()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), addr) {
		t.Errorf("Ping() = %v; want ErrUnreachable at %s", err, addr)
	}
	if _, err := NewClient("ftp://x", "").Ping(t.Context()); !errors.Is(err, ErrInvalid) {
		t.Errorf("Ping() of no address = %v; want ErrInvalid", err)
	}
}

// TestSilentServer gives a streamed answer up when nothing is heard, but not one that keeps talking.
func TestSilentServer(t *testing.T) {
	var pace atomic.Int32 // lines of progress before the result; 0: nothing ever
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		lines := pace.Load()
		for range lines {
			fmt.Fprintln(w, `{"progress":{"stage":"reading","done":1,"total":0}}`)
			w.(http.Flusher).Flush()
			<-time.After(20 * time.Millisecond) // the server's own pace
		}
		if lines > 0 {
			fmt.Fprintln(w, `{"result":{"id":"p1"}}`)
			return
		}
		<-r.Context().Done()
	})
	c.silent = 300 * time.Millisecond
	if _, err := c.Plan(t.Context(), nil); !errors.Is(err, errSilent) {
		t.Errorf("Plan() of a silent server = %v; want %v", err, errSilent)
	}
	const lines = 20
	pace.Store(lines)
	told := 0
	if plan, err := c.Plan(t.Context(), func(string, int, int) { told++ }); err != nil || plan.ID != "p1" || told != lines {
		t.Errorf("Plan() = %q, %v with %d lines of progress; want p1 with %d", plan.ID, err, told, lines)
	}
}

func TestDeadlines(t *testing.T) {
	c := against(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("the ping took 20ms"))
	defer cancel()
	if _, err := c.Ping(ctx); err == nil || !strings.Contains(err.Error(), "the ping took 20ms") {
		t.Errorf("Ping() = %v; want the cause of the caller's limit", err)
	}
	if err := c.ask(t.Context(), call{method: "GET", path: "/", within: 20 * time.Millisecond}, nil); err == nil || !strings.Contains(err.Error(), "did not answer within 20ms") {
		t.Errorf("ask() = %v; want the limit that fired", err)
	}
}

// TestTokenStaysHome sends the token to the server only, not where that one points.
func TestTokenStaysHome(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	var sent string
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.Sinks(t.Context())
	if err == nil || asked || sent != "Bearer a-token" {
		t.Errorf("Sinks() = %v, sent %q, followed %v; want an error, the token and no second request", err, sent, asked)
	}
	if text := fmt.Sprintf("%v %+v %#v %v", c, c, c, err); strings.Contains(text, "a-token") {
		t.Errorf("printing = %s; want no token", text)
	}
}
