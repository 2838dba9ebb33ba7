package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// hook is a sink whose webhook secret is "open sesame", sent plainly in a header or a parameter.
func (f *fake) hook(_ context.Context, sink string, h pipeline.Hook) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hooks = append(f.hooks, string(h.Body))
	signed := strings.Join(h.Header["X-Hub-Signature"], "") == "open sesame" || strings.Join(h.Query["token"], "") == "open sesame"
	switch {
	case sink == "DK-1": // what the table of routes sends
		return nil
	case sink != "jira":
		return fmt.Errorf("%w: sink %s", api.ErrNotFound, sink)
	case !signed:
		return fmt.Errorf("%w: the digest is wrong", pipeline.ErrUnauthorized)
	case string(h.Body) == "no JSON":
		return fmt.Errorf("%w: the body is no JSON", api.ErrInvalid)
	case string(h.Body) == "broken":
		return errors.New("reading state: it is damaged")
	}
	return nil
}

func TestHook(t *testing.T) {
	x := start(t, func(o *Options, _ *timings) { o.MaxBodyBytes = 64 << 10 })
	signed := []string{"X-Hub-Signature", "open sesame"}
	for _, tc := range []struct {
		name, target, body string
		header             []string
		status             int
		message            string
	}{
		{"signed", "jira", `{"issue":1}`, signed, 202, `{"accepted":true}`},
		{"a secret in the address", "jira?token=open+sesame", `{"issue":1}`, nil, 202, `{"accepted":true}`},
		{"not signed", "jira", `{"issue":1}`, nil, 401, "not signed with this sink's webhook secret"},
		{"signed with another secret", "jira", `{"issue":1}`, []string{"X-Hub-Signature", "sesame"}, 401, "not signed"},
		{"an unknown sink", "jirra", `{}`, signed, 404, "sink jirra"},
		{"what cannot be read", "jira", "no JSON", signed, 400, "no JSON"},
		{"packed bytes are handed on as they were signed", "jira", packed("{}"), signed, 202, ""},
		{"too large", "jira", strings.Repeat("x", 64<<10+1), signed, 413, "more than 65536 bytes"},
		{"as large as can be", "jira", strings.Repeat("x", 64<<10), signed, 202, ""},
		{"our defect", "jira", "broken", signed, 500, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := x.send(t, "", "POST", "/hooks/"+tc.target, strings.NewReader(tc.body), tc.header...)
			if got.status != tc.status || !strings.Contains(got.body, tc.message) {
				t.Errorf("POST /hooks/%s = %d %s; want %d with %q", tc.target, got.status, got.body, tc.status, tc.message)
			}
			if strings.Contains(got.body, "digest") {
				t.Errorf("POST /hooks/%s = %s; it tells a stranger what was wrong", tc.target, got.body)
			}
			x.fake.mu.Lock()
			defer x.fake.mu.Unlock()
			if n := len(x.fake.hooks); tc.status == 202 && x.fake.hooks[n-1] != tc.body {
				t.Errorf("the sink got %q; want the body unchanged", x.fake.hooks[n-1])
			}
		})
	}
	if got := x.send(t, "", "GET", "/hooks/jira", nil); got.status != 401 && got.status != 405 {
		t.Errorf("GET /hooks/jira = %d; want it refused", got.status)
	}
}

// TestHooksAtOnce: requests whose bodies do not end hold no more than a few places, and give them back.
func TestHooksAtOnce(t *testing.T) {
	x := start(t, func(_ *Options, tm *timings) { tm.hook = 50 * time.Millisecond })
	signed := []string{"X-Hub-Signature", "open sesame"}
	var slow sync.WaitGroup
	var ends []*io.PipeWriter
	for range hooksAtOnce {
		r, w := io.Pipe()
		ends = append(ends, w)
		slow.Go(func() { x.send(t, "", "POST", "/hooks/jira", r, signed...) })
	}
	for len(x.hooks) < hooksAtOnce {
		time.Sleep(time.Millisecond)
	}
	if got := x.send(t, "", "POST", "/hooks/jira", strings.NewReader("{}"), signed...); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("POST /hooks/jira = %d, Retry-After %q; want 503 and when to come again", got.status, got.header.Get("Retry-After"))
	}
	for _, w := range ends {
		_ = w.Close() // of a pipe: it cannot fail
	}
	slow.Wait()
	if got := x.send(t, "", "POST", "/hooks/jira", strings.NewReader("{}"), signed...); got.status != 202 {
		t.Errorf("POST /hooks/jira = %d; want 202 once the others are over", got.status)
	}
}

func TestNoHooks(t *testing.T) {
	x := start(t, func(o *Options, _ *timings) { o.Hook = nil })
	if got := x.send(t, "", "POST", "/hooks/jira", strings.NewReader("{}")); got.status != 404 {
		t.Errorf("POST /hooks/jira = %d %s; want 404 where no sink takes any", got.status, got.body)
	}
}
