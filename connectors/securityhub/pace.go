package securityhub

import (
	"context"
	"sync"
	"time"
)

// pacer spaces the calls of one place out. It may be used by several goroutines.
type pacer struct {
	gap   time.Duration // between two calls in the long run
	slack time.Duration // how far the calls may be ahead of that

	mu   sync.Mutex
	next time.Time // when the next call is due in the long run
}

func newPacer(r Rate) *pacer {
	gap := time.Duration(float64(time.Second) / r.PerSecond)
	return &pacer{gap: gap, slack: gap * time.Duration(max(0, r.Burst-1))}
}

// wait returns when the next call may start, or with the end of ctx.
func (p *pacer) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	delay := p.next.Add(-p.slack).Sub(now)
	p.next = p.next.Add(p.gap)
	p.mu.Unlock()
	if delay <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
