package state

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// The buckets. Numbers in keys are big-endian, so that keys sort as the numbers do.
var (
	bucketMeta         = []byte("meta")
	bucketHot          = []byte("hot")          // arrival number -> hot record
	bucketAliases      = []byte("aliases")      // former fingerprint -> arrival number
	bucketRecords      = []byte("records")      // arrival number -> record
	bucketRaw          = []byte("raw")          // arrival number -> the reports' own records
	bucketCases        = []byte("cases")        // number -> case
	bucketCaseIndex    = []byte("caseindex")    // number -> keys in due, ready, held and busy
	bucketDue          = []byte("due")          // instant, number
	bucketReady        = []byte("ready")        // number
	bucketHeld         = []byte("held")         // team, priority, opened, number -> team
	bucketBusy         = []byte("busy")         // number
	bucketGroups       = []byte("groups")       // group key -> number of the newest case
	bucketMembers      = []byte("members")      // case, arrival number -> member
	bucketTouches      = []byte("touches")      // row -> packed last-seen times of one commit
	bucketSeen         = []byte("seen")         // read, scope, position -> what one commit saw
	bucketScopes       = []byte("scopes")       // name -> scope
	bucketScopeReports = []byte("scopereports") // scope, arrival number, report
	bucketTeams        = []byte("teams")        // name -> team
	bucketSuppressions = []byte("suppressions") // name -> suppression
	bucketSuppressed   = []byte("suppressed")   // suppression, arrival number
	bucketApprovals    = []byte("approvals")    // group key -> plan
	bucketInteractions = []byte("interactions") // 'i', id -> order; 'o', order -> id
	bucketOutbox       = []byte("outbox")       // case, sink, n, k -> action
	bucketAudit        = []byte("audit")        // 'c', case, order -> line; 'f', arrival number, order -> line or its key
	bucketRejects      = []byte("rejects")      // order -> reject
	bucketWatermarks   = []byte("watermarks")   // source -> SourceState
)

func allBuckets() [][]byte {
	return [][]byte{
		bucketMeta, bucketHot, bucketAliases, bucketRecords, bucketRaw, bucketCases, bucketCaseIndex, bucketDue, bucketReady,
		bucketHeld, bucketBusy, bucketGroups, bucketMembers, bucketTouches, bucketSeen, bucketScopes, bucketScopeReports,
		bucketTeams, bucketSuppressions, bucketSuppressed, bucketApprovals, bucketInteractions, bucketOutbox,
		bucketAudit, bucketRejects, bucketWatermarks,
	}
}

// sequential reports whether a bucket is mostly appended to, so that its pages can be filled.
func sequential(name []byte) bool {
	switch string(name) {
	case "hot", "records", "raw", "cases", "caseindex", "touches", "rejects":
		return true
	}
	return false
}

func key64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func key64s(a, b uint64) []byte {
	return binary.BigEndian.AppendUint64(key64(a), b)
}

// number reads the last eight bytes of a key; 0 when it is shorter.
func number(key []byte) uint64 {
	if len(key) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key[len(key)-8:])
}

// maxName is the longest name that stands in a key by itself. Longer ones
// stand there as their hash: bbolt refuses keys above 32,768 bytes, and names
// such as scopes come from outside.
const maxName = 250

// appendName appends a name so that no name is the beginning of another's key.
func appendName(key []byte, name string) []byte {
	if len(name) > maxName {
		sum := sha256.Sum256([]byte(name))
		return append(append(key, 0xff), sum[:]...)
	}
	return append(append(key, byte(len(name))), name...)
}

// firstName is how many bytes the name takes that a key begins with.
func firstName(key []byte) (int, bool) {
	if len(key) == 0 {
		return 0, false
	}
	n := 1 + int(key[0])
	if key[0] == 0xff {
		n = 1 + sha256.Size
	}
	return n, n <= len(key)
}

func nameKey(name string) []byte { return appendName(nil, name) }

func nameSeqKey(name string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(nameKey(name), seq)
}

func scopeReportKey(scope string, seq uint64, key [16]byte) []byte {
	return append(nameSeqKey(scope, seq), key[:]...)
}

func seenPrefix(read, scope string) []byte { return appendName(nameKey(read), scope) }

const instantBytes = 12

// appendInstant appends an instant so that keys sort by time, years before 1970 included.
func appendInstant(key []byte, t time.Time) []byte {
	key = binary.BigEndian.AppendUint64(key, uint64(t.Unix())^(1<<63))
	return binary.BigEndian.AppendUint32(key, uint32(t.Nanosecond()))
}

func dueKey(at time.Time, n uint64) []byte {
	return binary.BigEndian.AppendUint64(appendInstant(nil, at), n)
}

func heldKey(team string, p pipeline.Priority, opened time.Time, n uint64) []byte {
	key := appendInstant(append(nameKey(team), byte(p)), opened)
	return binary.BigEndian.AppendUint64(key, n)
}

func outboxKey(number uint64, a *pipeline.Action) []byte {
	key := appendName(key64(number), a.Sink)
	key = binary.BigEndian.AppendUint64(key, a.N)
	return binary.BigEndian.AppendUint64(key, uint64(a.K))
}

// parseOutboxKey undoes outboxKey; false when the sink stands there as a hash.
func parseOutboxKey(k []byte) (caseID, sink string, n uint64, kth int, ok bool) {
	if len(k) < 9 || k[8] > maxName || len(k) != 9+int(k[8])+16 {
		return "", "", 0, 0, false
	}
	end := 9 + int(k[8])
	return triage.CaseID(number(k[:8])), string(k[9:end]), number(k[:end+8]), int(number(k)), true
}

// eventOrder orders the lines that a changeset appends to the stories by position,
// time and place in the changeset. The checksum keeps two changesets of one
// position and time (a tick beside a batch) apart, while a replay meets its own rows.
func eventOrder(key []byte, position uint64, at time.Time, i int, data []byte) []byte {
	sum := sha256.Sum256(data)
	return append(orderKey(key, position, at, i), sum[:8]...)
}

func orderKey(key []byte, position uint64, at time.Time, i int) []byte {
	key = binary.BigEndian.AppendUint64(key, position)
	key = appendInstant(key, at)
	return binary.BigEndian.AppendUint32(key, uint32(i))
}

const orderBytes = 8 + instantBytes + 4

const eventOrderBytes = orderBytes + 8

// rejectID says which record was refused, and why; when does not count.
type rejectID [rejectIDBytes]byte

const rejectIDBytes = 8

func rejectIDOf(r *pipeline.Reject) rejectID {
	var b []byte
	for _, text := range []string{r.Source, r.Origin, r.ID, r.Reason} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	b = binary.AppendVarint(binary.AppendVarint(b, int64(r.Index)), int64(r.Line))
	sum := sha256.Sum256(append(b, r.Data...))
	return rejectID(sum[:rejectIDBytes])
}

// rejectKey orders rejects as eventOrder does stories. Rows of an older docket end in the checksum of their value, which is nobody's identity.
func rejectKey(position uint64, at time.Time, i int, id rejectID) []byte {
	return append(orderKey(nil, position, at, i), id[:]...)
}

const rejectKeyBytes = orderBytes + rejectIDBytes

// instant reads what appendInstant wrote.
func instant(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(b)^(1<<63)), int64(binary.BigEndian.Uint32(b[8:]))).UTC()
}
