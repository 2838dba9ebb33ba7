package stream

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

func TestFullFindingsLeaveRoomForInputs(t *testing.T) {
	s := open(t, Options{MaxBytes: 64 << 10, Keep: time.Hour})
	var err error
	stored := uint64(0)
	for ; err == nil && stored < 100; stored++ {
		err = s.PublishFindings(t.Context(), noise(8<<10))
	}
	if !errors.Is(err, pipeline.ErrFull) {
		t.Fatalf("PublishFindings(full) = %v; want ErrFull", err)
	}
	s.DoneFindings(stored) // done, but kept
	if err := s.PublishFindings(t.Context(), noise(8<<10)); !errors.Is(err, pipeline.ErrFull) {
		t.Errorf("PublishFindings(full of kept ones) = %v; want ErrFull", err)
	}
	if err := s.PublishInput(t.Context(), []byte("outcome"), "o/1"); err != nil {
		t.Errorf("PublishInput = %v; want no error: outcomes have room of their own", err)
	}
	if err := s.PublishActions(t.Context(), []ActionMessage{{Sink: "s", Case: "c"}}); err != nil {
		t.Errorf("PublishActions = %v; want no error", err)
	}
}

func TestFullFindingsAreFreedBehindThePosition(t *testing.T) {
	s := open(t, Options{MaxBytes: 64 << 10, Keep: time.Nanosecond})
	for range 7 {
		publish(t, s, string(noise(8<<10)))
	}
	s.DoneFindings(5)
	// The refused call is what makes room.
	waitFor(t, func() (bool, error) {
		err := s.PublishFindings(t.Context(), noise(16<<10))
		if errors.Is(err, pipeline.ErrFull) {
			return false, nil
		}
		return true, err
	}, "room for findings")
	if seqs, _ := readAll(t, s, 6); !slices.Equal(seqs, []uint64{6, 7, 8}) {
		t.Errorf("sequences = %v; want 6, 7, 8: what is not done is never freed", seqs)
	}
}

func TestFreeFindings(t *testing.T) {
	for _, c := range []struct {
		name  string
		keep  time.Duration
		done  uint64
		first uint64
	}{
		{"young ones are kept", time.Hour, 3, 1},
		{"old and done ones go", time.Nanosecond, 3, 4},
		{"never above the position", time.Nanosecond, 0, 1},
		{"all of them", time.Nanosecond, 5, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, Options{Keep: c.keep})
			publish(t, s, "a", "b", "c", "d", "e")
			s.DoneFindings(c.done)
			f := &freer{s: s}
			f.findings.Store(s.free.findings.Load())
			if err := f.freeFindings(t.Context()); err != nil {
				t.Fatal(err)
			}
			stats, err := s.Stats(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if stats.Findings.First != c.first || stats.Findings.Last != 5 {
				t.Errorf("Stats = %+v; want first %d, last 5", stats.Findings, c.first)
			}
		})
	}
}

func TestOldFindingsAreFreedAtStart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, "a", "b", "c")
	shut(t, s)
	s = open(t, Options{Dir: dir, Keep: time.Nanosecond, FindingsPosition: 2})
	waitFor(t, func() (bool, error) {
		stats, err := s.Stats(t.Context())
		return stats.Findings.First == 3, err
	}, "only 3 is left")
}

func TestCloseFreesDoneInputs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Keep: time.Hour})
	for i := range 3 {
		if err := s.PublishInput(t.Context(), []byte("x"), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	s.DoneInputs(2)
	s.DoneInputs(1) // a position never goes back
	shut(t, s)
	s = open(t, Options{Dir: dir})
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Inputs.First != 3 || stats.Inputs.Messages != 1 {
		t.Errorf("Stats = %+v, %v; want only message 3", stats.Inputs, err)
	}
}
