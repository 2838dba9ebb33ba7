// Package route decides whom a finding belongs to and where it goes: a tree of
// nodes as in Alertmanager, each with a condition and settings that its children inherit.
//
// New checks and compiles the tree, Tree.Route takes one finding down it, and
// Group makes the key of the case that a finding joins. The first child that
// matches wins, and within it the first of its children, down to a node none of whose
// children match; where the winner says continue, the children after it are tried too and
// add their sinks. Children are indexed, so that a thousand of them cost what ten cost.
package route
