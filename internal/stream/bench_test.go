//go:build unix

package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sample is n findings of 3.5 KB that compress about as Security Hub's do: the
// same words again and again, and identifiers that are all different.
func sample(n int) []byte {
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	var b []byte
	for range n {
		for range 14 {
			b = fmt.Appendf(b, `{"Id":"arn:aws:securityhub:eu-west-1:%012d:%016x%016x","GeneratorId":"aws-foundational-security-best-practices/v/1.0.0/EC2.%d",`+
				`"AwsAccountId":"%012d","Remediation":{"Recommendation":{"Text":"see the documentation of this control"}}},`,
				random.Uint64N(1e12), random.Uint64(), random.Uint64(), random.IntN(30), random.Uint64N(1e12))
		}
	}
	return b
}

// BenchmarkPublishFindings measures payloads of 1 and of 100 findings of
// about 3.5 KB, from 1 to 64 callers. CPU is that of the process, server included.
func BenchmarkPublishFindings(b *testing.B) {
	for _, findings := range []int{1, 100} {
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("findings=%d/callers=%d", findings, callers), func(b *testing.B) {
				s := open(b, Options{})
				payload := sample(findings)
				var left atomic.Int64
				left.Store(int64(b.N))
				var group sync.WaitGroup
				before := cpu()
				b.ResetTimer()
				for range callers {
					group.Go(func() {
						for left.Add(-1) >= 0 {
							if err := s.PublishFindings(context.Background(), payload); err != nil {
								b.Error(err)
							}
						}
					})
				}
				group.Wait()
				b.StopTimer()
				n := float64(b.N * findings)
				b.ReportMetric(n/b.Elapsed().Seconds(), "findings/s")
				b.ReportMetric(float64((cpu()-before).Microseconds())/n, "cpu-us/finding")
			})
		}
	}
}

// BenchmarkReadFindings reads messages of 100 findings of 3.5 KB.
func BenchmarkReadFindings(b *testing.B) {
	s := open(b, Options{})
	const stored = 300
	payload := sample(100)
	for range stored {
		if err := s.PublishFindings(context.Background(), payload); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	before, read := cpu(), 0
	for b.Loop() {
		r, err := s.Findings(1)
		if err != nil {
			b.Fatal(err)
		}
		for got := 0; got < stored; {
			m, err := r.Next(context.Background(), 100, time.Second)
			if err != nil {
				b.Fatal(err)
			}
			got += len(m)
		}
		read += stored
		r.Close()
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(read), "cpu-us/message")
}

// BenchmarkActions publishes, takes and finishes actions of 3 KB, 100 at a time.
func BenchmarkActions(b *testing.B) {
	s := open(b, Options{})
	c, err := s.Actions(context.Background(), "jira")
	if err != nil {
		b.Fatal(err)
	}
	before, n := cpu(), 0
	for b.Loop() {
		actions := actionsOf("jira", 100)
		for i := range actions {
			actions[i].ID, actions[i].Data = "", make([]byte, 3000)
		}
		if err := s.PublishActions(context.Background(), actions); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < len(actions); {
			deliveries, err := c.Fetch(context.Background(), len(actions), time.Second)
			if err != nil {
				b.Fatal(err)
			}
			for _, d := range deliveries {
				if err := d.Done(); err != nil {
					b.Fatal(err)
				}
			}
			got += len(deliveries)
		}
		n += len(actions)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "actions/s")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(n), "cpu-us/action")
}
