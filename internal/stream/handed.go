package stream

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// handedKept bounds the actions of a sink that were handed over and not met on the stream yet.
	handedKept = 2048
	// handedReady bounds those of them that no worker took. With more than that the sink is busy, and what
	// waits on the stream goes first anyhow.
	handedReady = 1024
)

// handed is an action that goes to its worker before it is on the stream. What the worker says of it
// holds for the message too, once that comes: until then it is remembered here.
type handed struct {
	id    string
	data  []byte
	all   *handOver
	state handedState
	at    time.Time // of handedDone: since when; of handedBack: until when
	msg   *Delivery // of handedTaken: the message, once it came
}

type handedState uint8

const (
	handedWaits handedState = iota // for a worker
	handedTaken                    // by a worker
	handedDone
	handedBack // given back with a delay
)

// handOver are the actions of one sink that were handed over.
type handOver struct {
	mu   sync.Mutex
	all  map[string]*handed // by message id
	next []*handed          // those that wait, oldest first
	kick chan struct{}
}

func newHandOver() *handOver {
	return &handOver{all: map[string]*handed{}, kick: make(chan struct{}, 1)}
}

// HandOver gives actions that are yet to be published to this process's own workers at once, so that
// these need not wait for the disk a second time: the caller has the actions on disk, and keeps them there until
// PublishActions has stored them too, or they are Finished. After a crash they come by the stream, as any action that was handed out
// and not finished does. An action that is handed over again is with its worker already and stays there. All is true when
// none is left that only PublishActions brings to a worker. With an external server nothing
// is handed over: another process may be the one to take it.
func (s *Stream) HandOver(actions []ActionMessage) (all bool) {
	if !s.embedded {
		return false
	}
	all = true
	for i := range actions {
		h, ok := s.handed.Load(actions[i].Sink)
		all = ok && h.(*handOver).offer(actions[i].ID, actions[i].Data) && all
	}
	return all
}

// Finished reports whether a worker is done with an action that was handed over and is on no stream as far as this
// process knows: it need not be published any more. It says so once.
func (s *Stream) Finished(sink, id string) bool {
	h, ok := s.handed.Load(sink)
	return ok && h.(*handOver).finished(id)
}

func (h *handOver) finished(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.all[id]
	if one == nil || one.state != handedDone {
		return false
	}
	delete(h.all, id)
	return true
}

// offer takes an action in, and reports whether it is there.
func (h *handOver) offer(id string, data []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id == "" || h.all[id] != nil || len(h.next) >= handedReady {
		return h.all[id] != nil
	}
	if len(h.all) >= handedKept {
		// The message of one that is done may never come: the stream stores no id twice within two minutes.
		maps.DeleteFunc(h.all, func(_ string, x *handed) bool { return x.state == handedDone && time.Since(x.at) > ackWait })
	}
	if len(h.all) >= handedKept {
		return false
	}
	one := &handed{id: id, data: data, all: h}
	h.all[id] = one
	h.next = append(h.next, one)
	signal(h.kick)
	return true
}

// take hands out up to n actions.
func (h *handOver) take(s *Stream, n int) (out []Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = min(n, len(h.next))
	for _, one := range h.next[:n] {
		one.state = handedTaken
		out = append(out, Delivery{Data: one.data, Deliveries: 1, s: s, early: one})
	}
	h.next = slices.Delete(h.next, 0, n)
	return out
}

// met takes in the message of an action that was handed over: true when nobody is to have it, since a
// worker has or had the action. A message that cannot be told so comes again after ackWait, and its claim says the rest.
func (h *handOver) met(d Delivery) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.all[d.msg.Headers().Get(jetstream.MsgIDHeader)]
	if one == nil {
		return false
	}
	if one.state == handedTaken {
		one.msg = &d // of one that came twice the later one counts
		return true
	}
	delete(h.all, one.id)
	switch one.state {
	case handedDone:
		_ = d.Done()
		return true
	case handedBack:
		if rest := time.Until(one.at); rest > 0 {
			_ = d.NakWithDelay(rest)
			return true
		}
	default: // it waits no more: the message takes its place
		h.next = slices.DeleteFunc(h.next, func(x *handed) bool { return x == one })
	}
	return false
}

// done notes that the worker is done, and gives the message where it is known.
func (x *handed) done() *Delivery {
	h := x.all
	h.mu.Lock()
	defer h.mu.Unlock()
	if x.msg != nil {
		delete(h.all, x.id)
		return x.msg
	}
	x.state, x.at = handedDone, time.Now()
	return nil
}

// back notes that the worker gave the action back, and gives the message where it is known. Where it
// does not come in time, the action is handed out again without it.
func (x *handed) back(delay time.Duration) *Delivery {
	h := x.all
	h.mu.Lock()
	defer h.mu.Unlock()
	if x.msg != nil {
		delete(h.all, x.id)
		return x.msg
	}
	x.state, x.at = handedBack, time.Now().Add(delay)
	time.AfterFunc(delay, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.all[x.id] == x && x.state == handedBack {
			x.state = handedWaits
			h.next = append(h.next, x)
			signal(h.kick)
		}
	})
	return nil
}

// message is the action's message on the stream, nil while it is not known.
func (x *handed) message() *Delivery {
	x.all.mu.Lock()
	defer x.all.mu.Unlock()
	return x.msg
}
