package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// someState is a changeset with rows in every bucket that an export reads.
func someState() *triage.Changeset {
	cs := findings(7, 1, 4)
	h, r := finding(4)
	h.Case, r.Case, h.Member, r.Member, r.SuppressedBy = 1, 1, triage.Open, triage.Open, ""
	cs.Hot, cs.Records = append(cs.Hot, h), append(cs.Records, r)
	cs.Meta = triage.Meta{Findings: 7, Inputs: 9, NextSeq: 5, NextCase: 2, Config: "c0ffee"}
	c := &triage.Case{Number: 1, Key: "security|1111", Team: "security", Open: true, Opened: start, Total: 1, Lead: 4, Gen: 1}
	c.Count[2] = 1
	c.Entries = map[string]*triage.Entry{"jira": {WantOpen: true, Wanted: 1, N: 1, St: triage.Inflight, Gen: 1, Issued: start}}
	cs.Cases = []*triage.Case{c}
	cs.Members = []triage.Member{{Case: 1, Seq: 4, Status: triage.Open, Priority: pipeline.P2}}
	cs.Outbox = []pipeline.Action{{Case: "DK-1", Sink: "jira", N: 1}}
	cs.Teams = []triage.TeamState{{Name: "security", Digest: 3}}
	cs.Scopes = []triage.Scope{{Name: "trivy image shop/api", Count: 3}}
	cs.Suppressions = []triage.Suppression{{Suppression: pipeline.Suppression{Name: "accepted", Reason: "retired", By: "ada", Until: start}}}
	for seq := uint64(1); seq < 4; seq++ {
		cs.Held = append(cs.Held, triage.HoldChange{Suppression: "accepted", Seq: seq, On: true})
	}
	cs.Seen = []triage.Seen{{Read: "hub/1", Scope: strings.Repeat("long ", 80), Count: 2, Keys: map[triage.SeenKey]bool{{Seq: 1, Key: keyOf(1, 0)}: true}}}
	cs.Interactions = []string{"i-1"}
	cs.Approvals = map[string]string{"security|1111": "p1"}
	cs.Newest = map[string]uint64{"security|1111": 1}
	cs.Audit = []triage.Audit{{Time: start, Case: 1, Finding: 4, Kind: "opened", Text: "opened"}, {Time: start, Finding: 2, Kind: "suppressed", Text: "held"}}
	cs.Rejects = []pipeline.Reject{{Origin: "a.json", Reason: "not JSON", Time: start}}
	return cs
}

func backupOf(t testing.TB, s *Store) ([]byte, BackupInfo) {
	t.Helper()
	var b bytes.Buffer
	var promised int64
	info, err := s.Backup(BackupInfo{Installation: "acme", Docket: "v1.2.3", MadeAt: start}, func(_ BackupInfo, size int64) (io.Writer, error) {
		promised = size
		return &b, nil
	})
	if err != nil {
		t.Fatalf("Backup() = %v; want no error", err)
	}
	if int64(b.Len()) != promised {
		t.Errorf("the backup has %d bytes; %d were promised", b.Len(), promised)
	}
	return b.Bytes(), info
}

func exportOf(t testing.TB, s *Store) string {
	t.Helper()
	var b bytes.Buffer
	look(t, s, func(p *Snapshot) {
		if err := p.Export(t.Context(), BackupInfo{Installation: "acme", Docket: "v1.2.3", MadeAt: start}, &b); err != nil {
			t.Fatalf("Export() = %v; want no error", err)
		}
	})
	return b.String()
}

// sound fails where the state contradicts itself.
func sound(t testing.TB, s *Store) {
	t.Helper()
	if problems := s.Check(); len(problems) > 0 {
		t.Errorf("Check() = %q; want a clean state", problems)
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, filepath.Join(dir, "from", "state.db"))
	commit(t, s, someState())
	sound(t, s)
	b, info := backupOf(t, s)
	want := exportOf(t, s)
	later := findings(11, 5, 9)
	later.Meta.Inputs, later.Meta.NextCase = 12, 2
	commit(t, s, later)
	if info.Findings != 7 || info.Inputs != 9 || info.NextCase != 2 || info.Schema != schemaVersion || info.Format != backupFormat {
		t.Errorf("Backup() says %+v; want positions 7 and 9, next case 2, this layout and format", info)
	}
	path := filepath.Join(dir, "to", "state.db")
	for i, before := range []string{"no state there", "over another state"} {
		x, err := Restore(path, bytes.NewReader(b))
		if err != nil {
			t.Fatalf("Restore(%s) = %v; want no error", before, err)
		}
		if st, err := x.Stats(); err != nil || st.Findings != 4 || st.Cases != 1 {
			t.Errorf("Stats() = %+v, %v; want 4 findings in a case", st, err)
		}
		kept, err := x.Swap(start.Add(time.Duration(i) * time.Hour))
		if err = errors.Join(err, x.Close()); err != nil {
			t.Fatalf("Swap(%s) = %v; want no error", before, err)
		}
		if (kept != "") != (i > 0) {
			t.Errorf("Swap(%s) kept %q; want what was there", before, kept)
		}
		back := openStore(t, path)
		sound(t, back)
		var r Restored
		look(t, back, func(p *Snapshot) { r, err = p.Restored() })
		if err != nil || r.ID == "" || !r.MadeAt.Equal(start) || r.Docket != "v1.2.3" {
			t.Errorf("Restored() = %+v, %v; want the backup's time and version", r, err)
		}
		if got := withoutRestored(t, exportOf(t, back)); got != want {
			t.Errorf("the export of the restored state differs:\n%s\nwant\n%s", got, want)
		}
		if err := back.Close(); err != nil {
			t.Fatal(err)
		}
		if kept == "" {
			continue
		}
		old := openStore(t, kept)
		sound(t, old)
	}
	left, err := filepath.Glob(filepath.Join(dir, "to", "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("the folder holds %v; want the state and what it was before", left)
	}
	for _, name := range left {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v; want 0600", filepath.Base(name), info.Mode(), err)
		}
	}
}

// withoutRestored takes the note of a restore out of the header of an export.
func withoutRestored(t testing.TB, text string) string {
	t.Helper()
	head, rest, _ := strings.Cut(text, "\n")
	i := strings.Index(head, `,"restored":`)
	if i < 0 {
		t.Fatalf("the header %s says nothing of the restore", head)
	}
	return head[:i] + "}\n" + rest
}

func TestRestoreRefuses(t *testing.T) {
	s := newStore(t)
	commit(t, s, someState())
	b, _ := backupOf(t, s)
	edit := func(at int, with string) []byte {
		return append(append(slices.Clone(b[:at]), with...), b[at+len(with):]...)
	}
	head := func(old, new string) []byte {
		at := bytes.Index(b, []byte(old))
		if at < 0 || len(old) != len(new) {
			t.Fatalf("the backup does not hold %q", old)
		}
		return edit(at, new)
	}
	for _, x := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrBackup},
		{"something else", []byte(strings.Repeat("no backup ", 200)), ErrBackup},
		{"a bare state file", b[2048:], ErrBackup},
		{"cut off in the head", b[:700], ErrBackup},
		{"cut off in the state", b[:len(b)/2], ErrBackup},
		{"without its sums", b[:len(b)-4*tarBlock], ErrBackup},
		{"a byte changed", edit(len(b)/2, string(b[len(b)/2]^1)), ErrBackup},
		{"a name changed", head(`"acme"`, `"acne"`), ErrBackup},
		{"a newer format", head(`"format": 1`, `"format": 2`), ErrNewer},
		{"a newer layout", head(fmt.Sprintf(`"schema": %d`, schemaVersion), `"schema": 9`), ErrNewer},
	} {
		path := filepath.Join(t.TempDir(), "state.db")
		_, err := Restore(path, bytes.NewReader(x.b))
		if !errors.Is(err, x.want) {
			t.Errorf("Restore(%s) = %v; want %v", x.name, err, x.want)
		}
		if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
			t.Errorf("Restore(%s) left %v behind", x.name, left)
		}
	}
	if _, err := Restore(s.Path(), bytes.NewReader(b)); !errors.Is(err, ErrLocked) {
		t.Errorf("Restore(beside an open state) = %v; want ErrLocked", err)
	}
}

func TestRestoreOverDamage(t *testing.T) {
	s := newStore(t)
	commit(t, s, someState())
	b, _ := backupOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	const metas = 2 * 4096 // of pages of 4096 bytes: with larger ones less is left
	for _, c := range []struct {
		name string
		was  []byte
	}{
		{"not a state", bytes.Repeat([]byte("x"), 20_000)},
		{"truncated", whole[:metas+4096]},
		{"zeroed behind the first pages", append(bytes.Clone(whole[:metas]), make([]byte, len(whole)-metas)...)},
		{"empty", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			if err := os.WriteFile(path, c.was, 0o600); err != nil {
				t.Fatal(err)
			}
			x, err := Restore(path, bytes.NewReader(b))
			if err != nil {
				t.Fatalf("Restore() = %v; want no error", err)
			}
			if _, err := x.Swap(start); err != nil {
				t.Errorf("Swap() = %v; want no error", err)
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
			sound(t, openStore(t, path))
		})
	}
}

// TestRestoreWaits: whoever waits for the file while it is replaced gets the new one, not the one that has no name any more.
func TestRestoreWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openStore(t, path)
	commit(t, s, someState())
	b, _ := backupOf(t, s)
	later := findings(11, 5, 9)
	later.Meta.Inputs, later.Meta.NextCase = 12, 2
	commit(t, s, later)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	x, err := Restore(path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{Timeout: 10 * time.Millisecond}); !errors.Is(err, ErrLocked) {
		t.Errorf("Open(while it is restored) = %v; want ErrLocked", err)
	}
	opened := make(chan *Store)
	go func() {
		s, err := Open(path, Options{Timeout: time.Minute})
		if err != nil {
			t.Errorf("Open(waiting for the restore) = %v; want no error", err)
		}
		opened <- s
	}()
	if _, err := x.Swap(start); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	got := <-opened
	if got == nil {
		return
	}
	defer got.Close()
	if st, err := got.Stats(); err != nil || st.Findings != 4 {
		t.Errorf("Stats() = %+v, %v; want the 4 findings of the backup", st, err)
	}
}

// TestBackupUnderLoad: each backup is one moment, however much is committed meanwhile.
func TestBackupUnderLoad(t *testing.T) {
	s := newStore(t)
	var stop sync.WaitGroup
	done := make(chan struct{})
	stop.Go(func() {
		for n := uint64(0); ; n++ {
			select {
			case <-done:
				return
			default:
			}
			if err := s.Commit(findings(n+1, n*50+1, n*50+51)); err != nil {
				t.Errorf("Commit() = %v; want no error", err)
				return
			}
		}
	})
	for range 5 {
		b, info := backupOf(t, s)
		x, err := Restore(filepath.Join(t.TempDir(), "state.db"), bytes.NewReader(b))
		if err != nil {
			t.Errorf("Restore() = %v; want no error", err)
			break
		}
		if st, err := x.Stats(); err != nil || st.Findings != int(info.Findings*50) {
			t.Errorf("Stats() = %+v, %v; want %d findings at position %d", st, err, info.Findings*50, info.Findings)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	close(done)
	stop.Wait()
}

func TestExport(t *testing.T) {
	s := newStore(t)
	commit(t, s, someState())
	if err := s.SetWatermark(SourceState{Name: "hub", Watermark: "w1"}); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	var last map[string]any
	lines := bufio.NewScanner(strings.NewReader(exportOf(t, s)))
	for n := 0; lines.Scan(); n++ {
		last = nil
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		kind := last["kind"].(string)
		if (kind == "header") != (n == 0) {
			t.Errorf("line %d is a %s; want the header first, and there alone", n, kind)
		}
		counts[kind]++
	}
	want := map[string]int{
		"header": 1, "source": 1, "team": 1, "scope": 1, "suppression": 1, "finding": 4, "case": 1, "member": 1, "read": 1, "action": 1,
		"approval": 1, "interaction": 1, "story": 2, "reject": 1, "end": 1,
	}
	if !maps.Equal(counts, want) {
		t.Errorf("Export() wrote %v; want %v", counts, want)
	}
	delete(want, "header")
	delete(want, "end")
	for kind, n := range want {
		if got := last["counts"].(map[string]any)[kind]; got != float64(n) {
			t.Errorf("the last line counts %v of %s; want %d", got, kind, n)
		}
	}
}

// TestExportHasEveryBucket: a bucket is exported, or is known to hold nothing of its own.
func TestExportHasEveryBucket(t *testing.T) {
	var names []string
	for _, part := range exportParts() {
		names = append(names, string(part.bucket))
	}
	for _, b := range derived() {
		names = append(names, string(b))
	}
	var all []string
	for _, b := range allBuckets() {
		all = append(all, string(b))
	}
	slices.Sort(names)
	slices.Sort(all)
	if !slices.Equal(names, all) {
		t.Errorf("exported and derived are %q; want every bucket once: %q", names, all)
	}
}

func TestCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a[b*c?d", "state.db") // what a pattern would take for more than a name
	s := openStore(t, path)
	commit(t, s, findings(1, 1, 5000))
	gone := &triage.Changeset{Meta: triage.Meta{Findings: 2, NextSeq: 5000, NextCase: 1}}
	for seq := uint64(1); seq < 4900; seq++ {
		gone.PurgedSeqs = append(gone.PurgedSeqs, seq)
	}
	commit(t, s, gone)
	want := exportOf(t, s)
	if _, _, err := Compact(path); !errors.Is(err, ErrLocked) {
		t.Errorf("Compact(an open state) = %v; want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, after, err := Compact(path)
	if err != nil || after >= before/2 {
		t.Fatalf("Compact() = %d, %d, %v; want less than half", before, after, err)
	}
	if size, err := fileSize(path); err != nil || size != after {
		t.Errorf("the file has %d bytes, %v; want %d", size, err, after)
	}
	back := openStore(t, path)
	sound(t, back)
	if got := exportOf(t, back); got != want {
		t.Error("the export after compacting differs from the one before")
	}
	more := findings(3, 5000, 5010)
	more.Meta.NextSeq = 5010
	commit(t, back, more)
	sound(t, back)
	for _, name := range []string{".restoring-1", ".compacting-1"} {
		if err := os.WriteFile(path+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := back.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Compact(path); err != nil {
		t.Errorf("Compact(again) = %v; want no error", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("the folder holds %v; want the state alone", left)
	}
}

func TestCompactRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if _, _, err := Compact(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Compact(no state) = %v; want fs.ErrNotExist", err)
	}
	s := openStore(t, path)
	commit(t, s, someState())
	// An open finding that no case counts.
	if err := s.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketCases).Delete(key64(1)) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Compact(path); !errors.Is(err, ErrDamaged) {
		t.Errorf("Compact(a state that contradicts itself) = %v; want ErrDamaged", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("the folder holds %v; want the state alone", left)
	}
	if n := len(openStore(t, path).Check()); n == 0 {
		t.Error("Check() finds nothing after a refused compaction; want the state as it was")
	}
}

// TestWriteFileLeftovers: what killed processes left goes a day later; what is being written, or is somebody else's, stays.
func TestWriteFileLeftovers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	old := time.Now().Add(-2 * partAge)
	want := []string{".out.2.docket-part", ".out.1.part", "a.docket-part", "out"}
	for _, name := range append([]string{".out.1.docket-part", ".other.1.docket-part"}, want[:3]...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == want[0] {
			continue
		}
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFile(path, false, func(f *os.File) error { _, err := f.WriteString("text"); return err }); err != nil {
		t.Fatal(err)
	}
	var got []string
	left, _ := os.ReadDir(dir)
	for _, e := range left {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the folder holds %q; want %q", got, want)
	}
}

// TestKeepFile: whether a file system has links or not, the file is under its first name at every instant,
// and under the second whole or not at all.
func TestKeepFile(t *testing.T) {
	noLinks := func(string, string) error { return &os.LinkError{Op: "link", Err: syscall.EPERM} }
	for _, x := range []struct {
		name  string
		link  func(from, to string) error
		taken bool // the second name
		same  bool // one file with two names
	}{
		{"with links", os.Link, false, true},
		{"without links", noLinks, false, false},
		{"the name is taken", os.Link, true, false},
		{"the name is taken, without links", noLinks, true, false},
	} {
		dir := t.TempDir()
		path, kept := filepath.Join(dir, "state.db"), filepath.Join(dir, "kept")
		text := strings.Repeat("state", 100_000)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want := text
		if x.taken {
			want = "another's"
			if err := os.WriteFile(kept, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := keepFile(path, kept, func(from, to string) error {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v while it is kept; want it there", x.name, err)
			}
			return x.link(from, to)
		})
		if errors.Is(err, fs.ErrExist) != x.taken || err != nil && !x.taken {
			t.Errorf("keepFile(%s) = %v; want fs.ErrExist: %v", x.name, err, x.taken)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%s: the first name holds %d bytes, %v; want all", x.name, len(b), err)
		}
		if b, err := os.ReadFile(kept); err != nil || string(b) != want {
			t.Errorf("%s: the second name holds %d bytes, %v; want %d", x.name, len(b), err, len(want))
		}
		one, err := os.Stat(path)
		two, err2 := os.Stat(kept)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if os.SameFile(one, two) != x.same || two.Mode().Perm() != 0o600 {
			t.Errorf("%s: one file %v, mode %v; want %v, 0600", x.name, os.SameFile(one, two), two.Mode(), x.same)
		}
		if left, _ := os.ReadDir(dir); len(left) != 2 {
			t.Errorf("%s: the folder holds %v; want both files alone", x.name, left)
		}
	}
}

// TestRestoreMeanwhile: a docket that makes a state while a backup is unpacked beside none keeps it, as long as it runs.
func TestRestoreMeanwhile(t *testing.T) {
	s := newStore(t)
	commit(t, s, someState())
	b, _ := backupOf(t, s)
	for _, runs := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "state.db")
		x, err := Restore(path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		other, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		commit(t, other, findings(1, 1, 3))
		if !runs {
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := x.Swap(start)
		if errors.Is(err, ErrLocked) != runs || err != nil && !runs || (kept == "") != runs {
			t.Errorf("Swap(beside a docket that runs: %v) = %q, %v; want ErrLocked, or the state it made kept", runs, kept, err)
		}
		if err := errors.Join(x.Close(), other.Close()); err != nil {
			t.Fatal(err)
		}
		want := 4
		if runs {
			want = 2
		}
		if st, err := openStore(t, path).Stats(); err != nil || st.Findings != want {
			t.Errorf("the state has %d findings, %v; want %d", st.Findings, err, want)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	text := func(s string) func(*os.File) error {
		return func(f *os.File) error { _, err := f.WriteString(s); return err }
	}
	broken := errors.New("broken")
	for _, x := range []struct {
		name    string
		replace bool
		write   func(*os.File) error
		want    error
		holds   string
	}{
		{"new", false, text("one"), nil, "one"},
		{"again", false, text("two"), fs.ErrExist, "one"},
		{"again, replacing", true, text("two"), nil, "two"},
		{"half", true, func(f *os.File) error { _, _ = f.WriteString("thr"); return broken }, broken, "two"},
	} {
		if err := WriteFile(path, x.replace, x.write); !errors.Is(err, x.want) {
			t.Errorf("WriteFile(%s) = %v; want %v", x.name, err, x.want)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != x.holds {
			t.Errorf("after WriteFile(%s) the file holds %q, %v; want %q", x.name, b, err, x.holds)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("WriteFile(%s) left %v behind", x.name, left)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
}
