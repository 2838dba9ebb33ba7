package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func (p *program) casesCommand() *cobra.Command {
	c := group("cases", "Look at cases and act on them",
		`A case is what one ticket is about: the findings of one group. A case is named by its
id (DK-12) or by its ticket (SEC-482).

  docket cases list --state open --priority P1,P2
  docket cases ack DK-12 --for 3d waiting for the vendor`,
		p.casesList(), p.casesShow())
	p.addVerbs(c)
	return c
}

func (p *program) casesList() *cobra.Command {
	var f filter
	var o output
	c := &cobra.Command{
		Use: "list", Short: "List cases",
		Long: `List lists cases, oldest first. Account, region, source, risk factor, repository and
severity are those of the finding that leads the case.

  docket cases list --team payments --state open,held`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			if err := p.readFilter(c, &f); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				got, err := f.cases(ctx, svc)
				if err != nil {
					return err
				}
				if err := p.show(o, got, func(pg *page) { drawCases(pg, got.Cases) }); err != nil {
					return err
				}
				return p.more(o, len(got.Cases), "case", got.Next)
			})
		},
	}
	f.flags(c, strings.Join(caseStates(), ", "))
	f.paging(c)
	o.flag(c)
	return c
}

func drawCases(pg *page, rows []api.CaseRow) {
	if len(rows) == 0 {
		return
	}
	t := newTable("CASE", "PRIORITY", "STATE", "TEAM", "OPEN", "DUE", "TICKET", "TITLE")
	for i := range rows {
		r := &rows[i]
		state := stateCell(r.State)
		if len(r.Labels) > 0 {
			state.text += " " + strings.Join(r.Labels, ",")
		}
		t.row(r.Case, priorityCell(r.Priority), state, r.Team, fmt.Sprintf("%d/%d", r.Open, r.Total), dateOf(r.Due), ticketWords(r), r.Title)
	}
	pg.table(t)
}

// ticketWords says where the tickets of a case are, or why there is none.
func ticketWords(r *api.CaseRow) string {
	var parts []string
	for _, t := range r.Tickets {
		name := cmp.Or(t.Ref.Key, t.Ref.ID)
		switch {
		case t.State == "none" || t.State == "waiting" && r.Reason != "":
		case name == "":
			parts = append(parts, t.Sink+" "+t.State)
		case t.State == "open":
			parts = append(parts, name)
		default:
			parts = append(parts, name+" "+t.State)
		}
	}
	if len(parts) == 0 && r.State == "open" && r.Reason != "" {
		return "none: " + waitShort(r.Reason)
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

func (p *program) casesShow() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "show CASE", Short: "Show one case with its findings, tickets and story",
		Long: `Show prints a case. Name it by its id or by its ticket.

  docket cases show DK-12`,
		Args: arguments(1, 1, "a case, such as DK-12, or its ticket"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				got, err := svc.Case(ctx, args[0])
				if err != nil {
					return err
				}
				return p.show(o, got, func(pg *page) {
					drawCase(pg, &got)
					drawMembers(pg, got.Findings)
					drawExplanation(pg, &got.Explanation)
					drawStory(pg, got.Story)
				})
			})
		},
	}
	o.flag(c)
	return c
}

// drawCase writes a case, its route and its tickets.
func drawCase(pg *page, d *api.CaseDetail) {
	pg.head("Case " + d.Case)
	pg.line("  %s", d.Title)
	t := newTable("", "")
	t.indent = 2
	state := stateCell(d.State)
	if d.Reason != "" {
		why := d.Reason
		if d.State == "open" {
			why = waitLong(why)
		}
		state.text += ": " + why
	}
	t.row("state", state)
	optional(t, "marked", strings.Join(d.Labels, ", "))
	t.row("priority", priorityCell(d.Priority))
	t.row("team", d.Team)
	optional(t, "grouped by", groupWords(d.Group))
	t.row("findings", fmt.Sprintf("%d open of %d", d.Open, d.Total))
	t.row("opened", stamp(d.Opened))
	t.row("changed", stamp(d.Changed))
	if !d.Due.IsZero() {
		t.row("due", dateOf(d.Due))
	}
	optional(t, "taken by", d.Acked)
	optional(t, "assigned to", d.Assignee)
	optional(t, "earlier case", d.Previous)
	optional(t, "moved to", d.MovedTo)
	if d.WouldMove != "" {
		t.row("would move", d.WouldMove+" (docket cases move "+d.Case+" does it)")
	}
	pg.table(t)
	drawRoute(pg, d.Route, d.Why)
	drawTickets(pg, d.Tickets)
}

func groupWords(group []pipeline.GroupValue) string {
	parts := make([]string, len(group))
	for i, g := range group {
		parts[i] = g.Name + " " + orDash(g.Value)
	}
	return strings.Join(parts, ", ")
}

func drawRoute(pg *page, route string, why []pipeline.Reason) {
	if route == "" {
		return
	}
	pg.head("Route " + route)
	t := newTable("", "")
	t.indent = 2
	for _, r := range why {
		t.row(r.What, r.Why)
	}
	pg.table(t)
}

func drawTickets(pg *page, rows []api.TicketRow) {
	if len(rows) == 0 {
		return
	}
	pg.head("Tickets")
	t := newTable("SINK", "STATE", "TICKET", "KEY", "REASON")
	t.indent = 2
	for _, r := range rows {
		t.row(r.Sink, stateCell(r.State), orDash(cmp.Or(r.Ref.URL, r.Ref.Key, r.Ref.ID)), r.Key, r.Reason)
	}
	pg.table(t)
}

func drawMembers(pg *page, rows []pipeline.TicketFinding) {
	if len(rows) == 0 {
		return
	}
	pg.head("Findings")
	t := newTable("FINGERPRINT", "SEVERITY", "STATUS", "ACCOUNT", "REGION", "RESOURCE")
	t.indent = 2
	for _, f := range rows {
		t.row(f.Fingerprint.Short(), f.Severity.String(), stateCell(f.Status), orDash(f.Account), orDash(f.Region), f.Resource)
	}
	pg.table(t)
}

func drawStory(pg *page, story []api.StoryLine) {
	if len(story) == 0 {
		return
	}
	pg.head("Story")
	t := newTable("", "", "")
	t.indent = 2
	for _, s := range story {
		text := s.Text
		if s.By != "" {
			text += " (" + s.By + ")"
		}
		t.row(second(s.Time), s.Kind, text)
	}
	pg.table(t)
}

// waitShort and waitLong are the words for what an open case without a ticket waits for.
func waitShort(reason string) string {
	switch reason {
	case "limit":
		return "hourly limit"
	case "first_run":
		return "waits for apply"
	case "for":
		return "too young"
	case "tickets_from":
		return "below tickets_from"
	}
	return reason
}

func waitLong(reason string) string {
	switch reason {
	case "limit":
		return "past the team's hourly limit, a line of its digest (limits.max_new_tickets_per_hour)"
	case "first_run":
		return "the first run waits for `docket apply` (limits.first_run: hold)"
	case "for":
		return "first observed less than the route's `for` ago"
	case "tickets_from":
		return "recorded without a ticket, below the route's tickets_from"
	case "no sinks":
		return "recorded without a ticket, the route has no sinks"
	case "brake":
		return "the brake is on"
	}
	return reason
}
