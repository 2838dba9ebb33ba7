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
func action(n, rev uint64, ref pipeline.Ref) pipeline.Action {
	return pipeline.Action{Case: "DK-1", Sink: "jira", N: n, Ticket: pipeline.Ticket{
		Key: "docket-00000000000000000001", Case: "DK-1", Rev: rev, Gen: 1, Open: true, Ref: ref,
	}}
}

// process is one run of docket: everything that its loop touches goes through
// it, so that it can die at any step.
type process struct {
	*world
	loop    *deliver.Loop
	cancel  context.CancelFunc
	ended   chan struct{}
	mu      sync.Mutex
	dead    bool
	steps   []string
	crashAt string // "before swap 1", "after apply 1", …
	brake   bool
	failing string                          // the kind of step that fails, without an effect
	muted   string                          // the step that has its effect but fails: "swap 2"
	freeze  func(step string) time.Duration // how long the process stands still at a step
}

type options func(*process, *deliver.Options)

func alone(_ *process, o *deliver.Options) { o.Alone = true }

func with(sink pipeline.Sink) options {
	return func(p *process, o *deliver.Options) { o.Sink = p.sink(sink) }
}

func oneCall(_ *process, o *deliver.Options) { o.Concurrency = 1 }

func crashing(at string) options { return func(p *process, _ *deliver.Options) { p.crashAt = at } }

func (w *world) start(name string, opts ...options) *process {
	w.t.Helper()
	p := &process{world: w, ended: make(chan struct{})}
	o := deliver.Options{
		Name: "jira", Claims: stepClaims{p}, Queue: stepQueue{p}, Outcomes: stepOutcomes{p}, Holder: name,
		Brake: func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.brake },
	}
	with(finding{w.tracker})(p, &o)
	for _, opt := range opts {
		opt(p, &o)
	}
	l, err := deliver.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	p.loop = l
	ctx, cancel := context.WithCancel(w.t.Context())
	p.cancel = cancel
	go func() {
		defer close(p.ended)
		if err := l.Run(ctx); err != nil {
			w.t.Errorf("Run() = %v; want nil", err)
		}
	}()
	return p
}

// stop asks the process to end and waits for it.
func (p *process) stop() {
	p.cancel()
	<-p.ended
}

func (p *process) setBrake(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.brake = on
}

// settled waits until the queue is empty; it fails after four hours of the bubble's time.
func (w *world) settled() {
	w.t.Helper()
	for range 4 * 3600 {
		if w.queue.left() == 0 {
			return
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("%d messages are left after four hours", w.queue.left())
}

var errDisk = errors.New("no space left on device")

var errDead = errors.New("this process is dead")

// step runs do as the n-th step of its kind, unless the process is dead or dies here.
func (p *process) step(kind string, do func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errDead
	}
	n := 1
	for _, s := range p.steps {
		if s == kind {
			n++
		}
	}
	p.steps = append(p.steps, kind)
	if p.failing == kind {
		p.mu.Unlock()
		return errDisk
	}
	label := fmt.Sprintf("%s %d", kind, n)
	var still time.Duration
	if p.freeze != nil {
		still = p.freeze(label)
	}
	p.mu.Unlock()
	time.Sleep(still)
	if p.crashAt == "before "+label {
		return p.die()
	}
	err := do()
	if p.crashAt == "after "+label {
		return p.die()
	}
	if p.muted == label {
		return errDisk
	}
	return err
}

func (p *process) die() error {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.cancel()
	return errDead
}

type stepClaims struct{ p *process }

func (s stepClaims) Read(ctx context.Context, key string) (c deliver.Claim, rev uint64, err error) {
	err = s.p.step("read", func() error { c, rev, err = s.p.claims.Read(ctx, key); return err })
	return c, rev, err
}

func (s stepClaims) Swap(ctx context.Context, key string, rev uint64, c deliver.Claim) (next uint64, err error) {
	err = s.p.step("swap", func() error { next, err = s.p.claims.Swap(ctx, key, rev, c); return err })
	return next, err
}

type stepOutcomes struct{ p *process }

func (s stepOutcomes) Publish(_ context.Context, o pipeline.Outcome) error {
	return s.p.step("publish", func() error {
		s.p.outcomes.mu.Lock()
		defer s.p.outcomes.mu.Unlock()
		s.p.outcomes.all = append(s.p.outcomes.all, o)
		return nil
	})
}

type stepQueue struct{ p *process }

func (s stepQueue) Fetch(_ context.Context, n int) (out []deliver.Message, err error) {
	s.p.mu.Lock()
	dead, failing := s.p.dead, s.p.failing == "fetch"
	s.p.mu.Unlock()
	if dead {
		return nil, errDead
	}
	if failing {
		return nil, errDisk
	}
	for _, it := range s.p.queue.fetch(n) {
		out = append(out, stepMessage{s.p, it})
	}
	return out, nil
}

type stepMessage struct {
	p  *process
	it *item
}

func (m stepMessage) Data() []byte { return m.it.data }
func (m stepMessage) Done() error {
	return m.p.step("done", func() error {
		m.p.queue.mu.Lock()
		defer m.p.queue.mu.Unlock()
		m.it.done = true
		return nil
	})
}
func (m stepMessage) NakWithDelay(d time.Duration) error {
	return m.p.step("nak", func() error { m.visible(d); return nil })
}
func (m stepMessage) InProgress() error {
	return m.p.step("progress", func() error { m.visible(m.p.queue.wait); return nil })
}
func (m stepMessage) visible(d time.Duration) {
	m.p.queue.mu.Lock()
	defer m.p.queue.mu.Unlock()
	m.it.visible = time.Now().Add(d)
}

// sink puts the process between a sink and its loop, with the same powers.
func (p *process) sink(s pipeline.Sink) pipeline.Sink {
	step := stepSink{p, s}
	if f, ok := s.(pipeline.Finder); ok {
		return stepFinder{step, f}
	}
	if _, ok := s.(pipeline.Repeater); ok {
		return stepRepeater{step}
	}
	return step
}

type stepSink struct {
	p *process
	s pipeline.Sink
}

func (s stepSink) Apply(ctx context.Context, t pipeline.Ticket) (a pipeline.Applied, err error) {
	err = s.p.step("apply", func() error { a, err = s.s.Apply(ctx, t); return err })
	return a, err
}

type stepFinder struct {
	stepSink
	f pipeline.Finder
}

func (s stepFinder) Find(ctx context.Context, key string) (refs []pipeline.Ref, err error) {
	err = s.p.step("find", func() error { refs, err = s.f.Find(ctx, key); return err })
	return refs, err
}

type stepRepeater struct{ stepSink }

func (stepRepeater) RepeatsSafely() {}

// once is a fault of the n-th write only.
func once(n int, f fault) func(int) fault {
	return func(call int) fault {
		if call == n {
			return f
		}
		return fault{}
	}
}
