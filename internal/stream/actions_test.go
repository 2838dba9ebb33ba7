package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func actionsOf(sink string, n int) []ActionMessage {
	out := make([]ActionMessage, n)
	for i := range out {
		out[i] = ActionMessage{Sink: sink, Case: fmt.Sprintf("DK-%d", i+1), ID: fmt.Sprintf("a/DK-%d/%s/1.0", i+1, sink), Data: fmt.Append(nil, i)}
	}
	return out
}

func fetch(t *testing.T, c *Consumer, n int) []Delivery {
	t.Helper()
	out, err := c.Fetch(t.Context(), n, 20*time.Second)
	if err != nil {
		t.Fatalf("Fetch(%d) = %v; want no error", n, err)
	}
	return out
}

func TestActionsInOrderAndDone(t *testing.T) {
	s := open(t, Options{})
	if err := s.PublishActions(t.Context(), append(actionsOf("jira", 3), actionsOf("slack", 4)...)); err != nil {
		t.Fatal(err)
	}
	jira, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := jira.Waiting(t.Context()); err != nil || n != 3 {
		t.Errorf("Waiting = %d, %v; want 3", n, err)
	}
	got := fetch(t, jira, 10)
	if len(got) != 3 {
		t.Fatalf("Fetch = %d actions; want 3, those of this sink only", len(got))
	}
	for i, d := range got {
		if string(d.Data) != fmt.Sprint(i) || d.Deliveries != 1 {
			t.Errorf("delivery %d = %q, %d times; want %d, once", i, d.Data, d.Deliveries, i)
		}
		if err := d.InProgress(); err != nil {
			t.Error(err)
		}
		if err := d.Done(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		sink, id string
		want     bool
	}{{"jira", "DK-1", false}, {"slack", "DK-1", true}, {"slack", "DK-9", false}} {
		waitFor(t, func() (bool, error) {
			got, err := s.PendingActions(t.Context(), c.sink, c.id)
			return got == c.want, err
		}, fmt.Sprintf("PendingActions(%s, %s) = %v", c.sink, c.id, c.want))
	}
}

// waitFor asks until ok, since Done does not wait for the server.
func waitFor(t *testing.T, ok func() (bool, error), what string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		got, err := ok()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come true", what)
		}
	}
}

func TestNakComesBackAfterDelay(t *testing.T) {
	s := open(t, Options{})
	if err := s.PublishActions(t.Context(), actionsOf("jira", 2)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	first := fetch(t, c, 1)[0]
	start := time.Now()
	if err := first.NakWithDelay(300 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, c, 1)[0]; string(got.Data) != "1" {
		t.Errorf("Fetch = %q; want the other action meanwhile", got.Data)
	}
	again := fetch(t, c, 1)[0]
	if took := time.Since(start); string(again.Data) != "0" || again.Deliveries != 2 || took < 300*time.Millisecond {
		t.Errorf("Fetch = %q, delivery %d, after %v; want 0, 2, after 300ms", again.Data, again.Deliveries, took)
	}
}

// What was given back comes in time although the stream is purged and nobody fetches meanwhile;
// also to a consumer that was made after it.
func TestNakOutlivesAPurge(t *testing.T) {
	s := open(t, Options{})
	if err := s.PublishActions(t.Context(), actionsOf("jira", 20)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range fetch(t, c, 10) {
		if i < 5 {
			err = d.Done()
		} else {
			err = d.NakWithDelay(50 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(100 * time.Millisecond) // the delay is over, and the server knows
	if err := s.purge(t.Context(), actionsName, 5); err != nil {
		t.Fatal(err)
	}
	if c, err = s.Actions(t.Context(), "jira"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for start := time.Now(); len(seen) < 15 && time.Since(start) < 10*time.Second; {
		got, err := c.Fetch(t.Context(), 4, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got {
			seen[string(d.Data)]++
			if err := d.Done(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := 5; i < 20; i++ {
		if got := seen[fmt.Sprint(i)]; got != 1 {
			t.Errorf("action %d came %d times; want once", i, got)
		}
	}
}

// TestNextConsumerNeedNotWait: who takes a sink's actions over, as after a reload, gets at once what was given back for later.
func TestNextConsumerNeedNotWait(t *testing.T) {
	s := open(t, Options{})
	if err := s.PublishActions(t.Context(), actionsOf("jira", 3)); err != nil {
		t.Fatal(err)
	}
	before, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range fetch(t, before, 3) {
		if err := d.NakWithDelay(time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	after, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, after, 3); len(got) != 3 {
		t.Errorf("Fetch = %d actions; want the 3 that were given back", len(got))
	}
}

func TestDropSink(t *testing.T) {
	s := open(t, Options{})
	if err := s.PublishActions(t.Context(), append(actionsOf("jira", 3), actionsOf("jira.2", 2)...)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.DropSink(t.Context(), "jira"); err != nil {
			t.Fatal(err)
		}
	}
	for sink, want := range map[string]bool{"jira": false, "jira.2": true} {
		if got, err := s.PendingActions(t.Context(), sink, "DK-1"); err != nil || got != want {
			t.Errorf("PendingActions(%s) = %v, %v; want %v", sink, got, err, want)
		}
	}
}

func TestUnfinishedActionsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if err := s.PublishActions(t.Context(), actionsOf("jira", 4)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	taken := fetch(t, c, 4)
	if err := taken[1].Done(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() (bool, error) {
		n, err := c.Waiting(t.Context())
		return n == 3, err
	}, "three left")
	shut(t, s)

	s = open(t, Options{Dir: dir})
	if c, err = s.Actions(t.Context(), "jira"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range fetch(t, c, 10) {
		got = append(got, string(d.Data))
	}
	if want := []string{"0", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("Fetch after restart = %v; want %v, without waiting for the old deliveries", got, want)
	}
}

func TestRepeatedActionsAreStoredOnce(t *testing.T) {
	s := open(t, Options{})
	all := actionsOf("jira", 2*batchMin)
	// The second call holds one that is stored already: JetStream refuses the batch as a whole.
	for _, batch := range [][]ActionMessage{all[:1], all, all, all[:batchMin-1]} {
		if err := s.PublishActions(t.Context(), batch); err != nil {
			t.Fatalf("PublishActions = %v; want no error", err)
		}
	}
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Actions.Messages != 2*batchMin {
		t.Errorf("Stats = %+v, %v; want %d actions", stats.Actions, err, 2*batchMin)
	}
}

func TestManyActions(t *testing.T) {
	s := open(t, Options{})
	if err := s.PublishActions(t.Context(), actionsOf("jira", 2*batchMax+7)); err != nil {
		t.Fatalf("PublishActions = %v; want no error: more than one batch holds", err)
	}
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Actions.Messages != 2*batchMax+7 {
		t.Errorf("Stats = %+v, %v; want %d actions", stats.Actions, err, 2*batchMax+7)
	}
	large := ActionMessage{Sink: "jira", Case: "c", Data: make([]byte, s.MaxPayload()+1)}
	if err := s.PublishActions(t.Context(), []ActionMessage{large}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("PublishActions(too large) = %v; want ErrTooLarge", err)
	}
}

func TestFetchOfNothing(t *testing.T) {
	s := open(t, Options{})
	c, err := s.Actions(t.Context(), "idle")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Fetch(t.Context(), 5, 50*time.Millisecond); err != nil || len(got) != 0 {
		t.Errorf("Fetch(nothing) = %v, %v; want none and no error", got, err)
	}
	cause := errors.New("stopping")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if got, err := c.Fetch(ctx, 5, time.Minute); !errors.Is(err, cause) || len(got) != 0 {
		t.Errorf("Fetch(cancelled) = %v, %v; want %v", got, err, cause)
	}
}

func TestToken(t *testing.T) {
	seen := make(map[string]string)
	for in, want := range map[string]string{
		"DK-1": "DK-1", "a_b": "a_b", "": "%", "a.b": "a%2Eb", "a*": "a%2A", ">": "%3E", "two words": "two%20words", "%": "%25", "ü": "%C3%BC",
	} {
		got := token(in)
		if got != want {
			t.Errorf("token(%q) = %q; want %q", in, got, want)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("token(%q) = token(%q)", in, other)
		}
		seen[got] = in
	}
}

func TestOddNamesTravel(t *testing.T) {
	s := open(t, Options{})
	sink, id := "my sink.*>/x", "case 1.>"
	if err := s.PublishActions(t.Context(), []ActionMessage{{Sink: sink, Case: id, Data: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.PendingActions(t.Context(), sink, id); err != nil || !ok {
		t.Errorf("PendingActions = %v, %v; want true", ok, err)
	}
	c, err := s.Actions(t.Context(), sink)
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, c, 1); string(got[0].Data) != "x" {
		t.Errorf("Fetch = %q; want x", got[0].Data)
	}
}
