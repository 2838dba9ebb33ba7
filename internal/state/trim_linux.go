package state

import (
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// giveBack tells the kernel that this process does not need the mapped pages of
// the file for now. They count as the process's memory once touched; they stay
// in the page cache, so that touching one again costs a minor fault. The map is
// not moved while tx is open.
func giveBack(tx *bolt.Tx) {
	// The result is not looked at: this only saves memory.
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
}
