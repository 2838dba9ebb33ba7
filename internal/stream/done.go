package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// removeEvery spaces the removals of finished actions. What was finished in between is
	// handed out once more after a crash, and its claim says that it is done.
	removeEvery = 2 * time.Second
	// stragglerAge is how long a finished action waits for the ones before it to be
	// removed together with them. Behind one that stays, it is removed by itself, for a flush.
	stragglerAge = time.Minute
	// stragglersAtOnce bounds the flushes of one round.
	stragglersAtOnce = 200
)

// doneActions knows which actions of the embedded server are finished and not
// yet removed. A work queue removes each as it is finished and pays a flush for it
// (nats-server 2.15 with SyncAlways: 100 flushes for 100), which would bound the
// tickets a second by the disk; removing all up to a sequence is one flush for any number.
type doneActions struct {
	mu      sync.Mutex
	removed uint64 // nothing is stored up to here
	done    map[uint64]doneAction
}

type doneAction struct {
	at      time.Time
	deleted bool // already by itself
}

// newDoneActions begins with what the stream itself tells about former runs.
func newDoneActions(state jetstream.StreamState) *doneActions {
	d := &doneActions{done: make(map[uint64]doneAction, len(state.Deleted))}
	if state.FirstSeq > 0 {
		d.removed = state.FirstSeq - 1
	}
	for _, seq := range state.Deleted {
		d.done[seq] = doneAction{deleted: true}
	}
	return d
}

func (d *doneActions) add(seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.done[seq]; !known && seq > d.removed {
		d.done[seq] = doneAction{at: time.Now()}
	}
}

func (d *doneActions) has(seq uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.done[seq]
	return known || seq <= d.removed
}

// plan says what to remove now: everything up to a sequence, and stragglers
// one by one. More is true when finished actions are left for a later round.
func (d *doneActions) plan(now time.Time) (upTo uint64, stragglers []uint64, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	upTo = d.removed
	for {
		if _, done := d.done[upTo+1]; !done {
			break
		}
		upTo++
	}
	for seq, a := range d.done {
		switch {
		case seq <= upTo || a.deleted:
		case now.Sub(a.at) >= stragglerAge && len(stragglers) < stragglersAtOnce:
			stragglers = append(stragglers, seq)
		default:
			more = true
		}
	}
	return upTo, stragglers, more
}

func (d *doneActions) removedUpTo(upTo uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ; d.removed < upTo; d.removed++ {
		delete(d.done, d.removed+1)
	}
}

func (d *doneActions) removedOne(seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done[seq] = doneAction{deleted: true}
}

// freeActions removes finished actions; all of them when last is set.
func (f *freer) freeActions(ctx context.Context, last bool) error {
	d, now := f.s.done, time.Now()
	if last {
		now = now.Add(stragglerAge)
	}
	upTo, stragglers, more := d.plan(now)
	if upTo > f.actionsFreed {
		if err := f.s.purge(ctx, actionsName, upTo); err != nil {
			return err
		}
		f.actionsFreed = upTo
		d.removedUpTo(upTo)
	}
	for _, seq := range stragglers {
		dctx, cancel := withTimeout(ctx)
		err := f.s.handles[actionsName].DeleteMsg(dctx, seq)
		cancel()
		if err != nil {
			return fmt.Errorf("remove finished action %d: %w", seq, withCause(dctx, err))
		}
		d.removedOne(seq)
	}
	if more {
		signal(f.actionsKick)
	}
	return nil
}
