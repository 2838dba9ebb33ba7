package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/plan"
	"github.com/docket-hub/docket/pipeline/triage"
)

// ruleExamples is how many findings a change names.
const ruleExamples = 3

// LoadBlind is Load without reading a secret, for looking at rules where none is at hand.
func LoadBlind(path string, getenv func(string) (string, bool)) (*config.Config, error) {
	return load(nil, path, config.Env{Getenv: getenv, Blind: true})
}

// RuleDiff implements api.Service.
func (r *reader) RuleDiff(ctx context.Context, q api.RuleDiffRequest) (api.RuleDiff, error) {
	other, err := otherGraph(q)
	if err != nil {
		return api.RuleDiff{}, err
	}
	old := r.judging()
	other = other.withFeeds(old.model.Feeds()) // both ask the same copies, each by its own score of what is likely
	d := ruleDiff{old: old, other: other, since: q.Since, now: time.Now(), tickets: map[ticketPlace]*ticketCount{}, changes: map[[3]string]*api.RuleDiffChange{}}
	err = r.view(func(snap *state.Snapshot) error {
		var failed error
		err := snap.EachRecord(0, func(rec *triage.Record) bool {
			failed = cmp.Or(failed, context.Cause(ctx))
			d.finding(rec)
			return failed == nil
		})
		return firstOf(err, failed)
	})
	return d.result(), err
}

// otherGraph builds the configuration that a request carries.
func otherGraph(q api.RuleDiffRequest) (*Graph, error) {
	set, err := all.Set()
	if err != nil {
		return nil, err
	}
	var files []config.File
	for _, f := range q.Files {
		files = append(files, config.File{Name: f.Name, Data: []byte(f.Data)})
	}
	env := config.Env{Blind: true, Known: config.Known{Sources: set.SourceTypes(), Sinks: set.SinkTypes()}}
	cfg, err := config.Parse(files, q.Dir, env)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	g, err := Build(cfg, Outside{Set: set, Log: slog.New(slog.DiscardHandler), Now: time.Now, Installation: "rules-diff"})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return g, nil
}

// ruleDiff compares what two graphs make of findings.
type ruleDiff struct {
	old, other *Graph
	since, now time.Time

	out     api.RuleDiff
	tickets map[ticketPlace]*ticketCount
	changes map[[3]string]*api.RuleDiffChange
}

// ticketPlace is where tickets are counted.
type ticketPlace struct{ team, sink, project string }

// ticketCount is the groups that have a ticket in a place, under either configuration.
type ticketCount struct{ before, after map[string]bool }

// wish is what a configuration makes of one finding.
type wish struct {
	verdict    triage.Verdict
	suppressed string
	projects   []string // by sink
}

func (w *wish) ticketed() bool {
	return w.suppressed == "" && len(w.verdict.Sinks) > 0 && !w.verdict.Settings.TicketsFrom.Above(w.verdict.Explanation.Priority)
}

// place is where its tickets go, for people.
func (w *wish) place() string {
	where := make([]string, 0, len(w.verdict.Sinks))
	for i, s := range w.verdict.Sinks {
		if p := w.projects[i]; p != "" {
			s += " " + p
		}
		where = append(where, s)
	}
	return w.verdict.Team + " (" + cmp.Or(strings.Join(where, ", "), "no sinks") + ")"
}

// wish is what a configuration makes of a finding; by is a suppression that stands in no configuration.
func (d *ruleDiff) wish(g *Graph, f *pipeline.Finding, by string) wish {
	w := wish{verdict: g.Judge(f), suppressed: by}
	for _, s := range g.Rules.Suppressions {
		if w.suppressed != "" || !s.Until.After(d.now) {
			continue
		}
		if ok, err := g.Rules.Matches(s.When, f); err == nil && ok {
			w.suppressed = s.Name
		}
	}
	for _, s := range w.verdict.Sinks {
		project, _ := g.Rules.Settings(w.verdict.Team, w.verdict.Route, s)["project"].(string)
		w.projects = append(w.projects, project)
	}
	return w
}

// finding compares one finding, when it is open.
func (d *ruleDiff) finding(rec *triage.Record) {
	if !d.since.IsZero() && rec.FirstSeen.Before(d.since) && rec.LastChange.Before(d.since) {
		return
	}
	f := rec.Finding()
	if f.Status != pipeline.StatusOpen {
		return
	}
	d.out.Findings++
	by := rec.SuppressedBy
	if slices.ContainsFunc(d.old.Rules.Suppressions, func(s pipeline.Suppression) bool { return s.Name == by }) {
		by = ""
	}
	was, is := d.wish(d.old, &f, by), d.wish(d.other, &f, by)
	d.count(&was, func(c *ticketCount) map[string]bool { return c.before })
	d.count(&is, func(c *ticketCount) map[string]bool { return c.after })
	changed := false
	note := func(kind, from, to, why string) {
		changed = true
		d.change(kind, from, to, why, rec, &f)
	}
	if was.suppressed != is.suppressed {
		note("suppressed", cmp.Or(was.suppressed, "not suppressed"), cmp.Or(is.suppressed, "not suppressed"), "")
	}
	if a, b := was.place(), is.place(); a != b {
		note("moved", a, b, "by "+is.verdict.Route)
	} else if was.verdict.Key != is.verdict.Key {
		note("regrouped", "by "+groupNames(was.verdict.Group), "by "+groupNames(is.verdict.Group), "by "+is.verdict.Route)
	}
	if a, b := was.verdict.Explanation.Priority, is.verdict.Explanation.Priority; a != b {
		note("priority", a.String(), b.String(), plan.Reason(is.verdict.Explanation))
	}
	if was.suppressed == is.suppressed && was.ticketed() != is.ticketed() {
		words := map[bool]string{true: "ticket", false: "no ticket"}
		note("ticket", words[was.ticketed()], words[is.ticketed()], fmt.Sprintf("tickets_from %s, priority %s", is.verdict.Settings.TicketsFrom, is.verdict.Explanation.Priority))
	}
	if !changed {
		d.out.Same++
	}
}

func (d *ruleDiff) count(w *wish, side func(*ticketCount) map[string]bool) {
	if !w.ticketed() {
		return
	}
	for i, s := range w.verdict.Sinks {
		at := ticketPlace{w.verdict.Team, s, w.projects[i]}
		c := d.tickets[at]
		if c == nil {
			c = &ticketCount{map[string]bool{}, map[string]bool{}}
			d.tickets[at] = c
		}
		side(c)[w.verdict.Key] = true
	}
}

func (d *ruleDiff) change(kind, from, to, why string, rec *triage.Record, f *pipeline.Finding) {
	key := [3]string{kind, from, to}
	c := d.changes[key]
	if c == nil {
		c = &api.RuleDiffChange{Kind: kind, From: from, To: to}
		d.changes[key] = c
	}
	c.Findings++
	if len(c.Examples) < ruleExamples {
		x := api.RuleDiffExample{Fingerprint: f.Fingerprint, Title: f.Title, Resource: f.Resource.ID, Why: why}
		if rec.Case != 0 {
			x.Case = triage.CaseID(rec.Case)
		}
		c.Examples = append(c.Examples, x)
	}
}

func (d *ruleDiff) result() api.RuleDiff {
	out := d.out
	for at, c := range d.tickets {
		out.Before += len(c.before)
		out.After += len(c.after)
		if len(c.before) != len(c.after) {
			out.Teams = append(out.Teams, api.RuleDiffTeam{Team: at.team, Sink: at.sink, Project: at.project, Before: len(c.before), After: len(c.after)})
		}
	}
	slices.SortFunc(out.Teams, func(a, b api.RuleDiffTeam) int {
		return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(a.Sink, b.Sink), cmp.Compare(a.Project, b.Project))
	})
	for _, c := range d.changes {
		out.Changes = append(out.Changes, *c)
	}
	slices.SortFunc(out.Changes, func(a, b api.RuleDiffChange) int {
		return cmp.Or(cmp.Compare(b.Findings, a.Findings), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out
}
