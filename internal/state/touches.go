package state

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline/triage"
)

// touchKey names a report of a finding by the first eight bytes of its key.
type touchKey struct{ seq, key uint64 }

// touch is the newest last-seen time, and the row that brought it.
type touch struct {
	observed int64 // unix milliseconds
	row      uint64
}

// overlay lies over the hot records: an entry counts where its row is newer than the record's own mark.
type overlay struct {
	entries map[touchKey]touch
	row     uint64 // newest row in it
	// shrunk is the newest transaction after which entries left it. Snapshots of older ones read the rows themselves.
	shrunk int
}

func touchKeyOf(seq uint64, key [16]byte) touchKey {
	return touchKey{seq, binary.BigEndian.Uint64(key[:8])}
}

func (o *overlay) add(k touchKey, t touch) {
	if have, ok := o.entries[k]; ok {
		t.observed = max(t.observed, have.observed)
	}
	o.entries[k] = t
}

// apply raises the last-seen times of h, whose record holds the rows up to touched.
func (o *overlay) apply(h *triage.Hot, touched uint64) (changed bool) {
	for i := range h.Reports {
		r := &h.Reports[i]
		if t, ok := o.entries[touchKeyOf(h.Seq, r.Key)]; ok && t.row > touched && t.observed > r.Observed {
			r.Observed, changed = t.observed, true
		}
	}
	return changed
}

// appendTouches packs the touches of one commit, which must be in order of arrival number.
func appendTouches(b []byte, touches []triage.Touch) []byte {
	b = append(b, valueVersion)
	b = binary.AppendUvarint(b, uint64(len(touches)))
	var seq uint64
	var observed int64
	for i := range touches {
		t := &touches[i]
		b = binary.AppendUvarint(b, t.Seq-seq)
		b = append(b, t.Key[:8]...)
		b = binary.AppendVarint(b, t.Observed-observed)
		seq, observed = t.Seq, t.Observed
	}
	return b
}

// eachTouch reads what appendTouches wrote.
func eachTouch(v []byte, fn func(k touchKey, observed int64)) error {
	r := reader{b: v}
	if err := r.version(); err != nil {
		return err
	}
	var k touchKey
	var observed int64
	for n := r.count(10); n > 0; n-- {
		k.seq += r.uvarint()
		k.key = r.uint64()
		observed += r.varint()
		if !r.bad {
			fn(k, observed)
		}
	}
	return r.end("row of last-seen times")
}

// loadTouches builds the overlay of a transaction from its rows, and counts what stands in them.
func (s *Store) loadTouches(tx *bolt.Tx) (overlay, int, error) {
	b := tx.Bucket(bucketTouches)
	o := overlay{entries: map[touchKey]touch{}, row: b.Sequence()}
	logged := 0
	marks := map[uint64]uint64{}
	err := eachTouchRow(b, func(_ uint64, k touchKey, _ int64) {
		logged++
		marks[k.seq] = ^uint64(0) // nothing counts for a purged finding
	})
	if err != nil || logged == 0 {
		return o, 0, err
	}
	if err := s.loadMarks(tx, marks); err != nil {
		return o, 0, err
	}
	err = eachTouchRow(b, func(row uint64, k touchKey, observed int64) {
		if row > marks[k.seq] {
			o.add(k, touch{observed, row})
		}
	})
	return o, logged, err
}

// loadMarks reads up to which row each finding's record holds its times.
func (s *Store) loadMarks(tx *bolt.Tx, marks map[uint64]uint64) error {
	hot := tx.Bucket(bucketHot)
	// In order, neighbours share their pages.
	for _, seq := range slices.Sorted(maps.Keys(marks)) {
		v := hot.Get(key64(seq))
		s.looked(tx, 1)
		if v == nil {
			continue
		}
		_, touched, err := decodeHot(seq, v)
		if err != nil {
			return err
		}
		marks[seq] = touched
	}
	return nil
}

func eachTouchRow(b *bolt.Bucket, fn func(row uint64, k touchKey, observed int64)) error {
	return b.ForEach(func(key, v []byte) error {
		row := number(key)
		if err := eachTouch(v, func(k touchKey, observed int64) { fn(row, k, observed) }); err != nil {
			return fmt.Errorf("reading last-seen times, row %d: %w", row, err)
		}
		return nil
	})
}

// folding moves last-seen times from the rows into the records, a slice with each commit.
type folding struct {
	logged  int        // touches in rows written since the current round began
	running bool       // a round is under way
	queue   []touchKey // what is left of it, in order of arrival number
	upTo    uint64     // newest row of the round; deleted with all before it when the queue is empty
}

// startFolding begins a round when enough has gathered.
func (s *Store) startFolding() {
	if s.fold.running || s.fold.logged < s.foldAfter {
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	f := folding{running: true, upTo: s.overlay.row, queue: make([]touchKey, 0, len(s.overlay.entries))}
	for k := range s.overlay.entries {
		f.queue = append(f.queue, k)
	}
	slices.SortFunc(f.queue, func(a, b touchKey) int {
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.key, b.key))
	})
	s.fold = f
}

// foldSlice folds the next findings of a round, or deletes the rows of one
// whose findings are all folded. It returns the round as it stands once the transaction is committed.
func (w *writer) foldSlice() (folding, error) {
	s := w.s
	s.startFolding()
	f := s.fold
	if !f.running {
		return f, nil
	}
	if len(f.queue) > 0 {
		n := min(s.foldStep, len(f.queue))
		for n < len(f.queue) && f.queue[n].seq == f.queue[n-1].seq {
			n++ // a finding is folded whole
		}
		slice := f.queue[:n]
		f.queue = f.queue[n:]
		w.forget = append(w.forget, slice...)
		return f, w.foldFindings(slice)
	}
	rows := w.bucket(bucketTouches)
	var keys [][]byte
	c := rows.Cursor()
	for k, _ := c.First(); k != nil && number(k) <= f.upTo && len(keys) < s.foldStep; k, _ = c.Next() {
		keys = append(keys, slices.Clone(k))
	}
	for _, k := range keys {
		if err := rows.Delete(k); err != nil {
			return f, err
		}
	}
	if len(keys) < s.foldStep {
		f = folding{logged: f.logged}
	}
	return f, nil
}

func (w *writer) foldFindings(slice []touchKey) error {
	hot := w.bucket(bucketHot)
	var last uint64
	for _, k := range slice {
		if k.seq == last {
			continue
		}
		last = k.seq
		key := key64(k.seq)
		v := hot.Get(key)
		if v == nil {
			continue // purged
		}
		h, touched, err := decodeHot(k.seq, v)
		if err != nil {
			return err
		}
		w.s.mu.RLock()
		changed := w.s.overlay.apply(&h, touched)
		w.s.mu.RUnlock()
		if !changed {
			continue
		}
		if err := w.put(bucketHot, key, w.keep(appendHot(w.buf[:0], &h, w.row))); err != nil {
			return err
		}
	}
	return nil
}
