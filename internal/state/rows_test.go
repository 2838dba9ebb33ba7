package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

func TestWatermark(t *testing.T) {
	s := newStore(t)
	if got, err := s.Watermark("securityhub"); err != nil || !cmp.Equal(got, SourceState{Name: "securityhub"}) {
		t.Errorf("Watermark(never ran) = %+v, %v; want only the name", got, err)
	}
	want := SourceState{Name: "securityhub", Watermark: "2026-03-01T12:00:00Z", LastRun: start, LastSuccess: start, Records: 3, Rejected: 1,
		Accounts: 2, Regions: 3, Gaps: []pipeline.Gap{{Account: "222233334444", Region: "eu-west-1", Reason: "denied"}}}
	if err := s.SetWatermark(want); err != nil {
		t.Fatal(err)
	}
	if err := s.SetWatermark(SourceState{Name: "files", LastError: "no such folder"}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Watermark("securityhub"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("Watermark() = %+v, %v; want %+v", got, err, want)
	}
	all, err := s.Watermarks()
	if err != nil || len(all) != 2 || all[0].Name != "files" || !cmp.Equal(all[1], want) {
		t.Errorf("Watermarks() = %+v, %v; want files and securityhub", all, err)
	}
}

// TestReplay commits a changeset with everything that is appended several times: it is the same as once.
func TestReplay(t *testing.T) {
	s := newStore(t)
	m := triage.Meta{Findings: 4, Inputs: 2, NextSeq: 6, NextCase: 1}
	batch := findings(4, 1, 6)
	batch.Meta = m
	batch.Outbox = []pipeline.Action{{Case: "DK-12", Sink: "file", N: 2}, {Case: "DK-3", Sink: "jira", N: 1}, {Case: "DK-3", Sink: "jira", N: 1, K: 1}}
	batch.Audit = []triage.Audit{
		{Time: start, Case: 3, Finding: 1, Kind: "joined", Text: "one"}, {Time: start, Case: 3, Finding: 2, Kind: "joined", Text: "two"},
		{Time: start, Finding: 2, Kind: "suppressed"}, {Time: start, Kind: "applied"},
	}
	batch.Rejects = []pipeline.Reject{{Origin: "a.json", Index: 1, Reason: "not JSON", Time: start}, {Origin: "a.json", Index: 2, Reason: "not JSON", Time: start}}
	batch.Interactions = []string{"a", "b"}
	tick := &triage.Changeset{Meta: m, Audit: []triage.Audit{{Time: start.Add(time.Minute), Case: 3, Kind: "reminded"}}}
	for _, cs := range []*triage.Changeset{batch, batch, tick, tick, batch} {
		commit(t, s, cs)
	}
	rows, err := s.Outbox(10)
	var actions []string
	for _, r := range rows {
		actions = append(actions, fmt.Sprintf("%s %s %d.%d", r.Case, r.Sink, r.N, r.K))
	}
	if want := []string{"DK-3 jira 1.0", "DK-3 jira 1.1", "DK-12 file 2.0"}; err != nil || !slices.Equal(actions, want) {
		t.Errorf("Outbox() = %q, %v; want %q", actions, err, want)
	}
	look(t, s, func(p *Snapshot) {
		story, err := p.Audit(3)
		if want := []triage.Audit{batch.Audit[0], batch.Audit[1], tick.Audit[0]}; err != nil || !cmp.Equal(story, want) {
			t.Errorf("Audit(3) = %+v, %v; want %+v", story, err, want)
		}
		if story, err := p.AuditFinding(2); err != nil || len(story) != 2 || !cmp.Equal(story[0], batch.Audit[1]) || !cmp.Equal(story[1], batch.Audit[2]) {
			t.Errorf("AuditFinding(2) = %+v, %v; want %+v", story, err, batch.Audit[1:3])
		}
		if story, err := p.Audit(0); err != nil || len(story) != 1 {
			t.Errorf("Audit(0) = %+v, %v; want one line", story, err)
		}
		if !p.Done("a") || !p.Done("b") || p.Done("c") {
			t.Errorf("Done(a, b, c) = %v, %v, %v; want true, true, false", p.Done("a"), p.Done("b"), p.Done("c"))
		}
	})
	if got, err := s.Rejects(10, nil); err != nil || len(got) != 2 || got[0].Index != 2 {
		t.Errorf("Rejects() = %+v, %v; want two, the newest first", got, err)
	}
	want := Stats{Findings: 5, Outbox: 3, Rejects: 2}
	got, err := s.Stats()
	if got.Bytes == 0 || err != nil {
		t.Errorf("Stats() = %+v, %v; want a size", got, err)
	}
	if got.Bytes = 0; got != want {
		t.Errorf("Stats() = %+v; want %+v", got, want)
	}
}

// A sink whose name does not fit into the key is read from the action.
func TestOutboxLongSink(t *testing.T) {
	s := newStore(t)
	long := strings.Repeat("x", maxName+1)
	commit(t, s, &triage.Changeset{Meta: triage.Meta{Findings: 1}, Outbox: []pipeline.Action{{Case: "DK-7", Sink: long, N: 3, K: 1}}})
	rows, err := s.Outbox(10)
	if err != nil || len(rows) != 1 || rows[0].Case != "DK-7" || rows[0].Sink != long || rows[0].N != 3 || rows[0].K != 1 {
		t.Errorf("Outbox() = %+v, %v; want action 3.1 of DK-7", rows, err)
	}
}

func TestPublishedRowsLeaveTheOutbox(t *testing.T) {
	s := newStore(t)
	cs := &triage.Changeset{Meta: triage.Meta{Findings: 1}}
	for n := range uint64(5) {
		cs.Outbox = append(cs.Outbox, pipeline.Action{Case: triage.CaseID(n + 1), Sink: "file", N: 1, Ticket: pipeline.Ticket{Title: "one"}})
	}
	commit(t, s, cs)
	rows, err := s.Outbox(2)
	if err != nil || len(rows) != 2 {
		t.Fatalf("Outbox(2) = %+v, %v; want two actions", rows, err)
	}
	if a, err := DecodeAction(rows[0].Data); err != nil || !cmp.Equal(a, cs.Outbox[0]) {
		t.Errorf("Outbox(2)[0].Data = %s, %v; want %+v", rows[0].Data, err, cs.Outbox[0])
	}
	left := func(when, first string, want, stored int) {
		t.Helper()
		if rows, err := s.Outbox(10); err != nil || len(rows) != want || rows[0].Case != first {
			t.Errorf("Outbox() %s = %+v, %v; want %d from %s", when, rows, err, want, first)
		}
		if st, err := s.Stats(); err != nil || st.Outbox != want {
			t.Errorf("Stats().Outbox %s = %d, %v; want %d", when, st.Outbox, err, want)
		}
		err := s.view(func(tx *bolt.Tx) error {
			if got := tx.Bucket(bucketOutbox).Stats().KeyN; got != stored {
				t.Errorf("rows in the file %s = %d; want %d", when, got, stored)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	s.Published([][]byte{rows[0].Key})
	left("noted", "DK-2", 4, 5)
	for range 2 { // the second time there is nothing to remove
		if err := s.RemovePublished(); err != nil {
			t.Fatal(err)
		}
		left("removed", "DK-2", 4, 4)
	}
	s.Published([][]byte{rows[1].Key})
	commit(t, s, &triage.Changeset{Meta: triage.Meta{Findings: 2}})
	left("with the next commit", "DK-3", 3, 3)
}

func TestCommitRefuses(t *testing.T) {
	s := newStore(t)
	for name, cs := range map[string]*triage.Changeset{
		"action without case":            {Outbox: []pipeline.Action{{Case: "12 monkeys", Sink: "file", N: 1}}},
		"finding without arrival number": {Hot: []triage.Hot{{}}},
		"case without number":            {Cases: []*triage.Case{{}}},
		"negative count":                 {Seen: []triage.Seen{{Count: -1}}},
	} {
		cs.Meta = triage.Meta{Findings: 9, NextSeq: 1, NextCase: 1}
		if err := s.Commit(cs); err == nil {
			t.Errorf("Commit(%s) = no error; want one", name)
		}
	}
	look(t, s, func(p *Snapshot) {
		if got := p.Meta(); got.Findings != 0 {
			t.Errorf("Meta().Findings = %d; want 0: nothing was committed", got.Findings)
		}
	})
}

func TestBounds(t *testing.T) {
	s := newStore(t)
	s.db.NoSync = true // nothing is killed here
	for i := range 11 {
		cs := &triage.Changeset{Meta: triage.Meta{Findings: uint64(i + 1)}}
		for j := range 10_000 {
			cs.Interactions = append(cs.Interactions, fmt.Sprintf("%d.%d", i, j))
			if j < 1000 {
				cs.Rejects = append(cs.Rejects, pipeline.Reject{Origin: "a.json", Index: i*1000 + j, Time: start})
			}
		}
		commit(t, s, cs)
	}
	look(t, s, func(p *Snapshot) {
		for id, want := range map[string]bool{"0.0": false, "0.9999": false, "1.0": true, "10.9999": true} {
			if got := p.Done(id); got != want {
				t.Errorf("Done(%s) = %v; want %v", id, got, want)
			}
		}
	})
	got, err := s.Rejects(20_000, nil)
	if err != nil || len(got) != keepRejects || got[0].Index != 10_999 || got[len(got)-1].Index != 1000 {
		t.Errorf("Rejects() = %d, %v; want the newest %d", len(got), err, keepRejects)
	}
	odd := func(r *pipeline.Reject) bool { return r.Index%2 == 1 }
	if got, err := s.Rejects(2, odd); err != nil || len(got) != 2 || got[1].Index != 10_997 {
		t.Errorf("Rejects(2, odd) = %+v, %v; want 10999 and 10997", got, err)
	}
}

// TestRejectsOnce: what is read again takes the place of what was kept; any difference makes it another reject.
func TestRejectsOnce(t *testing.T) {
	s := newStore(t)
	one := pipeline.Reject{Source: "reports", Origin: "a.json", Index: 1, Line: 2, ID: "x", Reason: "not JSON", Data: []byte("{"), Time: start}
	position := uint64(0)
	keep := func(list ...pipeline.Reject) {
		t.Helper()
		position++
		commit(t, s, &triage.Changeset{Meta: triage.Meta{Findings: position, NextSeq: 1, NextCase: 1}, Rejects: list})
	}
	again := one
	again.Time = start.Add(time.Hour)
	keep(one)
	keep(again, again)
	for _, x := range []struct {
		name   string
		change func(r *pipeline.Reject)
	}{
		{"source", func(r *pipeline.Reject) { r.Source = "others" }},
		{"origin", func(r *pipeline.Reject) { r.Origin = "b.json" }},
		{"index", func(r *pipeline.Reject) { r.Index = 2 }},
		{"line", func(r *pipeline.Reject) { r.Line = 1 }},
		{"id", func(r *pipeline.Reject) { r.ID = "y" }},
		{"reason", func(r *pipeline.Reject) { r.Reason = "no title" }},
		{"data", func(r *pipeline.Reject) { r.Data = []byte("[") }},
		{"two texts with another border", func(r *pipeline.Reject) { r.Source, r.Origin = "reportsa", ".json" }},
	} {
		before, err := s.Rejects(100, nil)
		if err != nil {
			t.Fatal(err)
		}
		other := one
		x.change(&other)
		keep(other)
		keep(other)
		if got, err := s.Rejects(100, nil); err != nil || len(got) != len(before)+1 || !cmp.Equal(got[0], other) {
			t.Errorf("Rejects(another %s) = %d, %v, the newest %+v; want %d, %+v", x.name, len(got), err, got[0], len(before)+1, other)
		}
	}
	got, err := s.Rejects(100, nil)
	if err != nil || !cmp.Equal(got[len(got)-1], again) {
		t.Errorf("the oldest reject is %+v, %v; want the later reading, %+v", got[len(got)-1], err, again)
	}
	if st, err := s.Stats(); err != nil || st.Rejects != len(got) {
		t.Errorf("Stats().Rejects = %d, %v; want %d", st.Rejects, err, len(got))
	}
	sound(t, s)
}

func TestPurgeAudit(t *testing.T) {
	s := newStore(t)
	cs := &triage.Changeset{Meta: triage.Meta{Findings: 1}}
	for i := range 10 {
		cs.Audit = append(cs.Audit, triage.Audit{Time: start.Add(time.Duration(i) * time.Hour), Case: 1, Finding: 1, Kind: "seen"})
	}
	commit(t, s, cs)
	total := 0
	for range 7 { // 20 rows, three at a time
		n, err := s.PurgeAudit(start.Add(4*time.Hour), 3)
		if err != nil {
			t.Fatal(err)
		}
		if total += n; n > 3 {
			t.Errorf("PurgeAudit(3 rows) removed %d; want no more than it looks at", n)
		}
	}
	if total != 8 {
		t.Errorf("PurgeAudit() removed %d rows; want 8: four lines, each under its case and its finding", total)
	}
	if n, err := s.PurgeAudit(start.Add(4*time.Hour), 0); n != 0 || err != nil {
		t.Errorf("PurgeAudit(all) after that = %d, %v; want none left", n, err)
	}
	if n, err := s.PurgeAudit(start.Add(4*time.Hour), 5); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := s.PurgeAudit(start.Add(5*time.Hour), 0); n != 2 || err != nil {
		t.Errorf("PurgeAudit(all) = %d, %v; want one line under its case and its finding, wherever the call before ended", n, err)
	}
	look(t, s, func(p *Snapshot) {
		for what, read := range map[string]func(uint64) ([]triage.Audit, error){"Audit": p.Audit, "AuditFinding": p.AuditFinding} {
			if got, err := read(1); err != nil || len(got) != 5 || !got[0].Time.Equal(start.Add(5*time.Hour)) {
				t.Errorf("%s(1) = %d lines, %v; want the newest 5", what, len(got), err)
			}
		}
	})
}

func TestLists(t *testing.T) {
	s := newStore(t)
	cs := findings(1, 1, 8)
	cs.Hot[3].Reports = append(cs.Hot[3].Reports, triage.HotReport{Key: keyOf(4, 1), IDHash: 7})
	cs.Meta.NextCase = 3
	cs.Cases = []*triage.Case{{Number: 1, Key: "a"}, {Number: 2, Key: "b"}}
	cs.Scopes = []triage.Scope{{Name: "b"}, {Name: "a", Count: 2}}
	commit(t, s, cs)
	commit(t, s, repeats(2, 8, 5, 6, start.Add(time.Hour)))
	look(t, s, func(p *Snapshot) {
		if got, err := p.FindByID(7); err != nil || !slices.Equal(got, []uint64{1, 4}) {
			t.Errorf("FindByID(7) = %v, %v; want 1 and 4", got, err)
		}
		var hot, records, cases []uint64
		err := errors.Join(
			p.EachHot(5, func(h triage.Hot) bool {
				if want := start.Add(time.Hour).UnixMilli(); h.Seq == 5 && h.Reports[0].Observed != want {
					t.Errorf("EachHot: finding 5 observed at %d; want %d", h.Reports[0].Observed, want)
				}
				hot = append(hot, h.Seq)
				return len(hot) < 2
			}),
			p.EachRecord(0, func(r *triage.Record) bool { records = append(records, r.Seq); return true }),
			p.EachCase(2, func(c *triage.Case) bool { cases = append(cases, c.Number); return true }),
		)
		if want := [][]uint64{{5, 6}, {1, 2, 3, 4, 5, 6, 7}, {2}}; err != nil || !cmp.Equal([][]uint64{hot, records, cases}, want) {
			t.Errorf("EachHot(5), EachRecord(0), EachCase(2) = %v, %v, %v, %v; want %v", hot, records, cases, err, want)
		}
		if got, err := p.Scopes(); err != nil || len(got) != 2 {
			t.Errorf("Scopes() = %+v, %v; want two", got, err)
		}
	})
}

func TestInstallation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	id, err := Installation(dir, "")
	if err != nil || len(id) != 16 {
		t.Fatalf("Installation(new) = %q, %v; want 16 hex digits", id, err)
	}
	if other, err := Installation(t.TempDir(), ""); err != nil || other == id {
		t.Errorf("Installation(another folder) = %q, %v; want another id", other, err)
	}
	for _, configured := range []string{"", id} {
		if got, err := Installation(dir, configured); err != nil || got != id {
			t.Errorf("Installation(configured %q) = %q, %v; want %q", configured, got, err, id)
		}
	}
	if _, err := Installation(dir, "ours"); !errors.Is(err, ErrInstallation) {
		t.Errorf("Installation(another id) = %v; want ErrInstallation", err)
	}
	if got, err := Installation(t.TempDir(), "ours"); err != nil || got != "ours" {
		t.Errorf("Installation(new, configured) = %q, %v; want ours", got, err)
	}
	path := filepath.Join(dir, installationFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v; want 0600", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("files = %q, %v; want only %s", left, err, installationFile)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Installation(dir, ""); !errors.Is(err, ErrDamaged) {
		t.Errorf("Installation(empty file) = %v; want ErrDamaged", err)
	}
}
