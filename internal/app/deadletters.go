package app

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// DeadLetters implements api.Service.
func (a *App) DeadLetters(ctx context.Context, f api.DeadLetterFilter) ([]api.DeadLetter, error) {
	return a.reader().DeadLetters(ctx, f)
}

// DeadLetters implements api.Service: one a case and sink, the longest stuck first.
func (r *reader) DeadLetters(_ context.Context, f api.DeadLetterFilter) ([]api.DeadLetter, error) {
	out := []api.DeadLetter{}
	err := r.view(func(snap *state.Snapshot) error {
		only := map[uint64]bool{}
		for _, word := range f.Case {
			c, err := r.findCase(snap, word)
			if err != nil {
				return err
			}
			only[c.Number] = true
		}
		var failed error
		err := snap.EachCase(1, func(c *triage.Case) bool {
			if len(only) > 0 && !only[c.Number] || !in(f.Team, c.Team) {
				return true
			}
			for _, sink := range sortedSinks(c) {
				e := c.Entries[sink]
				st, given := e.Stuck()
				if st == "" || given && !f.GivenUp && len(only) == 0 || !in(f.Sink, sink) {
					continue
				}
				row, err := r.deadLetter(snap, c, sink, e)
				if err != nil {
					failed = err
					return false
				}
				out = append(out, row)
			}
			return true
		})
		return firstOf(err, failed)
	})
	slices.SortStableFunc(out, func(x, y api.DeadLetter) int {
		return cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.Sink, y.Sink))
	})
	return out, err
}

func (r *reader) deadLetter(v triage.View, c *triage.Case, sink string, e *triage.Entry) (api.DeadLetter, error) {
	st, given := e.Stuck()
	row := api.DeadLetter{
		Case: c.ID(), Sink: sink, State: string(st), GivenUp: given, Team: c.Team, Priority: c.Priority, CaseOpen: c.Open,
		Since: e.Since, Reason: e.Reason, Ref: e.Ref, Key: pipeline.TicketKey(r.graph().Rules.Installation, c.Key, e.Gen),
		Action: e.N, Sent: e.Rev, Wanted: e.Wanted, Delivered: e.Delivered,
	}
	row.Next = nextStep(&row)
	if c.Digest {
		row.Title = "digest of team " + c.Team
		return row, nil
	}
	rec, err := v.Record(c.Lead)
	if err != nil || rec == nil {
		return row, err
	}
	lead := rec.Finding()
	row.Title = lead.Title
	return row, nil
}

// nextStep says what a person does about a dead letter.
func nextStep(d *api.DeadLetter) string {
	at := d.Case + " --sink " + d.Sink
	switch {
	case d.GivenUp:
		return "given up; `docket deadletters retry " + at + "` takes it up again"
	case d.State == string(triage.Parked) && strings.HasSuffix(d.Sink, connectors.WriteBackSuffix):
		return "let the role of that account do what the page of the source names: `docket deadletters retry " + at + "` then tells it again"
	case d.State == string(triage.Parked):
		return "look for a record with the key " + d.Key + ": `docket deadletters resolve " + at + " --ticket KEY` when there is one, `--none` when there is none"
	case d.State == string(triage.Gone):
		return "people deleted its ticket twice: `docket deadletters retry " + at + "` makes it again, `drop` leaves it"
	}
	return "put right what was refused: it is tried again when the sink's or the route's settings change, or by `docket deadletters retry " + at + "`"
}
