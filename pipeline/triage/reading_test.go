package triage

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

var update = flag.Bool("update", false, "rewrite golden files")

// lives are the rows of the table of people's acts: how a case came to be what it is when a person acts on its ticket.
func lives() []struct {
	name string
	live func(w *world) []any
} {
	threat := func(w *world) []Input { return []Input{w.report(say{resource: "r1", threat: true})} }
	closes := func(state string) func(w *world) { return func(w *world) { w.person("state", state) } }
	flaps := []any{open("r1"), hour, fixed("r1"), hour, open("r1"), hour, fixed("r1"), hour, open("r1"), hour, fixed("r1"), hour, open("r1"), hour, fixed("r1"), hour}
	fail := func(how pipeline.OutcomeResult, resource string) func(w *world) {
		return func(w *world) {
			w.failures["jira"] = how
			w.all(open(resource))
			delete(w.failures, "jira")
		}
	}
	type row = struct {
		name string
		live func(w *world) []any
	}
	steps := func(list ...any) func(w *world) []any { return func(*world) []any { return list } }
	return []row{
		{"open", steps(open("r1"), hour)},
		{"taken", steps(open("r1"), hour, does(pipeline.Interaction{Verb: pipeline.VerbAck}))},
		{"taken in the tracker", steps(open("r1"), hour, func(w *world) { w.person("state", doing) })},
		{"fixed", steps(open("r1"), hour, fixed("r1"), hour)},
		{"fixed, left open", steps(open("r1"), hour, fixed("r1"), hour, closes(toDo), hour)},
		{"fixed, left open, back", steps(open("r1"), hour, fixed("r1"), hour, closes(toDo), hour, open("r1"), hour)},
		{"accepted", steps(open("r1"), hour, exempts(90*day), hour)},
		{"closed by a person", steps(open("r1"), hour, closes(done), hour)},
		{"closed as wont fix", steps(open("r1"), hour, closes(wont), hour)},
		{"closed as wont fix, disputed", steps(open("r1"), hour, closes(wont), hour, open("r1"), hour)},
		{"closed by a person, reopened once", steps(open("r1"), hour, closes(done), 30*hour, open("r1"), hour)},
		{"closed twice, disputed", steps(open("r1"), hour, closes(done), 30*hour, open("r1"), hour, closes(done), hour, open("r1"), hour)},
		{"closed threat", steps(threat, hour, closes(done), hour)},
		{"closed by a person, the group has another case", steps(open("r1"), hour, closes(done), hour, open("r2"), hour)},
		{"recurring, quiet", steps(flaps...)},
		{"priority by a person", steps(open("r1"), hour, func(w *world) { w.person("priority", "P5") })},
		{"moved", steps(open("r1"), hour, becomes(func(k *config) { k.group = "resource" }), does(pipeline.Interaction{Verb: pipeline.VerbMove}), hour)},
		{"an update refused", steps(open("r1"), hour, fail(pipeline.OutcomeRefused, "r2"), hour)},
		{"an update parked", steps(open("r1"), hour, fail(pipeline.OutcomeUnknown, "r2"), hour)},
		{"deleted twice", steps(open("r1"), hour, deleted(open("r2")), hour, deleted(open("r3")), hour)},
	}
}

// acts are its columns: what a person does in the tracker.
func acts() []struct {
	name string
	do   func(w *world)
} {
	set := func(word, value string) func(*world) { return func(w *world) { w.person(word, value) } }
	return []struct {
		name string
		do   func(w *world)
	}{
		{"comment", func(w *world) {
			if row := w.row("jira", "DK-1"); row != nil {
				row.say(w.now, "c1", "why me?")
			}
		}},
		{"take", set("state", doing)},
		{"put back", set("state", toDo)},
		{"close", set("state", done)},
		{"wont fix", set("state", wont)},
		{"assign", set("assignee", "bob@example.com")},
		{"unassign", set("assignee", "")},
		{"priority", set("priority", "P2")},
		{"other priority", set("priority", "Blocker")},
		{"title", set("title", "mine")},
		{"delete", func(w *world) { w.remove("DK-1") }},
	}
}

// person changes a field of DK-1's record in the tracker.
func (w *world) person(word, value string) {
	if row := w.row("jira", "DK-1"); row != nil {
		row.set(w.now, word, value)
	}
}

// all decides inputs and delivers what they lead to; then the tracker is read, until nothing follows any more.
func (w *world) all(inputs func(*world) []Input) []string {
	var verbs []string
	if inputs != nil {
		w.must(inputs(w)...)
	}
	for range 6 {
		more, err := w.deliver()
		if err != nil {
			panic(err)
		}
		verbs = append(verbs, more...)
		w.now = w.now.Add(time.Minute)
		for n := uint64(1); n < w.state.Meta().NextCase; n++ {
			w.must(w.reads("jira", CaseID(n)))
		}
		if c, err := w.state.Case(1); err != nil || !c.Ready() {
			break
		}
	}
	return verbs
}

func (w *world) must(inputs ...Input) {
	for _, in := range inputs {
		if err := w.decide(in); err != nil {
			panic(err)
		}
	}
}

func (w *world) step(x any) {
	switch x := x.(type) {
	case time.Duration:
		w.now = w.now.Add(x)
		w.must(Input{Tick: true})
		w.all(nil)
	case func(*world) []Input:
		w.all(x)
	case func(*world):
		x(w)
		w.all(nil)
	}
}

func twoSinks() config {
	k := standard()
	k.sinks = []string{"disk", "jira"}
	return k
}

// TestPeopleInTheTracker is the life-cycle table's part of people's acts in a tracker: every act on the ticket
// of every kind of case. Each is heard of once by poll and once more by a late webhook, and the second
// time nothing happens.
func TestPeopleInTheTracker(t *testing.T) {
	var out strings.Builder
	for _, row := range lives() {
		w := newWorld(twoSinks())
		for _, x := range row.live(w) {
			w.step(x)
		}
		fmt.Fprintf(&out, "# %s\n  %s\n  %s\n", row.name, standingOf(t, w.state), w.tracker())
		for _, act := range acts() {
			w := newWorld(twoSinks())
			for _, x := range row.live(w) {
				w.step(x)
			}
			from, old := len(w.state.AuditLines()), w.reads("jira", "DK-1")
			clear(w.heard)
			act.do(w)
			late := w.reads("jira", "DK-1")
			verbs := w.all(func(*world) []Input { return []Input{late} })
			before := dump(w.state)
			for i, in := range []Input{late, old, w.reads("jira", "DK-1")} {
				w.must(in)
				if got := dump(w.state); got != before {
					t.Errorf("%s, %s: reading %d again: %s", row.name, act.name, i, differ(got, before))
				}
			}
			if bad := broken(w.state); len(bad) > 0 {
				t.Errorf("%s, %s: %q", row.name, act.name, bad)
			}
			fmt.Fprintf(&out, "## %s\n  %s\n  %s\n", act.name, standingOf(t, w.state), w.tracker())
			put := func(what string, lines []string) {
				for _, l := range lines {
					fmt.Fprintf(&out, "  %s %s\n", what, l)
				}
			}
			if len(verbs) > 0 {
				put("writes:", []string{strings.Join(verbs, ", ")})
			}
			put("disk hears:", w.heard["disk"])
			put("jira hears:", w.heard["jira"])
			for _, a := range w.state.AuditLines()[from:] {
				switch a.Kind {
				case "delivered", "ticket":
				default:
					fmt.Fprintf(&out, "  story: %s %s: %s\n", a.Kind, a.By, a.Text)
				}
			}
		}
	}
	path := filepath.Join("testdata", "people.golden")
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the table of people's acts: %s; review it, and rewrite it with -update", differ(out.String(), string(want)))
	}
}

// tracker shows DK-1's record in the tracker.
func (w *world) tracker() string {
	row := w.row("jira", "DK-1")
	if row == nil {
		return "no record"
	}
	f := row.fields
	return fmt.Sprintf("record: %s %s [%s] %q", f["state"], f["priority"], f["assignee"], f["title"])
}
