package app

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/internal/stream"
)

// settleAfter is how long published rows wait for a commit to remove them along with its own changes.
const settleAfter = time.Second

// Actions that were handed over wait so long for their messages: nobody waits for these, most are finished by then
// and need none, and one flush serves the others, while the disk is free for the claims.
const (
	publishAfter = time.Second
	publishLook  = 100 * time.Millisecond // how often it is looked which are finished
)

const (
	relayRows = 500  // how many actions go out with one flush
	handRows  = 2000 // with that many in the outbox nothing is handed over
)

// relay publishes what triage put into the outbox. A row may be published
// twice, at any distance in time: the claims make that harmless.
type relay struct {
	store  *state.Store
	stream *stream.Stream
	// epoch stands in the ids of messages: an older state that was put back numbers actions anew, and within two
	// minutes the stream would take one for the repeat of another and drop it.
	epoch string
	log   *slog.Logger
	kick  chan struct{}

	mu     sync.Mutex                      // guards what follows, and keeps forget out of a publication
	handed map[string]stream.ActionMessage // by key of the row: with the sinks' loops, and not published
	since  time.Time                       // the first of them was handed over then
}

func newRelay(store *state.Store, s *stream.Stream, epoch string, log *slog.Logger) *relay {
	r := &relay{store: store, stream: s, epoch: epoch, log: log, kick: make(chan struct{}, 1), handed: map[string]stream.ActionMessage{}}
	r.wake()
	return r
}

func (r *relay) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

func (r *relay) run(ctx context.Context) error {
	settle := time.NewTimer(settleAfter)
	defer settle.Stop()
	defer r.settle()
	var publish <-chan time.Time // nil: nothing waits to be published
	for {
		select {
		case <-r.kick:
			if r.handOver() {
				if publish == nil {
					publish = time.After(publishLook)
				}
				continue
			}
		case <-publish:
			publish = nil
			left, since := r.look()
			if left == 0 {
				settle.Reset(settleAfter)
				continue
			}
			if time.Since(since) < publishAfter {
				publish = time.After(publishLook)
				continue
			}
		case <-settle.C:
			r.settle()
			continue
		case <-ctx.Done():
			return nil
		}
		publish = nil
		for {
			n, err := r.once(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				r.log.Warn("actions wait in the outbox", "err", err)
				select {
				case <-time.After(time.Second):
					continue
				case <-ctx.Done():
					return nil
				}
			}
			if n == 0 {
				break
			}
		}
		settle.Reset(settleAfter)
	}
}

// settle removes published rows that no commit took along. Where that fails they are
// published again after a restart.
func (r *relay) settle() {
	if err := r.store.RemovePublished(); err != nil {
		r.log.Warn("actions that were published stay in the outbox", "err", err)
	}
}

// handOver gives new rows to the sinks' loops; false when some are left that only their messages
// bring there. The rows are on disk, so that the loops need not wait for the stream's flush as well: the
// message follows as a second copy of the same action where that is not finished soon, and a row goes only
// when it is there or the action is finished.
func (r *relay) handOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.store.OutboxBut(handRows, func(key []byte) bool {
		_, ok := r.handed[string(key)]
		return ok
	})
	if err != nil || len(rows)+len(r.handed) >= handRows {
		return false
	}
	messages := make([]stream.ActionMessage, len(rows))
	for i := range rows {
		messages[i] = r.message(&rows[i])
	}
	if !r.stream.HandOver(messages) {
		return false
	}
	if len(r.handed) == 0 {
		r.since = time.Now()
	}
	for i := range messages {
		messages[i].Data = nil
		r.handed[string(rows[i].Key)] = messages[i]
	}
	return true
}

func (r *relay) message(row *state.OutboxRow) stream.ActionMessage {
	id := "a/" + row.Case + "/" + row.Sink + "/" + strconv.FormatUint(row.N, 10) + "." + strconv.Itoa(row.K) + r.epoch
	return stream.ActionMessage{Sink: row.Sink, Case: row.Case, ID: id, Data: row.Data}
}

// look lets go of what is finished, and says how many rows are still with the sinks' loops, and since when the first is.
func (r *relay) look() (left int, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished()
	return len(r.handed), r.since
}

// finished lets go of the rows whose actions are finished: their outcomes are on disk. r.mu is held.
func (r *relay) finished() {
	var keys [][]byte
	for key, m := range r.handed {
		if r.stream.Finished(m.Sink, m.ID) {
			keys = append(keys, []byte(key))
			delete(r.handed, key)
		}
	}
	r.store.Published(keys)
}

// once publishes the oldest rows. The next commit removes them.
func (r *relay) once(ctx context.Context) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished()
	rows, err := r.store.Outbox(relayRows)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	messages := make([]stream.ActionMessage, len(rows))
	keys := make([][]byte, len(rows))
	for i := range rows {
		messages[i], keys[i] = r.message(&rows[i]), rows[i].Key
	}
	failpoint.Hit("relay/publish")
	if err := r.stream.PublishActions(ctx, messages); err != nil {
		return 0, err
	}
	failpoint.Hit("relay/published")
	for _, key := range keys {
		delete(r.handed, string(key))
	}
	r.store.Published(keys)
	failpoint.Hit("relay/removed")
	return len(keys), nil
}

// forget takes the rows of sinks that are called differently by now out of the outbox: triage issues their actions again
// under the present names. What was published before is on the stream; nothing of these sinks comes there after it.
func (r *relay) forget(sinks []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.store.Outbox(math.MaxInt)
	if err != nil {
		return err
	}
	var keys [][]byte
	for i := range rows {
		if slices.Contains(sinks, rows[i].Sink) {
			keys = append(keys, rows[i].Key)
			delete(r.handed, string(rows[i].Key))
		}
	}
	r.store.Published(keys)
	return nil
}
