package app

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Metrics is what docket measures of itself, in a registry of its own.
type Metrics struct {
	reg *prometheus.Registry

	findings     *prometheus.CounterVec
	rejected     prometheus.Counter
	cases        *prometheus.CounterVec
	tickets      *prometheus.CounterVec
	doubled      prometheus.Counter
	outcomes     *prometheus.CounterVec
	records      *prometheus.CounterVec
	pollFailures *prometheus.CounterVec
	lastPoll     *prometheus.GaugeVec
	reloadOK     prometheus.Gauge
	reloadTime   prometheus.Gauge
	noRoom       *prometheus.GaugeVec
	delivery     *deliveryMetrics
	feeds        *feedMetrics
}

// NewMetrics makes and registers all metrics; combinations that are known from the start show as zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		reg: prometheus.NewRegistry(), delivery: newDeliveryMetrics(), feeds: newFeedMetrics(),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_findings_total", Help: "Reports that triage judged, by what it found them to be.",
		}, []string{"kind"}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "docket_findings_rejected_total", Help: "Records that were refused and kept as rejects.",
		}),
		cases: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_cases_total", Help: "Changes of cases.",
		}, []string{"change"}),
		tickets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_tickets_total", Help: "Delivered changes of tickets.",
		}, []string{"change"}),
		doubled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "docket_duplicate_tickets_total", Help: "Second tickets of one case and sink that were met; each is linked and closed.",
		}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_outcomes_total", Help: "Outcomes of actions by sink and result.",
		}, []string{"sink", "result"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_source_records_total", Help: "Records that a source handed over.",
		}, []string{"source"}),
		pollFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_source_poll_failures_total", Help: "Polls of a source that failed.",
		}, []string{"source"}),
		lastPoll: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "docket_source_last_success_timestamp_seconds", Help: "When a source was last polled with success, since 1970.",
		}, []string{"source"}),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "docket_config_last_reload_successful", Help: "1 when the last reload of the configuration succeeded, else 0.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "docket_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was loaded, since 1970.",
		}),
		noRoom: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "docket_disk_full", Help: "1 while a part of data_dir cannot be written because the disk or a quota is full, or it is read-only.",
		}, []string{"part"}),
	}
	m.reg.MustRegister(m.noRoom, m.findings, m.rejected, m.cases, m.tickets, m.doubled, m.outcomes, m.records, m.pollFailures, m.lastPoll,
		m.reloadOK, m.reloadTime, m.delivery, m.feeds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, part := range []string{partState, partStream} {
		m.noRoom.WithLabelValues(part)
	}
	for _, kind := range []string{"new", "changed", "unchanged", "older"} {
		m.findings.WithLabelValues(kind)
	}
	for _, change := range []string{"opened", "closed", "reopened"} {
		m.cases.WithLabelValues(change)
	}
	for _, change := range []string{"created", "updated", "closed"} {
		m.tickets.WithLabelValues(change)
	}
	return m
}

// Registry is where further metrics are registered.
func (m *Metrics) Registry() *prometheus.Registry { return m.reg }

// Handler serves the metrics in Prometheus' text form.
func (m *Metrics) Handler() http.Handler { return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{}) }

func (m *Metrics) decided(s triage.Summary, rejects []pipeline.Reject) {
	m.findings.WithLabelValues("new").Add(float64(s.New))
	m.findings.WithLabelValues("changed").Add(float64(s.Changed))
	m.findings.WithLabelValues("unchanged").Add(float64(s.Unchanged))
	m.findings.WithLabelValues("older").Add(float64(s.Older))
	m.rejected.Add(float64(len(rejects)))
	m.cases.WithLabelValues("opened").Add(float64(s.Opened))
	m.cases.WithLabelValues("closed").Add(float64(s.Closed))
	m.cases.WithLabelValues("reopened").Add(float64(s.Reopened))
	m.doubled.Add(float64(s.TicketsDoubled))
	m.tickets.WithLabelValues("created").Add(float64(s.TicketsCreated))
	m.tickets.WithLabelValues("updated").Add(float64(s.TicketsUpdated))
	m.tickets.WithLabelValues("closed").Add(float64(s.TicketsClosed))
}

func (m *Metrics) attempted(o *pipeline.Outcome) {
	m.outcomes.WithLabelValues(o.Sink, string(o.Result)).Inc()
}

func (m *Metrics) polled(source string, records int, err error) {
	m.records.WithLabelValues(source).Add(float64(records))
	if err != nil {
		m.pollFailures.WithLabelValues(source).Inc()
		return
	}
	m.lastPoll.WithLabelValues(source).SetToCurrentTime()
}

func (m *Metrics) reloaded(err error) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadTime.SetToCurrentTime()
}
