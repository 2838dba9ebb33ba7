package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// What docket must reach, as shares of the limits or absolute.
const (
	mustRate   = 0.4 // P1
	mustSingle = 0.3 // P1b
	mustCPU    = 3.5 // P5, seconds
	mustGrowth = 2.0 // P10
	mustFast   = 0.80
	mustSlow   = 0.95 // P4
	mustBeyond = 70   // P3, ms: 20 of the tracker and 50 of docket
	mustRefuse = 200
	mustDrain  = 0.9 // P9
)

// Size is the plan of a named size: smoke takes two and a half minutes, standard is
// what docs/performance.md shows.
func Size(name string) (Plan, error) {
	switch name {
	case "smoke":
		return Plan{Findings: 10_000, Singles: 3000, Few: 10_000, Known: 50_000, Repetitions: 2, Tickets: 5000, Steady: 6 * time.Second, Deliveries: 1}, nil
	case "standard":
		return Plan{Findings: 100_000, Singles: 20_000, Few: 10_000, Known: 1_000_000, Repetitions: 5, Tickets: 20_000, Steady: 30 * time.Second, Deliveries: 5}, nil
	}
	return Plan{}, fmt.Errorf("unknown size %q: use smoke or standard", name)
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
	if m.must == 0 {
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

func (r *Results) measures() []measure { return append(r.intake(), r.delivery()...) }

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
	if g := r.Growth; g != nil {
		few, many := spread(g.FewCPU), spread(g.ManyCPU)
		list = append(list, measure{
			id: "P10", what: fmt.Sprintf("CPU per finding at %s known over the same at %s", number(float64(g.Known)), number(float64(g.Few))), must: mustGrowth,
			value:  spread(g.Ratios()),
			beside: fmt.Sprintf("%.2f over %.2f s per 100,000 of the standard mix; peak memory %d MB", many.Median, few.Median, g.RSS>>20),
		})
	}
	return list
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
	for _, m := range r.measures() {
		if !m.met() {
			errs = append(errs, fmt.Errorf("%s: %.2f%s; must be %.2f", m.id, m.value.Median, m.unit, m.must))
		}
	}
	return errors.Join(errs...)
}

// Markdown is the table of the results, with what is needed to repeat them.
func (r *Results) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Made on %s by `%s`, seed %d: %d findings a load, %d repetitions (%d void), %s in all, on %s.\n\n",
		time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(command), r.Plan.Seed, r.Plan.Findings, len(r.Repetitions), r.Voided, r.Took.Round(time.Second), machine())
	b.WriteString("| | measure | must | median | range | absolute |\n|---|---|---|---|---|---|\n")
	for _, m := range r.measures() {
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
		fmt.Fprintf(&b, "| %s | %s | %s | "+form+" | "+form+" to "+form+" | %s |\n", m.id, m.what, must,
			m.value.Median, m.unit, m.value.Least, "", m.value.Most, m.unit, m.beside)
	}
	if len(r.Repetitions) == 0 {
		return b.String()
	}
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
		fmt.Fprintf(&b, "| %s | %s | %s to %s |\n", l.what, number(s.Median), number(s.Least), number(s.Most))
	}
	return b.String()
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

// The lines of a document between which Write puts the results.
const (
	beginMark = "<!-- results -->\n"
	endMark   = "<!-- end of results -->\n"
)

// Write replaces what stands between the two marks of the document.
func Write(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	head, rest, ok1 := strings.Cut(string(old), beginMark)
	_, tail, ok2 := strings.Cut(rest, endMark)
	if !ok1 || !ok2 {
		return fmt.Errorf("write results: %s lacks the lines %q and %q", path, strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	if err := os.WriteFile(path, []byte(head+beginMark+text+endMark+tail), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
