package jira

import (
	"html"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a sink with a stand-in of its own.
type world struct {
	*testing.T
	srv  *jiratest.Server
	sink *Sink
	mu   sync.Mutex
	at   time.Time
	logs strings.Builder
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// newWorld starts a stand-in and a sink for it; change edits the sink's configuration.
func newWorld(t *testing.T, o jiratest.Options, change ...func(*jiratest.Server, *Config)) *world {
	t.Helper()
	w := &world{T: t, at: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	o.Now = w.now
	w.srv = jiratest.New(t, o)
	w.sink = w.newSink(o, change...)
	return w
}

func (w *world) newSink(o jiratest.Options, change ...func(*jiratest.Server, *Config)) *Sink {
	w.Helper()
	c := DefaultConfig()
	c.URL, c.Project = w.srv.URL(), "SEC"
	token := secret.New("jira-token-1", secret.Ref{})
	c.Auth = Auth{Email: "docket@example.com", Token: token}
	if o.DataCenter {
		c.Auth = Auth{User: "docket", Password: token}
	}
	for _, f := range change {
		f(w.srv, &c)
	}
	s, err := NewSink(c, Options{Name: "jira", Now: w.now, Log: slog.New(slog.NewTextHandler(&w.logs, nil))})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(s.c.http.Close)
	return s
}

func (w *world) apply(in pipeline.Ticket) pipeline.Applied {
	w.Helper()
	out, err := w.sink.Apply(w.Context(), in)
	if err != nil {
		w.Fatalf("Apply(rev %d) = %v; want no error", in.Rev, err)
	}
	return out
}

// then is the next revision of a ticket after it was delivered with out.
func then(in pipeline.Ticket, out pipeline.Applied, change func(*pipeline.Ticket)) pipeline.Ticket {
	in.Ref, in.Last, in.Rev, in.Comments, in.WasOpen = out.Ref, out.Held, in.Rev+1, nil, in.Open
	change(&in)
	return in
}

func (w *world) issue(key string) jiratest.Snapshot {
	w.Helper()
	s, ok := w.srv.Issue(key)
	if !ok {
		w.Fatalf("there is no issue %s", key)
	}
	return s
}

// do fails the test when a person's hand slips.
func (w *world) do(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) requests(route string) int {
	return w.srv.Requests(func(r jiratest.Request) bool { return strings.HasPrefix(r.Route, route) })
}

// writes counts the requests that change something.
func (w *world) writes() int {
	return w.srv.Requests(func(r jiratest.Request) bool {
		return r.Method != http.MethodGet && !strings.Contains(r.Route, "search")
	})
}

func records(t testing.TB, srv *jiratest.Server) []connectortest.Record {
	var out []connectortest.Record
	for _, i := range srv.Issues() {
		text := i.Priority + "\n" + i.Description
		for _, c := range i.Comments {
			text += "\n" + c.Body
		}
		// Jira escapes what is HTML when it shows wiki markup. The summary is plain text that nobody renders.
		out = append(out, connectortest.Record{Ref: pipeline.Ref{ID: i.ID}, Open: i.Category != "done", Text: html.EscapeString(text)})
	}
	return out
}
