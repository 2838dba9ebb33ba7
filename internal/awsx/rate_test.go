package awsx_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// bucket is a service that lets rate calls a second through, and as many at once after a quiet second.
type bucket struct {
	rate float64

	mu              sync.Mutex
	tokens          float64
	last            time.Time
	passed, refused int
}

func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.tokens, b.last = min(b.rate, b.tokens+now.Sub(b.last).Seconds()*b.rate), now
	if b.tokens < 1 {
		b.refused++
		return false
	}
	b.tokens--
	b.passed++
	return true
}

func TestTheRateAdapts(t *testing.T) {
	s := start(t, awstest.Options{})
	const rate, seconds = 20, 5
	b := &bucket{rate: rate}
	s.Handle("ssm", awstest.Handler{Protocol: awstest.JSON11, Target: "AmazonSSM", Operations: map[string]awstest.Operation{
		"GetParameter": {Do: func(awstest.Call, *awstest.Request) (any, error) {
			if !b.take() {
				return nil, &awstest.Error{Status: 400, Code: "ThrottlingException", Message: "Rate exceeded"}
			}
			return map[string]any{"Parameter": map[string]any{"Name": "/here", "Value": "yes"}}, nil
		}},
	}})
	f := fleet(t, awsx.Settings{}, awsx.Options{})
	targets, _, err := f.Targets(t.Context(), awsx.Ask{Service: "ssm", Regions: []string{"eu-west-1"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
	defer cancel()
	var failed atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := read(ctx, targets[0].Config); err != nil && ctx.Err() == nil {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	// A client that did not slow down would be refused many times as often as it is let through.
	if failed.Load() > 0 || b.passed < rate*seconds/4 || b.refused > b.passed {
		t.Errorf("8 callers in %ds: %d calls passed, %d were refused, %d failed; want at least %d, fewer refused than passed, none failed",
			seconds, b.passed, b.refused, failed.Load(), rate*seconds/4)
	}
}
