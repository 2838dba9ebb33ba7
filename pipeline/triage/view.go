package triage

import (
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// View is a read-only look at state. Every method sees one consistent moment.
// Returned pointers and slices belong to the caller, who may change them.
// A damaged record is an error; a missing one is a nil pointer, a zero value or false.
type View interface {
	Meta() Meta
	// Hot is the finding that goes by a fingerprint, or else the one that went by it under an earlier equivalence map.
	Hot(print pipeline.Fingerprint) (Hot, bool)
	HotBySeq(seq uint64) (Hot, bool)
	Record(seq uint64) (*Record, error)
	// Words is Record, at a fraction of its cost: it may leave the reports' own records out.
	Words(seq uint64) (*Record, error)
	Case(number uint64) (*Case, error)
	// Newest is the number of the newest case of a group, open or closed; 0 for none.
	Newest(groupKey string) uint64
	// Members calls fn for each member of a case in order of arrival until fn returns false.
	Members(number uint64, fn func(Member) bool) error
	// MembersFrom is Members from an arrival number on, without a look at those before it.
	MembersFrom(number, from uint64, fn func(Member) bool) error
	Member(number, seq uint64) (Member, bool, error)
	// Due lists at most limit cases whose DueAt has come, earliest first.
	Due(now time.Time, limit int) []uint64
	// Ready lists at most limit cases with something to deliver and nothing in flight (Case.Ready), by number.
	Ready(limit int) []uint64
	// Held lists the cases of a team whose first ticket waits for room: worst priority first, then oldest.
	Held(team string) []uint64
	HeldTeams() []string
	Team(name string) TeamState
	Scope(name string) Scope
	// ScopeReports calls fn for every open report of the scope until fn returns false.
	ScopeReports(scope string, fn func(seq uint64, key [16]byte) bool)
	// InScope reports whether ScopeReports would name this one.
	InScope(r ScopeReport) bool
	// Seen is what one read of one scope has seen so far.
	Seen(read, scope string) Seen
	Suppressions() []Suppression
	// SuppressedBy calls fn with the arrival number of each finding that the suppression holds.
	SuppressedBy(name string, fn func(seq uint64) bool)
	// Approval is the plan that approved a group which has no case yet; "" for none.
	Approval(groupKey string) string
	// Done reports whether the interaction with that id was applied already.
	Done(interaction string) bool
}

// Seen is what one read of one scope handed over.
type Seen struct {
	Read   string
	Scope  string
	Count  int              // records of that scope, repeats within the read counted
	Broken string           // why this read can prove nothing; "" when it can
	Keys   map[SeenKey]bool // the reports
}

// SeenKey is one report of one finding.
type SeenKey struct {
	Seq uint64
	Key [16]byte
}

// Touch is the coalesced last-seen of an unchanged repeat: the newest version's time of one report.
type Touch struct {
	Seq      uint64
	Key      [16]byte
	Observed int64 // unix milliseconds
}

// Changeset is all that one batch of inputs changed, as a value: it can be
// committed, stored and replayed. Applying it twice is the same as once. Every put replaces
// the whole record under its key.
type Changeset struct {
	Meta         Meta
	Hot          []Hot
	Records      []*Record
	Cases        []*Case
	Members      []Member
	PurgedCases  []uint64 // with their members
	PurgedSeqs   []uint64 // findings
	Newest       map[string]uint64
	Aliases      map[pipeline.Fingerprint]uint64 // former fingerprint -> arrival number; 0 removes
	Touches      []Touch
	Seen         []Seen // additions: Count and Keys are added to what is stored, Broken replaces
	SeenEnded    []Seen // Read and Scope of reads whose rows go
	Scopes       []Scope
	ScopePut     []ScopeReport
	ScopeDel     []ScopeReport
	Teams        []TeamState
	Suppressions []Suppression
	Unsuppressed []string // removed by name
	Held         []HoldChange
	Approvals    map[string]string // group key -> plan; "" removes
	Interactions []string          // ids applied
	Outbox       []pipeline.Action
	Audit        []Audit
	Rejects      []pipeline.Reject
}

// ScopeReport is one open report of a scope.
type ScopeReport struct {
	Scope string
	Seq   uint64
	Key   [16]byte
}

// HoldChange says that a suppression holds a finding, or no longer does.
type HoldChange struct {
	Suppression string
	Seq         uint64
	On          bool
}

// Words implements View.
func (l *Layer) Words(seq uint64) (*Record, error) {
	if l.purgedSeqs[seq] || l.records[seq] != nil {
		return l.Record(seq)
	}
	return l.base.Words(seq)
}
