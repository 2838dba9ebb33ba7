package jira

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
)

func sample() pipeline.Ticket {
	t := connectortest.Ticket(0)
	t.Due = t.Since.Add(7 * 24 * time.Hour)
	t.CaseURL = "https://docket.example.com/cases/DK-1"
	return t
}

func comment1(event string, at time.Time, lines ...string) []pipeline.Comment {
	return []pipeline.Comment{{EventID: event, Time: at, Lines: lines}}
}

func TestCreate(t *testing.T) {
	w := newWorld(t, jiratest.Options{Projects: []jiratest.Project{{Key: "SEC"}, {Key: "PAY"}}}, func(_ *jiratest.Server, c *Config) {
		c.Fields = map[string]any{"labels": []any{"docket", "{{ .Case.Team }} team"}}
	})
	in := sample()
	in.Assignees, in.Labels = []string{"nobody@example.com", "ada@example.com"}, []string{"recurring"}
	in.Settings = map[string]any{"project": "PAY", "issue_type": "bug"}
	out := w.apply(in)
	i := w.issue(out.Ref.Key)
	if i.Project != "PAY" || i.Type != "Bug" || i.Summary != in.Title || i.Priority != "High" || i.Due != "2026-01-09" || i.Assignee != "557058:ada" {
		t.Errorf("issue = %+v; want project, type, title, priority, due date and assignee", i)
	}
	want := []string{"docket", "docket-recurring", in.Key, "payments-team"}
	slices.Sort(i.Labels)
	slices.Sort(want)
	if !slices.Equal(i.Labels, want) {
		t.Errorf("labels = %v; want %v", i.Labels, want)
	}
	if len(i.Remote) != 1 || i.Remote[0].URL != in.CaseURL {
		t.Errorf("remote links = %+v; want the case", i.Remote)
	}
	if out.Ref.URL != w.srv.URL()+"/browse/"+i.Key || out.Ref.ID != i.ID {
		t.Errorf("ref = %+v; want id, key and address", out.Ref)
	}
	for word, want := range map[string]string{wordTitle: in.Title, wordPriority: "High", wordState: "To Do", wordDue: "2026-01-09", wordAssignee: "557058:ada", wordLink: in.CaseURL} {
		if out.Held[word] != want {
			t.Errorf("Held[%s] = %q; want %q", word, out.Held[word], want)
		}
	}
	if n := w.requests("POST issue"); len(w.srv.Creates()) != 1 || w.srv.Creates()[0].TicketKey != in.Key {
		t.Errorf("creates = %+v in %d requests; want one with the key", w.srv.Creates(), n)
	}
}

// TestThreeWayMerge changes one field by hand after the first revision and asks for another value in the second.
func TestThreeWayMerge(t *testing.T) {
	change := func(in *pipeline.Ticket) {
		in.Title, in.Priority, in.Due = "New title", pipeline.P1, sample().Due.Add(-24*time.Hour)
		in.Description, in.Assignees = "New words.", []string{"bob@example.com"}
	}
	read := map[string]func(jiratest.Snapshot) string{
		"summary":     func(i jiratest.Snapshot) string { return i.Summary },
		"description": func(i jiratest.Snapshot) string { return i.Description },
		"priority":    func(i jiratest.Snapshot) string { return i.Priority },
		"duedate":     func(i jiratest.Snapshot) string { return i.Due },
		"assignee":    func(i jiratest.Snapshot) string { return i.Assignee },
	}
	for field, by := range map[string]string{"summary": "A person's title", "description": "A person's words", "priority": "Low", "duedate": "2026-05-05", "assignee": "557058:docket"} {
		for _, stateLost := range []bool{false, true} {
			w := newWorld(t, jiratest.Options{})
			in := sample()
			in.Assignees = []string{"ada@example.com"}
			out := w.apply(in)
			if field == "assignee" {
				w.do(w.srv.Assign(out.Ref.Key, by))
			} else {
				w.do(w.srv.Edit(out.Ref.Key, field, by))
			}
			for range 3 { // a value that was left to a person stays theirs, revision after revision
				in = then(in, out, change)
				if stateLost {
					in.Last = nil
				}
				out = w.apply(in)
			}
			i := w.issue(out.Ref.Key)
			for name, get := range read {
				got := get(i)
				switch {
				case name == field && got != by:
					t.Errorf("%s (state lost: %v) = %q; want the person's %q", name, stateLost, got, by)
				case name != field && (got == by || name == "summary" && got != "New title" || name == "priority" && got != "Highest" || name == "duedate" && got != "2026-01-08" || name == "assignee" && got != "557058:bob" || name == "description" && !strings.Contains(got, "New words.")):
					t.Errorf("after a person's %s: %s = %q; want it to follow", field, name, got)
				}
			}
		}
	}
}

// TestOursAgain: a person who puts docket's value back gives the field back.
func TestOursAgain(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	in := sample()
	out := w.apply(in)
	w.do(w.srv.Edit(out.Ref.Key, "summary", "A person's title"))
	in = then(in, out, func(in *pipeline.Ticket) { in.Title = "Second" })
	out = w.apply(in)
	w.do(w.srv.Edit(out.Ref.Key, "summary", sample().Title))
	in = then(in, out, func(in *pipeline.Ticket) { in.Title = "Third" })
	out = w.apply(in)
	if got := w.issue(out.Ref.Key).Summary; got != "Third" {
		t.Errorf("summary = %q; want Third", got)
	}
}

// TestLostUpdate: the value that a lost update wrote is docket's, also when the next revision wants another.
func TestLostUpdate(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	in := sample()
	out := w.apply(in)
	w.srv.Inject(jiratest.Rule{Route: "PUT issue/{key}", Times: 1, Fault: jiratest.Fault{Kind: jiratest.DropAfter}})
	second := then(in, out, func(in *pipeline.Ticket) { in.Title = "Second" })
	if _, err := w.sink.Apply(t.Context(), second); !pipeline.IsUnsure(err) {
		t.Fatalf("Apply() = %v; want it unsure", err)
	}
	third := then(in, out, func(in *pipeline.Ticket) { in.Title, in.Rev = "Third", 3 })
	out = w.apply(third)
	if got := w.issue(out.Ref.Key).Summary; got != "Third" {
		t.Errorf("summary = %q; want Third", got)
	}
}

func TestLabels(t *testing.T) {
	w := newWorld(t, jiratest.Options{}, func(_ *jiratest.Server, c *Config) { c.Fields = map[string]any{"labels": []any{"docket", "cloud"}} })
	in := sample()
	in.Labels = []string{"disputed"}
	out := w.apply(in)
	w.do(w.srv.Edit(out.Ref.Key, "labels", []string{"docket", "docket-disputed", "mine"})) // cloud and the key are taken off
	in = then(in, out, func(in *pipeline.Ticket) { in.Labels = []string{"recurring"} })
	out = w.apply(in)
	got := w.issue(out.Ref.Key).Labels
	slices.Sort(got)
	if want := []string{"docket", in.Key, "docket-recurring", "mine"}; !slices.Equal(got, want) {
		t.Errorf("labels = %v; want %v", got, want)
	}
}

func TestStateOfAPersonStays(t *testing.T) {
	for _, c := range []struct {
		name   string
		first  bool // wanted open by the first two revisions
		hand   string
		change func(*pipeline.Ticket)
		want   string
	}{
		{"closed by hand, then a text update", true, "Done", func(in *pipeline.Ticket) { in.Title = "x" }, "Done"},
		{"closed by hand, heard of, then reopened by docket", true, "Done", func(in *pipeline.Ticket) { in.WasOpen = false }, "To Do"},
		{"closed by hand, then fixed", true, "Done", func(in *pipeline.Ticket) { in.Open, in.Why = false, "fixed" }, "Done"},
		{"moved on by hand, then a text update", true, "In Progress", func(in *pipeline.Ticket) { in.Title = "x" }, "In Progress"},
		{"closed by docket, opened by hand, then a text update", false, "In Progress", func(in *pipeline.Ticket) { in.Title = "x" }, "In Progress"},
		{"closed by docket, then back", false, "", func(in *pipeline.Ticket) { in.Open, in.Why = true, "" }, "To Do"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, stateLost := range []bool{false, true} {
				if stateLost && strings.Contains(c.name, "heard of") {
					continue // a lost state has heard of nothing
				}
				w := newWorld(t, jiratest.Options{})
				in := sample()
				out := w.apply(in)
				if !c.first {
					in = then(in, out, func(in *pipeline.Ticket) { in.Open, in.Why = false, "fixed" })
					out = w.apply(in)
				}
				if c.hand != "" {
					w.do(w.srv.Transition(out.Ref.Key, c.hand, ""))
				}
				in = then(in, out, c.change)
				if stateLost {
					in.Last = nil
				}
				out = w.apply(in)
				if got := w.issue(out.Ref.Key).Status; got != c.want {
					t.Errorf("status (state lost: %v) = %s; want %s", stateLost, got, c.want)
				}
			}
		})
	}
}

func TestWorkflows(t *testing.T) {
	resolutions := []string{"Done", "Won't Do", "Duplicate", "Fixed"}
	nameless := jiratest.Workflow{
		Statuses: []jiratest.Status{{Name: "Neu", Category: "new"}, {Name: "Abgelehnt", Category: "done"}, {Name: "Fertig", Category: "done"}},
		Transitions: []jiratest.Transition{{ID: "5", Name: "nein", From: []string{"Neu"}, To: "Abgelehnt"}, {ID: "7", Name: "ja", From: []string{"Neu"}, To: "Fertig"},
			{ID: "8", Name: "auf", From: []string{"Fertig"}, To: "Neu"}},
	}
	detour := jiratest.Workflow{
		Statuses: []jiratest.Status{{Name: "Open", Category: "new"}, {Name: "Resolved", Category: "done"}, {Name: "Closed", Category: "done"}},
		Transitions: []jiratest.Transition{{ID: "1", Name: "Resolve", From: []string{"Open"}, To: "Resolved", Fields: []jiratest.ScreenField{{ID: "resolution", Required: true}}},
			{ID: "2", Name: "Close", From: []string{"Resolved"}, To: "Closed"}, {ID: "3", Name: "Back", From: []string{"Closed"}, To: "Resolved"}, {ID: "4", Name: "Reopen", From: []string{"Resolved"}, To: "Open"}},
	}
	for _, c := range []struct {
		name                       string
		flow                       jiratest.Workflow
		change                     func(*Config)
		why                        string
		closed, resolution, opened string
	}{
		{"simple", jiratest.SimpleWorkflow(), nil, "fixed", "Done", "Done", "To Do"},
		{"named statuses", jiratest.SimpleWorkflow(), func(c *Config) { c.Transitions = Transitions{Close: "done", Reopen: "In Progress"} }, "fixed", "Done", "Done", "In Progress"},
		{"four steps", jiratest.FourStepWorkflow(), nil, "fixed", "Shut", "Done", "Open"},
		{"four steps, accepted", jiratest.FourStepWorkflow(), func(c *Config) { c.Close.Accepted = "won't do" }, "accepted", "Shut", "Won't Do", "Open"},
		{"the first of the category is a refusal", nameless, func(c *Config) { c.WontFix = []string{"Abgelehnt"} }, "fixed", "Fertig", "", "Neu"},
		{"a named status in another language", nameless, func(c *Config) { c.Transitions.Close = "Fertig" }, "fixed", "Fertig", "", "Neu"},
		{"a named status behind another of the category", detour, func(c *Config) { c.Transitions.Close = "Closed" }, "fixed", "Closed", "Done", "Open"},
		{"a named status that is not there", detour, func(c *Config) { c.Transitions.Close = "Gone" }, "fixed", "Resolved", "Done", "Open"},
	} {
		for _, dataCenter := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				w := newWorld(t, jiratest.Options{DataCenter: dataCenter, Resolutions: resolutions, Projects: []jiratest.Project{{Key: "SEC", Workflow: c.flow}}}, func(_ *jiratest.Server, conf *Config) {
					if c.change != nil {
						c.change(conf)
					}
				})
				in := sample()
				out := w.apply(in)
				in = then(in, out, func(in *pipeline.Ticket) { in.Open, in.Why = false, c.why })
				out = w.apply(in)
				i := w.issue(out.Ref.Key)
				if i.Status != c.closed || i.Resolution != c.resolution || out.Held[wordState] != c.closed || out.Held[wordResolution] != c.resolution {
					t.Errorf("closed = %s, resolution %q, held %v; want %s, %q", i.Status, i.Resolution, out.Held, c.closed, c.resolution)
				}
				before := w.requests("POST issue/{key}/transitions")
				if again := w.apply(in); again.Held[wordState] != c.closed || w.requests("POST issue/{key}/transitions") != before {
					t.Errorf("closing again made a transition; want none")
				}
				in = then(in, out, func(in *pipeline.Ticket) { in.Open, in.Why = true, "" })
				out = w.apply(in)
				if i := w.issue(out.Ref.Key); i.Status != c.opened || out.Held[wordState] != c.opened {
					t.Errorf("reopened = %s, held %v; want %s", i.Status, out.Held, c.opened)
				}
			})
		}
	}
}

func TestNoWay(t *testing.T) {
	oneWay := jiratest.Workflow{
		Statuses:    []jiratest.Status{{Name: "Open", Category: "new"}, {Name: "Closed", Category: "done"}},
		Transitions: []jiratest.Transition{{ID: "1", Name: "Close", From: []string{"Open"}, To: "Closed"}},
	}
	needy := jiratest.Workflow{
		Statuses:    []jiratest.Status{{Name: "Open", Category: "new"}, {Name: "Closed", Category: "done"}},
		Transitions: []jiratest.Transition{{ID: "1", Name: "Close", From: []string{"Open"}, To: "Closed", Fields: []jiratest.ScreenField{{ID: "customfield_1", Required: true}}}},
	}
	project := func(flow jiratest.Workflow) jiratest.Options {
		return jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", Workflow: flow, Fields: []jiratest.Field{{ID: "customfield_1", Name: "Root cause", Type: jiratest.Text}}}}}
	}
	closing := func(in *pipeline.Ticket) { in.Open, in.Why = false, "fixed" }
	for _, c := range []struct {
		name string
		flow jiratest.Workflow
		want string
	}{
		{"no status of the category", jiratest.EndlessWorkflow(), "has no status of category done, it has Backlog, Doing"},
		{"a screen that nothing fills", needy, "fields.customfield_1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, project(c.flow))
			in := sample()
			in = then(in, w.apply(in), closing)
			in.Comments = comment1("DK-1/r2", in.Since, "all is fixed")
			for range 2 {
				out, err := w.sink.Apply(t.Context(), in)
				if !pipeline.IsPermanent(err) || !strings.Contains(err.Error(), c.want) || out.Ref.IsZero() {
					t.Errorf("Apply() = %+v, %v; want a permanent error that says %q, with the ref", out, err, c.want)
				}
			}
			i := w.issue("SEC-1")
			if len(i.Comments) != 2 || !strings.Contains(i.Comments[0].Body, "all is fixed") || !strings.Contains(i.Comments[1].Body, "could not set this ticket to closed") {
				t.Errorf("comments = %+v; want the evidence and why it is not closed, once each", i.Comments)
			}
		})
	}
	w := newWorld(t, project(oneWay))
	in := sample()
	in = then(in, w.apply(in), closing)
	in = then(in, w.apply(in), func(in *pipeline.Ticket) { in.Open, in.Why = true, "" })
	if _, err := w.sink.Apply(t.Context(), in); !errors.Is(err, pipeline.ErrGone) {
		t.Errorf("Apply() of what cannot be reopened = %v; want %v", err, pipeline.ErrGone)
	}
	w.do(w.srv.ForbidProject("SEC", jiratest.TransitionIssues))
	if _, err := w.sink.Apply(t.Context(), in); !pipeline.IsPermanent(err) || !strings.Contains(err.Error(), "permission") {
		t.Errorf("Apply() without the permission = %v; want a permanent error that says so", err)
	}
}

func TestAck(t *testing.T) {
	w := newWorld(t, jiratest.Options{}, func(_ *jiratest.Server, c *Config) { c.Transitions.Ack = "In Progress" })
	in := sample()
	out := w.apply(in)
	in = then(in, out, func(in *pipeline.Ticket) { in.Acked = "ada until 2026-01-09" })
	out = w.apply(in)
	if got := w.issue(out.Ref.Key).Status; got != "In Progress" {
		t.Errorf("status after the ack = %s; want In Progress", got)
	}
	w.do(w.srv.Transition(out.Ref.Key, "To Do", ""))
	in = then(in, out, func(in *pipeline.Ticket) { in.Title = "x" })
	out = w.apply(in)
	if got := w.issue(out.Ref.Key).Status; got != "To Do" {
		t.Errorf("status that a person put back = %s; want To Do", got)
	}
}

func TestMovedDeletedHidden(t *testing.T) {
	w := newWorld(t, jiratest.Options{Projects: []jiratest.Project{{Key: "SEC"}, {Key: "PAY"}}})
	in := sample()
	out := w.apply(in)
	moved, err := w.srv.Move(out.Ref.Key, "PAY")
	w.do(err)
	in = then(in, out, func(in *pipeline.Ticket) { in.Title = "Moved" })
	out = w.apply(in)
	if out.Ref.Key != moved || w.issue(moved).Summary != "Moved" || len(w.srv.Creates()) != 1 {
		t.Errorf("ref = %+v; want the new key %s, updated", out.Ref, moved)
	}
	w.do(w.srv.Hide(moved))
	in.Rev++
	if _, err := w.sink.Apply(t.Context(), in); !errors.Is(err, pipeline.ErrGone) {
		t.Errorf("Apply(hidden) = %v; want %v", err, pipeline.ErrGone)
	}
	if refs, err := w.sink.Find(t.Context(), in.Key); err != nil || len(refs) != 0 {
		t.Errorf("Find(hidden) = %v, %v; want none", refs, err)
	}
	w.do(w.srv.Show(moved))
	w.do(w.srv.ForbidProject("PAY", jiratest.EditIssues))
	in.Title = "Other"
	if _, err := w.sink.Apply(t.Context(), in); !errors.Is(err, pipeline.ErrForbidden) {
		t.Errorf("Apply(not to be edited) = %v; want %v", err, pipeline.ErrForbidden)
	}
	w.do(w.srv.AllowProject("PAY"))
	w.do(w.srv.Delete(moved))
	if _, err := w.sink.Apply(t.Context(), in); !errors.Is(err, pipeline.ErrGone) {
		t.Errorf("Apply(deleted) = %v; want %v", err, pipeline.ErrGone)
	}
}

func TestForeignIssue(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	first := w.apply(sample())
	other := connectortest.Ticket(1)
	other.Ref = first.Ref
	if _, err := w.sink.Apply(t.Context(), other); !pipeline.IsPermanent(err) || !strings.Contains(err.Error(), "another case") {
		t.Errorf("Apply(onto another case's issue) = %v; want a permanent refusal", err)
	}
}

func TestFindIsNotFooled(t *testing.T) {
	w := newWorld(t, jiratest.Options{IndexLag: time.Minute})
	in := sample()
	out := w.apply(in)
	look := func(what string, want int) {
		t.Helper()
		refs, err := w.sink.Find(t.Context(), in.Key)
		if err != nil || len(refs) != want {
			t.Errorf("Find() %s = %v, %v; want %d", what, refs, err, want)
		}
	}
	look("before the index shows it", 0)
	w.pass(2 * time.Minute)
	look("later", 1)
	// A clone has the label, and no property.
	body := map[string]any{"fields": map[string]any{"project": map[string]string{"key": "SEC"}, "issuetype": map[string]string{"name": "Task"}, "summary": "clone", "labels": []string{in.Key}}}
	if _, err := w.sink.c.http.Do(t.Context(), http.MethodPost, api+"issue", body, nil); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Minute)
	look("beside a clone", 1)
	w.do(w.srv.Transition(out.Ref.Key, "Done", ""))
	look("closed", 1)
	w.do(w.srv.Delete(out.Ref.Key))
	look("deleted, still in the index", 0)
}

func TestPreviousTicketIsLinked(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	old := w.apply(connectortest.Ticket(1))
	in := sample()
	in.Previous = old.Ref
	out := w.apply(in)
	for range 2 {
		in = then(in, out, func(*pipeline.Ticket) {})
		in.Last = nil
		out = w.apply(in)
	}
	if links := w.issue(out.Ref.Key).Links; len(links) != 1 || links[0].Other != old.Ref.Key {
		t.Errorf("links = %+v; want one to %s", links, old.Ref.Key)
	}
}

func TestNothingToDoWritesNothing(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	in := sample()
	in.Assignees = []string{"ada@example.com"}
	out := w.apply(in)
	in.Ref, in.Last = out.Ref, out.Held
	before := w.writes()
	w.apply(in)
	if n := w.writes() - before; n != 0 {
		t.Errorf("the same ticket again made %d writes; want none", n)
	}
}

// TestLabelsOffTheScreen: with the key in a field of its own, an issue type without labels is kept up all the same.
func TestLabelsOffTheScreen(t *testing.T) {
	p := jiratest.Project{Key: "SEC", OffScreen: []string{"labels"}, Fields: []jiratest.Field{{ID: "customfield_10200", Name: "Key", Type: jiratest.Text}}}
	w := newWorld(t, jiratest.Options{Projects: []jiratest.Project{p}}, func(_ *jiratest.Server, c *Config) { c.KeyField = "customfield_10200" })
	in := sample()
	out := w.apply(in)
	in = then(in, out, func(in *pipeline.Ticket) { in.Title, in.Labels = "New", []string{"recurring"} })
	if i := w.issue(w.apply(in).Ref.Key); i.Summary != "New" || len(i.Labels) != 0 {
		t.Errorf("issue = %q with labels %v; want the title written and no label", i.Summary, i.Labels)
	}
}

// TestChangedDuringTheCall: what a person sets between the readings of one call stays the person's.
func TestChangedDuringTheCall(t *testing.T) {
	o := jiratest.Options{}
	w := newWorld(t, o)
	var on atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.srv.ServeHTTP(rw, r)
		if r.Method == http.MethodPut && on.Swap(false) { // docket's edit is done, and not read back
			if err := w.srv.Edit("SEC-1", "priority", "Low"); err != nil {
				t.Error(err)
			}
		}
	}))
	defer front.Close()
	w.sink = w.newSink(o, func(_ *jiratest.Server, c *Config) { c.URL = front.URL })
	in := sample()
	out := w.apply(in)
	on.Store(true)
	in = then(in, out, func(in *pipeline.Ticket) { in.Title = "Second" })
	out = w.apply(in)
	in = then(in, out, func(in *pipeline.Ticket) { in.Title, in.Priority = "Third", pipeline.P1 })
	w.apply(in)
	if i := w.issue(out.Ref.Key); i.Priority != "Low" || i.Summary != "Third" || out.Held[wordPriority] != "High" {
		t.Errorf("priority %q, title %q, held %v; want the person's priority, docket's title", i.Priority, i.Summary, out.Held)
	}
}
