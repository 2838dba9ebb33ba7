package deliver_test

import (
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

// A record that is gone is reported as gone only when a look-up says so.
func TestLookUpOfAGoneRecord(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse func(look int) error
		want   pipeline.OutcomeResult
		looks  int
	}{
		{"none", nil, pipeline.OutcomeGone, 1},
		{"refused", func(int) error { return pipeline.Permanent(errAnswer) }, pipeline.OutcomeUnknown, 1},
		{"lost once", func(look int) error {
			if look == 1 {
				return pipeline.Unsure(errAnswer)
			}
			return nil
		}, pipeline.OutcomeGone, 2},
		{"limited once", func(look int) error {
			if look == 1 {
				return pipeline.RetryAfter(errAnswer, time.Minute)
			}
			return nil
		}, pipeline.OutcomeGone, 2},
	} {
		for _, known := range []string{"action", "claim"} {
			t.Run(c.name+"/known to the "+known, func(t *testing.T) {
				bubble(t, func(w *world) {
					w.tracker.refuse = c.refuse
					a := action(1, 1, pipeline.Ref{ID: "id9"})
					if known == "claim" {
						w.put(deliver.Claim{N: 1, Att: 1, Clean: true, Ref: a.Ticket.Ref})
						a.Ticket.Ref = pipeline.Ref{}
					}
					w.queue.publish(a)
					p := w.start("p1")
					w.settled()
					p.stop()
					w.wantResults(c.want)
					w.wantRecords(0, 0)
					if got := w.tracker.lookCount(); got != c.looks {
						t.Errorf("looks = %d; want %d", got, c.looks)
					}
				})
			})
		}
	}
}

func TestMovedRecordIsFollowed(t *testing.T) {
	bubble(t, func(w *world) {
		a := action(1, 3, pipeline.Ref{ID: "old"})
		w.tracker.ghosts = true
		w.tracker.records = []*record{
			{ref: pipeline.Ref{ID: "old"}, key: a.Ticket.Key, deleted: true},
			{ref: pipeline.Ref{ID: "new"}, key: a.Ticket.Key},
		}
		w.queue.publish(a)
		p := w.start("p1")
		w.settled()
		p.stop()
		w.wantResults(pipeline.OutcomeDone)
		if o := w.outcomes.list()[0]; o.Ref.ID != "new" || o.Created {
			t.Errorf("outcome = %+v; want record new, not created", o)
		}
	})
}

func TestTwoFoundUsesTheOldest(t *testing.T) {
	bubble(t, func(w *world) {
		a := action(2, 3, pipeline.Ref{})
		w.tracker.records = []*record{{ref: pipeline.Ref{ID: "a"}, key: a.Ticket.Key}, {ref: pipeline.Ref{ID: "b"}, key: a.Ticket.Key}}
		w.queue.publish(a)
		p := w.start("p1")
		w.settled()
		p.stop()
		if o := w.outcomes.list()[0]; o.Ref.ID != "a" || o.Twin.ID != "b" {
			t.Errorf("outcome = %+v; want record a with twin b", o)
		}
	})
}

// A sink without a look-up parks; one that repeats safely neither waits nor parks.
func TestUnsureByKindOfSink(t *testing.T) {
	for _, c := range []struct {
		name        string
		sink        func(*tracker) pipeline.Sink
		want        pipeline.OutcomeResult
		least, most time.Duration
	}{
		{"blind", func(tr *tracker) pipeline.Sink { return blind{tr} }, pipeline.OutcomeUnknown, 0, time.Second},
		{"repeating", func(tr *tracker) pipeline.Sink { return repeating{tr} }, pipeline.OutcomeDone, 0, 3 * time.Second},
		{"finding", func(tr *tracker) pipeline.Sink { return finding{tr} }, pipeline.OutcomeDone, time.Minute, 62 * time.Second}, // a hit ends the search, not the wait
	} {
		for _, from := range []string{"answer lost", "claim lost"} {
			t.Run(c.name+"/"+from, func(t *testing.T) {
				bubble(t, func(w *world) {
					n := uint64(1)
					if from == "answer lost" {
						w.tracker.fault = once(1, fault{loseAfter: true})
					} else {
						n = 2
						w.tracker.records = []*record{{ref: pipeline.Ref{ID: "id1"}, key: action(2, 1, pipeline.Ref{}).Ticket.Key}}
					}
					w.queue.publish(action(n, 1, pipeline.Ref{}))
					began := time.Now()
					p := w.start("p1", with(c.sink(w.tracker)))
					w.settled()
					if took := time.Since(began); took < c.least || took > c.most {
						t.Errorf("took %s; want %s to %s", took, c.least, c.most)
					}
					p.stop()
					w.wantResults(c.want)
					if got := len(w.tracker.all()); got != 1 {
						t.Errorf("records = %d; want 1", got)
					}
				})
			})
		}
	}
}

// A look that gets no answer is no look; after an hour a person decides.
func TestLookWithoutAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse func(look int) error
		want   pipeline.OutcomeResult
		least  time.Duration
	}{
		{"for ten minutes", func(look int) error {
			if look < 60 {
				return pipeline.RetryAfter(errAnswer, 10*time.Second)
			}
			return nil
		}, pipeline.OutcomeDone, 590 * time.Second},
		{"the last one", func(look int) error {
			if look >= 4 && look < 8 {
				return pipeline.Unsure(errAnswer)
			}
			return nil
		}, pipeline.OutcomeDone, 2 * time.Minute},
		{"for ever", func(int) error { return errAnswer }, pipeline.OutcomeUnknown, time.Hour},
		{"refused", func(int) error { return pipeline.ErrForbidden }, pipeline.OutcomeUnknown, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.tracker.fault = once(1, fault{loseBefore: true})
				w.tracker.refuse = c.refuse
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				began := time.Now()
				p := w.start("p1")
				w.settled()
				if took := time.Since(began); took < c.least {
					t.Errorf("took %s; want at least %s", took, c.least)
				}
				p.stop()
				w.wantResults(c.want)
			})
		})
	}
}

// While the server asked to wait, nobody looks either.
func TestLooksKeepRetryAfter(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = func(call int) fault {
			return map[int]fault{1: {loseBefore: true}, 2: {err: pipeline.RetryAfter(errAnswer, 100*time.Second)}}[call]
		}
		w.queue.publish(action(1, 1, pipeline.Ref{}))
		p := w.start("p1")
		time.Sleep(time.Second)
		other := action(1, 1, pipeline.Ref{})
		other.Case, other.Ticket.Key = "DK-2", "other"
		w.queue.publish(other)
		time.Sleep(95 * time.Second)
		if got := w.tracker.lookCount(); got != 1 {
			t.Errorf("looks = %d while the server asked to wait; want 1, the one before", got)
		}
		if s := p.loop.Status(); s.Held.IsZero() {
			t.Errorf("Status().Held is zero; want when the wait ends")
		}
		w.settled()
		p.stop()
		w.wantRecords(2, 1)
	})
}

// The record was made, what came after it was not: the next attempt goes on with that record.
func TestMadeInPart(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want pipeline.OutcomeResult
	}{
		{"limited", pipeline.RetryAfter(errAnswer, time.Second), pipeline.OutcomeDone},
		{"not sent", errAnswer, pipeline.OutcomeDone},
		{"lost", pipeline.Unsure(errAnswer), pipeline.OutcomeDone},
		{"refused", pipeline.Permanent(errAnswer), pipeline.OutcomeRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.tracker.lag = time.Hour
				w.tracker.fault = once(1, fault{partly: c.err})
				w.queue.publish(action(1, 1, pipeline.Ref{}))
				p := w.start("p1")
				w.settled()
				p.stop()
				w.wantRecords(1, 1)
				if o := w.outcomes.list()[0]; o.Result != c.want || o.Ref.ID != "id1" {
					t.Errorf("outcome = %+v; want %s with id1", o, c.want)
				}
			})
		})
	}
}

// TestLooksFirst: the state was put back; what is to be made may be there already.
func TestLooksFirst(t *testing.T) {
	first := func(_ *process, o *deliver.Options) { o.LookFirst = true }
	for _, c := range []struct {
		name  string
		there bool
		looks int // while the first minutes are over already
	}{
		{"the ticket is there", true, 1},
		{"it is not", false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				if c.there {
					if _, err := w.tracker.effect(action(1, 1, pipeline.Ref{}).Ticket); err != nil {
						t.Fatal(err)
					}
				}
				p := w.start("p1", first)
				time.Sleep(time.Hour)
				w.queue.publish(action(1, 3, pipeline.Ref{}))
				w.settled()
				p.stop()
				w.wantRecords(1, 3)
				w.wantResults(pipeline.OutcomeDone)
				if n := w.tracker.lookCount(); n != c.looks {
					t.Errorf("looks = %d; want %d", n, c.looks)
				}
			})
		})
	}
}
