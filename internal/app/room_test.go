package app

import (
	"context"
	"testing"
)

// TestStreamIsBackAndItsSinksAreNot: the stream was started again, and a sink could not be; that is tried until the sink is there.
func TestStreamIsBackAndItsSinksAreNot(t *testing.T) {
	t.Parallel()
	s := newSite(t, fileSite)
	opts, err := s.options().options()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	a, err := Open(ctx, s.config(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	good := a.Graph()
	bad := *good
	bad.Sinks = []Sink{good.Sinks[0]}
	bad.Sinks[0].Concurrency = -1 // no loop takes that
	a.graph.Store(&bad)
	if err := a.revive(ctx); err == nil {
		t.Fatal("revive() with a sink that cannot start = nil; want an error")
	}
	if half := a.lookAtStream(ctx, true); !half || len(a.deliveries()) != 0 {
		t.Errorf("lookAtStream(half) = %v with %d sinks; want it half done still, with none", half, len(a.deliveries()))
	}
	a.graph.Store(good)
	if half := a.lookAtStream(ctx, true); half || len(a.deliveries()) != 1 {
		t.Fatalf("lookAtStream(half) = %v with %d sinks; want all done, with the one", half, len(a.deliveries()))
	}
	before := a.deliveries()[0]
	if half := a.lookAtStream(ctx, false); half || a.deliveries()[0] != before {
		t.Errorf("lookAtStream(well) = %v, or another loop of the sink; want nothing done", half)
	}
	s.put("in/a.json", ndjson(t, samples(1, 1)...))
	if _, err := a.polls.poll(ctx, &good.Sources[0], true, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sink takes actions", func() bool { return len(s.tickets()) == 1 })
}
