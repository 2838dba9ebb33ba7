package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopWithin is how long a process may take to end in good order.
const stopWithin = time.Minute

// process is a running program that is measured from outside.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended with err
	err  error
}

// startProcess runs a program whose output goes to log.
func startProcess(log *os.File, env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(os.Environ(), env...), log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends the process in good order. One that does not end in time is killed, which is an error.
func (p *process) stop() error {
	timer := time.AfterFunc(stopWithin, p.kill)
	defer timer.Stop()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only where it ended already, which Wait tells
	<-p.done
	return p.err
}

// kill ends the process as a crash would, and returns once it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // as in stop
	<-p.done
}

// proc reads one of the process's files in /proc.
func (p *process) proc(name string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
	if err != nil {
		return "", fmt.Errorf("measure the process: %w", err)
	}
	return string(text), nil
}

// field is the number behind a name in a text of lines "name: number …".
func field(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				return strconv.ParseInt(f[0], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("measure the process: no %s in /proc", name)
}

// clockTick is the unit of CPU times in /proc (proc_pid_stat(5)): USER_HZ is 100 on every Linux.
const clockTick = 10 * time.Millisecond

// CPU is the time that the process used so far, in user and system mode.
func (p *process) CPU() (time.Duration, error) {
	text, err := p.proc("stat")
	if err != nil {
		return 0, err
	}
	// The name in brackets may hold blanks; behind it utime and stime are the 12th and 13th.
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("read CPU time: %q is too short", text)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// PeakRSS is the most memory that the process had at any time, in bytes, pages of mapped files included.
func (p *process) PeakRSS() (int64, error) {
	text, err := p.proc("status")
	if err != nil {
		return 0, err
	}
	kb, err := field(text, "VmHWM")
	return kb << 10, err
}

// errNoDisk: the folder lies on no disk that has counters, but in memory or on another machine.
var errNoDisk = errors.New("bytes written are not measured: the folder is on no disk with counters")

// disk is the counter of the disk under a folder when a measurement began.
type disk struct {
	dir    string
	before int64
	err    error
}

func watchDisk(dir string) disk {
	before, err := diskWritten(dir)
	return disk{dir, before, err}
}

// per is the bytes written since then, per byte that was accepted; NaN where they cannot be told.
func (d disk) per(accepted int64) float64 {
	after, err := diskWritten(d.dir)
	if d.err != nil || err != nil {
		return math.NaN()
	}
	return float64(after-d.before) / float64(accepted)
}

// errNoTracer: nothing here can count another process's flushes.
var errNoTracer = errors.New("flushes are not counted: strace is not installed")

// Flushes counts the calls that make the disk flush, for a while.
func (p *process) Flushes(ctx context.Context, during time.Duration) (int, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return 0, errNoTracer
	}
	out, err := os.CreateTemp("", "docket-flushes-*")
	if err != nil {
		return 0, fmt.Errorf("count flushes: %w", err)
	}
	defer func() { _ = errors.Join(out.Close(), os.Remove(out.Name())) }()
	cmd := exec.CommandContext(ctx, strace, "-f", "-qq", "-e", "signal=none", "-e", "trace=fsync,fdatasync,msync,sync_file_range", "-o", out.Name(),
		"-p", strconv.Itoa(p.cmd.Process.Pid))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it lets the process go on
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("count flushes: %w", err)
	}
	select {
	case <-time.After(during):
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(os.Interrupt) // fails only where it ended already, which Wait tells
	// Interrupted, it ends by the signal or with a status of its own: what it wrote tells whether it traced.
	_ = cmd.Wait()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	scan := bufio.NewScanner(out)
	for scan.Scan() {
		if !strings.Contains(scan.Text(), "resumed>") {
			n++
		}
	}
	return n, scan.Err()
}
