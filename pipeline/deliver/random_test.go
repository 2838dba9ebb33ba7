package deliver_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// TestRandomFaults runs cases through three revisions each, with two
// processes, deaths and restarts at any time, messages published again at any time
// and every fault of the tracker, all within grace and lag: one record a case, with the last revision.
func TestRandomFaults(t *testing.T) {
	seeds := uint64(10)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(w *world) { randomRun(w, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

const (
	randomCases = 6
	lastRev     = 3
)

func randomRun(w *world, r *rand.Rand) {
	var mu sync.Mutex
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return r.IntN(n)
	}
	seconds := func(n int) time.Duration { return time.Duration(draw(n*1000)) * time.Millisecond }
	calm := false // no new faults, so that the run ends
	w.tracker.lag = seconds(60)
	w.tracker.fault = func(int) fault {
		if calm {
			return fault{}
		}
		switch draw(12) {
		case 0:
			return fault{loseAfter: true}
		case 1:
			return fault{loseBefore: true}
		case 2:
			return fault{err: pipeline.RetryAfter(errAnswer, seconds(30))}
		case 3:
			return fault{err: errAnswer}
		case 4:
			return fault{late: seconds(50)}
		case 5:
			return fault{sleep: seconds(50)}
		case 6:
			return fault{partly: pipeline.Unsure(errAnswer)}
		}
		return fault{}
	}
	w.tracker.refuse = func(int) error {
		if !calm && draw(3) == 0 {
			return pipeline.Unsure(errAnswer)
		}
		return nil
	}
	tri := newTriage(w)
	a, b := w.start("a"), w.start("b")
	for i := range 60 {
		time.Sleep(seconds(60))
		tri.step(draw(4) == 0)
		switch draw(6) {
		case 0:
			_ = a.die()
			<-a.ended
			a = w.start(fmt.Sprint("a", i))
		case 1:
			b.stop()
			b = w.start(fmt.Sprint("b", i))
		}
	}
	w.tracker.mu.Lock()
	calm = true
	w.tracker.mu.Unlock()
	for range 600 {
		time.Sleep(10 * time.Second)
		if tri.step(false); w.queue.left() == 0 && tri.over() {
			break
		}
	}
	time.Sleep(2 * time.Minute) // nothing may land late
	a.stop()
	b.stop()
	records := map[string]record{}
	for _, rec := range w.tracker.all() {
		if _, twice := records[rec.key]; twice {
			w.t.Errorf("%s has two records", rec.key)
		}
		records[rec.key] = rec
	}
	for key, e := range tri.entries {
		if e.done != lastRev || records[key].rev != lastRev {
			w.t.Errorf("%s: done up to %d, record %+v; want revision %d", key, e.done, records[key], lastRev)
		}
	}
}

// triageModel issues the next action of a case once the one before it is done, as triage does.
type triageModel struct {
	w       *world
	read    int // outcomes applied
	entries map[string]*modelEntry
}

type modelEntry struct {
	caseID string
	done   uint64
	ref    pipeline.Ref
}

func newTriage(w *world) *triageModel {
	tri := &triageModel{w: w, entries: map[string]*modelEntry{}}
	for i := range randomCases {
		e := &modelEntry{caseID: fmt.Sprint("DK-", i)}
		tri.entries["key-"+e.caseID] = e
		tri.issue(e)
	}
	return tri
}

func (tri *triageModel) issue(e *modelEntry) {
	a := action(e.done+1, e.done+1, e.ref)
	a.Case, a.Ticket.Key = e.caseID, "key-"+e.caseID
	tri.w.queue.publish(a)
}

// over reports that each case has its last revision.
func (tri *triageModel) over() bool {
	for _, e := range tri.entries {
		if e.done < lastRev {
			return false
		}
	}
	return true
}

// step applies the outcomes since the last step; again publishes what is in flight once more.
func (tri *triageModel) step(again bool) {
	all := tri.w.outcomes.list()
	for _, o := range all[tri.read:] {
		e := tri.entries["key-"+o.Case]
		switch {
		case o.Result == pipeline.OutcomeSighted || o.N != e.done+1:
			if !e.ref.IsZero() && o.Ref.ID != e.ref.ID {
				tri.w.t.Errorf("%s: outcome %+v names a record other than %s", o.Case, o, e.ref.ID)
			}
		case o.Result == pipeline.OutcomeDone:
			e.done, e.ref = o.N, o.Ref
			if e.done < lastRev {
				tri.issue(e)
			}
		default:
			tri.w.t.Errorf("%s: outcome %+v; want done", o.Case, o)
		}
	}
	tri.read = len(all)
	if again {
		for _, e := range tri.entries {
			if e.done < lastRev {
				tri.issue(e)
			}
		}
	}
}
