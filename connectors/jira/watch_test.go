package jira

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
)

func TestHint(t *testing.T) {
	const key = "hook-secret"
	w := newWorld(t, jiratest.Options{Webhook: jiratest.Webhook{URL: "http://127.0.0.1:1/", Secret: key, When: jiratest.ByHand}}, func(_ *jiratest.Server, c *Config) {
		c.WebhookSecret = secret.New(key, secret.Ref{})
	})
	out := w.apply(sample())
	w.srv.TakeWebhooks()
	w.do(w.srv.Transition(out.Ref.Key, "Done", ""))
	w.do(w.srv.Comment(out.Ref.Key, "hello"))
	w.do(w.srv.Delete(out.Ref.Key))
	events := w.srv.TakeWebhooks()
	if len(events) != 3 {
		t.Fatalf("%d events; want three", len(events))
	}
	header := func(sign string) map[string][]string {
		return http.Header{"X-Hub-Signature": {sign}}
	}
	for i, e := range events {
		got, err := w.sink.Hint(pipeline.Hook{Header: header(jiratest.Sign(key, e.Body)), Body: e.Body})
		if err != nil || len(got) != 1 || got[0].Ref.ID != out.Ref.ID {
			t.Errorf("Hint(%s) = %v, %v; want the issue", e.Name, got, err)
		}
		if i == 0 && !got[0].Updated.Equal(w.now()) || i > 0 && !got[0].Updated.IsZero() {
			t.Errorf("Hint(%s) says changed at %s; want the time for an update alone", e.Name, got[0].Updated)
		}
	}
	body := events[0].Body
	for _, c := range []struct {
		name string
		hook pipeline.Hook
		want error // nil: taken
	}{
		{"by the address", pipeline.Hook{Query: map[string][]string{"token": {key}}, Body: body}, nil},
		{"no signature", pipeline.Hook{Body: body}, pipeline.ErrUnauthorized},
		{"another secret", pipeline.Hook{Header: header(jiratest.Sign("other", body)), Body: body}, pipeline.ErrUnauthorized},
		{"another body", pipeline.Hook{Header: header(jiratest.Sign(key, body)), Body: append(slices.Clone(body), ' ')}, pipeline.ErrUnauthorized},
		{"a wrong signature beside the right token", pipeline.Hook{Header: header("sha256=00"), Query: map[string][]string{"token": {key}}, Body: body}, pipeline.ErrUnauthorized},
		{"no hexadecimal", pipeline.Hook{Header: header("sha256=zz"), Body: body}, pipeline.ErrUnauthorized},
		{"an empty token", pipeline.Hook{Query: map[string][]string{"token": {""}}, Body: body}, pipeline.ErrUnauthorized},
		{"the token twice", pipeline.Hook{Query: map[string][]string{"token": {"x", key}}, Body: body}, pipeline.ErrUnauthorized},
	} {
		if _, err := w.sink.Hint(c.hook); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: Hint() = %v; want %v", c.name, err, c.want)
		}
	}
	signed := func(text string) pipeline.Hook {
		return pipeline.Hook{Header: header(jiratest.Sign(key, []byte(text))), Body: []byte(text)}
	}
	if _, err := w.sink.Hint(signed("{")); !pipeline.IsPermanent(err) {
		t.Errorf("Hint(half a body) = %v; want a permanent error", err)
	}
	for _, other := range []string{`{}`, `{"webhookEvent":"sprint_created","sprint":{"id":3}}`, `{"issue":{"id":""}}`} {
		if got, err := w.sink.Hint(signed(other)); err != nil || len(got) != 0 {
			t.Errorf("Hint(%s) = %v, %v; want nothing", other, got, err)
		}
	}
	bare := newWorld(t, jiratest.Options{})
	if _, err := bare.sink.Hint(signed("{}")); !errors.Is(err, pipeline.ErrUnauthorized) {
		t.Errorf("Hint() of a sink without a secret = %v; want %v", err, pipeline.ErrUnauthorized)
	}
}

func TestChanged(t *testing.T) {
	for _, o := range []jiratest.Options{{IndexLag: 30 * time.Second, MaxPage: 2, EmptyFirstPage: true, TimeZone: time.FixedZone("", 9*3600)}, {DataCenter: true, MaxPage: 2, TimeZone: time.FixedZone("", -9*3600)}} {
		w := newWorld(t, o)
		var all []string
		for n := range 5 {
			all = append(all, w.apply(connectortest.Ticket(n)).Ref.ID)
		}
		foreign := map[string]any{"fields": map[string]any{"project": map[string]string{"key": "SEC"}, "issuetype": map[string]string{"name": "Task"}, "summary": "not docket's"}}
		if _, err := w.sink.c.http.Do(t.Context(), http.MethodPost, api+"issue", foreign, nil); err != nil {
			t.Fatal(err)
		}
		look := func(since pipeline.Watermark, want ...string) pipeline.Watermark {
			t.Helper()
			changes, next, err := w.sink.Changed(t.Context(), since)
			var ids []string
			for _, c := range changes {
				ids = append(ids, c.Ref.ID)
				if c.Updated.IsZero() {
					t.Errorf("Changed() names %s without its time", c.Ref.Key)
				}
			}
			slices.Sort(ids)
			if err != nil || !slices.Equal(ids, want) {
				t.Errorf("Changed(%q) = %v, %v; want %v", since, ids, err, want)
			}
			return next
		}
		w.pass(time.Minute)
		mark := look("", all...)
		w.pass(10 * time.Minute)
		mark = look(mark, all...) // once more than needed: polls overlap
		w.pass(time.Hour)
		mark = look(mark)
		w.pass(time.Hour)
		w.do(w.srv.Edit("SEC-2", "summary", "new"))
		w.pass(2 * time.Hour)
		look(mark, all[1])
		w.srv.RevokeToken()
		if _, next, err := w.sink.Changed(t.Context(), mark); !errors.Is(err, pipeline.ErrUnauthorized) || next != mark {
			t.Errorf("Changed() = %s, %v; want the watermark unmoved and %v", next, err, pipeline.ErrUnauthorized)
		}
	}
}

func TestRead(t *testing.T) {
	for _, o := range []jiratest.Options{{}, {DataCenter: true}} {
		w := newWorld(t, o, func(_ *jiratest.Server, c *Config) {
			c.Transitions.Ack = "In Progress"
			c.Fields = map[string]any{"labels": []any{"cloud"}}
		})
		in := sample()
		in.Comments = comment1("DK-1/r1", in.Since, "docket's own")
		in.Assignees = []string{"ada@example.com"}
		out := w.apply(in)
		read := func() pipeline.Seen {
			t.Helper()
			s, err := w.sink.Read(t.Context(), pipeline.Ref{ID: out.Ref.ID})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := read()
		held := maps.Clone(out.Held)
		maps.DeleteFunc(held, func(word, _ string) bool { return word == wordLink })
		if !maps.Equal(s.Fields, held) {
			t.Errorf("Fields = %v; want what was held, %v", s.Fields, held)
		}
		if s.Key != in.Key || s.Case != "DK-1" || s.Ref != out.Ref || s.Closed || s.Acked || s.Priority != pipeline.P2 || s.Assignee != "ada@example.com" || len(s.Comments) != 0 {
			t.Errorf("Read() = %+v; want an open issue of DK-1 with no comments of people", s)
		}
		w.pass(time.Minute)
		w.do(w.srv.Transition(out.Ref.Key, "In Progress", ""))
		if s = read(); !s.Acked || s.Fields[wordState] != "In Progress" || s.Acts[wordState].By == "" || !s.Acts[wordState].At.Equal(w.now()) || !s.Updated.Equal(w.now()) {
			t.Errorf("Read() of what a person took = %+v; want it acked, and by whom", s)
		}
		w.do(w.srv.Edit(out.Ref.Key, "priority", "Lowest"))
		w.do(w.srv.Comment(out.Ref.Key, "I'll look (DK-1/r1)\nat it"))
		w.pass(time.Minute)
		w.do(w.srv.Transition(out.Ref.Key, "Done", "Won't Do"))
		w.do(w.srv.Assign(out.Ref.Key, ""))
		s = read()
		if !s.Closed || !s.WontFix || s.Priority != pipeline.P5 || s.Assignee != "" || s.Fields[wordResolution] != "Won't Do" || s.Fields[wordAssignee] != "" {
			t.Errorf("Read() = %+v; want it closed as not to be fixed, unassigned, at P5", s)
		}
		if len(s.Comments) != 1 || !strings.HasPrefix(s.Comments[0].Text, "I'll look") || s.Comments[0].By == "" || s.Comments[0].ID == "" {
			t.Errorf("comments = %+v; want the person's", s.Comments)
		}
		w.do(w.srv.Delete(out.Ref.Key))
		if s, err := w.sink.Read(t.Context(), out.Ref); err != nil || !s.Deleted || s.Ref != out.Ref {
			t.Errorf("Read(deleted) = %+v, %v; want it deleted", s, err)
		}
		w.srv.RevokeToken()
		if _, err := w.sink.Read(t.Context(), out.Ref); !errors.Is(err, pipeline.ErrUnauthorized) {
			t.Errorf("Read() = %v; want %v", err, pipeline.ErrUnauthorized)
		}
	}
}

// TestReadByTheTeamsNames: a team that calls things differently is understood without its settings at hand.
func TestReadByTheTeamsNames(t *testing.T) {
	w := newWorld(t, jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", Priorities: []string{"Blocker", "High", "Minor"}}}}, func(_ *jiratest.Server, c *Config) {
		c.Transitions.Ack = "Taken"
	})
	in := sample()
	in.Settings = map[string]any{"priorities": map[string]any{"P1": "Blocker", "P2": "Minor"}, "transitions": map[string]any{"ack": "In Progress"}}
	out := w.apply(in)
	w.do(w.srv.Transition(out.Ref.Key, "In Progress", ""))
	for name, want := range map[string]pipeline.Priority{"Blocker": pipeline.P1, "Minor": pipeline.P2} {
		w.do(w.srv.Edit(out.Ref.Key, "priority", name))
		s, err := w.sink.Read(t.Context(), out.Ref)
		if err != nil || s.Priority != want || !s.Acked {
			t.Errorf("Read() of %s = %s, acked %v, %v; want %s, acked", name, s.Priority, s.Acked, err, want)
		}
	}
}

// TestChangedBetweenPages: an issue that changes while the pages are read moves in the list; no other is passed over for it.
func TestChangedBetweenPages(t *testing.T) {
	o := jiratest.Options{DataCenter: true, MaxPage: 2}
	w := newWorld(t, o)
	var all []string
	for n := range 6 {
		all = append(all, w.apply(connectortest.Ticket(n)).Ref.ID)
		w.pass(time.Second)
	}
	var searches atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/search") && searches.Add(1) == 2 {
			if err := w.srv.Edit("SEC-1", "summary", "new"); err != nil {
				t.Error(err)
			}
		}
		w.srv.ServeHTTP(rw, r)
	}))
	defer front.Close()
	sink := w.newSink(o, func(_ *jiratest.Server, c *Config) { c.URL = front.URL })
	changes, _, err := sink.Changed(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range all[1:] { // the one that changed just now is the next poll's
		if !slices.ContainsFunc(changes, func(c pipeline.Change) bool { return c.Ref.ID == id }) {
			t.Errorf("Changed() = %v; want %s in it", changes, id)
		}
	}
}
