package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/file"
	"github.com/docket-hub/docket/connectors/guardduty"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

// What GuardDuty says is archived because docket archived it for an exception is no evidence: at the end of the exception the
// finding is taken back and its case reopens.
func TestWriteBackToGuardDuty(t *testing.T) {
	// AWS's clock goes along with docket's: it tells reads of one second apart by nothing else.
	var ahead atomic.Int64
	server, err := awstest.New(awstest.Options{Org: awstest.Org{Accounts: []awstest.Account{{ID: foldAccount}}},
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
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
	duty := awstest.NewGuardDuty()
	server.Handle("guardduty", duty.Handler())
	duty.Enable(foldAccount, "eu-west-1")
	s := newSite(t, strings.Replace(backSite, "{name: hub, type: securityhub, region: eu-west-1, write_back: true, rate: {per_second: 1000, burst: 100}}", "{name: threat, type: guardduty, write_back: true}", 1))
	if s.set, err = connectors.NewSet(file.Factory(), guardduty.Factory()); err != nil {
		t.Fatal(err)
	}
	doc := fmt.Sprintf(`{"id":"f1","accountId":%q,"region":"eu-west-1","type":"Recon:EC2/Portscan","severity":8,"title":"Port scan","createdAt":"2026-01-01T00:00:00.000Z","updatedAt":%q,`+
		`"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-1"}},"service":{"count":1}}`, foldAccount, time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"))
	if err := duty.Put(json.RawMessage(doc)); err != nil {
		t.Fatal(err)
	}
	archived := func(what string, want bool) {
		t.Helper()
		if got := duty.Archived(foldAccount, "eu-west-1", "f1"); got != want {
			t.Fatalf("%s: archived = %v; want %v", what, got, want)
		}
	}
	later := func(d time.Duration) {
		s.skew += d
		ahead.Store(int64(s.skew))
	}
	s.once()
	archived("with an open ticket", false)
	later(time.Hour)
	in := pipeline.Interaction{Verb: pipeline.VerbSuppress, By: "ann", Suppression: &pipeline.Suppression{
		Name: "scan", When: "true", Reason: "our own scanner", By: "ann", Until: time.Now().Add(s.skew + 10*24*time.Hour),
	}}
	if _, err := s.offline().Act(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	s.once()
	archived("while the exception lasts", true)
	for range 2 {
		later(time.Hour)
		s.once()
	}
	if f := allFindings(t, s.offline()); len(f) != 1 || f[0].State != "suppressed" {
		t.Fatalf("findings = %+v; want one, suppressed", f)
	}
	later(11 * 24 * time.Hour)
	s.once()
	archived("once the exception is over", false)
	if f := s.only(); f.State != "open" {
		t.Errorf("the exception is over: the ticket is %s; want it reopened", f.State)
	}
	for range 2 {
		later(time.Hour)
		s.once()
	}
	if f := s.only(); f.State != "open" {
		t.Errorf("taken back: the ticket is %s; want it open", f.State)
	}
	later(time.Hour)
	s.still()
	s.clean()
}
