package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// readBytes is about how much one read takes in, compressed; the message that passes it still comes.
const readBytes = 1 << 18

// Message is one stored message.
type Message struct {
	Seq      uint64
	Time     time.Time // when the server stored it, UTC
	Payloads [][]byte  // as they were published, in order
}

// Reader reads one stream in sequence, every message once. It is used by one
// goroutine at a time. It has no state on the server: the caller keeps the position.
type Reader struct {
	s       *Stream
	name    string
	next    uint64
	inbox   string
	replies *nats.Subscription
	asked   int  // requests so far; part of the reply subject, so that late replies are told apart
	ended   bool // it has been at the end of the stream
	wakes   *nats.Subscription
	wake    chan struct{}
}

// Findings reads FINDINGS from sequence from on; the caller's position plus one. Close it.
func (s *Stream) Findings(from uint64) (*Reader, error) { return s.reader(findingsName, from) }

// Inputs reads INPUTS from sequence from on; the caller's position plus one. Close it.
func (s *Stream) Inputs(from uint64) (*Reader, error) { return s.reader(inputsName, from) }

func (s *Stream) reader(name string, from uint64) (*Reader, error) {
	r := &Reader{s: s, name: name, next: max(1, from), inbox: nats.NewInbox(), wake: make(chan struct{}, 1)}
	var err error
	if r.replies, err = s.read.SubscribeSync(r.inbox + ".*"); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	r.wakes, err = s.read.Subscribe(wakePrefix+name, func(*nats.Msg) { signal(r.wake) })
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	return r, nil
}

// Close ends the reader's subscriptions.
func (r *Reader) Close() {
	for _, sub := range []*nats.Subscription{r.replies, r.wakes} {
		if sub != nil {
			// The only error is a connection that is closed already.
			_ = sub.Unsubscribe()
		}
	}
}

// Next returns what follows in the stream, at most maxMessages. With nothing there
// it waits for at most wait and then returns no message and no error. Payloads are the
// caller's. A missing message that was not deleted is ErrGap, and stays so.
func (r *Reader) Next(ctx context.Context, maxMessages int, wait time.Duration) ([]Message, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		messages, err := r.fetch(ctx, max(1, maxMessages))
		if err != nil || len(messages) > 0 {
			return messages, err
		}
		select {
		case <-r.wake:
		case <-deadline.C:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (r *Reader) fetch(ctx context.Context, limit int) ([]Message, error) {
	r.asked++
	raw, err := r.s.direct(ctx, r.name, r.replies, r.inbox+"."+strconv.Itoa(r.asked),
		directRequest{Seq: r.next, Batch: limit, MaxBytes: readBytes})
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 && !r.ended {
		return r.atEnd(ctx)
	}
	messages := make([]Message, 0, len(raw))
	next := r.next
	for _, m := range raw {
		if m.seq > next {
			if err := r.proveDeleted(ctx, next, m.seq); err != nil {
				return nil, err
			}
		}
		if m.seq < next {
			return nil, fmt.Errorf("read stream %s: message %d came after %d", r.name, m.seq, next-1)
		}
		payloads, err := unpack(m.data)
		if err != nil {
			return nil, fmt.Errorf("read stream %s at %d: %w", r.name, m.seq, err)
		}
		messages = append(messages, Message{Seq: m.seq, Time: m.time, Payloads: payloads})
		next = m.seq + 1
	}
	r.next = next
	return messages, nil
}

// atEnd looks, at the first end of the stream, whether all that the reader wants was freed
// already: no message says so. It answers an empty one at the last sequence then.
func (r *Reader) atEnd(ctx context.Context) ([]Message, error) {
	state, err := r.s.state(ctx, r.name)
	if err != nil {
		return nil, err
	}
	if state.Msgs > 0 && state.LastSeq >= r.next {
		return nil, nil // it came just now
	}
	r.ended = true
	if state.LastSeq < r.next {
		return nil, nil
	}
	if err := r.proveDeleted(ctx, r.next, state.LastSeq+1); err != nil {
		return nil, err
	}
	r.next = state.LastSeq + 1
	return []Message{{Seq: state.LastSeq, Time: time.Now().UTC()}}, nil
}

// proveDeleted tells messages that were deleted on purpose from lost ones: the
// first below the stream's first sequence, or on its list of deleted ones.
func (r *Reader) proveDeleted(ctx context.Context, from, to uint64) error {
	state, err := r.s.state(ctx, r.name, jetstream.WithDeletedDetails(true))
	if err != nil {
		return err
	}
	deleted := make(map[uint64]bool, len(state.Deleted))
	for _, seq := range state.Deleted {
		deleted[seq] = true
	}
	for seq := max(from, state.FirstSeq); seq < to; seq++ {
		if !deleted[seq] {
			return fmt.Errorf("%w: %s, sequence %d", ErrGap, r.name, seq)
		}
	}
	r.s.log.Warn("messages were deleted before they were read", "component", "stream",
		"stream", r.name, "first", from, "last", to-1)
	return nil
}

// directRequest asks for stored messages without a consumer. The fields are those
// of JetStream's direct get (server/jetstream_api.go, JSApiMsgGetRequest).
type directRequest struct {
	Seq       uint64     `json:"seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
}

type rawMessage struct {
	seq  uint64
	time time.Time
	data []byte
}

// direct sends the request and collects its replies from sub up to the end mark.
func (s *Stream) direct(ctx context.Context, name string, sub *nats.Subscription, reply string, req directRequest) ([]rawMessage, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	if err := s.read.PublishRequest("$JS.API.DIRECT.GET."+name, reply, body); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	var out []rawMessage
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", name, withCause(ctx, err))
		}
		if msg.Subject != reply {
			continue // of a request that was given up
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
		case "204", "404": // the end of the batch; nothing there
			return out, nil
		default:
			return nil, fmt.Errorf("read stream %s: the server answered %s %s", name, status, msg.Header.Get("Description"))
		}
		seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read stream %s: a message without its sequence: %w", name, err)
		}
		stored, err := time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp"))
		if err != nil {
			return nil, fmt.Errorf("read stream %s at %d: %w", name, seq, err)
		}
		out = append(out, rawMessage{seq: seq, time: stored.UTC(), data: msg.Data})
	}
}

// firstSince is the sequence of the first message stored at t or later, if there is one.
func (s *Stream) firstSince(ctx context.Context, name string, t time.Time) (seq uint64, found bool, err error) {
	reply := nats.NewInbox()
	sub, err := s.read.SubscribeSync(reply)
	if err != nil {
		return 0, false, fmt.Errorf("read stream %s: %w", name, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	raw, err := s.direct(ctx, name, sub, reply, directRequest{StartTime: &t, Batch: 1})
	if err != nil || len(raw) == 0 {
		return 0, false, err
	}
	return raw[0].seq, true, nil
}
