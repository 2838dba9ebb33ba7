package app

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Of two sinks one cannot be written to: the other's tickets come, and metrics and
// log say once what is wrong.
func TestDeadSinkBesideAnother(t *testing.T) {
	site := strings.Replace(daemonSite, "sinks: [disk]", "sinks: [disk, dead]", 1)
	site = strings.Replace(site, "sinks: [{name: disk", "sinks: [{name: dead, type: file, path: ./blocked/tickets}, {name: disk", 1)
	s := newSite(t, site)
	s.env["CI_TOKEN"], s.env["BOSS_TOKEN"] = ciToken, bossToken
	s.put("blocked", []byte("a file where a folder should be"))
	d := s.start()
	d.ingest(ndjson(t, samples(1, 200)...))
	eventually(t, "200 tickets are open", func() bool { return len(s.tickets()) == 200 })
	eventually(t, "200 calls are counted", func() bool { return d.metric(`docket_delivery_attempts_total{result="done",sink="disk"}`) == 200 })
	eventually(t, "the dead sink's breaker is open", func() bool { return d.metric(`docket_delivery_breaker_open{sink="dead"}`) == 1 })
	for line, want := range map[string]float64{
		`docket_delivery_breaker_open{sink="disk"}`:                  0,
		`docket_delivery_held{sink="dead",why="breaker"}`:            1,
		`docket_delivery_held{sink="dead",why="brake"}`:              0,
		`docket_delivery_attempts_total{result="done",sink="disk"}`:  200,
		`docket_delivery_attempts_total{result="done",sink="dead"}`:  0,
		`docket_delivery_attempts_total{result="retry",sink="disk"}`: 0,
	} {
		if got := d.metric(line); got != want {
			t.Errorf("%s = %v; want %v", line, got, want)
		}
	}
	if got := d.metric(`docket_delivery_attempts_total{result="retry",sink="dead"}`); got < 3 || got > 30 {
		t.Errorf("calls of the dead sink = %v; want 3 to 30 for 200 actions", got)
	}
	if n := strings.Count(s.log.String(), "a call failed; it will be tried again"); n != 1 {
		t.Errorf("the failure stands %d times in the log; want once", n)
	}
}

// The process dies between the commit of an action and its publication: the next one
// publishes it, and there is one ticket. A row that was published and not removed is the same again.
func TestSequence13CommittedButUnpublished(t *testing.T) {
	t.Parallel()
	s := newSite(t, fileSite)
	s.put("in/a.json", ndjson(t, samples(1, 3)...))
	ctx := t.Context()
	// Everything is read and decided, and nothing issued.
	opts, err := s.options().options()
	if err != nil {
		t.Fatal(err)
	}
	opts.HoldIssue = true
	a, err := Open(ctx, s.config(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.polls.poll(ctx, &a.Graph().Sources[0], true, nil); err != nil {
		t.Fatal(err)
	}
	if err := a.settle(ctx, quiet); err != nil {
		t.Fatal(err)
	}
	rules := a.Graph().Rules
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	// The actions are committed by a process that dies before its relay reads them.
	path := filepath.Join(s.dir, "data", stateFile)
	store, err := state.Open(path, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := store.View()
	if err != nil {
		t.Fatal(err)
	}
	cs, _, err := triage.Decide(rules, snap, []triage.Input{{Time: time.Now(), Issue: &triage.Issue{}}})
	snap.Close()
	if err != nil || len(cs.Outbox) != 3 {
		t.Fatalf("Decide() issued %d actions, %v; want 3", len(cs.Outbox), err)
	}
	if err := store.Commit(&cs); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.once()
	if n := len(s.tickets()); n != 3 {
		t.Errorf("%d tickets; want 3", n)
	}
	// The same rows once more, as if they had never been removed.
	store, err = state.Open(path, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	again := triage.Changeset{Outbox: cs.Outbox}
	if snap, err = store.View(); err != nil {
		t.Fatal(err)
	}
	again.Meta = snap.Meta()
	snap.Close()
	if err := store.Commit(&again); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.still()
	s.clean()
}

// A second ticket is counted where people look.
func TestDuplicateTicketsAreCounted(t *testing.T) {
	m := NewMetrics()
	m.decided(triage.Summary{TicketsDoubled: 1}, nil)
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if want := "\ndocket_duplicate_tickets_total 1\n"; !strings.Contains(rec.Body.String(), want) {
		t.Errorf("/metrics has no line %q", strings.TrimSpace(want))
	}
}
