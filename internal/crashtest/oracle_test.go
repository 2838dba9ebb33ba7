package crashtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// record is what a tracker holds.
type record struct {
	ID    string
	Key   string // docket's ticket key on it
	Title string
	Open  bool
}

// tracker is the far side: it is asked what it holds, not what docket believes.
type tracker interface {
	name() string
	start(w *world)
	sink() string // the sink's settings, as YAML below its name
	records(t testing.TB) []record
	made() int // records ever made
}

// folder is a file sink's folder.
type folder struct{ dir string }

func (f *folder) name() string   { return "file" }
func (f *folder) start(w *world) { f.dir = filepath.Join(w.dir, "tickets") }
func (f *folder) sink() string   { return "type: file\npath: ./tickets" }

func (f *folder) made() int {
	list, _ := filepath.Glob(filepath.Join(f.dir, "docket-*.md"))
	return len(list)
}

func (f *folder) records(t testing.TB) []record {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(f.dir, "docket-*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []record
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r := record{ID: filepath.Base(path)}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "key":
				r.Key = value
			case "title":
				r.Title = value
			case "state":
				r.Open = value == "open"
			}
			if line == "---\n" && r.Key != "" {
				break
			}
		}
		out = append(out, r)
	}
	return out
}

// noSecret fails where a token of the tests stands in what docket said, as it is or as a header carries it.
func noSecret(t testing.TB, what, output string) {
	t.Helper()
	for _, secret := range []string{pushToken, jiraToken, hookToken, base64.StdEncoding.EncodeToString([]byte(jiraUser + ":" + jiraToken))} {
		if strings.Contains(output, secret) {
			t.Errorf("docket %s: a secret stands in its output:\n%s", what, strings.ReplaceAll(output, secret, "<secret>"))
		}
	}
}

// verdict is what the oracle found.
type verdict struct {
	Lost    int // accepted findings without the record that they must have
	Doubled int // records beyond one a group
	Wrong   []string
}

func (v verdict) bad() bool { return v.Lost+v.Doubled+len(v.Wrong) > 0 }

var inTitle = regexp.MustCompile(`Sample rule (\d{4}) fails`)

// judge compares what the tracker holds with what was accepted.
func (w *world) judge() verdict {
	w.t.Helper()
	var v verdict
	say := func(format string, args ...any) { v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...)) }
	byGroup, byKey := map[int][]record{}, map[string]int{}
	for _, r := range w.tracker.records(w.t) {
		m := inTitle.FindStringSubmatch(r.Title)
		if m == nil {
			say("record %s has the title %q", r.ID, r.Title)
			continue
		}
		g, _ := strconv.Atoi(m[1])
		byGroup[g] = append(byGroup[g], r)
		byKey[r.Key]++
	}
	for key, n := range byKey {
		if key == "" || n > 1 {
			say("%d records have the ticket key %q", n, key)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for g, want := range w.want {
		got := byGroup[g]
		delete(byGroup, g)
		if len(got) > 1 {
			v.Doubled += len(got) - 1
			say("group %d has %d records: %v", g, len(got), got)
		}
		if len(got) == 0 {
			if want != perhaps {
				v.Lost++
				say("group %d, %s, has no record", g, want)
			}
			continue
		}
		if want == open && !got[0].Open || want == closed && got[0].Open {
			v.Lost++
			say("group %d must be %s: %v", g, want, got[0])
		}
	}
	for g, got := range byGroup {
		v.Doubled += len(got)
		say("nobody sent group %d: %v", g, got)
	}
	return v
}

// settle starts docket without a fault until nothing is under way, proves that one more run
// makes nothing and that the state is whole, and judges.
func (w *world) settle() verdict {
	w.t.Helper()
	w.finish()
	before := w.tracker.made()
	w.finish()
	v := w.judge()
	if n := w.tracker.made() - before; n > 0 {
		v.Wrong = append(v.Wrong, fmt.Sprintf("one more run made %d records", n))
	}
	if len(w.byHand) > 0 {
		list := w.must("cases", "list", "--state", "closed")
		for _, g := range w.byHand {
			if !strings.Contains(list, title(g)) {
				v.Lost++
				v.Wrong = append(v.Wrong, fmt.Sprintf("a person closed the ticket of group %d, and docket does not know:\n%s", g, list))
			}
		}
	}
	verify := w.start(nil, "state", "verify")
	<-verify.done
	if verify.err != nil {
		v.Wrong = append(v.Wrong, "state verify: "+verify.out.String())
	}
	return v
}

// finish is one run to its end, after which nothing may be under way.
func (w *world) finish() {
	w.t.Helper()
	out := w.must("run", "--once", "--log-level", "error", "-o", "json")
	var sum struct {
		Left     int `json:"left"`
		Failures int `json:"failures"`
	}
	if err := json.Unmarshal([]byte(out[max(0, strings.Index(out, "{")):]), &sum); err != nil {
		w.t.Fatalf("run --once -o json: %v\n%s", err, out)
	}
	if sum.Left+sum.Failures > 0 {
		w.t.Errorf("a run without faults left %d actions and failed at %d:\n%s", sum.Left, sum.Failures, out)
	}
}

// row is one line of the table in docs/reliability.md.
type row struct {
	Suite   string  `json:"suite"`
	What    string  `json:"what"`
	Runs    int     `json:"runs"`
	Lost    int     `json:"lost"`
	Doubled int     `json:"doubled"`
	Seconds float64 `json:"seconds"`
	Failed  bool    `json:"failed"`
}

// publish appends a row to the file that `make reliability` makes its table of.
func publish(t *testing.T, r row, since time.Time) {
	t.Helper()
	r.Seconds, r.Failed = time.Since(since).Seconds(), t.Failed()
	path := os.Getenv("DOCKET_RELIABILITY_ROWS")
	if path == "" {
		return
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(append(b, '\n')); err != nil {
		t.Fatal(err)
	}
}
