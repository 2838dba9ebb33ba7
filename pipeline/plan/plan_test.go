package plan

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// testRules group by control, with the priority from the severity. A record is control|resource|status|severity.
func testRules() *triage.Rules {
	return &triage.Rules{
		Config: "c", Installation: "test", Teams: []string{"sec"}, Sinks: map[string]bool{"disk": true},
		Decode: func(_ string, it *pipeline.Item) (pipeline.Report, error) {
			w := strings.Split(string(it.Data), "|")
			if len(w) != 2 {
				return pipeline.Report{}, errors.New("a record has two fields")
			}
			return pipeline.Report{
				Product: "Scanner", ID: string(it.Data), Control: w[0], Resource: pipeline.Resource{ID: w[1]}, Title: w[0],
				Status: it.Status, Severity: it.Severity, ObservedAt: time.UnixMilli(it.Observed).UTC(), FirstObserved: start, Scope: it.Scope,
			}, nil
		},
		Judge: func(f *pipeline.Finding) triage.Verdict {
			return triage.Verdict{
				Explanation: pipeline.Explanation{Priority: pipeline.Priority(6 - f.Severity)},
				Team:        "sec", Route: "route", Sinks: []string{"disk"}, Key: f.Control,
				Settings: triage.Settings{TicketsFrom: pipeline.P4, ReopenWindow: 7 * 24 * time.Hour},
			}
		},
		Matches: func(string, *pipeline.Finding) (bool, error) { return false, nil },
	}
}

func item(control, resource string, status pipeline.Status, severity pipeline.Severity, at time.Time, scope string) pipeline.Item {
	data := control + "|" + resource
	return pipeline.Item{
		Print: sha256.Sum256([]byte(data)), Key: pipeline.ReportKey("Scanner", data), Hash: uint64(status)<<8 | uint64(severity),
		Observed: at.UnixMilli(), Status: status, Severity: severity, Scope: scope, Data: []byte(data),
	}
}

// world is a state and what was issued over it.
type world struct {
	t     interface{ Fatalf(string, ...any) }
	rules *triage.Rules
	state *triage.Layer
	taken int
}

func (w *world) decide(in triage.Input) {
	cs, _, err := triage.Decide(w.rules, w.state, []triage.Input{in})
	if err != nil {
		w.t.Fatalf("Decide = %v", err)
	}
	w.state.Apply(cs)
}

// issue issues what is due and carries it out; it returns the actions.
func (w *world) issue(at time.Time, only map[string]bool) []pipeline.Action {
	w.decide(triage.Input{Time: at, Issue: &triage.Issue{Only: only}})
	rows := w.state.Outbox()[w.taken:]
	w.taken = len(w.state.Outbox())
	for _, a := range rows {
		w.decide(triage.Input{Time: at, Outcome: &pipeline.Outcome{
			Case: a.Case, Sink: a.Sink, N: a.N, Gen: a.Ticket.Gen, Rev: a.Ticket.Rev,
			Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: a.Ticket.Key},
		}})
	}
	return rows
}

func newWorld(t interface{ Fatalf(string, ...any) }) *world {
	w := &world{t: t, rules: testRules(), state: triage.NewLayer(nil)}
	w.decide(triage.Input{Time: start, Config: &triage.ConfigChange{Hash: "c"}})
	return w
}

func (w *world) plan(at time.Time, envelopes ...*pipeline.Envelope) (Plan, *Planner) {
	p := New(w.rules, w.state, at)
	err := p.Start()
	for _, e := range envelopes {
		err = errors.Join(err, p.Feed(e))
	}
	out, ferr := p.Finish(w.rules.Limits)
	if err = errors.Join(err, ferr); err != nil {
		w.t.Fatalf("planning = %v", err)
	}
	return out, p
}

func short(verb, group string, findings int) string {
	return fmt.Sprintf("%s %s %d", verb, group, findings)
}

func planned(p Plan) []string {
	var out []string
	for i := range p.Actions {
		a := &p.Actions[i]
		out = append(out, short(a.Verb, a.GroupKey, len(a.Findings)))
	}
	slices.Sort(out)
	return out
}

// done says the same of what was issued, from what the tickets were before.
func (w *world) done(was map[string]bool, rows []pipeline.Action) []string {
	var out []string
	for _, a := range rows {
		n, _ := triage.ParseCaseID(a.Case)
		c, err := w.state.Case(n)
		if err != nil || c == nil {
			w.t.Fatalf("Case(%d) = %v, %v", n, c, err)
		}
		verb := Update
		isOpen, known := was[a.Case]
		switch {
		case !known:
			verb = Create
		case !a.Ticket.Open:
			verb = Close
		case !isOpen:
			verb = Reopen
		}
		if !a.Ticket.Open && known && !isOpen {
			verb = Close
		}
		out = append(out, short(verb, c.Key, c.OpenCount()))
	}
	slices.Sort(out)
	return out
}

func tickets(rows []pipeline.Action, was map[string]bool) {
	for _, a := range rows {
		was[a.Case] = a.Ticket.Open
	}
}

// TestPlanIsWhatHappens: feeding the same through triage issues exactly the planned actions.
func TestPlanIsWhatHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		was := map[string]bool{}
		at := start
		for round := range 4 {
			at = at.Add(time.Duration(rapid.SampledFrom([]int{1, 30, 200}).Draw(t, "hours")) * time.Hour)
			e := &pipeline.Envelope{Source: "src", Scan: fmt.Sprint("scan", round)}
			for range rapid.IntRange(0, 6).Draw(t, "records") {
				e.Items = append(e.Items, item(
					rapid.SampledFrom([]string{"C1", "C2", "C3"}).Draw(t, "control"), rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "resource"),
					rapid.SampledFrom([]pipeline.Status{pipeline.StatusOpen, pipeline.StatusOpen, pipeline.StatusResolved}).Draw(t, "status"),
					rapid.SampledFrom([]pipeline.Severity{pipeline.Informational, pipeline.Medium, pipeline.High}).Draw(t, "severity"), at, "target"))
			}
			if rapid.Bool().Draw(t, "whole") {
				e.Scans = []pipeline.Scan{{ID: e.Scan, Scope: "target", Count: len(e.Items), Time: at, Complete: true}}
			}
			p, _ := w.plan(at, e)
			w.decide(triage.Input{Time: at, Envelope: e})
			w.decide(triage.Input{Time: at, Tick: true})
			rows := w.issue(at, nil)
			if got, want := w.done(was, rows), planned(p); !slices.Equal(got, want) {
				t.Fatalf("round %d: issued %q; planned %q", round, got, want)
			}
			tickets(rows, was)
		}
	})
}

func scanOf(id string, at time.Time, resources ...string) *pipeline.Envelope {
	e := &pipeline.Envelope{Source: "src", Scan: id}
	for _, r := range resources {
		control, resource, _ := strings.Cut(r, "/")
		e.Items = append(e.Items, item(control, resource, pipeline.StatusOpen, pipeline.Medium, at, "target"))
	}
	e.Scans = []pipeline.Scan{{ID: id, Scope: "target", Count: len(e.Items), Time: at, Complete: true}}
	return e
}

// TestApplyDoesExactlyThePlan: what only adds cases, or closes others, waits for the next plan.
func TestApplyDoesExactlyThePlan(t *testing.T) {
	tests := []struct {
		name          string
		before        []string // what state holds, in tickets
		saved, now    []string // what the plan read, what apply reads
		changed       []string // parts of why it stops
		issued, later []string // what apply does, what the next plan would do
	}{
		{"the same", nil, []string{"C1/r1"}, []string{"C1/r1"}, nil, []string{"create C1 1"}, nil},
		{"a further case waits", nil, []string{"C1/r1"}, []string{"C1/r1", "C2/r1"}, nil, []string{"create C1 1"}, []string{"create C2 1"}},
		{"a finding of it is gone", nil, []string{"C1/r1", "C1/r2"}, []string{"C1/r1"}, []string{"1 of its 2 findings"}, nil, nil},
		{"it is no longer wanted", nil, []string{"C1/r1"}, nil, []string{"no longer wanted"}, nil, nil},
		{"a planned close, and one that came since", []string{"C1/r1", "C2/r1", "C3/r1"}, []string{"C2/r1", "C3/r1"}, []string{"C3/r1"}, nil,
			[]string{"close C1 0"}, []string{"close C2 0"}},
		{"a finding that joins another case waits, and what that case holds is not gone", []string{"C1/r1", "C2/r1"}, []string{"C2/r1"}, []string{"C2/r1", "C2/r2"}, nil,
			[]string{"close C1 0"}, []string{"update C2 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			was := map[string]bool{}
			w.decide(triage.Input{Time: start, Envelope: scanOf("s0", start, tt.before...)})
			tickets(w.issue(start, nil), was)
			at := start.Add(time.Hour)
			saved, _ := w.plan(at, scanOf("s1", at, tt.saved...))
			read := scanOf("s2", at.Add(time.Minute), tt.now...)
			if len(tt.now) == 0 {
				read = &pipeline.Envelope{Source: "src"}
			}
			fresh, p := w.plan(at, read)
			check, err := Compare(&saved, &fresh, w.state)
			if err != nil {
				t.Fatalf("Compare = %v", err)
			}
			for i, part := range tt.changed {
				if len(check.Changed) != len(tt.changed) || !strings.Contains(check.Changed[i], part) {
					t.Fatalf("Compare says %q; want %q", check.Changed, tt.changed)
				}
			}
			if len(tt.changed) > 0 {
				return
			}
			if len(check.Changed) > 0 {
				t.Fatalf("Compare says %q; want nothing changed", check.Changed)
			}
			r := NewRestrictor(p.Layer(), check.Extra)
			if err := r.Restrict(read); err != nil {
				t.Fatalf("Restrict = %v", err)
			}
			groups := Groups(saved.Actions)
			w.decide(triage.Input{Time: at, Envelope: read})
			rows := w.issue(at, groups)
			if got := w.done(was, rows); !slices.Equal(got, tt.issued) {
				t.Errorf("apply issued %q; want %q", got, tt.issued)
			}
			if rows := w.issue(at, nil); len(rows) > 0 {
				t.Errorf("afterwards %d further actions are issued; want none", len(rows))
			}
			next, _ := w.plan(at.Add(time.Hour), scanOf("s3", at.Add(time.Hour), tt.now...))
			if got := planned(next); !slices.Equal(got, tt.later) {
				t.Errorf("the next plan is %q; want %q", got, tt.later)
			}
			again, err := Compare(&saved, &Plan{}, w.state)
			if err != nil || len(again.Changed) > 0 || again.Already != len(saved.Actions) {
				t.Errorf("Compare after it was carried out = %+v, %v; want all already done", again, err)
			}
		})
	}
}
