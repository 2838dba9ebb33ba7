package triage

import (
	"fmt"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// benchSays are n findings in n/10 groups.
func benchSays(n int) []say {
	out := make([]say, n)
	for i := range out {
		out[i] = say{
			product: "Security Hub", account: "1111", control: fmt.Sprint("C", i/10), resource: fmt.Sprint("r", i),
			id: fmt.Sprint("id", i), status: pipeline.StatusOpen, severity: pipeline.High, observed: start, first: start,
		}
	}
	return out
}

func benchEnvelope(says []say, at time.Time) *pipeline.Envelope {
	e := &pipeline.Envelope{Source: "hub"}
	for _, s := range says {
		s.observed = at
		e.Items = append(e.Items, s.item())
	}
	return e
}

// BenchmarkDecideRepeat decides 500 unchanged repeats a batch.
func BenchmarkDecideRepeat(b *testing.B) {
	w := newWorld(standard())
	says := benchSays(500)
	if err := w.decide(Input{Envelope: benchEnvelope(says, start)}); err != nil {
		b.Fatal(err)
	}
	rules := w.config.rules()
	in := []Input{{Time: start.Add(hour), Envelope: benchEnvelope(says, start.Add(hour))}}
	b.ReportAllocs()
	for b.Loop() {
		cs, _, err := Decide(rules, w.state, in)
		if err != nil || len(cs.Touches) != len(says) || len(cs.Records) != 0 {
			b.Fatalf("Decide = %d touches, %d records, %v", len(cs.Touches), len(cs.Records), err)
		}
	}
	b.ReportMetric(float64(b.N*len(says))/b.Elapsed().Seconds(), "findings/s")
}

// BenchmarkDecideNew decides 500 new findings in 50 groups a batch.
func BenchmarkDecideNew(b *testing.B) {
	says := benchSays(500)
	rules := standard().rules()
	in := []Input{{Time: start, Envelope: benchEnvelope(says, start)}, {Time: start, Issue: &Issue{}}}
	b.ReportAllocs()
	for b.Loop() {
		cs, _, err := Decide(rules, NewLayer(nil), in)
		if err != nil || len(cs.Hot) != len(says) || len(cs.Outbox) != len(says)/10 {
			b.Fatalf("Decide = %d findings, %d actions, %v", len(cs.Hot), len(cs.Outbox), err)
		}
	}
	b.ReportMetric(float64(b.N*len(says))/b.Elapsed().Seconds(), "findings/s")
}
