package triage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"pgregory.net/rapid"
)

// script draws a sequence of inputs as the streams would bring them: with
// positions and times that are fixed before anything is decided.
func script(t *rapid.T) []Input {
	w := &life{world: newWorld(standard())}
	var out []Input
	findings, inputs := uint64(0), uint64(0)
	for range rapid.IntRange(1, 40).Draw(t, "inputs") {
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "minutes")) * time.Minute)
		var in Input
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			in = Input{Issue: &Issue{}}
		case 1:
			w.now = w.now.Add(waits.Draw(t, "wait"))
			in = Input{Tick: true}
		case 2:
			w.acts++
			in = person(pipeline.Interaction{
				ID: fmt.Sprint("i", w.acts), Cases: []string{CaseID(uint64(rapid.IntRange(1, 4).Draw(t, "case")))}, Text: "x",
				Verb: rapid.SampledFrom([]pipeline.Verb{pipeline.VerbAck, pipeline.VerbClose, pipeline.VerbReopen, pipeline.VerbComment}).Draw(t, "verb"),
			})
		case 3:
			n := uint64(rapid.IntRange(1, 4).Draw(t, "case"))
			in = Input{Outcome: &pipeline.Outcome{
				Case: CaseID(n), Sink: "disk", N: uint64(rapid.IntRange(1, 3).Draw(t, "n")), Gen: 1, Rev: uint64(rapid.IntRange(1, 4).Draw(t, "rev")),
				Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: CaseID(n)},
			}}
		case 4:
			in = w.scan("target", w.now, w.drawSay(t), w.drawSay(t))
		default:
			in = w.report(w.drawSay(t))
		}
		in.Time = w.now
		switch {
		case in.Envelope != nil:
			findings++
			in.Findings = findings
		case in.Interaction != nil || in.Outcome != nil:
			inputs++
			in.Inputs = inputs
		}
		out = append(out, in)
	}
	return out
}

// differ shows the first line in which two dumps differ.
func differ(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is\n%s\nwant\n%s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines; want %d", len(g), len(w))
}

// run decides a script in batches of a size, over a state of its own.
func run(t *rapid.T, script []Input, size int) *Layer {
	w := newWorld(standard())
	for batch := range slices.Chunk(script, size) {
		if err := w.decide(slices.Clone(batch)...); err != nil {
			t.Fatalf("Decide = %v", err)
		}
	}
	return w.state
}

// positioned are the inputs that came by a stream: only those can come again.
func positioned(inputs []Input) []Input {
	return slices.DeleteFunc(slices.Clone(inputs), func(in Input) bool { return in.Findings == 0 && in.Inputs == 0 })
}

func TestBatchesOfAnySizeDecideTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inputs := script(t)
		want := dump(run(t, inputs, 1))
		for _, size := range []int{7, 500} {
			if got := dump(run(t, inputs, size)); got != want {
				t.Fatalf("batches of %d: %s", size, differ(got, want))
			}
		}
	})
}

func TestRedeliveryChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inputs := script(t)
		want := dump(run(t, inputs, 1))
		w := newWorld(standard())
		for i := 0; i < len(inputs); {
			n := min(len(inputs)-i, rapid.IntRange(1, 8).Draw(t, "batch"))
			// Messages that were applied already come before, and, after a crash between
			// commit and acknowledge, the batch itself comes again, in any order.
			again := rapid.Permutation(positioned(inputs[:i])).Draw(t, "again")
			batch := append(again[:min(len(again), 3)], inputs[i:i+n]...)
			if err := w.decide(batch...); err != nil {
				t.Fatalf("Decide = %v", err)
			}
			i += n
			before := dump(w.state)
			late := rapid.Permutation(positioned(inputs[:i])).Draw(t, "late")
			if err := w.decide(late...); err != nil {
				t.Fatalf("Decide of late messages = %v", err)
			}
			if !w.last.Empty() {
				t.Fatalf("Decide of messages at or below the position = %+v; want nothing", w.last)
			}
			if got := dump(w.state); got != before {
				t.Fatalf("late messages: %s", differ(got, before))
			}
		}
		if got := dump(w.state); got != want {
			t.Fatalf("with redelivery: %s", differ(got, want))
		}
	})
}

// TestDecidingTwiceChangesNothing: what has no position is harmless a second time.
func TestDecidingTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(standard())
		for _, in := range script(t) {
			in.Findings, in.Inputs = 0, 0
			if err := w.decide(in); err != nil {
				t.Fatalf("Decide = %v", err)
			}
			before := dump(w.state)
			if err := w.decide(in); err != nil {
				t.Fatalf("Decide again = %v", err)
			}
			if got := dump(w.state); got != before {
				t.Fatalf("the same input again: %s", differ(got, before))
			}
		}
	})
}

// TestOrderOfArrival: the reports of one problem give one result in every order.
func TestOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var says []say
		for range rapid.IntRange(2, 5).Draw(t, "reports") {
			says = append(says, say{
				product: products.Draw(t, "product"), id: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "id"),
				account: "1111", control: "EC2.1", resource: "r1", status: statuses.Draw(t, "status"),
				severity: severities.Draw(t, "severity"), first: start,
				observed: start.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "time")) * time.Hour),
			})
		}
		type result struct {
			status    pipeline.Status
			severity  pipeline.Severity
			title     string
			products  []string
			observed  time.Time
			counts    bool
			priority  pipeline.Priority
			openCases int
		}
		var want *result
		for _, order := range permutations(len(says)) {
			w := newWorld(standard())
			w.now = start.Add(3 * time.Hour)
			for _, i := range order {
				if err := w.decide(w.report(says[i])); err != nil {
					t.Fatalf("Decide = %v", err)
				}
			}
			h, _ := w.state.HotBySeq(1)
			rec, err := w.state.Record(1)
			if err != nil || rec == nil {
				t.Fatalf("Record(1) = %v, %v", rec, err)
			}
			f := rec.Finding()
			got := &result{
				status: f.Status, severity: f.Severity, title: f.Title, products: f.Products,
				counts: h.Member == Open, priority: 0,
			}
			for i := range h.Reports {
				if at := instant(h.Reports[i].Observed); at.After(got.observed) {
					got.observed = at
				}
			}
			if c, err := w.state.Case(h.Case); err == nil && c != nil && c.Open {
				got.openCases, got.priority = 1, c.wanted()
			}
			if slices.ContainsFunc(says, func(s say) bool { return s.status == pipeline.StatusUnproven }) {
				// An opinion neither opens nor closes: what it met when it came decides.
				got.counts, got.openCases, got.priority = false, 0, 0
			}
			if want == nil {
				want = got
			}
			if fmt.Sprint(*got) != fmt.Sprint(*want) {
				t.Fatalf("order %v gives %+v; want %+v", order, *got, *want)
			}
		}
	})
}

// permutations lists every order of n things.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			out = append(out, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return out
}

// TestUnchangedRepeatWritesOnlyTouches: a re-report that changes nothing costs next to nothing.
func TestUnchangedRepeatWritesOnlyTouches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &life{world: newWorld(standard())}
		var says []say
		for range rapid.IntRange(1, 6).Draw(t, "reports") {
			s := w.drawSay(t)
			s.threat = false
			if !slices.ContainsFunc(says, func(o say) bool { return o.product == s.product && o.id == s.id }) {
				says = append(says, s)
			}
		}
		scoped := rapid.Bool().Draw(t, "scoped")
		send := func() {
			in := w.report(says...)
			if scoped {
				in = w.scan("target", w.now, says...)
			}
			if err := w.decide(in); err != nil {
				t.Fatalf("Decide = %v", err)
			}
		}
		send()
		if _, err := w.deliver(); err != nil {
			t.Fatal(err)
		}
		if !scoped {
			for i := range says {
				says[i].observed = w.now.Add(time.Minute)
			}
		}
		send() // a scan of the same time: the same file read again
		cs := w.last
		if !scoped && len(cs.Touches) != len(says) {
			t.Fatalf("%d touches; want %d", len(cs.Touches), len(says))
		}
		cs.Touches, cs.Seen, cs.SeenEnded = nil, nil, nil
		if !cs.Empty() {
			t.Fatalf("an unchanged repeat writes %+v; want touches only", cs)
		}
		if verbs, err := w.deliver(); err != nil || len(verbs) > 0 {
			t.Fatalf("an unchanged repeat leads to %v, %v; want nothing", verbs, err)
		}
	})
}

// FuzzInputs reads bytes as a sequence of inputs: no panic, and the state holds.
func FuzzInputs(f *testing.F) {
	f.Add([]byte("r1r2i0o0t3s1p0"))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 3, 4, 90, 12, 250, 1, 0, 0, 7, 77})
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		w := &life{world: newWorld(standard())}
		actions := w.actions()
		var names []string
		for name := range actions {
			names = append(names, name)
		}
		slices.Sort(names)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			actions[rapid.SampledFrom(names).Draw(t, "action")](t)
		}
	}))
}
