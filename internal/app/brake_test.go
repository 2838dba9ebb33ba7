package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/stream"
	"github.com/docket-hub/docket/pipeline"
)

// taker takes tickets as a sink of type webhook posts them, and notes when each request began.
type taker struct {
	*httptest.Server
	mu    sync.Mutex
	last  time.Time
	opens map[string]int // by ticket key
	calls int
}

func newTaker(t testing.TB, latency time.Duration) *taker {
	h := &taker{opens: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		body, err := io.ReadAll(r.Body)
		var doc struct {
			Event  string
			Ticket struct{ Key string }
		}
		if err != nil || json.Unmarshal(body, &doc) != nil {
			http.Error(w, "no document", http.StatusBadRequest)
			return
		}
		h.mu.Lock()
		h.calls++
		h.last = began
		if doc.Event == "opened" {
			h.opens[doc.Ticket.Key]++
		}
		h.mu.Unlock()
		<-time.After(latency)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *taker) seen() (calls, tickets int, last time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls, len(h.opens), h.last
}

// The brake in the middle of a flood: no write starts a second later, what comes in meanwhile
// queues, and off, everything arrives once.
func TestBrakeInAFlood(t *testing.T) {
	h := newTaker(t, 5*time.Millisecond)
	_, d := daemonOf(t, strings.Replace(daemonSite, "sinks: [{name: disk, type: file, path: ./tickets}]", "sinks: [{name: disk, type: webhook, url: '"+h.URL+"'}]", 1))
	d.ingest(ndjson(t, samples(1, 2000)...))
	eventually(t, "tickets go out", func() bool { calls, _, _ := h.seen(); return calls >= 50 })
	pulled := time.Now()
	act := func(verb string) {
		t.Helper()
		resp, text := d.call("POST", "/api/v1/act", bossToken, []byte(`{"verb":"`+verb+`","by":"ada@example.com","text":"for a test"}`))
		if resp.StatusCode != http.StatusOK || strings.Contains(text, `"refused":true`) {
			t.Fatalf("%s = %d %s; want it done", verb, resp.StatusCode, text)
		}
	}
	act("brake")
	d.ingest(ndjson(t, samples(3001, 10)...))
	eventually(t, "the brake shows what queues", func() bool {
		_, text := d.call("GET", "/api/v1/brake", bossToken, nil)
		var b api.BrakeStatus
		return json.Unmarshal([]byte(text), &b) == nil && b.On && b.By == "ada@example.com" && b.Text == "for a test" &&
			len(b.Sinks) == 1 && b.Sinks[0].Waiting > 1000 && b.Sinks[0].Held == "brake"
	})
	<-time.After(time.Until(pulled.Add(2 * time.Second)))
	calls, tickets, last := h.seen()
	if after := last.Sub(pulled); after > time.Second {
		t.Errorf("a write began %s after the brake; want none after 1s", after)
	}
	if tickets >= 2010 {
		t.Fatalf("all %d tickets went out before the brake; want it in the middle", tickets)
	}
	act("unbrake")
	eventually(t, "everything arrived", func() bool { _, n, _ := h.seen(); return n == 2010 })
	d.idle()
	now, _, _ := h.seen()
	if now-calls != 2010-tickets {
		t.Errorf("calls after the brake = %d for %d tickets; want one each", now-calls, 2010-tickets)
	}
}

// The brake was put on and the process died before triage read that: the next one reads it
// before its first write.
func TestBrakeBeforeTheFirstClaim(t *testing.T) {
	s := newSite(t, fileSite)
	ctx := t.Context()
	s.once() // makes data_dir
	s.put("in/a.json", ndjson(t, samples(1, 20)...))
	st, err := stream.Open(ctx, stream.Options{Dir: filepath.Join(s.dir, "data", streamDir), Log: s.log.logger(), Keep: time.Hour, MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	in := message{Interaction: &pipeline.Interaction{ID: "i1", Verb: pipeline.VerbBrakeOn, By: "ada@example.com"}}
	data, err := in.encode()
	if err == nil {
		err = st.PublishInput(ctx, data, "i/i1")
	}
	if err = errors.Join(err, st.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // in state too, then
		sum := s.once()
		if len(s.tickets()) != 0 || !slices.Contains(sum.Waiting, api.Waiting{Reason: "brake", Cases: 20}) {
			t.Errorf("%d tickets, waiting %+v; want none, and 20 cases behind the brake", len(s.tickets()), sum.Waiting)
		}
	}
	if _, err := s.offline().Act(ctx, pipeline.Interaction{Verb: pipeline.VerbBrakeOff, By: "ada@example.com"}); err != nil {
		t.Fatal(err)
	}
	if n := len(s.tickets()); n != 0 {
		t.Errorf("%d tickets by the command itself; want none", n)
	}
	s.once()
	if n := len(s.tickets()); n != 20 {
		t.Errorf("%d tickets once the brake is off; want 20", n)
	}
	s.still()
}

// A request for the brake that comes again after it was taken off does nothing a second time, nor do
// requests for and against it that are decided together leave it other than state says.
func TestBrakeAskedForTwice(t *testing.T) {
	s := newSite(t, fileSite)
	ctx := t.Context()
	opts, err := s.options().options()
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(ctx, s.config(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(ctx)
	act := func(id string, verb pipeline.Verb) {
		if _, err := a.Act(ctx, pipeline.Interaction{ID: id, Verb: verb, By: "ada@example.com"}); err != nil {
			t.Errorf("Act(%s) = %v; want no error", verb, err)
		}
	}
	act("i1", pipeline.VerbBrakeOn)
	act("i2", pipeline.VerbBrakeOff)
	act("i1", pipeline.VerbBrakeOn)
	if a.braked() {
		t.Error("the brake is on after the first request came again; want it off")
	}
	for i := range 20 {
		var both sync.WaitGroup
		both.Go(func() { act(fmt.Sprint("on", i), pipeline.VerbBrakeOn) })
		both.Go(func() { act(fmt.Sprint("off", i), pipeline.VerbBrakeOff) })
		both.Wait()
		if b, err := a.Brake(ctx); err != nil || b.On != a.braked() {
			t.Fatalf("Brake() = %+v, %v; want what holds the sinks: %v", b, err, a.braked())
		}
	}
}

// forgetful is a sink that cannot look anything up and loses the answer to its first write.
type forgetful struct {
	mu   sync.Mutex
	refs []pipeline.Ref // that tickets came with
}

func (f *forgetful) Apply(_ context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refs = append(f.refs, t.Ref)
	if len(f.refs) == 1 {
		return pipeline.Applied{}, pipeline.Unsure(errors.New("connection reset"))
	}
	if t.Ref.IsZero() {
		t.Ref = pipeline.Ref{ID: "NEW-1", Key: "NEW-1"}
	}
	return pipeline.Applied{Ref: t.Ref}, nil
}

// What nobody knows the end of is parked, and a person says what became of it.
func TestParkedIsResolved(t *testing.T) {
	for _, c := range []struct {
		name string
		ref  pipeline.Ref
		want string // the record in the end
	}{
		{"it is there", pipeline.Ref{ID: "SEC-12", Key: "SEC-12"}, "SEC-12"},
		{"it is not there", pipeline.Ref{}, "NEW-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, fileSite)
			s.put("in/a.json", ndjson(t, samples(1, 1)...))
			sink := &forgetful{}
			opts, err := s.options().options()
			if err != nil {
				t.Fatal(err)
			}
			set, err := all.Set()
			if err != nil {
				t.Fatal(err)
			}
			f := set["file"]
			f.Sink = func(connectors.Env, connectors.Block) (pipeline.Sink, error) { return sink, nil }
			set["file"], opts.Set = f, set
			ctx := t.Context()
			a, err := Open(ctx, s.config(), opts)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close(ctx)
			if _, err := a.Once(ctx, time.Minute, quiet); err != nil {
				t.Fatal(err)
			}
			rows, err := a.DeadLetters(ctx, api.DeadLetterFilter{})
			if err != nil || len(rows) != 1 || rows[0].State != "parked" || !strings.Contains(rows[0].Next, "resolve DK-1 --sink disk --ticket KEY") ||
				!strings.Contains(rows[0].Next, rows[0].Key) {
				t.Fatalf("DeadLetters() = %+v, %v; want it parked, with its key and what to do", rows, err)
			}
			act := func(in pipeline.Interaction, refused bool) {
				t.Helper()
				in.Cases, in.By = []string{"DK-1"}, "ada@example.com"
				got, err := a.Act(ctx, in)
				if err != nil || got.Refused != refused {
					t.Errorf("Act(%s) = %+v, %v; want refused %v", in.Verb, got, err, refused)
				}
			}
			act(pipeline.Interaction{Verb: pipeline.VerbRetry}, true)
			act(pipeline.Interaction{Verb: pipeline.VerbResolveParked, Ref: c.ref}, false)
			act(pipeline.Interaction{Verb: pipeline.VerbResolveParked, Ref: c.ref}, true)
			eventually(t, "the ticket is known", func() bool {
				d, err := a.Case(ctx, "DK-1")
				return err == nil && d.Tickets[0].Ref.ID == c.want && d.Tickets[0].State == "open"
			})
			sink.mu.Lock()
			defer sink.mu.Unlock()
			if want := []pipeline.Ref{{}, c.ref}; !slices.Equal(sink.refs, want) {
				t.Errorf("writes came with %+v; want %+v", sink.refs, want)
			}
			x, err := a.Explain(ctx, "DK-1")
			if text := fmt.Sprint(x.Story); err != nil || !strings.Contains(text, "parked") || !strings.Contains(text, "resolved") || !strings.Contains(text, "ada@example.com") {
				t.Errorf("Explain() = %s, %v; want how it was parked and who resolved it", text, err)
			}
		})
	}
}
