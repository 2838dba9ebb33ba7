package triage

import (
	"fmt"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Verdict is what the rules say about one finding.
type Verdict struct {
	Explanation pipeline.Explanation
	Team        string
	Route       string
	Why         []pipeline.Reason
	Sinks       []string // sorted
	Key         string   // group key
	Group       []pipeline.GroupValue
	Settings    Settings
	Drill       bool // docket's own finding: outside limits, and not counted by them
}

// Limits bound what a team meets at once.
type Limits struct {
	PerHour      int  // new tickets per team and hour; 0 for no limit
	HoldFirstRun bool // an empty state waits for apply
	CloseRatio   float64
	CloseMin     int
}

// Rules is the configuration as Decide needs it: pure functions of their
// arguments, so that the same rules over the same view and inputs always decide the same.
type Rules struct {
	Config       string // hash of the configuration
	Installation string
	// Decode turns an item into its report: decoded, identified, with risk factors, masked.
	Decode func(source string, item *pipeline.Item) (pipeline.Report, error)
	// Map is the version of the equivalence map that Decode identifies by; empty for none. Identify gives a stored report
	// that went by a fingerprint the identity of that map and returns the fingerprint it has then; false where
	// this cannot be told, and the report stays as it is.
	Map      string
	Identify func(r *pipeline.Report, print pipeline.Fingerprint) (pipeline.Fingerprint, bool)
	// Judge works out priority, route and group.
	Judge func(f *pipeline.Finding) Verdict
	// Feeds names what Judge and Matches ask about CVEs; "" for nothing.
	Feeds string
	// Outdated reports whether the feeds say something else of a finding than they did when it was judged, such that
	// the judgement may be another one. With scores every other score counts. Nil: there are no feeds.
	Outdated func(was *pipeline.Explanation, f *pipeline.Finding, scores bool) bool
	// ReadsScores says that an expression of the configuration reads scores of EPSS.
	ReadsScores bool
	// Matches evaluates a suppression's expression; one that fails counts as false.
	Matches func(when string, f *pipeline.Finding) (bool, error)
	// Due is the SLA date of a priority that counts from start; zero for none.
	Due func(p pipeline.Priority, start time.Time) time.Time
	// SLAStart chooses the instant that the SLA counts from: first_observed, first_seen or ticketed.
	SLAStart      string
	Suppressions  []pipeline.Suppression // of the configuration
	NeedsApproval bool
	Teams         []string
	Limits        Limits
	Retain        time.Duration // closed cases and resolved findings; 0 keeps them
	AckFor        time.Duration // how long an ack without an end lasts
	AckMax        time.Duration
	// Sinks names the sinks that may take actions; Renamed maps a former name to the present one.
	Sinks     map[string]bool
	Renamed   map[string]string
	CaseURL   func(id string) string
	Settings  func(team, route, sink string) map[string]any // what a team and a route set for a sink
	Reissue   time.Duration                                 // R: an action in flight longer than this is looked at again
	WriteBack map[string]WriteBack                          // by sink; nil: nothing is told to any product
	// SinkConfig is a hash of what a sink's settings are for a team and a route; a dead letter is
	// tried once more when it changes. Nil: only on command.
	SinkConfig func(team, route, sink string) string
}

// ConfigChange says that another configuration applies from here on.
type ConfigChange struct {
	Hash string `json:"hash"`
}

// Approval says that a person approved what these groups need.
type Approval struct {
	Plan   string   `json:"plan"`
	Groups []string `json:"groups"`
}

// Issue asks for the actions that are due. Only restricts them to the cases of these groups. With FirstOnly
// what there is a ticket for already waits for a later Issue.
type Issue struct {
	Only      map[string]bool
	FirstOnly bool
}

// Input is one thing that triage consumes. Exactly one of the pointers or flags
// is set. Findings or Inputs is the stream position that it brings, 0 when it came by none.
type Input struct {
	Time     time.Time // the stream's time of the message, or the clock's
	Findings uint64
	Inputs   uint64

	Envelope    *pipeline.Envelope
	Outcome     *pipeline.Outcome
	Interaction *pipeline.Interaction
	Reading     *Reading
	Config      *ConfigChange
	Approval    *Approval
	Feeds       *FeedChange
	Reissue     []Reissue
	Issue       *Issue
	Tick        bool
	Map         *MapChange
	Migrate     int // take that many findings or cases over into the map in force
	Sweep       int // look again at that many findings, after a change of rules
}

// Reissue names an action in flight of which no message is stored any more.
type Reissue struct {
	Case uint64
	Sink string
	N    uint64
}

// Summary counts what a batch did.
type Summary struct {
	Read      int `json:"read"`
	New       int `json:"new"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Older     int `json:"older"` // than what is known, and ignored
	Resolved  int `json:"resolved"`
	Rejected  int `json:"rejected"`
	Opened    int `json:"opened"`  // cases
	Updated   int `json:"updated"` // cases that were there before and say something else now
	Closed    int `json:"closed"`
	Reopened  int `json:"reopened"`
	Issued    int `json:"issued"` // actions

	// Of a migration to another equivalence map.
	Identified   int `json:"identified,omitempty"`   // findings of which something changed
	Merged       int `json:"merged,omitempty"`       // findings that became one with another
	Split        int `json:"split,omitempty"`        // parts that left their finding
	CasesMerged  int `json:"cases_merged,omitempty"` // cases closed as merged
	Unidentified int `json:"unidentified,omitempty"` // reports that keep their identity until they are reported again

	TicketsCreated int `json:"tickets_created"`
	TicketsUpdated int `json:"tickets_updated"`
	TicketsClosed  int `json:"tickets_closed"`
	TicketsDoubled int `json:"tickets_doubled,omitempty"` // second records of one ticket that were met
	Failures       int `json:"failures"`                  // actions that became dead letters, were parked or gone
}

// Add adds o to s.
func (s *Summary) Add(o Summary) {
	s.Read += o.Read
	s.New += o.New
	s.Changed += o.Changed
	s.Unchanged += o.Unchanged
	s.Older += o.Older
	s.Resolved += o.Resolved
	s.Rejected += o.Rejected
	s.Opened += o.Opened
	s.Updated += o.Updated
	s.Closed += o.Closed
	s.Reopened += o.Reopened
	s.Issued += o.Issued
	s.Identified += o.Identified
	s.Merged += o.Merged
	s.Split += o.Split
	s.CasesMerged += o.CasesMerged
	s.Unidentified += o.Unidentified
	s.TicketsCreated += o.TicketsCreated
	s.TicketsUpdated += o.TicketsUpdated
	s.TicketsClosed += o.TicketsClosed
	s.TicketsDoubled += o.TicketsDoubled
	s.Failures += o.Failures
}

// Decide works out what a batch of inputs changes. It does no I/O beyond
// reading view, reads no clock, and decides the batch as the sequence it is: each
// input sees what the earlier ones changed. Inputs at or below the view's
// position are dropped. With an error nothing is decided; deciding one input at
// a time finds the one at fault.
func Decide(r *Rules, view View, inputs []Input) (Changeset, Summary, error) {
	d := &decider{r: r, l: NewLayer(view), counted: map[uint64]bool{}, carried: map[uint64]map[string]string{}, moving: map[uint64]bool{}}
	d.l.meta = view.Meta()
	for i := range inputs {
		in := &inputs[i]
		if d.dropped(in) {
			continue
		}
		d.now = in.Time
		if err := d.one(in); err != nil {
			return Changeset{}, Summary{}, err
		}
		if err := d.followUp(); err != nil {
			return Changeset{}, Summary{}, err
		}
		d.l.meta.Findings = max(d.l.meta.Findings, in.Findings)
		d.l.meta.Inputs = max(d.l.meta.Inputs, in.Inputs)
	}
	return d.l.Changeset(), d.sum, nil
}

type decider struct {
	r   *Rules
	l   *Layer
	now time.Time
	sum Summary

	counted    map[uint64]bool              // cases that Summary counts already, as opened or updated
	carried    map[uint64]map[string]string // what the products of findings on their way to another case were told
	moving     map[uint64]bool              // findings that are about to leave their fingerprint
	from       string                       // the sink in which a person did what is being applied; "" elsewhere
	approved   bool                         // the envelope in hand was approved by a person
	exceptions []Suppression                // the active ones, loaded once a batch
	loaded     bool
}

// dropped reports that an input was applied before. Several inputs may share
// the position of one packed message: they come in one batch and one after the other.
func (d *decider) dropped(in *Input) bool {
	base, now := d.l.base.Meta(), &d.l.meta
	return in.Findings != 0 && (in.Findings <= base.Findings || in.Findings < now.Findings) ||
		in.Inputs != 0 && (in.Inputs <= base.Inputs || in.Inputs < now.Inputs)
}

func (d *decider) one(in *Input) error {
	switch {
	case in.Envelope != nil:
		return d.envelope(in.Envelope)
	case in.Outcome != nil:
		return d.outcome(in.Outcome)
	case in.Interaction != nil:
		return d.interaction(in.Interaction)
	case in.Reading != nil:
		return d.reading(in.Reading)
	case in.Config != nil:
		return d.config(in.Config)
	case in.Approval != nil:
		return d.approve(in.Approval)
	case in.Feeds != nil:
		return d.feeds(in.Feeds)
	case in.Reissue != nil:
		return d.reissue(in.Reissue)
	case in.Tick:
		return d.tick()
	case in.Map != nil:
		return d.mapChange(in.Map)
	case in.Migrate > 0:
		return d.migrate(in.Migrate)
	case in.Sweep > 0:
		return d.sweep(in.Sweep)
	case in.Issue != nil:
		return d.issue(in.Issue)
	}
	return nil
}

// mustCase is the case that state says is there.
func (d *decider) mustCase(n uint64) (*Case, error) {
	c, err := d.l.caseOf(n)
	if err != nil {
		return nil, fmt.Errorf("reading case %s: %w", CaseID(n), err)
	}
	if c == nil {
		return nil, fmt.Errorf("case %s is named in state but missing: run `docket state verify`", CaseID(n))
	}
	return c, nil
}

func (d *decider) mustRecord(seq uint64) (*Record, error) {
	r, err := d.l.record(seq)
	if err != nil {
		return nil, fmt.Errorf("reading finding number %d: %w", seq, err)
	}
	if r == nil {
		return nil, fmt.Errorf("finding number %d is named in state but missing: run `docket state verify`", seq)
	}
	return r, nil
}

func (d *decider) auditCase(c *Case, kind, by, format string, args ...any) {
	d.l.audit = append(d.l.audit, Audit{Time: d.now, Case: c.Number, Kind: kind, By: by, Text: fmt.Sprintf(format, args...)})
}

func (d *decider) auditFinding(seq, number uint64, kind, format string, args ...any) {
	d.l.audit = append(d.l.audit, Audit{Time: d.now, Case: number, Finding: seq, Kind: kind, Text: fmt.Sprintf(format, args...)})
}
