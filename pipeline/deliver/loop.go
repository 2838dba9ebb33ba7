package deliver

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline"
)

// Options wire a Loop. Name, Sink, Claims, Queue, Outcomes and Holder are required.
type Options struct {
	Name     string // the sink's configured name
	Sink     pipeline.Sink
	Claims   Claims
	Queue    Queue
	Outcomes Outcomes
	Brake    Brake   // nil: never on
	Timings  Timings // zero: DefaultTimings
	// Holder names this run of the process; no other run, here or elsewhere, may ever have had it.
	Holder string
	// Alone says that no other process can hold a claim (the claims are a
	// locked file): what an earlier run left unfinished is over at once, not after a lease.
	Alone bool
	// LookFirst says that the state was put back to an older copy, or lost: a ticket that is to be
	// made may be there already, and is looked for by its key before the first one is made.
	LookFirst   bool
	Concurrency int           // calls at a time; 0: 8
	Rate        Rate          // zero: no bound
	AckWait     time.Duration // after which the queue gives a message out again; 0: a minute
	Log         *slog.Logger  // nil: none
}

const (
	publishTimeout = 10 * time.Second // writing a claim at the end, or publishing an outcome
	brakePoll      = 250 * time.Millisecond
	idlePause      = 50 * time.Millisecond // after a fetch that came back empty at once
	stopMin        = time.Minute           // first retry of a sink whose credentials were refused
	stopMax        = 15 * time.Minute
	handsPause     = 2 * time.Millisecond // of a busy sink, so that one fetch serves several hands
	waitersPerCall = 64                   // actions that may wait for grace or a look, per call at a time
)

// LongestDeadline is the longest that Timings.Deadline may be while the queue
// gives a message out again after a minute.
func LongestDeadline() time.Duration { return time.Minute - publishTimeout - time.Second }

// Loop delivers the actions of one sink. Its methods may be called at the same time,
// RunOnce and Run by one goroutine.
type Loop struct {
	o        Options
	finder   pipeline.Finder // nil when the sink has none
	repeats  bool
	holder   string // prefix of the holder of each attempt: this process and this loop
	attempts atomic.Uint64
	// Claims are written before and after a call, and each of these writes waits for the disk.
	// So that every connection has a call all the time, more actions are in hand than calls may run.
	hands  chan struct{} // one for each action in hand that does not wait for a look or for grace
	tails  chan struct{} // one for each action that was carried out and is being written down
	calls  chan struct{} // one for each call at a time
	gate   gate
	recur  recurring
	leases leases
	status status
	began  time.Time // what an earlier run sent was sent before
}

// New checks the options and returns a Loop that has not started. The error
// names everything that is missing or does not hold.
func New(o Options) (*Loop, error) {
	var errs []error
	if o.Name == "" || o.Holder == "" {
		errs = append(errs, errors.New("name and holder must not be empty"))
	}
	if o.Sink == nil || o.Claims == nil || o.Queue == nil || o.Outcomes == nil {
		errs = append(errs, errors.New("sink, claims, queue and outcomes must be given"))
	}
	if o.Timings == (Timings{}) {
		o.Timings = DefaultTimings()
	}
	if o.AckWait == 0 {
		o.AckWait = time.Minute
	}
	if o.Concurrency == 0 {
		o.Concurrency = 8
	}
	if o.Brake == nil {
		o.Brake = func() bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Concurrency < 0 {
		errs = append(errs, fmt.Errorf("concurrency is %d; it must be at least 1", o.Concurrency))
	}
	if need := o.Timings.Deadline + publishTimeout; o.AckWait <= need {
		errs = append(errs, fmt.Errorf("ack wait is %s; it must be more than deadline + %s to publish = %s", o.AckWait, publishTimeout, need))
	}
	errs = append(errs, o.Timings.Validate(), o.Rate.Validate())
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("sink %s: %w", o.Name, err)
	}
	var id [6]byte
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	l := &Loop{
		o:      o,
		holder: o.Holder + "." + hex.EncodeToString(id[:]) + "/",
		hands:  make(chan struct{}, 2*o.Concurrency-1),
		tails:  make(chan struct{}, 4*o.Concurrency),
		calls:  make(chan struct{}, o.Concurrency),
		gate:   newGate(o.Rate),
		leases: leases{lease: o.Timings.Lease, seen: map[string]watched{}},
		status: newStatus(),
		began:  time.Now(),
	}
	l.finder, _ = o.Sink.(pipeline.Finder)
	_, l.repeats = o.Sink.(pipeline.Repeater)
	return l, nil
}

// Run delivers until ctx ends. Then it takes nothing more, lets calls under way
// end within their deadline and gives back what only waits. The error is always
// nil; it is there so that Run fits where loops are started together.
func (l *Loop) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		n, err := l.round(ctx, &wg)
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			l.status.failed(err)
			if failures == 1 {
				l.o.Log.Warn("fetching actions", "sink", l.o.Name, "err", err)
			}
			sleep(ctx, min(backoff(failures), 10*time.Second))
		default:
			failures = 0
			if n == 0 && time.Since(began) < idlePause {
				sleep(ctx, idlePause)
			}
		}
	}
	return nil
}

// RunOnce fetches once and returns when what it got is dealt with: delivered,
// or put back with a delay. An unsure action is waited for, minutes perhaps; ctx ends the
// waiting. Nothing is fetched while the brake is on or the sink is held back.
func (l *Loop) RunOnce(ctx context.Context) (worked int, err error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	return l.round(ctx, &wg)
}

// round fetches as many messages as there are free hands and passes, and starts their work in wg.
func (l *Loop) round(ctx context.Context, wg *sync.WaitGroup) (int, error) {
	if d := l.heldFor(nil); d > 0 {
		sleep(ctx, min(d, idlePause)) // not to miss the answer to a probe
		return 0, nil
	}
	if l.status.waiting() >= cap(l.calls)*waitersPerCall {
		sleep(ctx, brakePoll)
		return 0, nil
	}
	passes := l.acquire(ctx)
	if len(passes) == 0 {
		return 0, nil
	}
	msgs, err := l.o.Queue.Fetch(ctx, len(passes))
	for i, p := range passes {
		if i >= len(msgs) {
			l.gate.unused(p)
			<-l.hands
		}
	}
	l.status.fetched(len(msgs), err)
	for i, m := range msgs {
		wg.Go(func() { l.handle(ctx, m, passes[i]) })
	}
	return len(msgs), err
}

// acquire waits for one free hand and takes all that are free, each with a pass;
// none when ctx ended or nothing may pass.
func (l *Loop) acquire(ctx context.Context) (out []*pass) {
	select {
	case l.hands <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	if free := cap(l.hands) - len(l.hands); free < cap(l.hands)/8 {
		sleep(ctx, handsPause)
	}
	for {
		p, d := l.gate.enter(time.Now())
		if p == nil {
			<-l.hands
			if len(out) == 0 {
				sleep(ctx, min(d, brakePoll))
			}
			return out
		}
		out = append(out, p)
		select {
		case l.hands <- struct{}{}:
		default:
			return out
		}
	}
}

// heldFor is how long no write may start in this sink, p being the pass of the one who asks; the
// brake is read last.
func (l *Loop) heldFor(p *pass) time.Duration {
	now := time.Now()
	if d := max(l.status.heldFor(now), l.gate.blocks(p, now)); d > 0 {
		return d
	}
	if l.o.Brake() {
		return brakePoll
	}
	return 0
}

// handle deals with one message; it owns one hand and one pass.
func (l *Loop) handle(ctx context.Context, m Message, p *pass) {
	failpoint.Hit("deliver/received")
	w := &attempt{l: l, m: m, hand: true, pass: p}
	defer w.release()
	var err error
	if w.a, err = m.Action(); err != nil || w.a.N == 0 || w.a.Case == "" || w.a.Sink != l.o.Name {
		// Nobody can be told the outcome. The case's entry stays in flight and triage issues the action again.
		l.o.Log.Error("an action that cannot be read was dropped", "sink", l.o.Name, "case", w.a.Case, "err", err)
		l.status.count("unreadable")
		_ = m.Done()
		return
	}
	w.key, w.t = ClaimKey(l.o.Name, w.a.Case), w.a.Ticket
	l.status.begin(w.key)
	defer l.status.end()
	stop := w.keepAlive()
	defer stop()
	if d := l.heldFor(w.pass); d > 0 || ctx.Err() != nil {
		w.nak(max(d, time.Second))
		return
	}
	if w.take(context.WithoutCancel(ctx)) {
		failpoint.Hit("deliver/claimed")
		w.carry(ctx)
	}
}

// take reads the claim and follows the table; true when the claim is ours and the action to be carried out.
func (w *attempt) take(ctx context.Context) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, publishTimeout, errors.New("reading and taking the claim took too long"))
	defer cancel()
	l := w.l
	c, rev, err := l.o.Claims.Read(ctx, w.key)
	if err != nil {
		l.status.failed(err)
		w.nak(backoff(1))
		return false
	}
	var rest time.Duration
	if rev > 0 && c.N == w.a.N && !c.Done && c.Holder != "" {
		// Within this process the lease counts all the same: two messages of one action must not steal from each other.
		former := l.o.Alone && !strings.HasPrefix(c.Holder, l.o.Holder+".")
		if !former {
			rest = l.leases.rest(w.key, rev, time.Now())
		}
	}
	v := judge(c, rev > 0, w.a.N, rest == 0)
	if planted.On("claims-ignored") {
		v = takeSure
	}
	switch v {
	case drop:
		l.status.count("superseded")
		w.done()
		return false
	case repeat:
		l.leases.forget(w.key)
		w.repeat(ctx, c)
		return false
	case wait:
		l.status.count("held")
		w.nak(rest)
		return false
	}
	l.leases.forget(w.key)
	next := Claim{N: w.a.N, Att: 1, Rev: w.t.Rev, Holder: l.holder + strconv.FormatUint(l.attempts.Add(1), 10)}
	if rev > 0 && c.N == w.a.N {
		next.Att, next.Ref = c.Att+1, c.Ref
	}
	if w.t.Ref.IsZero() {
		w.t.Ref = next.Ref // an earlier attempt saw the record
	}
	w.rev, w.sure = rev, v == takeSure
	if err := w.swap(ctx, next); err != nil {
		if !errors.Is(err, ErrLost) {
			l.status.failed(err)
		}
		w.nak(backoff(1))
		return false
	}
	return true
}

// repeat publishes the outcome stored in a done claim once more. A claim rebuilt from state has none: it was applied.
func (w *attempt) repeat(ctx context.Context, c Claim) {
	if c.Outcome != nil {
		if err := w.l.o.Outcomes.Publish(ctx, *c.Outcome); err != nil {
			w.l.status.failed(err)
			w.nak(backoff(1))
			return
		}
	}
	w.l.status.count("repeated")
	w.done()
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
