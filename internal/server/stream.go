package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/api"
)

// lineEvery is how often progress within one stage is written at most.
const lineEvery = 100 * time.Millisecond

// stream answers with what work comes to, as lines: progress on the way, then a
// result or an error. When work ends before the first line was due, an error is
// an ordinary answer with its status. The context of work ends when the client
// leaves or the server stops.
func stream[T any](s *Server, x *exchange, r *http.Request, work func(context.Context, api.Progress) (T, error)) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.stopping, func() { cancel(errStopping) })()
	l := &lines{x: x, control: http.NewResponseController(x), stall: s.t.stall, gone: cancel}
	stop := l.beat(s.t.beat)
	defer stop()
	v, err := work(ctx, l.progress)
	err = ended(ctx, err)
	stop()
	switch {
	case err == nil:
		l.write(api.Line[T]{Result: &v})
	case l.begun:
		l.write(api.Line[T]{Error: &api.ErrorBody{Code: failureOf(err).body.Code, Message: err.Error()}})
	}
	return err
}

// lines writes a streamed answer. Progress may be told by several goroutines.
type lines struct {
	x       *exchange
	control *http.ResponseController
	stall   time.Duration
	gone    context.CancelCauseFunc // ends the work of a client that left

	mu     sync.Mutex
	begun  bool
	closed bool
	last   api.ProgressLine
	sent   time.Time
}

// progress implements api.Progress.
func (l *lines) progress(stage string, done, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := stage == l.last.Stage
	l.last = api.ProgressLine{Stage: stage, Done: done, Total: total}
	if l.closed || same && done != total && time.Since(l.sent) < lineEvery {
		return
	}
	l.put(api.Line[struct{}]{Progress: &l.last})
}

// beat repeats the last progress while nothing else is written, so that neither
// the client nor a proxy takes the connection for dead. The function it returns
// ends that, and progress too; it may be called twice.
func (l *lines) beat(every time.Duration) (stop func()) {
	ticker := time.NewTicker(every)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C:
				l.mu.Lock()
				if time.Since(l.sent) >= every/2 {
					l.put(api.Line[struct{}]{Progress: &l.last})
				}
				l.mu.Unlock()
			case <-done:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		ticker.Stop()
		close(done)
		<-ended
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
	})
}

func (l *lines) write(line any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(line)
}

// put writes one line and sends it on its way. The caller holds the lock.
func (l *lines) put(line any) {
	data, err := json.Marshal(line)
	if err != nil {
		l.gone(err)
		return
	}
	if !l.begun {
		l.begun = true
		l.x.Header().Set("Content-Type", "application/x-ndjson")
		l.x.Header().Set("X-Accel-Buffering", "no") // nginx would hold the lines back
	}
	err = l.control.SetWriteDeadline(time.Now().Add(l.stall))
	if err == nil {
		_, err = l.x.Write(append(data, '\n'))
	}
	if err == nil {
		err = l.control.Flush()
	}
	if err = errors.Join(err, l.control.SetWriteDeadline(time.Time{})); err != nil {
		l.gone(err)
	}
	l.sent = time.Now()
}
