//go:build unix

package app

import (
	"bytes"
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/internal/bench"
)

// inMemory is a body as the server hands it over.
type inMemory struct {
	*bytes.Reader
	text []byte
}

func (m inMemory) Whole() []byte { return m.text }

// benchmarkPush measures one finding of a load, perBody a body, from the body to the encoded envelope.
func benchmarkPush(b *testing.B, mix bench.Mix, perBody int) {
	g := benchGraph(b)
	s := g.Source("ci")
	bodies := bench.New(bench.Options{Seed: 1, Mix: mix}).Bodies(20_000, perBody)
	push := s.Source.Source.(connectors.Pusher)
	b.ReportAllocs()
	records, size := 0, 0
	var spent, began time.Duration
	defer func() {
		b.ReportMetric(float64(spent+cpu(b)-began)/float64(records), "cpu-ns/finding")
		b.ReportMetric(float64(size)/float64(records), "bytes/finding")
	}()
	began = cpu(b)
	for i := 0; b.Loop(); i++ {
		body := bodies[i%len(bodies)]
		if i%len(bodies) == 0 && i > 0 {
			b.StopTimer()
			spent += cpu(b) - began
			g = benchGraph(b) // what was seen in the round before is forgotten
			s = g.Source("ci")
			b.StartTimer()
			began = cpu(b)
		}
		in := g.intake(s, "r", &discard{}, time.Now)
		if _, err := push.Push(context.Background(), inMemory{bytes.NewReader(body.Data), body.Data}, connectors.Push{}, in); err != nil {
			b.Fatal(err)
		}
		records += len(body.Records)
		size += len(body.Data)
	}
}

// cpu is what this process used so far, with its collector of garbage.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkPushStandard(b *testing.B) { benchmarkPush(b, bench.Standard(), 100) }
func BenchmarkPushQuarter(b *testing.B)  { benchmarkPush(b, bench.Quarter(), 100) }
func BenchmarkPushFresh(b *testing.B)    { benchmarkPush(b, bench.Fresh(), 100) }
func BenchmarkPushSingle(b *testing.B)   { benchmarkPush(b, bench.Standard(), 1) }
