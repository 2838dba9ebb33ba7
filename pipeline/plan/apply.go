package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// ErrChanged says that an action of a plan would be different now, or is no longer wanted.
var ErrChanged = errors.New("the plan is out of date")

// Check is what a saved plan comes to when the sources were read again.
type Check struct {
	Do      []Action // still to do
	Already int      // done or under way: an earlier apply of this plan was interrupted
	Extra   []Action // wanted now, not in the plan: they wait for the next one
	Changed []string // why the plan is out of date, one line an action
}

// Compare checks the saved plan against a fresh one over the same state. now is
// state as it is, without what the fresh plan would change.
func Compare(saved, fresh *Plan, now triage.View) (Check, error) {
	var out Check
	have := map[string]*Action{}
	for i := range fresh.Actions {
		have[fresh.Actions[i].ID()] = &fresh.Actions[i]
	}
	planned := map[string]bool{}
	for i := range saved.Actions {
		a := &saved.Actions[i]
		planned[a.ID()] = true
		f := have[a.ID()]
		if f == nil {
			done, err := carriedOut(a, now)
			if err != nil {
				return out, err
			}
			if done {
				out.Already++
				continue
			}
			out.Changed = append(out.Changed, fmt.Sprintf("%s: no longer wanted", name(a)))
			continue
		}
		if why := differs(a, f); why != "" {
			out.Changed = append(out.Changed, fmt.Sprintf("%s: %s", name(a), why))
			continue
		}
		out.Do = append(out.Do, *f)
	}
	for i := range fresh.Actions {
		if !planned[fresh.Actions[i].ID()] {
			out.Extra = append(out.Extra, fresh.Actions[i])
		}
	}
	return out, nil
}

func name(a *Action) string {
	what := a.Case
	if what == "" {
		what = "new case"
	}
	return fmt.Sprintf("%s %s %q for team %s in %s", a.Verb, what, a.Title, a.Team, a.Sink)
}

func differs(a, f *Action) string {
	switch {
	case a.Verb != f.Verb:
		return fmt.Sprintf("planned as %s, now %s", a.Verb, f.Verb)
	case a.Team != f.Team:
		return fmt.Sprintf("planned for team %s, now %s", a.Team, f.Team)
	case a.Priority != f.Priority:
		return fmt.Sprintf("planned as %s, now %s", a.Priority, f.Priority)
	}
	gone, added := 0, 0
	for _, p := range a.Findings {
		if !slices.Contains(f.Findings, p) {
			gone++
		}
	}
	for _, p := range f.Findings {
		if !slices.Contains(a.Findings, p) {
			added++
		}
	}
	switch {
	case gone > 0:
		return fmt.Sprintf("%d of its %d findings are not open any more", gone, len(a.Findings))
	case added > 0:
		return fmt.Sprintf("%d more findings are in it now", added)
	}
	return ""
}

// carriedOut reports whether state shows the action done or under way, with what was planned.
func carriedOut(a *Action, now triage.View) (bool, error) {
	c, err := now.Case(now.Newest(a.GroupKey))
	if err != nil || c == nil {
		return false, err
	}
	e := c.Entries[a.Sink]
	if e == nil || e.N == 0 {
		return false, nil
	}
	if a.Verb == Close {
		return !c.Open && !e.RevOpen, nil
	}
	open, err := openPrints(now, c.Number)
	if err != nil {
		return false, err
	}
	return c.Open && c.Priority == a.Priority && slices.Equal(open, a.Findings), nil
}

// Groups are the group keys of the actions.
func Groups(actions []Action) map[string]bool {
	out := map[string]bool{}
	for i := range actions {
		out[actions[i].GroupKey] = true
	}
	return out
}

// Restrict takes out of an envelope what belongs to cases that the plan does
// not name, and says how many records wait. layer is the state as it would be; extra the group
// keys of actions outside the plan.
func Restrict(e *pipeline.Envelope, layer *triage.Layer, extra map[string]bool) (int, error) {
	left := 0
	dropped := map[string]int{}
	kept := e.Items[:0:0]
	for i := range e.Items {
		it := &e.Items[i]
		out, err := outside(it, layer, extra)
		if err != nil {
			return 0, err
		}
		if out {
			left++
			dropped[it.Scope]++
			continue
		}
		kept = append(kept, *it)
	}
	e.Items = kept
	for i := range e.Scans {
		e.Scans[i].Count -= dropped[e.Scans[i].Scope]
	}
	return left, nil
}

func outside(it *pipeline.Item, layer *triage.Layer, extra map[string]bool) (bool, error) {
	h, ok := layer.Hot(it.Print)
	if !ok || h.Case == 0 {
		return false, nil
	}
	c, err := layer.Case(h.Case)
	if err != nil || c == nil {
		return false, err
	}
	return extra[c.Key], nil
}
