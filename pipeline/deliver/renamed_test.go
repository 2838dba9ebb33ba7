package deliver_test

import (
	"testing"
	"testing/synctest"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

// TestRenamedSink: the claim of a case under the sink's former name counts when the same action
// comes to it under the new one.
func TestRenamedSink(t *testing.T) {
	for _, tc := range []struct {
		name  string
		claim deliver.Claim
		there bool // the create took effect
		ref   string
		looks bool
		calls int
	}{
		{"the answer to its create was lost", deliver.Claim{N: 1, Att: 1, Holder: "p0/1"}, true, "id1", true, 1},
		{"it was given back before anything was sent", deliver.Claim{N: 1, Att: 1, Clean: true}, false, "id1", false, 1},
		{"it ended, and its outcome was not published", deliver.Claim{
			N: 1, Att: 1, Done: true,
			Outcome: &pipeline.Outcome{Case: "DK-1", Sink: "old", N: 1, Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: "id1"}},
		}, true, "id1", false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.close()
				if _, err := w.claims.Swap(t.Context(), deliver.ClaimKey("old", "DK-1"), 0, tc.claim); err != nil {
					t.Fatal(err)
				}
				if tc.there {
					if _, err := w.tracker.effect(action(1, 1, pipeline.Ref{}).Ticket); err != nil {
						t.Fatal(err)
					}
				}
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				p := w.start("p1", alone, func(_ *process, o *deliver.Options) { o.Formerly = []string{"older", "old"} })
				w.settled()
				p.stop()
				all, out := w.tracker.all(), w.outcomes.list()
				if len(all) != 1 || w.tracker.writeCount() != tc.calls || w.tracker.lookCount() > 0 != tc.looks {
					t.Errorf("%d records, %d writes, %d look-ups; want 1, %d, some: %v", len(all), w.tracker.writeCount(), w.tracker.lookCount(), tc.calls, tc.looks)
				}
				if len(out) != 1 || out[0].Result != pipeline.OutcomeDone || out[0].Ref.ID != tc.ref {
					t.Errorf("outcomes = %+v; want %s done once", out, tc.ref)
				}
			})
		})
	}
}
