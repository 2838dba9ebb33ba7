package format_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
	"github.com/docket-hub/docket/pipeline/risk"
)

// events are the sources and detail-types that carry one finding in the service's own words.
var events = [][2]string{
	{"aws.inspector2", "Inspector2 Finding"}, {"aws.macie", "Macie Finding"}, {"aws.access-analyzer", "Access Analyzer Finding"},
	{"aws.access-analyzer", "Unused Access Finding for IAM entities"}, {"aws.access-analyzer", "Internal Access Finding"},
	{"aws.config", "Config Rules Compliance Change"}, {"aws.health", "AWS Health Event"}, {"aws.guardduty", "GuardDuty Finding"},
	{"aws.trustedadvisor", "Trusted Advisor Check Item Refresh Notification"},
}

// wrap makes an event of a detail.
func wrap(source, detailType, detail string) string {
	return fmt.Sprintf(`{"version":"0","id":"e","detail-type":%q,"source":%q,"account":"111122223333","time":"2026-02-01T00:00:05Z","region":"eu-west-1",`+
		`"resources":["arn:aws:access-analyzer:eu-west-1:111122223333:analyzer/main"],"detail":%s}`, detailType, source, detail)
}

// reportOf reads the one finding of a text, identified and with its risk factors.
func reportOf(t *testing.T, text string) pipeline.Report {
	t.Helper()
	var out []pipeline.Report
	doc, err := format.Split(strings.NewReader(text), format.Options{Reject: func(r pipeline.Reject) error {
		t.Errorf("Split(%.80s) rejects: %s", text, r.Reason)
		return nil
	}}, func(rec pipeline.Record) error {
		r, err := format.Decode(rec)
		out = append(out, r)
		return err
	})
	if err != nil || len(out) != 1 {
		t.Fatalf("Split(%.80s) = %d reports, notes %q, %v; want 1", text, len(out), doc.Notes, err)
	}
	identity.Identify(&out[0])
	risk.Derive(&out[0])
	return out[0]
}

func asffOf(product, members string) string {
	return `{"SchemaVersion":"2018-10-08","ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/` + product + `","AwsAccountId":"111122223333","Region":"eu-west-1",` +
		`"CreatedAt":"2026-01-01T00:00:00Z","UpdatedAt":"2026-02-01T00:00:00Z","RecordState":"ACTIVE","Workflow":{"Status":"NEW"},` + members + `}`
}

// TestEventsFoldWithSecurityHub reads the same finding as the service tells it and as Security
// Hub passes it on: one fingerprint, and where the services keep one id, one report.
func TestEventsFoldWithSecurityHub(t *testing.T) {
	tests := []struct {
		name, native, hub string
		oneReport         bool
	}{
		{"Inspector, an instance",
			wrap("aws.inspector2", "Inspector2 Finding", `{"findingArn":"arn:aws:inspector2:eu-west-1:111122223333:finding/1","awsAccountId":"111122223333","title":"CVE-2024-3094 - xz-utils, liblzma5",`+
				`"severity":"CRITICAL","status":"ACTIVE","packageVulnerabilityDetails":{"vulnerabilityId":"CVE-2024-3094","vulnerablePackages":[{"name":"xz-utils","version":"5.6.0","epoch":0},{"name":"liblzma5","version":"5.6.0","epoch":0}]},`+
				`"resources":[{"type":"AWS_EC2_INSTANCE","id":"i-0a1b2c3d4e5f60718","region":"eu-west-1"}]}`),
			asffOf("inspector", `"Id":"arn:aws:inspector2:eu-west-1:111122223333:finding/1","GeneratorId":"AWSInspector","Types":["Software and Configuration Checks/Vulnerabilities/CVE"],"Severity":{"Label":"CRITICAL"},"Title":"CVE-2024-3094 - xz-utils, liblzma5",`+
				`"Resources":[{"Type":"AwsEc2Instance","Id":"arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718"}],"Vulnerabilities":[{"Id":"CVE-2024-3094","VulnerablePackages":[{"Name":"liblzma5","Version":"5.6.0"},{"Name":"xz-utils","Version":"5.6.0"}]}]`), true},
		{"Inspector, an image",
			wrap("aws.inspector2", "Inspector2 Finding", `{"findingArn":"arn:aws:inspector2:eu-west-1:111122223333:finding/2","awsAccountId":"111122223333","title":"t","severity":"HIGH","status":"ACTIVE",`+
				`"packageVulnerabilityDetails":{"vulnerabilityId":"CVE-2021-3744","vulnerablePackages":[{"name":"linux","version":"4.19.118","epoch":0,"release":"2"}]},`+
				`"resources":[{"type":"AWS_ECR_CONTAINER_IMAGE","id":"arn:aws:ecr:eu-west-1:111122223333:repository/shop/api/sha256:c667ad018b538adadb5bd1db75836c8561b23bc7d31d9cd8941fa74f5df93802","region":"eu-west-1"}]}`),
			asffOf("inspector", `"Id":"arn:aws:inspector2:eu-west-1:111122223333:finding/2","GeneratorId":"AWSInspector","Severity":{"Label":"HIGH"},"Title":"t",`+
				`"Resources":[{"Type":"AwsEcrContainerImage","Id":"arn:aws:ecr:eu-west-1:111122223333:repository/shop/api/sha256:c667ad018b538adadb5bd1db75836c8561b23bc7d31d9cd8941fa74f5df93802"}],"Vulnerabilities":[{"Id":"CVE-2021-3744","VulnerablePackages":[{"Name":"linux"}]}]`), true},
		{"Inspector, an open port",
			wrap("aws.inspector2", "Inspector2 Finding", `{"findingArn":"arn:aws:inspector2:eu-west-1:111122223333:finding/3","awsAccountId":"111122223333","title":"Port 22 is reachable from an Internet Gateway - TCP","severity":"MEDIUM","status":"ACTIVE",`+
				`"networkReachabilityDetails":{"protocol":"TCP","openPortRange":{"begin":22,"end":22}},"resources":[{"type":"AWS_EC2_INSTANCE","id":"i-0a1b2c3d4e5f60718","region":"eu-west-1"}]}`),
			asffOf("inspector", `"Id":"arn:aws:inspector2:eu-west-1:111122223333:finding/3","GeneratorId":"AWSInspector","Types":["Software and Configuration Checks/AWS Security Best Practices/Network Reachability"],"Severity":{"Label":"MEDIUM"},`+
				`"Title":"Port 22 is reachable from an Internet Gateway - TCP","Resources":[{"Type":"AwsEc2Instance","Id":"arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718"}]`), true},
		{"Macie, an object",
			wrap("aws.macie", "Macie Finding", `{"id":"5be5","accountId":"111122223333","region":"eu-west-1","type":"SensitiveData:S3Object/Credentials","title":"t","severity":{"description":"High"},`+
				`"resourcesAffected":{"s3Bucket":{"arn":"arn:aws:s3:::photos","name":"photos"},"s3Object":{"key":"k"}}}`),
			asffOf("macie", `"Id":"5be5","GeneratorId":"aws/macie","Types":["Sensitive Data Identifications/Passwords/SensitiveData:S3Object-Credentials"],"Severity":{"Label":"HIGH"},"Title":"t",`+
				`"Resources":[{"Type":"AwsS3Bucket","Id":"arn:aws:s3:::photos"},{"Type":"AwsS3Object","Id":"arn:aws:s3:::photos/k"}]`), true},
		{"Macie, a policy",
			wrap("aws.macie", "Macie Finding", `{"id":"5be6","accountId":"111122223333","region":"eu-west-1","type":"Policy:IAMUser/S3BucketPublic","title":"t","severity":{"description":"High"},`+
				`"resourcesAffected":{"s3Bucket":{"arn":"arn:aws:s3:::photos","name":"photos"}}}`),
			asffOf("macie", `"Id":"5be6","GeneratorId":"aws/macie","Types":["Software and Configuration Checks/AWS Security Best Practices/Policy:IAMUser-S3BucketPublic"],"Severity":{"Label":"HIGH"},"Title":"t",`+
				`"Resources":[{"Type":"AwsS3Bucket","Id":"arn:aws:s3:::photos"}]`), true},
		{"Access Analyzer, another account",
			wrap("aws.access-analyzer", "Access Analyzer Finding", `{"id":"aa-1","status":"ACTIVE","resourceType":"AWS::S3::Bucket","resource":"arn:aws:s3:::photos","accountId":"111122223333","region":"eu-west-1","principal":{"AWS":"444455556666"},"isPublic":false}`),
			asffOf("access-analyzer", `"Id":"arn:aws:access-analyzer:eu-west-1:111122223333:analyzer/main/arn:aws:s3:::photos","GeneratorId":"aws/access-analyzer","Severity":{"Label":"LOW"},"Title":"AwsS3Bucket/arn:aws:s3:::photos/ allows cross-account access",`+
				`"Types":["Software and Configuration Checks/AWS Security Best Practices/External Access Granted"],"Resources":[{"Type":"AwsS3Bucket","Id":"arn:aws:s3:::photos"}]`), false},
		{"Access Analyzer, everybody",
			wrap("aws.access-analyzer", "Access Analyzer Finding", `{"id":"aa-1","status":"ACTIVE","resourceType":"AWS::SQS::Queue","resource":"arn:aws:sqs:eu-west-1:111122223333:jobs","accountId":"111122223333","region":"eu-west-1","principal":{"AWS":"*"},"isPublic":true}`),
			asffOf("access-analyzer", `"Id":"arn:aws:access-analyzer:eu-west-1:111122223333:analyzer/main/arn:aws:sqs:eu-west-1:111122223333:jobs","GeneratorId":"aws/access-analyzer","Severity":{"Label":"HIGH"},"Title":"t",`+
				`"Types":["Effects/Data Exposure/External Access Granted"],"Resources":[{"Type":"AwsSqsQueue","Id":"arn:aws:sqs:eu-west-1:111122223333:jobs"}]`), false},
		{"Access Analyzer, a role without use",
			wrap("aws.access-analyzer", "Unused Access Finding for IAM entities", `{"findingId":"aa-2","status":"ACTIVE","findingType":"UnusedIAMRole","resourceType":"AWS::IAM::Role","resource":"arn:aws:iam::111122223333:role/old","accountId":"111122223333"}`),
			asffOf("access-analyzer", `"Id":"arn:aws:access-analyzer:eu-west-1:111122223333:analyzer/main/arn:aws:iam::111122223333:role/old/UnusedIAMRole","GeneratorId":"aws/access-analyzer","Severity":{"Label":"MEDIUM"},"Title":"t",`+
				`"Types":["Software and Configuration Checks/AWS Security Best Practices/Unused IAM Role"],"Resources":[{"Type":"AwsIamRole","Id":"arn:aws:iam::111122223333:role/old"}]`), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			own, hub := reportOf(t, tt.native), reportOf(t, tt.hub)
			if own.Print != hub.Print {
				t.Errorf("fingerprints differ: event %s on %s in %s, Security Hub %s on %s in %s", own.Problem, own.Resource.ID, own.Region, hub.Problem, hub.Resource.ID, hub.Region)
			}
			if own.Product != hub.Product || own.Severity != hub.Severity || own.Status != hub.Status {
				t.Errorf("event = %s %v %v; Security Hub %s %v %v", own.Product, own.Severity, own.Status, hub.Product, hub.Severity, hub.Status)
			}
			if d := cmp.Diff(hub.RiskFactors, own.RiskFactors); d != "" {
				t.Errorf("risk factors (-Security Hub +event):\n%s", d)
			}
			if (own.Key() == hub.Key()) != tt.oneReport {
				t.Errorf("ids %q and %q; want one report: %v", own.ID, hub.ID, tt.oneReport)
			}
			ahead, behind := pipeline.Merge(own.Print, []pipeline.Report{own, hub}), pipeline.Merge(own.Print, []pipeline.Report{hub, own})
			ahead.Reports, behind.Reports = nil, nil // kept in the order given
			if d := cmp.Diff(ahead, behind); !tt.oneReport && d != "" {
				t.Errorf("the finding depends on the order of arrival:\n%s", d)
			}
		})
	}
}

func TestEventStatus(t *testing.T) {
	inspector := func(status string) string {
		return wrap("aws.inspector2", "Inspector2 Finding", `{"findingArn":"a","awsAccountId":"111122223333","severity":"UNTRIAGED","status":"`+status+`","resources":[{"id":"i-1"}]}`)
	}
	analyzer := func(rest string) string {
		return wrap("aws.access-analyzer", "Access Analyzer Finding", `{"id":"a","resource":"arn:aws:s3:::b","accountId":"111122223333",`+rest+`}`)
	}
	config := func(word string) string {
		return wrap("aws.config", "Config Rules Compliance Change", `{"configRuleName":"r","resourceType":"AWS::S3::Bucket","resourceId":"b","newEvaluationResult":{"complianceType":"`+word+`"}}`)
	}
	tests := []struct {
		name, text string
		want       pipeline.Status
		reason     string
	}{
		{"Inspector ACTIVE", inspector("ACTIVE"), pipeline.StatusOpen, ""},
		{"Inspector CLOSED", inspector("CLOSED"), pipeline.StatusResolved, "Inspector status CLOSED"},
		{"Inspector SUPPRESSED", inspector("SUPPRESSED"), pipeline.StatusUnproven, "Inspector status SUPPRESSED"},
		{"Inspector, a new word", inspector("PAUSED"), pipeline.StatusOpen, `Inspector status "PAUSED" is not known, counted as ACTIVE`},
		{"Access Analyzer ACTIVE", analyzer(`"status":"ACTIVE"`), pipeline.StatusOpen, ""},
		{"Access Analyzer RESOLVED", analyzer(`"status":"RESOLVED"`), pipeline.StatusResolved, "Access Analyzer status RESOLVED"},
		{"Access Analyzer ARCHIVED", analyzer(`"status":"ARCHIVED"`), pipeline.StatusUnproven, "Access Analyzer status ARCHIVED"},
		{"Access Analyzer, analyzer deleted", analyzer(`"status":"ACTIVE","isDeleted":true`), pipeline.StatusUnproven, "the finding was deleted with its analyzer"},
		{"Access Analyzer, resolved and expired", analyzer(`"status":"RESOLVED","isDeleted":true`), pipeline.StatusResolved, "Access Analyzer status RESOLVED"},
		{"Access Analyzer, an error", analyzer(`"status":"ACTIVE","error":"ACCESS_DENIED"`), pipeline.StatusUnproven, "Access Analyzer could not look: ACCESS_DENIED"},
		{"Access Analyzer, a new word", analyzer(`"status":"HALF"`), pipeline.StatusOpen, `Access Analyzer status "HALF" is not known, counted as ACTIVE`},
		{"Config NON_COMPLIANT", config("NON_COMPLIANT"), pipeline.StatusOpen, ""},
		{"Config COMPLIANT", config("COMPLIANT"), pipeline.StatusResolved, "Config says COMPLIANT"},
		{"Config NOT_APPLICABLE", config("NOT_APPLICABLE"), pipeline.StatusUnproven, "Config says NOT_APPLICABLE"},
		{"Config, a new word", config("MAYBE"), pipeline.StatusOpen, `complianceType "MAYBE" is not known, counted as NON_COMPLIANT`},
		{"Macie archived", wrap("aws.macie", "Macie Finding", `{"id":"5","accountId":"111122223333","region":"eu-west-1","type":"t","archived":true,"resourcesAffected":{"s3Bucket":{"name":"b"}}}`), pipeline.StatusUnproven, "archived in Macie"},
		{"Health closed", wrap("aws.health", "AWS Health Event", `{"eventArn":"a","eventTypeCode":"AWS_RISK_CREDENTIALS_EXPOSED","statusCode":"closed"}`), pipeline.StatusUnproven,
			"statusCode closed: AWS ended the event, which says nothing of the credential"},
	}
	for _, tt := range tests {
		if r := reportOf(t, tt.text); r.Status != tt.want || r.StatusReason != tt.reason {
			t.Errorf("status of %s = %v %q; want %v %q", tt.name, r.Status, r.StatusReason, tt.want, tt.reason)
		}
	}
}

// TestAdvisorEvents: an event about a row is the report that the source trustedadvisor reads of the same row.
func TestAdvisorEvents(t *testing.T) {
	const detailType = "Trusted Advisor Check Item Refresh Notification"
	tests := []struct {
		name, detail, record string
	}{
		{"an open port", `{"check-name":"Security Groups - Specific Ports Unrestricted","check-item-detail":{"Status":"Red","Region":"eu-west-1","Security Group Name":"web","Security Group ID":"sg-0a1b2c3d4e5f60718 (vpc-1)","Protocol":"tcp","Ports":"22"},"status":"ERROR","resource_id":"","uuid":"u"}`,
			`{"checkId":"HCP4007jGY","checkName":"Security Groups - Specific Ports Unrestricted","category":"security","account":"111122223333","timestamp":"2026-02-01T00:00:05Z","status":"error","region":"eu-west-1","metadata":{"Status":"Red","Region":"eu-west-1","Security Group Name":"web","Security Group ID":"sg-0a1b2c3d4e5f60718 (vpc-1)","Protocol":"tcp","Ports":"22"}}`},
		{"a key in the open", `{"check-name":"Exposed Access Keys","check-item-detail":{"Case ID":"c","Usage (USD per Day)":"0","User Name (IAM or Root)":"deploy","Deadline":"1440453299248","Access Key ID":"AKIAIOSFODNN7EXAMPLE","Time Updated":"1440021299248","Fraud Type":"Exposed","Location":"www.example.com"},"status":"ERROR","resource_id":"","uuid":"u"}`,
			`{"checkId":"12Fnkpl8Y5","checkName":"Exposed Access Keys","category":"security","account":"111122223333","timestamp":"2026-02-01T00:00:05Z","status":"error","metadata":{"Case ID":"c","Usage (USD per Day)":"0","User Name (IAM or Root)":"deploy","Deadline":"1440453299248","Access Key ID":"AKIAIOSFODNN7EXAMPLE","Time Updated":"1440021299248","Fraud Type":"Exposed","Location":"www.example.com"}}`},
		{"yellow", `{"check-name":"IAM Use","check-item-detail":{},"status":"WARN","resource_id":"","uuid":""}`,
			`{"checkId":"zXCkfM1nI3","checkName":"IAM Use","category":"security","account":"111122223333","timestamp":"2026-02-01T00:00:05Z","status":"warning","metadata":{}}`},
		{"green", `{"check-name":"Amazon EBS Public Snapshots","check-item-detail":{"Status":"Green","Region":"eu-west-1","Snapshot ID":"snap-0a1b2c3d4e5f60718"},"status":"OK"}`,
			`{"checkId":"ePs02jT06w","checkName":"Amazon EBS Public Snapshots","category":"security","account":"111122223333","timestamp":"2026-02-01T00:00:05Z","status":"ok","region":"eu-west-1","metadata":{"Status":"Green","Region":"eu-west-1","Snapshot ID":"snap-0a1b2c3d4e5f60718"}}`},
	}
	for _, tt := range tests {
		got, want := reportOf(t, wrap("aws.trustedadvisor", detailType, tt.detail)), reportOf(t, tt.record)
		got.Raw, want.Raw = nil, nil
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("report of %s (-record +event):\n%s", tt.name, d)
		}
	}
	o := split(wrap("aws.trustedadvisor", detailType, `{"check-name":"Low Utilization Amazon EC2 Instances","status":"WARN"}`), format.Options{})
	if len(o.Records) != 0 || o.Notes != 1 || o.Err != "" {
		t.Errorf("Split(a check of costs) = %+v; want a note alone", o)
	}
}

// TestSharedCheckNames: every security check that the recorded list names is known by its name.
func TestSharedCheckNames(t *testing.T) {
	var list struct {
		Checks []struct{ ID, Name, Category string }
	}
	text := readFile(t, filepath.Join(formattest.Shared(t), "data/aws-api/describe_trusted_advisor_checks.full.json"))
	if err := json.Unmarshal([]byte(text), &list, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range list.Checks {
		if c.Category != "security" {
			continue
		}
		n++
		o := split(wrap("aws.trustedadvisor", "Trusted Advisor Check Item Refresh Notification", fmt.Sprintf(`{"check-name":%q,"status":"ERROR"}`, c.Name)), format.Options{})
		if len(o.Records) != 1 || !strings.Contains(o.Records[0], `"checkId":"`+c.ID+`"`) {
			t.Errorf("Split(event of %s) = %+v; want the check %s", c.Name, o, c.ID)
		}
	}
	if n < 17 {
		t.Errorf("%d security checks are listed; want 17", n)
	}
}

// TestExposedCredentials: what AWS Health says of an account's credentials is one problem with docket's own
// check, on the account that the event names, and has the factor that makes it urgent.
func TestExposedCredentials(t *testing.T) {
	own := reportOf(t, `{"product":"docket","id":"1","control":"health-exposure","account":{"id":"444455556666"},"resource":{"id":"444455556666"},"title":"t","severity":"CRITICAL"}`)
	for _, code := range []string{"AWS_RISK_CREDENTIALS_EXPOSED", "AWS_RISK_CREDENTIALS_EXPOSURE_SUSPECTED", "AWS_RISK_ACCOUNT_CONSOLE_COMPROMISE"} {
		r := reportOf(t, wrap("aws.health", "AWS Health Event", `{"eventArn":"a","eventTypeCode":"`+code+`","affectedAccount":"444455556666","page":2,"eventMetadata":{"truncated":false}}`))
		if r.Print != own.Print || r.Account.ID != "444455556666" || cmp.Diff([]string{risk.ExposedCredential}, r.RiskFactors) != "" || r.ID != "444455556666 a#2" {
			t.Errorf("report of %s = %s on %s, %v, id %q; want that of health-exposure on 444455556666", code, r.Problem, r.Resource.ID, r.RiskFactors, r.ID)
		}
	}
}

func TestEventsRefused(t *testing.T) {
	tests := []struct{ name, text, reason string }{
		{"Inspector without an id", wrap("aws.inspector2", "Inspector2 Finding", `{"awsAccountId":"1"}`), "inspector2: findingArn is missing"},
		{"Inspector without a resource", wrap("aws.inspector2", "Inspector2 Finding", `{"findingArn":"a","awsAccountId":"1","resources":[]}`), "inspector2: resources is empty"},
		{"Inspector's severity", wrap("aws.inspector2", "Inspector2 Finding", `{"findingArn":"a","awsAccountId":"1","severity":"BAD","resources":[{"id":"r"}]}`), `inspector2: severity: "BAD" is no severity`},
		{"Macie without a bucket", wrap("aws.macie", "Macie Finding", `{"id":"a","accountId":"1","region":"r","type":"t"}`), "macie: resourcesAffected.s3Bucket.name is missing"},
		{"Access Analyzer without a resource", wrap("aws.access-analyzer", "Access Analyzer Finding", `{"id":"a"}`), "accessanalyzer: detail.resource is missing"},
		{"Config without a verdict", wrap("aws.config", "Config Rules Compliance Change", `{"configRuleName":"r","resourceType":"t","resourceId":"i"}`), "awsconfig: detail.newEvaluationResult.complianceType is missing"},
		{"another kind of value", wrap("aws.macie", "Macie Finding", `{"id":[]}`), "macie: id holds a [ where another kind of value belongs"},
	}
	for _, tt := range tests {
		var got []string
		_, err := format.Split(strings.NewReader(tt.text), format.Options{}, func(rec pipeline.Record) error {
			_, err := format.Decode(rec)
			got = append(got, fmt.Sprint(err))
			return nil
		})
		if d := cmp.Diff([]string{tt.reason}, got); err != nil || d != "" {
			t.Errorf("Decode(%s), %v (-want +got):\n%s", tt.name, err, d)
		}
	}
}

// TestEventsFromElsewhere: anybody may send an event with any detail-type, but only AWS one whose source begins with aws.
func TestEventsFromElsewhere(t *testing.T) {
	for _, e := range events {
		if o := split(wrap("corp.app", e[1], `{"id":"a"}`), format.Options{}); len(o.Records) != 0 || o.Notes != 1 || o.Err != "" {
			t.Errorf("Split(%s of corp.app) = %+v; want a note alone", e[1], o)
		}
	}
}

func TestNotifications(t *testing.T) {
	note := func(kind, message string) string {
		text, err := json.Marshal(map[string]string{"Type": kind, "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": message})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	two := []string{"asff " + asffA, "asff " + asffB}
	tests := []struct {
		name, text string
		want       outcome
	}{
		{"an event", note("Notification", hubEv), outcome{Format: "asff", Records: two}},
		{"a bare finding", note("Notification", asffA), outcome{Format: "asff", Records: two[:1]}},
		{"two in a list, the first cut off", "[" + note("Notification", hubEv[:len(hubEv)-9]) + "," + note("Notification", asffB) + "]",
			outcome{Format: "asff", Records: two[1:], Rejects: []string{"0:1:e2 the document ends inside this record"}}},
		{"no findings", note("Notification", "Alarm: too warm"), outcome{Rejects: []string{`0:1: no known findings format: text that is no JSON object, "Alarm: too warm"`}}},
		{"an empty one", note("Notification", ""), outcome{Notes: 1}},
		{"an event with an empty list", note("Notification", `{"detail-type":"x","source":"y","detail":{"findings":[]}}`), outcome{Notes: 1}},
		{"a subscription", note("SubscriptionConfirmation", "You have chosen"), outcome{Notes: 1}},
		{"one in another", note("Notification", note("Notification", asffA)), outcome{Rejects: []string{"0:1: a notification in a notification"}}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, split(tt.text, format.Options{})); d != "" {
			t.Errorf("Split(%s) (-want +got):\n%s", tt.name, d)
		}
	}
}

// TestSharedInspector2 reads exports of Inspector in its own words.
func TestSharedInspector2(t *testing.T) {
	for name, want := range map[string]int{"many": 8, "one": 1, "zero": 0} {
		_, reports, rejects := read(t, filepath.Join(formattest.Shared(t), "data/inspector2/dd-aws_inspector2_"+name+"_vul.json"))
		if len(reports) != want || len(rejects) != 0 {
			t.Errorf("read(%s) = %d reports, rejects %v; want %d", name, len(reports), rejects, want)
		}
		for _, r := range reports {
			if r.Product == "" || r.ID == "" || r.Title == "" || r.Control == "" || r.Account.ID == "" || r.Region == "" || r.Resource.ID == "" || r.ObservedAt.IsZero() {
				t.Errorf("read(%s) = %+v; want every member filled", name, r)
			}
		}
	}
	text := readFile(t, filepath.Join(formattest.Shared(t), "data/aws-api/test_inspector2_finding.inspector2.ListFindings_1.json"))
	var answer struct {
		Data jsontext.Value `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	n := 0
	doc, err := format.Split(bytes.NewReader(answer.Data), format.Options{}, func(rec pipeline.Record) error {
		n++
		_, err := format.Decode(rec)
		return err
	})
	if err != nil || n == 0 || doc.Rejected != 0 {
		t.Errorf("Split(recorded answer) = %d records, %d rejected, %v; want some", n, doc.Rejected, err)
	}
}

// FuzzEvent reads any detail under every kind of event: no panic, and what is read can be told apart.
func FuzzEvent(f *testing.F) {
	for i := range events {
		for _, s := range []string{`{}`, `[]`, `{"id":"a","accountId":"1","region":"r","type":"t","resourcesAffected":{"s3Bucket":{"name":"b"}},"resource":"x"}`,
			`{"findingArn":"a","awsAccountId":"1","resources":[{"id":"i-1"}],"packageVulnerabilityDetails":{"vulnerabilityId":"CVE-1","vulnerablePackages":[{"name":"a","epoch":1}]}}`,
			`{"configRuleName":"r","resourceType":"t","resourceId":"i","newEvaluationResult":{"complianceType":"COMPLIANT"}}`,
			`{"eventTypeCode":"AWS_RISK_X","eventArn":"a","affectedEntities":[{"entityValue":"AKIA"}],"page":3}`, `{"findingId":"a","findingType":"UnusedIAMRole","resource":"r","principal":7}`} {
			f.Add(i, s)
		}
	}
	f.Fuzz(func(t *testing.T, kind int, detail string) {
		e := events[uint(kind)%uint(len(events))]
		_, _ = format.Split(strings.NewReader(wrap(e[0], e[1], detail)), format.Options{MaxRecord: 1 << 16}, func(rec pipeline.Record) error {
			r, err := format.Decode(rec)
			if err == nil && (r.Product == "" || r.ID == "" || r.Kind == "" || r.Status == 0 || r.Account.ID == "" && rec.Format != format.ASFF) {
				t.Errorf("Decode(%s) = %+v; want a report that can be told apart", detail, r)
			}
			return nil
		})
	})
}
