package triage

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// catalogue is a feed of the tests: the controls that it lists, as of a day.
type catalogue struct {
	day    string
	listed string // controls, separated by blanks
}

func (c catalogue) fact(f *pipeline.Finding) pipeline.FeedFact {
	return pipeline.FeedFact{Feed: pipeline.FeedKEV, Date: c.day, CVE: f.Control, Listed: slices.Contains(strings.Fields(c.listed), f.Control)}
}

// rules are the tests' rules with a catalogue: what it lists is two steps more urgent.
func (c catalogue) rules(k config) *Rules {
	r := k.rules()
	r.Feeds = c.day + " " + c.listed
	r.Judge = func(f *pipeline.Finding) Verdict {
		v := k.judge(f)
		fact := c.fact(f)
		x := &v.Explanation
		x.Feeds = []pipeline.FeedFact{fact}
		if fact.Listed {
			x.Priority = max(x.Priority-2, pipeline.P1)
			x.Reasons = []pipeline.Reason{{What: "known_exploited", Points: 30, Why: fact.String(), Feed: fact.Feed}}
		}
		return v
	}
	r.Outdated = func(was *pipeline.Explanation, f *pipeline.Finding, _ bool) bool {
		listed := len(was.Feeds) > 0 && was.Feeds[0].Listed
		return listed != c.fact(f).Listed
	}
	return r
}

// feedWorld decides under one catalogue after another.
type feedWorld struct {
	t     *testing.T
	k     config
	state *Layer
	now   time.Time
}

func newFeedWorld(t *testing.T, c catalogue, k config, controls ...string) *feedWorld {
	w := &feedWorld{t: t, k: k, state: NewLayer(nil), now: start}
	e := &pipeline.Envelope{Source: "s"}
	for _, name := range controls {
		s := say{account: "1", control: name, resource: "r-" + name, severity: pipeline.Medium, observed: start.Add(-time.Hour), first: start.Add(-time.Hour)}
		e.Items = append(e.Items, s.item())
	}
	w.apply(c, Input{Envelope: e}, Input{Issue: &Issue{}})
	return w
}

func (w *feedWorld) apply(c catalogue, inputs ...Input) Changeset {
	w.t.Helper()
	for i := range inputs {
		inputs[i].Time = w.now
	}
	cs, _, err := Decide(c.rules(w.k), w.state, inputs)
	if err != nil {
		w.t.Fatal(err)
	}
	again, _, err := Decide(c.rules(w.k), w.state, inputs)
	if err != nil || !reflect.DeepEqual(cs, again) {
		w.t.Errorf("Decide() of the same inputs differs (%v)", err)
	}
	w.state.Apply(cs)
	return cs
}

// follow hands over what is outdated, as the app does.
func (w *feedWorld) follow(c catalogue) Changeset {
	w.t.Helper()
	r := c.rules(w.k)
	seqs, next, err := Outdated(r, w.state, 1, 1000)
	if err != nil || next != 0 {
		w.t.Fatalf("Outdated() = %d, %v; want all", next, err)
	}
	return w.apply(c, Input{Feeds: &FeedChange{Findings: seqs, Feeds: r.Feeds, Done: true}})
}

func (w *feedWorld) caseOf(seq uint64) *Case {
	w.t.Helper()
	h, ok := w.state.HotBySeq(seq)
	if !ok || h.Case == 0 {
		w.t.Fatalf("finding %d is in no case", seq)
	}
	c, err := w.state.Case(h.Case)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestFeedChange(t *testing.T) {
	k := standard()
	first := catalogue{"2026-03-01", ""}
	w := newFeedWorld(t, first, k, "CVE-2024-1001", "CVE-2024-1002", "CVE-2024-1003", "S3.1")

	cs := w.follow(catalogue{"2026-03-02", ""})
	if want := "2026-03-02 "; !cs.Empty() || w.state.Meta().Feeds != want {
		t.Errorf("a newer copy that says the same: %d records, feeds %q; want nothing written but %q", len(cs.Records), w.state.Meta().Feeds, want)
	}

	listed := catalogue{"2026-03-03", "CVE-2024-1002"}
	cs = w.follow(listed)
	if len(cs.Records) != 1 || len(cs.Cases) != 1 || len(cs.Hot) != 0 {
		t.Errorf("one entry more: %d records, %d cases, %d hot; want 1, 1, 0", len(cs.Records), len(cs.Cases), len(cs.Hot))
	}
	if got := w.caseOf(2); got.Priority != pipeline.P1 {
		t.Errorf("priority = %s; want P1 at once", got.Priority)
	}
	said := slices.ContainsFunc(cs.Audit, func(a Audit) bool {
		return a.Kind == "feed" && a.Text == "CISA KEV 2026-03-03 lists CVE-2024-1002: P1, was P3"
	})
	if !said {
		t.Errorf("story = %+v; want what the feed says", cs.Audit)
	}
	if cs = w.follow(listed); !cs.Empty() {
		t.Error("the same copy again wrote something; want nothing")
	}
	if cs = w.apply(listed, Input{Feeds: &FeedChange{Findings: []uint64{1, 2, 3, 99}, Feeds: listed.rules(k).Feeds, Done: true}}); !cs.Empty() {
		t.Error("findings that are up to date were written again; want nothing")
	}

	w.now = start.Add(time.Hour)
	w.follow(catalogue{"2026-03-04", ""})
	got := w.caseOf(2)
	if got.Priority != pipeline.P1 || !got.LowerAt.Equal(w.now.Add(24*time.Hour)) {
		t.Errorf("an entry less: priority %s until %s; want P1 for a quiet day", got.Priority, got.LowerAt)
	}
	w.now = got.LowerAt
	w.apply(catalogue{"2026-03-04", ""}, Input{Tick: true})
	if got := w.caseOf(2); got.Priority != pipeline.P3 {
		t.Errorf("priority after a quiet day = %s; want P3", got.Priority)
	}
}

// TestFeedChangeOfOthers: what was listed under other copies does not count as done.
func TestFeedChangeOfOthers(t *testing.T) {
	now := catalogue{"2026-03-03", "CVE-2024-1001"}
	w := newFeedWorld(t, catalogue{"2026-03-01", ""}, standard(), "CVE-2024-1001")
	w.apply(now, Input{Feeds: &FeedChange{Findings: []uint64{1}, Feeds: "2026-03-02", Done: true}})
	if got := w.state.Meta().Feeds; got != "" {
		t.Errorf("feeds = %q; want none named", got)
	}
	if got := w.caseOf(1); got.Priority != pipeline.P1 {
		t.Errorf("priority = %s; want that of the copies in force", got.Priority)
	}
	w.apply(now, Input{Feeds: &FeedChange{Feeds: now.rules(w.k).Feeds}})
	if got := w.state.Meta().Feeds; got != "" {
		t.Errorf("feeds = %q before the last part; want none named", got)
	}
}

func TestOutdatedGoesOn(t *testing.T) {
	w := newFeedWorld(t, catalogue{"2026-03-01", ""}, standard(), "CVE-2024-1001", "S3.1", "CVE-2024-1003", "CVE-2024-1004")
	r := catalogue{"2026-03-02", "CVE-2024-1001 CVE-2024-1003 CVE-2024-1004 S3.1"}.rules(w.k)
	var all []uint64
	parts := 0
	for from := uint64(1); from != 0; parts++ {
		seqs, next, err := Outdated(r, w.state, from, 2)
		if err != nil {
			t.Fatal(err)
		}
		all, from = append(all, seqs...), next
	}
	if want := []uint64{1, 3, 4}; !slices.Equal(all, want) || parts != 2 {
		t.Errorf("Outdated() = %v in %d parts; want %v, what names no CVE left out, in 2", all, parts, want)
	}
	r.Outdated = nil
	if seqs, next, err := Outdated(r, w.state, 1, 2); seqs != nil || next != 0 || err != nil {
		t.Errorf("Outdated() without feeds = %v, %d, %v; want nothing", seqs, next, err)
	}
}

// TestFeedChangeUnderAnException keeps what a suppressed finding would be.
func TestFeedChangeUnderAnException(t *testing.T) {
	k := standard()
	w := newFeedWorld(t, catalogue{"2026-03-01", ""}, k, "CVE-2024-1001")
	w.k.exempt = []pipeline.Suppression{{Name: "x", When: "all", Until: start.AddDate(0, 1, 0), Config: true}}
	w.k.hash = "c2"
	w.apply(catalogue{"2026-03-01", ""}, Input{Config: &ConfigChange{Hash: "c2"}}, Input{Sweep: 10})
	listed := catalogue{"2026-03-02", "CVE-2024-1001"}
	w.follow(listed)
	rec, err := w.state.Record(1)
	if err != nil || rec.SuppressedBy != "x" || rec.Explanation.Priority != pipeline.P1 {
		t.Errorf("finding = suppressed by %q, %s, %v; want x, P1", rec.SuppressedBy, rec.Explanation.Priority, err)
	}
	if cs := w.follow(listed); !cs.Empty() {
		t.Error("the same copy again wrote something; want nothing")
	}
}

// TestNewerCopyIsNoNews: a sweep of all findings under a newer copy that says the same changes no ticket.
func TestNewerCopyIsNoNews(t *testing.T) {
	k := standard()
	w := newFeedWorld(t, catalogue{"2026-03-01", "CVE-2024-1001"}, k, "CVE-2024-1001")
	rev := w.caseOf(1).Rev
	w.k.hash = "c2"
	newer := catalogue{"2026-03-02", "CVE-2024-1001"}
	w.apply(newer, Input{Config: &ConfigChange{Hash: "c2"}}, Input{Sweep: 10})
	if got := w.caseOf(1); got.Rev != rev || got.Explanation.Feeds[0].Date != "2026-03-01" {
		t.Errorf("revision %d of %s; want %d, with the date of the decision", got.Rev, got.Explanation.Feeds[0].Date, rev)
	}
}
