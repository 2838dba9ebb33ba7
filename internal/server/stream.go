package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/api"
)

// lineEvery is how often progress within one stage is written at most.
const lineEvery = 100 * time.Millisecond

// pieceBytes is how much of a line has to be taken by the client within one limit.
const pieceBytes = 256 << 10

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
	var last []byte
	if err == nil {
		last, err = json.Marshal(api.Line[T]{Result: &v})
	}
	if err != nil {
		if !l.begun {
			return err
		}
		// Two strings always marshal.
		last, _ = json.Marshal(api.Line[T]{Error: &api.ErrorBody{Code: failureOf(err).body.Code, Message: err.Error()}})
	}
	l.write(last)
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
	l.tell()
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
					l.tell()
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

// tell writes the last progress. The caller holds the lock.
func (l *lines) tell() {
	// A word and two numbers always marshal.
	data, _ := json.Marshal(api.Line[struct{}]{Progress: &l.last})
	l.put(data)
}

func (l *lines) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(line)
}

// put writes one line and sends it on its way. The caller holds the lock.
func (l *lines) put(line []byte) {
	if !l.begun {
		l.begun = true
		l.x.Header().Set("Content-Type", "application/x-ndjson")
		l.x.Header().Set("X-Accel-Buffering", "no") // nginx would hold the lines back
	}
	var err error
	// In pieces: a plan of 100 MB may take longer than one limit, as long as it moves.
	for piece := range slices.Chunk(append(line, '\n'), pieceBytes) {
		if err = l.control.SetWriteDeadline(time.Now().Add(l.stall)); err != nil {
			break
		}
		if _, err = l.x.Write(piece); err != nil {
			break
		}
	}
	if err == nil {
		err = l.control.Flush()
	}
	if err = errors.Join(err, l.control.SetWriteDeadline(time.Time{})); err != nil {
		l.gone(fmt.Errorf("the client left: %w", err))
	}
	l.sent = time.Now()
}
