package ingest

import (
	"sync"
	"time"
	"unique"

	"github.com/docket-hub/docket/pipeline"
)

// memoSize is how many records one generation of a Memo remembers: two take about 24 MB
// when they are full. The number fills a map's memory well, which comes in powers of two.
const memoSize = 100_000

// Memo remembers what records came to, so that one which is seen again with
// nothing new but its vendor's time stamps is not decoded again. It belongs to one
// configuration: what it remembers follows from a record, its source and that. It forgets
// what was not seen for a while, and may be used by several goroutines.
type Memo struct {
	steady func(to []byte, rec *pipeline.Record) (text []byte, observed time.Time, ok bool)
	sums   *summer

	mu       sync.Mutex
	now, old map[sum]memory
}

// memory is an Item without what each record brings itself.
type memory struct {
	print    pipeline.Fingerprint
	key      [16]byte
	idHash   uint64
	hash     uint64
	status   pipeline.Status
	severity pipeline.Severity
	occurred bool
	account  unique.Handle[string] // the account's id
	region   unique.Handle[string]
	known    unique.Handle[string] // pipeline.Item.Account
}

// NewMemo makes an empty Memo. steady appends to to the text on which everything in the Item
// of a record depends but Observed, Scope and Data, and says when the record was observed; not
// ok where there is no such text or time.
func NewMemo(steady func(to []byte, rec *pipeline.Record) (text []byte, observed time.Time, ok bool)) (*Memo, error) {
	sums, err := newSummer()
	if err != nil {
		return nil, err
	}
	return &Memo{steady: steady, sums: sums, now: map[sum]memory{}}, nil
}

// keyOf names what a record of a source is but for its times.
func (m *Memo) keyOf(source string, rec *pipeline.Record) (key sum, observed time.Time, ok bool) {
	key, ok = m.sums.of(source, rec.Format, func(to []byte) (text []byte, ok bool) {
		text, observed, ok = m.steady(to, rec)
		return text, ok
	})
	return key, observed, ok
}

// find is what a record with that key came to.
func (m *Memo) find(key sum) (memory, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x, ok := m.now[key]; ok {
		return x, true
	}
	x, ok := m.old[key]
	if ok {
		m.add(key, x)
	}
	return x, ok
}

// put remembers what a record with that key came to.
func (m *Memo) put(key sum, account, region string, it *pipeline.Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(key, memory{
		print: it.Print, key: it.Key, idHash: it.IDHash, hash: it.Hash, status: it.Status, severity: it.Severity, occurred: it.Occurred,
		account: unique.Make(account), region: unique.Make(region), known: unique.Make(it.Account),
	})
}

// add makes room by forgetting what was seen in neither generation. The caller holds the lock.
func (m *Memo) add(key sum, x memory) {
	if len(m.now) >= memoSize {
		m.old, m.now = m.now, make(map[sum]memory, memoSize)
	}
	m.now[key] = x
}

// item is the Item of a record that came to the same as one before.
func (x *memory) item(rec *pipeline.Record, observed time.Time) pipeline.Item {
	return pipeline.Item{
		Print: x.print, Key: x.key, IDHash: x.idHash, Hash: x.hash, Observed: observed.UnixMilli(),
		Status: x.status, Severity: x.severity, Occurred: x.occurred, Format: rec.Format, Scope: rec.Scope,
		Account: x.known.Value(), Data: rec.Data,
	}
}
