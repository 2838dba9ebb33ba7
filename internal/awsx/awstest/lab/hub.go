package lab

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// Hub is what Security Hub of an account holds in a region: ASFF, one object each.
func (w *World) Hub(account, region string) []json.RawMessage {
	var out []json.RawMessage
	for _, p := range w.in(account, region, SecurityHub) {
		out = append(out, raw(w.asff(p, region)))
	}
	// Neither of these is a problem: a control that passes, and one on a resource that is gone.
	passed := w.control(account, region, "S3.5", "AwsS3Bucket", "arn:aws:s3:::logs-"+account+"-"+region, "MEDIUM", "Buckets should require requests to use SSL")
	passed["Compliance"] = object{"Status": "PASSED", "SecurityControlId": "S3.5"}
	passed["Workflow"] = object{"Status": "RESOLVED"}
	gone := w.control(account, region, "EC2.8", "AwsEc2Instance", "arn:aws:ec2:"+region+":"+account+":instance/i-"+hexOf(17, "gone", account, region), "HIGH", "Instances should use IMDSv2")
	gone["RecordState"] = "ARCHIVED"
	return append(out, raw(passed), raw(gone))
}

// Many are n findings of one control in an account and region, each on a bucket of its own; every one is a problem.
// They were updated one after the other, ten a second, and a hundred share a title.
func (w *World) Many(account, region string, n int) []json.RawMessage {
	out := make([]json.RawMessage, n)
	for i := range out {
		f := w.control(account, region, "S3.9", "AwsS3Bucket", fmt.Sprintf("arn:aws:s3:::bucket-%s-%s-%06d", account, region, i), "MEDIUM",
			fmt.Sprintf("Buckets of stack %d should have server access logging enabled", i/100))
		at := w.At.Add(time.Duration(i-n) * 100 * time.Millisecond).Format(stampLayout)
		f["CreatedAt"], f["UpdatedAt"], f["FirstObservedAt"], f["LastObservedAt"] = at, at, at, at
		out[i] = raw(f)
	}
	return out
}

func (w *World) asff(p Problem, region string) object {
	arn := func(service, rest string) string {
		return "arn:aws:" + service + ":" + region + ":" + p.Account + ":" + rest
	}
	switch p.Kind {
	case RootMFA:
		return w.control(p.Account, region, "IAM.9", "AwsAccount", "AWS::::Account:"+p.Account, "CRITICAL", "MFA should be enabled for the root user")
	case OldKey:
		return w.control(p.Account, region, "IAM.3", "AwsIamUser", "arn:aws:iam::"+p.Account+":user/"+p.Name, "MEDIUM",
			"IAM users' access keys should be rotated every 90 days or less")
	case Snapshot:
		return w.control(p.Account, region, "RDS.1", "AwsRdsDbSnapshot", arn("rds", "snapshot:"+p.Name), "CRITICAL", "RDS snapshot should be private")
	case OpenSSH:
		return w.control(p.Account, region, "EC2.13", "AwsEc2SecurityGroup", arn("ec2", "security-group/"+p.Name), "HIGH",
			"Security groups should not allow ingress from 0.0.0.0/0 or ::/0 to port 22")
	case Volume:
		return w.control(p.Account, region, "EC2.3", "AwsEc2Volume", arn("ec2", "volume/"+p.Name), "MEDIUM", "Attached EBS volumes should be encrypted at-rest")
	default:
		return w.threat(p, region)
	}
}

// control is a finding of a control, as consolidated control findings look. Source: Security Hub user guide, "Control findings".
func (w *World) control(account, region, control, kind, resource, severity, title string) object {
	return object{
		"SchemaVersion": "2018-10-08",
		"Id":            fmt.Sprintf("arn:aws:securityhub:%s:%s:security-control/%s/finding/%s", region, account, control, uuid(account, region, control, resource)),
		"ProductArn":    "arn:aws:securityhub:" + region + "::product/aws/securityhub",
		"ProductName":   "Security Hub", "CompanyName": "AWS", "Region": region, "AwsAccountId": account,
		"GeneratorId": "security-control/" + control,
		"Types":       []string{"Software and Configuration Checks/Industry and Regulatory Standards"},
		"CreatedAt":   w.stamp(), "UpdatedAt": w.stamp(), "FirstObservedAt": w.stamp(), "LastObservedAt": w.stamp(),
		"Severity": object{"Label": severity, "Original": severity}, "Title": title, "Description": title + ".",
		"Remediation": object{"Recommendation": object{"Text": "See the control's page.", "Url": "https://docs.aws.amazon.com/console/securityhub/" + control + "/remediation"}},
		"Resources":   []object{{"Type": kind, "Id": resource, "Partition": "aws", "Region": region}},
		"Compliance": object{"Status": "FAILED", "SecurityControlId": control,
			"AssociatedStandards": []object{{"StandardsId": "standards/aws-foundational-security-best-practices/v/1.0.0"}}},
		"Workflow": object{"Status": "NEW"}, "WorkflowState": "NEW", "RecordState": "ACTIVE",
	}
}

// threat is GuardDuty's finding as Security Hub shows it.
func (w *World) threat(p Problem, region string) object {
	detector := w.detectorARN(p.Account, region)
	title := "An instance asks for the address of a mining pool"
	return object{
		"SchemaVersion": "2018-10-08", "Id": detector + "/finding/" + hexOf(32, "threat", p.Account, region),
		"ProductArn": "arn:aws:securityhub:" + region + "::product/aws/guardduty", "ProductName": "GuardDuty", "CompanyName": "Amazon",
		"Region": region, "AwsAccountId": p.Account, "GeneratorId": detector,
		"Types":     []string{"TTPs/Command and Control/CryptoCurrency:EC2-BitcoinTool.B!DNS"},
		"CreatedAt": w.stamp(), "UpdatedAt": w.stamp(), "FirstObservedAt": w.stamp(), "LastObservedAt": w.stamp(),
		"Severity": object{"Label": "HIGH", "Product": 8, "Normalized": 70}, "Title": title, "Description": title + ".",
		"ProductFields": object{"aws/guardduty/service/count": "3", "aws/guardduty/service/archived": "false", "aws/securityhub/ProductName": "GuardDuty"},
		"Resources":     []object{{"Type": "AwsEc2Instance", "Id": "arn:aws:ec2:" + region + ":" + p.Account + ":instance/" + p.Name, "Partition": "aws", "Region": region}},
		"Workflow":      object{"Status": "NEW"}, "WorkflowState": "NEW", "RecordState": "ACTIVE",
	}
}

// Detector is the id of GuardDuty's detector in an account and region.
func Detector(account, region string) string { return awstest.NewGuardDuty().Enable(account, region) }

func (w *World) detectorARN(account, region string) string {
	return "arn:aws:guardduty:" + region + ":" + account + ":detector/" + Detector(account, region)
}
