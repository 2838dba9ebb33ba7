package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// repairRounds bounds how often a repair looks again: a case has room for one second record
// at a time, so that several are closed one after the other.
const repairRounds = 20

// Reconcile implements api.Service: it compares state with the trackers. What the
// request names is repaired by inputs to triage and the actions that follow from them; state is never written past triage.
func (a *App) Reconcile(ctx context.Context, q api.ReconcileRequest, p api.Progress) (api.Reconciliation, error) {
	if len(q.Repair) > 0 {
		if !a.run.CompareAndSwap(false, true) {
			return api.Reconciliation{}, fmt.Errorf("%w: another run, plan or apply is under way", api.ErrBusy)
		}
		defer a.run.Store(false)
	}
	found, err := a.compareAll(ctx, p)
	if err != nil || len(q.Repair) == 0 {
		return found, err
	}
	wanted := map[string]bool{}
	for _, id := range q.Repair {
		wanted[id] = true
	}
	var repaired []api.Difference
	for range repairRounds {
		now := repairable(found.Differences, wanted)
		if len(now) == 0 {
			break
		}
		if err := a.repair(ctx, now, p); err != nil {
			return found, err
		}
		repaired = append(repaired, now...)
		for i := range now {
			delete(wanted, now[i].ID)
		}
		if found, err = a.compareAll(ctx, p); err != nil {
			return found, err
		}
	}
	left := map[string]bool{}
	for i := range found.Differences {
		left[found.Differences[i].ID] = true
	}
	for i := range repaired {
		if d := &repaired[i]; !left[d.ID] {
			d.Done = true
			found.Differences = append(found.Differences, *d)
		}
	}
	slices.SortStableFunc(found.Differences, func(x, y api.Difference) int {
		nx, _ := triage.ParseCaseID(x.Case)
		ny, _ := triage.ParseCaseID(y.Case)
		return int(nx) - int(ny)
	})
	return found, nil
}

// repairable are the differences that were asked for, one of a case and sink at a time.
func repairable(all []api.Difference, wanted map[string]bool) []api.Difference {
	var out []api.Difference
	taken := map[string]bool{}
	for i := range all {
		d := &all[i]
		if place := d.Sink + "/" + d.Case; wanted[d.ID] && d.Repair != "" && !taken[place] {
			taken[place] = true
			out = append(out, *d)
		}
	}
	return out
}

// repair tells triage of the records, and waits until the actions that follow are over.
func (a *App) repair(ctx context.Context, list []api.Difference, p api.Progress) error {
	groups := map[string]bool{}
	snap, err := a.store.View()
	if err != nil {
		return err
	}
	err = func() error {
		defer snap.Close()
		for i := range list {
			d := &list[i]
			n, _ := triage.ParseCaseID(d.Case)
			c, err := snap.Case(n)
			if err != nil {
				return err
			}
			if c == nil || c.Entries[d.Sink] == nil {
				continue // purged meanwhile
			}
			groups[c.Key] = true
			o := pipeline.Outcome{
				Case: d.Case, Sink: d.Sink, Gen: c.Entries[d.Sink].Gen, Result: pipeline.OutcomeSighted, Ref: d.Ref,
				Key: pipeline.TicketKey(a.Graph().Rules.Installation, c.Key, c.Entries[d.Sink].Gen),
			}
			switch d.Kind {
			case api.DiffMoved, api.DiffUnknown:
				o.Result = pipeline.OutcomeAdopted
			case api.DiffDeleted, api.DiffState:
				o.Ref = c.Entries[d.Sink].Ref // one more write finds out, and brings it back into line
			}
			m, err := a.repairing(ctx, d, o)
			if err != nil {
				return err
			}
			if err := a.input(ctx, m, "reconcile/"+rand.Text()); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		return err
	}
	return a.deliverOnly(ctx, groups, p)
}

// repairing is the input that repairs a difference: what a person did is read and judged as
// such where the sink can tell, everything else is a word about the record.
func (a *App) repairing(ctx context.Context, d *api.Difference, o pipeline.Outcome) (message, error) {
	if d.Kind != api.DiffState {
		return message{Outcome: &o}, nil
	}
	for i := range a.Graph().Sinks {
		s := &a.Graph().Sinks[i]
		if w, can := s.Sink.(pipeline.Watcher); can && s.Name == d.Sink {
			seen, err := w.Read(ctx, d.Ref)
			if err != nil {
				return message{}, fmt.Errorf("sink %s: %s", d.Sink, a.Graph().mask.String(err.Error()))
			}
			return message{Reading: &triage.Reading{Sink: d.Sink, Seen: seen}}, nil
		}
	}
	return message{Outcome: &o}, nil
}

// deliverOnly waits for the actions of these groups. Where actions are held back, nothing else goes.
func (a *App) deliverOnly(ctx context.Context, groups map[string]bool, p api.Progress) error {
	if a.o.HoldIssue {
		a.loop.issuing.Store(&issuing{held: true, only: groups})
		defer a.loop.issuing.Store(&issuing{held: true})
	}
	if err := a.settle(ctx, p); err != nil {
		return err
	}
	a.Release()
	waited, cancel := context.WithTimeoutCause(ctx, applyWait, errWaited)
	defer cancel()
	if err := a.quiet(waited, p); err != nil && !errors.Is(err, errWaited) {
		return err
	}
	return nil
}

// compareAll compares every sink that can list its records.
func (a *App) compareAll(ctx context.Context, p api.Progress) (api.Reconciliation, error) {
	out := api.Reconciliation{Made: a.now(), Sinks: []api.ReconciledSink{}, Differences: []api.Difference{}}
	g := a.Graph()
	known, keys, err := a.knownTickets(g.Rules.Installation)
	if err != nil {
		return out, err
	}
	var failed []error
	for i := range g.Sinks {
		s := &g.Sinks[i]
		if s.Back != nil {
			continue // it makes no records
		}
		lister, can := s.Sink.(pipeline.Lister)
		if !can {
			out.Sinks = append(out.Sinks, api.ReconciledSink{Sink: s.Name, Skipped: "a sink of type " + s.Type + " cannot list its records"})
			continue
		}
		c := comparison{sink: s.Name, installation: g.Rules.Installation, tickets: known[s.Name], keys: keys, settled: a.now()}
		if _, repeats := s.Sink.(pipeline.Repeater); !repeats {
			c.settled = c.settled.Add(-s.Unsure.Grace - s.Unsure.Lag)
		}
		_, c.watched = s.Sink.(pipeline.Watcher)
		err := lister.List(ctx, func(l pipeline.Listed) error {
			c.records = append(c.records, l)
			p("listing "+s.Name, len(c.records), 0)
			return nil
		})
		if err != nil {
			if ctx.Err() != nil {
				return out, context.Cause(ctx)
			}
			failed = append(failed, fmt.Errorf("sink %s: %s", s.Name, g.mask.String(err.Error())))
			out.Sinks = append(out.Sinks, api.ReconciledSink{Sink: s.Name, Skipped: "its records could not be listed"})
			continue
		}
		row, found := c.run()
		if w, can := s.Sink.(pipeline.Watcher); can {
			if found, err = confirmed(ctx, w, found, p); err != nil {
				failed = append(failed, fmt.Errorf("sink %s: %s", s.Name, g.mask.String(err.Error())))
			}
		}
		out.Sinks = append(out.Sinks, row)
		out.Differences = append(out.Differences, found...)
	}
	for i := range out.Differences {
		out.Differences[i].What = g.mask.String(out.Differences[i].What)
	}
	out.Left = len(out.Differences)
	return out, errors.Join(failed...)
}

// confirmed leaves the differences that a fresh read of the record bears out: a list
// comes from an index, which is behind, and misses records that lost a label.
func confirmed(ctx context.Context, w pipeline.Watcher, found []api.Difference, p api.Progress) ([]api.Difference, error) {
	var out []api.Difference
	for i := range found {
		d := &found[i]
		p("reading "+d.Sink, i, len(found))
		seen, err := w.Read(ctx, d.Ref)
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		if err != nil {
			return out, fmt.Errorf("reading %s: %w", nameOf(d.Ref), err)
		}
		there := true
		switch d.Kind {
		case api.DiffDeleted:
			there = seen.Deleted
		case api.DiffState:
			there = !seen.Deleted && seen.Closed != d.Open
		case api.DiffTwin, api.DiffOrphan:
			there = !seen.Deleted && !seen.Closed
		case api.DiffMoved, api.DiffUnknown:
			there = !seen.Deleted
		}
		if there {
			out = append(out, *d)
		}
	}
	return out, nil
}

// knownTickets is what state says of every ticket, by sink, and every key that its groups ever had.
func (a *App) knownTickets(installation string) (map[string][]knownTicket, map[string]uint64, error) {
	snap, err := a.store.View()
	if err != nil {
		return nil, nil, err
	}
	defer snap.Close()
	bySink, keys := map[string][]knownTicket{}, map[string]uint64{}
	err = snap.EachCase(1, func(c *triage.Case) bool {
		last := c.Gen
		for _, sink := range c.TicketSinks() {
			e := c.Entries[sink]
			last = max(last, e.Gen)
			bySink[sink] = append(bySink[sink], knownTicket{c.Number, pipeline.TicketKey(installation, c.Key, e.Gen), *e})
		}
		for gen := range last + 1 {
			key := pipeline.TicketKey(installation, c.Key, gen)
			keys[key] = max(keys[key], c.Number)
		}
		return true
	})
	return bySink, keys, err
}
