package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/server"
)

// stopWithin is how long a stop may take; what is under way longer is found again at the next start.
const stopWithin = 20 * time.Second

// RunOptions is what a command adds to a configuration.
type RunOptions struct {
	Load   func() (*config.Config, error) // reads the configuration again, for a reload
	Log    *slog.Logger
	Stdin  io.Reader
	Pprof  bool
	Skew   time.Duration     // added to the time that docket goes by; for tests
	Reload <-chan struct{}   // each value asks for a reload
	Ready  func(addr string) // called once the daemon serves
}

func (o RunOptions) options() (Options, error) {
	set, err := all.Set()
	if err != nil {
		return Options{}, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return Options{Set: set, Log: o.Log, Stdin: o.Stdin, Skew: o.Skew, Load: o.Load}, nil
}

// Load reads a configuration with the types that this binary has. What is wrong
// is a config.Errors; expressions and connectors' blocks are checked too, so that all errors come at once.
func Load(path string, getenv func(string) (string, bool)) (*config.Config, error) {
	set, err := all.Set()
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(path, config.Env{Getenv: getenv, Known: config.Known{Sources: set.SourceTypes(), Sinks: set.SinkTypes()}})
	if cfg == nil {
		return nil, err
	}
	return cfg, config.Join(err, Check(cfg))
}

// Run is the daemon: it runs until ctx ends, then drains and stops.
func Run(ctx context.Context, cfg *config.Config, o RunOptions) (err error) {
	opts, err := o.options()
	if err != nil {
		return err
	}
	a, err := Open(ctx, cfg, opts)
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), stopWithin, errors.New("the stop took longer than 20s"))
		defer cancel()
		err = errors.Join(err, a.Close(stop))
		a.o.Log.Info("stopped")
	}()
	srv, err := server.New(a.serverOptions(cfg, o))
	if err != nil {
		return err
	}
	if err := srv.Start(); err != nil {
		return err
	}
	a.onReload = func(c *config.Config) { srv.SetTokens(tokens(c)) }
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin/2)
		defer cancel()
		err = errors.Join(err, srv.Stop(stop))
	}()
	a.o.Metrics.reloaded(nil)
	a.startSources()
	a.background("watchdog", a.watchdog)
	a.o.Log.Info("started", "addr", srv.Addr().String(), "data_dir", DataDir(cfg))
	if o.Ready != nil {
		o.Ready(srv.Addr().String())
	}
	for {
		select {
		case <-o.Reload:
			if err := a.Reload(ctx); err != nil {
				a.o.Log.Error("reload refused, the configuration in force stays", "err", err)
			}
		case err := <-a.Failed():
			return err
		case <-ctx.Done():
			a.o.Log.Info("stopping")
			a.stopSources()
			return nil
		}
	}
}

func (a *App) serverOptions(cfg *config.Config, o RunOptions) server.Options {
	return server.Options{
		Listen: cfg.Server.Listen, Service: a, Metrics: a.o.Metrics.Handler(), Registry: a.o.Metrics.Registry(),
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

// startSources polls every source of the graph in force until stopSources.
func (a *App) startSources() {
	ctx, cancel := context.WithCancel(a.ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sourcesCancel = cancel
	g := a.Graph()
	for i := range g.Sources {
		s := &g.Sources[i]
		a.sourcesDone.Go(func() { a.polls.schedule(ctx, s) })
	}
}

func (a *App) stopSources() {
	a.mu.Lock()
	cancel := a.sourcesCancel
	a.mu.Unlock()
	if cancel != nil {
		cancel()
		a.sourcesDone.Wait()
	}
}

// watchdog looks after actions that lost their message, now and then.
func (a *App) watchdog(ctx context.Context) error {
	every := time.NewTicker(reissueAfter)
	defer every.Stop()
	for {
		if err := a.reissue(ctx, reissueAfter); err != nil && ctx.Err() == nil {
			a.o.Log.Warn("looking for lost actions", "err", err)
		}
		if n, err := a.store.PurgeAudit(a.now().Add(-a.Graph().Config.Retention.Audit), 10_000); err != nil {
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
	defer func() { a.o.Metrics.reloaded(err) }()
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
	a.stopSources()
	a.stopSinks()
	a.graph.Store(g)
	if err := a.startSinks(g); err != nil {
		return err
	}
	if err := a.input(ctx, message{Config: &configChange{Hash: g.Rules.Config}}, ""); err != nil {
		return err
	}
	a.startSources()
	if a.onReload != nil {
		a.onReload(cfg)
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
	for _, s := range a.stopped() {
		errs = append(errs, fmt.Errorf("sink %s is stopped: %s", s.Sink, s.Stopped))
	}
	return errors.Join(errs...)
}
