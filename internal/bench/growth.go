package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Growth is what many known findings cost.
type Growth struct {
	Few, Known   int
	FillRate     float64 // findings/s into the daemon with many, until the last ticket
	FillRSS      int64   // peak bytes of that daemon while it was filled
	Size         int64   // bytes of its folder
	Rounds       []Grown
	IdleCPU      float64 // seconds per hour of the daemon with many
	IdleFlushes  float64 // per minute
	FlushesKnown bool    // false: nothing was there to count flushes with
}

// Grown is one round: the daemon with many is restarted, both take the same number of
// events of the standard mix, and the one with many is killed under load.
type Grown struct {
	FewCPU, ManyCPU         float64 // seconds per 100,000 findings
	FewWritten, ManyWritten float64 // bytes to disk per byte accepted; NaN: not measured
	RSS                     int64   // peak bytes with many known, start and load
	Clean, Killed           time.Duration
}

// Ratio is the CPU with many over that with few.
func (g Grown) Ratio() float64 { return g.ManyCPU / g.FewCPU }

// growth fills one daemon with few findings and one with many, and compares them.
func (p Plan) growth(ctx context.Context) (_ *Growth, err error) {
	g := &Growth{Few: p.Few, Known: p.Known}
	few, err := p.filled(ctx, p.Few)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, few.d.Stop()) }()
	start := time.Now()
	many, err := p.filled(ctx, p.Known)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, many.d.Stop()) }()
	g.FillRate = float64(p.Known) / time.Since(start).Seconds()
	if g.FillRSS, err = many.d.PeakRSS(); err != nil {
		return nil, err
	}
	for range p.Grown {
		r, err := p.grown(ctx, few, many)
		if err != nil {
			return nil, err
		}
		g.Rounds = append(g.Rounds, r)
		p.Progress("at %d known ready after %s, killed %s; peak %d MB; CPU s per 100,000 %.2f, at %d %.2f (%.2f); written %.1f and %.1f bytes a byte",
			p.Known, r.Clean.Round(time.Millisecond), r.Killed.Round(time.Millisecond), r.RSS>>20, r.ManyCPU, p.Few, r.FewCPU, r.Ratio(), r.ManyWritten, r.FewWritten)
	}
	if g.Size, err = folderSize(many.d.dir); err != nil {
		return nil, err
	}
	return g, p.idle(ctx, many.d, g)
}

func (p Plan) grown(ctx context.Context, few, many *growing) (r Grown, err error) {
	if _, err := few.restart(ctx); err != nil { // so that both have just started
		return r, err
	}
	if r.Clean, err = many.restart(ctx); err != nil {
		return r, err
	}
	if r.FewCPU, r.FewWritten, err = few.chunk(ctx, p.Chunk); err != nil {
		return r, err
	}
	if r.ManyCPU, r.ManyWritten, err = many.chunk(ctx, p.Chunk); err != nil {
		return r, err
	}
	if r.RSS, err = many.d.PeakRSS(); err != nil {
		return r, err
	}
	// All was answered, so all is on disk; triage and tickets have only begun.
	if _, err := many.d.Send(ctx, many.bodies(p.Chunk/2)); err != nil {
		return r, err
	}
	many.d.crash()
	if r.Killed, err = many.d.launch(ctx); err != nil {
		return r, err
	}
	return r, many.d.rest(ctx)
}

// tidied is within what time a daemon has put away what a load left behind.
const tidied = 15 * time.Second

// idle watches a daemon that has nothing to do.
func (p Plan) idle(ctx context.Context, d *Daemon, g *Growth) error {
	if err := d.rest(ctx); err != nil {
		return err
	}
	pause := func(t time.Duration) error {
		select {
		case <-time.After(t):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := pause(tidied); err != nil {
		return err
	}
	before, err := d.CPU()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := pause(p.Idle); err != nil {
		return err
	}
	after, err := d.CPU()
	if err != nil {
		return err
	}
	g.IdleCPU = (after - before).Seconds() * float64(time.Hour) / float64(time.Since(start))
	// Apart from the CPU: whoever counts calls stops the process at each.
	n, err := d.Flushes(ctx, p.Idle)
	if errors.Is(err, errNoTracer) {
		p.Progress("%v", err)
		return nil
	}
	g.IdleFlushes, g.FlushesKnown = float64(n)/p.Idle.Minutes(), true
	p.Progress("idle: %.1f s of CPU an hour, %.1f flushes a minute", g.IdleCPU, g.IdleFlushes)
	return err
}

// growing is a daemon that knows findings, and the loads that go on from there.
type growing struct {
	d    *Daemon
	work []*Workload
	sent int // since the process started
}

func (p Plan) filled(ctx context.Context, known int) (*growing, error) {
	d, err := Start(ctx, p.Binary, p.Dir, Setup{Pprof: p.Profile != ""})
	if err != nil {
		return nil, err
	}
	g := &growing{d: d}
	for c := range clients {
		g.work = append(g.work, New(Options{Seed: p.Seed + 3, Mix: Fresh(), Small: true, Offset: c, Step: clients}))
	}
	const part = 50_000 // so that memory holds a part of the bodies only
	for at := 0; at < known; at += part {
		n := min(part, known-at)
		if _, err := g.send(ctx, g.bodies(n)); err != nil {
			return nil, errors.Join(fmt.Errorf("fill with %d findings: %w", known, err), d.Stop())
		}
		p.Progress("%d of %d known", at+n, known)
	}
	for _, w := range g.work {
		w.With(Standard())
	}
	return g, nil
}

// bodies are the next n events, a list for each client.
func (g *growing) bodies(n int) (lists [][]Body) {
	for _, w := range g.work {
		lists = append(lists, w.Bodies(n/len(g.work), perBody))
	}
	return lists
}

// send sends events and waits until all is done.
func (g *growing) send(ctx context.Context, lists [][]Body) (accepted int, err error) {
	sent, err := g.d.Send(ctx, lists)
	if err != nil {
		return 0, err
	}
	g.sent += sent.Accepted
	_, err = g.d.Drain(ctx, g.sent)
	return sent.Accepted, err
}

// chunk sends n events, and returns the CPU seconds per 100,000 and the bytes written to disk per byte accepted.
func (g *growing) chunk(ctx context.Context, n int) (cpu, written float64, err error) {
	lists := g.bodies(n)
	var size int64
	for _, list := range lists {
		for _, b := range list {
			size += int64(len(b.Data))
		}
	}
	before, err := g.d.CPU()
	if err != nil {
		return 0, 0, err
	}
	disk := watchDisk(g.d.dir)
	accepted, err := g.send(ctx, lists)
	if err != nil {
		return 0, 0, err
	}
	after, err := g.d.CPU()
	return per100k(after-before, accepted), disk.per(size), err
}

// restart ends the daemon in good order and starts it again; it returns how long it took to get ready.
func (g *growing) restart(ctx context.Context) (time.Duration, error) {
	if err := g.d.halt(); err != nil {
		return 0, err
	}
	g.sent = 0
	return g.d.launch(ctx)
}
