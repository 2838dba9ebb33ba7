package stream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// freeEvery spaces purges, because each costs several flushes.
	freeEvery = 10 * time.Second
	// keepCheck is how often done findings are looked at for their age. Nothing is written
	// unless some have passed it.
	keepCheck = time.Hour
)

// freer purges what is done, behind the callers' backs: inputs and actions
// soon, findings once they are older than Keep, and never anything above the position.
type freer struct {
	s        *Stream
	findings atomic.Uint64 // done up to here
	inputs   atomic.Uint64

	// Each of the loops has its own.
	findingsFreed, inputsFreed, actionsFreed uint64
	findingsKick, inputsKick, actionsKick    chan struct{}

	closing chan struct{}
	once    sync.Once
	running sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
}

func newFreer(s *Stream) *freer {
	f := &freer{
		s:            s,
		findingsKick: make(chan struct{}, 1),
		inputsKick:   make(chan struct{}, 1),
		actionsKick:  make(chan struct{}, 1),
		closing:      make(chan struct{}),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.findings.Store(s.opts.FindingsPosition)
	f.inputs.Store(s.opts.InputsPosition)
	f.running.Go(func() {
		// A process that restarts more often than hourly frees here what has grown old.
		f.report(f.freeFindings(f.ctx))
		hourly := time.NewTicker(keepCheck)
		defer hourly.Stop()
		f.loop(f.findingsKick, hourly.C, freeEvery, f.freeFindings)
	})
	f.running.Go(func() {
		f.loop(f.inputsKick, nil, freeEvery, f.freeInputs)
		f.report(f.freeInputs(f.ctx))
	})
	if s.done != nil {
		f.running.Go(func() {
			f.loop(f.actionsKick, nil, removeEvery, func(ctx context.Context) error { return f.freeActions(ctx, false) })
			f.report(f.freeActions(f.ctx, true))
		})
	}
	return f
}

// DoneFindings says that findings up to seq are in state for good: their space may
// be freed once they are older than Options.Keep.
func (s *Stream) DoneFindings(seq uint64) { raise(&s.free.findings, seq) }

// DoneInputs says that inputs up to seq are in state for good: their space is freed soon.
func (s *Stream) DoneInputs(seq uint64) {
	if raise(&s.free.inputs, seq) {
		signal(s.free.inputsKick)
	}
}

func (f *freer) full() { signal(f.findingsKick) }

func raise(v *atomic.Uint64, to uint64) bool {
	for {
		old := v.Load()
		if to <= old {
			return false
		}
		if v.CompareAndSwap(old, to) {
			return true
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// loop frees when it is kicked or ticked, at most once in every, until closing.
func (f *freer) loop(kick <-chan struct{}, tick <-chan time.Time, every time.Duration, free func(context.Context) error) {
	pause := time.NewTimer(every)
	defer pause.Stop()
	for {
		select {
		case <-kick:
		case <-tick:
		case <-f.closing:
			return
		}
		f.report(free(f.ctx))
		pause.Reset(every)
		select {
		case <-pause.C:
		case <-f.closing:
			return
		}
	}
}

func (f *freer) report(err error) {
	if err != nil && f.ctx.Err() == nil {
		f.s.log.Warn("free space in the stream", "component", "stream", "err", err)
	}
}

func (f *freer) freeInputs(ctx context.Context) error {
	done := f.inputs.Load()
	if done <= f.inputsFreed {
		return nil
	}
	if err := f.s.purge(ctx, inputsName, done); err != nil {
		return err
	}
	f.inputsFreed = done
	return nil
}

// freeFindings purges up to the position, but nothing younger than Keep. It
// reads one message, and writes only when there is something to purge.
func (f *freer) freeFindings(ctx context.Context) error {
	done := f.findings.Load()
	if done <= f.findingsFreed {
		return nil
	}
	kept, found, err := f.s.firstSince(ctx, findingsName, time.Now().Add(-f.s.opts.Keep))
	if err != nil {
		return err
	}
	if found && kept <= done {
		done = kept - 1
	}
	if done <= f.findingsFreed {
		return nil
	}
	if err := f.s.purge(ctx, findingsName, done); err != nil {
		return err
	}
	f.findingsFreed = done
	return nil
}

// close frees what is done a last time, except findings, and stops the loops.
func (f *freer) close(ctx context.Context) error {
	f.once.Do(func() { close(f.closing) })
	finished := make(chan struct{})
	go func() {
		f.running.Wait()
		close(finished)
	}()
	defer f.cancel()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		f.cancel()
		<-finished
		return fmt.Errorf("free space in the stream: %w", context.Cause(ctx))
	}
}
