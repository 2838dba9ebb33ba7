package cli

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func (p *program) deadLettersCommand() *cobra.Command {
	return group("deadletters", "What could not be delivered, and again",
		`A dead letter is a ticket that cannot be delivered without a person: there is one a case and
sink, always with what is wanted now. It is kept until it is delivered or dropped.

  dead    the sink refused it: put right what is wrong, it is tried again by itself when the
          sink's or the route's settings change, or by retry
  parked  it is not known what became of it: look into the sink, then resolve
  gone    people deleted its ticket twice

  docket deadletters list
  docket deadletters show DK-12
  docket deadletters retry DK-12`,
		p.deadLettersList(), p.deadLettersShow(), p.deadLettersRetry(), p.deadLettersDrop(), p.deadLettersResolve())
}

// selection is the flags that select dead letters.
type selection struct{ sinks, teams []string }

func (s *selection) flags(c *cobra.Command) {
	c.Flags().StringSliceVar(&s.sinks, "sink", nil, "only in these sinks (several with commas)")
	c.Flags().StringSliceVar(&s.teams, "team", nil, "only of these teams (several with commas)")
}

func (s *selection) filter() api.DeadLetterFilter {
	return api.DeadLetterFilter{Sink: s.sinks, Team: s.teams}
}

func (p *program) deadLettersList() *cobra.Command {
	var o output
	var s selection
	var dropped bool
	c := &cobra.Command{
		Use: "list", Short: "List what could not be delivered, and why",
		Long: "List shows every dead letter, the longest stuck first.\n\n  docket deadletters list --sink jira",
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				f := s.filter()
				f.GivenUp = dropped
				rows, err := svc.DeadLetters(ctx, f)
				if err != nil {
					return err
				}
				if rows == nil {
					rows = []api.DeadLetter{}
				}
				if err := p.show(o, rows, func(pg *page) { drawDeadLetters(pg, rows) }); err != nil {
					return err
				}
				return p.more(o, len(rows), "dead letter", "")
			})
		},
	}
	o.flag(c)
	s.flags(c)
	c.Flags().BoolVar(&dropped, "dropped", false, "those that somebody dropped too")
	return c
}

func drawDeadLetters(pg *page, rows []api.DeadLetter) {
	if len(rows) == 0 {
		return
	}
	t := newTable("CASE", "SINK", "STATE", "SINCE", "PRIORITY", "TEAM", "TITLE", "REASON")
	t.spare = []string{"TEAM", "TITLE"}
	for i := range rows {
		d := &rows[i]
		t.row(d.Case, d.Sink, deadCell(d), stamp(d.Since), priorityCell(d.Priority), d.Team, cut(clean(d.Title), longName), oneLine(d.Reason))
	}
	pg.table(t)
}

func deadCell(d *api.DeadLetter) cell {
	if d.GivenUp {
		return cell{"dropped", faint}
	}
	return cell{d.State, red}
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }

func (p *program) deadLettersShow() *cobra.Command {
	var o output
	var s selection
	c := &cobra.Command{
		Use: "show CASE", Short: "Show why a case cannot be delivered, and what to do",
		Long: "Show prints the dead letters of one case with the whole reason.\n\n  docket deadletters show DK-12",
		Args: arguments(1, 1, "a case, such as DK-12, or its ticket"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				f := s.filter()
				f.Case = args
				rows, err := svc.DeadLetters(ctx, f)
				if err != nil {
					return err
				}
				if len(rows) == 0 {
					return errors.New("nothing of " + clean(args[0]) + " is a dead letter: `docket explain " + clean(args[0]) + "` tells its story")
				}
				return p.show(o, rows, func(pg *page) {
					for i := range rows {
						drawDeadLetter(pg, &rows[i])
					}
				})
			})
		},
	}
	o.flag(c)
	s.flags(c)
	return c
}

func drawDeadLetter(pg *page, d *api.DeadLetter) {
	pg.head(d.Case + " in " + d.Sink)
	pg.line("  %s", d.Title)
	t := newTable("", "")
	t.indent = 2
	t.row("state", deadCell(d))
	t.row("since", stamp(d.Since))
	t.row("team", d.Team)
	t.row("priority", priorityCell(d.Priority))
	optional(t, "ticket", cmp.Or(d.Ref.Key, d.Ref.ID))
	optional(t, "at", d.Ref.URL)
	t.row("key", d.Key)
	t.row("revision sent", d.Sent)
	t.row("revision wanted", d.Wanted)
	t.row("revision delivered", d.Delivered)
	pg.table(t)
	for _, line := range strings.Split(d.Reason, "\n") {
		pg.line("  %s", line)
	}
	pg.line("%s %s", cell{"next:", yellow}, d.Next)
}

func (p *program) deadLettersRetry() *cobra.Command {
	return p.deadVerb(deadVerb{
		verb: pipeline.VerbRetry, use: "retry [CASE...]", short: "Try again, with what is wanted now",
		long: `Retry sends what is wanted now, not what was refused. What is parked is not tried again: nobody
knows yet whether it is there; resolve it.

  docket deadletters retry DK-12
  docket deadletters retry --all --sink jira`,
		fits: func(d *api.DeadLetter) bool { return d.GivenUp || d.State != "parked" },
	})
}

func (p *program) deadLettersDrop() *cobra.Command {
	return p.deadVerb(deadVerb{
		verb: pipeline.VerbDrop, use: "drop [CASE...]", short: "Give up on what cannot be delivered",
		long: `Drop gives up: nothing more of the case is sent to that sink, whatever happens to it, until
somebody retries. The case itself goes on.

  docket deadletters drop DK-12 --sink jira`,
		fits: func(d *api.DeadLetter) bool { return !d.GivenUp },
	})
}

// deadVerb is a command that acts on dead letters, named or all.
type deadVerb struct {
	verb             pipeline.Verb
	use, short, long string
	fits             func(*api.DeadLetter) bool
}

func (p *program) deadVerb(v deadVerb) *cobra.Command {
	var a acting
	var s selection
	var all bool
	c := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long, Args: arguments(0, -1, ""),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case all == (len(args) > 0):
				return misuse(c, "%s needs cases (DK-12) or --all, one of them", c.CommandPath())
			case a.check(c) != nil:
				return a.check(c)
			}
			by, err := p.who(c, &a)
			if err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				f := s.filter()
				f.Case = args
				rows, err := svc.DeadLetters(ctx, f)
				if err != nil {
					return err
				}
				return p.actOnDead(ctx, svc, &a, by, v, args, rows, len(s.sinks)+len(s.teams) > 0 || all)
			})
		},
	}
	a.flags(c)
	s.flags(c)
	c.Flags().BoolVar(&all, "all", false, "all that the other flags select")
	return c
}

// actOnDead acts case by case: each sink of a case is an interaction of its own.
func (p *program) actOnDead(ctx context.Context, svc api.Service, a *acting, by string, v deadVerb, named []string, rows []api.DeadLetter, selected bool) error {
	got := api.ActResult{Lines: []api.StoryLine{}}
	did := map[string]bool{}
	act := func(in pipeline.Interaction) error {
		one, err := p.interact(ctx, svc, by, in)
		got.Lines, got.Refused = append(got.Lines, one.Lines...), got.Refused || one.Refused
		return err
	}
	for i := range rows {
		d := &rows[i]
		if !v.fits(d) {
			continue
		}
		did[d.Case] = true
		if err := act(pipeline.Interaction{Verb: v.verb, Cases: []string{d.Case}, Sink: d.Sink}); err != nil {
			return err
		}
	}
	if len(did) == 0 && selected {
		return errors.New("no dead letter fits: `docket deadletters list` shows all")
	}
	if len(did) == 0 { // the service says why, case by case
		if err := act(pipeline.Interaction{Verb: v.verb, Cases: named}); err != nil {
			return err
		}
	}
	return p.acted(a, &got)
}

func (p *program) deadLettersResolve() *cobra.Command {
	var a acting
	var sink, ticket string
	var none bool
	c := &cobra.Command{
		Use: "resolve CASE", Short: "Say what became of a parked one",
		Long: `Resolve ends the doubt about an action whose answer was lost and which the sink cannot look up:
look there for a record with the key that show prints.

  docket deadletters resolve DK-1 --ticket SEC-12    it is there
  docket deadletters resolve DK-1 --none             it is not there: it is made`,
		Args: arguments(1, 1, "a case, such as DK-12"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.check(c); err != nil {
				return err
			}
			if ticket = strings.TrimSpace(ticket); none == (ticket != "") {
				return misuse(c, "%s needs --ticket SEC-12 or --none, one of them", c.CommandPath())
			}
			return p.act(c, &a, pipeline.Interaction{
				Verb: pipeline.VerbResolveParked, Cases: args, Sink: sink, Ref: pipeline.Ref{ID: ticket, Key: ticket},
			})
		},
	}
	a.flags(c)
	c.Flags().StringVar(&sink, "sink", "", "in which sink, when it is parked in several")
	c.Flags().StringVar(&ticket, "ticket", "", "the record, as the sink calls it")
	c.Flags().BoolVar(&none, "none", false, "there is no record")
	return c
}
