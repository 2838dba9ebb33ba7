package formattest

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"
)

// Limits are what reading one input may take.
type Limits struct {
	// CPU is the time on a processor, of inputs of at most PerBytes; a larger one has as many times more. It is CPU
	// and not time since a machine that does other things makes nothing slower than it is.
	CPU time.Duration
	// Memory is how much is held at once, in bytes, counted alike.
	Memory   int64
	PerBytes int
}

// DefaultLimits is one second and 256 MiB for up to 1 MiB of input.
func DefaultLimits() Limits { return Limits{CPU: time.Second, Memory: 256 << 20, PerBytes: 1 << 20} }

// Bounded runs what reads an input of size bytes within DefaultLimits, and fails the test where it takes more. read
// may be run twice, and does its work before it returns.
func Bounded(t testing.TB, size int, read func()) {
	t.Helper()
	if err := DefaultLimits().Check(size, read); err != nil {
		t.Errorf("reading %d bytes takes too much: %v", size, err)
	}
}

// hang is how many times the limit of CPU time a call gets before it is taken for one that never ends. All of the process
// counts there, so tests that run beside it count as well.
const hang = 20

// Check runs read and says what it took too much of. A call that does not end is a panic, which is what ends a
// fuzzing process with its input kept.
//
// What was allocated in all bounds what was held, and costs nothing to know. Only where that is above the limit
// read is run a second time, and watched.
func (l Limits) Check(size int, read func()) error {
	times := int64(1 + max(size-1, 0)/l.PerBytes)
	l.CPU, l.Memory = l.CPU*time.Duration(times), l.Memory*times
	runtime.LockOSThread() // so that the thread's time is the call's
	defer runtime.UnlockOSThread()
	defer l.watch()()
	allocated, stacks, cpu := sample(allocs), sample(stack), threadTime()
	read()
	took := threadTime() - cpu
	if took > l.CPU {
		return fmt.Errorf("%v of CPU time; the limit is %v", took.Round(time.Millisecond), l.CPU)
	}
	if grown := sample(stack) - stacks; grown > l.Memory { // a stack shrinks only when garbage is collected
		return fmt.Errorf("a stack of %d MiB; the limit is %d MiB", grown>>20, l.Memory>>20)
	}
	if sample(allocs)-allocated <= l.Memory {
		return nil
	}
	if held := peak(l.Memory, read); held > l.Memory {
		return fmt.Errorf("%d MiB held at once; the limit is %d MiB", held>>20, l.Memory>>20)
	}
	return nil
}

// watch panics when the call goes on for ever; what it returns ends the watching.
func (l Limits) watch() (end func()) {
	start, again := processTime(), max(l.CPU, time.Millisecond)
	var over atomic.Bool
	var look func()
	look = func() {
		if over.Load() {
			return
		}
		if took := processTime() - start; took > hang*l.CPU {
			panic(fmt.Sprintf("reading one input goes on after %v of CPU time; the limit is %v", took.Round(time.Millisecond), l.CPU))
		}
		time.AfterFunc(again, look)
	}
	first := time.AfterFunc(again, look)
	return func() {
		over.Store(true)
		first.Stop()
	}
}

// The numbers that sample reads: bytes allocated since the start, bytes in objects now, those that
// the last collection found in use, and bytes of stacks.
const (
	allocs  = "/gc/heap/allocs:bytes"
	objects = "/memory/classes/heap/objects:bytes"
	live    = "/gc/heap/live:bytes"
	stack   = "/memory/classes/heap/stacks:bytes"
)

func sample(name string) int64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// peak runs read and gives how much more than before it held at once, in bytes. It looks every millisecond, and
// collects garbage where there is more than the limit, to know what of it is held.
func peak(limit int64, read func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	runtime.GC()
	before := sample(live)
	done, most := make(chan struct{}), make(chan int64)
	go func() {
		var held int64
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				most <- held
				return
			case <-tick.C:
			}
			if held <= limit && sample(objects)-before > limit {
				runtime.GC()
				held = max(held, sample(live)-before)
			}
		}
	}()
	read()
	close(done)
	return <-most
}
