package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func (p *program) brakeCommand() *cobra.Command {
	return group("brake", "Stop all outside writes, and let them go again",
		`With the brake on no outside write starts: a second later at most, a call under way ends within
its deadline (sinks[].unsure.deadline). Findings go on being taken in, and what they ask for
queues. Off, the queue goes in order. It stays as it is through restarts.

  docket brake on --message "Jira is being moved"
  docket brake status
  docket brake off`,
		p.brakeSet(pipeline.VerbBrakeOn, "on", "Start no outside write any more"),
		p.brakeSet(pipeline.VerbBrakeOff, "off", "Let outside writes go again"),
		p.brakeStatus())
}

func (p *program) brakeSet(verb pipeline.Verb, word, short string) *cobra.Command {
	var a acting
	c := &cobra.Command{
		Use: word, Short: short, Long: short + ".\n\n  docket brake " + word, Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.act(c, &a, pipeline.Interaction{Verb: verb, Text: strings.TrimSpace(a.text)})
		},
	}
	a.flags(c)
	c.Flags().StringVarP(&a.text, "message", "m", "", "why, for the others")
	return c
}

func (p *program) brakeStatus() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "status", Short: "Say whether the brake is on, and what queues",
		Long: "Status shows the brake and what waits for each sink.\n\n  docket brake status", Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				b, err := svc.Brake(ctx)
				if err != nil {
					return err
				}
				return p.show(o, b, func(pg *page) { drawBrake(pg, &b) })
			})
		},
	}
	o.flag(c)
	return c
}

func drawBrake(pg *page, b *api.BrakeStatus) {
	state, rest := cell{"off", green}, ""
	if b.On {
		state = cell{"on", red}
	}
	if !b.Since.IsZero() {
		rest = " since " + stamp(b.Since) + ", by " + b.By
	}
	if b.Text != "" {
		rest += ": " + b.Text
	}
	pg.line("the brake is %s%s", state, rest)
	t := newTable("SINK", "WAITING", "HELD BY")
	for _, s := range b.Sinks {
		t.row(s.Name, s.Waiting, orDash(heldWord(s.Held)))
	}
	pg.table(t)
}

// heldWord says in words why no call of a sink starts.
func heldWord(why string) string {
	switch why {
	case "credentials":
		return "its credentials were refused"
	case "retry_after":
		return "it asked to wait"
	case "breaker":
		return "it does not answer"
	}
	return why
}
