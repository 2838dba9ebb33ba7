package risk

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docket-hub/docket/pipeline"
)

func control(name string) pipeline.Report {
	return pipeline.Report{Kind: pipeline.KindControl, Control: name}
}

func TestDerive(t *testing.T) {
	env := func(tags map[string]string, account pipeline.Account) pipeline.Report {
		return pipeline.Report{Kind: pipeline.KindControl, Account: account, Resource: pipeline.Resource{Tags: tags}}
	}
	tests := []struct {
		name   string
		report pipeline.Report
		want   []string
	}{
		{"nothing known", control("Foo.1"), nil},
		{"a Security Hub control", control("EC2.19"), []string{PublicExposure}},
		{"a Prowler check", control("iam_root_mfa_enabled"), []string{NoMFA, RootIdentity}},
		{"a Prowler family", control("ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22"), []string{PublicExposure}},
		{"a Trusted Advisor check", control("12Fnkpl8Y5"), []string{ExposedCredential}},
		{"one of docket's checks", control("user-console-mfa"), []string{NoMFA}},
		{"the canonical problem", pipeline.Report{Kind: pipeline.KindControl, Control: "x", Problem: "IAM.4"}, []string{RootIdentity}},
		{"a further name", pipeline.Report{Kind: pipeline.KindControl, Control: "x", Names: []string{"y", "S3.4"}}, []string{Unencrypted}},
		{"a name behind a slash", control("aws-foundational-security-best-practices/v/1.0.0/S3.2"), []string{PublicExposure}},
		{"what was there stays", pipeline.Report{Control: "S3.2", RiskFactors: []string{"zeta", "alpha", "zeta"}}, []string{"alpha", PublicExposure, "zeta"}},
		{"a very long name", control(strings.Repeat("x", 4000)), nil},
		{"KEV", pipeline.Report{Kind: pipeline.KindVulnerability, Vuln: &pipeline.Vulnerability{KEV: true}}, []string{KnownExploited}},
		{"an exploit", pipeline.Report{Kind: pipeline.KindVulnerability, Vuln: &pipeline.Vulnerability{Exploit: true}}, []string{ExploitAvailable}},
		{"EPSS alone is no fact", pipeline.Report{Kind: pipeline.KindVulnerability, Vuln: &pipeline.Vulnerability{EPSS: 0.97, CVSS: 10}}, nil},
		{"a threat", pipeline.Report{Kind: pipeline.KindThreat, Control: "Recon:EC2/Portscan"}, []string{ActiveThreat}},
		{"a threat by its ASFF type", pipeline.Report{Tags: []string{"TTPs/Initial Access/UnauthorizedAccess:EC2-SSHBruteForce"}}, []string{ActiveThreat}},
		{"root seen by GuardDuty", pipeline.Report{Kind: pipeline.KindThreat, Control: "Policy:IAMUser/RootCredentialUsage"}, []string{ActiveThreat, RootIdentity}},
		{"keys taken from an instance", pipeline.Report{Kind: pipeline.KindThreat, Problem: "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"}, []string{ActiveThreat, ExposedCredential}},
		{"Macie", pipeline.Report{Tags: []string{"Sensitive Data Identifications/PII/SensitiveData:S3Object-Personal"}}, []string{SensitiveData}},
		{"Macie's credentials", pipeline.Report{Tags: []string{"Sensitive Data Identifications/Passwords/SensitiveData:S3Object-Credentials"}}, []string{ExposedCredential, SensitiveData}},
		{"a secret scanner", pipeline.Report{Kind: pipeline.KindCode, Product: "Gitleaks", Control: "generic-api-key"}, []string{ExposedCredential}},
		{"a rule about secrets", pipeline.Report{Kind: pipeline.KindCode, Product: "Semgrep OSS", Code: &pipeline.Code{Rule: "generic.secrets.security.detected-generic-secret"}}, []string{ExposedCredential}},
		{"Checkov's secrets", pipeline.Report{Kind: pipeline.KindCode, Control: "CKV_SECRET_2"}, []string{ExposedCredential}},
		{"a rule that only uses secrets", pipeline.Report{Kind: pipeline.KindCode, Control: "aws-secretsmanager-rotation"}, nil},
		{"tag env", env(map[string]string{"Env": "PROD"}, pipeline.Account{}), []string{Production}},
		{"tag stage with more words", env(map[string]string{"stage": "prod-eu-1"}, pipeline.Account{}), []string{Production}},
		{"tag environment nonprod", env(map[string]string{"environment": "non-prod"}, pipeline.Account{}), nil},
		{"the account's tag", env(nil, pipeline.Account{Tags: map[string]string{"Environment": "production"}}), []string{Production}},
		{"the account's name", env(nil, pipeline.Account{Name: "acme-shop-prod"}), []string{Production}},
		{"the account's name says no", env(nil, pipeline.Account{Name: "acme-shop-non-prod"}), nil},
		{"the account's name only contains it", env(nil, pipeline.Account{Name: "product-catalogue"}), nil},
		{"the resource's tag wins over the account", env(map[string]string{"env": "dev"}, pipeline.Account{Name: "shop-prod", Tags: map[string]string{"env": "prod"}}), nil},
		{"the account's tag wins over its name", env(nil, pipeline.Account{Name: "shop-prod", Tags: map[string]string{"env": "test"}}), nil},
		{"classified data", env(map[string]string{"Data-Classification": "Highly Confidential"}, pipeline.Account{}), []string{SensitiveData}},
		{"classified by the account", env(nil, pipeline.Account{Tags: map[string]string{"DataClassification": "restricted"}}), []string{SensitiveData}},
		{"tag exposure", env(map[string]string{"exposure": "internet"}, pipeline.Account{}), []string{InternetFacing}},
		{"a distribution", pipeline.Report{Resource: pipeline.Resource{Type: "AwsCloudFrontDistribution"}}, []string{InternetFacing}},
		{"the stronger of the two", pipeline.Report{Control: "S3.2", Resource: pipeline.Resource{Tags: map[string]string{"exposure": "public"}}}, []string{PublicExposure}},
		{"title as the last resort", pipeline.Report{Kind: pipeline.KindControl, Control: "corp-17", Title: "Database is publicly accessible"}, []string{PublicExposure}},
		{"title of a known control", pipeline.Report{Kind: pipeline.KindControl, Control: "S3.20", Title: "S3 buckets should have MFA enabled"}, nil},
		{"a guard rail", pipeline.Report{Kind: pipeline.KindControl, Control: "S3.8", Title: "S3 general purpose buckets should block public access"}, nil},
		{"title about a guard rail", pipeline.Report{Kind: pipeline.KindControl, Control: "corp-20", Title: "S3 Block Public Access setting should be enabled"}, nil},
		{"title about watching", pipeline.Report{Kind: pipeline.KindControl, Control: "corp-18", Title: "Ensure an alarm exists for the root user"}, nil},
		{"title of a vulnerability", pipeline.Report{Kind: pipeline.KindVulnerability, Title: "bypass of mfa in libfoo"}, nil},
		{"title beside tags", pipeline.Report{Kind: pipeline.KindControl, Control: "corp-19", Title: "Volume is not encrypted", Resource: pipeline.Resource{Tags: map[string]string{"env": "prod"}}}, []string{Production, Unencrypted}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.report
			for range 2 {
				Derive(&r)
				if diff := cmp.Diff(tt.want, r.RiskFactors); diff != "" {
					t.Errorf("Derive, -want +got:\n%s", diff)
				}
			}
		})
	}
}

func TestDeriveDoesNotWriteIntoTheCallersArray(t *testing.T) {
	shared := append(make([]string, 0, 8), "a")
	one := pipeline.Report{Control: "S3.2", RiskFactors: shared}
	Derive(&one)
	if got := shared[:2][1]; got != "" {
		t.Errorf("the array behind the given factors holds %q; want it untouched", got)
	}
}

// The bits of a set must name the factors of the table, in its order, and the tables must be usable.
func TestTables(t *testing.T) {
	var table []string
	for _, f := range BuiltinFactors() {
		table = append(table, f.Name)
		if f.Meaning == "" || f.When != "" || f.Points == 0 {
			t.Errorf("BuiltinFactors() has %+v; want a meaning, points and no condition", f)
		}
	}
	if diff := cmp.Diff(setNames[:], table); diff != "" || !slices.IsSorted(table) {
		t.Errorf("setNames and BuiltinFactors() differ:\n%s", diff)
	}
	for _, rows := range [][]row{controlRows(), threatRows()} {
		for name := range index(rows) {
			if len(name) > 96 || name != strings.ToLower(name) {
				t.Errorf("table name %q is too long, or not in lower case", name)
			}
		}
	}
}

func TestDeriveIsSortedForAnyReport(t *testing.T) {
	known := slices.Collect(strings.FieldsSeq(controlRows()[0].names + " " + controlRows()[5].names))
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.SampledFrom(known), rapid.String())
		tags := rapid.MapOf(rapid.OneOf(rapid.SampledFrom([]string{"env", "Stage", "exposure", "classification"}), rapid.String()),
			rapid.OneOf(rapid.SampledFrom([]string{"prod", "dev", "public", "pii"}), rapid.String()))
		r := pipeline.Report{
			Kind:    rapid.SampledFrom([]pipeline.Kind{pipeline.KindControl, pipeline.KindThreat, pipeline.KindCode, pipeline.KindVulnerability}).Draw(t, "kind"),
			Control: word.Draw(t, "control"), Title: rapid.String().Draw(t, "title"), Product: word.Draw(t, "product"),
			Names: rapid.SliceOf(word).Draw(t, "names"), Tags: rapid.SliceOf(rapid.String()).Draw(t, "types"),
			RiskFactors: rapid.SliceOf(rapid.String()).Draw(t, "factors"),
			Account:     pipeline.Account{Name: rapid.String().Draw(t, "account"), Tags: tags.Draw(t, "account tags")},
			Resource:    pipeline.Resource{Tags: tags.Draw(t, "tags")},
		}
		before := slices.Clone(r.RiskFactors)
		Derive(&r)
		if !slices.IsSorted(r.RiskFactors) || len(slices.Compact(slices.Clone(r.RiskFactors))) != len(r.RiskFactors) {
			t.Errorf("Derive gives %q; want it sorted without repeats", r.RiskFactors)
		}
		for _, name := range before {
			if !slices.Contains(r.RiskFactors, name) {
				t.Errorf("Derive lost %q", name)
			}
		}
		once := slices.Clone(r.RiskFactors)
		Derive(&r)
		if !slices.Equal(once, r.RiskFactors) {
			t.Errorf("a second Derive gives %q; want %q", r.RiskFactors, once)
		}
	})
}

func BenchmarkDerive(b *testing.B) {
	report := pipeline.Report{Kind: pipeline.KindControl, Control: "EC2.19", Names: []string{"aws-foundational-security-best-practices/v/1.0.0/EC2.19", "CIS AWS Foundations Benchmark 1.4.0/5.2"},
		Tags:     []string{"Software and Configuration Checks/Industry and Regulatory Standards/AWS-Foundational-Security-Best-Practices"},
		Account:  pipeline.Account{Name: "shop-prod"},
		Resource: pipeline.Resource{Tags: map[string]string{"team": "payments", "env": "prod", "owner": "a", "cost": "b"}}}
	unknown := pipeline.Report{Kind: pipeline.KindControl, Control: "corp-17", Title: "Security groups should not allow unrestricted ingress access to ports with high risk, seen in an account of ours"}
	for name, r := range map[string]pipeline.Report{"known": report, "title": unknown} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				one := r
				Derive(&one)
			}
		})
	}
}
