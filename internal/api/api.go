// Package api is what docket's server answers and its commands ask: the
// service and the values that travel as JSON. The field names are stable: they are what
// `-o json` prints and what docs/api.md documents.
package api

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/plan"
)

// The errors that a caller branches on; the server maps them to 404, 409, 400, 429 and 503.
var (
	ErrNotFound = errors.New("not found")
	ErrRefused  = errors.New("refused") // the request is understood and does not apply now; the text says why
	ErrInvalid  = errors.New("invalid request")
	ErrBusy     = errors.New("busy") // the stream is full or another run is under way
)

// Filter selects findings or cases. Empty fields select all. Words of one field are alternatives.
type Filter struct {
	Team       []string  `json:"team,omitempty"`
	Priority   []string  `json:"priority,omitempty"`
	State      []string  `json:"state,omitempty"` // findings: open resolved unproven suppressed unwatched; cases: open closed held waiting disputed recurring acked
	Account    []string  `json:"account,omitempty"`
	Region     []string  `json:"region,omitempty"`
	Source     []string  `json:"source,omitempty"` // product names
	RiskFactor []string  `json:"risk_factor,omitempty"`
	Repository []string  `json:"repository,omitempty"`
	Severity   []string  `json:"severity,omitempty"`
	Since      time.Time `json:"since,omitzero"`  // changed since
	Limit      int       `json:"limit,omitempty"` // 0: 100
	Cursor     string    `json:"cursor,omitempty"`
}

// FindingRow is a finding in a list.
type FindingRow struct {
	Fingerprint pipeline.Fingerprint `json:"fingerprint"`
	Case        string               `json:"case,omitempty"`
	Team        string               `json:"team,omitempty"`
	State       string               `json:"state"`
	Priority    pipeline.Priority    `json:"priority,omitempty"`
	Severity    pipeline.Severity    `json:"severity"`
	Title       string               `json:"title"`
	Control     string               `json:"control,omitempty"`
	Resource    string               `json:"resource"`
	Account     string               `json:"account,omitempty"`
	Region      string               `json:"region,omitempty"`
	Repository  string               `json:"repository,omitempty"`
	Products    []string             `json:"products"`
	RiskFactors []string             `json:"risk_factors,omitempty"`
	Suppressed  string               `json:"suppressed_by,omitempty"`
	FirstSeen   time.Time            `json:"first_seen"`
	LastChange  time.Time            `json:"last_change"`
}

// FindingList is a page of findings; Next is empty on the last.
type FindingList struct {
	Findings []FindingRow `json:"findings"`
	Next     string       `json:"next,omitempty"`
}

// Former is a fingerprint that a finding, or what became one with it, went by until another equivalence map.
type Former struct {
	Fingerprint pipeline.Fingerprint `json:"fingerprint"`
	Map         string               `json:"map"` // the one that ended it
	At          time.Time            `json:"at"`
}

// FindingDetail is one finding with its reports.
type FindingDetail struct {
	FindingRow
	Finding     pipeline.Finding     `json:"finding"`
	Explanation pipeline.Explanation `json:"explanation"`
	Former      []Former             `json:"former,omitempty"`     // fingerprints that it went by under earlier equivalence maps
	FeedNotes   []string             `json:"feed_notes,omitempty"` // which feeds of the decision are old, and what they say now
}

// TicketRow is a case in one sink.
type TicketRow struct {
	Sink      string       `json:"sink"`
	State     string       `json:"state"` // none, open, closed, in flight, waiting, parked, dead, gone, given up; told: a write-back with nothing more to say
	Ref       pipeline.Ref `json:"ref,omitzero"`
	Key       string       `json:"key,omitempty"`
	Wanted    uint64       `json:"wanted"`
	Delivered uint64       `json:"delivered"`
	Reason    string       `json:"reason,omitempty"`
}

// CaseRow is a case in a list.
type CaseRow struct {
	Case     string                `json:"case"`
	State    string                `json:"state"`            // open or closed
	Reason   string                `json:"reason,omitempty"` // closed: why; open without ticket: what it waits for
	Priority pipeline.Priority     `json:"priority,omitempty"`
	Team     string                `json:"team"`
	Title    string                `json:"title"`
	Open     int                   `json:"open"`
	Total    int                   `json:"total"`
	Group    []pipeline.GroupValue `json:"group,omitempty"`
	Opened   time.Time             `json:"opened"`
	Changed  time.Time             `json:"changed"`
	Due      time.Time             `json:"due,omitzero"`
	Labels   []string              `json:"labels,omitempty"` // recurring, disputed, digest, acked, snoozed
	Acked    string                `json:"acked,omitempty"`
	Assignee string                `json:"assignee,omitempty"` // whom a person gave it to
	Tickets  []TicketRow           `json:"tickets,omitempty"`
}

// CaseList is a page of cases; Next is empty on the last.
type CaseList struct {
	Cases []CaseRow `json:"cases"`
	Next  string    `json:"next,omitempty"`
}

// CaseDetail is one case with its findings and its story.
type CaseDetail struct {
	CaseRow
	Route       string                   `json:"route"`
	Why         []pipeline.Reason        `json:"why,omitempty"`
	Explanation pipeline.Explanation     `json:"explanation"`
	Findings    []pipeline.TicketFinding `json:"findings"`
	Story       []StoryLine              `json:"story"`
	Previous    string                   `json:"previous,omitempty"`
	MovedTo     string                   `json:"moved_to,omitempty"`
	WouldMove   string                   `json:"would_move,omitempty"` // the rules in force would put it elsewhere
}

// StoryLine is one thing that happened, or did not.
type StoryLine struct {
	Time time.Time `json:"time,omitzero"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
	By   string    `json:"by,omitempty"`
}

// Explained is the answer to `docket explain`: one of Case, Finding or Reject, and the verdict in one sentence.
type Explained struct {
	Subject string           `json:"subject"`
	Verdict string           `json:"verdict"` // "ticket SEC-12 is open", "no ticket: suppressed by legacy-vpc until 2027-01-31"
	Case    *CaseDetail      `json:"case,omitempty"`
	Finding *FindingDetail   `json:"finding,omitempty"`
	Route   *RouteResult     `json:"route,omitempty"`
	Reject  *pipeline.Reject `json:"reject,omitempty"`
	Story   []StoryLine      `json:"story,omitempty"`
}

// RouteResult is which route, team, sinks, priority and group a finding gets, and why.
type RouteResult struct {
	Origin      string                `json:"origin,omitempty"`
	Fingerprint pipeline.Fingerprint  `json:"fingerprint"`
	Title       string                `json:"title"`
	Resource    string                `json:"resource"`
	Problem     string                `json:"problem"`
	Status      pipeline.Status       `json:"status"`
	Route       string                `json:"route"`
	Team        string                `json:"team"`
	Sinks       []string              `json:"sinks"`
	Priority    pipeline.Priority     `json:"priority"`
	Group       []pipeline.GroupValue `json:"group"`
	Why         []pipeline.Reason     `json:"why,omitempty"`
	Explanation pipeline.Explanation  `json:"explanation"`
	Suppressed  string                `json:"suppressed_by,omitempty"`
}

// RouteTest is the answer to `docket routes test`.
type RouteTest struct {
	Results  []RouteResult     `json:"results"`
	Rejected []pipeline.Reject `json:"rejected,omitempty"`
}

// ActResult is what became of an interaction, one line per case.
type ActResult struct {
	Lines   []StoryLine `json:"lines"`
	Refused bool        `json:"refused"` // at least one was refused
}

// SourceRow is the state of a source.
type SourceRow struct {
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Interval    string    `json:"interval,omitempty"`
	Watermark   string    `json:"watermark,omitempty"`
	LastRun     time.Time `json:"last_run,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	Records     int       `json:"records"`
	Rejected    int       `json:"rejected"`
	// Lag is how long ago the source was last read with success; 0 where it never was.
	Lag      time.Duration  `json:"lag_ns,omitempty"`
	Accounts int            `json:"accounts,omitempty"` // reached by the last run, of a source that reads several
	Regions  int            `json:"regions,omitempty"`  // likewise
	Gaps     []pipeline.Gap `json:"gaps,omitempty"`     // what the last run did not reach
	Notes    []string       `json:"notes,omitempty"`
	Stale    bool           `json:"stale,omitempty"` // a feed whose copy is older than it should be
	Lost     bool           `json:"lost,omitempty"`  // state knows it, the configuration does not
}

// SinkRow is the state of a sink. What its delivery is doing (from LastError on)
// is known while docket runs.
type SinkRow struct {
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Lost        bool      `json:"lost,omitempty"`       // state knows it, the configuration does not
	Waiting     int       `json:"waiting"`              // on their way to it
	Oldest      time.Time `json:"oldest,omitzero"`      // since when the first of them is under way
	Dead        int       `json:"dead"`                 // refused for good
	Parked      int       `json:"parked"`               // a person has to decide
	Gone        int       `json:"gone"`                 // deleted twice
	LastError   string    `json:"last_error,omitempty"` // the last call that failed
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"` // the last call that the sink took
	Polled      time.Time `json:"polled,omitzero"`       // when it was last asked what people changed, and answered
	PollError   string    `json:"poll_error,omitempty"`  // why it was not, the last time
	Stopped     string    `json:"stopped,omitempty"`     // its credentials are refused: nothing is sent
	Held        string    `json:"held,omitempty"`        // why no call starts now: brake, credentials, retry_after, breaker
	HeldTill    time.Time `json:"held_till,omitzero"`    // no call before, as the sink asked, or the breaker's next try
}

// BrakeStatus says whether outside writes may start, and what waits for each sink.
type BrakeStatus struct {
	On    bool      `json:"on"`
	By    string    `json:"by,omitempty"`   // who put it on or off
	Since time.Time `json:"since,omitzero"` // when
	Text  string    `json:"text,omitempty"` // why
	Sinks []SinkRow `json:"sinks"`
}

// DrillRequest asks for a drill.
type DrillRequest struct {
	Sink string        `json:"sink,omitempty"`    // empty: every sink
	Wait time.Duration `json:"wait_ns,omitempty"` // for each step; 0: two minutes
}

// DrillResult is how a drill went, step by step.
type DrillResult struct {
	OK    bool        `json:"ok"`
	Case  string      `json:"case,omitempty"`
	Steps []DrillStep `json:"steps"`
}

// DrillStep is one step of a drill.
type DrillStep struct {
	Sink  string        `json:"sink,omitempty"` // empty: docket itself
	Name  string        `json:"name"`           // finding, ticket, look-up, resolved, closed
	OK    bool          `json:"ok"`
	Text  string        `json:"text"`
	After time.Duration `json:"after_ns"` // since the drill began
}

// DeadLetterFilter selects dead letters. Empty fields select all. Words of one field are alternatives.
type DeadLetterFilter struct {
	Case    []string // DK-1, or a ticket's key
	Sink    []string
	Team    []string
	GivenUp bool // those that a person dropped too; of named cases they are always listed
}

// DeadLetter is what cannot be delivered without a person: one a case and sink, always
// with what is wanted now.
type DeadLetter struct {
	Case      string            `json:"case"`
	Sink      string            `json:"sink"`
	State     string            `json:"state"` // dead (refused), parked (nobody knows what became of it), gone (people deleted it twice)
	GivenUp   bool              `json:"given_up,omitempty"`
	Team      string            `json:"team"`
	Priority  pipeline.Priority `json:"priority,omitempty"`
	Title     string            `json:"title"`
	CaseOpen  bool              `json:"case_open"`
	Since     time.Time         `json:"since,omitzero"`
	Reason    string            `json:"reason,omitempty"`
	Next      string            `json:"next"` // what a person does about it
	Ref       pipeline.Ref      `json:"ref,omitzero"`
	Key       string            `json:"key"`    // the ticket key that its record would carry
	Action    uint64            `json:"action"` // number of the action that failed
	Sent      uint64            `json:"sent"`   // the revision that it carried
	Wanted    uint64            `json:"wanted"` // the revision that a retry sends
	Delivered uint64            `json:"delivered"`
}

// ScopeRow is what is known of one scope of absence.
type ScopeRow struct {
	Scope string    `json:"scope"`
	Time  time.Time `json:"time,omitzero"`
	Count int       `json:"count"`
	Held  string    `json:"held,omitempty"`
}

// SuppressionRow is an exception and what it holds.
type SuppressionRow struct {
	pipeline.Suppression
	Ended time.Time `json:"ended,omitzero"`
	Holds int       `json:"holds"`
}

// Summary counts what a run did.
type Summary struct {
	Read           int               `json:"findings_read"`
	New            int               `json:"new"`
	Changed        int               `json:"changed"`
	Unchanged      int               `json:"unchanged"`
	Older          int               `json:"older"`
	Resolved       int               `json:"resolved"`
	Rejected       int               `json:"rejected"`
	Opened         int               `json:"cases_opened"`
	Updated        int               `json:"cases_updated"`
	Closed         int               `json:"cases_closed"`
	TicketsCreated int               `json:"tickets_created"`
	TicketsUpdated int               `json:"tickets_updated"`
	TicketsClosed  int               `json:"tickets_closed"`
	Failures       int               `json:"failures"`
	Waiting        []Waiting         `json:"waiting,omitempty"` // what is left, by reason
	Sources        []SourceRow       `json:"sources,omitempty"`
	Rejects        []pipeline.Reject `json:"rejects,omitempty"` // the first 20
	Duration       time.Duration     `json:"duration_ns"`
	Left           int               `json:"left"` // actions that could not be done though nothing holds them
}

// Plan is what `docket plan` prints and saves, and what `docket apply` carries out.
type (
	Plan       = plan.Plan
	PlanAction = plan.Action
	Waiting    = plan.Waiting
)

// Applied is what became of a plan.
type Applied struct {
	Summary
	Planned int `json:"planned"`
	Already int `json:"already"` // actions that an earlier, interrupted apply had done
	Later   int `json:"later"`   // findings that only add to what was planned: they wait for the next plan
}

// IngestResult is the answer to POST /api/v1/ingest/{source}.
type IngestResult struct {
	Accepted int               `json:"accepted"`
	Rejected []pipeline.Reject `json:"rejected"`
	Notes    []string          `json:"notes,omitempty"`
}

// IngestRequest is one body on its way in.
type IngestRequest struct {
	Source   string
	Body     io.Reader // decompressed or gzip: the decoder finds out
	Format   string    // empty: found by content
	Complete string    // ?complete=SCOPE: the body is a whole scan of that scope
	Origin   string
}

// Progress is told about long work; done and total count records or tickets, total 0 when unknown.
type Progress func(stage string, done, total int)

// Service is what the server offers over HTTP, and what a command uses directly when no daemon runs.
type Service interface {
	Findings(ctx context.Context, f Filter) (FindingList, error)
	Finding(ctx context.Context, fingerprint string) (FindingDetail, error) // a prefix of at least 8 digits will do when it is unique
	Cases(ctx context.Context, f Filter) (CaseList, error)
	Case(ctx context.Context, id string) (CaseDetail, error) // DK-1, or a ticket's key
	Act(ctx context.Context, in pipeline.Interaction) (ActResult, error)
	Explain(ctx context.Context, ref string) (Explained, error) // DK-1, a fingerprint, a source's own id
	Suppressions(ctx context.Context) ([]SuppressionRow, error)
	Sources(ctx context.Context) ([]SourceRow, error)
	RunSource(ctx context.Context, name string, full bool, p Progress) (Summary, error)
	ResetSource(ctx context.Context, name string) error
	Sinks(ctx context.Context) ([]SinkRow, error)
	DeadLetters(ctx context.Context, f DeadLetterFilter) ([]DeadLetter, error)
	Brake(ctx context.Context) (BrakeStatus, error) // Act puts it on and off
	Drill(ctx context.Context, r DrillRequest, p Progress) (DrillResult, error)
	// TestSinks proves the settings of the sinks named, or of all; with create by a test ticket too.
	TestSinks(ctx context.Context, names []string, create bool, p Progress) ([]SinkTest, error)
	// Preview is a case's ticket as one sink, or each of its sinks, would write it.
	Preview(ctx context.Context, id, sink string) ([]TicketPreview, error)
	// Reconcile compares state with the trackers, and repairs what is asked for.
	Reconcile(ctx context.Context, r ReconcileRequest, p Progress) (Reconciliation, error)
	Scopes(ctx context.Context) ([]ScopeRow, error)
	Rejects(ctx context.Context, limit int) ([]pipeline.Reject, error)
	RouteTest(ctx context.Context, body io.Reader, origin string) (RouteTest, error)
	RouteTree(ctx context.Context) (string, error)
	// RuleDiff says what another configuration would have done with the findings in state.
	RuleDiff(ctx context.Context, r RuleDiffRequest) (RuleDiff, error)
	Plan(ctx context.Context, p Progress) (Plan, error)
	Apply(ctx context.Context, plan Plan, strict bool, p Progress) (Applied, error)
	Ingest(ctx context.Context, r IngestRequest) (IngestResult, error)
	Verify(ctx context.Context) (Verification, error)
	// Backup writes one moment of the state. open is called once, before the first byte, with what the backup says of itself.
	Backup(ctx context.Context, open func(Backup) (io.Writer, error)) (Backup, error)
	// Export writes what state holds as lines of JSON; docs/operations.md has their kinds. The last one says that it is whole.
	Export(ctx context.Context, w io.Writer) error
	Reload(ctx context.Context) error
	Ready(ctx context.Context) error // nil, or what is not ready
}
