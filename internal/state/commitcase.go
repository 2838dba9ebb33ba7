package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/docket-hub/docket/pipeline/triage"
)

// caseKeys are the keys under which a case stands in due, ready, held and busy; nil where it does not.
type caseKeys struct{ due, ready, held, busy []byte }

func caseKeysOf(c *triage.Case) caseKeys {
	var k caseKeys
	if at := c.DueAt(); !at.IsZero() {
		k.due = dueKey(at, c.Number)
	}
	if c.Ready() {
		k.ready = key64(c.Number)
	}
	if c.Open && c.Held != "" {
		k.held = heldKey(c.Team, c.Priority, c.Opened, c.Number)
	}
	if !c.AtRest() || c.Stuck() {
		k.busy = key64(c.Number)
	}
	return k
}

func (k *caseKeys) encode(b []byte) []byte {
	b = append(b, valueVersion)
	for _, key := range [...][]byte{k.due, k.ready, k.held, k.busy} {
		b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	}
	return b
}

// decodeCaseKeys reads what encode wrote; no value is no keys. The keys are copies.
func decodeCaseKeys(v []byte) (caseKeys, error) {
	var k caseKeys
	if v == nil {
		return k, nil
	}
	r := reader{b: v}
	if err := r.version(); err != nil {
		return k, err
	}
	for _, key := range [...]*[]byte{&k.due, &k.ready, &k.held, &k.busy} {
		if b := r.bytes(r.uvarint()); len(b) > 0 {
			*key = slices.Clone(b)
		}
	}
	return k, r.end("index keys of a case")
}

func (w *writer) applyCases() error {
	for _, c := range w.cs.Cases {
		if err := w.putCase(c); err != nil {
			return fmt.Errorf("%s: %w", c.ID(), err)
		}
	}
	members := w.bucket(bucketMembers)
	for i := range w.cs.Members {
		m := &w.cs.Members[i]
		w.buf = appendMember(w.buf[:0], m)
		if err := members.Put(key64s(m.Case, m.Seq), w.keep(w.buf)); err != nil {
			return fmt.Errorf("finding %d in %s: %w", m.Seq, triage.CaseID(m.Case), err)
		}
	}
	return nil
}

func (w *writer) putCase(c *triage.Case) error {
	if c.Number == 0 {
		return errors.New("a case without number")
	}
	value, err := w.value(c)
	if err != nil {
		return err
	}
	if err := putCounted(w.bucket(bucketCases), key64(c.Number), value); err != nil {
		return err
	}
	return w.indexCase(c.Number, caseKeysOf(c), c.Team)
}

// indexCase makes the index buckets say what keys say.
func (w *writer) indexCase(n uint64, keys caseKeys, team string) error {
	number := key64(n)
	old, err := decodeCaseKeys(w.bucket(bucketCaseIndex).Get(number))
	if err != nil {
		return err
	}
	swap := func(bucket, was, is, value []byte) error {
		if string(was) == string(is) {
			return nil
		}
		b := w.bucket(bucket)
		if was != nil {
			if err := b.Delete(was); err != nil {
				return err
			}
		}
		if is == nil {
			return nil
		}
		return b.Put(is, value)
	}
	if err := errors.Join(
		swap(bucketDue, old.due, keys.due, []byte{valueVersion}),
		swap(bucketReady, old.ready, keys.ready, []byte{valueVersion}),
		swap(bucketHeld, old.held, keys.held, versioned([]byte(team))),
		swap(bucketBusy, old.busy, keys.busy, []byte{valueVersion}),
	); err != nil {
		return err
	}
	if keys.due == nil && keys.ready == nil && keys.held == nil && keys.busy == nil {
		return w.bucket(bucketCaseIndex).Delete(number)
	}
	w.buf = keys.encode(w.buf[:0])
	return w.putChanged(bucketCaseIndex, number, w.keep(w.buf))
}

func (w *writer) purgeCase(n uint64) error {
	cases := w.bucket(bucketCases)
	v := cases.Get(key64(n))
	if v == nil {
		return nil
	}
	var c triage.Case
	if err := load(v, &c); err != nil {
		return err
	}
	groups := w.bucket(bucketGroups)
	if key := nameKey(c.Key); number(groups.Get(key)) == n {
		if err := groups.Delete(key); err != nil {
			return err
		}
	}
	return errors.Join(
		deleteCounted(cases, key64(n)),
		w.indexCase(n, caseKeys{}, ""),
		w.deletePrefix(bucketMembers, key64(n)),
	)
}

func (w *writer) applyGroups() error {
	groups := w.bucket(bucketGroups)
	for key, n := range w.cs.Newest {
		if n == 0 {
			if err := groups.Delete(nameKey(key)); err != nil {
				return err
			}
			continue
		}
		if err := groups.Put(nameKey(key), versioned(key64(n))); err != nil {
			return err
		}
	}
	approvals := w.bucket(bucketApprovals)
	for key, plan := range w.cs.Approvals {
		if plan == "" {
			if err := approvals.Delete(nameKey(key)); err != nil {
				return err
			}
			continue
		}
		if err := approvals.Put(nameKey(key), versioned([]byte(plan))); err != nil {
			return err
		}
	}
	return nil
}
