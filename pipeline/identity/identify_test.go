package identity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

func TestOneProblemOneFingerprint(t *testing.T) {
	account := pipeline.Account{ID: acct}
	for name, reports := range map[string][]pipeline.Report{
		"root without MFA": {
			{Product: "Security Hub", Generator: "aws-foundational-security-best-practices/v/1.0.0/IAM.9", Region: "us-east-1", Account: account,
				Resource: pipeline.Resource{ID: "AWS::::Account:123456789012", Type: "AwsAccount"}, Severity: pipeline.Critical},
			{Product: "Security Hub", Generator: "cis-aws-foundations-benchmark/v/1.4.0/1.5", Control: "1.5", Region: "eu-west-1", Account: account,
				Resource: pipeline.Resource{ID: "AWS::::Account:123456789012", Type: "AwsAccount"}, Severity: pipeline.High},
			{Product: "Prowler", Control: "iam_root_mfa_enabled", Region: "us-east-1", Account: account,
				Resource: pipeline.Resource{ID: "arn:aws:iam::123456789012:root", Type: "AwsIamUser"}},
			{Product: "Trusted Advisor", Control: "7DAFEmoDos", Region: "-", Account: account, Resource: pipeline.Resource{ID: "123456789012"}},
			{Product: "docket", Names: []string{"docket:root-mfa"}, Region: "global", Resource: pipeline.Resource{ID: "arn:aws:iam::123456789012:root"}},
		},
		"old access key": {
			{Product: "Security Hub", Generator: "security-control/IAM.3", Region: "us-east-1", Account: account,
				Resource: pipeline.Resource{ID: "arn:aws:iam::123456789012:user/bob", Type: "AwsIamUser"}},
			{Product: "Security Hub", Generator: "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/1.4", Region: "eu-west-1",
				Account: account, Resource: pipeline.Resource{ID: "AWS::IAM::User:bob", Type: "AwsIamUser"}},
			{Product: "Prowler", Control: "iam_rotate_access_key_90_days", Region: "us-east-1", Account: account,
				Resource: pipeline.Resource{ID: "arn:aws:iam::123456789012:user/bob", Type: "AwsIamAccessKey", Name: "bob-access-key-1"}},
			{Product: "AWS Trusted Advisor", Names: []string{"trustedadvisor:DqdJqYeRm5"}, Account: account,
				Resource: pipeline.Resource{ID: "bob", Type: "AwsIamUser"}},
		},
		"open port 22": {
			{Product: "Security Hub", Names: []string{"fsbp:EC2.13", "cis-1.2.0:4.1", "pci-3.2.1:PCI.EC2.5"}, Region: "eu-west-1", Account: account,
				Resource: pipeline.Resource{ID: "arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1", Type: "AwsEc2SecurityGroup"}},
			{Product: "Security Hub", Generator: "nist-800-53/v/5.0.0/EC2.13", Region: "eu-west-1", Account: account,
				Resource: pipeline.Resource{ID: "arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1", Type: "AwsEc2SecurityGroup"}},
			{Product: "Prowler", Control: "ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22", Region: "eu-west-1", Account: account,
				Resource: pipeline.Resource{ID: "sg-1", Type: "AwsEc2SecurityGroup"}},
			{Product: "docket", Control: "sg-ssh", Region: "eu-west-1", Account: account, Resource: pipeline.Resource{ID: "sg-1"}},
		},
		"public snapshot": {
			{Product: "Security Hub", Control: "RDS.1", Region: "us-east-1", Account: account,
				Resource: pipeline.Resource{ID: "arn:aws:rds:us-east-1:123456789012:snapshot:s", Type: "AwsRdsDbSnapshot"}},
			{Product: "Trusted Advisor", Control: "rSs93HQwa1", Region: "us-east-1", Account: account, Resource: pipeline.Resource{ID: "s", Type: "AwsRdsDbSnapshot"}},
		},
		"a control no row knows, under two standards": {
			{Product: "Security Hub", Generator: "security-control/Neptune.77", Account: account, Region: "eu-west-1", Resource: pipeline.Resource{ID: "x"}},
			{Product: "Security Hub", Generator: "nist-800-53/v/5.0.0/Neptune.77", Control: "Neptune.77", Account: account, Region: "eu-west-1", Resource: pipeline.Resource{ID: "x"}},
			{Product: "Security Hub", Generator: "pci-dss/v/4.0.1/Neptune.77", Account: account, Region: "eu-west-1", Resource: pipeline.Resource{ID: "x"}},
		},
		"the same image built again": {
			{Kind: pipeline.KindVulnerability, Account: account, Resource: pipeline.Resource{ID: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1@sha256:aa", Type: "ContainerImage"},
				Vuln: &pipeline.Vulnerability{ID: "CVE-2024-3094", Package: "xz-utils", Version: "5.6.0"}},
			{Kind: pipeline.KindVulnerability, Account: account, Resource: pipeline.Resource{ID: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:2@sha256:bb", Type: "ContainerImage"},
				Vuln: &pipeline.Vulnerability{ID: "cve-2024-3094 ", Package: "XZ-Utils", Version: "5.6.1"}},
			{Kind: pipeline.KindVulnerability, Region: "eu-west-1", Resource: pipeline.Resource{ID: "arn:aws:ecr:eu-west-1:123456789012:repository/app/sha256:cc", Type: "AwsEcrContainerImage"},
				Vuln: &pipeline.Vulnerability{ID: "CVE-2024-3094", Package: "pkg:deb/debian/xz-utils@5.6.1?arch=amd64"}},
		},
		"the same code five lines down": {
			{Kind: pipeline.KindCode, Product: "semgrep", Repository: "https://github.com/org/repo.git",
				Code: &pipeline.Code{Rule: "sql", Path: "./src/a.go", Line: 10, Snippet: "\tdb.Query(a)"}},
			{Kind: pipeline.KindCode, Product: "semgrep", Repository: "git@github.com:org/repo.git",
				Code: &pipeline.Code{Rule: "sql", Path: `src\a.go`, Line: 15, Snippet: "    db.Query(a)\n"}},
		},
		"the tool's fingerprint outlives the snippet": {
			{Kind: pipeline.KindCode, Product: "CodeQL", Repository: "r/r", Code: &pipeline.Code{Rule: "x", Path: "a.go", Line: 1, Snippet: "a", Fingerprint: "39fa2ee980eb94b0:1"}},
			{Kind: pipeline.KindCode, Product: "CodeQL", Repository: "r/r", Code: &pipeline.Code{Rule: "x", Path: "a.go", Line: 9, Snippet: "b", Fingerprint: "39fa2ee980eb94b0:1"}},
		},
		"a threat, native and through Security Hub": {
			{Kind: pipeline.KindThreat, Product: "GuardDuty", Control: "Recon:EC2/Portscan", Account: account, Region: "us-east-1",
				Resource: pipeline.Resource{ID: "i-0123456789abcdef0", Type: "Instance"}},
			{Kind: pipeline.KindThreat, Product: "GuardDuty", Tags: []string{"TTPs/Discovery/Recon:EC2-Portscan"}, Account: account, Region: "us-east-1",
				Generator: "arn:aws:guardduty:us-east-1:123456789012:detector/1",
				Resource:  pipeline.Resource{ID: "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0", Type: "AwsEc2Instance"}},
		},
		"a threat whose category is its first word": {
			{Kind: pipeline.KindThreat, Product: "GuardDuty", Control: "CredentialAccess:IAMUser/AnomalousBehavior"},
			{Kind: pipeline.KindThreat, Product: "GuardDuty", Tags: []string{"TTPs/Credential Access/IAMUser-AnomalousBehavior"}},
		},
	} {
		var first pipeline.Report
		for i, r := range reports {
			r.ID, r.Title = fmt.Sprint(i), strings.Repeat("title", i)
			Identify(&r)
			if i == 0 {
				first = r
			}
			if r.Print != first.Print {
				t.Errorf("Identify(%s, report %d) = %q %q %q %q; want as the first, %q %q %q %q", name, i,
					r.Account.ID, r.Region, r.Resource.ID, r.Problem, first.Account.ID, first.Region, first.Resource.ID, first.Problem)
			}
		}
	}
}

func TestDifferentProblemsStayApart(t *testing.T) {
	code := func(c pipeline.Code) pipeline.Report {
		return pipeline.Report{Kind: pipeline.KindCode, Product: "tool", Repository: "github.com/org/repo", Code: &c}
	}
	vuln := func(id, pkg string) pipeline.Report {
		return pipeline.Report{Kind: pipeline.KindVulnerability, Resource: pipeline.Resource{ID: "h"}, Vuln: &pipeline.Vulnerability{ID: id, Package: pkg}}
	}
	control := func(r pipeline.Report) pipeline.Report { r.Kind = pipeline.KindControl; return r }
	reports := []pipeline.Report{
		code(pipeline.Code{Rule: "r", Path: "a", Snippet: "x"}),
		code(pipeline.Code{Rule: "r", Path: "a", Snippet: "x", Occurrence: 1}),
		code(pipeline.Code{Rule: "r", Path: "b", Snippet: "x"}),
		code(pipeline.Code{Rule: "q", Path: "a", Snippet: "x"}),
		code(pipeline.Code{Rule: "r", Path: "a", Snippet: "y"}),
		code(pipeline.Code{Rule: "r", Path: "a", Fingerprint: "x"}),
		code(pipeline.Code{Rule: "r", Path: "b", Fingerprint: "x"}),
		code(pipeline.Code{Rule: "r", Path: "a", Fingerprint: "y"}),
		vuln("CVE-1", "a b"), vuln("CVE-1 a", "b"), vuln("CVE-1", "a"), vuln("CVE-2", "a"), vuln("CVE-1", ""),
		control(pipeline.Report{Product: "Prowler", Control: "x"}),
		control(pipeline.Report{Product: "Wiz", Control: "x"}),
		control(pipeline.Report{Product: "Wiz", Generator: "g"}),
		control(pipeline.Report{Product: "Wiz", ID: "1"}),
		control(pipeline.Report{Product: "Wiz", ID: "2"}),
		control(pipeline.Report{Product: "Wiz", Control: "w1", Names: []string{"cis-1.4.0:2.1.5"}}),
		control(pipeline.Report{Product: "Wiz", Control: "w2", Names: []string{"cis-1.4.0:2.1.5"}}),
		control(pipeline.Report{Product: "x", Control: "c", Account: pipeline.Account{ID: "a"}, Region: "bc"}),
		control(pipeline.Report{Product: "x", Control: "c", Account: pipeline.Account{ID: "ab"}, Region: "c"}),
		control(pipeline.Report{Product: "x", Control: "c", Account: pipeline.Account{ID: "a"}, Region: "b", Resource: pipeline.Resource{ID: "c"}}),
		{Kind: pipeline.KindThreat, Product: "GuardDuty", Control: "Recon:EC2/Portscan"},
		{Kind: pipeline.KindThreat, Product: "GuardDuty", Control: "Recon:EC2/PortProbeUnprotectedPort"},
		{Kind: pipeline.KindThreat, Product: "GuardDuty", Generator: "detector"},
	}
	seen := map[pipeline.Fingerprint]int{}
	for i, r := range reports {
		Identify(&r)
		if j, ok := seen[r.Print]; ok {
			t.Errorf("reports %d and %d have one fingerprint (%q); want two", j, i, r.Problem)
		}
		seen[r.Print] = i
	}
}

func TestSeparatorsInsidePartsDoNotCollide(t *testing.T) {
	bits := []string{"", "a", ":", "\x00", "a:", ":a", "\x00\x00\x00\x01", "\x00\x00\x00\x01a", "/", "a\x00"}
	seen := map[pipeline.Fingerprint]string{}
	for _, a := range bits {
		for _, b := range bits {
			for _, c := range bits {
				for _, d := range bits {
					f, parts := fingerprint(a, b, c, d), fmt.Sprintf("%q %q %q %q", a, b, c, d)
					if other, ok := seen[f]; ok {
						t.Fatalf("fingerprint(%s) = fingerprint(%s); want different ones", parts, other)
					}
					seen[f] = parts
				}
			}
		}
	}
}

// The fingerprints below are what installations have stored. One that changes
// here makes every finding of its kind a new one there: it needs a migration.
func TestFingerprintsStayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		r             pipeline.Report
		problem, want string
	}{
		{pipeline.Report{Names: []string{"fsbp:EC2.13"}, Account: pipeline.Account{ID: acct}, Region: "eu-west-1", Resource: pipeline.Resource{ID: "sg-1"}},
			"ec2-sg-ssh-open",
			"3c11538abddffc482d8e9e6d2b028b906a2c657a84c239aa3442a5f19449ed92"},
		{pipeline.Report{Names: []string{"cis-1.2.0:1.13"}, Account: pipeline.Account{ID: acct}, Resource: pipeline.Resource{ID: acct}},
			"iam-root-mfa",
			"7b7a7b5c32d675678b41cdad4b3c783c3e238d6b567f3a048e232e76b970eb81"},
		{pipeline.Report{Names: []string{"prowler:s3_bucket_object_versioning"}, Account: pipeline.Account{ID: acct}, Region: "eu-west-1", Resource: pipeline.Resource{ID: "arn:aws:s3:::b"}},
			"s3-versioning",
			"24ec121f44747f63e7fa570e50618424cef14760c37ae013ed28cae162f9d02f"},
		{pipeline.Report{Product: "Prowler", Control: "a_new_check", Account: pipeline.Account{ID: acct}, Region: "eu-west-1", Resource: pipeline.Resource{ID: "arn:aws:sns:eu-west-1:123456789012:t"}},
			"prowler:a_new_check",
			"afdbf888009bf4379623b762c44a5c548b1a929238e52dc05fe87a38a4eed233"},
		{pipeline.Report{Kind: pipeline.KindVulnerability, Vuln: &pipeline.Vulnerability{ID: "ghsa-AAAA-bbbb", Package: "lodash"}, Resource: pipeline.Resource{ID: "nginx:1", Type: "image"}},
			"vuln:GHSA-aaaa-bbbb lodash",
			"22b41ec586054a1801fb84c7a0b3eb1f8d414da122fd0a9908ebbdd10316e3a9"},
		{pipeline.Report{Kind: pipeline.KindCode, Repository: "github.com/org/repo", Code: &pipeline.Code{Rule: "r", Path: "a.go", Snippet: "x  y"}},
			"code:r:64e2cf8b6d02a940489b991a",
			"9eb82c1de33cfd1ff0090efe162bd1835d740ec10f595c5a6b07413ea1cfc04a"},
		{pipeline.Report{Kind: pipeline.KindCode, Product: "CodeQL", Repository: "github.com/org/repo", Code: &pipeline.Code{Rule: "r", Path: "a.go", Fingerprint: "f:1"}},
			"code:r:f82f9a5703250338a035a757",
			"ea622b22f7074c4d09776366b55d84dc34771ff62dff22846c9677db8891d562"},
		{pipeline.Report{Kind: pipeline.KindThreat, Control: "UnauthorizedAccess:IAMUser/TorIPCaller", Account: pipeline.Account{ID: acct}, Resource: pipeline.Resource{ID: "AKIDEXAMPLE", Type: "AccessKey"}},
			"threat:unauthorizedaccess:iamuser-toripcaller",
			"97cf2ce772a82c9b917950fd14b7a33a4fd3f9401303e6aeb6dbd0472129a48e"},
	} {
		r := c.r
		Identify(&r)
		if r.Problem != c.problem || r.Print.String() != c.want {
			t.Errorf("Identify(%s %s) = %q %s; want %q %s", r.Resource.ID, r.Kind, r.Problem, r.Print, c.problem, c.want)
		}
	}
}

func TestTheOrderOfNamesDoesNotMatter(t *testing.T) {
	// Two rows are hit; the Security Hub id is the most specific.
	names := []string{"cis-1.4.0:1.5", "prowler:iam_no_root_access_key", "fsbp:S3.9", "zzz:other"}
	for i := range names {
		turned := append(append([]string(nil), names[i:]...), names[:i]...)
		r := pipeline.Report{Names: turned}
		Identify(&r)
		if r.Problem != "s3-access-logging" {
			t.Errorf("Identify(%v).Problem = %s; want s3-access-logging", turned, r.Problem)
		}
	}
}

func TestNameOf(t *testing.T) {
	for in, want := range map[string]string{
		"security-control/EC2.13":                                                      "fsbp:EC2.13",
		"aws-foundational-security-best-practices/v/1.0.0/EC2.13":                      "fsbp:EC2.13",
		"arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/4.1": "cis-1.2.0:4.1",
		"cis-aws-foundations-benchmark/v/1.4.0/5.2":                                    "cis-1.4.0:5.2",
		"cis-aws-foundations-benchmark/v/5.0.0/5.3":                                    "cis-5.0.0:5.3",
		"pci-dss/v/3.2.1/PCI.EC2.1":                                                    "pci-3.2.1:PCI.EC2.1",
		"pci-dss/v/4.0.1/EC2.13":                                                       "pci-4.0.1:EC2.13",
		"nist-800-53/v/5.0.0/EC2.13":                                                   "nist-800-53-r5:EC2.13",
		"service-managed-aws-control-tower/v/1.0.0/S3.1":                               "control-tower:S3.1",
		"arn:aws:securityhub:eu-central-1:123456789012:subscription/pci-dss/v/3.2.1/PCI.IAM.5/finding/ab6d":         "pci-3.2.1:PCI.IAM.5",
		"arn:aws:securityhub:us-east-1:123456789012:control/aws-foundational-security-best-practices/v/1.0.0/IAM.9": "fsbp:IAM.9",
		"prowler-iam_root_mfa_enabled":             "prowler:iam_root_mfa_enabled",
		"FSBP:ec2.13":                              "fsbp:ec2.13",
		"AWSInspector":                             "",
		"arn:aws:guardduty:us-east-1:1:detector/x": "",
		"unknown-standard/v/1.0/X.1":               "",
		"security-control/":                        "",
		"":                                         "",
	} {
		got := strings.Join(NameOf(in), " ")
		if got != want {
			t.Errorf("NameOf(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestRepository(t *testing.T) {
	for in, want := range map[string]string{
		"https://github.com/org/repo.git": "github.com/org/repo", "git@github.com:org/repo.git": "github.com/org/repo",
		"ssh://git@GitHub.com/org/repo/": "github.com/org/repo", "https://user:x@host/o/r": "host/o/r", "org/repo": "org/repo", "": "", "repo": "repo",
	} {
		if got := repository(in); got != want {
			t.Errorf("repository(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestPackageName(t *testing.T) {
	for in, want := range map[string]string{
		" OpenSSL ": "openssl", "pkg:deb/debian/openssl@1.1?arch=amd64": "openssl", "pkg:npm/%40babel/core@7.0.0": "@babel/core",
		"pkg:maven/org.apache/log4j@2#x": "org.apache:log4j", "@babel/core": "@babel/core", "pkg:": "pkg:", "": "",
		"pkg:golang/github.com/a/b@v1": "github.com/a/b",
	} {
		if got := packageName(in); got != want {
			t.Errorf("packageName(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestAliases(t *testing.T) {
	for name, c := range map[string]struct {
		r    pipeline.Report
		want string
	}{
		"id":              {pipeline.Report{ID: "a"}, "a"},
		"id and tool's":   {pipeline.Report{ID: "a", Code: &pipeline.Code{Fingerprint: "f"}}, "a f"},
		"the tool's only": {pipeline.Report{ID: "f", Code: &pipeline.Code{Fingerprint: "f"}}, "f"},
		"none":            {pipeline.Report{}, ""},
	} {
		if got := strings.Join(Aliases(&c.r), " "); got != c.want {
			t.Errorf("Aliases(%s) = %q; want %q", name, got, c.want)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	for _, c := range spellings {
		f.Add("control", "Security Hub", c.typ, c.id, "fsbp:EC2.13", "security-control/EC2.13", "eu-west-1", acct)
	}
	f.Add("code", "CodeQL", "", "a.go", "rule", "snippet", "", "")
	f.Add("vulnerability", "Inspector", "image", "a@sha256:1", "CVE-1", "pkg:deb/debian/x@1", "", "")
	f.Add("threat", "GuardDuty", "Instance", "i-1", "Recon:EC2/Portscan", "TTPs/Discovery/Recon:EC2-Portscan", "global", "1234-5678-9012")
	f.Fuzz(func(t *testing.T, kind, product, typ, id, name, generator, region, account string) {
		r := pipeline.Report{Kind: pipeline.Kind(kind), Product: product, Control: name, Names: []string{name, id}, Generator: generator, Region: region,
			Tags: []string{generator}, Account: pipeline.Account{ID: account}, Resource: pipeline.Resource{ID: id, Type: typ}}
		if kind == "code" || len(kind) == 1 {
			r.Code = &pipeline.Code{Rule: name, Path: id, Snippet: generator, Fingerprint: typ}
		}
		if kind == "vulnerability" || len(kind) == 1 {
			r.Vuln = &pipeline.Vulnerability{ID: name, Package: generator}
		}
		Identify(&r)
		again := r
		Identify(&again)
		if again.Print != r.Print || again.Resource.ID != r.Resource.ID || again.Problem != r.Problem || again.Region != r.Region {
			t.Errorf("Identify twice = %q %q %q %q; want %q %q %q %q", again.Account.ID, again.Region, again.Resource.ID, again.Problem,
				r.Account.ID, r.Region, r.Resource.ID, r.Problem)
		}
		if r.Problem == "" || r.Print.IsZero() {
			t.Errorf("Identify(%q %q) gave no problem", kind, name)
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	reports := map[string]pipeline.Report{
		"control": {Product: "Security Hub", Kind: pipeline.KindControl, Control: "EC2.13", Names: []string{"fsbp:EC2.13", "cis-1.2.0:4.1"},
			Generator: "security-control/EC2.13", Account: pipeline.Account{ID: acct}, Region: "eu-west-1",
			Resource: pipeline.Resource{ID: "arn:aws:ec2:eu-west-1:123456789012:security-group/sg-0123456789abcdef0", Type: "AwsEc2SecurityGroup"}},
		"bare id": {Product: "Prowler", Kind: pipeline.KindControl, Control: "ec2_instance_imdsv2_enabled", Account: pipeline.Account{ID: acct},
			Region: "eu-west-1", Resource: pipeline.Resource{ID: "i-0123456789abcdef0", Type: "AWS::EC2::Instance"}},
		"vulnerability": {Product: "Inspector", Kind: pipeline.KindVulnerability, Account: pipeline.Account{ID: acct}, Region: "eu-west-1",
			Vuln:     &pipeline.Vulnerability{ID: "CVE-2024-3094", Package: "xz-utils"},
			Resource: pipeline.Resource{ID: "arn:aws:ecr:eu-west-1:123456789012:repository/app/sha256:af965ef68c78374a5f987fce98c0ddfa", Type: "AwsEcrContainerImage"}},
		"code": {Product: "semgrep", Kind: pipeline.KindCode, Repository: "https://github.com/org/repo",
			Code: &pipeline.Code{Rule: "go.lang.sql", Path: "src/a.go", Snippet: "\tdb.Query(\"select \" + a)"}},
	}
	for name, report := range reports {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := report
				Identify(&r)
			}
		})
	}
}
