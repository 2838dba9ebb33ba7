package lab

import "encoding/json"

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

// Flagged is one resource that a check of Trusted Advisor lists.
type Flagged struct {
	Check, Status, Region, ID string
	Metadata                  []string // the check's columns, in their order
}

// Ids of the checks that say something in the lab. Source: AWS Support user guide, "Security" checks.
const (
	CheckRootMFA  = "7DAFEmoDos"
	CheckOldKey   = "DqdJqYeRm5"
	CheckSnapshot = "rSs93HQwa1"
)

// Advisor is what Trusted Advisor's checks list in an account, green rows included.
func (w *World) Advisor(account string) []Flagged {
	var out []Flagged
	for _, p := range w.Problems {
		if p.Account != account {
			continue
		}
		id := hexOf(32, "advisor", string(p.Kind), account, p.Region)
		switch p.Kind {
		case RootMFA:
			out = append(out, Flagged{Check: CheckRootMFA, Status: "error", Region: "-", ID: id})
		case OldKey:
			out = append(out, Flagged{Check: CheckOldKey, Status: "warning", Region: "-", ID: id,
				Metadata: []string{"Yellow", p.Name, "AKIAIOSFODNN7EXAMPLE", w.At.AddDate(0, -6, 0).Format("Mon, 02 Jan 2006 15:04:05 GMT"), "Key is older than 90 days"}},
				Flagged{Check: CheckOldKey, Status: "ok", Region: "-", ID: hexOf(32, "green", account),
					Metadata: []string{"Green", "fresh-" + p.Name, "AKIAI44QH8DHBEXAMPLE", w.At.AddDate(0, 0, -5).Format("Mon, 02 Jan 2006 15:04:05 GMT"), ""}})
		case Snapshot:
			out = append(out, Flagged{Check: CheckSnapshot, Status: "error", Region: p.Region, ID: id, Metadata: []string{"Red", p.Region, "orders", p.Name}})
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
