package deliver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

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

func (m stepMessage) Action() (a pipeline.Action, err error) {
	err = json.Unmarshal(m.it.data, &a)
	return a, err
}
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
