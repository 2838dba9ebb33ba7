//go:build linux || darwin || freebsd

package stream

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// diskRoom is pipeline.ErrFull when the disk below the embedded server is nearly full.
func (s *Stream) diskRoom() error {
	if !s.embedded {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.opts.Dir, &st); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", s.opts.Dir, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < s.reserve {
		return noRoom(fmt.Errorf("the disk of %s has %d MiB left, %d are kept free: make room, docket goes on by itself", s.opts.Dir, free>>20, s.reserve>>20))
	}
	return nil
}
