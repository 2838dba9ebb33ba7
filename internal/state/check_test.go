package state

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// TestCheck breaks one thing at a time in a sound state: Check names it.
func TestCheck(t *testing.T) {
	open := &triage.Case{
		Number: 1, Key: "group 1", Team: "payments", Open: true, Opened: start, Held: "limit", WaitTill: start, Count: [6]int{2: 10},
		Entries: map[string]*triage.Entry{"file": {WantOpen: true, Wanted: 1, N: 1, St: triage.Inflight}, "jira": {WantOpen: true, Wanted: 1, N: 1}},
	}
	with := func(change func(c *triage.Case)) func(w *writer) error {
		return func(w *writer) error {
			c := *open
			change(&c)
			return w.putJSON(bucketCases, key64(1), &c)
		}
	}
	remove := func(bucket, key []byte) func(w *writer) error {
		return func(w *writer) error { return w.bucket(bucket).Delete(key) }
	}
	put := func(bucket, key, value []byte) func(w *writer) error {
		return func(w *writer) error { return w.put(bucket, key, value) }
	}
	hot := func(change func(h *triage.Hot)) func(w *writer) error {
		return func(w *writer) error {
			h, _ := finding(3)
			h.Case, h.Member = 1, triage.Open
			change(&h)
			return w.put(bucketHot, key64(h.Seq), appendHot(nil, &h, 0))
		}
	}
	for name, tc := range map[string]struct {
		breaks func(w *writer) error
		want   string // part of a line; "" for none
	}{
		"sound":                        {func(*writer) error { return nil }, ""},
		"counts":                       {with(func(c *triage.Case) { c.Count[2] = 9 }), "DK-1: it counts [0 0 9 0 0 0] open and 0 suppressed findings, its members are [0 0 10 0 0 0] and 0"},
		"case not given out":           {put(bucketMeta, keyHead, []byte("\x01\x00{\"next_case\":1,\"next_seq\":99}")), "DK-1: its number is not given out yet"},
		"finding not given out":        {put(bucketMeta, keyHead, []byte("\x01\x00{\"next_case\":9,\"next_seq\":9}")), "finding 9: its arrival number is not given out yet"},
		"due missing":                  {remove(bucketDue, dueKey(start, 1)), `DK-1: the index "due" does not say`},
		"held missing":                 {remove(bucketHeld, heldKey("payments", 0, start, 1)), `DK-1: the index "held" does not say`},
		"ready missing":                {remove(bucketReady, key64(1)), `DK-1: the index "ready" does not say`},
		"ready too many":               {put(bucketReady, key64(9), []byte{1}), `DK-9 stands in the index "ready"`},
		"index keys without case":      {put(bucketCaseIndex, key64(9), (&caseKeys{}).encode(nil)), "DK-9 has index keys but does not exist"},
		"members without case":         {put(bucketMembers, key64s(9, 1), appendMember(nil, &triage.Member{})), "DK-9 has members but does not exist"},
		"group without case":           {put(bucketGroups, nameKey("group 2"), versioned(key64(9))), "a group's newest case DK-9 does not exist"},
		"group of another case":        {put(bucketGroups, nameKey("group 2"), versioned(key64(1))), "DK-1 is the newest case of a group that is not its own"},
		"member missing":               {remove(bucketMembers, key64s(1, 3)), "finding 3 is open, but DK-1 does not count it"},
		"no record":                    {remove(bucketRecords, key64(3)), "finding 3 has no record"},
		"record unknown":               {remove(bucketHot, key64(3)), `finding 3 stands in "records" but is not known`},
		"record and hot differ":        {hot(func(h *triage.Hot) { h.Case = 2 }), "finding 3: its record and its hot record differ"},
		"two of one fingerprint":       {hot(func(h *triage.Hot) { h.Print = printOf(4) }), "finding 3: its fingerprint"},
		"hot record damaged":           {put(bucketHot, key64(3), []byte{valueVersion, 1}), "damaged value"},
		"times of nobody":              {put(bucketTouches, key64(9), appendTouches(nil, []triage.Touch{{Seq: 500}})), "finding 500 was never given out"},
		"action of no case":            {outboxOf("DK-7", "file", 1), "action 1.0 of DK-7, which does not exist"},
		"action that was not issued":   {outboxOf("DK-1", "file", 2), "action 2.0 of DK-1 in file, which the case did not issue"},
		"action of a sink without it":  {outboxOf("DK-1", "mail", 1), "action 1.0 of DK-1 in mail, which the case did not issue"},
		"action that has ended is all": {with(func(c *triage.Case) { c.Entries["file"].K = 4 }), ""},
		"counted rows":                 {func(w *writer) error { return w.bucket(bucketOutbox).SetSequence(7) }, `"outbox" holds 1 rows, but 7 are counted`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			s := openStore(t, path)
			cs := crashChangeset(triage.Meta{NextSeq: 1, NextCase: 1})
			cs.Cases[0], cs.Newest = open, map[string]uint64{open.Key: 1}
			commit(t, s, cs)
			err := s.db.Update(func(tx *bolt.Tx) error {
				return tc.breaks(&writer{s: s, tx: tx, buckets: map[string]*bolt.Bucket{}})
			})
			if err != nil {
				t.Fatal(err)
			}
			got := s.Check()
			if tc.want == "" && len(got) > 0 || !strings.Contains(strings.Join(got, "\n"), tc.want) {
				t.Errorf("Check() = %q; want a line with %q", got, tc.want)
			}
		})
	}
}

func outboxOf(id, sink string, n uint64) func(w *writer) error {
	return func(w *writer) error {
		w.cs = &triage.Changeset{Outbox: []pipeline.Action{{Case: id, Sink: sink, N: n}}}
		return w.applyOutbox()
	}
}

func TestCheckIsBounded(t *testing.T) {
	s := newStore(t)
	cs := findings(1, 1, 500)
	cs.Records = nil
	commit(t, s, cs)
	got := s.Check()
	if len(got) != maxProblems+1 || got[maxProblems] != "and 299 problems more" {
		t.Errorf("Check() = %d lines, last %q; want %d and a number", len(got), got[len(got)-1], maxProblems)
	}
}

// TestCutFile opens what is left of a file after a copy that was cut off: Open or Check says so, and nothing panics.
func TestCutFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "whole.db")
	s := openStore(t, path)
	m := triage.Meta{NextSeq: 1, NextCase: 1}
	for range 20 {
		commit(t, s, crashChangeset(m))
		look(t, s, func(p *Snapshot) { m = p.Meta() })
	}
	var size int64
	look(t, s, func(p *Snapshot) { size = p.tx.Size() })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []int64{1000, 3 * 4096, size / 8, size / 4, size / 2, size * 3 / 4} {
		t.Run(strconv.FormatInt(left, 10), func(t *testing.T) {
			path := filepath.Join(dir, strconv.FormatInt(left, 10))
			if err := os.WriteFile(path, whole[:left], 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(path, Options{})
			if err != nil {
				return
			}
			if got := s.Check(); len(got) == 0 {
				t.Errorf("Check(%d of %d bytes) = no problems; want some", left, size)
			}
			_ = s.db.Close() // without a last transaction over what is missing
		})
	}
}
