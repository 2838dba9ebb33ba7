package state

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// world draws changesets the way triage makes them, and remembers what it drew.
type world struct {
	meta     triage.Meta
	now      time.Time
	findings []uint64
	purged   map[uint64]bool
	cases    []uint64
	gone     map[uint64]bool // purged cases
	open     map[uint64]bool // cases drawn open last; these are never purged
	reports  map[triage.ScopeReport]bool
	holds    map[triage.HoldChange]bool
	done     []string
}

// Names of every kind: empty, short, one the beginning of another, and too long for a key.
var names = []string{"", "a", "ab", "payments", string(slices.Repeat([]byte("long "), 80)), string(slices.Repeat([]byte("long "), 81)), "é\x00z"}

func (w *world) name(t *rapid.T, label string) string { return rapid.SampledFrom(names).Draw(t, label) }

func (w *world) instant(t *rapid.T, label string) time.Time {
	if rapid.IntRange(0, 3).Draw(t, label+" set") == 0 {
		return time.Time{}
	}
	return start.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, label)) * time.Minute)
}

// hot draws the reports of a finding; the last-seen times may go back.
func (w *world) hot(t *rapid.T, seq uint64) triage.Hot {
	h := triage.Hot{Seq: seq, Print: printOf(seq), Case: rapid.Uint64Range(0, 5).Draw(t, "case"), Member: triage.Open}
	for i := range rapid.IntRange(0, 3).Draw(t, "reports") {
		h.Reports = append(h.Reports, triage.HotReport{
			Key: keyOf(seq, i), IDHash: rapid.Uint64Range(0, 9).Draw(t, "id"), Hash: rapid.Uint64().Draw(t, "hash"),
			Observed: rapid.Int64Range(-50, 1000).Draw(t, "observed"), Status: pipeline.StatusOpen, Severity: pipeline.Low,
		})
	}
	return h
}

func (w *world) record(t *rapid.T, seq uint64) *triage.Record {
	_, r := finding(seq)
	r.SuppressedBy = ""
	r.LastChange = w.now
	r.Reports[0].Title = w.name(t, "title")
	r.Reports[0].Title = string([]rune(r.Reports[0].Title)[:min(1, len([]rune(r.Reports[0].Title)))])
	r.Raw = nil
	for range rapid.IntRange(0, 2).Draw(t, "raw") {
		r.Raw = append(r.Raw, rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "raw bytes"))
	}
	return r
}

func (w *world) drawCase(t *rapid.T, n uint64) *triage.Case {
	c := &triage.Case{
		Number: n, Key: fmt.Sprintf("group %d", n%4), Team: rapid.SampledFrom(names).Draw(t, "team"),
		Open: rapid.Bool().Draw(t, "open"), Opened: w.instant(t, "opened"), Priority: pipeline.Priority(rapid.IntRange(0, 5).Draw(t, "priority")),
		WaitTill: w.instant(t, "wait"), Snooze: w.instant(t, "snooze"), PurgeAt: w.instant(t, "purge"),
		Held:  rapid.SampledFrom([]string{"", "limit"}).Draw(t, "held"),
		Count: [6]int{1: rapid.IntRange(0, 3).Draw(t, "count")},
	}
	if rapid.Bool().Draw(t, "entry") {
		c.Entries = map[string]*triage.Entry{"file": {
			WantOpen: c.Open, Wanted: rapid.Uint64Range(0, 2).Draw(t, "wanted"), Delivered: rapid.Uint64Range(0, 2).Draw(t, "delivered"),
			St: rapid.SampledFrom([]triage.Standing{triage.Idle, triage.Inflight}).Draw(t, "standing"),
		}}
	}
	return c
}

// changeset draws what one batch changes.
func (w *world) changeset(t *rapid.T) *triage.Changeset {
	w.meta.Findings += rapid.Uint64Range(0, 3).Draw(t, "findings position")
	w.meta.Inputs++
	w.now = w.now.Add(time.Minute)
	cs := &triage.Changeset{}
	w.drawFindings(t, cs)
	w.drawCases(t, cs)
	w.drawScopes(t, cs)
	for _, name := range w.some(t, "teams", names) {
		cs.Teams = append(cs.Teams, triage.TeamState{Name: name, Digest: w.meta.Inputs})
	}
	w.drawSuppressions(t, cs)
	cs.Approvals = map[string]string{}
	for _, key := range w.some(t, "approvals", names) {
		cs.Approvals[key] = rapid.SampledFrom([]string{"", "plan 1"}).Draw(t, "plan")
	}
	if rapid.Bool().Draw(t, "interaction") {
		w.done = append(w.done, fmt.Sprintf("%s%d", w.name(t, "interaction id"), w.meta.Inputs))
		cs.Interactions = w.done[len(w.done)-1:]
	}
	cs.Meta = w.meta
	return cs
}

// some draws a few of list, each at most once.
func (w *world) some(t *rapid.T, label string, list []string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(list), 0, 2, rapid.ID[string]).Draw(t, label)
}

func (w *world) drawFindings(t *rapid.T, cs *triage.Changeset) {
	hot := map[uint64]bool{}
	put := func(seq uint64) {
		if hot[seq] || w.purged[seq] {
			return
		}
		hot[seq] = true
		cs.Hot = append(cs.Hot, w.hot(t, seq))
		cs.Records = append(cs.Records, w.record(t, seq))
	}
	if len(w.findings) > 0 {
		for range rapid.IntRange(0, 2).Draw(t, "changed") {
			put(rapid.SampledFrom(w.findings).Draw(t, "changed finding"))
		}
		for range rapid.IntRange(0, 8).Draw(t, "repeats") {
			seq := rapid.SampledFrom(w.findings).Draw(t, "repeated")
			if w.purged[seq] {
				continue
			}
			cs.Touches = append(cs.Touches, triage.Touch{Seq: seq, Key: keyOf(seq, rapid.IntRange(0, 2).Draw(t, "report")), Observed: rapid.Int64Range(-50, 1000).Draw(t, "touched")})
		}
		if seq := rapid.SampledFrom(w.findings).Draw(t, "purge"); !hot[seq] && rapid.IntRange(0, 4).Draw(t, "purges") == 0 && !w.purged[seq] {
			w.purge(cs, seq)
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "new") {
		w.findings = append(w.findings, w.meta.NextSeq)
		put(w.meta.NextSeq)
		w.meta.NextSeq++
	}
}

// purge forgets a finding and, as triage does, what points to it.
func (w *world) purge(cs *triage.Changeset, seq uint64) {
	w.purged[seq] = true
	cs.PurgedSeqs = append(cs.PurgedSeqs, seq)
	cs.Touches = slices.DeleteFunc(cs.Touches, func(x triage.Touch) bool { return x.Seq == seq })
	for r := range w.reports {
		if r.Seq == seq {
			delete(w.reports, r)
			cs.ScopeDel = append(cs.ScopeDel, r)
		}
	}
	for h := range w.holds {
		if h.Seq == seq {
			delete(w.holds, h)
			cs.Held = append(cs.Held, h)
		}
	}
}

func (w *world) drawCases(t *rapid.T, cs *triage.Changeset) {
	cs.Newest = map[string]uint64{}
	changed := map[uint64]bool{}
	for range rapid.IntRange(0, 2).Draw(t, "new cases") {
		w.cases = append(w.cases, w.meta.NextCase)
		w.meta.NextCase++
	}
	if len(w.cases) == 0 {
		return
	}
	for range rapid.IntRange(0, 4).Draw(t, "cases") {
		n := rapid.SampledFrom(w.cases).Draw(t, "number")
		if changed[n] || w.gone[n] {
			continue
		}
		changed[n] = true
		c := w.drawCase(t, n)
		w.open[n] = c.Open
		cs.Cases = append(cs.Cases, c)
		cs.Newest[c.Key] = n
		for seq := range rapid.Uint64Range(0, 3).Draw(t, "members") {
			cs.Members = append(cs.Members, triage.Member{Case: n, Seq: seq + 1, Status: triage.Open, Priority: pipeline.P3,
				Line: pipeline.TicketFinding{Fingerprint: printOf(seq), Title: w.name(t, "line"), Status: "open", Products: w.some(t, "products", names)}})
		}
	}
	if n := rapid.SampledFrom(w.cases).Draw(t, "purged case"); !changed[n] && !w.gone[n] && !w.open[n] && rapid.IntRange(0, 4).Draw(t, "purges case") == 0 {
		w.gone[n] = true
		cs.PurgedCases = append(cs.PurgedCases, n)
		cs.Newest[fmt.Sprintf("group %d", n%4)] = 0
	}
}

func (w *world) drawScopes(t *rapid.T, cs *triage.Changeset) {
	for _, name := range w.some(t, "scopes", names) {
		cs.Scopes = append(cs.Scopes, triage.Scope{Name: name, Count: int(w.meta.Inputs), Time: w.now})
	}
	for _, scope := range w.some(t, "ended", names) {
		cs.SeenEnded = append(cs.SeenEnded, triage.Seen{Read: "read", Scope: scope})
	}
	for _, scope := range w.some(t, "seen", names) {
		s := triage.Seen{Read: "read", Scope: scope, Count: rapid.IntRange(0, 5).Draw(t, "seen count"), Keys: map[triage.SeenKey]bool{}}
		s.Broken = rapid.SampledFrom([]string{"", "", "a reject", "cut off"}).Draw(t, "broken")
		for seq := range rapid.Uint64Range(0, 4).Draw(t, "seen keys") {
			s.Keys[triage.SeenKey{Seq: w.meta.Inputs*seq + 1, Key: keyOf(seq, 0)}] = true
		}
		cs.Seen = append(cs.Seen, s)
	}
	if len(w.findings) == 0 {
		return
	}
	touched := map[triage.ScopeReport]bool{}
	for range rapid.IntRange(0, 4).Draw(t, "scope reports") {
		seq := rapid.SampledFrom(w.findings).Draw(t, "scope report")
		r := triage.ScopeReport{Scope: w.name(t, "scope"), Seq: seq, Key: keyOf(seq, rapid.IntRange(0, 1).Draw(t, "scope key"))}
		if w.purged[seq] || touched[r] {
			continue
		}
		touched[r] = true
		if w.reports[r] {
			delete(w.reports, r)
			cs.ScopeDel = append(cs.ScopeDel, r)
		} else {
			w.reports[r] = true
			cs.ScopePut = append(cs.ScopePut, r)
		}
	}
}

func (w *world) drawSuppressions(t *rapid.T, cs *triage.Changeset) {
	for _, name := range w.some(t, "suppressions", names) {
		if rapid.Bool().Draw(t, "ends") {
			cs.Unsuppressed = append(cs.Unsuppressed, name)
			continue
		}
		cs.Suppressions = append(cs.Suppressions, triage.Suppression{Suppression: pipeline.Suppression{Name: name, Until: w.now}})
	}
	if len(w.findings) == 0 {
		return
	}
	touched := map[triage.HoldChange]bool{}
	for range rapid.IntRange(0, 3).Draw(t, "holds") {
		h := triage.HoldChange{Suppression: w.name(t, "suppression"), Seq: rapid.SampledFrom(w.findings).Draw(t, "held finding")}
		if w.purged[h.Seq] || touched[h] {
			continue
		}
		touched[h] = true
		on := !w.holds[h]
		if on {
			w.holds[h] = true
		} else {
			delete(w.holds, h)
		}
		cs.Held = append(cs.Held, triage.HoldChange{Suppression: h.Suppression, Seq: h.Seq, On: on})
	}
}

// answers asks a view everything, and gives the answers by question.
func (w *world) answers(t *rapid.T, v triage.View) map[string]any {
	out := map[string]any{"Meta": v.Meta(), "HeldTeams": v.HeldTeams(), "Suppressions": v.Suppressions(), "Ready": v.Ready(100), "Ready 2": v.Ready(2)}
	must := func(err error) {
		if err != nil {
			t.Fatalf("reading state: %v", err)
		}
	}
	for seq := uint64(0); seq <= w.meta.NextSeq; seq++ {
		h, ok := v.HotBySeq(seq)
		out[fmt.Sprintf("HotBySeq(%d)", seq)] = []any{h, ok}
		h, ok = v.Hot(printOf(seq))
		out[fmt.Sprintf("Hot(%d)", seq)] = []any{h, ok}
		r, err := v.Record(seq)
		must(err)
		out[fmt.Sprintf("Record(%d)", seq)] = r
	}
	for n := uint64(0); n <= w.meta.NextCase; n++ {
		c, err := v.Case(n)
		must(err)
		out[fmt.Sprintf("Case(%d)", n)] = c
		if w.gone[n] {
			continue
		}
		var members []triage.Member
		must(v.Members(n, func(m triage.Member) bool { members = append(members, m); return len(members) < 3 }))
		m, ok, err := v.Member(n, 2)
		must(err)
		out[fmt.Sprintf("Members(%d)", n)] = []any{members, m, ok}
	}
	for i := range 4 {
		key := fmt.Sprintf("group %d", i)
		out["Newest "+key] = v.Newest(key)
		now := start.Add(time.Duration(i*60-90) * time.Minute)
		out[fmt.Sprintf("Due(%v)", now)] = v.Due(now, 3)
	}
	for _, name := range names {
		var reports []triage.ScopeReport
		v.ScopeReports(name, func(seq uint64, key [16]byte) bool {
			reports = append(reports, triage.ScopeReport{Scope: name, Seq: seq, Key: key})
			in, out := v.InScope(reports[len(reports)-1]), v.InScope(triage.ScopeReport{Scope: name, Seq: seq + 1_000_000, Key: key})
			if !in || out {
				t.Errorf("InScope(%s, %d) = %v, of a finding that is not there %v; want true, false", name, seq, in, out)
			}
			return len(reports) < 20
		})
		var held []uint64
		v.SuppressedBy(name, func(seq uint64) bool { held = append(held, seq); return true })
		out["by name "+name] = []any{v.Held(name), v.Team(name), v.Scope(name), v.Seen("read", name), v.Approval(name), reports, held}
	}
	for _, id := range append([]string{"never"}, w.done...) {
		out["Done "+id] = v.Done(id)
	}
	return out
}

// TestModel applies the same changesets to a store and to a layer over nothing: they give the same answers.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprintf("state%d.db", run))
		open := func() *Store {
			s, err := Open(path, Options{})
			if err != nil {
				t.Fatalf("Open() = %v; want no error", err)
			}
			s.foldAfter, s.foldStep = 12, 3
			s.db.NoSync = true // nothing is killed here
			return s
		}
		s := open()
		defer func() { s.Close() }()
		w := &world{meta: triage.Meta{NextSeq: 1, NextCase: 1}, now: start, purged: map[uint64]bool{}, gone: map[uint64]bool{}, open: map[uint64]bool{},
			reports: map[triage.ScopeReport]bool{}, holds: map[triage.HoldChange]bool{}}
		model := triage.NewLayer(nil)
		compare := func(when string) {
			t.Helper()
			p, err := s.View()
			if err != nil {
				t.Fatalf("View() = %v; want no error", err)
			}
			defer p.Close()
			got, want := w.answers(t, p), w.answers(t, model)
			for _, q := range slices.Sorted(maps.Keys(want)) {
				if diff := cmp.Diff(want[q], got[q], cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("%s %s (-model +store):\n%s", q, when, diff)
				}
			}
			if err := p.Err(); err != nil {
				t.Fatalf("Err() = %v; want none", err)
			}
		}
		for i := range rapid.IntRange(1, 12).Draw(t, "changesets") {
			cs := w.changeset(t)
			times := 1 + rapid.IntRange(0, 1).Draw(t, "again")
			for range times {
				if err := s.Commit(cs); err != nil {
					t.Fatalf("Commit(%d) = %v; want no error", i, err)
				}
			}
			model.Apply(*cs)
			compare(fmt.Sprintf("after changeset %d, committed %d times", i, times))
			if rapid.IntRange(0, 3).Draw(t, "reopen") == 0 {
				if err := s.Close(); err != nil {
					t.Fatalf("Close() = %v; want no error", err)
				}
				s = open()
				compare(fmt.Sprintf("after changeset %d, reopened", i))
			}
		}
	})
}
