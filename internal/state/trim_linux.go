package state

import (
	"bytes"
	"os"
	"strconv"

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

// mapped is how many bytes of mapped files count as this process's memory now; 0 when it cannot be told.
// The third number of statm is that in pages (proc_pid_statm(5)).
func mapped() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(data)
	if len(f) < 3 {
		return 0
	}
	pages, err := strconv.ParseInt(string(f[2]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
