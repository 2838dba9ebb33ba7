package pipeline

import (
	"fmt"
	"time"
)

// Ref is a tracker's own handle of a record. The zero Ref means that none is known.
type Ref struct {
	ID  string `json:"id,omitempty"`  // opaque, stable: what the tracker finds the record by
	Key string `json:"key,omitempty"` // what people call it: SEC-12, a file's name
	URL string `json:"url,omitempty"`
}

// IsZero reports whether no record is known.
func (r Ref) IsZero() bool { return r.ID == "" }

// Fields are the values that docket writes into a tracker's record, one word a
// field ("title", "priority", "state", …). They are what the three-way merge compares.
//
// The words are title, description, priority, state, resolution, assignee, labels, due, and
// whatever else a sink writes. Values are in the tracker's spelling and compared for equality only: a long one may
// stand as its hash, a list is sorted, an empty field is left out.
type Fields map[string]string

// The words of Fields that triage knows.
const (
	FieldPriority   = "priority"
	FieldState      = "state"
	FieldResolution = "resolution" // goes with the state
	FieldAssignee   = "assignee"
)

// Applied is what a sink answers after a write: the record, and what it held
// when it was read back. A field that was left as a person set it, because its value is neither in
// Ticket.Last nor in Ticket.Sent, nor what is wanted, holds what Ticket.Last said of it (nothing: it is left out),
// so that it is still the person's at the next write.
type Applied struct {
	Ref  Ref    `json:"ref"`
	Held Fields `json:"held,omitempty"`
	Twin Ref    `json:"twin,omitzero"` // a second record under the same key, met on the way
	// Updated is the record's time of last change by the tracker's own clock, as read back after the
	// write; zero where the tracker has none. What is seen of the record at an earlier time is older than the write.
	Updated time.Time `json:"updated,omitzero"`
}

// Comment is what people should read about one delivered revision. EventID
// (DK-1/r7) is on the written comment, so that it is looked for before it is written again.
type Comment struct {
	EventID string    `json:"event_id"`
	Time    time.Time `json:"time"`
	Lines   []string  `json:"lines"`
}

// TicketFinding is one row of a ticket's list of findings.
type TicketFinding struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	Title       string      `json:"title"`
	Severity    Severity    `json:"severity"`
	Status      string      `json:"status"` // open, resolved, suppressed
	Account     string      `json:"account,omitempty"`
	Region      string      `json:"region,omitempty"`
	Resource    string      `json:"resource,omitempty"`
	Products    []string    `json:"products,omitempty"`
}

// TicketFindings is how many findings a ticket lists; the rest is a number and a link.
const TicketFindings = 50

// Reason is one step of an explanation: a risk factor and its points, a rule, a route.
type Reason struct {
	What   string `json:"what"`
	Points int    `json:"points,omitempty"`
	Why    string `json:"why,omitempty"`
	// Feed is the feed that the step rests on ("CISA KEV", "EPSS"); empty for none. Why then carries the date of the copy, and two
	// steps that differ in nothing but Why say the same.
	Feed string `json:"feed,omitempty"`
}

// Explanation says how a priority came about.
type Explanation struct {
	Priority Priority `json:"priority"`
	Score    int      `json:"score"`
	Rule     string   `json:"rule,omitempty"` // the rule that decided, when one did
	Reasons  []Reason `json:"reasons,omitempty"`
	Errors   []string `json:"errors,omitempty"` // expressions that failed on this finding and counted as false
	// Feeds is what the feeds said of the finding's CVEs when this was decided, each with the date of the copy
	// that was asked; empty for a finding that names no CVE, or where no feed was there.
	Feeds []FeedFact `json:"feeds,omitempty"`
}

// The names of feeds.
const (
	FeedKEV  = "CISA KEV"
	FeedEPSS = "EPSS"
)

// FeedFact is what one dated copy of a feed says of a CVE.
type FeedFact struct {
	Feed       string  `json:"feed"`                 // FeedKEV or FeedEPSS
	Date       string  `json:"date"`                 // the copy's own, as 2026-11-20
	CVE        string  `json:"cve"`                  // of several that a finding names the worst
	Listed     bool    `json:"listed,omitempty"`     // the feed has it
	Added      string  `json:"added,omitempty"`      // KEV: since when, as 2024-03-29
	Ransomware bool    `json:"ransomware,omitempty"` // KEV: known to be used in ransomware campaigns
	Score      float64 `json:"score,omitempty"`      // EPSS: the likelihood, 0 to 1, that it is exploited in the next 30 days
}

// String says it in half a sentence: "EPSS 0.93 on 2026-11-20 for CVE-2024-3094".
func (f FeedFact) String() string {
	switch {
	case !f.Listed && f.Feed == FeedEPSS:
		return fmt.Sprintf("%s has no score for %s on %s", f.Feed, f.CVE, f.Date)
	case !f.Listed:
		return fmt.Sprintf("%s %s does not list %s", f.Feed, f.Date, f.CVE)
	case f.Feed == FeedEPSS:
		return fmt.Sprintf("%s %.2f on %s for %s", f.Feed, f.Score, f.Date, f.CVE)
	}
	text := fmt.Sprintf("%s %s lists %s", f.Feed, f.Date, f.CVE)
	if f.Added != "" {
		text += " since " + f.Added
	}
	if f.Ransomware {
		text += ", used in ransomware campaigns"
	}
	return text
}

// Ticket is what a sink should make its record match, by value: everything that
// the text needs, so that a worker reads nothing else.
type Ticket struct {
	Key          string `json:"key"`                    // the ticket key on the record: "docket-" and 20 hex digits
	Installation string `json:"installation,omitempty"` // whose key it is
	Case         string `json:"case"`                   // DK-1
	Rev          uint64 `json:"rev"`
	Gen          int    `json:"gen"`
	Open         bool   `json:"open"` // wanted open or closed
	// WasOpen is whether the record was open when docket last wrote or read it. Where it differs from
	// Open, this revision is to close or reopen the record. Where it does not, the record is in the
	// state that docket wants, or a person moved it since, and stays there. Before the first write it is Open: a
	// record that a lost create made, and a person closed since, stays closed.
	WasOpen bool     `json:"was_open,omitempty"`
	Why     string   `json:"why,omitempty"`  // why it is closed: fixed, accepted, moved, merged, by a person
	Ref     Ref      `json:"ref"`            // the record, once known
	Last    Fields   `json:"last,omitempty"` // what the tracker held when read back after our last write
	Sent    []Fields `json:"sent,omitempty"` // what attempts without a known outcome may have written
	Twin    Ref      `json:"twin,omitzero"`  // a second record to link and close

	Team        string          `json:"team,omitempty"`
	Route       string          `json:"route,omitempty"`
	Group       []GroupValue    `json:"group,omitempty"`
	Title       string          `json:"title"`
	Description string          `json:"description,omitempty"`
	Remediation Remediation     `json:"remediation"`
	Links       []string        `json:"links,omitempty"`
	Compliance  []string        `json:"compliance,omitempty"`
	Resource    Resource        `json:"resource"`
	Account     Account         `json:"account"`
	Region      string          `json:"region,omitempty"`
	Severity    Severity        `json:"severity"`
	Priority    Priority        `json:"priority"`
	Explanation Explanation     `json:"explanation"`
	Labels      []string        `json:"labels,omitempty"` // recurring, disputed, digest
	Since       time.Time       `json:"since"`
	Due         time.Time       `json:"due,omitzero"`
	Findings    []TicketFinding `json:"findings,omitempty"`
	Count       int             `json:"count"`              // open findings
	Total       int             `json:"total"`              // all that ever joined
	Comments    []Comment       `json:"comments,omitempty"` // those not yet delivered
	Previous    Ref             `json:"previous,omitzero"`  // the ticket of an earlier case of this group
	Acked       string          `json:"acked,omitempty"`    // who took it, until when
	Assignees   []string        `json:"assignees,omitempty"`
	CaseURL     string          `json:"case_url,omitempty"`
	Settings    map[string]any  `json:"settings,omitempty"` // the team's settings for this sink (project, …)
	// Marks is what a write-back tells the products of the case's findings, about MarksAtOnce at most. Such a
	// ticket leaves out what a record should show.
	Marks []Mark `json:"marks,omitempty"`
}

// GroupValue is one part of what a case is grouped by.
type GroupValue struct {
	Name  string `json:"name"` // account, control, tag.owner
	Value string `json:"value"`
}
