package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/docket-hub/docket/internal/bench/limits"
)

// How the load is sent.
const (
	perBody       = 100
	clients       = 8
	singleClients = 64
	// steady is how much the limits before and after a repetition may differ, as
	// a factor: beyond it the machine changed under the measurement.
	steady = 3
)

// Plan says what to measure.
type Plan struct {
	Binary      string // docket
	Dir         string // scratch folder, on the disk to be measured
	Seed        uint64
	Findings    int           // of one load
	Singles     int           // of the load that sends one finding a request
	Few, Known  int           // findings known before growth is measured; Known 0: not measured
	Chunk       int           // events of a load that growth is measured with
	Grown       int           // repetitions of the measures of growth
	Idle        time.Duration // how long a daemon that rests is watched
	Tickets     int           // of the backlog that delivery at 20 ms is measured with; 0: delivery is not measured
	Steady      time.Duration // how long findings come at a steady pace, whole seconds
	Deliveries  int           // repetitions of the measures of delivery
	Repetitions int           // of those of the way in
	Compared    int           // repetitions of the comparison with Alertmanager
	Profile     string        // where a CPU profile of the load of repeats is written, and with the suffix .tickets one of a backlog; empty: none
	Progress    func(format string, args ...any)
}

// Limits are what machine and libraries do without docket.
type Limits struct {
	Append    float64 // findings/s, 100 of them a flushed write
	JetStream float64 // findings/s, 100 of them a flushed message
	HTTP      float64 // requests/s of one finding
}

// far reports whether two measurements of the limits contradict each other.
func (l Limits) far(m Limits) bool {
	ratio := func(a, b float64) bool { return a > steady*b || b > steady*a }
	return ratio(l.JetStream, m.JetStream) || ratio(l.HTTP, m.HTTP)
}

// Repetition is what one round measured.
type Repetition struct {
	Before, After Limits
	Rate          float64 // findings/s accepted, 100 a request
	SingleRate    float64 // findings/s accepted, one a request
	CPU           float64 // seconds per 100,000 findings until every ticket is on disk
	Drained       float64 // findings/s until every ticket is on disk
	RSS           int64   // peak bytes of the daemon in the load that CPU is of
	Tickets       Tickets // of that load
	Distinct      int     // findings of that load
	Written       float64 // bytes written to disk per byte of the bodies that were accepted, 100 findings each; NaN: not measured
}

// JetStream is the limit of the round.
func (r Repetition) JetStream() float64 { return (r.Before.JetStream + r.After.JetStream) / 2 }

// HTTP is the limit of the round.
func (r Repetition) HTTP() float64 { return (r.Before.HTTP + r.After.HTTP) / 2 }

// Void reports whether the machine changed under the round.
func (r Repetition) Void() bool { return r.Before.far(r.After) }

// Results is a whole measurement.
type Results struct {
	Plan        Plan
	Repetitions []Repetition
	Voided      int // rounds that were thrown away
	Growth      *Growth
	Deliveries  []Delivery
	Beside      []Comparison
	Took        time.Duration
}

// load is bodies for each client, made before the clock runs.
type load struct {
	clients [][]Body
	counts  Counts
}

// makeLoad makes n events shared out over as many clients; no two speak of one finding.
func makeLoad(o Options, n, clients, perBody int) load {
	var l load
	for c := range clients {
		o.Offset, o.Step = c, clients
		w := New(o)
		l.clients = append(l.clients, w.Bodies(n/clients, perBody))
		l.add(w.Counts())
	}
	return l
}

func (l *load) add(c Counts) {
	l.counts.Events += c.Events
	l.counts.First += c.First
	l.counts.Malformed += c.Malformed
	l.counts.Bytes += c.Bytes
}

// records are the first n records of a load.
func (l *load) records(n int) [][]byte {
	var out [][]byte
	for _, list := range l.clients {
		for _, b := range list {
			out = append(out, b.Records...)
			if len(out) >= n {
				return out[:n]
			}
		}
	}
	return out
}

// Run measures. A round of the way in whose limits before and after differ too much is void
// and done again, at most as often as rounds were asked for.
func (p Plan) Run(ctx context.Context) (Results, error) {
	start := time.Now()
	res := Results{Plan: p}
	if err := p.intake(ctx, &res); err != nil {
		return res, err
	}
	if p.Known > 0 {
		g, err := p.growth(ctx)
		if err != nil {
			return res, err
		}
		res.Growth = g
	}
	for p.Tickets > 0 && len(res.Deliveries) < p.Deliveries {
		d, err := p.delivery(ctx)
		if err != nil {
			return res, err
		}
		res.Deliveries = append(res.Deliveries, d)
	}
	if p.Compared > 0 {
		if err := p.beside(ctx, &res); err != nil {
			return res, err
		}
	}
	res.Took = time.Since(start)
	return res, nil
}

// intake measures the way in.
func (p Plan) intake(ctx context.Context, res *Results) error {
	if p.Repetitions == 0 {
		return nil
	}
	p.Progress("making the load from seed %d", p.Seed)
	standard := makeLoad(Options{Seed: p.Seed, Mix: Standard()}, p.Findings, clients, perBody)
	single := makeLoad(Options{Seed: p.Seed + 1, Mix: Standard()}, p.Singles, singleClients, 1)
	quarter := makeLoad(Options{Seed: p.Seed + 2, Mix: Quarter()}, p.Findings, clients, perBody)
	sample := standard.records(min(p.Findings, 20_000))
	for len(res.Repetitions) < p.Repetitions {
		r, err := p.round(ctx, &standard, &single, &quarter, sample)
		if err != nil {
			return err
		}
		if r.Void() {
			if res.Voided++; res.Voided > p.Repetitions {
				return errors.New("the machine is too unsteady: the limits before and after differ by more than 3x again and again")
			}
			p.Progress("void: the limits changed from %.0f to %.0f findings/s", r.Before.JetStream, r.After.JetStream)
			continue
		}
		res.Repetitions = append(res.Repetitions, r)
	}
	return nil
}

// round measures everything once, the limits around it.
func (p Plan) round(ctx context.Context, standard, single, quarter *load, sample [][]byte) (r Repetition, err error) {
	if r.Before, err = p.limits(ctx, sample); err != nil {
		return r, err
	}
	err = p.with(ctx, Setup{}, func(d *Daemon) error {
		disk := watchDisk(d.dir)
		sent, err := d.Send(ctx, standard.clients)
		r.Rate = sent.Rate()
		p.Progress("accepted %.0f findings/s", r.Rate)
		if err := errors.Join(err, p.complete(ctx, d, standard)); err != nil {
			return err
		}
		r.Written = disk.per(standard.counts.Bytes)
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("load of %d a request: %w", perBody, err)
	}
	err = p.with(ctx, Setup{}, func(d *Daemon) error {
		sent, err := d.Send(ctx, single.clients)
		r.SingleRate = sent.Rate()
		return errors.Join(err, p.complete(ctx, d, single))
	})
	if err != nil {
		return r, fmt.Errorf("load of one a request: %w", err)
	}
	err = p.with(ctx, Setup{Pprof: p.Profile != ""}, func(d *Daemon) error { return p.cost(ctx, d, quarter, &r) })
	if err != nil {
		return r, fmt.Errorf("load of repeats: %w", err)
	}
	if r.After, err = p.limits(ctx, sample); err != nil {
		return r, err
	}
	p.Progress("%.0f findings/s of %.0f (%.2f), one a request %.0f of %.0f (%.2f), %.2f CPU s per 100,000, %d MB, %d tickets",
		r.Rate, r.JetStream(), r.Rate/r.JetStream(), r.SingleRate, r.HTTP(), r.SingleRate/r.HTTP(), r.CPU, r.RSS>>20, r.Tickets.Open)
	return r, nil
}

// cost measures the CPU of the whole process from the first request until the last ticket.
func (p Plan) cost(ctx context.Context, d *Daemon, l *load, r *Repetition) error {
	before, err := d.CPU()
	if err != nil {
		return err
	}
	profiled := make(chan error, 1)
	if p.Profile != "" {
		go func() { profiled <- d.profile(ctx, p.Profile, 20) }()
	} else {
		profiled <- nil
	}
	start := time.Now()
	sent, err := d.Send(ctx, l.clients)
	if err != nil {
		return err
	}
	if err := errors.Join(p.complete(ctx, d, l), <-profiled); err != nil {
		return err
	}
	took := time.Since(start)
	after, err := d.CPU()
	if err != nil {
		return err
	}
	r.CPU = per100k(after-before, sent.Accepted)
	r.Drained, r.Distinct = float64(sent.Accepted)/took.Seconds(), l.counts.First
	if r.RSS, err = d.PeakRSS(); err != nil {
		return err
	}
	if r.Tickets, err = d.Tickets(); err != nil {
		return err
	}
	if r.Tickets.Doubled > 0 || r.Tickets.Open == 0 {
		return fmt.Errorf("%d tickets of %d are doubled; want none", r.Tickets.Doubled, r.Tickets.Open)
	}
	return nil
}

// complete waits until all work is done and checks that every finding of the
// load, and no other, became known.
func (p Plan) complete(ctx context.Context, d *Daemon, l *load) error {
	want := l.counts.Events - l.counts.Malformed
	start := time.Now()
	j, err := d.Drain(ctx, want)
	if err != nil {
		return err
	}
	p.Progress("drained %s after the last answer, %d tickets written", time.Since(start).Round(time.Second/10), j.Outcomes)
	if j.New != l.counts.First || j.Findings() != want || j.Rejected != l.counts.Malformed {
		return fmt.Errorf("docket judged %d findings, %d of them new, and rejected %d; want %d, %d and %d",
			j.Findings(), j.New, j.Rejected, want, l.counts.First, l.counts.Malformed)
	}
	return nil
}

// with runs do against a new daemon.
func (p Plan) with(ctx context.Context, setup Setup, do func(*Daemon) error) error {
	d, err := Start(ctx, p.Binary, p.Dir, setup)
	if err != nil {
		return err
	}
	return errors.Join(do(d), d.Stop())
}

func (p Plan) limits(ctx context.Context, sample [][]byte) (l Limits, err error) {
	sum := 0
	for _, r := range sample {
		sum += len(r)
	}
	if l.Append, err = limits.RawAppend(p.Dir, sum/len(sample)*perBody, min(len(sample)/perBody, 200)); err != nil {
		return l, err
	}
	l.Append *= perBody
	if l.JetStream, err = limits.PackedJetStream(ctx, p.Dir, sample, perBody); err != nil {
		return l, err
	}
	l.HTTP, err = limits.BareHTTP(ctx, sample[0], singleClients, min(max(p.Singles, 5000), 20_000))
	return l, err
}

func per100k(cpu time.Duration, findings int) float64 {
	return cpu.Seconds() * 100_000 / float64(findings)
}

// Spread is the median and the range of some values.
type Spread struct{ Median, Least, Most float64 }

// spread sorts a copy of v; it is all NaN for none.
func spread(v []float64) Spread {
	if len(v) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	v = slices.Sorted(slices.Values(v))
	m := v[len(v)/2]
	if len(v)%2 == 0 {
		m = (m + v[len(v)/2-1]) / 2
	}
	return Spread{m, v[0], v[len(v)-1]}
}
