package trustedadvisor_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/trustedadvisor"
	"github.com/docket-hub/docket/pipeline"
)

func eventOf(detail string) string {
	return `{"version":"0","id":"1234abcd-ab12-123a-123a-1234567890ab","detail-type":"Trusted Advisor Check Item Refresh Notification","source":"aws.trustedadvisor",` +
		`"account":"111122223333","time":"2026-01-12T20:07:49Z","region":"us-east-1","resources":[],"detail":` + detail + `}`
}

// TestDecodeEvent reads the same row from the API and as an event: one report.
func TestDecodeEvent(t *testing.T) {
	got, err := trustedadvisor.Decode([]byte(eventOf(`{"check-name":"Security Groups - Specific Ports Unrestricted","check-item-detail":{"Status":"Red","Region":"eu-west-1",` +
		`"Security Group Name":"web","Security Group ID":"sg-0a (vpc-0b)","Protocol":"tcp","From Port":"22","To Port":"22","Association":null},` +
		`"status":"ERROR","resource_id":"","uuid":"aa12345f-55c7-498e-b7ac-123456789012"}`)))
	if err != nil {
		t.Fatal(err)
	}
	want := decode(t, record("HCP4007jGY", "error", map[string]string{"Region": "eu-west-1", "Security Group Name": "web", "Security Group ID": "sg-0a (vpc-0b)",
		"Protocol": "tcp", "From Port": "22", "To Port": "22"}))
	if got.ID != want.ID || got.Resource.ID != want.Resource.ID || got.Status != want.Status || got.Severity != want.Severity ||
		got.Control != want.Control || got.ObservedAt.Format("2006-01-02 15:04") != "2026-01-12 20:07" {
		t.Errorf("Decode(event) = %+v; want %+v", got, want)
	}
	for status, want := range map[string]pipeline.Status{"WARN": pipeline.StatusOpen, "OK": pipeline.StatusResolved} {
		r, err := trustedadvisor.Decode([]byte(eventOf(`{"check-name":"IAM Access Key Rotation","check-item-detail":{"IAM User":"ci","Access Key":"Access Key 1"},"status":"` + status + `"}`)))
		if err != nil || r.Status != want || r.Resource.ID != "ci" {
			t.Errorf("Decode(event with status %s) = %+v, %v; want %v", status, r, err, want)
		}
	}
	if _, err := trustedadvisor.Decode([]byte(eventOf(`{}`))); err == nil || !strings.Contains(err.Error(), "checkId is missing") {
		t.Errorf("Decode(event without a check) = %v; want an error that names it", err)
	}
}

func TestPassOver(t *testing.T) {
	for _, c := range []struct {
		detail string
		read   bool
	}{
		{`{"check-name":"Exposed Access Keys"}`, true},
		{`{"check-name":"Security Groups – Unrestricted Access"}`, true}, // with the dash of the user guide
		{`{"check-name":"Low Utilization Amazon EC2 Instances"}`, false},
		{`{}`, true}, // it is refused by what is missing
	} {
		if why := trustedadvisor.PassOver(jsontext.Value(c.detail)); (why == "") != c.read {
			t.Errorf("PassOver(%s) = %q; want read %v", c.detail, why, c.read)
		}
	}
}
