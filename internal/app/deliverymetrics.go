package app

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/docket-hub/docket/pipeline/deliver"
)

// deliveryMetrics are what the loops of the sinks say of themselves when somebody asks.
type deliveryMetrics struct {
	status   atomic.Pointer[func() []deliver.Status]
	attempts *prometheus.Desc
	inHand   *prometheus.Desc
	waiting  *prometheus.Desc
	held     *prometheus.Desc
	breaker  *prometheus.Desc
}

func newDeliveryMetrics() *deliveryMetrics {
	return &deliveryMetrics{
		attempts: prometheus.NewDesc("docket_delivery_attempts_total",
			"Attempts at actions by sink and how they ended, since the sink's settings were loaded.", []string{"sink", "result"}, nil),
		inHand:  prometheus.NewDesc("docket_delivery_in_hand", "Actions that a worker has in hand, those that wait included.", []string{"sink"}, nil),
		waiting: prometheus.NewDesc("docket_delivery_waiting", "Actions that can do nothing before some time.", []string{"sink"}, nil),
		held: prometheus.NewDesc("docket_delivery_held",
			"1 while no call of a sink may start, by why: brake, credentials, retry_after, breaker.", []string{"sink", "why"}, nil),
		breaker: prometheus.NewDesc("docket_delivery_breaker_open", "1 while a sink does not answer and is asked by one call at a time.", []string{"sink"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *deliveryMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.attempts, m.inHand, m.waiting, m.held, m.breaker} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *deliveryMetrics) Collect(to chan<- prometheus.Metric) {
	ask := m.status.Load()
	if ask == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range (*ask)() {
		for result, n := range s.Attempts {
			to <- prometheus.MustNewConstMetric(m.attempts, prometheus.CounterValue, float64(n), s.Sink, result)
		}
		gauge(m.inHand, float64(s.InFlight), s.Sink)
		gauge(m.waiting, float64(s.Waiting), s.Sink)
		why := s.Why()
		for _, word := range []string{deliver.WhyBrake, deliver.WhyCredentials, deliver.WhyRetryAfter, deliver.WhyBreaker} {
			gauge(m.held, oneIf(word == why), s.Sink, word)
		}
		gauge(m.breaker, oneIf(s.Open), s.Sink)
	}
}

func oneIf(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

// statuses are what the loops that run say of themselves.
func (a *App) statuses() []deliver.Status {
	list := a.deliveries()
	out := make([]deliver.Status, len(list))
	for i, d := range list {
		out[i] = d.loop.Status()
	}
	return out
}
