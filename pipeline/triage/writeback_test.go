package triage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

const backSink = "hub/write-back"

// toldOf runs fn, delivers, and is what the write-back told meanwhile: "ID STATUS: note" a line, with the case left out.
func (w *world) toldOf(t *testing.T, inputs ...Input) []string {
	t.Helper()
	w.marks = nil
	if err := w.decide(inputs...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range w.marks {
		_, note, _ := strings.Cut(m.Note, ": ")
		out = append(out, fmt.Sprintf("%s %s: %s", m.ID, m.Status, note))
	}
	return out
}

func backWorld() *world {
	k := standard()
	k.back = "Security Hub"
	return newWorld(k)
}

func hubSays(id, resource string, st pipeline.Status) say {
	return say{product: "Security Hub", id: id, resource: resource, status: st}
}

// ticketWords is how the tests' tracker calls the ticket of a case.
const ticketWords = "ticket DK-1"

func TestWriteBackFollowsTheCase(t *testing.T) {
	open, resolved := pipeline.StatusOpen, pipeline.StatusResolved
	exception := &pipeline.Suppression{Name: "legacy", When: "r1", Reason: "retired", By: "ann", Until: start.Add(20 * 24 * time.Hour)}
	type step struct {
		what  string
		after time.Duration
		in    func(w *world) Input
		want  []string
	}
	report := func(says ...say) func(*world) Input {
		return func(w *world) Input { return w.report(says...) }
	}
	act := func(in pipeline.Interaction) func(*world) Input {
		return func(*world) Input { return person(in) }
	}
	tick := func(*world) Input { return Input{Tick: true} }
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"fixed and back", []step{
			{"open", 0, report(hubSays("f1", "r1", open)), []string{"f1 NOTIFIED: " + ticketWords}},
			{"the same again", time.Hour, report(hubSays("f1", "r1", open)), nil},
			{"another one joins", time.Hour, report(hubSays("f2", "r2", open)), []string{"f2 NOTIFIED: " + ticketWords}},
			{"one is fixed", time.Hour, report(hubSays("f1", "r1", resolved)), []string{"f1 RESOLVED: fixed"}},
			{"all are", time.Hour, report(hubSays("f2", "r2", resolved)), []string{"f2 RESOLVED: fixed"}},
			{"one is back", time.Hour, report(hubSays("f2", "r2", open)), []string{"f2 NEW: the problem is back", "f2 NOTIFIED: " + ticketWords}},
		}},
		{"a person closes while it is still reported", []step{
			{"open", 0, report(hubSays("f1", "r1", open)), []string{"f1 NOTIFIED: " + ticketWords}},
			{"closed", time.Hour, act(pipeline.Interaction{Verb: pipeline.VerbClose, Cases: []string{"DK-1"}}),
				[]string{"f1 : ticket DK-1 was closed by ann@example.com; the problem is still reported"}},
			{"looked at again", time.Hour, report(hubSays("f1", "r1", open)), nil},
			{"reopened", 48 * time.Hour, tick, []string{"f1 NOTIFIED: " + ticketWords}},
			{"fixed", time.Hour, report(hubSays("f1", "r1", resolved)), []string{"f1 RESOLVED: fixed"}},
		}},
		{"an exception and its end", []step{
			{"open", 0, report(hubSays("f1", "r1", open)), []string{"f1 NOTIFIED: " + ticketWords}},
			{"accepted", time.Hour, act(pipeline.Interaction{Verb: pipeline.VerbSuppress, Suppression: exception}), nil},
			{"swept", 0, func(*world) Input { return Input{Sweep: 100} }, []string{"f1 SUPPRESSED: accepted by ann until 2026-03-22 (legacy): retired"}},
			{"looked at again", time.Hour, report(hubSays("f1", "r1", open)), nil},
			{"over", 21 * 24 * time.Hour, tick, []string{"f1 NEW: the exception is over, it counts again", "f1 NOTIFIED: " + ticketWords}},
			{"once more", time.Hour, report(hubSays("f1", "r1", open)), nil},
		}},
		{"another product's finding", []step{
			{"open", 0, report(say{product: "Prowler", id: "p1", resource: "r1"}), nil},
			{"the same by the hub", time.Hour, report(hubSays("f1", "r1", open)), []string{"f1 NOTIFIED: " + ticketWords}},
			{"one of both is fixed", time.Hour, report(hubSays("f1", "r1", resolved)), nil},
			{"it is back", time.Hour, report(hubSays("f1", "r1", open)), []string{"f1 NOTIFIED: " + ticketWords}},
			{"the other is fixed", time.Hour, report(say{product: "Prowler", id: "p1", resource: "r1", status: resolved}), nil},
			{"both are", time.Hour, report(hubSays("f1", "r1", resolved)), []string{"f1 RESOLVED: fixed"}},
		}},
		{"below tickets_from", []step{
			{"open", 0, report(say{product: "Security Hub", id: "f1", resource: "r1", severity: pipeline.Informational}), nil},
			{"fixed", time.Hour, report(say{product: "Security Hub", id: "f1", resource: "r1", severity: pipeline.Informational, status: resolved}), []string{"f1 RESOLVED: fixed"}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := backWorld()
			for _, s := range c.steps {
				w.now = w.now.Add(s.after)
				if got := w.toldOf(t, s.in(w)); !slices.Equal(got, s.want) {
					t.Fatalf("%s: told %q; want %q", s.what, got, s.want)
				}
				if bad := broken(w.state); len(bad) > 0 {
					t.Fatalf("%s: %q", s.what, bad)
				}
			}
		})
	}
}

// A product that is told to archive says that the problem is gone, which is no evidence.
func TestWriteBackEcho(t *testing.T) {
	w := backWorld()
	w.config.echoes = true
	exception := &pipeline.Suppression{Name: "legacy", When: "r1", Reason: "retired", By: "ann", Until: start.Add(24 * time.Hour)}
	w.toldOf(t, w.report(hubSays("f1", "r1", pipeline.StatusOpen)))
	w.toldOf(t, person(pipeline.Interaction{Verb: pipeline.VerbSuppress, Suppression: exception}), Input{Sweep: 10})
	w.now = w.now.Add(time.Hour)
	if got := w.toldOf(t, w.report(hubSays("f1", "r1", pipeline.StatusResolved))); got != nil {
		t.Fatalf("its own archiving: told %q; want nothing", got)
	}
	w.now = w.now.Add(48 * time.Hour)
	want := []string{"f1 NEW: the exception is over, it counts again", "f1 NOTIFIED: " + ticketWords}
	if got := w.toldOf(t, Input{Tick: true}); !slices.Equal(got, want) {
		t.Fatalf("at the end of the exception: told %q; want %q", got, want)
	}
	w.now = w.now.Add(time.Hour)
	if got := w.toldOf(t, w.report(hubSays("f1", "r1", pipeline.StatusResolved))); !slices.Equal(got, []string{"f1 RESOLVED: fixed"}) {
		t.Fatalf("a person archives it: told %q; want it resolved", got)
	}
}

// A case of thousands is told in parts, each finding once; a change in the middle is told once more and nothing else is.
func TestWriteBackOfALargeCase(t *testing.T) {
	w := backWorld()
	const n = 1234
	var says []say
	for i := range n {
		says = append(says, hubSays(fmt.Sprintf("f%d", i), fmt.Sprintf("r%d", i), pipeline.StatusOpen))
	}
	got := w.toldOf(t, w.report(says...))
	slices.Sort(got)
	if len(got) != n || len(slices.Compact(got)) != n {
		t.Fatalf("%d marks; want one for each of %d findings", len(got), n)
	}
	for _, a := range w.state.Outbox() {
		if len(a.Ticket.Marks) > pipeline.MarksAtOnce {
			t.Errorf("action %d of %s has %d marks; want at most %d", a.N, a.Sink, len(a.Ticket.Marks), pipeline.MarksAtOnce)
		}
	}
	w.now = w.now.Add(time.Hour)
	for i := range says {
		says[i].status = pipeline.StatusResolved
	}
	if got := w.toldOf(t, w.report(says[:700]...)); len(got) != 700 {
		t.Errorf("after 700 were fixed: %d marks; want 700", len(got))
	}
	if got := w.toldOf(t, w.report(says[:700]...)); len(got) != 0 {
		t.Errorf("the same again: %d marks; want none", len(got))
	}
}

// What ended without a yes is told again, all of it, once a person or other settings say so.
func TestWriteBackFailures(t *testing.T) {
	for _, c := range []struct {
		name  string
		how   pipeline.OutcomeResult
		again Input
	}{
		{"refused", pipeline.OutcomeRefused, person(pipeline.Interaction{Verb: pipeline.VerbRetry, Cases: []string{"DK-1"}})},
		{"not known", pipeline.OutcomeUnknown, person(pipeline.Interaction{Verb: pipeline.VerbRetry, Cases: []string{"DK-1"}})},
		{"decided", pipeline.OutcomeUnknown, person(pipeline.Interaction{Verb: pipeline.VerbResolveParked, Cases: []string{"DK-1"}, Sink: backSink})},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := backWorld()
			w.failures[backSink] = c.how
			w.toldOf(t, w.report(hubSays("f1", "r1", pipeline.StatusOpen), hubSays("f2", "r2", pipeline.StatusOpen)))
			delete(w.failures, backSink)
			ticket := w.tickets["disk/"+w.key(t, 1)].last.Rev
			if got := w.toldOf(t, w.report(hubSays("f1", "r1", pipeline.StatusOpen))); got != nil {
				t.Fatalf("before anybody said so: told %q; want nothing", got)
			}
			want := []string{"f1 NOTIFIED: " + ticketWords, "f2 NOTIFIED: " + ticketWords}
			if got := w.toldOf(t, c.again); !slices.Equal(got, want) {
				t.Errorf("told %q; want %q", got, want)
			}
			if rev := w.tickets["disk/"+w.key(t, 1)].last.Rev; rev != ticket {
				t.Errorf("the ticket's revision = %d; want %d, nothing of it is news", rev, ticket)
			}
		})
	}
}

func (w *world) key(t *testing.T, number uint64) string {
	c, err := w.state.Case(number)
	if err != nil || c == nil {
		t.Fatalf("Case(%d) = %v, %v", number, c, err)
	}
	return pipeline.TicketKey("test", c.Key, c.Gen)
}

// An action whose message was lost is no action any more: the next one says what is to be said by then.
func TestWriteBackReissued(t *testing.T) {
	w := backWorld()
	w.toldOf(t, w.report(hubSays("f1", "r1", pipeline.StatusOpen)))
	w.now = w.now.Add(time.Hour)
	if err := w.decide(w.report(hubSays("f1", "r1", pipeline.StatusResolved)), Input{Issue: &Issue{}}); err != nil {
		t.Fatal(err)
	}
	rows := w.state.Outbox()[w.taken:]
	w.taken = len(w.state.Outbox())
	lost := rows[slices.IndexFunc(rows, func(a pipeline.Action) bool { return a.Sink == backSink })]
	got := w.toldOf(t, Input{Reissue: []Reissue{{Case: 1, Sink: backSink, N: lost.N}}})
	if want := []string{"f1 RESOLVED: fixed"}; !slices.Equal(got, want) {
		t.Fatalf("told %q; want %q", got, want)
	}
	late := pipeline.Outcome{Case: "DK-1", Sink: backSink, N: lost.N, Gen: lost.Ticket.Gen, Rev: lost.Ticket.Rev, Result: pipeline.OutcomeRefused}
	if got := w.toldOf(t, Input{Outcome: &late}); got != nil {
		t.Errorf("a late outcome: told %q; want nothing", got)
	}
}

// Turned on later, a write-back tells of what is open; turned off, of nothing, and nothing stays under way.
func TestWriteBackTurnedOnAndOff(t *testing.T) {
	w := newWorld(standard())
	w.toldOf(t, w.report(hubSays("f1", "r1", pipeline.StatusOpen)))
	w.config.back, w.config.hash = "Security Hub", "c2"
	if got := w.toldOf(t, Input{Config: &ConfigChange{Hash: "c2"}}, Input{Sweep: 10}); !slices.Equal(got, []string{"f1 NOTIFIED: " + ticketWords}) {
		t.Errorf("turned on: told %q; want it notified", got)
	}
	w.config.back, w.config.hash = "", "c3"
	w.now = w.now.Add(time.Hour)
	if got := w.toldOf(t, Input{Config: &ConfigChange{Hash: "c3"}}, Input{Sweep: 10}, w.report(hubSays("f1", "r1", pipeline.StatusResolved))); got != nil {
		t.Errorf("turned off: told %q; want nothing", got)
	}
	c, err := w.state.Case(1)
	if err != nil || !c.AtRest() || c.Stuck() || c.Ready() {
		t.Errorf("turned off: case at rest %v, stuck %v, ready %v, %v; want it at rest", c.AtRest(), c.Stuck(), c.Ready(), err)
	}
}

// It is no ticket: it waits for no room, takes none, and a case that waits for room is told of by nothing.
func TestWriteBackIsNoTicket(t *testing.T) {
	w := backWorld()
	w.config.limits.PerHour = 1
	w.config.group = "resource"
	got := w.toldOf(t, w.report(hubSays("f1", "r1", pipeline.StatusOpen), hubSays("f2", "r2", pipeline.StatusOpen)))
	if want := []string{"f1 NOTIFIED: " + ticketWords}; !slices.Equal(got, want) {
		t.Errorf("told %q; want %q", got, want)
	}
	c, err := w.state.Case(2)
	if err != nil || c.Held != heldLimit {
		t.Errorf("the second case is held for %q, %v; want %q", c.Held, err, heldLimit)
	}
	team := w.state.Team("sec")
	if made := team.CreatedSince(w.now); made != 1 {
		t.Errorf("%d tickets counted; want 1", made)
	}
}

// untold says which members of a case at rest were not told what they should be.
func (w *life) untold(c *Case) []string {
	e := c.Entries[backSink]
	if e == nil || e.St != Idle || e.GivenUp != "" || w.config.back == "" {
		return nil
	}
	var out []string
	d := &decider{r: w.config.rules(), l: NewLayer(w.state), now: w.now}
	err := d.l.Members(c.Number, func(m Member) bool {
		row := m.Told[backSink]
		want, err := d.wants(c, &m, lastTold(row), false)
		h, _ := w.state.HotBySeq(m.Seq)
		switch marks, _ := d.named(backSink, m.Seq); {
		case err != nil:
			out = append(out, err.Error())
		case e.Back.Off && h.Case != c.Number: // it left while the write-back was off: where it is now, it is told of
		case m.Status == Resolved && row == "": // before the write-back was turned on
		case want.word != "" && row != want.row(e.Back.Epoch) && len(marks) > 0:
			out = append(out, fmt.Sprintf("finding %d was told %q in epoch %d; want %q", m.Seq, row, e.Back.Epoch, want.word))
		}
		return true
	})
	if err != nil {
		out = append(out, err.Error())
	}
	return out
}
