package formattest

import (
	"syscall"
	"time"
)

// threadTime is the CPU time of the calling thread, getrusage(2).
func threadTime() time.Duration { return usage(syscall.RUSAGE_THREAD) }

// processTime is the CPU time of the process.
func processTime() time.Duration { return usage(syscall.RUSAGE_SELF) }

func usage(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err) // who is known to the system
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
