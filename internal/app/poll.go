package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
)

// The pace of sources that name none.
const (
	defaultInterval = 5 * time.Minute
	defaultFull     = 24 * time.Hour
	fullRetry       = 2 * time.Second // before a read goes on when the stream is full
	fullPatience    = time.Minute     // after that a full stream ends the read
)

// polls runs the sources, each by one goroutine at a time.
type polls struct {
	app *App
	mu  sync.Mutex
	one map[string]*sync.Mutex
}

func newPolls(a *App) *polls { return &polls{app: a, one: map[string]*sync.Mutex{}} }

func (p *polls) lock(name string) *sync.Mutex {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.one[name] == nil {
		p.one[name] = &sync.Mutex{}
	}
	return p.one[name]
}

// alone runs one read of a source while no other runs.
func (p *polls) alone(name string, read func() (pipeline.Result, error)) (pipeline.Result, error) {
	m := p.lock(name)
	m.Lock()
	defer m.Unlock()
	return read()
}

// polled is what one poll of one source came to.
type polled struct {
	state   state.SourceState
	notes   []string
	rejects []pipeline.Reject
}

// poll reads one source once. The watermark moves only behind what is durable.
func (p *polls) poll(ctx context.Context, s *Source, full bool, report func(records int)) (polled, error) {
	m := p.lock(s.Name)
	m.Lock()
	defer m.Unlock()
	a := p.app
	st, err := p.watermark(s)
	if err != nil {
		return polled{}, err
	}
	st.Name, st.LastRun = s.Name, a.now()
	g := a.Graph()
	in := g.intake(s, readID(s.Name), patient{a.stream, a.o.Log}, a.now)
	em := &counting{Intake: in, graph: g, report: report, progress: func(w pipeline.Watermark) error {
		st.Watermark = w
		return a.store.SetWatermark(st)
	}}
	res, err := s.Source.Source.Poll(ctx, pipeline.Request{Since: st.Watermark, Full: full}, em)
	c := in.Counts()
	came(&st, g, c, &res)
	if err == nil {
		st.Watermark, st.LastSuccess, st.LastError = res.Watermark, a.now(), ""
	} else {
		st.LastError = g.mask.String(err.Error())
	}
	a.o.Metrics.polled(s.Name, c.Accepted, err)
	failpoint.Hit("watermark/write")
	err = errors.Join(err, a.store.SetWatermark(st))
	failpoint.Hit("watermark/written")
	return polled{st, g.notes(res.Notes), em.rejects}, err
}

// came notes what a read came to.
func came(st *state.SourceState, g *Graph, c ingest.Counts, res *pipeline.Result) {
	st.Records, st.Rejected = c.Accepted+c.Rejected, c.Rejected
	st.Accounts, st.Regions, st.Gaps = res.Accounts, res.Regions, g.gaps(res.Gaps)
}

// applied notes the reads of a plan that was carried out. Their watermarks stay where they are: what came in
// addition to the plan is left for the next poll.
func (p *polls) applied(reads []state.SourceState) error {
	g := p.app.Graph()
	for _, st := range reads {
		s := g.Source(st.Name)
		if s == nil {
			continue // a reload took it away meanwhile
		}
		_, err := p.alone(s.Name, func() (pipeline.Result, error) {
			known, err := p.watermark(s)
			if err != nil || known.LastRun.After(st.LastRun) {
				return pipeline.Result{}, err // polled since
			}
			st.Watermark = known.Watermark
			return pipeline.Result{}, p.app.store.SetWatermark(st)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// watermark is where a source goes on: its own, else that of its former name.
func (p *polls) watermark(s *Source) (state.SourceState, error) {
	st, err := p.app.store.Watermark(s.Name)
	for i := 0; err == nil && st.LastRun.IsZero() && i < len(s.Formerly); i++ {
		st, err = p.app.store.Watermark(s.Formerly[i])
	}
	return st, err
}

// readID is unique to one read of one source.
func readID(source string) string { return source + "/" + rand.Text() }

// patient waits while the stream is full, for triage frees room as it goes. A
// stream that stays full holds what stream.keep asks for: then nothing but the configuration helps.
type patient struct {
	to  ingest.Publisher
	log *slog.Logger
}

func (p patient) PublishFindings(ctx context.Context, payload []byte) error {
	var since time.Time
	for {
		err := p.to.PublishFindings(ctx, payload)
		if !errors.Is(err, pipeline.ErrFull) {
			return err
		}
		switch {
		case since.IsZero():
			since = time.Now()
			p.log.Warn("the stream is full: waiting for room")
		case time.Since(since) > fullPatience && errors.Is(err, pipeline.ErrNoRoom):
			return err
		case time.Since(since) > fullPatience:
			return fmt.Errorf("%w for %s: raise stream.max_bytes, or lower stream.keep", err, fullPatience)
		}
		select {
		case <-time.After(fullRetry):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// counting keeps the first rejects for a summary and tells about progress.
type counting struct {
	*ingest.Intake
	graph   *Graph
	rejects []pipeline.Reject
	report  func(int)
	n       int
	// progress keeps a point that a cut off read goes on from; nil keeps none.
	progress func(pipeline.Watermark) error
}

// keptRejects is how many rejects a summary names.
const keptRejects = 20

func (c *counting) keep(list ...pipeline.Reject) {
	for _, r := range list {
		if len(c.rejects) < keptRejects {
			c.rejects = append(c.rejects, c.graph.shown(r))
		}
	}
}

func (c *counting) Records(ctx context.Context, records []pipeline.Record) (pipeline.Taken, error) {
	taken, err := c.Intake.Records(ctx, records)
	c.keep(taken.Rejected...)
	c.n += len(records)
	if c.report != nil {
		c.report(c.n)
	}
	return taken, err
}

// Keeps says whether what is handed over is stored: a plan only looks at it, and a queue must not be emptied for that.
func (c *counting) Keeps() bool { return c.progress != nil }

func (c *counting) Progress(_ context.Context, w pipeline.Watermark) error {
	if c.progress == nil {
		return nil
	}
	return c.progress(w)
}

func (c *counting) Reject(ctx context.Context, r pipeline.Reject) error {
	c.keep(r)
	return c.Intake.Reject(ctx, r)
}

// schedule polls one source for as long as ctx lasts: at its interval, and when it says that something changed.
func (p *polls) schedule(ctx context.Context, s *Source) {
	interval, fullEvery := s.Interval, s.Full
	if interval <= 0 {
		interval = defaultInterval
	}
	if fullEvery <= 0 {
		fullEvery = defaultFull
	}
	changed := make(chan struct{}, 1)
	if n, ok := s.Source.Source.(pipeline.Notifier); ok {
		go func() {
			if err := n.Watch(ctx, changed); err != nil && ctx.Err() == nil {
				p.app.o.Log.Warn("changes are found by polling only", "source", s.Name, "err", err)
			}
		}()
	}
	var lastFull time.Time
	for {
		full := time.Since(lastFull) >= fullEvery
		got, err := p.poll(ctx, s, full, nil)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.app.o.Log.Warn("polling failed, will try again", "source", s.Name, "err", err, "delay", interval)
		default:
			p.app.o.Log.Info("polled", "source", s.Name, "records", got.state.Records, "rejected", got.state.Rejected)
			if full {
				lastFull = time.Now()
			}
		}
		select {
		case <-changed:
		case <-time.After(interval):
		case <-ctx.Done():
			return
		}
	}
}
