package bench

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// What docket must reach, as shares of the limits or absolute.
const (
	mustRate   = 0.4 // P1
	mustSingle = 0.3 // P1b
	mustCPU    = 3.5 // P5, seconds
	mustPeak   = 250 // P6, MB
	mustReady  = 2.0 // P7, seconds
	mustGrowth = 2.0 // P10
	mustBytes  = 4.0 // P11
	mustFast   = 0.80
	mustSlow   = 0.95 // P4
	mustBeyond = 70   // P3, ms: 20 of the tracker and 50 of docket
	mustRefuse = 200
	mustDrain  = 0.9 // P9
	mustIdle   = 10  // P12, seconds an hour
	mustFlush  = 4   // P12, a minute
)

// Size is the plan of a named size: smoke takes three minutes, standard is what
// docs/performance.md shows, and growth is the part of standard that a million findings take.
func Size(name string) (Plan, error) {
	switch name {
	case "smoke":
		return Plan{Findings: 10_000, Singles: 3000, Few: 5000, Known: 20_000, Chunk: 4000, Grown: 1, Idle: 6 * time.Second, Repetitions: 2,
			Tickets: 5000, Steady: 6 * time.Second, Deliveries: 1, Compared: 1}, nil
	case "standard", "growth":
		plan := Plan{Findings: 100_000, Singles: 20_000, Few: 10_000, Known: 1_000_000, Chunk: 20_000, Grown: 5, Idle: time.Minute, Repetitions: 5,
			Tickets: 20_000, Steady: 30 * time.Second, Deliveries: 5, Compared: 3}
		if name == "growth" {
			return plan.Only("growth")
		}
		return plan, nil
	}
	return Plan{}, fmt.Errorf("unknown size %q: use smoke, standard or growth", name)
}

// The parts of a measurement, in the order of the document.
const (
	partIntake   = "intake"
	partGrowth   = "growth"
	partDelivery = "delivery"
	partBeside   = "alertmanager"
)

// Only leaves one part of a plan.
func (p Plan) Only(part string) (Plan, error) {
	known := false
	for name, off := range map[string]func(){
		partIntake: func() { p.Repetitions = 0 }, partGrowth: func() { p.Known = 0 },
		partDelivery: func() { p.Tickets = 0 }, partBeside: func() { p.Compared = 0 },
	} {
		if known = known || name == part; name != part {
			off()
		}
	}
	if !known {
		return p, fmt.Errorf("unknown part %q: use %s, %s, %s or %s", part, partIntake, partGrowth, partDelivery, partBeside)
	}
	return p, nil
}

// measure is one line of the table.
type measure struct {
	id, what, unit string
	value          Spread
	must           float64 // 0: nothing is asked
	least          bool    // must is the least, not the most
	beside         string
}

func (m measure) met() bool {
	if m.must == 0 || math.IsNaN(m.value.Median) { // nothing is asked, or nothing was measured
		return true
	}
	if m.least {
		return m.value.Median >= m.must
	}
	return m.value.Median <= m.must
}

// each takes one value of every repetition.
func (r *Results) each(value func(Repetition) float64) Spread {
	return spreadOf(r.Repetitions, value)
}

func spreadOf[T any](list []T, value func(T) float64) Spread {
	var v []float64
	for _, x := range list {
		v = append(v, value(x))
	}
	return spread(v)
}

// part is one part of a measurement: its measures, and how often they were taken.
type part struct {
	name     string
	rounds   string
	measures []measure
}

// parts are those that were measured.
func (r *Results) parts() (out []part) {
	for _, p := range []part{
		{partIntake, fmt.Sprintf("%s findings a load, %d repetitions (%d void)", number(float64(r.Plan.Findings)), len(r.Repetitions), r.Voided), r.intake()},
		{partGrowth, fmt.Sprintf("%s findings a load, %d repetitions", number(float64(r.Plan.Chunk)), r.Plan.Grown), r.growth()},
		{partDelivery, fmt.Sprintf("%s tickets, %d repetitions", number(float64(r.Plan.Tickets)), len(r.Deliveries)), r.delivery()},
		{partBeside, fmt.Sprintf("%s findings a load, %d interleaved repetitions", number(float64(r.Plan.Findings)), len(r.Beside)), r.beside()},
	} {
		if len(p.measures) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func (r *Results) intake() []measure {
	if len(r.Repetitions) == 0 {
		return nil
	}
	rate := r.each(func(r Repetition) float64 { return r.Rate })
	jet := r.each(Repetition.JetStream)
	single := r.each(func(r Repetition) float64 { return r.SingleRate })
	http := r.each(Repetition.HTTP)
	last := r.Repetitions[len(r.Repetitions)-1]
	list := []measure{
		{id: "P1", what: "accepted durably at 100 a request, over the packed-JetStream limit", must: mustRate, least: true,
			value:  r.each(func(r Repetition) float64 { return r.Rate / r.JetStream() }),
			beside: fmt.Sprintf("%s of %s findings/s", number(rate.Median), number(jet.Median))},
		{id: "P1b", what: "the same at 1 a request from 64 clients, over the bare HTTP limit", must: mustSingle, least: true,
			value:  r.each(func(r Repetition) float64 { return r.SingleRate / r.HTTP() }),
			beside: fmt.Sprintf("%s of %s requests/s", number(single.Median), number(http.Median))},
		{id: "P5", what: "CPU seconds per 100,000 findings, each four times, until every ticket is on disk", unit: " s", must: mustCPU,
			value: r.each(func(r Repetition) float64 { return r.CPU }),
			beside: fmt.Sprintf("%s findings/s to the last ticket; %s findings, %s tickets, none doubled",
				number(r.each(func(r Repetition) float64 { return r.Drained }).Median), number(float64(last.Distinct)), number(float64(last.Tickets.Open)))},
		{id: "", what: "peak memory in that load", unit: " MB",
			value: r.each(func(r Repetition) float64 { return float64(r.RSS >> 20) })},
	}
	list = append(list, measure{id: "P11", what: "bytes written to disk per byte accepted, 100 findings a request, from the disk's own counter", must: mustBytes,
		value: r.each(func(r Repetition) float64 { return r.Written })})
	return list
}

// growth are the measures with many findings known.
func (r *Results) growth() []measure {
	g := r.Growth
	if g == nil {
		return nil
	}
	of := func(value func(Grown) float64) Spread { return spreadOf(g.Rounds, value) }
	known := number(float64(g.Known))
	flushes := measure{id: "P12", what: "idle: flushes a minute", must: mustFlush, value: Spread{g.IdleFlushes, g.IdleFlushes, g.IdleFlushes}}
	if !g.FlushesKnown {
		flushes.must, flushes.beside = 0, "not counted: that takes strace"
	}
	return []measure{
		{id: "P6", what: fmt.Sprintf("peak memory with %s known, over a start and a load of the standard mix", known), unit: " MB", must: mustPeak,
			value:  of(func(g Grown) float64 { return float64(g.RSS >> 20) }),
			beside: fmt.Sprintf("%d MB while they were filled in, at %s findings/s to the last ticket; %d MB on disk", g.FillRSS>>20, number(g.FillRate), g.Size>>20)},
		{id: "P7", what: fmt.Sprintf("restart to ready with %s known", known), unit: " s", must: mustReady,
			value: of(func(g Grown) float64 { return g.Clean.Seconds() })},
		{id: "P7", what: "the same after kill -9 under load", unit: " s", must: mustReady,
			value: of(func(g Grown) float64 { return g.Killed.Seconds() })},
		{id: "P10", what: fmt.Sprintf("CPU per finding at %s known over the same at %s", known, number(float64(g.Few))), must: mustGrowth,
			value: of(Grown.Ratio),
			beside: fmt.Sprintf("%.2f over %.2f s per 100,000 of the standard mix", of(func(g Grown) float64 { return g.ManyCPU }).Median,
				of(func(g Grown) float64 { return g.FewCPU }).Median)},
		{id: "", what: fmt.Sprintf("bytes written to disk per byte accepted at %s known, records of 1 KB", known),
			value:  of(func(g Grown) float64 { return g.ManyWritten }),
			beside: fmt.Sprintf("%.1f at %s known", of(func(g Grown) float64 { return g.FewWritten }).Median, number(float64(g.Few)))},
		{id: "P12", what: fmt.Sprintf("idle with %s known: CPU an hour", known), unit: " s", must: mustIdle,
			value: Spread{g.IdleCPU, g.IdleCPU, g.IdleCPU}},
		flushes,
	}
}

// beside are the measures that compare docket with Alertmanager.
func (r *Results) beside() []measure {
	if len(r.Beside) == 0 {
		return nil
	}
	name, version, _ := strings.Cut(filepath.Base(alertmanager), "@")
	row := func(what string, form string, value func(Run) float64) measure {
		of := func(run func(Comparison) float64) Spread { return spreadOf(r.Beside, run) }
		docket := of(func(c Comparison) float64 { return value(c.Docket) })
		other := of(func(c Comparison) float64 { return value(c.Alertmanager) })
		return measure{what: what, value: of(func(c Comparison) float64 { return value(c.Docket) / value(c.Alertmanager) }),
			beside: fmt.Sprintf(form+" of "+form, docket.Median, other.Median)}
	}
	last := r.Beside[len(r.Beside)-1]
	first := row(fmt.Sprintf("events accepted a second, over those of %s %s (which keeps them in memory alone)", name, version), "%.0f", func(run Run) float64 { return run.Accepted })
	first.beside += fmt.Sprintf("; %s events, %s of them distinct, 100 a request, one call of a webhook for each", number(float64(last.Events)), number(float64(last.Distinct)))
	return []measure{
		first,
		row("events a second until the last call", "%.0f", func(run Run) float64 { return run.Told }),
		row("CPU seconds per 100,000 events", "%.1f", func(run Run) float64 { return run.CPU }),
		row("peak memory, MB", "%.0f", func(run Run) float64 { return float64(run.RSS >> 20) }),
	}
}

// delivery are the measures of the way to the tracker.
func (r *Results) delivery() []measure {
	if len(r.Deliveries) == 0 {
		return nil
	}
	of := func(value func(Delivery) float64) Spread { return spreadOf(r.Deliveries, value) }
	ms := func(value func(Latency) time.Duration) Spread {
		return of(func(d Delivery) float64 { return value(d.Latency).Seconds() * 1000 })
	}
	last := r.Deliveries[len(r.Deliveries)-1]
	rates := func(got, bare Spread, latency time.Duration) string {
		return fmt.Sprintf("%s of %s tickets/s; a plain client %s", number(got.Median), number(ideal(latency)), number(bare.Median))
	}
	cpu := of(func(d Delivery) float64 { return d.CPU })
	return []measure{
		{id: "P3", what: fmt.Sprintf("finding to ticket at %d findings a second and a 20 ms tracker: the 99th percentile beyond that of a flush at the same time", arrivals), unit: " ms", must: mustBeyond,
			value: ms(func(l Latency) time.Duration { return l.P99 - l.FlushP99 }),
			beside: fmt.Sprintf("p99 %.1f ms, median %.1f ms, flush p99 %.1f ms; %s findings", ms(func(l Latency) time.Duration { return l.P99 }).Median,
				ms(func(l Latency) time.Duration { return l.Median }).Median, ms(func(l Latency) time.Duration { return l.FlushP99 }).Median, number(float64(last.Latency.Findings)))},
		{id: "P4", what: "tickets a second with 64 connections to a 20 ms tracker, over 64 / 20 ms", must: mustFast, least: true,
			value:  of(func(d Delivery) float64 { return d.Fast / ideal(fast) }),
			beside: rates(of(func(d Delivery) float64 { return d.Fast }), of(func(d Delivery) float64 { return d.BareFast }), fast) + fmt.Sprintf("; %.0f us of CPU a ticket", cpu.Median)},
		{id: "P4", what: "the same at 200 ms", must: mustSlow, least: true,
			value:  of(func(d Delivery) float64 { return d.Slow / ideal(slow) }),
			beside: rates(of(func(d Delivery) float64 { return d.Slow }), of(func(d Delivery) float64 { return d.BareSlow }), slow)},
		{id: "P9", what: "calls refused while nobody listens at a 20 ms tracker for 12 s", must: mustRefuse,
			value: of(func(d Delivery) float64 { return float64(d.Outage.Refused) }),
			beside: fmt.Sprintf("%s tickets, none lost, none doubled; %s requests repeated; first ticket %.1f s after the return",
				number(float64(last.Outage.Tickets)), number(of(func(d Delivery) float64 { return float64(d.Outage.Repeated) }).Median),
				of(func(d Delivery) float64 { return d.Outage.Back.Seconds() }).Median)},
		{id: "P9", what: "tickets a second afterwards, over those before the outage", must: mustDrain, least: true,
			value:  of(func(d Delivery) float64 { return d.Outage.Rate / d.Fast }),
			beside: number(of(func(d Delivery) float64 { return d.Outage.Rate }).Median) + " tickets/s"},
	}
}

// Check is an error that names every target that was missed.
func (r *Results) Check() error {
	var errs []error
	for _, p := range r.parts() {
		for _, m := range p.measures {
			if !m.met() {
				errs = append(errs, fmt.Errorf("%s: %.2f%s; must be %.2f", m.id, m.value.Median, m.unit, m.must))
			}
		}
	}
	return errors.Join(errs...)
}

// Block is the text about one part.
type Block struct{ Part, Text string }

// Blocks are the tables of the parts that were measured, with what is needed to repeat them.
func (r *Results) Blocks(command string) (out []Block) {
	for _, p := range r.parts() {
		var b strings.Builder
		fmt.Fprintf(&b, "Made on %s by `%s`, seed %d: %s, %s in all, on %s.\n\n",
			time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(command), r.Plan.Seed, p.rounds, r.Took.Round(time.Second), machine())
		b.WriteString("| | measure | must | median | range | absolute |\n|---|---|---|---|---|---|\n")
		for _, m := range p.measures {
			b.WriteString(m.row())
		}
		if p.name == partIntake {
			r.limits(&b)
		}
		out = append(out, Block{p.name, b.String()})
	}
	return out
}

// row is a measure's line of the table.
func (m measure) row() string {
	must := ""
	if m.must > 0 {
		word := "at most "
		if m.least {
			word = "at least "
		}
		must = fmt.Sprintf("%s%g%s", word, m.must, m.unit)
		if !m.met() {
			must += " (missed)"
		}
	}
	form := "%.2f%s"
	if m.unit == " MB" {
		form = "%.0f%s"
	}
	return fmt.Sprintf("| %s | %s | %s | "+form+" | "+form+" to "+form+" | %s |\n", m.id, m.what, must,
		m.value.Median, m.unit, m.value.Least, "", m.value.Most, m.unit, m.beside)
}

// limits writes the table of what was reached without docket.
func (r *Results) limits(b *strings.Builder) {
	b.WriteString("\nLimits of the same minutes, without docket:\n\n| limit | median | range |\n|---|---|---|\n")
	for _, l := range []struct {
		what  string
		value func(Limits) float64
	}{
		{"append and flush, 100 findings a write, findings/s", func(l Limits) float64 { return l.Append }},
		{"JetStream with SyncAlways, 100 findings a message, findings/s", func(l Limits) float64 { return l.JetStream }},
		{"HTTP on loopback, one finding a request, 64 clients, requests/s", func(l Limits) float64 { return l.HTTP }},
	} {
		var v []float64
		for _, rep := range r.Repetitions {
			v = append(v, l.value(rep.Before), l.value(rep.After))
		}
		s := spread(v)
		fmt.Fprintf(b, "| %s | %s | %s to %s |\n", l.what, number(s.Median), number(s.Least), number(s.Most))
	}
}

// machine says what the numbers were measured on.
func machine() string {
	return fmt.Sprintf("%d cores (%s/%s), %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// number writes a whole number with a comma before each three digits.
func number(f float64) string {
	s := fmt.Sprintf("%.0f", f)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// The lines of a document between which Write puts the text of a part.
func beginMark(part string) string { return "<!-- results: " + part + " -->\n" }
func endMark(part string) string   { return "<!-- end of results: " + part + " -->\n" }

// Write replaces what stands between the marks of each part that was measured; the others stay as they are.
func Write(path string, blocks []Block) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	text := string(old)
	for _, b := range blocks {
		begin, end := beginMark(b.Part), endMark(b.Part)
		head, rest, ok1 := strings.Cut(text, begin)
		_, tail, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			return fmt.Errorf("write results: %s lacks the lines %q and %q", path, strings.TrimSpace(begin), strings.TrimSpace(end))
		}
		text = head + begin + b.Text + end + tail
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
