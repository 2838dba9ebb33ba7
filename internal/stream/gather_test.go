package stream

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// recorder is a publish function that keeps what it was given, a message at a time.
type recorder struct {
	mu       sync.Mutex
	messages [][]string
	took     time.Duration // of one flush
	err      error
}

func (r *recorder) publish(ctx context.Context, message []byte) error {
	payloads, err := unpack(message)
	if err != nil {
		return err
	}
	words := make([]string, len(payloads))
	for i, p := range payloads {
		words[i] = string(p)
	}
	r.mu.Lock()
	r.messages = append(r.messages, words)
	r.mu.Unlock()
	select {
	case <-time.After(r.took):
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestGathererAnswersEveryCaller(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{{"stored", nil}, {"full", pipeline.ErrFull}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{took: 50 * time.Millisecond, err: c.err}
				g := newGatherer(1<<20, r.publish)
				var group sync.WaitGroup
				for range 40 {
					group.Go(func() {
						if err := g.put(t.Context(), []byte("x")); !errors.Is(err, c.err) {
							t.Errorf("put = %v; want %v", err, c.err)
						}
					})
				}
				group.Wait()
				// At most: one that was alone, one behind it, and one for all who came meanwhile.
				if len(r.messages) > flights+2 {
					t.Errorf("%d messages for 40 callers; want at most %d", len(r.messages), flights+2)
				}
				g.close(t.Context())
			})
		})
	}
}

func TestGathererLetsALoneCallerGoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGatherer(1<<20, (&recorder{}).publish)
		for range 5 {
			start := time.Now()
			if err := g.put(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("put took %v; want no wait for company that never comes", took)
			}
		}
		g.close(t.Context())
	})
}

func TestGathererWaitsBrieflyForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{took: 10 * time.Millisecond}
		g := newGatherer(1<<20, r.publish)
		var group sync.WaitGroup
		for range 30 {
			group.Go(func() { _ = g.put(t.Context(), []byte("x")) })
		}
		group.Wait()
		start := time.Now()
		if err := g.put(t.Context(), []byte("alone now")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > r.took+gatherWait {
			t.Errorf("put took %v; want at most %v", took, r.took+gatherWait)
		}
		g.close(t.Context())
	})
}

func TestGathererPacksByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{took: time.Second}
		g := newGatherer(4<<20, r.publish)
		var group sync.WaitGroup
		for range 9 {
			group.Go(func() {
				if err := g.put(t.Context(), []byte(strings.Repeat("x", 300_000))); err != nil {
					t.Error(err)
				}
			})
		}
		group.Go(func() {
			if err := g.put(t.Context(), []byte(strings.Repeat("L", 2<<20))); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		for _, m := range r.messages {
			size := 0
			for _, p := range m {
				size += len(p)
			}
			if size > pipeline.PackBytes && len(m) > 1 {
				t.Errorf("a message packs %d payloads, %d bytes; want at most %d or one alone", len(m), size, pipeline.PackBytes)
			}
		}
		g.close(t.Context())
	})
}

func TestGathererEndsWithItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGatherer(1<<20, (&recorder{took: time.Hour}).publish)
		cause := errors.New("request gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		if err := g.put(ctx, []byte("x")); !errors.Is(err, cause) {
			t.Errorf("put = %v; want %v", err, cause)
		}
		start := time.Now()
		err := g.put(t.Context(), []byte("x"))
		if took := time.Since(start); !errors.Is(err, errPublishTimeout) || took > 2*publishTimeout {
			t.Errorf("put = %v after %v; want %v", err, took, errPublishTimeout)
		}
		g.close(t.Context())
	})
}

func TestGathererCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGatherer(1<<20, (&recorder{took: 20 * time.Second}).publish)
		answered := make(chan error, 1)
		go func() { answered <- g.put(context.Background(), []byte("x")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		g.close(ctx)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("close took %v; want about the second it was given", took)
		}
		if err := <-answered; !errors.Is(err, ErrClosed) {
			t.Errorf("put = %v; want ErrClosed", err)
		}
		if err := g.put(t.Context(), []byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("put(closed) = %v; want ErrClosed", err)
		}
	})
}

func TestRecentIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recentIDs
		r.add("a")
		time.Sleep(recentWindow)
		if !r.has("a") || r.has("b") || r.has("") {
			t.Errorf("has(a, b, empty) = %v, %v, %v; want only a", r.has("a"), r.has("b"), r.has(""))
		}
		time.Sleep(2*recentWindow + time.Second)
		if r.has("a") {
			t.Error("has(a) = true; want it forgotten")
		}
		for range 3 * recentMax {
			r.add(time.Now().String())
			time.Sleep(time.Nanosecond)
		}
		if n := len(r.now) + len(r.old); n > 2*recentMax {
			t.Errorf("%d ids are kept; want at most %d", n, 2*recentMax)
		}
	})
}
