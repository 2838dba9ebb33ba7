package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
)

// lines is a Splitter for tests: a line is a record. "bad …" is rejected, "scan X"
// ends a whole read of X, "broken" ends the document with an error.
func lines(r io.Reader, d Document, each func(pipeline.Record) error) (Parts, error) {
	var parts Parts
	in := bufio.NewScanner(r)
	for n := 0; in.Scan(); n++ {
		line := in.Text()
		switch {
		case line == "broken":
			return parts, errors.New("no findings format that is known here")
		case strings.HasPrefix(line, "bad"):
			if err := d.Reject(pipeline.Reject{Origin: d.Origin, Index: n, Reason: line, Data: []byte(line)}); err != nil {
				return parts, err
			}
		case strings.HasPrefix(line, "scan "):
			parts.Scans = append(parts.Scans, pipeline.Scan{ID: line, Scope: line[5:], Complete: true, Time: noon})
		default:
			if err := each(pipeline.Record{Format: d.Format, Data: []byte(line), Origin: d.Origin, Index: n, Scope: "own"}); err != nil {
				return parts, err
			}
		}
	}
	return parts, in.Err()
}

// taker is an Emitter that keeps what it was given, in order.
type taker struct {
	got     []string
	batches []int
	refuse  string // the record at which it fails
	onTake  func()
}

func (k *taker) Records(_ context.Context, records []pipeline.Record) (pipeline.Taken, error) {
	if k.onTake != nil {
		k.onTake()
	}
	for _, r := range records {
		if k.refuse != "" && string(r.Data) == k.refuse {
			return pipeline.Taken{}, pipeline.ErrFull
		}
	}
	var taken pipeline.Taken
	for _, r := range records {
		k.got = append(k.got, fmt.Sprintf("%s#%d %s %s", r.Origin, r.Index, r.Data, r.Scope))
		if strings.HasPrefix(string(r.Data), "undecodable") {
			taken.Rejected = append(taken.Rejected, pipeline.Reject{})
			continue
		}
		taken.Accepted++
	}
	k.batches = append(k.batches, len(records))
	return taken, nil
}

func (k *taker) Reject(_ context.Context, r pipeline.Reject) error {
	k.got = append(k.got, fmt.Sprintf("%s#%d reject %s", r.Origin, r.Index, r.Reason))
	return nil
}

func (k *taker) Scan(_ context.Context, s pipeline.Scan) error {
	k.got = append(k.got, fmt.Sprintf("scan %s n=%d complete=%v %s", s.Scope, s.Count, s.Complete, s.Why))
	return nil
}

func (k *taker) Progress(context.Context, pipeline.Watermark) error { return nil }

// tree writes files, all last changed an hour before noon.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, filepath.Join(dir, name), text, noon.Add(-time.Hour))
	}
	return dir
}

func put(t testing.TB, path, text string, at time.Time) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func newSource(t testing.TB, dir string, c SourceConfig) *Source {
	t.Helper()
	s, err := NewSource(c, SourceOptions{Base: dir, Split: lines, Stdin: strings.NewReader("from stdin\n"), Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func poll1(t testing.TB, s *Source, req pipeline.Request) (pipeline.Result, []string) {
	t.Helper()
	k := &taker{}
	res, err := s.Poll(context.Background(), req, k)
	if err != nil {
		t.Fatalf("Poll(%+v) = %v; want no error", req, err)
	}
	return res, k.got
}

func TestPollFindsFiles(t *testing.T) {
	files := map[string]string{
		"reports/b.json": "b", "reports/deep/er/a.json": "a", "reports/x.sarif": "x", "reports/notes.txt": "no",
		"reports/.hidden.json": "no", "reports/.git/c.json": "no", "[odd]/f.json": "odd",
	}
	for _, c := range []struct {
		name  string
		paths []string
		want  []string
		notes int
	}{
		{"deep pattern, sorted", []string{"reports/**/*.json"}, []string{"reports/b.json#0 b own", "reports/deep/er/a.json#0 a own"}, 0},
		{"two patterns meet one file once", []string{"reports/*.json", "reports/b.*", "./reports/../reports/b.json"}, []string{"reports/b.json#0 b own"}, 0},
		{"a folder", []string{"reports"}, []string{"reports/b.json#0 b own", "reports/deep/er/a.json#0 a own", "reports/x.sarif#0 x own"}, 0},
		{"a plain name", []string{"reports/x.sarif"}, []string{"reports/x.sarif#0 x own"}, 0},
		{"a hidden name that is said", []string{"reports/.hidden.json"}, []string{"reports/.hidden.json#0 no own"}, 0},
		{"missing file", []string{"reports/gone.json", "nowhere/**/*.json"}, nil, 2},
		{"escaped brackets", []string{`\[odd\]/*.json`}, []string{"[odd]/f.json#0 odd own"}, 0},
		{"standard input last", []string{"-", "reports/b.json"}, []string{"reports/b.json#0 b own", "stdin#0 from stdin own"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, files)
			res, got := poll1(t, newSource(t, dir, SourceConfig{Paths: c.paths}), pipeline.Request{})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Poll(%v) differs (-want +got):\n%s", c.paths, diff)
			}
			if len(res.Notes) != c.notes || res.Records != len(c.want) {
				t.Errorf("Poll(%v) = %+v; want %d records and %d notes", c.paths, res, len(c.want), c.notes)
			}
		})
	}
}

func TestPollAbsolutePath(t *testing.T) {
	dir := tree(t, map[string]string{"a[1].json": "a", "sub/b.json": "b"})
	s := newSource(t, "/nowhere", SourceConfig{Paths: []string{dir + "/**/*.json"}})
	_, got := poll1(t, s, pipeline.Request{})
	if want := []string{dir + "/a[1].json#0 a own", dir + "/sub/b.json#0 b own"}; !cmp.Equal(got, want) {
		t.Errorf("Poll() = %v; want %v", got, want)
	}
}

func TestPollPassesOverWhatDidNotChange(t *testing.T) {
	dir := tree(t, map[string]string{"a.json": "a", "b.json": "b", "c.json": "broken"})
	s := newSource(t, dir, SourceConfig{Paths: []string{"*.json"}})
	first, got := poll1(t, s, pipeline.Request{})
	if len(got) != 3 || first.Rejected != 1 {
		t.Fatalf("Poll() = %v, %+v; want two records and a reject", got, first)
	}
	if _, got := poll1(t, s, pipeline.Request{Since: first.Watermark}); len(got) != 0 {
		t.Errorf("Poll(again) = %v; want nothing", got)
	}
	if _, got := poll1(t, s, pipeline.Request{Since: first.Watermark, Full: true}); len(got) != 3 {
		t.Errorf("Poll(full) = %v; want everything", got)
	}
	if _, got := poll1(t, s, pipeline.Request{Since: "not a watermark"}); len(got) != 3 {
		t.Errorf("Poll(foreign watermark) = %v; want everything", got)
	}
	put(t, filepath.Join(dir, "b.json"), "B", noon.Add(-time.Minute))
	if err := os.Remove(filepath.Join(dir, "a.json")); err != nil {
		t.Fatal(err)
	}
	second, got := poll1(t, s, pipeline.Request{Since: first.Watermark})
	if want := []string{"b.json#0 B own"}; !cmp.Equal(got, want) {
		t.Errorf("Poll(changed) = %v; want %v", got, want)
	}
	if strings.Contains(string(second.Watermark), "a.json") {
		t.Errorf("watermark = %s; want no file that is gone", second.Watermark)
	}
	put(t, filepath.Join(dir, "b.json"), "just now", noon.Add(-time.Second))
	third, _ := poll1(t, s, pipeline.Request{Since: second.Watermark})
	if _, got := poll1(t, s, pipeline.Request{Since: third.Watermark}); len(got) != 1 {
		t.Errorf("Poll() after a file changed a second ago = %v; want it read again", got)
	}
}

func TestPollComplete(t *testing.T) {
	files := map[string]string{"a.json": "one\ntwo\nscan T", "b.json": "one\nbad\nscan U", "c.json": "undecodable\n", "d.json": "one\nbroken"}
	for _, c := range []struct {
		complete Complete
		want     []string
	}{
		{CompleteAuto, []string{"a.json#0 one own", "a.json#1 two own", "scan T n=0 complete=true ",
			"b.json#1 reject bad", "b.json#0 one own", "scan U n=0 complete=true ", "c.json#0 undecodable own", "d.json#0 one own", "d.json#0 reject no findings format that is known here"}},
		{CompleteNever, []string{"a.json#0 one ", "a.json#1 two ", "b.json#1 reject bad", "b.json#0 one ", "c.json#0 undecodable ", "d.json#0 one ", "d.json#0 reject no findings format that is known here"}},
		{CompleteAlways, []string{"a.json#0 one claim:file a.json", "a.json#1 two claim:file a.json", "scan claim:file a.json n=2 complete=true ",
			"b.json#1 reject bad", "b.json#0 one claim:file b.json", "scan claim:file b.json n=1 complete=false 1 of its records were rejected",
			"c.json#0 undecodable claim:file c.json", "scan claim:file c.json n=1 complete=false 1 of its records were rejected",
			"d.json#0 one claim:file d.json", "d.json#0 reject no findings format that is known here", "scan claim:file d.json n=1 complete=false the file could not be taken apart: no findings format that is known here"}},
	} {
		_, got := poll1(t, newSource(t, tree(t, files), SourceConfig{Paths: []string{"*.json"}, Complete: c.complete}), pipeline.Request{})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("Poll(complete: %s) differs (-want +got):\n%s", c.complete, diff)
		}
	}
}

func TestPollBatches(t *testing.T) {
	dir := tree(t, map[string]string{
		"a.json": strings.Repeat("x\n", 1200),
		"b.json": strings.Repeat(strings.Repeat("y", 60000)+"\n", 25),
	})
	k := &taker{}
	if _, err := newSource(t, dir, SourceConfig{Paths: []string{"*.json"}}).Poll(context.Background(), pipeline.Request{}, k); err != nil {
		t.Fatal(err)
	}
	if want := []int{500, 500, 200, 11, 11, 3}; !cmp.Equal(k.batches, want) {
		t.Errorf("batches of %v records; want %v", k.batches, want)
	}
}

func TestPollStopsWhenNothingIsTaken(t *testing.T) {
	dir := tree(t, map[string]string{"a.json": "a", "b.json": "b\nscan T", "c.json": "c"})
	s := newSource(t, dir, SourceConfig{Paths: []string{"*.json"}, Complete: CompleteAlways})
	k := &taker{refuse: "b"}
	res, err := s.Poll(context.Background(), pipeline.Request{}, k)
	if !errors.Is(err, pipeline.ErrFull) {
		t.Errorf("Poll() = %v; want ErrFull", err)
	}
	if want := []string{"a.json#0 a claim:file a.json", "scan claim:file a.json n=1 complete=true "}; !cmp.Equal(k.got, want) {
		t.Errorf("Poll() gave %v; want %v", k.got, want)
	}
	_, got := poll1(t, s, pipeline.Request{Since: res.Watermark})
	if len(got) != 4 {
		t.Errorf("Poll(again) = %v; want b and c with their scans", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Poll(ctx, pipeline.Request{}, &taker{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Poll(cancelled) = %v; want context.Canceled", err)
	}
}

func TestPollGoesOnPastWhatCannotBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		// root reads everything: a link loop cannot be opened by anybody
		dir := tree(t, map[string]string{"b.json": "b"})
		if err := os.Symlink("a.json", filepath.Join(dir, "a.json")); err != nil {
			t.Skip("no links here:", err)
		}
		checkGoesOn(t, dir)
		return
	}
	dir := tree(t, map[string]string{"a.json": "a", "b.json": "b"})
	if err := os.Chmod(filepath.Join(dir, "a.json"), 0); err != nil {
		t.Fatal(err)
	}
	checkGoesOn(t, dir)
}

func checkGoesOn(t *testing.T, dir string) {
	t.Helper()
	k := &taker{}
	s := newSource(t, dir, SourceConfig{Paths: []string{"*.json"}})
	_, err := s.Poll(context.Background(), pipeline.Request{}, k)
	if err == nil || !strings.Contains(err.Error(), "a.json") {
		t.Errorf("Poll() = %v; want an error that names a.json", err)
	}
	if want := []string{"b.json#0 b own"}; !cmp.Equal(k.got, want) {
		t.Errorf("Poll() gave %v; want %v", k.got, want)
	}
	if err := s.Check(context.Background()); err == nil {
		t.Errorf("Check() = nil; want an error")
	}
}

// failing reads one line and then breaks, as a network folder may.
type failing struct{ n int }

func (f *failing) Read(b []byte) (int, error) {
	if f.n++; f.n == 1 {
		return copy(b, "one\n"), nil
	}
	return 0, errors.New("the wire was cut")
}

func TestPollStandardInput(t *testing.T) {
	s := newSource(t, t.TempDir(), SourceConfig{Paths: []string{"-"}, Complete: CompleteAlways})
	_, got := poll1(t, s, pipeline.Request{})
	if want := []string{"stdin#0 from stdin claim:file stdin", "scan claim:file stdin n=1 complete=true "}; !cmp.Equal(got, want) {
		t.Errorf("Poll(-) = %v; want %v", got, want)
	}
	res, got := poll1(t, s, pipeline.Request{Full: true})
	if len(got) != 0 || len(res.Notes) != 1 {
		t.Errorf("Poll(- again) = %v, %v; want a note alone", got, res.Notes)
	}

	s = newSource(t, t.TempDir(), SourceConfig{Paths: []string{"-"}, Complete: CompleteAlways})
	s.opt.Stdin = &failing{}
	k := &taker{}
	if _, err := s.Poll(context.Background(), pipeline.Request{}, k); err == nil || !strings.Contains(err.Error(), "the wire was cut") {
		t.Errorf("Poll(broken pipe) = %v; want the cause", err)
	}
	if want := []string{"stdin#0 one claim:file stdin", "scan claim:file stdin n=1 complete=false the file could not be read to its end"}; !cmp.Equal(k.got, want) {
		t.Errorf("Poll(broken pipe) gave %v; want %v", k.got, want)
	}

	s.opt.Stdin = nil
	if _, err := s.Poll(context.Background(), pipeline.Request{}, &taker{}); err == nil {
		t.Errorf("Poll(no standard input) = nil; want an error")
	}
}

func TestPollFileThatChangesUnderTheReader(t *testing.T) {
	dir := tree(t, map[string]string{"a.json": "one\nscan T"})
	path := filepath.Join(dir, "a.json")
	s := newSource(t, dir, SourceConfig{Paths: []string{"*.json"}})
	k := &taker{onTake: func() { put(t, path, "one\ntwo\nscan T", noon.Add(-time.Minute)) }}
	res, err := s.Poll(context.Background(), pipeline.Request{}, k)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.json#0 one own", "scan T n=0 complete=false the file changed while it was read"}; !cmp.Equal(k.got, want) {
		t.Errorf("Poll() gave %v; want %v", k.got, want)
	}
	if _, got := poll1(t, s, pipeline.Request{Since: res.Watermark}); len(got) != 3 {
		t.Errorf("Poll(again) = %v; want the whole file", got)
	}
}

func TestPollConfigMap(t *testing.T) {
	dir := t.TempDir()
	configMap(t, dir, "1", "old")
	s := newSource(t, dir, SourceConfig{Paths: []string{"**/*.json"}})
	first, got := poll1(t, s, pipeline.Request{})
	if want := []string{"a.json#0 old own"}; !cmp.Equal(got, want) {
		t.Errorf("Poll() = %v; want %v", got, want)
	}
	configMap(t, dir, "2", "new!")
	if _, got := poll1(t, s, pipeline.Request{Since: first.Watermark}); !cmp.Equal(got, []string{"a.json#0 new! own"}) {
		t.Errorf("Poll(swapped) = %v; want the new file", got)
	}
}

// configMap writes a.json as the kubelet does: the file is a link into ..data,
// which is a link to a folder of its own, swapped by one rename.
func configMap(t *testing.T, dir, version, text string) {
	t.Helper()
	put(t, filepath.Join(dir, "..v"+version, "a.json"), text, noon.Add(-time.Hour))
	next := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink("..v"+version, next); err != nil {
		t.Skip("no links here:", err)
	}
	if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..data/a.json", filepath.Join(dir, "a.json")); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
}

func TestPollEndsOnALinkLoop(t *testing.T) {
	dir := tree(t, map[string]string{"sub/a.json": "a"})
	if err := os.Symlink("..", filepath.Join(dir, "sub", "up")); err != nil {
		t.Skip("no links here:", err)
	}
	k := &taker{}
	_, _ = newSource(t, dir, SourceConfig{Paths: []string{"**/*.json"}}).Poll(context.Background(), pipeline.Request{}, k)
	if want := []string{"sub/a.json#0 a own"}; !cmp.Equal(k.got, want) {
		t.Errorf("Poll() gave %v; want %v", k.got, want)
	}
}

func TestConfigReportsEverything(t *testing.T) {
	err := SourceConfig{Paths: []string{"", "a[", "ok/*.json"}, Complete: "sometimes"}.Validate()
	for _, want := range []string{"paths[0]", "paths[1]", `complete: "sometimes"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v; want it to name %s", err, want)
		}
	}
	if err := (SourceConfig{}).Validate(); err == nil {
		t.Errorf("Validate() without paths = nil; want an error")
	}
	if err := (SinkConfig{Path: " "}).Validate(); err == nil {
		t.Errorf("Validate() without path = nil; want an error")
	}
	if err := DefaultSourceConfig().Validate(); err == nil || strings.Contains(err.Error(), "complete") {
		t.Errorf("Validate() of the defaults = %v; want only the paths missing", err)
	}
}

// watch starts Watch and returns its signals and a way to end it.
func watch(t *testing.T, s *Source) <-chan struct{} {
	t.Helper()
	s.settle = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	changed, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- s.Watch(ctx, changed) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Watch() = %v; want no error", err)
		}
	})
	return changed
}

func await(t *testing.T, changed <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		t.Fatalf("Watch() did not tell of %s", what)
	}
}

func TestWatchTells(t *testing.T) {
	dir := tree(t, map[string]string{"reports/a.json": "a"})
	changed := watch(t, newSource(t, dir, SourceConfig{Paths: []string{"reports/**/*.json", "later/*.json"}}))
	await(t, changed, "its start")
	put(t, filepath.Join(dir, "reports/a.json"), "changed", noon)
	await(t, changed, "a changed file")
	put(t, filepath.Join(dir, "reports/new/deep/b.json"), "b", noon)
	await(t, changed, "a file in a new folder")
	put(t, filepath.Join(dir, "reports/new/deep/b.json"), "changed", noon)
	await(t, changed, "a changed file in a new folder")
	if err := os.Remove(filepath.Join(dir, "reports/a.json")); err != nil {
		t.Fatal(err)
	}
	await(t, changed, "a removed file")
	put(t, filepath.Join(dir, "later/c.json"), "c", noon)
	await(t, changed, "a file in a folder that came later")
}

func TestWatchSeesAConfigMapSwap(t *testing.T) {
	dir := t.TempDir()
	configMap(t, dir, "1", "old")
	changed := watch(t, newSource(t, dir, SourceConfig{Paths: []string{"*.json"}}))
	await(t, changed, "its start")
	configMap(t, dir, "2", "other")
	await(t, changed, "the swap")
}

func TestWatchIsQuietAboutOtherFiles(t *testing.T) {
	dir := tree(t, map[string]string{"a.json": "a"})
	changed := watch(t, newSource(t, dir, SourceConfig{Paths: []string{"*.json"}}))
	await(t, changed, "its start")
	next := filepath.Join(t.TempDir(), "a.json")
	put(t, next, "changed", noon)
	put(t, filepath.Join(dir, "notes.txt"), "x", noon)
	if err := os.Rename(next, filepath.Join(dir, "a.json")); err != nil { // one step, so one change
		t.Fatal(err)
	}
	await(t, changed, "the changed file")
	select {
	case <-changed:
		t.Errorf("Watch() told twice; want once")
	default:
	}
}
