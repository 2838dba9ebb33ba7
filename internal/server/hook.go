package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// hookBytes is how large a tracker's webhook request may be. Jira sends the whole issue with its
// comments; what is larger is found by the next poll.
const hookBytes = 8 << 20

// hooksAtOnce bounds what strangers can make docket hold: the signature is known to be right only
// when the whole body is in memory.
const hooksAtOnce = 16

// hook takes a tracker's webhook. It needs no token: the sink proves by the request's signature that
// the tracker sent it. The answer says that the hint came, never what is known of a ticket.
func (s *Server) hook(x *exchange, r *http.Request) error {
	sink := r.PathValue("sink")
	if err := text(sink); err != nil {
		return err
	}
	q, err := parameters(r)
	if err != nil {
		return err
	}
	if s.o.Hook == nil {
		return fmt.Errorf("%w: sink %s takes no webhooks", api.ErrNotFound, sink)
	}
	full := time.NewTimer(s.t.hook)
	defer full.Stop()
	select {
	case s.hooks <- struct{}{}:
		defer func() { <-s.hooks }()
	case <-full.C:
		return fmt.Errorf("%w: %d webhooks are being read", api.ErrBusy, hooksAtOnce)
	case <-r.Context().Done():
		return context.Cause(r.Context())
	}
	// The body is taken as it was signed: it is not unpacked.
	body, err := io.ReadAll(http.MaxBytesReader(x, r.Body, min(hookBytes, s.o.MaxBodyBytes)))
	if err != nil {
		return bodyError(err)
	}
	err = s.o.Hook(r.Context(), sink, pipeline.Hook{Header: r.Header, Query: q, Body: body})
	switch {
	case errors.Is(err, pipeline.ErrUnauthorized):
		return refusal{http.StatusUnauthorized, api.CodeUnauthorized, "the request is not signed with this sink's webhook secret"}
	case err != nil:
		return err
	}
	return answer(x, http.StatusAccepted, map[string]bool{"accepted": true})
}
