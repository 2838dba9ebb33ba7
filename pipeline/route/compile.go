package route

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
)

// Tree is a compiled routing tree. It is safe for concurrent use.
type Tree struct{ root *node }

// node is one node ready for use.
type node struct {
	path      string
	settings  Settings
	matchers  []matcher
	when      *expr.Program // nil without one
	more      bool          // continue
	condition string        // matchers and expression, for people
	children  []*node
	index     index
	why       []pipeline.Reason // the nodes from the root to this one
	given     Node              // as configured, for Draw
}

// matcher is one key of Node.Match.
type matcher struct {
	key      string
	patterns []string
	globs    []bool // which of them are more than plain texts
}

// New checks the tree and compiles it. The error joins an *expr.PathError for
// everything that is wrong, in the order of the file; paths look like "route.routes[2].when".
func New(env *expr.Env, root Node, teams []Team) (*Tree, error) {
	b := &builder{env: env}
	for _, t := range teams {
		b.teams = append(b.teams, t.Name)
	}
	if len(root.Match) > 0 {
		b.fail("route.match", "the root takes every finding and has no condition")
	}
	if root.When != "" {
		b.fail("route.when", "the root takes every finding and has no condition")
	}
	if root.Continue {
		b.fail("route.continue", "nothing comes after the root")
	}
	tree := &Tree{b.node("route", root, DefaultSettings(), nil)}
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return tree, nil
}

// builder gathers every error of a tree.
type builder struct {
	env   *expr.Env
	teams []string
	errs  []error
}

func (b *builder) fail(path, format string, args ...any) {
	b.errs = append(b.errs, &expr.PathError{Path: path, Err: fmt.Errorf(format, args...)})
}

func (b *builder) node(path string, given Node, inherited Settings, above []pipeline.Reason) *node {
	n := &node{path: path, settings: b.inherit(path, given, inherited), more: given.Continue, given: given}
	for _, key := range slices.Sorted(maps.Keys(given.Match)) {
		n.matchers = append(n.matchers, b.matcher(path+".match."+key, key, given.Match[key]))
	}
	if given.When != "" {
		p, err := b.env.Compile(given.When)
		b.errs = append(b.errs, expr.At(path+".when", err)...)
		n.when = p
	}
	n.condition = condition(given)
	n.why = append(slices.Clip(above), pipeline.Reason{What: path, Why: n.condition})
	for i, child := range given.Routes {
		n.children = append(n.children, b.node(fmt.Sprintf("%s.routes[%d]", path, i), child, n.settings, n.why))
	}
	n.index = newIndex(n.children)
	return n
}

// inherit is s with what the node itself says, each value checked.
func (b *builder) inherit(path string, n Node, s Settings) Settings {
	if n.Team != "" {
		s.Team = n.Team
		if !slices.Contains(b.teams, n.Team) {
			b.fail(path+".team", "no team is named %s%s", n.Team, didYouMean(n.Team, b.teams))
		}
	}
	if n.Sinks != nil {
		s.Sinks = slices.Compact(slices.Sorted(slices.Values(n.Sinks)))
	}
	if n.GroupBy != nil {
		s.GroupBy = n.GroupBy
		for i, name := range n.GroupBy {
			at := fmt.Sprintf("%s.group_by[%d]", path, i)
			if !knownGroup(name) {
				b.fail(at, "unknown name %q%s: use %s or tag.NAME", name, didYouMean(name, GroupNames()), strings.Join(GroupNames(), ", "))
			} else if slices.Contains(n.GroupBy[:i], name) {
				b.fail(at, "%s is there twice", name)
			}
		}
	}
	if n.TicketsFrom != 0 {
		s.TicketsFrom = n.TicketsFrom
		if n.TicketsFrom > pipeline.P5 {
			b.fail(path+".tickets_from", "P1, P2, P3, P4 or P5 is needed")
		}
	}
	if n.Assignee != nil {
		s.Assignee = n.Assignee
		for i, name := range n.Assignee {
			_, tag := strings.CutPrefix(name, tagPrefix)
			_, accountTag := strings.CutPrefix(name, accountTagPrefix)
			if name != "team" && !tag && !accountTag {
				b.fail(fmt.Sprintf("%s.assignee[%d]", path, i), "unknown name %q: use team, tag.NAME or account_tag.NAME", name)
			}
		}
	}
	b.duration(path+".for", n.For, &s.For)
	b.duration(path+".reopen_window", n.ReopenWindow, &s.ReopenWindow)
	b.duration(path+".recheck_after", n.RecheckAfter, &s.RecheckAfter)
	b.flap(path+".flap", n.Flap, &s.Flap)
	return s
}

func (b *builder) duration(path string, given *time.Duration, to *time.Duration) {
	if given == nil {
		return
	}
	if *given < 0 {
		b.fail(path, "%s is negative", *given)
	}
	*to = *given
}

func (b *builder) flap(path string, given Flap, to *Flap) {
	if given.Times != 0 {
		to.Times = given.Times
		if given.Times < 2 {
			b.fail(path+".times", "at least 2 is needed: once is not recurring")
		}
	}
	if given.Within != 0 {
		b.duration(path+".within", &given.Within, &to.Within)
	}
	if given.Quiet != 0 {
		b.duration(path+".quiet", &given.Quiet, &to.Quiet)
	}
}

func (b *builder) matcher(path, key string, patterns []string) matcher {
	if !knownKey(key) {
		b.fail(path, "unknown key%s: use %s, tag.NAME or account_tag.NAME", didYouMean(key, MatchKeys()), strings.Join(MatchKeys(), ", "))
	}
	if len(patterns) == 0 {
		b.fail(path, "at least one value is needed")
	}
	m := matcher{key: key}
	for i, p := range patterns {
		if !isGlob(p) && key == "severity" {
			severity, ok := pipeline.ParseSeverity(p)
			if !ok {
				b.fail(fmt.Sprintf("%s[%d]", path, i), "unknown severity %q: use CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL or UNKNOWN", p)
			}
			p = severity.String()
		}
		m.patterns = append(m.patterns, p)
		m.globs = append(m.globs, isGlob(p))
	}
	return m
}

func didYouMean(word string, words []string) string {
	if best := expr.Nearest(word, words); best != "" {
		return ", did you mean " + best + "?"
	}
	return ""
}

// condition says in words what a node asks for.
func condition(n Node) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(n.Match)) {
		parts = append(parts, key+" is "+strings.Join(n.Match[key], " or "))
	}
	if n.When != "" {
		parts = append(parts, n.When)
	}
	if len(parts) == 0 {
		return "every finding"
	}
	return strings.Join(parts, ", and ")
}

// Warnings names routes that no finding can reach, because one before them takes everything.
func (t *Tree) Warnings() []error {
	var all []error
	var walk func(*node)
	walk = func(n *node) {
		var taken *node
		for _, c := range n.children {
			if taken != nil {
				all = append(all, &expr.PathError{Path: c.path, Err: fmt.Errorf("it is never reached: %s before it takes every finding", taken.path)})
			} else if len(c.matchers) == 0 && c.when == nil && !c.more {
				taken = c
			}
			walk(c)
		}
	}
	walk(t.root)
	return all
}
