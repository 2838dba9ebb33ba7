package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/docket-hub/docket/pipeline"
)

// criticalWrite begins what the server says when a write to a stream's files failed. From then on it stores nothing
// more in that stream until it is started again (nats-server 2.15.2, server/filestore.go, setWriteErr).
const criticalWrite = "Critical write error"

// diskReserve stays free. A store that meets a full disk in the middle of a write stores nothing more, so docket
// stops before that: it is full, and goes on by itself when there is room again. Quotas and other programs may still
// bring it about; then Revive helps.
const diskReserve = 64 << 20

// probeBytes is what must be writable before the server is started again.
const probeBytes = 1 << 20

// noRoom marks what kept a message from being stored.
func noRoom(err error) error {
	return fmt.Errorf("%w: %w: %w", pipeline.ErrFull, pipeline.ErrNoRoom, err)
}

func (s *Stream) unwritten(why string) error {
	return noRoom(fmt.Errorf("the stream in %s could not be written (%s): make room, docket goes on by itself", s.opts.Dir, why))
}

// Room is nil, or an error that is pipeline.ErrFull and ErrNoRoom: nothing can be stored now, because the disk of the
// embedded server is nearly full, or because one of its files could not be written; then Revive helps.
func (s *Stream) Room() error {
	if why := s.broken.Load(); why != nil {
		return s.unwritten(*why)
	}
	return s.diskRoom()
}

// Broken reports that a file of the embedded server could not be written: it stores nothing more until Revive.
func (s *Stream) Broken() bool { return s.broken.Load() != nil }

func (s *Stream) breaks(why string) {
	if s.broken.CompareAndSwap(nil, &why) {
		close(*s.breaking.Load())
	}
}

// untilBroken is ctx, ended as soon as the server stores nothing more: it does not answer the message that it failed on.
func (s *Stream) untilBroken(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	breaking := *s.breaking.Load()
	go func() {
		select {
		case <-breaking:
			cancel(pipeline.ErrNoRoom)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

func (s *Stream) serverLog() serverLog {
	return serverLog{s.log.With("component", "nats-server"), s.breaks}
}

// Revive starts the embedded server again after a failed write, once its folder can be written: until then it returns
// the error of Room. What was confirmed is there; what was not may be. Consumers of actions are gone with
// the old server: whoever holds one calls Actions again.
func (s *Stream) Revive(ctx context.Context) error {
	if !s.Broken() {
		return s.Room()
	}
	if err := s.diskRoom(); err != nil {
		return err
	}
	if err := probe(s.opts.Dir); err != nil {
		return noRoom(err)
	}
	s.serverMu.Lock()
	defer s.serverMu.Unlock()
	if s.server != nil {
		s.current.Store(nil)
		s.server.Shutdown()
		s.server.WaitForShutdown()
		s.server = nil
	}
	breaking := make(chan struct{})
	s.breaking.Store(&breaking)
	s.broken.Store(nil) // before the start, which may fail to write again
	// A server that is stopped while it starts leaves parts of itself running, so it starts to its end.
	started, err := startServer(context.WithoutCancel(ctx), s.opts.Dir, s.serverLog())
	if err != nil {
		s.breaks(err.Error())
		return noRoom(err)
	}
	s.server = started
	s.current.Store(started)
	if err := s.reconnected(ctx); err != nil {
		s.breaks(err.Error()) // so that it is tried again
		return err
	}
	return nil
}

// probe writes into a folder what a server needs to start.
func probe(dir string) (err error) {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, probeBytes))
	return errors.Join(err, f.Sync(), f.Close())
}

// reconnected waits until every connection has found the new server.
func (s *Stream) reconnected(ctx context.Context) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	for _, c := range []*nats.Conn{s.write, s.writeInputs, s.writeActions, s.read} {
		// Connections try every two seconds by themselves.
		if err := c.ForceReconnect(); err != nil {
			return fmt.Errorf("connect to the stream server again: %w", err)
		}
		for !c.IsConnected() || c.FlushWithContext(ctx) != nil {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("connect to the stream server again: %w", context.Cause(ctx))
			}
		}
	}
	return nil
}

// inProcess connects to the embedded server of the moment.
type inProcess struct{ s *Stream }

var errRestarting = errors.New("the embedded stream server is being started")

// InProcessConn implements nats.InProcessConnProvider. While the server is exchanged there is none.
func (p inProcess) InProcessConn() (net.Conn, error) {
	current := p.s.current.Load()
	if current == nil {
		return nil, errRestarting
	}
	return current.InProcessConn()
}

var _ nats.InProcessConnProvider = inProcess{}
