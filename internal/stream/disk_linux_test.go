package stream

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docket-hub/docket/pipeline"
)

// TestDiskFull runs on a small file system of its own: a full disk must read as
// a full stream, and room must be enough to go on.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, "size=96m")
	s := open(t, Options{Dir: filepath.Join(dir, "stream")})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, noise(20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	stored := uint64(0)
	for stored < 50 {
		if err = s.PublishFindings(t.Context(), noise(1<<20)); err != nil {
			break
		}
		stored++
	}
	if !errors.Is(err, pipeline.ErrFull) {
		t.Fatalf("PublishFindings(disk full) = %v after %d; want ErrFull", err, stored)
	}
	if err := s.PublishActions(t.Context(), actionsOf("jira", 2)); !errors.Is(err, pipeline.ErrFull) {
		t.Errorf("PublishActions(disk full) = %v; want ErrFull", err)
	}
	if seqs, _ := readAll(t, s, 1); uint64(len(seqs)) != stored {
		t.Errorf("read %d messages; want the %d stored ones", len(seqs), stored)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	publish(t, s, "room again")
}

// smallDisk is a file system of its own, which takes a right that not every machine gives to a test.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("Unmount = %v", err)
		}
	})
	return dir
}

// TestRevive fills the disk to the last byte, as other programs and quotas do: a write fails in the midst of it, the server
// stores nothing more, and goes on in the same process once there is room. What was confirmed is there.
func TestRevive(t *testing.T) {
	dir := smallDisk(t, "size=24m")
	s := open(t, Options{Dir: filepath.Join(dir, "stream"), reserve: new(uint64)})
	actions, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PublishActions(t.Context(), actionsOf("jira", 2)); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, actions, 2); len(got) != 2 {
		t.Fatalf("Fetch = %d actions; want 2", len(got))
	}
	reader, err := s.Findings(1)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, noise(8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for stored < 50 && err == nil {
		if err = s.PublishFindings(t.Context(), noise(1<<20)); err == nil {
			stored++
		}
	}
	if !errors.Is(err, pipeline.ErrNoRoom) || !errors.Is(err, pipeline.ErrFull) || !strings.Contains(err.Error(), dir) || !s.Broken() {
		t.Fatalf("PublishFindings(no byte left) = %v after %d, broken %v; want ErrNoRoom that names the folder", err, stored, s.Broken())
	}
	if err := s.Revive(t.Context()); !errors.Is(err, pipeline.ErrNoRoom) {
		t.Errorf("Revive(still no room) = %v; want ErrNoRoom", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := s.PublishFindings(t.Context(), noise(100)); !errors.Is(err, pipeline.ErrNoRoom) {
		t.Errorf("PublishFindings(not revived yet) = %v; want ErrNoRoom", err)
	}
	if err := s.Revive(t.Context()); err != nil {
		t.Fatalf("Revive(room again) = %v; want no error", err)
	}
	publish(t, s, "room again")
	var got []Message
	for len(got) < stored+1 {
		more, err := reader.Next(t.Context(), 64, 5*time.Second)
		if err != nil || len(more) == 0 {
			t.Fatalf("Next = %d messages, %v after %d; want %d in all", len(more), err, len(got), stored+1)
		}
		got = append(got, more...)
	}
	if last := got[len(got)-1].Payloads; string(last[0]) != "room again" {
		t.Errorf("the last message holds %d bytes; want what was published last", len(last[0]))
	}
	if actions, err = s.Actions(t.Context(), "jira"); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, actions, 2); len(got) != 2 {
		t.Errorf("Fetch after Revive = %d actions; want the 2 that nobody finished", len(got))
	}
}
