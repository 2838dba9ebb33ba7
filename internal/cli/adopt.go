package cli

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
)

func (p *program) adoptCommand() *cobra.Command {
	var o output
	var q api.AdoptRequest
	var yes bool
	c := &cobra.Command{
		Use: "adopt --from TOOL", Short: "Take existing tickets over instead of making them again",
		Long: `Adopt is for the first run after the state was lost, or after another tool. It reads every
source as plan does, looks in the sinks for records of the tickets that would be made,
prints which record would become whose ticket, and asks once. Then it records that; the
next run brings these tickets into line and makes the ones for which nothing was found.

With --from docket a record is found by its key, and taken over only where it says
nothing else about its group. With --from jiralert, alertmanager or
aws-securityhub-jira a record is taken over when it names one finding or one resource
whole, fits one ticket, and no other record fits that; the rest is listed.

Stop the daemon first: it would make the tickets.

  docket adopt --from docket
  docket adopt --from jiralert --sink jira`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			if q.From == "" {
				return misuse(c, "%s needs --from docket, jiralert, alertmanager or aws-securityhub-jira", c.CommandPath())
			}
			cfg, err := p.config()
			if err != nil {
				return err
			}
			run, err := p.runOptions(c, slog.LevelWarn)
			if err != nil {
				return err
			}
			tell, end := p.progress()
			got, err := p.adopt(c.Context(), cfg, run, q, func(found *api.Adoption) error {
				end()
				pg := &page{width: p.width, colour: p.colour && p.errTTY}
				drawAdoption(pg, found)
				if _, err := fmt.Fprint(p.err, pg.b.String()); err != nil {
					return err
				}
				return p.yes(c, yes, "Take "+count(len(found.Take), "ticket")+" over", "it takes tickets over")
			}, tell)
			end()
			if err != nil {
				return stopFirst(err)
			}
			return p.show(o, got, func(pg *page) { drawAdoption(pg, &got) })
		},
	}
	c.Flags().StringVar(&q.From, "from", "", "whose tickets: docket, jiralert, alertmanager, aws-securityhub-jira")
	c.Flags().StringVar(&q.Sink, "sink", "", "one sink only")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	o.flag(c)
	return c
}

func drawAdoption(pg *page, a *api.Adoption) {
	t := newTable("SINK", "TICKETS", "RECORDS", "")
	for _, s := range a.Sinks {
		t.row(s.Sink, s.Tickets, s.Records, s.Skipped)
	}
	pg.table(t)
	if len(a.Take) > 0 {
		pg.line("%s", "")
		d := newTable("SINK", "RECORD", "STATE", "BECOMES THE TICKET OF", "TEAM", "FOUND BY")
		for i := range a.Take {
			x := &a.Take[i]
			state := "open"
			if !x.Open {
				state = "closed: opened again"
			}
			title := x.Title
			if x.Case != "" {
				title = x.Case + " " + title
			}
			d.row(x.Sink, refText(x.Ref.Key, x.Ref.ID), state, title, x.Team, x.Why)
		}
		pg.table(d)
	}
	if len(a.Leave) > 0 {
		pg.line("%s", "")
		d := newTable("SINK", "LEFT ALONE", "TITLE", "WHY")
		for i := range a.Leave {
			x := &a.Leave[i]
			d.row(x.Sink, refText(x.Ref.Key, x.Ref.ID), x.Title, x.Why)
		}
		pg.table(d)
	}
	words := []string{"nothing to take over", count(a.New, "ticket") + " without a record: the next run makes them"}
	switch {
	case a.Done:
		words[0] = count(len(a.Take), "ticket") + " taken over: the next run brings them into line"
	case len(a.Take) > 0:
		words[0] = count(len(a.Take), "ticket") + " to take over"
	}
	if a.New == 0 {
		words = words[:1]
	}
	pg.line("%s", strings.Join(words, "; "))
}
