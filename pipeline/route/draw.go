package route

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Draw writes the tree as text, the children of a node in the order in which
// they are tried, each with its condition and with what it sets itself. The error is w's.
func (t *Tree) Draw(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "route: %s\n", orInherits(sets(t.root.given)))
	drawChildren(&b, t.root, "")
	_, err := io.WriteString(w, b.String())
	return err
}

func drawChildren(b *strings.Builder, n *node, indent string) {
	for i, c := range n.children {
		branch, below := "├─ ", "│  "
		if i == len(n.children)-1 {
			branch, below = "└─ ", "   "
		}
		fmt.Fprintf(b, "%s%s[%d] %s -> %s\n", indent, branch, i, oneLine(c.condition), orInherits(sets(c.given)))
		drawChildren(b, c, indent+below)
	}
}

func orInherits(s string) string {
	if s == "" {
		return "as above"
	}
	return s
}

// oneLine keeps an expression of several lines on one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// sets says what a node sets itself.
func sets(n Node) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if n.Team != "" {
		add("team %s", n.Team)
	}
	switch {
	case n.Sinks == nil:
	case len(n.Sinks) == 0:
		add("no sinks")
	default:
		add("sinks %s", strings.Join(n.Sinks, ", "))
	}
	switch {
	case n.GroupBy == nil:
	case len(n.GroupBy) == 0:
		add("one case for all")
	default:
		add("by %s", strings.Join(n.GroupBy, ", "))
	}
	if n.TicketsFrom != 0 {
		add("tickets from %s", min(n.TicketsFrom, pipeline.P5))
	}
	for _, d := range []struct {
		name string
		at   *time.Duration
	}{{"for", n.For}, {"reopen window", n.ReopenWindow}, {"recheck after", n.RecheckAfter}} {
		if d.at != nil {
			add("%s %s", d.name, duration(*d.at))
		}
	}
	if n.Flap != (Flap{}) {
		add("flap %s", flapText(n.Flap))
	}
	if n.Assignee != nil {
		add("assignee %s", strings.Join(n.Assignee, ", "))
	}
	if n.Continue {
		add("continue")
	}
	return strings.Join(parts, "; ")
}

func flapText(f Flap) string {
	var parts []string
	if f.Times != 0 {
		parts = append(parts, fmt.Sprintf("%d times", f.Times))
	}
	if f.Within != 0 {
		parts = append(parts, "within "+duration(f.Within))
	}
	if f.Quiet != 0 {
		parts = append(parts, "quiet "+duration(f.Quiet))
	}
	return strings.Join(parts, " ")
}

// duration is d as the configuration spells it: 7d, 12h, 90m.
func duration(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d != 0 && d%u.size == 0 {
			return fmt.Sprintf("%d%s", d/u.size, u.name)
		}
	}
	return d.String()
}
