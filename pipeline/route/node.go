package route

import (
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Node is one node of the tree as it is configured. What is left out (nil, "", zero)
// is inherited from the parent, at the root from the defaults.
type Node struct {
	Team    string
	Sinks   []string // nil inherits; empty and not nil means that cases get no ticket
	GroupBy []string // nil inherits
	// For: a finding first observed less than this ago gets no ticket yet.
	For *time.Duration
	// TicketsFrom is the least urgent priority that gets a ticket.
	TicketsFrom  pipeline.Priority
	ReopenWindow *time.Duration
	RecheckAfter *time.Duration
	Flap         Flap     // each zero field inherits
	Assignee     []string // "team", "tag.NAME", "account_tag.NAME"; nil inherits

	// Match holds patterns by key (MatchKeys): one of a key's patterns must
	// match, for every key. A pattern is a text in which * stands for any
	// characters, none included, and ? for one; what a finding does not carry reads as "".
	Match    map[string][]string
	When     string // CEL over finding; beside Match both must hold
	Continue bool
	Routes   []Node
}

// Flap says when a case counts as recurring: it came back Times times within
// Within; it then stays open until it was quiet for Quiet.
type Flap struct {
	Times  int
	Within time.Duration
	Quiet  time.Duration
}

// Team is an owner that nodes may name.
type Team struct{ Name string }

// Settings are a node's settings with everything inherited filled in.
type Settings struct {
	Team         string
	Sinks        []string // sorted, without repeats
	GroupBy      []string
	For          time.Duration
	TicketsFrom  pipeline.Priority
	ReopenWindow time.Duration
	RecheckAfter time.Duration
	Flap         Flap
	Assignee     []string
}

// DefaultSettings is what the root inherits: no team, no sinks, one case per account and control.
func DefaultSettings() Settings {
	const day = 24 * time.Hour
	return Settings{
		GroupBy:      []string{"account", "control"},
		TicketsFrom:  pipeline.P4,
		ReopenWindow: 7 * day,
		RecheckAfter: day,
		Flap:         Flap{Times: 5, Within: 7 * day, Quiet: 7 * day},
	}
}

// Decision is what the tree says about one finding. Its slices belong to the
// tree: do not change them.
type Decision struct {
	Settings                   // of the first match; Sinks also holds those of the matches after it
	Path     string            // of the first match: "route", "route.routes[1].routes[0]"
	Also     []string          // paths of the matches after it, which continue led to
	Why      []pipeline.Reason // the nodes from the root to the first match, then the further matches, each with its condition
	Errors   []string          // expressions that failed on this finding and counted as false
}
