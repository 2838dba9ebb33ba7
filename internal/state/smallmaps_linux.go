package state

import (
	"bytes"
	"os"
	"unsafe"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// From include/uapi/linux/userfaultfd.h. The numbers of the calls are those of every platform that docket is built for.
const (
	uffdUserModeOnly = 1       // flag of userfaultfd(2): needs no privilege since Linux 5.11
	uffdAPI          = 0xaa    // uffdio_api.api
	uffdWPAsync      = 1 << 15 // uffdio_api.features: the kernel answers write faults by itself, in any mapping (Linux 6.7)
	uffdModeWP       = 1 << 1  // uffdio_register.mode
	ioctlAPI         = 0xc018aa3f
	ioctlRegister    = 0xc020aa00
)

// smallMaps has the kernel map no more of a file than what is looked at. By itself it maps the 15 pages round each one
// too, or 2 MB where the page cache holds as much in one piece. They are of no use to look-ups in a tree, count as this
// process's memory, and make up most of what giving pages back and touching them again costs.
//
// The one way to have a single page mapped is to watch the mapping by userfaultfd(2) (Linux, mm/memory.c,
// should_fault_around). It is watched for writes, of which a mapping for reading has none, so that there is never anything to
// answer. Where that cannot be had, all works the same and takes more memory.
type smallMaps struct {
	watch *os.File // nil: cannot be had
}

func newSmallMaps() smallMaps {
	if filtered() {
		return smallMaps{}
	}
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|uffdUserModeOnly, 0, 0)
	if errno != 0 {
		return smallMaps{}
	}
	watch := os.NewFile(fd, "userfaultfd")
	api := struct{ api, features, ioctls uint64 }{api: uffdAPI, features: uffdWPAsync}
	if _, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, ioctlAPI, uintptr(unsafe.Pointer(&api))); errno != 0 {
		_ = watch.Close() // nothing was asked of it
		return smallMaps{}
	}
	return smallMaps{watch}
}

// filtered reports whether this process's system calls are filtered (proc_pid_status(5)): a filter may
// answer one that it does not know by killing.
func filtered() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err != nil || !bytes.Contains(status, []byte("\nSeccomp:\t0\n"))
}

// cover holds for the file as far as it reaches now. The map is not moved while tx is open.
func (m smallMaps) cover(tx *bolt.Tx) {
	start, size := tx.DB().Info().Data, tx.Size()
	// The results are not looked at: this only saves memory.
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, uintptr(size), unix.MADV_NOHUGEPAGE)
	if m.watch == nil {
		return
	}
	register := struct{ start, size, mode, ioctls uint64 }{start: uint64(start), size: uint64(size), mode: uffdModeWP}
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, m.watch.Fd(), ioctlRegister, uintptr(unsafe.Pointer(&register)))
}

// close ends it: the kernel maps as it does by itself. It may be called twice.
func (m smallMaps) close() {
	if m.watch != nil {
		_ = m.watch.Close() // nothing was written
	}
}
