package guardduty_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/guardduty"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

const (
	home  = "111111111111"
	pay   = "222222222222"
	other = "333333333333"

	west = "eu-west-1"
	east = "us-east-1"
)

// site is a source over a stand-in for AWS.
type site struct {
	t      *testing.T
	server *awstest.Server
	duty   *awstest.GuardDuty
	src    *guardduty.Source
	now    time.Time
}

// newSite has three accounts in two regions, all of them read with the role docket-readonly.
func newSite(t *testing.T, c guardduty.Config, min pipeline.Severity, exclude ...string) *site {
	t.Helper()
	server, err := awstest.New(awstest.Options{Org: awstest.Org{Home: home, Regions: []string{west, east},
		Accounts: []awstest.Account{{ID: home, Name: "security"}, {ID: pay, Name: "payments"}, {ID: other, Name: "other"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, line := range server.Env() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	s := &site{t: t, server: server, duty: awstest.NewGuardDuty(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	server.Handle("guardduty", s.duty.Handler())
	fleet, err := awsx.New(awsx.Settings{Organization: &awsx.Organization{RoleName: "docket-readonly", Exclude: exclude}, Regions: []string{west, east}}, awsx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.src = guardduty.New(c, guardduty.Options{Fleet: fleet, MinSeverity: min, Now: func() time.Time { return s.now }})
	return s
}

// enableAll switches GuardDuty on everywhere.
func (s *site) enableAll() {
	for _, a := range []string{home, pay, other} {
		for _, r := range []string{west, east} {
			s.duty.Enable(a, r)
		}
	}
}

// put adds a finding of some severity that was updated an age ago.
func (s *site) put(account, region, id string, severity float64, age time.Duration, extra ...string) {
	s.t.Helper()
	doc := fmt.Sprintf(`{"id":%q,"accountId":%q,"region":%q,"type":"Recon:EC2/Portscan","severity":%g,"title":"t","createdAt":"2026-01-01T00:00:00.000Z","updatedAt":%q,`+
		`"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-%s"}},"service":{"count":1%s},"newerThanTheSDK":{"kept":true}}`,
		id, account, region, severity, s.now.Add(-age).Format("2006-01-02T15:04:05.000Z"), id, strings.Join(extra, ""))
	if err := s.duty.Put(json.RawMessage(doc)); err != nil {
		s.t.Fatal(err)
	}
}

// got is what an emitter was given: it decodes as the intake does.
type got struct {
	mu       sync.Mutex
	records  []pipeline.Record
	reports  map[string]pipeline.Report // by account/region/id
	scans    []pipeline.Scan
	progress []pipeline.Watermark
	rejects  []pipeline.Reject
	fail     func(records int) error
}

func (g *got) Records(ctx context.Context, list []pipeline.Record) (pipeline.Taken, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		if err := g.fail(len(g.records)); err != nil {
			return pipeline.Taken{}, err
		}
	}
	if g.reports == nil {
		g.reports = map[string]pipeline.Report{}
	}
	for _, rec := range list {
		r, err := format.Decode(rec)
		if err != nil {
			return pipeline.Taken{}, err
		}
		g.reports[r.Account.ID+"/"+r.Region+"/"+r.ID[strings.LastIndexByte(r.ID, '/')+1:]] = r
	}
	g.records = append(g.records, list...)
	return pipeline.Taken{Accepted: len(list)}, ctx.Err()
}

func (g *got) Reject(_ context.Context, r pipeline.Reject) error {
	g.rejects = append(g.rejects, r)
	return nil
}

func (g *got) Scan(_ context.Context, s pipeline.Scan) error {
	g.scans = append(g.scans, s)
	return nil
}

func (g *got) Progress(_ context.Context, w pipeline.Watermark) error {
	g.progress = append(g.progress, w)
	return nil
}

// ids are the findings that were handed over, as account/region/id: sorted, the first digit for the account, each as often as it came.
func (g *got) ids() []string {
	out := []string{}
	for _, rec := range g.records {
		parts := strings.Split(rec.Scope, "/")
		out = append(out, parts[2][:1]+"/"+parts[3]+"/"+rec.Origin[strings.LastIndexByte(rec.Origin, ' ')+1:])
	}
	slices.Sort(out)
	return out
}

// scopes are the ends of scans of one sort as account/region=count, sorted.
func (g *got) scopes(is func(pipeline.Scan) bool) []string {
	out := []string{}
	for _, s := range g.scans {
		if is(s) {
			parts := strings.Split(s.Scope, "/")
			out = append(out, fmt.Sprintf("%s/%s=%d", parts[2][:1], parts[3], s.Count))
		}
	}
	slices.Sort(out)
	return out
}

func (g *got) whole() []string { return g.scopes(func(s pipeline.Scan) bool { return s.Complete }) }

// poll is one poll that has to succeed.
func (s *site) poll(since pipeline.Watermark, full bool) (*got, pipeline.Result) {
	s.t.Helper()
	g := &got{}
	res, err := s.src.Poll(s.t.Context(), pipeline.Request{Since: since, Full: full}, g)
	if err != nil {
		s.t.Fatalf("Poll(full %v) = %v; want no error", full, err)
	}
	return g, res
}

// gaps are a result's as account/region.
func gaps(res pipeline.Result) []string {
	out := []string{}
	for _, g := range res.Gaps {
		account := g.Account
		if account != "" {
			account = account[:1]
		}
		out = append(out, account+"/"+g.Region)
	}
	return out
}
