package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// daemonSite takes findings in over HTTP and writes tickets/.
const daemonSite = `
installation: test
data_dir: ./data
server:
  listen: 127.0.0.1:0
  auth:
    tokens:
      - {name: ci, role: ingest, token: {env: CI_TOKEN}}
      - {name: boss, role: admin, token: {env: BOSS_TOKEN}}
sources: [{name: ci, type: webhook}]
teams: [{name: security}, {name: shop}]
route: {team: security, sinks: [disk], group_by: [account, region, resource, control]}
sinks: [{name: disk, type: file, path: ./tickets}]
limits: {max_new_tickets_per_hour: 100000}
`

const (
	ciToken   = "tok-ci-0001"
	bossToken = "tok-boss-0001"
)

// daemon is a running `docket run`.
type daemon struct {
	t      testing.TB
	url    string
	client *http.Client
	reload chan struct{}
	cancel context.CancelFunc
	done   chan error
}

// daemonOf makes a site with tokens and starts a daemon on it.
func daemonOf(t testing.TB, yaml string) (*site, *daemon) {
	t.Helper()
	s := newSite(t, yaml)
	s.env["CI_TOKEN"], s.env["BOSS_TOKEN"] = ciToken, bossToken
	return s, s.start()
}

// start runs the daemon until the test ends or stop is called.
func (s *site) start() *daemon {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := &daemon{t: s.t, client: &http.Client{Transport: &http.Transport{}}, reload: make(chan struct{}), cancel: cancel, done: make(chan error, 1)}
	ready := make(chan string, 1)
	o := s.options()
	o.Reload, o.Ready = d.reload, func(addr string) { ready <- addr }
	cfg := s.config()
	go func() { d.done <- Run(ctx, cfg, o) }()
	select {
	case addr := <-ready:
		d.url = "http://" + addr
	case err := <-d.done:
		cancel()
		s.t.Fatalf("Run() = %v; want it to serve\n%s", err, s.log.tail())
	}
	s.t.Cleanup(func() { d.stop() })
	return d
}

// stop ends the daemon as a signal does, and returns how long that took.
func (d *daemon) stop() time.Duration {
	d.t.Helper()
	if d.done == nil {
		return 0
	}
	began := time.Now()
	d.cancel()
	if err := <-d.done; err != nil {
		d.t.Errorf("Run() = %v; want it to stop without an error", err)
	}
	d.done = nil
	d.client.CloseIdleConnections()
	return time.Since(began)
}

// call sends a request and returns the answer with its body read.
func (d *daemon) call(method, path, token string, body []byte, header ...string) (*http.Response, string) {
	d.t.Helper()
	resp, text, err := d.try(method, path, token, body, header...)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, text
}

func (d *daemon) try(method, path, token string, body []byte, header ...string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, d.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// ingest posts a body that has to be taken in.
func (d *daemon) ingest(body []byte, header ...string) api.IngestResult {
	d.t.Helper()
	resp, text := d.call("POST", "/api/v1/ingest/ci?origin=test", ciToken, body, header...)
	if resp.StatusCode != http.StatusAccepted {
		d.t.Fatalf("ingest = %d %s; want 202", resp.StatusCode, text)
	}
	var out api.IngestResult
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		d.t.Fatal(err)
	}
	return out
}

// metric is the value of one line of /metrics.
func (d *daemon) metric(line string) float64 {
	d.t.Helper()
	_, text := d.call("GET", "/metrics", bossToken, nil)
	for l := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), line+" "); ok {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return f
		}
	}
	d.t.Fatalf("/metrics has no %s", line)
	return 0
}

// idle waits until state knows how every action ended; the ticket is there a little earlier.
func (d *daemon) idle() {
	d.t.Helper()
	eventually(d.t, "no action waits", func() bool {
		_, text := d.call("GET", "/api/v1/sinks", bossToken, nil)
		var rows []api.SinkRow
		return json.Unmarshal([]byte(text), &rows) == nil && len(rows) == 1 && rows[0].Waiting == 0
	})
}

func asffRecord(t testing.TB, n int) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(sampleRecord(t), &doc); err != nil {
		t.Fatal(err)
	}
	doc["Id"] = fmt.Sprintf("%v-%d", doc["Id"], n)
	doc["Resources"] = []any{map[string]any{"Type": "AwsEc2SecurityGroup", "Id": fmt.Sprintf("arn:aws:ec2:eu-west-1:%s:security-group/sg-%017x", foldAccount, n)}}
	return doc
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestDaemonTakesFindingsIn posts findings in each shape and sees their tickets.
func TestDaemonTakesFindingsIn(t *testing.T) {
	s, d := daemonOf(t, daemonSite)
	array, err := json.Marshal([]any{asffRecord(t, 1), asffRecord(t, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.ingest(array); got.Accepted != 2 || len(got.Rejected) != 0 {
		t.Errorf("an ASFF array = %+v; want 2 accepted", got)
	}
	if got := d.ingest(ndjson(t, samples(1, 3)...)); got.Accepted != 3 || len(got.Rejected) != 0 {
		t.Errorf("NDJSON = %+v; want 3 accepted", got)
	}
	for _, header := range [][]string{nil, {"Content-Encoding", "gzip"}} {
		if got := d.ingest(packed(t, ndjson(t, samples(4, 2)...)), header...); got.Accepted != 2 {
			t.Errorf("gzip with header %v = %+v; want 2 accepted", header, got)
		}
	}
	eventually(t, "7 tickets are open", func() bool { return len(s.tickets()) == 7 })

	docs := samples(1001, 1000)
	delete(docs[400], "title")
	docs[400]["id"] = "the-bad-one"
	got := d.ingest(ndjson(t, docs...))
	if got.Accepted != 999 || len(got.Rejected) != 1 {
		t.Fatalf("1000 with one malformed = %d accepted, %d rejected; want 999 and 1", got.Accepted, len(got.Rejected))
	}
	if r := got.Rejected[0]; r.Index != 400 || r.Origin != "test" || !strings.Contains(r.Reason, "title") || r.Source != "ci" || r.Time.IsZero() {
		t.Errorf("reject = %+v; want its source, its time, the position and the missing member named", r)
	}
	eventually(t, "1006 tickets are open", func() bool { return len(s.tickets()) == 1006 })
	d.idle()
	_, text := d.call("GET", "/api/v1/rejects", bossToken, nil)
	var kept []pipeline.Reject
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 1 || kept[0].Index != 400 || !strings.Contains(string(kept[0].Data), "the-bad-one") {
		t.Errorf("rejects = %s; want the one with its data", text)
	}
	if n := d.metric("docket_findings_rejected_total"); n != 1 {
		t.Errorf("docket_findings_rejected_total = %v; want 1", n)
	}
	eventually(t, "1006 tickets are counted as created", func() bool { return d.metric(`docket_tickets_total{change="created"}`) == 1006 })
	_, text = d.call("GET", "/api/v1/explain?ref=the-bad-one", bossToken, nil)
	if !strings.Contains(text, "no ticket: the record was rejected") {
		t.Errorf("explain of the reject = %s; want it to say why there is no ticket", text)
	}
}

// TestDaemonAccess: who may do what, and what needs no token.
func TestDaemonAccess(t *testing.T) {
	_, d := daemonOf(t, daemonSite)
	body := ndjson(t, samples(1, 1)...)
	for _, c := range []struct {
		name, method, path, token string
		want                      int
	}{
		{"ingest without a token", "POST", "/api/v1/ingest/ci", "", 401},
		{"ingest with a wrong token", "POST", "/api/v1/ingest/ci", ciToken + "x", 401},
		{"ingest with half a token", "POST", "/api/v1/ingest/ci", ciToken[:5], 401},
		{"ingest into no source", "POST", "/api/v1/ingest/nowhere", ciToken, 404},
		{"look with the token for ingest", "GET", "/api/v1/findings", ciToken, 403},
		{"reload with the token for ingest", "POST", "/-/reload", ciToken, 403},
		{"metrics without a token", "GET", "/metrics", "", 401},
		{"health without a token", "GET", "/-/healthy", "", 200},
		{"readiness without a token", "GET", "/-/ready", "", 200},
		{"metrics", "GET", "/metrics", bossToken, 200},
		{"an unknown format", "POST", "/api/v1/ingest/ci?format=csv", ciToken, 400},
		{"a body in another format than it is said to have", "POST", "/api/v1/ingest/ci?format=sarif", ciToken, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			if resp, text := d.call(c.method, c.path, c.token, body); resp.StatusCode != c.want {
				t.Errorf("%s %s = %d %s; want %d", c.method, c.path, resp.StatusCode, text, c.want)
			}
		})
	}
}

// TestDaemonRefusesBodies: what is no findings document is the sender's fault, and says so.
func TestDaemonRefusesBodies(t *testing.T) {
	_, d := daemonOf(t, daemonSite)
	whole := ndjson(t, samples(1, 10)...)
	for _, c := range []struct {
		name string
		body []byte
	}{
		{"text", []byte("hello, this is no finding\n")},
		{"a page", []byte("<html><body>502 Bad Gateway</body></html>")},
		{"empty", nil},
		{"half a gzip", packed(t, whole)[:40]},
		{"some other JSON", []byte(`{"hello": "world"}`)},
		{"a number", []byte("42")},
		{"UTF-16", []byte("\xff\xfe{\x00}\x00")},
		{"UTF-16 without a mark", []byte("\x00{\x00}")},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, text := d.call("POST", "/api/v1/ingest/ci", ciToken, c.body)
			var got api.IngestResult
			switch resp.StatusCode {
			case http.StatusBadRequest:
			case http.StatusAccepted:
				if err := json.Unmarshal([]byte(text), &got); err != nil || got.Accepted != 0 || len(got.Rejected)+len(got.Notes) == 0 {
					t.Errorf("ingest = 202 %s; want 400, or what was wrong named", text)
				}
			default:
				t.Errorf("ingest = %d %s; want 400, or 202 that names what was wrong", resp.StatusCode, text)
			}
		})
	}
}

// TestDaemonStopsUnderLoad: a stop in the middle is quick, leaves nothing
// running, and what was accepted has its ticket after the next start.
func TestDaemonStopsUnderLoad(t *testing.T) {
	s, d := daemonOf(t, daemonSite)
	var accepted, next atomic.Int64
	senders := make(chan struct{}, 4)
	for range cap(senders) {
		go func() {
			defer func() { senders <- struct{}{} }()
			for {
				first := int(next.Add(20)) - 20
				resp, text, err := d.try("POST", "/api/v1/ingest/ci", ciToken, ndjsonPlain(samples(first, 20)))
				if err != nil || resp.StatusCode != http.StatusAccepted {
					return // the daemon is going
				}
				var got api.IngestResult
				if json.Unmarshal([]byte(text), &got) == nil {
					accepted.Add(int64(got.Accepted))
				}
			}
		}()
	}
	eventually(t, "1000 findings are accepted", func() bool { return accepted.Load() >= 1000 })
	if took := d.stop(); took > stopWithin {
		t.Errorf("the stop took %v; want at most %v", took, stopWithin)
	}
	for range cap(senders) {
		<-senders
	}
	if err := goleak.Find(); err != nil {
		t.Errorf("after the stop: %v", err)
	}
	before := s.tickets()
	d = s.start()
	eventually(t, "every accepted finding has its ticket", func() bool { return int64(len(s.tickets())) >= accepted.Load() })
	d.idle()
	d.stop()
	after := s.tickets()
	kept := map[string]ticketFile{}
	for _, f := range after {
		kept[f.Key] = f
	}
	for _, f := range before {
		if kept[f.Key] != f {
			t.Errorf("ticket %s was written again by the restart", f.Key)
		}
	}
	if n := len(allFindings(t, s.offline())); n != len(after) || int64(n) < accepted.Load() {
		t.Errorf("%d findings, %d tickets, %d accepted; want a ticket for each, none lost", n, len(after), accepted.Load())
	}
	s.clean()
}

func ndjsonPlain(docs []map[string]any) []byte {
	var b bytes.Buffer
	for _, d := range docs {
		line, err := json.Marshal(d)
		if err != nil {
			return nil
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes()
}

// TestSequence18FullStream: a stream full of findings answers 429 with Retry-After, loses
// nothing of what it took, and goes on as soon as room was made. Outcomes have room of their own
// meanwhile: every ticket of what was accepted is made and known.
func TestSequence18FullStream(t *testing.T) {
	s, d := daemonOf(t, daemonSite+"stream: {keep: 1s, max_bytes: 64KiB}\n")
	accepted, next := 0, 0
	post := func() (*http.Response, string) {
		docs := samples(next, 20)
		for i := range docs {
			docs[i]["description"] = strings.Repeat(fmt.Sprintf("%d ", next*31+i), 200)
		}
		resp, text := d.call("POST", "/api/v1/ingest/ci", ciToken, ndjson(t, docs...))
		if resp.StatusCode == http.StatusAccepted {
			accepted, next = accepted+20, next+20
		}
		return resp, text
	}
	eventually(t, "the stream is full", func() bool {
		resp, text := post()
		if resp.StatusCode == http.StatusAccepted {
			return false
		}
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if resp.StatusCode != http.StatusTooManyRequests || err != nil || seconds < 1 || !strings.Contains(text, "full") {
			t.Fatalf("ingest = %d, Retry-After %q, %s; want 429 with a wait, and the reason", resp.StatusCode, resp.Header.Get("Retry-After"), text)
		}
		return true
	})
	full := accepted
	if resp, text := d.call("GET", "/-/healthy", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("healthy = %d %s; want 200", resp.StatusCode, text)
	}
	eventually(t, "what was accepted has its tickets", func() bool { return len(s.tickets()) == full })
	d.idle()
	eventually(t, "there is room again", func() bool {
		post()
		return accepted > full
	})
	eventually(t, "and those have their tickets too", func() bool { return len(s.tickets()) == accepted })
	d.stop()
	s.clean()
}

// TestDaemonAlone: a command that writes says that the daemon runs.
func TestDaemonAlone(t *testing.T) {
	s, _ := daemonOf(t, daemonSite)
	_, err := RunOnce(t.Context(), s.config(), s.options(), time.Second, quiet)
	if !errors.Is(err, ErrRunning) {
		t.Errorf("RunOnce() beside a daemon = %v; want %v", err, ErrRunning)
	}
}
