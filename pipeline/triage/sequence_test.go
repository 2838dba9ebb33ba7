package triage

import (
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Present, then gone, with a crash between the read and the commit of the first. The position
// decides what is read again, so the case ends resolved; and what comes again behind
// the position, as a redelivery would bring it, opens nothing.
func TestSequence1PresentThenGone(t *testing.T) {
	w := newWorld(standard())
	present := w.report(say{resource: "r1"})
	present.Findings = 1
	w.now = w.now.Add(time.Minute)
	gone := w.report(say{resource: "r1", status: pipeline.StatusResolved})
	gone.Findings = 2
	present.Time, gone.Time = w.now, w.now

	// Read and decided, not committed: the process dies with the changeset.
	if _, _, err := Decide(w.config.rules(), w.state, []Input{present}); err != nil {
		t.Fatalf("Decide() = %v", err)
	}
	if at := w.state.Meta().Findings; at != 0 {
		t.Fatalf("position = %d before anything was committed; want 0", at)
	}
	ended := func(when string) {
		t.Helper()
		if got, want := standingOf(t, w.state), "DK-1 fixed P3 r1:resolved"; got != want {
			t.Errorf("%s: %q; want %q", when, got, want)
		}
	}
	for _, in := range []Input{present, gone} {
		if err := w.decide(in); err != nil {
			t.Fatalf("Decide() = %v", err)
		}
	}
	ended("read again from the position")
	for _, in := range []Input{present, gone, present} {
		if err := w.decide(in); err != nil {
			t.Fatalf("Decide() = %v", err)
		}
	}
	ended("the first once more, behind the position")
	if at := w.state.Meta().Findings; at != 2 {
		t.Errorf("position = %d; want 2", at)
	}
}
