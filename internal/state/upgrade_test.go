package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// oldLayout makes a state file of layout 1: no bucket busy, and rows of caseindex with three
// keys. Case 1 is under way, case 2 waits under a limit, case 3 is closed and at rest.
func oldLayout(t *testing.T, also func(tx *bolt.Tx) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openStore(t, path)
	commit(t, s, &triage.Changeset{
		Meta: triage.Meta{Findings: 1, NextSeq: 1, NextCase: 4},
		Cases: []*triage.Case{
			{Number: 1, Key: "a", Team: "payments", Open: true, Opened: start, Entries: map[string]*triage.Entry{"jira": {WantOpen: true, Wanted: 1, N: 1, St: triage.Inflight}}},
			{Number: 2, Key: "b", Team: "payments", Open: true, Opened: start, Held: "limit", WaitTill: start},
			{Number: 3, Key: "c", Team: "payments", Opened: start},
		},
		Newest: map[string]uint64{"a": 1, "b": 2, "c": 3},
	})
	err := s.db.Update(func(tx *bolt.Tx) error {
		index := tx.Bucket(bucketCaseIndex)
		rows := map[string][]byte{}
		err := index.ForEach(func(n, v []byte) error {
			keys, err := decodeCaseKeys(v)
			old := []byte{valueVersion}
			for _, key := range [...][]byte{keys.due, keys.ready, keys.held} {
				old = append(binary.AppendUvarint(old, uint64(len(key))), key...)
			}
			rows[string(n)] = old
			return err
		})
		for n, v := range rows {
			err = errors.Join(err, index.Put([]byte(n), v))
		}
		return errors.Join(err, tx.DeleteBucket(bucketBusy), tx.Bucket(bucketMeta).Put(keySchema, []byte{0, 0, 0, 1}), also(tx))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenOlderLayout(t *testing.T) {
	path := oldLayout(t, func(*bolt.Tx) error { return nil })
	if _, err := Open(path, Options{ReadOnly: true}); !errors.Is(err, ErrOlder) || !strings.Contains(err.Error(), "layout 1, this docket reads 4; start `docket run`") {
		t.Fatalf("Open(layout 1, read only) = %v; want ErrOlder that names the command", err)
	}
	s := openStore(t, path)
	if got := s.Check(); len(got) > 0 {
		t.Errorf("Check(upgraded) = %q; want no problems", got)
	}
	err := s.db.View(func(tx *bolt.Tx) error {
		if n := tx.Bucket(bucketBusy).Stats().KeyN; n != 1 || tx.Bucket(bucketBusy).Get(key64(1)) == nil {
			t.Errorf("busy holds %d cases; want DK-1 alone", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// What the case says next takes the old key away.
	commit(t, s, &triage.Changeset{Meta: triage.Meta{Findings: 2, NextSeq: 1, NextCase: 4}, Cases: []*triage.Case{{Number: 1, Key: "a", Team: "payments"}}})
	if got := s.Check(); len(got) > 0 {
		t.Errorf("Check(upgraded, then changed) = %q; want no problems", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("Open(upgraded, read only) = %v; want no error", err)
	}
	r.Close()
}

// TestOpenOlderDamaged opens what cannot be brought up to date: the error says so, and the file stays as it was.
func TestOpenOlderDamaged(t *testing.T) {
	for name, tc := range map[string]struct {
		breaks func(tx *bolt.Tx) error
		want   string
	}{
		"index missing":  {func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketDue) }, "bucket due"},
		"bucket missing": {func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketTeams) }, "bucket teams is missing"},
		"case damaged":   {func(tx *bolt.Tx) error { return tx.Bucket(bucketCases).Put(key64(2), []byte{valueVersion, plain, '{'}) }, "DK-2"},
	} {
		t.Run(name, func(t *testing.T) {
			path := oldLayout(t, tc.breaks)
			for range 2 {
				s, err := Open(path, Options{})
				if err == nil {
					s.Close()
				}
				if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "bringing layout 1 up to 4") || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("Open(layout 1, %s) = %v; want ErrDamaged about %s", name, err, tc.want)
				}
			}
		})
	}
}

// TestOpenLayout2 opens a file whose values are JSON: they are read as they are, and written compactly as they change.
func TestOpenLayout2(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openStore(t, path)
	c := &triage.Case{Number: 1, Key: "a", Team: "payments", Open: true, Priority: pipeline.P2}
	commit(t, s, &triage.Changeset{Meta: triage.Meta{Findings: 1, NextSeq: 1, NextCase: 2}, Cases: []*triage.Case{c}})
	err := s.db.Update(func(tx *bolt.Tx) error {
		var p packer
		text, err := json.Marshal(c)
		return errors.Join(err, tx.Bucket(bucketCases).Put(key64(1), p.pack(text)),
			tx.Bucket(bucketMeta).Put(keyHead, p.pack([]byte(`{"findings":1,"inputs":0,"next_seq":1,"next_case":2}`))),
			tx.Bucket(bucketMeta).Put(keySchema, []byte{0, 0, 0, 2}))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path)
	snap, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	got, err := snap.Case(1)
	if err != nil || got.Team != "payments" || got.Priority != pipeline.P2 || snap.Meta().NextCase != 2 {
		t.Errorf("Case(1) of layout 2 = %+v, %v, head %+v; want what was written", got, err, snap.Meta())
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	commit(t, s, &triage.Changeset{Meta: triage.Meta{Findings: 2, NextSeq: 1, NextCase: 2}, Cases: []*triage.Case{got}})
	err = s.db.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket(bucketCases).Get(key64(1)); len(v) < 2 || v[1] != compact {
			t.Errorf("a case of layout 2 that changed is %.20q; want its compact form", v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Check(); len(got) > 0 {
		t.Errorf("Check(layout 2) = %q; want no problems", got)
	}
}
