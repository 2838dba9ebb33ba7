package state

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// The files testdata/layout-N.db.gz were written by docket as it was when layout N was the newest: three findings in
// two cases, one of them resolved and one suppressed, an ack, a closed ticket, two rejects.

// golden unpacks the state file of a layout.
func golden(t *testing.T, layout int) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", fmt.Sprintf("layout-%d.db.gz", layout)))
	if err != nil {
		t.Fatalf("layout %d has no golden file: keep a state.db that its docket wrote, packed with gzip: %v", layout, err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "state.db")
	err = WriteFile(path, false, func(out *os.File) error { _, err := io.Copy(out, z); return err })
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGoldenLayouts opens the state of every older layout: it is brought up to date, is whole and says the same.
func TestGoldenLayouts(t *testing.T) {
	for layout := schemaFirst; layout < schemaVersion; layout++ {
		t.Run(fmt.Sprint(layout), func(t *testing.T) {
			path := golden(t, layout)
			if _, err := Open(path, Options{ReadOnly: true}); !errors.Is(err, ErrOlder) {
				t.Errorf("Open(read only) = %v; want ErrOlder", err)
			}
			checkOpenCopy(t, path)
			for range 2 { // brought up to date, and as it was left
				s := openStore(t, path)
				sound(t, s)
				checkGolden(t, s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s := openStore(t, path)
			var m triage.Meta
			look(t, s, func(p *Snapshot) { m = p.Meta() })
			more := findings(m.Findings+1, m.NextSeq, m.NextSeq+3)
			more.Meta.Inputs, more.Meta.NextCase = m.Inputs, m.NextCase
			commit(t, s, more)
			sound(t, s)
		})
	}
	// The present one too, so that it is known to be read when it is an older one.
	if _, err := os.Stat(filepath.Join("testdata", fmt.Sprintf("layout-%d.db.gz", schemaVersion))); err == nil {
		s := openStore(t, golden(t, schemaVersion))
		sound(t, s)
		checkGolden(t, s)
	}
}

// checkOpenCopy: the copy is up to date, the file itself stays as it was, and nothing else is left.
func checkOpenCopy(t *testing.T, path string) {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenCopy(t.Context(), path)
	if err != nil {
		t.Fatalf("OpenCopy() = %v; want no error", err)
	}
	if left, _ := os.ReadDir(temp); runtime.GOOS == "linux" && len(left) > 0 {
		t.Errorf("OpenCopy() has %v while it is open; want no name", left)
	}
	sound(t, s)
	checkGolden(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("OpenCopy() changed the file, %v", err)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("OpenCopy() left %v", left)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := OpenCopy(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("OpenCopy(of a context that ended) = %v, %v; want %v", s, err, context.Canceled)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("OpenCopy(of a context that ended) left %v", left)
	}
	t.Setenv("TMPDIR", filepath.Join(temp, "missing"))
	if s, err := OpenCopy(t.Context(), path); err == nil {
		s.Close()
		t.Error("OpenCopy(without a folder for temporary files) = nil; want an error")
	}
}

func checkGolden(t *testing.T, s *Store) {
	t.Helper()
	if st, err := s.Stats(); err != nil || st.Findings != 3 || st.Cases != 2 || st.Rejects != 2 || st.Outbox != 0 {
		t.Errorf("Stats() = %+v, %v; want 3 findings, 2 cases, 2 rejects, nothing on its way", st, err)
	}
	look(t, s, func(p *Snapshot) {
		var said []string
		err := p.EachCase(1, func(c *triage.Case) bool {
			ack := ""
			if c.Ack != nil {
				ack = c.Ack.By
			}
			e := c.Entries["disk"]
			said = append(said, fmt.Sprintf("%s %s open=%v %s ticket=%v %d/%d", c.ID(), c.Team, c.Open, ack, e.IsOpen, e.Delivered, e.Wanted))
			return true
		})
		want := "DK-1 security open=true ada@example.com ticket=true"
		if err != nil || len(said) != 2 || !strings.HasPrefix(said[0], want) || !strings.HasPrefix(said[1], "DK-2 payments open=false  ticket=false") {
			t.Errorf("the cases say %q, %v; want DK-1 open with its ack, DK-2 closed with its ticket", said, err)
		}
		held := 0
		err = p.EachRecord(1, func(r *triage.Record) bool {
			h, ok := p.Hot(r.Print)
			if !ok || h.Seq != r.Seq || len(r.Reports) != 1 || r.Reports[0].Product != "Prowler" || r.Reports[0].Severity < pipeline.Medium {
				t.Errorf("finding %d reads as %+v", r.Seq, r)
			}
			if r.SuppressedBy == "versions" {
				held++
			}
			return true
		})
		if err != nil || held != 1 || len(p.Suppressions()) != 1 {
			t.Errorf("%d findings are suppressed, %v; want 1", held, err)
		}
		story, err := p.Audit(1)
		if err != nil || len(story) < 3 {
			t.Errorf("the story of DK-1 = %v, %v; want at least its opening, ack and exception", story, err)
		}
	})
	if w, err := s.Watermark("reports"); err != nil || w.Watermark == "" || w.LastSuccess.IsZero() {
		t.Errorf("Watermark(reports) = %+v, %v; want how far it came", w, err)
	}
}

// TestNewerLayout: an older docket refuses the state of a newer one in clear words, and leaves it as it is.
func TestNewerLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openStore(t, path)
	commit(t, s, someState())
	err := s.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keySchema, []byte{0, 0, 0, schemaVersion + 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := backupOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	words := fmt.Sprintf("layout %d, this docket knows %d", schemaVersion+1, schemaVersion)
	for _, o := range []Options{{}, {ReadOnly: true}} {
		if _, err := Open(path, o); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(newer, %+v) = %v; want ErrNewer with the file and %q", o, err, words)
		}
	}
	if _, _, err := Compact(path); !errors.Is(err, ErrNewer) {
		t.Errorf("Compact(newer) = %v; want ErrNewer", err)
	}
	other := filepath.Join(t.TempDir(), "state.db")
	if _, err := Restore(other, strings.NewReader(string(b))); !errors.Is(err, ErrNewer) {
		t.Errorf("Restore(backup of a newer) = %v; want ErrNewer", err)
	}
}
