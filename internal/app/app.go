// Package app wires docket together: it is the only package that sees
// everything. An App is the open state, the streams, triage and delivery under one
// graph; it runs as the daemon, once, or for one command.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/internal/stream"
	"github.com/docket-hub/docket/pipeline/identity"
)

// The files of a data folder.
const (
	stateFile  = "state.db"
	claimsFile = "claims.db"
	streamDir  = "stream"
)

// ErrRunning says that another docket holds the state.
var ErrRunning = errors.New("another docket is running on this state")

// Options is what an App is opened with.
type Options struct {
	Set   connectors.Set
	Log   *slog.Logger
	Stdin io.Reader
	// Skew is added to every clock and every time of the streams; tests move time with it.
	Skew    time.Duration
	Version string                         // of this binary, for backups
	Load    func() (*config.Config, error) // reads the configuration again, for a reload
	Map     *identity.Map                  // nil: this binary's own; tests migrate between others
	// HoldIssue starts with actions held back until Release: a run that first
	// reads everything makes one ticket of what belongs together.
	HoldIssue bool
	HoldSinks bool // no outside write starts at all
	// Patient waits where the state cannot be written because the disk is full, instead of giving up: the daemon does.
	Patient bool
	Metrics *Metrics // nil: not measured
}

// App is an open docket. Close it.
type App struct {
	o      Options
	graph  atomic.Pointer[Graph]
	store  *state.Store
	stream *stream.Stream
	claims *state.Claims
	loop   *loop
	relay  *relay
	polls  *polls
	holder string
	// lookFirst: the state is an older copy than what was delivered, or a new one; tickets are looked for before they are made.
	lookFirst bool
	epoch     string // of the numbers of actions; another one each time that an older state was put back

	mu         sync.Mutex // guards sinks, watches and reload
	sinks      map[string]*delivery
	watches    map[string]*watch // while sources run
	ctx        context.Context   // of the background work; ends in Close
	cancel     context.CancelCauseFunc
	wg         sync.WaitGroup
	failed     chan struct{} // closed at the first failure of background work
	failure    error         // that failure; read after failed is closed
	failing    sync.Once
	closing    sync.Once
	closed     error
	brakeMu    sync.Mutex  // of those who carry the brake over from state
	brakeOn    atomic.Bool // outside writes must not start
	brakeKnown atomic.Bool // what was asked of the brake before this start is applied
	run        atomic.Bool // a run or an apply is under way
	crowd      crowd       // of requests that are handing findings in
	room       room        // what cannot be written now

	reloading     sync.Mutex
	swapping      sync.Mutex         // of those who put a graph into force
	sourcesCancel context.CancelFunc // nil while none runs
	sourcesDone   sync.WaitGroup
	onReload      func(*config.Config) // set before anything can ask for a reload
}

// abandon closes an App that never came to run, though ctx may be over already.
func (a *App) abandon(ctx context.Context) error {
	stop, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), stopWithin, errStopTime)
	defer cancel()
	return a.Close(stop)
}

// DataDir is the folder of a configuration's state.
func DataDir(cfg *config.Config) string { return cfg.Path(cfg.DataDir) }

// Open opens state and streams and starts triage and delivery. With a daemon
// on the same state the error is ErrRunning.
func Open(ctx context.Context, cfg *config.Config, o Options) (_ *App, err error) {
	a := &App{o: o, sinks: map[string]*delivery{}, failed: make(chan struct{})}
	if a.o.Metrics == nil {
		a.o.Metrics = NewMetrics()
	}
	ask := a.statuses
	a.o.Metrics.delivery.status.Store(&ask)
	feedsNow := a.feedStatuses
	a.o.Metrics.feeds.status.Store(&feedsNow)
	a.ctx, a.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.abandon(ctx))
		}
	}()
	dir := DataDir(cfg)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making data_dir: %w", err)
	}
	a.lookFirst = stateLost(dir)
	if a.store, err = state.Open(filepath.Join(dir, stateFile), state.Options{}); err != nil {
		if errors.Is(err, state.ErrLocked) {
			return nil, fmt.Errorf("%w (%s)", ErrRunning, filepath.Join(dir, stateFile))
		}
		return nil, err
	}
	installation, err := state.Installation(dir, cfg.Installation)
	if err != nil {
		return nil, err
	}
	g, err := Build(cfg, a.outside(installation))
	if err != nil {
		return nil, err
	}
	g = g.readFeeds(ctx, feedsMissing)
	a.graph.Store(g)
	if err := a.start(ctx, dir, cfg, g); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) outside(installation string) Outside {
	return Outside{Set: a.o.Set, Log: a.o.Log, Stdin: a.o.Stdin, Now: a.now, Installation: installation, Map: a.o.Map, Holds: true}
}

func (a *App) start(ctx context.Context, dir string, cfg *config.Config, g *Graph) (err error) {
	snap, err := a.store.View()
	if err != nil {
		return err
	}
	meta := snap.Meta()
	restored, err := snap.Restored()
	snap.Close()
	if err != nil {
		return err
	}
	so := streamOptions(cfg, positionOf(meta, restored))
	so.Log = a.o.Log.With("component", "stream")
	// A server that is stopped while it starts leaves parts of itself running, so it starts to its end.
	if a.stream, err = stream.Open(context.WithoutCancel(ctx), so); err != nil {
		return fmt.Errorf("opening the stream: %w", err)
	}
	if a.claims, err = a.openClaims(filepath.Join(dir, claimsFile)); err != nil {
		return err
	}
	if err := a.lineUp(ctx, positionOf(meta, restored)); err != nil {
		return err
	}
	a.holder = rand.Text()
	a.relay = newRelay(a.store, a.stream, a.epoch, a.o.Log.With("component", "relay"))
	if a.loop, err = newLoop(a, meta); err != nil {
		return err
	}
	a.polls = newPolls(a)
	a.background("triage", a.loop.run)
	a.background("relay", a.relay.run)
	if err := a.startBrake(ctx, meta); err != nil {
		return err
	}
	if err := a.carryOver(ctx, g); err != nil {
		return err
	}
	if err := a.startSinks(g); err != nil {
		return err
	}
	if meta.Config != g.Rules.Config {
		if err := a.input(ctx, message{Config: &configChange{Hash: g.Rules.Config}}, "config/"+g.Rules.Config+"/"+rand.Text()); err != nil {
			return err
		}
	}
	return a.issueRenamed(ctx, g)
}

// openClaims opens the claims, and rebuilds them from state where they were lost.
func (a *App) openClaims(path string) (*state.Claims, error) {
	claims, err := state.OpenClaims(path)
	if err != nil {
		return nil, err
	}
	if !claims.Fresh() {
		return claims, nil
	}
	snap, err := a.store.View()
	if err != nil {
		return nil, errors.Join(err, claims.Close())
	}
	defer snap.Close()
	var entries []state.ClaimEntry
	err = snap.EachCase(1, claimEntries(&entries))
	if err == nil {
		failpoint.Hit("claims/lost")
		err = claims.Rebuild(entries)
	}
	if err != nil {
		return nil, errors.Join(err, claims.Close())
	}
	failpoint.Hit("claims/rebuilt")
	return claims, nil
}

// background runs work until the App closes; what it fails with ends the App.
func (a *App) background(name string, work func(context.Context) error) {
	a.wg.Go(func() {
		if err := work(a.ctx); err != nil && a.ctx.Err() == nil {
			a.o.Log.Error("stopped", "component", name, "err", err)
			a.failing.Do(func() {
				a.failure = fmt.Errorf("%s: %w", name, err)
				close(a.failed)
			})
		}
	})
}

// now is the time that docket goes by, on the wall clock alone, so that it reads back from state as it was.
func (a *App) now() time.Time { return time.Now().UTC().Round(0).Add(a.o.Skew) }

// Graph is the graph in force.
func (a *App) Graph() *Graph { return a.graph.Load() }

// input puts one message onto the inputs stream.
func (a *App) input(ctx context.Context, m message, id string) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	return a.stream.PublishInput(ctx, b, id)
}

var errClosing = errors.New("docket is stopping")

// waitFor waits for background work, at most until ctx ends.
func waitFor(ctx context.Context, wg *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping: %w", context.Cause(ctx))
	}
}

// Close ends the background work, lets triage commit what it has in hand, and
// closes everything, last opened first. It may be called twice.
func (a *App) Close(ctx context.Context) error {
	a.closing.Do(func() {
		failpoint.Hit("stop/begun")
		a.cancel(errClosing)
		if err := waitFor(ctx, &a.wg); err != nil {
			// What still runs uses the files: they are left as they are, as after a crash.
			a.closed = err
			return
		}
		failpoint.Hit("stop/drained")
		var errs []error
		if g := a.Graph(); g != nil {
			g.feeds.close()
		}
		if a.loop != nil {
			a.loop.close()
		}
		if a.claims != nil {
			errs = append(errs, a.noteEnd(), a.claims.Close())
		}
		if a.stream != nil {
			errs = append(errs, a.stream.Close(ctx))
		}
		failpoint.Hit("state/close")
		if a.store != nil {
			errs = append(errs, a.store.Close())
		}
		a.closed = errors.Join(errs...)
	})
	return a.closed
}
