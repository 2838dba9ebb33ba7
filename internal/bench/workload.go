package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// The world that findings are about.
const (
	accounts = 100
	regions  = 4
	teams    = 20
	zipfS    = 1.1
)

// Mix is what share of the events is of each kind; what is left over is seen
// again with nothing new but the vendor's time stamps.
type Mix struct {
	First, Changed, Resolved, Reopened, Older, Malformed float64
}

// Standard is the mix of a day: mostly repeats, a little of everything else.
func Standard() Mix {
	return Mix{First: 0.20, Changed: 0.07, Resolved: 0.04, Reopened: 0.01, Older: 0.01, Malformed: 0.001}
}

// Quarter is the mix in which each finding comes four times on average and nothing changes.
func Quarter() Mix { return Mix{First: 0.25} }

// Fresh is the mix in which every finding is new.
func Fresh() Mix { return Mix{First: 1} }

// kind is what an event does to its finding.
type kind uint8

const (
	first kind = iota
	same
	changed
	resolved
	reopened
	older
	malformed
)

// problem is one finding of the world. Everything that is not here follows from its number.
type problem struct {
	index    int
	severity uint8 // into severities
}

// Workload makes events, the same for the same seed. It is used by one goroutine.
type Workload struct {
	seed   uint64
	mix    Mix
	rng    *rand.Rand
	small  bool
	form   int
	clock  time.Time
	offset int
	step   int

	open, closed []problem
	controls     []control
	zipf         map[int]zipf
	pending      [formats]batch
	ready        []Body
	counts       Counts
}

// Counts is what a Workload made so far.
type Counts struct {
	Events    int // all records, malformed ones too
	First     int // distinct findings
	Malformed int
	Bytes     int64
}

// Body is one request: records of one format as its sources send them.
type Body struct {
	Data      []byte
	Records   [][]byte // the records alone
	Malformed int      // how many of them must be rejected
}

// Options says which part of the world a Workload is about.
type Options struct {
	Seed   uint64
	Mix    Mix
	Small  bool // records of about 1 KB only
	Offset int  // number of the first finding; each Step-th one follows
	Step   int  // 0 is 1
	form   int  // that every record has; mixed: as its source has it
}

// New starts a workload. Two with the same seed and step but different offsets
// below the step never speak of the same finding, so they may be sent at the same time.
func New(o Options) *Workload {
	all := controls()
	return &Workload{
		controls: all,
		seed:     o.Seed, mix: o.Mix, small: o.Small, form: o.form, offset: o.Offset, step: max(1, o.Step),
		rng:   rand.New(rand.NewPCG(o.Seed, uint64(o.Offset)+1)),
		clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		zipf:  map[int]zipf{accounts: newZipf(accounts), regions: newZipf(regions), teams: newZipf(teams), len(all): newZipf(len(all))},
	}
}

// Counts is what was made so far.
func (w *Workload) Counts() Counts { return w.counts }

// With goes on with another mix over the same findings.
func (w *Workload) With(m Mix) { w.mix = m }

// Bodies returns n further events in bodies of at most size records, in the
// order in which they must be sent.
func (w *Workload) Bodies(n, size int) []Body {
	for range n {
		w.event(size)
	}
	for f := range w.pending {
		w.flush(f)
	}
	out := w.ready
	w.ready = nil
	return out
}

// event makes one event and appends its record to the batch of its format.
func (w *Workload) event(size int) {
	w.clock = w.clock.Add(time.Millisecond)
	k := w.pick()
	p := w.apply(&k)
	d := w.describe(p.index)
	at := w.clock
	severity := p.severity
	// A SARIF run has one time for all its results: none is older than the others,
	// and a finding that changes twice must be in two runs.
	oneTime := d.format == sarif
	if k == older && !oneTime {
		at, severity = at.Add(-365*24*time.Hour), (severity+1)%uint8(len(severities))
	}
	b := &w.pending[d.format]
	if oneTime && b.has[p.index] && (k == changed || k == resolved || k == reopened) {
		w.flush(d.format)
	}
	b.add(p.index, d.render(&event{at: at, severity: severities[severity], resolved: k == resolved, malformed: k == malformed}))
	w.counts.Events++
	if k == malformed {
		b.malformed++
		w.counts.Malformed++
	}
	if len(b.records) >= size {
		w.flush(d.format)
	}
}

func (w *Workload) flush(format int) {
	b := &w.pending[format]
	if len(b.records) == 0 {
		return
	}
	body := Body{Data: wrap(format, b.records, w.clock), Records: b.records, Malformed: b.malformed}
	w.counts.Bytes += int64(len(body.Data))
	w.ready = append(w.ready, body)
	*b = batch{}
}

// pick draws the kind of the next event.
func (w *Workload) pick() kind {
	u := w.rng.Float64()
	for _, c := range []struct {
		share float64
		kind  kind
	}{{w.mix.First, first}, {w.mix.Changed, changed}, {w.mix.Resolved, resolved}, {w.mix.Reopened, reopened}, {w.mix.Older, older}, {w.mix.Malformed, malformed}} {
		if u < c.share {
			return c.kind
		}
		u -= c.share
	}
	return same
}

// apply chooses the finding of an event and moves the world on. An event that
// has no finding yet to be about makes a new one.
func (w *Workload) apply(k *kind) problem {
	if *k == reopened && len(w.closed) == 0 {
		*k = first
	}
	if *k != reopened && len(w.open) == 0 {
		*k = first
	}
	switch *k {
	case first:
		p := problem{index: w.offset + w.counts.First*w.step, severity: uint8(w.rng.IntN(len(severities)))}
		w.counts.First++
		w.open = append(w.open, p)
		return p
	case reopened:
		return w.move(&w.closed, &w.open, w.rng.IntN(len(w.closed)))
	case resolved:
		return w.move(&w.open, &w.closed, w.rng.IntN(len(w.open)))
	case changed:
		p := &w.open[w.rng.IntN(len(w.open))]
		p.severity = (p.severity + 1) % uint8(len(severities))
		return *p
	}
	return w.open[w.rng.IntN(len(w.open))]
}

func (w *Workload) move(from, to *[]problem, i int) problem {
	list := *from
	p := list[i]
	list[i] = list[len(list)-1]
	*from = list[:len(list)-1]
	*to = append(*to, p)
	return p
}

// batch gathers records of one format.
type batch struct {
	records   [][]byte
	has       map[int]bool
	malformed int
}

func (b *batch) add(index int, record []byte) {
	if b.has == nil {
		b.has = map[int]bool{}
	}
	b.has[index] = true
	b.records = append(b.records, record)
}

// zipf draws ranks with a probability that falls with the power zipfS.
type zipf []float64

func newZipf(n int) zipf {
	z := make(zipf, n)
	sum := 0.0
	for i := range z {
		sum += math.Pow(float64(i+1), -zipfS)
		z[i] = sum
	}
	for i := range z {
		z[i] /= sum
	}
	return z
}

func (z zipf) draw(r *rand.Rand) int {
	i, _ := slices.BinarySearch(z, r.Float64())
	return min(i, len(z)-1)
}

// sizePoints are the sizes in bytes at quantiles of the standard normal
// distribution: median, 90%, 99% and one in 10,000. Between them the logarithm is straight.
var sizePoints = [...]struct{ z, size float64 }{{0, 2150}, {1.2816, 6 << 10}, {2.3263, 30 << 10}, {3.719, 240 << 10}}

// size draws the size of a record in bytes.
func size(r *rand.Rand) int {
	z := min(r.NormFloat64(), sizePoints[len(sizePoints)-1].z)
	i := 1
	for i < len(sizePoints)-1 && z > sizePoints[i].z {
		i++
	}
	a, b := sizePoints[i-1], sizePoints[i]
	return int(a.size * math.Pow(b.size/a.size, (z-a.z)/(b.z-a.z)))
}
