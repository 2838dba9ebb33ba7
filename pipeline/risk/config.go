package risk

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
)

// Config is how points become a priority. What a map leaves out keeps the value
// of DefaultConfig, so the zero Config is DefaultConfig.
type Config struct {
	Severity   map[pipeline.Severity]int // points that the severity alone gives
	Factors    []Factor                  // the user's own; each has a When
	Weights    map[string]int            // changed points of built-in factors
	Thresholds map[pipeline.Priority]int // P1 to P4: the lowest score of that priority; below all is P5
	Rules      []Rule                    // the first that matches decides
	SLA        SLA
	Likely     float64 // the EPSS score from which a vulnerability is likely_exploited; 0: DefaultLikely
}

// DefaultLikely is the EPSS score from which a vulnerability counts as likely to be exploited.
const DefaultLikely = 0.5

// Rule gives a priority whatever the score.
type Rule struct {
	When     string // CEL over finding; finding.risk_factors holds the user's own factors too
	Priority pipeline.Priority
}

// SLA is by when a case must be solved.
type SLA struct {
	Start string                              // StartFirstObserved (default), StartFirstSeen or StartTicketed
	Due   map[pipeline.Priority]time.Duration // zero or negative: no date
}

// Where the time of an SLA starts.
const (
	StartFirstObserved = "first_observed" // the source's word
	StartFirstSeen     = "first_seen"     // when docket first heard of it
	StartTicketed      = "ticketed"       // when the case got its ticket
)

// DefaultConfig is what applies where nothing is configured. A source that
// says no severity counts as MEDIUM: silence does not prove that it is harmless.
func DefaultConfig() Config {
	const day = 24 * time.Hour
	return Config{
		Severity: map[pipeline.Severity]int{pipeline.Critical: 90, pipeline.High: 70, pipeline.Medium: 40, pipeline.Low: 20,
			pipeline.Informational: 0, pipeline.SeverityUnknown: 40},
		Thresholds: map[pipeline.Priority]int{pipeline.P1: 90, pipeline.P2: 70, pipeline.P3: 40, pipeline.P4: 20},
		SLA: SLA{Start: StartFirstObserved, Due: map[pipeline.Priority]time.Duration{
			pipeline.P1: day, pipeline.P2: 7 * day, pipeline.P3: 30 * day, pipeline.P4: 90 * day}},
	}
}

// effective is c over the defaults.
func (c Config) effective() Config {
	d := DefaultConfig()
	if _, ok := c.Severity[pipeline.SeverityUnknown]; !ok {
		if medium, ok := c.Severity[pipeline.Medium]; ok {
			d.Severity[pipeline.SeverityUnknown] = medium
		}
	}
	maps.Copy(d.Severity, c.Severity)
	maps.Copy(d.Thresholds, c.Thresholds)
	maps.Copy(d.SLA.Due, c.SLA.Due)
	if c.SLA.Start != "" {
		d.SLA.Start = c.SLA.Start
	}
	d.Factors, d.Weights, d.Rules = c.Factors, c.Weights, c.Rules
	d.Likely = cmp.Or(c.Likely, DefaultLikely)
	return d
}

// compiler gathers every error of a configuration.
type compiler struct {
	env  *expr.Env
	errs []error
}

func (c *compiler) fail(path, format string, args ...any) {
	c.errs = append(c.errs, &expr.PathError{Path: path, Err: fmt.Errorf(format, args...)})
}

func (c *compiler) compile(path, src string) *expr.Program {
	if src == "" {
		c.fail(path, "an expression is needed")
		return nil
	}
	p, err := c.env.Compile(src)
	c.errs = append(c.errs, expr.At(path, err)...)
	return p
}

// New checks cfg and compiles its expressions. The error joins an
// *expr.PathError for everything that is wrong, in the order of the file.
func New(env *expr.Env, cfg Config) (*Model, error) {
	cfg = cfg.effective()
	c := &compiler{env: env}
	m := &Model{severity: cfg.Severity, sla: cfg.SLA, likely: cfg.Likely, points: map[string]int{}, meaning: map[string]string{}}
	for _, f := range BuiltinFactors() {
		m.points[f.Name], m.meaning[f.Name] = f.Points, f.Meaning
	}
	c.factors(m, cfg)
	c.thresholds(m, cfg)
	for i, r := range cfg.Rules {
		path := fmt.Sprintf("risk.rules[%d]", i)
		if r.Priority < pipeline.P1 || r.Priority > pipeline.P5 {
			c.fail(path+".priority", "P1, P2, P3, P4 or P5 is needed")
		}
		m.rules = append(m.rules, rule{path, c.compile(path+".when", r.When), r.Priority})
	}
	switch cfg.SLA.Start {
	case StartFirstObserved, StartFirstSeen, StartTicketed:
	default:
		c.fail("risk.sla.start", "unknown start %q: use %s, %s or %s", cfg.SLA.Start, StartFirstObserved, StartFirstSeen, StartTicketed)
	}
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return m, nil
}

func (c *compiler) factors(m *Model, cfg Config) {
	own := map[string]bool{}
	for i, f := range cfg.Factors {
		path := fmt.Sprintf("risk.factors[%d]", i)
		_, builtin := m.meaning[f.Name]
		switch {
		case f.Name == "":
			c.fail(path+".name", "a name is needed")
		case own[f.Name]:
			c.fail(path+".name", "%s is there twice", f.Name)
		case builtin:
			c.fail(path+".name", "%s is built in; change its points under risk.weights", f.Name)
		}
		own[f.Name] = true
		m.factors = append(m.factors, factor{f.Name, c.compile(path+".when", f.When), f.Points})
	}
	for _, name := range sortedKeys(cfg.Weights) {
		_, builtin := m.meaning[name]
		switch {
		case own[name]:
			c.fail("risk.weights."+name, "it is one of your own factors: set its points under risk.factors")
		case !builtin:
			c.fail("risk.weights."+name, "no such built-in factor%s", nearest(name))
		default:
			m.points[name] = cfg.Weights[name]
		}
	}
	for _, f := range m.factors {
		m.points[f.name], m.meaning[f.name] = f.points, "when "+f.source()
	}
}

func (c *compiler) thresholds(m *Model, cfg Config) {
	if _, ok := cfg.Thresholds[pipeline.P5]; ok {
		c.fail("risk.thresholds.P5", "P5 is everything below the other thresholds")
	}
	for p := pipeline.P1; p < pipeline.P5; p++ {
		m.thresholds[p-pipeline.P1] = cfg.Thresholds[p]
		if p > pipeline.P1 && cfg.Thresholds[p] >= cfg.Thresholds[p-1] {
			c.fail(fmt.Sprintf("risk.thresholds.%s", p), "%d is not below the %d of %s", cfg.Thresholds[p], cfg.Thresholds[p-1], p-1)
		}
	}
}
