//go:build !linux

package formattest

import "time"

// threadTime is wall time here: not every system tells the CPU time of one thread.
func threadTime() time.Duration { return time.Duration(time.Now().UnixNano()) }

// processTime is wall time here.
func processTime() time.Duration { return threadTime() }
