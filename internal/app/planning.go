package app

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
	"github.com/docket-hub/docket/pipeline/plan"
	"github.com/docket-hub/docket/pipeline/triage"
)

// planned is a plan with what it was made of.
type planned struct {
	plan  plan.Plan
	layer *triage.Layer
	spool *spool // nil when nothing is to be carried out
	reads []state.SourceState
}

// makePlan reads every source and works out what would happen over a view. It changes nothing outside keep.
func makePlan(ctx context.Context, g *Graph, base triage.View, now func() time.Time, keep *spool, locks *polls, p api.Progress) (planned, error) {
	pl := plan.New(g.Rules, base, now())
	if err := pl.Start(); err != nil {
		return planned{}, err
	}
	var to ingest.Publisher = pl
	if keep != nil {
		to = tee{pl, keep}
	}
	var notes []string
	var read []plan.Read
	var failed []error
	var done []state.SourceState
	for i := range g.Sources {
		s := &g.Sources[i]
		seen, began := reads{}, now()
		em := &counting{Intake: g.counted(s, readID(s.Name), to, now, seen.add), graph: g, report: func(n int) { p("reading "+s.Name, n, 0) }}
		res, err := locks.alone(s.Name, func() (pipeline.Result, error) {
			return s.Source.Source.Poll(ctx, pipeline.Request{Full: true}, em)
		})
		if ctx.Err() != nil {
			return planned{}, context.Cause(ctx)
		}
		for _, n := range g.notes(res.Notes) {
			notes = append(notes, s.Name+": "+n)
		}
		if r := seen.of(g, s.Name, &res); r != nil {
			read = append(read, *r)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("source %s: %w", s.Name, err))
			continue
		}
		st := state.SourceState{Name: s.Name, LastRun: began, LastSuccess: now()}
		came(&st, g, em.Counts(), &res)
		done = append(done, st)
	}
	p("deciding", 0, 0)
	out, err := pl.Finish(g.Rules.Limits)
	if err != nil {
		return planned{}, err
	}
	out.Notes, out.Read = append(notes, out.Notes...), read
	for i := range out.Rejected {
		out.Rejected[i].Data = nil
	}
	return planned{out, pl.Layer(), keep, done}, errors.Join(failed...)
}

// PlanOffline makes a plan without opening anything for writing: state is read where there is one.
func PlanOffline(ctx context.Context, g *Graph, store *state.Store, now func() time.Time, p api.Progress) (api.Plan, error) {
	if store == nil {
		got, err := makePlan(ctx, g, triage.NewLayer(nil), now, nil, newPolls(nil), p)
		return got.plan, err
	}
	snap, err := store.View()
	if err != nil {
		return api.Plan{}, err
	}
	defer snap.Close()
	got, err := makePlan(ctx, g, snap, now, nil, newPolls(nil), p)
	return got.plan, err
}

func (f *offline) Plan(ctx context.Context, p api.Progress) (api.Plan, error) {
	now := func() time.Time { return time.Now().UTC().Add(f.o.Skew) }
	var notes []string
	// Before its first start a newer docket is asked what it would do, and may not bring the state up to date for that.
	open := func(path string) (*state.Store, error) {
		store, err := state.Open(path, state.Options{ReadOnly: true})
		if !errors.Is(err, state.ErrOlder) {
			return store, err
		}
		p("copying the state, which an older docket wrote", 0, 0)
		notes = append(notes, "the state has an older docket's layout: the plan was made over a copy, and the first start brings the state itself up to date")
		return state.OpenCopy(ctx, path)
	}
	read := func(fn func(*reader) error) error { return f.readBy(open, fn) }
	return one(read, func(r *reader) (api.Plan, error) {
		out, err := PlanOffline(ctx, r.graph().readFeeds(ctx, feedsDue), r.store, now, p)
		out.Notes = append(notes, out.Notes...)
		return out, err
	})
}

// Plan implements api.Service.
func (a *App) Plan(ctx context.Context, p api.Progress) (api.Plan, error) {
	snap, err := a.store.View()
	if err != nil {
		return api.Plan{}, err
	}
	defer snap.Close()
	got, err := makePlan(ctx, a.Graph(), snap, a.now, nil, a.polls, p)
	return got.plan, err
}

// Apply implements api.Service: it makes exactly the actions of a plan. The
// sources are read again first; when an action would be different now, nothing is written.
func (a *App) Apply(ctx context.Context, saved api.Plan, strict bool, p api.Progress) (api.Applied, error) {
	if !a.run.CompareAndSwap(false, true) {
		return api.Applied{}, fmt.Errorf("%w: another run, plan or apply is under way", api.ErrBusy)
	}
	defer a.run.Store(false)
	began := time.Now()
	out := api.Applied{Planned: len(saved.Actions)}
	if err := a.refreshFeeds(ctx); err != nil {
		return out, err
	}
	if a.brakeOn.Load() {
		return out, fmt.Errorf("%w: the brake is on, so nothing could be written: `docket brake off` first", api.ErrRefused)
	}
	if saved.Version != plan.Version {
		return out, fmt.Errorf("%w: the plan has version %d, this docket writes %d: make a new one", api.ErrInvalid, saved.Version, plan.Version)
	}
	if err := sameGround(&saved, a.Graph()); err != nil {
		return out, err
	}
	keep, err := newSpool(DataDir(a.Graph().Config))
	if err != nil {
		return out, err
	}
	defer keep.close()
	fresh, check, err := a.check(ctx, &saved, keep, p)
	if err != nil {
		return out, err
	}
	out.Already = check.Already
	if len(check.Changed) > 0 {
		return out, changedError(check.Changed, len(saved.Actions))
	}
	if strict && len(check.Extra) > 0 {
		return out, fmt.Errorf("%w: %d further actions are wanted now (--strict); nothing was done", plan.ErrChanged, len(check.Extra))
	}
	before := a.loop.summary()
	if out.Later, err = a.carryOut(ctx, &saved, fresh, p); err != nil {
		return out, err
	}
	if err := a.polls.applied(fresh.reads); err != nil {
		return out, err
	}
	a.sum(&out.Summary, before)
	out.Duration = time.Since(began)
	if err := a.leftOver(ctx, &out.Summary); err != nil {
		return out, err
	}
	return out, a.allDone(check.Do)
}

// allDone fails when an action that was to be done is neither done nor under way.
func (a *App) allDone(do []plan.Action) error {
	snap, err := a.store.View()
	if err != nil {
		return err
	}
	defer snap.Close()
	undone, err := plan.Undone(do, snap)
	if err != nil || len(undone) == 0 {
		return err
	}
	return fmt.Errorf("%d planned actions were not done; `docket explain` says why:\n  %s", len(undone), strings.Join(undone, "\n  "))
}

// sameGround refuses a plan that was made for another state or under another configuration.
func sameGround(saved *plan.Plan, g *Graph) error {
	if saved.State != "" && saved.State != g.Rules.Installation {
		return fmt.Errorf("%w: the plan was made for installation %s, this is %s", plan.ErrChanged, saved.State, g.Rules.Installation)
	}
	if saved.Config != g.Rules.Config {
		return fmt.Errorf("%w: the configuration has changed since it was made; nothing was done. Make a new plan", plan.ErrChanged)
	}
	return nil
}

func changedError(changed []string, n int) error {
	text := ""
	for _, c := range changed {
		text += "\n  " + c
	}
	return fmt.Errorf("%w: %d of its %d actions would be different now; nothing was done. Make a new plan.%s", plan.ErrChanged, len(changed), n, text)
}

// check reads the sources again and compares.
func (a *App) check(ctx context.Context, saved *plan.Plan, keep *spool, p api.Progress) (planned, plan.Check, error) {
	snap, err := a.store.View()
	if err != nil {
		return planned{}, plan.Check{}, err
	}
	defer snap.Close()
	fresh, err := makePlan(ctx, a.Graph(), snap, a.now, keep, a.polls, p)
	if err != nil {
		return planned{}, plan.Check{}, err
	}
	check, err := plan.Compare(saved, &fresh.plan, snap)
	if err != nil {
		return planned{}, plan.Check{}, err
	}
	// What is left out is read from the snapshot, while that is open.
	return fresh, check, keep.restrict(plan.NewRestrictor(fresh.layer, check.Extra))
}

// carryOut hands the approval and the planned records to triage, and waits for their tickets.
func (a *App) carryOut(ctx context.Context, saved *plan.Plan, fresh planned, p api.Progress) (int, error) {
	groups := plan.Groups(saved.Actions)
	a.loop.issuing.Store(&issuing{held: a.loop.issuing.Load().held, only: groups})
	// Without a daemon nothing outside the plan may follow while docket closes.
	defer a.loop.issuing.Store(&issuing{held: a.o.HoldIssue})
	keys := make([]string, 0, len(groups))
	for k := range groups {
		keys = append(keys, k)
	}
	failpoint.Hit("apply/checked")
	if err := a.input(ctx, message{Approval: &triage.Approval{Plan: saved.ID, Groups: keys}}, ""); err != nil {
		return 0, err
	}
	if err := a.settle(ctx, p); err != nil {
		return 0, err
	}
	failpoint.Hit("apply/approved")
	a.loop.issuing.Store(&issuing{held: true, only: groups})
	if err := fresh.spool.replay(ctx, patient{a.stream, a.o.Log}); err != nil {
		return fresh.spool.left, err
	}
	if err := a.settle(ctx, p); err != nil {
		return fresh.spool.left, err
	}
	failpoint.Hit("apply/replayed")
	a.Release()
	waited, cancel := context.WithTimeoutCause(ctx, applyWait, errWaited)
	defer cancel()
	if err := a.quiet(waited, p); err != nil && !errors.Is(err, errWaited) {
		return fresh.spool.left, err
	}
	return fresh.spool.left, nil
}

// applyWait bounds how long an apply waits for its tickets; what is left stays queued.
const applyWait = 5 * time.Minute

// tee hands envelopes to the plan and keeps them.
type tee struct {
	plan  *plan.Planner
	spool *spool
}

func (t tee) PublishFindings(ctx context.Context, payload []byte) error {
	if err := t.spool.add(payload); err != nil {
		return err
	}
	return t.plan.PublishFindings(ctx, payload)
}

// spool keeps what was read between the check and the write, in a temporary file:
// so that what is carried out is what was checked, however the sources change meanwhile.
type spool struct {
	raw, kept *os.File
	w         *bufio.Writer
	left      int
}

func newSpool(dir string) (*spool, error) {
	s := &spool{}
	var err error
	if s.raw, err = os.CreateTemp(dir, "apply-*.tmp"); err != nil {
		return nil, fmt.Errorf("making room for what is read: %w", err)
	}
	// The file lives as long as it is open, whatever ends the process.
	if err := os.Remove(s.raw.Name()); err != nil {
		return nil, errors.Join(err, s.raw.Close())
	}
	s.w = bufio.NewWriterSize(s.raw, 1<<20)
	s.kept = s.raw
	return s, nil
}

func (s *spool) close() {
	if s.kept != nil && s.kept != s.raw {
		s.kept.Close()
	}
	s.raw.Close()
}

func (s *spool) add(payload []byte) error {
	if _, err := s.w.Write(binary.AppendUvarint(nil, uint64(len(payload)))); err != nil {
		return err
	}
	_, err := s.w.Write(payload)
	return err
}

// each calls fn with every kept envelope in order.
func (s *spool) each(fn func(payload []byte) error) error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	if _, err := s.kept.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(s.kept, 1<<20)
	for {
		n, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(r, payload); err != nil {
			return err
		}
		if err := fn(payload); err != nil {
			return err
		}
	}
}

// restrict leaves only what the plan names.
func (s *spool) restrict(r *plan.Restrictor) error {
	kept, err := os.CreateTemp(filepath.Dir(s.raw.Name()), "apply-*.tmp")
	if err != nil {
		return err
	}
	if err := os.Remove(kept.Name()); err != nil {
		return errors.Join(err, kept.Close())
	}
	w := bufio.NewWriterSize(kept, 1<<20)
	out := &spool{raw: kept, kept: kept, w: w}
	err = s.each(func(payload []byte) error {
		e, err := pipeline.ParseEnvelope(payload)
		if err != nil {
			return err
		}
		if err := r.Restrict(&e); err != nil {
			return err
		}
		e.Approved = true
		if len(e.Items)+len(e.Scans)+len(e.Rejects) == 0 {
			return nil
		}
		return out.add(pipeline.Append(nil, &e))
	})
	if err != nil {
		return errors.Join(err, kept.Close())
	}
	s.kept, s.w, s.left = kept, w, r.Left
	return nil
}

// replay publishes what is kept.
func (s *spool) replay(ctx context.Context, to ingest.Publisher) error {
	return s.each(func(payload []byte) error { return to.PublishFindings(ctx, payload) })
}
