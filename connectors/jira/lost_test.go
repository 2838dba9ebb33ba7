package jira

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
)

// TestLostAnswers loses the answer of every write once, and repeats the ticket as deliver does.
func TestLostAnswers(t *testing.T) {
	for _, route := range []string{"POST issue", "PUT issue/{key}", "POST issue/{key}/comment", "POST issue/{key}/transitions", "POST issue/{key}/remotelink"} {
		for name, f := range map[string]jiratest.Fault{
			"dropped": {Kind: jiratest.DropAfter}, "502": {Kind: jiratest.AnswerAfter, Status: 502}, "half": {Kind: jiratest.HalfAnswer},
			"nothing happened": {Kind: jiratest.DropBefore},
		} {
			t.Run(route+" "+name, func(t *testing.T) {
				w := newWorld(t, jiratest.Options{})
				w.srv.Inject(jiratest.Rule{Route: route, Times: 1, Fault: f})
				first := sample()
				first.Comments = comment1("DK-1/r1", first.Since, "the case was opened")
				lost := 0
				deliver := func(in pipeline.Ticket) pipeline.Applied {
					for {
						out, err := w.sink.Apply(t.Context(), in)
						if err == nil {
							return out
						}
						if lost++; lost > 1 || !pipeline.IsUnsure(err) {
							t.Fatalf("Apply() = %v; want it unsure, once", err)
						}
						if !out.Ref.IsZero() {
							in.Ref = out.Ref
						}
					}
				}
				out := deliver(first)
				second := then(first, out, func(in *pipeline.Ticket) {
					in.Open, in.Why, in.Title = false, "fixed", "Second"
					in.Comments = comment1("DK-1/r2", in.Since, "all is fixed")
				})
				out = deliver(second)
				i := w.issue(out.Ref.Key)
				if len(w.srv.Creates()) != 1 || i.Status != "Done" || i.Summary != "Second" || len(i.Comments) != 2 || len(i.Remote) != 1 {
					t.Errorf("%d creates, issue %+v; want one, closed, with two comments and one link", len(w.srv.Creates()), i)
				}
			})
		}
	}
}

func TestTwin(t *testing.T) {
	w := newWorld(t, jiratest.Options{IndexLag: time.Minute, Projects: []jiratest.Project{{Key: "SEC", Workflow: jiratest.FourStepWorkflow()}}})
	in := sample()
	w.apply(in)
	second := w.apply(in) // the index does not show the first yet
	w.pass(2 * time.Minute)
	out := w.apply(in)
	if out.Ref.Key != "SEC-1" || out.Twin.ID != second.Ref.ID {
		t.Errorf("Apply() = %+v; want the older issue, and the other as its twin", out)
	}
	in = then(in, out, func(in *pipeline.Ticket) { in.Twin = out.Twin })
	for range 2 {
		out = w.apply(in)
	}
	twin := w.issue(second.Ref.Key)
	if twin.Status != "Shut" || twin.Resolution != "Duplicate" || len(twin.Comments) != 1 || len(twin.Links) != 1 || slices.Contains(twin.Labels, in.Key) {
		t.Errorf("twin = %+v; want it linked, closed as a duplicate, told why once, and without the key", twin)
	}
	w.pass(2 * time.Minute)
	if refs, err := w.sink.Find(t.Context(), in.Key); err != nil || len(refs) != 1 {
		t.Errorf("Find() = %v, %v; want the one that is left", refs, err)
	}
}

// TestLostState: a case that starts again at revision 1 takes its ticket over, with what people changed.
func TestLostState(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	in := sample()
	out := w.apply(in)
	for range 3 {
		in = then(in, out, func(in *pipeline.Ticket) { in.Title = "Later" })
		out = w.apply(in)
	}
	w.do(w.srv.Edit(out.Ref.Key, "priority", "Low"))
	again := sample()
	again.Title = "Again"
	for _, ref := range []pipeline.Ref{{}, out.Ref} {
		again.Ref = ref
		held := w.apply(again).Held
		i := w.issue(out.Ref.Key)
		if _, told := held[wordPriority]; told || i.Priority != "Low" || i.Summary != "Again" || held[wordTitle] != "Again" || len(w.srv.Creates()) != 1 {
			t.Errorf("issue %+v, held %v; want the new title, and the person's priority left and not held", i, held)
		}
	}
}

// TestOlderRevision: what a late worker brings changes nothing, and what is held is told all the same.
func TestOlderRevision(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	in := sample()
	out := w.apply(in)
	late := then(in, out, func(in *pipeline.Ticket) { in.Title = "Late" })
	newer := then(late, out, func(in *pipeline.Ticket) { in.Title = "Newer" })
	want := w.apply(newer)
	before := w.writes()
	got := w.apply(late)
	if w.writes() != before || got.Held[wordTitle] != "Newer" || got.Held[wordPriority] != want.Held[wordPriority] {
		t.Errorf("Apply(late) = %v with %d writes; want what is held and none", got.Held, w.writes()-before)
	}
}

func TestCommentText(t *testing.T) {
	got := commentText(pipeline.Comment{EventID: "DK-1/r2", Time: sample().Since, Lines: []string{"1 finding joined:", "- a [b]\nc", " "}}, 1000)
	want := "*2026-01-02 12:00 UTC* (DK-1/r2)\n\n* 1 finding joined:\n** a \\[b\\] c\n"
	if got != want {
		t.Errorf("commentText() = %q; want %q", got, want)
	}
}

// TestNotFoundIsNotDeleted: a 404 of what belongs to a ticket makes no second ticket while the issue is there.
func TestNotFoundIsNotDeleted(t *testing.T) {
	absent := jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 404}
	for route, refused := range map[string]bool{
		"GET issue/createmeta/{project}/issuetypes/{type}": false, "GET issue/{key}/transitions": true, "POST issue/{key}/transitions": true,
		"GET issue/{key}/comment": true, "POST issue/{key}/comment": true, "PUT issue/{key}": true, "POST issue/{key}/remotelink": false,
	} {
		w := newWorld(t, jiratest.Options{})
		in := sample()
		out := w.apply(in)
		w.pass(time.Hour) // create screens are asked for again
		w.srv.Inject(jiratest.Rule{Route: route, Fault: absent})
		in = then(in, out, func(in *pipeline.Ticket) {
			in.Open, in.Why, in.Title, in.CaseURL = false, "fixed", "Second", "https://docket.example.com/moved"
			in.Comments = comment1("DK-1/r2", in.Since, "all is fixed")
		})
		_, err := w.sink.Apply(t.Context(), in)
		if errors.Is(err, pipeline.ErrGone) || pipeline.IsPermanent(err) != refused {
			t.Errorf("404 of %s: Apply() = %v; want it refused: %v, and never gone", route, err, refused)
		}
		if w.srv.Struck() == 0 {
			t.Errorf("404 of %s: nothing asked for it", route)
		}
	}
}

// TestInvisibleCreate: where new issues cannot be read, one is made and no second.
func TestInvisibleCreate(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	w.srv.Inject(jiratest.Rule{Route: "GET issue/{key}", Fault: jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 404}})
	for n := range 2 {
		out, err := w.sink.Apply(t.Context(), connectortest.Ticket(n))
		if !pipeline.IsPermanent(err) || errors.Is(err, pipeline.ErrGone) || out.Ref.IsZero() != (n > 0) || len(w.srv.Creates()) != 1 {
			t.Errorf("Apply(%d) = %+v, %v after %d creates; want one create and both refused", n, out, err, len(w.srv.Creates()))
		}
	}
}
