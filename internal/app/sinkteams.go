package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// teamChecks proves what teams set for a sink, and that the people whom teams and routes name
// can be assigned there. Keys are those of the team where it says something itself.
func (g *Graph) teamChecks(ctx context.Context, s *Sink) []api.CheckRow {
	var rows []api.CheckRow
	fed := fedTeams(g.Config.Route, s.Name)
	inspects, _ := s.Sink.(pipeline.SettingsInspector)
	people, _ := s.Sink.(pipeline.AssigneeChecker)
	for i, t := range g.Config.Teams {
		over := t.Sinks[s.Name]
		if inspects != nil && len(over) > 0 {
			own := fmt.Sprintf("teams[%d].sinks.%s.", i, s.Name)
			for _, c := range inspects.ChecksOf(ctx, over) {
				first, _, _ := strings.Cut(c.Key, ".")
				_, says := over[first]
				if !says && c.Err == nil {
					continue // what the sink says was proved before
				}
				at := g.keyOf(s.Name, c.Key)
				if says {
					at = own + c.Key
				}
				c.Name = "team " + t.Name + ": " + c.Name
				rows = append(rows, g.checkRow(at, c))
			}
		}
		route, feeds := fed[t.Name]
		if people == nil || !feeds {
			continue
		}
		if route != "" {
			rows = append(rows, g.checkRow(route, people.CheckAssignee(ctx, over, t.Name)))
		}
		for j, m := range t.Members {
			if who, key := memberOf(m, s.Type); who != "" {
				rows = append(rows, g.checkRow(fmt.Sprintf("teams[%d].members[%d].%s", i, j, key), people.CheckAssignee(ctx, over, who)))
			}
		}
	}
	return rows
}

// memberOf is the name of a team's member in trackers of a type, and its key.
func memberOf(m config.Member, sinkType string) (who, key string) {
	switch sinkType {
	case "jira":
		return m.Jira, "jira"
	case "servicenow":
		return m.ServiceNow, "servicenow"
	case "freshservice":
		return m.Freshservice, "freshservice"
	}
	return "", ""
}

// fedTeams are the teams of which routes send tickets to a sink, each with the path of the
// assignee chain that names the team itself; "" where none does.
func fedTeams(root config.Route, sink string) map[string]string {
	out := map[string]string{}
	var walk func(r, above config.Route, path, chain string)
	walk = func(r, above config.Route, path, chain string) {
		if r.Team == "" {
			r.Team = above.Team
		}
		if r.Sinks == nil {
			r.Sinks = above.Sinks
		}
		if r.Assignee != nil {
			chain = ""
			if at := slices.Index(r.Assignee, "team"); at >= 0 {
				chain = fmt.Sprintf("%s.assignee[%d]", path, at)
			}
		}
		if slices.Contains(r.Sinks, sink) && out[r.Team] == "" {
			out[r.Team] = chain
		}
		for i, below := range r.Routes {
			walk(below, r, fmt.Sprintf("%s.routes[%d]", path, i), chain)
		}
	}
	walk(root, config.Route{}, "route", "")
	return out
}
