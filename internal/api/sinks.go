package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// The states of a CheckRow.
const (
	CheckOK      = "ok"
	CheckFailed  = "failed"
	CheckSkipped = "skipped"
)

// SinkTest is what one sink proved about its settings.
type SinkTest struct {
	Sink   string       `json:"sink"`
	Type   string       `json:"type"`
	Failed bool         `json:"failed"`
	Checks []CheckRow   `json:"checks"`
	Steps  []CheckRow   `json:"steps,omitempty"` // what was done with a test ticket, in order
	Left   pipeline.Ref `json:"left,omitzero"`   // the test ticket, where it is still there
}

// CheckRow is one thing that was looked at, or done.
type CheckRow struct {
	Name  string `json:"name"`
	State string `json:"state"`           // ok, failed, skipped
	Key   string `json:"key,omitempty"`   // of the configuration: sinks[0].auth.token
	At    string `json:"at,omitempty"`    // where that stands: docket.yaml:12:5
	Fact  string `json:"fact,omitempty"`  // ok: what was found; skipped: why
	Error string `json:"error,omitempty"` // failed: what is wrong
	Have  string `json:"have,omitempty"`  // failed: what there is instead
	Fix   string `json:"fix,omitempty"`   // failed: what to do
}

// TicketPreview is a case's ticket as one sink would write it.
type TicketPreview struct {
	Sink string `json:"sink"`
	Type string `json:"type"`
	Key  string `json:"key"` // the ticket key that the record carries
	pipeline.Preview
}

// The kinds of a Difference.
const (
	DiffTwin    = "twin"        // a second record of one case
	DiffDeleted = "deleted"     // the record that state knows is not there
	DiffMoved   = "moved"       // it is called otherwise, or lies elsewhere
	DiffState   = "wrong state" // open where it should be closed, or the other way round
	DiffUnknown = "unrecorded"  // a record of a case that state knows no ticket of
	DiffOrphan  = "orphan"      // a record under this installation's name that no case has
)

// Difference is one thing that state and a tracker do not agree about.
type Difference struct {
	ID     string       `json:"id"` // the same for the same difference; names it in a ReconcileRequest
	Sink   string       `json:"sink"`
	Kind   string       `json:"kind"`
	Case   string       `json:"case,omitempty"`
	Key    string       `json:"key,omitempty"`
	Ref    pipeline.Ref `json:"ref"`              // the record it is about
	Keep   pipeline.Ref `json:"keep,omitzero"`    // twin: the record that stays
	Open   bool         `json:"open,omitempty"`   // wrong state: the record is open
	What   string       `json:"what"`             // for people
	Repair string       `json:"repair,omitempty"` // what --repair does; empty where a person has to decide
	Done   bool         `json:"done,omitempty"`   // repaired
}

// ReconciledSink says what was compared in one sink.
type ReconciledSink struct {
	Sink    string `json:"sink"`
	Records int    `json:"records"`           // that carry a key of docket
	Tickets int    `json:"tickets"`           // that state knows
	Foreign int    `json:"foreign,omitempty"` // records of other installations, left alone
	Moving  int    `json:"moving,omitempty"`  // tickets with an action under way, or stuck: not compared
	Skipped string `json:"skipped,omitempty"` // why it was not compared
}

// Reconciliation is the answer to `docket reconcile`.
type Reconciliation struct {
	Made        time.Time        `json:"made"`
	Sinks       []ReconciledSink `json:"sinks"`
	Differences []Difference     `json:"differences"`
	Left        int              `json:"left"` // differences that are still there
}

// ReconcileRequest says what to repair.
type ReconcileRequest struct {
	Repair []string `json:"repair,omitempty"` // the ids of differences; empty: only compare
	By     string   `json:"by,omitempty"`     // who asked
}

// TestSinks implements Service.
func (c *Client) TestSinks(ctx context.Context, names []string, create bool, p Progress) ([]SinkTest, error) {
	q := url.Values{"create": {strconv.FormatBool(create)}}
	b, err := body(SinkNames{Sinks: names})
	if err != nil {
		return nil, err
	}
	return stream[[]SinkTest](ctx, c, call{method: http.MethodPost, path: "/api/v1/sinks/test", query: q, body: b, kind: kindJSON}, p)
}

// SinkNames is the body of a request about some sinks; none are all.
type SinkNames struct {
	Sinks []string `json:"sinks"`
}

// Preview implements Service.
func (c *Client) Preview(ctx context.Context, id, sink string) ([]TicketPreview, error) {
	q := url.Values{}
	if sink != "" {
		q.Set("sink", sink)
	}
	return get[[]TicketPreview](ctx, c, q, "cases", id, "preview")
}

// Reconcile implements Service.
func (c *Client) Reconcile(ctx context.Context, r ReconcileRequest, p Progress) (Reconciliation, error) {
	b, err := body(r)
	if err != nil {
		return Reconciliation{}, err
	}
	return stream[Reconciliation](ctx, c, call{method: http.MethodPost, path: "/api/v1/reconcile", body: b, kind: kindJSON}, p)
}

// The tools whose tickets `docket adopt` takes over.
const (
	FromDocket       = "docket"
	FromJiralert     = "jiralert"
	FromAlertmanager = "alertmanager"
	FromAWS          = "aws-securityhub-jira"
)

// Takeover is one record that becomes the ticket of one case.
type Takeover struct {
	Sink   string                `json:"sink"`
	Ref    pipeline.Ref          `json:"ref"`
	Record string                `json:"record"`         // the record's title
	Open   bool                  `json:"open"`           // as it is now; a closed one is opened again
	Case   string                `json:"case,omitempty"` // empty while the case does not exist yet
	Title  string                `json:"title"`
	Team   string                `json:"team"`
	Group  []pipeline.GroupValue `json:"group,omitempty"`
	Why    string                `json:"why"` // what both have in common

	GroupKey string `json:"group_key"`
	Gen      int    `json:"gen"`
	Rev      uint64 `json:"rev,omitempty"`
}

// LeftRecord is a record that nothing is done with, and why.
type LeftRecord struct {
	Sink  string       `json:"sink"`
	Ref   pipeline.Ref `json:"ref"`
	Title string       `json:"title,omitempty"`
	Why   string       `json:"why"`
}

// Adoption is the answer to `docket adopt`.
type Adoption struct {
	From  string           `json:"from"`
	Made  time.Time        `json:"made"`
	Sinks []ReconciledSink `json:"sinks"`
	Take  []Takeover       `json:"take"`
	Leave []LeftRecord     `json:"leave"`
	New   int              `json:"new"`  // tickets that the next run makes, for no record fits
	Done  bool             `json:"done"` // it was carried out
}

// AdoptRequest says whose tickets to take over, in which sink; every one for "".
type AdoptRequest struct {
	From string
	Sink string
}
