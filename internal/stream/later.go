package stream

import (
	"slices"
	"sync"
	"time"
)

const (
	// laterMost is the longest delay that a message given back is kept here for. The server
	// gives it to somebody else ackWait after it was last heard of.
	laterMost = ackWait / 2
	laterKept = 4096 // messages kept at a time
)

// later keeps what was given back with a short delay. The server could do that, but a purge of
// the stream forgets what waits there for its next delivery (nats-server 2.15.2, consumer.purge: of
// the redelivery queue it keeps only what lies above the last message that was delivered), and each
// of them then comes ackWait late.
type later struct {
	mu   sync.Mutex
	list []laterOne // the next one due first
}

type laterOne struct {
	d  Delivery
	at time.Time
}

// keep takes a message back; false when the server has to.
func (l *later) keep(d Delivery, delay time.Duration) bool {
	if delay > laterMost {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) >= laterKept || d.msg.InProgress() != nil {
		return false
	}
	one := laterOne{d, time.Now().Add(delay)}
	i, _ := slices.BinarySearchFunc(l.list, one, func(a, b laterOne) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1 // of two that are due together the first one given back comes first
	})
	l.list = slices.Insert(l.list, i, one)
	return true
}

// due hands out up to n messages whose delay is over, and says when the next one is due; never
// longer than most.
func (l *later) due(n int, most time.Duration) (out []Delivery, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for len(out) < n && len(out) < len(l.list) && !l.list[len(out)].at.After(now) {
		d := l.list[len(out)].d
		d.Deliveries++
		out = append(out, d)
	}
	l.list = slices.Delete(l.list, 0, len(out))
	if len(l.list) > 0 {
		most = max(min(most, l.list[0].at.Sub(now)), time.Millisecond)
	}
	return out, most
}
