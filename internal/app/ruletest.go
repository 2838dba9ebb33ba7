package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
	"github.com/docket-hub/docket/pipeline/plan"
	"github.com/docket-hub/docket/pipeline/risk"
	"github.com/docket-hub/docket/pipeline/triage"
)

// What becomes of a finding that nothing is known of yet: the words of a test's want.action.
const (
	ruleTicket     = "ticket"     // it gets a ticket
	ruleWait       = "wait"       // it gets one later (for)
	ruleRecord     = "record"     // a case without a ticket (tickets_from, no sinks)
	ruleSuppressed = "suppressed" // an accepted exception
	ruleNone       = "none"       // no case: it is not open
)

// maxTestFile is how large a document that a test names may be.
const maxTestFile = 64 << 20

// TestRules runs tests of the rules against a configuration. It opens no state and asks nobody.
func TestRules(cfg *config.Config, tests []config.RuleTest, now time.Time) (api.RuleReport, error) {
	set, err := all.Set()
	if err != nil {
		return api.RuleReport{}, err
	}
	g, err := Build(cfg, Outside{Set: set, Log: slog.New(slog.DiscardHandler), Now: time.Now, Installation: "rules-test"})
	if err != nil {
		return api.RuleReport{}, err
	}
	r := ruleRun{g: g, now: now, seen: map[string]bool{}, overlaps: map[[2]string]int{}}
	for i := range tests {
		r.g = g.withFeeds(fixedFeeds(tests[i].Feeds))
		r.out.Tests = append(r.out.Tests, r.test(&tests[i]))
	}
	r.summarise()
	return r.out, nil
}

// fixedFeeds are the copies that a test describes.
func fixedFeeds(f *config.RuleFeeds) risk.Feeds {
	if f == nil {
		return risk.Feeds{}
	}
	listed := map[risk.CVE]risk.Exploited{}
	for _, name := range f.KEV {
		if cve, ok := risk.ParseCVE(name); ok {
			listed[cve] = risk.Exploited{}
		}
	}
	var scores []risk.Score
	for name, value := range f.EPSS {
		if cve, ok := risk.ParseCVE(name); ok {
			scores = append(scores, risk.Score{CVE: cve, Value: value})
		}
	}
	date := f.Date.End(time.UTC).Add(-time.Nanosecond) // within the day
	return risk.Feeds{KEV: risk.NewKEV("", date, "test", listed), EPSS: risk.NewEPSS("", date, "test", scores)}
}

// ruleRun is one run of tests.
type ruleRun struct {
	g        *Graph
	now      time.Time
	out      api.RuleReport
	seen     map[string]bool // routes, factors, rules and suppressions that some finding met
	overlaps map[[2]string]int
}

func (r *ruleRun) test(t *config.RuleTest) api.RuleTestResult {
	began := time.Now()
	res := api.RuleTestResult{Name: t.Name, File: t.Position.File, Line: t.Position.Line}
	if err := r.findings(t, &res); err != nil {
		res.Failures = append(res.Failures, err.Error())
	}
	res.OK = len(res.Failures) == 0
	res.Seconds = time.Since(began).Seconds()
	return res
}

// findings judges every record of a test.
func (r *ruleRun) findings(t *config.RuleTest, res *api.RuleTestResult) error {
	doc, origin, err := document(t)
	if err != nil {
		return err
	}
	now := r.now
	if !t.Time.IsZero() {
		now = t.Time
	}
	var records []pipeline.Record
	reject := func(x pipeline.Reject) error {
		res.Failures = append(res.Failures, fmt.Sprintf("%s: %s", x.Origin, r.g.shown(x).Reason))
		return nil
	}
	if _, err := format.Split(bytes.NewReader(doc), format.Options{Origin: origin, Reject: reject}, func(rec pipeline.Record) error {
		rec.Data = bytes.Clone(rec.Data)
		records = append(records, rec)
		return nil
	}); err != nil {
		return r.g.notRead(err)
	}
	if len(records) == 0 && len(res.Failures) == 0 {
		return fmt.Errorf("%s holds no finding", origin)
	}
	for i := range records {
		wrong, err := r.record(t, records[i], now)
		if err != nil {
			return err
		}
		res.Findings++
		which := ""
		if len(records) > 1 {
			which = fmt.Sprintf("record %d: ", records[i].Index)
		}
		if len(wrong.differ)+len(wrong.other) > 0 && len(res.Because) == 0 {
			res.Because = wrong.because
		}
		for _, x := range wrong.differ {
			x.Record = records[i].Index
			res.Differences = append(res.Differences, x)
			res.Failures = append(res.Failures, fmt.Sprintf("%s:%d: %s%s = %s; want %s", t.Position.File, x.Line, which, x.What, x.Got, x.Want))
		}
		for _, w := range wrong.other {
			res.Failures = append(res.Failures, fmt.Sprintf("%s:%d: %s%s", t.Position.File, t.Position.Line, which, w))
		}
	}
	return nil
}

// document is what a test's finding stands in.
func document(t *config.RuleTest) (doc []byte, origin string, err error) {
	if t.File != "" {
		path := t.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(t.Dir, path)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, "", err
		}
		defer f.Close()
		doc, err := io.ReadAll(io.LimitReader(f, maxTestFile+1))
		if err == nil && len(doc) > maxTestFile {
			err = fmt.Errorf("%s is larger than %d MiB", path, maxTestFile>>20)
		}
		return doc, t.File, err
	}
	finding := t.Finding
	if finding["resource"] != nil || finding["repository"] != nil {
		finding = map[string]any{"product": "test", "id": t.Name, "title": t.Name}
		for k, v := range t.Finding {
			finding[k] = v
		}
	}
	doc, err = json.Marshal(finding)
	return doc, "finding", err
}

// judgement is what became of one record.
type judgement struct {
	differ  []api.RuleDifference
	other   []string // why it could not be compared
	because []string // what decided about it
}

// record judges one record and says what is other than wanted.
func (r *ruleRun) record(t *config.RuleTest, rec pipeline.Record, now time.Time) (judgement, error) {
	var none judgement
	if rec.Observed.IsZero() {
		rec.Observed = now
	}
	pl := plan.New(r.g.Rules, triage.NewLayer(nil), now)
	if err := pl.Start(); err != nil {
		return none, err
	}
	in := r.g.intake(&Source{Name: "test"}, "test", pl, func() time.Time { return now })
	taken, err := in.Records(context.Background(), []pipeline.Record{rec})
	if err != nil {
		return none, err
	}
	if len(taken.Rejected) > 0 {
		return judgement{other: []string{r.g.shown(taken.Rejected[0]).Reason}}, nil
	}
	if _, err := pl.Finish(r.g.Rules.Limits); err != nil {
		return none, err
	}
	rep, err := r.g.Normalise("test", &rec)
	if err != nil {
		return none, err
	}
	h, ok := pl.Layer().Hot(rep.Print)
	if !ok {
		return judgement{other: []string{"nothing is known of it afterwards"}}, nil
	}
	known, err := pl.Layer().Record(h.Seq)
	if err != nil {
		return none, err
	}
	f := known.Finding()
	action, err := actionOf(pl.Layer(), known, h.Case)
	if err != nil {
		return none, err
	}
	judged := (&reader{graph: func() *Graph { return r.g }}).judge(&f)
	full := r.g.model.Extend(&f) // with what the feeds say and the user's own factors
	r.cover(full, &judged)
	return judgement{differ: compareRules(t, &judged, full.RiskFactors, known.SuppressedBy, action), because: r.because(&judged)}, nil
}

// actionOf is what became of a finding.
func actionOf(l *triage.Layer, rec *triage.Record, number uint64) (string, error) {
	if rec.SuppressedBy != "" {
		return ruleSuppressed, nil
	}
	if number == 0 {
		return ruleNone, nil
	}
	c, err := l.Case(number)
	if err != nil || c == nil || !c.Open {
		return ruleNone, err
	}
	switch plan.WaitsFor(c) {
	case "":
		return ruleTicket, nil
	case "no sinks", "tickets_from":
		return ruleRecord, nil
	}
	return ruleWait, nil
}

// because says which route and which rule decided, and where they stand.
func (r *ruleRun) because(got *api.RouteResult) []string {
	at := func(path string) string {
		if p := r.g.Config.Pos(path); p.Line > 0 {
			return fmt.Sprintf(" (%s:%d)", p.File, p.Line)
		}
		return ""
	}
	route := got.Route + at(got.Route)
	if len(got.Why) > 0 {
		route += ": " + got.Why[len(got.Why)-1].Why // of the deepest route that matched
	}
	out := []string{route}
	if rule := got.Explanation.Rule; rule != "" {
		out = append(out, rule+at(rule))
	}
	return append(out, fmt.Sprintf("priority %s: %s", got.Priority, plan.Reason(got.Explanation)))
}

// compareRules says what is other than a test wants it.
func compareRules(t *config.RuleTest, got *api.RouteResult, factors []string, suppressed, action string) []api.RuleDifference {
	var out []api.RuleDifference
	w := &t.Want
	differ := func(key, what string, is, wants any) {
		out = append(out, api.RuleDifference{What: what, Got: fmt.Sprint(is), Want: fmt.Sprint(wants), Line: cmp.Or(t.Lines[key], t.Position.Line)})
	}
	text := func(what, is string, wants *string) {
		if wants != nil && is != *wants {
			differ(what, what, fmt.Sprintf("%q", is), fmt.Sprintf("%q", *wants))
		}
	}
	text("team", got.Team, w.Team)
	text("route", got.Route, w.Route)
	text("rule", got.Explanation.Rule, w.Rule)
	text("suppressed", suppressed, w.Suppressed)
	if w.Priority != 0 && got.Priority != w.Priority {
		differ("priority", "priority", fmt.Sprintf("%s (%s)", got.Priority, plan.Reason(got.Explanation)), w.Priority)
	}
	if w.Sinks != nil {
		wants := slices.Sorted(slices.Values(*w.Sinks))
		if !slices.Equal(got.Sinks, wants) {
			differ("sinks", "sinks", got.Sinks, wants)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Group)) {
		at := slices.IndexFunc(got.Group, func(v pipeline.GroupValue) bool { return v.Name == name })
		switch {
		case at < 0:
			differ("group", "group", "by "+groupNames(got.Group), "by "+name)
		case got.Group[at].Value != w.Group[name]:
			differ("group", "group "+name, fmt.Sprintf("%q", got.Group[at].Value), fmt.Sprintf("%q", w.Group[name]))
		}
	}
	for _, f := range w.RiskFactors {
		if !slices.Contains(factors, f) {
			differ("risk_factors", "risk factors", factors, f+" among them")
		}
	}
	if w.Action != "" && action != w.Action {
		differ("action", "action", action, w.Action)
	}
	return out
}

func groupNames(g []pipeline.GroupValue) string {
	var names []string
	for _, v := range g {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}

// cover notes what a finding met.
func (r *ruleRun) cover(f *pipeline.Finding, got *api.RouteResult) {
	d := r.g.Tree.Route(f, expr.NewSubject(f))
	for _, path := range append([]string{d.Path}, d.Also...) {
		for path != "" { // a route that is met was met through those above it
			r.seen[path] = true
			cut := strings.LastIndex(path, ".routes[")
			path = path[:max(0, cut)]
		}
	}
	for _, o := range r.g.Tree.Overlaps(f) {
		r.overlaps[[2]string{o.Taker, o.Hidden}]++
	}
	for _, name := range f.RiskFactors {
		r.seen["factor "+name] = true
	}
	r.seen[got.Explanation.Rule] = true
	r.seen["suppression "+got.Suppressed] = true
}

// summarise works out what no test met and what the configuration itself leaves unreachable.
func (r *ruleRun) summarise() {
	cfg := r.g.Config
	add := func(kind, what, id, path string) {
		p := cfg.Pos(path)
		item := api.RuleCover{Kind: kind, What: what, File: p.File, Line: p.Line, Hit: r.seen[id]}
		r.out.Cover = append(r.out.Cover, item)
	}
	for _, path := range r.g.Tree.Paths() {
		add("route", path, path, path)
	}
	for i, f := range cfg.Risk.Factors {
		add("factor", f.Name, "factor "+f.Name, fmt.Sprintf("risk.factors[%d]", i))
	}
	for i := range cfg.Risk.Rules {
		path := fmt.Sprintf("risk.rules[%d]", i)
		add("rule", path, path, path)
	}
	for i, s := range cfg.Suppressions {
		add("suppression", s.Name, "suppression "+s.Name, fmt.Sprintf("suppressions[%d]", i))
	}
	for _, w := range Warnings(cfg) {
		r.out.Warnings = append(r.out.Warnings, w.Error())
	}
	for _, pair := range sortedPairs(r.overlaps) {
		r.out.Overlaps = append(r.out.Overlaps, api.RuleOverlap{Taker: pair[0], Hidden: pair[1], Findings: r.overlaps[pair]})
	}
	for _, t := range r.out.Tests {
		if !t.OK {
			r.out.Failed++
		}
	}
}

func sortedPairs(m map[[2]string]int) [][2]string {
	var out [][2]string
	for p := range m {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b [2]string) int { return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1]) })
	return out
}
