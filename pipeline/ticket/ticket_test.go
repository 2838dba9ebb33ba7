package ticket

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func plain() pipeline.Ticket {
	return pipeline.Ticket{
		Key: "docket-0123456789abcdef0123", Case: "DK-12", Rev: 3, Gen: 1, Open: true,
		Team: "payments", Route: "root > payments", Title: "S3 general purpose buckets should block public access",
		Group:       []pipeline.GroupValue{{Name: "account", Value: "111122223333"}, {Name: "control", Value: "S3.8"}},
		Description: "This control checks whether the bucket blocks public access.\n\nIt fails when one of the four settings is false.",
		Remediation: pipeline.Remediation{Text: "1. Open the bucket.\n2. Choose Permissions.\n3. Turn on Block all public access.", URL: "https://docs.aws.amazon.com/console/securityhub/S3.8/remediation"},
		Links:       []string{"https://example.com/runbook"},
		Compliance:  []string{"CIS AWS Foundations Benchmark 1.4.0/2.1.5", "PCI DSS 3.2.1/1.3.1"},
		Resource:    pipeline.Resource{ID: "arn:aws:s3:::pay-exports", Type: "AwsS3Bucket", Name: "pay-exports"},
		Account:     pipeline.Account{ID: "111122223333", Name: "pay-prod"}, Region: "eu-west-1",
		Severity: pipeline.High, Priority: pipeline.P1,
		Explanation: pipeline.Explanation{Priority: pipeline.P1, Score: 105, Rule: "public data", Reasons: []pipeline.Reason{
			{What: "severity HIGH", Points: 70}, {What: "public_exposure", Points: 20, Why: "BlockPublicAcls is false"}, {What: "production", Points: 15, Why: "account tag env=prod"}}},
		Labels: []string{"recurring"}, Since: at("2026-01-02T03:04:05Z"), Due: at("2026-01-03T03:04:05Z"),
		Findings: []pipeline.TicketFinding{
			{Fingerprint: pipeline.Fingerprint{0xab, 0xcd}, Title: "S3 block public access", Severity: pipeline.High, Status: "open", Account: "111122223333", Region: "eu-west-1", Resource: "arn:aws:s3:::pay-exports", Products: []string{"Prowler", "Security Hub"}},
			{Fingerprint: pipeline.Fingerprint{0x12, 0x34}, Title: "S3 block public access", Severity: pipeline.Medium, Status: "resolved", Account: "111122223333", Region: "eu-west-1", Resource: "arn:aws:s3:::pay-logs", Products: []string{"Security Hub"}},
		},
		Count: 1, Total: 2, Acked: "ann@example.com until 2026-01-09", Assignees: []string{"ann@example.com"},
		Previous: pipeline.Ref{ID: "x", Key: "DK-3", URL: "https://docket.example.com/cases/DK-3"},
		CaseURL:  "https://docket.example.com/cases/DK-12",
	}
}

func hostile() pipeline.Ticket {
	bad := "</h1><script>alert(1)</script> [click](javascript:alert(1)) ![x](http://evil.example/x.png) `code` | cell *bold* _em_ \x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x1b]8;;\x07 \u202eGNP.exe\u202c zero\u200bwidth &lt; \x00\xff end"
	t := plain()
	t.Title, t.Description = bad+"\n# second heading", "# heading\n- list\n    code\n1. one\n===\n"+bad+"\n---\n> quote\n<!-- gone -->"
	t.Resource = pipeline.Resource{ID: "id`with``quotes` | and pipe", Type: bad, Name: bad}
	t.Account.Name, t.Team, t.Route, t.Region = bad, bad, bad, "eu-west-1#x"
	t.Remediation = pipeline.Remediation{Text: bad, URL: "javascript:alert(1)"}
	t.Links = []string{"https://user:pw@example.com/", "data:text/html,x", "https://example.com/a b", "https://example.com/ok?x=1&y=2"}
	t.Compliance, t.Labels, t.Assignees, t.Acked = []string{bad}, []string{bad}, []string{bad}, bad
	t.Group[0].Value = bad
	t.Explanation.Reasons[0] = pipeline.Reason{What: bad, Points: -5, Why: bad}
	t.Explanation.Rule, t.Explanation.Errors = bad, []string{bad}
	t.Findings[0].Title, t.Findings[0].Resource, t.Findings[0].Products = bad, bad, []string{bad}
	return t
}

func leaked() pipeline.Ticket {
	t := plain()
	t.Title, t.Severity = "Access key of build is in a public repository", pipeline.Critical
	t.Resource = pipeline.Resource{ID: "arn:aws:iam::111122223333:user/ci/build", Type: "AwsIamUser", Name: "build"}
	t.Explanation.Reasons = []pipeline.Reason{{What: "severity CRITICAL", Points: 90}, {What: "exposed_credential", Points: 40}}
	t.Remediation, t.Links = pipeline.Remediation{}, nil
	return t
}

func huge() pipeline.Ticket {
	t := plain()
	t.Title, t.Description = strings.Repeat("ü", 5000), strings.Repeat("Größe <b> ", 5000)
	f := t.Findings[0]
	t.Findings = nil
	for i := range 80 {
		f.Resource = "arn:aws:s3:::bucket-" + strconv.Itoa(i)
		t.Findings = append(t.Findings, f)
	}
	t.Compliance = make([]string, 30)
	for i := range t.Compliance {
		t.Compliance[i] = "control " + strconv.Itoa(i)
	}
	t.Count, t.Total = 75, 1200
	return t
}

func TestMarkdownGolden(t *testing.T) {
	closed := plain()
	closed.Open, closed.Why, closed.Count = false, "fixed", 0
	for name, in := range map[string]pipeline.Ticket{
		"plain": plain(), "closed": closed, "hostile": hostile(), "leaked": leaked(), "huge": huge(),
		"empty": {Case: "DK-1", Key: "docket-0123456789abcdef0123", Open: true},
	} {
		t.Run(name, func(t *testing.T) {
			got := Markdown(in)
			file := filepath.Join("testdata", name+".md")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("Markdown(%s) differs from %s (-want +got):\n%s", name, file, diff)
			}
			if !utf8.ValidString(got) {
				t.Errorf("Markdown(%s) is not UTF-8", name)
			}
			for _, bad := range []string{"<script", "k](", "![", "\x1b", "\u202e", "\u200b", "\x00", "<!--"} {
				if strings.Contains(got, bad) {
					t.Errorf("Markdown(%s) holds %q", name, bad)
				}
			}
		})
	}
}

func TestNeedsRecovery(t *testing.T) {
	for _, c := range []struct {
		name    string
		factors []string
		typ     string
		want    bool
	}{
		{"nothing", nil, "AwsIamUser", false},
		{"exposed credential", []string{"exposed_credential"}, "", true},
		{"threat against an instance", []string{"active_threat"}, "AwsEc2Instance", false},
		{"threat against a key", []string{"active_threat"}, "AwsIamAccessKey", true},
		{"threat against root", []string{"active_threat", "root_identity"}, "AwsEc2Instance", true},
		{"root alone", []string{"root_identity"}, "AwsAccount", false},
		{"named with a word before", []string{"risk factor exposed_credential"}, "", true},
	} {
		in := pipeline.Ticket{Resource: pipeline.Resource{Type: c.typ}}
		for _, f := range c.factors {
			in.Explanation.Reasons = append(in.Explanation.Reasons, pipeline.Reason{What: f})
		}
		if got := NeedsRecovery(in); got != c.want {
			t.Errorf("%s: NeedsRecovery() = %v; want %v", c.name, got, c.want)
		}
	}
}

func TestRecoveryHasElevenSteps(t *testing.T) {
	for id, user := range map[string]string{
		"arn:aws:iam::111122223333:user/ci/build":       "--user-name build ",
		"arn:aws:iam::111122223333:user/x;rm -rf $HOME": "--user-name USER ",
		"arn:aws:iam::111122223333:user/-x":             "--user-name USER ",
		"":                                              "--user-name USER ",
	} {
		steps := recovery(pipeline.Ticket{Resource: pipeline.Resource{ID: id}, Account: pipeline.Account{ID: "1; rm"}})
		if len(steps) != 11 {
			t.Errorf("recovery() has %d steps; want 11", len(steps))
		}
		for i, s := range steps {
			if len(s.commands) == 0 || s.what == "" {
				t.Errorf("step %d = %+v; want words and a command", i+1, s)
			}
			if strings.Contains(strings.Join(s.commands, ""), "rm") && strings.Contains(strings.Join(s.commands, ""), "; rm") {
				t.Errorf("step %d carries text from outside: %v", i+1, s.commands)
			}
		}
		if !strings.Contains(steps[0].commands[0], user) {
			t.Errorf("recovery(%q) step 1 = %q; want %q", id, steps[0].commands[0], user)
		}
	}
}

func TestConsoleURL(t *testing.T) {
	for _, c := range []struct{ id, typ, region, want string }{
		{"arn:aws:ec2:eu-west-1:111122223333:instance/i-0abc", "", "", "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#InstanceDetails:instanceId=i-0abc"},
		{"arn:aws:ec2:eu-west-1:111122223333:security-group/sg-1", "", "us-east-1", "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#SecurityGroup:groupId=sg-1"},
		{"arn:aws:s3:::pay exports", "", "eu-west-1", "https://console.aws.amazon.com/s3/buckets/pay%20exports"},
		{"arn:aws:iam::111122223333:user/ci/build", "", "us-east-1", "https://console.aws.amazon.com/iam/home#/users/details/build"},
		{"arn:aws:iam::111122223333:root", "", "", "https://console.aws.amazon.com/iam/home#/security_credentials"},
		{"arn:aws-us-gov:iam::111122223333:role/x", "", "", "https://console.amazonaws-us-gov.com/iam/home#/roles/details/x"},
		{"arn:aws:rds:eu-west-1:111122223333:db:orders", "", "", "https://eu-west-1.console.aws.amazon.com/rds/home?region=eu-west-1#database:id=orders;is-cluster=false"},
		{"arn:aws:sns:eu-west-1:111122223333:topic", "", "", "https://eu-west-1.console.aws.amazon.com/sns/v3/home?region=eu-west-1#/topic/arn%3Aaws%3Asns%3Aeu-west-1%3A111122223333%3Atopic"},
		{"arn:aws:glue:eu-west-1:111122223333:job/a", "", "", "https://console.aws.amazon.com/go/view?arn=arn%3Aaws%3Aglue%3Aeu-west-1%3A111122223333%3Ajob%2Fa"},
		{"arn:aws:ec2::111122223333:instance/i-0abc", "", "nowhere", "https://console.aws.amazon.com/go/view?arn=arn%3Aaws%3Aec2%3A%3A111122223333%3Ainstance%2Fi-0abc"},
		{"arn:evil:ec2:eu-west-1:1:instance/i", "", "", ""},
		{"repository/path", "", "eu-west-1", ""},
		{"", "", "", ""},
	} {
		if got := ConsoleURL(pipeline.Resource{ID: c.id, Type: c.typ}, c.region); got != c.want {
			t.Errorf("ConsoleURL(%q, %q) = %q; want %q", c.id, c.region, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "a b\n\tc", "a b\n\tc"},
		{"colour", "\x1b[1;31mred\x1b[0m", "red"},
		{"title sequence", "a\x1b]0;owned\x07b", "ab"},
		{"sequence without an end", "a\x1b]0;owned\nnext", "a\nnext"},
		{"CSI as one character", "a\u009b31mb", "ab"},
		{"lone escape", "a\x1b", "a"},
		{"bidi", "a\u202eb\u2066c", "abc"},
		{"line ends", "a\r\nb\rc\u2028d", "a\nb\nc\nd"},
		{"bad UTF-8", "a\xffb", "a\ufffdb"},
		{"hidden tags", "a\U000e0041b", "ab"},
		{"umlaut and kanji stay", "Größe 漢字", "Größe 漢字"},
	} {
		if got := Clean(c.in); got != c.want {
			t.Errorf("%s: Clean(%q) = %q; want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"abc", 3, "abc"},
		{"ééé", 3, "ééé"},
		{"éééé", 3, "ééé… (1 more characters)"},
		{"", 0, ""},
	} {
		if got := Cut(c.in, c.limit); got != c.want {
			t.Errorf("Cut(%q, %d) = %q; want %q", c.in, c.limit, got, c.want)
		}
	}
}

func TestEscapeIsReadable(t *testing.T) {
	for in, want := range map[string]string{
		"ec2_instance_imdsv2_enabled": "ec2_instance_imdsv2_enabled",
		"_private_":                   `\_private\_`,
		"a|b":                         `a\|b`,
		"1. first":                    `1\. first`,
		"v1.2. x":                     "v1.2. x",
		"# h":                         `\# h`,
		"x # y":                       "x # y",
		"a\nb":                        "a b",
		"<a href=x>":                  "&lt;a href=x&gt;",
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestComment(t *testing.T) {
	got := Comment(pipeline.Comment{EventID: "DK-1/r7", Time: at("2026-01-02T03:04:05Z"), Lines: []string{"2 findings joined", "<b>x</b>\ny"}})
	want := "**2026-01-02 03:04 UTC** (DK-1/r7)\n\n- 2 findings joined\n- &lt;b&gt;x&lt;/b&gt; y\n"
	if got != want {
		t.Errorf("Comment() = %q; want %q", got, want)
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("# <b>\x1b[0m", "1. `x`|")
	f.Fuzz(func(t *testing.T, title, text string) {
		got := Markdown(pipeline.Ticket{Case: "DK-1", Title: title, Description: text, Resource: pipeline.Resource{ID: text}})
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x00\r\u202e") {
			t.Errorf("Markdown(%q, %q) = %q; want clean UTF-8", title, text, got)
		}
		if strings.Count(got, "\n# ") != 0 || !strings.HasPrefix(got, "# ") {
			t.Errorf("Markdown(%q, %q) = %q; want one title", title, text, got)
		}
	})
}

func TestOneLineFoldsAsFieldsDo(t *testing.T) {
	for _, s := range []string{"", " ", "a", "a b", " a", "a ", "a  b", "a\tb", "a\n b ", "ü  x", "a\u00a0 b", "a\x1b[31mb", "a\x7fb"} {
		if got, want := oneLine(s), strings.Join(strings.Fields(Clean(s)), " "); got != want {
			t.Errorf("oneLine(%q) = %q; want %q", s, got, want)
		}
	}
}
