package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

const (
	dutyAccount = "111122223333"
	dutyRegion  = "eu-west-1"
	dutyID      = "fedcba9876543210fedcba9876543210"
)

// dutySite reads GuardDuty of a stand-in, and files beside it.
const dutySite = `
installation: test
data_dir: ./data
aws: {regions: [eu-west-1]}
sources:
  - {name: threat, type: guardduty, min_severity: low}
  - {name: reports, type: file, paths: ["in/*"]}
teams: [{name: security}]
route: {team: security, sinks: [disk], group_by: [account, region, resource, control]}
sinks: [{name: disk, type: file, path: ./tickets}]
limits: {max_new_tickets_per_hour: 100000}
`

func newDutySite(t *testing.T) (*site, *awstest.GuardDuty) {
	t.Helper()
	s := newSite(t, dutySite)
	server := awsStandIn(t, awstest.Options{Now: func() time.Time { return time.Now().Add(s.skew) }})
	duty := awstest.NewGuardDuty()
	server.Handle("guardduty", duty.Handler())
	duty.Enable(dutyAccount, dutyRegion)
	s.put("in/.keep", nil)
	return s, duty
}

// dutyFinding is a port scan as GuardDuty tells it.
func dutyFinding(id string, at time.Time) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"id":%q,"accountId":%q,"region":%q,"type":"Recon:EC2/Portscan","severity":8,"title":"An instance scans ports","description":"It does.",`+
		`"createdAt":"2026-01-01T00:00:00.000Z","updatedAt":%q,"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-0123456789abcdef0"}},"service":{"count":1}}`,
		id, dutyAccount, dutyRegion, at.UTC().Format("2006-01-02T15:04:05.000Z")))
}

// dutyHub is the same finding as Security Hub exports it.
func dutyHub(detector string, at time.Time) map[string]any {
	arn := "arn:aws:guardduty:" + dutyRegion + ":" + dutyAccount + ":detector/" + detector
	return map[string]any{"Findings": []any{map[string]any{
		"SchemaVersion": "2018-10-08", "Id": arn + "/finding/" + dutyID, "ProductArn": "arn:aws:securityhub:" + dutyRegion + "::product/aws/guardduty", "ProductName": "GuardDuty",
		"GeneratorId": arn, "AwsAccountId": dutyAccount, "Region": dutyRegion, "Types": []string{"TTPs/Discovery/Recon:EC2-Portscan"},
		"CreatedAt": "2026-01-01T00:00:00.000Z", "UpdatedAt": at.UTC().Format("2006-01-02T15:04:05.000Z"), "Severity": map[string]any{"Product": 8, "Label": "HIGH"},
		"Title": "An instance scans ports", "Description": "It does.", "RecordState": "ACTIVE", "Workflow": map[string]any{"Status": "NEW"},
		"Resources": []any{map[string]any{"Type": "AwsEc2Instance", "Id": "arn:aws:ec2:" + dutyRegion + ":" + dutyAccount + ":instance/i-0123456789abcdef0", "Region": dutyRegion}},
	}}}
}

// TestGuardDutyAndSecurityHub brings one finding in natively and through Security Hub, in both orders: it is one finding with
// one report and one ticket, and reading again changes nothing.
func TestGuardDutyAndSecurityHub(t *testing.T) {
	at := time.Now().Add(-3 * time.Hour)
	for _, first := range []string{"native", "Security Hub"} {
		t.Run(first+" first", func(t *testing.T) {
			s, duty := newDutySite(t)
			steps := []func(){
				func() {
					if err := duty.Put(dutyFinding(dutyID, at)); err != nil {
						t.Fatal(err)
					}
				},
				func() { s.putJSON("in/hub.json", dutyHub(duty.Enable(dutyAccount, dutyRegion), at)) },
			}
			if first != "native" {
				steps[0], steps[1] = steps[1], steps[0]
			}
			for _, step := range steps {
				step()
				s.once()
			}
			s.still()
			rows := allFindings(t, s.offline())
			if len(rows) != 1 || s.only().State != "open" {
				t.Fatalf("%d findings, ticket %+v; want one finding and its open ticket", len(rows), s.only())
			}
			d, err := s.offline().Finding(t.Context(), rows[0].Fingerprint.String())
			if err != nil || len(d.Finding.Reports) != 1 || d.Finding.Reports[0].Product != "GuardDuty" {
				t.Errorf("Finding() = %+v, %v; want one report of GuardDuty", d.Finding.Reports, err)
			}
			s.clean()
		})
	}
}

// TestGuardDutyLife archives a finding, takes it back and lets it expire: the ticket follows.
func TestGuardDutyLife(t *testing.T) {
	s, duty := newDutySite(t)
	if err := duty.Put(dutyFinding(dutyID, time.Now().Add(-3*time.Hour))); err != nil {
		t.Fatal(err)
	}
	s.once()
	s.still()
	if got := s.only(); got.State != "open" {
		t.Fatalf("ticket = %+v; want it open", got)
	}
	duty.Archive(dutyAccount, dutyRegion, dutyID, true)
	s.once()
	s.still()
	if got := s.only(); got.State != "closed" || !strings.Contains(got.Text, "archived in GuardDuty") {
		t.Errorf("ticket of an archived finding = %s\n%s; want it closed on that evidence", got.State, got.Text)
	}
	duty.Archive(dutyAccount, dutyRegion, dutyID, false)
	s.once()
	s.still()
	if got := s.only(); got.State != "open" {
		t.Errorf("ticket of a finding that was taken back = %s; want it open again", got.State)
	}
	duty.Expire(dutyAccount, dutyRegion, dutyID)
	s.once() // the first empty answer is not believed
	s.once()
	if got := s.only(); got.State != "closed" {
		t.Errorf("ticket of a finding that is gone = %s; want it closed", got.State)
	}
	s.clean()
}

// TestGuardDutyHappensAgain closes a ticket by hand: it stays closed however often GuardDuty is read, until the threat happens again.
func TestGuardDutyHappensAgain(t *testing.T) {
	s, duty := newDutySite(t)
	if err := duty.Put(dutyFinding(dutyID, time.Now().Add(-3*time.Hour))); err != nil {
		t.Fatal(err)
	}
	s.once()
	if _, err := s.offline().Act(t.Context(), pipeline.Interaction{Verb: pipeline.VerbClose, Cases: []string{"DK-1"}, By: "ada@example.com", Text: "known scanner"}); err != nil {
		t.Fatal(err)
	}
	s.once()
	s.skew = 48 * time.Hour // beyond recheck_after
	s.once()
	s.skew = 96 * time.Hour
	s.once()
	if got := s.only(); got.State != "closed" {
		t.Fatalf("ticket that a person closed = %s; want it closed still", got.State)
	}
	s.skew = 120 * time.Hour
	if err := duty.Put(dutyFinding(dutyID, time.Now().Add(119*time.Hour))); err != nil {
		t.Fatal(err)
	}
	s.once()
	if got := s.only(); got.State != "open" || !strings.Contains(got.Text, "happened again") {
		t.Errorf("ticket of a threat that happened again = %s\n%s; want it open again", got.State, got.Text)
	}
	if rows := allFindings(t, s.offline()); len(rows) != 1 {
		t.Errorf("%d findings; want one: it is a new occurrence", len(rows))
	}
}

// TestGuardDutyWithoutDetector says where GuardDuty is off, and fails nothing.
func TestGuardDutyWithoutDetector(t *testing.T) {
	s, duty := newDutySite(t)
	duty.Disable(dutyAccount, dutyRegion)
	sum := s.once()
	if sum.Read != 0 || len(s.tickets()) != 0 {
		t.Errorf("RunOnce() = %s; want nothing read", counts(sum))
	}
}
