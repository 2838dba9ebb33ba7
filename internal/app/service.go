package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
)

// RunOnce opens docket, polls every source once, carries every resulting action
// through, and closes.
func RunOnce(ctx context.Context, cfg *config.Config, o RunOptions, wait time.Duration, p api.Progress) (api.Summary, error) {
	var sum api.Summary
	err := with(ctx, cfg, o, func(a *App) error {
		// What an earlier process left in flight without a message goes on its way again.
		if err := a.reissue(ctx, 0); err != nil {
			return err
		}
		if _, err := a.store.PurgeAudit(a.now().Add(-cfg.Retention.Audit), 0); err != nil {
			return err
		}
		var err error
		sum, err = a.Once(ctx, wait, p)
		return err
	})
	return sum, err
}

// with opens an App with its actions held back, runs fn and closes it.
func with(ctx context.Context, cfg *config.Config, o RunOptions, fn func(*App) error) error {
	opts, err := o.options()
	if err != nil {
		return err
	}
	return withOptions(ctx, cfg, opts, fn)
}

func withOptions(ctx context.Context, cfg *config.Config, opts Options, fn func(*App) error) (err error) {
	opts.HoldIssue = true
	defer warnOfRoot(DataDir(cfg), opts.Log)
	a, err := Open(ctx, cfg, opts)
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		err = errors.Join(err, a.Close(stop))
	}()
	return fn(a)
}

// InstallationOf is the installation of a configuration's data folder; "" when there is none yet.
func InstallationOf(cfg *config.Config) string {
	b, err := os.ReadFile(filepath.Join(DataDir(cfg), "installation"))
	if err != nil {
		return cfg.Installation
	}
	return strings.TrimSpace(string(b))
}

// Findings implements api.Service.
func (a *App) Findings(ctx context.Context, f api.Filter) (api.FindingList, error) {
	return a.reader().Findings(ctx, f)
}

// Finding implements api.Service.
func (a *App) Finding(ctx context.Context, print string) (api.FindingDetail, error) {
	return a.reader().Finding(ctx, print)
}

// Cases implements api.Service.
func (a *App) Cases(ctx context.Context, f api.Filter) (api.CaseList, error) {
	return a.reader().Cases(ctx, f)
}

// Case implements api.Service.
func (a *App) Case(ctx context.Context, id string) (api.CaseDetail, error) {
	return a.reader().Case(ctx, id)
}

// Explain implements api.Service.
func (a *App) Explain(ctx context.Context, word string) (api.Explained, error) {
	return a.reader().Explain(ctx, word)
}

// Suppressions implements api.Service.
func (a *App) Suppressions(ctx context.Context) ([]api.SuppressionRow, error) {
	return a.reader().Suppressions(ctx)
}

// Sources implements api.Service.
func (a *App) Sources(ctx context.Context) ([]api.SourceRow, error) { return a.reader().Sources(ctx) }

// Sinks implements api.Service.
func (a *App) Sinks(ctx context.Context) ([]api.SinkRow, error) {
	rows, err := a.reader().Sinks(ctx)
	for i := range rows {
		for _, d := range a.deliveries() {
			if st := d.loop.Status(); st.Sink == rows[i].Name {
				rows[i].LastError, rows[i].LastErrorAt, rows[i].LastSuccess = st.LastError, st.LastErrorAt, st.LastSuccess
				rows[i].Stopped, rows[i].Held, rows[i].HeldTill = st.Stopped, st.Why(), st.Held
				if st.Open {
					rows[i].HeldTill = st.Probe
				}
			}
		}
	}
	return rows, err
}

// TestSinks implements api.Service.
func (a *App) TestSinks(ctx context.Context, names []string, create bool, p api.Progress) ([]api.SinkTest, error) {
	return a.Graph().TestSinks(ctx, names, create, p)
}

// Preview implements api.Service.
func (a *App) Preview(ctx context.Context, id, sink string) ([]api.TicketPreview, error) {
	return a.reader().Preview(ctx, id, sink, a.now())
}

// Scopes implements api.Service.
func (a *App) Scopes(ctx context.Context) ([]api.ScopeRow, error) { return a.reader().Scopes(ctx) }

// Rejects implements api.Service.
func (a *App) Rejects(ctx context.Context, limit int) ([]pipeline.Reject, error) {
	return a.reader().Rejects(ctx, limit)
}

// RouteTest implements api.Service.
func (a *App) RouteTest(ctx context.Context, body io.Reader, origin string) (api.RouteTest, error) {
	return a.reader().RouteTest(ctx, body, origin)
}

// RuleDiff implements api.Service.
func (a *App) RuleDiff(ctx context.Context, q api.RuleDiffRequest) (api.RuleDiff, error) {
	return a.reader().RuleDiff(ctx, q)
}

// RouteTree implements api.Service.
func (a *App) RouteTree(ctx context.Context) (string, error) { return a.reader().RouteTree(ctx) }

// RunSource implements api.Service: it polls one source now.
func (a *App) RunSource(ctx context.Context, name string, full bool, p api.Progress) (api.Summary, error) {
	s := a.Graph().Source(name)
	if s == nil {
		return api.Summary{}, noSource(a.Graph(), name)
	}
	if !a.run.CompareAndSwap(false, true) {
		return api.Summary{}, fmt.Errorf("%w: another run or apply is under way", api.ErrBusy)
	}
	defer a.run.Store(false)
	before := a.loop.summary()
	began := time.Now()
	p("reading "+name, 0, 0)
	got, err := a.polls.poll(ctx, s, full, func(n int) { p("reading "+name, n, 0) })
	if err != nil {
		return api.Summary{}, err
	}
	out := api.Summary{Sources: []api.SourceRow{sourceRow(s, got)}, Rejects: got.rejects}
	if err := a.settle(ctx, p); err != nil {
		return out, err
	}
	a.Release()
	waited, cancel := context.WithTimeoutCause(ctx, time.Minute, errWaited)
	defer cancel()
	if err := a.quiet(waited, p); err != nil && !errors.Is(err, errWaited) {
		return out, err
	}
	a.sum(&out, before)
	out.Duration = time.Since(began)
	return out, a.leftOver(ctx, &out)
}

func noSource(g *Graph, name string) error {
	var names []string
	for _, s := range g.Sources {
		names = append(names, s.Name)
	}
	return fmt.Errorf("%w: there is no source %q; the configuration has %s", api.ErrNotFound, name, strings.Join(names, ", "))
}

// ResetSource implements api.Service: it forgets a source's watermark, so that its next poll reads everything.
func (a *App) ResetSource(_ context.Context, name string) error {
	if a.Graph().Source(name) == nil {
		return noSource(a.Graph(), name)
	}
	m := a.polls.lock(name)
	m.Lock()
	defer m.Unlock()
	st, err := a.store.Watermark(name)
	if err != nil {
		return err
	}
	st.Name, st.Watermark = name, ""
	return a.store.SetWatermark(st)
}

// Ingest implements api.Service: it returns once what was accepted is on disk.
func (a *App) Ingest(ctx context.Context, r api.IngestRequest) (api.IngestResult, error) {
	g := a.Graph()
	s := g.Source(r.Source)
	if s == nil {
		return api.IngestResult{}, noSource(g, r.Source)
	}
	push, ok := s.Source.Source.(connectors.Pusher)
	if !ok {
		return api.IngestResult{}, fmt.Errorf("%w: source %s is of type %s, which nothing can be sent to; use one of type webhook", api.ErrNotFound, s.Name, s.Type)
	}
	if err := format.Known(r.Format); r.Format != "" && err != nil {
		return api.IngestResult{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	a.crowd.enter()
	taken := 0
	defer func() { a.crowd.leave(taken, time.Now()) }()
	in := g.intake(s, readID(s.Name), a.stream, a.now)
	got, err := push.Push(ctx, r.Body, connectors.Push{Origin: r.Origin, Format: r.Format, Complete: r.Complete}, in)
	taken = got.Accepted
	failpoint.Hit("ingest/answer")
	a.o.Metrics.polled(s.Name, got.Accepted, err)
	out := api.IngestResult{Accepted: got.Accepted, Notes: g.notes(got.Notes)}
	for _, r := range got.Rejected {
		r.Source, r.Time = s.Name, cmp.Or(r.Time, a.now())
		out.Rejected = append(out.Rejected, g.shown(r))
	}
	return out, g.notRead(err)
}

// actWait bounds how long an interaction without a daemon waits for its tickets.
const actWait = 10 * time.Second

// offline is a docket that no daemon runs: every call opens what it needs and closes it again.
type offline struct {
	cfg *config.Config
	o   RunOptions
}

// Offline answers and acts on the state files directly. With a daemon on the
// same state every call fails with ErrRunning.
func Offline(cfg *config.Config, o RunOptions) api.Service { return &offline{cfg, o} }

// build makes the graph of the configuration.
func (f *offline) build() (*Graph, error) {
	opts, err := f.o.options()
	if err != nil {
		return nil, err
	}
	return Build(f.cfg, Outside{Set: opts.Set, Log: opts.Log, Stdin: opts.Stdin, Now: f.now, Installation: InstallationOf(f.cfg), Map: opts.Map})
}

func (f *offline) now() time.Time { return time.Now().UTC().Add(f.o.Skew) }

// read runs fn over the state, opened for reading only; over an empty one where there is none yet.
func (f *offline) read(fn func(*reader) error) error {
	return f.readBy(func(path string) (*state.Store, error) { return state.Open(path, state.Options{ReadOnly: true}) }, fn)
}

// readBy is read with a way to open the state.
func (f *offline) readBy(open func(path string) (*state.Store, error), fn func(*reader) error) (err error) {
	g, err := f.build()
	if err != nil {
		return err
	}
	path := filepath.Join(DataDir(f.cfg), stateFile)
	live := func() *Graph { return g.readFeeds(context.Background(), feedsKept) }
	r := &reader{graph: func() *Graph { return g }, live: sync.OnceValue(live), now: f.now}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return fn(r)
	}
	store, err := open(path)
	if errors.Is(err, state.ErrLocked) {
		return fmt.Errorf("%w (%s)", ErrRunning, path)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	r.store = store
	return fn(r)
}

// known is read for questions that need a state.
func (f *offline) known(fn func(*reader) error) error {
	return f.read(func(r *reader) error {
		if r.store == nil {
			return fmt.Errorf("%w: nothing is known yet: no state in %s; start with `docket run --once`", api.ErrNotFound, DataDir(f.cfg))
		}
		return fn(r)
	})
}

// one adapts a question with one answer.
func one[T any](ask func(func(*reader) error) error, fn func(*reader) (T, error)) (T, error) {
	var out T
	err := ask(func(r *reader) error {
		var err error
		out, err = fn(r)
		return err
	})
	return out, err
}

func (f *offline) Findings(ctx context.Context, q api.Filter) (api.FindingList, error) {
	return one(f.known, func(r *reader) (api.FindingList, error) { return r.Findings(ctx, q) })
}

func (f *offline) Finding(ctx context.Context, print string) (api.FindingDetail, error) {
	return one(f.known, func(r *reader) (api.FindingDetail, error) { return r.Finding(ctx, print) })
}

func (f *offline) Cases(ctx context.Context, q api.Filter) (api.CaseList, error) {
	return one(f.known, func(r *reader) (api.CaseList, error) { return r.Cases(ctx, q) })
}

func (f *offline) Case(ctx context.Context, id string) (api.CaseDetail, error) {
	return one(f.known, func(r *reader) (api.CaseDetail, error) { return r.Case(ctx, id) })
}

func (f *offline) Explain(ctx context.Context, word string) (api.Explained, error) {
	return one(f.known, func(r *reader) (api.Explained, error) { return r.Explain(ctx, word) })
}

func (f *offline) Suppressions(ctx context.Context) ([]api.SuppressionRow, error) {
	return one(f.known, func(r *reader) ([]api.SuppressionRow, error) { return r.Suppressions(ctx) })
}

func (f *offline) Sources(ctx context.Context) ([]api.SourceRow, error) {
	return one(f.known, func(r *reader) ([]api.SourceRow, error) { return r.Sources(ctx) })
}

func (f *offline) Sinks(ctx context.Context) ([]api.SinkRow, error) {
	return one(f.known, func(r *reader) ([]api.SinkRow, error) { return r.Sinks(ctx) })
}

func (f *offline) TestSinks(ctx context.Context, names []string, create bool, p api.Progress) (out []api.SinkTest, err error) {
	// The sinks alone are asked: a daemon on the same state is in nobody's way.
	g, err := f.build()
	if err != nil {
		return nil, err
	}
	return g.TestSinks(ctx, names, create, p)
}

func (f *offline) Preview(ctx context.Context, id, sink string) ([]api.TicketPreview, error) {
	now := time.Now().UTC().Add(f.o.Skew)
	return one(f.known, func(r *reader) ([]api.TicketPreview, error) { return r.Preview(ctx, id, sink, now) })
}

func (f *offline) Reconcile(ctx context.Context, q api.ReconcileRequest, p api.Progress) (out api.Reconciliation, err error) {
	err = with(ctx, f.cfg, f.o, func(a *App) error {
		var err error
		out, err = a.Reconcile(ctx, q, p)
		return err
	})
	return out, err
}

func (f *offline) Scopes(ctx context.Context) ([]api.ScopeRow, error) {
	return one(f.known, func(r *reader) ([]api.ScopeRow, error) { return r.Scopes(ctx) })
}

func (f *offline) Rejects(ctx context.Context, limit int) ([]pipeline.Reject, error) {
	return one(f.known, func(r *reader) ([]pipeline.Reject, error) { return r.Rejects(ctx, limit) })
}

func (f *offline) RouteTree(ctx context.Context) (string, error) {
	return one(f.read, func(r *reader) (string, error) { return r.RouteTree(ctx) })
}

func (f *offline) RuleDiff(ctx context.Context, q api.RuleDiffRequest) (api.RuleDiff, error) {
	return one(f.known, func(r *reader) (api.RuleDiff, error) { return r.RuleDiff(ctx, q) })
}

func (f *offline) RouteTest(ctx context.Context, body io.Reader, origin string) (api.RouteTest, error) {
	return one(f.read, func(r *reader) (api.RouteTest, error) { return r.RouteTest(ctx, body, origin) })
}

func (f *offline) Act(ctx context.Context, in pipeline.Interaction) (out api.ActResult, err error) {
	if brakeVerb(in.Verb) {
		return f.brake(ctx, in)
	}
	err = with(ctx, f.cfg, f.o, func(a *App) error {
		var err error
		if out, err = a.Act(ctx, in); err != nil {
			return err
		}
		// No daemon will tell the tickets: a short while is given to it here.
		a.Release()
		soon, cancel := context.WithTimeoutCause(ctx, actWait, errWaited)
		defer cancel()
		if err := a.quiet(soon, func(string, int, int) {}); err != nil && !errors.Is(err, errWaited) {
			return err
		}
		return nil
	})
	return out, err
}

// brake puts the brake on or off without a single write: the next run goes by it.
func (f *offline) brake(ctx context.Context, in pipeline.Interaction) (out api.ActResult, err error) {
	opts, err := f.o.options()
	if err != nil {
		return out, err
	}
	opts.HoldSinks = true
	err = withOptions(ctx, f.cfg, opts, func(a *App) error {
		out, err = a.Act(ctx, in)
		return err
	})
	return out, err
}

func (f *offline) Brake(ctx context.Context) (api.BrakeStatus, error) {
	return one(f.known, func(r *reader) (api.BrakeStatus, error) { return r.Brake(ctx) })
}

func (f *offline) DeadLetters(ctx context.Context, q api.DeadLetterFilter) ([]api.DeadLetter, error) {
	return one(f.known, func(r *reader) ([]api.DeadLetter, error) { return r.DeadLetters(ctx, q) })
}

func (f *offline) Drill(ctx context.Context, r api.DrillRequest, p api.Progress) (out api.DrillResult, err error) {
	err = with(ctx, f.cfg, f.o, func(a *App) error {
		var err error
		out, err = a.Drill(ctx, r, p)
		return err
	})
	return out, err
}

func (f *offline) Apply(ctx context.Context, plan api.Plan, strict bool, p api.Progress) (out api.Applied, err error) {
	err = with(ctx, f.cfg, f.o, func(a *App) error {
		if err := a.reissue(ctx, 0); err != nil {
			return err
		}
		var err error
		out, err = a.Apply(ctx, plan, strict, p)
		return err
	})
	return out, err
}

func (f *offline) RunSource(ctx context.Context, name string, full bool, p api.Progress) (out api.Summary, err error) {
	err = with(ctx, f.cfg, f.o, func(a *App) error {
		var err error
		out, err = a.RunSource(ctx, name, full, p)
		return err
	})
	return out, err
}

func (f *offline) ResetSource(ctx context.Context, name string) error {
	return with(ctx, f.cfg, f.o, func(a *App) error { return a.ResetSource(ctx, name) })
}

func (f *offline) Ingest(ctx context.Context, r api.IngestRequest) (out api.IngestResult, err error) {
	err = with(ctx, f.cfg, f.o, func(a *App) error {
		var err error
		out, err = a.Ingest(ctx, r)
		return err
	})
	return out, err
}

func (f *offline) Reload(context.Context) error {
	return fmt.Errorf("%w: no daemon is running; the next command reads the configuration anyway", api.ErrRefused)
}

func (f *offline) Ready(context.Context) error {
	return fmt.Errorf("%w: no daemon is running", api.ErrRefused)
}

var (
	_ api.Service = (*App)(nil)
	_ api.Service = (*offline)(nil)
)
