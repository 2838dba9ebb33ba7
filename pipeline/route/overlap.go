package route

import (
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
)

// Overlap is a finding that two siblings match, of which the earlier takes it.
type Overlap struct {
	Taker  string // the path of the route that takes it
	Hidden string // the path of the route that would
}

// Overlaps lists, on the way that a finding takes down the tree, the routes that match it
// too but come too late.
func (t *Tree) Overlaps(f *pipeline.Finding) []Overlap {
	w := walk{f: f, s: expr.NewSubject(f)}
	return w.overlaps(t.root, nil)
}

func (w *walk) overlaps(n *node, out []Overlap) []Overlap {
	taker := ""
	for _, c := range n.children {
		if !w.matches(c) {
			continue
		}
		if taker != "" {
			out = append(out, Overlap{taker, c.path})
			continue
		}
		out = w.overlaps(c, out)
		if !c.more {
			taker = c.path
		}
	}
	return out
}

// Paths lists every route below the root, in the order of the file.
func (t *Tree) Paths() []string {
	var out []string
	var walk func(*node)
	walk = func(n *node) {
		for _, c := range n.children {
			out = append(out, c.path)
			walk(c)
		}
	}
	walk(t.root)
	return out
}
