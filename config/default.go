package config

import (
	"path/filepath"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Default is the configuration before the user's values are laid over it. Each
// call returns its own maps and slices.
func Default() Config {
	reopen, recheck, wait := 7*day, day, time.Duration(0)
	return Config{
		DataDir:   "./data",
		Stream:    Stream{Keep: 7 * day, MaxBytes: 10 << 30},
		Retention: Retention{Resolved: 180 * day, Audit: 400 * day},
		Server:    Server{Listen: "127.0.0.1:8080"},
		AWS:       AWS{Regions: []string{"all"}, SessionName: "docket"},
		Risk: Risk{
			Severity: map[pipeline.Severity]int{pipeline.Critical: 90, pipeline.High: 70,
				pipeline.Medium: 40, pipeline.Low: 20, pipeline.Informational: 0},
			Weights:    map[string]int{},
			Thresholds: map[pipeline.Priority]int{pipeline.P1: 90, pipeline.P2: 70, pipeline.P3: 40, pipeline.P4: 20},
			SLA:        SLA{Start: "first_observed", P1: day, P2: 7 * day, P3: 30 * day, P4: 90 * day},
		},
		Ack: Ack{For: 7 * day, Max: 30 * day, Remind: day},
		Route: Route{
			GroupBy: []string{"account", "control"}, For: &wait, TicketsFrom: pipeline.P4,
			ReopenWindow: &reopen, RecheckAfter: &recheck,
			Flap: Flap{Times: 5, Within: 7 * day, Quiet: 7 * day},
		},
		Limits:   Limits{MaxNewTicketsPerHour: 100, FirstRun: "go"},
		Close:    Close{MaxRatio: 0.5, Min: 20},
		TimeZone: "UTC",
		zone:     time.UTC,
	}
}

// DefaultUnsure are the timings of a sink that names none.
func DefaultUnsure() Unsure {
	return Unsure{Deadline: 20 * time.Second, Pause: 10 * time.Second, Late: 30 * time.Second,
		Grace: time.Minute, Lag: time.Minute, Settle: 40 * time.Second, Looks: 3, Lease: 30 * time.Second}
}

// How many calls of a sink may run at a time when nobody says. Writes of files are cheap, and
// more of them share each flush of docket's own records.
const (
	DefaultConcurrency     = 8
	DefaultFileConcurrency = 64
)

func (s *Sink) setDefaults() { s.Unsure = DefaultUnsure() }

// Calls is how many calls of the sink may run at a time.
func (s *Sink) Calls() int {
	switch {
	case s.Concurrency > 0:
		return s.Concurrency
	case s.Type == "file":
		return DefaultFileConcurrency
	}
	return DefaultConcurrency
}
func (n *NATS) setDefaults() { n.Replicas = 1 }

// CISA releases its catalogue when there is something to add, now and then after more than a week; EPSS is made anew every day.
func (k *KEVFeed) setDefaults() { k.MaxAge, k.Interval = 14*day, day }

func (e *EPSSFeed) setDefaults() { e.MaxAge, e.Interval, e.Likely = 7*day, day, 0.5 }

// Path makes a path of the file absolute or relative to the working directory:
// a relative one starts at the configuration's folder, the empty one stays empty.
func (c *Config) Path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.Dir, p)
}

// Location is time_zone.
func (c *Config) Location() *time.Location { return c.zone }
