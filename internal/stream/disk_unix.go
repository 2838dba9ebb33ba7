//go:build linux || darwin || freebsd

package stream

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/docket-hub/docket/pipeline"
)

// diskReserve stays free. A store that meets a full disk in the middle of a write
// refuses every later write until a restart (server/filestore.go, setWriteErr), so docket
// stops before that: it is full, and goes on by itself when there is room again.
const diskReserve = 64 << 20

// diskRoom is pipeline.ErrFull when the disk below the embedded server is nearly full.
func (s *Stream) diskRoom() error {
	if s.server == nil {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.opts.Dir, &st); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", s.opts.Dir, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < diskReserve {
		return fmt.Errorf("%w: the disk of %s has %d MiB left, %d are kept free", pipeline.ErrFull, s.opts.Dir, free>>20, diskReserve>>20)
	}
	return nil
}
