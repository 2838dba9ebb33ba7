package jira

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/pipeline"
)

// transition is a way out of an issue's status, for this account, now.
type transition struct {
	ID     string               `json:"id"`
	Name   string               `json:"name"`
	To     status               `json:"to"`
	Fields map[string]fieldMeta `json:"fields"`
}

func (c *client) transitions(ctx context.Context, id string) ([]transition, error) {
	var list struct {
		Transitions []transition `json:"transitions"`
	}
	if _, err := c.http.Do(ctx, http.MethodGet, issuePath(id)+"/transitions?expand=transitions.fields", nil, &list); err != nil {
		return nil, fmt.Errorf("reading the transitions of %s: %w", id, err)
	}
	for _, t := range list.Transitions {
		for name, f := range t.Fields {
			f.ID = name
			t.Fields[name] = f
		}
	}
	return list.Transitions, nil
}

// goal is where an issue should be brought.
type goal struct {
	status     string   // the wanted status by name; empty: any of the category
	categories []string // categories that will do, best first
	avoid      []string // statuses that mean something else
	resolution string
}

func (w *work) goal(open bool) goal {
	if open {
		return goal{status: w.settings.transitions.Reopen, categories: []string{"new", "indeterminate"}}
	}
	return goal{
		status: w.settings.transitions.Close, categories: []string{done}, avoid: w.s.config.WontFix,
		resolution: w.settings.resolution(w.t.Why),
	}
}

func (g goal) reached(s status) bool { return slices.Contains(g.categories, s.Category.Key) }

// carry brings the issue to the wanted state, when docket's own wish changed: what a person set in
// between stays. stuck is why it cannot be done; it is for the end, when all else is written.
func (w *work) carry(ctx context.Context, before marker) (stuck, err error) {
	wanted := stateWord(w.t.Open)
	if w.issue.state() == wanted || !w.turns(before) {
		return nil, w.acknowledge(ctx)
	}
	err = w.walk(ctx, w.issue, w.goal(w.t.Open))
	var none *noWay
	if !errors.As(err, &none) {
		return nil, err
	}
	w.s.log.Error("the workflow has no way", "sink", w.s.name, "ticket", w.issue.Key, "case", w.t.Case, "err", err)
	say := pipeline.Comment{EventID: fmt.Sprintf("%s/r%d %s", w.t.Case, w.t.Rev, wanted), Time: w.s.now(), Lines: []string{"docket could not set this ticket to " + wanted + ": " + none.why}}
	w.t.Comments = append(slices.Clone(w.t.Comments), say)
	if w.t.Open && none.offered {
		// The contract's "not reopenable": a new ticket of the same case.
		w.gone = true
		return fmt.Errorf("%w: %w", pipeline.ErrGone, err), nil
	}
	return pipeline.Permanent(err), nil
}

// turns reports whether this revision is to close or reopen the issue. Where no delivery is known, what
// the issue's property says of docket's last wish decides.
func (w *work) turns(before marker) bool {
	want := stateWord(w.t.Open)
	switch {
	case w.t.Last != nil:
		return w.t.Open != w.t.WasOpen
	case before.State == "": // an issue that a person named: its state is theirs, unless the work is done
		return want == stateClosed
	default:
		return before.State != want
	}
}

// acknowledge brings a new issue to the status that stands for an ack, once per ack. That it cannot be
// done is no reason to fail.
func (w *work) acknowledge(ctx context.Context) error {
	name := w.settings.transitions.Ack
	now := w.issue.status()
	if name == "" || !w.t.Open || w.t.Acked == "" || w.t.Last[wordAcked] == w.t.Acked || now.Category.Key != "new" || strings.EqualFold(now.Name, name) {
		return nil
	}
	err := w.walk(ctx, w.issue, goal{status: name})
	var none *noWay
	if errors.As(err, &none) {
		w.s.log.Warn("the ack does not show in the status", "sink", w.s.name, "ticket", w.issue.Key, "err", err)
		return nil
	}
	return err
}

// noWay is the error of a walk that cannot reach its goal.
type noWay struct {
	why     string
	offered bool // there were transitions, none led there
}

func (e *noWay) Error() string { return e.why }

// walkSteps bounds a walk; workflows with more statuses between open and done are not known.
const walkSteps = 8

// walk brings an issue to a goal, over several statuses where it has to be. It takes the wanted status
// where a transition leads there, else one of the wanted category, else one not seen yet that is nearer.
func (w *work) walk(ctx context.Context, i *issue, g goal) error {
	at := i.status()
	seen := map[string]bool{strings.ToLower(at.Name): true}
	detoured := false
	for range walkSteps {
		list, err := w.s.c.transitions(ctx, i.ID)
		if err != nil {
			return err
		}
		arrived := g.reached(at)
		next, unfilled, err := w.next(ctx, g, list, seen, arrived)
		if err != nil {
			return err
		}
		if next == nil && arrived {
			return nil // of the category, though the named status is not near
		}
		if next == nil {
			return w.deadEnd(ctx, i, at, g, list, unfilled)
		}
		if g.rank(next.To) >= detour && !detoured {
			if err := w.possible(ctx, i, g); err != nil {
				return err
			}
			detoured = true
		}
		if err := w.s.c.transit(ctx, i.ID, next.ID, next.filled); err != nil {
			return named(fmt.Sprintf("setting %s to %q", i.Key, next.To.Name), err)
		}
		failpoint.Hit("jira/stepped")
		w.wrote, w.moved = true, w.moved || i == w.issue
		at = next.To
		seen[strings.ToLower(at.Name)] = true
		if g.named(at) || g.status == "" && g.reached(at) {
			return nil
		}
	}
	if g.reached(at) {
		return nil
	}
	return &noWay{why: fmt.Sprintf("after %d steps %s is still %q", walkSteps, i.Key, at.Name), offered: true}
}

// step is a transition with what its screen needs.
type step struct {
	transition
	filled map[string]any
}

// next is the best transition that can be made, nil for none. unfilled says what kept others from being made.
func (w *work) next(ctx context.Context, g goal, list []transition, seen map[string]bool, arrived bool) (best *step, unfilled []string, err error) {
	order := slices.Clone(list)
	slices.SortStableFunc(order, func(a, b transition) int { return g.rank(a.To) - g.rank(b.To) })
	for _, t := range order {
		rank := g.rank(t.To)
		if rank == never || seen[strings.ToLower(t.To.Name)] || arrived && rank > 0 {
			continue
		}
		filled, err := w.fill(ctx, t, g)
		if pipeline.IsPermanent(err) {
			unfilled = append(unfilled, fmt.Sprintf("%q: %v", t.Name, err))
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		return &step{t, filled}, unfilled, nil
	}
	return nil, unfilled, nil
}

func (g goal) named(s status) bool { return g.status != "" && strings.EqualFold(s.Name, g.status) }

// detour is the first rank of a status that is only on the way; never that of one that is not stepped into.
const (
	detour = 10
	never  = 100
)

// rank orders statuses by how near they are to the goal: 0 is the named one.
func (g goal) rank(s status) int {
	category := slices.Index(g.categories, s.Category.Key)
	switch {
	case g.named(s):
		return 0
	case slices.ContainsFunc(g.avoid, func(a string) bool { return strings.EqualFold(a, s.Name) }):
		return never
	case category >= 0:
		return 1 + category
	case len(g.categories) == 0: // a status by name alone: no detours
		return never
	case s.Category.Key == "indeterminate":
		return detour
	case s.Category.Key != done:
		return detour + 1
	default:
		return detour + 2
	}
}

// fill is what a transition's screen needs: the resolution where the screen has one, and what it
// requires, from the configured fields. A field that nothing fills is a permanent error.
func (w *work) fill(ctx context.Context, t transition, g goal) (map[string]any, error) {
	fields := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(t.Fields)) {
		f := t.Fields[name]
		needed := f.Required && !f.HasDefault
		if name == "resolution" {
			o, ok := pick(f.Allowed, g.resolution)
			switch {
			case g.resolution != "" && (ok || len(f.Allowed) == 0):
				if o.Name == "" {
					o.Name = g.resolution
				}
				fields[name] = map[string]string{"name": o.Name}
			case needed:
				return nil, pipeline.Permanent(fmt.Errorf("close.resolution: %q is none of the resolutions there: %s", g.resolution, strings.Join(words(f.Allowed), ", ")))
			}
			continue
		}
		if !needed {
			continue
		}
		raw, ok := w.settings.fields[name]
		if !ok {
			return nil, pipeline.Permanent(fmt.Errorf("fields.%s: the transition needs a value for %q", name, f.Name))
		}
		v, err := w.s.templates.renderValue(raw, data(w.t))
		if err != nil {
			return nil, pipeline.Permanent(fmt.Errorf("fields.%s: %w", name, err))
		}
		if v, err = w.s.typer(w.where()).value(ctx, f, v); err != nil {
			return nil, fmt.Errorf("fields.%s: %w", name, err)
		}
		if v == nil {
			return nil, pipeline.Permanent(fmt.Errorf("fields.%s: the transition needs a value for %q, and the configured one is empty", name, f.Name))
		}
		fields[name] = v
	}
	return fields, nil
}

// transit makes one transition. Its id is a text; a number is refused.
func (c *client) transit(ctx context.Context, id, transition string, fields map[string]any) error {
	body := map[string]any{"transition": map[string]string{"id": transition}}
	if len(fields) > 0 {
		body["fields"] = fields
	}
	_, err := c.http.Do(ctx, http.MethodPost, issuePath(id)+"/transitions", body, nil)
	return err
}

// possible looks whether the workflow has a status that would do at all, before an issue is led
// somewhere else on the way to it.
func (w *work) possible(ctx context.Context, i *issue, g goal) error {
	types, err := w.s.c.statuses(ctx, i.project())
	if err != nil {
		return nil // then the walk itself shows it
	}
	var all []string
	for _, t := range types {
		if t.Name != i.value("issuetype") {
			continue
		}
		for _, s := range t.Statuses {
			if g.rank(s) < detour {
				return nil
			}
			all = append(all, s.Name)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &noWay{why: fmt.Sprintf("the workflow of %s has no %s, it has %s", i.Key, g, strings.Join(all, ", ")), offered: true}
}

// String is the goal as messages name it.
func (g goal) String() string {
	if g.status != "" {
		return fmt.Sprintf("status %q", g.status)
	}
	return "status of category " + strings.Join(g.categories, " or ")
}

// deadEnd is the error of a walk that ends at a status.
func (w *work) deadEnd(ctx context.Context, i *issue, at status, g goal, list []transition, unfilled []string) error {
	end := &noWay{why: fmt.Sprintf("the workflow of %s offers no way from %q to a %s", i.Key, at.Name, g), offered: len(unfilled) == 0}
	switch {
	case len(list) == 0:
		// An empty list says that there is none, or that this account may make none.
		missing, err := w.s.c.missing(ctx, url.Values{"issueKey": {i.Key}}, "TRANSITION_ISSUES")
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			end.offered = false
			end.why += ": this account lacks the permission Transition issues"
		}
	case len(unfilled) > 0:
		end.why += ": " + strings.Join(unfilled, "; ")
	default:
		var all []string
		for _, t := range list {
			all = append(all, fmt.Sprintf("%q", t.To.Name))
		}
		end.why += "; there are transitions to " + strings.Join(all, ", ")
	}
	return end
}
