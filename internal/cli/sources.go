package cli

import (
	"context"
	"fmt"
	"strings"

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
		Long: "List shows each source, when it was last read and how far, and what is wrong with it.\n\n  docket sources list",
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
	t := newTable("NAME", "TYPE", "STATE", "EVERY", "LAST READ", "RECORDS", "REJECTED", "WATERMARK", "ERROR")
	for _, r := range rows {
		state := "ok"
		switch {
		case r.Lost:
			state = "lost"
		case r.LastError != "":
			state = "failed"
		case r.LastRun.IsZero():
			state = "not read yet"
		}
		t.row(r.Name, orDash(r.Type), stateCell(state), orDash(r.Interval), stamp(r.LastSuccess), r.Records, r.Rejected,
			orDash(cut(clean(r.Watermark), longName)), r.LastError)
	}
	pg.table(t)
	for _, r := range rows {
		if r.Lost {
			pg.line("%s is known from earlier runs and not configured: give its successor `formerly: [%s]`, or keep it with `retired: true`", cell{r.Name, red}, r.Name)
		}
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

func (p *program) sourcesRun() *cobra.Command {
	var o output
	var full bool
	c := &cobra.Command{
		Use: "run NAME", Short: "Poll one source now",
		Long: "Run polls one source and carries what comes of it through.\n\n  docket sources run hub --full",
		Args: arguments(1, 1, "the name of a source, as `docket sources list` shows it"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				sum, err := svc.RunSource(ctx, args[0], full)
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
	return &cobra.Command{
		Use: "reset NAME", Short: "Forget how far a source was read",
		Long: `Reset forgets a source's watermark, so that its next poll reads everything. What is known
already stays one finding each.

  docket sources reset hub`,
		Args: arguments(1, 1, "the name of a source, as `docket sources list` shows it"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				if err := svc.ResetSource(ctx, args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(p.out, "%s will be read from its beginning\n", clean(args[0]))
				return err
			})
		},
	}
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

func (p *program) stateCommand() *cobra.Command {
	var o output
	verify := &cobra.Command{
		Use: "verify", Short: "Check that the state is whole",
		Long: "Verify reads the whole state and names every contradiction in it.\n\n  docket state verify",
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				problems, err := svc.Verify(ctx)
				if err != nil {
					return err
				}
				if problems == nil {
					problems = []string{}
				}
				err = p.show(o, problems, func(pg *page) {
					for _, line := range problems {
						pg.line("%s", line)
					}
					if len(problems) == 0 {
						pg.line("%s", "the state is whole")
					}
				})
				if err == nil && len(problems) > 0 {
					err = fmt.Errorf("the state has %s: stop docket and restore a copy of data_dir from before, or ask with this list", count(len(problems), "problem"))
				}
				return err
			})
		},
	}
	o.flag(verify)
	return group("state", "Look after the state", "The state is what docket knows, in data_dir.\n\n  docket state verify", verify)
}

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
