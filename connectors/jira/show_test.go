package jira

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
)

// TestFieldsAreWhatIsHeld: what the sink says it would write is what an issue holds after it.
func TestFieldsAreWhatIsHeld(t *testing.T) {
	w := newWorld(t, jiratest.Options{}, func(_ *jiratest.Server, c *Config) {
		c.Transitions = Transitions{Close: "Done"}
		c.Fields = map[string]any{"labels": []any{"{{ .Case.Team }}"}}
	})
	in := sample()
	out := w.apply(in)
	for _, change := range []func(*pipeline.Ticket){
		func(*pipeline.Ticket) {},
		func(in *pipeline.Ticket) { in.Title, in.Priority, in.Due = "New", pipeline.P1, time.Time{} },
		func(in *pipeline.Ticket) { in.Open, in.Why = false, "fixed" },
	} {
		in = then(in, out, change)
		said := w.sink.Fields(in)
		out = w.apply(in)
		for word, v := range said {
			if out.Held[word] != v {
				t.Errorf("Fields()[%s] = %q; want what is held then, %q", word, v, out.Held[word])
			}
		}
		for _, word := range []string{wordTitle, wordDescription, wordPriority, wordLabels} {
			if said[word] == "" {
				t.Errorf("Fields() says nothing of the %s", word)
			}
		}
	}
	if n := w.requests("GET serverInfo"); n > 1 {
		t.Errorf("%d requests for what the server is; want one", n)
	}
}

func TestListAndRemove(t *testing.T) {
	w := newWorld(t, jiratest.Options{MaxPage: 2})
	want := []string{}
	for n := range 3 {
		in := connectortest.Ticket(n)
		in.Group = []pipeline.GroupValue{{Name: "account", Value: "111122223333"}}
		out := w.apply(in)
		w.pass(time.Second)
		if n == 1 {
			w.apply(then(in, out, func(in *pipeline.Ticket) { in.Open, in.Why = false, "fixed" }))
		}
		want = append(want, in.Key)
	}
	foreign := map[string]any{"fields": map[string]any{"project": map[string]string{"key": "SEC"}, "issuetype": map[string]string{"name": "Task"}, "summary": "old", "description": "words", "labels": []string{"docket", "JIRALERT{abc}"}}}
	if _, err := w.sink.c.http.Do(t.Context(), http.MethodPost, api+"issue", foreign, nil); err != nil {
		t.Fatal(err)
	}
	var keys []string
	err := w.sink.List(t.Context(), func(l pipeline.Listed) error {
		keys = append(keys, l.Key)
		if l.Open == (l.Key == want[1]) || l.Case == "" || l.Rev == 0 || l.Title == "" || len(l.Group) != 1 || l.Created.IsZero() {
			t.Errorf("List() names %+v; want its state, case, revision, title, group and times", l)
		}
		return nil
	})
	if err != nil || !slices.Equal(keys, want) {
		t.Errorf("List() = %v, %v; want %v", keys, err, want)
	}
	var others []pipeline.Listed
	err = w.sink.ListForeign(t.Context(), func(l string) bool { return strings.HasPrefix(l, "JIRALERT{") }, func(l pipeline.Listed) error {
		others = append(others, l)
		return nil
	})
	if err != nil || len(others) != 1 || others[0].Title != "old" || others[0].Text != "words" {
		t.Errorf("ListForeign() = %+v, %v; want the one", others, err)
	}
	if err := w.sink.Remove(t.Context(), others[0].Ref); !pipeline.IsPermanent(err) {
		t.Errorf("Remove(another tool's) = %v; want it refused", err)
	}
	refs, err := w.sink.Find(t.Context(), want[0])
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.sink.Remove(t.Context(), refs[0]); err != nil {
			t.Errorf("Remove() = %v; want no error, twice", err)
		}
	}
	if n := len(w.srv.Issues()); n != 3 {
		t.Errorf("%d issues are left; want 3", n)
	}
}
