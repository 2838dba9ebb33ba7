package stream

import (
	"strconv"
	"testing"
	"time"
)

// handedTo opens a stream with a consumer of jira, and hands the one action over.
func handedTo(t *testing.T) (*Stream, *Consumer, []ActionMessage) {
	t.Helper()
	s := open(t, Options{})
	c, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	actions := actionsOf("jira", 1)
	s.HandOver(actions)
	s.HandOver(actions) // as after a publish that failed
	return s, c, actions
}

// TestHandOver: an action that is handed over and published is worked on once, whichever way the two meet.
func TestHandOver(t *testing.T) {
	type world struct {
		t    *testing.T
		s    *Stream
		c    *Consumer
		list []ActionMessage
	}
	publish := func(w *world) {
		w.t.Helper()
		if err := w.s.PublishActions(w.t.Context(), w.list); err != nil {
			w.t.Fatal(err)
		}
	}
	take := func(w *world) Delivery {
		w.t.Helper()
		got := fetch(w.t, w.c, 5)
		if len(got) != 1 || string(got[0].Data) != "0" {
			w.t.Fatalf("Fetch = %d actions; want the one", len(got))
		}
		return got[0]
	}
	none := func(w *world) {
		w.t.Helper()
		if got, err := w.c.Fetch(w.t.Context(), 5, 300*time.Millisecond); err != nil || len(got) != 0 {
			w.t.Fatalf("Fetch = %d actions, %v; want none", len(got), err)
		}
	}
	ok := func(w *world, err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for name, run := range map[string]func(w *world){
		"published while the worker has it": func(w *world) {
			d := take(w)
			publish(w)
			none(w)
			ok(w, d.InProgress())
			ok(w, d.Done())
		},
		"published when the worker is done": func(w *world) {
			d := take(w)
			ok(w, d.InProgress())
			ok(w, d.Done())
			publish(w)
			none(w)
		},
		"finished: it need not be published": func(w *world) {
			if d := take(w); w.s.Finished("jira", w.list[0].ID) {
				w.t.Error("Finished = true while the worker has it; want false")
			} else {
				ok(w, d.Done())
			}
			if !w.s.Finished("jira", w.list[0].ID) || w.s.Finished("jira", w.list[0].ID) || w.s.Finished("mail", "x") {
				w.t.Error("Finished of what the worker is done with: want true, once")
			}
			none(w)
		},
		"published before a worker has it": func(w *world) {
			publish(w)
			d := take(w)
			none(w)
			ok(w, d.Done())
		},
		"given back with its message": func(w *world) {
			d := take(w)
			publish(w)
			none(w)
			ok(w, d.NakWithDelay(500*time.Millisecond))
			none(w)
			d = take(w)
			none(w)
			ok(w, d.Done())
		},
		"given back, published before it is due": func(w *world) {
			ok(w, take(w).NakWithDelay(time.Second))
			publish(w)
			none(w)
			d := take(w)
			none(w)
			ok(w, d.Done())
		},
		"given back, published late": func(w *world) {
			ok(w, take(w).NakWithDelay(time.Millisecond))
			d := take(w) // due, without a message
			publish(w)
			none(w)
			ok(w, d.Done())
		},
		"another consumer takes over": func(w *world) {
			take(w)
			publish(w)
			var err error
			w.c, err = w.s.Actions(w.t.Context(), "jira")
			ok(w, err)
			ok(w, take(w).Done())
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, list := handedTo(t)
			w := &world{t, s, c, list}
			run(w)
			waitFor(t, func() (bool, error) {
				pending, err := s.PendingActions(t.Context(), "jira", "DK-1")
				return !pending, err
			}, "no action is left")
			none(w)
		})
	}
}

// TestHandOverGivesWay: what the stream has goes first, and no more is handed over than a busy sink can look at.
func TestHandOverGivesWay(t *testing.T) {
	s := open(t, Options{})
	c, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	all := actionsOf("jira", 3*handedReady)
	if err := s.PublishActions(t.Context(), all[:handedReady]); err != nil {
		t.Fatal(err)
	}
	s.HandOver(all[handedReady:])
	s.HandOver([]ActionMessage{{Sink: "nobody", Case: "DK-1", ID: "x"}})
	var got []string
	for range 2 {
		for _, d := range fetch(t, c, handedReady) {
			got = append(got, string(d.Data))
			if err := d.Done(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(got) != 2*handedReady || got[0] != "0" || got[handedReady] != strconv.Itoa(handedReady) {
		t.Errorf("Fetch = %d actions; want those of the stream, then those that were handed over", len(got))
	}
	if rest, err := c.Fetch(t.Context(), 100, 200*time.Millisecond); err != nil || len(rest) != 0 {
		t.Errorf("Fetch = %d actions, %v; want no more than %d handed over", len(rest), err, handedReady)
	}
}
