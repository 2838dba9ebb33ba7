package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/docket-hub/docket/internal/api"
)

// backup answers with one moment of the state. An error on the way cuts the answer off before the length that it named.
func (s *Server) backup(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	ctx, end := s.until(r)
	defer end()
	_, err := s.o.Service.Backup(ctx, func(b api.Backup) (io.Writer, error) {
		head, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		h := x.Header()
		h.Set("Content-Type", "application/x-tar")
		h.Set("Content-Length", strconv.FormatInt(b.Bytes, 10))
		h.Set("Content-Disposition", `attachment; filename="docket-state.tar"`)
		h.Set(api.BackupHeader, string(head))
		return s.steady(ctx, x), nil
	})
	return ended(ctx, err)
}

// export answers with lines. An error on the way is the last of them.
func (s *Server) export(x *exchange, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	ctx, end := s.until(r)
	defer end()
	x.Header().Set("Content-Type", "application/x-ndjson")
	w := s.steady(ctx, x)
	err := ended(ctx, s.o.Service.Export(ctx, w))
	if err != nil && x.status != 0 {
		// Strings always marshal. A client that left reads nothing more.
		last, _ := json.Marshal(map[string]any{"kind": "error", "error": failureOf(err).body})
		_, _ = w.Write(append(append([]byte("\n"), last...), '\n'))
	}
	return err
}

// until is the context of a long answer: it ends when the client leaves or the server stops.
func (s *Server) until(r *http.Request) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(s.stopping, func() { cancel(errStopping) })
	return ctx, func() { stop(); cancel(nil) }
}

// steadyWriter writes a long answer: however long it takes, as long as the client takes each piece in time.
type steadyWriter struct {
	ctx     context.Context
	w       io.Writer
	control *http.ResponseController
	stall   time.Duration
}

func (s *Server) steady(ctx context.Context, x *exchange) io.Writer {
	return &steadyWriter{ctx, x, http.NewResponseController(x), s.t.stall}
}

func (w *steadyWriter) Write(b []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	if err := w.control.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
		return 0, err
	}
	n, err := w.w.Write(b)
	return n, errors.Join(err, w.control.SetWriteDeadline(time.Time{}))
}
