package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline/plan"
)

// mark is the sign and colour of a verb.
func mark(verb string) cell {
	switch verb {
	case plan.Create:
		return cell{"+ create", green}
	case plan.Update:
		return cell{"~ update", yellow}
	case plan.Close:
		return cell{"- close ", red}
	case plan.Reopen:
		return cell{"^ reopen", cyan}
	}
	return cell{text: "? " + verb}
}

// planned is one action in all the sinks that it goes to.
type planned struct {
	*api.PlanAction
	sinks []string
}

// byCase puts the same action in several sinks together, in the plan's order.
func byCase(actions []api.PlanAction) []planned {
	var out []planned
	at := map[string]int{}
	for i := range actions {
		a := &actions[i]
		sink := a.Sink
		if a.Project != "" {
			sink += "/" + a.Project
		}
		key := a.Verb + "\x00" + a.GroupKey
		if n, again := at[key]; again {
			out[n].sinks = append(out[n].sinks, sink)
			continue
		}
		at[key] = len(out)
		out = append(out, planned{a, []string{sink}})
	}
	return out
}

// drawPlan writes a plan for people; saved is the file it is kept in, or "".
func drawPlan(pg *page, pl *api.Plan, saved string) {
	drawMigration(pg, pl.Migration)
	team := "\x00"
	for _, a := range byCase(pl.Actions) {
		if a.Team != team {
			team = a.Team
			pg.head("Team " + orDash(team))
		}
		drawAction(pg, a)
	}
	if len(pl.Actions) > 0 {
		drawTotals(pg, pl.Actions)
	} else {
		pg.line("%s", "Nothing to do: every ticket is as it should be.")
	}
	drawHeldBack(pg, pl.Actions)
	drawWaiting(pg, pl.Waiting)
	s := &pl.Summary
	pg.line("%s read: %d new, %d changed, %d unchanged, %d resolved", count(s.Read, "finding"), s.New, s.Changed, s.Unchanged, s.Resolved)
	drawReads(pg, pl.Read)
	for _, line := range pl.WouldMove {
		pg.line("%s %s", cell{"move:", cyan}, line)
	}
	for _, line := range pl.Notes {
		pg.line("note: %s", line)
	}
	drawRejected(pg, pl.Rejected, pl.Summary.Rejected)
	switch {
	case len(pl.Actions) == 0:
	case saved != "":
		pg.line("\nCarry it out with: docket apply %s", saved)
	default:
		pg.line("\nSave it with `docket plan --out plan.json`, then carry it out with `docket apply plan.json`.")
	}
}

// drawMigration says what another equivalence map makes of what is known.
func drawMigration(pg *page, m *plan.Migration) {
	if m == nil {
		return
	}
	from := m.From
	if from == "" {
		from = "an unknown one"
	}
	pg.head("Equivalence map " + m.To + ", state is under " + from)
	pg.line("%s identified anew: %d become one with another, %d parts leave theirs, %s as merged",
		count(m.Identified, "finding"), m.Merged, m.Split, count(len(m.Cases), "case")+" closes")
	for _, c := range m.Cases {
		pg.line("  %s", c)
	}
	if m.Unidentified > 0 {
		pg.line("%s %s their identity until they are reported again: what was stored of them is masked", cell{"note:", yellow}, count(m.Unidentified, "report")+" keep")
	}
	pg.line("%s", "")
}

// namedAccounts is how many accounts of a source are named one by one.
const namedAccounts = 50

// drawReads says what was read of the sources that read several accounts, and what was not.
func drawReads(pg *page, reads []plan.Read) {
	if len(reads) == 0 {
		return
	}
	pg.head("Read")
	t := newTable("SOURCE", "ACCOUNT", "NAME", "FINDINGS", "REGIONS")
	t.indent = 2
	for i := range reads {
		r := &reads[i]
		for _, a := range r.Accounts[:min(len(r.Accounts), namedAccounts)] {
			t.row(r.Source, orDash(a.ID), orDash(a.Name), a.Findings, regionWords(a.Regions))
		}
		if more := len(r.Accounts) - namedAccounts; more > 0 {
			t.row(r.Source, fmt.Sprintf("and %d more", more), "", "", "")
		}
		t.row(r.Source, count(len(r.Accounts), "account"), "", r.Findings, "")
	}
	pg.table(t)
	for i := range reads {
		drawGaps(pg, reads[i].Source, reads[i].Gaps)
	}
}

// regionWords is "eu-west-1 12, us-east-1 4", the most findings first.
func regionWords(regions map[string]int) string {
	names := slices.SortedFunc(maps.Keys(regions), func(a, b string) int {
		return cmp.Or(cmp.Compare(regions[b], regions[a]), cmp.Compare(a, b))
	})
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = fmt.Sprintf("%s %d", cmp.Or(name, "no region"), regions[name])
	}
	return strings.Join(words, ", ")
}

func drawAction(pg *page, a planned) {
	id := a.Case
	if id == "" {
		id = "new"
	}
	pg.line("  %s  %s  %s  %s", mark(a.Verb), priorityCell(a.Priority), id, a.Title)
	text := "in " + strings.Join(a.sinks, ", ")
	if n := len(a.Findings); n > 0 {
		text = count(n, "finding") + " " + text
	}
	if a.Why != "" && a.Verb != plan.Close {
		text += ", because " + a.Why
	}
	pg.line("      %s", text)
	if len(a.Group) > 0 {
		pg.line("      %s", groupWords(a.Group))
	}
	if a.Verb != plan.Create && a.Change != "" {
		pg.line("      %s", a.Change)
	}
}

// tally counts actions by verb.
type tally struct {
	team, project                  string
	create, update, closed, reopen int
}

func (t *tally) add(verb string) {
	switch verb {
	case plan.Create:
		t.create++
	case plan.Update:
		t.update++
	case plan.Close:
		t.closed++
	case plan.Reopen:
		t.reopen++
	}
}

// drawTotals counts by team and project, and in one line.
func drawTotals(pg *page, actions []api.PlanAction) {
	var all tally
	rows := map[string]*tally{}
	teams, projects := map[string]bool{}, map[string]bool{}
	for i := range actions {
		a := &actions[i]
		key := a.Team + "\x00" + a.Project
		if rows[key] == nil {
			rows[key] = &tally{team: a.Team, project: a.Project}
		}
		rows[key].add(a.Verb)
		all.add(a.Verb)
		if a.Verb == plan.Create {
			teams[a.Team] = true
			if a.Project != "" {
				projects[a.Project] = true
			}
		}
	}
	sorted := make([]*tally, 0, len(rows))
	for _, r := range rows {
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, func(x, y *tally) int { return cmp.Or(cmp.Compare(x.team, y.team), cmp.Compare(x.project, y.project)) })
	pg.head("Totals")
	t := newTable("TEAM", "PROJECT", "CREATE", "UPDATE", "CLOSE", "REOPEN")
	t.indent = 2
	for _, r := range sorted {
		t.row(orDash(r.team), orDash(r.project), r.create, r.update, r.closed, r.reopen)
	}
	pg.table(t)
	pg.head(headline(all, len(teams), len(projects)))
}

// headline is a plan in one line: "214 tickets in 9 projects", then what else happens.
func headline(all tally, teams, projects int) string {
	where := ""
	switch {
	case all.create == 0:
	case projects > 0:
		where = " in " + count(projects, "project")
	default:
		where = " for " + count(teams, "team")
	}
	text := count(all.create, "ticket") + where
	for _, v := range []struct {
		n    int
		word string
	}{{all.update, "updated"}, {all.closed, "closed"}, {all.reopen, "reopened"}} {
		if v.n > 0 {
			text += fmt.Sprintf(", %d %s", v.n, v.word)
		}
	}
	return text
}

// drawHeldBack says in one line what `run`, unlike apply, would not do at once.
func drawHeldBack(pg *page, actions []api.PlanAction) {
	counts := map[string]int{}
	total := 0
	for i := range actions {
		if why := actions[i].Held; why != "" {
			counts[why]++
			total++
		}
	}
	if total == 0 {
		return
	}
	var parts []string
	for _, why := range []string{"first_run", "limit"} {
		if n := counts[why]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, waitLong(why)))
			delete(counts, why)
		}
	}
	for why, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, waitLong(why)))
	}
	slices.Sort(parts)
	pg.line("%s would hold %s back, apply would not: %s", cell{"docket run", yellow}, count(total, "ticket"), strings.Join(parts, "; "))
}
