package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	// Writing to memory cannot fail.
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

const threeLines = "{\"a\":1}\nno JSON\n{\"b\":\"é\"}\n"

func TestIngest(t *testing.T) {
	x := start(t, func(o *Options, _ *timings) { o.MaxBodyBytes, o.MaxUnpackedBytes = 64<<10, 256<<10 })
	bomb := packed(strings.Repeat(" ", 16<<20)) // 16 KB that become 16 MB
	gz := []string{"Content-Encoding", "gzip"}
	for _, tc := range []struct {
		name, target, body string
		header             []string
		status             int
		code, message      string // of the error
	}{
		{"plain", "ci", threeLines, nil, 202, "", ""},
		{"gzip", "ci", packed(threeLines), gz, 202, "", ""},
		{"gzip by its old name", "ci", packed(threeLines), []string{"Content-Encoding", "X-GZIP"}, 202, "", ""},
		{"gzip that nobody announced", "ci", packed(threeLines), nil, 202, "", ""},
		{"a packed file sent packed", "ci", packed(packed(threeLines)), gz, 202, "", ""},
		{"packed three times", "ci", packed(packed(packed(threeLines))), gz, 400, "invalid", "packed more than 2 times"},
		{"gzip that is none", "ci", threeLines, gz, 400, "invalid", "is gzip, and it is not"},
		{"an empty body as gzip", "ci", "", gz, 400, "invalid", "is gzip, and it is not"},
		{"gzip cut short", "ci", packed(threeLines)[:30], gz, 400, "invalid", "reading the body"},
		{"gzip with a broken header", "ci", "\x1f\x8bxxxxxxxxxxxxxxx", gz, 400, "invalid", "reading the body"},
		{"gzip with a broken sum", "ci", packed(threeLines)[:len(packed(threeLines))-8] + "12345678", gz, 400, "invalid", "reading the body"},
		{"gzip twice in one header", "ci", packed(packed(threeLines)), []string{"Content-Encoding", "gzip, gzip"}, 415, "invalid", `encoding "gzip, gzip"`},
		{"gzip in two headers", "ci", packed(threeLines), []string{"Content-Encoding", "gzip", "Content-Encoding", "gzip"}, 415, "invalid", `encoding "gzip, gzip"`},
		{"brotli", "ci", "x", []string{"Content-Encoding", "br"}, 415, "invalid", `encoding "br"`},
		{"too large", "ci", strings.Repeat(" ", 64<<10+1), nil, 413, "too_large", "more than 65536 bytes"},
		{"as large as can be", "ci", strings.Repeat(" ", 64<<10-2) + "{}", nil, 202, "", ""},
		{"too large in chunks", "ci", strings.Repeat(" ", 200<<10), nil, 413, "too_large", "more than 65536 bytes"},
		{"a bomb", "ci", bomb, gz, 413, "too_large", "more than 262144 bytes when it is unpacked"},
		{"a bomb that nobody announced", "ci", bomb, nil, 413, "too_large", "when it is unpacked"},
		{"a bomb in a bomb", "ci", packed(bomb), gz, 413, "too_large", "when it is unpacked"},
		{"unpacked as large as can be", "ci", packed(strings.Repeat(" ", 256<<10-2) + "{}"), gz, 202, "", ""},
		{"one byte more", "ci", packed(strings.Repeat(" ", 256<<10-1) + "{}"), gz, 413, "too_large", "when it is unpacked"},
		{"no such source", "missing", threeLines, nil, 404, "not_found", "about missing"},
		{"a document that cannot be read", "invalid-one", threeLines, nil, 400, "invalid", "about invalid-one"},
		{"the stream is full", "full", threeLines, nil, 429, "busy", "the stream is full"},
		{"another run", "busy", threeLines, nil, 429, "busy", "about busy"},
		{"our own fault", "broken", threeLines, nil, 500, "internal", "it is damaged"},
		{"an unknown parameter", "ci?complet=x", threeLines, nil, 400, "invalid", `unknown query parameter "complet"`},
		{"a parameter twice", "ci?complete=x&complete=y", threeLines, nil, 400, "invalid", "give it once"},
		{"bytes that are no text", "ci?complete=%ff", threeLines, nil, 400, "invalid", "no text"},
		{"a line break in a name", "ci%0aINFO", threeLines, nil, 400, "invalid", "no text"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var body io.Reader = strings.NewReader(tc.body)
			if strings.HasSuffix(tc.name, "in chunks") {
				body = io.MultiReader(body) // of a length that the sender does not say
			}
			got := x.send(t, RoleIngest, "POST", "/api/v1/ingest/"+tc.target, body, tc.header...)
			if e := got.failed(); got.status != tc.status || e.Code != tc.code || tc.code != "" && !strings.Contains(e.Message, tc.message) {
				t.Errorf("answer = %d %s; want %d %s %q", got.status, got.body, tc.status, tc.code, tc.message)
			}
			if wait := got.header.Get("Retry-After"); (wait == "5") != (tc.status == 429) {
				t.Errorf("Retry-After = %q with status %d; want it with 429 only", wait, got.status)
			}
		})
	}
	for i, body := range x.fake.bodies {
		if text := strings.TrimSpace(body); text != strings.TrimSpace(threeLines) && text != "{}" {
			t.Errorf("body %d = %.60q; want it unpacked", i, body)
		}
	}
}

func TestIngestAnswer(t *testing.T) {
	x := start(t, nil)
	got := x.send(t, RoleIngest, "POST", "/api/v1/ingest/%C3%A9clair?format=asff&complete=acct/%C3%A9&origin=scan.json", strings.NewReader(threeLines))
	want := `{"accepted":2,"rejected":[{"origin":"scan.json","index":1,"reason":"it is no JSON","time":"0001-01-01T00:00:00Z"}]}` + "\n"
	if got.status != 202 || got.body != want {
		t.Errorf("answer = %d %s; want 202 %s", got.status, got.body, want)
	}
	if diff := cmp.Diff([]api.IngestRequest{{Source: "éclair", Format: "asff", Complete: "acct/é", Origin: "scan.json"}}, x.fake.ingested); diff != "" {
		t.Errorf("Ingest was asked (-want +got):\n%s", diff)
	}
	if got := x.send(t, RoleIngest, "POST", "/api/v1/ingest/ci", strings.NewReader("{}")); got.body != `{"accepted":1,"rejected":[]}`+"\n" {
		t.Errorf("answer = %s; want an empty list of rejects", got.body)
	}
	if got := x.fake.ingested[1].Origin; !strings.HasPrefix(got, "request ") {
		t.Errorf("origin = %q; want the request's id", got)
	}
	long := x.send(t, RoleIngest, "POST", "/api/v1/ingest/ci?origin="+strings.Repeat("%C3%A9", 300), strings.NewReader("{}"))
	if got := x.fake.ingested[2].Origin; long.status != 202 || len(got) > originBytes+len("…") || !strings.HasSuffix(got, "é…") {
		t.Errorf("origin = %q; want it cut between two characters", got)
	}
	if page := x.send(t, RoleViewer, "GET", "/metrics", nil).body; !strings.Contains(page, `docket_http_ingest_findings_total{result="accepted"} 4`+"\n") {
		t.Errorf("metrics = %s; want 4 accepted findings", page)
	}
}

func TestIngestPartly(t *testing.T) {
	x := start(t, nil)
	for _, tc := range []struct {
		name   string
		err    error
		status int
		wait   string
	}{
		{"full", fmt.Errorf("storing: %w", pipeline.ErrFull), 429, "5"},
		{"a wait that is known", pipeline.RetryAfter(pipeline.ErrFull, 1500*time.Millisecond), 429, "2"},
		{"malformed behind what was good", fmt.Errorf("%w: byte 12: no value", api.ErrInvalid), 400, ""},
		{"our own fault", errors.New("the disk is gone"), 500, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x.fake.ingestOf = func(context.Context, api.IngestRequest) (api.IngestResult, error) {
				return api.IngestResult{Accepted: 70}, tc.err
			}
			got := x.send(t, RoleIngest, "POST", "/api/v1/ingest/ci", strings.NewReader("{}"))
			if got.status != tc.status || got.header.Get("Retry-After") != tc.wait || !strings.Contains(got.failed().Message, tc.err.Error()+" (70 findings before it were taken in)") {
				t.Errorf("answer = %d, Retry-After %q, %s; want %d, %q and what was taken in", got.status, got.header.Get("Retry-After"), got.body, tc.status, tc.wait)
			}
		})
	}
}

// TestSlowBody sends a body that never ends: it is given up, and the sender is told.
func TestSlowBody(t *testing.T) {
	x := start(t, func(_ *Options, tm *timings) { tm.upload = 50 * time.Millisecond })
	body, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, "{") }() // and nothing more
	defer w.Close()
	got := x.send(t, RoleIngest, "POST", "/api/v1/ingest/ci", body)
	if got.status != http.StatusRequestTimeout || got.failed().Code != "timeout" {
		t.Errorf("answer = %d %s; want 408", got.status, got.body)
	}
}

// TestLimitEndsWithBody lets a document take longer than the limit of a body, once it was read.
func TestLimitEndsWithBody(t *testing.T) {
	x := start(t, func(_ *Options, tm *timings) { tm.upload = 30 * time.Millisecond })
	x.fake.ingestOf = func(ctx context.Context, r api.IngestRequest) (api.IngestResult, error) {
		if _, err := io.ReadAll(r.Body); err != nil {
			return api.IngestResult{}, err
		}
		select {
		case <-ctx.Done():
			return api.IngestResult{}, context.Cause(ctx)
		case <-time.After(120 * time.Millisecond):
			return api.IngestResult{Accepted: 1}, nil
		}
	}
	if got := x.send(t, RoleIngest, "POST", "/api/v1/ingest/ci", strings.NewReader("{}")); got.status != 202 {
		t.Errorf("answer = %d %s; want 202", got.status, got.body)
	}
}

// TestSenderLeaves ends the work for a sender whose connection broke.
func TestSenderLeaves(t *testing.T) {
	x := start(t, nil)
	got := make(chan error, 1)
	x.fake.ingestOf = func(_ context.Context, r api.IngestRequest) (api.IngestResult, error) {
		_, err := io.ReadAll(r.Body)
		got <- err
		return api.IngestResult{}, err
	}
	conn, err := net.Dial("tcp", x.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /api/v1/ingest/ci HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 10\r\n\r\n{\"a\":", bearer(RoleIngest))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err == nil {
		t.Error("reading a body that was cut off = nil; want an error, else half a document would count as whole")
	}
}

// TestIngestTogether sends many packed bodies at a time: no unpacker is used by two.
func TestIngestTogether(t *testing.T) {
	x := start(t, nil)
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			c := api.NewClient(x.url, bearer(RoleIngest))
			defer c.Close()
			for n := range 25 {
				text := fmt.Sprintf("{\"sender\":%d,\"n\":%d}", i, n)
				got, err := c.Ingest(t.Context(), api.IngestRequest{Source: "ci", Body: strings.NewReader(packed(text))})
				if err != nil || got.Accepted != 1 {
					t.Errorf("Ingest(%s) = %+v, %v; want 1 accepted", text, got, err)
				}
			}
		})
	}
	senders.Wait()
	seen := map[string]bool{}
	for _, b := range x.fake.bodies {
		seen[b] = true
	}
	if len(seen) != 200 {
		t.Errorf("different bodies = %d; want 200", len(seen))
	}
}
