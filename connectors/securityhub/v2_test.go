package securityhub_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// event is one OCSF finding to be written.
type event struct {
	account, uid, product string
	minutes, severity     int
	compliance            string
	more                  string
}

func (e event) text() []byte {
	account, product := e.account, e.product
	if account == "" {
		account = admin
	}
	if product == "" {
		product = "aws/securityhub"
	}
	return fmt.Appendf(nil, `{"class_uid":2003,"class_name":"Compliance Finding","metadata":{"uid":"m-%[2]s","product":{"name":"Security Hub","uid":"arn:aws:securityhub:eu-west-1::productv2/%[7]s"}},
		"cloud":{"provider":"AWS","account":{"uid":"%[1]s"},"region":"eu-west-1"},
		"finding_info":{"uid":"arn:aws:securityhub:eu-west-1:%[1]s:finding/%[2]s","title":"S3.8","modified_time_dt":"%[3]s","created_time_dt":"2026-01-01T00:00:00Z","types":["x"]},
		"resources":[{"uid":"arn:aws:s3:::%[2]s","type":"AwsS3Bucket"}],"compliance":{"control":"S3.8","status":"%[5]s","status_id":%[8]d,"standards":["standards/aws-foundational-security-best-practices/v/1.0.0"]},
		"severity_id":%[4]d,"status_id":1,"status":"New"%[6]s}`,
		account, e.uid, noon.Add(-time.Duration(e.minutes)*time.Minute).Format(time.RFC3339), e.severity, e.compliance, e.more, product, map[string]int{"Pass": 1, "Fail": 3}[e.compliance])
}

func TestV2(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	for _, e := range []event{
		{uid: "a", minutes: 90, severity: 4, compliance: "Fail", more: `,"unmapped":{"survives":true}`}, {uid: "b", account: member, minutes: 80, severity: 2, compliance: "Fail"},
		{uid: "c", minutes: 70, severity: 1, compliance: "Pass"}, {uid: "d", minutes: 60, severity: 5, compliance: "Fail", product: "aws/guardduty"},
	} {
		if err := w.hub.ImportV2(e.text()); err != nil {
			t.Fatal(err)
		}
	}
	c := homeConfig()
	c.API = securityhub.V2
	k, res := read(t, w.source(c, 0), full())
	want(t, "a full read", k.ids(t), "a b c d")
	want(t, "scans", k.marks(), strings.Join([]string{
		admin + "/eu-west-1/guardduty 1 complete", admin + "/eu-west-1/securityhub 2 complete", member + "/eu-west-1/securityhub 1 complete",
	}, "\n"))
	want(t, "filter", k.scans[0].Filter, "api=v2")
	want(t, "notes", strings.Join(res.Notes, "\n"), "eu-west-1 shows the findings of 1 linked regions, too")
	for _, rec := range k.records {
		r, err := format.Decode(rec)
		if err != nil {
			t.Fatal(err)
		}
		if open := strings.HasSuffix(r.ID, "/c"); open == (r.Status == pipeline.StatusOpen) {
			t.Errorf("Decode(%s) = %v; want c resolved, the others open", r.ID, r.Status)
		}
	}
	if !strings.Contains(string(k.records[0].Data), `"survives":true`) {
		t.Errorf("record = %s; want it as the service wrote it", k.records[0].Data)
	}
	c.Overlap = time.Hour
	k, _ = read(t, w.source(c, 0), since(res.Watermark))
	want(t, "changes", k.ids(t), "a b c d")
	c.Overlap = 15 * time.Minute
	k, _ = read(t, w.source(c, 0), since(res.Watermark))
	want(t, "changes with less overlap", k.ids(t), "c d")

	c.Products, c.Standards = []string{"SecurityHub"}, []string{"standards/aws-foundational"}
	_, res = read(t, w.source(c, pipeline.Medium), full())
	c.Overlap = 24 * time.Hour
	k, _ = read(t, w.source(c, pipeline.Medium), since(res.Watermark))
	want(t, "changes of one product and standard from MEDIUM on", k.ids(t), "a c")
}

func TestV2PageTokenExpires(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	for i := range 350 {
		if err := w.hub.ImportV2(event{uid: fmt.Sprintf("%03d", i), minutes: 400 - i, severity: 3, compliance: "Fail"}.text()); err != nil {
			t.Fatal(err)
		}
	}
	c := homeConfig()
	c.API = securityhub.V2
	k := &taker{}
	k.before = func() {
		if k.calls == 2 {
			w.hub.ExpireTokens()
		}
	}
	if _, err := w.source(c, 0).Poll(t.Context(), full(), k); err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(k.ids(t))); n != 350 || len(k.records) > 352 {
		t.Errorf("%d findings in %d records; want 350 and hardly more", n, len(k.records))
	}
	for _, s := range k.scans {
		if s.Complete {
			t.Errorf("scan = %+v; want it incomplete", s)
		}
	}
}

func TestV2EvidenceAndOpinion(t *testing.T) {
	for _, c := range []struct {
		name, compliance, more string
		want                   pipeline.Status
	}{
		{"failed", "Fail", "", pipeline.StatusOpen},
		{"passed", "Pass", "", pipeline.StatusResolved},
		{"set to Resolved by a person", "Fail", `"status":"Resolved","status_id":4`, pipeline.StatusUnproven},
		{"set to Suppressed by a person", "Fail", `"status":"Suppressed","status_id":3`, pipeline.StatusUnproven},
		{"set to In Progress", "Fail", `"status":"In Progress","status_id":2,"comment":"see SEC-1"`, pipeline.StatusOpen},
		{"archived", "Fail", `"status":"Archived","status_id":5`, pipeline.StatusResolved},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, awsx.Settings{})
			text := string(event{uid: "x", severity: 4, compliance: c.compliance}.text())
			if c.more != "" {
				text = strings.Replace(text, `"status_id":1,"status":"New"`, c.more, 1)
			}
			if err := w.hub.ImportV2([]byte(text)); err != nil {
				t.Fatal(err)
			}
			cfg := homeConfig()
			cfg.API = securityhub.V2
			k, _ := read(t, w.source(cfg, 0), full())
			if len(k.records) != 1 {
				t.Fatalf("Poll() handed %d records over; want 1", len(k.records))
			}
			if r, err := format.Decode(k.records[0]); err != nil || r.Status != c.want {
				t.Errorf("status = %v (%s), %v; want %v", r.Status, r.StatusReason, err, c.want)
			}
		})
	}
}
