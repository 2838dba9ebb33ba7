package trustedadvisor_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/trustedadvisor"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

func newer(c *trustedadvisor.Config) { c.API = trustedadvisor.APITrustedAdvisor }

// both runs a test over each of the two APIs.
func both(t *testing.T, run func(t *testing.T, w *world, change func(*trustedadvisor.Config))) {
	t.Run("support", func(t *testing.T) { run(t, newWorld(t), func(*trustedadvisor.Config) {}) })
	t.Run("trustedadvisor", func(t *testing.T) { run(t, newWorld(t), newer) })
}

func TestPollReadsEveryAccount(t *testing.T) {
	both(t, func(t *testing.T, w *world, change func(*trustedadvisor.Config)) {
		w.fill()
		e, res := poll(t, w.source(change), "")
		if res.Accounts != 3 || len(res.Gaps) != 0 || res.Records != 12 || res.Rejected != 0 {
			t.Errorf("Poll() = %+v; want 12 records of 3 accounts and no gap", res)
		}
		var got []string
		for _, r := range e.find(payments, portsCheck) {
			got = append(got, fmt.Sprintf("%s %s %s %s %s", r.ID, r.Status, r.Severity, r.Region, r.Resource.ID))
		}
		group := "arn:aws:ec2:eu-west-1:222233334444:security-group/"
		want := []string{
			"HCP4007jGY/222233334444/eu-west-1/sg-0123456789abcdef0/tcp/22/22 open CRITICAL eu-west-1 " + group + "sg-0123456789abcdef0",
			"HCP4007jGY/222233334444/eu-west-1/sg-0123456789abcdef0/tcp/443/443 resolved INFORMATIONAL eu-west-1 " + group + "sg-0123456789abcdef0",
			"HCP4007jGY/222233334444/eu-west-1/sg-0fedcba9876543210/tcp/8081/8081 open MEDIUM eu-west-1 " + group + "sg-0fedcba9876543210",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("reports of %s (-want +got):\n%s", portsCheck, d)
		}
		for scope, count := range map[string]int{portsCheck: 3, mfaCheck: 1, logsCheck: 0} {
			s := e.scan("aws/trustedadvisor/" + payments + "/" + scope)
			if s == nil || !s.Complete || s.Count != count || s.Left {
				t.Errorf("scan of %s = %+v; want a complete one of %d records", scope, s, count)
			}
		}
		if s := e.scan("aws/trustedadvisor/" + payments + "/" + quotaCheck); s != nil {
			t.Errorf("scan of %s = %+v; want none, it is of another pillar", quotaCheck, s)
		}
	})
}

// TestPollBothAPIsAgree reads the same state through both and wants the same reports, but for when they were seen.
func TestPollBothAPIsAgree(t *testing.T) {
	w := newWorld(t)
	w.fill()
	keep := func(c *trustedadvisor.Config) { c.Refresh = false }
	a, _ := poll(t, w.source(keep), "")
	b, _ := poll(t, w.source(newer), "")
	key := func(list []pipeline.Report) []string {
		var out []string
		for _, r := range list {
			out = append(out, fmt.Sprint(r.Key(), r.Print, r.Status, r.Severity, r.Title, r.Region, r.ObservedAt))
		}
		slices.Sort(out)
		return out
	}
	if d := cmp.Diff(key(a.reports), key(b.reports)); d != "" || len(a.reports) == 0 {
		t.Errorf("reports through the Support API and the Trusted Advisor API differ (-support +trustedadvisor):\n%s", d)
	}
}

func TestPollChooses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*trustedadvisor.Config)
		want   []string
	}{
		{"security by default", func(*trustedadvisor.Config) {}, []string{mfaCheck, portsCheck, logsCheck}},
		{"another pillar", func(c *trustedadvisor.Config) { c.Pillars = []string{"service_limits"} }, []string{quotaCheck}},
		{"one left out", func(c *trustedadvisor.Config) { c.Checks.Exclude = []string{logsCheck} }, []string{mfaCheck, portsCheck}},
		{"these alone, of any pillar", func(c *trustedadvisor.Config) { c.Checks.Include = []string{quotaCheck, mfaCheck} }, []string{mfaCheck, quotaCheck}},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, w *world, api func(*trustedadvisor.Config)) {
				w.fill()
				e, _ := poll(t, w.source(func(cfg *trustedadvisor.Config) { api(cfg); c.change(cfg) }), "")
				var got []string
				for _, s := range e.scans {
					if id, ok := strings.CutPrefix(s.Scope, "aws/trustedadvisor/"+home+"/"); ok {
						got = append(got, id)
					}
				}
				slices.Sort(got)
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("checks read (-want +got):\n%s", d)
				}
			})
		})
	}
}

func TestPollRefreshes(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.advisor.Next(payments, portsCheck, awstest.AdvisorResult{Time: noon, Status: "ok", Rows: []awstest.AdvisorRow{port("ok", "sg-0123456789abcdef0", "22")}})
	s := w.source(nil)
	_, first := poll(t, s, "")
	if asked := w.server.Calls(awstest.Match{Service: "support", Operation: "RefreshTrustedAdvisorCheck"}); asked != 0 || w.paused != 0 {
		t.Errorf("the first read asks for %d refreshes; want none, a plan reads so", asked)
	}
	e, res := poll(t, s, first.Watermark)
	if got := e.find(payments, portsCheck); len(got) != 1 || got[0].Status != pipeline.StatusResolved || !got[0].ObservedAt.Equal(noon) {
		t.Errorf("after a refresh %s = %+v; want one resolved report of %s", portsCheck, got, noon)
	}
	if end := e.scan("aws/trustedadvisor/" + payments + "/" + portsCheck); end == nil || !end.Time.Equal(noon) {
		t.Errorf("scan = %+v; want the time of the refresh, %s", end, noon)
	}
	if len(res.Notes) != 0 {
		t.Errorf("notes = %q; want none", res.Notes)
	}
	asked := w.server.Calls(awstest.Match{Service: "support", Operation: "RefreshTrustedAdvisorCheck"})
	if asked > 9 || asked < 7 {
		t.Errorf("%d refreshes were asked for; want two of each account, and the automatic one at most once an account", asked)
	}

	w.now = noon.Add(time.Minute)
	poll(t, s, res.Watermark)
	if again := w.server.Calls(awstest.Match{Service: "support", Operation: "RefreshTrustedAdvisorCheck"}); again != asked {
		t.Errorf("%d refreshes were asked for a minute later; want none before the time that AWS named", again-asked)
	}
	w.now = noon.Add(10 * time.Minute)
	poll(t, s, res.Watermark)
	if again := w.server.Calls(awstest.Match{Service: "support", Operation: "RefreshTrustedAdvisorCheck"}); again != asked+6 {
		t.Errorf("%d refreshes were asked for when AWS takes them again; want 6, the automatic check is not asked", again-asked)
	}
}

// TestPollWaitsOnlySoLong: a refresh that does not end leaves the older result, with its own time.
func TestPollWaitsOnlySoLong(t *testing.T) {
	w := newWorld(t)
	w.fill()
	e, res := poll(t, w.source(func(c *trustedadvisor.Config) { c.RefreshWait = 10 * time.Second }), "{}")
	if got := e.find(payments, portsCheck); len(got) != 3 || !got[0].ObservedAt.Equal(morning) {
		t.Errorf("%s = %+v; want the three reports of %s", portsCheck, got, morning)
	}
	if w.paused != 2 {
		t.Errorf("%d pauses; want two for all accounts together", w.paused)
	}
	if len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "6 refreshes did not end within 10s") {
		t.Errorf("notes = %q; want one about 6 refreshes", res.Notes)
	}
}

func TestPollWithoutRightToRefresh(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.server.Fault(awstest.Match{Service: "support", Operation: "RefreshTrustedAdvisorCheck"}, awstest.Denied())
	e, res := poll(t, w.source(nil), "{}")
	if len(e.reports) != 12 || len(res.Gaps) != 0 || res.Accounts != 3 {
		t.Errorf("Poll() = %d reports, %+v; want all 12, no gap", len(e.reports), res)
	}
	if len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "3 accounts do not let docket refresh") {
		t.Errorf("notes = %q; want one about 3 accounts", res.Notes)
	}
}

func TestPollWithoutSupportPlan(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.advisor.NoPlan(payments)
	s := w.source(nil)
	for range 2 {
		e, res := poll(t, s, "")
		if len(e.find(payments, portsCheck)) != 0 || len(e.reports) != 8 || res.Accounts != 2 {
			t.Errorf("Poll() = %d reports of %d accounts; want 8 of 2", len(e.reports), res.Accounts)
		}
		if len(res.Gaps) != 1 || res.Gaps[0].Account != payments || !strings.Contains(res.Gaps[0].Reason, "no AWS support plan") {
			t.Errorf("gaps = %+v; want one of %s that names the plan", res.Gaps, payments)
		}
	}
	for _, account := range []string{home, shop} {
		w.advisor.NoPlan(account)
	}
	if e, res := poll(t, s, ""); len(res.Gaps) != 3 || len(e.scans) != 0 {
		t.Errorf("Poll(no plan anywhere) = %+v with %d scans; want three gaps, no failure", res, len(e.scans))
	}
}

// TestPollPartly: what fails of an account does not stop the others, and nothing of it is called gone.
func TestPollPartly(t *testing.T) {
	html := awstest.Page()
	for _, c := range []struct {
		name, operation string
		fault           awstest.Fault
		nth             int
		scans           int    // of the account at fault
		gap             string // words of its gap
	}{
		{"denied", "DescribeTrustedAdvisorChecks", awstest.Denied(), 0, 0, "AccessDenied"},
		{"one result refused", "DescribeTrustedAdvisorCheckResult", awstest.Fault{Status: 400, Code: "InvalidParameterValueException", Message: "no such check"}, 2, 2, "1 of 3 checks could not be read"},
		{"a page of a proxy", "DescribeTrustedAdvisorChecks", html, 0, 0, "not one of AWS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.fill()
			s := w.source(func(c *trustedadvisor.Config) { c.Refresh = false })
			_, before := poll(t, s, "")
			w.server.Fault(awstest.Match{Service: "support", Operation: c.operation, Account: shop, Nth: c.nth}, c.fault)
			e, res := poll(t, s, before.Watermark)
			if len(e.find(home, portsCheck)) != 3 || len(e.find(payments, mfaCheck)) != 1 {
				t.Errorf("Poll() = %d reports; want all of the other accounts", len(e.reports))
			}
			if len(res.Gaps) != 1 || res.Gaps[0].Account != shop || !strings.Contains(res.Gaps[0].Reason, c.gap) {
				t.Errorf("gaps = %+v; want one of %s: %s", res.Gaps, shop, c.gap)
			}
			scans := 0
			for _, end := range e.scans {
				if strings.Contains(end.Scope, shop) {
					scans++
				}
				if end.Left {
					t.Errorf("scan %+v; want none that says the account left", end)
				}
			}
			if scans != c.scans {
				t.Errorf("%d scans of the account; want %d", scans, c.scans)
			}
			w.server.Heal()
			if _, after := poll(t, s, res.Watermark); len(after.Gaps) != 0 || after.Watermark != before.Watermark {
				t.Errorf("Poll(healed) = %+v; want no gap and the watermark %s", after, before.Watermark)
			}
		})
	}
}

func TestPollThrottled(t *testing.T) {
	both(t, func(t *testing.T, w *world, change func(*trustedadvisor.Config)) {
		w.fill()
		throttled := awstest.Throttled()
		throttled.Times = 1
		w.server.Fault(awstest.Match{Account: payments}, throttled)
		e, res := poll(t, w.source(change), "")
		if len(e.reports) != 12 || len(res.Gaps) != 0 {
			t.Errorf("Poll() = %d reports, %+v; want all 12 and no gap", len(e.reports), res)
		}
	})
}

// TestPollAllFail: a poll that reached nothing is a failure, and keeps the watermark.
func TestPollAllFail(t *testing.T) {
	both(t, func(t *testing.T, w *world, change func(*trustedadvisor.Config)) {
		w.fill()
		s := w.source(change)
		_, before := poll(t, s, "")
		w.server.Fault(awstest.Match{Service: "support"}, awstest.Denied())
		w.server.Fault(awstest.Match{Service: "trustedadvisor"}, awstest.Denied())
		e := &taken{}
		res, err := s.Poll(t.Context(), pipeline.Request{Since: before.Watermark}, e)
		if !errors.Is(err, pipeline.ErrForbidden) || res.Watermark != before.Watermark || len(e.scans) != 0 || len(res.Gaps) != 3 {
			t.Errorf("Poll() = %+v, %v; want the old watermark, three gaps, no scan, ErrForbidden", res, err)
		}
	})
}

func TestPollEmitterFails(t *testing.T) {
	both(t, func(t *testing.T, w *world, change func(*trustedadvisor.Config)) {
		w.fill()
		e := &taken{err: pipeline.ErrFull}
		res, err := w.source(change).Poll(t.Context(), pipeline.Request{Since: "x"}, e)
		if !errors.Is(err, pipeline.ErrFull) || res.Watermark != "x" || len(e.scans) > 3 {
			t.Errorf("Poll() = %+v, %v with %d scans; want ErrFull and the old watermark", res, err, len(e.scans))
		}
	})
}

// TestPollWholeAccount: checks of the account itself say by their colour what they list no row for.
func TestPollWholeAccount(t *testing.T) {
	both(t, func(t *testing.T, w *world, change func(*trustedadvisor.Config)) {
		w.advisor.Set(home, mfaCheck, awstest.AdvisorResult{Time: morning, Status: "error"})
		w.advisor.Set(payments, mfaCheck, awstest.AdvisorResult{Time: morning, Status: "ok"})
		w.advisor.Set(shop, mfaCheck, awstest.AdvisorResult{Time: morning, Status: "not_available"})
		w.advisor.Set(home, logsCheck, awstest.AdvisorResult{Time: morning, Status: "ok"})
		e, _ := poll(t, w.source(change), "")
		if got := e.find(home, mfaCheck); len(got) != 1 || got[0].Status != pipeline.StatusOpen || got[0].Severity != pipeline.Critical {
			t.Errorf("red without rows = %+v; want one open, critical report", got)
		}
		if got := e.find(payments, mfaCheck); len(got) != 1 || got[0].Status != pipeline.StatusResolved {
			t.Errorf("green without rows = %+v; want one resolved report", got)
		}
		if got := e.find(shop, mfaCheck); len(got) != 0 || e.scan("aws/trustedadvisor/"+shop+"/"+mfaCheck) != nil {
			t.Errorf("not_available = %+v; want nothing, and no scan", got)
		}
		if got := e.find(home, logsCheck); len(got) != 0 || e.scan("aws/trustedadvisor/"+home+"/"+logsCheck) == nil {
			t.Errorf("a green check of resources = %+v; want no report, and a scan", got)
		}
	})
}

func TestPollSuppressed(t *testing.T) {
	both(t, func(t *testing.T, w *world, change func(*trustedadvisor.Config)) {
		row := port("error", "sg-0123456789abcdef0", "22")
		row.Suppressed = true
		w.advisor.Set(home, portsCheck, awstest.AdvisorResult{Time: morning, Status: "ok", Rows: []awstest.AdvisorRow{row}})
		e, _ := poll(t, w.source(change), "")
		if got := e.find(home, portsCheck); len(got) != 1 || got[0].Status != pipeline.StatusUnproven {
			t.Errorf("an excluded row = %+v; want one unproven report", got)
		}
	})
}

// TestPollLeft: an account that left the organisation, and a check that is read no more, are told, once.
func TestPollLeft(t *testing.T) {
	w := newWorld(t)
	w.fill()
	keep := func(c *trustedadvisor.Config) { c.Refresh = false }
	_, first := poll(t, w.source(keep), "")
	without := func(c *trustedadvisor.Config) { keep(c); c.Checks.Exclude = []string{portsCheck} }
	e, second := poll(t, w.source(without), first.Watermark)
	for _, account := range []string{home, payments, shop} {
		if s := e.scan("aws/trustedadvisor/" + account + "/" + portsCheck); s == nil || !s.Left || s.Complete || s.Why == "" {
			t.Errorf("scan of a check that is read no more = %+v; want it left", s)
		}
	}
	if e, _ := poll(t, w.source(without), second.Watermark); e.scan("aws/trustedadvisor/"+home+"/"+portsCheck) != nil {
		t.Errorf("the check is told again; want once")
	}

	gone := pipeline.Watermark(strings.ReplaceAll(string(second.Watermark), home, "999988887777"))
	e, third := poll(t, w.source(without), gone)
	if s := e.scan("aws/trustedadvisor/999988887777/" + mfaCheck); s == nil || !s.Left {
		t.Errorf("scan of an account that left = %+v; want it left", s)
	}
	if strings.Contains(string(third.Watermark), "999988887777") {
		t.Errorf("watermark = %s; want it without the account that left", third.Watermark)
	}
}

// TestPollPages reads a list of several pages, and begins again where AWS forgot the page token.
func TestPollPages(t *testing.T) {
	w := newWorld(t)
	rows := make([]awstest.AdvisorRow, 450)
	for i := range rows {
		rows[i] = port("error", fmt.Sprintf("sg-%017x", i), "22")
	}
	w.advisor.Set(home, portsCheck, awstest.AdvisorResult{Time: morning, Status: "error", Rows: rows})
	e, _ := poll(t, w.source(newer), "")
	if s := e.scan("aws/trustedadvisor/" + home + "/" + portsCheck); len(e.reports) != 450 || s == nil || s.Count != 450 {
		t.Errorf("Poll() = %d reports, scan %+v; want 450", len(e.reports), s)
	}
	w.server.Fault(awstest.Match{Service: "trustedadvisor", Operation: "ListRecommendationResources", Nth: 2},
		awstest.Fault{Status: 400, Code: "ValidationException", Message: "The provided nextToken is expired"})
	e, res := poll(t, w.source(newer), "")
	if s := e.scan("aws/trustedadvisor/" + home + "/" + portsCheck); len(e.reports) != 650 || s == nil || s.Count != 650 || len(res.Gaps) != 0 {
		t.Errorf("Poll(page token forgotten) = %d reports, scan %+v, %+v; want 450 and the 200 of the first page again", len(e.reports), s, res)
	}
}

func TestPollStrangeWatermark(t *testing.T) {
	w := newWorld(t)
	w.fill()
	e, res := poll(t, w.source(nil), "2026-01-01T00:00:00Z of another source")
	if len(e.reports) != 12 || !strings.Contains(string(res.Watermark), home) {
		t.Errorf("Poll(somebody else's watermark) = %d reports, %s; want 12 and an own one", len(e.reports), res.Watermark)
	}
}
