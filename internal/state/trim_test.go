package state

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// TestMemoryIsWatchedWhileWorkGoesOn: an open and a commit have memory looked at, over and over until they end; without one
// nothing looks, nor does anything after Close. A look sets lookups to 0.
func TestMemoryIsWatchedWhileWorkGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		// looks says whether memory is looked at within a while. The clock is the bubble's own.
		looks := func(within time.Duration) bool {
			s.lookups.Store(1)
			time.Sleep(within)
			synctest.Wait()
			return s.lookups.Load() == 0
		}
		if !looks(2 * watchEvery) {
			t.Error("nothing looks at memory after an open")
		}
		if looks(time.Minute) {
			t.Error("memory is looked at while nothing goes on")
		}
		done := s.watch.work()
		for range 3 {
			if !looks(2 * watchEvery) {
				t.Error("nothing looks at memory while work goes on")
			}
		}
		done()
		looks(2 * watchEvery) // the look that was under way
		if looks(time.Minute) {
			t.Error("memory is looked at after the work")
		}
		if err := s.Commit(&triage.Changeset{Outbox: []pipeline.Action{{Case: "DK-1", Sink: "disk", N: 1}}}); err != nil {
			t.Fatal(err)
		}
		if !looks(2 * watchEvery) {
			t.Error("nothing looks at memory after a commit")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s.watch.work()
		if looks(time.Minute) {
			t.Error("memory is looked at after Close")
		}
	}) // which fails where the watch goes on
}

// TestReadingIsNotWatched: a file that is only read has its pages checked, and nothing may look beside that.
func TestReadingIsNotWatched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(path, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		s.lookups.Store(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s.lookups.Load() == 0 {
			t.Error("memory is looked at after an open for reading; want nobody to look")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
