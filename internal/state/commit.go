package state

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/pipeline/triage"
)

// commitTrim is after how many of a commit's look-ups memory is looked at: beside the memoryWatch, which is at work meanwhile.
const commitTrim = 8 * lookupTrim

// writer applies one changeset within one transaction, and gathers what the memory learns from it.
type writer struct {
	packer
	s        *Store
	tx       *bolt.Tx
	cs       *triage.Changeset
	buckets  map[string]*bolt.Bucket
	buf      []byte
	looks    int64
	position uint64          // of the changeset: how many messages were applied in all
	row      uint64          // newest row of touches before this commit
	newRow   uint64          // the row of this commit; 0 for none
	added    []triage.Hot    // findings that are new to the index
	removed  []triage.Hot    // findings that leave it
	forget   []touchKey      // entries that leave the overlay
	gone     map[string]bool // rows of the outbox that were published
}

// Commit applies a changeset in one transaction; on an error nothing has
// changed. Applying it again while its positions are still the newest is the
// same as once (an action that was taken from the outbox meanwhile comes back).
// Positions below the stored ones are ErrStale. The caller must have closed
// its own Snapshot. The changeset may be read and committed again afterwards, but its cases, which the store
// keeps, must not be changed any more.
func (s *Store) Commit(cs *triage.Changeset) error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if s.readOnly {
		return ErrReadOnly
	}
	defer s.watch.work()()
	if err := s.commit(cs); err != nil {
		return fmt.Errorf("committing a changeset at findings %d, inputs %d: %w", cs.Meta.Findings, cs.Meta.Inputs, boltError(err))
	}
	return nil
}

func (s *Store) commit(cs *triage.Changeset) error {
	s.chooseFreeList()
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	w := &writer{packer: s.packer, s: s, tx: tx, cs: cs, buckets: map[string]*bolt.Bucket{}, position: cs.Meta.Findings + cs.Meta.Inputs, gone: s.published.all()}
	w.row = tx.Bucket(bucketTouches).Sequence()
	fold, err := w.apply()
	if err != nil {
		return err
	}
	// The index learns new findings first: a snapshot that does not have them
	// yet sees no record, while one that has them must find them.
	s.notIndexed(w)
	if err := s.index(w.added); err != nil {
		return err
	}
	s.forgetCases(cs)
	id := tx.ID()
	failpoint.Hit("state/commit")
	if err := tx.Commit(); err != nil {
		s.mu.Lock()
		for _, h := range w.added {
			s.prints.remove(h.Print, h.Seq)
		}
		s.mu.Unlock()
		return s.half(id, err)
	}
	if w.newRow > 0 {
		fold.logged += len(cs.Touches)
	}
	s.fold, s.packer = fold, w.packer.again()
	s.published.remove(w.gone)
	s.learn(w, id)
	return nil
}

func (s *Store) index(added []triage.Hot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, h := range added {
		if err := s.prints.add(h.Print, h.Seq); err != nil {
			for _, h := range added[:i] {
				s.prints.remove(h.Print, h.Seq)
			}
			return err
		}
	}
	return nil
}

// forgetCases takes the cases that a commit is about to change out of memory: a snapshot opened
// behind it, and before learn, must not take what was for what is.
func (s *Store) forgetCases(cs *triage.Changeset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range cs.Cases {
		s.cases.remove(c.Number)
	}
	for _, n := range cs.PurgedCases {
		s.cases.remove(n)
	}
}

// learn brings the memory up to what transaction id has committed.
func (s *Store) learn(w *writer, id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range w.cs.Cases {
		s.cases.put(c.Number, caseKnown{c, id}, casesKept)
	}
	s.graves = append(s.graves, w.removed...)
	s.buryGraves()
	for _, k := range w.forget {
		if _, ok := s.overlay.entries[k]; ok {
			delete(s.overlay.entries, k)
			s.overlay.shrunk = id
		}
	}
	if w.newRow > 0 {
		for _, t := range w.cs.Touches {
			s.overlay.add(touchKeyOf(t.Seq, t.Key), touch{t.Observed, w.newRow})
		}
		s.overlay.row = w.newRow
	}
}

// buryGraves takes purged findings out of the index once nobody can see them. s.mu is held.
func (s *Store) buryGraves() {
	if s.snapshots > 0 {
		return
	}
	for _, h := range s.graves {
		s.prints.remove(h.Print, h.Seq)
	}
	s.graves = nil
}

func (w *writer) bucket(name []byte) *bolt.Bucket {
	if w.looks++; w.looks == commitTrim { // what is changed is read first
		w.s.looked(w.tx, commitTrim)
		w.looks = 0
	}
	b := w.buckets[string(name)]
	if b == nil {
		b = w.tx.Bucket(name)
		if sequential(name) {
			b.FillPercent = 0.95
		}
		w.buckets[string(name)] = b
	}
	return b
}

// put stores a value that lives until the transaction ends.
func (w *writer) put(name, key, value []byte) error { return w.bucket(name).Put(key, value) }

func (w *writer) putJSON(name, key []byte, v any) error {
	value, err := w.value(v)
	if err != nil {
		return err
	}
	return w.put(name, key, value)
}

// putChanged is put, but leaves a page alone whose value is the same already.
func (w *writer) putChanged(name, key, value []byte) error {
	b := w.bucket(name)
	if bytes.Equal(b.Get(key), value) {
		return nil
	}
	return b.Put(key, value)
}

// versioned is a short value of its own.
func versioned(b []byte) []byte { return append([]byte{valueVersion}, b...) }

// deletePrefix deletes every key that begins with prefix.
func (w *writer) deletePrefix(name, prefix []byte) error { return deletePrefix(w.bucket(name), prefix) }

func deletePrefix(b *bolt.Bucket, prefix []byte) error {
	var keys [][]byte
	c := b.Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, slices.Clone(k))
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// apply writes the whole changeset. The order is that of triage.Layer.Apply.
func (w *writer) apply() (folding, error) {
	steps := []struct {
		what string
		do   func() error
	}{
		{"positions", w.applyHead},
		{"findings", w.applyFindings},
		{"cases", w.applyCases},
		{"purge", w.applyPurge},
		{"former fingerprints", w.applyAliases},
		{"groups", w.applyGroups},
		{"last-seen times", w.applyTouches},
		{"scopes", w.applyScopes},
		{"teams and suppressions", w.applyTeams},
		{"interactions", w.applyInteractions},
		{"outbox", w.applyOutbox},
		{"audit", w.applyAudit},
		{"rejects", w.applyRejects},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return folding{}, fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return w.foldSlice()
}

func (w *writer) applyHead() error {
	have, err := readHead(w.tx)
	if err != nil {
		return err
	}
	if m := &w.cs.Meta; m.Findings < have.Findings || m.Inputs < have.Inputs {
		return fmt.Errorf("%w: state is at findings %d, inputs %d", ErrStale, have.Findings, have.Inputs)
	}
	return w.putJSON(bucketMeta, keyHead, &w.cs.Meta)
}

func (w *writer) applyFindings() error {
	hot := w.bucket(bucketHot)
	for i := range w.cs.Hot {
		h := &w.cs.Hot[i]
		if h.Seq == 0 {
			return errors.New("a hot record without arrival number")
		}
		key := key64(h.Seq)
		known := false
		if old := hot.Get(key); old != nil {
			was, _, err := decodeHot(h.Seq, old)
			if err != nil {
				return err
			}
			if known = was.Print == h.Print; !known {
				w.removed = append(w.removed, was)
			}
			w.forgetTouches(&was)
		}
		w.forgetTouches(h)
		if !known {
			w.added = append(w.added, *h)
		}
		w.buf = appendHot(w.buf[:0], h, w.row)
		if err := w.put(bucketHot, key, w.keep(w.buf)); err != nil {
			return err
		}
	}
	for _, r := range w.cs.Records {
		if err := w.putRecord(r); err != nil {
			return fmt.Errorf("finding %d: %w", r.Seq, err)
		}
	}
	return nil
}

func (w *writer) forgetTouches(h *triage.Hot) {
	for i := range h.Reports {
		w.forget = append(w.forget, touchKeyOf(h.Seq, h.Reports[i].Key))
	}
}

func (w *writer) putRecord(r *triage.Record) error {
	key := key64(r.Seq)
	if err := w.putJSON(bucketRecords, key, r); err != nil {
		return err
	}
	if len(r.Raw) == 0 {
		return w.bucket(bucketRaw).Delete(key)
	}
	w.buf = appendRaw(w.buf[:0], r.Raw)
	return w.putChanged(bucketRaw, key, w.pack(w.buf))
}

// applyPurge forgets cases with their members, and findings with what points to them. Audit lines have an age of their own.
func (w *writer) applyPurge() error {
	for _, n := range w.cs.PurgedCases {
		if err := w.purgeCase(n); err != nil {
			return fmt.Errorf("%s: %w", triage.CaseID(n), err)
		}
	}
	for _, seq := range w.cs.PurgedSeqs {
		if err := w.purgeFinding(seq); err != nil {
			return fmt.Errorf("finding %d: %w", seq, err)
		}
	}
	return nil
}

func (w *writer) purgeFinding(seq uint64) error {
	key := key64(seq)
	if v := w.bucket(bucketHot).Get(key); v != nil {
		h, _, err := decodeHot(seq, v)
		if err != nil {
			return err
		}
		w.removed = append(w.removed, h)
		w.forgetTouches(&h)
	}
	if v := w.bucket(bucketRecords).Get(key); v != nil {
		var r triage.Record
		if err := load(v, &r); err != nil {
			return err
		}
		if err := w.purgeAliases(&r); err != nil {
			return err
		}
		for i := range r.Reports {
			if err := w.deletePrefix(bucketScopeReports, nameSeqKey(r.Reports[i].Scope, seq)); err != nil {
				return err
			}
		}
		for _, scope := range r.Also {
			if err := w.deletePrefix(bucketScopeReports, nameSeqKey(scope, seq)); err != nil {
				return err
			}
		}
		if err := w.bucket(bucketSuppressed).Delete(nameSeqKey(r.SuppressedBy, seq)); err != nil {
			return err
		}
	}
	for _, name := range [...][]byte{bucketHot, bucketRecords, bucketRaw} {
		if err := w.bucket(name).Delete(key); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) applyTouches() error {
	if len(w.cs.Touches) == 0 {
		return nil
	}
	touches := w.cs.Touches
	order := func(a, b triage.Touch) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), bytes.Compare(a.Key[:], b.Key[:]))
	}
	if !slices.IsSortedFunc(touches, order) {
		touches = slices.SortedFunc(slices.Values(touches), order)
	}
	row, err := w.bucket(bucketTouches).NextSequence()
	if err != nil {
		return err
	}
	w.newRow = row
	w.buf = appendTouches(w.buf[:0], touches)
	return w.put(bucketTouches, key64(row), w.keep(w.buf))
}

func (w *writer) applyScopes() error {
	for i := range w.cs.SeenEnded {
		e := &w.cs.SeenEnded[i]
		if err := w.deletePrefix(bucketSeen, seenPrefix(e.Read, e.Scope)); err != nil {
			return err
		}
	}
	for i := range w.cs.Seen {
		s := &w.cs.Seen[i]
		if s.Count < 0 {
			return fmt.Errorf("read %q of scope %q: count %d", s.Read, s.Scope, s.Count)
		}
		w.buf = appendSeen(w.buf[:0], s)
		// The position makes a replay meet its own row.
		key := append(seenPrefix(s.Read, s.Scope), key64(w.position)...)
		if err := w.put(bucketSeen, key, w.keep(w.buf)); err != nil {
			return err
		}
	}
	for i := range w.cs.Scopes {
		if err := w.putJSON(bucketScopes, nameKey(w.cs.Scopes[i].Name), &w.cs.Scopes[i]); err != nil {
			return err
		}
	}
	for _, r := range w.cs.ScopePut {
		if err := w.putChanged(bucketScopeReports, scopeReportKey(r.Scope, r.Seq, r.Key), []byte{valueVersion}); err != nil {
			return err
		}
	}
	for _, r := range w.cs.ScopeDel {
		if err := w.bucket(bucketScopeReports).Delete(scopeReportKey(r.Scope, r.Seq, r.Key)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) applyTeams() error {
	for i := range w.cs.Teams {
		if err := w.putJSON(bucketTeams, nameKey(w.cs.Teams[i].Name), &w.cs.Teams[i]); err != nil {
			return err
		}
	}
	for i := range w.cs.Suppressions {
		if err := w.putJSON(bucketSuppressions, nameKey(w.cs.Suppressions[i].Name), &w.cs.Suppressions[i]); err != nil {
			return err
		}
	}
	for _, name := range w.cs.Unsuppressed {
		if err := w.bucket(bucketSuppressions).Delete(nameKey(name)); err != nil {
			return err
		}
	}
	for _, h := range w.cs.Held {
		key := nameSeqKey(h.Suppression, h.Seq)
		if !h.On {
			if err := w.bucket(bucketSuppressed).Delete(key); err != nil {
				return err
			}
		} else if err := w.putChanged(bucketSuppressed, key, []byte{valueVersion}); err != nil {
			return err
		}
	}
	return nil
}
