package state

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline/triage"
)

// TestReadersSeeOneMoment reads snapshots while commits touch every finding,
// add and purge some: the last-seen time of each, and a case's revision, must be the one that belongs
// to the snapshot's own position.
func TestReadersSeeOneMoment(t *testing.T) {
	s := newStore(t)
	s.db.NoSync = true // nothing is killed here
	s.foldAfter, s.foldStep = 50, 7
	commit(t, s, findings(1, 1, 31))
	at := func(position uint64) int64 { return start.Add(time.Duration(position) * time.Second).UnixMilli() }
	next := func(position uint64) *triage.Changeset {
		cs := findings(position, 29+position, 30+position)
		cs.PurgedSeqs = []uint64{position - 1}
		cs.Hot[0].Reports[0].Observed = at(position)
		cs.Cases = []*triage.Case{{Number: 1, Rev: position}}
		for seq := position; seq < 29+position; seq++ {
			cs.Touches = append(cs.Touches, triage.Touch{Seq: seq, Key: keyOf(seq, 0), Observed: at(position)})
		}
		return cs
	}
	commit(t, s, next(2))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := readMoment(s, at); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for position := uint64(3); position < 300; position++ {
		if err := s.Commit(next(position)); err != nil {
			t.Errorf("Commit(%d) = %v; want no error", position, err)
			break
		}
	}
	close(done)
	readers.Wait()
}

func readMoment(s *Store, at func(position uint64) int64) error {
	p, err := s.View()
	if err != nil {
		return err
	}
	defer p.Close()
	position := p.Meta().Findings
	for seq := position - 1; seq <= 30+position; seq++ {
		h, ok := p.Hot(printOf(seq))
		if known := seq >= position && seq < 30+position; ok != known {
			return fmt.Errorf("Hot(finding %d) at position %d = %v; want %v", seq, position, ok, known)
		}
		if ok && h.Reports[0].Observed != at(position) {
			return fmt.Errorf("Hot(finding %d) at position %d observed at %d; want %d", seq, position, h.Reports[0].Observed, at(position))
		}
	}
	c, err := p.Case(1)
	if err != nil || c == nil || c.Rev != position {
		return fmt.Errorf("Case(1) at position %d = %+v, %v; want revision %d", position, c, err, position)
	}
	return p.Err()
}
