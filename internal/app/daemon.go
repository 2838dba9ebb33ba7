package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"runtime/debug"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/server"
	"github.com/docket-hub/docket/pipeline/identity"
)

// stopWithin is how long a stop may take; what is under way longer is found again at the next start.
const stopWithin = 20 * time.Second

// purgeAtOnce is how many story lines the watchdog looks at each time, to forget old ones: with 1,000,000
// findings it has seen all within a day.
const purgeAtOnce = 50_000

// reloadWithin bounds a reload; calls to trackers that are under way are waited for.
const reloadWithin = time.Minute

// RunOptions is what a command adds to a configuration.
type RunOptions struct {
	Load    func() (*config.Config, error) // reads the configuration again, for a reload
	Set     connectors.Set                 // nil: every type of this binary
	Log     *slog.Logger
	Stdin   io.Reader
	Pprof   bool
	Version string            // of this binary, for backups
	Skew    time.Duration     // added to the time that docket goes by; for tests
	Reload  <-chan struct{}   // each value asks for a reload
	Ready   func(addr string) // called once the daemon serves
	Map     *identity.Map     // nil: this binary's own; for tests
}

func (o RunOptions) options() (Options, error) {
	set, err := typesOf(o.Set)
	if err != nil {
		return Options{}, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return Options{Set: set, Log: o.Log, Stdin: o.Stdin, Skew: o.Skew, Version: o.Version, Load: o.Load, Map: o.Map}, nil
}

// Load reads a configuration with the types that this binary has. What is wrong
// is a config.Errors; expressions and connectors' blocks are checked too, so that all errors come at once.
func Load(path string, getenv func(string) (string, bool)) (*config.Config, error) {
	return load(nil, path, config.Env{Getenv: getenv})
}

// typesOf is a set, or what this binary has.
func typesOf(set connectors.Set) (connectors.Set, error) {
	if set != nil {
		return set, nil
	}
	return all.Set()
}

func load(set connectors.Set, path string, env config.Env) (*config.Config, error) {
	set, err := typesOf(set)
	if err != nil {
		return nil, err
	}
	fetch, done, err := secretFetcher()
	if err != nil {
		return nil, err
	}
	defer done()
	env.FetchSecret = fetch
	env.Known = config.Known{Sources: set.SourceTypes(), Sinks: set.SinkTypes()}
	cfg, err := config.Load(path, env)
	if cfg == nil {
		return nil, err
	}
	return cfg, config.Join(err, Check(cfg))
}

// memoryLimit is above what collections come as often as they must.
const memoryLimit = 168 << 20

// tuneGC lets the heap grow further between collections while it is small: a
// daemon's live heap is a few tens of megabytes, and collecting it at every doubling costs an eighth of
// the CPU (docs/performance.md). Whoever set GOGC or GOMEMLIMIT has decided already.
func tuneGC() {
	if before := debug.SetGCPercent(300); before != 100 {
		debug.SetGCPercent(before)
		return
	}
	if limit := debug.SetMemoryLimit(-1); limit == math.MaxInt64 {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// Run is the daemon: it runs until ctx ends, then drains and stops.
func Run(ctx context.Context, cfg *config.Config, o RunOptions) (err error) {
	opts, err := o.options()
	if err != nil {
		return err
	}
	opts.Patient = true
	tuneGC()
	forgetStart() // what the packages' own start needed, before state is read
	a, err := Open(ctx, cfg, opts)
	if err != nil {
		return err
	}
	srv, err := server.New(a.serverOptions(cfg, o))
	if err != nil {
		return errors.Join(err, a.abandon(ctx))
	}
	// What takes things in stops first, and all of the stop has one deadline.
	defer func() {
		stop, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), stopWithin, errStopTime)
		defer cancel()
		serving, done := context.WithTimeoutCause(stop, stopWithin/2, errStopTime)
		defer done()
		err = errors.Join(err, srv.Stop(serving), a.stopSources(stop), a.Close(stop))
		a.o.Log.Info("stopped")
	}()
	a.onReload = func(c *config.Config) { srv.SetTokens(tokens(c)) }
	a.o.Metrics.reloaded(nil)
	a.nameLost(cfg)
	a.startSources()
	a.background("watchdog", a.watchdog)
	a.background("room", a.watchRoom)
	a.background("secrets", a.watchSecrets)
	if err := srv.Start(); err != nil {
		return err
	}
	forgetStart()
	a.o.Log.Info("started", "addr", srv.Addr().String(), "data_dir", DataDir(cfg))
	if o.Ready != nil {
		o.Ready(srv.Addr().String())
	}
	for {
		select {
		case <-o.Reload:
			if err := a.Reload(ctx); err != nil {
				a.o.Log.Error("reloading", "err", err)
			}
		case <-a.failed:
			return a.failure
		case <-ctx.Done():
			a.o.Log.Info("stopping")
			return nil
		}
	}
}

func (a *App) serverOptions(cfg *config.Config, o RunOptions) server.Options {
	return server.Options{
		Listen: cfg.Server.Listen, Service: a, Hook: a.Hook, Metrics: a.o.Metrics.Handler(), Registry: a.o.Metrics.Registry(),
		Tokens: tokens(cfg), Pprof: o.Pprof, Installation: a.Graph().Rules.Installation, Log: a.o.Log.With("component", "server"),
	}
}

func tokens(cfg *config.Config) []server.Token {
	var out []server.Token
	for _, t := range cfg.Server.Auth.Tokens {
		out = append(out, server.Token{Name: t.Name, Role: t.Role, Token: t.Token})
	}
	return out
}

var errStopTime = errors.New("the stop took longer than it may; what was under way goes on at the next start")

// nameLost warns of sources and sinks that state knows and the configuration does not.
func (a *App) nameLost(cfg *config.Config) {
	lines, err := lostIn(a.store, cfg)
	if err != nil {
		a.o.Log.Warn("comparing the configuration with state", "err", err)
	}
	for _, l := range lines {
		a.o.Log.Warn(l)
	}
}

// startSources polls every source of the graph in force, and listens to its sinks, until stopSources. It does nothing while they run.
func (a *App) startSources() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sourcesCancel != nil || a.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(a.ctx)
	a.sourcesCancel = cancel
	g := a.Graph()
	for i := range g.Sources {
		s := &g.Sources[i]
		a.sourcesDone.Go(func() { a.polls.schedule(ctx, s) })
	}
	a.sourcesDone.Go(func() { a.watchFeeds(ctx, g.feeds) })
	a.startWatches(ctx, g)
}

// stopSources ends the polls, at most until ctx ends: a read that does not look up (standard
// input that nobody closes) is left behind.
func (a *App) stopSources(ctx context.Context) error {
	a.mu.Lock()
	cancel := a.sourcesCancel
	a.sourcesCancel = nil
	a.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	return waitFor(ctx, &a.sourcesDone)
}

// watchdog looks after actions that lost their message, now and then.
func (a *App) watchdog(ctx context.Context) error {
	every := time.NewTicker(reissueAfter)
	defer every.Stop()
	for {
		if err := a.reissue(ctx, reissueAfter); err != nil && ctx.Err() == nil {
			a.o.Log.Warn("looking for lost actions", "err", err)
		}
		if n, err := a.store.PurgeAudit(a.now().Add(-a.Graph().Config.Retention.Audit), purgeAtOnce); err != nil {
			a.o.Log.Warn("forgetting old story lines", "err", err)
		} else if n > 0 {
			a.o.Log.Info("forgot old story lines", "count", n)
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Reload implements api.Service: the whole new graph is built and checked, then
// takes the old one's place. A bad file leaves the old one running.
func (a *App) Reload(ctx context.Context) (err error) {
	if a.o.Load == nil {
		return fmt.Errorf("%w: this docket cannot reload", api.ErrRefused)
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	defer func() { a.o.Metrics.reloaded(err) }()
	// Once the new graph takes over, whoever asked may hang up: the swap is carried to its end.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), reloadWithin, errors.New("the reload took longer than it may"))
	defer cancel()
	cfg, err := a.o.Load()
	if err != nil {
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	old := a.Graph()
	if err := fixed(old.Config, cfg); err != nil {
		return err
	}
	if d := config.Diff(old.Config, cfg); len(d.Lost) > 0 {
		text := ""
		for _, l := range d.Lost {
			text += fmt.Sprintf("\n  %s %s: rename it with `formerly: [%s]` on its successor, or keep it with `retired: true`", l.Kind, l.Name, l.Name)
		}
		return fmt.Errorf("%w: the new configuration would silently lose:%s", api.ErrRefused, text)
	}
	g, err := Build(cfg, a.outside(old.Rules.Installation))
	if err != nil {
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	g = g.readFeeds(ctx, feedsMissing)
	err = a.stopSources(ctx)
	a.stopSinks()
	old.feeds.close()
	failpoint.Hit("reload/stopped")
	a.swapping.Lock()
	a.graph.Store(g)
	a.swapping.Unlock()
	failpoint.Hit("reload/swapped")
	err = errors.Join(err, a.carryOver(ctx, g), a.startSinks(g), a.input(ctx, message{Config: &configChange{Hash: g.Rules.Config}}, ""), a.issueRenamed(ctx, g))
	a.startSources()
	if a.onReload != nil {
		a.onReload(cfg)
	}
	if err != nil {
		return fmt.Errorf("the new configuration is in force, but not all of it could be started, so restart docket: %w", err)
	}
	a.o.Log.Info("reloaded", "sources", len(g.Sources), "sinks", len(g.Sinks))
	return nil
}

// fixed names what cannot change while docket runs.
func fixed(old, new *config.Config) error {
	var errs []error
	refuse := func(key string) {
		errs = append(errs, fmt.Errorf("%w: %s cannot change by a reload: restart docket", api.ErrRefused, key))
	}
	if DataDir(old) != DataDir(new) {
		refuse("data_dir")
	}
	if old.Server.Listen != new.Server.Listen {
		refuse("server.listen")
	}
	if new.Installation != "" && old.Installation != new.Installation {
		refuse("installation")
	}
	if (old.NATS == nil) != (new.NATS == nil) || old.NATS != nil && old.NATS.URL != new.NATS.URL {
		refuse("nats.url")
	}
	return errors.Join(errs...)
}

// stopSinks ends the delivery loops; what they had in hand is handed out again.
func (a *App) stopSinks() {
	a.mu.Lock()
	old := a.sinks
	a.sinks = map[string]*delivery{}
	a.mu.Unlock()
	for _, d := range old {
		d.cancel()
	}
	for _, d := range old {
		<-d.done
	}
}

// Ready implements api.Service.
func (a *App) Ready(context.Context) error {
	var errs []error
	if a.ctx.Err() != nil {
		errs = append(errs, errClosing)
	}
	errs = append(errs, a.room.all()...)
	if err := a.stream.Room(); err != nil {
		errs = append(errs, err)
	}
	for _, s := range a.stopped() {
		errs = append(errs, fmt.Errorf("sink %s is stopped: %s", s.Sink, s.Stopped))
	}
	return errors.Join(errs...)
}
