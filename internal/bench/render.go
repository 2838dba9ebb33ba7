package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The forms that records come in.
const (
	mixed       = iota // no form: what each source has
	securityHub        // ASFF, in an array
	guardDuty          // ASFF, in an array
	own                // docket's own JSON, in an array: Trusted Advisor and own checks
	ocsf               // OCSF compliance findings, in an array
	sarif              // results of a SARIF run
	alert              // alerts as Alertmanager takes them, in an array; no source of docket's
	formats
)

// severities are the words that events change between.
var severities = [...]string{"LOW", "MEDIUM", "HIGH", "CRITICAL"}

// shares of the sources: Security Hub 60%, GuardDuty 10%, Trusted Advisor 5%,
// own checks 5%, scanners 20% (OCSF and SARIF).
func source(r *rand.Rand) (format int, product string) {
	switch u := r.Float64(); {
	case u < 0.60:
		return securityHub, "Security Hub"
	case u < 0.70:
		return guardDuty, "GuardDuty"
	case u < 0.75:
		return own, "Trusted Advisor"
	case u < 0.80:
		return own, "docket"
	case u < 0.92:
		return ocsf, "Cloud Scanner"
	}
	return sarif, "Code Scanner"
}

// control is one of the checks of the world.
type control struct {
	service, id, typ string
	resource         string // an ARN with verbs for region, account and number
}

// controls are 120 checks, ten on each of twelve sorts of resources. The numbers
// stay clear of those that Security Hub reports on a whole account.
func controls() []control {
	sorts := []control{
		{"EC2", "", "AwsEc2SecurityGroup", "arn:aws:ec2:%[1]s:%[2]s:security-group/sg-%017[3]x"},
		{"S3", "", "AwsS3Bucket", "arn:aws:s3:::data-%[3]d-%[2]s"},
		{"RDS", "", "AwsRdsDbInstance", "arn:aws:rds:%[1]s:%[2]s:db:orders-%[3]d"},
		{"Lambda", "", "AwsLambdaFunction", "arn:aws:lambda:%[1]s:%[2]s:function:worker-%[3]d"},
		{"SQS", "", "AwsSqsQueue", "arn:aws:sqs:%[1]s:%[2]s:jobs-%[3]d"},
		{"SNS", "", "AwsSnsTopic", "arn:aws:sns:%[1]s:%[2]s:events-%[3]d"},
		{"DynamoDB", "", "AwsDynamoDbTable", "arn:aws:dynamodb:%[1]s:%[2]s:table/items-%[3]d"},
		{"KMS", "", "AwsKmsKey", "arn:aws:kms:%[1]s:%[2]s:key/%08[3]x-1111-4222-8333-444455556666"},
		{"EKS", "", "AwsEksCluster", "arn:aws:eks:%[1]s:%[2]s:cluster/shop-%[3]d"},
		{"ECS", "", "AwsEcsService", "arn:aws:ecs:%[1]s:%[2]s:service/main/api-%[3]d"},
		{"ELB", "", "AwsElbv2LoadBalancer", "arn:aws:elasticloadbalancing:%[1]s:%[2]s:loadbalancer/app/web-%[3]d/%016[3]x"},
		{"Redshift", "", "AwsRedshiftCluster", "arn:aws:redshift:%[1]s:%[2]s:cluster:lake-%[3]d"},
	}
	var out []control
	for n := range 10 {
		for _, c := range sorts {
			c.id = fmt.Sprintf("%s.%d", c.service, 300+n)
			out = append(out, c)
		}
	}
	return out
}

// description is a finding of the world.
type description struct {
	index           int
	format          int
	product         string
	account, region string
	team            string
	control         control
	resource        string
	size            int
}

// event is one record about a finding.
type event struct {
	at        time.Time
	severity  string
	resolved  bool
	malformed bool
}

// describe works a finding out from its number.
func (w *Workload) describe(index int) *description {
	r := rand.New(rand.NewPCG(w.seed, uint64(index)<<8|0xff))
	d := &description{index: index}
	d.format, d.product = source(r)
	switch w.form {
	case own:
		d.format, d.product = own, "docket"
	case alert:
		d.format = alert
	}
	account := w.zipf[accounts].draw(r)
	d.account = fmt.Sprintf("%012d", 210000000000+account*10007)
	d.region = [regions]string{"eu-west-1", "us-east-1", "eu-central-1", "us-west-2"}[w.zipf[regions].draw(r)]
	// A team owns whole accounts, the first teams more of them than the last.
	d.team = fmt.Sprintf("team-%02d", w.zipf[teams].draw(rand.New(rand.NewPCG(w.seed, uint64(account)<<8|0xfe))))
	d.control = w.controls[w.zipf[len(w.controls)].draw(r)]
	d.resource = fmt.Sprintf(d.control.resource, d.region, d.account, index)
	if d.size = size(r); w.small {
		d.size = 0
	}
	return d
}

// render writes one record. A malformed one lacks a required member, or holds
// text that is no JSON.
func (d *description) render(e *event) []byte {
	var b bytes.Buffer
	b.Grow(max(2<<10, d.size+256))
	if e.malformed && d.index%2 == 0 {
		fmt.Fprintf(&b, `{"Id": "%d", "id": "%d", "class_uid": 2003, "Severity": {"Label": nope}}`, d.index, d.index)
		return b.Bytes()
	}
	switch d.format {
	case securityHub:
		d.securityHub(&b, e)
	case guardDuty:
		d.guardDuty(&b, e)
	case own:
		d.own(&b, e)
	case ocsf:
		d.ocsf(&b, e)
	case sarif:
		d.sarif(&b, e)
	case alert:
		d.alert(&b, e)
	}
	return b.Bytes()
}

// stamp writes a time as AWS does.
func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// since is when a finding was first observed.
const since = "2025-11-01T08:00:00.000Z"

func pick(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func (d *description) securityHub(b *bytes.Buffer, e *event) {
	id := fmt.Sprintf("arn:aws:securityhub:%s:%s:security-control/%s/finding/%08x-5a4b-4c3d-8e2f-1a2b3c4d5e6f", d.region, d.account, d.control.id, d.index)
	account := d.account
	if e.malformed {
		account = ""
	}
	fmt.Fprintf(b, `{"SchemaVersion":"2018-10-08","Id":"%s","ProductArn":"arn:aws:securityhub:%s::product/aws/securityhub","ProductName":"Security Hub","CompanyName":"AWS","Region":"%[2]s",`, id, d.region)
	fmt.Fprintf(b, `"GeneratorId":"security-control/%s","AwsAccountId":"%s","Types":["Software and Configuration Checks/Industry and Regulatory Standards"],`, d.control.id, account)
	fmt.Fprintf(b, `"FirstObservedAt":"%s","LastObservedAt":"%s","CreatedAt":"%[1]s","UpdatedAt":"%[2]s","Severity":{"Label":"%s","Original":"%[3]s"},`, since, stamp(e.at), e.severity)
	fmt.Fprintf(b, `"Title":"%s resources should keep to rule %s of the baseline","Description":"This control checks whether the resource keeps to the rule. It fails when the setting is missing or weaker than the baseline asks for.",`, d.control.service, d.control.id)
	fmt.Fprintf(b, `"Remediation":{"Recommendation":{"Text":"For information on how to correct this issue, consult the controls documentation.","Url":"https://docs.aws.amazon.com/console/securityhub/%s/remediation"}},`, d.control.id)
	fmt.Fprintf(b, `"ProductFields":{"RelatedAWSResources:0/name":"securityhub-rule-%08x","RelatedAWSResources:0/type":"AWS::Config::ConfigRule","aws/securityhub/ProductName":"Security Hub","aws/securityhub/CompanyName":"AWS","aws/securityhub/annotation":"checked %s","Resources:0/Id":"%s"},`, d.index, stamp(e.at), d.resource)
	fmt.Fprintf(b, `"Resources":[{"Type":"%s","Id":"%s","Partition":"aws","Region":"%s","Tags":{"Name":"res-%d","team":"%s"},"Details":{"Other":{`, d.control.typ, d.resource, d.region, d.index, d.team)
	d.pad(b, 420)
	fmt.Fprintf(b, `}}}],"Compliance":{"Status":"%s","SecurityControlId":"%s","AssociatedStandards":[{"StandardsId":"standards/aws-foundational-security-best-practices/v/1.0.0"}]},`, pick(e.resolved, "PASSED", "FAILED"), d.control.id)
	fmt.Fprintf(b, `"Workflow":{"Status":"NEW"},"WorkflowState":"NEW","RecordState":"ACTIVE","FindingProviderFields":{"Severity":{"Label":"%s"},"Types":["Software and Configuration Checks/Industry and Regulatory Standards"]}}`, e.severity)
}

func (d *description) guardDuty(b *bytes.Buffer, e *event) {
	account := d.account
	if e.malformed {
		account = ""
	}
	detector := fmt.Sprintf("arn:aws:guardduty:%s:%s:detector/0123456789abcdef0123456789abcdef", d.region, d.account)
	fmt.Fprintf(b, `{"SchemaVersion":"2018-10-08","Id":"%s/finding/%032x","ProductArn":"arn:aws:securityhub:%s::product/aws/guardduty","GeneratorId":"%[1]s","AwsAccountId":"%[4]s",`, detector, d.index, d.region, account)
	fmt.Fprintf(b, `"Types":["TTPs/Discovery/Recon:EC2-PortProbe%s"],"FirstObservedAt":"%s","LastObservedAt":"%s","CreatedAt":"%[2]s","UpdatedAt":"%[3]s","Severity":{"Label":"%s"},`, strings.ToUpper(d.control.service), since, stamp(e.at), e.severity)
	fmt.Fprintf(b, `"Title":"An unprotected port on the instance is being probed.","Description":"The instance has an unprotected port which is being probed by a known malicious host.","SourceUrl":"https://%s.console.aws.amazon.com/guardduty/home","ProductFields":{"aws/guardduty/service/count":"%d","aws/securityhub/ProductName":"GuardDuty"`, d.region, e.at.UnixMilli()%1000)
	for n := 0; b.Len() < d.size-900 && n < 100; n++ {
		fmt.Fprintf(b, `,"aws/guardduty/service/action/portProbeAction/portProbeDetails.%d_/remoteIpDetails/ipAddressV4":"198.51.100.%d"`, n, n)
	}
	fmt.Fprintf(b, `},"Resources":[{"Type":"AwsAccount","Id":"AWS::::Account:%s","Region":"%s"},{"Type":"AwsEc2Instance","Id":"arn:aws:ec2:%[2]s:%[1]s:instance/i-%017[3]x","Region":"%[2]s","Tags":{"team":"%[4]s"},"Details":{"Other":{`, d.account, d.region, d.index, d.team)
	d.pad(b, 100)
	fmt.Fprintf(b, `}}}],"Workflow":{"Status":"NEW"},"RecordState":"%s"}`, pick(e.resolved, "ARCHIVED", "ACTIVE"))
}

func (d *description) own(b *bytes.Buffer, e *event) {
	severity := e.severity
	if e.malformed {
		severity = ""
	}
	fmt.Fprintf(b, `{"product":"%s","id":"%s/%s/%d","kind":"control","account":{"id":"%[3]s","name":"account-%[3]s"},"region":"%[5]s",`, d.product, d.control.id, d.account, d.index, d.region)
	fmt.Fprintf(b, `"resource":{"id":"%s","type":"%s","name":"res-%d","tags":{"team":"%s"}},"control":"check-%s","title":"%s keeps to rule %[5]s","description":"The setting is missing or weaker than the baseline asks for.",`, d.resource, d.control.typ, d.index, d.team, d.control.id, d.control.service)
	fmt.Fprintf(b, `"severity":"%s","status":"%s","observed_at":"%s","first_observed":"%s","remediation":{"text":"Set what the baseline asks for and check again."},"details":{`, severity, pick(e.resolved, "resolved", "open"), stamp(e.at), since)
	d.pad(b, 2)
	b.WriteString("}}")
}

func (d *description) ocsf(b *bytes.Buffer, e *event) {
	product := d.product
	if e.malformed {
		product = ""
	}
	fmt.Fprintf(b, `{"class_uid":2003,"class_name":"Compliance Finding","category_uid":2,"activity_id":1,"metadata":{"event_code":"scan_%s","product":{"name":"%s","vendor_name":"Example"},"version":"1.4.0"},`, d.control.id, product)
	fmt.Fprintf(b, `"severity":"%s","status_code":"%s","status_id":1,"status":"New","time":%d,"time_dt":"%s",`, e.severity, pick(e.resolved, "PASS", "FAIL"), e.at.UnixMilli(), stamp(e.at))
	fmt.Fprintf(b, `"finding_info":{"uid":"scan-%s-%s-%d","title":"%s keeps to rule %[1]s","desc":"The setting is missing or weaker than the baseline asks for.","created_time_dt":"%[5]s"},`, d.control.id, d.account, d.index, d.control.service, since)
	fmt.Fprintf(b, `"cloud":{"provider":"aws","region":"%s","account":{"uid":"%s","name":"account-%[2]s"}},"remediation":{"desc":"Set what the baseline asks for and check again.","references":["https://docs.example.com/%s"]},`, d.region, d.account, d.control.id)
	fmt.Fprintf(b, `"resources":[{"uid":"%s","type":"%s","region":"%s","name":"res-%d","labels":["team:%s"]}],"unmapped":{`, d.resource, d.control.typ, d.region, d.index, d.team)
	d.pad(b, 2)
	b.WriteString("}}")
}

func (d *description) sarif(b *bytes.Buffer, e *event) {
	rule := `"ruleId":"` + d.control.id + `",`
	if e.malformed {
		rule = `"ruleId":7,`
	}
	level := map[string]string{"LOW": "note", "MEDIUM": "warning", "HIGH": "error", "CRITICAL": "none"}[e.severity]
	fmt.Fprintf(b, `{%s"level":"%s",%s"message":{"text":"The value reaches the call unchecked."},`, rule, level, pick(e.resolved, `"baselineState":"absent",`, ""))
	fmt.Fprintf(b, `"locations":[{"physicalLocation":{"artifactLocation":{"uri":"services/%s/file%d.go"},"region":{"startLine":%d,"startColumn":3,"snippet":{"text":"db.Query(q%[2]d)"}}}}],`, d.team, d.index, 10+d.index%500)
	fmt.Fprintf(b, `"partialFingerprints":{"primaryLocationLineHash":"%016x:1"},"properties":{`, d.index)
	d.pad(b, 2)
	b.WriteString("}}")
}

// alert says the same as own does, with what tells one from another in the labels.
func (d *description) alert(b *bytes.Buffer, e *event) {
	fmt.Fprintf(b, `{"labels":{"alertname":"%s","account":"%s","region":"%s","resource":"%s","type":"%s","team":"%s"},`, d.control.id, d.account, d.region, d.resource, d.control.typ, d.team)
	fmt.Fprintf(b, `"startsAt":"%s","generatorURL":"https://checks.example.com/%s","annotations":{"severity":"%s","summary":"%s keeps to rule %[2]s","description":"The setting is missing or weaker than the baseline asks for.",`, since, d.control.id, e.severity, d.control.service)
	fmt.Fprintf(b, `"observed_at":"%s","remediation":"Set what the baseline asks for and check again.",`, stamp(e.at))
	d.pad(b, 2)
	b.WriteString("}}")
}

// pad fills an object with members until the record has its size; rest is what still follows.
func (d *description) pad(b *bytes.Buffer, rest int) {
	const text = "the quick brown fox jumps over the lazy dog, again and again"
	for n := 0; n == 0 || b.Len()+rest+len(text)+16 <= d.size; n++ {
		if n > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, `"setting_%d":"%s"`, n, text)
	}
}

// wrap puts records into the document that a source would send.
func wrap(format int, records [][]byte, at time.Time) []byte {
	list := bytes.Join(records, []byte(","))
	head, tail := "[", "]"
	if format == sarif {
		head = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Code Scanner","semanticVersion":"1.2.3"}},"invocations":[{"executionSuccessful":true,"endTimeUtc":"` + stamp(at) + `"}],"results":[`
		tail = "]}]}"
	}
	out := make([]byte, 0, len(head)+len(list)+len(tail))
	return append(append(append(out, head...), list...), tail...)
}
