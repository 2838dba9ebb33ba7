package guardduty_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/connectors/format/guardduty"
	"github.com/docket-hub/docket/pipeline"
)

type m = map[string]any

const (
	detector = "arn:aws:guardduty:eu-west-1:111122223333:detector/d1"
	arn      = detector + "/finding/f1"
)

// finding is a whole finding with the given members put over it; a nil takes one away.
func finding(t testing.TB, over m) []byte {
	t.Helper()
	f := m{
		"schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", "partition": "aws", "id": "f1", "arn": arn,
		"type": "Recon:EC2/Portscan", "title": "t", "description": "d", "severity": 5,
		"createdAt": "2026-02-01T00:00:00.000Z", "updatedAt": "2026-02-02T00:00:00.000Z",
		"resource": m{"resourceType": "Instance", "instanceDetails": m{"instanceId": "i-1"}},
		"service":  m{"detectorId": "d1", "archived": false, "count": 1},
	}
	maps.Copy(f, over)
	for k, v := range f {
		if v == nil {
			delete(f, k)
		}
	}
	b, err := json.Marshal(f, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t *testing.T, over m) pipeline.Report {
	t.Helper()
	r, err := guardduty.Decode(finding(t, over))
	if err != nil {
		t.Fatalf("Decode(%v) = %v; want a report", over, err)
	}
	return r
}

func TestDecodeWhole(t *testing.T) {
	got := decode(t, m{"service": m{"detectorId": "d1", "count": 3, "resourceRole": "TARGET", "eventFirstSeen": "2026-01-31T23:00:00Z", "eventLastSeen": "2026-02-01T23:00:00Z"}})
	want := pipeline.Report{
		Product: "GuardDuty", ID: arn, Generator: detector, Kind: pipeline.KindThreat, Occurred: true,
		Account: pipeline.Account{ID: "111122223333"}, Region: "eu-west-1",
		Resource: pipeline.Resource{ID: "i-1", Original: "i-1", Type: "AwsEc2Instance", Name: "i-1"},
		Control:  "Recon:EC2/Portscan", Names: []string{"guardduty:Recon:EC2/Portscan"},
		Tags:  []string{"Recon:EC2/Portscan", "purpose:Recon", "family:Portscan", "role:TARGET"},
		Title: "t", Description: "d\n\nSeen 3 times up to 2026-02-01 23:00 UTC.", Severity: pipeline.Medium, Status: pipeline.StatusOpen,
		Links:         []string{"https://eu-west-1.console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?macros=current&fId=f1"},
		ObservedAt:    time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC),
		FirstObserved: time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Decode differs (-want +got):\n%s", d)
	}
}

func TestSeverity(t *testing.T) {
	tests := []struct {
		name string
		n    any
		want pipeline.Severity
	}{
		{"none", nil, pipeline.SeverityUnknown},
		{"zero", 0, pipeline.Informational},
		{"lowest", 1, pipeline.Low},
		{"end of low", 3.9, pipeline.Low},
		{"medium", 4, pipeline.Medium},
		{"end of medium", 6.9, pipeline.Medium},
		{"high", 7, pipeline.High},
		{"end of high", 8.9, pipeline.High},
		{"critical", 9, pipeline.Critical},
		{"highest", 10, pipeline.Critical},
		{"as a text", "8", pipeline.High},
	}
	for _, tt := range tests {
		if got := decode(t, m{"severity": tt.n}).Severity; got != tt.want {
			t.Errorf("Decode(severity %s) = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name string
		over m
		want string
	}{
		{"id", m{"id": nil}, "id is missing"},
		{"type", m{"type": nil}, "type is missing"},
		{"account", m{"accountId": ""}, "accountId is missing"},
		{"severity too high", m{"severity": 11}, "between 0 and 10"},
		{"severity negative", m{"severity": -1}, "between 0 and 10"},
		{"severity a word", m{"severity": "HIGH"}, "is no number"},
		{"archived a word", m{"service": m{"archived": "no"}}, "/service/archived"},
	}
	for _, tt := range tests {
		_, err := guardduty.Decode(finding(t, tt.over))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Decode(%s) = %v; want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestStatusAndSample(t *testing.T) {
	const archived = "archived in GuardDuty"
	tests := []struct {
		name   string
		over   m
		status pipeline.Status
		why    string
		title  string
		sample bool
	}{
		{"current", m{}, pipeline.StatusOpen, "", "t", false},
		{"archived", m{"service": m{"archived": true}}, pipeline.StatusResolved, archived, "t", false},
		{"sample of an event", m{"service": m{"additionalInfo": m{"sample": true}}}, pipeline.StatusOpen, "", "[SAMPLE] t", true},
		{"sample of the API", m{"service": m{"additionalInfo": m{"value": `{"sample":"true"}`, "type": "default"}}}, pipeline.StatusOpen, "", "[SAMPLE] t", true},
		{"no sample", m{"service": m{"additionalInfo": m{"sample": false, "value": `{"sample":false}`}}}, pipeline.StatusOpen, "", "t", false},
		{"odd information", m{"service": m{"additionalInfo": []int{1}}}, pipeline.StatusOpen, "", "t", false},
		{"marked in the title", m{"title": "[SAMPLE] x"}, pipeline.StatusOpen, "", "[SAMPLE] x", true},
		{"without title", m{"title": nil}, pipeline.StatusOpen, "", "Recon:EC2/Portscan", false},
	}
	for _, tt := range tests {
		r := decode(t, tt.over)
		tagged := r.Tags[len(r.Tags)-1] == "sample"
		if r.Status != tt.status || r.StatusReason != tt.why || r.Title != tt.title || tagged != tt.sample {
			t.Errorf("Decode(%s) = %v %q, %q, sample %v; want %v %q, %q, %v", tt.name, r.Status, r.StatusReason, r.Title, tagged, tt.status, tt.why, tt.title, tt.sample)
		}
	}
}

func TestReportID(t *testing.T) {
	tests := []struct {
		name     string
		over     m
		id, made string
	}{
		{"its ARN", m{}, arn, detector},
		{"built", m{"arn": nil}, arn, detector},
		{"in China", m{"arn": nil, "region": "cn-north-1", "partition": "aws-cn"}, "arn:aws-cn:guardduty:cn-north-1:111122223333:detector/d1/finding/f1", "arn:aws-cn:guardduty:cn-north-1:111122223333:detector/d1"},
		{"no detector", m{"arn": nil, "service": nil}, "eu-west-1/guardduty f1", ""},
	}
	for _, tt := range tests {
		if r := decode(t, tt.over); r.ID != tt.id || r.Generator != tt.made {
			t.Errorf("Decode(%s) = id %q of %q; want %q of %q", tt.name, r.ID, r.Generator, tt.id, tt.made)
		}
	}
}

func TestResource(t *testing.T) {
	key := func(over m) m {
		k := m{"accessKeyId": "K1", "userName": "alice", "userType": "IAMUser"}
		maps.Copy(k, over)
		return k
	}
	instance := m{"instanceId": "i-1", "tags": []m{{"key": "Name", "value": "shop"}}}
	eks := m{"name": "c", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c"}
	sequence := func(list ...m) m { return m{"detection": m{"sequence": m{"resources": list}}} }
	tests := []struct {
		name, typ string
		resource  m
		service   m
		id, want  string
		factors   []string
	}{
		{"instance", "Recon:EC2/Portscan", m{"resourceType": "Instance", "accessKeyDetails": key(nil), "instanceDetails": instance}, nil, "i-1", "AwsEc2Instance", nil},
		{"key", "Discovery:IAMUser/AnomalousBehavior", m{"resourceType": "AccessKey", "accessKeyDetails": key(nil), "instanceDetails": instance}, nil, "AWS::IAM::AccessKey:K1", "AwsIamAccessKey", nil},
		{"user without key", "Discovery:IAMUser/AnomalousBehavior", m{"accessKeyDetails": key(m{"accessKeyId": ""})}, nil, "arn:aws:iam::111122223333:user/alice", "AwsIamUser", nil},
		{"role without key", "Discovery:IAMUser/AnomalousBehavior", m{"accessKeyDetails": key(m{"accessKeyId": "", "userType": "AssumedRole"})}, nil, "arn:aws:iam::111122223333:role/alice", "AwsIamRole", nil},
		{"root's key", "Policy:IAMUser/RootCredentialUsage", m{"accessKeyDetails": key(m{"userType": "Root"})}, nil, "AWS::IAM::AccessKey:K1", "AwsIamAccessKey", []string{"root_identity"}},
		{"root without key", "Policy:IAMUser/RootCredentialUsage", m{"accessKeyDetails": m{"userType": "Root", "userName": "Root"}}, nil, "AWS::::Account:111122223333", "AwsAccount", nil},
		{"bucket", "Policy:S3/BucketPublicAccessGranted", m{"resourceType": "S3Bucket", "accessKeyDetails": key(nil), "s3BucketDetails": []m{{"arn": "arn:aws:s3:::b", "name": "b", "publicAccess": m{"effectivePermission": "PUBLIC"}}}}, nil, "arn:aws:s3:::b", "AwsS3Bucket", []string{"public_exposure"}},
		{"bucket by itself", "Object:S3/MaliciousFile", m{"resourceType": "S3Object", "s3BucketDetails": m{"name": "b"}}, nil, "b", "AwsS3Bucket", nil},
		{"cluster", "Discovery:Kubernetes/MaliciousIPCaller", m{"resourceType": "EKSCluster", "eksClusterDetails": eks}, nil, "arn:aws:eks:eu-west-1:111122223333:cluster/c", "AwsEksCluster", nil},
		{"a process on a cluster's instance", "Execution:Runtime/NewBinaryExecuted", m{"resourceType": "EKSCluster", "eksClusterDetails": eks, "instanceDetails": instance}, nil, "i-1", "AwsEc2Instance", nil},
		{"task without instance", "Execution:Runtime/NewBinaryExecuted", m{"resourceType": "ECSCluster", "containerDetails": m{"id": "x"}, "ecsClusterDetails": m{"arn": "arn:aws:ecs:eu-west-1:111122223333:cluster/e"}}, nil, "arn:aws:ecs:eu-west-1:111122223333:cluster/e", "AwsEcsCluster", nil},
		{"function", "Backdoor:Lambda/C&CActivity.B", m{"resourceType": "Lambda", "lambdaDetails": m{"functionArn": "arn:aws:lambda:eu-west-1:111122223333:function:f"}}, nil, "arn:aws:lambda:eu-west-1:111122223333:function:f", "AwsLambdaFunction", nil},
		{"database", "CredentialAccess:RDS/AnomalousBehavior.SuccessfulLogin", m{"resourceType": "RDSDBInstance", "rdsDbInstanceDetails": m{"dbInstanceArn": "arn:aws:rds:eu-west-1:111122223333:db:d"}}, nil, "arn:aws:rds:eu-west-1:111122223333:db:d", "AwsRdsDbInstance", nil},
		{"snapshot", "Execution:EC2/MaliciousFile!Snapshot", m{"resourceType": "EBSSnapshot", "ebsSnapshotDetails": m{"snapshotArn": "arn:aws:ec2:eu-west-1::snapshot/snap-1"}}, nil, "arn:aws:ec2:eu-west-1::snapshot/snap-1", "AwsEc2Snapshot", nil},
		{"nothing", "Recon:EC2/Portscan", m{}, nil, "AWS::::Account:111122223333", "AwsAccount", nil},
		{"attack sequence on a bucket", "AttackSequence:S3/CompromisedData", m{"resourceType": "AttackSequence"},
			sequence(m{"resourceType": "ACCESS_KEY", "uid": "arn:aws:iam::111122223333:access-key/K1"}, m{"resourceType": "S3_BUCKET", "uid": "arn:aws:s3:::b", "tags": []m{{"key": "env", "value": "prod"}}}), "arn:aws:s3:::b", "AwsS3Bucket", nil},
		{"attack sequence by a key", "AttackSequence:IAM/CompromisedCredentials", m{"resourceType": "AttackSequence"},
			sequence(m{"resourceType": "ACCESS_KEY", "uid": "arn:aws:iam::111122223333:access-key/K1"}), "AWS::IAM::AccessKey:K1", "AwsIamAccessKey", nil},
	}
	for _, tt := range tests {
		r := decode(t, m{"type": tt.typ, "resource": tt.resource, "service": tt.service})
		if r.Resource.ID != tt.id || r.Resource.Type != tt.want || !cmp.Equal(r.RiskFactors, tt.factors) {
			t.Errorf("Decode(%s) = %s %s %v; want %s %s %v", tt.name, r.Resource.Type, r.Resource.ID, r.RiskFactors, tt.want, tt.id, tt.factors)
		}
	}
	if r := decode(t, m{"resource": m{"instanceDetails": instance}}); r.Resource.Name != "shop" || r.Resource.Tags["Name"] != "shop" {
		t.Errorf("Decode(tagged instance) = %+v; want the name and the tag shop", r.Resource)
	}
}

func TestActor(t *testing.T) {
	ip := m{"ipAddressV4": "198.51.100.7", "country": m{"countryName": "Italy"}, "organization": m{"asn": -1, "asnOrg": "Example Net"}}
	tests := []struct {
		name    string
		service m
		want    string
	}{
		{"none", m{}, "d"},
		{"network, the instance itself", m{"resourceRole": "ACTOR", "action": m{"networkConnectionAction": m{"remoteIpDetails": ip}}},
			"d\n\nActor: address 198.51.100.7 (Italy, Example Net).\n\nThe resource itself acted: it may be compromised."},
		{"API call", m{"action": m{"awsApiCallAction": m{"api": "ListBuckets", "serviceName": "s3.amazonaws.com", "errorCode": "AccessDenied", "remoteIpDetails": m{"ipAddressV6": "2001:db8::1"}, "remoteAccountDetails": m{"accountId": "444455556666"}}}},
			"d\n\nActor: address 2001:db8::1, account 444455556666, call s3.amazonaws.com ListBuckets, refused with AccessDenied."},
		{"name look-up", m{"action": m{"dnsRequestAction": m{"domain": "bad.example.com"}}}, "d\n\nActor: domain bad.example.com."},
		{"probe", m{"action": m{"portProbeAction": m{"portProbeDetails": []m{{"remoteIpDetails": ip}}}}}, "d\n\nActor: address 198.51.100.7 (Italy, Example Net)."},
		{"cluster", m{"action": m{"kubernetesApiCallAction": m{"verb": "get", "requestUri": "/api", "remoteIpDetails": ip}}}, "d\n\nActor: address 198.51.100.7 (Italy, Example Net), call get /api."},
		{"sequence", m{"detection": m{"sequence": m{"actors": []m{{"user": m{"name": "alice"}}}, "endpoints": []m{{"ip": "198.51.100.7"}, {"domain": "x.example.com"}}}}},
			"d\n\nActor: user alice, endpoint 198.51.100.7, endpoint x.example.com."},
	}
	for _, tt := range tests {
		if got := decode(t, m{"service": tt.service}).Description; got != tt.want {
			t.Errorf("Decode(%s) = %q; want %q", tt.name, got, tt.want)
		}
	}
}

func TestMoves(t *testing.T) {
	tests := []struct {
		outer, inner string
		want         int
	}{
		{"updatedAt", "", 1}, {"UpdatedAt", "", 1}, {"updated_at", "", 1}, {"createdAt", "", 2}, {"title", "", 0},
		{"service", "eventFirstSeen", -1}, {"Service", "EventFirstSeen", -1}, {"service", "count", 0}, {"service", "archived", 0}, {"resource", "eventFirstSeen", 0},
	}
	for _, tt := range tests {
		var inner []byte
		if tt.inner != "" {
			inner = []byte(tt.inner)
		}
		if got := guardduty.Moves([]byte(tt.outer), inner); got != tt.want {
			t.Errorf("Moves(%s, %s) = %d; want %d", tt.outer, tt.inner, got, tt.want)
		}
	}
}

// FuzzGuardDuty reads any text: it gives a report whose identity is filled, or an error.
func FuzzGuardDuty(f *testing.F) {
	f.Add(finding(f, nil))
	f.Add(finding(f, m{"arn": nil, "service": m{"additionalInfo": m{"value": `{"sample":true}`}}}))
	f.Add([]byte(`{"Id":"1","Type":"a","AccountId":"1","Severity":"9","Resource":{"S3BucketDetails":{"Name":"b","Tags":{"a":"b"}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r pipeline.Report
		var err error
		formattest.Bounded(t, len(data), func() { r, err = guardduty.Decode(data) })
		if err != nil {
			return
		}
		if r.Product == "" || r.ID == "" || r.Account.ID == "" || r.Resource.ID == "" || r.Control == "" || r.Title == "" || r.Status == 0 {
			t.Errorf("Decode(%q) = %+v; want every part of the identity", data, r)
		}
	})
}
