package risk

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
)

func testModel(t testing.TB, cfg Config) *Model {
	t.Helper()
	env, err := expr.NewEnv()
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(env, cfg)
	if err != nil {
		t.Fatalf("New(%+v) = %v", cfg, err)
	}
	return m
}

func meaning(name string) string {
	for _, f := range BuiltinFactors() {
		if f.Name == name {
			return f.Meaning
		}
	}
	return ""
}

func TestAssess(t *testing.T) {
	crown := Config{Factors: []Factor{{Name: "crown_jewel", When: `finding.account.tags["tier"] == "0"`, Points: 30}}}
	ruled := Config{
		Factors: crown.Factors,
		Weights: map[string]int{Production: 15},
		Rules: []Rule{
			{When: `finding.raw.Sample == true`, Priority: pipeline.P5},
			{When: `"exposed_credential" in finding.risk_factors`, Priority: pipeline.P1},
			{When: `"crown_jewel" in finding.risk_factors`, Priority: pipeline.P2},
		},
	}
	tier0 := pipeline.Account{Tags: map[string]string{"tier": "0"}}
	tests := []struct {
		name    string
		cfg     Config
		finding pipeline.Finding
		want    pipeline.Explanation
	}{
		{"severity alone", Config{}, pipeline.Finding{Severity: pipeline.Medium}, pipeline.Explanation{Priority: pipeline.P3, Score: 40,
			Reasons: []pipeline.Reason{{What: "severity MEDIUM", Points: 40}, {What: "score 40", Why: "P3 because it is at least 40"}}}},
		{"below every threshold", Config{}, pipeline.Finding{Severity: pipeline.Informational}, pipeline.Explanation{Priority: pipeline.P5,
			Reasons: []pipeline.Reason{{What: "severity INFORMATIONAL"}, {What: "score 0", Why: "P5 because it is below the 20 of P4"}}}},
		{"no severity", Config{}, pipeline.Finding{}, pipeline.Explanation{Priority: pipeline.P3, Score: 40,
			Reasons: []pipeline.Reason{{What: "severity UNKNOWN", Points: 40, Why: "no source gave one"}, {What: "score 40", Why: "P3 because it is at least 40"}}}},
		{"factors", Config{}, pipeline.Finding{Severity: pipeline.High, RiskFactors: []string{PublicExposure, "seen_by_us"}}, pipeline.Explanation{Priority: pipeline.P1, Score: 90,
			Reasons: []pipeline.Reason{{What: "severity HIGH", Points: 70}, {What: PublicExposure, Points: 20, Why: meaning(PublicExposure)},
				{What: "seen_by_us", Why: "named by the source; no points are set for it"}, {What: "score 90", Why: "P1 because it is at least 90"}}}},
		{"one's own factor", crown, pipeline.Finding{Severity: pipeline.Medium, Account: tier0}, pipeline.Explanation{Priority: pipeline.P2, Score: 70,
			Reasons: []pipeline.Reason{{What: "severity MEDIUM", Points: 40}, {What: "crown_jewel", Points: 30, Why: `when finding.account.tags["tier"] == "0"`},
				{What: "score 70", Why: "P2 because it is at least 70"}}}},
		{"one's own factor does not hold", crown, pipeline.Finding{Severity: pipeline.Medium, RiskFactors: []string{"crown_jewel"}}, pipeline.Explanation{Priority: pipeline.P3, Score: 40,
			Reasons: []pipeline.Reason{{What: "severity MEDIUM", Points: 40}, {What: "score 40", Why: "P3 because it is at least 40"}}}},
		{"a changed weight, a failing rule", ruled, pipeline.Finding{Severity: pipeline.Low, RiskFactors: []string{Production}}, pipeline.Explanation{Priority: pipeline.P4, Score: 35,
			Reasons: []pipeline.Reason{{What: "severity LOW", Points: 20}, {What: Production, Points: 15, Why: meaning(Production)}, {What: "score 35", Why: "P4 because it is at least 20"}},
			Errors:  []string{"risk.rules[0]: run expression: no such key: Sample"}}},
		{"the first rule that holds", ruled, pipeline.Finding{Severity: pipeline.Low, RiskFactors: []string{ExposedCredential}, Account: tier0, Raw: []byte(`{"Sample":false}`)}, pipeline.Explanation{
			Priority: pipeline.P1, Score: 90, Rule: "risk.rules[1]",
			Reasons: []pipeline.Reason{{What: "severity LOW", Points: 20}, {What: ExposedCredential, Points: 40, Why: meaning(ExposedCredential)},
				{What: "crown_jewel", Points: 30, Why: `when finding.account.tags["tier"] == "0"`},
				{What: "rule risk.rules[1]", Why: `P1 because "exposed_credential" in finding.risk_factors`}}}},
		{"a rule sees one's own factors", ruled, pipeline.Finding{Severity: pipeline.Low, RiskFactors: []string{Production}, Account: tier0, Raw: []byte(`{"Sample":false}`)}, pipeline.Explanation{
			Priority: pipeline.P2, Score: 65, Rule: "risk.rules[2]",
			Reasons: []pipeline.Reason{{What: "severity LOW", Points: 20}, {What: Production, Points: 15, Why: meaning(Production)},
				{What: "crown_jewel", Points: 30, Why: `when finding.account.tags["tier"] == "0"`},
				{What: "rule risk.rules[2]", Why: `P2 because "crown_jewel" in finding.risk_factors`}}}},
		{"changed severities and thresholds", Config{Severity: map[pipeline.Severity]int{pipeline.Medium: 10}, Thresholds: map[pipeline.Priority]int{pipeline.P4: 10}},
			pipeline.Finding{}, pipeline.Explanation{Priority: pipeline.P4, Score: 10,
				Reasons: []pipeline.Reason{{What: "severity UNKNOWN", Points: 10, Why: "no source gave one"}, {What: "score 10", Why: "P4 because it is at least 10"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := testModel(t, tt.cfg)
			factors := slices.Clone(tt.finding.RiskFactors)
			if diff := cmp.Diff(tt.want, m.Assess(&tt.finding)); diff != "" {
				t.Errorf("Assess, -want +got:\n%s", diff)
			}
			if !slices.Equal(factors, tt.finding.RiskFactors) {
				t.Errorf("Assess changed the finding's factors to %q", tt.finding.RiskFactors)
			}
		})
	}
}

func TestNewTellsEveryError(t *testing.T) {
	env, err := expr.NewEnv()
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(env, Config{
		Factors: []Factor{
			{Name: "a", When: `finding.acount.id == "1"`},
			{Name: "", When: `true`},
			{Name: "a", When: ``},
			{Name: Production, When: `finding.regoin == "" && finding.titel == ""`},
		},
		Weights:    map[string]int{"productoin": 1, "zzz": 2, "a": 3},
		Thresholds: map[pipeline.Priority]int{pipeline.P2: 95, pipeline.P5: 1},
		Rules:      []Rule{{When: `finding.region`}},
		SLA:        SLA{Start: "yesterday"},
	})
	want := []string{
		"risk.factors[0].when: line 1, column 8: undefined field 'acount', did you mean 'account'?",
		"risk.factors[1].name: a name is needed",
		"risk.factors[2].name: a is there twice",
		"risk.factors[2].when: an expression is needed",
		"risk.factors[3].name: production is built in; change its points under risk.weights",
		"risk.factors[3].when: line 1, column 8: undefined field 'regoin', did you mean 'region'?",
		"risk.factors[3].when: line 1, column 32: undefined field 'titel', did you mean 'title'?",
		"risk.weights.a: it is one of your own factors: set its points under risk.factors",
		"risk.weights.productoin: no such built-in factor, did you mean production?",
		"risk.weights.zzz: no such built-in factor; there are " + strings.Join(setNames[:], ", "),
		"risk.thresholds.P5: P5 is everything below the other thresholds",
		"risk.thresholds.P2: 95 is not below the 90 of P1",
		"risk.rules[0].priority: P1, P2, P3, P4 or P5 is needed",
		"risk.rules[0].when: line 1, column 1: the result must be true or false (bool), this is string",
		`risk.sla.start: unknown start "yesterday": use first_observed, first_seen or ticketed`,
	}
	var got []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			var path *expr.PathError
			if !errors.As(one, &path) {
				t.Errorf("New gives %v; want an *expr.PathError", one)
			}
			got = append(got, one.Error())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("New's errors, -want +got:\n%s", diff)
	}
}

func TestExtend(t *testing.T) {
	m := testModel(t, Config{Factors: []Factor{
		{Name: "own", When: `finding.region == "r"`}, {Name: "broken", When: `finding.raw.x == 1`}, {Name: "again", When: `finding.region == "r"`}}})
	plain := &pipeline.Finding{Region: "s", RiskFactors: []string{Production}}
	if got := m.Extend(plain); got != plain {
		t.Errorf("Extend(no own factor holds) = %+v; want the finding itself", got)
	}
	f := &pipeline.Finding{Region: "r", RiskFactors: append(make([]string, 0, 8), "again", Production)}
	if diff := cmp.Diff([]string{"again", "own", Production}, m.Extend(f).RiskFactors); diff != "" {
		t.Errorf("Extend's factors, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"again", Production}, f.RiskFactors); diff != "" {
		t.Errorf("Extend changed the finding, -want +got:\n%s", diff)
	}
	if got := testModel(t, Config{}).Extend(f); got != f {
		t.Errorf("Extend without own factors = %+v; want the finding itself", got)
	}
}

func TestDue(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	m := testModel(t, Config{SLA: SLA{Start: StartTicketed, Due: map[pipeline.Priority]time.Duration{pipeline.P2: time.Hour, pipeline.P4: 0}}})
	tests := []struct {
		priority pipeline.Priority
		start    time.Time
		want     time.Time
	}{
		{pipeline.P1, start, start.Add(24 * time.Hour)},
		{pipeline.P2, start, start.Add(time.Hour)},
		{pipeline.P4, start, time.Time{}},
		{pipeline.P5, start, time.Time{}},
		{0, start, time.Time{}},
		{pipeline.P1, time.Time{}, time.Time{}},
	}
	for _, tt := range tests {
		if got := m.Due(tt.priority, tt.start); !got.Equal(tt.want) {
			t.Errorf("Due(%s, %s) = %s; want %s", tt.priority, tt.start, got, tt.want)
		}
	}
	if got := m.SLAStart(); got != StartTicketed {
		t.Errorf("SLAStart() = %s; want %s", got, StartTicketed)
	}
}

// The score is the sum of the points that the reasons show, and more points never mean less urgent.
func TestAssessAddsUp(t *testing.T) {
	m := testModel(t, Config{Factors: []Factor{{Name: "own", When: `finding.region == "r"`, Points: 7}}})
	rapid.Check(t, func(t *rapid.T) {
		f := pipeline.Finding{Severity: pipeline.Severity(rapid.IntRange(0, 5).Draw(t, "severity")), Region: rapid.SampledFrom([]string{"r", "s"}).Draw(t, "region"),
			RiskFactors: rapid.SliceOfDistinct(rapid.SampledFrom(setNames[:]), func(s string) string { return s }).Draw(t, "factors")}
		got, sum := m.Assess(&f), 0
		for _, r := range got.Reasons {
			sum += r.Points
		}
		if sum != got.Score {
			t.Errorf("the reasons add up to %d; want the score %d", sum, got.Score)
		}
		if len(f.RiskFactors) > 0 {
			fewer := f
			fewer.RiskFactors = f.RiskFactors[1:]
			if m.Assess(&fewer).Priority.Above(got.Priority) {
				t.Errorf("with %s priority is %s, without it more urgent", f.RiskFactors[0], got.Priority)
			}
		}
	})
}

func BenchmarkAssess(b *testing.B) {
	m := testModel(b, Config{Factors: []Factor{{Name: "crown_jewel", When: `finding.account.tags["tier"] == "0"`, Points: 30}},
		Rules: []Rule{{When: `"exposed_credential" in finding.risk_factors`, Priority: pipeline.P1}}})
	f := &pipeline.Finding{Severity: pipeline.High, RiskFactors: []string{Production, PublicExposure}}
	b.ReportAllocs()
	for b.Loop() {
		m.Assess(f)
	}
}
