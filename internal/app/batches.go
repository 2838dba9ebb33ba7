package app

import (
	"context"
	"errors"
	"time"

	"github.com/docket-hub/docket/internal/stream"
)

const (
	// batchMessages bounds how many messages of a stream one changeset takes in.
	batchMessages = 64
	// gatherFor is how long a reader waits for more after it got little: one commit
	// then serves all of it, at the price of that much delay.
	gatherFor  = 5 * time.Millisecond
	gatherFull = 8
	// gatherBusy is how long a reader of inputs goes on gathering once several came at a time: these are
	// outcomes of a busy sink, nobody waits for one of them, and each commit saved is a flush saved.
	gatherBusy = 100 * time.Millisecond
	// readRetry is the pause after a read that failed.
	readRetry = time.Second
)

// batch is what one read of one stream brought.
type batch struct {
	messages []stream.Message
	inputs   bool
}

// read hands what one stream brings to the loop, a batch ahead of it.
func (l *loop) read(ctx context.Context, r *stream.Reader, inputs bool) {
	defer l.readers.Done()
	to := l.found
	if inputs {
		to = l.told
	}
	for ctx.Err() == nil {
		messages, err := r.Next(ctx, batchMessages, time.Minute)
		if errors.Is(err, stream.ErrGap) {
			l.readErr <- err
			return
		}
		if err != nil {
			if ctx.Err() == nil {
				l.log.Warn("reading the stream, will try again", "err", err, "delay", readRetry)
			}
			select {
			case <-time.After(readRetry):
			case <-ctx.Done():
			}
			continue
		}
		if len(messages) == 0 {
			continue
		}
		if len(messages) < gatherFull {
			messages = more(ctx, r, messages, gatherFor)
		}
		if inputs && len(messages) > 1 {
			messages = more(ctx, r, messages, gatherBusy)
		}
		if !inputs {
			l.ahead.Store(true)
		}
		select {
		case to <- batch{messages, inputs}:
		case <-ctx.Done():
			return
		}
		if !inputs {
			l.ahead.Store(false)
		}
	}
}

// more adds what comes within a while, as far as it fits into one batch.
func more(ctx context.Context, r *stream.Reader, messages []stream.Message, within time.Duration) []stream.Message {
	if len(messages) >= batchMessages {
		return messages
	}
	time.Sleep(within)
	got, err := r.Next(ctx, batchMessages-len(messages), 0)
	if err != nil {
		return messages // the error comes again at the next read
	}
	return append(messages, got...)
}
