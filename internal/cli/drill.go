package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
)

func (p *program) drillCommand() *cobra.Command {
	var o output
	var sink, wait string
	c := &cobra.Command{
		Use: "drill", Short: "Send a marked finding the whole way and see its ticket arrive",
		Long: `Drill sends a synthetic finding the whole way: it is taken in, decided, made a ticket in every sink
(or the one that --sink names), looked for there by its key, resolved, and its tickets closed. It is
outside limits, for and tickets_from. What could not be delivered is dropped again; what stays is a
closed ticket and a closed case. It ends with 1 when a step failed.

  docket drill
  docket drill --sink jira`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			r := api.DrillRequest{Sink: sink}
			var err error
			if r.Wait, err = config.ParseDuration(wait); err != nil || r.Wait <= 0 {
				return misuse(c, "--wait %s: a time such as 2m", wait)
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				tell, end := p.progress()
				got, err := svc.Drill(ctx, r, tell)
				end()
				if err != nil {
					return err
				}
				if err := p.show(o, got, func(pg *page) { drawDrill(pg, &got) }); err != nil {
					return err
				}
				if !got.OK {
					return errors.New("the drill failed: see the steps above")
				}
				return nil
			})
		},
	}
	o.flag(c)
	c.Flags().StringVar(&sink, "sink", "", "only this sink")
	c.Flags().StringVar(&wait, "wait", "2m", "how long each step may take")
	return c
}

func drawDrill(pg *page, r *api.DrillResult) {
	t := newTable("STEP", "SINK", "RESULT", "AFTER", "WHAT")
	for _, s := range r.Steps {
		how := cell{"ok", green}
		if !s.OK {
			how = cell{"failed", red}
		}
		t.row(s.Name, orDash(s.Sink), how, s.After.Round(10*time.Millisecond).String(), s.Text)
	}
	pg.table(t)
}
