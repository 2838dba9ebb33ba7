package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func (p *program) routesTest() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "test FILE...", Short: "Say which route, team, sinks and priority findings get, and why",
		Long: `Test reads findings from files ("-" is standard input) in any format that docket knows, and
says what the rules in force make of each. Nothing is recorded.

  docket routes test findings.json
  docket routes test - < export.json`,
		Args: arguments(1, -1, "a file with findings, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				all := api.RouteTest{Results: []api.RouteResult{}}
				for _, name := range args {
					got, err := p.routeTest(ctx, svc, name)
					if err != nil {
						return err
					}
					all.Results = append(all.Results, got.Results...)
					all.Rejected = append(all.Rejected, got.Rejected...)
				}
				err := p.show(o, all, func(pg *page) { drawRouteTest(pg, &all) })
				if err == nil && len(all.Results) == 0 && len(all.Rejected) > 0 {
					err = errors.New("no record could be read: see why above, and which formats there are in the documentation of the file source")
				}
				return err
			})
		},
	}
	o.flag(c)
	return c
}

func (p *program) routeTest(ctx context.Context, svc api.Service, name string) (_ api.RouteTest, err error) {
	if name == "-" {
		return svc.RouteTest(ctx, io.NopCloser(p.in), "stdin")
	}
	f, err := os.Open(name)
	if err != nil {
		return api.RouteTest{}, err
	}
	defer f.Close()
	return svc.RouteTest(ctx, f, name)
}

// reasonLine is one step of an explanation: "no_mfa +10 a sign-in needs no second factor".
func reasonLine(r pipeline.Reason) string {
	parts := []string{r.What}
	if r.Points != 0 {
		parts = append(parts, fmt.Sprintf("%+d", r.Points))
	}
	if r.Why != "" {
		parts = append(parts, r.Why)
	}
	return strings.Join(parts, " ")
}

func drawRouteTest(pg *page, got *api.RouteTest) {
	for i := range got.Results {
		r := &got.Results[i]
		pg.head(r.Origin + "  " + r.Title)
		t := newTable("", "")
		t.indent = 2
		t.row("resource", r.Resource)
		t.row("problem", r.Problem)
		t.row("status", stateCell(r.Status.String()))
		t.row("priority", priorityCell(r.Priority))
		for _, why := range r.Explanation.Reasons {
			t.row("", reasonLine(why))
		}
		if rule := r.Explanation.Rule; rule != "" {
			t.row("", "the rule "+rule+" decided")
		}
		for _, e := range r.Explanation.Errors {
			t.row("", "counted as false: "+e)
		}
		t.row("route", r.Route)
		for _, why := range r.Why {
			t.row("", reasonLine(why))
		}
		t.row("team", orDash(r.Team))
		t.row("sinks", orDash(strings.Join(r.Sinks, ", ")))
		t.row("group", orDash(groupWords(r.Group)))
		optional(t, "suppressed", r.Suppressed)
		t.row("fingerprint", r.Fingerprint.String())
		pg.table(t)
	}
	if len(got.Rejected) > 0 {
		pg.head("Rejected")
		for i := range got.Rejected {
			r := &got.Rejected[i]
			pg.line("  %s: %s", rejectPlace(r), reasonOf(r))
		}
	}
}
