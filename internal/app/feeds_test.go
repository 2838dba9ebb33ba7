package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// feedSite is fileSite with both feeds as files.
const feedSite = fileSite + `
risk: {feeds: {kev: {file: kev.json}, epss: {file: epss.csv}}}
`

// kevCopy is a catalogue in CISA's form.
func kevCopy(day string, cves ...string) []byte {
	rows := make([]string, len(cves))
	for i, c := range cves {
		rows[i] = fmt.Sprintf(`{"cveID": %q, "dateAdded": "2024-03-29", "knownRansomwareCampaignUse": "Unknown"}`, c)
	}
	return fmt.Appendf(nil, `{"catalogVersion": "1", "dateReleased": "%sT15:00:33.6829Z", "count": %d, "vulnerabilities": [%s]}`, day, len(cves), strings.Join(rows, ","))
}

// epssCopy is the scores in FIRST's form; rows are "CVE-2024-3094,0.93".
func epssCopy(day string, rows ...string) []byte {
	text := "#model_version:v2025.03.14,score_date:" + day + "T00:00:00+0000\ncve,epss,percentile\n"
	for _, r := range rows {
		text += r + ",0.5\n"
	}
	return []byte(text)
}

// vulns are findings in docket's own form, one a CVE, MEDIUM, each on an image of its own.
func vulns(cves ...string) []map[string]any {
	var out []map[string]any
	for i, c := range cves {
		out = append(out, map[string]any{
			"product": "Scanner", "id": c, "kind": "vulnerability", "title": c + " in openssl", "severity": "MEDIUM", "control": c,
			"account": map[string]any{"id": "111122223333"}, "region": "eu-west-1", "observed_at": "2026-11-01T00:00:00Z",
			"resource":      map[string]any{"id": fmt.Sprintf("arn:aws:ec2:eu-west-1:111122223333:instance/i-%06d", i), "type": "AwsEc2Instance"},
			"vulnerability": map[string]any{"id": c, "package": "openssl"},
		})
	}
	return out
}

// today is the day of the clock, some days off.
func today(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) }

// priorities are those of all findings by their title's first word.
func (s *site) priorities() map[string]string {
	s.t.Helper()
	list, err := s.offline().Findings(s.t.Context(), api.Filter{})
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range list.Findings {
		name, _, _ := strings.Cut(f.Title, " ")
		out[name] = f.Priority.String() + " " + strings.Join(f.RiskFactors, ",")
	}
	return out
}

// meta is the head of state.
func (s *site) meta() triage.Meta {
	s.t.Helper()
	store, err := state.Open(filepath.Join(s.dir, "data", stateFile), state.Options{ReadOnly: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	snap, err := store.View()
	if err != nil {
		s.t.Fatal(err)
	}
	defer snap.Close()
	return snap.Meta()
}

func (s *site) explain(word string) api.Explained {
	s.t.Helper()
	got, err := s.offline().Explain(s.t.Context(), word)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func TestFeedsGivePriority(t *testing.T) {
	s := newSite(t, feedSite)
	s.putJSON("in/vulns.json", vulns("CVE-2024-3094", "CVE-2024-0001", "CVE-2024-0002", "GHSA-aaaa-bbbb-cccc"))
	s.put("kev.json", kevCopy(today(-1), "CVE-2024-3094"))
	s.put("epss.csv", epssCopy(today(0), "CVE-2024-3094,0.97", "CVE-2024-0001,0.93", "CVE-2024-0002,0.02"))

	planned, err := s.offline().Plan(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, a := range planned.Actions {
		words = append(words, a.Priority.String()+" "+a.Why)
	}
	slices.Sort(words)
	want := []string{"P2 severity MEDIUM +40, known_exploited +30", "P3 severity MEDIUM +40", "P3 severity MEDIUM +40", "P3 severity MEDIUM +40, likely_exploited +15"}
	if !slices.Equal(words, want) {
		t.Errorf("Plan() = %q; want %q", words, want)
	}
	s.once()
	for cve, want := range map[string]string{
		"CVE-2024-3094": "P2 known_exploited", "CVE-2024-0001": "P3 likely_exploited", "CVE-2024-0002": "P3 ", "GHSA-aaaa-bbbb-cccc": "P3 ",
	} {
		if got := s.priorities()[cve]; got != want {
			t.Errorf("%s is %q; want %q", cve, got, want)
		}
	}
	got := s.explain("CVE-2024-0001").Finding.Explanation
	at := slices.IndexFunc(got.Reasons, func(r pipeline.Reason) bool { return r.What == "likely_exploited" })
	if at < 0 || got.Reasons[at].Why != "a likelihood, no proof: EPSS 0.93 on "+today(0)+" for CVE-2024-0001, from 0.5 up" {
		t.Errorf("reasons = %+v; want the likelihood with its date", got.Reasons)
	}
	var facts []string
	for _, f := range got.Feeds {
		facts = append(facts, f.String())
	}
	if want := []string{"CISA KEV " + today(-1) + " does not list CVE-2024-0001", "EPSS 0.93 on " + today(0) + " for CVE-2024-0001"}; !slices.Equal(facts, want) {
		t.Errorf("feeds = %q; want %q", facts, want)
	}
	rows, err := s.offline().Findings(t.Context(), api.Filter{RiskFactor: []string{"known_exploited"}})
	if err != nil || len(rows.Findings) != 1 {
		t.Errorf("Findings(known_exploited) = %d, %v; want 1", len(rows.Findings), err)
	}
	s.still()
}

// TestNewCopyOfAFeed follows one that lists more, then less.
func TestNewCopyOfAFeed(t *testing.T) {
	s := newSite(t, feedSite)
	s.putJSON("in/vulns.json", vulns("CVE-2024-3094", "CVE-2024-0001", "CVE-2024-0002"))
	s.put("kev.json", kevCopy(today(-3), "CVE-2020-0001"))
	s.put("epss.csv", epssCopy(today(-3), "CVE-2024-3094,0.3", "CVE-2024-0001,0.3", "CVE-2024-0002,0.3"))
	s.once()
	before := s.tickets()

	// Newer copies that say nothing else of what is there: nothing is written but their name.
	s.put("kev.json", kevCopy(today(-2), "CVE-2020-0001", "CVE-2020-0002"))
	s.put("epss.csv", epssCopy(today(-2), "CVE-2024-3094,0.31", "CVE-2024-0001,0.32", "CVE-2024-0002,0.33"))
	was := s.meta()
	s.still()
	if now := s.meta(); now.Feeds == was.Feeds {
		t.Error("state names the former copies; want the newer ones")
	}
	if got := s.explain("CVE-2024-0001").Finding.Explanation.Feeds; got[1].Score != 0.3 || got[1].Date != today(-3) {
		t.Errorf("feeds of the decision = %+v; want those that it was made with", got)
	}

	// One entry more, one score across the line: these two follow at once, with their tickets.
	s.put("kev.json", kevCopy(today(-1), "CVE-2020-0001", "CVE-2020-0002", "CVE-2024-3094"))
	s.put("epss.csv", epssCopy(today(-1), "CVE-2024-3094,0.31", "CVE-2024-0001,0.72", "CVE-2024-0002,0.33"))
	sum := s.once()
	if sum.TicketsUpdated != 2 {
		t.Errorf("RunOnce() = %s; want 2 tickets updated", counts(sum))
	}
	if got, want := s.priorities(), map[string]string{"CVE-2024-3094": "P2 known_exploited", "CVE-2024-0001": "P3 likely_exploited", "CVE-2024-0002": "P3 "}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("priorities = %v; want %v", got, want)
	}
	story := s.explain("CVE-2024-3094").Story
	line := "CISA KEV " + today(-1) + " lists CVE-2024-3094 since 2024-03-29; EPSS 0.31 on " + today(-1) + " for CVE-2024-3094: P2, was P3"
	if !slices.ContainsFunc(story, func(l api.StoryLine) bool { return l.Kind == "feed" && l.Text == line }) {
		t.Errorf("story = %+v; want %q", story, line)
	}
	s.still()

	// Taken out of the catalogue: down after a quiet day.
	s.put("kev.json", kevCopy(today(0), "CVE-2020-0001", "CVE-2020-0002"))
	s.once()
	if got := s.priorities()["CVE-2024-3094"]; got != "P3 " {
		t.Errorf("the finding is %q; want P3", got)
	}
	c := s.explain("CVE-2024-3094").Case
	if c.Priority != pipeline.P2 {
		t.Errorf("the case is %s; want P2 until it was quiet for a day", c.Priority)
	}
	s.skew = 25 * time.Hour
	s.once()
	if c := s.explain("CVE-2024-3094").Case; c.Priority != pipeline.P3 {
		t.Errorf("the case is %s a day later; want P3", c.Priority)
	}
	if len(s.tickets()) != len(before) {
		t.Errorf("tickets = %d; want %d as before", len(s.tickets()), len(before))
	}
}

// TestRulesReadScores: with a rule over scores every other score may be another priority.
func TestRulesReadScores(t *testing.T) {
	s := newSite(t, strings.Replace(feedSite, "risk: {", `risk: {rules: [{when: 'finding.vulnerability.epss > 0.2', priority: P1}], `, 1))
	s.putJSON("in/vulns.json", vulns("CVE-2024-0001"))
	s.put("kev.json", kevCopy(today(-1), "CVE-2020-0001"))
	s.put("epss.csv", epssCopy(today(-1), "CVE-2024-0001,0.1"))
	s.once()
	if got := s.priorities()["CVE-2024-0001"]; got != "P3 " {
		t.Errorf("priority = %q; want P3", got)
	}
	s.put("epss.csv", epssCopy(today(0), "CVE-2024-0001,0.21"))
	s.once()
	if got := s.priorities()["CVE-2024-0001"]; got != "P1 " {
		t.Errorf("priority = %q; want P1 by the rule", got)
	}
}

// TestSuppressionsSeeFeeds: an exception that holds only while nobody exploits it ends by itself.
func TestSuppressionsSeeFeeds(t *testing.T) {
	s := newSite(t, feedSite+fmt.Sprintf(`suppressions: [{name: later, when: '!finding.vulnerability.kev', reason: x, until: "%s"}]`, today(30)))
	s.putJSON("in/vulns.json", vulns("CVE-2024-0001"))
	s.put("kev.json", kevCopy(today(-1), "CVE-2020-0001"))
	s.put("epss.csv", epssCopy(today(-1), "CVE-2024-0001,0.1"))
	s.once()
	if n := len(s.tickets()); n != 0 {
		t.Fatalf("tickets = %d; want none", n)
	}
	s.put("kev.json", kevCopy(today(0), "CVE-2020-0001", "CVE-2024-0001"))
	s.once()
	if n := len(s.tickets()); n != 1 {
		t.Errorf("tickets = %d; want 1: it is known to be exploited now", n)
	}
}

// TestFollowingFeedsIsResumed is stopped between two parts, as by a kill, and goes on at the next start.
func TestFollowingFeedsIsResumed(t *testing.T) {
	s := newSite(t, feedSite)
	var cves []string
	for i := range 2 * feedsAtOnce {
		cves = append(cves, fmt.Sprintf("CVE-2024-%04d", 1000+i))
	}
	s.putJSON("in/vulns.json", vulns(cves...))
	s.put("kev.json", kevCopy(today(-1), "CVE-2020-0001"))
	s.put("epss.csv", epssCopy(today(-1), "CVE-2020-0001,0.1"))
	s.once()

	s.put("kev.json", kevCopy(today(0), append(cves, "CVE-2020-0001")...))
	opts, err := s.options().options()
	if err != nil {
		t.Fatal(err)
	}
	opts.HoldIssue = true
	a, err := Open(t.Context(), s.config(), opts)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := a.store.View()
	if err != nil {
		t.Fatal(err)
	}
	seqs, next, err := triage.Outdated(a.Graph().Rules, snap, 1, feedsAtOnce)
	snap.Close()
	if err != nil || len(seqs) != feedsAtOnce || next == 0 {
		t.Fatalf("Outdated() = %d findings, next %d, %v; want %d and more", len(seqs), next, err, feedsAtOnce)
	}
	if err := a.loop.inject(t.Context(), triage.Input{Feeds: &triage.FeedChange{Findings: seqs, Feeds: a.Graph().Rules.Feeds}}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	sum := s.once()
	if sum.TicketsUpdated != len(cves) {
		t.Errorf("RunOnce() = %s; want %d tickets updated", counts(sum), len(cves))
	}
	for cve, got := range s.priorities() {
		if got != "P2 known_exploited" {
			t.Errorf("%s is %q; want P2", cve, got)
		}
	}
	s.still()
}

// TestFeedOverHTTP runs the daemon on an address: the first copy before the first decision, the next one
// while it runs, and a restart while nobody answers.
func TestFeedOverHTTP(t *testing.T) {
	var body atomic.Pointer[[]byte]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if b := body.Load(); b != nil {
			_, _ = w.Write(*b)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	s := newSite(t, fileSite+"risk: {feeds: {kev: {url: "+srv.URL+"/kev.json, max_age: 5d}}}\n")
	s.putJSON("in/vulns.json", vulns("CVE-2024-0001"))

	// Nobody answers, and there is no copy: it goes on without.
	s.once()
	if got := s.priorities()["CVE-2024-0001"]; got != "P3 " {
		t.Errorf("without a copy: %q; want P3", got)
	}
	first := kevCopy(today(-9), "CVE-2020-0001")
	body.Store(&first)
	s.once()
	listed := kevCopy(today(-8), "CVE-2020-0001", "CVE-2024-0001")
	body.Store(&listed)
	s.skew = 25 * time.Hour // the interval is over
	s.once()
	if got := s.priorities()["CVE-2024-0001"]; got != "P2 known_exploited" {
		t.Errorf("with the second copy: %q; want P2", got)
	}
	body.Store(nil)
	s.skew = 50 * time.Hour
	s.still()
	rows, err := s.offline().Sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	row := rows[len(rows)-1]
	if row.Name != "risk.feeds.kev" || !row.Stale || row.Watermark != today(-8) || row.Records != 2 {
		t.Errorf("Sources() = %+v; want the stale feed of %s", row, today(-8))
	}
	got := s.explain("CVE-2024-0001").Finding.FeedNotes
	if len(got) != 1 || !strings.Contains(got[0], "CISA KEV of "+today(-8)+" is ") || !strings.Contains(got[0], "days old, more than risk.feeds.kev.max_age") {
		t.Errorf("FeedNotes = %q; want how old the copy is", got)
	}
	var stale []string
	for _, w := range Warnings(s.config()) {
		stale = append(stale, w.Error())
	}
	if len(stale) != 1 || !strings.Contains(stale[0], "risk.feeds.kev: CISA KEV of "+today(-8)+" is ") || !strings.Contains(stale[0], "docket.yaml:") {
		t.Errorf("Warnings() = %q; want the stale feed at its place", stale)
	}
}

// TestRuleTestsFixFeeds runs the example of docs/rules.md, with feeds configured that say otherwise.
func TestRuleTestsFixFeeds(t *testing.T) {
	s := newSite(t, feedSite)
	s.put("kev.json", kevCopy(today(0), "CVE-2023-1111"))
	s.put("epss.csv", epssCopy(today(0), "CVE-2024-3094,0.9"))
	s.put("rules.yaml", []byte(`
feeds: {date: 2026-11-20, kev: [CVE-2024-3094], epss: {CVE-2023-1111: 0.93}}
tests:
  - name: what is exploited goes first
    finding: &one {severity: MEDIUM, control: CVE-2024-3094, account: {id: "111122223333"}, resource: {id: "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"}, vulnerability: {id: CVE-2024-3094, package: xz}}
    want: {priority: P2, risk_factors: [known_exploited]}
  - name: what is likely
    finding: {severity: HIGH, control: CVE-2023-1111, account: {id: "111122223333"}, resource: {id: "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"}, vulnerability: {id: CVE-2023-1111, package: xz}}
    want: {priority: P2, risk_factors: [likely_exploited]}
  - name: without a word of any feed
    feeds: {date: 2026-11-20}
    finding: *one
    want: {priority: P3}
`))
	tests, err := config.LoadRuleTests(filepath.Join(s.dir, "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	report, err := TestRules(s.config(), tests, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range report.Tests {
		if !got.OK {
			t.Errorf("%s: %v", got.Name, got.Failures)
		}
	}
}

// TestRuleDiffAsksTheSameCopies: another line of what is likely is a difference, another day is none.
func TestRuleDiffAsksTheSameCopies(t *testing.T) {
	s := newSite(t, feedSite)
	s.putJSON("in/vulns.json", vulns("CVE-2024-0001", "CVE-2024-0002"))
	s.put("kev.json", kevCopy(today(0), "CVE-2023-1111"))
	s.put("epss.csv", epssCopy(today(0), "CVE-2024-0001,0.6", "CVE-2024-0002,0.9"))
	s.once()
	diff := func(yaml string) api.RuleDiff {
		got, err := s.offline().RuleDiff(t.Context(), api.RuleDiffRequest{Dir: s.dir, Files: []api.RuleFile{{Name: "other.yaml", Data: yaml}}})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := diff(feedSite); got.Same != 2 {
		t.Errorf("RuleDiff(the same) = %+v; want both the same", got)
	}
	other := strings.Replace(feedSite, "epss: {file: epss.csv}", "epss: {file: elsewhere.csv, likely: 0.8}", 1)
	other = strings.Replace(other, "risk: {", "risk: {weights: {likely_exploited: 30}, ", 1)
	got := diff(other)
	if got.Same != 1 || len(got.Changes) != 1 || got.Changes[0].To != "P2" || got.Changes[0].Examples[0].Title != "CVE-2024-0002 in openssl" {
		t.Errorf("RuleDiff() = %+v; want CVE-2024-0002 alone at P2", got)
	}
}

// TestPlanAndApplyFollowFeeds: a plan shows what a new copy changes, and apply makes exactly that.
func TestPlanAndApplyFollowFeeds(t *testing.T) {
	s := newSite(t, feedSite)
	s.putJSON("in/vulns.json", vulns("CVE-2024-0001", "CVE-2024-0002"))
	s.put("kev.json", kevCopy(today(-1), "CVE-2023-1111"))
	s.put("epss.csv", epssCopy(today(0), "CVE-2024-0001,0.1"))
	s.once()
	s.put("kev.json", kevCopy(today(0), "CVE-2023-1111", "CVE-2024-0002"))
	planned, err := s.offline().Plan(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	if len(planned.Actions) != 1 || planned.Actions[0].Priority != pipeline.P2 || planned.Actions[0].Verb != "update" {
		t.Fatalf("Plan() = %+v; want one update to P2", planned.Actions)
	}
	if got := s.priorities()["CVE-2024-0002"]; got != "P3 " {
		t.Errorf("after the plan: %q; want P3, nothing changed", got)
	}
	done, err := s.offline().Apply(t.Context(), planned, true, quiet)
	if err != nil || done.Summary.TicketsUpdated != 1 {
		t.Errorf("Apply() = %+v, %v; want one ticket updated", done, err)
	}
	s.still()
}

// TestNewCopyWhileItRuns swaps the copies of an open docket.
func TestNewCopyWhileItRuns(t *testing.T) {
	s := newSite(t, feedSite)
	s.putJSON("in/vulns.json", vulns("CVE-2024-0001"))
	s.put("kev.json", kevCopy(today(-1), "CVE-2023-1111"))
	s.put("epss.csv", epssCopy(today(0), "CVE-2024-0001,0.1"))
	s.once()
	opts, err := s.options().options()
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), s.config(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	a.startSources()
	s.put("kev.json", kevCopy(today(0), "CVE-2023-1111", "CVE-2024-0001"))
	set := a.Graph().feeds
	if changed, err := set.list[0].Refresh(t.Context()); !changed || err != nil {
		t.Fatalf("Refresh() = %v, %v; want a new copy", changed, err)
	}
	a.useFeeds(set)
	if err := a.followFeeds(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := a.reader().Explain(t.Context(), "CVE-2024-0001")
	if err != nil || got.Finding.Priority != pipeline.P2 || got.Case.Priority != pipeline.P2 {
		t.Errorf("Explain() = %+v, %v; want P2", got.Finding, err)
	}
	metrics, err := a.o.Metrics.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]float64{}
	for _, family := range metrics {
		for _, m := range family.GetMetric() {
			if strings.HasPrefix(family.GetName(), "docket_feed_") && m.GetLabel()[0].GetValue() == "kev" {
				seen[family.GetName()] = m.GetGauge().GetValue()
			}
		}
	}
	if seen["docket_feed_entries"] != 2 || seen["docket_feed_stale"] != 0 || seen["docket_feed_failing"] != 0 || seen["docket_feed_age_seconds"] > 86400 {
		t.Errorf("metrics = %v; want 2 entries, fresh", seen)
	}
	// A reload without feeds takes their word away again, by the sweep that every change of the configuration is followed by.
	s.configure(fileSite)
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.settle(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if got, err := a.reader().Explain(t.Context(), "CVE-2024-0001"); err != nil || got.Finding.Priority != pipeline.P3 || len(got.Finding.Explanation.Feeds) != 0 {
		t.Errorf("Explain() without feeds = %+v, %v; want P3", got.Finding, err)
	}
	if err := a.stopSources(t.Context()); err != nil {
		t.Error(err)
	}
}
