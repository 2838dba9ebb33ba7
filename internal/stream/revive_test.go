package stream

import (
	"errors"
	"sync"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// TestFailedPublishBesideRevive: whatever Revive does at the moment that a publish fails, it failed: nothing was stored.
func TestFailedPublishBesideRevive(t *testing.T) {
	s := open(t, Options{reserve: new(uint64)})
	failed, why := errors.New("no answer"), "Critical write error"
	stop := make(chan struct{})
	var reviving sync.WaitGroup
	reviving.Go(func() {
		defer s.broken.Store(nil)
		for {
			select {
			case <-stop:
				return
			default:
				s.broken.Store(&why)
				s.broken.Store(nil)
			}
		}
	})
	for range 100_000 {
		if err := s.publishError(failed); !errors.Is(err, failed) && !errors.Is(err, pipeline.ErrNoRoom) {
			t.Errorf("publishError(%q) = %v; want it, or that there is no room", failed, err)
			break
		}
	}
	close(stop)
	reviving.Wait()
}
