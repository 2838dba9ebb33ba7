package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline/triage"
)

// The prefixes of the keys that share a bucket.
const (
	byID      = 'i'
	byOrder   = 'o'
	byCase    = 'c'
	byFinding = 'f'
)

// Bounds of what is kept to look back.
const (
	keepInteractions = 100_000
	keepRejects      = 10_000
)

func (w *writer) applyInteractions() error {
	b := w.bucket(bucketInteractions)
	for _, id := range w.cs.Interactions {
		key := appendName([]byte{byID}, id)
		if b.Get(key) != nil {
			continue
		}
		n, err := b.NextSequence()
		if err != nil {
			return err
		}
		order := append([]byte{byOrder}, key64(n)...)
		if err := errors.Join(b.Put(key, versioned(order)), b.Put(order, versioned(key))); err != nil {
			return err
		}
		if n <= keepInteractions {
			continue
		}
		oldest := append([]byte{byOrder}, key64(n-keepInteractions)...)
		if id := b.Get(oldest); len(id) > 1 {
			if err := errors.Join(b.Delete(slices.Clone(id[1:])), b.Delete(oldest)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) applyOutbox() error {
	b := w.bucket(bucketOutbox)
	if err := removeRows(b, w.gone); err != nil {
		return err
	}
	for i := range w.cs.Outbox {
		a := &w.cs.Outbox[i]
		n, ok := triage.ParseCaseID(a.Case)
		if !ok || a.K < 0 {
			return fmt.Errorf("action %d.%d of case %q: not the name of an action", a.N, a.K, a.Case)
		}
		value, err := w.value(a)
		if err != nil {
			return err
		}
		if err := putCounted(b, outboxKey(n, a), value); err != nil {
			return err
		}
	}
	return nil
}

// putCounted keeps the number of rows in the bucket's sequence.
func putCounted(b *bolt.Bucket, key, value []byte) error {
	if b.Get(key) == nil {
		if err := b.SetSequence(b.Sequence() + 1); err != nil {
			return err
		}
	}
	return b.Put(key, value)
}

func deleteCounted(b *bolt.Bucket, key []byte) error {
	if b.Get(key) == nil {
		return nil
	}
	if err := b.SetSequence(b.Sequence() - 1); err != nil {
		return err
	}
	return b.Delete(key)
}

// applyAudit keeps a line under its case, and under its finding; where it has both, the finding's row names the case's.
func (w *writer) applyAudit() error {
	for i := range w.cs.Audit {
		a := &w.cs.Audit[i]
		line, err := w.value(a)
		if err != nil {
			return err
		}
		key := eventOrder(append([]byte{byCase}, key64(a.Case)...), w.position, a.Time, i, line)
		inFinding := eventOrder(append([]byte{byFinding}, key64(a.Finding)...), w.position, a.Time, i, line)
		if a.Finding == 0 || a.Case != 0 {
			if err := w.put(bucketAudit, key, line); err != nil {
				return err
			}
			line = append([]byte{valueVersion, pointer}, key...)
		}
		if a.Finding != 0 {
			if err := w.put(bucketAudit, inFinding, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// applyRejects keeps a record that was refused once, however often it is read: a later reading takes the place of the
// one before. Only a batch with rejects looks for these, and at the keys alone.
func (w *writer) applyRejects() error {
	if len(w.cs.Rejects) == 0 {
		return nil
	}
	b := w.bucket(bucketRejects)
	keys := make(map[rejectID][]byte, len(w.cs.Rejects))
	for i := range w.cs.Rejects {
		r := &w.cs.Rejects[i]
		id := rejectIDOf(r)
		value, err := w.value(r)
		if err != nil {
			return err
		}
		if before := keys[id]; before != nil {
			if err := deleteCounted(b, before); err != nil {
				return err
			}
		}
		keys[id] = rejectKey(w.position, r.Time, i, id)
		if err := putCounted(b, keys[id], value); err != nil {
			return err
		}
	}
	if err := dropEarlier(b, keys); err != nil {
		return err
	}
	for b.Sequence() > keepRejects {
		k, _ := b.Cursor().First()
		if k == nil {
			return b.SetSequence(0)
		}
		if err := deleteCounted(b, slices.Clone(k)); err != nil {
			return err
		}
	}
	return nil
}

// dropEarlier removes the rows of what lies under other keys now.
func dropEarlier(b *bolt.Bucket, keys map[rejectID][]byte) error {
	var earlier [][]byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if len(k) != rejectKeyBytes {
			continue
		}
		if now := keys[rejectID(k[len(k)-rejectIDBytes:])]; now != nil && !bytes.Equal(now, k) {
			earlier = append(earlier, slices.Clone(k))
		}
	}
	for _, k := range earlier {
		if err := deleteCounted(b, k); err != nil {
			return err
		}
	}
	return nil
}
