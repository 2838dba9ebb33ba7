//go:build linux || darwin || freebsd

package state

import (
	"os"
	"syscall"
)

// letGo gives up a file and its lock, also where a mapping keeps the file, and with it the lock, beyond its Close.
func letGo(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) // fails where the file is closed already
	_ = f.Close()
}
