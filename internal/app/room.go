package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// The parts of data_dir that may be out of room.
const (
	partState  = "state"
	partStream = "stream"
)

// roomEvery is how often docket looks whether there is room again.
const roomEvery = time.Second

// room is what cannot be written now, by part.
type room struct {
	mu    sync.Mutex
	parts map[string]error
}

// set notes how a part is, nil for well, and reports whether that is new.
func (r *room) set(part string, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if (err == nil) == (r.parts[part] == nil) {
		return false
	}
	if r.parts == nil {
		r.parts = map[string]error{}
	}
	r.parts[part] = err
	return true
}

// all is what cannot be written, but for the stream, which says so itself.
func (r *room) all() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.parts[partState]; err != nil {
		return []error{err}
	}
	return nil
}

// noRoom tells once that a part is out of room, and once that it has some again.
func (a *App) noRoom(part string, err error) {
	if !a.room.set(part, err) {
		return
	}
	full := 0.0
	if err != nil {
		full = 1
		a.o.Log.Error("no room: make some on the disk, or raise the quota; docket goes on by itself", "part", part, "data_dir", DataDir(a.Graph().Config), "err", err)
	} else {
		a.o.Log.Info("there is room again", "part", part)
	}
	a.o.Metrics.noRoom.WithLabelValues(part).Set(full)
}

// patiently writes to the state. While there is no room the daemon tries again until there is: nothing was changed, what
// is to be written stays the same, and nobody else changes it.
func (a *App) patiently(write func() error) error {
	for {
		err := write()
		if !errors.Is(err, pipeline.ErrNoRoom) {
			a.noRoom(partState, nil)
			return err
		}
		if !a.o.Patient {
			return fmt.Errorf("%w: make room on the disk or raise the quota, then run it again", err)
		}
		a.noRoom(partState, err)
		select {
		case <-time.After(roomEvery):
		case <-a.ctx.Done():
			return err
		}
	}
}

// watchRoom looks after the stream: one whose files could not be written is started again once they can be.
func (a *App) watchRoom(ctx context.Context) error {
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	half := false // the stream may be there again, and its sinks not
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		half = a.lookAtStream(ctx, half)
	}
}

// lookAtStream starts a broken stream again, and the sinks of one that was started while they could not be: half says so. It
// returns whether that is so now.
func (a *App) lookAtStream(ctx context.Context, half bool) bool {
	a.noRoom(partStream, a.stream.Room())
	if !half && !a.stream.Broken() {
		return false
	}
	err := a.revive(ctx)
	switch {
	case err == nil:
	case a.stream.Broken():
		a.o.Log.Debug("the stream cannot be started yet", "component", "stream", "err", err)
	default:
		a.o.Log.Warn("the stream is back, the sinks are not yet: trying again", "component", "stream", "err", err)
	}
	return err != nil
}

// revive starts the stream again, and the sinks with it: what took their actions went with the old server.
func (a *App) revive(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if err := a.stream.Revive(ctx); err != nil {
		return err
	}
	a.stopSinks()
	if err := a.startSinks(a.Graph()); err != nil {
		return err
	}
	a.o.Log.Info("the stream was started again", "component", "stream")
	return a.reissue(ctx, 0)
}
