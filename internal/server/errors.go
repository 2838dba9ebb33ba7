package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// retryWithin is what a sender is told to wait when the stream has no room and
// nothing better is known.
const retryWithin = 5 * time.Second

// refusal is an error that the server itself answers with.
type refusal struct {
	status  int
	code    string
	message string
}

func (e refusal) Error() string { return e.message }

// failure is an error as it is answered.
type failure struct {
	status int
	retry  time.Duration // 0: not said
	body   api.ErrorBody
}

// failureOf maps an error to its answer.
func failureOf(err error) failure {
	f := failure{http.StatusInternalServerError, 0, api.ErrorBody{Code: api.CodeInternal, Message: err.Error()}}
	set := func(status int, code string) { f.status, f.body.Code = status, code }
	var own refusal
	var made answered
	switch {
	case errors.As(err, &made):
		return made.failure
	case errors.As(err, &own):
		set(own.status, own.code)
	case errors.Is(err, api.ErrNotFound):
		set(http.StatusNotFound, api.CodeNotFound)
	case errors.Is(err, api.ErrInvalid):
		set(http.StatusBadRequest, api.CodeInvalid)
	case errors.Is(err, api.ErrRefused):
		set(http.StatusConflict, api.CodeRefused)
	case errors.Is(err, pipeline.ErrFull), errors.Is(err, pipeline.ErrNoRoom), errors.Is(err, api.ErrBusy):
		set(http.StatusServiceUnavailable, api.CodeBusy)
		f.retry = retryWithin
	case errors.Is(err, errStopping):
		set(http.StatusServiceUnavailable, api.CodeStopping)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		set(http.StatusServiceUnavailable, api.CodeTimeout)
	}
	if d, ok := pipeline.RetryDelay(err); ok {
		f.retry = d
	}
	return f
}

// write answers with f. A wait is rounded up to whole seconds, at least one.
func (f failure) write(w http.ResponseWriter) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="docket"`)
	}
	if f.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retry.Seconds()))))
	}
	// Two strings always marshal.
	data, _ := json.Marshal(api.ErrorAnswer{Error: f.body})
	writeJSON(w, f.status, data)
}

func writeJSON(w http.ResponseWriter, status int, data []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(data)+1))
	w.WriteHeader(status)
	// An error means that the client is gone: there is nobody to tell.
	_, _ = w.Write(append(data, '\n'))
}

// ended is err with the reason that ctx ended, where that is what err is about.
func ended(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || errors.Is(cause, ctx.Err()) && errors.Is(ctx.Err(), cause) || !errors.Is(err, ctx.Err()) || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}
