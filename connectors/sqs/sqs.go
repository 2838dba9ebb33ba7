package sqs

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// The pace of one poll.
const (
	// batch is how many messages SQS hands out or deletes in one call at most.
	batch = 10
	// width is how many calls run beside each other while the queue has more than one of them brings.
	width = 8
	// roundBytes is from how many bytes on the next messages are asked for by one call again, so that large ones do not
	// fill the memory.
	roundBytes = 8 << 20
	// longWait is how long SQS holds a question open when the queue is empty; 20s is its limit. A single run waits less:
	// any wait at all has SQS ask all of its servers, so an empty answer means an empty queue (developer guide, "Short
	// and long polling").
	longWait, shortWait = 20 * time.Second, time.Second
	// turn ends a poll of the daemon while messages keep coming, so that its figures are written and a reload gets in.
	turn = 20 * time.Second
)

// Options is what a Source works with.
type Options struct {
	Log *slog.Logger
	Now func() time.Time
	// Home gives the way to AWS in a region, as the role that is named. It may be slow, and is asked at every poll.
	Home func(ctx context.Context, region, roleARN string) (aws.Config, error)
	// Hidden is for how long a message that was received is hidden from others, and hidden again while it
	// is held; 0: two minutes.
	Hidden time.Duration
}

// Source takes messages from a queue. See pipeline.Source for how it is called.
type Source struct {
	config Config
	o      Options
	name   string // of the queue, for origins
	// watched says that a daemon polls again and again.
	watched atomic.Bool
	again   chan struct{}
}

var (
	_ pipeline.Source   = (*Source)(nil)
	_ pipeline.Notifier = (*Source)(nil)
)

// New makes a source of a queue. It makes no call.
func New(c Config, o Options) *Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hidden <= 0 {
		o.Hidden = 2 * time.Minute
	}
	return &Source{config: c, o: o, name: c.QueueURL[strings.LastIndexByte(c.QueueURL, '/')+1:], again: make(chan struct{}, 1)}
}

// client is the part of SQS's API that a source uses.
type client interface {
	ReceiveMessage(context.Context, *awssqs.ReceiveMessageInput, ...func(*awssqs.Options)) (*awssqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *awssqs.DeleteMessageBatchInput, ...func(*awssqs.Options)) (*awssqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *awssqs.ChangeMessageVisibilityBatchInput, ...func(*awssqs.Options)) (*awssqs.ChangeMessageVisibilityBatchOutput, error)
}

// Keeper is an Emitter that can say whether what it is given is stored. A plan only looks at what a
// source would bring, and what is taken from a queue for that would be lost.
type Keeper interface{ Keeps() bool }

// Poll implements pipeline.Source: it takes what the queue holds, until it is empty. Nothing is taken for an
// emitter that does not say, as a Keeper, that it stores what it is given. The watermark is when the newest message was sent, and nothing is read from it.
func (s *Source) Poll(ctx context.Context, req pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error) {
	t := &taking{Source: s, emit: emit, res: pipeline.Result{Watermark: req.Since}}
	if k, ok := emit.(Keeper); !ok || !k.Keeps() {
		t.res.Notes = []string{"nothing is taken from the queue " + s.name + " to look at it: what arrived so far is counted as it stands in state"}
		return t.res, nil
	}
	cfg, err := s.o.Home(ctx, s.config.Region, s.config.RoleARN)
	if err != nil {
		return t.res, err
	}
	t.api = awssqs.NewFromConfig(cfg, func(o *awssqs.Options) {
		o.DisableMessageChecksumValidation = fips140.Enforced() // the check sums are MD5; TLS guards the messages as well
	})
	err = t.run(ctx)
	t.res.Notes = t.notes.lines()
	if err == nil {
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
	return t.res, err
}

// Watch implements pipeline.Notifier: the next poll may begin as soon as one ended well, since
// it waits at the queue by itself.
func (s *Source) Watch(ctx context.Context, changed chan<- struct{}) error {
	s.watched.Store(true)
	defer s.watched.Store(false)
	for {
		select {
		case <-s.again:
		case <-ctx.Done():
			return nil
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

// taking is one poll.
type taking struct {
	*Source
	api    client
	emit   pipeline.Emitter
	res    pipeline.Result
	newest time.Time
	notes  notes
}

// run takes messages until the queue is empty or the turn is over.
func (t *taking) run(ctx context.Context) error {
	began := t.o.Now()
	for calls := 1; ; {
		got, err := t.receive(ctx, calls)
		if len(got) > 0 {
			if taken := t.take(ctx, got); taken != nil {
				return errors.Join(taken, err)
			}
		}
		switch {
		case err != nil:
			return err
		case len(got) == 0:
			return nil
		case t.watched.Load() && t.o.Now().Sub(began) >= turn:
			return nil
		}
		if calls = 1; len(got) >= batch && size(got) < roundBytes {
			calls = width
		}
	}
}

// receive asks for messages by so many calls at once. What came is returned beside an error, for it is hidden from others now.
func (t *taking) receive(ctx context.Context, calls int) ([]types.Message, error) {
	wait := shortWait
	if t.watched.Load() && calls == 1 { // of several, those that find nothing hold up those that did
		wait = longWait
	}
	var (
		mu   sync.Mutex
		got  []types.Message
		errs []error
		all  sync.WaitGroup
	)
	for range calls {
		all.Go(func() {
			out, err := t.api.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{
				QueueUrl: aws.String(t.config.QueueURL), MaxNumberOfMessages: batch, WaitTimeSeconds: int32(wait / time.Second), VisibilityTimeout: seconds(t.o.Hidden),
				MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			got = append(got, out.Messages...)
		})
	}
	all.Wait()
	if len(errs) > 0 {
		return got, fmt.Errorf("receiving from queue %s: %w", t.name, awsx.Class(errs[0]))
	}
	return got, nil
}

// size is how many bytes messages hold.
func size(got []types.Message) int {
	n := 0
	for i := range got {
		n += len(aws.ToString(got[i].Body))
	}
	return n
}

func seconds(d time.Duration) int32 { return int32(max(1, d/time.Second)) }

// sent notes when a message was sent.
func (t *taking) sent(m *types.Message) {
	ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	if err != nil {
		return
	}
	if at := time.UnixMilli(ms).UTC(); at.After(t.newest) {
		t.newest = at
		t.res.Watermark = pipeline.Watermark(at.Format(time.RFC3339))
	}
}

// maxNotes is how many notes of the messages of one poll are told.
const maxNotes = 20

// notes gathers lines, the first few.
type notes struct {
	first []string
	more  int
}

func (n *notes) add(lines ...string) {
	for _, l := range lines {
		if len(n.first) < maxNotes {
			n.first = append(n.first, l)
		} else {
			n.more++
		}
	}
}

func (n *notes) lines() []string {
	if n.more > 0 {
		return append(n.first, fmt.Sprintf("%d further notes of this kind", n.more))
	}
	return n.first
}
