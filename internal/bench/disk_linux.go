package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// diskWritten is how many bytes were written so far to the disk that holds a folder, by whomever:
// its sectors in /proc/diskstats, which have 512 bytes each (Documentation/admin-guide/iostats.rst).
// What /proc counts for the process alone (write_bytes) is no measure of that: where the page cache
// holds a file in pieces larger than a page, a write of one page counts as the whole piece.
func diskWritten(dir string) (int64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, fmt.Errorf("find the disk: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errNoDisk
	}
	dev := uint64(st.Dev) //nolint:unconvert // narrower on some machines
	text, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, fmt.Errorf("read the disk's counters: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[0] != fmt.Sprint(dev>>8&0xfff) || f[1] != fmt.Sprint(dev&0xff|dev>>12&0xfff00) {
			continue
		}
		sectors, err := strconv.ParseInt(f[9], 10, 64)
		return sectors * 512, err
	}
	return 0, errNoDisk
}
