package server

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// otherRoute stands in metrics for every path that is no route.
const otherRoute = "other"

// metrics is what the server measures of itself. The labels are closed sets:
// the routes, and the statuses that docket answers.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	findings *prometheus.CounterVec
	panics   prometheus.Counter
}

func newMetrics(reg *prometheus.Registry, routes []route) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_http_requests_total", Help: "HTTP requests by route and status.",
		}, []string{"route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "docket_http_request_duration_seconds", Help: "How long HTTP requests took, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600},
		}, []string{"route"}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_http_ingest_findings_total", Help: "Findings that were sent by HTTP, by what became of them.",
		}, []string{"result"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "docket_http_panics_total", Help: "Requests that ended in a defect of docket.",
		}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.findings, m.panics} {
		errs = append(errs, reg.Register(c))
	}
	for _, rt := range routes {
		m.requests.WithLabelValues(rt.pattern(), strconv.Itoa(rt.status()))
		m.duration.WithLabelValues(rt.pattern())
	}
	for _, result := range []string{"accepted", "rejected"} {
		m.findings.WithLabelValues(result)
	}
	return m, errors.Join(errs...)
}

func (m *metrics) served(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}
