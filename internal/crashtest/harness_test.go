package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tags are what the suites' own binary is built with: places to die at, and defects to switch on.
const tags = "failpoint planted"

var (
	built   string
	buildIt sync.Once
	errMade error
)

// TestMain removes what the tests built.
func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(filepath.Dir(built))
	}
	os.Exit(code)
}

// tagged builds docket with tags, once for all tests.
func tagged(t testing.TB) string {
	t.Helper()
	buildIt.Do(func() {
		var dir string
		if dir, errMade = os.MkdirTemp("", "docket-crashtest-*"); errMade != nil {
			return
		}
		built = filepath.Join(dir, "docket")
		build := exec.Command("go", "build", "-trimpath", "-tags", tags, "-o", built, "github.com/docket-hub/docket/cmd/docket")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
		if out, err := build.CombinedOutput(); err != nil {
			errMade = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if errMade != nil {
		t.Fatal(errMade)
	}
	return built
}

// Sizes of a run of the suites; DOCKET_RELIABILITY names one, and without it they are skipped.
const (
	short = "short"
	long  = "long"
)

// suite skips a test that belongs to `make reliability`, and returns the size asked for.
func suite(t *testing.T) string {
	t.Helper()
	switch size := os.Getenv("DOCKET_RELIABILITY"); size {
	case short, long:
		return size
	case "":
		t.Skip("run by `make reliability`")
	default:
		t.Fatalf("DOCKET_RELIABILITY=%s: want %s or %s", size, short, long)
	}
	return ""
}

// seedOf is the seed of this run: DOCKET_SEED replays one, else it is new; it is always printed.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("DOCKET_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		n = v
	}
	t.Logf("DOCKET_SEED=%d", n)
	return n
}

// seed is a source of chance that is the same again under the same DOCKET_SEED.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(seedOf(t), 1))
}

// world is one installation of docket in a folder of its own, with what the tracker must hold in the end.
type world struct {
	t       testing.TB
	patient time.Duration // with what has to happen
	dir     string
	bin     string
	tracker tracker
	addr    string
	extra   string   // further configuration
	env     []string // of every process

	mu           sync.Mutex
	want         map[int]wanted
	byHand       []int // groups whose tickets a person closed
	docs, pushes int   // documents written, requests sent
}

// wanted is what must become of a group of findings.
type wanted string

const (
	open    wanted = "open"    // accepted: one record, open
	closed  wanted = "closed"  // accepted, and its end as well: one record, closed
	perhaps wanted = "perhaps" // sent without an answer: at most one record
	either  wanted = "either"  // accepted, its end sent without an answer: one record
)

// push is the token of the sender; it protects nothing, the daemon listens on loopback for one test.
const pushToken = "canary-5f1e-push-token"

func newWorld(t testing.TB, tr tracker, env ...string) *world {
	t.Helper()
	w := &world{t: t, patient: 2 * time.Minute, dir: t.TempDir(), bin: tagged(t), tracker: tr, addr: freeAddress(t), want: map[int]wanted{}}
	tr.start(w)
	w.env = append(append(w.env, env...), "DOCKET_PUSH_TOKEN="+pushToken, "GOMAXPROCS=2")
	w.configure()
	return w
}

// configure writes the configuration.
func (w *world) configure() {
	write(w.t, filepath.Join(w.dir, "docket.yaml"), fmt.Appendf(nil, `
data_dir: ./data
server:
  listen: %s
  auth: {tokens: [{name: sender, role: admin, token: {env: DOCKET_PUSH_TOKEN}}]}
sources:
  - {name: reports, type: file, paths: ["findings/*.json"], interval: 1h}
  - {name: more, type: file, paths: ["more/*.json"], interval: 1h}
  - {name: push, type: webhook}
teams:
  - {name: security}
route:
  team: security
  sinks: [out]
  group_by: [account, control]
  tickets_from: P5
sinks:
  - name: out
%s
limits: {max_new_tickets_per_hour: 100000}
%s
`, w.addr, indent(w.tracker.sink(), 4), w.extra))
}

func indent(s string, n int) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+pad)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// process is one run of docket.
type process struct {
	w    *world
	cmd  *exec.Cmd
	args string
	out  output
	err  error
	done chan struct{}
}

// output is what a process says, readable while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start starts docket with further environment.
func (w *world) start(env []string, args ...string) *process {
	w.t.Helper()
	p := &process{w: w, cmd: exec.Command(w.bin, args...), args: strings.Join(args, " "), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = w.dir, append(append(os.Environ(), w.env...), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// dead reports whether the process has ended.
func (p *process) dead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// killed waits for the end of the process and reports whether SIGKILL was it. Any other failure ends the test.
func (p *process) killed() bool {
	p.w.t.Helper()
	select {
	case <-p.done:
	case <-time.After(p.w.patient + time.Minute):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.done
		p.w.t.Fatalf("docket %s did not end in time\n%s", p.args, p.out.String())
	}
	noSecret(p.w.t, p.args, p.out.String())
	if p.err == nil {
		return false
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return true
	}
	p.w.t.Fatalf("docket %s: %v\n%s", p.args, p.err, p.out.String())
	return false
}

// must runs docket to an end without error and returns what it said.
func (w *world) must(args ...string) string {
	w.t.Helper()
	p := w.start(nil, args...)
	if p.killed() {
		w.t.Fatalf("docket %s was killed\n%s", p.args, p.out.String())
	}
	return p.out.String()
}

// daemon starts the daemon and returns once it serves or is dead.
func (w *world) daemon(env []string) *process {
	w.t.Helper()
	p := w.start(env, "run")
	w.until(p, "ready", func() bool {
		answer, err := http.Get("http://" + w.addr + "/-/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

// until waits until so is true, or p is dead, which it reports as false.
func (w *world) until(p *process, what string, so func() bool) bool {
	w.t.Helper()
	for end := time.Now().Add(w.patient); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if so() {
			return true
		}
		if p.dead() {
			return false
		}
	}
	w.t.Fatalf("waiting for %q took %s\n%s", what, w.patient, p.out.String())
	return false
}

// push sends findings to the daemon. Only what it answered with 2xx is accepted.
func (w *world) push(status string, at time.Time, groups []int, resources ...int) {
	w.t.Helper()
	code := w.post("Bearer "+pushToken, status, at, groups, resources...)
	w.pushes++
	w.sent(status, groups, code/100 == 2)
	if code > 0 && code/100 != 2 {
		w.t.Errorf("push: status %d", code)
	}
}

// post sends findings and returns the status of the answer, 0 without one.
func (w *world) post(authorization, status string, at time.Time, groups []int, resources ...int) int {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.addr+"/api/v1/ingest/push", w.lines(status, at, groups, resources))
	if err != nil {
		w.t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// ask asks the daemon; "" without an answer.
func (w *world) ask(path string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.addr+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+pushToken)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(b)
}

// lines are reports about the resources of each group, one a line.
func (w *world) lines(status string, at time.Time, groups, resources []int) *bytes.Buffer {
	w.t.Helper()
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	for _, g := range groups {
		for _, r := range resources {
			if err := enc.Encode(report(g, g*1000+r, status, at)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return &body
}

// sent notes what must become of groups.
func (w *world) sent(status string, groups []int, accepted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range groups {
		switch before := w.want[g]; {
		case status == failed && accepted:
			w.want[g] = open
		case status == failed && before == "":
			w.want[g] = perhaps
		case status == passed && accepted && before == open:
			w.want[g] = closed
		case status == passed && before == open:
			w.want[g] = either
		}
	}
}

// file writes findings into a file of a source, which counts as accepted.
func (w *world) file(folder, status string, at time.Time, groups []int, resources ...int) {
	w.t.Helper()
	w.docs++
	path := filepath.Join(w.dir, folder, fmt.Sprintf("%03d.json", w.docs))
	write(w.t, path, w.lines(status, at, groups, resources).Bytes())
	// A file is taken for whole once it has rested.
	rested := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, rested, rested); err != nil {
		w.t.Fatal(err)
	}
	w.sent(status, groups, true)
}

// Statuses of a report, in the words of ASFF.
const (
	failed = "FAILED"
	passed = "PASSED"
)

// first is the time of the first reports; later ones are newer by some hours.
var first = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// report is a report about a resource; all of a group belong into one ticket, whose title names the group.
func report(group, resource int, status string, at time.Time) map[string]any {
	account := fmt.Sprintf("%012d", 100000000000+group/10)
	arn := fmt.Sprintf("arn:aws:ec2:eu-west-1:%s:instance/i-%017x", account, resource)
	return map[string]any{
		"SchemaVersion": "2018-10-08", "Id": fmt.Sprintf("sample/%d/%d", group, resource), "ProductArn": "arn:aws:securityhub:eu-west-1::product/sample/scanner",
		"ProductName": "Sample Scanner", "GeneratorId": fmt.Sprintf("sample-rule-%04d", group), "AwsAccountId": account, "Region": "eu-west-1",
		"CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": at.Format(time.RFC3339), "Severity": map[string]any{"Label": "HIGH"},
		"Types": []string{"Software and Configuration Checks"}, "Title": title(group), "Description": "sample",
		"Resources":  []any{map[string]any{"Type": "AwsEc2Instance", "Id": arn, "Region": "eu-west-1"}},
		"Compliance": map[string]any{"Status": status}, "RecordState": "ACTIVE", "Workflow": map[string]any{"Status": "NEW"},
	}
}

// title is what the ticket of a group is called.
func title(group int) string { return fmt.Sprintf("Sample rule %04d fails", group) }

func span(from, to int) []int {
	var out []int
	for n := from; n < to; n++ {
		out = append(out, n)
	}
	return out
}
