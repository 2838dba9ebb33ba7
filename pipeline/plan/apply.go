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
	case a.Project != f.Project:
		return fmt.Sprintf("planned for project %s, now %s", a.Project, f.Project)
	case a.Priority != f.Priority:
		return fmt.Sprintf("planned as %s, now %s", a.Priority, f.Priority)
	}
	gone, added := difference(a.Findings, f.Findings)
	switch {
	case gone > 0:
		return fmt.Sprintf("%d of its %d findings are not open any more", gone, len(a.Findings))
	case added > 0:
		return fmt.Sprintf("%d more findings are in it now", added)
	}
	return ""
}

// difference counts what only the first and only the second list holds; both are sorted.
func difference(a, b []pipeline.Fingerprint) (onlyA, onlyB int) {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch c := slices.Compare(a[i][:], b[j][:]); {
		case c < 0:
			onlyA, i = onlyA+1, i+1
		case c > 0:
			onlyB, j = onlyB+1, j+1
		default:
			i, j = i+1, j+1
		}
	}
	return onlyA + len(a) - i, onlyB + len(b) - j
}

// carriedOut reports whether state shows the action done or under way, with what was planned.
func carriedOut(a *Action, now triage.View) (bool, error) {
	c, err := now.Case(now.Newest(a.GroupKey))
	if err != nil || c == nil {
		return false, err
	}
	e := c.Entries[a.Sink]
	if e == nil || e.N == 0 || e.St != triage.Inflight && e.St != triage.Idle {
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
// not name, so that an apply does exactly what was planned. First Look at every envelope,
// then Restrict each of them.
type Restrictor struct {
	layer  *triage.Layer
	extra  map[string]bool
	scopes map[string]bool // whose end markers must not go: records of them stay out, or cases outside the plan would change
	Left   int             // records that wait for the next plan
}

// NewRestrictor keeps out what leads to actions that only the fresh plan has. layer is the state as it would be.
func NewRestrictor(layer *triage.Layer, check *Check) (*Restrictor, error) {
	r := &Restrictor{layer: layer, extra: Groups(check.Extra), scopes: map[string]bool{}}
	for i := range check.Do {
		delete(r.extra, check.Do[i].GroupKey)
	}
	for key := range r.extra {
		if err := r.eachAbsent(key, func(scope string) { r.scopes[scope] = true }); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// eachAbsent calls fn with the scopes whose scans resolved findings of a group's case.
func (r *Restrictor) eachAbsent(key string, fn func(scope string)) error {
	var seqs []uint64
	err := r.layer.Members(r.layer.Newest(key), func(m triage.Member) bool {
		if m.Status == triage.Resolved {
			seqs = append(seqs, m.Seq)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		rec, err := r.layer.Record(seq)
		if err != nil {
			return err
		}
		if rec == nil {
			continue
		}
		for i := range rec.Reports {
			if scope := rec.Reports[i].Scope; scope != "" {
				fn(scope)
			}
		}
	}
	return nil
}

// Look notes the scopes of records that will stay out: a scan that loses one
// of its records here would count the others of the case as gone.
func (r *Restrictor) Look(e *pipeline.Envelope) error {
	for i := range e.Items {
		out, err := r.outside(&e.Items[i])
		if err != nil {
			return err
		}
		if out && e.Items[i].Scope != "" {
			r.scopes[e.Items[i].Scope] = true
		}
	}
	return nil
}

// Blocked names the planned actions that rest on a scan whose end must stay out; call it after all Looks.
func (r *Restrictor) Blocked(do []Action) ([]string, error) {
	var out []string
	for i := range do {
		a := &do[i]
		if a.Verb == Create {
			continue
		}
		blocked := ""
		err := r.eachAbsent(a.GroupKey, func(scope string) {
			if r.scopes[scope] {
				blocked = scope
			}
		})
		if err != nil {
			return nil, err
		}
		if blocked != "" {
			out = append(out, fmt.Sprintf("%s: it rests on the scan of %s, which by now also changes cases outside the plan", name(a), blocked))
		}
	}
	return out, nil
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
			continue
		}
		items = append(items, e.Items[i])
	}
	e.Items = items
	scans := e.Scans[:0:0]
	for _, s := range e.Scans {
		if !r.scopes[s.Scope] {
			scans = append(scans, s)
		}
	}
	e.Scans = scans
	return nil
}

func (r *Restrictor) outside(it *pipeline.Item) (bool, error) {
	if len(r.extra) == 0 {
		return false, nil
	}
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

// Undone names the actions that state does not show as done or under way.
func Undone(do []Action, now triage.View) ([]string, error) {
	var out []string
	for i := range do {
		done, err := carriedOut(&do[i], now)
		if err != nil {
			return nil, err
		}
		if !done {
			out = append(out, name(&do[i]))
		}
	}
	return out, nil
}
