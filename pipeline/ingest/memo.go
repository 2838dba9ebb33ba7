package ingest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// memoSize is how many records one generation of a Memo remembers: two take about 30 MB when they are full.
const memoSize = 128 << 10

// scratchMax is the largest buffer that is kept for the next record.
const scratchMax = 1 << 20

// Memo remembers what records came to, so that one which is seen again with
// nothing new but its vendor's time stamps is not decoded again. It belongs to one
// configuration: what it remembers follows from a record, its source and that. It forgets
// what was not seen for a while, and may be used by several goroutines.
type Memo struct {
	steady func(to []byte, rec *pipeline.Record) (text []byte, observed time.Time, ok bool)
	mac    cipher.AEAD
	texts  sync.Pool // of *[]byte

	mu       sync.Mutex
	now, old map[memoKey]memory
}

// memoKey is the GMAC of a source, a format and a steady text under a key of this
// process. Whoever does not know the key finds no two texts with one MAC: for a pair of a few
// kilobytes the chance is below 2^-118.
type memoKey [16]byte

// memory is an Item without what each record brings itself.
type memory struct {
	print    pipeline.Fingerprint
	key      [16]byte
	idHash   uint64
	hash     uint64
	status   pipeline.Status
	severity pipeline.Severity
	occurred bool
}

// NewMemo makes an empty Memo. steady appends to to the text on which everything in the Item
// of a record depends but Observed, Scope and Data, and says when the record was observed; not
// ok where there is no such text or time.
func NewMemo(steady func(to []byte, rec *pipeline.Record) (text []byte, observed time.Time, ok bool)) (*Memo, error) {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making the memo: %w", err)
	}
	// The MACs never leave the process, so one nonce serves them all.
	mac, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("making the memo: %w", err)
	}
	return &Memo{steady: steady, mac: mac, now: map[memoKey]memory{}}, nil
}

// keyOf names what a record of a source is but for its times.
func (m *Memo) keyOf(source string, rec *pipeline.Record) (key memoKey, observed time.Time, ok bool) {
	b, _ := m.texts.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
	}
	text := append(append((*b)[:0], source...), 0)
	text = append(append(text, rec.Format...), 0)
	text, observed, ok = m.steady(text, rec)
	if ok {
		var nonce [12]byte
		m.mac.Seal(key[:0], nonce[:], nil, text)
	}
	if cap(text) <= scratchMax {
		*b = text
		m.texts.Put(b)
	}
	return key, observed, ok
}

// find is what a record with that key came to.
func (m *Memo) find(key memoKey) (memory, bool) {
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
func (m *Memo) put(key memoKey, it *pipeline.Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(key, memory{print: it.Print, key: it.Key, idHash: it.IDHash, hash: it.Hash, status: it.Status, severity: it.Severity, occurred: it.Occurred})
}

// add makes room by forgetting what was seen in neither generation. The caller holds the lock.
func (m *Memo) add(key memoKey, x memory) {
	if len(m.now) >= memoSize {
		m.old, m.now = m.now, make(map[memoKey]memory, memoSize)
	}
	m.now[key] = x
}

// item is the Item of a record that came to the same as one before.
func (x *memory) item(rec *pipeline.Record, observed time.Time) pipeline.Item {
	return pipeline.Item{
		Print: x.print, Key: x.key, IDHash: x.idHash, Hash: x.hash, Observed: observed.UnixMilli(),
		Status: x.status, Severity: x.severity, Occurred: x.occurred, Format: rec.Format, Scope: rec.Scope, Data: rec.Data,
	}
}
