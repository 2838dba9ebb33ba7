package triage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// step is one thing that happens: time passes (and ticks), then inputs come, then what is due is delivered.
type step struct {
	after   time.Duration
	inputs  func(w *world) []Input
	verbs   string   // what happens to tickets, in order
	state   string   // every case as standing describes it
	says    []string // parts of the comments that are written
	silence bool     // no comment is written
}

// situation is a row of the life-cycle table.
type situation struct {
	name   string
	config func(*config)
	steps  []step
}

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// reports are reports of these resources, each with an optional severity: "r1 HIGH".
func reports(status pipeline.Status, resources ...string) func(w *world) []Input {
	return func(w *world) []Input {
		var out []Input
		for _, r := range resources {
			out = append(out, w.report(word(status, r)))
		}
		return out
	}
}

func word(status pipeline.Status, text string) say {
	name, severity, _ := strings.Cut(text, " ")
	v, _ := pipeline.ParseSeverity(severity)
	return say{resource: name, status: status, severity: v}
}

func open(resources ...string) func(w *world) []Input {
	return reports(pipeline.StatusOpen, resources...)
}
func fixed(resources ...string) func(w *world) []Input {
	return reports(pipeline.StatusResolved, resources...)
}

// scanned is a whole read of the target, so long ago, that found these.
func scanned(ago time.Duration, resources ...string) func(w *world) []Input {
	return func(w *world) []Input {
		var says []say
		for _, r := range resources {
			says = append(says, word(pipeline.StatusOpen, r))
		}
		return []Input{w.scan("target", w.now.Add(-ago), says...)}
	}
}

// milder is a scan of now in which the last resource is reported below what the source takes in.
func milder(status pipeline.Status, resources ...string) func(w *world) []Input {
	return func(w *world) []Input {
		in := scanned(0, resources...)(w)
		it := &in[0].Envelope.Items[len(resources)-1]
		it.Mild, it.Severity = true, pipeline.Low
		if it.Status = status; status == pipeline.StatusResolved {
			says := word(status, resources[len(resources)-1])
			says.severity, says.observed, says.first, says.scope = pipeline.Low, w.now, start, "target"
			it.Data = w.filled(says).item().Data
		} else {
			it.Data = nil
		}
		return in
	}
}

// asked is a whole read of an interface that gives each record the time of its last change.
func asked(ago time.Duration, resources ...string) func(w *world) []Input {
	return func(w *world) []Input {
		in := w.scan("aws/hub/1/eu", w.now)
		for _, r := range resources {
			says := word(pipeline.StatusOpen, r)
			says.scope, says.observed = "aws/hub/1/eu", w.now.Add(-ago)
			in.Envelope.Items = append(in.Envelope.Items, w.filled(says).item())
		}
		in.Envelope.Scans[0].Count = len(resources)
		return []Input{in}
	}
}

// faulty is a scan of now whose marker is changed.
func faulty(change func(*pipeline.Scan), resources ...string) func(w *world) []Input {
	return func(w *world) []Input {
		in := scanned(0, resources...)(w)
		change(&in[0].Envelope.Scans[0])
		return in
	}
}

func does(in pipeline.Interaction) func(w *world) []Input {
	return func(w *world) []Input {
		if in.Cases == nil {
			in.Cases = []string{"DK-1"}
		}
		return []Input{person(in)}
	}
}

func exempts(until time.Duration) func(w *world) []Input {
	return func(w *world) []Input {
		s := &pipeline.Suppression{Name: "old", When: "r1", Reason: "retired", By: "bob", Until: w.now.Add(until)}
		return []Input{person(pipeline.Interaction{Verb: pipeline.VerbSuppress, Suppression: s}), {Sweep: 100}}
	}
}

// becomes is another configuration, swept to its end.
func becomes(change func(*config)) func(w *world) []Input {
	return func(w *world) []Input {
		change(&w.config)
		w.config.hash += "+"
		return []Input{{Config: &ConfigChange{Hash: w.config.hash}}, {Sweep: 100}}
	}
}

func fails(how pipeline.OutcomeResult, resources ...string) func(w *world) []Input {
	return func(w *world) []Input {
		w.failures["disk"] = how
		return open(resources...)(w)
	}
}

func deleted(then func(w *world) []Input) func(w *world) []Input {
	return func(w *world) []Input {
		w.remove("DK-1")
		return then(w)
	}
}

func removal() func(w *world) []Input {
	return func(w *world) []Input {
		return []Input{person(pipeline.Interaction{Verb: pipeline.VerbUnsuppress, Suppression: &pipeline.Suppression{Name: "old"}})}
	}
}

// standingOf describes every case: "DK-1 open P3 r1:open r2:resolved" and what else is remarkable.
func standingOf(t *testing.T, l *Layer) string {
	t.Helper()
	var out []string
	for n := uint64(1); n < l.Meta().NextCase; n++ {
		c, err := l.Case(n)
		if err != nil {
			t.Fatalf("Case(%d) = %v", n, err)
		}
		if c == nil {
			out = append(out, CaseID(n)+" purged")
			continue
		}
		w := []string{c.ID(), "open", c.Priority.String()}
		if !c.Open {
			w[1] = string(c.Closed)
		}
		if err := l.Members(n, func(m Member) bool {
			w = append(w, m.Line.Resource+":"+m.Status.String())
			return true
		}); err != nil {
			t.Fatalf("Members(%d) = %v", n, err)
		}
		flag := func(on bool, word string) {
			if on {
				w = append(w, word)
			}
		}
		flag(c.Digest, fmt.Sprintf("digest of %d", c.Total))
		flag(c.Held != "", "held:"+c.Held)
		flag(c.Recurring, "recurring")
		flag(c.Disputed != "", "disputed")
		flag(c.Ack != nil, "acked")
		flag(!c.Snooze.IsZero(), "snoozed")
		flag(c.Previous != 0, "after "+CaseID(c.Previous))
		for _, sink := range slices.Sorted(maps.Keys(c.Entries)) {
			e := c.Entries[sink]
			flag(e.St != Idle, sink+":"+string(e.St))
			flag(sink != "disk" && e.St == Idle, sink)
			flag(e.GivenUp != "", sink+":given up as "+string(e.GivenUp))
		}
		out = append(out, strings.Join(w, " "))
	}
	return strings.Join(out, "; ")
}

// TestLifeCycle is the life-cycle table: what happens to a case and its ticket, situation by situation.
func TestLifeCycle(t *testing.T) {
	for _, s := range slices.Concat(findingRows(), scanRows(), exceptionRows(), ticketRows(), peopleRows(), ruleRows()) {
		t.Run(s.name, func(t *testing.T) {
			k := standard()
			if s.config != nil {
				s.config(&k)
			}
			w := newWorld(k)
			for i, st := range s.steps {
				w.take(t, i+1, st)
			}
		})
	}
}

func (w *world) take(t *testing.T, n int, st step) {
	t.Helper()
	w.comments = nil
	if st.after > 0 {
		w.now = w.now.Add(st.after)
		if err := w.decide(Input{Tick: true}); err != nil {
			t.Fatalf("step %d: tick = %v", n, err)
		}
	}
	if st.inputs != nil {
		for _, in := range st.inputs(w) {
			if err := w.decide(in); err != nil {
				t.Fatalf("step %d: Decide = %v", n, err)
			}
		}
	}
	verbs, err := w.deliver()
	if err != nil {
		t.Fatalf("step %d: %v", n, err)
	}
	if got := strings.Join(verbs, ", "); got != st.verbs {
		t.Errorf("step %d: tickets = %q; want %q", n, got, st.verbs)
	}
	if got := standingOf(t, w.state); got != st.state {
		t.Errorf("step %d: state = %q; want %q", n, got, st.state)
	}
	said := strings.Join(w.comments, "\n")
	for _, want := range st.says {
		if !strings.Contains(said, want) {
			t.Errorf("step %d: comments = %q; want %q in them", n, said, want)
		}
	}
	if st.silence && said != "" {
		t.Errorf("step %d: comments = %q; want none", n, said)
	}
	if bad := broken(w.state); len(bad) > 0 {
		t.Errorf("step %d: %q", n, bad)
	}
}

func findingRows() []situation {
	return []situation{
		{"join", nil, []step{
			{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open", silence: true},
			{inputs: open("r2", "r3"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:open r3:open", says: []string{"2 findings joined; 3 open now", "r2"}},
			{after: hour, inputs: open("r1", "r2", "r3"), state: "DK-1 open P3 r1:open r2:open r3:open", silence: true},
		}},
		{"leave", nil, []step{
			{inputs: open("r1", "r2"), verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open"},
			{after: hour, inputs: fixed("r1"), verbs: "update DK-1", state: "DK-1 open P3 r1:resolved r2:open", says: []string{"1 finding resolved; 1 open now", "r1"}},
		}},
		{"priority up at once, down after a quiet day", nil, []step{
			{inputs: open("r1", "r2"), verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open"},
			{after: hour, inputs: open("r1 CRITICAL"), verbs: "update DK-1", state: "DK-1 open P1 r1:open r2:open", says: []string{"rises from P3 to P1"}},
			{after: hour, inputs: fixed("r1 CRITICAL"), verbs: "update DK-1", state: "DK-1 open P1 r1:resolved r2:open"},
			{after: 23 * hour, state: "DK-1 open P1 r1:resolved r2:open"},
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbComment, Text: "hm"}), verbs: "update DK-1", state: "DK-1 open P1 r1:resolved r2:open", says: []string{"hm"}},
			{after: hour, verbs: "update DK-1", state: "DK-1 open P3 r1:resolved r2:open", says: []string{"falls from P1 to P3"}},
		}},
		{"all resolved", nil, []step{
			{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved", says: []string{"Closed as fixed: resolved reported by Scanner at 2026-03-02T10:00:00Z"}},
		}},
		{"back within the window", nil, []step{
			{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved"},
			{after: 6 * day, inputs: open("r1"), verbs: "reopen DK-1", state: "DK-1 open P3 r1:open", says: []string{"Reopened", "r1"}},
		}},
		{"back later", nil, []step{
			{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved"},
			{after: 8 * day, inputs: open("r1"), verbs: "create DK-2", state: "DK-1 fixed P3 r1:resolved; DK-2 open P3 r1:open after DK-1"},
		}},
		{"another finding of the group within the window", nil, []step{
			{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved"},
			{after: day, inputs: open("r2"), verbs: "reopen DK-1", state: "DK-1 open P3 r1:resolved r2:open"},
		}},
		{"flapping", nil, []step{
			{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved"},
			{after: hour, inputs: open("r1"), verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved"},
			{after: hour, inputs: open("r1"), verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved"},
			{after: hour, inputs: open("r1"), verbs: "reopen DK-1", state: "DK-1 open P2 r1:open recurring", says: []string{"Came back 3 times", "rises from P3 to P2"}},
			{after: hour, inputs: fixed("r1"), verbs: "update DK-1", state: "DK-1 open P2 r1:resolved recurring"},
			{after: 6 * day, state: "DK-1 open P2 r1:resolved recurring"},
			{after: day, verbs: "close DK-1", state: "DK-1 fixed P2 r1:resolved"},
		}},
		{"retention", nil, []step{
			{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved"},
			{after: 179 * day, state: "DK-1 fixed P3 r1:resolved"},
			{after: day, state: "DK-1 purged"},
			{inputs: open("r1"), verbs: "create DK-2", state: "DK-1 purged; DK-2 open P3 r1:open"},
		}},
	}
}

func scanRows() []situation {
	held := func(k *config) { k.limits = Limits{CloseRatio: 0.5, CloseMin: 1} }
	both := "DK-1 open P3 r1:open r2:open"
	begin := step{inputs: scanned(0, "r1", "r2"), verbs: "create DK-1", state: both}
	return []situation{
		{"absent from a newer scan", nil, []step{begin,
			{after: hour, inputs: scanned(0, "r1"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved", says: []string{"absent from the scan of target"}},
			{after: hour, inputs: scanned(0, "r1"), state: "DK-1 open P3 r1:open r2:resolved", silence: true},
		}},
		{"older scan late", nil, []step{begin,
			{after: 2 * hour, inputs: scanned(0, "r1"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved"},
			{inputs: scanned(hour, "r2", "r3"), state: "DK-1 open P3 r1:open r2:resolved", silence: true},
		}},
		{"partial scan", nil, []step{begin,
			{after: hour, inputs: faulty(func(s *pipeline.Scan) { s.Complete = false }, "r1"), state: both, silence: true},
		}},
		{"a record of the scan is missing", nil, []step{begin,
			{after: hour, inputs: faulty(func(s *pipeline.Scan) { s.Count++ }, "r1"), state: both},
		}},
		{"missing marker", nil, []step{begin,
			{after: hour, inputs: func(w *world) []Input {
				in := scanned(0, "r1")(w)
				in[0].Envelope.Scans = nil
				return in
			}, state: both},
		}},
		{"a record of the scan is rejected", nil, []step{begin,
			{after: hour, inputs: func(w *world) []Input {
				return []Input{w.scan("target", w.now, word(pipeline.StatusOpen, "r1"), say{resource: "r9", control: "bad"})}
			}, state: both},
		}},
		{"empty scan twice", nil, []step{begin,
			{after: hour, inputs: scanned(0), state: both},
			{inputs: scanned(0), state: both},
			{after: hour, inputs: scanned(0), verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved r2:resolved"},
		}},
		{"another filter", nil, []step{begin,
			{after: hour, inputs: faulty(func(s *pipeline.Scan) { s.Filter = "high only" }, "r1"), state: both},
			{after: hour, inputs: faulty(func(s *pipeline.Scan) { s.Filter = "high only" }, "r1"), state: both},
			{after: hour, inputs: scanned(0, "r1", "r2"), state: both},
			{after: hour, inputs: scanned(0, "r1"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved"},
		}},
		{"milder than the source takes in, then not", nil, []step{begin,
			{after: hour, inputs: milder(pipeline.StatusOpen, "r1", "r2"), state: both},
			{after: hour, inputs: milder(pipeline.StatusOpen, "r1", "r2"), state: both},
			{after: hour, inputs: scanned(0, "r1"), state: both},
			{after: hour, inputs: scanned(0, "r1", "r2"), state: both},
			{after: hour, inputs: scanned(0, "r1"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved"},
		}},
		{"milder and resolved is evidence", nil, []step{begin,
			{after: hour, inputs: milder(pipeline.StatusResolved, "r1", "r2"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved"},
		}},
		{"milder and unknown is nothing", nil, []step{begin,
			{after: hour, inputs: milder(pipeline.StatusOpen, "r1", "r2", "r3"), state: both},
			{after: hour, inputs: milder(pipeline.StatusResolved, "r1", "r2", "r3"), state: both},
			{after: hour, inputs: scanned(0, "r1"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved"},
		}},
		{"an older record behind a whole read of an interface is news", nil, []step{
			{inputs: asked(time.Minute, "r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: asked(2*hour, "r1", "r2"), verbs: "update DK-1", state: both},
			{after: hour, inputs: asked(3*hour, "r1"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved"},
			{after: hour, inputs: asked(4*hour, "r1", "r2"), verbs: "update DK-1", state: both},
		}},
		{"the place is read no more, then again", nil, []step{begin,
			{after: hour, inputs: faulty(func(s *pipeline.Scan) { s.Complete, s.Left = false, true }), state: both},
			{after: hour, inputs: scanned(0), state: both},
			{after: hour, inputs: scanned(0, "r1"), state: both},
			{after: hour, inputs: scanned(0, "r2"), verbs: "update DK-1", state: "DK-1 open P3 r1:resolved r2:open"},
		}},
		{"absent, but another product still reports it", nil, []step{begin,
			{inputs: func(w *world) []Input {
				return []Input{w.report(say{product: "Prowler", id: "p", resource: "r2"})}
			}, verbs: "update DK-1", state: both},
			{after: hour, inputs: scanned(0, "r1"), state: both},
			{after: hour, inputs: func(w *world) []Input {
				return []Input{w.report(say{product: "Prowler", id: "p", resource: "r2", status: pipeline.StatusResolved})}
			}, verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved"},
		}},
		{"an opinion at the source, then absence", nil, []step{begin,
			{after: hour, inputs: reports(pipeline.StatusUnproven, "r2"), state: both},
			{after: hour, inputs: scanned(0, "r1"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:resolved"},
		}},
		{"close.max_ratio holds and an approval lets it", held, []step{begin,
			{after: hour, inputs: scanned(0, "r1", "r2", "r3"), verbs: "update DK-1", state: both + " r3:open"},
			{after: hour, inputs: scanned(0), state: both + " r3:open"},
			{after: hour, inputs: scanned(0), state: both + " r3:open"},
			{inputs: func(w *world) []Input {
				in := scanned(0)(w)
				in[0].Envelope.Approved = true
				return in
			}, verbs: "close DK-1", state: "DK-1 fixed P3 r1:resolved r2:resolved r3:resolved"},
		}},
	}
}
