package state

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		os.Exit(crashLoop(path))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		removeKnown()
		os.Exit(code)
	}))
}

// openStore opens a store that is closed when the test ends.
func openStore(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatalf("Open(%s) = %v; want no error", filepath.Base(path), err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v; want no error", err)
		}
	})
	return s
}

func newStore(t testing.TB) *Store { return openStore(t, filepath.Join(t.TempDir(), "state.db")) }

func commit(t testing.TB, s *Store, cs *triage.Changeset) {
	t.Helper()
	if err := s.Commit(cs); err != nil {
		t.Fatalf("Commit() = %v; want no error", err)
	}
}

// look runs fn on a snapshot.
func look(t testing.TB, s *Store, fn func(p *Snapshot)) {
	t.Helper()
	p, err := s.View()
	if err != nil {
		t.Fatalf("View() = %v; want no error", err)
	}
	defer p.Close()
	fn(p)
	if err := p.Err(); err != nil {
		t.Errorf("Err() = %v; want none", err)
	}
}

func printOf(n uint64) pipeline.Fingerprint {
	var f pipeline.Fingerprint
	copy(f[:], fmt.Sprintf("fingerprint of finding %8d", n))
	return f
}

func keyOf(seq uint64, report int) [16]byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d", seq, report)) // as in life, a hash
	return [16]byte(sum[:16])
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// finding is a hot record and its record, known by one open report.
func finding(seq uint64) (triage.Hot, *triage.Record) {
	print := printOf(seq)
	h := triage.Hot{Seq: seq, Print: print, Reports: []triage.HotReport{{
		Key: keyOf(seq, 0), IDHash: seq * 7, Hash: seq * 13, Observed: start.UnixMilli(),
		Status: pipeline.StatusOpen, Severity: pipeline.High,
	}}}
	id := fmt.Sprintf("arn:aws:securityhub:eu-west-1:111122223333:subscription/aws-foundational-security-best-practices/v/1.0.0/S3.8/finding/%08d", seq)
	r := &triage.Record{
		Seq: seq, Print: print, FirstSeen: start, LastChange: start, SuppressedBy: "accepted",
		Reports: []pipeline.Report{{
			Product: "Security Hub", ID: id, Kind: pipeline.KindControl, Region: "eu-west-1",
			Account: pipeline.Account{ID: "111122223333"}, Resource: pipeline.Resource{ID: fmt.Sprintf("arn:aws:s3:::bucket-%d", seq), Type: "AwsS3Bucket"},
			Control: "S3.8", Problem: "s3-bucket-block-public-access", Title: "S3 general purpose buckets should block public access",
			Severity: pipeline.High, Status: pipeline.StatusOpen, ObservedAt: start, FirstObserved: start,
		}},
		Raw: [][]byte{fmt.Appendf(nil, `{"Id":%q,"Title":"S3 general purpose buckets should block public access"}`, id)},
	}
	return h, r
}

// findings is a changeset that makes the findings from..to-1 known.
func findings(position, from, to uint64) *triage.Changeset {
	cs := &triage.Changeset{Meta: triage.Meta{Findings: position, NextSeq: to, NextCase: 1}}
	for seq := from; seq < to; seq++ {
		h, r := finding(seq)
		cs.Hot = append(cs.Hot, h)
		cs.Records = append(cs.Records, r)
	}
	return cs
}

// repeats is a changeset in which every finding from..to-1 was seen again.
func repeats(position, next, from, to uint64, observed time.Time) *triage.Changeset {
	cs := &triage.Changeset{Meta: triage.Meta{Findings: position, NextSeq: next, NextCase: 1}}
	for seq := from; seq < to; seq++ {
		cs.Touches = append(cs.Touches, triage.Touch{Seq: seq, Key: keyOf(seq, 0), Observed: observed.UnixMilli()})
	}
	return cs
}

func TestOpenLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "state.db")
	openStore(t, path)
	_, err := Open(path, Options{Timeout: 10 * time.Millisecond})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("Open(held file) = %v; want ErrLocked", err)
	}
	_, err = Open(path, Options{ReadOnly: true, Timeout: 10 * time.Millisecond})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("Open(held file, read only) = %v; want ErrLocked", err)
	}
}

func TestOpenModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "state.db")
	openStore(t, path)
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %s = %v, %v; want %v", filepath.Base(name), info.Mode().Perm(), err, want)
		}
	}
}

func TestOpenNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openStore(t, path)
	err := s.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keySchema, []byte{0, 0, 0, schemaVersion + 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("Open(layout %d) = %v; want ErrNewer", schemaVersion+1, err)
	}
}

func TestOpenDamaged(t *testing.T) {
	for name, data := range map[string][]byte{"not a state file": make([]byte, 64<<10), "cut": []byte("x")} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err := Open(path, Options{}); err == nil {
				s.Close()
				t.Errorf("Open(%s) = no error; want one", name)
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if _, err := Open(path, Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open(missing file, read only) = %v; want fs.ErrNotExist", err)
	}
	s := openStore(t, path)
	commit(t, s, findings(1, 1, 10))
	commit(t, s, repeats(2, 10, 1, 5, start.Add(time.Hour)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // several at once
		r, err := Open(path, Options{ReadOnly: true})
		if err != nil {
			t.Fatalf("Open(read only) = %v; want no error", err)
		}
		defer r.Close()
		look(t, r, func(p *Snapshot) {
			h, ok := p.Hot(printOf(3))
			if want := start.Add(time.Hour).UnixMilli(); !ok || h.Seq != 3 || h.Reports[0].Observed != want {
				t.Errorf("Hot(finding 3) = %+v, %v; want it observed at %d", h, ok, want)
			}
		})
		if err := r.Commit(findings(3, 10, 11)); !errors.Is(err, ErrReadOnly) {
			t.Errorf("Commit(read only) = %v; want ErrReadOnly", err)
		}
		if got := r.Check(); len(got) > 0 {
			t.Errorf("Check() = %q; want no problems", got)
		}
	}
}

func TestCommitStale(t *testing.T) {
	s := newStore(t)
	commit(t, s, findings(5, 1, 3))
	if err := s.Commit(findings(4, 3, 4)); !errors.Is(err, ErrStale) {
		t.Errorf("Commit(position 4 after 5) = %v; want ErrStale", err)
	}
	look(t, s, func(p *Snapshot) {
		if got := p.Meta().Findings; got != 5 {
			t.Errorf("Meta().Findings = %d; want 5", got)
		}
	})
}

func TestCommitFull(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "state.db"), Options{MaxSize: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var next uint64 = 1
	for position := uint64(1); position < 1000; position++ {
		err = s.Commit(findings(position, next, next+1000))
		if err != nil {
			break
		}
		next += 1000
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("Commit(beyond 8 MB) = %v; want ErrFull", err)
	}
	look(t, s, func(p *Snapshot) {
		if _, ok := p.Hot(printOf(next)); ok {
			t.Errorf("Hot(finding %d) = found; want none: its commit failed", next)
		}
		if _, ok := p.Hot(printOf(next - 1)); !ok {
			t.Errorf("Hot(finding %d) = none; want it", next-1)
		}
	})
	if st, err := s.Stats(); err != nil || st.Findings != int(next-1) {
		t.Errorf("Stats().Findings = %d, %v; want %d", st.Findings, err, next-1)
	}
}

func TestSnapshotIsOneMoment(t *testing.T) {
	s := newStore(t)
	s.foldAfter, s.foldStep = 4, 2
	commit(t, s, findings(1, 1, 10))
	commit(t, s, repeats(2, 10, 1, 4, start.Add(time.Minute)))
	old, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	for i := range uint64(8) { // enough to fold and to delete rows
		commit(t, s, repeats(3+i, 11, 1, 10, start.Add(time.Hour+time.Duration(i)*time.Minute)))
	}
	purge := findings(20, 10, 11)
	purge.PurgedSeqs = []uint64{5}
	commit(t, s, purge)
	for seq, want := range map[uint64]time.Time{1: start.Add(time.Minute), 5: start} {
		h, ok := old.Hot(printOf(seq))
		if !ok || h.Reports[0].Observed != want.UnixMilli() {
			t.Errorf("Hot(finding %d) in the old snapshot = %+v, %v; want it observed at %d", seq, h, ok, want.UnixMilli())
		}
	}
	if _, ok := old.Hot(printOf(10)); ok {
		t.Error("Hot(finding 10) in the old snapshot = found; want none: it came later")
	}
	old.Close()
	look(t, s, func(p *Snapshot) {
		if _, ok := p.Hot(printOf(5)); ok {
			t.Error("Hot(finding 5) = found; want none: it was purged")
		}
		h, _ := p.Hot(printOf(1))
		if want := start.Add(time.Hour + 7*time.Minute).UnixMilli(); h.Reports[0].Observed != want {
			t.Errorf("Hot(finding 1) observed at %d; want %d", h.Reports[0].Observed, want)
		}
	})
	if got := s.prints.find(nil, printOf(5)); len(got) > 0 {
		t.Errorf("index of a purged finding = %v; want none once no snapshot is open", got)
	}
}

// TestWords: Words is Record without the source records.
func TestWords(t *testing.T) {
	s := newStore(t)
	commit(t, s, findings(1, 1, 3))
	look(t, s, func(p *Snapshot) {
		want, err := p.Record(2)
		if err != nil || want == nil || len(want.Raw) == 0 {
			t.Fatalf("Record(2) = %+v, %v; want a record with its source records", want, err)
		}
		want.Raw = nil
		if got, err := p.Words(2); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Words(2) = %+v, %v; want %+v", got, err, want)
		}
		if got, err := p.Words(3); err != nil || got != nil {
			t.Errorf("Words(3) = %+v, %v; want none", got, err)
		}
	})
}

func TestFolding(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openStore(t, path)
	s.foldAfter, s.foldStep = 100, 16
	commit(t, s, findings(1, 1, 51))
	rows := func() (n int) {
		err := s.db.View(func(tx *bolt.Tx) error {
			return tx.Bucket(bucketTouches).ForEach(func(_, _ []byte) error { n++; return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	most := 0
	for i := range uint64(60) {
		commit(t, s, repeats(2+i, 51, 1, 51, start.Add(time.Duration(i)*time.Minute)))
		most = max(most, rows())
	}
	if most > 20 {
		t.Errorf("rows of last-seen times = %d; want a bounded number", most)
	}
	want := start.Add(59 * time.Minute).UnixMilli()
	for _, when := range []string{"before", "after"} {
		look(t, s, func(p *Snapshot) {
			for seq := uint64(1); seq < 51; seq++ {
				if h, ok := p.HotBySeq(seq); !ok || h.Reports[0].Observed != want {
					t.Errorf("HotBySeq(%d) %s reopening = %+v, %v; want it observed at %d", seq, when, h, ok, want)
				}
			}
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, path)
	}
}
