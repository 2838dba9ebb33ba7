package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline"
)

// attempt is one try at one action, under one claim.
type attempt struct {
	l       *Loop
	m       Message
	a       pipeline.Action
	t       pipeline.Ticket // what is sent: the action's ticket, with the record filled in once it is known
	key     string
	hand    bool  // it holds one of the loop's hands
	tail    bool  // it holds one of the loop's tails
	calling bool  // it holds one of the loop's calls
	pass    *pass // for its next call; nil: it has none

	claim Claim
	rev   uint64    // revision of the claim as last written
	at    time.Time // when that write began
	doubt bool      // a write of the claim ended without a clear answer

	sure    bool         // it began sure
	loose   bool         // a request of this attempt may have made something that no answer told of
	unsure  bool         // a write is unaccounted for: resolve comes before the next one
	since   time.Time    // the check of that write was no later than this
	made    bool         // this attempt made the record
	wrote   pipeline.Ref // the record that the sink named after a write of this attempt
	twin    pipeline.Ref // a second record under the key
	deleted pipeline.Ref // the record that the sink says does not exist any more
}

// ending is how an attempt ends. The zero ending lets go without a word: the claim is somebody else's.
type ending struct {
	outcome  *pipeline.Outcome // finish with it
	giveBack bool              // give the claim back and let the message come again after delay
	delay    time.Duration
}

var (
	errDeadline = errors.New("the call took longer than unsure.deadline")
	errFinish   = errors.New("writing down how the action ended took too long")
)

// carry carries the action out under the claim just taken and ends the attempt.
func (w *attempt) carry(ctx context.Context) {
	w.unsure, w.since = !w.sure, w.at
	if w.sure && w.l.o.LookFirst && w.l.finder != nil && w.t.Ref.IsZero() {
		w.unsure, w.since = true, w.l.began
	}
	for {
		if w.unsure && !w.l.repeats {
			if e := w.resolve(ctx); e != nil {
				w.finish(*e)
				return
			}
			w.unsure = false
		}
		if e := w.write(ctx); e != nil {
			w.finish(*e)
			return
		}
	}
}

// write checks claim, deadline and brake and sends once. Nil means that the
// attempt goes on: the answer was lost, or the record is another one now.
func (w *attempt) write(ctx context.Context) *ending {
	if e := w.ready(ctx); e != nil {
		return e
	}
	l, u := w.l, w.l.o.Timings
	// A call under way is not cut off by a stop of the process: that would make it unsure.
	call, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), u.Deadline, errDeadline)
	defer cancel()
	c, rev, err := l.o.Claims.Read(call, w.key)
	switch {
	case err != nil:
		l.status.failed(err)
		return &ending{giveBack: true, delay: backoff(w.claim.Att)}
	case !w.mine(c) || c.Done:
		return &ending{}
	case time.Since(w.at) > u.Lease-u.Deadline, call.Err() != nil:
		// It slept: the call could outlive the lease.
		return &ending{giveBack: true, delay: time.Second}
	}
	w.rev = rev
	if d := l.heldFor(w.pass); d > 0 {
		return &ending{giveBack: true, delay: max(d, time.Second)}
	}
	failpoint.Hit("deliver/checked")
	applied, err := apply(call, l.o.Sink, w.t)
	failpoint.Hit("deliver/answered")
	w.called(err)
	return w.answer(ctx, applied, err)
}

// called tells the gate how a call ended, and the log what is news.
func (w *attempt) called(err error) {
	l, p := w.l, w.pass
	w.pass = nil
	d := Classify(err)
	k := d.Kind
	down := k == Lost || k == Retry
	// The gate comes first: whoever takes the place of this call must find it shut.
	opened := down && p != nil && l.gate.failed(p, time.Now())
	w.hangUp()
	if err != nil {
		l.status.failed(err)
	}
	if k == Stopped {
		if p != nil {
			l.gate.unused(p)
		}
		return // later shuts the gate
	}
	if down {
		if say, since := l.recur.say(err, time.Now()); say {
			w.logFailure(err, since)
		}
	}
	switch {
	case p == nil:
	case k == Limited && d.Part:
		l.gate.unused(p) // it may not have been sent at all: whether the sink is back, another call finds out
	case down:
		if opened {
			_, until := l.gate.state()
			l.o.Log.Warn("the sink does not answer: its actions wait, and one call at a time finds out when it does",
				"sink", l.o.Name, "delay", time.Until(until).Round(time.Millisecond), "err", err)
		}
	case l.gate.answered(p) && !l.status.isStopped():
		l.o.Log.Info("the sink answers again", "sink", l.o.Name, "unlogged_failures", l.recur.over())
	}
}

func (w *attempt) logFailure(err error, since int) {
	args := []any{"sink", w.l.o.Name, "case", w.a.Case, "attempt", w.claim.Att, "err", err}
	text := "a call failed; it will be tried again"
	if Classify(err).Kind == Lost {
		text = "an answer was lost; looking before anything is sent again"
	}
	if since > 0 {
		text += fmt.Sprintf(" (seen %d times since it was last logged)", since)
	}
	w.l.o.Log.Warn(text, args...)
}

// ready waits for the gate when giving up would cost a new wait for grace, then
// for a call to become free, and renews a claim that is no longer young.
func (w *attempt) ready(ctx context.Context) *ending {
	for {
		d := w.l.heldFor(w.pass)
		if d == 0 && w.pass == nil {
			w.pass, d = w.l.gate.enter(time.Now())
		}
		if d == 0 {
			break
		}
		if w.sure && !w.loose {
			return &ending{giveBack: true, delay: max(d, time.Second)}
		}
		w.unused()
		at := time.Now().Add(d)
		w.l.status.waitTo(w, at)
		e := w.hold(ctx, at)
		w.l.status.waitOver(w)
		if e != nil {
			return e
		}
	}
	if e := w.enter(ctx); e != nil {
		return e
	}
	return w.renew(ctx)
}

// enter waits until another call may run, keeping the claim. With an ending it holds nothing.
func (w *attempt) enter(ctx context.Context) *ending {
	for ctx.Err() == nil {
		t := time.NewTimer(w.l.o.Timings.Lease / 3)
		select {
		case w.l.calls <- struct{}{}:
			t.Stop()
			w.calling = true
			return nil
		case <-t.C:
			if e := w.renew(ctx); e != nil {
				return e
			}
		case <-ctx.Done():
		}
		t.Stop()
	}
	return &ending{giveBack: true, delay: time.Second}
}

// apply calls the sink. A panic in a connector must not end the process, and proves nothing about what was sent.
func apply(ctx context.Context, s pipeline.Sink, t pipeline.Ticket) (applied pipeline.Applied, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = pipeline.Unsure(fmt.Errorf("the sink panicked: %v", p))
		}
	}()
	return s.Apply(ctx, t)
}

// answer turns what the sink said into an ending, or nil to go on.
func (w *attempt) answer(ctx context.Context, applied pipeline.Applied, err error) *ending {
	l, d := w.l, Classify(err)
	if w.t.Ref.IsZero() && (err == nil || !applied.Ref.IsZero()) {
		w.made = true
	}
	if !applied.Ref.IsZero() {
		// With an error too: the record is there. The claim carries it to the next attempt, which must not make it again.
		w.t.Ref, w.claim.Ref, w.wrote = applied.Ref, applied.Ref, applied.Ref
	}
	if !applied.Twin.IsZero() {
		w.twin = applied.Twin
	}
	if d.Kind != Stopped && d.Kind != Lost && d.Kind != Retry && l.status.answered() {
		l.o.Log.Info("the sink takes our credentials again", "sink", l.o.Name)
	}
	switch d.Kind {
	case Finished:
		l.status.succeeded()
		o := w.outcome(pipeline.OutcomeDone, "")
		o.Held, o.Updated, o.Created = applied.Held, applied.Updated, w.made
		return &ending{outcome: o}
	case Refused:
		return &ending{outcome: w.outcome(pipeline.OutcomeRefused, err.Error())}
	case Barred:
		return &ending{outcome: w.outcome(pipeline.OutcomeUnknown, err.Error())}
	case Deleted:
		return w.gone(ctx, err)
	case Lost:
		l.status.count(d.Kind.String())
		l.status.hold(d)
		w.loose, w.unsure, w.since = true, !planted.On("blind-retry"), time.Now()
		switch {
		case l.repeats:
			return &ending{giveBack: true, delay: max(d.Delay, backoff(w.claim.Att))}
		case l.finder == nil:
			return &ending{outcome: w.outcome(pipeline.OutcomeUnknown, err.Error()+"; this sink cannot look records up")}
		}
		return nil
	default:
		return w.later(d, err)
	}
}

// later puts the action back: the sink is stopped, asks to wait, or could not be reached.
func (w *attempt) later(d Decision, err error) *ending {
	l := w.l
	l.status.count(d.Kind.String())
	delay := d.Delay
	if delay == 0 {
		delay = backoff(w.claim.Att)
	}
	switch d.Kind {
	case Stopped:
		var news bool
		delay, news = l.status.stop(err)
		l.gate.shutUntil(time.Now().Add(delay))
		if news {
			l.o.Log.Error("the sink is stopped until its credentials change", "sink", l.o.Name, "err", err)
		}
	case Limited:
		l.status.hold(d)
	}
	return &ending{giveBack: true, delay: delay}
}

// gone follows "the record does not exist": a known record is looked up by
// its key, for it may have been moved; a place that is not there refuses a create.
func (w *attempt) gone(ctx context.Context, cause error) *ending {
	if w.t.Ref.IsZero() {
		return &ending{outcome: w.outcome(pipeline.OutcomeRefused, cause.Error())}
	}
	first := w.deleted.IsZero()
	w.deleted, w.t.Ref = w.t.Ref, pipeline.Ref{} // the claim keeps it until the look-up says more
	gone := &ending{outcome: w.outcome(pipeline.OutcomeGone, cause.Error())}
	if w.l.finder == nil || !first {
		return gone
	}
	if e := w.enter(ctx); e != nil {
		return e
	}
	refs, err := w.look(ctx)
	switch d := Classify(err); d.Kind {
	case Finished:
	case Refused, Barred, Deleted:
		w.t.Ref = w.deleted
		return &ending{outcome: w.outcome(pipeline.OutcomeUnknown, "the look-up was refused: "+err.Error())}
	case Lost:
		// The look was lost, nothing that makes something.
		return w.later(Decision{Kind: Retry, Delay: d.Delay}, err)
	default:
		return w.later(d, err)
	}
	refs = slices.DeleteFunc(refs, func(r pipeline.Ref) bool { return r.ID == w.deleted.ID })
	if len(refs) == 0 {
		return gone
	}
	w.adopt(refs)
	return nil
}

// adopt takes the oldest of the records found; a second one is named in the outcome.
func (w *attempt) adopt(refs []pipeline.Ref) {
	w.t.Ref, w.claim.Ref = refs[0], refs[0]
	if len(refs) > 1 {
		w.twin = refs[1]
	}
}

// reasonBytes is how much of an error goes into an outcome; the claim holds it, and a server may answer with a book.
const reasonBytes = 2000

func (w *attempt) outcome(result pipeline.OutcomeResult, reason string) *pipeline.Outcome {
	if len(reason) > reasonBytes {
		reason = strings.ToValidUTF8(reason[:reasonBytes], "") + "…"
	}
	o := &pipeline.Outcome{
		Case: w.a.Case, Sink: w.a.Sink, N: w.a.N, Attempt: w.claim.Att, Gen: w.t.Gen, Key: w.t.Key, Rev: w.t.Rev,
		Result: result, Ref: w.t.Ref, Twin: w.twin, Reason: reason,
	}
	if result == pipeline.OutcomeRefused || result == pipeline.OutcomeUnknown {
		o.Sent = rendered(w.l.o.Sink, w.t)
	}
	return o
}

// rendered is what a sink would have written for a ticket; nil where it cannot say.
func rendered(s pipeline.Sink, t pipeline.Ticket) (f pipeline.Fields) {
	r, ok := s.(pipeline.Renderer)
	if !ok {
		return nil
	}
	defer func() {
		if recover() != nil {
			f = nil // a connector's defect must not end the process, nor keep the outcome back
		}
	}()
	return r.Fields(t)
}
