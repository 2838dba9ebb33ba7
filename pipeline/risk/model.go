package risk

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
)

// Model turns a finding into a priority. It is safe for concurrent use.
type Model struct {
	severity   map[pipeline.Severity]int
	points     map[string]int    // of every known factor
	meaning    map[string]string // of every known factor
	factors    []factor
	thresholds [4]int // P1 to P4
	rules      []rule
	sla        SLA
	likely     float64 // EPSS score of LikelyExploited
	feeds      Feeds
}

type factor struct {
	name   string
	when   *expr.Program
	points int
}

func (f factor) source() string {
	if f.when == nil {
		return ""
	}
	return f.when.Source()
}

type rule struct {
	path     string
	when     *expr.Program
	priority pipeline.Priority
}

// Assess works out f's priority. Reasons holds, in this order: the severity,
// every factor with the points it gave (also those that gave none), and what
// decided, a rule or a threshold. An expression that failed counts as false and stands in Errors.
func (m *Model) Assess(f *pipeline.Finding) pipeline.Explanation {
	f, told := m.enrich(f)
	out := pipeline.Explanation{Feeds: told}
	severity := m.severity[f.Severity]
	out.Score = severity
	out.Reasons = make([]pipeline.Reason, 0, len(f.RiskFactors)+2)
	why := ""
	if f.Severity == pipeline.SeverityUnknown {
		why = "no source gave one"
	}
	out.Reasons = append(out.Reasons, pipeline.Reason{What: "severity " + f.Severity.String(), Points: severity, Why: why})
	for _, name := range f.RiskFactors {
		if slices.ContainsFunc(m.factors, func(own factor) bool { return own.name == name }) {
			continue // its own condition decides, below
		}
		m.count(&out, name)
	}
	if len(m.factors) > 0 || len(m.rules) > 0 {
		m.assessOwn(&out, f)
	}
	if out.Rule == "" {
		m.threshold(&out)
	}
	return out
}

// count adds the points of one factor.
func (m *Model) count(out *pipeline.Explanation, name string) {
	points := m.points[name]
	why, known := m.meaning[name]
	if !known {
		why = "named by the source; no points are set for it"
	}
	out.Score += points
	reason := pipeline.Reason{What: name, Points: points, Why: why}
	m.sourced(&reason, out.Feeds)
	out.Reasons = append(out.Reasons, reason)
}

// Extend is f with what the feeds say of it, and the names of the user's own factors that hold added to
// RiskFactors, so that routes and suppressions see them: f itself when there is nothing to add, else a
// shallow copy. Their names do not belong into state, since a changed configuration
// changes them. Expressions that fail count as false; Assess tells which.
func (m *Model) Extend(f *pipeline.Finding) *pipeline.Finding {
	f, _ = m.enrich(f)
	if len(m.factors) == 0 {
		return f
	}
	var ignored pipeline.Explanation
	subject := expr.NewSubject(f)
	factors := f.RiskFactors
	for i := range m.factors {
		if own := &m.factors[i]; holds(own.when, subject, own.name, &ignored) && !slices.Contains(factors, own.name) {
			factors = append(slices.Clip(factors), own.name)
		}
	}
	return extended(f, factors)
}

// extended is f with other factors; f itself when there are no more than it has.
func extended(f *pipeline.Finding, factors []string) *pipeline.Finding {
	if len(factors) == len(f.RiskFactors) {
		return f
	}
	grown := *f
	grown.RiskFactors = slices.Sorted(slices.Values(factors))
	return &grown
}

// assessOwn runs the user's factors, then the rules.
func (m *Model) assessOwn(out *pipeline.Explanation, f *pipeline.Finding) {
	subject := expr.NewSubject(f)
	factors := f.RiskFactors
	for i := range m.factors {
		own := &m.factors[i]
		if !holds(own.when, subject, "factor "+own.name, out) {
			continue
		}
		m.count(out, own.name)
		if !slices.Contains(factors, own.name) {
			factors = append(slices.Clip(factors), own.name)
		}
	}
	if len(m.rules) == 0 {
		return
	}
	if grown := extended(f, factors); grown != f {
		subject = expr.NewSubject(grown)
	}
	for i := range m.rules {
		r := &m.rules[i]
		if holds(r.when, subject, r.path, out) {
			out.Priority, out.Rule = r.priority, r.path
			out.Reasons = append(out.Reasons, pipeline.Reason{What: "rule " + r.path,
				Why: fmt.Sprintf("%s because %s", r.priority, r.when.Source())})
			return
		}
	}
}

func holds(p *expr.Program, s *expr.Subject, what string, out *pipeline.Explanation) bool {
	yes, err := p.Eval(s)
	if err != nil {
		out.Errors = append(out.Errors, what+": "+err.Error())
	}
	return yes
}

// threshold turns the score into the priority.
func (m *Model) threshold(out *pipeline.Explanation) {
	out.Priority = pipeline.P5
	why := fmt.Sprintf("P5 because it is below the %d of P4", m.thresholds[3])
	for i, least := range m.thresholds {
		if out.Score >= least {
			out.Priority = pipeline.P1 + pipeline.Priority(i)
			why = fmt.Sprintf("%s because it is at least %d", out.Priority, least)
			break
		}
	}
	out.Reasons = append(out.Reasons, pipeline.Reason{What: fmt.Sprintf("score %d", out.Score), Why: why})
}

// Due is the instant by which something of priority p that started at start
// must be solved; zero when p has no limit or start is zero.
func (m *Model) Due(p pipeline.Priority, start time.Time) time.Time {
	limit := m.sla.Due[p]
	if limit <= 0 || start.IsZero() {
		return time.Time{}
	}
	return start.Add(limit)
}

// SLAStart is where the time of an SLA starts: one of the Start constants.
func (m *Model) SLAStart() string { return m.sla.Start }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// nearest ends the message about an unknown factor.
func nearest(name string) string {
	var all []string
	for _, f := range BuiltinFactors() {
		all = append(all, f.Name)
	}
	if best := expr.Nearest(name, all); best != "" {
		return ", did you mean " + best + "?"
	}
	return "; there are " + strings.Join(all, ", ")
}
