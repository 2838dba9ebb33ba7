package triage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// carry writes the actions that are issued, and keeps their outcomes from triage.
func (w *world) carry(t *testing.T) []Input {
	t.Helper()
	w.must(Input{Issue: &Issue{}})
	var out []Input
	for _, a := range w.state.Outbox()[w.taken:] {
		_, o := w.write(a)
		o.Sent = written(&a.Ticket)
		out = append(out, Input{Outcome: &o})
	}
	w.taken = len(w.state.Outbox())
	return out
}

// lost makes an outcome one that does not know what is held, though the write took effect.
func lost(o *pipeline.Outcome, how pipeline.OutcomeResult) {
	o.Result, o.Held, o.Updated = how, nil, time.Time{}
}

// about is what a test compares: the case, and its entry in the sink that is read.
func (w *world) about(t *testing.T) string {
	t.Helper()
	c, err := w.state.Case(1)
	if err != nil || c == nil {
		t.Fatalf("Case(1) = %v, %v", c, err)
	}
	word := "open"
	if !c.Open {
		word = string(c.Closed)
	}
	word += " " + c.Priority.String()
	if c.Ack != nil {
		word += " taken by " + c.Ack.By
	}
	e := c.Entries["jira"]
	word += " " + string(e.St)
	if e.Waiting != nil {
		word += " waiting"
	}
	if !e.Twin.IsZero() {
		word += " twin " + e.Twin.ID
	}
	if e.Again {
		word += " again"
	}
	return word
}

// TestReadings: what a reading means depends on what docket wrote, not on who is named in it.
func TestReadings(t *testing.T) {
	begin := func(t *testing.T, w *world) {
		w.all(open("r1"))
		w.now = w.now.Add(hour)
	}
	update := func(t *testing.T, w *world) []Input { // an update is written, its outcome is under way
		w.must(open("r2")(w)...)
		return w.carry(t)
	}
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, w *world)
		want string
	}{
		{"the late echo of our own close, after the finding came back", func(t *testing.T, w *world) {
			begin(t, w)
			w.must(fixed("r1")(w)...)
			outcomes := w.carry(t)
			echo := w.reads("jira", "DK-1")
			w.must(outcomes...)
			w.now = w.now.Add(hour)
			w.all(open("r1"))
			w.must(echo)
		}, "open P3 idle"},
		{"the echo of our own close overtakes its outcome", func(t *testing.T, w *world) {
			begin(t, w)
			w.must(fixed("r1")(w)...)
			outcomes := w.carry(t)
			w.must(w.reads("jira", "DK-1"))
			w.must(outcomes...)
		}, "fixed P3 idle"},
		{"a webhook about a new record overtakes the outcome of its create", func(t *testing.T, w *world) {
			w.must(open("r1")(w)...)
			outcomes := w.carry(t)
			w.now = w.now.Add(time.Second)
			w.person("state", doing)
			w.must(w.reads("jira", "DK-1"))
			if got := w.about(t); got != "open P3 inflight waiting" {
				t.Errorf("before the outcome the case is %q; want the reading to wait", got)
			}
			w.must(outcomes...)
		}, "open P3 taken by eve@example.com idle"},
		{"the create is refused although the record is there: the reading names it", func(t *testing.T, w *world) {
			w.must(open("r1")(w)...)
			outcomes := w.carry(t)
			w.must(w.reads("jira", "DK-1"))
			for _, in := range outcomes {
				in.Outcome.Result, in.Outcome.Ref, in.Outcome.Held = pipeline.OutcomeRefused, pipeline.Ref{}, nil
				w.must(in)
			}
		}, "open P3 idle waiting again"},
		{"closed while our update was under way", func(t *testing.T, w *world) {
			begin(t, w)
			outcomes := update(t, w)
			w.now = w.now.Add(time.Second)
			w.person("state", done)
			w.must(w.reads("jira", "DK-1"))
			w.must(outcomes...)
		}, "person P3 idle"},
		{"our user closes it by hand: the author decides nothing", func(t *testing.T, w *world) {
			begin(t, w)
			w.person("state", done)
			in := w.reads("jira", "DK-1")
			in.Reading.Seen.Acts = map[string]pipeline.Act{"state": {By: "docket@example.com"}}
			w.must(in)
		}, "person P3 idle"},
		{"a value that a refused update may have written is ours", func(t *testing.T, w *world) {
			begin(t, w)
			w.must(open("r1 CRITICAL")(w)...)
			for _, in := range w.carry(t) {
				lost(in.Outcome, pipeline.OutcomeRefused)
				w.must(in)
			}
			w.must(w.reads("jira", "DK-1"))
			if c, _ := w.state.Case(1); c.PriorityBy != "" {
				t.Errorf("the priority was set by %q; want nobody", c.PriorityBy)
			}
		}, "open P1 dead"},
		{"older than our last write: it is read again later", func(t *testing.T, w *world) {
			begin(t, w)
			w.person("priority", "P1")
			old := w.reads("jira", "DK-1")
			w.now = w.now.Add(time.Minute)
			w.person("priority", "P3")
			w.all(open("r2"))
			w.must(old)
		}, "open P3 idle"},
		{"a second record with this ticket's key", func(t *testing.T, w *world) {
			begin(t, w)
			in := w.reads("jira", "DK-1")
			in.Reading.Seen.Ref = pipeline.Ref{ID: "copy"}
			w.must(in)
			in.Reading.Seen.Closed = true // linked and closed it says nothing more
			w.must(in)
		}, "open P3 idle twin copy"},
		{"a closed second record is done with", func(t *testing.T, w *world) {
			begin(t, w)
			in := w.reads("jira", "DK-1")
			in.Reading.Seen.Ref, in.Reading.Seen.Closed = pipeline.Ref{ID: "copy"}, true
			w.must(in)
		}, "open P3 idle"},
		{"a record of another installation, and one that was given up", func(t *testing.T, w *world) {
			begin(t, w)
			for _, key := range []string{"docket-00000000000000000000", "", pipeline.TicketKey("test", "sec|1111/EC2.1", 7)} {
				in := w.reads("jira", "DK-1")
				in.Reading.Seen.Ref, in.Reading.Seen.Key = pipeline.Ref{ID: "other"}, key
				w.must(in)
			}
		}, "open P3 idle"},
		{"a case that does not exist, a sink that it has not", func(t *testing.T, w *world) {
			begin(t, w)
			in := w.reads("jira", "DK-1")
			in.Reading.Seen.Case = "DK-99"
			w.must(in)
			in = w.reads("jira", "DK-1")
			in.Reading.Sink = "snow"
			w.must(in)
			in.Reading.Seen.Case = "none"
			w.must(in)
		}, "open P3 idle"},
		{"a source looked again between the close and docket's hearing of it", func(t *testing.T, w *world) {
			begin(t, w)
			w.person("state", done)
			w.now = w.now.Add(30 * hour)
			w.must(open("r1")(w)...)
			w.now = w.now.Add(time.Minute)
			w.all(func(w *world) []Input { return []Input{w.reads("jira", "DK-1")} })
			if row := w.row("jira", "DK-1"); row.closed() {
				t.Errorf("the record is %s; want it reopened", row.fields["state"])
			}
			if said := strings.Join(w.heard["jira"], "\n"); strings.Count(said, "still reports it") != 1 {
				t.Errorf("the ticket says %q; want once why it was reopened", said)
			}
		}, "open P3 idle"},
		{"the same, closed as wont fix", func(t *testing.T, w *world) {
			begin(t, w)
			w.person("state", wont)
			w.now = w.now.Add(30 * hour)
			w.must(open("r1")(w)...)
			w.now = w.now.Add(time.Minute)
			w.must(w.reads("jira", "DK-1"))
			if c, _ := w.state.Case(1); c.Disputed == "" {
				t.Error("the case is not disputed; want it to ask for a suppression with an end")
			}
		}, "person P3 idle"},
		{"moved to another project", func(t *testing.T, w *world) {
			begin(t, w)
			in := w.reads("jira", "DK-1")
			in.Reading.Seen.Ref.Key = "PAY-3"
			w.must(in)
			if c, _ := w.state.Case(1); c.Entries["jira"].Ref.Key != "PAY-3" {
				t.Errorf("the ticket is called %s; want PAY-3", c.Entries["jira"].Ref.Key)
			}
		}, "open P3 idle"},
		{"a reading with a clock ahead of ours", func(t *testing.T, w *world) {
			begin(t, w)
			w.row("jira", "DK-1").set(w.now.Add(48*hour), "state", done)
			w.must(w.reads("jira", "DK-1"))
			if c, _ := w.state.Case(1); c.Person == nil || c.Person.At.After(w.now) {
				t.Errorf("closed at %v; want no later than now", c.Person)
			}
		}, "person P3 idle"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(twoSinks())
			tc.do(t, w)
			if got := w.about(t); got != tc.want {
				t.Errorf("the case is %q; want %q", got, tc.want)
			}
			if bad := broken(w.state); len(bad) > 0 {
				t.Errorf("the state is broken: %q", bad)
			}
		})
	}
}

// TestCommentsOnceInOrder: comments are taken over once each, oldest first, whatever a reading brings again.
func TestCommentsOnceInOrder(t *testing.T) {
	w := newWorld(twoSinks())
	w.all(open("r1"))
	row := w.row("jira", "DK-1")
	at := w.now.Add(hour)
	for i, id := range []string{"b", "a", "c"} { // two of one instant, and one later
		row.say(at.Add(time.Duration(i/2)*time.Second), id, "word "+id)
	}
	slices.Reverse(row.comments)
	w.now = at.Add(hour)
	part := w.reads("jira", "DK-1")
	part.Reading.Seen.Comments = part.Reading.Seen.Comments[1:] // a page without the newest
	for _, in := range []Input{part, w.reads("jira", "DK-1"), part, w.reads("jira", "DK-1")} {
		w.must(in)
	}
	var got []string
	for _, a := range w.state.AuditLines() {
		if a.Kind == "comment" {
			got = append(got, a.Text[len(a.Text)-1:])
		}
	}
	slices.Sort(got[:min(len(got), 2)])
	if want := "[a b c]"; fmt.Sprint(got) != want {
		t.Errorf("comments in the story = %v; want %s", got, want)
	}
}

// TestSentRemembersAttempts: a ticket carries what earlier attempts may have written, until an outcome says what is held.
func TestSentRemembersAttempts(t *testing.T) {
	w := newWorld(twoSinks())
	w.all(open("r1"))
	sent := func() []pipeline.Fields {
		t.Helper()
		rows := w.state.Outbox()
		for i := len(rows) - 1; i >= 0; i-- {
			if rows[i].Sink == "jira" {
				return rows[i].Ticket.Sent
			}
		}
		return nil
	}
	fail := func(resources ...string) {
		t.Helper()
		w.must(open(resources...)(w)...)
		for _, in := range w.carry(t) {
			lost(in.Outcome, pipeline.OutcomeRefused)
			w.must(in)
		}
		w.must(does(pipeline.Interaction{Verb: pipeline.VerbRetry})(w)...)
	}
	fail("r1 HIGH")
	fail("r1 CRITICAL")
	w.carryAll(t)
	var priorities []string
	for _, f := range sent() {
		priorities = append(priorities, f["priority"])
	}
	if want := "[P2 P1]"; fmt.Sprint(priorities) != want {
		t.Errorf("Ticket.Sent has the priorities %v; want %s", priorities, want)
	}
	w.must(open("r9")(w)...)
	w.carryAll(t)
	if got := sent(); len(got) != 0 {
		t.Errorf("Ticket.Sent after an outcome = %v; want nothing", got)
	}
	for i := range 2 * sentKept {
		fail(fmt.Sprintf("q%d", i), []string{"r1 LOW", "r1 CRITICAL"}[i%2])
	}
	if c, err := w.state.Case(1); err != nil || len(c.Entries["jira"].Sent) > sentKept {
		t.Errorf("%d attempts are remembered (%v); want at most %d", len(c.Entries["jira"].Sent), err, sentKept)
	}
}

// carryAll writes what is issued and applies the outcomes.
func (w *world) carryAll(t *testing.T) {
	t.Helper()
	w.must(w.carry(t)...)
}
