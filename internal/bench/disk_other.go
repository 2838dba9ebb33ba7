//go:build !linux

package bench

// diskWritten is known of Linux alone.
func diskWritten(string) (int64, error) { return 0, errNoDisk }
