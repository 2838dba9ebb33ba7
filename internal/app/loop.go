package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/internal/stream"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

const (
	tickEvery  = time.Second
	sweepChunk = 500
)

// loop is triage's one writer: it reads both input streams in sequence, decides
// batches, commits each in one transaction, and lets the relay go on.
type loop struct {
	app   *App
	store *state.Store
	log   *slog.Logger
	clock triage.Clock

	findings, inputs *stream.Reader
	found, told      chan batch  // of findings; of inputs
	ahead            atomic.Bool // a batch of findings was read and waits to be taken
	readers          sync.WaitGroup
	readErr          chan error
	injected         chan injection // what comes by no stream

	issuing   atomic.Pointer[issuing] // one value, so that no look at it finds half of a change
	sweeping  bool
	migrating bool // state is on its way to another equivalence map
	full      bool // the last issue reached its bound: more is due
	holding   bool // updates of tickets wait for the end of a flood
	way       way
	left      leftReads
	position  struct {
		sync.Mutex
		findings, inputs uint64
		changed          chan struct{} // closed at the next commit
		summary          triage.Summary
		settled, swept   bool // the last batch issued nothing and left nothing to sweep; it left nothing to sweep
	}
}

// issuing says which actions triage may issue.
type issuing struct {
	held bool
	only map[string]bool // group keys; nil: every case
}

func newLoop(a *App, meta triage.Meta) (*loop, error) {
	l := &loop{
		app: a, store: a.store, log: a.o.Log.With("component", "triage"),
		found: make(chan batch), told: make(chan batch), readErr: make(chan error, 2), injected: make(chan injection),
	}
	l.issuing.Store(&issuing{held: a.o.HoldIssue})
	l.sweeping = meta.Sweep != 0
	l.position.findings, l.position.inputs = meta.Findings, meta.Inputs
	l.migrating = meta.Map != a.Graph().Rules.Map || meta.Migration != (triage.Migration{})
	l.position.settled, l.position.swept = meta.Sweep == 0 && !l.migrating, meta.Sweep == 0
	l.position.changed = make(chan struct{})
	var err error
	if l.left, err = findLeftReads(a); err != nil {
		return nil, err
	}
	if l.findings, err = a.stream.Findings(meta.Findings + 1); err != nil {
		return nil, err
	}
	if l.inputs, err = a.stream.Inputs(meta.Inputs + 1); err != nil {
		l.findings.Close()
		return nil, err
	}
	return l, nil
}

func (l *loop) close() {
	l.findings.Close()
	l.inputs.Close()
}

func (l *loop) run(ctx context.Context) error {
	if err := l.migrate(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	rctx, stop := context.WithCancel(ctx)
	defer func() { stop(); l.readers.Wait() }()
	l.readers.Add(2)
	go l.read(rctx, l.findings, false)
	go l.read(rctx, l.inputs, true)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	issue := newPacer()
	defer issue.timer.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		if l.sweeping {
			if err := l.sweep(issue); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		if l.full {
			issue.timer.Reset(0)
		}
		found := l.found
		if now := time.Now(); l.way.give(l.app.crowd.on(now), now) {
			found = nil // what people say and what became of tickets goes on
			look.Reset(giveWayLook)
		}
		select {
		case b := <-found:
			if err := l.paced(b, issue); err != nil {
				return err
			}
		case b := <-l.told:
			if err := l.paced(b, issue); err != nil {
				return err
			}
		case <-look.C:
		case <-issue.timer.C:
			var now bool
			at := time.Now()
			if now, l.holding = issue.due(at, (l.ahead.Load() || l.app.crowd.on(at)) && !l.full); !now {
				continue
			}
			if err := l.decide(nil, true); err != nil {
				return err
			}
		case <-tick.C:
			if err := l.tick(issue.since.IsZero()); err != nil {
				return err
			}
		case in := <-l.injected:
			in.done <- l.decide([]triage.Input{in.input}, true)
		case err := <-l.readErr:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// sweep looks at the next findings that a change of the rules may concern, with what the streams brought meanwhile.
func (l *loop) sweep(issue *pacer) error {
	l.holding = false
	if err := l.decide([]triage.Input{{Time: l.app.now(), Sweep: sweepChunk}}, true); err != nil {
		return err
	}
	var b batch
	select {
	case b = <-l.found:
	case b = <-l.told:
	default:
		return nil
	}
	n, _, err := l.take(b, false)
	if err == nil {
		issue.after(n, time.Now())
	}
	return err
}

// paced takes a batch, and has its actions issued with it or soon.
func (l *loop) paced(b batch, issue *pacer) error {
	n, issued, err := l.take(b, issue.since.IsZero())
	if err == nil && !issued {
		issue.after(n, time.Now())
	}
	return err
}

// injection is an input from inside the process.
type injection struct {
	input triage.Input
	done  chan error
}

// inject hands an input to the loop and waits until it is committed.
func (l *loop) inject(ctx context.Context, in triage.Input) error {
	in.Time = l.app.now()
	x := injection{in, make(chan error, 1)}
	select {
	case l.injected <- x:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.app.ctx.Done():
		return errClosing
	}
	select {
	case err := <-x.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take decides one batch of messages, and says how many findings were in it. What comes of outcomes, of
// people and of few findings is issued in the same commit, unless others wait for company (alone is false).
// What cannot even be read is kept as a reject.
func (l *loop) take(b batch, alone bool) (findings int, issued bool, err error) {
	failpoint.Hit("triage/read")
	var inputs []triage.Input
	for _, m := range b.messages {
		m.Time = m.Time.Add(l.app.o.Skew)
		for i, payload := range m.Payloads {
			in, err := l.input(b.inputs, payload, m)
			if err != nil {
				l.log.Error("input kept as a reject", "err", err)
				in = rejectInput(err, fmt.Sprintf("stream message %d, part %d", m.Seq, i), m, b.inputs)
			}
			if in.Envelope != nil {
				findings += len(in.Envelope.Items)
			}
			inputs = append(inputs, in)
		}
		if len(m.Payloads) == 0 {
			inputs = append(inputs, position(m, b.inputs))
		}
	}
	issued = alone && findings <= issueAtOnce
	return findings, issued, l.decide(inputs, issued)
}

func (l *loop) input(inputs bool, payload []byte, m stream.Message) (triage.Input, error) {
	if inputs {
		return decodeInput(payload, m.Seq, m.Time)
	}
	e, err := pipeline.ParseEnvelope(payload)
	return triage.Input{Time: m.Time, Findings: m.Seq, Envelope: &e}, err
}

// position is an input that does nothing but move the position.
func position(m stream.Message, inputs bool) triage.Input {
	in := triage.Input{Time: m.Time}
	if inputs {
		in.Inputs = m.Seq
	} else {
		in.Findings = m.Seq
	}
	return in
}

func rejectInput(err error, origin string, m stream.Message, inputs bool) triage.Input {
	in := position(m, inputs)
	in.Envelope = &pipeline.Envelope{Rejects: []pipeline.Reject{{Origin: origin, Reason: err.Error(), Time: m.Time}}}
	return in
}

// tick lets time act, unless the clock jumped and a second look has not confirmed it yet. What it makes due is issued
// with it, unless findings that came just before wait for company (alone is false): then with these.
func (l *loop) tick(alone bool) error {
	if err := l.forget(); err != nil {
		return err
	}
	now := l.app.now()
	inputs := []triage.Input{}
	if l.clock.Confirms(now, time.Now()) {
		inputs = append(inputs, triage.Input{Time: now, Tick: true})
	} else {
		l.log.Warn("the clock jumped: acks, suppressions and waits end when a second look confirms it", "now", now)
	}
	return l.decide(inputs, alone)
}

// decide runs one batch through triage and commits it. A batch that fails is
// decided input by input; the one at fault is kept as a reject, the others go on.
func (l *loop) decide(inputs []triage.Input, issue bool) error {
	if may := l.issuing.Load(); issue && !may.held {
		inputs = append(inputs, triage.Input{Time: l.app.now(), Issue: &triage.Issue{Only: may.only, FirstOnly: l.holding}})
	}
	if len(inputs) == 0 {
		return nil
	}
	err := l.commit(inputs)
	if err == nil || len(inputs) == 1 || errors.Is(err, errCommit) {
		return l.failed(err, inputs)
	}
	for i := range inputs {
		if i+1 < len(inputs) && inputs[i].Findings == inputs[i+1].Findings && inputs[i].Inputs == inputs[i+1].Inputs {
			// Parts of one message share its position, and only the last may move it.
			inputs[i].Findings, inputs[i].Inputs = 0, 0
		}
		if err := l.commit(inputs[i : i+1]); err != nil {
			if err := l.failed(err, inputs[i:i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// failed keeps the one input that cannot be decided as a reject; a failing commit ends the loop.
func (l *loop) failed(err error, inputs []triage.Input) error {
	if err == nil || errors.Is(err, errCommit) {
		return err
	}
	in := inputs[0]
	if e := in.Envelope; e != nil && len(e.Items) > 1 {
		return l.itemByItem(in)
	}
	l.log.Error("input kept as a reject", "err", err)
	if e := in.Envelope; e != nil && len(e.Items) == 1 {
		data := l.app.Graph().mask.Bytes(e.Items[0].Data)
		return l.commit([]triage.Input{{Time: in.Time, Findings: in.Findings, Envelope: &pipeline.Envelope{
			Rejects: []pipeline.Reject{{Origin: e.Origin, Reason: err.Error(), Time: in.Time, Source: e.Source, Data: data[:min(len(data), pipeline.RejectBytes)]}},
		}}})
	}
	return l.commit([]triage.Input{{Time: in.Time, Findings: in.Findings, Inputs: in.Inputs, Envelope: &pipeline.Envelope{
		Rejects: []pipeline.Reject{{Origin: "triage", Reason: err.Error(), Time: in.Time}},
	}}})
}

// itemByItem decides the records of an envelope one by one, so that only the one at fault stays out.
func (l *loop) itemByItem(in triage.Input) error {
	for i := range in.Envelope.Items {
		one := in
		e := *in.Envelope
		e.Items = in.Envelope.Items[i : i+1]
		if i > 0 {
			e.Rejects = nil
		}
		if i+1 < len(in.Envelope.Items) {
			e.Scans, one.Findings = nil, 0
		}
		one.Envelope = &e
		if err := l.commit([]triage.Input{one}); err != nil {
			if err := l.failed(err, []triage.Input{one}); err != nil {
				return err
			}
		}
	}
	return nil
}

var errCommit = errors.New("writing state")

func (l *loop) commit(inputs []triage.Input) error {
	snap, err := l.store.View()
	if err != nil {
		return fmt.Errorf("%w: %w", errCommit, err)
	}
	before := snap.Meta()
	cs, sum, err := triage.Decide(l.app.Graph().Rules, snap, inputs)
	broken := snap.Err()
	snap.Close()
	if broken != nil {
		return fmt.Errorf("%w: %w", errCommit, broken)
	}
	if err != nil {
		return err
	}
	if !cs.Empty() || cs.Meta != before {
		if planted.On("position-before-changes") {
			_ = l.store.Commit(&triage.Changeset{Meta: cs.Meta})
		}
		failpoint.Hit("triage/decided")
		if err := l.app.patiently(func() error { return l.store.Commit(&cs) }); err != nil {
			return fmt.Errorf("%w: %w", errCommit, err)
		}
		failpoint.Hit("triage/committed")
	}
	if cs.Meta.Brake.On != before.Brake.On {
		l.app.brakeMu.Lock()
		l.app.brakeOn.Store(cs.Meta.Brake.On)
		l.app.brakeMu.Unlock()
	}
	l.sweeping, l.migrating = cs.Meta.Sweep != 0, cs.Meta.Migration != (triage.Migration{})
	l.full = sum.Issued >= triage.IssueAtOnce
	l.app.o.Metrics.decided(sum, cs.Rejects)
	l.committed(cs.Meta, sum, len(cs.Outbox) == 0 && !l.sweeping && !l.migrating && !l.holding)
	if len(cs.Outbox) > 0 {
		l.app.relay.wake()
	}
	l.app.stream.DoneFindings(cs.Meta.Findings)
	l.app.stream.DoneInputs(cs.Meta.Inputs)
	return nil
}

func (l *loop) committed(m triage.Meta, sum triage.Summary, settled bool) {
	p := &l.position
	p.Lock()
	defer p.Unlock()
	p.findings, p.inputs, p.settled, p.swept = m.Findings, m.Inputs, settled, m.Sweep == 0
	p.summary.Add(sum)
	close(p.changed)
	p.changed = make(chan struct{})
}

// wait returns once triage has applied what stands in both streams up to these
// sequences, and nothing is left to look at again.
func (l *loop) wait(ctx context.Context, findings, inputs uint64) error {
	p := &l.position
	return l.until(ctx, func() bool { return p.findings >= findings && p.inputs >= inputs && p.settled })
}

// applied returns once triage has applied the inputs up to a sequence.
func (l *loop) applied(ctx context.Context, inputs uint64) error {
	return l.until(ctx, func() bool { return l.position.inputs >= inputs })
}

// swept returns once triage has applied the inputs up to a sequence, and has no finding left to look at again.
func (l *loop) swept(ctx context.Context, inputs uint64) error {
	p := &l.position
	return l.until(ctx, func() bool { return p.inputs >= inputs && p.swept })
}

// until returns once so is true of the position, which it may read.
func (l *loop) until(ctx context.Context, so func() bool) error {
	for {
		p := &l.position
		p.Lock()
		done, changed := so(), p.changed
		p.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-l.app.failed:
			return l.app.failure
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// summary is what triage did since the App was opened.
func (l *loop) summary() triage.Summary {
	l.position.Lock()
	defer l.position.Unlock()
	return l.position.summary
}
