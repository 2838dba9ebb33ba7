package state

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// maxProblems is how many problems Check names before it only counts.
const maxProblems = 200

// checker gathers what does not agree.
type checker struct {
	*Snapshot
	problems []string
	more     int
	open     map[uint64]uint64 // finding -> the open case that it counts in
}

func (c *checker) problem(format string, args ...any) {
	if len(c.problems) >= maxProblems {
		c.more++
		return
	}
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// Check reads the whole file and names everything that does not agree, a line
// each: the file's own structure, then every pair of records that must say the
// same. A sound state gives none.
func (s *Store) Check() []string {
	p, err := s.View()
	if err != nil {
		return []string{err.Error()}
	}
	defer p.Close()
	c := &checker{Snapshot: p, open: map[uint64]uint64{}}
	for _, step := range []func() error{c.checkPages, c.checkFile} {
		if err := guard(step); err != nil {
			c.problem("%v", err)
		}
		if len(c.problems) > 0 {
			return c.problems // going on over damaged pages would not end well
		}
	}
	for _, step := range []func() error{
		c.checkCases, c.checkMembers, c.checkIndexes, c.checkGroups, c.checkFindings, c.checkAliases, c.checkRecords, c.checkTouches, c.checkOutbox, c.checkCounts,
	} {
		if err := guard(step); err != nil {
			c.problem("%v", err)
		}
	}
	if err := p.Err(); err != nil {
		c.problem("%v", err)
	}
	if c.more > 0 {
		c.problems = append(c.problems, fmt.Sprintf("and %d problems more", c.more))
	}
	return c.problems
}

// checkPages reads every row. bbolt's own check works in a goroutine of its own, where a read beyond the file ends the process.
func (c *checker) checkPages() error {
	for _, name := range allBuckets() {
		var last []byte
		err := c.scan(name, nil, func(k, v []byte) error {
			if last != nil && bytes.Compare(last, k) >= 0 {
				return fmt.Errorf("%w: keys of %q are not in order", ErrDamaged, name)
			}
			_ = bytes.Count(v, nil) // reads it to the end
			last = append(last[:0], k...)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkFile() error {
	for err := range c.tx.Check() {
		c.problem("file: %v", err)
	}
	return nil
}

func (c *checker) checkCases() error {
	return c.EachCase(0, func(x *triage.Case) bool {
		if x.Number >= c.meta.NextCase {
			c.problem("%s: its number is not given out yet (next is %d)", x.ID(), c.meta.NextCase)
		}
		have, err := decodeCaseKeys(c.get(bucketCaseIndex, key64(x.Number)))
		if err != nil {
			c.problem("%s: %v", x.ID(), err)
		}
		want := caseKeysOf(x)
		for _, k := range []struct {
			bucket     []byte
			have, want []byte
		}{{bucketDue, have.due, want.due}, {bucketReady, have.ready, want.ready}, {bucketHeld, have.held, want.held}, {bucketBusy, have.busy, want.busy}} {
			if !bytes.Equal(k.have, k.want) || k.want != nil && c.get(k.bucket, k.want) == nil {
				c.problem("%s: the index %q does not say what the case says", x.ID(), k.bucket)
			}
		}
		c.checkCaseMembers(x)
		return true
	})
}

// checkCaseMembers compares a case's counts with its members, and notes whose open case it is.
func (c *checker) checkCaseMembers(x *triage.Case) {
	var count [6]int
	suppressed := 0
	err := c.Members(x.Number, func(m triage.Member) bool {
		switch m.Status {
		case triage.Open:
			count[min(int(m.Priority), len(count)-1)]++
			if x.Open {
				if other := c.open[m.Seq]; other != 0 {
					c.problem("finding %d counts in two open cases, %s and %s", m.Seq, triage.CaseID(other), x.ID())
				}
				c.open[m.Seq] = x.Number
			}
		case triage.Suppressed:
			suppressed++
		}
		return true
	})
	if err != nil {
		c.problem("%v", err)
	}
	if count != x.Count || suppressed != x.Suppressed {
		c.problem("%s: it counts %v open and %d suppressed findings, its members are %v and %d", x.ID(), x.Count, x.Suppressed, count, suppressed)
	}
}

func (c *checker) checkMembers() error {
	var last uint64
	return c.scan(bucketMembers, nil, func(k, _ []byte) error {
		if len(k) != 16 {
			c.problem("members: key %x", k)
			return nil
		}
		if n := number(k[:8]); n != last {
			last = n
			if c.get(bucketCases, k[:8]) == nil {
				c.problem("%s has members but does not exist", triage.CaseID(n))
			}
		}
		return nil
	})
}

// checkIndexes looks for rows of the indexes that no case knows of.
func (c *checker) checkIndexes() error {
	for _, bucket := range [][]byte{bucketDue, bucketReady, bucketHeld, bucketBusy} {
		err := c.scan(bucket, nil, func(k, _ []byte) error {
			keys, err := decodeCaseKeys(c.get(bucketCaseIndex, key64(number(k))))
			if err != nil {
				return err
			}
			if !slices.ContainsFunc([][]byte{keys.due, keys.ready, keys.held, keys.busy}, func(have []byte) bool { return bytes.Equal(have, k) }) {
				c.problem("%s stands in the index %q under a key that it does not have", triage.CaseID(number(k)), bucket)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return c.scan(bucketCaseIndex, nil, func(k, _ []byte) error {
		if c.get(bucketCases, k) == nil {
			c.problem("%s has index keys but does not exist", triage.CaseID(number(k)))
		}
		return nil
	})
}

func (c *checker) checkGroups() error {
	return c.scan(bucketGroups, nil, func(k, v []byte) error {
		x, err := c.Case(number(v))
		switch {
		case err != nil:
			c.problem("%v", err)
		case x == nil:
			c.problem("a group's newest case %s does not exist", triage.CaseID(number(v)))
		case !bytes.Equal(k, nameKey(x.Key)) && !slices.ContainsFunc(x.Groups, func(g string) bool { return bytes.Equal(k, nameKey(g)) }):
			c.problem("%s is the newest case of a group that is not its own", x.ID())
		}
		return nil
	})
}

func (c *checker) checkFindings() error {
	return c.EachHot(0, func(h triage.Hot) bool {
		if h.Seq >= c.meta.NextSeq {
			c.problem("finding %d: its arrival number is not given out yet (next is %d)", h.Seq, c.meta.NextSeq)
		}
		if other, ok := c.Hot(h.Print); !ok || other.Seq != h.Seq {
			c.problem("finding %d: its fingerprint %s leads to finding %d", h.Seq, h.Print.Short(), other.Seq)
		}
		r, err := c.Record(h.Seq)
		switch {
		case err != nil:
			c.problem("%v", err)
		case r == nil:
			c.problem("finding %d has no record", h.Seq)
		case r.Print != h.Print || r.Case != h.Case || r.Member != h.Member:
			c.problem("finding %d: its record and its hot record differ", h.Seq)
		default:
			c.checkStanding(&h, r)
		}
		return true
	})
}

// checkStanding looks for an open finding that no open case counts, without a reason for it.
func (c *checker) checkStanding(h *triage.Hot, r *triage.Record) {
	open := slices.ContainsFunc(h.Reports, func(r triage.HotReport) bool { return r.Status == pipeline.StatusOpen })
	in := c.open[h.Seq]
	if h.Member == triage.Open && in != 0 && in != h.Case {
		c.problem("finding %d says %s, but %s counts it", h.Seq, triage.CaseID(h.Case), triage.CaseID(in))
	}
	if !open || in != 0 || r.SuppressedBy != "" || r.Unwatched {
		return
	}
	if h.Case == 0 {
		c.problem("finding %d is open, in no case and not suppressed", h.Seq)
		return
	}
	x, err := c.Case(h.Case)
	switch {
	case err != nil:
		c.problem("%v", err)
	case x == nil:
		c.problem("finding %d is open in %s, which does not exist", h.Seq, triage.CaseID(h.Case))
	case x.Open || x.Closed != triage.ClosedPerson:
		c.problem("finding %d is open, but %s does not count it", h.Seq, x.ID())
	}
}

func (c *checker) checkRecords() error {
	for _, bucket := range [][]byte{bucketRecords, bucketRaw} {
		err := c.scan(bucket, nil, func(k, _ []byte) error {
			if c.get(bucketHot, k) == nil {
				c.problem("finding %d stands in %q but is not known", number(k), bucket)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTouches looks for findings that were never given out; a purged one leaves its times behind until they are folded.
func (c *checker) checkTouches() error {
	return c.scan(bucketTouches, nil, func(k, v []byte) error {
		err := eachTouch(v, func(t touchKey, _ int64) {
			if t.seq == 0 || t.seq >= c.meta.NextSeq {
				c.problem("last-seen times, row %d: finding %d was never given out", number(k), t.seq)
			}
		})
		if err != nil {
			c.problem("last-seen times, row %d: %v", number(k), err)
		}
		return nil
	})
}

// checkOutbox looks for actions that no case issued. A row of an action that has ended is
// sound: it was published, but not yet removed when docket stopped.
func (c *checker) checkOutbox() error {
	return c.scan(bucketOutbox, nil, func(k, v []byte) error {
		var a pipeline.Action
		if err := load(v, &a); err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
		n := number(k[:min(8, len(k))])
		x, err := c.Case(n)
		if err != nil {
			return err
		}
		if x == nil {
			c.problem("outbox: action %d.%d of %s, which does not exist", a.N, a.K, a.Case)
			return nil
		}
		if e := x.Entries[a.Sink]; e == nil || e.N < a.N || e.N == a.N && e.K < a.K {
			c.problem("outbox: action %d.%d of %s in %s, which the case did not issue", a.N, a.K, a.Case, a.Sink)
		}
		return nil
	})
}

// checkCounts compares the numbers that are kept with what they count.
func (c *checker) checkCounts() error {
	for _, bucket := range [][]byte{bucketCases, bucketOutbox, bucketRejects} {
		var n uint64
		err := c.scan(bucket, nil, func(_, _ []byte) error {
			n++
			return nil
		})
		if err != nil {
			return err
		}
		if kept := c.tx.Bucket(bucket).Sequence(); kept != n {
			c.problem("%q holds %d rows, but %d are counted", bucket, n, kept)
		}
	}
	return nil
}
