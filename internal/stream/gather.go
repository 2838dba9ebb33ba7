package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

const (
	// gatherWait is how long the first caller of a message waits for others.
	gatherWait = 2 * time.Millisecond
	// publishTimeout bounds the wait for a flush; a busy disk needs seconds at times.
	publishTimeout = 30 * time.Second
	// flights is how many messages are under way at a time: while one is flushed
	// the next is already with the server.
	flights = 2
)

var errPublishTimeout = fmt.Errorf("the stream did not confirm within %s", publishTimeout)

// gatherer packs the payloads of callers that come at about the same time into
// one message, publishes it, and answers all of them. It waits for company only
// when the message before had some: a lone caller never waits.
type gatherer struct {
	publish func(ctx context.Context, message []byte) error
	limit   int // most payload bytes of one message

	in      chan *waiting
	packers chan *packer // as many as flights: taking one is the permission to fly
	ctx     context.Context
	stop    context.CancelCauseFunc
	closing chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

type waiting struct {
	payload []byte
	done    chan error // holds one
}

// newGatherer starts a gatherer, which runs until close.
func newGatherer(limit int, publish func(context.Context, []byte) error) *gatherer {
	g := &gatherer{
		publish: publish,
		limit:   limit,
		in:      make(chan *waiting, 256),
		packers: make(chan *packer, flights),
		closing: make(chan struct{}),
	}
	g.ctx, g.stop = context.WithCancelCause(context.Background())
	for range flights {
		g.packers <- new(packer)
	}
	g.running.Add(1)
	go g.run()
	return g
}

// put returns once the payload is durable. When ctx ends first, the payload may
// or may not become durable; it must not change after the call either way.
func (g *gatherer) put(ctx context.Context, payload []byte) error {
	if packedSize(payload) > g.limit {
		return pipeline.Permanent(fmt.Errorf("%w: %d bytes, at most %d travel", ErrTooLarge, len(payload), g.limit))
	}
	w := &waiting{payload: payload, done: make(chan error, 1)}
	select {
	case g.in <- w:
	case <-g.closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-w.done:
		return err
	case <-g.ctx.Done():
		// It may have been answered in the same moment.
		select {
		case err := <-w.done:
			return err
		default:
			return context.Cause(g.ctx)
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close lets what is under way finish until ctx ends, then cuts it off.
func (g *gatherer) close(ctx context.Context) {
	g.once.Do(func() { close(g.closing) })
	finished := make(chan struct{})
	go func() {
		g.running.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
		g.stop(errors.Join(ErrClosed, context.Cause(ctx)))
		<-finished
	}
	g.stop(ErrClosed)
}

func (g *gatherer) run() {
	defer g.running.Done()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	var held *waiting // did not fit into the message before
	expected := 1     // callers in the message before
	for {
		first := held
		if first == nil {
			select {
			case first = <-g.in:
			case <-g.closing:
				g.drain()
				return
			}
		}
		// Company gathers while all flights are out.
		var p *packer
		select {
		case p = <-g.packers:
		case <-g.ctx.Done():
			first.done <- context.Cause(g.ctx)
			g.drain()
			return
		}
		var batch []*waiting
		batch, held = g.collect(first, expected, timer)
		expected = len(batch)
		g.running.Add(1)
		go g.fly(batch, p)
	}
}

// collect takes what waits already, and then more until as many callers as
// last time are together, the message is full or the time is over.
func (g *gatherer) collect(first *waiting, expected int, timer *time.Timer) (batch []*waiting, held *waiting) {
	batch = append(make([]*waiting, 0, expected), first)
	size := packedSize(first.payload)
	timed := false
	defer timer.Stop()
	for size < pipeline.PackBytes {
		var w *waiting
		select {
		case w = <-g.in:
		default:
			if len(batch) >= expected {
				return batch, nil
			}
			if !timed {
				timer.Reset(gatherWait)
				timed = true
			}
			select {
			case w = <-g.in:
			case <-timer.C:
				return batch, nil
			case <-g.closing:
				return batch, nil
			}
		}
		if size+packedSize(w.payload) > min(pipeline.PackBytes, g.limit) {
			return batch, w
		}
		batch, size = append(batch, w), size+packedSize(w.payload)
	}
	return batch, nil
}

func (g *gatherer) fly(batch []*waiting, p *packer) {
	defer g.running.Done()
	for _, w := range batch {
		p.add(w.payload)
	}
	ctx, cancel := context.WithTimeoutCause(g.ctx, publishTimeout, errPublishTimeout)
	err := g.publish(ctx, p.pack())
	cancel()
	for _, w := range batch {
		w.done <- err
	}
	// One huge record must not pin its memory for ever.
	if cap(p.payloads) > 2*pipeline.PackBytes {
		p = new(packer)
	}
	g.packers <- p
}

// drain refuses those who slipped in while the gatherer was closed.
func (g *gatherer) drain() {
	for {
		select {
		case w := <-g.in:
			w.done <- ErrClosed
		default:
			return
		}
	}
}
