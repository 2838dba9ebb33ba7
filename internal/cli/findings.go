package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func (p *program) findingsCommand() *cobra.Command {
	return group("findings", "Look at findings",
		"A finding is one problem on one resource, whoever reports it and how often.\n\n  docket findings list --state open --severity CRITICAL,HIGH",
		p.findingsList(), p.findingsShow())
}

func (p *program) findingsList() *cobra.Command {
	var f filter
	var o output
	c := &cobra.Command{
		Use: "list", Short: "List findings",
		Long: `List lists findings, in the order in which they were first seen. Flags with several
values take any of them; several flags take what fits all.

  docket findings list --team payments --priority P1,P2 --since 7d`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			if err := p.readFilter(c, &f); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				got, err := f.findings(ctx, svc)
				if err != nil {
					return err
				}
				if err := p.show(o, got, func(pg *page) { drawFindings(pg, got.Findings) }); err != nil {
					return err
				}
				return p.more(o, len(got.Findings), "finding", got.Next)
			})
		},
	}
	f.flags(c, strings.Join(findingStates(), ", "))
	f.paging(c)
	o.flag(c)
	return c
}

// more tells on standard error how a list goes on, or that it is empty.
func (p *program) more(o output, n int, noun, next string) error {
	var err error
	switch {
	case o.json():
	case next != "":
		_, err = fmt.Fprintf(p.err, "%s, and there are more: --cursor %s goes on, --all shows all\n", count(n, noun), clean(next))
	case n == 0:
		_, err = fmt.Fprintf(p.err, "no %ss\n", noun)
	}
	return err
}

func drawFindings(pg *page, rows []api.FindingRow) {
	if len(rows) == 0 {
		return
	}
	t := newTable("FINGERPRINT", "PRIORITY", "SEVERITY", "STATE", "CASE", "TEAM", "ACCOUNT", "REGION", "RESOURCE", "TITLE")
	t.spare = []string{"REGION", "ACCOUNT", "TEAM", "SEVERITY"}
	for _, r := range rows {
		t.row(r.Fingerprint.Short(), priorityCell(r.Priority), r.Severity.String(), stateCell(r.State), orDash(r.Case),
			orDash(r.Team), orDash(r.Account), orDash(r.Region), orDash(tail(r.Resource, longName)), r.Title)
	}
	pg.table(t)
}

// longName is how much of a resource's name a list shows: the end, which tells resources apart.
const longName = 48

func tail(text string, width int) string {
	runes := []rune(clean(text))
	if len(runes) <= width {
		return string(runes)
	}
	return "…" + string(runes[len(runes)-width+1:])
}

func (p *program) findingsShow() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "show FINGERPRINT", Short: "Show one finding with its reports",
		Long: `Show prints a finding, what each source says about it, and how its priority came about.
The first eight digits of a fingerprint will do.

  docket findings show 3f2a9c01d4e7`,
		Args: arguments(1, 1, "the fingerprint of a finding, as `docket findings list` shows it"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				got, err := svc.Finding(ctx, args[0])
				if err != nil {
					return err
				}
				return p.show(o, got, func(pg *page) { drawFinding(pg, &got) })
			})
		},
	}
	o.flag(c)
	return c
}

// drawFinding writes a finding with its reports and priority.
func drawFinding(pg *page, d *api.FindingDetail) {
	f := &d.Finding
	pg.head("Finding " + d.Fingerprint.String())
	pg.line("  %s", d.Title)
	t := newTable("", "")
	t.indent = 2
	state := stateCell(d.State)
	if d.Suppressed != "" {
		state.text += " by " + d.Suppressed
	}
	t.row("state", state)
	t.row("severity", d.Severity.String())
	t.row("resource", d.Resource)
	optional(t, "type", f.Resource.Type)
	optional(t, "account", strings.TrimSpace(d.Account+" "+f.Account.Name))
	optional(t, "region", d.Region)
	optional(t, "repository", d.Repository)
	optional(t, "problem", f.Problem)
	optional(t, "case", d.Case)
	t.row("first seen", stamp(d.FirstSeen))
	t.row("last change", stamp(d.LastChange))
	optional(t, "remediation", strings.TrimSpace(f.Remediation.Text+" "+f.Remediation.URL))
	pg.table(t)
	drawReports(pg, f.Reports)
	drawExplanation(pg, &d.Explanation)
	for _, note := range d.FeedNotes {
		pg.line("  %s", note)
	}
}

func optional(t *table, name, value string) {
	if value != "" {
		t.row(name, value)
	}
}

func drawReports(pg *page, reports []pipeline.Report) {
	if len(reports) == 0 {
		return
	}
	pg.head(count(len(reports), "report"))
	t := newTable("PRODUCT", "CONTROL", "SEVERITY", "STATUS", "OBSERVED", "ID")
	t.indent = 2
	for i := range reports {
		r := &reports[i]
		status := stateCell(r.Status.String())
		if r.StatusReason != "" {
			status.text += " (" + r.StatusReason + ")"
		}
		t.row(r.Product, orDash(r.Control), r.Severity.String(), status, stamp(r.ObservedAt), r.ID)
	}
	pg.table(t)
}

// drawExplanation writes how a priority came about.
func drawExplanation(pg *page, x *pipeline.Explanation) {
	pg.head(fmt.Sprintf("Priority %s", x.Priority))
	if x.Rule != "" {
		pg.line("  the rule %s decided", x.Rule)
	}
	t := newTable("", "", "")
	t.indent = 2
	for _, r := range x.Reasons {
		points := ""
		if r.Points != 0 {
			points = fmt.Sprintf("%+d", r.Points)
		}
		t.row(r.What, points, r.Why)
	}
	pg.table(t)
	for _, f := range x.Feeds {
		pg.line("  feed: %s", f.String())
	}
	for _, e := range x.Errors {
		pg.line("  counted as false: %s", e)
	}
}
