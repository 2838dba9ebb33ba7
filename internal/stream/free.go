package stream

import (
	"context"
	"errors"
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

// freer purges what is done, behind the callers' backs: inputs soon, findings
// once they are older than Keep, and never anything above the position.
type freer struct {
	s             *Stream
	findings      atomic.Uint64 // done up to here
	inputs        atomic.Uint64
	findingsFreed uint64 // of the loop alone
	inputsFreed   uint64
	kick          chan struct{} // inputs are done
	pressed       chan struct{} // FINDINGS is full
	closing       chan struct{}
	finished      chan struct{}
	ctx           context.Context
	cancel        context.CancelFunc
	once          sync.Once
}

func newFreer(s *Stream) *freer {
	f := &freer{
		s:        s,
		kick:     make(chan struct{}, 1),
		pressed:  make(chan struct{}, 1),
		closing:  make(chan struct{}),
		finished: make(chan struct{}),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.findings.Store(s.opts.FindingsPosition)
	f.inputs.Store(s.opts.InputsPosition)
	go f.run()
	return f
}

// DoneFindings says that findings up to seq are in state for good: their space may
// be freed once they are older than Options.Keep.
func (s *Stream) DoneFindings(seq uint64) { raise(&s.free.findings, seq) }

// DoneInputs says that inputs up to seq are in state for good: their space is freed soon.
func (s *Stream) DoneInputs(seq uint64) {
	if raise(&s.free.inputs, seq) {
		signal(s.free.kick)
	}
}

func (f *freer) full() { signal(f.pressed) }

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

func (f *freer) run() {
	defer close(f.finished)
	hourly := time.NewTicker(keepCheck)
	defer hourly.Stop()
	pause := time.NewTimer(time.Hour)
	defer pause.Stop()
	// A process that restarts more often than hourly frees here what has grown old.
	f.report(f.freeFindings(f.ctx))
	for {
		inputs, findings := false, false
		select {
		case <-f.kick:
			inputs = true
		case <-f.pressed:
			findings = true
		case <-hourly.C:
			findings = true
		case <-f.closing:
			f.report(f.freeInputs(f.ctx))
			return
		}
		if findings {
			f.report(f.freeFindings(f.ctx))
		}
		// Inputs are freed after the pause, to take in those done meanwhile.
		pause.Reset(freeEvery)
		select {
		case <-pause.C:
		case <-f.closing:
		}
		if inputs {
			f.report(f.freeInputs(f.ctx))
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

// close frees the inputs that are done a last time and stops the loop.
func (f *freer) close(ctx context.Context) error {
	f.once.Do(func() { close(f.closing) })
	defer f.cancel()
	select {
	case <-f.finished:
		return nil
	case <-ctx.Done():
		f.cancel()
		<-f.finished
		return errors.Join(errors.New("free space in the stream"), context.Cause(ctx))
	}
}
