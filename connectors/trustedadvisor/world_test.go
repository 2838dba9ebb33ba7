package trustedadvisor_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/trustedadvisor"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
)

const (
	home     = "111122223333"
	payments = "222233334444"
	shop     = "333344445555"

	portsCheck = "HCP4007jGY"
	mfaCheck   = "7DAFEmoDos"
	quotaCheck = "XG0aXHpIEt"
	logsCheck  = "c18d2gz186"
)

var (
	morning = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)
	noon    = morning.Add(6 * time.Hour)
)

// world is an organisation of three accounts in the stand-in for AWS, and what Trusted Advisor knows of them.
type world struct {
	server  *awstest.Server
	advisor *awstest.Advisor
	fleet   *awsx.Fleet
	now     time.Time
	paused  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: noon}
	w.advisor = awstest.NewAdvisor(func() time.Time { return w.now }, checks()...)
	var err error
	w.server, err = awstest.New(awstest.Options{Org: awstest.Org{Accounts: []awstest.Account{
		{ID: home, Name: "management"}, {ID: payments, Name: "payments"}, {ID: shop, Name: "shop"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.server.Close() })
	w.server.Handle("support", w.advisor.Support())
	w.server.Handle("trustedadvisor", w.advisor.TrustedAdvisor())
	w.fleet, err = awsx.New(awsx.Settings{Organization: &awsx.Organization{RoleName: "docket-readonly"}, Regions: []string{"eu-west-1"}},
		awsx.Options{Load: []func(*config.LoadOptions) error{
			config.WithBaseEndpoint(w.server.URL), config.WithRegion("eu-west-1"),
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(awstest.HomeKey, awstest.HomeSecret, "")),
			config.WithSharedConfigFiles([]string{}), config.WithSharedCredentialsFiles([]string{}),
		}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func checks() []awstest.AdvisorCheck {
	return []awstest.AdvisorCheck{
		{ID: portsCheck, Name: "Security Groups - Specific Ports Unrestricted", Category: "security", Description: "Checks groups.",
			Columns: []string{"Region", "Security Group Name", "Security Group ID", "Protocol", "Status", "From Port", "To Port"}},
		{ID: mfaCheck, Name: "MFA on Root Account", Category: "security", Description: "Checks the root account."},
		{ID: logsCheck, Name: "Amazon CloudWatch Log Group Retention Period", Category: "security", Automatic: true,
			Columns: []string{"Status", "Region", "Resource", "AWS Config Rule", "Input Parameters", "Last Updated Time"}},
		{ID: quotaCheck, Name: "RDS DB Instances", Category: "service_limits",
			Columns: []string{"Region", "Service", "Limit Name", "Limit Amount", "Current Usage", "Status"}},
	}
}

func port(status, group, port string) awstest.AdvisorRow {
	return awstest.AdvisorRow{Status: status, Region: "eu-west-1", Cells: []string{"eu-west-1", "web", group + " (vpc-0123456789abcdef0)", "tcp", "Red", port, port}}
}

// fill lets every check of every account have looked in the morning.
func (w *world) fill() {
	for _, account := range []string{home, payments, shop} {
		w.advisor.Set(account, portsCheck, awstest.AdvisorResult{Time: morning, Status: "error", Rows: []awstest.AdvisorRow{
			port("error", "sg-0123456789abcdef0", "22"), port("ok", "sg-0123456789abcdef0", "443"), port("warning", "sg-0fedcba9876543210", "8081"),
		}})
		w.advisor.Set(account, mfaCheck, awstest.AdvisorResult{Time: morning, Status: "error", Rows: []awstest.AdvisorRow{{Status: "error"}}})
		w.advisor.Set(account, logsCheck, awstest.AdvisorResult{Time: morning, Status: "ok"})
		w.advisor.Set(account, quotaCheck, awstest.AdvisorResult{Time: morning, Status: "ok", Rows: []awstest.AdvisorRow{
			{Status: "ok", Region: "eu-west-1", Cells: []string{"eu-west-1", "RDS", "DB instances", "40", "1", "Green"}}}})
	}
}

func (w *world) source(change func(*trustedadvisor.Config)) *trustedadvisor.Source {
	c := trustedadvisor.DefaultConfig()
	if change != nil {
		change(&c)
	}
	return trustedadvisor.New(c, w.fleet, trustedadvisor.Options{
		Now:   func() time.Time { return w.now },
		Pause: func(context.Context, time.Duration) error { w.paused++; return nil },
	})
}

// taken keeps what a source hands over, decoded and identified.
type taken struct {
	mu      sync.Mutex
	reports []pipeline.Report
	scans   []pipeline.Scan
	err     error // of Records
}

func (e *taken) Records(_ context.Context, list []pipeline.Record) (pipeline.Taken, error) {
	if !e.mu.TryLock() {
		panic("two goroutines hand records over at once")
	}
	defer e.mu.Unlock()
	if e.err != nil {
		return pipeline.Taken{}, e.err
	}
	var out pipeline.Taken
	for _, rec := range list {
		r, err := format.Decode(rec)
		if err != nil {
			out.Rejected = append(out.Rejected, pipeline.Reject{Origin: rec.Origin, Index: rec.Index, Reason: err.Error()})
			continue
		}
		identity.Identify(&r)
		e.reports = append(e.reports, r)
		out.Accepted++
	}
	return out, nil
}

func (e *taken) Reject(context.Context, pipeline.Reject) error      { return nil }
func (e *taken) Progress(context.Context, pipeline.Watermark) error { return nil }
func (e *taken) Scan(_ context.Context, s pipeline.Scan) error {
	e.scans = append(e.scans, s)
	return nil
}
func (e *taken) find(account, check string) (list []pipeline.Report) {
	for _, r := range e.reports {
		if r.Account.ID == account && r.Control == check {
			list = append(list, r)
		}
	}
	return list
}

// scan is the end of a scope, nil where there was none.
func (e *taken) scan(scope string) *pipeline.Scan {
	i := slices.IndexFunc(e.scans, func(s pipeline.Scan) bool { return s.Scope == scope })
	if i < 0 {
		return nil
	}
	return &e.scans[i]
}

func poll(t *testing.T, s *trustedadvisor.Source, since pipeline.Watermark) (*taken, pipeline.Result) {
	t.Helper()
	e := &taken{}
	res, err := s.Poll(t.Context(), pipeline.Request{Since: since}, e)
	if err != nil {
		t.Fatalf("Poll() = %v; want nil", err)
	}
	return e, res
}
