package api

import (
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// RuleReport is what tests of the rules came to.
type RuleReport struct {
	Tests    []RuleTestResult `json:"tests"`
	Failed   int              `json:"failed"`
	Cover    []RuleCover      `json:"coverage"`           // every route below the root, factor, rule and suppression of the configuration
	Overlaps []RuleOverlap    `json:"overlaps,omitempty"` // routes that some finding matched too late
	Warnings []string         `json:"warnings,omitempty"` // of the configuration: routes that nothing can reach
}

// RuleTestResult is one test.
type RuleTestResult struct {
	Name     string   `json:"name"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	OK       bool     `json:"ok"`
	Findings int      `json:"findings"`
	Failures []string `json:"failures,omitempty"` // "team = "a"; want "b"", one line each
	// Differences are those of Failures that are about what want says.
	Differences []RuleDifference `json:"differences,omitempty"`
	Because     []string         `json:"because,omitempty"` // which rules decided about the first finding that is not as wanted
	Seconds     float64          `json:"seconds"`
}

// RuleDifference is one thing that is not as a test wants it.
type RuleDifference struct {
	What   string `json:"what"` // the word of want: team, priority
	Want   string `json:"want"`
	Got    string `json:"got"`
	Line   int    `json:"line"`             // where it stands in the test's file
	Record int    `json:"record,omitempty"` // of which record of the test's document, from 0
}

// RuleCover is one part of the rules, and whether a test met it.
type RuleCover struct {
	Kind string `json:"kind"` // route, factor, rule, suppression
	What string `json:"what"` // its path or name
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Hit  bool   `json:"hit"`
}

// RuleOverlap is a route that findings of the tests match, but that another one before it takes.
type RuleOverlap struct {
	Taker    string `json:"taker"`
	Hidden   string `json:"hidden"`
	Findings int    `json:"findings"`
}

// RuleDiffRequest asks what another configuration would make of the findings in state.
type RuleDiffRequest struct {
	Files []RuleFile `json:"files"` // the other configuration, as it is written; its secrets are not read
	Dir   string     `json:"dir"`   // that its relative paths start from
	// Since leaves out findings that were neither first seen nor changed since; zero for all.
	Since time.Time `json:"since,omitzero"`
}

// RuleFile is one file of a configuration.
type RuleFile struct {
	Name string `json:"name"`
	Data string `json:"data"`
}

// RuleDiff is what another configuration would have done with the open findings in state.
type RuleDiff struct {
	Findings int `json:"findings"` // compared
	Same     int `json:"same"`     // of them, those that nothing changes for
	Before   int `json:"tickets_before"`
	After    int `json:"tickets_after"`
	// Teams is tickets per team and project, where the numbers differ.
	Teams   []RuleDiffTeam   `json:"teams,omitempty"`
	Changes []RuleDiffChange `json:"changes,omitempty"` // most findings first
}

// RuleDiffTeam is one line of the count of tickets.
type RuleDiffTeam struct {
	Team    string `json:"team"`
	Sink    string `json:"sink"`
	Project string `json:"project,omitempty"`
	Before  int    `json:"before"`
	After   int    `json:"after"`
}

// RuleDiffChange is a kind of change and how many findings it touches.
type RuleDiffChange struct {
	Kind     string            `json:"kind"` // moved, priority, ticket, suppressed, regrouped
	From     string            `json:"from"`
	To       string            `json:"to"`
	Findings int               `json:"findings"`
	Examples []RuleDiffExample `json:"examples,omitempty"`
}

// RuleDiffExample is a finding that a change touches.
type RuleDiffExample struct {
	Fingerprint pipeline.Fingerprint `json:"fingerprint"`
	Title       string               `json:"title"`
	Resource    string               `json:"resource"`
	Case        string               `json:"case,omitempty"`
	Why         string               `json:"why,omitempty"` // what decides under the other configuration
}
