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

// Restrictor takes out of what was read what belongs to cases that a plan does
// not name, so that an apply does exactly what was planned.
type Restrictor struct {
	layer   *triage.Layer
	extra   map[string]bool
	scopes  map[string]bool // whose end markers would change cases outside the plan
	dropped map[string]int
	Left    int // records that wait for the next plan
}

// NewRestrictor keeps out what leads to the extra actions. layer is the state as it would be.
func NewRestrictor(layer *triage.Layer, extra []Action) (*Restrictor, error) {
	r := &Restrictor{layer: layer, extra: Groups(extra), scopes: map[string]bool{}, dropped: map[string]int{}}
	for key := range r.extra {
		n := layer.Newest(key)
		var seqs []uint64
		if err := layer.Members(n, func(m triage.Member) bool {
			if m.Status == triage.Resolved {
				seqs = append(seqs, m.Seq)
			}
			return true
		}); err != nil {
			return nil, err
		}
		for _, seq := range seqs {
			rec, err := layer.Record(seq)
			if err != nil || rec == nil {
				return nil, err
			}
			for i := range rec.Reports {
				r.scopes[rec.Reports[i].Scope] = true
			}
		}
	}
	return r, nil
}

// Restrict takes the records and end markers out of e that lead outside the plan.
func (r *Restrictor) Restrict(e *pipeline.Envelope) error {
	items := e.Items[:0:0]
	for i := range e.Items {
		out, err := r.outside(&e.Items[i])
		if err != nil {
			return err
		}
		if out {
			r.Left++
			r.dropped[e.Items[i].Scope]++
			continue
		}
		items = append(items, e.Items[i])
	}
	e.Items = items
	scans := e.Scans[:0:0]
	for _, s := range e.Scans {
		if r.scopes[s.Scope] {
			continue
		}
		s.Count -= r.dropped[s.Scope]
		scans = append(scans, s)
	}
	e.Scans = scans
	return nil
}

func (r *Restrictor) outside(it *pipeline.Item) (bool, error) {
	h, ok := r.layer.Hot(it.Print)
	if !ok || h.Case == 0 {
		return false, nil
	}
	c, err := r.layer.Case(h.Case)
	if err != nil || c == nil {
		return false, err
	}
	return r.extra[c.Key], nil
}
