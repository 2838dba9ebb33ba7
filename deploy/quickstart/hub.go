package quickstart

import (
	"strings"
	"time"
)

const (
	foundations = "aws-foundational-security-best-practices/v/1.0.0"
	benchmark   = "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/"
)

// hubASFF is what `aws securityhub get-findings` prints for the accounts without
// consolidated control findings: one finding a standard, so that a control of two
// standards is there twice.
func hubASFF(all []observation) []object {
	var out []object
	for _, o := range all {
		if o.account.ocsf {
			continue
		}
		out = append(out, o.asff(foundations+"/"+o.hub, o.hub+" "+o.title))
		if o.cis != "" {
			out = append(out, o.asff(benchmark+o.cis, o.cis+" "+o.title))
		}
	}
	return out
}

// asff is the finding of one standard.
func (o observation) asff(generator, title string) object {
	standard := generator[strings.LastIndexByte(generator, ':')+1:]
	at := o.account.region + ":" + o.account.id
	status, record, flow := "FAILED", "ACTIVE", "NEW"
	switch o.state {
	case passed, disagreed:
		status, flow = "PASSED", "RESOLVED"
	case archived:
		record = "ARCHIVED"
	case muted:
		flow = "SUPPRESSED"
	}
	return object{
		"SchemaVersion": "2018-10-08",
		"Id": "arn:aws:securityhub:" + at + ":subscription/" + strings.TrimPrefix(standard, "ruleset/") +
			"/finding/" + uuid(generator+o.id),
		"ProductArn":      "arn:aws:securityhub:" + o.account.region + "::product/aws/securityhub",
		"ProductName":     "Security Hub",
		"CompanyName":     "AWS",
		"Region":          o.account.region,
		"GeneratorId":     generator,
		"AwsAccountId":    o.account.id,
		"AwsAccountName":  o.account.name,
		"Types":           []string{"Software and Configuration Checks/Industry and Regulatory Standards"},
		"FirstObservedAt": stamp(o.first),
		"LastObservedAt":  stamp(o.seen),
		"CreatedAt":       stamp(o.first),
		"UpdatedAt":       stamp(o.seen.Add(-time.Minute)),
		"Severity":        object{"Label": o.level},
		"Title":           title,
		"Description":     o.title + ".",
		"Remediation": object{"Recommendation": object{"Text": o.fix,
			"Url": "https://docs.aws.amazon.com/console/securityhub/" + o.hub + "/remediation"}},
		"ProductFields": object{"aws/securityhub/ProductName": "Security Hub"},
		"Resources":     []object{o.asffResource()},
		"Compliance":    object{"Status": status},
		"Workflow":      object{"Status": flow},
		"RecordState":   record,
	}
}

func (r resource) asffResource() object {
	o := object{"Type": r.kind, "Id": r.id, "Partition": "aws", "Region": r.account.region}
	if len(r.tags) > 0 {
		o["Tags"] = r.tags
	}
	return o
}

// hubOCSF is the shop's export: consolidated control findings of class 2003.
func hubOCSF(all []observation) []object {
	var out []object
	for _, o := range all {
		if !o.account.ocsf {
			continue
		}
		status, statusID, word := "Fail", 3, "New"
		switch o.state {
		case passed, disagreed:
			status, statusID, word = "Pass", 1, "Resolved"
		case muted:
			word = "Suppressed"
		}
		e := o.account.event(2003, o.seen)
		e["compliance"] = object{"control": o.hub, "status": status, "status_id": statusID,
			"standards": []string{"standards/" + foundations}, "requirements": []string{}}
		e["finding_info"] = object{
			"analytic": object{"name": o.hub, "type_id": 1}, "title": o.title, "desc": o.title + ".",
			"created_time_dt": stamp(o.first), "first_seen_time_dt": stamp(o.first), "modified_time_dt": stamp(o.seen),
			"uid": "arn:aws:securityhub:" + o.account.region + ":" + o.account.id + ":security-control/" + o.hub + "/finding/" + uuid(o.hub+o.id),
		}
		e["metadata"] = hubMetadata("Security Hub", "securityhub", o.account.region)
		e["remediation"] = object{"desc": o.fix, "references": []string{"https://docs.aws.amazon.com/console/securityhub/" + o.hub + "/remediation"}}
		e["resources"] = []object{o.ocsfResource()}
		e["severity"], e["severity_id"], e["status"] = o.level, severityID(o.level), word
		out = append(out, e)
	}
	return out
}

func hubMetadata(name, id, region string) object {
	return object{"version": "1.5.0", "product": object{"name": name, "vendor_name": "AWS",
		"uid": "arn:aws:securityhub:" + region + "::productv2/aws/" + id}}
}

// event is what all OCSF findings of an account share.
func (a account) event(class int, at time.Time) object {
	return object{
		"activity_id": 1, "category_uid": 2, "class_uid": class, "type_uid": class*100 + 1,
		"cloud": object{"provider": "AWS", "region": a.region, "cloud_partition": "aws",
			"account": object{"uid": a.id, "name": a.name, "type_id": 10}},
		"time": at.UnixMilli(),
	}
}

func (r resource) ocsfResource() object {
	id, kind := r.id, r.cfn
	if r.kind == "AwsAccount" {
		id = "AWS::::Account:" + r.account.id
	}
	tags := []object{}
	for _, key := range sortedKeys(r.tags) {
		tags = append(tags, object{"name": key, "value": r.tags[key]})
	}
	return object{"type": kind, "uid": id, "region": r.account.region, "cloud_partition": "aws", "tags": tags}
}

func severityID(level string) int {
	for i, l := range []string{"INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"} {
		if l == level {
			return i + 1
		}
	}
	return 0
}
