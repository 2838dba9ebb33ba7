package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/plan"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Adopt takes tickets over that are there already: docket's own after its state was
// lost, or those of another tool. It reads every source as a plan does, matches the tickets that would be
// made with the sinks' records, asks confirm, and then records what was read and whose ticket is whose. It writes
// to no tracker: the next run brings the tickets into line. A daemon on the same state is ErrRunning.
func Adopt(ctx context.Context, cfg *config.Config, o RunOptions, q api.AdoptRequest, confirm func(*api.Adoption) error, p api.Progress) (api.Adoption, error) {
	var out api.Adoption
	if q.From != api.FromDocket && labelOf(q.From) == nil {
		return out, fmt.Errorf("%w: --from %q: use %s, %s, %s or %s", api.ErrInvalid, q.From, api.FromDocket, api.FromJiralert, api.FromAWS, api.FromAlertmanager)
	}
	err := with(ctx, cfg, o, func(a *App) error {
		var err error
		out, err = a.adopt(ctx, q, confirm, p)
		return err
	})
	return out, err
}

func (a *App) adopt(ctx context.Context, q api.AdoptRequest, confirm func(*api.Adoption) error, p api.Progress) (api.Adoption, error) {
	g := a.Graph()
	out := api.Adoption{From: q.From, Made: a.now(), Sinks: []api.ReconciledSink{}, Take: []api.Takeover{}, Leave: []api.LeftRecord{}}
	var names []string
	if q.Sink != "" {
		names = []string{q.Sink}
	}
	sinks, err := g.sinksNamed(names)
	if err != nil {
		return out, err
	}
	// What the stream still holds of before comes first: it may know some tickets already.
	if err := a.settle(ctx, p); err != nil {
		return out, err
	}
	keep, err := newSpool(DataDir(g.Config))
	if err != nil {
		return out, err
	}
	defer keep.close()
	wanted, known, err := a.wantedTickets(ctx, keep, p)
	if err != nil {
		return out, err
	}
	var raise []api.Takeover
	for _, s := range sinks {
		if s.Back != nil {
			continue // it has no records to take over
		}
		m := &adopting{sink: s.Name, installation: g.Rules.Installation, now: a.now(), wanted: wanted[s.Name], known: known[s.Name]}
		row, err := m.list(ctx, q.From, s, p)
		if err != nil {
			return out, fmt.Errorf("sink %s: %s", s.Name, g.mask.String(err.Error()))
		}
		out.Sinks = append(out.Sinks, row)
		out.Take, out.Leave, raise = append(out.Take, m.take...), append(out.Leave, m.leave...), append(raise, m.raise...)
		out.New += len(m.wanted) - len(m.take)
	}
	if len(out.Take) == 0 {
		return out, nil
	}
	if err := confirm(&out); err != nil {
		return out, err
	}
	if err := keep.replay(ctx, patient{a.stream, a.o.Log}); err != nil {
		return out, err
	}
	if err := a.settle(ctx, p); err != nil {
		return out, err
	}
	if err := a.record(ctx, append(slices.Clone(out.Take), raise...), p); err != nil {
		return out, err
	}
	out.Done = true
	return out, nil
}

// list reads a sink's records and matches them.
func (m *adopting) list(ctx context.Context, from string, s *Sink, p api.Progress) (api.ReconciledSink, error) {
	row := api.ReconciledSink{Sink: s.Name, Tickets: len(m.known)}
	var records []pipeline.Listed
	collect := func(l pipeline.Listed) error {
		records = append(records, l)
		p("listing "+s.Name, len(records), 0)
		return nil
	}
	var err error
	if from == api.FromDocket {
		lister, can := s.Sink.(pipeline.Lister)
		if !can {
			row.Skipped = "a sink of type " + s.Type + " cannot list its records"
			return row, nil
		}
		if err = lister.List(ctx, collect); err == nil {
			m.byKey(records)
		}
	} else {
		lister, can := s.Sink.(pipeline.ForeignLister)
		if !can {
			row.Skipped = "a sink of type " + s.Type + " holds no tickets of other tools"
			return row, nil
		}
		if err = lister.ListForeign(ctx, labelOf(from), collect); err == nil {
			m.byWords(records)
		}
	}
	row.Records = len(records)
	return row, err
}

// wantedTickets reads every source and works out which tickets would be made, by sink, and
// which records state knows.
func (a *App) wantedTickets(ctx context.Context, keep *spool, p api.Progress) (map[string][]wantedTicket, map[string]map[string]bool, error) {
	snap, err := a.store.View()
	if err != nil {
		return nil, nil, err
	}
	defer snap.Close()
	known := map[string]map[string]bool{}
	err = snap.EachCase(1, func(c *triage.Case) bool {
		for sink, e := range c.Entries {
			if !e.Ref.IsZero() {
				if known[sink] == nil {
					known[sink] = map[string]bool{}
				}
				known[sink][e.Ref.ID] = true
			}
		}
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	fresh, err := makePlan(ctx, a.Graph(), snap, a.now, keep, a.polls, p)
	if err != nil {
		return nil, nil, err
	}
	wanted := map[string][]wantedTicket{}
	for i := range fresh.plan.Actions {
		act := &fresh.plan.Actions[i]
		if act.Verb != plan.Create {
			continue
		}
		w, err := wantedOf(act, fresh.layer)
		if err != nil {
			return nil, nil, err
		}
		wanted[act.Sink] = append(wanted[act.Sink], w)
	}
	return wanted, known, nil
}

func wantedOf(act *plan.Action, layer *triage.Layer) (wantedTicket, error) {
	w := wantedTicket{
		sink: act.Sink, groupKey: act.GroupKey, caseID: act.Case, title: act.Title, team: act.Team, group: act.Group, reopen: 7 * 24 * time.Hour,
	}
	c, err := layer.Case(layer.Newest(act.GroupKey))
	if err != nil {
		return w, err
	}
	if c != nil {
		w.reopen, w.gen = c.Settings.ReopenWindow, c.Gen
		if e := c.Entries[act.Sink]; e != nil {
			w.gen = e.Gen
		}
	}
	for _, print := range act.Findings {
		hot, ok := layer.Hot(print)
		if !ok {
			continue
		}
		rec, err := layer.Record(hot.Seq)
		if err != nil {
			return w, err
		}
		for i := range rec.Reports {
			rep := &rec.Reports[i]
			w.reports = append(w.reports, rep.ID)
			w.places = append(w.places, rep.Resource.ID, rep.Resource.Original)
		}
	}
	return w, nil
}

// record hands the takeovers to triage as inputs and waits until they are applied.
func (a *App) record(ctx context.Context, list []api.Takeover, p api.Progress) error {
	snap, err := a.store.View()
	if err != nil {
		return err
	}
	outcomes, err := adoptions(snap, a.Graph().Rules.Installation, list)
	snap.Close()
	if err != nil {
		return err
	}
	for i := range outcomes {
		if err := a.input(ctx, message{Outcome: &outcomes[i]}, "adopt/"+rand.Text()); err != nil {
			return err
		}
	}
	return a.settle(ctx, p)
}

// errUnopened: a case that was planned did not come to be.
var errUnopened = errors.New("the findings changed while they were read")

func adoptions(snap *state.Snapshot, installation string, list []api.Takeover) ([]pipeline.Outcome, error) {
	out := make([]pipeline.Outcome, 0, len(list))
	for i := range list {
		t := &list[i]
		c, err := snap.Case(snap.Newest(t.GroupKey))
		if err != nil {
			return nil, err
		}
		if c == nil || c.Entries[t.Sink] == nil {
			return nil, fmt.Errorf("%w: there is no case for %q; run the command again", errUnopened, t.Title)
		}
		o := pipeline.Outcome{
			Case: c.ID(), Sink: t.Sink, Gen: t.Gen, Rev: t.Rev, Key: pipeline.TicketKey(installation, c.Key, t.Gen),
			Result: pipeline.OutcomeAdopted, Ref: t.Ref,
		}
		if !t.Ref.IsZero() {
			o.Reason = "docket takes this ticket over as " + c.ID() + "."
		}
		out = append(out, o)
	}
	return out, nil
}
