//go:build failpoint && unix

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// point is the one place that this process dies at, and the hits that are left until then.
type point struct {
	name string
	left atomic.Int64
}

// armed reads the environment once. A wrong value panics: a suite that does not
// kill what it thinks it kills proves nothing.
var armed = sync.OnceValue(func() *point {
	value := os.Getenv("DOCKET_FAILPOINT")
	if value == "" {
		return nil
	}
	name, count, _ := strings.Cut(value, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		panic("DOCKET_FAILPOINT=" + value + ": want name:n with n from 1")
	}
	p := &point{name: name}
	p.left.Store(n)
	return p
})

// Hit kills the process with SIGKILL at the hit that DOCKET_FAILPOINT asks for.
func Hit(name string) {
	p := armed()
	if p == nil || p.name != name || p.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}
