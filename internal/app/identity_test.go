package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// codeReport is a SARIF report on one problem whose code stands at a line.
func codeReport(line int) map[string]any {
	return map[string]any{
		"version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"runs": []any{map[string]any{
			"tool":                     map[string]any{"driver": map[string]any{"name": "linter", "rules": []any{map[string]any{"id": "sql-injection", "shortDescription": map[string]any{"text": "SQL injection"}}}}},
			"versionControlProvenance": []any{map[string]any{"repositoryUri": "https://git.example.com/shop/web"}},
			"results": []any{map[string]any{
				"ruleId": "sql-injection", "level": "error", "message": map[string]any{"text": "user input reaches a query"},
				"locations": []any{map[string]any{"physicalLocation": map[string]any{
					"artifactLocation": map[string]any{"uri": "src/query.py"},
					"region":           map[string]any{"startLine": line, "endLine": line, "snippet": map[string]any{"text": "db.execute(\"select \" + name)"}},
				}}},
			}},
		}},
	}
}

// imageReport is an Inspector finding on a container image.
func imageReport(t testing.TB, digest string, n int, at time.Time) map[string]any {
	t.Helper()
	stamp := at.UTC().Format(time.RFC3339)
	arn := "arn:aws:ecr:eu-west-1:" + foldAccount + ":repository/shop/web/sha256:" + digest
	return map[string]any{
		"SchemaVersion": "2018-10-08", "Id": "arn:aws:inspector2:eu-west-1:" + foldAccount + ":finding/" + strings.Repeat(string(rune('a'+n)), 32),
		"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/inspector", "ProductName": "Inspector", "Region": "eu-west-1",
		"GeneratorId": "AWSInspector", "AwsAccountId": foldAccount, "Types": []string{"Software and Configuration Checks/Vulnerabilities/CVE"},
		"FirstObservedAt": stamp, "LastObservedAt": stamp, "CreatedAt": stamp, "UpdatedAt": stamp,
		"Severity": map[string]any{"Label": "HIGH"}, "Title": "CVE-2024-3094 - xz-utils", "Description": "A backdoor in xz-utils.",
		"Resources": []any{map[string]any{"Type": "AwsEcrContainerImage", "Id": arn, "Partition": "aws", "Region": "eu-west-1",
			"Details": map[string]any{"AwsEcrContainerImage": map[string]any{"RegistryId": foldAccount, "RepositoryName": "shop/web", "ImageDigest": "sha256:" + digest, "ImageTags": []string{"latest"}}}}},
		"Vulnerabilities": []any{map[string]any{"Id": "CVE-2024-3094", "VulnerablePackages": []any{map[string]any{"Name": "xz-utils", "Version": "5.6.0", "PackageManager": "OS"}}}},
		"Workflow":        map[string]any{"Status": "NEW"}, "RecordState": "ACTIVE",
	}
}

// TestSameProblemAgain: what only moved is nothing new.
func TestSameProblemAgain(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-48 * time.Hour)
	for name, versions := range map[string][2]any{
		"code moved by five lines":         {codeReport(40), codeReport(45)},
		"image rebuilt under a new digest": {imageReport(t, strings.Repeat("1a", 32), 0, at), imageReport(t, strings.Repeat("2b", 32), 1, at.Add(time.Hour))},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, fileSite)
			s.putJSON("in/report.json", versions[0])
			first := s.once()
			if first.New != 1 || first.TicketsCreated != 1 {
				t.Fatalf("RunOnce() = %s; want one new finding and one ticket", counts(first))
			}
			before := s.only()
			s.putJSON("in/report.json", versions[1])
			again := s.once()
			if again.New != 0 || again.Opened != 0 || again.Closed != 0 || again.TicketsCreated != 0 || again.TicketsClosed != 0 {
				t.Errorf("RunOnce() with the other version = %s; want nothing opened, created or closed", counts(again))
			}
			if after := s.only(); after.Key != before.Key || after.State != "open" {
				t.Errorf("ticket = %s %s; want %s open", after.Key, after.State, before.Key)
			}
			if list := allFindings(t, s.offline()); len(list) != 1 {
				t.Errorf("%d findings; want 1: %+v", len(list), list)
			}
			s.still()
		})
	}
}

// oldKey are four reports of one problem, an access key that is never rotated:
// two standards of Security Hub, Prowler, and Trusted Advisor in docket's own JSON.
func oldKey(t testing.TB, at time.Time, passed [4]bool) map[string][]byte {
	t.Helper()
	user := "arn:aws:iam::" + foldAccount + ":user/alice"
	word := func(n int, open, gone string) string {
		if passed[n] {
			return gone
		}
		return open
	}
	stamp := at.Format(time.RFC3339)
	hub := func(n int, generator, standard string) map[string]any {
		return map[string]any{
			"SchemaVersion": "2018-10-08", "Id": "arn:aws:securityhub:eu-west-1:" + foldAccount + ":subscription/" + standard + "/finding/1",
			"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/securityhub", "ProductName": "Security Hub", "Region": "eu-west-1",
			"GeneratorId": generator, "AwsAccountId": foldAccount, "Types": []string{"Software and Configuration Checks"},
			"FirstObservedAt": stamp, "LastObservedAt": stamp, "CreatedAt": stamp, "UpdatedAt": stamp,
			"Severity": map[string]any{"Label": word(n, "MEDIUM", "INFORMATIONAL")}, "Title": "IAM users' access keys should be rotated every 90 days or less",
			"Description": "The key is older than 90 days.", "Compliance": map[string]any{"Status": word(n, "FAILED", "PASSED")},
			"Resources": []any{map[string]any{"Type": "AwsIamUser", "Id": user, "Partition": "aws", "Region": "eu-west-1"}},
			"Workflow":  map[string]any{"Status": "NEW"}, "RecordState": "ACTIVE",
		}
	}
	out := map[string][]byte{}
	for name, doc := range map[string]any{
		"fsbp.json": hub(0, "aws-foundational-security-best-practices/v/1.0.0/IAM.3", "aws-foundational-security-best-practices/v/1.0.0/IAM.3"),
		"cis.json":  hub(1, "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/1.4", "cis-aws-foundations-benchmark/v/1.2.0/1.4"),
		"prowler.json": []any{map[string]any{
			"class_uid": 2004, "severity": "High", "severity_id": 4, "status_code": word(2, "FAIL", "PASS"), "status": "New", "time": at.Unix(), "time_dt": stamp,
			"metadata":     map[string]any{"event_code": "iam_rotate_access_key_90_days", "product": map[string]any{"name": "Prowler", "version": "5.0.0"}, "version": "1.3.0"},
			"finding_info": map[string]any{"uid": "prowler-aws-iam_rotate_access_key_90_days-alice", "title": "Access keys are rotated", "desc": "Older than 90 days.", "created_time": at.Unix()},
			"cloud":        map[string]any{"provider": "aws", "region": "us-east-1", "account": map[string]any{"uid": foldAccount}},
			"resources":    []any{map[string]any{"uid": user, "type": "AwsIamUser", "region": "us-east-1"}},
		}},
		"advisor.json": map[string]any{
			"product": "Trusted Advisor", "id": "DqdJqYeRm5/alice", "title": "IAM Access Key Rotation", "severity": "LOW", "status": word(3, "open", "resolved"),
			"control": "DqdJqYeRm5", "account": map[string]any{"id": foldAccount}, "region": "us-east-1",
			"resource": map[string]any{"id": "alice", "type": "AwsIamUser"}, "observed_at": stamp,
		},
	} {
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = b
	}
	return out
}

// TestFourReportsOneFinding: two standards, Prowler and Trusted Advisor report
// one problem; it is one finding, open until the last of them resolves.
func TestFourReportsOneFinding(t *testing.T) {
	s := newSite(t, fileSite)
	at := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Second)
	put := func(passed [4]bool, at time.Time) {
		for name, b := range oldKey(t, at, passed) {
			s.put("in/"+name, b)
		}
	}
	put([4]bool{}, at)
	s.once()
	list := allFindings(t, s.offline())
	if len(list) != 1 {
		t.Fatalf("%d findings; want 1: %+v", len(list), list)
	}
	d, err := s.offline().Finding(t.Context(), list[0].Fingerprint.String())
	if err != nil || len(d.Finding.Reports) != 4 {
		t.Fatalf("Finding() = %d reports, %v; want 4", len(d.Finding.Reports), err)
	}
	first := s.only()
	for n := range 4 {
		at = at.Add(time.Hour)
		var passed [4]bool
		for i := range n + 1 {
			passed[i] = true
		}
		put(passed, at)
		sum := s.once()
		want, closed := "open", 0
		if n == 3 {
			want, closed = "closed", 1
		}
		if got := s.only(); got.State != want || got.Key != first.Key || sum.TicketsClosed != closed {
			t.Errorf("after %d of 4 resolved: ticket %s %s, %d closed; want %s %s, %d", n+1, got.Key, got.State, sum.TicketsClosed, first.Key, want, closed)
		}
	}
	last := s.only()
	if last.Why != "fixed" || !strings.Contains(last.Text, "## History") {
		t.Errorf("closed ticket says %q; want fixed, with a history", last.Why)
	}
	// What the last report said is the evidence, and the ticket repeats it.
	d, err = s.offline().Finding(t.Context(), list[0].Fingerprint.String())
	if err != nil || d.Finding.Status != pipeline.StatusResolved {
		t.Fatalf("Finding() = %v, %v; want resolved", d.Finding.Status, err)
	}
	_, history, _ := strings.Cut(last.Text, "## History")
	if !strings.Contains(history, "resolved") {
		t.Errorf("history = %q; want the evidence of the close", history)
	}
	s.still()
	s.clean()
}
