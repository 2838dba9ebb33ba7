package pipeline

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// PackBytes is the size that a packed envelope aims at: one flush of the disk
// is paid per message, and a message stays below NATS's default limit of 1 MiB.
const PackBytes = 700_000

// MaxRecordBytes is the size of the largest record that can travel, alone in
// its envelope; a larger one is rejected with a reason. It leaves room for the
// envelope below the embedded server's message limit of 8 MiB.
const MaxRecordBytes = 7 << 20

// Item is one report on its way to triage: what triage needs to see whether
// anything changed, and the record itself for when it did.
type Item struct {
	Print    Fingerprint
	Key      [16]byte // hash of the product and its own id: names the report
	IDHash   uint64   // hash of the product's own id
	Hash     uint64   // content hash: the fields whose change matters
	Observed int64    // milliseconds since 1970, UTC
	Status   Status
	Severity Severity
	Occurred bool // a threat: a later Observed means that it happened again
	// Mild: it is milder than what the source takes in. Only what is known already follows it: it leaves the
	// filter, or is resolved. Data is empty unless Status is resolved.
	Mild    bool
	Format  string // names the decoder of Data: asff, ocsf, sarif, docket
	Scope   string // the scope of absence it belongs to; empty where absence proves nothing
	Account string // what was known of its account beside the record, as AccountText; mostly empty
	Data    []byte // one record in its source's words
}

// AccountText is the text of Item.Account: what a directory knows of an account but its id. It is
// the same for the same values, and empty for nothing.
func AccountText(a Account) string {
	a.ID = ""
	if a.Name == "" && len(a.OU) == 0 && len(a.Tags) == 0 {
		return ""
	}
	b, err := json.Marshal(a) // sorts the tags
	if err != nil {
		return "" // strings only: it cannot fail
	}
	return string(b)
}

// ApplyAccount lays what AccountText kept over the account of a report.
func ApplyAccount(text string, a *Account) error {
	if text == "" {
		return nil
	}
	var known Account
	if err := json.Unmarshal([]byte(text), &known); err != nil {
		return fmt.Errorf("what is known of account %s: %w", a.ID, err)
	}
	a.Name, a.OU, a.Tags = known.Name, known.OU, known.Tags
	return nil
}

// Envelope is the unit that travels on the findings stream: records of one
// source, then the end markers of scans that they complete.
type Envelope struct {
	Source   string // the configured source
	Scan     string // the scan that the items belong to; may be empty
	Approved bool   // a person approved what this envelope will cause
	Origin   string // where the records were read: a path, "stdin", a request
	Items    []Item
	Scans    []Scan // after the items
	Rejects  []Reject
}

// The packed form: a version byte, a flags byte, source, scan and origin as
// strings, a table of the formats, scopes and accounts that the items use, then items,
// scans and rejects, each behind its count. Strings, byte slices and counts are
// behind an unsigned varint; hashes and instants of items are little-endian.
const (
	envelopeVersion  = 2
	envelopeOldest   = 1 // without accounts
	envelopeApproved = 1 << 0
	scanComplete     = 1
	scanLeft         = 2
	itemOccurred     = 1 << 7 // in the severity byte
	itemMild         = 1 << 7 // in the status byte
	itemFixed        = len(Fingerprint{}) + 16 + 8 + 8 + 8 + 1 + 1
	itemMin          = itemFixed + 3 // table indices (version 1: two) and a length
	scanMin          = 8             // four strings, count, seconds, nanoseconds, complete
	rejectMin        = 9
)

// EncodedSize is how many bytes it adds to an envelope at most, its table
// entries not counted.
func (it *Item) EncodedSize() int {
	return itemFixed + 3*binary.MaxVarintLen32 + binary.MaxVarintLen64 + len(it.Data)
}

// Append appends the packed form of e to dst, as ParseEnvelope reads it.
func Append(dst []byte, e *Envelope) []byte {
	var flags byte
	if e.Approved {
		flags |= envelopeApproved
	}
	dst = append(dst, envelopeVersion, flags)
	dst = appendString(dst, e.Source)
	dst = appendString(dst, e.Scan)
	dst = appendString(dst, e.Origin)

	var t stringTable
	for i := range e.Items {
		t.index(e.Items[i].Format)
		t.index(e.Items[i].Scope)
		t.index(e.Items[i].Account)
	}
	dst = binary.AppendUvarint(dst, uint64(len(t.words)))
	for _, w := range t.words {
		dst = appendString(dst, w)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Items)))
	for i := range e.Items {
		dst = appendItem(dst, &e.Items[i], &t)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Scans)))
	for i := range e.Scans {
		dst = appendScan(dst, &e.Scans[i])
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Rejects)))
	for i := range e.Rejects {
		dst = appendReject(dst, &e.Rejects[i])
	}
	return dst
}

// stringTable numbers the few formats and scopes of an envelope. Neighbours
// mostly share them, so the last three answers are remembered before the map is asked.
type stringTable struct {
	words  []string
	number map[string]uint64
	last   [3]uint64
}

func (t *stringTable) index(s string) uint64 {
	for _, n := range t.last {
		if n < uint64(len(t.words)) && t.words[n] == s {
			return n
		}
	}
	n, ok := t.number[s]
	if !ok {
		if t.number == nil {
			t.number = make(map[string]uint64)
		}
		n = uint64(len(t.words))
		t.words = append(t.words, s)
		t.number[s] = n
	}
	t.last[0], t.last[1], t.last[2] = n, t.last[0], t.last[1]
	return n
}

func appendItem(dst []byte, it *Item, t *stringTable) []byte {
	dst = append(dst, it.Print[:]...)
	dst = append(dst, it.Key[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, it.IDHash)
	dst = binary.LittleEndian.AppendUint64(dst, it.Hash)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(it.Observed))
	severity := byte(it.Severity) &^ itemOccurred
	if it.Occurred {
		severity |= itemOccurred
	}
	status := byte(it.Status) &^ itemMild
	if it.Mild {
		status |= itemMild
	}
	dst = append(dst, status, severity)
	dst = binary.AppendUvarint(dst, t.index(it.Format))
	dst = binary.AppendUvarint(dst, t.index(it.Scope))
	dst = binary.AppendUvarint(dst, t.index(it.Account))
	return appendBytes(dst, it.Data)
}

func appendScan(dst []byte, s *Scan) []byte {
	dst = appendString(dst, s.ID)
	dst = appendString(dst, s.Scope)
	dst = appendString(dst, s.Filter)
	dst = binary.AppendVarint(dst, int64(s.Count))
	dst = appendTime(dst, s.Time)
	var end byte
	switch {
	case s.Left:
		end = scanLeft
	case s.Complete:
		end = scanComplete
	}
	dst = append(dst, end)
	return appendString(dst, s.Why)
}

func appendReject(dst []byte, r *Reject) []byte {
	dst = appendString(dst, r.Origin)
	dst = binary.AppendVarint(dst, int64(r.Index))
	dst = binary.AppendVarint(dst, int64(r.Line))
	dst = appendString(dst, r.ID)
	dst = appendString(dst, r.Reason)
	dst = appendBytes(dst, r.Data)
	dst = appendTime(dst, r.Time)
	return appendString(dst, r.Source)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// appendTime writes seconds and nanoseconds apart, because one number of
// nanoseconds cannot hold the zero time.
func appendTime(dst []byte, t time.Time) []byte {
	dst = binary.AppendVarint(dst, t.Unix())
	return binary.AppendUvarint(dst, uint64(t.Nanosecond()))
}

// ParseEnvelope reads the packed form. The Data of items and rejects aliases b,
// which must not change while they are used; everything else is copied. Damaged
// bytes and unknown versions are errors, never a panic, and never cost more
// memory than a small multiple of len(b).
func ParseEnvelope(b []byte) (Envelope, error) {
	if len(b) < 2 {
		return Envelope{}, fmt.Errorf("envelope of %d bytes is cut short", len(b))
	}
	if b[0] < envelopeOldest || b[0] > envelopeVersion {
		return Envelope{}, fmt.Errorf("envelope has version %d, this program reads versions %d to %d", b[0], envelopeOldest, envelopeVersion)
	}
	if b[1]&^byte(envelopeApproved) != 0 {
		return Envelope{}, fmt.Errorf("envelope has unknown flags %#x", b[1])
	}
	p := envelopeParser{rest: b[2:], version: b[0]}
	e := Envelope{Approved: b[1]&envelopeApproved != 0}
	e.Source, e.Scan, e.Origin = p.string(), p.string(), p.string()
	table := make([]string, 0, p.count(1))
	for range cap(table) {
		table = append(table, p.string())
	}
	if n := p.count(itemMin); n > 0 {
		e.Items = make([]Item, n)
	}
	for i := range e.Items {
		p.item(&e.Items[i], table)
	}
	if n := p.count(scanMin); n > 0 {
		e.Scans = make([]Scan, n)
	}
	for i := range e.Scans {
		p.scan(&e.Scans[i])
	}
	if n := p.count(rejectMin); n > 0 {
		e.Rejects = make([]Reject, n)
	}
	for i := range e.Rejects {
		p.reject(&e.Rejects[i])
	}
	if p.err == "" && len(p.rest) > 0 {
		p.fail("bytes behind its end")
	}
	if p.err != "" {
		return Envelope{}, fmt.Errorf("envelope is damaged: %s, %d bytes before its end", p.err, p.failedAt)
	}
	return e, nil
}

// envelopeParser takes fields off the front of rest. After the first failure
// it answers zero values, so that the caller checks once at the end.
type envelopeParser struct {
	rest     []byte
	version  byte
	err      string
	failedAt int // bytes that were left
}

func (p *envelopeParser) fail(why string) {
	if p.err == "" {
		p.err, p.failedAt = why, len(p.rest)
	}
	p.rest = nil
}

func (p *envelopeParser) take(n uint64) []byte {
	if n > uint64(len(p.rest)) {
		p.fail("a field is longer than what is left")
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

func (p *envelopeParser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if n <= 0 {
		p.fail("a number cannot be read")
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *envelopeParser) varint() int64 {
	v, n := binary.Varint(p.rest)
	if n <= 0 {
		p.fail("a number cannot be read")
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

// count reads how many things follow, each at least size bytes long. More than
// fit into what is left is damage, noticed before memory is taken for them.
func (p *envelopeParser) count(size int) int {
	n := p.uvarint()
	if n > uint64(len(p.rest)/size) {
		p.fail("a count is larger than what is left")
		return 0
	}
	return int(n)
}

func (p *envelopeParser) byte() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *envelopeParser) bytes() []byte  { return p.take(p.uvarint()) }
func (p *envelopeParser) string() string { return string(p.bytes()) }

func (p *envelopeParser) int() int {
	v := p.varint()
	if v > math.MaxInt32 || v < math.MinInt32 {
		p.fail("a number is out of range")
		return 0
	}
	return int(v)
}

func (p *envelopeParser) word(table []string) string {
	n := p.uvarint()
	if n >= uint64(len(table)) {
		p.fail("a word is not in the table")
		return ""
	}
	return table[n]
}

func (p *envelopeParser) time() time.Time {
	seconds, nanoseconds := p.varint(), p.uvarint()
	// The bounds are the years 0 and 9999, which is what JSON can hold later.
	if nanoseconds > 999_999_999 || seconds < -62_167_219_200 || seconds > 253_402_300_799 {
		p.fail("an instant is out of range")
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC()
}

func (p *envelopeParser) item(it *Item, table []string) {
	b := p.take(uint64(itemFixed))
	if b == nil {
		return
	}
	b = b[copy(it.Print[:], b):]
	b = b[copy(it.Key[:], b):]
	it.IDHash = binary.LittleEndian.Uint64(b)
	it.Hash = binary.LittleEndian.Uint64(b[8:])
	it.Observed = int64(binary.LittleEndian.Uint64(b[16:]))
	it.Status = Status(b[24] &^ itemMild)
	it.Mild = b[24]&itemMild != 0
	it.Severity = Severity(b[25] &^ itemOccurred)
	it.Occurred = b[25]&itemOccurred != 0
	if it.Status > StatusUnproven || it.Severity > Critical {
		p.fail("an unknown status or severity")
		return
	}
	it.Format, it.Scope = p.word(table), p.word(table)
	if p.version >= 2 {
		it.Account = p.word(table)
	}
	it.Data = p.bytes()
}

func (p *envelopeParser) scan(s *Scan) {
	s.ID, s.Scope, s.Filter = p.string(), p.string(), p.string()
	s.Count = p.int()
	s.Time = p.time()
	switch p.byte() {
	case 0:
	case scanComplete:
		s.Complete = true
	case scanLeft:
		s.Left = true
	default:
		p.fail("a scan ends in an unknown way")
	}
	s.Why = p.string()
}

func (p *envelopeParser) reject(r *Reject) {
	r.Origin = p.string()
	r.Index, r.Line = p.int(), p.int()
	r.ID, r.Reason = p.string(), p.string()
	r.Data = p.bytes()
	r.Time = p.time()
	r.Source = p.string()
}
