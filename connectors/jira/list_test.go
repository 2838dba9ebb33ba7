package jira

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
)

// listOf collects what a list hands over, by issue key.
func listOf(t *testing.T, list func(func(pipeline.Listed) error) error) []pipeline.Listed {
	t.Helper()
	var out []pipeline.Listed
	if err := list(func(l pipeline.Listed) error {
		out = append(out, l)
		return nil
	}); err != nil {
		t.Fatalf("listing = %v; want no error", err)
	}
	return out
}

func TestList(t *testing.T) {
	for name, o := range map[string]jiratest.Options{"cloud": {}, "data center": {DataCenter: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, o)
			var keys []string
			for n := range 3 {
				in := connectortest.Ticket(n)
				in.Gen, in.Installation = n+1, "acme"
				out := w.apply(in)
				w.pass(time.Second)
				keys = append(keys, in.Key)
				if n == 1 {
					w.apply(then(in, out, func(t *pipeline.Ticket) { t.Open, t.Why = false, "fixed" }))
				}
				if n == 2 {
					if _, err := w.srv.Clone(out.Ref.Key); err != nil { // it has the labels, not the property
						t.Fatal(err)
					}
				}
			}
			got := listOf(t, func(fn func(pipeline.Listed) error) error { return w.sink.List(t.Context(), fn) })
			if len(got) != 3 {
				t.Fatalf("List() = %+v; want the 3 issues, not the clone", got)
			}
			for n, l := range got {
				if l.Key != keys[n] || l.Gen != n+1 || l.Case != fmt.Sprintf("DK-%d", n+1) || l.Installation != "acme" || l.Open != (n != 1) || l.Created.IsZero() || l.Title == "" || l.Ref.Key == "" {
					t.Errorf("List()[%d] = %+v; want key %s, generation %d, open %v", n, l, keys[n], n+1, n != 1)
				}
			}
		})
	}
}

func TestListForeign(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	in := connectortest.Ticket(0)
	ours := w.apply(in)
	foreign := connectortest.Ticket(1)
	other := w.apply(foreign)
	other2, err := w.srv.Clone(other.Ref.Key) // an issue without docket's property
	if err != nil {
		t.Fatal(err)
	}
	w.do(w.srv.Edit(other2, "labels", []string{"ALERT{" + strings.Repeat("a", 64) + "}", "x"}))
	w.do(w.srv.Edit(ours.Ref.Key, "labels", []string{"ALERT{" + strings.Repeat("b", 64) + "}", in.Key}))
	got := listOf(t, func(fn func(pipeline.Listed) error) error {
		return w.sink.ListForeign(t.Context(), func(l string) bool { return strings.HasPrefix(l, "ALERT{") }, fn)
	})
	if len(got) != 1 || got[0].Ref.Key != other2 || !slices.Contains(got[0].Labels, "x") || !strings.Contains(got[0].Text, foreign.Resource.ID) {
		t.Errorf("ListForeign() = %+v; want %s alone, with labels and text", got, other2)
	}
}

func TestPreview(t *testing.T) {
	w := newWorld(t, jiratest.Options{}, func(_ *jiratest.Server, c *Config) {
		c.Fields = map[string]any{"labels": []any{"team-{{ .Case.Team }}"}}
	})
	in := connectortest.Ticket(0)
	got, err := w.sink.Preview(t.Context(), in)
	if err != nil {
		t.Fatalf("Preview() = %v; want no error", err)
	}
	labels, _ := got.Fields["labels"].([]string)
	if got.Title != in.Title || got.Format != "wiki" || !strings.Contains(got.Body, in.Resource.ID) || !slices.Contains(labels, "team-payments") || !slices.Contains(labels, in.Key) {
		t.Errorf("Preview() = %+v; want title, wiki markup and labels", got)
	}
	if n := len(w.srv.Issues()); n != 0 {
		t.Errorf("Preview() made %d issues; want none", n)
	}
	w.apply(in)
	if is := w.issue("SEC-1"); is.Description != got.Body {
		t.Errorf("the issue holds another text than Preview() showed")
	}
}

func TestPlainDescription(t *testing.T) {
	for raw, want := range map[string]string{
		`"h1. wiki"`: "h1. wiki",
		`{"type":"doc","content":[{"type":"paragraph","content":[{"type":"text","text":"see","marks":[{"type":"link","attrs":{"href":"https://x.example/a"}}]}]}]}`: "see https://x.example/a ",
		`null`: "", `[`: "",
	} {
		if got := plainDescription([]byte(raw)); got != want {
			t.Errorf("plainDescription(%s) = %q; want %q", raw, got, want)
		}
	}
}

func TestCheckSettings(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	for _, c := range []struct {
		name string
		over map[string]any
		want []string // none: all is well
	}{
		{"all is well", map[string]any{"project": "PAY", "fields": map[string]any{"labels": []any{"{{ .Case.Team }}"}}}, nil},
		{"everything at once", map[string]any{"project": "no key", "sprint": 1, "fields": map[string]any{"customfield_1": "{{ .Case.Temm }}"}},
			[]string{"project: ", "sprint: ", "fields.customfield_1: the template is wrong: 1:8:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := w.sink.CheckSettings(c.over)
			if (err == nil) != (c.want == nil) {
				t.Fatalf("CheckSettings() = %v; want %q", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("CheckSettings() = %v; want it to say %q", err, part)
				}
			}
		})
	}
}
