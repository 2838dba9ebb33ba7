package app

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetStart gives the pages of the program's own file back that only the start needed: they count as
// the process's memory once touched. What is needed again comes back from the page cache.
func forgetStart() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		// Only what cannot be written: such pages are the file's.
		f := strings.Fields(line)
		if len(f) < 6 || f[5] != program || f[1][1] != '-' {
			continue
		}
		var from, to uintptr
		if _, err := fmt.Sscanf(f[0], "%x-%x", &from, &to); err != nil {
			continue
		}
		// The result is not looked at: this only saves memory.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
	}
}
