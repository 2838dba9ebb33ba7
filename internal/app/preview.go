package app

import (
	"context"
	"fmt"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Preview is a case's ticket as the sink named, or each of its sinks, would write it.
func (r *reader) Preview(ctx context.Context, id, sink string, now time.Time) ([]api.TicketPreview, error) {
	g := r.graph()
	var out []api.TicketPreview
	err := r.view(func(snap *state.Snapshot) error {
		c, err := r.findCase(snap, id)
		if err != nil {
			return err
		}
		names := c.TicketSinks()
		if sink != "" {
			names = []string{sink}
		}
		sinks, err := g.sinksNamed(names)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return fmt.Errorf("%w: %s has no sink: its route makes no tickets; `--sink NAME` shows what one would get", api.ErrRefused, c.ID())
		}
		for _, s := range sinks {
			t, err := triage.TicketOf(g.Rules, snap, c.Number, s.Name, now)
			if err != nil {
				return err
			}
			row := api.TicketPreview{Sink: s.Name, Type: s.Type, Key: t.Key}
			v, can := s.Sink.(pipeline.Previewer)
			if !can && sink != "" {
				return fmt.Errorf("%w: a sink of type %s cannot show what it would write", api.ErrRefused, s.Type)
			}
			if can {
				if row.Preview, err = v.Preview(ctx, t); err != nil {
					return fmt.Errorf("sink %s: %w", s.Name, err)
				}
			}
			out = append(out, row)
		}
		return nil
	})
	return out, err
}
