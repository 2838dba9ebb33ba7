package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func newSink(t testing.TB) (*Sink, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := NewSink(SinkConfig{Path: "tickets"}, SinkOptions{Base: dir, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return s, filepath.Join(dir, "tickets")
}

const testKey = "docket-0123456789abcdef0123"

func testTicket(rev uint64) pipeline.Ticket {
	return pipeline.Ticket{
		Key: testKey, Case: "DK-12", Rev: rev, Gen: 1, Open: true, Team: "payments", Title: "Bucket is public",
		Priority: pipeline.P2, Severity: pipeline.High, Since: noon, Count: 1, Total: 1,
		Resource: pipeline.Resource{ID: "arn:aws:s3:::pay"},
	}
}

func apply(t testing.TB, s *Sink, in pipeline.Ticket) pipeline.Applied {
	t.Helper()
	a, err := s.Apply(context.Background(), in)
	if err != nil {
		t.Fatalf("Apply(rev %d) = %v; want no error", in.Rev, err)
	}
	return a
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestSinkCreatesAndRepeats(t *testing.T) {
	s, dir := newSink(t)
	got := apply(t, s, testTicket(1))
	path := filepath.Join(dir, testKey+".md")
	want := pipeline.Applied{
		Ref:  pipeline.Ref{ID: testKey + ".md", Key: "DK-12", URL: "file://" + path},
		Held: pipeline.Fields{"title": "Bucket is public", "priority": "P2", "state": "open"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Apply() differs (-want +got):\n%s", diff)
	}
	text := read(t, path)
	var h head
	if err := yaml.Unmarshal([]byte(strings.SplitN(text, fence, 3)[1]), &h); err != nil {
		t.Fatal(err)
	}
	wantHead := head{Key: testKey, Case: "DK-12", Title: "Bucket is public", State: "open", Priority: "P2", Severity: "HIGH",
		Team: "payments", Gen: 1, Revision: 1, Updated: "2026-01-02T12:00:00Z"}
	if h != wantHead {
		t.Errorf("front matter = %+v; want %+v", h, wantHead)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return noon.Add(time.Hour) }
	if again := apply(t, s, testTicket(1)); !cmp.Equal(again, want) {
		t.Errorf("Apply() again = %+v; want %+v", again, want)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("Apply() again replaced the file; want it untouched")
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("folder holds %v; want the ticket alone", got)
	}
	if mode := after.Mode().Perm(); mode != 0o644 {
		t.Errorf("mode = %o; want 644", mode)
	}
}

func TestSinkUpdatesClosesReopens(t *testing.T) {
	s, dir := newSink(t)
	path := filepath.Join(dir, testKey+".md")
	ref := apply(t, s, testTicket(1)).Ref

	raised := testTicket(2)
	raised.Ref, raised.Priority = ref, pipeline.P1
	raised.Comments = []pipeline.Comment{{EventID: "DK-12/r2", Time: noon, Lines: []string{"Priority rose to P1"}}}
	if got := apply(t, s, raised).Held["priority"]; got != "P1" {
		t.Errorf("held priority = %q; want P1", got)
	}

	closed := testTicket(3)
	closed.Ref, closed.Open, closed.Why, closed.Count = ref, false, "fixed", 0
	closed.Comments = []pipeline.Comment{{EventID: "DK-12/r3", Time: noon.Add(time.Hour), Lines: []string{"Closed: Security Hub says PASSED"}}}
	if got := apply(t, s, closed).Held["state"]; got != "closed" {
		t.Errorf("held state = %q; want closed", got)
	}

	reopened := testTicket(4)
	reopened.Ref = ref
	if got := apply(t, s, reopened).Held["state"]; got != "open" {
		t.Errorf("held state = %q; want open", got)
	}
	silent := testTicket(5)
	silent.Ref, silent.Open, silent.Why = ref, false, "accepted"
	apply(t, s, silent)
	apply(t, s, silent)
	want := `## History

### 2026-01-02 12:00 UTC (DK-12/r2)

- Priority rose to P1

### 2026-01-02 13:00 UTC (DK-12/r3)

- Closed: Security Hub says PASSED

### 2026-01-02 12:00 UTC (DK-12/r4 open)

- Reopened.

### 2026-01-02 12:00 UTC (DK-12/r5 closed)

- Closed: accepted.
`
	text := read(t, path)
	if got := text[strings.Index(text, "## History"):]; got != want {
		t.Errorf("history = %s; want %s", got, want)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("folder holds %v; want the ticket alone", got)
	}
}

func TestSinkWritesACommentOnce(t *testing.T) {
	s, dir := newSink(t)
	c := pipeline.Comment{EventID: "DK-12/r1", Time: noon, Lines: []string{"One finding joined", "# <b>outside</b>"}}
	in := testTicket(1)
	in.Comments = []pipeline.Comment{c, c}
	apply(t, s, in)
	in.Rev, in.Comments = 2, []pipeline.Comment{c, {EventID: "DK-12/r12", Time: noon, Lines: []string{"another"}}}
	apply(t, s, in)
	in.Rev = 3
	apply(t, s, in)
	text := read(t, filepath.Join(dir, testKey+".md"))
	for want, n := range map[string]int{"(DK-12/r1)": 1, "One finding joined": 1, "(DK-12/r12)": 1, `- \# &lt;b&gt;outside&lt;/b&gt;`: 1} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("file holds %q %d times; want %d:\n%s", want, got, n, text)
		}
	}
}

func TestSinkKeepsWhatPeopleWrote(t *testing.T) {
	for name, edit := range map[string]func(string) string{
		"notes": func(s string) string { return strings.Replace(s, notesHint, notesHint+"\n\nAsk ann.\n\n- [ ] call", 1) },
		"CRLF": func(s string) string {
			return strings.ReplaceAll(strings.Replace(s, notesHint, notesHint+"\n\nAsk ann.\n\n- [ ] call", 1), "\n", "\r\n")
		},
		"no hint": func(s string) string { return strings.Replace(s, notesHint, "Ask ann.\n\n- [ ] call", 1) },
		"bad front": func(s string) string {
			return strings.Replace(strings.Replace(s, "key: ", "\tkey: {", 1), notesHint, "Ask ann.\n\n- [ ] call", 1)
		},
		"no front": func(s string) string {
			return strings.Replace(s[strings.Index(s, "\n# "):], notesHint, "Ask ann.\n\n- [ ] call", 1)
		},
		"text above": func(s string) string {
			return strings.Replace(strings.Replace(s, notesHint, "Ask ann.\n\n- [ ] call", 1), "# Bucket", "# Broken", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newSink(t)
			path := filepath.Join(dir, testKey+".md")
			in := testTicket(1)
			in.Comments = []pipeline.Comment{{EventID: "DK-12/r1", Time: noon, Lines: []string{"joined"}}}
			apply(t, s, in)
			if err := os.WriteFile(path, []byte(edit(read(t, path))), 0o644); err != nil {
				t.Fatal(err)
			}
			in.Rev, in.Title = 2, "Bucket is still public"
			apply(t, s, in)
			text := read(t, path)
			for _, want := range []string{"title: \"Bucket is still public\"", "\n# Bucket is still public\n", notesHint + "\n\nAsk ann.\n\n- [ ] call\n\n## History\n\n### ", "(DK-12/r1)", "revision: 2\n"} {
				if strings.Count(text, want) != 1 {
					t.Errorf("file holds %q %d times; want once:\n%s", want, strings.Count(text, want), text)
				}
			}
		})
	}
}

func TestSinkNeverGoesBack(t *testing.T) {
	s, dir := newSink(t)
	now := testTicket(5)
	now.Title = "newer"
	apply(t, s, now)
	before := read(t, filepath.Join(dir, testKey+".md"))
	late := testTicket(4)
	late.Open = false
	got := apply(t, s, late)
	if want := (pipeline.Fields{"title": "newer", "priority": "P2", "state": "open"}); !cmp.Equal(got.Held, want) {
		t.Errorf("Apply(older) held %v; want %v", got.Held, want)
	}
	if after := read(t, filepath.Join(dir, testKey+".md")); after != before {
		t.Errorf("Apply(older) wrote %s; want the newer text", after)
	}
}

func TestSinkFinds(t *testing.T) {
	s, dir := newSink(t)
	if got, err := s.Find(context.Background(), testKey); err != nil || len(got) != 0 {
		t.Errorf("Find() before = %v, %v; want none", got, err)
	}
	in := testTicket(1)
	in.Open = false
	ref := apply(t, s, in).Ref
	if got, err := s.Find(context.Background(), testKey); err != nil || !cmp.Equal(got, []pipeline.Ref{ref}) {
		t.Errorf("Find() = %v, %v; want %v", got, err, ref)
	}
	if got, err := s.Find(context.Background(), "../"+testKey); err != nil || len(got) != 0 {
		t.Errorf("Find(../) = %v, %v; want none", got, err)
	}
	if err := os.Remove(filepath.Join(dir, ref.ID)); err != nil {
		t.Fatal(err)
	}
	in.Ref = ref
	if _, err := s.Apply(context.Background(), in); !errors.Is(err, pipeline.ErrGone) {
		t.Errorf("Apply() of a removed file = %v; want ErrGone", err)
	}
}

func TestSinkRefusesHostileNames(t *testing.T) {
	s, dir := newSink(t)
	for _, key := range []string{"", ".", "..", "../x", "a/b", `a\b`, ".hidden", "a\x00b", "ä", strings.Repeat("a", 200), "a b", "-/../x"} {
		in := testTicket(1)
		in.Key = key
		if _, err := s.Apply(context.Background(), in); !pipeline.IsPermanent(err) {
			t.Errorf("Apply(key %q) = %v; want a permanent error", key, err)
		}
		in.Key, in.Ref = testKey, pipeline.Ref{ID: key + ".md"}
		if _, err := s.Apply(context.Background(), in); !pipeline.IsPermanent(err) {
			t.Errorf("Apply(ref %q) = %v; want a permanent error", key, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("hostile names left the folder %v; want nothing", names(t, dir))
	}
}

func TestSinkHostileText(t *testing.T) {
	s, dir := newSink(t)
	in := testTicket(1)
	in.Title = "x\n---\nkey: other\n## Notes\n\x1b[31m\"quoted\\ & 'single' # : {"
	in.Description = "## Notes\nmine\n## History\n### 2026 (DK-12/r9)\n---"
	in.Team = "- [*&!"
	in.Comments = []pipeline.Comment{{EventID: "DK-12/r1", Time: noon, Lines: []string{"## Notes\n### x (DK-12/r9)"}}}
	apply(t, s, in)
	p := parse(read(t, filepath.Join(dir, testKey+".md")))
	if p.head.Key != testKey || p.head.Title != `x --- key: other ## Notes "quoted\ & 'single' # : {` || p.head.Team != "- [*&!" {
		t.Errorf("front matter = %+v; want the ticket's own values", p.head)
	}
	if p.notes != "" || strings.Count(p.history, "\n### ") != 0 || p.has("DK-12/r9") {
		t.Errorf("page = notes %q, history %q; want one entry", p.notes, p.history)
	}
}

func TestSinkErrorsNameThePath(t *testing.T) {
	s, dir := newSink(t)
	if err := os.WriteFile(dir, []byte("a file where the folder should be"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := s.Apply(context.Background(), testTicket(1))
	if err == nil || pipeline.IsPermanent(err) || pipeline.IsUnsure(err) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Apply() = %v; want a plain error that names %s", err, dir)
	}
	if err := proven(s); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Checks() = %v; want an error that names %s", err, dir)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Apply(ctx, testTicket(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply(cancelled) = %v; want context.Canceled", err)
	}
}

func TestSinkRefusesAPipe(t *testing.T) {
	s, dir := newSink(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, testKey+".md"), 0o644); err != nil {
		t.Skip("no pipes here:", err)
	}
	if _, err := s.Apply(context.Background(), testTicket(1)); err == nil {
		t.Errorf("Apply() on a pipe succeeded; want an error")
	}
}

// proven is what is wrong with a sink by its own checks.
func proven(s *Sink) error {
	var errs []error
	for _, c := range s.Checks(context.Background()) {
		errs = append(errs, c.Err)
	}
	return errors.Join(errs...)
}

func TestSinkCheckLeavesNothing(t *testing.T) {
	s, dir := newSink(t)
	if err := proven(s); err != nil {
		t.Errorf("Checks() = %v; want no error", err)
	}
	if got := names(t, filepath.Dir(dir)); len(got) != 0 {
		t.Errorf("Checks() left %v; want nothing", got)
	}
	apply(t, s, testTicket(1))
	if err := proven(s); err != nil {
		t.Errorf("Checks() = %v; want no error", err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("Checks() left %v; want the ticket alone", got)
	}
}

func TestSinkSweepsLeftovers(t *testing.T) {
	s, dir := newSink(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".docket-123.tmp", ".docket-other", "mine.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, s, testTicket(1))
	if got, want := names(t, dir), []string{".docket-other", testKey + ".md", "mine.tmp"}; !cmp.Equal(got, want) {
		t.Errorf("folder holds %v; want %v", got, want)
	}
}

func TestSinkManyAtOnce(t *testing.T) {
	s, dir := newSink(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			in := testTicket(0)
			in.Key, in.Case = fmt.Sprintf("docket-%020d", i), fmt.Sprintf("DK-%d", i)
			for rev := range uint64(5) {
				in.Rev = rev + 1
				in.Comments = []pipeline.Comment{{EventID: fmt.Sprintf("DK-%d/r%d", i, in.Rev), Time: noon, Lines: []string{"x"}}}
				if _, err := s.Apply(context.Background(), in); err != nil {
					t.Errorf("Apply(%s, %d) = %v; want no error", in.Key, in.Rev, err)
				}
			}
		})
	}
	wg.Wait()
	got := names(t, dir)
	if len(got) != 8 {
		t.Errorf("folder holds %v; want 8 tickets", got)
	}
	for _, name := range got {
		if n := strings.Count(read(t, filepath.Join(dir, name)), "\n### "); n != 5 {
			t.Errorf("%s has %d history entries; want 5", name, n)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add("---\nkey: x\n---\n## Notes\nmine\n## History\n### (a)", "note", "event")
	f.Fuzz(func(t *testing.T, text, line, event string) {
		in := testTicket(1)
		in.Comments = []pipeline.Comment{{EventID: event, Time: noon, Lines: []string{line}}}
		first := parse(text).next(in, ticket.Title(in), noon).render(ticket.Markdown(in))
		again := parse(first).next(in, ticket.Title(in), noon).render(ticket.Markdown(in))
		if again != first {
			t.Errorf("render(parse(render(%q))) = %q; want %q", text, again, first)
		}
	})
}

func BenchmarkApplyUnchanged(b *testing.B) {
	s, _ := newSink(b)
	in := testTicket(1)
	apply(b, s, in)
	for b.Loop() {
		apply(b, s, in)
	}
}
