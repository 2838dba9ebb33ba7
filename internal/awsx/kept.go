package awsx

import (
	"context"
	"time"
)

// How long what was learnt is good for, and how long a failure stands before it is tried again.
const (
	forever      = time.Duration(1<<63 - 1)
	refreshAfter = time.Hour // the accounts of the organisation, the regions of an account
	pauseHome    = 15 * time.Second
	pauseList    = time.Minute
	pauseRole    = 5 * time.Minute // a role that refuses docket is seldom mended within the next poll
)

// kept is a value that is fetched when it is asked for, by one asker at a time while the others wait. A failure is
// kept, too, for a shorter time: four sources that start without credentials look for them once.
type kept[T any] struct {
	now         func() time.Time
	life, pause time.Duration

	turn    chan struct{} // holds one while somebody looks or fetches
	value   T
	at      time.Time // of value; zero: there is none
	failure error     // of the newest fetch; nil after a good one
	failed  time.Time
}

func newKept[T any](now func() time.Time, life, pause time.Duration) *kept[T] {
	return &kept[T]{now: now, life: life, pause: pause, turn: make(chan struct{}, 1)}
}

// get is the value and when it was fetched. With an error it is the last value that was known; the zero time says that there is none.
func (k *kept[T]) get(ctx context.Context, fetch func(context.Context) (T, error)) (value T, at time.Time, err error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return value, at, context.Cause(ctx)
	}
	now := k.now()
	switch {
	case k.failure != nil && between(now, k.failed, k.pause):
		return k.value, k.at, k.failure
	case k.failure == nil && !k.at.IsZero() && between(now, k.at, k.life):
		return k.value, k.at, nil
	}
	got, err := fetch(ctx)
	switch {
	case err == nil:
		k.value, k.at, k.failure = got, k.now(), nil
	case ctx.Err() != nil: // the asker left: that says nothing about AWS
	default:
		k.failure, k.failed = err, k.now()
	}
	return k.value, k.at, err
}

// between reports whether now lies within span after since. A clock that was set back counts as outside, else a
// value could stay for years.
func between(now, since time.Time, span time.Duration) bool {
	d := now.Sub(since)
	return d >= 0 && d < span
}
