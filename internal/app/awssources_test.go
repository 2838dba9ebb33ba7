package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/internal/awsx/awstest/lab"
	"github.com/docket-hub/docket/pipeline"
)

// awsSite is docket in front of the lab.
type awsSite struct {
	*site
	lab     *lab.Lab
	results *pollResults
}

// newAWSSite starts the lab and configures docket for it; in the configuration each pair of texts is replaced.
func newAWSSite(t testing.TB, replace ...string) *awsSite {
	t.Helper()
	l, err := lab.Start(lab.New(labAt()), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close() = %v; want nil", err)
		}
	})
	for _, pair := range l.Server.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.(*testing.T).Setenv(name, value)
	}
	s := &awsSite{newSite(t, strings.NewReplacer(replace...).Replace(l.Config())), l, &pollResults{last: map[string]pipeline.Result{}}}
	s.set = s.results.watched(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.log.tail())
		}
	})
	return s
}

// run is `docket run --once`, of which sources may fail.
func (s *awsSite) run() (api.Summary, error) {
	return RunOnce(s.t.Context(), s.config(), s.options(), time.Minute, quiet)
}

// in lists the findings in a state, in one line each.
func (s *awsSite) in(state string) []string {
	s.t.Helper()
	var out []string
	for _, f := range allFindings(s.t, s.offline()) {
		if f.State == state {
			out = append(out, strings.Join([]string{f.Account, f.Region, f.Control, f.Resource}, " "))
		}
	}
	slices.Sort(out)
	return out
}

// states counts the findings by state, as "open 170, unwatched 3".
func (s *awsSite) states() string {
	s.t.Helper()
	count := map[string]int{}
	for _, f := range allFindings(s.t, s.offline()) {
		count[f.State]++
	}
	var out []string
	for state, n := range count {
		out = append(out, fmt.Sprintf("%s %d", state, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// polls remembers what the sources' polls came to, by source.
type pollResults struct {
	mu   sync.Mutex
	last map[string]pipeline.Result
}

// watched is the connectors of the binary, with sources that remember.
func (r *pollResults) watched(t testing.TB) connectors.Set {
	t.Helper()
	set, err := all.Set()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range set {
		if make := f.Source; make != nil {
			f.Source = func(env connectors.Env, b connectors.Block) (connectors.Source, error) {
				src, err := make(env, b)
				if src.Source != nil {
					src.Source = watchedSource{src.Source, r, env.Name}
				}
				return src, err
			}
			set[name] = f
		}
	}
	return set
}

type watchedSource struct {
	pipeline.Source
	to   *pollResults
	name string
}

func (w watchedSource) Poll(ctx context.Context, req pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error) {
	res, err := w.Source.Poll(ctx, req, emit)
	w.to.mu.Lock()
	defer w.to.mu.Unlock()
	w.to.last[w.name] = res
	return res, err
}

// gaps lists what the last poll of a source did not reach, each once, as "account region".
func (s *awsSite) gaps(source string) []string {
	s.results.mu.Lock()
	defer s.results.mu.Unlock()
	var out []string
	for _, g := range s.results.last[source].Gaps {
		out = append(out, strings.TrimSpace(g.Account+" "+g.Region))
	}
	slices.Sort(out)
	return out
}

// reported counts the problems that one of the services reports.
func (s *awsSite) reported(services ...string) int {
	n := 0
	for _, p := range s.lab.World.Problems {
		if slices.ContainsFunc(p.Kind.Seen(), func(x string) bool { return slices.Contains(services, x) }) {
			n++
		}
	}
	return n
}

// expected is what all sources together make of the lab, as states gives it: passed controls, resources that are gone and green
// rows are known as resolved.
func (s *awsSite) expected() string {
	org := s.lab.World.Org
	return fmt.Sprintf("open %d, resolved %d", s.reported(lab.SecurityHub, lab.TrustedAdvisor, lab.GuardDuty, lab.EventBridge), len(org.Accounts)*(2*len(org.Regions)+1))
}

// openOf and resolvedOf read the numbers out of expected.
func (s *awsSite) openOf(states string) int     { n, _ := s.numbers(states); return n }
func (s *awsSite) resolvedOf(states string) int { _, n := s.numbers(states); return n }

func (s *awsSite) numbers(states string) (open, resolved int) {
	s.t.Helper()
	if _, err := fmt.Sscanf(states, "open %d, resolved %d", &open, &resolved); err != nil {
		s.t.Fatal(err)
	}
	return open, resolved
}

// TestFourSourcesAtOnce: ten accounts and three regions, seen by four services at once: one finding a problem, which
// remembers who reported it; one ticket each; and nothing more the second time.
func TestFourSourcesAtOnce(t *testing.T) {
	s := newAWSSite(t, apart()[2:]...)
	sum := s.once()
	want := s.expected()
	if got := s.states(); got != want {
		t.Errorf("findings = %s; want %s\n%s", got, want, counts(sum))
	}
	if got, want := len(s.tickets()), s.openOf(want); got != want {
		t.Errorf("%d tickets; want %d", got, want)
	}
	who := map[string]int{}
	for _, f := range allFindings(t, s.offline()) {
		if f.State == "open" {
			who[strings.Join(f.Products, ", ")]++
		}
	}
	accounts, places := len(s.lab.World.Org.Accounts), len(s.lab.World.Org.Accounts)*len(s.lab.World.Org.Regions)
	if want := map[string]int{"Security Hub, Trusted Advisor": 2*accounts + places, "Security Hub": 2 * places, "GuardDuty": places, "IAM Access Analyzer": places}; !maps.Equal(who, want) {
		t.Errorf("who reports the open findings = %v; want %v", who, want)
	}
	s.still()
	s.clean()
}

// hit is an account that the faults hit: neither the first nor the last, and not the home account.
const hit = "100000000005"

// apart reads each account's own Security Hub instead of the one that they come together in, and asks for no refresh.
func apart() []string {
	return []string{"type: securityhub, region: eu-west-1}", "type: securityhub}", "type: trustedadvisor}", "type: trustedadvisor, refresh: false}"}
}

// trouble is one thing that goes wrong between docket and AWS.
type trouble struct {
	name string
	make func(l *lab.Lab)
	// gaps is what each source must say that it did not reach; a source that is not in it reached everything.
	gaps func(s *awsSite) map[string][]string
	// unwatched: what only that source reports may become unwatched meanwhile.
	unwatched bool
}

func troubles() []trouble {
	fault := func(m awstest.Match, f awstest.Fault) func(*lab.Lab) {
		return func(l *lab.Lab) { l.Server.Fault(m, f) }
	}
	find := func(m awstest.Match) awstest.Match {
		m.Service, m.Operation = "securityhub", "GetFindings"
		return m
	}
	return []trouble{
		{"throttled here and there", func(l *lab.Lab) {
			for _, service := range []string{"organizations", "account", "sts", "securityhub", "guardduty", "support"} {
				throttled := awstest.Throttled()
				throttled.Times = 4
				l.Server.Fault(awstest.Match{Service: service, Every: 3}, throttled)
			}
		}, nil, false},
		{"503 SlowDown three times", fault(find(awstest.Match{Account: hit}), awstest.Fault{Status: 503, Code: "SlowDown", Times: 3}), nil, false},
		{"connections cut", fault(awstest.Match{Account: hit, Every: 3}, awstest.Fault{Cut: true, Times: 5}), nil, false},
		{"sessions end while it reads", fault(find(awstest.Match{Account: hit, Nth: 1}), awstest.Fault{Status: 403, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}), nil, false},
		{"the role lets nobody in", func(l *lab.Lab) {
			l.Server.Change(hit, func(a *awstest.Account) { a.Denied = true })
			l.Server.ExpireSessions(hit)
		}, func(*awsSite) map[string][]string {
			return map[string][]string{"hub": {hit}, "advisor": {hit}, "threats": {hit}}
		}, false},
		{"access denied in one account", fault(awstest.Match{Account: hit, Service: "securityhub"}, awstest.Denied()),
			func(*awsSite) map[string][]string { return map[string][]string{"hub": {hit}} }, false},
		{"an answer in HTML", fault(awstest.Match{Account: hit, Region: "eu-west-1", Service: "securityhub"}, awstest.Page()),
			func(*awsSite) map[string][]string { return map[string][]string{"hub": {hit + " eu-west-1"}} }, false},
		{"Security Hub switched off in a region", func(l *lab.Lab) { l.Hub.Disable(hit, "eu-west-1") },
			func(*awsSite) map[string][]string { return map[string][]string{"hub": {hit + " eu-west-1"}} },
			true},
		{"the organisation may not be asked", fault(awstest.Match{Service: "organizations"}, awstest.Denied()), nil, false},
	}
}

// heal takes a trouble back.
func (s *awsSite) heal() {
	s.lab.Server.Heal()
	s.lab.On()
	for _, region := range s.lab.World.Org.Regions {
		s.lab.Hub.Enable(hit, region)
	}
}

// TestTroubleInAFirstRead: what went wrong in a first read is there after the next: nothing is lost, nothing is there twice,
// and the report named what was not reached.
func TestTroubleInAFirstRead(t *testing.T) { inTrouble(t, false) }

// TestTroubleInALaterRead: a full read that something goes wrong in closes nothing that is still there.
func TestTroubleInALaterRead(t *testing.T) { inTrouble(t, true) }

func inTrouble(t *testing.T, later bool) {
	if testing.Short() {
		t.Skip("waits between attempts as the SDK does")
	}
	for _, tt := range troubles() {
		t.Run(tt.name, func(t *testing.T) {
			s := newAWSSite(t, apart()...)
			all := s.expected()
			if later {
				s.once()
				s.skew = 25 * time.Hour // every source's full read is due
			}
			tt.make(s.lab)
			sum, err := s.run()
			if sum.Closed != 0 || sum.Resolved != 0 && later {
				t.Errorf("RunOnce() in trouble = %s; want nothing closed", counts(sum))
			}
			want := map[string][]string{}
			if tt.gaps != nil {
				want = tt.gaps(s)
			}
			if err == nil {
				for _, source := range []string{"hub", "advisor", "threats"} {
					if got := s.gaps(source); !slices.Equal(got, want[source]) {
						t.Errorf("%s did not reach %q; want %q", source, got, want[source])
					}
				}
			}
			if open, aside := len(s.in("open")), len(s.in("unwatched")); later && (open+aside != s.openOf(all) || aside > 0 != tt.unwatched) {
				t.Errorf("findings in trouble = %s; want %s, some unwatched: %v", s.states(), all, tt.unwatched)
			}
			s.heal()
			s.skew += 25 * time.Hour
			if sum := s.once(); later && moved(sum) {
				t.Errorf("RunOnce() when it was over = %s; want nothing to do", counts(sum))
			}
			if got := s.states(); got != all {
				t.Errorf("findings when it was over = %s; want %s", got, all)
			}
			if got, want := len(s.tickets()), s.openOf(all); got != want {
				t.Errorf("%d tickets; want %d", got, want)
			}
			s.clean()
		})
	}
}

// TestPageTokenExpires: the tokens of pages that are under way end in the midst of a read, first and later: it goes on, and what is
// there stays open.
func TestPageTokenExpires(t *testing.T) {
	s := newAWSSite(t, apart()[2:]...)
	const more = 1000
	if err := s.lab.Add(more); err != nil {
		t.Fatal(err)
	}
	h := s.lab.Hub.Handler()
	find := h.Operations["GetFindings"]
	calls, expire := 0, 4
	h.Operations["GetFindings"] = awstest.Operation{Route: find.Route, Do: func(c awstest.Call, r *awstest.Request) (any, error) {
		if calls++; calls == expire { // the source reads this one place, page by page
			s.lab.Hub.ExpireTokens()
		}
		return find.Do(c, r)
	}}
	s.lab.Server.Handle("securityhub", h)
	all := fmt.Sprintf("open %d, resolved %d", s.openOf(s.expected())+more, s.resolvedOf(s.expected()))
	for range 2 {
		calls = 0
		s.once()
		if got := s.states(); got != all {
			t.Errorf("findings = %s; want %s", got, all)
		}
		if calls < expire {
			t.Errorf("GetFindings was called %d times; want the tokens to end in the midst of the read", calls)
		}
		s.skew += 25 * time.Hour
	}
	expire = 0
	if sum := s.once(); moved(sum) {
		t.Errorf("RunOnce() without trouble = %s; want nothing to do", counts(sum))
	}
	s.clean()
}

// TestPlacesThatAreReadNoMore: of an account that left the organisation and of a region that was disabled nothing is known any
// more: what was found there is unwatched, never closed as fixed; read again, it is open again, without a new ticket.
func TestPlacesThatAreReadNoMore(t *testing.T) {
	for _, tt := range []struct {
		name      string
		leave     func(l *lab.Lab)
		come      func(l *lab.Lab)
		unwatched func(p lab.Problem) bool
	}{
		{"an account left", func(l *lab.Lab) { l.Server.Change(hit, func(a *awstest.Account) { *a = awstest.Account{} }) }, nil,
			func(p lab.Problem) bool { return p.Account == hit }},
		{"a region was disabled", func(l *lab.Lab) { l.Off("eu-central-1") }, func(l *lab.Lab) { l.On() },
			// A snapshot is seen by Trusted Advisor still, which is asked elsewhere.
			func(p lab.Problem) bool { return p.Region == "eu-central-1" && p.Kind != lab.Snapshot }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newAWSSite(t, apart()...)
			s.once()
			before := s.states()
			want := 0
			for _, p := range s.lab.World.Problems {
				if tt.unwatched(p) && p.Kind != lab.SharedRole { // which the queue alone tells of
					want++
				}
			}
			tt.leave(s.lab)
			s.skew += 25 * time.Hour
			if sum := s.once(); sum.Resolved+sum.Closed > 0 {
				t.Errorf("RunOnce() = %s; want nothing resolved or closed", counts(sum))
			}
			if got := len(s.in("unwatched")); got != want {
				t.Errorf("%d findings are unwatched; want %d: %s", got, want, s.states())
			}
			if tt.come == nil {
				return
			}
			tt.come(s.lab)
			s.skew += 25 * time.Hour
			if sum := s.once(); sum.TicketsCreated > 0 {
				t.Errorf("RunOnce() when it was back = %s; want no new ticket", counts(sum))
			}
			if got := s.states(); got != before {
				t.Errorf("findings when it was back = %s; want %s", got, before)
			}
		})
	}
}

// TestGoneFromOneOfTwoWays: a threat that Security Hub forgot is open while GuardDuty itself reports it.
func TestGoneFromOneOfTwoWays(t *testing.T) {
	s := newAWSSite(t, apart()...)
	s.once()
	i := slices.IndexFunc(s.lab.World.Problems, func(p lab.Problem) bool { return p.Kind == lab.Mining })
	p := s.lab.World.Problems[i]
	for _, doc := range s.lab.World.Hub(p.Account, p.Region) {
		var f struct{ ProductArn, Id string }
		if err := json.Unmarshal(doc, &f); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.ProductArn, "/guardduty") {
			s.lab.Hub.Forget(f.ProductArn, f.Id)
		}
	}
	for range 2 {
		s.skew += 25 * time.Hour
		if sum := s.once(); moved(sum) {
			t.Errorf("RunOnce() = %s; want nothing to do", counts(sum))
		}
		if got, want := s.states(), s.expected(); got != want {
			t.Errorf("findings = %s; want %s; unwatched are %q", got, want, s.in("unwatched"))
		}
	}
}

// TestPlanNamesAccounts: a plan shows for each source which accounts it read, by name, and how much in which region; it
// takes nothing from the queue.
func TestPlanNamesAccounts(t *testing.T) {
	s := newAWSSite(t)
	p, err := s.offline().Plan(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	org := s.lab.World.Org
	want := map[string]int{} // findings of one account in one of its regions, global ones apart
	for _, a := range org.Accounts {
		for _, region := range org.Regions {
			// Of the six in Security Hub two are of the account as a whole; a passed control and a resource that is gone come on top.
			want["hub "+a.Name+" "+region], want["threats "+a.Name+" "+region], want["advisor "+a.Name+" "+region] = 6, 1, 1
		}
	}
	got := map[string]int{}
	for _, r := range p.Read {
		for _, a := range r.Accounts {
			for region, n := range a.Regions {
				if region != "global" {
					got[r.Source+" "+a.Name+" "+region] = n
				}
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the plan read %v; want %v", got, want)
	}
	if waiting, taken := s.lab.Events.Depth(s.lab.QueueURL); waiting != len(s.lab.World.Events()) || taken != 0 {
		t.Errorf("after a plan %d events wait in the queue and %d were taken; want all %d", waiting, taken, len(s.lab.World.Events()))
	}
}
