package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	// batchMax is JetStream's limit of an atomic batch (server/stream.go,
	// streamDefaultMaxAtomicBatchSize).
	batchMax = 1000
	// batchBytes keeps a batch within what a connection may have pending.
	batchBytes = 16 << 20
	// ackWait is the time after which an action that nobody finished is given to somebody else.
	ackWait = 60 * time.Second

	// batchMin is the number of actions from which a batch, which costs four flushes
	// however large it is, flushes less often than one message after the other.
	batchMin = 5

	errCodeDuplicateInBatch = 10201 // server/errors.json, JSAtomicPublishContainsDuplicateMessageErr
)

// ActionMessage is one action on its way to a sink.
type ActionMessage struct {
	Sink string
	Case string
	ID   string // a repeat within two minutes is stored once; empty is never a repeat
	Data []byte
}

func (m *ActionMessage) subject() string { return actionSubject(m.Sink, m.Case) }

func actionSubject(sink, caseID string) string {
	return actionsPrefix + token(sink) + "." + token(caseID)
}

// token makes any text one token of a subject, and part of a consumer's name:
// letters, digits, - and _ stay, every other byte becomes % and two hex digits, the empty text %.
func token(s string) string {
	if s == "" {
		return "%"
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// PublishActions stores the actions, in order, with one flush for up to 1,000 of
// them, and returns once they are on disk. After an error some may be stored; publishing
// all of them again is harmless to readers that bear repeats.
func (s *Stream) PublishActions(ctx context.Context, actions []ActionMessage) error {
	for len(actions) > 0 {
		n, size := 0, 0
		for n < len(actions) && n < batchMax && (n == 0 || size+len(actions[n].Data) <= batchBytes) {
			size += len(actions[n].Data)
			n++
		}
		if err := s.publishBatch(ctx, actions[:n]); err != nil {
			return fmt.Errorf("store %d actions: %w", n, err)
		}
		actions = actions[n:]
	}
	return nil
}

func (s *Stream) publishBatch(ctx context.Context, actions []ActionMessage) error {
	ctx, cancel := context.WithTimeoutCause(ctx, publishTimeout, errPublishTimeout)
	defer cancel()
	for i := range actions {
		if limit := s.MaxPayload(); len(actions[i].Data) > limit {
			return fmt.Errorf("%w: action %s has %d bytes, at most %d travel", ErrTooLarge, actions[i].ID, len(actions[i].Data), limit)
		}
	}
	if err := s.Room(); err != nil {
		return err
	}
	ctx, stop := s.untilBroken(ctx)
	defer stop()
	if len(actions) < batchMin {
		return s.publishSingly(ctx, actions)
	}
	err := s.publishAtomic(ctx, actions)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == errCodeDuplicateInBatch {
		// One of them is stored already, and the whole batch was refused for it.
		return s.publishSingly(ctx, actions)
	}
	return s.publishError(err)
}

// publishAtomic stores all or none. Only the last message is answered, for the
// whole batch (NATS architecture decision 50).
func (s *Stream) publishAtomic(ctx context.Context, actions []ActionMessage) error {
	batch := nuid.Next()
	for i := range actions {
		msg := actionMsg(&actions[i])
		msg.Header.Set("Nats-Batch-Id", batch)
		msg.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		if i < len(actions)-1 {
			if err := s.writeActions.PublishMsg(msg); err != nil {
				return err
			}
			continue
		}
		msg.Header.Set("Nats-Batch-Commit", "1")
		reply, err := s.writeActions.RequestMsgWithContext(ctx, msg)
		if err != nil {
			return withCause(ctx, err)
		}
		var answer struct {
			Error *jetstream.APIError `json:"error"`
			Count int                 `json:"count"`
		}
		if err := json.Unmarshal(reply.Data, &answer); err != nil {
			return fmt.Errorf("read the answer to a batch: %w", err)
		}
		if answer.Error != nil {
			return answer.Error
		}
		if answer.Count != len(actions) {
			return fmt.Errorf("the server stored %d of a batch of %d", answer.Count, len(actions))
		}
	}
	return nil
}

// publishSingly stores each by itself; those stored already are confirmed as such.
func (s *Stream) publishSingly(ctx context.Context, actions []ActionMessage) error {
	for i := range actions {
		if _, err := s.writeActionsJS.PublishMsg(ctx, actionMsg(&actions[i]), jetstream.WithRetryAttempts(0)); err != nil {
			return s.publishError(withCause(ctx, err))
		}
	}
	return nil
}

func actionMsg(a *ActionMessage) *nats.Msg {
	msg := nats.NewMsg(a.subject())
	msg.Data = a.Data
	if a.ID != "" {
		msg.Header.Set(jetstream.MsgIDHeader, a.ID)
	}
	return msg
}

// PendingActions reports whether an action of this case and sink is stored that no worker has finished.
func (s *Stream) PendingActions(ctx context.Context, sink, caseID string) (bool, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	reply, err := s.read.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+actionsName+"."+actionSubject(sink, caseID), nil)
	if err != nil {
		return false, fmt.Errorf("look for actions of %s at %s: %w", caseID, sink, withCause(ctx, err))
	}
	switch status := reply.Header.Get("Status"); status {
	case "":
	case "404":
		return false, nil
	default:
		return false, fmt.Errorf("look for actions of %s at %s: the server answered %s %s", caseID, sink, status, reply.Header.Get("Description"))
	}
	if s.done == nil {
		return true, nil
	}
	seq, err := strconv.ParseUint(reply.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return false, fmt.Errorf("look for actions of %s at %s: a message without its sequence: %w", caseID, sink, err)
	}
	return !s.done.has(seq), nil
}

// Consumer takes the actions of one sink off the queue. Its methods may be called at the same time.
type Consumer struct {
	s     *Stream
	sink  string
	c     jetstream.Consumer
	later *later
	early *handOver

	mu   sync.Mutex
	open *pull // nil: none
}

// Actions is the consumer of a sink's actions; all processes that ask for the same sink share its queue. With the embedded
// server nobody else does, and whoever took them before is done: what was given back with a delay is handed out at once.
func (s *Stream) Actions(ctx context.Context, sink string) (*Consumer, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if s.embedded {
		// The server does not hand out again what was given back, once its consumer is updated (seen with 2.15.2).
		err := s.readJS.DeleteConsumer(ctx, actionsName, "sink-"+token(sink))
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, fmt.Errorf("take actions of sink %s: %w", sink, withCause(ctx, err))
		}
	}
	c, err := s.readJS.CreateOrUpdateConsumer(ctx, actionsName, jetstream.ConsumerConfig{
		Durable:       "sink-" + token(sink),
		FilterSubject: actionsPrefix + token(sink) + ".*",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		// No limit on deliveries, since the queue would fall silent at it, and no BackOff,
		// since it would change the delays that NakWithDelay asks for.
		MaxDeliver: -1,
		// What a worker gave back with a delay counts as not finished; a limit here
		// would let a tracker that is down hold up the actions that could go on.
		MaxAckPending: -1,
		// What was finished is removed from the stream. Whatever else the consumer
		// remembers may be forgotten in a restart, and costs no flushes in memory.
		MemoryStorage: s.embedded,
	})
	if err != nil {
		return nil, fmt.Errorf("take actions of sink %s: %w", sink, withCause(ctx, err))
	}
	if s.embedded {
		s.later.Delete(sink) // the new consumer hands out what waits there
	}
	kept, _ := s.later.LoadOrStore(sink, &later{})
	// What was handed over to the workers before is theirs no more: its messages come to these.
	early := newHandOver()
	s.handed.Store(sink, early)
	return &Consumer{s: s, sink: sink, c: c, later: kept.(*later), early: early}, nil
}

// Fetch returns at most n actions, oldest first. It waits for the first one for at most wait,
// not at all for more, and returns none without an error when none came or ctx ended. What
// comes at that very moment is handed out again later. What was handed over comes after what the stream
// has, so that no action waits for younger ones.
func (c *Consumer) Fetch(ctx context.Context, n int, wait time.Duration) ([]Delivery, error) {
	n = max(1, n)
	for end := time.Now().Add(wait); ; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		back, next := c.later.due(n, max(0, time.Until(end)))
		if len(back) == n {
			return back, nil
		}
		answered, open, err := c.answered()
		back = append(back, answered...)
		var deliveries []Delivery
		// While a request for one action is not answered the stream has none: asking for more would wake the server for nothing.
		if err == nil && !open && len(back) < n {
			var batch jetstream.MessageBatch
			batch, err = c.c.FetchNoWait(n - len(back))
			deliveries, err = c.collect(batch, err)
		}
		switch {
		case len(back) > 0 && err != nil:
			c.s.log.Warn("taking more actions", "component", "stream", "sink", c.sink, "err", err)
			return back, nil
		case err != nil:
			return nil, err
		}
		out := append(back, deliveries...)
		if out = append(out, c.early.take(c.s, n-len(out))...); len(out) > 0 {
			return out, nil
		}
		if deliveries, err = c.first(ctx, next); err != nil || len(deliveries) > 0 || ctx.Err() != nil || !time.Now().Before(end) {
			return deliveries, err
		}
	}
}

// pullFor is how long the server keeps one request for an action. The client gives a request up a
// tenth of that later (jetstream.FetchContext): what comes at the end of it is not lost on the way, where it would wait for ackWait.
const pullFor = 10 * time.Second

// pull is a request for one action that the server has not answered yet.
type pull struct {
	batch jetstream.MessageBatch
	stop  context.CancelFunc
}

// answered is what the open request brought since the last call, and whether it is open still.
func (c *Consumer) answered() (_ []Delivery, open bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		return nil, false, nil
	}
	select {
	case msg := <-c.open.batch.Messages(): // nil once it is closed
		c.end()
		if msg == nil {
			return nil, false, nil
		}
		out, err := c.deliveries(msg)
		return out, false, err
	default:
		return nil, true, nil
	}
}

// first waits for one action, or until one is handed over. A request that is not answered within wait stays open for the next call, until ctx ends.
func (c *Consumer) first(ctx context.Context, wait time.Duration) ([]Delivery, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		asked, stop := context.WithTimeout(ctx, pullFor)
		batch, err := c.c.Fetch(1, jetstream.FetchContext(asked))
		if err != nil {
			stop()
			return nil, fmt.Errorf("take actions of sink %s: %w", c.sink, err)
		}
		c.open = &pull{batch, stop}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case msg := <-c.open.batch.Messages(): // nil once it is closed
		batch := c.open.batch
		c.end()
		if msg != nil {
			return c.deliveries(msg)
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil, fmt.Errorf("take actions of sink %s: %w", c.sink, err)
		}
	case <-c.early.kick:
	case <-timer.C:
	case <-ctx.Done():
		c.end()
	}
	return nil, nil
}

// end gives the open request up. c.mu is held.
func (c *Consumer) end() {
	c.open.stop()
	c.open = nil
}

// collect takes what a batch brings that the server answers at once.
func (c *Consumer) collect(batch jetstream.MessageBatch, err error) ([]Delivery, error) {
	if err != nil {
		return nil, fmt.Errorf("take actions of sink %s: %w", c.sink, err)
	}
	var out []Delivery
	for msg := range batch.Messages() {
		d, err := c.deliveries(msg)
		if err != nil {
			return nil, err
		}
		out = append(out, d...)
	}
	if err := batch.Error(); err != nil && len(out) == 0 {
		return nil, fmt.Errorf("take actions of sink %s: %w", c.sink, err)
	}
	return out, nil
}

func (c *Consumer) deliveries(msg jetstream.Msg) ([]Delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("take actions of sink %s: %w", c.sink, err)
	}
	d := Delivery{Data: msg.Data(), Deliveries: int(meta.NumDelivered), s: c.s, seq: meta.Sequence.Stream, msg: msg, later: c.later}
	if c.early.met(d) {
		return nil, nil
	}
	return []Delivery{d}, nil
}

// Waiting is how many actions of the sink are stored: not yet taken, or taken and not finished.
func (c *Consumer) Waiting(ctx context.Context) (int, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	info, err := c.c.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at the actions of sink %s: %w", c.sink, withCause(ctx, err))
	}
	return int(info.NumPending) + info.NumAckPending, nil
}

// Delivery is an action that was handed to this process. Unless InProgress is
// called, it is handed out again 60 seconds later.
type Delivery struct {
	Data       []byte
	Deliveries int // how often it was handed out since the server started; says nothing about what was tried
	s          *Stream
	later      *later
	seq        uint64
	msg        jetstream.Msg
	early      *handed // it was handed over, and the rest of it is not set
}

// Done removes the action from the queue. It does not wait for the disk: after a crash
// the actions that were done in the seconds before may come again, and their claims say so.
func (d Delivery) Done() error {
	if d.early != nil {
		if m := d.early.done(); m != nil {
			return m.Done()
		}
		return nil
	}
	if err := d.msg.Ack(); err != nil {
		return fmt.Errorf("finish action: %w", err)
	}
	if d.s.done != nil {
		d.s.done.add(d.seq)
		signal(d.s.free.actionsKick)
	}
	return nil
}

// NakWithDelay gives the action back, to be handed out again after delay.
func (d Delivery) NakWithDelay(delay time.Duration) error {
	if d.early != nil {
		if m := d.early.back(delay); m != nil {
			return m.NakWithDelay(delay)
		}
		return nil
	}
	if d.later.keep(d, delay) {
		return nil
	}
	return d.msg.NakWithDelay(delay)
}

// InProgress starts the 60 seconds anew.
func (d Delivery) InProgress() error {
	if d.early != nil {
		if m := d.early.message(); m != nil {
			return m.InProgress()
		}
		return nil // on no stream, nobody else is given it
	}
	return d.msg.InProgress()
}
