package state

import (
	"bytes"
	"os"
	"strconv"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// giveBack tells the kernel that this process does not need a part of the mapped
// file for now: size bytes from byte at on, whole pages. They count as the process's memory once touched;
// they stay in the page cache, so that touching one again costs a minor fault. The map is
// not moved while tx is open.
func giveBack(tx *bolt.Tx, at, size int64) {
	start := tx.DB().Info().Data + uintptr(at)
	// The result is not looked at: this only saves memory.
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, uintptr(size), unix.MADV_DONTNEED)
}

// smallPages has the kernel map no large pages of the file as far as it reaches now: by itself it maps 2 MB where the page
// cache holds as much in one piece (Linux, mm/memory.c, do_set_pmd). They are of no use to look-ups in a tree. The map is not moved while tx is open.
func smallPages(tx *bolt.Tx) {
	// The result is not looked at: this only saves memory.
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_NOHUGEPAGE)
}

// ownMemory tells how much memory this process has.
type ownMemory struct{ statm *os.File }

// lookAtMemory opens what tells of this process's memory. Without it nothing is told.
func lookAtMemory() ownMemory {
	f, err := os.Open("/proc/self/statm")
	if err != nil {
		return ownMemory{}
	}
	return ownMemory{f}
}

// close may be called twice.
func (m ownMemory) close() {
	if m.statm != nil {
		_ = m.statm.Close() // it was only read
	}
}

// mapped is how many bytes of mapped files count as this process's memory now; 0 when it cannot be told.
// The third number of statm is that in pages (proc_pid_statm(5)).
func (m ownMemory) mapped() int64 {
	if m.statm == nil {
		return 0
	}
	var line [128]byte
	n, _ := m.statm.ReadAt(line[:], 0) // it ends before the buffer does, which is io.EOF
	f := bytes.Fields(line[:n])
	if len(f) < 3 {
		return 0
	}
	pages, err := strconv.ParseInt(string(f[2]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
