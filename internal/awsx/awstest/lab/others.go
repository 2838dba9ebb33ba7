package lab

import (
	"encoding/json"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// Duty is what GuardDuty's detector of an account holds in a region, as GetFindings answers it.
func (w *World) Duty(account, region string) []json.RawMessage {
	var out []json.RawMessage
	for _, p := range w.in(account, region, GuardDuty) {
		out = append(out, raw(w.native(p, region)))
	}
	return out
}

func (w *World) native(p Problem, region string) object {
	id, title := hexOf(32, "threat", p.Account, region), "An instance asks for the address of a mining pool"
	return object{
		"schemaVersion": "2.0", "accountId": p.Account, "region": region, "partition": "aws", "id": id,
		"arn": w.detectorARN(p.Account, region) + "/finding/" + id, "type": "CryptoCurrency:EC2/BitcoinTool.B!DNS",
		"severity": 8.0, "createdAt": w.stamp(), "updatedAt": w.stamp(), "title": title, "description": title + ".",
		"resource": object{"resourceType": "Instance", "instanceDetails": object{"instanceId": p.Name, "instanceType": "t3.large", "instanceState": "running",
			"availabilityZone": region + "a", "imageId": "ami-0123456789abcdef0", "tags": []object{}, "networkInterfaces": []object{}}},
		"service": object{"serviceName": "guardduty", "detectorId": Detector(p.Account, region), "count": 3, "archived": false, "resourceRole": "TARGET",
			"eventFirstSeen": w.stamp(), "eventLastSeen": w.stamp(),
			"action": object{"actionType": "DNS_REQUEST", "dnsRequestAction": object{"domain": "pool.example", "protocol": "UDP", "blocked": false}}},
	}
}

// Ids of the checks that say something in the lab. Source: AWS Support user guide, "Security" checks.
const (
	CheckRootMFA  = "7DAFEmoDos"
	CheckOldKey   = "DqdJqYeRm5"
	CheckSnapshot = "rSs93HQwa1"
)

// Checks are those that Trusted Advisor has in the lab: three of security, and one that is none of docket's business.
// Source of names and columns: DescribeTrustedAdvisorChecks.
func Checks() []awstest.AdvisorCheck {
	return []awstest.AdvisorCheck{
		{ID: CheckRootMFA, Name: "MFA on Root Account", Category: "security", Description: "Checks the root account and warns if MFA is not enabled."},
		{ID: CheckOldKey, Name: "IAM Access Key Rotation", Category: "security", Description: "Checks for active IAM access keys that have not been rotated in the last 90 days.",
			Columns: []string{"Status", "IAM User", "Access Key", "Key Last Rotated", "Reason"}},
		{ID: CheckSnapshot, Name: "Amazon RDS Public Snapshots", Category: "security", Description: "Checks for snapshots that are marked as public.",
			Columns: []string{"Status", "Region", "DB Instance or Cluster ID", "Snapshot ID"}},
		{ID: "Qch7DwouX1", Name: "Low Utilization Amazon EC2 Instances", Category: "cost_optimizing", Description: "Checks instances that were running in the last 14 days.",
			Columns: []string{"Region/AZ", "Instance ID", "Instance Name", "Instance Type", "Estimated Monthly Savings"}},
	}
}

// Advisor is what Trusted Advisor's checks list in an account, by the check's id, green rows included.
func (w *World) Advisor(account string) map[string]awstest.AdvisorResult {
	out := map[string]awstest.AdvisorResult{}
	for _, c := range Checks() {
		out[c.ID] = awstest.AdvisorResult{Time: w.At, Status: "ok"}
	}
	add := func(check string, r awstest.AdvisorRow) {
		was := out[check]
		if was.Status == "ok" {
			was.Status = r.Status
		}
		was.Rows = append(was.Rows, r)
		out[check] = was
	}
	rotated := func(days int) string { return w.At.AddDate(0, 0, -days).Format("Mon, 02 Jan 2006 15:04:05 GMT") }
	for _, p := range w.Problems {
		if p.Account != account {
			continue
		}
		switch p.Kind {
		case RootMFA:
			add(CheckRootMFA, awstest.AdvisorRow{Status: "error", Region: "-", Resource: account})
		case OldKey:
			add(CheckOldKey, awstest.AdvisorRow{Status: "warning", Region: "-", Resource: "arn:aws:iam::" + account + ":user/" + p.Name,
				Cells: []string{"Yellow", p.Name, "AKIAIOSFODNN7EXAMPLE", rotated(180), "Key is older than 90 days"}})
			add(CheckOldKey, awstest.AdvisorRow{Status: "ok", Region: "-", Resource: "arn:aws:iam::" + account + ":user/fresh-" + p.Name,
				Cells: []string{"Green", "fresh-" + p.Name, "AKIAI44QH8DHBEXAMPLE", rotated(5), ""}})
		case Snapshot:
			add(CheckSnapshot, awstest.AdvisorRow{Status: "error", Region: p.Region, Resource: "arn:aws:rds:" + p.Region + ":" + account + ":snapshot:" + p.Name,
				Cells: []string{"Red", p.Region, "orders", p.Name}})
		}
	}
	return out
}

// Events are the envelopes that EventBridge sent to the queue, one message each.
func (w *World) Events() []json.RawMessage {
	var out []json.RawMessage
	for _, p := range w.Problems {
		switch p.Kind {
		case Snapshot, OpenSSH:
			f := w.asff(p, p.Region)
			out = append(out, w.event(p, "aws.securityhub", "Security Hub Findings - Imported", object{"findings": []object{f}}, f["Id"].(string)))
		case Mining:
			out = append(out, w.event(p, "aws.guardduty", "GuardDuty Finding", w.native(p, p.Region)))
		case SharedRole:
			out = append(out, w.event(p, "aws.access-analyzer", "Access Analyzer Finding", object{
				"version": "1.0", "id": uuid("analyzer", p.Account, p.Region), "status": "ACTIVE", "resourceType": "AWS::IAM::Role",
				"resource":  "arn:aws:iam::" + p.Account + ":role/" + p.Name,
				"createdAt": w.stamp(), "analyzedAt": w.stamp(), "updatedAt": w.stamp(), "accountId": p.Account, "region": p.Region,
				"principal": object{"AWS": "999999999999"}, "action": []string{"sts:AssumeRole"}, "condition": object{}, "isPublic": false,
				"isDeleted": false}, "arn:aws:access-analyzer:"+p.Region+":"+p.Account+":analyzer/organisation"))
		}
	}
	return out
}

func (w *World) event(p Problem, source, kind string, detail object, resources ...string) json.RawMessage {
	return raw(object{"version": "0", "id": uuid("event", source, string(p.Kind), p.Account, p.Region), "detail-type": kind, "source": source,
		"account": p.Account, "region": p.Region, "time": w.At.Format("2006-01-02T15:04:05Z"), "resources": append([]string{}, resources...), "detail": detail})
}
