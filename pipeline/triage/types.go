// Package triage decides: Decide turns a view of state and a batch of inputs
// into a Changeset, purely. Layer lays one batch's (or one plan's) changes over a
// View; the loop round it lives with the caller.
package triage

import (
	"strconv"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Hot is the small record that the unchanged repeat is judged by: one per finding, in order of arrival.
type Hot struct {
	Seq     uint64 // arrival number, from 1
	Print   pipeline.Fingerprint
	Case    uint64 // number of the case it is in or was last in; 0 for none
	Member  Status // its standing in that case
	Reports []HotReport
}

// HotReport is what a later report of the same product and id is compared with.
type HotReport struct {
	Key      [16]byte // hash of product and id
	IDHash   uint64   // hash of the id alone, for explain by a source's id
	Hash     uint64   // content hash; 0 when the report was resolved by absence, so that any later one is a change
	Observed int64    // unix milliseconds of the newest version seen
	Status   pipeline.Status
	Severity pipeline.Severity
}

// Find is the report with that key, or nil.
func (h *Hot) Find(key [16]byte) *HotReport {
	for i := range h.Reports {
		if h.Reports[i].Key == key {
			return &h.Reports[i]
		}
	}
	return nil
}

// Record is everything known of one finding.
type Record struct {
	Seq          uint64               `json:"seq"`
	Print        pipeline.Fingerprint `json:"fingerprint"`
	FirstSeen    time.Time            `json:"first_seen"`
	LastChange   time.Time            `json:"last_change"`
	Reports      []pipeline.Report    `json:"reports"`
	Raw          [][]byte             `json:"-"` // each report's own record, masked; stored beside
	SuppressedBy string               `json:"suppressed_by,omitempty"`
	Case         uint64               `json:"case,omitempty"`
	Member       Status               `json:"member,omitempty"`
	Explanation  pipeline.Explanation `json:"explanation"`
	Unwatched    bool                 `json:"unwatched,omitempty"`
	// Aliases are the fingerprints that it, or what became one with it, went by under earlier equivalence maps.
	Aliases []Alias `json:"aliases,omitempty"`
	// Also lists further scopes of standing sources that a report was seen in, beside the Scope of each report: GuardDuty's
	// findings come from GuardDuty and through Security Hub.
	Also []string `json:"also,omitempty"`
}

// Finding is the merged view.
func (r *Record) Finding() pipeline.Finding {
	for i := range r.Reports {
		if i < len(r.Raw) {
			r.Reports[i].Raw = r.Raw[i]
		}
	}
	return pipeline.Merge(r.Print, r.Reports)
}

// Status is the standing of a finding in its case.
type Status uint8

// The standings.
const (
	NotMember  Status = iota
	Open              // counts, keeps the case open
	Resolved          // gone, on evidence
	Suppressed        // an accepted exception
	Left              // it moved to another case
	Watched           // a person closed its case: a source that looks again and still reports it counts
)

var statusWords = [...]string{"", "open", "resolved", "suppressed", "left", "watched"}

// String is the word for people.
func (s Status) String() string {
	if int(s) < len(statusWords) {
		return statusWords[s]
	}
	return ""
}

// Member is one finding in one case: the row that a ticket's list is made of.
type Member struct {
	Case     uint64                 `json:"-"`
	Seq      uint64                 `json:"-"`
	Status   Status                 `json:"s"`
	Priority pipeline.Priority      `json:"p,omitempty"`
	Line     pipeline.TicketFinding `json:"l"`
	// Told is what its products were told last, by write-back sink. Rows share it: it is replaced, never changed.
	Told map[string]string `json:"told,omitempty"`
}

// Standing of an entry (protocol, section 2).
type Standing string

// The standings of a case in one sink.
const (
	Idle     Standing = "idle"
	Inflight Standing = "inflight"
	Parked   Standing = "parked"
	Dead     Standing = "dead"
	Gone     Standing = "gone"
)

// Entry is a case in one sink.
type Entry struct {
	WantOpen   bool               `json:"want_open"` // a ticket should be there and open
	Wanted     uint64             `json:"wanted"`
	Delivered  uint64             `json:"delivered"`
	Ref        pipeline.Ref       `json:"ref,omitzero"`
	Gen        int                `json:"gen"`
	N          uint64             `json:"n"`
	K          int                `json:"k,omitempty"`
	Again      bool               `json:"again,omitempty"`
	Twin       pipeline.Ref       `json:"twin,omitzero"`
	InTwin     pipeline.Ref       `json:"in_twin,omitzero"` // the second record that the action in flight links and closes
	Sighted    pipeline.Ref       `json:"sighted,omitzero"` // a record seen while the first action is in flight
	St         Standing           `json:"st"`
	Issued     time.Time          `json:"issued,omitzero"`     // of the action in flight
	Rev        uint64             `json:"rev,omitempty"`       // of the action in flight
	RevOpen    bool               `json:"rev_open,omitempty"`  // whether that action leaves the record open
	IsOpen     bool               `json:"is_open,omitempty"`   // the record is open, as last written or read
	Turning    bool               `json:"turning,omitempty"`   // an attempt of which no end is known was to close or reopen the record
	LeftOpen   bool               `json:"left_open,omitempty"` // a person opened the record again though nothing of the case is open: it stays so
	GoneOnce   bool               `json:"gone_once,omitempty"` // made again once already
	Last       pipeline.Fields    `json:"last,omitzero"`       // what the record held after our last write (pipeline.Applied); nil: none ended yet
	HeldAt     time.Time          `json:"held_at,omitzero"`    // the record's newest change that was taken in, by the tracker's clock
	Sent       []pipeline.Fields  `json:"sent,omitempty"`      // what actions since may have written: no outcome says what is held
	Theirs     pipeline.Fields    `json:"theirs,omitempty"`    // values that people gave, taken note of
	Heard      []string           `json:"heard,omitempty"`     // comments of HeardAt that were taken over; all before it were
	HeardAt    time.Time          `json:"heard_at,omitzero"`
	Waiting    *pipeline.Seen     `json:"waiting,omitempty"`     // read while a write was under way: judged at its end
	Reason     string             `json:"reason,omitempty"`      // why parked, dead or gone
	Under      string             `json:"under,omitempty"`       // the sink's settings that it was refused under (Rules.SinkConfig)
	Since      time.Time          `json:"since,omitzero"`        // parked, dead or gone since
	Awaited    bool               `json:"awaited,omitempty"`     // parked with its sink while an action was under way: its end is still to come
	GivenUp    Standing           `json:"given_up,omitempty"`    // a person dropped it: what it was; nothing more is sent until somebody retries
	Pending    Pending            `json:"pending,omitzero"`      // what people should read about the next revision
	Comments   []pipeline.Comment `json:"comments,omitempty"`    // written out, not yet delivered
	InComments int                `json:"in_comments,omitempty"` // how many of them the action in flight carries
	Back       *Back              `json:"back,omitempty"`        // of a write-back: it has no record, and nothing above that is about one
}

// Pending gathers what happened since the last delivered revision, so that a
// thousand findings that join during a slow call are one line.
type Pending struct {
	Joined     int      `json:"joined,omitempty"`
	JoinedSome []string `json:"joined_some,omitempty"` // the first few, for people
	Gone       int      `json:"gone,omitempty"`
	GoneSome   []string `json:"gone_some,omitempty"`
	Lines      []string `json:"lines,omitempty"`
}

// Empty reports that there is nothing to say.
func (p *Pending) Empty() bool { return p.Joined == 0 && p.Gone == 0 && len(p.Lines) == 0 }

// Settings are what the route says about a case; they follow the rules at once.
type Settings struct {
	TicketsFrom  pipeline.Priority `json:"tickets_from"`
	For          time.Duration     `json:"for,omitempty"`
	ReopenWindow time.Duration     `json:"reopen_window"`
	RecheckAfter time.Duration     `json:"recheck_after"`
	FlapTimes    int               `json:"flap_times"`
	FlapWithin   time.Duration     `json:"flap_within"`
	FlapQuiet    time.Duration     `json:"flap_quiet"`
	Assignee     []string          `json:"assignee,omitempty"`
}

// CloseReason says why a case is closed.
type CloseReason string

// The reasons.
const (
	ClosedFixed    CloseReason = "fixed"    // all findings resolved, on evidence
	ClosedAccepted CloseReason = "accepted" // all that is left is suppressed
	ClosedPerson   CloseReason = "person"   // a person closed it
	ClosedMoved    CloseReason = "moved"    // its findings went to another case by `cases move`
	ClosedMerged   CloseReason = "merged"   // a new map made it one with an older case
	ClosedEmpty    CloseReason = "empty"    // a digest without lines
)

// Ack is who took the case, and until when.
type Ack struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	Text  string    `json:"text,omitempty"`
	Via   string    `json:"via,omitempty"` // the sink in which they took it
}

// PersonClose remembers that a person closed the case.
type PersonClose struct {
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	WontFix  bool      `json:"wont_fix,omitempty"`
	Reopened bool      `json:"reopened,omitempty"` // it was reopened once already
	Seen     time.Time `json:"seen,omitzero"`      // a source looked after the close and still reports it
}

// Case is the unit of work: what one ticket is about.
type Case struct {
	Number   uint64                `json:"number"`
	Key      string                `json:"key"` // group key
	Group    []pipeline.GroupValue `json:"group,omitempty"`
	Team     string                `json:"team"`
	Route    string                `json:"route"`
	Why      []pipeline.Reason     `json:"why,omitempty"` // why this route
	Sinks    []string              `json:"sinks,omitempty"`
	Gen      int                   `json:"gen"` // generation of the group's tickets that this case started with
	Settings Settings              `json:"settings"`

	Open     bool        `json:"open"`
	Closed   CloseReason `json:"closed,omitempty"`
	Opened   time.Time   `json:"opened"`
	ClosedAt time.Time   `json:"closed_at,omitzero"`
	Changed  time.Time   `json:"changed"` // last change of its findings

	Count       [6]int               `json:"count"` // open findings by priority, index 1 to 5
	Suppressed  int                  `json:"suppressed,omitempty"`
	Total       int                  `json:"total"` // all that ever joined
	Lead        uint64               `json:"lead"`  // the finding whose words the ticket carries
	Priority    pipeline.Priority    `json:"priority"`
	PriorityBy  string               `json:"priority_by,omitempty"` // a person set it
	Explanation pipeline.Explanation `json:"explanation"`
	LowerAt     time.Time            `json:"lower_at,omitzero"` // when the priority may follow down

	Rev      uint64    `json:"rev"`
	Since    time.Time `json:"since"` // first observed of its first finding
	Due      time.Time `json:"due,omitzero"`
	Ticketed time.Time `json:"ticketed,omitzero"`  // its first action was issued
	WaitTill time.Time `json:"wait_till,omitzero"` // `for`
	Held     string    `json:"held,omitempty"`     // why its first ticket waits: limit, first_run
	Digest   bool      `json:"digest,omitempty"`   // it is a team's digest
	Approved bool      `json:"approved,omitempty"` // by apply or by hand: outside limits
	Drill    bool      `json:"drill,omitempty"`    // docket's own: outside limits, and not counted by them
	Manual   bool      `json:"manual,omitempty"`   // a person asked for its ticket: tickets_from and `for` do not hold it

	Ack       *Ack         `json:"ack,omitempty"`
	Snooze    time.Time    `json:"snooze,omitzero"`
	Assignee  string       `json:"assignee,omitempty"`
	Returns   []time.Time  `json:"returns,omitempty"` // when it came back, newest last
	Recurring bool         `json:"recurring,omitempty"`
	QuietAt   time.Time    `json:"quiet_at,omitzero"` // recurring: closed no earlier than this
	Disputed  string       `json:"disputed,omitempty"`
	Person    *PersonClose `json:"person,omitempty"`

	Previous uint64            `json:"previous,omitempty"` // an earlier case of this group
	MovedTo  uint64            `json:"moved_to,omitempty"`
	Groups   []string          `json:"groups,omitempty"`   // further group keys that are this case's: a new map gave them to its findings
	Rekeyed  []string          `json:"rekeyed,omitempty"`  // group keys that a new map gave to findings of it, and that may be another case's
	Evidence string            `json:"evidence,omitempty"` // on what it was closed
	Entries  map[string]*Entry `json:"entries,omitempty"`
	PurgeAt  time.Time         `json:"purge_at,omitzero"`
}

// ID is DK- and the number.
func (c *Case) ID() string { return CaseID(c.Number) }

// CaseID is the short id of a case by its number.
func CaseID(n uint64) string { return "DK-" + strconv.FormatUint(n, 10) }

// ParseCaseID is the number of DK-12 (in either case, or bare 12), and whether the word was one.
func ParseCaseID(word string) (uint64, bool) {
	if len(word) > 3 && (word[:3] == "DK-" || word[:3] == "dk-") {
		word = word[3:]
	}
	n, err := strconv.ParseUint(word, 10, 64)
	return n, err == nil && n > 0
}

// OpenCount is the number of open findings.
func (c *Case) OpenCount() int {
	n := 0
	for _, k := range c.Count {
		n += k
	}
	return n
}

// DueAt is the next instant at which time alone changes something for this case; zero for never.
func (c *Case) DueAt() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if !c.Open {
		if c.Person != nil && !c.Person.Seen.IsZero() && !c.Person.Reopened && !c.Person.WontFix {
			sooner(c.Person.At.Add(c.Settings.RecheckAfter))
		}
		sooner(c.PurgeAt)
		return at
	}
	sooner(c.WaitTill)
	sooner(c.LowerAt)
	if c.Ack != nil {
		sooner(c.Ack.Until)
	}
	sooner(c.Snooze)
	if c.OpenCount() == 0 || c.Recurring {
		sooner(c.QuietAt)
	}
	return at
}

// Ready reports whether an action should be issued now: something to deliver
// and nothing in flight. Cases that wait for room (Held) are not ready.
func (c *Case) Ready() bool {
	for _, e := range c.Entries {
		if e.Wants() && (e.Back != nil || c.Held == "" || !e.Ref.IsZero() || e.N > 0) {
			return true
		}
	}
	return false
}

// Wants reports whether an action should be issued for this entry now.
func (e *Entry) Wants() bool {
	if e.St != Idle && e.St != "" || e.GivenUp != "" {
		return false
	}
	if e.Back != nil {
		return e.Back.All || len(e.Back.Todo) > 0
	}
	if !e.Twin.IsZero() || e.Again {
		return true
	}
	return e.Delivered != e.Wanted && (!e.Ref.IsZero() || e.WantOpen)
}

// AtRest reports that nothing is under way or stuck in any sink.
func (c *Case) AtRest() bool {
	for _, e := range c.Entries {
		if e.St == Inflight || e.St == Parked || e.St == Dead || e.Wants() {
			return false
		}
	}
	return true
}

// Stuck reports that a person is asked for in some sink: what went there is parked, dead or gone.
func (c *Case) Stuck() bool {
	for _, e := range c.Entries {
		if e.St == Parked || e.St == Dead || e.St == Gone {
			return true
		}
	}
	return false
}

// Scope is what is known of one scope of absence.
type Scope struct {
	Name     string    `json:"name"`
	ScanID   string    `json:"scan_id,omitempty"` // newest complete scan
	Time     time.Time `json:"time,omitzero"`     // its own time
	Filter   string    `json:"filter,omitempty"`
	Count    int       `json:"count"`
	HeldID   string    `json:"held_id,omitempty"` // a scan that would close too much, held
	HeldWhy  string    `json:"held_why,omitempty"`
	HeldTime time.Time `json:"held_time,omitzero"`
	HeldNone bool      `json:"held_none,omitempty"` // the held scan was empty, and confirmed
	Said     string    `json:"said,omitempty"`      // what was last said of a scan that proves nothing
}

// TeamState is what outlives a team's cases: what its limits are counted by. A
// group whose newest case was purged has one too, for its generation (groupName).
type TeamState struct {
	Name    string   `json:"name"`
	Created []Minute `json:"created,omitempty"` // tickets created within the hour, oldest first
	Digest  uint64   `json:"digest,omitempty"`  // number of the digest case
	Gen     int      `json:"gen,omitempty"`     // last generation of the digest's, or the group's, tickets
}

// Minute counts the tickets created in one minute.
type Minute struct {
	At int64 `json:"at"` // minutes since 1970
	N  int   `json:"n"`
}

// CreatedSince counts the tickets of the minutes after the hour before now.
func (t *TeamState) CreatedSince(now time.Time) int {
	n := 0
	for _, m := range t.Created {
		if m.At > now.Add(-time.Hour).Unix()/60 {
			n += m.N
		}
	}
	return n
}

// Suppression is an exception with its standing in state.
type Suppression struct {
	pipeline.Suppression
	Ended   time.Time `json:"ended,omitzero"`    // a confirmed tick ended it
	Noticed bool      `json:"noticed,omitempty"` // the team was told seven days before
}

// Audit is one line of a story: who did what, or what docket decided, and why.
type Audit struct {
	Time    time.Time `json:"time"`
	Case    uint64    `json:"case,omitempty"`
	Finding uint64    `json:"finding,omitempty"` // arrival number
	Kind    string    `json:"kind"`
	Text    string    `json:"text"`
	By      string    `json:"by,omitempty"`
	Cause   string    `json:"cause,omitempty"` // id of the interaction that it answers
}

// Meta is the head of state.
type Meta struct {
	Findings  uint64 `json:"findings"` // position: last message applied of the findings stream
	Inputs    uint64 `json:"inputs"`   // the same of the inputs stream
	NextSeq   uint64 `json:"next_seq"`
	NextCase  uint64 `json:"next_case"`
	Config    string `json:"config,omitempty"`  // hash of the configuration last applied
	Applied   bool   `json:"applied,omitempty"` // an apply was carried out: first_run hold is over
	Sweep     uint64 `json:"sweep,omitempty"`   // re-evaluation under way: next arrival number to look at; 0 for none
	SweepTill uint64 `json:"sweep_till,omitempty"`
	// Map is the equivalence map that every finding is identified by, but for what Migration has not come to yet.
	Map       string    `json:"map,omitempty"`
	Migration Migration `json:"migration,omitzero"`
	// Feeds names the copies of the feeds that every finding which counts was compared with (Rules.Feeds).
	Feeds string `json:"feeds,omitempty"`
	Brake Brake  `json:"brake,omitzero"`
}

// Brake says whether outside writes may start. The zero Brake lets them.
type Brake struct {
	On    bool      `json:"on"`
	By    string    `json:"by,omitempty"`
	Since time.Time `json:"since,omitzero"` // it is on, or off, since then
	Text  string    `json:"text,omitempty"` // why
}
