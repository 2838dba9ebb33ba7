package triage

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"pgregory.net/rapid"
)

// duet is a world in which docket and people write the same records: actions are carried out one after the
// other, as the claims make it, while their outcomes, and readings, come late, twice, or in another order.
type duet struct {
	*life
	outcomes []pipeline.Outcome // of writes that are done, not applied yet
	readings []Input            // taken, perhaps applied already
}

// apply decides an input twice: the second time nothing happens.
func (w *duet) apply(t *rapid.T, what string, in Input) {
	w.check(t, what, in)
	before := dump(w.state)
	w.check(t, what+" again", in)
	if got := dump(w.state); got != before {
		t.Fatalf("%s again: %s", what, differ(got, before))
	}
}

// watched are the records in the sink that is read, by their ids.
func (w *duet) watched() []*ticketRow {
	var out []*ticketRow
	for _, row := range w.tickets {
		if len(row.ref.ID) > 5 && row.ref.ID[:5] == "jira/" {
			out = append(out, row)
		}
	}
	slices.SortFunc(out, func(a, b *ticketRow) int {
		if a.ref.ID < b.ref.ID {
			return -1
		}
		return 1
	})
	return out
}

func (w *duet) drawRow(t *rapid.T) *ticketRow {
	rows := w.watched()
	if len(rows) == 0 {
		return nil
	}
	return rows[rapid.IntRange(0, len(rows)-1).Draw(t, "record")]
}

func (w *duet) steps() map[string]func(*rapid.T) {
	all := w.actions()
	out := map[string]func(*rapid.T){}
	for _, name := range []string{"report", "again", "wait", "person", "exempt"} {
		out[name] = all[name]
	}
	out["issue"] = func(t *rapid.T) { w.check(t, "issue", Input{Issue: &Issue{}}) }
	out["write"] = w.drawWrite
	out["outcome"] = func(t *rapid.T) {
		if len(w.outcomes) == 0 {
			return
		}
		o := w.outcomes[0]
		w.outcomes = w.outcomes[1:]
		w.apply(t, fmt.Sprintf("outcome %s of action %d of %s in %s", o.Result, o.N, o.Case, o.Sink), Input{Outcome: &o})
	}
	out["edit"] = w.drawEdit
	out["read"] = func(t *rapid.T) {
		if row := w.drawRow(t); row != nil {
			in := Input{Reading: &Reading{Sink: "jira", Seen: row.read()}, Time: w.now}
			w.readings = append(w.readings, in)
			if rapid.IntRange(0, 3).Draw(t, "soon") > 0 {
				w.apply(t, "reading of "+row.ref.ID, in)
			}
		}
	}
	out["late"] = func(t *rapid.T) {
		if len(w.readings) > 0 {
			in := rapid.SampledFrom(w.readings).Draw(t, "reading")
			in.Time = w.now
			w.apply(t, "late reading of "+in.Reading.Seen.Ref.ID, in)
		}
	}
	return out
}

// drawWrite lets the tracker carry out the oldest action. What the worker says of it may be worse than the truth.
func (w *duet) drawWrite(t *rapid.T) {
	if len(w.pending) == 0 {
		return
	}
	a := w.pending[0]
	w.pending = w.pending[1:]
	_, o := w.write(a)
	if o.Result == pipeline.OutcomeDone && !a.Ticket.Ref.IsZero() && rapid.IntRange(0, 7).Draw(t, "lost") == 0 {
		o = pipeline.Outcome{Case: a.Case, Sink: a.Sink, N: a.N, Attempt: 1, Gen: a.Ticket.Gen, Rev: a.Ticket.Rev, Sent: written(&a.Ticket),
			Result: rapid.SampledFrom([]pipeline.OutcomeResult{pipeline.OutcomeRefused, pipeline.OutcomeUnknown}).Draw(t, "result")}
	}
	w.outcomes = append(w.outcomes, o)
}

func (w *duet) drawEdit(t *rapid.T) {
	row := w.drawRow(t)
	if row == nil {
		return
	}
	w.now = w.now.Add(time.Second)
	switch rapid.IntRange(0, 5).Draw(t, "edit") {
	case 0, 1, 2:
		row.set(w.now, "state", rapid.SampledFrom([]string{toDo, doing, done, wont}).Draw(t, "state"))
	case 3:
		row.set(w.now, "priority", rapid.SampledFrom([]string{"P1", "P4", "Blocker"}).Draw(t, "priority"))
	case 4:
		row.set(w.now, "assignee", rapid.SampledFrom([]string{"", "bob", "kim"}).Draw(t, "assignee"))
	case 5:
		w.acts++
		row.say(w.now, fmt.Sprint("c", w.acts), fmt.Sprint("word ", w.acts))
	}
}

// settle carries everything out, reads every record, and lets that be carried out, until nothing moves.
func (w *duet) settle(t *rapid.T) {
	for range 12 {
		for _, o := range w.outcomes {
			w.check(t, "outcome", Input{Outcome: &o})
		}
		w.outcomes = nil
		for n := uint64(1); n < w.state.Meta().NextCase; n++ {
			for _, sink := range []string{"disk", "jira"} { // what is stuck: a person says that the record is there
				if c, err := w.state.Case(n); err == nil && c != nil && c.Entries[sink] != nil {
					e := c.Entries[sink]
					w.check(t, "retry", person(pipeline.Interaction{Verb: pipeline.VerbRetry, Cases: []string{c.ID()}}))
					w.check(t, "resolve", person(pipeline.Interaction{Verb: pipeline.VerbResolveParked, Cases: []string{c.ID()}, Sink: sink, Ref: e.Ref}))
				}
			}
		}
		for _, row := range w.watched() {
			w.apply(t, "reading", Input{Reading: &Reading{Sink: "jira", Seen: row.read()}})
		}
		w.check(t, "issue", Input{Issue: &Issue{}})
		if len(w.pending) == 0 {
			return
		}
		rows := w.pending
		w.pending = nil
		for _, a := range rows {
			w.now = w.now.Add(time.Second)
			_, o := w.write(a)
			w.outcomes = append(w.outcomes, o)
		}
	}
	t.Fatalf("docket and people do not come to rest")
}

// TestPeopleAndDocketConverge: whatever docket and people do to the same records, and however late
// docket hears of it, in the end both say the same, and no group has two open tickets in a sink.
func TestPeopleAndDocketConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &duet{life: &life{world: newWorld(twoSinks())}}
		t.Repeat(w.steps())
		w.settle(t)
		open := map[string]string{}
		for _, row := range w.watched() {
			n, _ := ParseCaseID(row.last.Case)
			c, err := w.state.Case(n)
			if err != nil || c == nil {
				continue // purged
			}
			e := c.Entries["jira"]
			if e.Ref.ID != row.ref.ID {
				continue // given up by a person's word
			}
			if e.IsOpen == row.closed() {
				t.Fatalf("%s: open is %v in state, the record says %s", c.ID(), e.IsOpen, row.fields["state"])
			}
			if c.Open == row.closed() && !e.LeftOpen {
				t.Fatalf("%s: the case is open: %v; the record says %s", c.ID(), c.Open, row.fields["state"])
			}
			if p, ok := pipeline.ParsePriority(row.fields["priority"]); ok && c.Open && c.Priority != p {
				t.Fatalf("%s: priority %s; the record says %s", c.ID(), c.Priority, row.fields["priority"])
			}
			for _, x := range row.comments {
				if said := w.story(c.Number, x.Text); said != 1 {
					t.Fatalf("%s: the comment %q stands %d times in the story; want once", c.ID(), x.Text, said)
				}
			}
			if row.closed() || e.LeftOpen {
				continue
			}
			if other := open[c.Key]; other != "" {
				t.Fatalf("%s and %s of one group are both open", other, row.ref.ID)
			}
			open[c.Key] = row.ref.ID
		}
	})
}

// story counts the lines of a case's story that end with a text.
func (w *duet) story(n uint64, text string) int {
	count := 0
	for _, a := range w.state.AuditLines() {
		if a.Case == n && a.Kind == "comment" && len(a.Text) >= len(text) && a.Text[len(a.Text)-len(text):] == text {
			count++
		}
	}
	return count
}
