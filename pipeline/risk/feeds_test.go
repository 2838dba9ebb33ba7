package risk

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
)

func TestParseCVE(t *testing.T) {
	tests := []struct {
		in   string
		want string // "" for none
	}{
		{"CVE-2024-3094", "CVE-2024-3094"},
		{"cve-2024-3094", "CVE-2024-3094"},
		{"CVE-1999-0001", "CVE-1999-0001"},
		{"CVE-2026-1234567", "CVE-2026-1234567"},
		{"CVE-2026-999999999", "CVE-2026-999999999"},
		{"CVE-2026-1234567890", ""},
		{"CVE-2024-309", ""},
		{"CVE-24-3094", ""},
		{"CVE-2024-30x4", ""},
		{"CVE-0000-3094", ""},
		{"CVE-2024_3094", ""},
		{"GHSA-aaaa-bbbb-cccc", ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, ok := ParseCVE(tt.in)
		if ok != (tt.want != "") || ok && got.String() != tt.want {
			t.Errorf("ParseCVE(%q) = %s, %v; want %q", tt.in, got, ok, tt.want)
		}
	}
}

func feedDay(text string) time.Time {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return at
}

// testFeeds list CVE-2024-3094, and give scores to three.
func testFeeds(t testing.TB) Feeds {
	t.Helper()
	c := func(s string) CVE {
		got, ok := ParseCVE(s)
		if !ok {
			t.Fatalf("ParseCVE(%q) = false", s)
		}
		return got
	}
	return Feeds{
		KEV: NewKEV("1", feedDay("2026-11-20"), "k1", map[CVE]Exploited{c("CVE-2024-3094"): {Added: feedDay("2024-03-29"), Ransomware: true}}),
		EPSS: NewEPSS("v1", feedDay("2026-11-19"), "e1", []Score{
			{c("CVE-2024-3094"), 0.97}, {c("CVE-2023-0001"), 0.5}, {c("CVE-2023-0002"), 0.4999}, {c("CVE-2023-0001"), 0.2},
		}),
	}
}

func vulnerable(cve string, factors ...string) *pipeline.Finding {
	return &pipeline.Finding{Kind: pipeline.KindVulnerability, Severity: pipeline.Medium, RiskFactors: factors, Vuln: &pipeline.Vulnerability{ID: cve, EPSS: 0.1}}
}

func TestFeeds(t *testing.T) {
	feeds := testFeeds(t)
	const kevWhy = "the vulnerability is in CISA's catalogue of known exploited vulnerabilities (KEV)"
	kev := pipeline.FeedFact{Feed: pipeline.FeedKEV, Date: "2026-11-20"}
	epss := pipeline.FeedFact{Feed: pipeline.FeedEPSS, Date: "2026-11-19"}
	with := func(f pipeline.FeedFact, cve string, change func(*pipeline.FeedFact)) pipeline.FeedFact {
		f.CVE = cve
		if change != nil {
			f.Listed = true
			change(&f)
		}
		return f
	}
	listed := func(f *pipeline.FeedFact) { f.Added, f.Ransomware = "2024-03-29", true }
	score := func(v float64) func(*pipeline.FeedFact) { return func(f *pipeline.FeedFact) { f.Score = v } }
	tests := []struct {
		name     string
		finding  *pipeline.Finding
		feeds    Feeds
		likely   float64
		priority pipeline.Priority
		reason   pipeline.Reason // besides severity and score; zero for none
		facts    []pipeline.FeedFact
	}{
		{"listed and likely", vulnerable("CVE-2024-3094"), feeds, 0, pipeline.P2,
			pipeline.Reason{What: KnownExploited, Points: 30, Feed: pipeline.FeedKEV,
				Why: kevWhy + ": CISA KEV 2026-11-20 lists CVE-2024-3094 since 2024-03-29, used in ransomware campaigns"},
			[]pipeline.FeedFact{with(kev, "CVE-2024-3094", listed), with(epss, "CVE-2024-3094", score(0.97))}},
		{"likely", vulnerable("cve-2023-0001"), feeds, 0, pipeline.P3,
			pipeline.Reason{What: LikelyExploited, Points: 15, Feed: pipeline.FeedEPSS, Why: "a likelihood, no proof: EPSS 0.50 on 2026-11-19 for CVE-2023-0001, from 0.5 up"},
			[]pipeline.FeedFact{with(kev, "CVE-2023-0001", nil), with(epss, "CVE-2023-0001", score(0.5))}},
		{"below", vulnerable("CVE-2023-0002"), feeds, 0, pipeline.P3, pipeline.Reason{},
			[]pipeline.FeedFact{with(kev, "CVE-2023-0002", nil), with(epss, "CVE-2023-0002", score(0.4999))}},
		{"below another line", vulnerable("CVE-2023-0001"), feeds, 0.7, pipeline.P3, pipeline.Reason{},
			[]pipeline.FeedFact{with(kev, "CVE-2023-0001", nil), with(epss, "CVE-2023-0001", score(0.5))}},
		{"in neither", vulnerable("CVE-2020-0009"), feeds, 0, pipeline.P3, pipeline.Reason{},
			[]pipeline.FeedFact{with(kev, "CVE-2020-0009", nil), with(epss, "CVE-2020-0009", nil)}},
		{"the source alone calls it exploited", vulnerable("CVE-2023-0001", KnownExploited), feeds, 0, pipeline.P2,
			pipeline.Reason{What: KnownExploited, Points: 30, Why: kevWhy + ": the source says so"},
			[]pipeline.FeedFact{with(kev, "CVE-2023-0001", nil), with(epss, "CVE-2023-0001", score(0.5))}},
		{"KEV alone", vulnerable("CVE-2023-0001"), Feeds{KEV: feeds.KEV}, 0, pipeline.P3, pipeline.Reason{}, []pipeline.FeedFact{with(kev, "CVE-2023-0001", nil)}},
		{"EPSS alone never says exploited", vulnerable("CVE-2024-3094"), Feeds{EPSS: feeds.EPSS}, 0, pipeline.P3,
			pipeline.Reason{What: LikelyExploited, Points: 15, Feed: pipeline.FeedEPSS, Why: "a likelihood, no proof: EPSS 0.97 on 2026-11-19 for CVE-2024-3094, from 0.5 up"},
			[]pipeline.FeedFact{with(epss, "CVE-2024-3094", score(0.97))}},
		{"no feeds", vulnerable("CVE-2024-3094"), Feeds{}, 0, pipeline.P3, pipeline.Reason{}, nil},
		{"another kind of id", vulnerable("GHSA-aaaa-bbbb-cccc"), feeds, 0, pipeline.P3, pipeline.Reason{}, nil},
		{"the worst of several", &pipeline.Finding{Severity: pipeline.Medium, Vuln: &pipeline.Vulnerability{ID: "CVE-2023-0002"},
			Reports: []pipeline.Report{{Names: []string{"cve:CVE-2023-0001", "fsbp:S3.1"}}, {Vuln: &pipeline.Vulnerability{ID: "CVE-2024-3094"}}}}, feeds, 0, pipeline.P2,
			pipeline.Reason{What: KnownExploited, Points: 30, Feed: pipeline.FeedKEV,
				Why: kevWhy + ": CISA KEV 2026-11-20 lists CVE-2024-3094 since 2024-03-29, used in ransomware campaigns"},
			[]pipeline.FeedFact{with(kev, "CVE-2024-3094", listed), with(epss, "CVE-2024-3094", score(0.97))}},
		{"by the control alone", &pipeline.Finding{Severity: pipeline.Medium, Control: "CVE-2023-0001"}, feeds, 0, pipeline.P3,
			pipeline.Reason{What: LikelyExploited, Points: 15, Feed: pipeline.FeedEPSS, Why: "a likelihood, no proof: EPSS 0.50 on 2026-11-19 for CVE-2023-0001, from 0.5 up"},
			[]pipeline.FeedFact{with(kev, "CVE-2023-0001", nil), with(epss, "CVE-2023-0001", score(0.5))}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := testModel(t, Config{Likely: tt.likely}).With(tt.feeds)
			before := *tt.finding
			got := m.Assess(tt.finding)
			if diff := cmp.Diff(tt.facts, got.Feeds); diff != "" {
				t.Errorf("Feeds (-want +got):\n%s", diff)
			}
			var reason pipeline.Reason
			if len(got.Reasons) == 3 {
				reason = got.Reasons[1]
			}
			if got.Priority != tt.priority || reason != tt.reason {
				t.Errorf("Assess() = %s, %+v; want %s, %+v", got.Priority, got.Reasons, tt.priority, tt.reason)
			}
			if diff := cmp.Diff(before, *tt.finding); diff != "" {
				t.Errorf("Assess changed the finding:\n%s", diff)
			}
			if m.Outdated(&got, tt.finding, true) {
				t.Error("Outdated() of what was just decided = true; want false")
			}
		})
	}
}

// TestFeedsInExpressions: factors and rules of one's own read what the feeds say.
func TestFeedsInExpressions(t *testing.T) {
	m := testModel(t, Config{
		Factors: []Factor{{Name: "hot", When: `finding.vulnerability.epss >= 0.5`, Points: 7}},
		Rules:   []Rule{{When: `finding.vulnerability.kev && "hot" in finding.risk_factors`, Priority: pipeline.P1}},
	}).With(testFeeds(t))
	if got := m.Assess(vulnerable("CVE-2024-3094")); got.Rule != "risk.rules[0]" {
		t.Errorf("Assess() = %+v; want the rule", got)
	}
	rich := m.Extend(vulnerable("CVE-2023-0001"))
	if want := []string{"hot", LikelyExploited}; !slices.Equal(rich.RiskFactors, want) || rich.Vuln.EPSS != 0.5 {
		t.Errorf("Extend() = %v, %v; want %v, 0.5", rich.RiskFactors, rich.Vuln.EPSS, want)
	}
}

func TestOutdated(t *testing.T) {
	feeds := testFeeds(t)
	m := testModel(t, Config{}).With(feeds)
	f := vulnerable("CVE-2023-0001")
	was := m.Assess(f)
	of := func(score float64, listed bool) *Model {
		c, _ := ParseCVE("CVE-2023-0001")
		entries := map[CVE]Exploited{}
		if listed {
			entries[c] = Exploited{}
		}
		return m.With(Feeds{KEV: NewKEV("2", feedDay("2026-11-21"), "k2", entries), EPSS: NewEPSS("v1", feedDay("2026-11-21"), "e2", []Score{{c, score}})})
	}
	tests := []struct {
		name   string
		now    *Model
		scores bool
		want   bool
	}{
		{"a newer copy that says the same", of(0.5, false), true, false},
		{"another score on the same side", of(0.9, false), false, false},
		{"another score that an expression reads", of(0.9, false), true, true},
		{"a score that crossed the line", of(0.49, false), false, true},
		{"listed now", of(0.5, true), false, true},
	}
	for _, tt := range tests {
		if got := tt.now.Outdated(&was, f, tt.scores); got != tt.want {
			t.Errorf("%s: Outdated() = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestFeedsID(t *testing.T) {
	feeds := testFeeds(t)
	for want, f := range map[string]Feeds{"": {}, "kev/k1": {KEV: feeds.KEV}, "epss/e1": {EPSS: feeds.EPSS}, "kev/k1 epss/e1": feeds} {
		if got := f.ID(); got != want {
			t.Errorf("ID() = %q; want %q", got, want)
		}
	}
}

func BenchmarkAssessWithFeeds(b *testing.B) {
	var scores []Score
	for i := range 300_000 {
		scores = append(scores, Score{CVE(2_000_000_000_000 + uint64(i)), 0.1})
	}
	c, _ := ParseCVE("CVE-2024-3094")
	feeds := Feeds{KEV: NewKEV("", feedDay("2026-11-20"), "", map[CVE]Exploited{c: {}}), EPSS: NewEPSS("", feedDay("2026-11-20"), "", scores)}
	with, without := vulnerable("CVE-2024-3094"), vulnerable(strings.Repeat("x", 20))
	m := testModel(b, Config{}).With(feeds)
	for name, f := range map[string]*pipeline.Finding{"a CVE": with, "none": without} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Assess(f)
			}
		})
	}
}
