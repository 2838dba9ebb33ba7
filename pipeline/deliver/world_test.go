package deliver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fault is what goes wrong with one write at the tracker.
type fault struct {
	sleep      time.Duration // before the effect, deaf to ctx: the process, or the network, stands still
	err        error         // answered instead of doing it
	partly     error         // effect, answered with the record and this error
	loseBefore bool          // no effect, no answer
	loseAfter  bool          // effect, no answer
	late       time.Duration // no answer now, effect this much later
}

type record struct {
	ref     pipeline.Ref
	key     string
	rev     uint64
	open    bool
	deleted bool
	made    time.Time
}

// tracker is a small ticket system in memory.
type tracker struct {
	mu      sync.Mutex
	records []*record
	lag     time.Duration // a record is found no sooner after it was made
	ghosts  bool          // the look-up still shows deleted records
	calls   int           // writes, the refused included
	looks   int
	fault   func(call int) fault // nil: none
	refuse  func(look int) error // nil: none
}

var errAnswer = errors.New("connection reset")

// fails changes what goes wrong from now on.
func (tr *tracker) fails(f func(call int) fault) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.fault = f
}

func (tr *tracker) apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	tr.mu.Lock()
	tr.calls++
	var f fault
	if tr.fault != nil {
		f = tr.fault(tr.calls)
	}
	tr.mu.Unlock()
	time.Sleep(f.sleep)
	switch {
	case f.err != nil:
		return pipeline.Applied{}, f.err
	case f.loseBefore:
		return pipeline.Applied{}, pipeline.Unsure(errAnswer)
	case f.late > 0:
		time.AfterFunc(f.late, func() { _, _ = tr.effect(t) })
		<-ctx.Done()
		return pipeline.Applied{}, pipeline.Unsure(context.Cause(ctx))
	}
	a, err := tr.effect(t)
	if f.partly != nil {
		return a, f.partly
	}
	if f.loseAfter {
		return pipeline.Applied{}, pipeline.Unsure(errAnswer)
	}
	return a, err
}

// effect creates without a ref, and writes the record that a ref names.
func (tr *tracker) effect(t pipeline.Ticket) (pipeline.Applied, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if t.Ref.IsZero() {
		id := fmt.Sprint("id", len(tr.records)+1)
		tr.records = append(tr.records, &record{ref: pipeline.Ref{ID: id, Key: id}, key: t.Key, rev: t.Rev, open: t.Open, made: time.Now()})
		return pipeline.Applied{Ref: tr.records[len(tr.records)-1].ref}, nil
	}
	for _, r := range tr.records {
		if r.ref.ID == t.Twin.ID {
			r.open = false // linked and closed
		}
	}
	for _, r := range tr.records {
		if r.ref.ID == t.Ref.ID && !r.deleted {
			r.rev, r.open = t.Rev, t.Open
			return pipeline.Applied{Ref: r.ref}, nil
		}
	}
	return pipeline.Applied{}, fmt.Errorf("reading %s: %w", t.Ref.ID, pipeline.ErrGone)
}

func (tr *tracker) find(key string) ([]pipeline.Ref, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.looks++
	if tr.refuse != nil {
		if err := tr.refuse(tr.looks); err != nil {
			return nil, err
		}
	}
	var refs []pipeline.Ref
	for _, r := range tr.records {
		if r.key == key && (!r.deleted || tr.ghosts) && time.Since(r.made) >= tr.lag {
			refs = append(refs, r.ref)
		}
	}
	return refs, nil
}

func (tr *tracker) all() []record {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var out []record
	for _, r := range tr.records {
		out = append(out, *r)
	}
	return out
}

func (tr *tracker) writeCount() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.calls
}

func (tr *tracker) lookCount() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.looks
}

// The three kinds of sink.
type (
	finding   struct{ *tracker } // can look up
	blind     struct{ *tracker } // can not
	repeating struct{ *tracker } // is idempotent by key
)

func (s finding) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	return s.apply(ctx, t)
}
func (s finding) Find(_ context.Context, key string) ([]pipeline.Ref, error) { return s.find(key) }

func (s blind) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	return s.apply(ctx, t)
}

func (s repeating) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	if refs, _ := s.find(t.Key); len(refs) > 0 {
		t.Ref = refs[0]
	}
	return s.apply(ctx, t)
}
func (repeating) RepeatsSafely() {}

// queue hands messages out again after the ack wait, as a stream does.
type queue struct {
	mu    sync.Mutex
	wait  time.Duration
	items []*item
}

type item struct {
	data    []byte
	visible time.Time
	done    bool
}

func (q *queue) publish(a pipeline.Action) {
	data, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, &item{data: data})
}

// clear loses every message.
func (q *queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = nil
}

func (q *queue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, it := range q.items {
		if !it.done {
			n++
		}
	}
	return n
}

func (q *queue) fetch(n int) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []*item
	for _, it := range q.items {
		if len(out) < n && !it.done && !it.visible.After(time.Now()) {
			it.visible = time.Now().Add(q.wait)
			out = append(out, it)
		}
	}
	return out
}

// outcomes is the stream of outcomes.
type outcomes struct {
	mu  sync.Mutex
	all []pipeline.Outcome
}

func (o *outcomes) list() []pipeline.Outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

func (o *outcomes) results() []pipeline.OutcomeResult {
	var out []pipeline.OutcomeResult
	for _, x := range o.list() {
		out = append(out, x.Result)
	}
	return out
}

// world is what outlives a process.
type world struct {
	t        *testing.T
	tracker  *tracker
	queue    *queue
	outcomes *outcomes
	path     string
	claims   *state.Claims
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, tracker: &tracker{}, queue: &queue{wait: time.Minute}, outcomes: &outcomes{},
		path: filepath.Join(t.TempDir(), "claims.db"),
	}
	w.open()
	if err := w.claims.Rebuild(nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) open() {
	w.t.Helper()
	c, err := state.OpenClaims(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.claims = c
}

func (w *world) close() {
	if err := w.claims.Close(); err != nil {
		w.t.Error(err)
	}
}

// claim is the claim of the one case.
func (w *world) claim() deliver.Claim {
	w.t.Helper()
	c, _, err := w.claims.Read(w.t.Context(), deliver.ClaimKey("jira", "DK-1"))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) put(c deliver.Claim) {
	w.t.Helper()
	if _, err := w.claims.Swap(w.t.Context(), deliver.ClaimKey("jira", "DK-1"), 0, c); err != nil {
		w.t.Fatal(err)
	}
}

// action is "make the ticket of DK-1 match rev".
// ticketKey is the key of every ticket of these tests.
const ticketKey = "docket-00000000000000000001"

func action(n, rev uint64, ref pipeline.Ref) pipeline.Action {
	return pipeline.Action{Case: "DK-1", Sink: "jira", N: n, Ticket: pipeline.Ticket{
		Key: ticketKey, Case: "DK-1", Rev: rev, Gen: 1, Open: true, Ref: ref,
	}}
}
