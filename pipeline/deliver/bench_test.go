package deliver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

type benchQueue struct {
	next, end int64
	left      atomic.Int64
}

func (q *benchQueue) Fetch(_ context.Context, n int) (out []deliver.Message, err error) {
	for ; n > 0 && q.next < q.end; n-- {
		a := action(1, 1, pipeline.Ref{})
		a.Case = fmt.Sprint("DK-", q.next)
		data, err := json.Marshal(a)
		if err != nil {
			return nil, err
		}
		q.next++
		out = append(out, benchMessage{q, data})
	}
	return out, nil
}

type benchMessage struct {
	q    *benchQueue
	data []byte
}

func (m benchMessage) Action() (a pipeline.Action, err error) {
	err = json.Unmarshal(m.data, &a)
	return a, err
}
func (m benchMessage) Done() error                      { m.q.left.Add(-1); return nil }
func (m benchMessage) NakWithDelay(time.Duration) error { return nil }
func (m benchMessage) InProgress() error                { return nil }

type benchSink struct{}

func (benchSink) Apply(context.Context, pipeline.Ticket) (pipeline.Applied, error) {
	return pipeline.Applied{Ref: pipeline.Ref{ID: "x"}}, nil
}

type benchOutcomes struct{}

func (benchOutcomes) Publish(context.Context, pipeline.Outcome) error { return nil }

// BenchmarkDeliver is the cost of one action round a sink that costs nothing: two flushed writes of its claim, shared.
func BenchmarkDeliver(b *testing.B) {
	for _, calls := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("calls_", calls), func(b *testing.B) {
			claims, err := state.OpenClaims(filepath.Join(b.TempDir(), "claims.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer claims.Close()
			if err := claims.Rebuild(nil); err != nil {
				b.Fatal(err)
			}
			q := &benchQueue{end: int64(b.N)}
			q.left.Store(q.end)
			l, err := deliver.New(deliver.Options{
				Name: "jira", Sink: benchSink{}, Claims: claims, Queue: q, Outcomes: benchOutcomes{},
				Holder: "b", Alone: true, Concurrency: calls,
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for q.left.Load() > 0 {
				if _, err := l.RunOnce(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// slowSink answers after a while, as a tracker does.
type slowSink struct{ latency time.Duration }

func (s slowSink) Apply(context.Context, pipeline.Ticket) (pipeline.Applied, error) {
	time.Sleep(s.latency)
	return pipeline.Applied{Ref: pipeline.Ref{ID: "x"}}, nil
}

// flushedOutcomes costs a flush that those who publish together share, as a stream does.
type flushedOutcomes struct{ claims *state.Claims }

func (o flushedOutcomes) Publish(ctx context.Context, out pipeline.Outcome) error {
	_, err := o.claims.Swap(ctx, fmt.Sprintf("o/%s/%d", out.Case, out.N), 0, deliver.Claim{N: out.N, Outcome: &out})
	return err
}

// BenchmarkConnections is how much of what 64 connections can do comes through, against a tracker of
// that answer time: the metric "ratio" is tickets a second over 64 / latency (P4 in docs/performance.md).
func BenchmarkConnections(b *testing.B) {
	for _, latency := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond} {
		b.Run(latency.String(), func(b *testing.B) {
			open := func(name string) *state.Claims {
				c, err := state.OpenClaims(filepath.Join(b.TempDir(), name))
				if err == nil {
					err = c.Rebuild(nil)
				}
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { c.Close() })
				return c
			}
			q := &benchQueue{end: int64(b.N)}
			q.left.Store(q.end)
			l, err := deliver.New(deliver.Options{
				Name: "jira", Sink: slowSink{latency}, Claims: open("claims.db"), Queue: q, Outcomes: flushedOutcomes{open("outcomes.db")},
				Holder: "b", Alone: true, Concurrency: 64,
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			b.ResetTimer()
			go func() { defer close(ended); _ = l.Run(ctx) }() // its error is always nil
			for q.left.Load() > 0 {
				time.Sleep(time.Millisecond)
			}
			took := b.Elapsed()
			b.StopTimer()
			cancel()
			<-ended
			b.ReportMetric(float64(b.N)/took.Seconds()/(64/latency.Seconds()), "ratio")
		})
	}
}
