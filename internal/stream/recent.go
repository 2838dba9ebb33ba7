package stream

import (
	"sync"
	"time"
)

const (
	recentWindow = 2 * time.Minute
	recentMax    = 4096
)

// recentIDs remembers ids for about recentWindow, in two halves so that
// forgetting is dropping one of them. The zero value is ready.
type recentIDs struct {
	mu       sync.Mutex
	now, old map[string]struct{}
	since    time.Time // now was begun
}

func (r *recentIDs) has(id string) bool {
	if id == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn()
	_, inNow := r.now[id]
	_, inOld := r.old[id]
	return inNow || inOld
}

func (r *recentIDs) add(id string) {
	if id == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn()
	r.now[id] = struct{}{}
}

func (r *recentIDs) turn() {
	age := time.Since(r.since)
	switch {
	case age > 2*recentWindow:
		r.old, r.now, r.since = nil, make(map[string]struct{}), time.Now()
	case age > recentWindow || len(r.now) >= recentMax:
		r.old, r.now, r.since = r.now, make(map[string]struct{}), time.Now()
	}
}
