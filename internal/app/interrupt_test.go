package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestInterruptedRuns cancels runs at random moments, with the findings changing
// between them; the run that is left alone makes every ticket exact.
func TestInterruptedRuns(t *testing.T) {
	t.Parallel()
	const interruptions, each = 10, 40
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	s := newSite(t, fileSite)
	start := time.Now().Add(-24 * time.Hour)
	resolved := map[int]bool{}
	write := func(round int) {
		var docs []map[string]any
		for n := range each * (round + 1) {
			if n < each*round && !resolved[n] && r.IntN(10) == 0 {
				resolved[n] = true
			}
			docs = append(docs, sample{n: n, resolved: resolved[n], at: start.Add(time.Duration(round) * time.Minute)}.doc())
		}
		s.put("in/findings.ndjson", ndjson(t, docs...))
	}
	cut, whole := 0, 400*time.Millisecond
	for round := range interruptions {
		write(round)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("interrupted")
		after := time.AfterFunc(time.Duration(r.Int64N(int64(whole))), func() { cancel(why) })
		_, err := RunOnce(ctx, s.config(), s.options(), time.Minute, quiet)
		after.Stop()
		cancel(nil)
		switch {
		case err == nil:
		case errors.Is(err, why), errors.Is(err, context.Canceled):
			cut++
		default:
			t.Errorf("round %d: RunOnce() = %v; want it to end because it was interrupted", round, err)
		}
	}
	if cut == 0 {
		t.Error("no run was interrupted; want at least one")
	}
	write(interruptions)
	s.once()
	s.still()
	s.clean()
	open := map[string]int{}
	for _, f := range s.tickets() {
		if f.State == "open" {
			open[f.Title]++
		}
		checkHistory(t, f)
	}
	for n := range each * (interruptions + 1) {
		want := 1
		if resolved[n] {
			want = 0
		}
		title := fmt.Sprintf("Sample problem %d", n)
		if open[title] != want {
			ex, err := s.offline().Explain(t.Context(), fmt.Sprintf("sample-%05d", n))
			t.Errorf("%s has %d open tickets; want %d: %s, %+v, %v", title, open[title], want, ex.Verdict, ex.Story, err)
		}
	}
	t.Logf("%d of %d runs were interrupted, %d tickets", cut, interruptions, len(s.tickets()))
}

// checkHistory fails when a comment stands twice in a ticket.
func checkHistory(t testing.TB, f ticketFile) {
	t.Helper()
	_, history, _ := strings.Cut(f.Text, "\n## History\n")
	seen := map[string]bool{}
	for line := range strings.Lines(history) {
		if _, event, ok := strings.Cut(line, "("); ok && strings.HasPrefix(line, "### ") {
			if seen[event] {
				t.Errorf("%s: the comment %s stands twice", f.Name, strings.TrimSpace(event))
			}
			seen[event] = true
		}
	}
}
