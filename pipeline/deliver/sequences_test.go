package deliver_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

// bubble runs f in a world with fake time and a real claims file.
func bubble(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		f(w)
	})
}

// wantRecords checks that the tracker holds n records, the first with that revision.
func (w *world) wantRecords(n int, rev uint64) {
	w.t.Helper()
	all := w.tracker.all()
	if len(all) != n {
		w.t.Fatalf("tracker has %d records %+v; want %d", len(all), all, n)
	}
	if n > 0 && all[0].rev != rev {
		w.t.Errorf("record has revision %d; want %d", all[0].rev, rev)
	}
}

func (w *world) wantResults(want ...pipeline.OutcomeResult) {
	w.t.Helper()
	if got := w.outcomes.results(); !slices.Equal(got, want) {
		w.t.Errorf("outcomes = %v; want %v", got, want)
	}
}

// A row published twice, the second time as a first delivery long after.
func TestSequence2RowPublishedAgain(t *testing.T) {
	for _, crash := range []string{"", "after apply 1", "after swap 2", "after publish 1", "after done 1"} {
		t.Run("crash "+crash, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				p := w.start("p1", alone, crashing(crash))
				time.Sleep(10 * time.Minute)
				p.stop()
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				p = w.start("p2", alone)
				w.settled()
				p.stop()
				w.wantRecords(1, 1)
			})
		})
	}
}

// An action comes straight from its outbox row, before it is on the stream: the worker's copy dies with the
// process at each step, and the row is published only then. The action after it may have been decided meanwhile.
func TestHandedOverBeforePublished(t *testing.T) {
	for _, crash := range []string{"", "before swap 1", "after swap 1", "before apply 1", "after apply 1", "before swap 2", "after swap 2", "before publish 1", "after publish 1", "after done 1"} {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprintf("crash %s, a later action %v", crash, later), func(t *testing.T) {
				bubble(t, func(w *world) {
					row := action(1, 1, pipeline.Ref{})
					w.queue.publish(row)
					p := w.start("p1", alone, crashing(crash))
					time.Sleep(10 * time.Minute)
					p.stop()
					w.queue.clear() // it was in memory alone
					rev := uint64(1)
					if done := w.outcomes.list(); later && len(done) > 0 {
						rev = 2
						w.queue.publish(action(2, rev, done[0].Ref)) // decided on the outcome of the first
					}
					w.queue.publish(row)
					p = w.start("p2", alone)
					w.settled()
					p.stop()
					w.wantRecords(1, rev)
					if c := w.claim(); !c.Done || c.N != rev {
						t.Errorf("claim = %+v; want action %d done", c, rev)
					}
				})
			})
		}
	}
}

func TestSequence3TwoMessagesTwoWorkers(t *testing.T) {
	for _, c := range []struct{ name, second string }{{"two processes", "p2"}, {"one process", "p1"}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.tracker.fault = func(int) fault { return fault{sleep: 5 * time.Second} }
				for range 4 {
					w.queue.publish(action(1, 1, pipeline.Ref{}))
				}
				onlyOne := func(_ *process, o *deliver.Options) { o.Alone = c.second == "p1" }
				a, b := w.start("p1", onlyOne), w.start(c.second, onlyOne)
				w.settled()
				a.stop()
				b.stop()
				w.wantRecords(1, 1)
				if got := w.claim().Att; got != 1 {
					t.Errorf("attempts = %d; want 1", got)
				}
				if w.tracker.writeCount() != 1 {
					t.Errorf("writes = %d; want 1", w.tracker.writeCount())
				}
			})
		})
	}
}

// The first worker stands still in its call, beyond its lease but within the
// grace; the second looks before the first one's write lands.
func TestSequence4SecondLooksBeforeFirstLands(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = once(1, fault{sleep: 40 * time.Second})
		w.queue.wait = 5 * time.Second
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		a := w.start("p1", oneCall)
		time.Sleep(time.Second)
		w.queue.mu.Lock()
		w.queue.items[0].visible = time.Now() // the ack wait is over
		w.queue.mu.Unlock()
		b := w.start("p2")
		w.settled()
		a.stop()
		b.stop()
		w.wantRecords(1, 1)
		if w.tracker.lookCount() == 0 {
			t.Error("looks = 0; want at least 1")
		}
		w.wantResults(pipeline.OutcomeSighted, pipeline.OutcomeDone)
	})
}

// The first attempt is refused after losing its claim while the second creates: the refusal is not reported.
func TestSequence5LoserSaysNothing(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = once(1, fault{sleep: 45 * time.Second, err: pipeline.Permanent(errAnswer)})
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		a := w.start("p1", oneCall)
		time.Sleep(time.Second)
		b := w.start("p2")
		w.settled()
		a.stop()
		b.stop()
		w.wantRecords(1, 1)
		for _, o := range w.outcomes.list() {
			if o.Result != pipeline.OutcomeDone {
				t.Errorf("outcome %+v; want only done ones", o)
			}
		}
	})
}

// A second attempt of n is about to write while n is done and n+1 written.
func TestSequence6LateAttemptOfAnOlderAction(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.records = []*record{{ref: pipeline.Ref{ID: "id1"}, key: action(1, 1, pipeline.Ref{}).Ticket.Key}}
		w.put(deliver.Claim{N: 1, Att: 1, Done: true})
		ref := pipeline.Ref{ID: "id1"}
		w.queue.publish(action(2, 2, ref))
		a := w.start("p1", func(p *process, _ *deliver.Options) {
			p.freeze = func(step string) time.Duration {
				if step == "read 2" {
					return 10 * time.Minute // just before its check
				}
				return 0
			}
		})
		time.Sleep(2 * time.Minute)
		b := w.start("p2")
		time.Sleep(5 * time.Minute) // p2 took n=2 over
		w.queue.publish(action(3, 3, ref))
		w.settled()
		time.Sleep(time.Hour)
		a.stop()
		b.stop()
		w.wantRecords(1, 3)
	})
}

// A deleted record that the index still shows is another generation's: its key is not looked for.
func TestSequence9GhostOfADeletedRecord(t *testing.T) {
	bubble(t, func(w *world) {
		first := action(1, 1, pipeline.Ref{ID: "old"})
		w.tracker.ghosts = true
		w.tracker.records = []*record{{ref: pipeline.Ref{ID: "old"}, key: first.Ticket.Key, deleted: true}}
		w.queue.publish(first)
		p := w.start("p1")
		w.settled()
		w.wantResults(pipeline.OutcomeGone) // the look-up shows the ghost, and it is not believed
		w.tracker.fault = once(2, fault{loseAfter: true})
		retry := action(2, 2, pipeline.Ref{})
		retry.Ticket.Gen, retry.Ticket.Key = 2, "docket-00000000000000000002"
		w.queue.publish(retry)
		w.settled()
		p.stop()
		w.wantRecords(2, 0)
		if o := w.outcomes.list()[1]; o.Ref.ID != "id2" || o.Gen != 2 {
			t.Errorf("outcome = %+v; want the new record id2 of generation 2", o)
		}
	})
}

// An update is given up by its worker but still on its way; the successor writes it again, then the next one.
func TestSequence7UpdateStillOnItsWay(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.records = []*record{{ref: pipeline.Ref{ID: "id1"}, key: action(1, 1, pipeline.Ref{}).Ticket.Key}}
		w.tracker.fault = once(1, fault{late: 50 * time.Second})
		w.put(deliver.Claim{N: 1, Att: 1, Done: true})
		w.queue.publish(action(2, 2, pipeline.Ref{ID: "id1"}))
		a := w.start("p1", alone, crashing("after apply 1"))
		<-a.ended
		b := w.start("p2", alone)
		w.settled()
		w.queue.publish(action(3, 3, pipeline.Ref{ID: "id1"}))
		w.settled()
		time.Sleep(time.Hour)
		b.stop()
		w.wantRecords(1, 3)
	})
}

// The answer to a create is lost and the look-up refused: parked, and nothing is sent until a person decides.
func TestSequence8LookUpRefused(t *testing.T) {
	for _, effect := range []bool{true, false} {
		t.Run(fmt.Sprint("effect ", effect), func(t *testing.T) {
			bubble(t, func(w *world) {
				w.tracker.fault = once(1, fault{loseAfter: effect, loseBefore: !effect})
				w.tracker.refuse = func(int) error { return pipeline.Permanent(errAnswer) }
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				p := w.start("p1")
				w.settled()
				if w.tracker.writeCount() != 1 {
					t.Errorf("writes = %d before a person decided; want 1", w.tracker.writeCount())
				}
				w.wantResults(pipeline.OutcomeUnknown, pipeline.OutcomeUnknown)
				next := action(2, 2, pipeline.Ref{})
				if effect {
					next.Ticket.Ref = pipeline.Ref{ID: "id1"}
				}
				w.queue.publish(next) // the person's decision
				w.settled()
				p.stop()
				w.wantRecords(1, 2)
			})
		})
	}
}

func TestSequence10ClosedBeforeTheLook(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = once(1, fault{loseAfter: true})
		w.tracker.lag = 50 * time.Second
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		time.Sleep(10 * time.Second)
		w.tracker.mu.Lock()
		w.tracker.records[0].open = false
		w.tracker.mu.Unlock()
		w.settled()
		p.stop()
		w.wantRecords(1, 1)
		w.wantResults(pipeline.OutcomeDone)
		if o := w.outcomes.list()[0]; o.Created || o.Ref.ID != "id1" {
			t.Errorf("outcome = %+v; want id1, found and not created", o)
		}
	})
}

func TestSequence14CrashBeforeTheOutcome(t *testing.T) {
	for _, at := range []string{"after swap 2", "before publish 1", "after publish 1", "before done 1"} {
		t.Run(at, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				a := w.start("p1", alone, crashing(at))
				<-a.ended
				calls := w.tracker.writeCount()
				w.close()
				w.open()
				b := w.start("p2", alone)
				w.settled()
				b.stop()
				if got := w.tracker.writeCount() + w.tracker.lookCount(); got != calls {
					t.Errorf("tracker calls on recovery = %d; want none", got-calls)
				}
				w.wantRecords(1, 1)
				for _, o := range w.outcomes.list() {
					if o.Result != pipeline.OutcomeDone || o.Ref.ID != "id1" || !o.Created {
						t.Errorf("outcome = %+v; want done, id1, created", o)
					}
				}
			})
		})
	}
}

// The control: a worker that stands still longer than P between check and
// send must make a twin, else these tests could not see one. It names its record.
func TestSequence15StoppedBeyondPause(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = once(1, fault{sleep: 10 * time.Minute})
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		a := w.start("p1", oneCall)
		time.Sleep(time.Second)
		b := w.start("p2")
		w.settled()
		time.Sleep(20 * time.Minute)
		a.stop()
		b.stop()
		w.wantRecords(2, 1)
		got := w.outcomes.list()
		last := got[len(got)-1]
		if i := slices.IndexFunc(got, func(o pipeline.Outcome) bool { return o.Result == pipeline.OutcomeSighted }); i < 0 || got[i].Ref.ID != "id2" {
			t.Errorf("outcomes = %+v; want a sighting of id2, last %+v", got, last)
		}
	})
}

// The retry of a create whose first answer was lost meets a 429: the next taker still looks.
func TestSequence17LimitedAfterALostAnswer(t *testing.T) {
	bubble(t, func(w *world) {
		limited := pipeline.RetryAfter(errAnswer, 45*time.Second)
		w.tracker.fault = func(call int) fault {
			return map[int]fault{1: {loseBefore: true}, 2: {err: limited}, 3: {loseAfter: true}}[call]
		}
		w.tracker.lag = time.Minute
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		for w.tracker.writeCount() < 2 {
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		if c := w.claim(); c.Clean || c.Holder != "" {
			t.Errorf("claim = %+v; want given back, not clean", c)
		}
		looks := w.tracker.lookCount()
		w.settled()
		p.stop()
		w.wantRecords(1, 1)
		if w.tracker.lookCount() <= looks {
			t.Errorf("looks = %d after the 429; want more than %d", w.tracker.lookCount(), looks)
		}
	})
}

// The claims are lost and the process dies: rebuilt from state, what was in flight is looked for.
func TestSequence16ClaimsLost(t *testing.T) {
	for _, at := range []string{"after swap 1", "after apply 1", "after swap 2", "after publish 1"} {
		t.Run(at, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				a := w.start("p1", alone, crashing(at))
				<-a.ended
				w.close()
				if err := os.Remove(w.path); err != nil {
					t.Fatal(err)
				}
				w.open()
				if err := w.claims.Rebuild([]state.ClaimEntry{{Key: deliver.ClaimKey("jira", "DK-1"), N: 1, InFlight: true}}); err != nil {
					t.Fatal(err)
				}
				b := w.start("p2", alone)
				w.settled()
				w.queue.publish(action(2, 2, pipeline.Ref{ID: "id1"}))
				w.settled()
				b.stop()
				w.wantRecords(1, 2)
			})
		})
	}
}
