package state

import (
	"bytes"
	"fmt"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// applyAliases writes which findings went by another fingerprint before. A fingerprint stays in the index as
// long as it leads anywhere: as a finding's own, or as a former one.
func (w *writer) applyAliases() error {
	aliases := w.bucket(bucketAliases)
	for print, seq := range w.cs.Aliases {
		if err := w.dropAlias(print); err != nil {
			return err
		}
		if seq == 0 {
			continue
		}
		if err := aliases.Put(print[:], versioned(key64(seq))); err != nil {
			return err
		}
		w.added = append(w.added, triage.Hot{Seq: seq, Print: print})
	}
	leads := w.removed[:0]
	for _, h := range w.removed {
		if !w.leads(h.Print, h.Seq) {
			leads = append(leads, h)
		}
	}
	w.removed = leads
	return nil
}

// dropAlias takes a former fingerprint off whatever finding it leads to.
func (w *writer) dropAlias(print pipeline.Fingerprint) error {
	aliases := w.bucket(bucketAliases)
	if v := aliases.Get(print[:]); v != nil {
		w.removed = append(w.removed, triage.Hot{Seq: number(v), Print: print})
		return aliases.Delete(print[:])
	}
	return nil
}

// purgeAliases takes the former fingerprints of a finding that goes out of the file.
func (w *writer) purgeAliases(r *triage.Record) error {
	for _, a := range r.Aliases {
		if number(w.bucket(bucketAliases).Get(a.Print[:])) != r.Seq {
			continue // it leads to another finding by now
		}
		if err := w.dropAlias(a.Print); err != nil {
			return err
		}
	}
	return nil
}

// leads reports whether a fingerprint leads to a finding in this transaction.
func (w *writer) leads(print pipeline.Fingerprint, seq uint64) bool {
	if v := w.bucket(bucketHot).Get(key64(seq)); len(v) >= hotPrintAt+32 && bytes.Equal(v[hotPrintAt:hotPrintAt+32], print[:]) {
		return true
	}
	return number(w.bucket(bucketAliases).Get(print[:])) == seq
}

// notIndexed leaves in w.added what the index does not have, so that a commit that fails takes nothing else out of it.
func (s *Store) notIndexed(w *writer) {
	if len(w.cs.Aliases) == 0 {
		return // a new finding's number is new too
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	fresh := w.added[:0]
	var buf [4]uint64
	for _, h := range w.added {
		known := false
		for _, seq := range s.prints.find(buf[:0], h.Print) {
			known = known || seq == h.Seq
		}
		if !known {
			fresh = append(fresh, h)
		}
	}
	w.added = fresh
}

// aliasOf is the finding that went by a fingerprint before; 0 for none.
func (p *Snapshot) aliasOf(print pipeline.Fingerprint) uint64 {
	return number(p.get(bucketAliases, print[:]))
}

// EachAlias calls fn for every former fingerprint and the arrival number of the finding that it leads to, until it returns false.
func (p *Snapshot) EachAlias(fn func(print pipeline.Fingerprint, seq uint64) bool) error {
	return p.scan(bucketAliases, nil, func(k, v []byte) error {
		if len(k) != 32 {
			return fmt.Errorf("%w: key of a former fingerprint", ErrDamaged)
		}
		return more(fn(pipeline.Fingerprint(k), number(v)))
	})
}

// checkAliases looks for former fingerprints that lead nowhere, or to a finding that does not say so.
func (c *checker) checkAliases() error {
	return c.EachAlias(func(print pipeline.Fingerprint, seq uint64) bool {
		r, err := c.Record(seq)
		switch {
		case err != nil:
			c.problem("%v", err)
		case r == nil:
			c.problem("the former fingerprint %s leads to finding %d, which is not known", print.Short(), seq)
		case !hasAlias(r, print):
			c.problem("finding %d does not say that it went by %s, which leads to it", seq, print.Short())
		}
		return true
	})
}

func hasAlias(r *triage.Record, print pipeline.Fingerprint) bool {
	for _, a := range r.Aliases {
		if a.Print == print {
			return true
		}
	}
	return false
}
