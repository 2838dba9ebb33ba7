package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/bench/limits"
)

// What delivery is measured with.
const (
	connections = 64 // the sink's concurrency
	fast        = 20 * time.Millisecond
	slow        = 200 * time.Millisecond
	arrivals    = 300 // findings a second, in the measure of how long a ticket takes
	outage      = 12 * time.Second
	flushSize   = 4 << 10 // bytes of the flushes that the limit of latency is taken from
	flushEvery  = 20 * time.Millisecond
)

// Delivery is what one round measured of the way to the tracker.
type Delivery struct {
	Fast, Slow         float64 // tickets/s with 64 connections at 20 and at 200 ms
	BareFast, BareSlow float64 // the same of a plain client, without docket
	CPU                float64 // microseconds of docket's CPU for a ticket at 20 ms
	Latency            Latency
	Outage             Outage
}

// Latency is how long it takes from sending a finding to the tracker's answer to its ticket.
type Latency struct {
	Findings              int
	Median, P99, FlushP99 time.Duration
}

// Outage is what became of a backlog when nobody listened at the tracker's address for 12 s.
type Outage struct {
	Tickets, Repeated int
	Refused           int           // calls that found nobody, or whose answer was lost
	Back              time.Duration // from the tracker's return to its first ticket
	Rate              float64       // tickets/s afterwards
}

// ideal is what so many connections can do at most.
func ideal(latency time.Duration) float64 { return connections / latency.Seconds() }

func (p Plan) delivery(ctx context.Context) (d Delivery, err error) {
	if err := p.outage(ctx, &d); err != nil {
		return d, fmt.Errorf("backlog at %s and outage: %w", fast, err)
	}
	if err := p.slow(ctx, &d); err != nil {
		return d, fmt.Errorf("backlog at %s: %w", slow, err)
	}
	if d.Latency, err = p.latency(ctx); err != nil {
		return d, fmt.Errorf("time to a ticket: %w", err)
	}
	p.Progress("tickets/s %.0f of %.0f (%.2f), %.0f of %.0f (%.2f), %.0f us of CPU each; finding to ticket p99 %s, median %s, a flush %s; %d calls refused, back after %s, then %.0f tickets/s (%.2f)",
		d.Fast, ideal(fast), d.Fast/ideal(fast), d.Slow, ideal(slow), d.Slow/ideal(slow), d.CPU,
		d.Latency.P99, d.Latency.Median, d.Latency.FlushP99, d.Outage.Refused, d.Outage.Back, d.Outage.Rate, d.Outage.Rate/d.Fast)
	return d, nil
}

// tracked runs do against a new daemon whose sink is a new tracker.
func (p Plan) tracked(ctx context.Context, latency time.Duration, do func(*Daemon, *tracker) error) error {
	t, err := newTracker(latency)
	if err != nil {
		return err
	}
	err = p.with(ctx, Setup{Pprof: p.Profile != "", Webhook: t.url()}, func(d *Daemon) error { return do(d, t) })
	return errors.Join(err, t.down())
}

// prepare makes n tickets wait at the brake, and docket rest.
func (p Plan) prepare(ctx context.Context, d *Daemon, n int) error {
	if err := d.brake(ctx, true); err != nil {
		return err
	}
	bodies, _ := problems(p.Seed+4, 0, n, perBody)
	if _, err := d.Send(ctx, [][]Body{bodies}); err != nil {
		return err
	}
	for {
		if err := d.rest(ctx); err != nil { // until then it judges, and puts actions on their way
			return err
		}
		waiting, err := d.waiting(ctx)
		if err != nil || waiting >= n {
			return err
		}
	}
}

// whole checks that each of n findings has its ticket, and none has two.
func whole(t *tracker, n int) (delivered, error) {
	got, err := about(t.receipts(), n)
	if err == nil && (got.Lost != 0 || got.Doubled != 0) {
		err = fmt.Errorf("%d tickets lost and %d doubled of %d", got.Lost, got.Doubled, n)
	}
	return got, err
}

// bare is the rate of a plain client with as many connections.
func bare(ctx context.Context, t *tracker, calls int) (float64, error) {
	defer t.forget()
	return limits.HTTPCalls(ctx, t.url(), make([]byte, flushSize), connections, calls)
}

// slow measures how fast a backlog drains into the slow tracker.
func (p Plan) slow(ctx context.Context, into *Delivery) error {
	n := max(p.Tickets/4, 20*connections)
	return p.tracked(ctx, slow, func(d *Daemon, t *tracker) (err error) {
		if into.BareSlow, err = bare(ctx, t, 5*connections); err != nil {
			return err
		}
		if err := p.prepare(ctx, d, n); err != nil {
			return err
		}
		if err := errors.Join(d.brake(ctx, false), t.until(ctx, n)); err != nil {
			return err
		}
		into.Slow = rate(t.receipts())
		_, err = whole(t, n)
		return err
	})
}

// latency sends findings one by one at a steady pace, each a ticket of its own. Beside
// it another file is flushed at a steady pace: a disk that stops for a while stops for both.
func (p Plan) latency(ctx context.Context) (l Latency, err error) {
	l.Findings = arrivals * int(p.Steady/time.Second)
	bodies, resources := problems(p.Seed+5, 0, l.Findings, 1)
	err = p.tracked(ctx, fast, func(d *Daemon, t *tracker) error {
		var flushes []time.Duration
		var flushErr error
		var beside sync.WaitGroup
		pace, stop := context.WithCancel(ctx)
		beside.Go(func() { flushes, flushErr = limits.PacedAppend(pace, p.Dir, flushSize, flushEvery) })
		sent, err := d.paced(ctx, bodies)
		if err == nil {
			err = t.until(ctx, l.Findings)
		}
		stop()
		beside.Wait()
		if err := errors.Join(err, flushErr); err != nil {
			return err
		}
		l.FlushP99 = percentile(flushes, 0.99)
		got, err := whole(t, l.Findings)
		if err != nil {
			return err
		}
		var took []time.Duration
		for i, r := range resources {
			took = append(took, got.first[r].Sub(sent[i]))
		}
		l.Median, l.P99 = percentile(took, 0.5), percentile(took, 0.99)
		return nil
	})
	return l, err
}

// paced sends the bodies at a fixed pace, whether or not the earlier ones were
// answered, and returns when each was sent. A late answer so delays no later finding.
func (d *Daemon) paced(ctx context.Context, bodies []Body) ([]time.Time, error) {
	sent := make([]time.Time, len(bodies))
	errs := make([]error, len(bodies))
	var group sync.WaitGroup
	start := time.Now()
	for i := range bodies {
		select {
		case <-time.After(time.Until(start.Add(time.Duration(i) * time.Second / arrivals))):
		case <-ctx.Done():
			group.Wait()
			return nil, context.Cause(ctx)
		}
		group.Go(func() {
			sent[i] = time.Now()
			var s Sent
			errs[i] = d.post(ctx, &bodies[i], &s)
		})
	}
	group.Wait()
	return sent, errors.Join(errs...)
}

// percentile is the value that the given share of all does not exceed; it sorts v.
func percentile(v []time.Duration, share float64) time.Duration {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(len(v)-1, int(share*float64(len(v))))].Round(100 * time.Microsecond)
}

// outage measures how fast a backlog drains into the fast tracker; after half
// of it nobody listens for a while, and the other half shows how delivery comes back.
func (p Plan) outage(ctx context.Context, into *Delivery) error {
	n, o := 2*p.Tickets, &into.Outage
	return p.tracked(ctx, fast, func(d *Daemon, t *tracker) (err error) {
		if into.BareFast, err = bare(ctx, t, 40*connections); err != nil {
			return err
		}
		if err := p.prepare(ctx, d, n); err != nil {
			return err
		}
		if into.CPU, err = p.half(ctx, d, t); err != nil {
			return err
		}
		if err := t.down(); err != nil {
			return err
		}
		into.Fast = rate(t.receipts()[:p.Tickets])
		select {
		case <-time.After(outage):
		case <-ctx.Done():
		}
		before, back := t.count(), time.Now()
		if err := errors.Join(ctx.Err(), t.up(), t.until(ctx, before+1)); err != nil {
			return err
		}
		o.Back = time.Since(back).Round(10 * time.Millisecond)
		// Asking docket for its counters costs it time: only when the tracker has all.
		if err := t.until(ctx, n); err != nil {
			return err
		}
		if _, err := d.Drain(ctx, n); err != nil {
			return err
		}
		o.Rate = rate(t.receipts()[before:])
		if o.Refused, err = d.refused(ctx); err != nil {
			return err
		}
		got, err := whole(t, n)
		o.Tickets, o.Repeated = got.Tickets, got.Repeated
		return err
	})
}

// half lets half of the backlog through, and returns the CPU that a ticket of it cost in microseconds.
func (p Plan) half(ctx context.Context, d *Daemon, t *tracker) (float64, error) {
	profiled := make(chan error, 1)
	if p.Profile != "" {
		go func() { profiled <- d.profile(ctx, p.Profile+".tickets", 3) }()
	} else {
		profiled <- nil
	}
	before, err := d.CPU()
	if err != nil {
		return 0, err
	}
	if err := errors.Join(d.brake(ctx, false), t.until(ctx, p.Tickets)); err != nil {
		return 0, err
	}
	after, err := d.CPU()
	return float64((after - before).Microseconds()) / float64(p.Tickets), errors.Join(err, <-profiled)
}

// refused is how many calls of the sink found nobody, or lost their answer.
func (d *Daemon) refused(ctx context.Context) (int, error) {
	var text strings.Builder
	if err := d.get(ctx, "/metrics", &text); err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "docket_delivery_attempts_total{") || !strings.Contains(line, `result="retry"`) && !strings.Contains(line, `result="lost"`) {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			return 0, fmt.Errorf("read metrics: %w", err)
		}
		n += int(f)
	}
	return n, nil
}
