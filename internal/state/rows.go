package state

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// SourceState is how far a source has come, and how it went.
type SourceState struct {
	Name        string             `json:"name"`
	Watermark   pipeline.Watermark `json:"watermark,omitempty"`
	LastRun     time.Time          `json:"last_run,omitzero"`
	LastSuccess time.Time          `json:"last_success,omitzero"`
	LastError   string             `json:"last_error,omitempty"` // of the last run; "" when it went well
	Records     int                `json:"records,omitempty"`    // of the last run
	Rejected    int                `json:"rejected,omitempty"`   // of the last run
	Accounts    int                `json:"accounts,omitempty"`   // reached by the last run, of a source that reads several
	Regions     int                `json:"regions,omitempty"`    // likewise
	Gaps        []pipeline.Gap     `json:"gaps,omitempty"`       // what the last run did not reach
}

// OutboxRow is an action that is to be published, as it lies in the file: DecodeAction reads it.
type OutboxRow struct {
	Key  []byte
	Case string
	Sink string
	N    uint64
	K    int
	Data []byte
}

// view runs fn in a read transaction.
func (s *Store) view(fn func(tx *bolt.Tx) error) error { return s.db.View(fn) }

// update runs fn in a transaction of its own, one at a time with commits.
func (s *Store) update(fn func(tx *bolt.Tx) error) error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	s.chooseFreeList()
	return boltError(s.db.Update(fn))
}

// Watermark is what is known of a source, by its name in the configuration. A source that never ran has only its name.
func (s *Store) Watermark(source string) (SourceState, error) {
	w := SourceState{Name: source}
	err := s.view(func(tx *bolt.Tx) error {
		if v := tx.Bucket(bucketWatermarks).Get(nameKey(source)); v != nil {
			return load(v, &w)
		}
		return nil
	})
	if err != nil {
		return w, fmt.Errorf("reading the watermark of source %s: %w", source, err)
	}
	return w, nil
}

// SetWatermark stores what is known of a source. It is durable on return.
func (s *Store) SetWatermark(w SourceState) error {
	err := s.update(func(tx *bolt.Tx) error {
		var p packer
		v, err := p.value(&w)
		if err != nil {
			return err
		}
		return tx.Bucket(bucketWatermarks).Put(nameKey(w.Name), v)
	})
	if err != nil {
		return fmt.Errorf("storing the watermark of source %s: %w", w.Name, err)
	}
	return nil
}

// Watermarks lists what is known of every source that ever ran, by name.
func (s *Store) Watermarks() ([]SourceState, error) {
	var out []SourceState
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketWatermarks).ForEach(func(_, v []byte) error {
			var w SourceState
			if err := load(v, &w); err != nil {
				return fmt.Errorf("reading a watermark: %w", err)
			}
			out = append(out, w)
			return nil
		})
	})
	slices.SortFunc(out, func(a, b SourceState) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// Outbox lists at most limit actions that are still to be published, by case, sink and number.
func (s *Store) Outbox(limit int) ([]OutboxRow, error) { return s.OutboxBut(limit, nil) }

// OutboxBut is Outbox without the rows for which but, which may be nil, is true.
func (s *Store) OutboxBut(limit int, but func(key []byte) bool) ([]OutboxRow, error) {
	var out []OutboxRow
	published := s.published.all() // before the file is looked at: what leaves both meanwhile is in neither
	err := s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketOutbox).Cursor()
		for k, v := c.First(); k != nil && len(out) < limit; k, v = c.Next() {
			if published[string(k)] || but != nil && but(k) {
				continue
			}
			row, err := outboxRow(k, v)
			if err != nil {
				return fmt.Errorf("reading the outbox of %s: %w", triage.CaseID(number(k[:min(8, len(k))])), err)
			}
			out = append(out, row)
		}
		return nil
	})
	return out, err
}

// outboxRow takes a row apart without decoding its action. What it returns are copies.
func outboxRow(k, v []byte) (OutboxRow, error) {
	row := OutboxRow{Key: slices.Clone(k), Data: slices.Clone(v)}
	var ok bool
	if row.Case, row.Sink, row.N, row.K, ok = parseOutboxKey(k); ok {
		return row, nil
	}
	// The sink's name is too long to stand in the key.
	a, err := DecodeAction(v)
	if err != nil {
		return OutboxRow{}, err
	}
	row.Case, row.Sink, row.N, row.K = a.Case, a.Sink, a.N, a.K
	return row, nil
}

// DecodeAction reads an action as the outbox holds it; the error is ErrDamaged or ErrNewer.
func DecodeAction(data []byte) (pipeline.Action, error) {
	var a pipeline.Action
	err := load(data, &a)
	return a, err
}

// Published notes actions that were published, or need it no more: Outbox lists them no more. Their
// rows leave the file with the next commit, which so saves a flush, or with RemovePublished;
// after a crash before that they are listed again.
func (s *Store) Published(keys [][]byte) { s.published.add(keys) }

// RemovePublished removes the rows noted by Published that no commit has taken along.
func (s *Store) RemovePublished() error {
	keys := s.published.all()
	if len(keys) == 0 {
		return nil
	}
	err := s.update(func(tx *bolt.Tx) error { return removeRows(tx.Bucket(bucketOutbox), keys) })
	if err != nil {
		return fmt.Errorf("clearing the outbox: %w", err)
	}
	s.published.remove(keys)
	return nil
}

func removeRows(b *bolt.Bucket, keys map[string]bool) error {
	for k := range keys {
		if err := deleteCounted(b, []byte(k)); err != nil {
			return err
		}
	}
	return nil
}

// keySet is a set of keys of rows.
type keySet struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (s *keySet) add(keys [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[string]bool{}
	}
	for _, k := range keys {
		s.keys[string(k)] = true
	}
}

// all is a copy of the set.
func (s *keySet) all() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.keys)
}

func (s *keySet) remove(keys map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range keys {
		delete(s.keys, k)
	}
}

func (s *keySet) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

// Rejects lists at most limit of the rejects for which keep is true (nil keeps all), newest first. Of all, the newest 10,000 are stored.
func (s *Store) Rejects(limit int, keep func(*pipeline.Reject) bool) ([]pipeline.Reject, error) {
	var out []pipeline.Reject
	err := s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketRejects).Cursor()
		for k, v := c.Last(); k != nil && len(out) < limit; k, v = c.Prev() {
			var r pipeline.Reject
			if err := load(v, &r); err != nil {
				return fmt.Errorf("reading a reject: %w", err)
			}
			if keep == nil || keep(&r) {
				out = append(out, r)
			}
		}
		return nil
	})
	return out, err
}

// Stats are numbers about the store.
type Stats struct {
	Findings int   // known fingerprints
	Cases    int   // open and closed
	Outbox   int   // actions to be published
	Rejects  int   // kept
	Touches  int   // last-seen times that lie over the records
	Bytes    int64 // of the file
}

// Stats counts without reading the records.
func (s *Store) Stats() (Stats, error) {
	var st Stats
	if err := s.remember(); err != nil {
		return st, err
	}
	s.mu.RLock()
	st.Findings, st.Touches = s.prints.n-len(s.graves), len(s.overlay.entries)
	s.mu.RUnlock()
	err := s.view(func(tx *bolt.Tx) error {
		st.Cases = int(tx.Bucket(bucketCases).Sequence())
		st.Outbox = int(tx.Bucket(bucketOutbox).Sequence()) - s.published.size()
		st.Rejects = int(tx.Bucket(bucketRejects).Sequence())
		return nil
	})
	if err != nil {
		return st, fmt.Errorf("counting state: %w", err)
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return st, fmt.Errorf("measuring the state file: %w", err)
	}
	st.Bytes = info.Size()
	return st, nil
}
