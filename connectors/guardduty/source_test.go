package guardduty_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/guardduty"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

func TestSourceContract(t *testing.T) {
	connectortest.Source(t, func(t *testing.T) connectortest.SourceHarness {
		s := newSite(t, guardduty.DefaultConfig(), 0)
		s.enableAll()
		h := connectortest.SourceHarness{Poll: s.src.Poll}
		for i := range 3 {
			id := fmt.Sprintf("f%d", i)
			s.put(pay, west, id, 5, time.Duration(i+1)*time.Hour)
			h.Records = append(h.Records, "guardduty "+pay+"/"+west+" "+id+"#0")
		}
		for _, a := range []string{home, pay, other} {
			h.Scopes = append(h.Scopes, "aws/guardduty/"+a+"/"+west, "aws/guardduty/"+a+"/"+east)
		}
		return h
	})
}

func TestFullAndIncremental(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.enableAll()
	s.put(pay, west, "old", 5, 80*time.Hour)
	s.put(pay, west, "archived", 5, 70*time.Hour, `,"archived":true`)
	s.put(other, east, "young", 8, time.Minute)

	g, res := s.poll("", true)
	if want := []string{"2/eu-west-1/archived", "2/eu-west-1/old", "3/us-east-1/young"}; !slices.Equal(g.ids(), want) {
		t.Errorf("Poll(first) handed over %q; want %q", g.ids(), want)
	}
	if want := []string{"1/eu-west-1=0", "1/us-east-1=0", "2/eu-west-1=2", "2/us-east-1=0", "3/eu-west-1=0", "3/us-east-1=1"}; !slices.Equal(g.whole(), want) {
		t.Errorf("Poll(first) read %q whole; want %q", g.whole(), want)
	}
	if r := g.reports[pay+"/"+west+"/old"]; !r.Occurred || !r.ObservedAt.Equal(s.now.Add(-80*time.Hour)) || r.Status != pipeline.StatusOpen {
		t.Errorf("Poll(first) old = %v at %v, occurred %v; want open, as GuardDuty tells it", r.Status, r.ObservedAt, r.Occurred)
	}
	if r := g.reports[pay+"/"+west+"/archived"]; r.Status != pipeline.StatusResolved || r.Occurred {
		t.Errorf("Poll(first) archived = %v, occurred %v; want resolved and no occurrence", r.Status, r.Occurred)
	}
	if !strings.Contains(string(g.records[0].Data), `"newerThanTheSDK":{"kept":true}`) {
		t.Errorf("Poll(first) data = %s; want every member that GuardDuty sent", g.records[0].Data)
	}
	if res.Records != 3 || res.Accounts != 3 || res.Regions != 2 || len(res.Gaps) != 0 {
		t.Errorf("Poll(first) = %+v; want 3 records of 3 accounts in 2 regions, no gaps", res)
	}

	s.now = s.now.Add(time.Hour)
	s.put(pay, west, "old", 5, 20*time.Minute)
	g, res = s.poll(res.Watermark, false)
	if want := []string{"2/eu-west-1/old", "3/us-east-1/young"}; !slices.Equal(g.ids(), want) || len(g.whole()) != 0 {
		t.Errorf("Poll(later) handed over %q, whole %q; want %q (one of the overlap) and none", g.ids(), g.whole(), want)
	}
	if r := g.reports[pay+"/"+west+"/old"]; !r.Occurred || !r.ObservedAt.Equal(s.now.Add(-20*time.Minute)) {
		t.Errorf("Poll(later) old at %v, occurred %v; want the new occurrence", r.ObservedAt, r.Occurred)
	}
	for _, scan := range g.scans {
		if scan.Complete || !scan.Time.IsZero() {
			t.Errorf("Poll(later) scan = %+v; want none that claims anything", scan)
		}
	}

	// A person archives one finding, takes another back, and one is 90 days old.
	s.now = s.now.Add(24 * time.Hour)
	s.duty.Archive(pay, west, "old", true)
	s.duty.Archive(pay, west, "archived", false)
	s.duty.Expire(other, east, "young")
	g, _ = s.poll(res.Watermark, true)
	look := s.now.Add(-10 * time.Minute)
	for id, want := range map[string]pipeline.Status{"old": pipeline.StatusResolved, "archived": pipeline.StatusOpen} {
		if r := g.reports[pay+"/"+west+"/"+id]; r.Status != want || !r.ObservedAt.Equal(look) || r.Occurred {
			t.Errorf("Poll(full) %s = %v at %v, occurred %v; want %v at %v and no occurrence", id, r.Status, r.ObservedAt, r.Occurred, want, look)
		}
	}
	if want := []string{"1/eu-west-1=0", "1/us-east-1=0", "2/eu-west-1=2", "2/us-east-1=0", "3/eu-west-1=0", "3/us-east-1=0"}; !slices.Equal(g.whole(), want) {
		t.Errorf("Poll(full) read %q whole; want %q", g.whole(), want)
	}
}

// TestOccurrenceBetweenFullReads has a finding happen again after the poll before a full read.
func TestOccurrenceBetweenFullReads(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.enableAll()
	s.put(pay, west, "f", 5, 80*time.Hour)
	_, res := s.poll("", true)
	s.now = s.now.Add(24 * time.Hour)
	s.put(pay, west, "f", 5, time.Hour)
	g, _ := s.poll(res.Watermark, true)
	if r := g.reports[pay+"/"+west+"/f"]; !r.Occurred || !r.ObservedAt.Equal(s.now.Add(-time.Hour)) {
		t.Errorf("Poll(full) f at %v, occurred %v; want the occurrence at %v", r.ObservedAt, r.Occurred, s.now.Add(-time.Hour))
	}
}

// TestClockAhead has a clock that is three hours ahead of AWS's: what is updated after a poll is read by the next.
func TestClockAhead(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.enableAll()
	s.now = time.Now().Add(3 * time.Hour)
	_, res := s.poll("", true)
	s.put(pay, west, "f", 5, 3*time.Hour)
	if g, _ := s.poll(res.Watermark, false); !slices.Equal(g.ids(), []string{"2/eu-west-1/f"}) {
		t.Errorf("Poll() handed over %q; want the finding that was updated since", g.ids())
	}
}

func TestNarrowed(t *testing.T) {
	s := newSite(t, guardduty.Config{Samples: false, Regions: []string{west}}, pipeline.Medium)
	s.enableAll()
	s.put(pay, west, "low", 2, time.Hour)
	s.put(pay, west, "medium", 4, time.Hour)
	s.put(pay, west, "sample", 8, time.Hour, `,"additionalInfo":{"sample":true}`)
	s.put(pay, east, "elsewhere", 8, time.Hour)
	g, res := s.poll("", true)
	if want := []string{"2/eu-west-1/medium"}; !slices.Equal(g.ids(), want) {
		t.Errorf("Poll() handed over %q; want %q", g.ids(), want)
	}
	if len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "1 sample") || g.scans[0].Filter != "samples=false severity>=4" {
		t.Errorf("Poll() notes %q, filter %q; want the sample and both filters named", res.Notes, g.scans[0].Filter)
	}
}

// TestAdministrator has one account that sees the findings of the others in one region.
func TestAdministrator(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.enableAll()
	s.duty.Administer(home, pay, west)
	s.duty.Administer(home, other, west)
	s.put(home, west, "h", 5, time.Hour)
	s.put(pay, west, "p", 5, time.Hour)
	s.put(other, west, "o", 5, time.Hour)
	s.put(pay, east, "e", 5, time.Hour)
	g, res := s.poll("", true)
	if want := []string{"1/eu-west-1/h", "2/eu-west-1/p", "2/us-east-1/e", "3/eu-west-1/o"}; !slices.Equal(g.ids(), want) {
		t.Errorf("Poll() handed over %q; want each once: %q", g.ids(), want)
	}
	if n := s.server.Calls(awstest.Match{Service: "guardduty", Operation: "ListFindings", Account: pay, Region: west}); n != 0 {
		t.Errorf("Poll() listed the findings of a member %d times; want 0", n)
	}
	if want := []string{"1/eu-west-1=1", "1/us-east-1=0", "2/eu-west-1=1", "2/us-east-1=1", "3/eu-west-1=1", "3/us-east-1=0"}; !slices.Equal(g.whole(), want) || res.Accounts != 3 {
		t.Errorf("Poll() read %q of %d accounts whole; want %q of 3", g.whole(), res.Accounts, want)
	}
}

// TestAdministratorWithoutMembersList has a role that may not list members: nothing is read twice all the same.
func TestAdministratorWithoutMembersList(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.duty.Administer(home, pay, west)
	s.put(pay, west, "p", 5, time.Hour)
	s.server.Fault(awstest.Match{Service: "guardduty", Operation: "ListMembers"}, awstest.Denied())
	g, _ := s.poll("", true)
	if want := []string{"2/eu-west-1/p"}; !slices.Equal(g.ids(), want) {
		t.Errorf("Poll() handed over %q; want %q", g.ids(), want)
	}
}

// TestNewAdministrator puts an account above the others: what was read of them by themselves is read through it from then on.
func TestNewAdministrator(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.enableAll()
	s.put(pay, west, "p", 5, time.Hour)
	_, res := s.poll("", true)
	s.duty.Administer(home, pay, west)
	s.duty.Expire(pay, west, "p")
	s.now = s.now.Add(time.Hour)
	g, res := s.poll(res.Watermark, false)
	if n := len(g.scopes(func(s pipeline.Scan) bool { return s.Left || s.Complete })); n != 0 {
		t.Errorf("Poll() ended %d scopes; want none: each is still read", n)
	}
	s.now = s.now.Add(time.Hour)
	// The list of members is asked for in vain: what was known of it holds.
	s.server.Fault(awstest.Match{Service: "guardduty", Operation: "ListMembers"}, awstest.Page())
	if g, _ = s.poll(res.Watermark, true); !slices.Contains(g.whole(), "2/eu-west-1=0") {
		t.Errorf("Poll(full) read %q whole; want the member's region through its administrator", g.whole())
	}
	if n := s.server.Calls(awstest.Match{Service: "guardduty", Operation: "ListFindings", Account: pay, Region: west}); n != 1 {
		t.Errorf("the member was listed %d times by itself; want once, before it was one", n)
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		regions []string
		want    string
	}{
		{nil, ""},
		{[]string{"all"}, ""},
		{[]string{"eu-west-1", "us-east-1"}, ""},
		{[]string{"EU-WEST-1"}, "regions[0]"},
		{[]string{"eu-west-1", ""}, "regions[1]"},
		{[]string{"eu-west-1", "all"}, "regions: write either"},
	} {
		err := guardduty.Config{Regions: tt.regions}.Validate()
		if got := fmt.Sprint(err); (err == nil) != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("Validate(%q) = %v; want an error with %q", tt.regions, err, tt.want)
		}
	}
}

func TestExcludedMember(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0, other)
	s.duty.Administer(home, pay, west)
	s.duty.Administer(home, other, west)
	s.put(pay, west, "p", 5, time.Hour)
	s.put(other, west, "o", 5, time.Hour)
	g, _ := s.poll("", true)
	if want := []string{"2/eu-west-1/p"}; !slices.Equal(g.ids(), want) {
		t.Errorf("Poll() handed over %q; want %q, without the account that the configuration excludes", g.ids(), want)
	}
}

func TestGaps(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.duty.Enable(home, west)
	s.duty.Enable(pay, west)
	s.duty.Enable(pay, east)
	s.put(pay, west, "p", 5, time.Hour)
	s.put(home, west, "h", 5, time.Hour)
	s.server.Fault(awstest.Match{Service: "guardduty", Operation: "ListFindings", Account: home}, awstest.Denied())
	g, res := s.poll("", true)
	if want := []string{"1/eu-west-1", "1/us-east-1", "3/"}; !slices.Equal(gaps(res), want) {
		t.Errorf("Poll() gaps = %q; want %q (denied; no detector; none anywhere)", gaps(res), want)
	}
	if want := []string{"2/eu-west-1/p"}; !slices.Equal(g.ids(), want) || len(g.whole()) != 2 {
		t.Errorf("Poll() handed over %q, whole %q; want %q and two of account 2", g.ids(), g.whole(), want)
	}
	s.server.Heal()
	g, res = s.poll(res.Watermark, false)
	if !slices.Contains(g.ids(), "1/eu-west-1/h") || !slices.Equal(gaps(res), []string{"1/us-east-1", "3/"}) {
		t.Errorf("Poll(healed) handed over %q, gaps %q; want what was missed before", g.ids(), gaps(res))
	}
}

// TestLargePlace reads more than a page, with many of one time and page tokens that expire, without a loss and, where none
// expires, each once.
func TestLargePlace(t *testing.T) {
	for _, tt := range []struct {
		name   string
		age    func(i int) time.Duration
		expire bool
	}{
		{"old", func(i int) time.Duration { return time.Hour + time.Duration(i)*time.Minute }, false},
		{"of one time", func(int) time.Duration { return time.Hour }, false},
		{"in groups", func(i int) time.Duration { return time.Hour * time.Duration(1+i/70) }, false},
		{"new", func(i int) time.Duration { return time.Duration(i) * time.Millisecond }, false},
		{"of one time, expiring", func(int) time.Duration { return time.Hour }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, guardduty.DefaultConfig(), 0)
			s.duty.Enable(pay, west)
			var want []string
			for i := range 230 {
				id := fmt.Sprintf("f%03d", i)
				s.put(pay, west, id, 5, tt.age(i))
				want = append(want, "2/eu-west-1/"+id)
			}
			g := &got{}
			if tt.expire {
				g.fail = func(n int) error {
					if n == 50 {
						s.duty.ExpireTokens()
					}
					return nil
				}
			}
			if _, err := s.src.Poll(t.Context(), pipeline.Request{Full: true}, g); err != nil {
				t.Fatal(err)
			}
			ids := g.ids()
			if tt.expire {
				ids = slices.Compact(ids)
			}
			if d := cmp.Diff(want, ids); d != "" {
				t.Errorf("Poll() differs (-want +got):\n%s", d)
			}
			if tt.expire {
				return
			}
			if w := g.whole(); !slices.Contains(w, "2/eu-west-1=230") {
				t.Errorf("Poll() read %q whole; want 2/eu-west-1=230", w)
			}
		})
	}
}

// TestUpdatedMeanwhile has findings updated while they are read: none is passed over.
func TestUpdatedMeanwhile(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.duty.Enable(pay, west)
	want := map[string]bool{}
	for i := range 230 {
		id := fmt.Sprintf("f%03d", i)
		s.put(pay, west, id, 5, 300*time.Hour-time.Duration(i)*time.Minute)
		want["2/eu-west-1/"+id] = true
	}
	g := &got{fail: func(n int) error {
		for i := n; i < n+20; i++ { // some of those handed over, and some that come next
			s.put(pay, west, fmt.Sprintf("f%03d", i%230), 5, 0)
			s.put(pay, west, fmt.Sprintf("f%03d", (i+200)%230), 5, 0)
		}
		return nil
	}}
	if _, err := s.src.Poll(t.Context(), pipeline.Request{Full: true}, g); err != nil {
		t.Fatal(err)
	}
	for _, id := range g.ids() {
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("Poll() passed %v over; want everything", want)
	}
}

// TestCutOff ends a first read in the middle: the next poll goes on where it was, and claims no absence for the place.
func TestCutOff(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.duty.Enable(home, west)
	s.duty.Enable(pay, west)
	for i := range 1500 {
		s.put(pay, west, fmt.Sprintf("f%04d", i), 5, 300*time.Hour-time.Duration(i)*time.Minute)
	}
	stop := errors.New("no more")
	first := &got{fail: func(n int) error {
		if n >= 1200 {
			return stop
		}
		return nil
	}}
	_, err := s.src.Poll(t.Context(), pipeline.Request{Full: true}, first)
	if !errors.Is(err, stop) || len(first.progress) == 0 {
		t.Fatalf("Poll() = %v with %d progresses; want the emitter's error behind some", err, len(first.progress))
	}
	second, res := s.poll(first.progress[len(first.progress)-1], true)
	all := slices.Compact(slices.Sorted(slices.Values(append(first.ids(), second.ids()...))))
	if len(all) != 1500 || len(second.records) > 600 {
		t.Errorf("two polls handed over %d findings, the second %d; want 1500 and only the rest", len(all), len(second.records))
	}
	if slices.ContainsFunc(second.whole(), func(s string) bool { return strings.HasPrefix(s, "2/eu-west-1=") }) {
		t.Errorf("Poll(rest) read %q whole; want no claim about the place that was cut off", second.whole())
	}
	s.now = s.now.Add(24 * time.Hour)
	if third, _ := s.poll(res.Watermark, true); !slices.Contains(third.whole(), "2/eu-west-1=1500") {
		t.Errorf("Poll(full) read %q whole; want 2/eu-west-1=1500", third.whole())
	}
}

// TestLeft takes an account and a region away: their scopes are left, not closed.
func TestLeft(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.enableAll()
	s.put(pay, east, "p", 5, time.Hour)
	s.put(other, west, "o", 5, time.Hour)
	_, res := s.poll("", true)
	narrow := newSite(t, guardduty.Config{Samples: true, Regions: []string{west}}, 0, other)
	narrow.enableAll()
	g, res := narrow.poll(res.Watermark, false)
	left := g.scopes(func(s pipeline.Scan) bool { return s.Left })
	if want := []string{"1/us-east-1=0", "2/us-east-1=0", "3/eu-west-1=0", "3/us-east-1=0"}; !slices.Equal(left, want) {
		t.Errorf("Poll() left %q; want %q", left, want)
	}
	if g, _ := narrow.poll(res.Watermark, false); len(g.scans) != 0 {
		t.Errorf("Poll(again) scans = %+v; want none: it was told", g.scans)
	}
}

// TestNotLeft has a place that cannot be reached: it is a gap and not left.
func TestNotLeft(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.enableAll()
	_, res := s.poll("", true)
	s.duty.Disable(other, west)
	s.now = s.now.Add(time.Hour)
	s.server.Fault(awstest.Match{Service: "guardduty", Account: pay}, awstest.Throttled())
	for _, account := range []string{pay} {
		s.server.Fault(awstest.Match{Service: "guardduty", Account: account}, awstest.Page())
	}
	g, res := s.poll(res.Watermark, false)
	if want := []string{"2/eu-west-1", "2/us-east-1", "3/eu-west-1"}; !slices.Equal(gaps(res), want) {
		t.Errorf("Poll() gaps = %q; want %q", gaps(res), want)
	}
	if left := g.scopes(func(s pipeline.Scan) bool { return s.Left || s.Complete }); len(left) != 0 {
		t.Errorf("Poll() scans = %q; want none left and none whole", left)
	}
}

// TestOddAnswers gets answers that are none: the place is a gap, or at least not read whole.
func TestOddAnswers(t *testing.T) {
	body := func(text string) awstest.Fault {
		return awstest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: text}
	}
	for _, tt := range []struct {
		name, operation string
		fault           awstest.Fault
		gap             bool
	}{
		{"a list without ids", "ListFindings", body("{}"), true},
		{"no findings", "GetFindings", body("{}"), true},
		{"not JSON", "GetFindings", body("{"), true},
		{"a web page", "ListFindings", awstest.Page(), true},
		{"fewer findings than were asked for", "GetFindings", body(`{"findings":[]}`), false},
		{"a finding that cannot be read", "GetFindings", body(`{"findings":[{"id":"p"}]}`), false},
		{"a slow-down that ends", "ListFindings", awstest.Fault{Status: 503, Code: "SlowDown", Times: 2}, false},
		{"a throttling that ends", "GetFindings", awstest.Fault{Status: 429, Code: "ThrottlingException", Times: 2}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, guardduty.DefaultConfig(), 0)
			s.duty.Enable(home, west)
			s.put(pay, west, "p", 5, time.Hour)
			s.server.Fault(awstest.Match{Service: "guardduty", Operation: tt.operation, Account: pay}, tt.fault)
			g, res := s.poll("", true)
			if got := slices.Contains(gaps(res), "2/eu-west-1"); got != tt.gap {
				t.Errorf("Poll() gaps = %+v; want the place among them: %v", res.Gaps, tt.gap)
			}
			healed := tt.fault.Times > 0
			if got := slices.Contains(g.whole(), "2/eu-west-1=1") || slices.Contains(g.whole(), "2/eu-west-1=0"); got != healed {
				t.Errorf("Poll() read %q whole; want the place among them: %v", g.whole(), healed)
			}
			if !slices.Contains(g.whole(), "1/eu-west-1=0") {
				t.Errorf("Poll() read %q whole; want the other account there", g.whole())
			}
		})
	}
}

func TestNothingReached(t *testing.T) {
	s := newSite(t, guardduty.DefaultConfig(), 0)
	s.enableAll()
	s.server.Fault(awstest.Match{Service: "guardduty"}, awstest.Denied())
	_, err := s.src.Poll(t.Context(), pipeline.Request{Full: true}, &got{})
	if !errors.Is(err, pipeline.ErrForbidden) {
		t.Errorf("Poll(denied everywhere) = %v; want %v", err, pipeline.ErrForbidden)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.src.Poll(ctx, pipeline.Request{}, &got{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Poll(cancelled) = %v; want %v", err, context.Canceled)
	}
}
