package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

// Each row of the table of claims, through the loop: what is written, looked up and reported.
func TestClaimTable(t *testing.T) {
	stored := &pipeline.Outcome{Case: "DK-1", Sink: "jira", N: 2, Attempt: 1, Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: "id7"}}
	lease, grace, all := 30*time.Second, 60*time.Second, 120*time.Second
	for _, c := range []struct {
		name    string
		claim   deliver.Claim // zero: none
		n       uint64
		alone   bool
		writes  int
		looks   int
		after   time.Duration // at the earliest
		outcome string        // results, joined
		att     int           // of the claim at the end
	}{
		{"higher n: dropped", deliver.Claim{N: 3, Att: 1, Holder: "x"}, 2, false, 0, 0, 0, "[]", 1},
		{"same n, done: repeated", deliver.Claim{N: 2, Att: 1, Done: true, Outcome: stored}, 2, false, 0, 0, 0, "[done]", 1},
		{"same n, done, rebuilt: nothing to repeat", deliver.Claim{N: 2, Att: 1, Done: true}, 2, false, 0, 0, 0, "[]", 1},
		{"same n, held: lease, then unsure", deliver.Claim{N: 2, Att: 1, Holder: "x"}, 2, false, 1, 4, lease + all, "[done]", 2},
		{"same n, former self: unsure at once", deliver.Claim{N: 2, Att: 4, Holder: "p0.1/1"}, 2, true, 1, 4, all, "[done]", 5},
		{"same n, given back: unsure at once", deliver.Claim{N: 2, Att: 1}, 2, false, 1, 4, all, "[done]", 2},
		{"same n, given back clean: sure", deliver.Claim{N: 2, Att: 1, Clean: true}, 2, false, 1, 0, 0, "[done]", 2},
		{"same n, the record known: grace only", deliver.Claim{N: 2, Att: 1, Ref: pipeline.Ref{ID: "id1"}}, 2, false, 1, 0, grace, "[done]", 2},
		{"lower n, done: sure", deliver.Claim{N: 1, Att: 3, Done: true}, 2, false, 1, 0, 0, "[done]", 1},
		{"lower n, not done: unsure", deliver.Claim{N: 1, Att: 3, Holder: "x"}, 2, false, 1, 4, all, "[done]", 1},
		{"none, n = 1: sure", deliver.Claim{}, 1, false, 1, 0, 0, "[done]", 1},
		{"none, n > 1: unsure", deliver.Claim{}, 2, false, 1, 4, all, "[done]", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				if c.claim.N > 0 {
					w.put(c.claim)
				}
				if c.claim.Ref.ID != "" {
					w.tracker.records = []*record{{ref: c.claim.Ref, key: "other"}}
				}
				w.queue.publish(action(c.n, 5, pipeline.Ref{}))
				began := time.Now()
				p := w.start("p1", func(_ *process, o *deliver.Options) { o.Alone = c.alone })
				w.settled()
				took := time.Since(began)
				p.stop()
				if got := w.tracker.writeCount(); got != c.writes {
					t.Errorf("writes = %d; want %d", got, c.writes)
				}
				if got := w.tracker.lookCount(); got != c.looks {
					t.Errorf("looks = %d; want %d", got, c.looks)
				}
				if took < c.after || took > c.after+2*time.Second {
					t.Errorf("took %s; want %s", took, c.after)
				}
				if got := fmt.Sprint(w.outcomes.results()); got != c.outcome {
					t.Errorf("outcomes = %s; want %s", got, c.outcome)
				}
				if got := w.claim().Att; got != c.att {
					t.Errorf("attempt = %d; want %d", got, c.att)
				}
			})
		})
	}
}

// What each class of error makes of a sure action.
func TestErrorOfAWrite(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		ref    pipeline.Ref // of the action
		want   pipeline.OutcomeResult
		writes int
	}{
		{"refused", pipeline.Permanent(errAnswer), pipeline.Ref{}, pipeline.OutcomeRefused, 1},
		{"place closed", fmt.Errorf("x: %w", pipeline.ErrForbidden), pipeline.Ref{}, pipeline.OutcomeUnknown, 1},
		{"place missing", fmt.Errorf("x: %w", pipeline.ErrGone), pipeline.Ref{}, pipeline.OutcomeRefused, 1},
		{"never sent", errAnswer, pipeline.Ref{}, pipeline.OutcomeDone, 2},
		{"credentials", fmt.Errorf("x: %w", pipeline.ErrUnauthorized), pipeline.Ref{}, pipeline.OutcomeDone, 2},
		{"asked to wait", pipeline.RetryAfter(errAnswer, time.Second), pipeline.Ref{}, pipeline.OutcomeDone, 2},
		{"record deleted", fmt.Errorf("x: %w", pipeline.ErrGone), pipeline.Ref{ID: "id9"}, pipeline.OutcomeGone, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.tracker.fault = once(1, fault{err: c.err})
				w.queue.publish(action(1, 1, c.ref))
				p := w.start("p1")
				w.settled()
				p.stop()
				w.wantResults(c.want)
				if got := w.tracker.writeCount(); got != c.writes {
					t.Errorf("writes = %d; want %d", got, c.writes)
				}
				if o := w.outcomes.list()[0]; (o.Reason == "") != (c.want == pipeline.OutcomeDone) {
					t.Errorf("reason = %q of a %s outcome", o.Reason, o.Result)
				}
				if c.want == pipeline.OutcomeGone && !w.outcomes.list()[0].Ref.IsZero() {
					t.Errorf("outcome = %+v; want no ref of a record that is gone", w.outcomes.list()[0])
				}
				if got := p.loop.Status().Attempts[string(c.want)]; got != 1 {
					t.Errorf("Attempts[%s] = %d; want 1", c.want, got)
				}
			})
		})
	}
}

// An attempt that has waited for grace keeps its claim under the brake: it need not wait and look again.
func TestBrakeAfterGrace(t *testing.T) {
	bubble(t, func(w *world) {
		w.put(deliver.Claim{N: 1, Att: 1})
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		time.Sleep(100 * time.Second)
		p.setBrake(true)
		time.Sleep(15 * time.Minute)
		w.wantRecords(0, 0)
		p.setBrake(false)
		time.Sleep(2 * time.Second)
		w.wantRecords(1, 1)
		p.stop()
		if got := w.tracker.lookCount(); got != 4 {
			t.Errorf("looks = %d; want 4", got)
		}
		if got := w.claim().Att; got != 2 {
			t.Errorf("attempt = %d; want 2", got)
		}
	})
}

func TestStoppedSink(t *testing.T) {
	bubble(t, func(w *world) {
		good := time.Now().Add(20 * time.Minute)
		w.tracker.fault = func(int) fault {
			if time.Now().Before(good) {
				return fault{err: fmt.Errorf("x: %w", pipeline.ErrUnauthorized)}
			}
			return fault{}
		}
		for i := range 30 {
			a := action(1, 1, pipeline.Ref{})
			a.Case, a.Ticket.Key = fmt.Sprint("DK-", i), fmt.Sprint("key-", i)
			w.queue.publish(a)
		}
		p := w.start("p1")
		time.Sleep(10 * time.Minute)
		if s := p.loop.Status(); !strings.Contains(s.Stopped, "credentials were refused") || len(w.outcomes.list()) != 0 {
			t.Errorf("Status().Stopped = %q with %d outcomes; want the reason and none", s.Stopped, len(w.outcomes.list()))
		}
		if got := w.tracker.writeCount(); got > 8+4 {
			t.Errorf("writes = %d within ten minutes; want at most 12", got)
		}
		w.settled()
		if s := p.loop.Status(); s.Stopped != "" {
			t.Errorf("Status().Stopped = %q after the credentials changed; want none", s.Stopped)
		}
		p.stop()
		w.wantRecords(30, 1)
	})
}

func TestBrake(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = func(int) fault { return fault{sleep: time.Second} }
		p := w.start("p1", oneCall)
		p.setBrake(true)
		for i := range 3 {
			a := action(1, 1, pipeline.Ref{})
			a.Case, a.Ticket.Key = fmt.Sprint("DK-", i), fmt.Sprint("key-", i)
			w.queue.publish(a)
		}
		time.Sleep(time.Minute)
		w.wantRecords(0, 0)
		if s := p.loop.Status(); !s.Braked {
			t.Error("Status().Braked = false; want true")
		}
		p.setBrake(false)
		time.Sleep(time.Second / 2) // the first call is under way
		p.setBrake(true)
		time.Sleep(time.Minute)
		w.wantRecords(1, 1)
		p.setBrake(false)
		w.settled()
		p.stop()
		w.wantRecords(3, 1)
		if got := w.tracker.lookCount(); got != 0 {
			t.Errorf("looks = %d; want 0: the brake makes nothing unsure", got)
		}
	})
}

// A brake between take and check: the claim goes back clean.
func TestBrakeAtTheCheck(t *testing.T) {
	bubble(t, func(w *world) {
		p := w.start("p1", func(p *process, _ *deliver.Options) {
			p.freeze = func(step string) time.Duration {
				if step == "swap 1" {
					p.brake = true
				}
				return 0
			}
		})
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		time.Sleep(time.Minute)
		if c := w.claim(); !c.Clean || c.Holder != "" {
			t.Errorf("claim = %+v; want given back, clean", c)
		}
		p.setBrake(false)
		w.settled()
		p.stop()
		w.wantRecords(1, 1)
	})
}

// panicking panics at its first write.
type panicking struct {
	done *atomic.Bool
	repeating
}

func (s panicking) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	if s.done.CompareAndSwap(false, true) {
		panic("index out of range")
	}
	return s.repeating.Apply(ctx, t)
}

func TestPanicOfASink(t *testing.T) {
	bubble(t, func(w *world) {
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1", with(panicking{&atomic.Bool{}, repeating{w.tracker}}))
		w.settled()
		p.stop()
		w.wantRecords(1, 1)
		if got := p.loop.Status(); got.Attempts["lost"] != 1 || !strings.Contains(got.LastError, "panicked") {
			t.Errorf("Status() = %+v; want the panic counted as a lost answer", got)
		}
	})
}

func TestUnreadableMessages(t *testing.T) {
	bubble(t, func(w *world) {
		other := action(1, 1, pipeline.Ref{})
		other.Sink = "elsewhere"
		w.queue.publish(other)
		w.queue.publish(action(0, 1, pipeline.Ref{}))
		w.queue.items = append(w.queue.items, &item{data: []byte(`{"case":`)})
		p := w.start("p1")
		w.settled()
		p.stop()
		if got := p.loop.Status().Attempts["unreadable"]; got != 3 {
			t.Errorf("Attempts[unreadable] = %d; want 3", got)
		}
		w.wantResults()
	})
}

// Claims or outcomes that fail for a while cost time, never a ticket.
func TestStoresThatFail(t *testing.T) {
	for _, kind := range []string{"fetch", "read", "swap", "publish"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(w *world) {
				p := w.start("p1", func(p *process, _ *deliver.Options) { p.failing = kind })
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				time.Sleep(5 * time.Minute)
				if w.queue.left() != 1 {
					t.Error("the message was taken off the queue; want it kept")
				}
				if s := p.loop.Status(); s.LastError == "" {
					t.Error("Status().LastError is empty")
				}
				p.mu.Lock()
				p.failing = ""
				p.mu.Unlock()
				w.settled()
				p.stop()
				w.wantRecords(1, 1)
			})
		})
	}
}

// A write of the claim that had its effect though it failed is known again: the holder is unique.
func TestClaimWrittenWithoutAnswer(t *testing.T) {
	for _, c := range []struct {
		step   string
		writes int
	}{{"swap 1", 1}, {"swap 2", 1}, {"swap 4", 1}} {
		t.Run(c.step, func(t *testing.T) {
			bubble(t, func(w *world) {
				if c.step == "swap 4" {
					w.put(deliver.Claim{N: 1, Att: 1}) // unsure: the claim is renewed while it waits
				}
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				p := w.start("p1", alone, func(p *process, _ *deliver.Options) { p.muted = c.step })
				w.settled()
				p.stop()
				w.wantRecords(1, 1)
				if got := w.tracker.writeCount(); got != c.writes {
					t.Errorf("writes = %d; want %d", got, c.writes)
				}
				w.wantResults(pipeline.OutcomeDone)
				if got := p.loop.Status().Attempts["lost_claim"]; got != 0 {
					t.Errorf("Attempts[lost_claim] = %d; want 0", got)
				}
			})
		})
	}
}

// A worker that finds itself past its own deadline at the check lets go.
func TestLateAtTheCheck(t *testing.T) {
	bubble(t, func(w *world) {
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1", func(p *process, _ *deliver.Options) {
			p.freeze = func(at string) time.Duration {
				if at == "read 2" {
					return 15 * time.Second // more than lease - deadline
				}
				return 0
			}
		})
		w.settled()
		p.stop()
		w.wantRecords(1, 1)
		if got := w.claim().Att; got != 2 {
			t.Errorf("attempt = %d; want 2: the first let go", got)
		}
		if got := w.tracker.lookCount(); got != 0 {
			t.Errorf("looks = %d; want 0: nothing was sent", got)
		}
	})
}

func TestLongReasonIsCut(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = once(1, fault{err: pipeline.Permanent(errors.New(strings.Repeat("é", 4000)))})
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		w.settled()
		p.stop()
		if got := w.outcomes.list()[0].Reason; len(got) > 2010 || !utf8.ValidString(got) || !strings.HasSuffix(got, "é…") {
			t.Errorf("reason has %d bytes, valid %v; want at most 2010, cut between characters", len(got), utf8.ValidString(got))
		}
	})
}

func TestNewNamesEverything(t *testing.T) {
	u := deliver.DefaultTimings()
	u.Looks = 0
	_, err := deliver.New(deliver.Options{Concurrency: -1, AckWait: time.Second, Timings: u})
	for _, want := range []string{"name and holder", "sink, claims", "concurrency is -1", "ack wait is 1s", "looks is 0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New() = %v; want it to name %q", err, want)
		}
	}
}

// Two workers on the same messages of many cases, with every kind of fault, end with one record a case.
func TestTwoWorkersManyCases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.tracker.lag = 30 * time.Second
		w.tracker.fault = func(call int) fault {
			switch call % 7 {
			case 1:
				return fault{loseAfter: true}
			case 2:
				return fault{loseBefore: true}
			case 3:
				return fault{err: pipeline.RetryAfter(errAnswer, 3*time.Second)}
			case 4:
				return fault{late: 25 * time.Second}
			case 5:
				return fault{sleep: 8 * time.Second}
			}
			return fault{}
		}
		const cases = 40
		for i := range 2 * cases {
			a := action(1, 1, pipeline.Ref{})
			a.Case, a.Ticket.Key = fmt.Sprint("DK-", i%cases), fmt.Sprint("key-", i%cases)
			w.queue.publish(a)
		}
		a, b := w.start("p1"), w.start("p2")
		w.settled()
		time.Sleep(time.Hour)
		a.stop()
		b.stop()
		w.wantRecords(cases, 1)
		byKey := map[string]int{}
		for _, r := range w.tracker.all() {
			byKey[r.key]++
		}
		if len(byKey) != cases {
			t.Errorf("records of %d cases; want %d", len(byKey), cases)
		}
	})
}
