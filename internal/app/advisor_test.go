package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/internal/awsx/awstest/lab"
	"github.com/docket-hub/docket/pipeline/plan"
)

// newLabSite is a site whose sources read the lab's ten accounts.
func newLabSite(t *testing.T, sources string) (*site, *lab.Lab) {
	t.Helper()
	l, err := lab.Start(lab.New(labAt()), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for _, v := range l.Server.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return newSite(t, `
installation: test
data_dir: ./data
aws: {organization: {role_name: docket-readonly}}
`+sources+`
teams: [{name: security}]
route: {team: security, sinks: [disk], group_by: [account, region, resource, control]}
sinks: [{name: disk, type: file, path: ./tickets}]
limits: {max_new_tickets_per_hour: 100000}
close: {min: 1000}
`), l
}

// TestAdvisorEndToEnd: plan names accounts and regions; each problem is one finding whoever reports it; an account that
// is closed to docket is a gap that closes nothing; a green row closes its ticket.
func TestAdvisorEndToEnd(t *testing.T) {
	s, l := newLabSite(t, `
sources:
  - {name: ta, type: trustedadvisor, refresh: false}
  - {name: hub, type: securityhub, region: eu-west-1}`)
	p, err := s.offline().Plan(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Read, func(r plan.Read) bool { return r.Source == "ta" })
	if i < 0 || len(p.Read[i].Accounts) != 10 {
		t.Fatalf("Plan().Read = %+v; want ten accounts of ta", p.Read)
	}
	shop := p.Read[i].Accounts[4]
	want := "100000000005 shop-prod 6 map[eu-central-1:1 eu-west-1:1 global:3 us-east-1:1]"
	if got := fmt.Sprint(shop.ID, " ", shop.Name, " ", shop.Findings, " ", shop.Regions); got != want {
		t.Errorf("Plan().Read of an account = %s; want %s", got, want)
	}

	s.once()
	s.still()
	both := 0
	for _, f := range allFindings(t, s.offline()) {
		if slices.Equal(f.Products, []string{"Security Hub", "Trusted Advisor"}) {
			both++
		}
	}
	if want := 10 + 10 + 30; both != want { // root MFA and the old key of each account, a snapshot of each region
		t.Errorf("%d findings of Security Hub and Trusted Advisor together; want %d", both, want)
	}

	l.Server.Change("100000000005", func(a *awstest.Account) { a.Denied = true })
	later := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	l.Trust.Set(lab.Home, lab.CheckRootMFA, awstest.AdvisorResult{Time: later, Status: "ok"})
	sum := s.once()
	if sum.TicketsClosed != 0 { // Security Hub still reports the one that Trusted Advisor calls solved
		t.Errorf("RunOnce() with a closed account = %s; want no ticket closed", counts(sum))
	}
	rows, err := s.offline().Sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ta := rows[slices.IndexFunc(rows, func(r api.SourceRow) bool { return r.Name == "ta" })]
	if ta.Accounts != 9 || len(ta.Gaps) != 1 || ta.Gaps[0].Account != "100000000005" || ta.LastError != "" || ta.Interval != "6h" || ta.Lag > time.Minute {
		t.Errorf("Sources() of ta = %+v; want nine accounts, a gap, no error, every 6h", ta)
	}
}

// TestAdvisorEvidence: what Trusted Advisor alone reports closes on its word, and on nothing less.
func TestAdvisorEvidence(t *testing.T) {
	s, l := newLabSite(t, `sources: [{name: ta, type: trustedadvisor, refresh: false, checks: {include: [`+lab.CheckRootMFA+`]}}]`)
	if sum := s.once(); sum.TicketsCreated != 10 {
		t.Fatalf("RunOnce() = %s; want ten tickets", counts(sum))
	}
	mfa := func(account string, r awstest.AdvisorResult) {
		r.Time = time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
		l.Trust.Set(account, lab.CheckRootMFA, r)
	}
	mfa("100000000001", awstest.AdvisorResult{Status: "ok"})                                                                           // green
	mfa("100000000002", awstest.AdvisorResult{Status: "not_available"})                                                                // could not look
	mfa("100000000003", awstest.AdvisorResult{Status: "ok", Rows: []awstest.AdvisorRow{{Status: "error", Suppressed: true}}})          // excluded
	mfa("100000000004", awstest.AdvisorResult{Status: "ok", Rows: []awstest.AdvisorRow{{Status: "ok", Region: "-"}}})                  // green, with a row
	mfa("100000000005", awstest.AdvisorResult{Status: "error", Rows: []awstest.AdvisorRow{{Status: "error", Cells: []string{"new"}}}}) // another row, the same problem
	l.Trust.NoPlan("100000000006")
	if sum := s.once(); sum.TicketsClosed != 2 || sum.TicketsCreated != 0 {
		t.Errorf("RunOnce() = %s; want two tickets closed, the green ones", counts(sum))
	}
	closed := map[string]bool{}
	for _, f := range s.tickets() {
		if f.State == "closed" {
			closed[f.Text[strings.Index(f.Text, "10000000000"):][:12]] = true
		}
	}
	if len(closed) != 2 || !closed["100000000001"] || !closed["100000000004"] {
		t.Errorf("closed tickets of %v; want those of 100000000001 and 100000000004", closed)
	}
}

// TestAdvisorExposedKey: a key that was found in public makes a ticket, which closes when Trusted Advisor lists it no
// more, twice, although the key's id is masked wherever it is kept.
func TestAdvisorExposedKey(t *testing.T) {
	s, l := newLabSite(t, `sources: [{name: ta, type: trustedadvisor, refresh: false, checks: {include: [12Fnkpl8Y5]}}]`)
	trust := awstest.NewAdvisor(nil, awstest.AdvisorCheck{ID: "12Fnkpl8Y5", Name: "Exposed Access Keys", Category: "security",
		Columns: []string{"Access Key ID", "User Name (IAM or Root)", "Fraud Type", "Case ID", "Time Updated", "Location", "Deadline", "Usage (USD per Day)"}})
	l.Server.Handle("support", trust.Support())
	for _, a := range l.World.Org.Accounts {
		trust.Set(a.ID, "12Fnkpl8Y5", awstest.AdvisorResult{Time: labAt(), Status: "ok"})
	}
	set := func(ago time.Duration, keys ...string) {
		r := awstest.AdvisorResult{Time: time.Now().Add(-ago).UTC().Truncate(time.Second), Status: "error"}
		for _, k := range keys {
			r.Rows = append(r.Rows, awstest.AdvisorRow{Status: "error", Cells: []string{k, "ci", "Exposed", "1", "t", "https://example.com/repo", "", ""}})
		}
		if len(keys) == 0 {
			r.Status = "ok"
		}
		trust.Set(lab.Home, "12Fnkpl8Y5", r)
	}
	set(90*time.Minute, "AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE")
	if sum := s.once(); sum.TicketsCreated != 2 {
		t.Fatalf("RunOnce() = %s; want a ticket of each key", counts(sum))
	}
	set(80*time.Minute, "AKIAI44QH8DHBEXAMPLE")
	if sum := s.once(); sum.TicketsClosed != 1 {
		t.Errorf("RunOnce() without the first key = %s; want its ticket closed", counts(sum))
	}
	set(70 * time.Minute)
	if sum := s.once(); sum.TicketsClosed != 0 {
		t.Errorf("RunOnce() with a first empty answer = %s; want nothing closed yet", counts(sum))
	}
	set(60 * time.Minute)
	if sum := s.once(); sum.TicketsClosed != 1 {
		t.Errorf("RunOnce() with a second empty answer = %s; want the other ticket closed", counts(sum))
	}
	s.still()
}
