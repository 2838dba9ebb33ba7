package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/internal/stream"
)

// settleAfter is how long published rows wait for a commit to remove them along with its own changes.
const settleAfter = time.Second

// publishAfter is how long actions that were handed over wait for their messages: nobody waits for these, and
// one flush then serves many, while the disk is free for the claims.
const publishAfter = 100 * time.Millisecond

// relayRows is how many actions go out with one flush.
const relayRows = 500

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
}

func newRelay(store *state.Store, s *stream.Stream, epoch string, log *slog.Logger) *relay {
	r := &relay{store: store, stream: s, epoch: epoch, log: log, kick: make(chan struct{}, 1)}
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
			settle.Reset(settleAfter)
			if r.handOver() {
				if publish == nil {
					publish = time.After(publishAfter)
				}
				continue
			}
		case <-publish:
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
	}
}

// settle removes published rows that no commit took along. Where that fails they are
// published again after a restart.
func (r *relay) settle() {
	if err := r.store.RemovePublished(); err != nil {
		r.log.Warn("actions that were published stay in the outbox", "err", err)
	}
}

// handOver gives the oldest rows to the sinks' loops; false when some are left that only their messages
// bring there. The rows are on disk, so that the loops need not wait for the stream's flush as well: the
// message follows as a second copy of the same action, and a row goes only when it is there.
func (r *relay) handOver() bool {
	messages, _, err := r.rows()
	return err == nil && len(messages) < relayRows && r.stream.HandOver(messages)
}

// rows are the oldest rows of the outbox as messages, and their keys.
func (r *relay) rows() ([]stream.ActionMessage, [][]byte, error) {
	rows, err := r.store.Outbox(relayRows)
	if err != nil {
		return nil, nil, err
	}
	messages := make([]stream.ActionMessage, len(rows))
	keys := make([][]byte, len(rows))
	for i, row := range rows {
		messages[i] = stream.ActionMessage{Sink: row.Sink, Case: row.Case, ID: fmt.Sprintf("a/%s/%s/%d.%d%s", row.Case, row.Sink, row.N, row.K, r.epoch), Data: row.Data}
		keys[i] = row.Key
	}
	return messages, keys, nil
}

// once publishes the oldest rows. The next commit removes them.
func (r *relay) once(ctx context.Context) (int, error) {
	messages, keys, err := r.rows()
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	failpoint.Hit("relay/publish")
	if err := r.stream.PublishActions(ctx, messages); err != nil {
		return 0, err
	}
	failpoint.Hit("relay/published")
	r.store.Published(keys)
	failpoint.Hit("relay/removed")
	return len(keys), nil
}
