package asff_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format/asff"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
)

type m = map[string]any

// finding is a whole control finding with the given members put over it; a nil takes one away.
func finding(over m) []byte {
	f := m{
		"SchemaVersion": "2018-10-08", "Id": "arn:aws:securityhub:eu-west-1:111122223333:finding/1", "AwsAccountId": "111122223333",
		"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/securityhub", "GeneratorId": "security-control/EC2.13", "Title": "t",
		"Severity": m{"Label": "HIGH"}, "Compliance": m{"Status": "FAILED"}, "RecordState": "ACTIVE", "Workflow": m{"Status": "NEW"},
		"Resources": []m{{"Type": "AwsEc2SecurityGroup", "Id": "arn:aws:ec2:eu-west-1:111122223333:security-group/sg-1"}},
	}
	maps.Copy(f, over)
	for k, v := range f {
		if v == nil {
			delete(f, k)
		}
	}
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return b
}

func decode(t *testing.T, over m) pipeline.Report {
	t.Helper()
	r, err := asff.Decode(finding(over))
	if err != nil {
		t.Fatalf("Decode(%v) = %v; want a report", over, err)
	}
	return r
}

func TestSeverity(t *testing.T) {
	tests := []struct {
		name string
		sev  any
		want pipeline.Severity
	}{
		{"label", m{"Label": "LOW", "Normalized": 90, "Product": 9}, pipeline.Low},
		{"label in small letters", m{"Label": "critical"}, pipeline.Critical},
		{"0", m{"Normalized": 0}, pipeline.Informational},
		{"1", m{"Normalized": 1}, pipeline.Low},
		{"39", m{"Normalized": 39}, pipeline.Low},
		{"40", m{"Normalized": 40}, pipeline.Medium},
		{"69", m{"Normalized": 69}, pipeline.Medium},
		{"70", m{"Normalized": 70}, pipeline.High},
		{"89", m{"Normalized": 89}, pipeline.High},
		{"90", m{"Normalized": 90}, pipeline.Critical},
		{"product's scale ignored", m{"Product": 9.1, "Normalized": 50}, pipeline.Medium},
		{"unknown word beside a number", m{"Label": "URGENT", "Normalized": 50}, pipeline.Medium},
		{"none", m{}, pipeline.SeverityUnknown},
	}
	for _, tt := range tests {
		if got := decode(t, m{"Severity": tt.sev}).Severity; got != tt.want {
			t.Errorf("severity of %s = %v; want %v", tt.name, got, tt.want)
		}
	}
	if got := decode(t, m{"Severity": m{}, "FindingProviderFields": m{"Severity": m{"Label": "HIGH"}}}).Severity; got != pipeline.High {
		t.Errorf("severity of the provider = %v; want HIGH", got)
	}
}

func TestStatus(t *testing.T) {
	tests := []struct {
		name   string
		over   m
		want   pipeline.Status
		reason string
	}{
		{"failed", m{}, pipeline.StatusOpen, ""},
		{"warning", m{"Compliance": m{"Status": "WARNING"}}, pipeline.StatusOpen, ""},
		{"no compliance", m{"Compliance": nil}, pipeline.StatusOpen, ""},
		{"passed", m{"Compliance": m{"Status": "PASSED"}}, pipeline.StatusResolved, "Compliance.Status PASSED"},
		{"archived", m{"RecordState": "ARCHIVED"}, pipeline.StatusResolved, "RecordState ARCHIVED"},
		{"archived and suppressed", m{"RecordState": "ARCHIVED", "Workflow": m{"Status": "SUPPRESSED"}}, pipeline.StatusResolved, "RecordState ARCHIVED"},
		{"passed and resolved", m{"Compliance": m{"Status": "PASSED"}, "Workflow": m{"Status": "RESOLVED"}}, pipeline.StatusResolved, "Compliance.Status PASSED"},
		{"resolved by a person", m{"Workflow": m{"Status": "RESOLVED"}}, pipeline.StatusUnproven, "Workflow.Status RESOLVED"},
		{"suppressed by a person", m{"Workflow": m{"Status": "SUPPRESSED"}}, pipeline.StatusUnproven, "Workflow.Status SUPPRESSED"},
		{"resolved in the old member", m{"Workflow": nil, "WorkflowState": "RESOLVED"}, pipeline.StatusUnproven, "Workflow.Status RESOLVED"},
		{"new wins over the old member", m{"WorkflowState": "RESOLVED"}, pipeline.StatusOpen, ""},
		{"not available", m{"Compliance": m{"Status": "NOT_AVAILABLE"}}, pipeline.StatusUnproven, "Compliance.Status NOT_AVAILABLE"},
		{"notified", m{"Workflow": m{"Status": "NOTIFIED"}}, pipeline.StatusOpen, ""},
		{"unknown compliance", m{"Compliance": m{"Status": "Broken"}}, pipeline.StatusOpen, `Compliance.Status "Broken" is not known, counted as FAILED`},
		{"unknown workflow", m{"Workflow": m{"Status": "LATER"}}, pipeline.StatusOpen, `Workflow.Status "LATER" is not known, counted as NEW`},
		{"unknown record state", m{"RecordState": "GONE"}, pipeline.StatusOpen, `RecordState "GONE" is not known, counted as ACTIVE`},
		{"suppressed by docket", m{"Workflow": m{"Status": "SUPPRESSED"}, "UserDefinedFields": m{"docket/workflow": "SUPPRESSED", "team": "a"}}, pipeline.StatusOpen, ""},
		{"resolved by docket, and failing", m{"Workflow": m{"Status": "RESOLVED"}, "UserDefinedFields": m{"docket/workflow": "RESOLVED"}}, pipeline.StatusOpen, ""},
		{"suppressed by a person after docket", m{"Workflow": m{"Status": "SUPPRESSED"}, "UserDefinedFields": m{"docket/workflow": "NOTIFIED"}}, pipeline.StatusUnproven, "Workflow.Status SUPPRESSED"},
		{"odd fields of others", m{"Workflow": m{"Status": "RESOLVED"}, "UserDefinedFields": m{"docket/workflow": 7}}, pipeline.StatusUnproven, "Workflow.Status RESOLVED"},
		{"odd fields", m{"UserDefinedFields": []int{1}}, pipeline.StatusOpen, ""},
		{"closed by Inspector", m{"ProductFields": m{"aws/inspector/FindingStatus": "CLOSED"}}, pipeline.StatusResolved, "Inspector status CLOSED"},
	}
	for _, tt := range tests {
		if r := decode(t, tt.over); r.Status != tt.want || r.StatusReason != tt.reason {
			t.Errorf("status of %s = %v %q; want %v %q", tt.name, r.Status, r.StatusReason, tt.want, tt.reason)
		}
	}
}

func TestControlAndNames(t *testing.T) {
	tests := []struct {
		name    string
		over    m
		control string
		names   []string
	}{
		{"consolidated", m{}, "EC2.13", []string{"fsbp:EC2.13"}},
		{"FSBP", m{"GeneratorId": "aws-foundational-security-best-practices/v/1.0.0/S3.1", "ProductFields": m{"ControlId": "S3.1"}}, "S3.1", []string{"fsbp:S3.1"}},
		{"CIS 1.2", m{"GeneratorId": "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/4.1", "ProductFields": m{"RuleId": "4.1"}}, "CIS 1.2/4.1", []string{"cis-1.2.0:4.1"}},
		{"CIS 1.4", m{"GeneratorId": "cis-aws-foundations-benchmark/v/1.4.0/5.3", "ProductFields": m{"ControlId": "5.3", "StandardsControlArn": "arn:aws:securityhub:eu-west-1:1:control/cis-aws-foundations-benchmark/v/1.4.0/5.3"}}, "CIS 1.4/5.3", []string{"cis-1.4.0:5.3"}},
		{"CIS with the hub's control beside it", m{"GeneratorId": "cis-aws-foundations-benchmark/v/1.4.0/5.3", "Compliance": m{"Status": "FAILED", "SecurityControlId": "EC2.21"}}, "EC2.21", []string{"fsbp:EC2.21", "cis-1.4.0:5.3"}},
		{"PCI", m{"GeneratorId": "pci-dss/v/3.2.1/PCI.S3.1"}, "PCI.S3.1", []string{"pci-3.2.1:PCI.S3.1"}},
		{"NIST", m{"GeneratorId": "nist-800-53/v/5.0.0/EC2.13"}, "EC2.13", []string{"nist-800-53-r5:EC2.13"}},
		{"standard from the control's ARN", m{"GeneratorId": "arn:x", "ProductFields": m{"StandardsControlArn": "arn:aws:securityhub:eu-west-1:1:control/pci-dss/v/3.2.1/PCI.S3.1"}}, "PCI.S3.1", []string{"pci-3.2.1:PCI.S3.1"}},
		{"requirements are no names", m{"Compliance": m{"Status": "FAILED", "RelatedRequirements": []string{"CIS AWS Foundations Benchmark v1.4.0/2.1.5"}}}, "EC2.13", []string{"fsbp:EC2.13"}},
		{"Prowler", m{"GeneratorId": "prowler-s3_bucket_public_access", "ProductArn": "arn:aws:securityhub:eu-west-1::product/prowler/prowler"}, "s3_bucket_public_access", []string{"prowler:s3_bucket_public_access"}},
		{"Macie", m{"GeneratorId": "aws/macie", "Types": []string{"Sensitive Data Identifications/PII/SensitiveData:S3Object-Personal"}}, "SensitiveData:S3Object-Personal", nil},
		{"Access Analyzer", m{"GeneratorId": "aws/access-analyzer", "Types": []string{"Effects/Data Exposure/External Access Granted"}}, "External Access Granted", nil},
		{"reachable port", m{"GeneratorId": "AWSInspector", "Title": "Port 22 is reachable", "Types": []string{"Software and Configuration Checks/AWS Security Best Practices/Network Reachability"}}, "Port 22 is reachable", nil},
		{"Config", m{"GeneratorId": "arn:aws:config:eu-west-1:1:config-rule/config-rule-abc", "Types": []string{"Software and Configuration Checks"}, "ProductFields": m{"aws/config/ConfigRuleName": "encrypted-volumes"}}, "encrypted-volumes", nil},
		{"own generator", m{"GeneratorId": "ebs-finding"}, "ebs-finding", nil},
		{"title only", m{"GeneratorId": nil, "Title": "IAM.4 No root keys"}, "IAM.4", nil},
	}
	for _, tt := range tests {
		if r := decode(t, tt.over); r.Control != tt.control || !slices.Equal(r.Names, tt.names) || r.Kind != pipeline.KindControl {
			t.Errorf("control of %s = %s %q %q; want %q %q", tt.name, r.Kind, r.Control, r.Names, tt.control, tt.names)
		}
	}
}

// An organisation's analyzer is the administrator's, what it found another account's.
func TestAnalyzerOfAnOrganisation(t *testing.T) {
	owner := m{"ResourceOwnerAccount": "444455556666"}
	got := decode(t, m{"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/access-analyzer", "ProductFields": owner})
	if got.Account.ID != "444455556666" {
		t.Errorf("account of an analyzer's finding = %s; want the resource's", got.Account.ID)
	}
	if other := decode(t, m{"ProductFields": owner}); other.Account.ID == "444455556666" {
		t.Errorf("account of another product's finding = %s; want the finding's own", other.Account.ID)
	}
}

func TestProductAndID(t *testing.T) {
	const id = "arn:aws:securityhub:eu-west-1:111122223333:finding/1"
	tests := []struct {
		name, productARN, productName, id string
		product, want                     string
	}{
		{"own ARN", "arn:aws:securityhub:eu-west-1::product/aws/securityhub", "", id, "Security Hub", id},
		{"name beside it", "arn:aws:securityhub:eu-west-1::product/aws/securityhub", "Security Hub", id, "Security Hub", id},
		{"another region", "arn:aws:securityhub:us-east-1::product/aws/securityhub", "", id, "Security Hub", "us-east-1/securityhub " + id},
		{"partner", "arn:aws:securityhub:us-east-1::product/prowler/prowler", "Prowler", "prowler-1", "Prowler", "us-east-1/prowler/prowler prowler-1"},
		{"partner without name", "arn:aws:securityhub:us-east-1::product/acme/scanner", "", "7", "scanner", "us-east-1/acme/scanner 7"},
		{"private product", "arn:aws:securityhub:us-east-1:444455556666:product/444455556666/default", "Default", "7", "Default", "us-east-1/444455556666/444455556666/default 7"},
		{"GuardDuty", "arn:aws:securityhub:us-east-1::product/aws/guardduty", "", "7", "GuardDuty", "us-east-1/guardduty 7"},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		r := decode(t, m{"ProductArn": tt.productARN, "ProductName": tt.productName, "Id": tt.id})
		if r.Product != tt.product || r.ID != tt.want {
			t.Errorf("%s: product and id = %q, %q; want %q, %q", tt.name, r.Product, r.ID, tt.product, tt.want)
		}
		seen[r.Key()] = true
	}
	if len(seen) != len(tests)-1 {
		t.Errorf("%d identities; want %d, since only the first two are one", len(seen), len(tests)-1)
	}
}

func TestThreat(t *testing.T) {
	account := m{"Type": "AwsAccount", "Id": "AWS::::Account:111122223333"}
	instance := m{"Type": "AwsEc2Instance", "Id": "i"}
	key := m{"Type": "AwsIamAccessKey", "Id": "k"}
	bucket := m{"Type": "AwsS3Bucket", "Id": "b"}
	tests := []struct {
		name, typ         string
		resources         []m
		control, resource string
	}{
		{"instance", "TTPs/Recon/Recon:EC2-Portscan", []m{account, key, instance}, "Recon:EC2/Portscan", "i"},
		{"key", "Unusual Behaviors/User/Persistence:IAMUser-NetworkPermissions", []m{instance, key}, "Persistence:IAMUser/NetworkPermissions", "k"},
		{"bucket", "Effects/Data Exfiltration/Exfiltration:S3-ObjectRead.Unusual", []m{key, bucket}, "Exfiltration:S3/ObjectRead.Unusual", "b"},
		{"purpose in the middle", "TTPs/Defense Evasion/IAMUser-AnomalousBehavior", []m{account, key}, "DefenseEvasion:IAMUser/AnomalousBehavior", "k"},
		{"artifact behind a bang", "TTPs/Command and Control/CryptoCurrency:EC2-BitcoinTool.B!DNS", []m{instance}, "CryptoCurrency:EC2/BitcoinTool.B!DNS", "i"},
		{"account alone", "TTPs/Discovery/Discovery:Other-Thing", []m{account}, "Discovery:Other/Thing", "AWS::::Account:111122223333"},
	}
	for _, tt := range tests {
		r := decode(t, m{"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/guardduty", "Types": []string{tt.typ}, "Resources": tt.resources, "Compliance": nil})
		if r.Kind != pipeline.KindThreat || !r.Occurred || r.Control != tt.control || r.Resource.Original != tt.resource {
			t.Errorf("threat %s = %s %v %q on %q; want %q on %q", tt.name, r.Kind, r.Occurred, r.Control, r.Resource.Original, tt.control, tt.resource)
		}
	}
}

func TestTimesAndRegion(t *testing.T) {
	r := decode(t, m{"UpdatedAt": "2026-03-01T01:00:00+01:00", "LastObservedAt": "2026-04-01T00:00:00Z", "CreatedAt": "2026-01-01T00:00:00.5Z"})
	if got := r.ObservedAt.Format("2006-01-02T15:04:05Z07:00"); got != "2026-03-01T00:00:00Z" || r.FirstObserved.Nanosecond() != 5e8 {
		t.Errorf("times = %v, %v; want UpdatedAt in UTC and CreatedAt", r.ObservedAt, r.FirstObserved)
	}
	if r.Region != "eu-west-1" {
		t.Errorf("region without Region = %q; want the product's", r.Region)
	}
	if r := decode(t, m{"UpdatedAt": "soon", "LastObservedAt": "2026-04-01T00:00:00Z", "Region": "us-east-2"}); r.ObservedAt.Month() != 4 || r.Region != "us-east-2" {
		t.Errorf("observed and region = %v, %q; want LastObservedAt and us-east-2", r.ObservedAt, r.Region)
	}
	if r := decode(t, m{"Resources": []m{}}); r.Resource.Type != "AwsAccount" || r.Resource.Original != "AWS::::Account:111122223333" {
		t.Errorf("resource of a finding without any = %+v; want the account", r.Resource)
	}
}

func TestTags(t *testing.T) {
	tests := []struct {
		name string
		tags any
		want map[string]string
	}{
		{"object", m{"team": "a", "Name": "n"}, map[string]string{"team": "a", "Name": "n"}},
		{"values of other kinds", m{"n": 1, "b": true, "o": m{"x": 1}, "z": nil}, map[string]string{"n": "1", "b": "true"}},
		{"list", []m{{"Key": "team", "Value": "a"}}, map[string]string{"team": "a"}},
		{"list of something else", []int{1}, nil},
		{"text", "team=a", nil},
		{"none", nil, nil},
	}
	for _, tt := range tests {
		r := decode(t, m{"Resources": []m{{"Id": "i", "Type": "Other", "Tags": tt.tags}}})
		if d := cmp.Diff(tt.want, r.Resource.Tags); d != "" {
			t.Errorf("tags of %s differ (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)
	tests := []struct {
		name string
		text string
		want string
	}{
		{"no id", string(finding(m{"Id": nil})), "Id is missing"},
		{"no product", string(finding(m{"ProductArn": nil})), "ProductArn is missing"},
		{"no account", string(finding(m{"AwsAccountId": nil})), "AwsAccountId is missing"},
		{"unknown severity", string(finding(m{"Severity": m{"Label": "URGENT"}})), "Severity.Label"},
		{"wrong type", string(finding(m{"Resources": "none"})), "/Resources"},
		{"repeated key", `{"Id":"1","Id":"2"}`, "duplicate"},
		{"bad UTF-8", "{\"Id\":\"\xff\"}", "UTF-8"},
		{"too deep", `{"x":` + deep + `}`, "depth"},
		{"cut", `{"Id":"1"`, "EOF"},
	}
	for _, tt := range tests {
		if _, err := asff.Decode([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Decode(%s) = %v; want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestRequirements(t *testing.T) {
	r := decode(t, m{"GeneratorId": "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/4.1",
		"Compliance": m{"Status": "FAILED", "RelatedRequirements": []string{"PCI DSS v3.2.1/1.3.1", "NIST.800-53.r5 AC-4"}}})
	want := []string{"CIS AWS Foundations Benchmark 1.2.0/4.1", "PCI DSS 3.2.1/1.3.1", "NIST.800-53.r5 AC-4"}
	if d := cmp.Diff(want, r.Compliance); d != "" {
		t.Errorf("compliance differs (-want +got):\n%s", d)
	}
}

func FuzzASFF(f *testing.F) {
	f.Add(finding(nil))
	f.Add(finding(m{"Vulnerabilities": []m{{"Id": "CVE-1", "VulnerablePackages": []m{{"Name": "p"}}}}}))
	f.Add(finding(m{"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/guardduty", "Types": []string{"TTPs/A/B:C-D", "x"}, "ProductFields": m{"a": 1}}))
	f.Add([]byte(`{"Id":"a","ProductArn":"arn:","AwsAccountId":"1","Types":["TTPs/-"],"GeneratorId":"/v//"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r pipeline.Report
		var err error
		formattest.Bounded(t, len(data), func() { r, err = asff.Decode(data) })
		if err == nil && (r.Product == "" || r.ID == "" || r.Status == 0 || r.Kind == "") {
			t.Errorf("Decode(%q) = %+v; want product, id, status and kind, or an error", data, r)
		}
	})
}
