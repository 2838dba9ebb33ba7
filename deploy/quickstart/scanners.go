package quickstart

import (
	"maps"
	"slices"
	"strings"
	"time"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// prowler is one account's scan as Prowler 5 writes it: detection findings
// (class 2004), muted rows included.
func prowler(a account, all []observation) []object {
	at := day().Add(-4 * time.Hour)
	var out []object
	for _, o := range all {
		if o.account.id != a.id || o.state == archived {
			continue
		}
		code, word, wordID := "FAIL", "New", 1
		switch o.state {
		case passed:
			code = "PASS"
		case muted:
			word, wordID = "Suppressed", 3
		}
		region := a.region
		id, labels := o.id, []string{}
		if o.kind == "AwsAccount" {
			id = "arn:aws:iam::" + a.id + ":root"
		}
		for _, key := range sortedKeys(o.tags) {
			labels = append(labels, key+":"+o.tags[key])
		}
		uid := "prowler-aws-" + o.prowler + "-" + a.id + "-" + region + "-" + last(id)
		e := a.event(2004, at)
		e["cloud"].(object)["provider"] = "aws"
		e["time"], e["time_dt"] = at.Unix(), at.Format("2006-01-02T15:04:05.000000")
		e["message"] = o.title + ": " + last(id)
		e["metadata"] = object{"event_code": o.prowler, "version": "1.4.0", "profiles": []string{"cloud", "datetime"},
			"product": object{"name": "Prowler", "uid": "prowler", "vendor_name": "Prowler", "version": "5.4.0"}}
		e["finding_info"] = object{"uid": uid, "title": "Ensure: " + o.title, "desc": o.title + ".",
			"created_time": at.Unix(), "created_time_dt": at.Format("2006-01-02T15:04:05.000000"), "types": []string{"Infrastructure Security"}}
		e["resources"] = []object{{"uid": id, "name": last(id), "type": o.kind, "region": region, "labels": labels, "cloud_partition": "aws"}}
		e["remediation"] = object{"desc": o.fix, "references": []string{}}
		e["severity"], e["severity_id"] = o.level[:1]+strings.ToLower(o.level[1:]), severityID(o.level)
		e["status"], e["status_id"], e["status_code"], e["status_detail"] = word, wordID, code, o.title+": "+last(id)
		out = append(out, e)
	}
	return out
}

func last(id string) string { return id[strings.LastIndexAny(id, "/:")+1:] }

// advisor is Trusted Advisor's checks in docket's own JSON, and the case that
// nobody wants: an access key that AWS found in public.
func advisor(all []observation) []object {
	var out []object
	for _, o := range all {
		if !o.account.advisor || o.control.advisor == "" || o.state == archived {
			continue
		}
		status := "open"
		if o.state == passed || o.state == disagreed {
			status = "resolved"
		}
		out = append(out, o.resource.advice(o.control.advisor, o.title, o.level, status, o.fix, o.first))
	}
	for _, a := range accounts() {
		if a.name != "shop-prod" {
			continue
		}
		for _, r := range a.resources() {
			if r.kind == "AwsIamUser" && r.name == "deploy-bot" {
				out = append(out, r.advice("12Fnkpl8Y5", "Exposed access keys", "CRITICAL", "open",
					"Delete the key, then look through CloudTrail for what it was used for.", day().Add(-9*time.Hour)))
			}
		}
	}
	return out
}

func (r resource) advice(check, title, level, status, fix string, first time.Time) object {
	res := object{"id": r.id, "type": r.kind, "name": r.name}
	if len(r.tags) > 0 {
		res["tags"] = r.tags
	}
	return object{
		"product": "Trusted Advisor", "id": check + "/" + r.account.id + "/" + last(r.id), "kind": "control",
		"account": object{"id": r.account.id, "name": r.account.name}, "region": r.account.region, "resource": res,
		"control": check, "names": []string{"trustedadvisor:" + check}, "title": title, "severity": level, "status": status,
		"remediation": object{"text": fix, "url": "https://docs.aws.amazon.com/awssupport/latest/user/security-checks.html"},
		"observed_at": stamp(day().Add(-2 * time.Hour)), "first_observed": stamp(first),
	}
}

// weakness is a vulnerability in a package. The CVE numbers, scores and whether CISA
// lists it as exploited are real; where it was found is not.
type weakness struct {
	cve, pkg, version, fixed string
	cvss, epss               float64
	exploited                bool
	level                    string
}

func weaknesses() []weakness {
	return []weakness{
		{"CVE-2021-44228", "log4j-core", "2.14.1", "2.17.1", 10, 0.94, true, "CRITICAL"},
		{"CVE-2023-44487", "libnghttp2-14", "1.43.0", "1.43.0-1+deb11u1", 7.5, 0.94, true, "HIGH"},
		{"CVE-2023-4863", "libwebp6", "0.6.1", "0.6.1-2.1+deb11u2", 8.8, 0.93, true, "HIGH"},
		{"CVE-2023-38545", "libcurl4", "7.88.1", "7.88.1-10+deb12u4", 9.8, 0.25, false, "CRITICAL"},
		{"CVE-2022-0778", "libssl1.1", "1.1.1k", "1.1.1k-1+deb11u2", 7.5, 0.07, false, "MEDIUM"},
	}
}

func (w weakness) references() []string {
	refs := []string{"https://nvd.nist.gov/vuln/detail/" + w.cve}
	if w.exploited {
		refs = append(refs, "https://www.cisa.gov/known-exploited-vulnerabilities-catalog?field_cve="+w.cve)
	}
	return refs
}

// image is a container image of a team; every build has another digest.
func (a account) image(build string) string {
	return "arn:aws:ecr:" + a.region + ":" + a.id + ":repository/" + a.team + "/api/sha256:" + hex(64, a.name+build)
}

// vulnerabilities are Inspector's findings in ASFF. The images of payments-prod were
// rebuilt: the same weaknesses under a new digest, which is nothing new.
func vulnerabilities() []object {
	var out []object
	for i, w := range weaknesses() {
		for _, a := range accounts() {
			if a.ocsf || a.env == "dev" && i%2 == 1 {
				continue
			}
			builds := []string{"build 1"}
			if a.name == "payments-prod" {
				builds = append(builds, "build 2")
			}
			for _, build := range builds {
				out = append(out, a.inspector(w, build))
			}
		}
	}
	return out
}

func (a account) inspector(w weakness, build string) object {
	image, first := a.image(build), day().AddDate(0, 0, -20)
	state, record := "ACTIVE", "ACTIVE"
	if a.name == "payments-staging" && w.cve == "CVE-2022-0778" {
		state, record = "CLOSED", "ARCHIVED" // fixed there first
	}
	exploit := "NO"
	if w.exploited {
		exploit = "YES"
	}
	return object{
		"SchemaVersion": "2018-10-08", "Id": "arn:aws:inspector2:" + a.region + ":" + a.id + ":finding/" + hex(32, w.cve+image),
		"ProductArn": "arn:aws:securityhub:" + a.region + "::product/aws/inspector", "ProductName": "Inspector", "CompanyName": "Amazon",
		"Region": a.region, "GeneratorId": "AWSInspector", "AwsAccountId": a.id, "AwsAccountName": a.name,
		"Types":           []string{"Software and Configuration Checks/Vulnerabilities/CVE"},
		"FirstObservedAt": stamp(first), "LastObservedAt": stamp(day()), "CreatedAt": stamp(first), "UpdatedAt": stamp(day()),
		"Severity": object{"Label": w.level}, "Title": w.cve + " - " + w.pkg,
		"Description":   "The image holds " + w.pkg + " " + w.version + ", which " + w.cve + " is about.",
		"Remediation":   object{"Recommendation": object{"Text": "Update " + w.pkg + " to " + w.fixed + " or later and build the image again."}},
		"ProductFields": object{"aws/inspector/FindingStatus": state},
		"Resources":     []object{{"Type": "AwsEcrContainerImage", "Id": image, "Partition": "aws", "Region": a.region}},
		"Vulnerabilities": []object{{
			"Id": w.cve, "EpssScore": w.epss, "ExploitAvailable": exploit, "FixAvailable": "YES",
			"Cvss":               []object{{"Version": "3.1", "BaseScore": w.cvss}},
			"VulnerablePackages": []object{{"Name": w.pkg, "Version": w.version, "FixedInVersion": w.fixed}},
			"ReferenceUrls":      w.references(),
		}},
		"Workflow": object{"Status": "NEW"}, "RecordState": record,
	}
}

// images are the shop's vulnerabilities: OCSF class 2002.
func images() []object {
	var out []object
	for _, a := range accounts() {
		if !a.ocsf {
			continue
		}
		for _, w := range weaknesses() {
			e := a.event(2002, day())
			uid := "arn:aws:inspector2:" + a.region + ":" + a.id + ":finding/" + hex(32, w.cve+a.image("build 1"))
			e["finding_info"] = object{"uid": uid, "title": w.cve + " - " + w.pkg, "created_time_dt": stamp(day().AddDate(0, 0, -12)),
				"desc": "The image holds " + w.pkg + " " + w.version + ", which " + w.cve + " is about."}
			e["metadata"] = hubMetadata("Inspector", "inspector", a.region)
			e["resources"] = []object{{"type": "AWS::ECR::ContainerImage", "uid": a.image("build 1"), "region": a.region}}
			e["severity_id"], e["status"] = severityID(w.level), "New"
			e["vulnerabilities"] = []object{{
				"cve":               object{"uid": w.cve, "cvss": []object{{"base_score": w.cvss, "version": "3.1"}}, "epss": object{"score": w.epss}},
				"affected_packages": []object{{"name": w.pkg, "version": w.version, "fixed_in_version": w.fixed}},
				"references":        w.references(), "is_exploit_available": w.exploited, "is_fix_available": true,
				"remediation": object{"desc": "Update " + w.pkg + " to " + w.fixed + " or later and build the image again."},
			}}
			out = append(out, e)
		}
	}
	return out
}

// threats are GuardDuty's findings in ASFF: one that is going on, one port
// probe, one that was put away.
func threats() []object {
	one := func(name, kind, title, level, record string) object {
		var a account
		for _, x := range accounts() {
			if x.name == name {
				a = x
			}
		}
		detector := "arn:aws:guardduty:" + a.region + ":" + a.id + ":detector/" + hex(32, a.name)
		host := a.resources()[8] // the gateway
		return object{
			"SchemaVersion": "2018-10-08", "Id": detector + "/finding/" + hex(32, a.name+kind),
			"ProductArn": "arn:aws:securityhub:" + a.region + "::product/aws/guardduty", "ProductName": "GuardDuty", "CompanyName": "Amazon",
			"Region": a.region, "GeneratorId": detector, "AwsAccountId": a.id, "AwsAccountName": a.name, "Types": []string{kind},
			"CreatedAt": stamp(day().Add(-5 * time.Hour)), "UpdatedAt": stamp(day().Add(-time.Hour)),
			"Severity": object{"Label": level}, "Title": title, "Description": title + ".",
			"ProductFields": object{"aws/guardduty/service/count": "3", "aws/securityhub/ProductName": "GuardDuty"},
			"Resources":     []object{host.asffResource()}, "Workflow": object{"Status": "NEW"}, "RecordState": record,
		}
	}
	return []object{
		one("payments-prod", "TTPs/Credential Access/UnauthorizedAccess:IAMUser-InstanceCredentialExfiltration.OutsideAWS",
			"Credentials of an instance role are used from outside AWS", "HIGH", "ACTIVE"),
		one("shop-prod", "TTPs/Discovery/Recon:EC2-PortProbeUnprotectedPort", "An unprotected port of an instance is being probed", "LOW", "ACTIVE"),
		one("platform-dev", "TTPs/Command and Control/CryptoCurrency:EC2-BitcoinTool.B!DNS", "An instance asks for the address of a mining pool", "HIGH", "ARCHIVED"),
	}
}
