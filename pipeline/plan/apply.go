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
	planned, groups := map[string]bool{}, Groups(saved.Actions)
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
		f := &fresh.Actions[i]
		switch {
		case planned[f.ID()]:
		case groups[f.GroupKey]:
			out.Changed = append(out.Changed, fmt.Sprintf("%s: not planned for this sink", name(f)))
		default:
			out.Extra = append(out.Extra, *f)
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
	n := now.Newest(a.GroupKey)
	if known, ok := triage.ParseCaseID(a.Case); ok {
		n = known // its group may be another case's by now
	}
	c, err := now.Case(n)
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
// not name, so that an apply does exactly what was planned.
type Restrictor struct {
	layer   *triage.Layer
	extra   map[string]bool
	dropped map[[2]string]int // by read and scope
	Left    int               // records that wait for the next plan
}

// NewRestrictor keeps out what leads to the extra actions. layer is the state as
// it would be; its base is read by Restrict.
func NewRestrictor(layer *triage.Layer, extra []Action) *Restrictor {
	return &Restrictor{layer: layer, extra: Groups(extra), dropped: map[[2]string]int{}}
}

// Restrict takes the records out of e that lead outside the plan. Before an end
// marker it puts what state holds of those cases in their place, so that the scan proves
// their absence as little as their change.
func (r *Restrictor) Restrict(e *pipeline.Envelope) error {
	items := e.Items[:0:0]
	for i := range e.Items {
		out, err := r.outside(e.Items[i].Print)
		if err != nil {
			return err
		}
		if out {
			r.Left++
			r.dropped[[2]string{e.Scan, e.Items[i].Scope}]++
			continue
		}
		items = append(items, e.Items[i])
	}
	e.Items = items
	scans := slices.Clone(e.Scans)
	for i := range scans {
		s := &scans[i]
		known, err := r.known(s.Scope)
		if err != nil {
			return err
		}
		e.Items = append(e.Items, known...)
		k := [2]string{e.Scan, s.Scope}
		s.Count += len(known) - r.dropped[k]
		delete(r.dropped, k)
	}
	e.Scans = scans
	return nil
}

// known is what state holds of the scope's reports outside the plan: repeats that change nothing.
func (r *Restrictor) known(scope string) ([]pipeline.Item, error) {
	var out []pipeline.Item
	var failed error
	r.layer.Base().ScopeReports(scope, func(seq uint64, key [16]byte) bool {
		h, ok := r.layer.Base().HotBySeq(seq)
		if !ok {
			return true
		}
		outside, err := r.outside(h.Print)
		if err != nil {
			failed = err
			return false
		}
		if rep := h.Find(key); outside && rep != nil {
			out = append(out, pipeline.Item{
				Print: h.Print, Key: key, IDHash: rep.IDHash, Hash: rep.Hash, Observed: rep.Observed,
				Status: rep.Status, Severity: rep.Severity, Scope: scope,
			})
		}
		return true
	})
	return out, failed
}

func (r *Restrictor) outside(print pipeline.Fingerprint) (bool, error) {
	h, ok := r.layer.Hot(print)
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
