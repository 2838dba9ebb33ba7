//go:build !linux && !darwin && !freebsd

package stream

// diskRoom knows nothing about free space on this system.
func (s *Stream) diskRoom() error { return nil }
