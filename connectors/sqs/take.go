package sqs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

const (
	// settle is for how long the calls that end the handling of messages go on when docket stops meanwhile.
	settle = 10 * time.Second
	// holdFull is how long a daemon holds messages while the stream is full. Giving them back counts as a failed receipt,
	// after a few of which a queue moves a message to its dead-letter queue.
	holdFull = 10 * time.Minute
	// retryFull is the pause before it tries again; the emitter itself waited by then.
	retryFull = time.Second
)

// take stores what messages hold, and deletes them after that. When they cannot be stored they are given back.
func (t *taking) take(ctx context.Context, got []types.Message) error {
	release := t.hold(ctx, got)
	defer release()
	// What was begun is brought to its end, even when docket stops: undeleted messages would only come again.
	end, done := lingering(ctx)
	defer done()
	if err := t.store(ctx, got); err != nil {
		release()
		t.hide(end, got, 0)
		return err
	}
	for i := range got {
		t.sent(&got[i])
	}
	return t.remove(end, got)
}

var errSettle = fmt.Errorf("docket stopped, and the queue did not answer within %s", settle)

// lingering is a context that ends settle later than ctx.
func lingering(ctx context.Context) (context.Context, func()) {
	end, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		late := time.NewTimer(settle)
		defer late.Stop()
		select {
		case <-late.C:
			cancel(errSettle)
		case <-end.Done():
		}
	})
	return end, func() {
		stop()
		cancel(nil)
	}
}

// part is what is handed over in one go: records, what could not be read, and the ends of the scans that they belong to.
type part struct {
	records []pipeline.Record
	rejects []pipeline.Reject
	scans   []pipeline.Scan
}

// parts opens messages. A scanner's report ends its part, so that the end of its scan comes right behind its records, whichever
// report of the same target another message holds.
func (t *taking) parts(got []types.Message) []part {
	out := []part{{}}
	for i := range got {
		p := &out[len(out)-1]
		if t.open(&got[i], p); len(p.scans) > 0 {
			out = append(out, part{})
		}
	}
	return out
}

// store hands the parts of messages to the emitter, one after the other. While the stream is full a daemon tries again.
func (t *taking) store(ctx context.Context, got []types.Message) error {
	parts := t.parts(got)
	began := t.o.Now()
	for len(parts) > 0 {
		err := t.hand(ctx, &parts[0])
		switch {
		case err == nil:
			parts = parts[1:]
			continue
		case !errors.Is(err, pipeline.ErrFull) || !t.watched.Load() || t.o.Now().Sub(began) > holdFull:
			return err
		}
		select {
		case <-time.After(retryFull):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
	return nil
}

// hand tries once. What was taken is out of p then, and is not handed over again.
func (t *taking) hand(ctx context.Context, p *part) error {
	for ; len(p.rejects) > 0; p.rejects = p.rejects[1:] {
		if err := t.emit.Reject(ctx, p.rejects[0]); err != nil {
			return err
		}
		t.res.Rejected++
	}
	if len(p.records) > 0 {
		taken, err := t.emit.Records(ctx, slices.Clone(p.records))
		if err != nil {
			return err
		}
		t.res.Records += taken.Accepted
		t.res.Rejected += len(taken.Rejected)
		p.records = nil
	}
	for ; len(p.scans) > 0; p.scans = p.scans[1:] {
		if err := t.emit.Scan(ctx, p.scans[0]); err != nil {
			return err
		}
	}
	return nil
}

// open takes a message apart into p. A message that is no findings document is one reject; a bad record in
// a good one is rejected by itself.
func (t *taking) open(m *types.Message, p *part) {
	body, id := aws.ToString(m.Body), aws.ToString(m.MessageId)
	origin := "queue " + t.name + ", message " + id
	doc, err := format.Split(strings.NewReader(body), format.Options{
		Origin: origin, Unchecked: true,
		Reject: func(r pipeline.Reject) error { p.rejects = append(p.rejects, r); return nil },
	}, func(r pipeline.Record) error { p.records = append(p.records, r); return nil })
	t.notes.add(doc.Notes...)
	p.scans = append(p.scans, doc.Scans...)
	if err != nil {
		p.rejects = append(p.rejects, pipeline.Reject{Origin: origin, ID: id, Reason: strings.TrimPrefix(err.Error(), "reading "+origin+": "),
			Data: []byte(body[:min(len(body), pipeline.RejectBytes)])})
	}
}

// hold keeps messages hidden from others until the returned function is called, which may be called twice.
func (t *taking) hold(ctx context.Context, got []types.Message) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		every := time.NewTicker(t.o.Hidden / 3)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				t.hide(ctx, got, t.o.Hidden)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// hide sets for how long from now on messages are hidden from others; 0 gives them back. A failure costs
// a second delivery and is only logged.
func (t *taking) hide(ctx context.Context, got []types.Message, long time.Duration) {
	for some := range slices.Chunk(got, batch) {
		in := &awssqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(t.config.QueueURL)}
		for i := range some {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: some[i].ReceiptHandle, VisibilityTimeout: int32(long / time.Second)})
		}
		out, err := t.api.ChangeMessageVisibilityBatch(ctx, in)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			t.o.Log.Warn("messages may be delivered twice, which changes nothing: their time in hand was not extended", "queue", t.name, "err", awsx.Class(err))
		case len(out.Failed) > 0:
			t.o.Log.Debug("the time in hand of messages was not extended", "queue", t.name, "count", len(out.Failed), "err", aws.ToString(out.Failed[0].Code))
		}
	}
}

// remove deletes messages, so many calls beside each other.
func (t *taking) remove(ctx context.Context, got []types.Message) error {
	var (
		mu    sync.Mutex
		errs  []error
		all   sync.WaitGroup
		turns = make(chan struct{}, width)
	)
	for some := range slices.Chunk(got, batch) {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			if err := t.removeBatch(ctx, some); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	if len(errs) > 0 {
		return fmt.Errorf("deleting from queue %s what is stored here: %w", t.name, errs[0])
	}
	return nil
}

func (t *taking) removeBatch(ctx context.Context, some []types.Message) error {
	in := &awssqs.DeleteMessageBatchInput{QueueUrl: aws.String(t.config.QueueURL)}
	for i := range some {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: some[i].ReceiptHandle})
	}
	out, err := t.api.DeleteMessageBatch(ctx, in)
	if err != nil {
		return awsx.Class(err)
	}
	if len(out.Failed) > 0 {
		f := out.Failed[0]
		return fmt.Errorf("%d of %d messages were refused: %s: %s", len(out.Failed), len(some), aws.ToString(f.Code), aws.ToString(f.Message))
	}
	return nil
}
