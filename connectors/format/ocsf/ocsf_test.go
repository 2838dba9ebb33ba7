package ocsf_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/connectors/format/ocsf"
	"github.com/docket-hub/docket/pipeline"
)

type m = map[string]any

// event is a Prowler check with the given members put over it; a nil takes one away.
func event(over m) []byte {
	e := m{
		"class_uid": 2004, "severity_id": 4, "status_code": "FAIL", "status": "New", "status_id": 1, "activity_id": 1,
		"metadata":     m{"event_code": "check_a", "product": m{"name": "Prowler"}},
		"finding_info": m{"uid": "prowler-1", "title": "t"},
		"cloud":        m{"provider": "aws", "region": "eu-west-1", "account": m{"uid": "111122223333"}},
		"resources":    []m{{"uid": "arn:aws:s3:::b", "name": "b", "type": "AwsS3Bucket"}},
		"time":         1772337906,
	}
	maps.Copy(e, over)
	for k, v := range e {
		if v == nil {
			delete(e, k)
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return b
}

func decode(t *testing.T, over m) pipeline.Report {
	t.Helper()
	r, err := ocsf.Decode(event(over))
	if err != nil {
		t.Fatalf("Decode(%v) = %v; want a report", over, err)
	}
	return r
}

func product(name, uid string) m { return m{"product": m{"name": name, "uid": uid}} }

func TestStatus(t *testing.T) {
	hub := product("Security Hub", "arn:aws:securityhub:eu-west-1::productv2/aws/securityhub")
	tests := []struct {
		name string
		over m
		want pipeline.Status
	}{
		{"fail", m{}, pipeline.StatusOpen},
		{"pass", m{"status_code": "PASS"}, pipeline.StatusResolved},
		{"manual", m{"status_code": "MANUAL"}, pipeline.StatusUnproven},
		{"muted", m{"status": "Suppressed"}, pipeline.StatusUnproven},
		{"muted and passing", m{"status": "Suppressed", "status_code": "PASS"}, pipeline.StatusResolved},
		{"the word wins over its number", m{"status": "New", "status_id": 3}, pipeline.StatusOpen},
		{"suppressed by number", m{"status": nil, "status_id": 3}, pipeline.StatusUnproven},
		{"resolved", m{"status": "Resolved"}, pipeline.StatusResolved},
		{"resolved at Security Hub", m{"status": "Resolved", "status_code": nil, "metadata": hub}, pipeline.StatusUnproven},
		{"archived at Security Hub", m{"status": nil, "status_id": 5, "status_code": nil, "metadata": hub}, pipeline.StatusResolved},
		{"suppressed by docket", m{"status": "Suppressed", "status_id": 3, "status_code": nil, "metadata": hub, "comment": "mine\ndocket DK-7: accepted [SUPPRESSED]"}, pipeline.StatusOpen},
		{"resolved by docket, and failing", m{"status": "Resolved", "status_code": nil, "metadata": hub, "comment": "docket DK-7: fixed [RESOLVED]"}, pipeline.StatusOpen},
		{"suppressed by a person after docket", m{"status": "Suppressed", "status_code": nil, "metadata": hub, "comment": "docket DK-7: ticket [NOTIFIED]"}, pipeline.StatusUnproven},
		{"another tool that speaks like docket", m{"status": "Suppressed", "comment": "docket DK-7: accepted [SUPPRESSED]"}, pipeline.StatusUnproven},
		{"a comment of another kind", m{"comment": m{"text": "x"}}, pipeline.StatusOpen},
		{"closed", m{"activity_id": 3}, pipeline.StatusResolved},
		{"closed and suppressed", m{"activity_id": 3, "status": "Suppressed"}, pipeline.StatusUnproven},
		{"compliance passes", m{"status_code": nil, "compliance": m{"status": "Pass"}}, pipeline.StatusResolved},
		{"compliance passes by number", m{"status_code": nil, "compliance": m{"status_id": 1}}, pipeline.StatusResolved},
		{"compliance warns", m{"status_code": nil, "compliance": m{"status": "WARNING"}}, pipeline.StatusOpen},
		{"compliance not available", m{"status_code": nil, "compliance": m{"status": "NOT_AVAILABLE"}}, pipeline.StatusUnproven},
		{"absurd number", m{"status": nil, "status_id": -7}, pipeline.StatusOpen},
	}
	for _, tt := range tests {
		if r := decode(t, tt.over); r.Status != tt.want || (r.Status != pipeline.StatusOpen) != (r.StatusReason != "") {
			t.Errorf("status of %s = %v %q; want %v", tt.name, r.Status, r.StatusReason, tt.want)
		}
	}
	if r := decode(t, m{"status_code": "ODD"}); r.Status != pipeline.StatusOpen || !strings.Contains(r.StatusReason, `"ODD"`) {
		t.Errorf("status of an unknown code = %v %q; want open with the word", r.Status, r.StatusReason)
	}
}

func TestSeverity(t *testing.T) {
	tests := []struct {
		id   any
		word string
		want pipeline.Severity
	}{
		{1, "", pipeline.Informational}, {2, "", pipeline.Low}, {3, "", pipeline.Medium}, {4, "", pipeline.High}, {5, "", pipeline.Critical},
		{6, "Fatal", pipeline.Critical}, {0, "High", pipeline.High}, {99, "Odd", pipeline.SeverityUnknown}, {nil, "medium", pipeline.Medium},
	}
	for _, tt := range tests {
		if got := decode(t, m{"severity_id": tt.id, "severity": tt.word}).Severity; got != tt.want {
			t.Errorf("severity of %v %q = %v; want %v", tt.id, tt.word, got, tt.want)
		}
	}
}

func TestReportID(t *testing.T) {
	if got := decode(t, m{}).ID; got != "prowler-1" {
		t.Errorf("id = %q; want finding_info.uid", got)
	}
	blank := m{"uid": "<finding_uid>"}
	a := decode(t, m{"finding_info": blank})
	b := decode(t, m{"finding_info": blank, "resources": []m{{"uid": "arn:aws:s3:::c"}}})
	if a.ID != "check_a 111122223333 eu-west-1 arn:aws:s3:::b" || a.ID == b.ID {
		t.Errorf("ids without uid = %q, %q; want check, account, region and resource", a.ID, b.ID)
	}
}

func TestKindAndControl(t *testing.T) {
	tests := []struct {
		name    string
		over    m
		kind    pipeline.Kind
		control string
		names   []string
	}{
		{"Prowler", m{}, pipeline.KindControl, "check_a", []string{"prowler:check_a"}},
		{"Security Hub", m{"class_uid": 2003, "status_code": nil, "metadata": product("AWS Security Hub", ""), "compliance": m{"control": "EC2.13"}}, pipeline.KindControl, "EC2.13", []string{"fsbp:EC2.13"}},
		{"Security Hub by analytic", m{"class_uid": 2003, "status_code": nil, "metadata": product("Security Hub", ""), "finding_info": m{"uid": "1", "analytic": m{"uid": "security-control/S3.8"}}}, pipeline.KindControl, "S3.8", []string{"fsbp:S3.8"}},
		{"GuardDuty", m{"status_code": nil, "metadata": product("Amazon GuardDuty", ""), "finding_info": m{"uid": "1", "types": []string{"TTPs/Recon/Recon:EC2-Portscan"}}}, pipeline.KindThreat, "Recon:EC2/Portscan", []string{"guardduty:Recon:EC2/Portscan"}},
		{"another detection", m{"status_code": nil, "metadata": product("Falcon", ""), "finding_info": m{"uid": "1", "title": "Bad process"}}, pipeline.KindThreat, "Bad process", nil},
		{"vulnerability", m{"class_uid": 2002, "status_code": nil, "metadata": product("Inspector", ""), "vulnerabilities": []m{{"cve": m{"uid": "CVE-1"}}, {"cve": m{"uid": "CVE-2", "cvss": []m{{"base_score": 9.8, "version": "3.1"}}}}}}, pipeline.KindVulnerability, "CVE-2", []string{"cve:CVE-1"}},
		{"vulnerability without list", m{"class_uid": 2002}, pipeline.KindVulnerability, "t", nil},
	}
	for _, tt := range tests {
		r := decode(t, tt.over)
		if r.Kind != tt.kind || r.Control != tt.control || !cmp.Equal(r.Names, tt.names) || r.Occurred != (tt.kind == pipeline.KindThreat) {
			t.Errorf("%s = %s %q %q, occurred %v; want %s %q %q", tt.name, r.Kind, r.Control, r.Names, r.Occurred, tt.kind, tt.control, tt.names)
		}
	}
}

func TestResource(t *testing.T) {
	tests := []struct{ given, want string }{
		{"AWS::EC2::SecurityGroup", "AwsEc2SecurityGroup"}, {"AWS::RDS::DBInstance", "AwsRdsDbInstance"}, {"AWS::EC2::VPC", "AwsEc2Vpc"},
		{"AWS::S3::Bucket", "AwsS3Bucket"}, {"AWS::DynamoDB::Table", "AwsDynamoDbTable"}, {"AWS::IAM::Role", "AwsIamRole"},
		{"AWS::ElasticLoadBalancingV2::LoadBalancer", "AwsElbv2LoadBalancer"}, {"AWS::::Account", "AwsAccount"}, {"AwsIamUser", "AwsIamUser"}, {"Other", "Other"},
	}
	for _, tt := range tests {
		if r := decode(t, m{"resources": []m{{"uid": "u", "type": tt.given}}}); r.Resource.Type != tt.want {
			t.Errorf("type of %s = %s; want %s", tt.given, r.Resource.Type, tt.want)
		}
	}
	r := decode(t, m{"resources": nil, "resource": m{"uid": "arn:aws:s3:::old", "labels": []string{"a=b", "c:d", "e"}}})
	if want := map[string]string{"a": "b", "c": "d", "e": ""}; r.Resource.Original != "arn:aws:s3:::old" || !cmp.Equal(r.Resource.Tags, want) || r.Resource.Name != "old" {
		t.Errorf("resource of an old event = %+v; want the member resource with tags %v", r.Resource, want)
	}
	if r := decode(t, m{"resources": nil}); r.Resource.Type != "AwsAccount" || r.Resource.Original != "111122223333" {
		t.Errorf("resource of an event without any = %+v; want the account", r.Resource)
	}
}

func TestDecodeErrors(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"no product", string(event(m{"metadata": m{}})), "metadata.product.name is missing"},
		{"no uid and no check", string(event(m{"finding_info": m{}, "metadata": product("X", "")})), "finding_info.uid is missing"},
		{"no severity that is one", string(event(m{"severity_id": nil, "severity": "odd"})), "severity"},
		{"wrong type", string(event(m{"cloud": "aws"})), "/cloud"},
		{"repeated key", `{"class_uid":1,"class_uid":2}`, "duplicate"},
	}
	for _, tt := range tests {
		if _, err := ocsf.Decode([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Decode(%s) = %v; want an error with %q", tt.name, err, tt.want)
		}
	}
}

func FuzzOCSF(f *testing.F) {
	f.Add(event(nil))
	f.Add(event(m{"class_uid": 2002, "vulnerabilities": []m{{"cve": m{"uid": "CVE-1", "epss": m{"score": "0.5"}}, "affected_packages": []m{{"name": "p"}}}}}))
	f.Add(event(m{"unmapped": m{"compliance": m{"CIS-1.4": []string{"1.1"}}, "related_url": "u"}, "remediation": m{"references": []string{"aws x", "https://y"}}}))
	f.Add(event(m{"resources": []m{{"type": "AWS::A", "labels": []string{"="}}}, "finding_info": m{"types": []string{":", "a:b"}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r pipeline.Report
		var err error
		formattest.Bounded(t, len(data), func() { r, err = ocsf.Decode(data) })
		if err == nil && (r.Product == "" || r.ID == "" || r.Status == 0 || r.Kind == "") {
			t.Errorf("Decode(%q) = %+v; want product, id, status and kind, or an error", data, r)
		}
	})
}
