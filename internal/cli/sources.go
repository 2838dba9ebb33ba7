package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func (p *program) sourcesCommand() *cobra.Command {
	return group("sources", "Look at sources, poll one, forget its watermark",
		"A source is where findings come from.\n\n  docket sources list\n  docket sources run hub --full",
		p.sourcesList(), p.sourcesRun(), p.sourcesReset())
}

func (p *program) sourcesList() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "list", Short: "List sources with their state and last error",
		Long: `List shows each source: when it was last read with success and how long ago (LAG), what
the last run read and refused, how far it came, and what is wrong with it. Of a source
that reads several accounts it shows how many accounts and regions were reached, and
each that was not, with the reason: "partly" is a source with such gaps.

  docket sources list
  docket sources list -o json`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				rows, err := svc.Sources(ctx)
				if err != nil {
					return err
				}
				scopes, err := svc.Scopes(ctx)
				if err != nil {
					return err
				}
				return p.show(o, rows, func(pg *page) { drawSources(pg, rows, scopes) })
			})
		},
	}
	o.flag(c)
	return c
}

func drawSources(pg *page, rows []api.SourceRow, scopes []api.ScopeRow) {
	t := newTable("NAME", "TYPE", "STATE", "EVERY", "LAST SUCCESS", "LAG", "RECORDS", "REJECTED", "ACCOUNTS", "REGIONS", "GAPS", "WATERMARK", "ERROR")
	t.spare = []string{"WATERMARK", "LAST SUCCESS", "REGIONS", "ACCOUNTS", "GAPS", "EVERY"}
	for _, r := range rows {
		state := "ok"
		switch {
		case r.Lost:
			state = "lost"
		case r.LastError != "":
			state = "failed"
		case r.LastRun.IsZero():
			state = "not read yet"
		case r.Stale:
			state = "stale"
		case len(r.Gaps) > 0:
			state = "partly"
		}
		t.row(r.Name, orDash(r.Type), stateCell(state), orDash(r.Interval), stamp(r.LastSuccess), lag(r.Lag), r.Records, r.Rejected,
			some(r.Accounts), some(r.Regions), some(len(r.Gaps)), orDash(cut(clean(r.Watermark), longName)), r.LastError)
	}
	pg.table(t)
	for _, r := range rows {
		if r.Lost {
			pg.line("%s is known from earlier runs and not configured: give its successor `formerly: [%s]`, or keep it with `retired: true`", cell{r.Name, red}, r.Name)
		}
		drawGaps(pg, r.Name, r.Gaps)
		for _, n := range r.Notes {
			pg.line("%s: %s", r.Name, n)
		}
	}
	for _, s := range scopes {
		if s.Held != "" {
			pg.line("%s a scan of %s: %s", cell{"held:", yellow}, s.Scope, s.Held)
		}
	}
}

// namedGaps is how many places that were not reached are named one by one.
const namedGaps = 10

// drawGaps names what a source did not reach.
func drawGaps(pg *page, source string, gaps []pipeline.Gap) {
	for _, g := range gaps[:min(len(gaps), namedGaps)] {
		place := g.Account
		if g.Region != "" {
			place = strings.TrimSpace(place + " " + g.Region)
		}
		if place != "" {
			place += ": "
		}
		pg.line("%s: %s %s%s", source, cell{"not reached:", yellow}, place, g.Reason)
	}
	if more := len(gaps) - namedGaps; more > 0 {
		pg.line("%s: %s and %s more: -o json lists them", source, cell{"not reached:", yellow}, fmt.Sprint(more))
	}
}

// lag is how long ago in the largest unit that fits, as people say it; "-" for none.
func lag(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// some is a number, "-" for none.
func some(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func (p *program) sourcesRun() *cobra.Command {
	var o output
	var full bool
	c := &cobra.Command{
		Use: "run NAME", Short: "Poll one source now",
		Long: `Run polls one source now, in the daemon when one runs, and carries what comes of it
through to the tickets.

  docket sources run hub
  docket sources run hub --full`,
		Args: arguments(1, 1, "the name of a source, as `docket sources list` shows it"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				tell, end := p.progress()
				sum, err := svc.RunSource(ctx, args[0], full, tell)
				end()
				if err != nil {
					return err
				}
				if err := p.show(o, sum, func(pg *page) { drawSummary(pg, &sum) }); err != nil {
					return err
				}
				return summaryError(&sum)
			})
		},
	}
	c.Flags().BoolVar(&full, "full", false, "read everything, not only what is new")
	o.flag(c)
	return c
}

func (p *program) sourcesReset() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "reset NAME", Short: "Forget how far a source was read",
		Long: `Reset forgets a source's watermark, so that its next poll reads everything. What is known
already stays one finding each.

  docket sources reset hub
  docket sources reset hub --yes`,
		Args: arguments(1, 1, "the name of a source, as `docket sources list` shows it"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.yes(c, yes, "Read "+clean(args[0])+" from its beginning at its next poll", "it forgets a watermark"); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				if err := svc.ResetSource(ctx, args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(p.out, "%s will be read from its beginning\n", clean(args[0]))
				return err
			})
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

func (p *program) rejectsCommand() *cobra.Command {
	var o output
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List records that could not be read",
		Long: "List shows what was refused, newest first, with its place and the reason.\n\n  docket rejects list --limit 20",
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			if limit < 1 || limit > pageMost {
				return misuse(c, "--limit %d: from 1 to %d", limit, pageMost)
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				rows, err := svc.Rejects(ctx, limit)
				if err != nil {
					return err
				}
				if rows == nil {
					rows = []pipeline.Reject{}
				}
				if err := p.show(o, rows, func(pg *page) { drawRejects(pg, rows) }); err != nil {
					return err
				}
				return p.more(o, len(rows), "rejected record", "")
			})
		},
	}
	list.Flags().IntVar(&limit, "limit", 100, "at most so many rows")
	o.flag(list)
	return group("rejects", "Look at records that could not be read",
		"A malformed record is refused by itself, named and kept.\n\n  docket rejects list", list)
}

func drawRejects(pg *page, rows []pipeline.Reject) {
	if len(rows) == 0 {
		return
	}
	t := newTable("TIME", "SOURCE", "RECORD", "ID", "REASON")
	for i := range rows {
		r := &rows[i]
		t.row(stamp(r.Time), orDash(r.Source), rejectPlace(r), orDash(r.ID), reasonOf(r))
	}
	pg.table(t)
}

// rejectPlace is the file, the position among its records from 0, and the line if it is known.
func rejectPlace(r *pipeline.Reject) string {
	place := fmt.Sprintf("%s[%d]", r.Origin, r.Index)
	if r.Line > 0 {
		place += fmt.Sprintf(" (line %d)", r.Line)
	}
	return place
}

// reasonOf is why a record was rejected, several reasons on one line.
func reasonOf(r *pipeline.Reject) string { return strings.ReplaceAll(r.Reason, "\n", "; ") }

func (p *program) routesCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Draw the routing tree",
		Long: "Show draws the tree with what each node matches and sets.\n\n  docket routes show",
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				tree, err := svc.RouteTree(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(p.out, strings.TrimRight(cleanLines(tree), "\n"))
				return err
			})
		},
	}
	return group("routes", "Look at the routing tree and try it",
		"The tree says whom a finding belongs to and where it goes.\n\n  docket routes show\n  docket routes test findings.json",
		show, p.routesTest())
}
