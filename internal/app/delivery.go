package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/internal/stream"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
	"github.com/docket-hub/docket/pipeline/triage"
)

// fetchWait is how long one look for actions waits.
const fetchWait = time.Second

// delivery is the loop of one sink.
type delivery struct {
	name   string
	loop   *deliver.Loop
	queue  *stream.Consumer
	cancel context.CancelFunc
	done   chan struct{}
}

// startSinks starts a delivery loop for each sink of the graph.
func (a *App) startSinks(g *Graph) error {
	var errs []error
	for i := range g.Sinks {
		errs = append(errs, a.startSink(&g.Sinks[i]))
	}
	return errors.Join(errs...)
}

func (a *App) startSink(s *Sink) error {
	consumer, err := a.stream.Actions(a.ctx, s.Name)
	if err != nil {
		return err
	}
	l, err := deliver.New(deliver.Options{
		Name: s.Name, Sink: s.Sink, Concurrency: s.Concurrency, Claims: a.claims, Queue: queue{consumer}, Outcomes: outcomes{a},
		Timings: timings(s.Unsure), Holder: a.holder, Alone: true, LookFirst: a.lookFirst, Log: a.o.Log.With("component", "deliver"),
		Rate: s.Rate, Brake: a.braked,
	})
	if err != nil {
		return fmt.Errorf("sink %s: %w", s.Name, err)
	}
	ctx, cancel := context.WithCancel(a.ctx)
	d := &delivery{name: s.Name, loop: l, queue: consumer, cancel: cancel, done: make(chan struct{})}
	a.mu.Lock()
	a.sinks[s.Name] = d
	a.mu.Unlock()
	a.background("deliver "+s.Name, func(context.Context) error {
		defer close(d.done)
		if err := l.Run(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	})
	return nil
}

// carryOver gives what was under way in a sink to the one that is called differently now: the claims tell its worker
// that something may have been made already. It comes before the sinks of the graph start; issueRenamed comes after.
func (a *App) carryOver(ctx context.Context, g *Graph) error {
	for i := range g.Sinks {
		for _, old := range g.Sinks[i].Formerly {
			if err := a.claims.Rename(old, g.Sinks[i].Name); err != nil {
				return err
			}
			if err := a.stream.DropSink(ctx, old); err != nil {
				return err
			}
		}
	}
	return nil
}

// issueRenamed issues the actions under way in renamed sinks again, under the present names; the graph's configuration was handed to triage.
func (a *App) issueRenamed(ctx context.Context, g *Graph) error {
	if !slices.ContainsFunc(g.Sinks, func(s Sink) bool { return len(s.Formerly) > 0 }) {
		return nil
	}
	inputs, err := a.stream.InputsLastSeq(ctx)
	if err != nil {
		return err
	}
	if err := a.loop.swept(ctx, inputs); err != nil {
		return err
	}
	// From here on triage knows the present names only. What it issued under an old one meanwhile would stay on the
	// stream, for nobody takes it.
	var old []string
	for i := range g.Sinks {
		old = append(old, g.Sinks[i].Formerly...)
	}
	if err := a.relay.forget(old); err != nil {
		return err
	}
	for _, name := range old {
		if err := a.stream.DropSink(ctx, name); err != nil {
			return err
		}
	}
	return a.reissue(ctx, 0)
}

// deliveries are the running loops.
func (a *App) deliveries() []*delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*delivery, 0, len(a.sinks))
	for _, d := range a.sinks {
		out = append(out, d)
	}
	return out
}

func timings(u config.Unsure) deliver.Timings {
	return deliver.Timings{
		Deadline: u.Deadline, Pause: u.Pause, Late: u.Late, Grace: u.Grace, Lag: u.Lag,
		Settle: u.Settle, Looks: u.Looks, Lease: u.Lease,
	}
}

func rate(r *config.Rate) deliver.Rate {
	if r == nil {
		return deliver.Rate{}
	}
	return deliver.Rate{PerSecond: r.PerSecond, Burst: r.Burst}
}

// queue is a sink's consumer as delivery wants it.
type queue struct{ c *stream.Consumer }

func (q queue) Fetch(ctx context.Context, n int) ([]deliver.Message, error) {
	list, err := q.c.Fetch(ctx, n, fetchWait)
	if err != nil {
		return nil, err
	}
	out := make([]deliver.Message, len(list))
	for i, d := range list {
		out[i] = queued{d}
	}
	return out, nil
}

type queued struct{ stream.Delivery }

func (q queued) Action() (pipeline.Action, error) { return state.DecodeAction(q.Data) }

// outcomes puts what workers report onto the inputs stream.
type outcomes struct{ app *App }

func (o outcomes) Publish(ctx context.Context, out pipeline.Outcome) error {
	o.app.o.Metrics.attempted(&out)
	o.app.wrote(&out)
	return o.app.input(ctx, message{Outcome: &out}, fmt.Sprintf("o/%s/%s/%d.%d", out.Case, out.Sink, out.N, out.Attempt))
}

// claimEntries collects what each case and sink's claim must say, from state.
func claimEntries(out *[]state.ClaimEntry) func(*triage.Case) bool {
	return func(c *triage.Case) bool {
		for sink, e := range c.Entries {
			if e.N > 0 {
				*out = append(*out, state.ClaimEntry{Key: deliver.ClaimKey(sink, c.ID()), N: e.N, InFlight: e.St == triage.Inflight || e.Awaited})
			}
		}
		return true
	}
}

// reissue puts actions back on their way that are in flight for longer than any
// can be, and of which no message is stored.
func (a *App) reissue(ctx context.Context, olderThan time.Duration) error {
	first, err := a.unstored(ctx, olderThan)
	if err != nil || len(first) == 0 {
		return err
	}
	// A message goes when its outcome is stored, so an action that seems lost may
	// only wait for triage to read how it ended. What is still in flight after that is lost.
	inputs, err := a.stream.InputsLastSeq(ctx)
	if err != nil {
		return err
	}
	if err := a.loop.applied(ctx, inputs); err != nil {
		return err
	}
	lost, err := a.unstored(ctx, olderThan)
	if err != nil {
		return err
	}
	lost = slices.DeleteFunc(lost, func(x triage.Reissue) bool { return !slices.Contains(first, x) })
	if len(lost) == 0 {
		return nil
	}
	a.o.Log.Warn("actions in flight without a message are issued again", "count", len(lost))
	return a.loop.inject(ctx, triage.Input{Reissue: lost})
}

// unstored lists the actions in flight for longer than olderThan that are
// neither in the outbox nor on the stream.
func (a *App) unstored(ctx context.Context, olderThan time.Duration) ([]triage.Reissue, error) {
	snap, err := a.store.View()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	inFlight := map[string]triage.Reissue{}
	err = snap.EachBusy(func(c *triage.Case) bool {
		for sink, e := range c.Entries {
			if e.St == triage.Inflight && a.now().Sub(e.Issued) >= olderThan {
				inFlight[deliver.ClaimKey(sink, c.ID())] = triage.Reissue{Case: c.Number, Sink: sink, N: e.N}
			}
		}
		return true
	})
	if err != nil || len(inFlight) == 0 {
		return nil, err
	}
	// The outbox comes first: a row leaves it only when its message is stored, or its action is finished, whose outcome is
	// then stored, and reissue waits until that was applied. (Rows of a former name say nothing about the present one.)
	rows, err := a.store.Outbox(math.MaxInt)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		delete(inFlight, deliver.ClaimKey(rows[i].Sink, rows[i].Case))
	}
	var out []triage.Reissue
	for _, x := range inFlight {
		stored, err := a.stream.PendingActions(ctx, x.Sink, triage.CaseID(x.Case))
		if err != nil {
			return nil, err
		}
		if !stored {
			out = append(out, x)
		}
	}
	return out, nil
}
