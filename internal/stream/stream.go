package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline"
)

// The conditions that callers branch on, beside pipeline.ErrFull.
var (
	// ErrClosed: the stream was closed. What was not confirmed may or may not be stored.
	ErrClosed = errors.New("the stream is closed")
	// ErrTooLarge: a payload is larger than a message may be. It will never fit.
	ErrTooLarge = errors.New("the record is too large")
	// ErrGap: a message that was never done is missing. The reader must stop:
	// going on would apply later inputs without it.
	ErrGap = errors.New("a message is missing from the stream")
)

// The names of the JetStream streams and of their subjects.
const (
	findingsName = "FINDINGS"
	inputsName   = "INPUTS"
	actionsName  = "ACTIONS"

	findingsSubject = "findings"
	inputsSubject   = "inputs"
	actionsPrefix   = "actions."

	// wakePrefix and a stream's name make the subject of a bare, unstored message
	// that tells readers to look. Losing one costs a reader the rest of its wait.
	wakePrefix = "docket.wake."
)

const (
	// inputsMaxBytes bounds INPUTS. Outcomes are a few hundred bytes and are freed
	// within seconds, so that it fills only when triage stands still.
	inputsMaxBytes = 1 << 30
	// callTimeout bounds every request that does not wait for a flush of much data.
	callTimeout = 15 * time.Second
)

var errCallTimeout = fmt.Errorf("the stream server did not answer within %s", callTimeout)

// Options says where the streams live and what they keep.
type Options struct {
	Dir      string        // of the embedded server's files; made 0700
	URL      string        // of an external server or cluster, comma-separated; empty: embedded
	Creds    string        // the text of a NATS credentials file, for URL
	Replicas int           // of each stream, for URL; 0 is 1
	Keep     time.Duration // done findings are kept that long
	MaxBytes int64         // of FINDINGS; 0 is without limit
	Log      *slog.Logger  // nil: silent

	// FindingsPosition and InputsPosition are the sequences that state has
	// applied last. A stream that ends before them was lost or replaced; it is moved on,
	// since new messages under sequences already applied would be dropped unread.
	FindingsPosition uint64
	InputsPosition   uint64

	reserve *uint64 // of tests, in place of diskReserve
}

// Stream is an open set of streams. Its methods may be called at the same time.
type Stream struct {
	opts Options
	log  *slog.Logger
	// embedded says that the server is in this process. Revive puts another one in its place.
	embedded bool
	serverMu sync.Mutex
	server   *server.Server                // nil with an external one
	current  atomic.Pointer[server.Server] // the same, for those who connect to it
	reserve  uint64                        // bytes of the disk that stay free
	breaking atomic.Pointer[chan struct{}] // closed when that comes about
	broken   atomic.Pointer[string]        // why the embedded server stores nothing more until Revive; nil: it does
	// Reading, and writing to each stream, have a connection each, because the embedded
	// server serves the requests of one connection in turn, flushes of the disk included.
	write, writeInputs, writeActions, read         *nats.Conn
	writeJS, writeInputsJS, writeActionsJS, readJS jetstream.JetStream
	handles                                        map[string]jetstream.Stream // by name; fixed once open

	findings *gatherer
	inputs   *gatherer
	recent   recentIDs
	done     *doneActions // nil with an external server
	free     *freer
	later    sync.Map // *later by sink: what was given back outlives the consumer that took it
	handed   sync.Map // *handOver by sink, of its newest consumer
}

// Open starts or connects to the server and makes the streams. The caller closes the Stream.
func Open(ctx context.Context, opts Options) (_ *Stream, err error) {
	s := &Stream{opts: opts, log: opts.Log, handles: make(map[string]jetstream.Stream), reserve: diskReserve}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.opts.Replicas = max(1, opts.Replicas)
	breaking := make(chan struct{})
	s.breaking.Store(&breaking)
	if opts.reserve != nil {
		s.reserve = *opts.reserve
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.disconnect(ctx))
		}
	}()
	if opts.URL == "" {
		s.opts.Replicas = 1
		s.embedded = true
		if s.server, err = startServer(ctx, opts.Dir, s.serverLog()); err != nil {
			return nil, err
		}
		s.current.Store(s.server)
	} else {
		s.log.Warn("the stream server is an external one: set sync_interval to always on each of its servers, " +
			"or a power cut can lose findings that docket has confirmed")
	}
	if err := s.connect(); err != nil {
		return nil, err
	}
	if err := s.makeStreams(ctx); err != nil {
		return nil, err
	}
	if err := s.fit(ctx); err != nil {
		return nil, err
	}
	if s.embedded {
		state, err := s.state(ctx, actionsName, jetstream.WithDeletedDetails(true))
		if err != nil {
			return nil, err
		}
		s.done = newDoneActions(state)
	}
	// What does not compress grows by a few bytes in 64 KiB; 1/128 and 1 KiB for headers are ample.
	limit := int(s.write.MaxPayload()) - int(s.write.MaxPayload())/128 - 1<<10
	s.findings = newGatherer(limit, s.publisher(s.write, s.writeJS, findingsName, findingsSubject))
	s.inputs = newGatherer(limit, s.publisher(s.writeInputs, s.writeInputsJS, inputsName, inputsSubject))
	s.free = newFreer(s)
	return s, nil
}

func (s *Stream) connect() error {
	options := []nats.Option{
		nats.Name("docket"),
		nats.MaxReconnects(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("stream connection", "component", "stream", "err", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				s.log.Warn("stream connection lost", "component", "stream", "err", err)
			}
		}),
	}
	url := s.opts.URL
	if s.embedded {
		options = append(options, nats.InProcessServer(inProcess{s}))
	} else if s.opts.Creds != "" {
		options = append(options, nats.UserCredentialBytes([]byte(s.opts.Creds)))
	}
	for _, c := range []struct {
		conn **nats.Conn
		js   *jetstream.JetStream
	}{{&s.write, &s.writeJS}, {&s.writeInputs, &s.writeInputsJS}, {&s.writeActions, &s.writeActionsJS}, {&s.read, &s.readJS}} {
		var err error
		// The address may hold a password and stays out of the error.
		if *c.conn, err = nats.Connect(url, options...); err != nil {
			return fmt.Errorf("connect to the stream server: %w", err)
		}
		if *c.js, err = jetstream.New(*c.conn); err != nil {
			return fmt.Errorf("use JetStream: %w", err)
		}
	}
	return nil
}

func (s *Stream) makeStreams(ctx context.Context) error {
	maxBytes := s.opts.MaxBytes
	if maxBytes <= 0 {
		maxBytes = -1
	}
	common := jetstream.StreamConfig{
		Storage:     jetstream.FileStorage,
		Replicas:    s.opts.Replicas,
		Discard:     jetstream.DiscardNew,
		AllowDirect: true,
	}
	findings, inputs, actions := common, common, common
	findings.Name, findings.Subjects, findings.MaxBytes = findingsName, []string{findingsSubject}, maxBytes
	findings.Description = "packed findings; purged by docket behind its position"
	inputs.Name, inputs.Subjects, inputs.MaxBytes = inputsName, []string{inputsSubject}, inputsMaxBytes
	inputs.Description = "outcomes, interactions and configuration; purged by docket behind its position"
	// An action has neither an age nor a number of deliveries after which it is given up.
	actions.Name, actions.Subjects, actions.MaxBytes = actionsName, []string{actionsPrefix + "*.*"}, -1
	actions.Description = "actions waiting for their sink"
	if !s.embedded {
		actions.Retention = jetstream.WorkQueuePolicy
	} // else doneActions removes what is finished
	actions.AllowAtomicPublish = true
	for _, c := range []jetstream.StreamConfig{findings, inputs, actions} {
		if err := s.makeStream(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// makeStream makes or changes a stream. One that is as wanted is left alone: the
// server would write its settings anew, and a start would cost a dozen flushes.
func (s *Stream) makeStream(ctx context.Context, want jetstream.StreamConfig) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	handle, err := s.readJS.Stream(ctx, want.Name)
	if err == nil {
		have := handle.CachedInfo().Config
		asWanted := have.Description == want.Description && slices.Equal(have.Subjects, want.Subjects) &&
			have.Retention == want.Retention && have.Discard == want.Discard && have.Storage == want.Storage &&
			have.MaxBytes == want.MaxBytes && have.MaxAge == want.MaxAge && have.Replicas == want.Replicas &&
			have.AllowDirect == want.AllowDirect && have.AllowAtomicPublish == want.AllowAtomicPublish
		if asWanted {
			s.handles[want.Name] = handle
			return nil
		}
	}
	if handle, err = s.readJS.CreateOrUpdateStream(ctx, want); err != nil {
		return fmt.Errorf("make stream %s: %w", want.Name, withCause(ctx, err))
	}
	s.handles[want.Name] = handle
	return nil
}

// fit compares the streams with their positions. One that ends before its position goes on behind it.
func (s *Stream) fit(ctx context.Context) error {
	for name, position := range map[string]uint64{findingsName: s.opts.FindingsPosition, inputsName: s.opts.InputsPosition} {
		state, err := s.state(ctx, name)
		if err != nil {
			return err
		}
		if state.LastSeq < position {
			s.log.Error("the stream ends before the position of the state: it was lost or replaced; sources are read again from their watermarks",
				"stream", name, "last", state.LastSeq, "position", position)
			if err := s.purge(ctx, name, position); err != nil {
				return err
			}
		}
		if state.LastSeq >= position && state.FirstSeq > position+1 {
			s.log.Warn("the stream was freed beyond the position of the state: an older copy of the state was put back",
				"stream", name, "first", state.FirstSeq, "position", position)
		}
	}
	return nil
}

// purge removes the messages up to and including upTo.
func (s *Stream) purge(ctx context.Context, name string, upTo uint64) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	failpoint.Hit("stream/free")
	if err := s.handles[name].Purge(ctx, jetstream.WithPurgeSequence(upTo+1)); err != nil {
		return fmt.Errorf("free stream %s up to %d: %w", name, upTo, withCause(ctx, err))
	}
	failpoint.Hit("stream/freed")
	return nil
}

// DropActions takes every action off the stream: they belong to a state that is
// not there any more. What the present one has in flight is issued again.
func (s *Stream) DropActions(ctx context.Context) error {
	state, err := s.state(ctx, actionsName)
	if err != nil {
		return err
	}
	return s.purge(ctx, actionsName, state.LastSeq)
}

// DropSink takes the actions of one sink off the stream: there is no such sink any more. What its
// successor has in flight is issued again.
func (s *Stream) DropSink(ctx context.Context, sink string) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if err := s.handles[actionsName].Purge(ctx, jetstream.WithPurgeSubject(actionsPrefix+token(sink)+".*")); err != nil {
		return fmt.Errorf("drop the actions of sink %s: %w", sink, withCause(ctx, err))
	}
	return nil
}

func (s *Stream) state(ctx context.Context, name string, opts ...jetstream.StreamInfoOpt) (jetstream.StreamState, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	info, err := s.handles[name].Info(ctx, opts...)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("look at stream %s: %w", name, withCause(ctx, err))
	}
	return info.State, nil
}

// PublishFindings stores one packed envelope and returns once it is on disk. A
// full stream is pipeline.ErrFull, a payload that can never fit ErrTooLarge. After any
// other error it may or may not be stored, and the payload must not change any more; without one it is the caller's again.
func (s *Stream) PublishFindings(ctx context.Context, payload []byte) error {
	failpoint.Hit("findings/publish")
	if planted.On("answer-before-stored") {
		time.AfterFunc(time.Minute, func() { _ = s.findings.put(ctx, payload) })
		return nil
	}
	if err := s.findings.put(ctx, payload); err != nil {
		if errors.Is(err, pipeline.ErrFull) {
			s.free.full()
		}
		return fmt.Errorf("store findings: %w", err)
	}
	failpoint.Hit("findings/published")
	return nil
}

// PublishInput stores one input as PublishFindings does, in room of its own.
// A repeat of an id stored in the last two minutes is not stored again; that only cuts
// noise, so readers must bear repeats. An empty id is never a repeat.
func (s *Stream) PublishInput(ctx context.Context, payload []byte, id string) error {
	if s.recent.has(id) {
		return nil
	}
	failpoint.Hit("input/publish")
	if err := s.inputs.put(ctx, payload); err != nil {
		return fmt.Errorf("store input: %w", err)
	}
	failpoint.Hit("input/published")
	s.recent.add(id)
	return nil
}

// MaxPayload is the largest payload in bytes that PublishFindings and PublishInput take.
func (s *Stream) MaxPayload() int { return s.findings.limit - packedSize(nil) }

func (s *Stream) publisher(conn *nats.Conn, js jetstream.JetStream, name, subject string) func(context.Context, []byte) error {
	return func(ctx context.Context, message []byte) error {
		if err := s.Room(); err != nil {
			return err
		}
		ctx, stop := s.untilBroken(ctx)
		defer stop()
		// No repeat by the client: the source repeats a page, and knows its content.
		_, err := js.Publish(ctx, subject, message, jetstream.WithRetryAttempts(0))
		if err != nil {
			return s.publishError(withCause(ctx, err))
		}
		if err := conn.Publish(wakePrefix+name, nil); err != nil {
			s.log.Debug("wake readers", "component", "stream", "err", err)
		}
		return nil
	}
}

// publishError names a lack of room. The numbers are from nats-server
// 2.15 (server/errors.json): resource limits 10002, 10023 and 10047; 10077 is the refusal by a
// limit of the stream, which only its words tell from a file that cannot be written.
func (s *Stream) publishError(err error) error {
	// Looked at once: the stream may be started again meanwhile, and what was not stored stays so.
	if why := s.broken.Load(); why != nil && err != nil {
		return s.unwritten(*why)
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case 10002, 10023, 10047:
		return fmt.Errorf("%w: %w", pipeline.ErrFull, err)
	case 10077:
		if api.Description == server.ErrMaxBytes.Error() {
			return pipeline.ErrFull
		}
		if s.embedded {
			s.breaks(api.Description)
			return s.unwritten(api.Description)
		}
	}
	return err
}

// StreamStats is the size of one stream.
type StreamStats struct {
	Bytes    uint64
	Messages uint64
	First    uint64 // sequence of the first message still stored
	Last     uint64 // sequence of the last message ever stored
}

// Stats is the size of the three streams.
type Stats struct{ Findings, Inputs, Actions StreamStats }

// Stats asks the server for the sizes.
func (s *Stream) Stats(ctx context.Context) (Stats, error) {
	var out Stats
	for name, to := range map[string]*StreamStats{findingsName: &out.Findings, inputsName: &out.Inputs, actionsName: &out.Actions} {
		state, err := s.state(ctx, name)
		if err != nil {
			return Stats{}, err
		}
		*to = StreamStats{Bytes: state.Bytes, Messages: state.Msgs, First: state.FirstSeq, Last: state.LastSeq}
	}
	return out, nil
}

// FindingsLastSeq is the sequence of the last message of FINDINGS; 0 when there never was one.
func (s *Stream) FindingsLastSeq(ctx context.Context) (uint64, error) {
	state, err := s.state(ctx, findingsName)
	return state.LastSeq, err
}

// InputsLastSeq is the sequence of the last message of INPUTS; 0 when there never was one.
func (s *Stream) InputsLastSeq(ctx context.Context) (uint64, error) {
	state, err := s.state(ctx, inputsName)
	return state.LastSeq, err
}

// Close lets publishes under way finish, frees what is done and stops the
// embedded server. When ctx ends first it cuts short and says so. It may be called once;
// nothing may be called after it except PublishFindings and PublishInput, which answer ErrClosed.
func (s *Stream) Close(ctx context.Context) error {
	s.findings.close(ctx)
	s.inputs.close(ctx)
	err := s.free.close(ctx)
	return errors.Join(err, s.disconnect(ctx))
}

func (s *Stream) disconnect(ctx context.Context) error {
	for _, c := range []*nats.Conn{s.write, s.writeInputs, s.writeActions, s.read} {
		if c != nil {
			c.Close()
		}
	}
	s.serverMu.Lock()
	defer s.serverMu.Unlock()
	if s.server == nil {
		return nil
	}
	stopped := make(chan struct{})
	go func() {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		close(stopped)
	}()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the embedded stream server: %w", context.Cause(ctx))
	}
}

func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, callTimeout, errCallTimeout)
}

// withCause adds why ctx ended, which libraries leave out.
func withCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
