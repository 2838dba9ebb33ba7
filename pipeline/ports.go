package pipeline

import (
	"context"
	"strings"
	"time"
)

// Record is one source record on its way in: still in the source's own words,
// whole and by itself decodable by the decoder that Format names.
type Record struct {
	Format string // asff, ocsf, sarif, docket
	Data   []byte // one JSON object; owned by the receiver from the call on
	Origin string // where it was read: a file's path, "stdin", a request; for rejects
	Index  int    // position in its origin, 0-based
	// Scope and Observed come from the document round the record where the
	// format says so (a scanner's run): the scope of absence it belongs to, and the run's time.
	Scope    string
	Observed time.Time
}

// Reject is a record that cannot be taken in. It is kept, counted and named;
// the records beside it go on.
type Reject struct {
	Origin string    `json:"origin"`
	Index  int       `json:"index"`
	Line   int       `json:"line,omitempty"`
	ID     string    `json:"id,omitempty"` // the record's own id, where it could be read
	Reason string    `json:"reason"`
	Data   []byte    `json:"data,omitempty"` // what was refused, masked, at most RejectBytes
	Time   time.Time `json:"time"`
	Source string    `json:"source,omitempty"`
}

// RejectBytes is how much of a rejected record is kept.
const RejectBytes = 64 << 10

// Scan is the end marker of one full read of a scope: it travels on the stream
// behind its records. Only a Scan with Complete set proves absence.
type Scan struct {
	ID       string    `json:"id"`    // the same for the records and the marker of one read
	Scope    string    `json:"scope"` // what was read whole: a scanner's target, an account, region and product
	Filter   string    `json:"filter,omitempty"`
	Count    int       `json:"count"` // records of this scope that were handed over
	Time     time.Time `json:"time"`  // the report's own time; the newest decides
	Complete bool      `json:"complete"`
	// Left: the source reads the scope no more (the account left, the region was switched off). What is
	// known there is unwatched from now on, until a full read of the scope reports it again.
	Left bool   `json:"left,omitempty"`
	Why  string `json:"why,omitempty"` // why it is not complete, or was left
}

// Emitter is what a source hands things to. Each call returns once what it was
// given is durable, or with an error after which the source must not move its watermark.
type Emitter interface {
	// Records takes records in; those that cannot be decoded become rejects and are counted, not errors.
	Records(ctx context.Context, records []Record) (Taken, error)
	// Reject keeps a record that the source itself could not read.
	Reject(ctx context.Context, r Reject) error
	// Scan ends a scope. The emitter itself clears Complete when a record of that scan was rejected.
	Scan(ctx context.Context, s Scan) error
	// Progress says that a read that is cut off from here on goes on from w: everything
	// before it was handed over. What lies behind a full read's progress proves no absence when it goes on.
	Progress(ctx context.Context, w Watermark) error
}

// Taken counts what became of the records of one call.
type Taken struct {
	Accepted int
	Rejected []Reject
}

// Watermark is the point in a source up to which everything is durable here;
// only the source that returned it can read it.
type Watermark string

// Request says what to read.
type Request struct {
	Since Watermark
	Full  bool
}

// Result is what a poll reached.
type Result struct {
	Watermark Watermark
	Records   int
	Rejected  int
	Notes     []string // one line each for people: files read, what was skipped and why
	// Accounts and Regions are how many were reached, of a source that reads several; Gaps are those that were not.
	Accounts int
	Regions  int
	Gaps     []Gap
}

// Gap is a place that a poll should have read and could not. It holds the others up in
// nothing, and what is known of it stays as it is.
type Gap struct {
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"` // empty: the whole account
	Reason  string `json:"reason"`           // for people: what failed and what to do
}

// Source reads one outside system. Poll hands every record that the request
// asks for to emit and returns the new watermark; with an error it returns what was
// reached. It is called by one goroutine at a time.
type Source interface {
	Poll(ctx context.Context, req Request, emit Emitter) (Result, error)
}

// Notifier is a Source that can say when a poll is worth while (a watched
// folder). Watch sends to changed until ctx ends; it never blocks on a full channel.
type Notifier interface {
	Watch(ctx context.Context, changed chan<- struct{}) error
}

// Sink makes one outside record match the ticket. Applying the same ticket
// twice leaves one record. It is called by several goroutines at a time, never for
// one ticket key at once.
type Sink interface {
	Apply(ctx context.Context, t Ticket) (Applied, error)
}

// Finder is a Sink that can look a record up by ticket key, in every status.
// Several refs mean twins, oldest first; none is an empty slice without error.
type Finder interface {
	Find(ctx context.Context, key string) ([]Ref, error)
}

// Repeater is a Sink whose write is idempotent by ticket key (file): an unsure
// attempt is plainly repeated, it neither waits nor parks.
type Repeater interface{ RepeatsSafely() }

// Watcher is a Sink that can tell what people did to its records. Nothing that
// it hears changes anything by itself: a hint names records, and each is read
// fresh before triage judges it. The methods are called by several goroutines at a time.
type Watcher interface {
	// Hint checks that one webhook request is the tracker's own and names the records that it
	// speaks of. It asks the tracker nothing. A wrong or missing signature, or a sink that has no secret
	// to check it with, is ErrUnauthorized; a body that cannot be read is Permanent. A request about
	// something else names none.
	Hint(h Hook) ([]Change, error)
	// Changed names records under docket's keys that changed since, in any order and perhaps once more
	// than needed, and the watermark of the next poll. An empty watermark begins now, less what
	// a tracker's index lags behind. With an error the watermark must not be kept.
	Changed(ctx context.Context, since Watermark) ([]Change, Watermark, error)
	// Read reads one record as it is now, not from an index. A record that does not exist is no
	// error but Deleted, with the Ref asked for. Where nothing can be said (403, no answer) it is an error of the
	// classes that Apply has.
	Read(ctx context.Context, ref Ref) (Seen, error)
}

// Renderer is a Sink that can say, without asking the tracker, what Apply would
// write for a ticket: the words and values that Applied.Held would hold after it. It fills
// Ticket.Sent, so that a value of our own whose answer was lost is not taken for a person's. What needs the
// tracker to be known (which assignee it accepts) is left out. Always the same for the same ticket.
type Renderer interface {
	Fields(t Ticket) Fields
}

// Checker is a Sink or Source that can prove its settings without changing
// anything, in one word: nil, or everything that is wrong (joined errors).
type Checker interface {
	Check(ctx context.Context) error
}

// Inspector is a Checker that lists what it looked at: RunChecks asks it first.
type Inspector interface {
	// Checks looks at one thing after the other; what cannot be looked at because of an
	// earlier failure is skipped and says so. It changes nothing.
	Checks(ctx context.Context) []Check
}

// Check is one thing that a sink or source proved about its settings, or could not.
type Check struct {
	Name string `json:"name"`              // what was looked at, for people: "credentials", "priority P1"
	Key  string `json:"key,omitempty"`     // the key of the connector's block that it is about: auth.token, priorities.P1
	Fact string `json:"fact,omitempty"`    // fine: what was found ("signed in as bot@example.com")
	Skip string `json:"skipped,omitempty"` // why it was not looked at
	Err  error  `json:"-"`                 // what is wrong; nil where it is fine or was skipped
	Have string `json:"have,omitempty"`    // failed: what the tracker has instead
	Fix  string `json:"fix,omitempty"`     // failed: what to do
}

// RunChecks asks a sink or source to prove its settings. One that lists nothing
// and only says yes or no is one Check a joined error; false: it can prove nothing.
func RunChecks(ctx context.Context, connector any) ([]Check, bool) {
	switch c := connector.(type) {
	case Inspector:
		return c.Checks(ctx), true
	case Checker:
		err := c.Check(ctx)
		if err == nil {
			return []Check{{Name: "settings"}}, true
		}
		list := []error{err}
		if j, ok := err.(interface{ Unwrap() []error }); ok {
			list = j.Unwrap()
		}
		out := make([]Check, len(list))
		for i, e := range list {
			out[i] = Check{Name: "settings", Err: e}
		}
		return out, true
	}
	return nil, false
}

// SettingsChecker is a Sink that can judge what a team sets for it
// (teams[].sinks) when the configuration is loaded. An error begins with the key that it is about: "templates.title: …".
type SettingsChecker interface {
	CheckSettings(over map[string]any) error
}

// SettingsInspector is an Inspector that can prove what a team sets for it.
type SettingsInspector interface {
	// ChecksOf is Checks of what holds with the team's settings laid over the sink's; the keys
	// are those of the connector's block, as in Checks. It changes nothing.
	ChecksOf(ctx context.Context, over map[string]any) []Check
}

// AssigneeChecker is a Sink whose tickets have assignees, and that can say who can be one.
type AssigneeChecker interface {
	// CheckAssignee looks whether who, by any name that the tracker knows a person by, can be
	// assigned where the tickets of a team with these settings go. It changes nothing.
	CheckAssignee(ctx context.Context, over map[string]any, who string) Check
}

// Previewer is a Sink that can say what a person would see of a ticket in its
// tracker. It asks the tracker nothing that changes anything.
type Previewer interface {
	Preview(ctx context.Context, t Ticket) (Preview, error)
}

// Preview is a ticket as one sink would write it.
type Preview struct {
	Title  string         `json:"title"`
	Format string         `json:"format"`           // of Body: markdown, wiki, json
	Body   string         `json:"body"`             // the description, or the whole file
	Fields map[string]any `json:"fields,omitempty"` // what is set beside it, in the tracker's own words
}

// Listed is a record as a tracker's list shows it.
type Listed struct {
	Ref     Ref       `json:"ref"`
	Key     string    `json:"key,omitempty"`  // docket's ticket key on the record
	Gen     int       `json:"gen,omitempty"`  // generation that stands beside the key; 0 where the sink keeps none
	Case    string    `json:"case,omitempty"` // the case that stands beside the key: DK-1
	Rev     uint64    `json:"rev,omitempty"`  // the revision that the record holds; 0 where the sink keeps none
	Open    bool      `json:"open"`
	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
	Title   string    `json:"title,omitempty"`
	// Installation is whose key it is, as the record says; empty where it says nothing.
	Installation string       `json:"installation,omitempty"`
	Group        []GroupValue `json:"group,omitempty"`  // what the record says its case is grouped by
	Labels       []string     `json:"labels,omitempty"` // of a foreign record
	Text         string       `json:"-"`                // description of a foreign record
}

// Lister is a Sink that can list every record of its place that carries a ticket
// key of docket's, in every status, each once and each confirmed by the record itself.
type Lister interface {
	// List calls fn for each; an error of fn ends it and is returned.
	List(ctx context.Context, fn func(Listed) error) error
}

// ForeignLister is a Sink that can list the records that another tool made.
type ForeignLister interface {
	// ListForeign calls fn for each record in the sink's place that carries a label for which is
	// says yes, with its labels and text, in every status.
	ListForeign(ctx context.Context, is func(label string) bool, fn func(Listed) error) error
}

// Remover is a Sink that can take a record away for good: for records that docket
// made to prove that it can, never for a ticket.
type Remover interface {
	Remove(ctx context.Context, ref Ref) error
}

// claimPrefix marks scopes that a person claims to be read whole.
const claimPrefix = "claim:"

// ClaimScope names a scope that a person says a document is a whole read of.
func ClaimScope(name string) string { return claimPrefix + name }

// IsStanding reports whether a scope is that of a source that reads it again and again and says when it
// stops doing so (Scan.Left): a place of AWS, as aws/guardduty/111122223333/eu-west-1.
func IsStanding(scope string) bool { return strings.HasPrefix(scope, "aws/") }

// KeepsTimes reports whether the records of a scope keep times of their own, rather than the scan's: one with an older
// time than a whole read of the scope may be news all the same. It is so for what a source asks an interface for, where a
// record's time is that of its last change, and for what a person claims to be whole. A scanner's report is made at one time.
func KeepsTimes(scope string) bool { return strings.HasPrefix(scope, claimPrefix) || IsStanding(scope) }
