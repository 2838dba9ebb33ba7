package securityhub_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

const (
	admin   = "111122223333"
	member  = "222233334444"
	another = "333344445555"
)

// noon is when the world of these tests is.
var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is an organisation with Security Hub on, and a source that reads it.
type world struct {
	aws   *awstest.Server
	hub   *awstest.SecurityHub
	fleet *awsx.Fleet
	now   time.Time
}

func newWorld(t *testing.T, settings awsx.Settings, accounts ...awstest.Account) *world {
	t.Helper()
	w := &world{now: noon}
	clock := func() time.Time { return w.now }
	if accounts == nil {
		accounts = []awstest.Account{{ID: admin, Name: "security"}, {ID: member, Name: "payments"}, {ID: another, Name: "shop"}}
	}
	server, err := awstest.New(awstest.Options{Org: awstest.Org{Accounts: accounts, Regions: []string{"eu-west-1", "us-east-1", "eu-central-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("Close() = %v; want nil", err)
		}
	})
	for _, line := range server.Env() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	w.aws, w.hub = server, awstest.NewSecurityHub(clock)
	server.Handle("securityhub", w.hub.Handler())
	if w.fleet, err = awsx.New(settings, awsx.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		w.hub.Enable(a.ID, "eu-west-1", "us-east-1")
		if a.ID != admin {
			w.hub.Member(admin, a.ID)
		}
	}
	w.hub.Link(admin, "eu-west-1", "us-east-1")
	return w
}

// homeConfig reads the hub of eu-west-1.
func homeConfig() securityhub.Config {
	c := securityhub.DefaultConfig()
	c.Region, c.Rate = "eu-west-1", securityhub.Rate{PerSecond: 1000, Burst: 1000}
	return c
}

func (w *world) source(c securityhub.Config, least pipeline.Severity) pipeline.Source {
	return securityhub.NewSource(c, securityhub.Options{Fleet: w.fleet, MinSeverity: least, Now: func() time.Time { return w.now }})
}

// finding is one ASFF finding to be written.
type finding struct {
	account, region string // admin's and eu-west-1 where they are empty
	id              string
	product         string // aws/securityhub where it is empty
	minutes         int    // of its update, before noon
	severity        string // HIGH where it is empty
	status          string // Compliance.Status, FAILED where it is empty
	threat          bool   // has no Compliance
	more            string // further members, each behind a comma
}

func (f finding) text() []byte {
	or := func(v, none string) string {
		if v == "" {
			return none
		}
		return v
	}
	account, region := or(f.account, admin), or(f.region, "eu-west-1")
	compliance := fmt.Sprintf(`,"Compliance":{"Status":"%s","SecurityControlId":"S3.8","AssociatedStandards":[{"StandardsId":"standards/aws-foundational-security-best-practices/v/1.0.0"}]}`,
		or(f.status, "FAILED"))
	if f.threat {
		compliance = ""
	}
	return fmt.Appendf(nil, `{"SchemaVersion":"2018-10-08","Id":"arn:aws:securityhub:%[2]s:%[1]s:finding/%[3]s","ProductArn":"%[4]s",
		"GeneratorId":"security-control/S3.8","AwsAccountId":"%[1]s","Region":"%[2]s","UpdatedAt":"%[5]s","CreatedAt":"2026-01-01T00:00:00Z","Types":["Software and Configuration Checks"],
		"Title":"S3 buckets should block public access","Description":"d","Resources":[{"Type":"AwsS3Bucket","Id":"arn:aws:s3:::%[3]s"}],
		"Severity":{"Label":"%[6]s"},"RecordState":"ACTIVE"%[7]s%[8]s}`,
		account, region, f.id, f.productARN(), noon.Add(-time.Duration(f.minutes)*time.Minute).Format("2006-01-02T15:04:05.000Z"),
		or(f.severity, "HIGH"), compliance, f.more)
}

func (f finding) productARN() string {
	product, region := f.product, f.region
	if product == "" {
		product = "aws/securityhub"
	}
	if region == "" {
		region = "eu-west-1"
	}
	return "arn:aws:securityhub:" + region + "::product/" + product
}

func (w *world) put(t *testing.T, list ...finding) {
	t.Helper()
	for _, f := range list {
		if err := w.hub.Import(f.text()); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) forget(f finding) {
	account, region := f.account, f.region
	if account == "" {
		account = admin
	}
	if region == "" {
		region = "eu-west-1"
	}
	w.hub.Forget(f.productARN(), "arn:aws:securityhub:"+region+":"+account+":finding/"+f.id)
}

// taker keeps what a source hands over, as the intake does, and can refuse from a call on.
type taker struct {
	records  []pipeline.Record
	rejects  []pipeline.Reject
	scans    []pipeline.Scan
	progress []pipeline.Watermark
	calls    int
	refuse   int    // the call of Records from which on everything is refused; 0: none
	before   func() // is called before records are taken
}

var errRefused = errors.New("no more")

func (k *taker) Records(_ context.Context, list []pipeline.Record) (pipeline.Taken, error) {
	k.calls++
	if k.before != nil {
		k.before()
	}
	if k.refuse > 0 && k.calls >= k.refuse {
		return pipeline.Taken{}, errRefused
	}
	k.records = append(k.records, list...)
	var taken pipeline.Taken
	for _, rec := range list {
		if _, err := format.Decode(rec); err != nil {
			taken.Rejected = append(taken.Rejected, pipeline.Reject{Reason: err.Error()})
			continue
		}
		taken.Accepted++
	}
	return taken, nil
}

func (k *taker) Reject(_ context.Context, r pipeline.Reject) error {
	k.rejects = append(k.rejects, r)
	return nil
}

func (k *taker) Scan(_ context.Context, s pipeline.Scan) error {
	k.scans = append(k.scans, s)
	return nil
}

func (k *taker) Progress(_ context.Context, w pipeline.Watermark) error {
	k.progress = append(k.progress, w)
	return nil
}

// ids are the last parts of the findings' ids, sorted, each once.
func (k *taker) ids(t *testing.T) string {
	t.Helper()
	set := map[string]bool{}
	for _, rec := range k.records {
		r, err := format.Decode(rec)
		if err != nil {
			t.Fatal(err)
		}
		set[r.ID[strings.LastIndexByte(r.ID, '/')+1:]] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), " ")
}

// marks are the scans as lines, without the scopes' common beginning, sorted.
func (k *taker) marks() string {
	var lines []string
	for _, s := range k.scans {
		state := "incomplete"
		switch {
		case s.Left:
			state = "left"
		case s.Complete:
			state = "complete"
		}
		lines = append(lines, fmt.Sprintf("%s %d %s", strings.TrimPrefix(s.Scope, "aws/securityhub/"), s.Count, state))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// read polls once and wants success.
func read(t *testing.T, s pipeline.Source, req pipeline.Request) (*taker, pipeline.Result) {
	t.Helper()
	k := &taker{}
	res, err := s.Poll(t.Context(), req, k)
	if err != nil {
		t.Fatalf("Poll() = %v; want nil", err)
	}
	return k, res
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s =\n%s\nwant\n%s", what, got, want)
	}
}
