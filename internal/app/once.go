package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline/deliver"
	"github.com/docket-hub/docket/pipeline/plan"
	"github.com/docket-hub/docket/pipeline/triage"
)

// quietLook is how often a run looks whether anything is left to do.
const quietLook = 50 * time.Millisecond

// Once polls every source once and carries every resulting action through. It
// ends when nothing is left that can be done, or after wait; what is left stays
// queued and is counted. Time acts once, behind what was read, as in a plan: a run
// may well be over before the clock's first tick.
func (a *App) Once(ctx context.Context, wait time.Duration, p api.Progress) (api.Summary, error) {
	began := time.Now()
	before := a.loop.summary()
	var sum api.Summary
	var failed []error
	if err := a.watchOnce(ctx); err != nil {
		failed = append(failed, err)
		sum.Failures++
	}
	p("reading feeds", 0, 0)
	if err := a.refreshFeeds(ctx); err != nil {
		return sum, err
	}
	for i := range a.Graph().Sources {
		s := &a.Graph().Sources[i]
		got, err := a.polls.poll(ctx, s, true, func(n int) { p("reading "+s.Name, n, 0) })
		if ctx.Err() != nil {
			return sum, context.Cause(ctx)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("source %s: %w", s.Name, err))
			sum.Failures++
		}
		sum.Sources = append(sum.Sources, sourceRow(s, got))
		sum.Rejects = append(sum.Rejects, got.rejects...)
	}
	if err := a.settle(ctx, p); err != nil {
		return sum, err
	}
	if err := a.loop.inject(ctx, triage.Input{Tick: true}); err != nil {
		return sum, err
	}
	a.Release()
	waited, cancel := context.WithTimeoutCause(ctx, wait, errWaited)
	defer cancel()
	if err := a.quiet(waited, p); err != nil && !errors.Is(err, errWaited) {
		return sum, err
	}
	a.sum(&sum, before)
	sum.Duration = time.Since(began)
	if err := a.leftOver(ctx, &sum); err != nil {
		return sum, err
	}
	return sum, errors.Join(failed...)
}

var errWaited = errors.New("the time of --wait is over")

// settle waits until triage has applied all that was taken in.
func (a *App) settle(ctx context.Context, p api.Progress) error {
	findings, err := a.stream.FindingsLastSeq(ctx)
	if err != nil {
		return err
	}
	inputs, err := a.stream.InputsLastSeq(ctx)
	if err != nil {
		return err
	}
	p("deciding", 0, 0)
	return a.loop.wait(ctx, findings, inputs)
}

// Release lets the actions go that HoldIssue held back.
func (a *App) Release() {
	a.loop.issuing.Store(&issuing{only: a.loop.issuing.Load().only})
}

// quiet waits until nothing is left that can be done.
func (a *App) quiet(ctx context.Context, p api.Progress) error {
	total := 0
	for {
		if err := a.loop.inject(ctx, triage.Input{}); err != nil {
			return err
		}
		left, err := a.underWay(ctx)
		if err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
		total = max(total, left)
		p("delivering", total-left, total)
		select {
		case <-time.After(quietLook):
		case <-a.failed:
			return a.failure
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// underWay counts what triage, relay and delivery still have to do. Zero is
// certain only when the order of looking is the order of the flow.
func (a *App) underWay(ctx context.Context) (int, error) {
	snap, err := a.store.View()
	if err != nil {
		return 0, err
	}
	meta := snap.Meta()
	ready := a.canIssue(snap)
	snap.Close()
	rows, err := a.store.Outbox(relayRows)
	if err != nil {
		return 0, err
	}
	left := ready + len(rows)
	braked := a.brakeOn.Load() || a.o.HoldSinks
	for _, d := range a.deliveries() {
		if braked {
			break // it holds what is queued; a run does not wait for it
		}
		if st := d.loop.Status(); st.Stopped != "" {
			continue // it ends its part at once
		}
		n, err := d.queue.Waiting(ctx)
		if err != nil {
			return 0, err
		}
		left += n
	}
	inputs, err := a.stream.InputsLastSeq(ctx)
	if err != nil {
		return 0, err
	}
	findings, err := a.stream.FindingsLastSeq(ctx)
	if err != nil {
		return 0, err
	}
	if inputs > meta.Inputs || findings > meta.Findings || meta.Sweep != 0 {
		left++
	}
	if left == 0 && !braked {
		// A queue may count a message late: what state calls in flight is.
		return a.inFlight()
	}
	return left, nil
}

// inFlight counts the actions without an outcome, but those of sinks that
// refuse our credentials: nothing more comes of these in this run.
func (a *App) inFlight() (int, error) {
	snap, err := a.store.View()
	if err != nil {
		return 0, err
	}
	defer snap.Close()
	stopped := map[string]bool{}
	for _, st := range a.stopped() {
		stopped[st.Sink] = true
	}
	n := 0
	err = snap.EachBusy(func(c *triage.Case) bool {
		for sink, e := range c.Entries {
			if e.St == triage.Inflight && !stopped[sink] {
				n++
			}
		}
		return true
	})
	return n, err
}

// canIssue reports whether triage would issue something at its next look.
func (a *App) canIssue(v triage.View) int {
	if only := a.loop.issuing.Load().only; only != nil {
		n := 0
		for _, num := range v.Ready(1000) {
			if c, err := v.Case(num); err == nil && c != nil && only[c.Key] && issuable(a.Graph().Rules, c) {
				n++
			}
		}
		return n
	}
	n := 0
	for _, num := range v.Ready(1000) {
		if c, err := v.Case(num); err == nil && c != nil && issuable(a.Graph().Rules, c) {
			n++
		}
	}
	return n
}

// issuable reports whether one of the sinks that need an action takes any.
func issuable(r *triage.Rules, c *triage.Case) bool {
	for sink, e := range c.Entries {
		if r.Sinks[sink] && e.Wants() {
			return true
		}
	}
	return false
}

// sum fills a summary with what happened since before.
func (a *App) sum(s *api.Summary, b triage.Summary) {
	t := a.loop.summary()
	s.Read, s.New, s.Changed, s.Unchanged = t.Read-b.Read, t.New-b.New, t.Changed-b.Changed, t.Unchanged-b.Unchanged
	s.Older, s.Resolved, s.Rejected = t.Older-b.Older, t.Resolved-b.Resolved, t.Rejected-b.Rejected
	s.Opened, s.Updated, s.Closed = t.Opened-b.Opened, t.Updated-b.Updated, t.Closed-b.Closed
	s.TicketsCreated, s.TicketsUpdated = t.TicketsCreated-b.TicketsCreated, t.TicketsUpdated-b.TicketsUpdated
	s.TicketsClosed = t.TicketsClosed - b.TicketsClosed
	s.Failures += t.Failures - b.Failures
}

// leftOver counts what something holds, and what could not be done.
func (a *App) leftOver(ctx context.Context, s *api.Summary) error {
	snap, err := a.store.View()
	if err != nil {
		return err
	}
	defer snap.Close()
	counts := map[string]int{}
	braked := snap.Meta().Brake.On
	err = snap.EachCase(1, func(c *triage.Case) bool {
		if why := plan.WaitsFor(c); why != "" {
			counts[why]++
		}
		held := false
		for _, e := range c.Entries {
			if e.St == triage.Inflight && braked {
				held = true
			} else if e.St == triage.Inflight {
				s.Left++
			}
		}
		if held {
			counts["brake"]++
		}
		return true
	})
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		s.Waiting = append(s.Waiting, api.Waiting{Reason: why, Cases: counts[why]})
	}
	return err
}

func sourceRow(s *Source, got polled) api.SourceRow {
	return api.SourceRow{
		Name: s.Name, Type: s.Type, Watermark: string(got.state.Watermark), LastRun: got.state.LastRun,
		LastSuccess: got.state.LastSuccess, LastError: got.state.LastError,
		Records: got.state.Records, Rejected: got.state.Rejected, Notes: got.notes,
		Accounts: got.state.Accounts, Regions: got.state.Regions, Gaps: got.state.Gaps,
	}
}

// stopped lists the sinks that refuse our credentials.
func (a *App) stopped() []deliver.Status {
	var out []deliver.Status
	for _, d := range a.deliveries() {
		if st := d.loop.Status(); st.Stopped != "" {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(x, y deliver.Status) int { return strings.Compare(x.Sink, y.Sink) })
	return out
}
