package bench

import (
	"context"
	"testing"
	"time"
)

// TestWholeMeasurement runs the real binary under a small load: what is
// accepted, judged and written must add up.
func TestWholeMeasurement(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs docket")
	}
	dir := t.TempDir()
	binary, err := Build(t.Context(), ".", dir)
	if err != nil {
		t.Fatal(err)
	}
	p := Plan{Binary: binary, Dir: dir, Seed: 11, Findings: 800, Singles: 128, Few: 80, Known: 160, Progress: t.Logf}
	standard := makeLoad(Options{Seed: p.Seed, Mix: Standard()}, p.Findings, clients, 20)
	single := makeLoad(Options{Seed: p.Seed + 1, Mix: Standard()}, p.Singles, singleClients, 1)
	d, err := Start(t.Context(), binary, dir, Setup{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Stop(); err != nil {
			t.Errorf("Stop() = %v; want a clean end", err)
		}
	}()
	sent, err := d.Send(t.Context(), standard.clients)
	if err != nil {
		t.Fatal(err)
	}
	if want := standard.counts.Events - standard.counts.Malformed; sent.Accepted != want || sent.Rejected != standard.counts.Malformed {
		t.Errorf("Send() = %+v; want %d accepted and %d rejected", sent, want, standard.counts.Malformed)
	}
	if err := p.complete(t.Context(), d, &standard); err != nil {
		t.Error(err)
	}
	tickets, err := d.Tickets()
	if err != nil || tickets.Open == 0 || tickets.Doubled > 0 {
		t.Errorf("Tickets() = %+v, %v; want open ones, none doubled", tickets, err)
	}
	cpu, err := d.CPU()
	if err != nil || cpu <= 0 {
		t.Errorf("CPU() = %v, %v; want some", cpu, err)
	}
	if rss, err := d.PeakRSS(); err != nil || rss < 1<<20 {
		t.Errorf("PeakRSS() = %d, %v; want megabytes", rss, err)
	}
	if _, err := d.Send(t.Context(), single.clients); err != nil {
		t.Error(err)
	}
	p.Steady = time.Second
	if l, err := p.latency(t.Context()); err != nil || l.Findings != arrivals || l.Median < fast || l.P99 < l.Median || l.FlushP99 <= 0 {
		t.Errorf("latency() = %+v, %v; want %d findings, none faster than the tracker", l, err, arrivals)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Send(gone, standard.clients); err == nil {
		t.Error("Send() after its context ended = nil; want an error")
	}
}
