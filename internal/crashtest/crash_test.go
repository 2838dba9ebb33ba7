package crashtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binary builds docket once for a test.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and kills the real binary")
	}
	path := filepath.Join(t.TempDir(), "docket")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "github.com/docket-hub/docket/cmd/docket")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// Shape of the workload: findings lines, of which distinct are different, in groups.
const (
	findings = 10_000
	distinct = 2_000
	groups   = 300
)

const configuration = `
data_dir: ./data
sources:
  - {name: reports, type: file, paths: ["findings/*.json"]}
teams:
  - {name: security}
route:
  team: security
  sinks: [disk]
  group_by: [account, control]
  tickets_from: P5
sinks:
  - {name: disk, type: file, path: ./tickets}
limits: {max_new_tickets_per_hour: 100000}
`

// workload writes a configuration and its findings into a folder of its own.
func workload(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "docket.yaml"), []byte(configuration))
	fill(t, dir, distinct)
	return dir
}

// fill writes the findings, so many of them different.
func fill(t testing.TB, dir string, distinct int) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	part := 0
	for i := range findings {
		if err := enc.Encode(finding(i % distinct)); err != nil {
			t.Fatal(err)
		}
		if (i+1)%1000 == 0 {
			write(t, filepath.Join(dir, "findings", fmt.Sprintf("part-%02d.json", part)), b.Bytes())
			b.Reset()
			part++
		}
	}
}

// finding is the n-th distinct finding: resource n of group n mod groups.
func finding(n int) map[string]any { return report(n%groups, n, failed, first) }

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// docket runs one command to its end.
func docket(t *testing.T, bin, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(bin, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs one command that has to succeed.
func must(t *testing.T, bin, dir string, args ...string) string {
	t.Helper()
	out, err := docket(t, bin, dir, args...)
	if err != nil {
		t.Fatalf("docket %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// killer kills runs of docket.
type killer struct {
	r    *rand.Rand
	made func() int // tickets so far
	cmd  func(args ...string) *exec.Cmd
}

// kill starts a command and sends SIGKILL after a random number of further
// tickets or a random time, whichever comes first. It reports false when the command ended before.
func (k *killer) kill(t *testing.T, args ...string) bool {
	t.Helper()
	before := k.made()
	// While no ticket is there the kill comes at any time, reading and deciding
	// included; after that it waits for a few further tickets, so that it falls in the midst of delivery.
	more, limit := 1+k.r.IntN(4), 20*time.Second
	if before == 0 && k.r.IntN(6) > 0 {
		more, limit = 1, time.Duration(20+k.r.IntN(300))*time.Millisecond
	}
	cmd := k.cmd(args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			t.Logf("ended by itself after %s: %v", time.Since(start).Round(time.Millisecond), err)
			if err != nil {
				t.Fatalf("docket %s: %v\n%s", strings.Join(args, " "), err, out.String())
			}
			return false
		case <-time.After(time.Millisecond):
		}
		if k.made() >= before+more || time.Since(start) > limit {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-ended
			t.Logf("killed %s after start, %d of %d tickets made", time.Since(start).Round(time.Millisecond), k.made(), groups)
			return true
		}
	}
}

// storm kills runs until at least n kills were sent and three fifths of n fell between the first ticket
// and the last, and returns how many were sent.
func (k *killer) storm(t *testing.T, n int) int {
	t.Helper()
	between, sent := 0, 0
	for sent < n || between < n*3/5 {
		before := k.made()
		if !k.kill(t, "run", "--once") {
			break
		}
		sent++
		if k.made() > 0 && before < groups {
			between++
		}
	}
	t.Logf("%d SIGKILLs, %d of them between the first ticket and the last", sent, between)
	if want := n * 3 / 5; between < want {
		t.Errorf("%d kills fell between the first ticket and the last, want at least %d", between, want)
	}
	return sent
}

// onDiskIn kills runs in a folder with a file sink.
func onDiskIn(t *testing.T, bin, dir string) *killer {
	t.Helper()
	return &killer{
		r:    seed(t),
		made: func() int { return len(tickets(t, dir)) },
		cmd: func(args ...string) *exec.Cmd {
			cmd := exec.Command(bin, args...)
			cmd.Dir = dir
			return cmd
		},
	}
}

// tickets lists the ticket files.
func tickets(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "tickets", "docket-*.md"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// counted checks that every group has exactly one open ticket.
func counted(t *testing.T, dir string) {
	t.Helper()
	cases := map[string]string{}
	for _, path := range tickets(t, dir) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		id := ""
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "case: "); ok {
				id = strings.TrimSpace(rest)
				break
			}
		}
		if id == "" {
			t.Errorf("%s names no case", path)
		}
		if other, twice := cases[id]; twice {
			t.Errorf("case %s has two tickets: %s and %s", id, other, path)
		}
		cases[id] = path
	}
	if len(cases) != groups {
		t.Errorf("%d tickets, want exactly %d", len(cases), groups)
	}
}

// kills is how many SIGKILLs a test sends: few by default, 50 in `make crash`.
func kills() int {
	if os.Getenv("DOCKET_CRASH") != "" {
		return 50
	}
	return 8
}

// TestKilledRunsMakeEveryTicketOnce: runs are killed until enough kills fell between the
// first ticket and the last; then one run ends in peace.
func TestKilledRunsMakeEveryTicketOnce(t *testing.T) {
	bin, dir := binary(t), workload(t)
	onDiskIn(t, bin, dir).storm(t, kills())
	must(t, bin, dir, "run", "--once")
	counted(t, dir)
	must(t, bin, dir, "run", "--once")
	counted(t, dir)
	must(t, bin, dir, "state", "verify") // it fails where the state is not clean
}

// TestPlanApplyAgain: plan says 300 tickets, apply makes exactly those, a second run none;
// an apply that was killed finishes when it is run again.
func TestPlanApplyAgain(t *testing.T) {
	bin, dir := binary(t), workload(t)
	must(t, bin, dir, "plan", "--out", "plan.json")
	b, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Actions []struct {
			Verb string `json:"verb"`
		} `json:"actions"`
	}
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Actions) != groups {
		t.Fatalf("plan has %d actions, want %d", len(p.Actions), groups)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !os.IsNotExist(err) {
		t.Errorf("plan left a data folder behind: %v", err)
	}
	k := onDiskIn(t, bin, dir)
	for range 3 {
		if !k.kill(t, "apply", "plan.json") {
			break
		}
	}
	must(t, bin, dir, "apply", "plan.json")
	counted(t, dir)
	must(t, bin, dir, "run", "--once")
	counted(t, dir)
}

// TestApplyStopsWhenThePlanIsOld: one planned finding is resolved meanwhile.
func TestApplyStopsWhenThePlanIsOld(t *testing.T) {
	bin := binary(t)
	dir := workload(t)
	must(t, bin, dir, "plan", "--out", "plan.json")
	f := finding(7)
	f["UpdatedAt"] = "2026-01-03T00:00:00Z"
	f["Compliance"] = map[string]any{"Status": "PASSED"}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "findings", "z-later.json"), b)
	out, err := docket(t, bin, dir, "apply", "plan.json")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("apply of an old plan: %v, want exit status 1\n%s", err, out)
	}
	if !strings.Contains(out, "Sample rule 0007 fails") {
		t.Errorf("apply does not name the action that changed:\n%s", out)
	}
	if n := len(tickets(t, dir)); n != 0 {
		t.Errorf("apply of an old plan wrote %d tickets, want none", n)
	}
}
