package route

import (
	"slices"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
)

// Route takes a finding down the tree. s is the same finding as a Subject, so that
// several callers share what expressions read from it; nil when there is none yet.
func (t *Tree) Route(f *pipeline.Finding, s *expr.Subject) Decision {
	w := walk{f: f, s: s}
	w.down(t.root)
	first := w.hits[0]
	d := Decision{Settings: first.settings, Path: first.path, Why: first.why, Errors: w.errs}
	if len(w.hits) == 1 {
		return d
	}
	d.Why = slices.Clone(d.Why)
	for _, n := range w.hits[1:] {
		d.Also = append(d.Also, n.path)
		d.Why = append(d.Why, pipeline.Reason{What: n.path + ", by continue", Why: n.condition})
		d.Sinks = slices.Concat(d.Sinks, n.settings.Sinks)
	}
	slices.Sort(d.Sinks)
	d.Sinks = slices.Compact(d.Sinks)
	return d
}

// walk is one finding on its way down.
type walk struct {
	f    *pipeline.Finding
	s    *expr.Subject
	hits []*node // the deepest nodes that matched, in file order
	errs []string
}

// down takes the children of a node that matched.
func (w *walk) down(n *node) {
	matched := false
	if len(n.children) > 0 {
		var c candidates
		c.start(&n.index, w.f)
		for i, ok := c.next(); ok; i, ok = c.next() {
			child := n.children[i]
			if !w.matches(child) {
				continue
			}
			matched = true
			w.down(child)
			if !child.more {
				break
			}
		}
	}
	if !matched {
		w.hits = append(w.hits, n)
	}
}

func (w *walk) matches(n *node) bool {
	for i := range n.matchers {
		if !n.matchers[i].matches(w.f) {
			return false
		}
	}
	if n.when == nil {
		return true
	}
	if w.s == nil {
		w.s = expr.NewSubject(w.f)
	}
	yes, err := n.when.Eval(w.s)
	if err != nil {
		w.errs = append(w.errs, n.path+".when: "+err.Error())
	}
	return yes
}

func (m *matcher) matches(f *pipeline.Finding) bool {
	one, several := value(f, m.key)
	if several == nil {
		return m.matchesText(one)
	}
	return slices.ContainsFunc(several, m.matchesText)
}

func (m *matcher) matchesText(s string) bool {
	for i, p := range m.patterns {
		if p == s || m.globs[i] && glob(p, s) {
			return true
		}
	}
	return false
}
