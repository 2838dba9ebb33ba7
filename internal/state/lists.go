package state

import (
	"errors"
	"fmt"
	"time"

	"github.com/docket-hub/docket/pipeline/triage"
)

// errEnough ends a scan early.
var errEnough = errors.New("enough")

func (p *Snapshot) scan(bucket, from []byte, fn func(k, v []byte) error) error {
	if err := p.s.scan(p.tx, bucket, from, fn); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

func more(ok bool) error {
	if ok {
		return nil
	}
	return errEnough
}

// EachHot calls fn for every finding from an arrival number on, in order, until it returns false.
func (p *Snapshot) EachHot(from uint64, fn func(triage.Hot) bool) error {
	if err := p.s.remember(); err != nil {
		return err
	}
	return p.scan(bucketHot, key64(from), func(k, v []byte) error {
		h, touched, err := decodeHot(number(k), v)
		if err == nil {
			err = p.touch(&h, touched)
		}
		if err != nil {
			return err
		}
		return more(fn(h))
	})
}

// EachRecord calls fn for every finding's record, without Raw, from an arrival
// number on, in order, until it returns false. fn owns the record.
func (p *Snapshot) EachRecord(from uint64, fn func(*triage.Record) bool) error {
	return p.scan(bucketRecords, key64(from), func(k, v []byte) error {
		r := &triage.Record{}
		if err := load(v, r); err != nil {
			return fmt.Errorf("reading finding %d: %w", number(k), err)
		}
		return more(fn(r))
	})
}

// EachBusy calls fn for every case that something is under way, wanted or stuck of, in order, until it
// returns false. fn owns the case.
func (p *Snapshot) EachBusy(fn func(*triage.Case) bool) error {
	var err error
	p.each(bucketBusy, nil, func(k, _ []byte) bool {
		var c *triage.Case
		if c, err = p.Case(number(k)); err != nil {
			return false
		}
		return c == nil || fn(c)
	})
	return err
}

// EachCase calls fn for every case, open and closed, from a number on, in order, until it returns false. fn owns the case.
func (p *Snapshot) EachCase(from uint64, fn func(*triage.Case) bool) error {
	return p.scan(bucketCases, key64(from), func(k, v []byte) error {
		c := &triage.Case{}
		if err := load(v, c); err != nil {
			return fmt.Errorf("reading %s: %w", triage.CaseID(number(k)), err)
		}
		return more(fn(c))
	})
}

// FindByID lists the arrival numbers of the findings with a report whose id has that hash. It reads every finding.
func (p *Snapshot) FindByID(idHash uint64) ([]uint64, error) {
	var out []uint64
	err := p.scan(bucketHot, nil, func(k, v []byte) error {
		h, _, err := decodeHot(number(k), v)
		if err != nil {
			return err
		}
		for i := range h.Reports {
			if h.Reports[i].IDHash == idHash {
				out = append(out, h.Seq)
				break
			}
		}
		return nil
	})
	return out, err
}

// Scopes lists every scope that is known, in no promised order.
func (p *Snapshot) Scopes() ([]triage.Scope, error) {
	var out []triage.Scope
	err := p.scan(bucketScopes, nil, func(_, v []byte) error {
		var s triage.Scope
		if err := load(v, &s); err != nil {
			return fmt.Errorf("reading a scope: %w", err)
		}
		out = append(out, s)
		return nil
	})
	return out, err
}

// Audit is the story of a case, oldest first; 0 gives the lines that are about no case.
func (p *Snapshot) Audit(number uint64) ([]triage.Audit, error) {
	return p.audit(append([]byte{byCase}, key64(number)...))
}

// AuditFinding is the story of a finding by its arrival number, oldest first, whichever cases it was in.
func (p *Snapshot) AuditFinding(seq uint64) ([]triage.Audit, error) {
	return p.audit(append([]byte{byFinding}, key64(seq)...))
}

func (p *Snapshot) audit(prefix []byte) ([]triage.Audit, error) {
	var out []triage.Audit
	var err error
	p.each(bucketAudit, prefix, func(_, v []byte) bool {
		if key, ok := pointed(v); ok {
			if v = p.get(bucketAudit, key); v == nil {
				return true // grown too old
			}
		}
		var a triage.Audit
		if err = load(v, &a); err != nil {
			err = fmt.Errorf("reading the story: %w", err)
			return false
		}
		out = append(out, a)
		return true
	})
	return out, err
}

// pointed is the key that a row of a finding's story names instead of a line.
func pointed(v []byte) ([]byte, bool) {
	if len(v) < 2 || v[0] != valueVersion || v[1] != pointer {
		return nil, false
	}
	return v[2:], true
}

// auditTime is the instant in a key of the audit bucket.
func auditTime(k []byte) (time.Time, bool) {
	if len(k) != 1+8+eventOrderBytes {
		return time.Time{}, false
	}
	return instant(k[1+8+8:]), true
}
