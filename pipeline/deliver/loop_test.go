package deliver_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

func TestDeliverPlain(t *testing.T) {
	bubble(t, func(w *world) {
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		w.settled()
		w.queue.publish(action(2, 4, pipeline.Ref{ID: "id1"}))
		w.settled()
		time.Sleep(time.Second)
		if !p.loop.Idle() {
			t.Errorf("Idle() = false with an empty queue; want true: %+v", p.loop.Status())
		}
		p.stop()
		w.wantRecords(1, 4)
		want := []pipeline.Outcome{
			{Case: "DK-1", Sink: "jira", N: 1, Attempt: 1, Gen: 1, Key: ticketKey, Rev: 1, Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: "id1", Key: "id1"}, Created: true},
			{Case: "DK-1", Sink: "jira", N: 2, Attempt: 1, Gen: 1, Key: ticketKey, Rev: 4, Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: "id1", Key: "id1"}},
		}
		got := w.outcomes.list()
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("outcomes = %+v; want %+v", got, want)
		}
		if w.tracker.lookCount() != 0 {
			t.Errorf("looks = %d for sure actions; want 0", w.tracker.lookCount())
		}
	})
}

// Every step at which a process can die, and a new one on the same claims file.
func TestCrashAtEveryStep(t *testing.T) {
	steps := []string{"swap 1", "read 1", "read 2", "apply 1", "swap 2", "publish 1", "done 1"}
	for _, kind := range []string{"create", "update", "create, answer lost"} {
		for _, onlyOne := range []bool{true, false} {
			for _, side := range []string{"before ", "after "} {
				for _, step := range steps {
					t.Run(fmt.Sprintf("%s/alone %v/%s%s", kind, onlyOne, side, step), func(t *testing.T) {
						bubble(t, func(w *world) { crashOnce(w, kind, onlyOne, side+step) })
					})
				}
			}
		}
	}
}

func crashOnce(w *world, kind string, onlyOne bool, at string) {
	w.tracker.lag = 55 * time.Second
	rev := uint64(1)
	switch kind {
	case "update":
		w.tracker.records = []*record{{ref: pipeline.Ref{ID: "id1"}, key: action(1, 1, pipeline.Ref{}).Ticket.Key}}
		w.put(deliver.Claim{N: 1, Att: 1, Done: true})
		rev = 2
		w.queue.publish(action(2, rev, pipeline.Ref{ID: "id1"}))
	case "create, answer lost":
		w.tracker.fault = once(1, fault{loseAfter: true})
		fallthrough
	default:
		w.queue.publish(action(1, rev, pipeline.Ref{}))
	}
	one := func(_ *process, o *deliver.Options) { o.Alone = onlyOne }
	a := w.start("p1", one, crashing(at))
	<-a.ended
	w.close()
	w.open()
	b := w.start("p2", one)
	w.settled()
	b.stop()
	w.wantRecords(1, rev)
	if c := w.claim(); !c.Done {
		w.t.Errorf("claim = %+v; want done", c)
	}
	got := w.outcomes.results()
	if len(got) == 0 || slices.ContainsFunc(got, func(r pipeline.OutcomeResult) bool { return r != pipeline.OutcomeDone }) {
		w.t.Errorf("outcomes = %v; want done, once or more", got)
	}
}

// The context of a call under way is not cut off by a stop; what waits is given back at once.
func TestStop(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = func(call int) fault {
			return map[int]fault{1: {sleep: 5 * time.Second}, 2: {loseBefore: true}}[call]
		}
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		time.Sleep(time.Second)
		p.stop()
		w.wantRecords(1, 1)
		w.wantResults(pipeline.OutcomeDone)

		w.queue.publish(action(2, 2, pipeline.Ref{ID: "id1"}))
		p = w.start("p2")
		time.Sleep(2 * time.Second) // its answer is lost; it waits for grace
		began := time.Now()
		p.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("stopping while waiting took %s; want at once", took)
		}
		if c := w.claim(); c.Done || c.Holder != "" || c.Clean {
			t.Errorf("claim = %+v; want given back, not clean", c)
		}
		p = w.start("p3")
		w.settled()
		p.stop()
		w.wantRecords(1, 2)
	})
}

func TestRunOnce(t *testing.T) {
	bubble(t, func(w *world) {
		p := w.start("p1")
		p.stop()
		for i := range 20 {
			a := action(1, 1, pipeline.Ref{})
			a.Case = fmt.Sprint("DK-", i)
			a.Ticket.Key = a.Case
			w.queue.publish(a)
		}
		total := 0
		for w.queue.left() > 0 {
			n, err := p.loop.RunOnce(context.Background())
			if err != nil || n > 15 {
				t.Fatalf("RunOnce() = %d, %v; want at most 15, nil", n, err)
			}
			total += n
		}
		if n, err := p.loop.RunOnce(context.Background()); n != 0 || err != nil || !p.loop.Idle() {
			t.Errorf("RunOnce() = %d, %v with nothing left, Idle() = %v; want 0, nil, true", n, err, p.loop.Idle())
		}
		if total != 20 || w.queue.left() != 0 {
			t.Errorf("worked on %d with %d left; want 20, 0", total, w.queue.left())
		}
		w.wantRecords(20, 1)
	})
}

// An attempt that began unsure gives back an unsure claim, although its own request was refused.
func TestLimitedBeginningUnsureIsNotClean(t *testing.T) {
	bubble(t, func(w *world) {
		w.put(deliver.Claim{N: 1, Att: 1})
		w.tracker.fault = once(1, fault{err: pipeline.RetryAfter(errAnswer, time.Second)})
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		w.settled()
		p.stop()
		w.wantRecords(1, 1)
		if got := w.tracker.lookCount(); got != 8 {
			t.Errorf("looks = %d; want 8: the second attempt looks as the first did", got)
		}
	})
}

func TestLimitedBeginningSureIsClean(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = once(1, fault{err: pipeline.RetryAfter(errAnswer, 45*time.Second)})
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		began := time.Now()
		time.Sleep(time.Second)
		if c := w.claim(); !c.Clean {
			t.Errorf("claim = %+v; want clean", c)
		}
		if n, until := p.loop.Waiting(); n != 1 || until.Sub(began) < 44*time.Second {
			t.Errorf("Waiting() = %d, %s; want 1, in 45s", n, until.Sub(began))
		}
		w.settled()
		if waited := time.Since(began); waited < 45*time.Second || waited > 50*time.Second {
			t.Errorf("delivered after %s; want 45s to 50s", waited)
		}
		p.stop()
		w.wantRecords(1, 1)
		if w.tracker.lookCount() != 0 {
			t.Errorf("looks = %d; want 0", w.tracker.lookCount())
		}
	})
}

// A later action takes the claim between take and check: the check sees it, within every deadline.
func TestClaimLostBeforeTheCheck(t *testing.T) {
	bubble(t, func(w *world) {
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		a := w.start("p1", oneCall, func(p *process, _ *deliver.Options) {
			p.freeze = func(step string) time.Duration {
				if step == "read 2" {
					return 5 * time.Second
				}
				return 0
			}
		})
		time.Sleep(time.Second)
		w.queue.publish(action(2, 2, pipeline.Ref{}))
		b := w.start("p2")
		w.settled()
		a.stop()
		b.stop()
		w.wantRecords(1, 2)
		if got := w.tracker.writeCount(); got != 1 {
			t.Errorf("writes = %d; want 1: the first worker lets go", got)
		}
		w.wantResults(pipeline.OutcomeDone)
		if got := a.loop.Status().Attempts["lost_claim"]; got != 1 {
			t.Errorf("Attempts[lost_claim] = %d; want 1", got)
		}
	})
}
