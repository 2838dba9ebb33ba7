package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/pipeline"
)

// finish ends the attempt. For an outcome the order is: into the claim, then
// published, then off the queue; a stop between two of them leaves something to do again that does no harm.
func (w *attempt) finish(e ending) {
	// What is known now must be written down even while the process stops.
	ctx, cancel := context.WithTimeoutCause(context.Background(), publishTimeout, errFinish)
	defer cancel()
	switch {
	case e.outcome != nil:
		w.report(ctx, *e.outcome)
	case e.giveBack:
		c := w.claim
		c.Holder, c.Clean = "", w.sure && !w.loose
		if err := w.swap(ctx, c); err != nil && !errors.Is(err, ErrLost) {
			w.l.status.failed(err)
		}
		w.nak(e.delay)
	default:
		w.lose(ctx)
	}
}

// lose lets go of a claim that is somebody else's now. A record that this
// attempt wrote is named, for the winner may not know it; nothing else is said, because a
// "refused" could be taken for the end of an action that the winner is still carrying out.
func (w *attempt) lose(ctx context.Context) {
	l := w.l
	l.status.count("lost_claim")
	if !w.wrote.IsZero() {
		l.status.count("sighted")
		s := w.outcome(pipeline.OutcomeSighted, "")
		s.Ref = w.wrote
		if err := l.o.Outcomes.Publish(ctx, *s); err != nil {
			l.o.Log.Error("publishing the sighting of a record", "sink", l.o.Name, "case", w.a.Case, "ticket", w.wrote.Key, "err", err)
		}
	}
	w.nak(l.o.Timings.Lease)
}

// report writes the outcome into the claim and publishes it; only the winner of that write may report.
func (w *attempt) report(ctx context.Context, o pipeline.Outcome) {
	l := w.l
	w.handOver()
	c := w.claim
	c.Done, c.Clean, c.Outcome, c.Ref = true, false, &o, o.Ref
	failpoint.Hit("deliver/finish")
	switch err := w.swapAgain(ctx, c); {
	case errors.Is(err, ErrLost):
		w.lose(ctx)
		return
	case err != nil:
		// The claim stays unfinished: the next taker is unsure and looks.
		l.o.Log.Error("writing the result into the claim", "sink", l.o.Name, "case", o.Case, "err", err)
		l.status.failed(err)
		w.nak(l.o.Timings.Lease)
		return
	}
	failpoint.Hit("deliver/finished")
	l.status.count(string(o.Result))
	if err := l.o.Outcomes.Publish(ctx, o); err != nil {
		// It comes again and is published from the claim.
		l.o.Log.Warn("publishing an outcome", "sink", l.o.Name, "case", o.Case, "err", err)
		l.status.failed(err)
		w.nak(backoff(1))
		return
	}
	failpoint.Hit("deliver/reported")
	w.done()
	failpoint.Hit("deliver/done")
}

// swapAgain is swap that does not give up at the first error: the result is known to nobody else.
func (w *attempt) swapAgain(ctx context.Context, c Claim) error {
	for try := 1; ; try++ {
		err := w.swap(ctx, c)
		if err == nil || errors.Is(err, ErrLost) || ctx.Err() != nil || try == 3 {
			return err
		}
		sleep(ctx, backoff(1))
	}
}

// swap writes the claim if it is still the one last written.
func (w *attempt) swap(ctx context.Context, c Claim) error {
	began := time.Now()
	rev, err := w.l.o.Claims.Swap(ctx, w.key, w.rev, c)
	if errors.Is(err, ErrLost) && w.doubt {
		// Our own write without an answer may be what moved the revision. The holder is unique to this attempt.
		if now, at, readErr := w.l.o.Claims.Read(ctx, w.key); readErr == nil && now.N == c.N && now.Att == c.Att && w.mine(now) {
			if now.Done && c.Done {
				w.rev, w.at = at, began
				return nil
			}
			rev, err = w.l.o.Claims.Swap(ctx, w.key, at, c)
		}
	}
	if err != nil {
		w.doubt = w.doubt || !errors.Is(err, ErrLost)
		return err
	}
	w.claim, w.rev, w.at, w.doubt = c, rev, began, false
	return nil
}

// mine reports whether c is the claim of this attempt.
func (w *attempt) mine(c Claim) bool {
	return c.N == w.claim.N && c.Att == w.claim.Att && c.Holder == w.claim.Holder
}

func (w *attempt) done() {
	if err := w.m.Done(); err != nil {
		w.l.status.failed(err)
	}
}

// nak lets the message come again. When even that fails the queue gives it out after the ack wait.
func (w *attempt) nak(delay time.Duration) {
	w.l.status.deferTo(w.key, time.Now().Add(delay))
	if err := w.m.NakWithDelay(delay); err != nil {
		w.l.status.failed(err)
	}
}

// release gives back what the attempt holds of the loop.
func (w *attempt) release() {
	w.unused()
	w.hangUp()
	if w.hand {
		w.hand = false
		<-w.l.hands
	}
	if w.tail {
		w.tail = false
		<-w.l.tails
	}
}

// handOver frees the hand of an action that was carried out, so that writing it down keeps no call
// waiting. With as many of those as may be, because the disk is slow, it keeps the hand.
func (w *attempt) handOver() {
	if !w.hand {
		return
	}
	select {
	case w.l.tails <- struct{}{}:
		w.hand, w.tail = false, true
		<-w.l.hands
	default:
	}
}

// hangUp lets another call run.
func (w *attempt) hangUp() {
	if w.calling {
		w.calling = false
		<-w.l.calls
	}
}

// unused gives back a pass that no call came of.
func (w *attempt) unused() {
	if w.pass != nil {
		w.l.gate.unused(w.pass)
		w.pass = nil
	}
}

// keepAlive tells the queue every third of the ack wait that the message is in hand, until stop is called.
func (w *attempt) keepAlive() (stop func()) {
	every := w.l.o.AckWait / 3
	var mu sync.Mutex
	var t *time.Timer
	over := false
	mu.Lock()
	defer mu.Unlock()
	t = time.AfterFunc(every, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			_ = w.m.InProgress() // without it the message comes again: that costs time only
			t.Reset(every)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		t.Stop()
	}
}
