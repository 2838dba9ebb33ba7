package deliver_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

// errRefused is a connection that was never made.
var errRefused = errors.New("dial tcp 127.0.0.1:7990: connect: connection refused")

// backlog puts n creates of n cases into the queue.
func (w *world) backlog(n int) {
	for i := range n {
		a := action(1, 1, pipeline.Ref{})
		a.Case, a.Ticket.Key = fmt.Sprint("DK-", i), fmt.Sprint("key-", i)
		w.queue.publish(a)
	}
}

// A tracker that is down is asked rarely, nothing becomes unsure of it, and once it is back
// the backlog goes as fast as it would have.
func TestTrackerDown(t *testing.T) {
	for _, c := range []struct {
		name  string
		calls int // at a time
		down  time.Duration
		most  int64 // refused calls
	}{
		{"8 calls at a time, 12 seconds", 8, 12 * time.Second, 20},
		{"64 calls at a time, 12 seconds", 64, 12 * time.Second, 20},
		{"8 calls at a time, 10 minutes", 8, 10 * time.Minute, 60},
		{"64 calls at a time, 10 minutes", 64, 10 * time.Minute, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				const latency, backlog = 20 * time.Millisecond, 1000
				up := time.Now().Add(c.down)
				var refused atomic.Int64
				w.tracker.fault = func(int) fault {
					if time.Now().Before(up) {
						refused.Add(1)
						return fault{err: errRefused}
					}
					return fault{sleep: latency}
				}
				w.backlog(backlog)
				p := w.start("p1", alone, func(_ *process, o *deliver.Options) { o.Concurrency = c.calls })
				time.Sleep(c.down - time.Second)
				if s := p.loop.Status(); !s.Open || s.Probe.IsZero() || s.Why() != deliver.WhyBreaker {
					t.Errorf("Status() = %+v while down; want an open breaker", s)
				}
				for w.tracker.writeCount() == int(refused.Load()) {
					time.Sleep(10 * time.Millisecond)
				}
				began := time.Now()
				if late := began.Sub(up); late > 30*time.Second {
					t.Errorf("noticed after %s that the tracker is back; want within 30s", late)
				}
				for len(w.outcomes.list()) < backlog*9/10 {
					time.Sleep(10 * time.Millisecond)
				}
				undisturbed := backlog * 9 / 10 * latency / time.Duration(c.calls)
				if took := time.Since(began); took > undisturbed*10/9+70*time.Millisecond {
					t.Errorf("nine tenths of the backlog took %s; want at most %s", took, undisturbed*10/9)
				}
				w.settled()
				p.stop()
				if got := refused.Load(); got > c.most {
					t.Errorf("refused calls = %d; want at most %d", got, c.most)
				}
				w.wantRecords(backlog, 1)
				if s := p.loop.Status(); s.Open || w.tracker.lookCount() != 0 {
					t.Errorf("Open = %v, looks = %d at the end; want false, 0", s.Open, w.tracker.lookCount())
				}
			})
		})
	}
}

// While the breaker is open nothing takes a claim, and one call at a time finds out.
func TestBreakerLetsOneThrough(t *testing.T) {
	bubble(t, func(w *world) {
		w.tracker.fault = func(int) fault { return fault{err: errRefused} }
		w.backlog(100)
		p := w.start("p1", alone)
		time.Sleep(5 * time.Second)
		var atOnce, most atomic.Int64
		w.tracker.fails(func(int) fault { // called by one at a time
			most.Store(max(most.Load(), atOnce.Add(1)))
			time.AfterFunc(5*time.Second, func() { atOnce.Add(-1) })
			return fault{sleep: 5 * time.Second, err: errRefused}
		})
		calls := w.tracker.writeCount()
		time.Sleep(3 * time.Minute)
		p.stop()
		if most.Load() != 1 || w.tracker.writeCount() == calls {
			t.Errorf("calls at a time = %d of %d; want 1, several times", most.Load(), w.tracker.writeCount()-calls)
		}
		taken := 0
		for i := range 100 {
			c, _, err := w.claims.Read(w.t.Context(), deliver.ClaimKey("jira", fmt.Sprint("DK-", i)))
			if err != nil {
				t.Fatal(err)
			}
			if c.N != 0 {
				taken++
			}
			if c.N != 0 && !c.Clean {
				t.Errorf("claim of DK-%d = %+v; want clean", i, c)
			}
		}
		if taken > 15+w.tracker.writeCount() {
			t.Errorf("%d claims were taken for %d calls; want few more", taken, w.tracker.writeCount())
		}
	})
}

// Of two sinks one is dead: the other delivers as if it were alone.
func TestDeadSinkLeavesOthersAlone(t *testing.T) {
	took := func(withDead bool) (d time.Duration) {
		bubble(t, func(w *world) {
			w.tracker.fault = func(int) fault { return fault{sleep: 200 * time.Millisecond} }
			var dead *process
			if withDead {
				down := &world{t: w.t, tracker: &tracker{}, queue: &queue{wait: time.Minute}, outcomes: &outcomes{}, claims: w.claims}
				down.tracker.fault = func(int) fault { return fault{sleep: 19 * time.Second, err: errRefused} }
				for i := range 500 {
					a := action(1, 1, pipeline.Ref{})
					a.Case, a.Ticket.Key, a.Sink = fmt.Sprint("DK-", i), fmt.Sprint("key-", i), "dead"
					down.queue.publish(a)
				}
				dead = down.start("p1", alone, func(_ *process, o *deliver.Options) { o.Name = "dead" })
				time.Sleep(time.Minute)
			}
			w.backlog(200)
			began := time.Now()
			p := w.start("p1", alone)
			for w.queue.left() > 0 {
				time.Sleep(time.Millisecond)
			}
			d = time.Since(began)
			p.stop()
			if dead != nil {
				dead.stop()
			}
			w.wantRecords(200, 1)
		})
		return d
	}
	without, with := took(false), took(true)
	if with > without+10*time.Millisecond {
		t.Errorf("200 tickets took %s beside a dead sink, %s without; want the same", with, without)
	}
}

func TestRate(t *testing.T) {
	bubble(t, func(w *world) {
		w.backlog(60)
		began := time.Now()
		w.tracker.fault = func(int) fault { return fault{} }
		p := w.start("p1", alone, func(_ *process, o *deliver.Options) { o.Rate = deliver.Rate{PerSecond: 5, Burst: 10} })
		time.Sleep(500 * time.Millisecond)
		if got := w.tracker.writeCount(); got < 10 || got > 13 {
			t.Errorf("calls after half a second = %d; want the burst of 10 and up to 3", got)
		}
		for i := range 60 {
			c, _, err := w.claims.Read(w.t.Context(), deliver.ClaimKey("jira", fmt.Sprint("DK-", i)))
			if err != nil {
				t.Fatal(err)
			}
			if c.N != 0 && !c.Done {
				t.Errorf("claim of DK-%d = %+v; want none while it waits for the rate", i, c)
			}
		}
		w.settled()
		p.stop()
		w.wantRecords(60, 1)
		if took := time.Since(began); took < 10*time.Second || took > 12*time.Second {
			t.Errorf("60 calls took %s; want 10s to 12s", took)
		}
	})
}

func TestRateValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		rate deliver.Rate
		ok   bool
	}{
		{"none", deliver.Rate{}, true},
		{"without a burst", deliver.Rate{PerSecond: 0.5}, true},
		{"both", deliver.Rate{PerSecond: 5, Burst: 10}, true},
		{"nothing passes", deliver.Rate{Burst: 10}, false},
		{"negative", deliver.Rate{PerSecond: -1}, false},
	} {
		if err := c.rate.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: Validate() = %v; want ok %v", c.name, err, c.ok)
		}
	}
}

// The same failure over and over is one line of the log, and later one with its count.
func TestRecurringFailureIsLoggedOnce(t *testing.T) {
	bubble(t, func(w *world) {
		up := time.Now().Add(33 * time.Minute) // three times ten, and what the waits between two calls add
		w.tracker.fault = func(call int) fault {
			if time.Now().Before(up) {
				return fault{err: fmt.Errorf("Post %q: %w", fmt.Sprint("/issue/", call), errRefused)}
			}
			return fault{}
		}
		w.backlog(50)
		var log bytes.Buffer
		p := w.start("p1", alone, func(_ *process, o *deliver.Options) {
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		w.settled()
		p.stop()
		text := log.String()
		for _, c := range []struct {
			line     string
			from, to int
		}{
			{"a call failed; it will be tried again\"", 1, 1},
			{"times since it was last logged", 3, 3},
			{"does not answer", 1, 1},
			{"answers again", 1, 1},
		} {
			if got := strings.Count(text, c.line); got < c.from || got > c.to {
				t.Errorf("%q stands %d times in the log; want %d to %d\n%s", c.line, got, c.from, c.to, text)
			}
		}
	})
}

// A wait that the server named for one record or endpoint holds that action alone; one for every call holds the sink.
func TestANamedWaitHoldsWhatItIsAbout(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		first int // delivered while the wait lasts
		why   string
	}{
		{"one record", pipeline.RetryPart(errAnswer, 30*time.Second), 4, ""},
		{"the whole server", pipeline.RetryAfter(errAnswer, 30*time.Second), 0, deliver.WhyRetryAfter},
		{"one record, the answer lost", pipeline.Unsure(pipeline.RetryPart(errAnswer, 30*time.Second)), 4, ""},
		{"the whole server, the answer lost", pipeline.Unsure(pipeline.RetryAfter(errAnswer, 30*time.Second)), 0, deliver.WhyRetryAfter},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.tracker.fault = once(1, fault{err: c.err})
				w.backlog(5)
				p := w.start("p1", alone, oneCall)
				time.Sleep(25 * time.Second)
				if got := len(w.outcomes.list()); got != c.first {
					t.Errorf("%d delivered during the wait; want %d", got, c.first)
				}
				s := p.loop.Status()
				if s.Held.IsZero() != (c.why == "") || s.Why() != c.why {
					t.Errorf("Status() = held till %v, why %q; want %q", s.Held, s.Why(), c.why)
				}
				if n, until := p.loop.Waiting(); n == 0 || until.IsZero() {
					t.Errorf("Waiting() = %d, %v; want the action that waits counted", n, until)
				}
				w.settled()
				p.stop()
				if got := len(w.tracker.all()); got != 5 {
					t.Errorf("records = %d; want 5", got)
				}
			})
		})
	}
}

// A call that the named wait of a part kept from being made says nothing about whether a sink that
// was down is back.
func TestANamedWaitOfAPartIsNoProbe(t *testing.T) {
	bubble(t, func(w *world) {
		up := time.Now().Add(10 * time.Second)
		w.tracker.fault = func(call int) fault {
			switch {
			case !time.Now().Before(up):
				return fault{}
			case call <= 3:
				return fault{err: errRefused}
			}
			return fault{err: pipeline.RetryPart(errAnswer, time.Minute)}
		}
		w.backlog(5)
		p := w.start("p1", alone, oneCall)
		time.Sleep(8 * time.Second)
		if s := p.loop.Status(); !s.Open {
			t.Errorf("Status() = %+v; want the breaker still open", s)
		}
		w.settled()
		p.stop()
		if got := len(w.tracker.all()); got != 5 {
			t.Errorf("records = %d; want 5", got)
		}
	})
}
