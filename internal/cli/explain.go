package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func (p *program) explainCommand() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "explain REF", Short: "Say why something became a ticket, or did not",
		Long: `Explain tells the whole story of a case (DK-12), a ticket, a finding (its fingerprint or the
id that its source gave it) or a rejected record: what became of it, who reports it,
what its priority is made of, its route, its tickets, and who did what when.

  docket explain DK-12
  docket explain arn:aws:securityhub:eu-west-1:111122223333:subscription/...`,
		Args: arguments(1, 1, "a case, a ticket, a fingerprint or a source's own id"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				got, err := svc.Explain(ctx, args[0])
				if err != nil {
					return err
				}
				return p.show(o, got, func(pg *page) { drawExplained(pg, &got) })
			})
		},
	}
	o.flag(c)
	return c
}

func drawExplained(pg *page, e *api.Explained) {
	pg.line("%s: %s", cell{e.Subject, bold}, e.Verdict)
	if e.Reject != nil {
		drawReject(pg, e.Reject)
	}
	switch {
	case e.Finding != nil:
		drawFinding(pg, e.Finding)
	case e.Case != nil:
		drawMembers(pg, e.Case.Findings)
		drawExplanation(pg, &e.Case.Explanation)
	}
	switch {
	case e.Case != nil:
		drawCase(pg, e.Case)
	case e.Route != nil:
		drawRoute(pg, e.Route.Route, e.Route.Why)
		pg.line("  team %s, sinks %s", orDash(e.Route.Team), orDash(strings.Join(e.Route.Sinks, ", ")))
	}
	drawStory(pg, e.Story)
}

func drawReject(pg *page, r *pipeline.Reject) {
	pg.head("Rejected record")
	t := newTable("", "")
	t.indent = 2
	t.row("from", rejectPlace(r))
	optional(t, "source", r.Source)
	optional(t, "id", r.ID)
	t.row("reason", reasonOf(r))
	optional(t, "record", cut(string(r.Data), rejectExcerpt))
	pg.table(t)
}

// rejectExcerpt is how much of a rejected record is shown.
const rejectExcerpt = 400
