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

// relayRows is how many actions go out with one flush.
const relayRows = 500

// relay publishes what triage put into the outbox. A row may be published
// twice, at any distance in time: the claims make that harmless.
type relay struct {
	store  *state.Store
	stream *stream.Stream
	log    *slog.Logger
	kick   chan struct{}
}

func newRelay(store *state.Store, s *stream.Stream, log *slog.Logger) *relay {
	r := &relay{store: store, stream: s, log: log, kick: make(chan struct{}, 1)}
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
	for {
		select {
		case <-r.kick:
			settle.Reset(settleAfter)
		case <-settle.C:
			r.settle()
			continue
		case <-ctx.Done():
			return nil
		}
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

// once publishes the oldest rows. The next commit removes them.
func (r *relay) once(ctx context.Context) (int, error) {
	rows, err := r.store.Outbox(relayRows)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	messages := make([]stream.ActionMessage, len(rows))
	keys := make([][]byte, len(rows))
	for i, row := range rows {
		messages[i] = stream.ActionMessage{Sink: row.Sink, Case: row.Case, ID: fmt.Sprintf("a/%s/%s/%d.%d", row.Case, row.Sink, row.N, row.K), Data: row.Data}
		keys[i] = row.Key
	}
	failpoint.Hit("relay/publish")
	if err := r.stream.PublishActions(ctx, messages); err != nil {
		return 0, err
	}
	failpoint.Hit("relay/published")
	r.store.Published(keys)
	failpoint.Hit("relay/removed")
	return len(rows), nil
}
