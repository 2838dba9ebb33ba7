package app

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/docket-hub/docket/internal/feeds"
)

// feedMetrics are what the feeds say of themselves when somebody asks.
type feedMetrics struct {
	status  atomic.Pointer[func() []feeds.Status]
	age     *prometheus.Desc
	stale   *prometheus.Desc
	entries *prometheus.Desc
	refused *prometheus.Desc
	checked *prometheus.Desc
	failing *prometheus.Desc
}

func newFeedMetrics() *feedMetrics {
	of := []string{"feed"}
	return &feedMetrics{
		age:     prometheus.NewDesc("docket_feed_age_seconds", "How old the copy of a feed in use is, by the date in it.", of, nil),
		stale:   prometheus.NewDesc("docket_feed_stale", "1 while that is more than risk.feeds.NAME.max_age.", of, nil),
		entries: prometheus.NewDesc("docket_feed_entries", "Entries of the copy in use; 0 where there is none.", of, nil),
		refused: prometheus.NewDesc("docket_feed_refused_rows", "Rows of it that could not be read and were left out.", of, nil),
		checked: prometheus.NewDesc("docket_feed_last_success_timestamp_seconds",
			"When the file or address was last looked at with success, since 1970; 0 for never.", of, nil),
		failing: prometheus.NewDesc("docket_feed_failing", "1 when the last look at the file or address failed.", of, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *feedMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.age, m.stale, m.entries, m.refused, m.checked, m.failing} {
		to <- d
	}
}

// Collect implements prometheus.Collector. A feed without a copy has no age.
func (m *feedMetrics) Collect(to chan<- prometheus.Metric) {
	ask := m.status.Load()
	if ask == nil {
		return
	}
	for _, s := range (*ask)() {
		gauge := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, string(s.Kind))
		}
		if !s.Date.IsZero() {
			gauge(m.age, s.Age.Seconds())
			gauge(m.stale, oneIf(s.Stale))
		}
		gauge(m.entries, float64(s.Entries))
		gauge(m.refused, float64(s.Refused.Count))
		checked := 0.0
		if !s.Checked.IsZero() {
			checked = float64(s.Checked.Unix())
		}
		gauge(m.checked, checked)
		gauge(m.failing, oneIf(s.Err != ""))
	}
}

// feedStatuses is how the feeds of the graph in force are doing; none while docket starts.
func (a *App) feedStatuses() []feeds.Status {
	if g := a.Graph(); g != nil {
		return g.feeds.statuses()
	}
	return nil
}
