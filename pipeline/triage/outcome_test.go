package triage

import (
	"fmt"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// TestOutcomes is the table of protocol section 2 for what ends, or only crosses, an action.
func TestOutcomes(t *testing.T) {
	outcome := func(n uint64, result pipeline.OutcomeResult, ref string) Input {
		return Input{Outcome: &pipeline.Outcome{Case: "DK-1", Sink: "disk", N: n, Gen: 1, Rev: n, Result: result, Ref: pipeline.Ref{ID: ref}, Reason: "why"}}
	}
	join := func(w *world, r string) Input { return w.report(say{resource: r}) }
	tests := []struct {
		name   string
		inputs func(w *world) []Input // after the first action was issued
		want   string                 // standing ref n delivered/wanted, marks
	}{
		{"done", func(*world) []Input { return []Input{outcome(1, pipeline.OutcomeDone, "A")} }, "idle A n1 1/1"},
		{"done twice", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), outcome(1, pipeline.OutcomeDone, "A")}
		}, "idle A n1 1/1"},
		{"the case moved on meanwhile", func(w *world) []Input {
			return []Input{join(w, "r2"), outcome(1, pipeline.OutcomeDone, "A"), {Issue: &Issue{}}}
		}, "inflight A n2 1/2"},
		{"the case moved on, and only first tickets are asked for", func(w *world) []Input {
			return []Input{join(w, "r2"), outcome(1, pipeline.OutcomeDone, "A"), {Issue: &Issue{FirstOnly: true}}}
		}, "idle A n1 1/2"},
		{"one action at a time", func(w *world) []Input { return []Input{join(w, "r2"), {Issue: &Issue{}}} }, "inflight - n1 0/2"},
		{"a late outcome of an earlier action", func(w *world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), join(w, "r2"), {Issue: &Issue{}}, outcome(1, pipeline.OutcomeDone, "A"), outcome(2, pipeline.OutcomeDone, "A")}
		}, "idle A n2 2/2"},
		{"a late refusal of an earlier action", func(w *world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), join(w, "r2"), {Issue: &Issue{}}, outcome(1, pipeline.OutcomeRefused, "")}
		}, "inflight A n2 1/2"},
		{"a sighting of the record: written once more", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), outcome(1, pipeline.OutcomeSighted, "A"), {Issue: &Issue{}}}
		}, "inflight A n2 1/1"},
		{"a sighting of the record while it is written: once more afterwards", func(w *world) []Input {
			return []Input{
				outcome(1, pipeline.OutcomeDone, "A"), join(w, "r2"), {Issue: &Issue{}},
				outcome(1, pipeline.OutcomeSighted, "A"), outcome(2, pipeline.OutcomeDone, "A"),
			}
		}, "idle A n2 2/2 again"},
		{"adopted while a create is in flight: that decides", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeAdopted, "A"), outcome(1, pipeline.OutcomeDone, "B")}
		}, "idle B n1 1/1"},
		{"adopted: another record takes the ticket's place", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), outcome(7, pipeline.OutcomeAdopted, "B"), {Issue: &Issue{}}}
		}, "inflight B n2 1/8"},
		{"adopted twice is once", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), outcome(1, pipeline.OutcomeAdopted, "B"), {Issue: &Issue{}}, outcome(2, pipeline.OutcomeDone, "B"), outcome(1, pipeline.OutcomeAdopted, "B")}
		}, "idle B n2 2/2"},
		{"adopted under an earlier generation: not", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), {Outcome: &pipeline.Outcome{Case: "DK-1", Sink: "disk", Result: pipeline.OutcomeAdopted, Ref: pipeline.Ref{ID: "B"}}}}
		}, "idle A n1 1/1"},
		{"what is about the ticket of another group is not taken over", func(*world) []Input {
			return []Input{{Outcome: &pipeline.Outcome{Case: "DK-1", Sink: "disk", N: 1, Gen: 1, Rev: 1, Key: "docket-00000000000000000000", Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: "A"}}}}
		}, "inflight - n1 0/1"},
		{"a sighting of another record: linked and closed", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), outcome(1, pipeline.OutcomeSighted, "B"), {Issue: &Issue{}}}
		}, "inflight A n2 1/1 twin B"},
		{"the second record is forgotten once an action that names it is done", func(*world) []Input {
			return []Input{
				outcome(1, pipeline.OutcomeDone, "A"), outcome(1, pipeline.OutcomeSighted, "B"), {Issue: &Issue{}},
				{Outcome: &pipeline.Outcome{Case: "DK-1", Sink: "disk", N: 2, Gen: 1, Rev: 1, Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: "A"}}},
			}
		}, "idle A n2 1/1"},
		{"a second record sighted while an action without it is in flight is kept", func(w *world) []Input {
			return []Input{
				outcome(1, pipeline.OutcomeDone, "A"), join(w, "r2"), {Issue: &Issue{}},
				outcome(1, pipeline.OutcomeSighted, "B"), outcome(2, pipeline.OutcomeDone, "A"),
			}
		}, "idle A n2 2/2 twin B"},
		{"sighted during the create, which then is refused: it is the ticket", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeSighted, "A"), outcome(1, pipeline.OutcomeRefused, "")}
		}, "idle A n1 0/1 again"},
		{"sighted during the create, which then makes another: a second one", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeSighted, "B"), outcome(1, pipeline.OutcomeDone, "A")}
		}, "idle A n1 1/1 twin B"},
		{"a sighting ends parked", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeUnknown, ""), outcome(1, pipeline.OutcomeSighted, "A")}
		}, "idle A n1 0/1 again"},
		{"a sighting of a ticket that was given up", func(*world) []Input {
			return []Input{
				outcome(1, pipeline.OutcomeDone, "A"), outcome(1, pipeline.OutcomeSighted, "A"), {Issue: &Issue{}},
				outcome(2, pipeline.OutcomeGone, ""), outcome(1, pipeline.OutcomeSighted, "A"),
			}
		}, "idle - n2 0/1"},
		{"issued again: the same number", func(*world) []Input {
			return []Input{{Reissue: []Reissue{{Case: 1, Sink: "disk", N: 1}, {Case: 1, Sink: "disk", N: 7}, {Case: 9, Sink: "disk", N: 1}}}}
		}, "inflight - n1 0/1"},
		{"issued again with more to say, and the first message is carried out: one more follows", func(w *world) []Input {
			return []Input{join(w, "r2"), {Reissue: []Reissue{{Case: 1, Sink: "disk", N: 1}}}, outcome(1, pipeline.OutcomeDone, "A"), {Issue: &Issue{}}}
		}, "inflight A n2 1/2"},
		{"of a case or sink that is not there", func(*world) []Input {
			return []Input{
				{Outcome: &pipeline.Outcome{Case: "DK-9", Sink: "disk", N: 1, Result: pipeline.OutcomeDone}},
				{Outcome: &pipeline.Outcome{Case: "DK-1", Sink: "jira", N: 1, Result: pipeline.OutcomeDone}},
			}
		}, "inflight - n1 0/1"},
		{"drained by the worker of a removed sink", func(w *world) []Input {
			w.config.active = []string{}
			return []Input{{Config: &ConfigChange{Hash: "c2"}}, {Sweep: 100}, outcome(1, pipeline.OutcomeDone, "A")}
		}, "idle A n1 1/1"},
		{"its sink is removed and back: the action that was under way goes on", func(w *world) []Input {
			return append(w.removedAndBack(), Input{Issue: &Issue{}})
		}, "inflight - n1 0/1"},
		{"its sink is removed and back, then the action ends", func(w *world) []Input {
			return append(w.removedAndBack(), outcome(1, pipeline.OutcomeDone, "A"), Input{Issue: &Issue{}})
		}, "idle A n1 1/1"},
		{"its sink is removed while nothing is under way: an earlier outcome again changes nothing", func(w *world) []Input {
			in := []Input{outcome(1, pipeline.OutcomeDone, "A")}
			return append(append(in, w.removedAndBack()[:2]...), outcome(1, pipeline.OutcomeDone, "A"))
		}, "parked A n1 1/1"},
		{"a person decides while the action's end is awaited: its record is known all the same", func(w *world) []Input {
			in := append(w.removedAndBack()[:2], person(pipeline.Interaction{Verb: pipeline.VerbDrop, Cases: []string{"DK-1"}}))
			return append(in, outcome(1, pipeline.OutcomeDone, "A"))
		}, "idle A n1 1/1 again"},
		{"adopted under another name: followed", func(*world) []Input {
			moved := outcome(1, pipeline.OutcomeAdopted, "A")
			moved.Outcome.Ref.Key = "NEW-1"
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), moved, {Issue: &Issue{}}}
		}, "inflight A n2 1/2"},
		{"adopted after it was given up: written again", func(*world) []Input {
			drop := person(pipeline.Interaction{Verb: pipeline.VerbDrop, Cases: []string{"DK-1"}})
			return []Input{outcome(1, pipeline.OutcomeUnknown, ""), drop, outcome(1, pipeline.OutcomeAdopted, "A"), {Issue: &Issue{}}}
		}, "inflight A n2 1/2"},
		{"a raised generation leaves a ticket that is known", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), {Outcome: &pipeline.Outcome{Case: "DK-1", Sink: "disk", Gen: 3, Result: pipeline.OutcomeAdopted}}}
		}, "idle A n1 1/1"},
		{"a raised generation where no ticket is known", func(*world) []Input {
			return []Input{outcome(1, pipeline.OutcomeRefused, ""), {Outcome: &pipeline.Outcome{Case: "DK-1", Sink: "disk", Gen: 3, Result: pipeline.OutcomeAdopted}}}
		}, "dead - n1 0/1 gen 3"},
		{"its record is deleted while an update is in flight: looked for when that is over", func(w *world) []Input {
			deleted := Input{Reading: &Reading{Sink: "disk", Seen: pipeline.Seen{Case: "DK-1", Ref: pipeline.Ref{ID: "A"}, Deleted: true}}}
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), join(w, "r2"), {Issue: &Issue{}}, deleted, outcome(2, pipeline.OutcomeDone, "A")}
		}, "idle A n2 2/2 again"},
		{"its record is deleted while an update is in flight, which finds out", func(w *world) []Input {
			deleted := Input{Reading: &Reading{Sink: "disk", Seen: pipeline.Seen{Case: "DK-1", Ref: pipeline.Ref{ID: "A"}, Deleted: true}}}
			return []Input{outcome(1, pipeline.OutcomeDone, "A"), join(w, "r2"), {Issue: &Issue{}}, deleted, outcome(2, pipeline.OutcomeGone, "")}
		}, "idle - n2 0/2"},
		{"of a sink under its former name", func(w *world) []Input {
			w.config.sinks, w.config.renamed = []string{"files"}, map[string]string{"disk": "files"}
			return []Input{{Config: &ConfigChange{Hash: "c2"}}, {Sweep: 100}, outcome(1, pipeline.OutcomeDone, "A")}
		}, "idle A n1 1/1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(standard())
			if err := w.decide(w.report(say{resource: "r1"}), Input{Issue: &Issue{}}); err != nil {
				t.Fatalf("the first action: Decide = %v", err)
			}
			for i, in := range tt.inputs(w) {
				if in.Config != nil && in.Config.Hash == "back" {
					w.config.active = nil
				}
				if err := w.decide(in); err != nil {
					t.Fatalf("input %d: Decide = %v", i+1, err)
				}
			}
			c, err := w.state.Case(1)
			if err != nil || c == nil || len(c.Entries) != 1 {
				t.Fatalf("Case(1) = %+v, %v", c, err)
			}
			for _, e := range c.Entries {
				if got := entryWord(e); got != tt.want {
					t.Errorf("the entry is %q; want %q", got, tt.want)
				}
			}
		})
	}
}

// TestFirstOnlyLetsNewTicketsGo: what has no ticket yet does not wait with the updates, and these go with the next Issue.
func TestFirstOnlyLetsNewTicketsGo(t *testing.T) {
	w := newWorld(standard())
	made := pipeline.Outcome{Case: "DK-1", Sink: "disk", N: 1, Gen: 1, Rev: 1, Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: "A"}}
	for _, step := range []struct {
		inputs []Input
		want   string // the cases of the actions that were issued
	}{
		{[]Input{w.report(say{resource: "r1"}), {Issue: &Issue{FirstOnly: true}}}, "[DK-1]"},
		{[]Input{{Outcome: &made}, w.report(say{resource: "r2"}), w.report(say{resource: "r3", account: "222222222222"}), {Issue: &Issue{FirstOnly: true}}}, "[DK-2]"},
		{[]Input{{Issue: &Issue{}}}, "[DK-1]"},
	} {
		if err := w.decide(step.inputs...); err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, a := range w.last.Outbox {
			got = append(got, a.Case)
		}
		if fmt.Sprint(got) != step.want {
			t.Errorf("issued %v; want %s", got, step.want)
		}
	}
}

// TestFirstOnlyPassesABacklog: more is due than one Issue looks at, updates that wait ahead of new tickets; so nothing waits, or
// the new tickets would wait for as long as the flood lasts.
func TestFirstOnlyPassesABacklog(t *testing.T) {
	for _, c := range []struct{ updates, update, create int }{
		{IssueAtOnce - 2, 0, 1}, // all that is due is looked at
		{IssueAtOnce - 1, IssueAtOnce - 1, 1},
		{IssueAtOnce + 1, IssueAtOnce, 0}, // the new ticket goes with the next Issue
	} {
		w := newWorld(standard())
		of := func(resource string) []say {
			var says []say
			for n := range c.updates {
				says = append(says, say{resource: fmt.Sprintf("%s-%d", resource, n), account: fmt.Sprintf("%012d", n)})
			}
			return says
		}
		w.must(w.report(of("r1")...))
		for made := 0; made < c.updates; {
			w.must(Input{Issue: &Issue{}})
			var ends []Input
			for _, a := range w.last.Outbox {
				_, o := w.write(a)
				ends = append(ends, Input{Outcome: &o})
			}
			if err := w.decide(ends...); err != nil { // in one batch
				t.Fatal(err)
			}
			made += len(ends)
		}
		w.must(w.report(of("r2")...), w.report(say{resource: "new", account: "999999999999"}))
		count := func() (update, create int) {
			w.must(Input{Issue: &Issue{FirstOnly: true}})
			for _, a := range w.last.Outbox {
				if a.N > 1 {
					update++
				} else {
					create++
				}
			}
			return update, create
		}
		if update, create := count(); update != c.update || create != c.create {
			t.Errorf("with %d updates due, %d and %d new tickets were issued; want %d and %d", c.updates, update, create, c.update, c.create)
		}
		if c.create > 0 {
			continue
		}
		if _, create := count(); create != 1 {
			t.Errorf("with %d updates due, the next Issue made %d new tickets; want the one", c.updates, create)
		}
	}
}

// removedAndBack takes the sink out of the configuration and puts it back.
func (w *world) removedAndBack() []Input {
	w.config.active = []string{}
	return []Input{
		{Config: &ConfigChange{Hash: "c2"}}, {Sweep: 100},
		{Config: &ConfigChange{Hash: "back"}}, {Sweep: 100},
	}
}

func entryWord(e *Entry) string {
	ref := e.Ref.ID
	if ref == "" {
		ref = "-"
	}
	out := fmt.Sprintf("%s %s n%d %d/%d", e.St, ref, e.N, e.Delivered, e.Wanted)
	if e.Gen > 2 {
		out += fmt.Sprintf(" gen %d", e.Gen)
	}
	if e.Again {
		out += " again"
	}
	if !e.Twin.IsZero() {
		out += " twin " + e.Twin.ID
	}
	return out
}
