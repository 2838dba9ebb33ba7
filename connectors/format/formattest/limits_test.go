package formattest_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/format/formattest"
)

// burn uses CPU for about so long, as the thread's own work shows.
func burn(d time.Duration) {
	x := uint64(1)
	for end := time.Now().Add(d); time.Now().Before(end); {
		for range 1000 {
			x ^= x << 13
			x ^= x >> 7
		}
	}
	runtime.KeepAlive(x)
}

// deep takes a kilobyte of stack a level.
func deep(n int) byte {
	var frame [1024]byte
	frame[n%len(frame)] = 1
	if n > 0 {
		frame[0] += deep(n - 1)
	}
	return frame[n%7] + frame[0]
}

// What takes too much is caught, and what does not is let through.
func TestLimitsCatch(t *testing.T) {
	small := formattest.Limits{CPU: 200 * time.Millisecond, Memory: 16 << 20, PerBytes: 1 << 10}
	var sink [][]byte
	for _, c := range []struct {
		name   string
		limits formattest.Limits
		size   int
		read   func()
		want   string // part of the error; none where there is none
	}{
		{"nothing", small, 10, func() {}, ""},
		{"slow", small, 1 << 10, func() { burn(2 * time.Second) }, "of CPU time; the limit is 200ms"},
		{"as slow as its size allows", small, 100 << 10, func() { burn(time.Second / 2) }, ""},
		{"waiting", small, 10, func() { time.Sleep(300 * time.Millisecond) }, ""},
		{"holding much", small, 10, func() {
			sink = nil
			for range 64 {
				sink = append(sink, make([]byte, 1<<20))
			}
			burn(100 * time.Millisecond)
			sink = nil
		}, "MiB held at once; the limit is 16 MiB"},
		{"holding as much as its size allows", small, 8 << 10, func() {
			sink = nil
			for range 64 {
				sink = append(sink, make([]byte, 1<<20))
			}
			sink = nil
		}, ""},
		{"dropping what it takes", formattest.Limits{CPU: time.Minute, Memory: 16 << 20, PerBytes: 1 << 10}, 10, func() {
			for range 64 {
				sink = [][]byte{make([]byte, 1<<20)}
			}
			sink = nil
		}, ""},
		{"deep", small, 10, func() { deep(40 << 10) }, "a stack of"},
		{"the default", formattest.DefaultLimits(), 1 << 20, func() {
			sink = nil
			for range 400 {
				sink = append(sink, make([]byte, 1<<20))
			}
			burn(300 * time.Millisecond)
			sink = nil
		}, "MiB held at once; the limit is 256 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.limits.Check(c.size, c.read)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("Check(%s) = %v; want %q", c.name, err, c.want)
			}
		})
	}
}

// A call that never ends ends the process, as a fuzzing process has to.
func TestLimitsEndWhatDoesNotEnd(t *testing.T) {
	if os.Getenv("FORMATTEST_HANG") != "" {
		_ = formattest.Limits{CPU: 10 * time.Millisecond, Memory: 1 << 30, PerBytes: 1}.Check(1, func() {
			for {
				burn(time.Second)
			}
		})
		return
	}
	c := exec.Command(os.Args[0], "-test.run", "^TestLimitsEndWhatDoesNotEnd$", "-test.timeout", "1m")
	c.Env = append(os.Environ(), "FORMATTEST_HANG=1")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "reading one input goes on after") {
		t.Errorf("a call without an end = %v, %.500s; want a panic that says so", err, out)
	}
}
