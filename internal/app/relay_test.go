package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/internal/stream"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// onDisk counts the rows of the outbox in the file, those that were published too.
func onDisk(t *testing.T, store *state.Store) int {
	t.Helper()
	snap, err := store.View()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	var b bytes.Buffer
	if err := snap.Export(t.Context(), state.BackupInfo{}, &b); err != nil {
		t.Fatal(err)
	}
	return strings.Count(b.String(), `"kind":"action"`)
}

// TestPublishedRowsLeaveTheFile: an action is with a worker for so long that it is published after all, and nothing is
// committed after that: its row goes all the same, and its message is there.
func TestPublishedRowsLeaveTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := state.Open(filepath.Join(dir, stateFile), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s, err := stream.Open(t.Context(), stream.Options{Dir: filepath.Join(dir, streamDir), Keep: time.Hour, MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	if _, err := s.Actions(t.Context(), "disk"); err != nil { // its worker takes what is handed over, and finishes nothing
		t.Fatal(err)
	}
	if err := store.Commit(&triage.Changeset{Outbox: []pipeline.Action{{Case: "DK-1", Sink: "disk", N: 1}}}); err != nil {
		t.Fatal(err)
	}
	if n := onDisk(t, store); n != 1 {
		t.Fatalf("rows in the file = %d; want the one", n)
	}
	r := newRelay(store, s, "", (&logs{}).logger())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.run(ctx) }()
	eventually(t, "the row left the file", func() bool { return onDisk(t, store) == 0 })
	if there, err := s.PendingActions(t.Context(), "disk", "DK-1"); err != nil || !there {
		t.Errorf("PendingActions() = %v, %v; want the message that took the row's place", there, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("run() = %v; want no error", err)
	}
}

// slow is a sink that answers when it is let go.
type slow struct {
	pipeline.Sink
	called, letGo chan struct{}
}

func (s *slow) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	s.called <- struct{}{}
	<-s.letGo
	return s.Sink.Apply(ctx, t)
}

// TestRenameLeavesNothingUnderTheOldName: while a sink that gets another name finishes its last call, triage issues one more
// action under the old one, and hands it over to nobody. It is carried out under the new name, and the old one, which
// nobody looks after, is left with nothing.
func TestRenameLeavesNothingUnderTheOldName(t *testing.T) {
	t.Parallel()
	s := newSite(t, fileSite)
	set, err := all.Set()
	if err != nil {
		t.Fatal(err)
	}
	first := &slow{called: make(chan struct{}, 1), letGo: make(chan struct{})}
	file := set["file"]
	makes := file.Sink
	file.Sink = func(env connectors.Env, b connectors.Block) (pipeline.Sink, error) {
		made, err := makes(env, b)
		if first.Sink == nil && err == nil {
			first.Sink = made
			return first, nil
		}
		return made, err
	}
	set["file"] = file
	opts, err := s.options().options()
	if err != nil {
		t.Fatal(err)
	}
	opts.Set = set
	ctx := t.Context()
	a, err := Open(ctx, s.config(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(a.stopSources(context.Background()), a.Close(context.Background())); err != nil {
			t.Error(err)
		}
	}()
	reported := func(n int) {
		t.Helper()
		s.put(fmt.Sprintf("in/%d.json", n), ndjson(t, samples(n, 1)...))
		if _, err := a.polls.poll(ctx, &a.Graph().Sources[0], true, nil); err != nil {
			t.Fatal(err)
		}
	}
	// old are the cases with an action in the outbox under the old name.
	old := func() (cases []string) {
		t.Helper()
		rows, err := a.store.Outbox(math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if rows[i].Sink == "disk" {
				cases = append(cases, rows[i].Case)
			}
		}
		return cases
	}
	reported(1)
	<-first.called
	s.configure(strings.NewReplacer("name: disk", "name: paper, formerly: [disk]", "sinks: [disk]", "sinks: [paper]").Replace(fileSite))
	reloaded := make(chan error, 1)
	go func() { reloaded <- a.Reload(ctx) }()
	eventually(t, "the reload waits for the call", func() bool { return len(a.deliveries()) == 0 })
	reported(2)
	eventually(t, "the second action is issued", func() bool {
		there, err := a.stream.PendingActions(ctx, "disk", "DK-2") // where the reload takes longer than the relay waits
		return err == nil && there || slices.Contains(old(), "DK-2")
	})
	close(first.letGo)
	if err := <-reloaded; err != nil {
		t.Fatalf("Reload() = %v; want no error", err)
	}
	if cases := old(); len(cases) > 0 {
		t.Errorf("the outbox holds actions of %v for disk; want none: they would be published", cases)
	}
	for _, id := range []string{"DK-1", "DK-2"} {
		if there, err := a.stream.PendingActions(ctx, "disk", id); err != nil || there {
			t.Errorf("PendingActions(disk, %s) = %v, %v; want none", id, there, err)
		}
	}
	eventually(t, "both tickets are there", func() bool { return len(s.tickets()) == 2 })
}
