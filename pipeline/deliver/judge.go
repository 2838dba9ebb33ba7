package deliver

import (
	"sync"
	"time"
)

// verdict is what a worker does about an action after reading its claim.
type verdict uint8

const (
	drop       verdict = iota // the action is over: a later one holds the claim
	repeat                    // done: publish the stored outcome again
	wait                      // another attempt is at it
	takeSure                  // take the claim; nothing of this case can be under way at the sink
	takeUnsure                // take the claim; an earlier write may have landed, or may still
)

// judge is the table of claims. over says whether the lease of a claim that is
// not done has ended, or it was given back; it matters for the same action only.
func judge(c Claim, present bool, n uint64, over bool) verdict {
	switch {
	case !present && n == 1:
		return takeSure
	case !present:
		return takeUnsure // n-1 must have left a claim: it was lost
	case c.N > n:
		return drop
	case c.N < n && c.Done:
		return takeSure
	case c.N < n:
		return takeUnsure
	case c.Done:
		return repeat
	case !over:
		return wait
	case c.Clean:
		return takeSure
	default:
		return takeUnsure
	}
}

// leases judges whether a claim held by somebody else is over by watching it:
// only this process's monotonic clock counts, no clocks are compared.
type leases struct {
	lease time.Duration
	mu    sync.Mutex
	seen  map[string]watched
}

type watched struct {
	revision uint64
	since    time.Time
}

// leasesKept is how many watched claims are kept before old ones are forgotten; forgetting only delays.
const leasesKept = 10_000

// rest is how much of the lease is left of the claim with that revision; 0 when it is over.
func (l *leases) rest(key string, revision uint64, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.seen[key]
	if !ok || w.revision != revision {
		if len(l.seen) >= leasesKept {
			for k, old := range l.seen {
				if now.Sub(old.since) > 2*l.lease {
					delete(l.seen, k)
				}
			}
		}
		l.seen[key] = watched{revision, now}
		return l.lease
	}
	return max(0, l.lease-now.Sub(w.since))
}

func (l *leases) forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, key)
}
