package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline"
)

// lookPatience is how long a look-up that gets no answer is asked again before a person has to decide.
const lookPatience = time.Hour

// resolve makes an unsure attempt sure before anything is written: the
// earlier write has either landed and was found, or never will. Nil means that the write may follow.
func (w *attempt) resolve(ctx context.Context) *ending {
	failpoint.Hit("deliver/unsure")
	u, since := w.l.o.Timings, w.since
	w.release()
	defer w.l.status.waitOver(w)
	if w.l.finder == nil {
		return &ending{outcome: w.outcome(pipeline.OutcomeUnknown, "an earlier attempt has no known end, and this sink cannot look records up")}
	}
	grace := since.Add(u.Grace)
	if !w.t.Ref.IsZero() {
		w.l.status.waitTo(w, grace)
		return w.hold(ctx, grace)
	}
	last := since.Add(max(u.Settle*time.Duration(u.Looks), u.Grace+u.Lag))
	if planted.On("one-look") {
		last = since
	}
	w.l.status.waitTo(w, last)
	var unanswered time.Time // since when looks get no answer
	for next := since; ; {
		if e := w.quiet(ctx, next); e != nil {
			return e
		}
		if e := w.enter(ctx); e != nil {
			return e
		}
		begun := time.Now()
		refs, err := w.look(ctx)
		if err != nil {
			if unanswered.IsZero() {
				unanswered = begun
			}
			delay, e := w.unanswered(err, unanswered)
			if e != nil {
				return e
			}
			next = time.Now().Add(delay)
			continue
		}
		unanswered = time.Time{}
		if len(refs) > 0 {
			w.adopt(refs)
			w.l.status.waitTo(w, grace)
			return w.hold(ctx, grace)
		}
		if !begun.Before(last) {
			return nil
		}
		next = last
		if i := int(time.Since(since)/u.Settle) + 1; i < u.Looks {
			next = since.Add(u.Settle * time.Duration(i))
		}
	}
}

// quiet waits until at, and on while the sink is stopped, does not answer, or its
// server asked to wait; then the attempt has a pass. The brake does not hold looks.
func (w *attempt) quiet(ctx context.Context, at time.Time) *ending {
	for {
		if e := w.hold(ctx, at); e != nil {
			return e
		}
		d := w.l.status.heldFor(time.Now())
		if d == 0 {
			if w.pass, d = w.l.gate.enter(time.Now()); w.pass != nil {
				return nil
			}
		}
		at = time.Now().Add(d)
	}
}

// look asks the sink for the records under the ticket's key. The caller holds one of the loop's calls.
func (w *attempt) look(ctx context.Context) (refs []pipeline.Ref, err error) {
	call, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), w.l.o.Timings.Deadline, errDeadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			refs, err = nil, fmt.Errorf("the sink panicked: %v", p)
		}
		w.called(err)
	}()
	refs, err = w.l.finder.Find(call, w.t.Key)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", w.t.Key, err)
	}
	failpoint.Hit("deliver/looked")
	w.l.status.answered()
	return refs, nil
}

// unanswered says what follows from a look that failed: the wait before it is asked again, or the end.
func (w *attempt) unanswered(err error, since time.Time) (time.Duration, *ending) {
	l := w.l
	d := Classify(err)
	switch d.Kind {
	case Refused, Barred, Deleted:
		return 0, &ending{outcome: w.outcome(pipeline.OutcomeUnknown, "the look-up was refused: "+err.Error())}
	case Stopped:
		return 0, w.later(d, err)
	}
	if time.Since(since) > lookPatience {
		return 0, &ending{outcome: w.outcome(pipeline.OutcomeUnknown, fmt.Sprintf("no look-up was answered for %s: %v", lookPatience, err))}
	}
	l.status.hold(d)
	return max(d.Delay, min(backoff(3), l.o.Timings.Settle)), nil
}

// hold waits until at while it keeps the claim. An ending when the claim was lost or ctx ended.
func (w *attempt) hold(ctx context.Context, at time.Time) *ending {
	for {
		rest := time.Until(at)
		if rest > 0 {
			sleep(ctx, min(rest, w.l.o.Timings.Lease/3))
		}
		if ctx.Err() != nil {
			return &ending{giveBack: true, delay: time.Second}
		}
		if e := w.renew(ctx); e != nil {
			return e
		}
		if rest <= 0 {
			return nil
		}
	}
}

// renew writes the claim again when a third of its lease is over. A write that fails for another reason
// than a lost claim is tried again by the next call; the check before the send decides.
func (w *attempt) renew(ctx context.Context) *ending {
	if time.Since(w.at) < w.l.o.Timings.Lease/3 {
		return nil
	}
	short, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), claimWrite, errFinish)
	defer cancel()
	err := w.swap(short, w.claim)
	if errors.Is(err, ErrLost) {
		return &ending{}
	}
	if err != nil {
		w.l.status.failed(err)
	}
	return nil
}
