//go:build !(linux || darwin || freebsd)

package state

import "os"

// letGo gives up a file and its lock.
func letGo(f *os.File) { _ = f.Close() }
