package format_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
	"github.com/docket-hub/docket/pipeline/risk"
)

const dutyDetector = "arn:aws:guardduty:eu-west-1:111122223333:detector/d1"

// native is one finding as GuardDuty itself tells it.
func native(id, typ, resource string) string {
	return fmt.Sprintf(`{"schemaVersion":"2.0","accountId":"111122223333","region":"eu-west-1","partition":"aws","id":%q,"arn":"%s/finding/%[1]s","type":%[3]q,`+
		`"resource":%s,"service":{"detectorId":"d1","archived":false,"count":1},"severity":8,"createdAt":"2026-02-01T00:00:00.000Z","updatedAt":"2026-02-02T00:00:00.000Z","title":"t"}`, id, dutyDetector, typ, resource)
}

// hub is the same finding as Security Hub passes it on.
func hub(id, typ string, resources ...string) string {
	return fmt.Sprintf(`{"SchemaVersion":"2018-10-08","Id":"%s/finding/%s","ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/guardduty","ProductName":"GuardDuty","Region":"eu-west-1",`+
		`"GeneratorId":"%[1]s","AwsAccountId":"111122223333","Types":[%[3]q],"CreatedAt":"2026-02-01T00:00:00.000Z","UpdatedAt":"2026-02-02T00:00:00.000Z",`+
		`"Severity":{"Product":8,"Label":"HIGH"},"Title":"t","Resources":[%s],"RecordState":"ACTIVE","Workflow":{"Status":"NEW"}}`, dutyDetector, id, typ, strings.Join(resources, ","))
}

// TestGuardDutyBothWays reads a finding of each sort of resource natively and through
// Security Hub: report key, fingerprint, severity and time agree.
func TestGuardDutyBothWays(t *testing.T) {
	res := func(typ, id string) string { return fmt.Sprintf(`{"Type":%q,"Id":%q,"Region":"eu-west-1"}`, typ, id) }
	const key = `"accessKeyDetails":{"accessKeyId":"K1","userName":"alice","userType":"IAMUser"}`
	accessKey, instance := res("AwsIamAccessKey", "AWS::IAM::AccessKey:K1"), res("AwsEc2Instance", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0")
	tests := []struct {
		typ, asffType, resource string
		resources               []string
	}{
		{"Recon:EC2/Portscan", "TTPs/Discovery/Recon:EC2-Portscan", `{"resourceType":"Instance","instanceDetails":{"instanceId":"i-0123456789abcdef0"}}`, []string{instance}},
		{"Backdoor:EC2/C&CActivity.B!DNS", "TTPs/Command and Control/Backdoor:EC2-C&CActivity.B!DNS", `{"resourceType":"Instance",` + key + `,"instanceDetails":{"instanceId":"i-0123456789abcdef0"}}`, []string{accessKey, instance}},
		{"UnauthorizedAccess:IAMUser/TorIPCaller", "TTPs/UnauthorizedAccess:IAMUser-TorIPCaller", `{"resourceType":"AccessKey",` + key + `}`, []string{accessKey}},
		{"Discovery:IAMUser/AnomalousBehavior", "TTPs/Discovery/IAMUser-AnomalousBehavior", `{"resourceType":"AccessKey",` + key + `}`, []string{accessKey}},
		{"Discovery:S3/MaliciousIPCaller", "TTPs/Discovery/Discovery:S3-MaliciousIPCaller", `{"resourceType":"S3Bucket",` + key + `,"s3BucketDetails":[{"arn":"arn:aws:s3:::b","name":"b"}]}`, []string{accessKey, res("AwsS3Bucket", "arn:aws:s3:::b")}},
		{"Discovery:Kubernetes/MaliciousIPCaller", "TTPs/Discovery/Discovery:Kubernetes-MaliciousIPCaller", `{"resourceType":"EKSCluster","eksClusterDetails":{"arn":"arn:aws:eks:eu-west-1:111122223333:cluster/c","name":"c"}}`, []string{res("AwsEksCluster", "arn:aws:eks:eu-west-1:111122223333:cluster/c")}},
		{"Backdoor:Lambda/C&CActivity.B", "Effects/Backdoor:Lambda-C&CActivity.B", `{"resourceType":"Lambda","lambdaDetails":{"functionArn":"arn:aws:lambda:eu-west-1:111122223333:function:f"}}`, []string{res("AwsLambdaFunction", "arn:aws:lambda:eu-west-1:111122223333:function:f")}},
		{"CredentialAccess:RDS/AnomalousBehavior.SuccessfulLogin", "TTPs/Credential Access/RDS-AnomalousBehavior.SuccessfulLogin", `{"resourceType":"RDSDBInstance","rdsDbInstanceDetails":{"dbInstanceArn":"arn:aws:rds:eu-west-1:111122223333:db:d"}}`, []string{res("AwsRdsDbInstance", "arn:aws:rds:eu-west-1:111122223333:db:d")}},
	}
	for _, tt := range tests {
		t.Run(tt.typ, func(t *testing.T) {
			var got [2]pipeline.Report
			for i, text := range []string{native("f1", tt.typ, tt.resource), hub("f1", tt.asffType, tt.resources...)} {
				name := []string{format.GuardDuty, format.ASFF}[i]
				r, err := format.Decode(pipeline.Record{Format: name, Data: []byte(text)})
				if err != nil {
					t.Fatalf("Decode(%s) = %v; want a report", text, err)
				}
				identity.Identify(&r)
				risk.Derive(&r)
				got[i] = pipeline.Report{Product: r.Product, ID: r.ID, Generator: r.Generator, Kind: r.Kind, Account: r.Account, Region: r.Region, Resource: pipeline.Resource{ID: r.Resource.ID, Type: r.Resource.Type},
					Problem: r.Problem, Print: r.Print, Severity: r.Severity, RiskFactors: r.RiskFactors, Status: r.Status, ObservedAt: r.ObservedAt, Occurred: r.Occurred}
			}
			if d := cmp.Diff(got[0], got[1]); d != "" {
				t.Errorf("the finding differs by the way it came (-native +Security Hub):\n%s", d)
			}
		})
	}
}

func TestSplitGuardDuty(t *testing.T) {
	one := native("a", "Recon:EC2/Portscan", "{}")
	two := native("b", "Recon:EC2/Portscan", "{}")
	event := `{"version":"0","id":"e","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"111122223333","region":"eu-west-1","resources":[],"detail":` + one + `}`
	sequence := strings.Replace(one, `"service":{`, `"service":{"detection":{"sequence":{"resources":[{"uid":"x","accountId":"1","service":"s3"},{"uid":"y","accountId":"1","service":"s3"}]}},`, 1)
	tests := []struct {
		name, text string
		want       []string
		rejects    int
	}{
		{"bare", one, []string{one}, 0},
		{"array", "[" + one + "," + two + "]", []string{one, two}, 0},
		{"answer of the API", `{"findings":[` + one + `,` + two + `]}`, []string{one, two}, 0},
		{"answer of the CLI", `{"Findings":[` + one + `],"NextToken":""}`, []string{one}, 0},
		{"lines of an export", one + "\n" + two + "\n", []string{one, two}, 0},
		{"event", event, []string{one}, 0},
		{"events in lines", event + "\n" + event, []string{one, one}, 0},
		{"a malformed one between", "[" + one + `,{"accountId":"1","service":{},}` + "," + two + "]", []string{one, two}, 1},
		{"a malformed attack sequence", "[" + strings.Replace(sequence, `"title":"t"}`, `"title":"t",`, 1) + "," + two + "]", []string{two}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := split(tt.text, format.Options{})
			var want []string
			for _, w := range tt.want {
				want = append(want, "guardduty "+w)
			}
			if d := cmp.Diff(want, got.Records); d != "" || got.Err != "" || len(got.Rejects) != tt.rejects {
				t.Errorf("Split(%s) = rejects %q, error %q; want %d rejects; records (-want +got):\n%s", tt.name, got.Rejects, got.Err, tt.rejects, d)
			}
		})
	}
}

// TestGuardDutyState reads a finding again: the time is the read's, and nothing happened.
func TestGuardDutyState(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	text := strings.Replace(native("a", "Recon:EC2/Portscan", "{}"), `"archived":false`, `"archived":true`, 1)
	r, err := format.Decode(pipeline.Record{Format: format.GuardDutyState, Data: []byte(text), Observed: at})
	if err != nil || r.Occurred || !r.ObservedAt.Equal(at) || r.Status != pipeline.StatusResolved {
		t.Errorf("Decode(state) = %v %v occurred %v, %v; want resolved at %v, not occurred", r.Status, r.ObservedAt, r.Occurred, err, at)
	}
	if _, _, ok := format.Steady(nil, &pipeline.Record{Format: format.GuardDutyState, Data: []byte(text), Observed: at}); ok {
		t.Error("Steady(state) = ok; want none, since its time is not in its text")
	}
	if format.Known(format.GuardDutyState) == nil {
		t.Errorf("Known(%s) = nil; want an error: it is no format of a document", format.GuardDutyState)
	}
}
