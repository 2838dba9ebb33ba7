package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
	"github.com/docket-hub/docket/pipeline/risk"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Suppressions implements api.Service.
func (r *reader) Suppressions(context.Context) ([]api.SuppressionRow, error) {
	out := []api.SuppressionRow{}
	err := r.view(func(snap *state.Snapshot) error {
		for _, s := range snap.Suppressions() {
			row := api.SuppressionRow{Suppression: s.Suppression, Ended: s.Ended}
			snap.SuppressedBy(s.Name, func(uint64) bool {
				row.Holds++
				return true
			})
			out = append(out, row)
		}
		return snap.Err()
	})
	return out, err
}

// Sources implements api.Service: the configured sources, then those that only state knows.
func (r *reader) Sources(context.Context) ([]api.SourceRow, error) {
	known, err := r.store.Watermarks()
	if err != nil {
		return nil, err
	}
	byName := map[string]state.SourceState{}
	known = slices.DeleteFunc(known, func(w state.SourceState) bool { return isSinkMark(w.Name) })
	for _, w := range known {
		byName[w.Name] = w
	}
	out := []api.SourceRow{}
	now := r.now()
	for _, s := range r.graph().Sources {
		row := rowOf(byName[s.Name], now)
		row.Name, row.Type = s.Name, s.Type
		if _, pushed := s.Source.Source.(connectors.Pusher); !pushed {
			row.Interval = config.FormatDuration(cmp.Or(s.Interval, defaultInterval))
		}
		delete(byName, s.Name)
		out = append(out, row)
	}
	out = append(out, feedRows(r.judging().feeds)...)
	for _, w := range known {
		if _, left := byName[w.Name]; left {
			row := rowOf(w, now)
			row.Name, row.Lost = w.Name, true
			out = append(out, row)
		}
	}
	return out, nil
}

func rowOf(w state.SourceState, now time.Time) api.SourceRow {
	row := api.SourceRow{
		Watermark: string(w.Watermark), LastRun: w.LastRun, LastSuccess: w.LastSuccess, LastError: w.LastError,
		Records: w.Records, Rejected: w.Rejected, Accounts: w.Accounts, Regions: w.Regions, Gaps: w.Gaps,
	}
	if !w.LastSuccess.IsZero() {
		row.Lag = max(0, now.Sub(w.LastSuccess))
	}
	return row
}

// Sinks implements api.Service from state alone.
func (r *reader) Sinks(context.Context) ([]api.SinkRow, error) {
	out := []api.SinkRow{}
	at := map[string]int{}
	for _, s := range r.graph().Sinks {
		at[s.Name] = len(out)
		out = append(out, api.SinkRow{Name: s.Name, Type: s.Type})
	}
	marks, err := r.store.Watermarks()
	if err != nil {
		return nil, err
	}
	for _, w := range marks {
		if i, ok := at[strings.TrimPrefix(w.Name, sinkMark)]; ok && isSinkMark(w.Name) {
			out[i].Polled, out[i].PollError = w.LastSuccess, w.LastError
		}
	}
	err = r.view(func(snap *state.Snapshot) error {
		return snap.EachBusy(func(c *triage.Case) bool {
			for sink, e := range c.Entries {
				i, ok := at[sink]
				if !ok {
					at[sink] = len(out)
					i = len(out)
					out = append(out, api.SinkRow{Name: sink, Type: "(not configured)", Lost: true})
				}
				countEntry(&out[i], e)
			}
			return true
		})
	})
	return out, err
}

func countEntry(row *api.SinkRow, e *triage.Entry) {
	switch {
	case e.St == triage.Dead:
		row.Dead++
	case e.St == triage.Parked:
		row.Parked++
	case e.St == triage.Gone:
		row.Gone++
	case e.St == triage.Inflight || e.Wants():
		row.Waiting++
		if at := e.Issued; e.St == triage.Inflight && (row.Oldest.IsZero() || at.Before(row.Oldest)) {
			row.Oldest = at
		}
	}
}

// Scopes implements api.Service.
func (r *reader) Scopes(context.Context) ([]api.ScopeRow, error) {
	out := []api.ScopeRow{}
	err := r.view(func(snap *state.Snapshot) error {
		list, err := snap.Scopes()
		for _, s := range list {
			out = append(out, api.ScopeRow{Scope: s.Name, Time: s.Time, Count: s.Count, Held: s.HeldWhy})
		}
		return err
	})
	return out, err
}

// Rejects implements api.Service, newest first.
func (r *reader) Rejects(_ context.Context, limit int) ([]pipeline.Reject, error) {
	if limit <= 0 {
		limit = pageSize
	}
	return r.store.Rejects(min(limit, pageMax), nil)
}

// RouteTree implements api.Service.
func (r *reader) RouteTree(context.Context) (string, error) {
	var b strings.Builder
	err := r.graph().Tree.Draw(&b)
	return b.String(), err
}

// RouteTest implements api.Service.
func (r *reader) RouteTest(_ context.Context, body io.Reader, origin string) (api.RouteTest, error) {
	return r.judging().RouteTest(body, origin)
}

// RouteTest says which route, team, priority and group each record of a document gets, and why.
func (g *Graph) RouteTest(body io.Reader, origin string) (api.RouteTest, error) {
	out := api.RouteTest{Results: []api.RouteResult{}}
	r := reader{graph: func() *Graph { return g }}
	reject := func(x pipeline.Reject) error {
		out.Rejected = append(out.Rejected, g.shown(x))
		return nil
	}
	_, err := format.Split(body, format.Options{Origin: origin, Reject: reject}, func(rec pipeline.Record) error {
		rep, err := g.Normalise("", &rec)
		if err != nil {
			return reject(pipeline.Reject{Origin: rec.Origin, Index: rec.Index, ID: rep.ID, Reason: err.Error()})
		}
		ingest.Stamp(&rep, &rec, rep.ObservedAt)
		rep.Raw = rec.Data
		g.mask.Report(&rep)
		f := pipeline.Merge(rep.Print, []pipeline.Report{rep})
		res := r.judge(&f)
		res.Origin = fmt.Sprintf("%s[%d]", rec.Origin, rec.Index)
		out.Results = append(out.Results, res)
		return nil
	})
	return out, g.notRead(err)
}

// reader answers questions over this App.
func (a *App) reader() *reader { return &reader{store: a.store, graph: a.Graph, now: a.now} }

// FactorNames lists the risk factors that findings of a configuration may have: those that docket knows
// and its own, sorted.
func FactorNames(cfg *config.Config) []string {
	var out []string
	for _, f := range risk.BuiltinFactors() {
		out = append(out, f.Name)
	}
	for _, f := range cfg.Risk.Factors {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
