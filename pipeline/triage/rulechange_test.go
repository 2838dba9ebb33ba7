package triage

import (
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// TestChangedRulesMoveNothing has a finding leave its case, by an exception or for it was fixed, and count again after the
// rules gave its group to another team, which has an open case by then: it is back in its own case.
func TestChangedRulesMoveNothing(t *testing.T) {
	r1, r2 := say{resource: "r1"}, say{resource: "r2"}
	for _, test := range []struct {
		name  string
		fixed bool // else under an exception for a while
		says  []say
		want  string // the verbs for the tickets once it counts again
	}{
		{"an exception ends, others are open", false, []say{r1, r2}, "update DK-1"},
		{"an exception ends, the case was accepted", false, []say{r1}, "reopen DK-1"},
		{"back within the window", true, []say{r1}, "reopen DK-1"},
		{"back while others are open", true, []say{r1, r2}, "update DK-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(standard())
			deliver := func() []string {
				t.Helper()
				verbs, err := w.deliver()
				if err != nil {
					t.Fatal(err)
				}
				return verbs
			}
			w.must(w.report(test.says...))
			deliver()
			w.now = w.now.Add(time.Hour)
			if test.fixed {
				w.must(w.report(say{resource: "r1", status: pipeline.StatusResolved}))
			} else {
				s := &pipeline.Suppression{Name: "for a day", When: "r1", Reason: "known", By: "sam", Until: w.now.Add(24 * time.Hour)}
				w.must(person(pipeline.Interaction{Verb: pipeline.VerbSuppress, Suppression: s}), Input{Sweep: 100})
			}
			deliver()
			w.now = w.now.Add(time.Hour)
			w.config.team, w.config.hash = "ops", "c2"
			w.must(Input{Config: &ConfigChange{Hash: "c2"}}, Input{Sweep: 100})
			w.must(w.report(say{resource: "r3"}))
			deliver()
			w.now = w.now.Add(30 * time.Hour)
			if test.fixed {
				w.must(w.report(r1))
			} else {
				w.must(Input{Tick: true})
			}
			verbs := deliver()
			if h, _ := w.state.HotBySeq(1); h.Case != 1 || len(verbs) != 1 || verbs[0] != test.want {
				t.Errorf("the finding is in %s, delivered %q; want DK-1, %q", CaseID(h.Case), verbs, test.want)
			}
			if c, err := w.state.Case(1); err != nil || !c.Open || c.MovedTo != 0 {
				t.Errorf("DK-1 is %+v, %v; want it open and moved nowhere", c, err)
			}
		})
	}
}
