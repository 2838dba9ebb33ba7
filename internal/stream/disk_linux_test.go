package stream

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/docket-hub/docket/pipeline"
)

// TestDiskFull runs on a small file system of its own: a full disk must read as
// a full stream, and room must be enough to go on.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("Unmount = %v", err)
		}
	})
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
