package limits

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLimits(t *testing.T) {
	dir := t.TempDir()
	findings := make([][]byte, 250)
	for i := range findings {
		findings[i] = make([]byte, 2000)
	}
	for name, measure := range map[string]func() (float64, error){
		"RawAppend":       func() (float64, error) { return RawAppend(dir, 2000, 5) },
		"PackedJetStream": func() (float64, error) { return PackedJetStream(t.Context(), dir, findings, 100) },
		"BareHTTP":        func() (float64, error) { return BareHTTP(t.Context(), findings[0], 8, 200) },
	} {
		t.Run(name, func(t *testing.T) {
			rate, err := measure()
			if err != nil || rate <= 0 {
				t.Errorf("%s = %v, %v; want a rate above 0", name, rate, err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	took, err := PacedAppend(ctx, dir, 2000, time.Millisecond)
	if err != nil || len(took) == 0 || slices.Min(took) <= 0 {
		t.Errorf("PacedAppend() = %v, %v; want some flushes, each of a time above 0", took, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("ReadDir = %v, %v; want nothing left behind", left, err)
	}
}

func TestInParallelStopsAtErrors(t *testing.T) {
	refused := errors.New("refused")
	err := inParallel(3, 100, func(i int) error {
		if i >= 10 {
			return refused
		}
		return nil
	})
	if !errors.Is(err, refused) {
		t.Errorf("inParallel = %v; want %v", err, refused)
	}
}

func BenchmarkLimits(b *testing.B) {
	dir := b.TempDir()
	findings := make([][]byte, 10_000)
	for i := range findings {
		findings[i] = make([]byte, 3500)
	}
	for b.Loop() {
		raw, err := RawAppend(dir, 350_000, 100)
		if err != nil {
			b.Fatal(err)
		}
		packed, err := PackedJetStream(b.Context(), dir, findings, 100)
		if err != nil {
			b.Fatal(err)
		}
		bare, err := BareHTTP(b.Context(), findings[0], 64, 20_000)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(raw*100, "appended-findings/s")
		b.ReportMetric(packed, "packed-findings/s")
		b.ReportMetric(bare, "requests/s")
	}
}
