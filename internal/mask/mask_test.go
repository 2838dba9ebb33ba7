package mask

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
)

func newMasker(t testing.TB) *Masker {
	t.Helper()
	m, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The alphabets of credentials. Values are drawn at test time, so that no
// scanner finds a credential in this file.
const (
	digits   = "0123456789"
	hexes    = digits + "abcdef"
	uppers   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lowers   = "abcdefghijklmnopqrstuvwxyz"
	alnum    = uppers + lowers + digits
	base32   = uppers + "234567"
	base64ch = alnum + "+/"
)

func draw(r *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// planted is one credential of each kind: the text it stands in and the secret.
type planted struct{ kind, text, secret string }

func plant(r *rand.Rand) []planted {
	out := []planted{}
	add := func(kind, before, secret, after string) {
		out = append(out, planted{kind, before + secret + after, secret})
	}
	add("aws-access-token", "the key ", "AK"+"IA"+draw(r, base32, 16), " was used")
	add("aws-access-token", "temporary ", "AS"+"IA"+draw(r, base32, 16), ".")
	add("generic-api-key", "aws_secret_access_key = ", draw(r, alnum, 20)+"9aZ"+draw(r, base64ch, 17), "\n")
	add("github-pat", "token ", "gh"+"p_"+draw(r, alnum, 36), " in .npmrc")
	add("github-fine-grained-pat", "", "github_"+"pat_"+draw(r, alnum, 82), "")
	add("gitlab-pat", "CI uses ", "glp"+"at-"+draw(r, alnum, 20), "")
	add("slack-bot-token", "bot ", "xo"+"xb-"+draw(r, "123456789", 11)+"-"+draw(r, digits, 12)+"-"+draw(r, alnum, 24), " there")
	add("slack-webhook-url", "post to ", "https://hooks.sl"+"ack.com/services/T"+draw(r, uppers+digits, 8)+"/B"+draw(r, uppers+digits, 8)+"/"+draw(r, alnum, 24), " now")
	add("stripe-access-token", "charge with ", "sk_"+"live_"+draw(r, alnum, 24), " ")
	add("gcp-api-key", "maps ", "AI"+"za"+draw(r, alnum, 35), " ")
	add("jwt", "Authorization: Bearer ", "ey"+"J"+draw(r, alnum, 33)+".ey"+"J"+draw(r, alnum, 700)+"."+draw(r, alnum, 43), "")
	add("npm-access-token", "", "np"+"m_"+draw(r, lowers+digits, 36), "\n")
	add("sendgrid-api-token", "mail ", "S"+"G."+draw(r, alnum, 22)+"."+draw(r, alnum, 43), " ")
	add("datadog-access-token", "DATADOG_API_KEY=", draw(r, hexes, 40), " ")
	add("generic-api-key", `db_password: "`, "q7"+draw(r, alnum, 18)+"8R", `"`)
	add("private-key", "", "-----BEGIN RSA PRIV"+"ATE KEY-----\n"+draw(r, base64ch, 64)+"\n"+draw(r, base64ch, 64)+"\n-----END RSA PRIV"+"ATE KEY-----", "\n")
	add("private-key", "cut: ", "-----BEGIN PRIV"+"ATE KEY-----\n"+draw(r, base64ch, 64)+"\n"+draw(r, base64ch, 40), " ")
	return out
}

// leaks reports whether a piece of the secret, past what may stay, is readable in out.
func leaks(out, secret string) bool {
	body := strings.TrimPrefix(secret, "-----BEGIN")
	for i := 5; i+9 <= len(body); i++ {
		if strings.Contains(out, body[i:i+9]) && !strings.Contains("PRIVATE KEY-----", body[i:i+9]) {
			return true
		}
	}
	return false
}

func TestStringMasksPlantedCredentials(t *testing.T) {
	m := newMasker(t)
	for seed := range uint64(30) {
		for _, p := range plant(rand.New(rand.NewPCG(seed, 1))) {
			got := m.String(p.text)
			if leaks(got, p.secret) || !strings.Contains(got, "[masked:"+p.kind+"]") {
				t.Errorf("String(%s, seed %d) = %q; want it masked", p.kind, seed, got)
			}
			if again := m.String(got); again != got {
				t.Errorf("String(String(%s)) = %q; want %q", p.kind, again, got)
			}
			if other := m.String(p.text); other != got {
				t.Errorf("String(%s) a second time = %q; want %q", p.kind, other, got)
			}
		}
	}
}

func TestMaskKeepsWhatPeopleNeed(t *testing.T) {
	m := newMasker(t)
	key := "AK" + "IA" + "QZ7YJ3MTWKRV5DNX"
	pem := "-----BEGIN PRIV" + "ATE KEY-----\n" + strings.Repeat("Ab3/", 16) + "\n-----END PRIV" + "ATE KEY-----"
	for _, c := range []struct{ name, in, want string }{
		{"access key keeps both ends", "key " + key + " leaked", "key AKIA[masked:aws-access-token]5DNX leaked"},
		{"two keys differ", key + " " + key[:18] + "MW", "AKIA[masked:aws-access-token]5DNX AKIA[masked:aws-access-token]5DMW"},
		{"short secret keeps nothing", `api_key = "x7Kq2mP9vL4w"`, `api_key = "[masked:generic-api-key]"`},
		{"private key whole", "a " + pem + " b", "a [masked:private-key] b"},
		{"escaped private key", "a " + strings.ReplaceAll(pem, "\n", `\n`) + " b", "a [masked:private-key] b"},
		{"a header in prose", "looks for -----BEGIN PRIV" + "ATE KEY----- in files", "looks for -----BEGIN PRIV" + "ATE KEY----- in files"},
		{"empty", "", ""},
		{"not UTF-8", "key \xff" + key + "\xfe", "key \xffAKIA[masked:aws-access-token]5DNX\xfe"},
		{"umlauts around", "Schlüssel „" + key + "“", "Schlüssel „AKIA[masked:aws-access-token]5DNX“"},
	} {
		if got := m.String(c.in); got != c.want {
			t.Errorf("%s: String(%q) = %q; want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestStringLeavesOrdinaryTextAlone(t *testing.T) {
	m := newMasker(t)
	for _, s := range []string{
		"arn:aws:iam::123456789012:role/aws-service-role/access-analyzer.amazonaws.com/AWSServiceRoleForAccessAnalyzer",
		"arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf",
		"arn:aws:securityhub:eu-west-1:123456789012:subscription/aws-foundational-security-best-practices/v/1.0.0/IAM.4/finding/5f2b1c1e-1111-4c2b-9d4e-0123456789ab",
		"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"repository@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
		"key: 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
		"docket-0123456789abcdef0123",
		"i-0abcd1234efgh5678, sg-0123456789abcdef0, vpc-0a1b2c3d",
		"AIDAQZ7YJ3MTWKRV5DNXA is a user, AROAQZ7YJ3MTWKRV5DNXA a role",
		"IAM access keys should be rotated every 90 days or less; api, token and auth are only words here.",
		"CVE-2024-3094 GHSA-rxwq-x6h5-x525 CIS.1.14 PCI.IAM.3 IAM.21",
		`"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"`,
		`"NextToken": null, "AccessKeyStatus": "Active", "KmsKeyManager": "CUSTOMER_MANAGED_KEY"`,
		"https://docs.aws.amazon.com/console/securityhub/IAM.21/remediation",
	} {
		if got := m.String(s); got != s {
			t.Errorf("String(%q) = %q; want it unchanged", s, got)
		}
	}
}

func TestBytesMasksInsideJSON(t *testing.T) {
	m := newMasker(t)
	for _, p := range plant(rand.New(rand.NewPCG(7, 7))) {
		nested, err := json.Marshal(map[string]string{"body": p.text})
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]any{
			"value":        map[string]any{"text": p.text},
			"list":         []any{"x", p.text, "y"},
			"nested JSON":  map[string]any{"event": string(nested)},
			"member name":  map[string]any{p.text: map[string]any{"n": 1}},
			"long name":    map[string]any{p.text: "a value"},
			"a bare value": p.text,
		} {
			in, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			before := bytes.Clone(in)
			got := m.Bytes(in)
			if !bytes.Equal(in, before) {
				t.Fatalf("Bytes(%s, %s) changed its input", p.kind, name)
			}
			if !json.Valid(got) {
				t.Errorf("Bytes(%s, %s) = %s; want valid JSON", p.kind, name, got)
			}
			if leaks(string(got), p.secret) {
				t.Errorf("Bytes(%s, %s) = %s; want it masked", p.kind, name, got)
			}
			if again := m.Bytes(got); !bytes.Equal(again, got) {
				t.Errorf("Bytes(Bytes(%s, %s)) = %s; want %s", p.kind, name, again, got)
			}
		}
	}
}

func TestBytesUsesNames(t *testing.T) {
	m := newMasker(t)
	secret := "q7Zx81LmRtYv" + "Kw04Hd"
	for _, c := range []struct{ name, in, want string }{
		{"member", `{"db_password": "` + secret + `"}`, `{"db_password": "q7Zx[masked:generic-api-key]"}`},
		{"name and value", `{"Name":"DB_PASSWORD","Value":"` + secret + `"}`, `{"Name":"DB_PASSWORD","Value":"q7Zx[masked:generic-api-key]"}`},
		{"another object's name", `[{"Name":"DB_PASSWORD"},{"Value":"` + secret + `"}]`, `[{"Name":"DB_PASSWORD"},{"Value":"` + secret + `"}]`},
		{"innocent name", `{"etag": "` + secret + `"}`, `{"etag": "` + secret + `"}`},
		{"escaped value", `{"api_key": "` + secret + `\n"}`, `{"api_key": "q7Zx[masked:generic-api-key]\n"}`},
		{"quote inside", `{"t": "api_key=\"` + secret + `\""}`, `{"t": "api_key=\"q7Zx[masked:generic-api-key]\""}`},
		{"lines of a key", `["-----BEGIN RSA PRIV` + `ATE KEY-----\n","` + strings.Repeat("Ab3/", 16) + `\n","` + strings.Repeat("9x+/", 16) + `\n","-----END RSA PRIV` + `ATE KEY-----\n","done and over, plain words"]`,
			`["[masked:private-key]\n","[masked:private-key]","[masked:private-key]","-----END RSA PRIV` + `ATE KEY-----\n","done and over, plain words"]`},
		{"no JSON", "api_key = '" + secret + "' {", "api_key = 'q7Zx[masked:generic-api-key]' {"},
		{"cut JSON", `{"api_key": "` + secret, `{"api_key": "q7Zx[masked:generic-api-key]`},
		{"two documents", `{"api_key":"` + secret + "\"}\n" + `{"api_key":"` + secret + `"}`, `{"api_key":"q7Zx[masked:generic-api-key]"}` + "\n" + `{"api_key":"q7Zx[masked:generic-api-key]"}`},
	} {
		if got := string(m.Bytes([]byte(c.in))); got != c.want {
			t.Errorf("%s: Bytes(%s) = %s; want %s", c.name, c.in, got, c.want)
		}
	}
}

func TestReportMasksEveryText(t *testing.T) {
	m := newMasker(t)
	key := "AK" + "IA" + "QZ7YJ3MTWKRV5DNX"
	masked := "AKIA[masked:aws-access-token]5DNX"
	report := func(s string) *pipeline.Report {
		return &pipeline.Report{
			Product: s, ID: s, Generator: s, Kind: pipeline.KindCode,
			Account:  pipeline.Account{ID: s, Name: s, OU: []string{s}, Tags: map[string]string{"a": s, s: "x"}},
			Resource: pipeline.Resource{ID: s, Type: s, Name: s, Original: s, Tags: map[string]string{"a": s}},
			Region:   s, Repository: s, Control: s, Names: []string{s}, Problem: s, Title: s, Description: s,
			Remediation: pipeline.Remediation{Text: s, URL: s}, Links: []string{s}, Compliance: []string{s},
			RiskFactors: []string{s}, Tags: []string{s}, StatusReason: s, Scope: s,
			Vuln: &pipeline.Vulnerability{ID: s, Package: s, Version: s, FixedVersion: s},
			Code: &pipeline.Code{Rule: s, Path: s, Snippet: s, Fingerprint: s},
			Raw:  []byte(`{"a":"` + s + `"}`),
		}
	}
	got, want := report(key), report(masked)
	m.Report(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Report() differs (-want +got):\n%s", diff)
	}
}

func TestConcurrentUse(t *testing.T) {
	m := newMasker(t)
	cases := plant(rand.New(rand.NewPCG(3, 3)))
	want := make([]string, len(cases))
	for i, p := range cases {
		want[i] = m.String(p.text)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for i, p := range cases {
					if got := m.String(p.text); got != want[i] {
						t.Errorf("String(%s) = %q; want %q", p.kind, got, want[i])
					}
				}
			}
		})
	}
	wg.Wait()
}

// shared is the folder of sample files beside the module, or a skip.
func shared(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("DOCKET_SHARED"); dir != "" {
		return filepath.Join(dir, "data")
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			data := filepath.Join(filepath.Dir(dir), "shared", "data")
			if _, err := os.Stat(data); err == nil {
				return data
			}
			break
		}
	}
	t.Skip("no sample data: set DOCKET_SHARED to its folder")
	return ""
}

// Real exports hold no credentials but for a few planted ones: what is masked
// in them is listed (run with -v) and bounded, so that a rule that fires on ordinary text shows.
func TestSampleDataSurvives(t *testing.T) {
	m := newMasker(t)
	root := shared(t)
	const most = 40
	total, files := 0, 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		out := m.Bytes(b)
		if json.Valid(b) && !json.Valid(out) {
			t.Errorf("Bytes(%s) is no valid JSON any more", e.Name())
		}
		if again := m.Bytes(out); !bytes.Equal(again, out) {
			t.Errorf("Bytes(Bytes(%s)) differs from Bytes of it", e.Name())
		}
		before, after := bytes.Split(b, []byte("\n")), bytes.Split(out, []byte("\n"))
		for i := range min(len(before), len(after)) {
			n := bytes.Count(after[i], []byte(maskOpen)) - bytes.Count(before[i], []byte(maskOpen))
			if n > 0 {
				total += n
				at := bytes.Index(after[i], []byte(maskOpen))
				t.Logf("%s:%d: %d masked: %s", e.Name(), i+1, n, after[i][max(0, at-60):min(len(after[i]), at+60)])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if total > most {
		t.Errorf("masked %d places in %d sample files; want at most %d", total, files, most)
	}
}

func FuzzBytes(f *testing.F) {
	m := newMasker(f)
	for _, p := range plant(rand.New(rand.NewPCG(1, 2))) {
		b, _ := json.Marshal(map[string]any{"a": p.text, p.text: 1})
		f.Add(b)
	}
	f.Add([]byte(`{"a":"\ud800","Name":"key","Value":"` + "\x80" + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := m.Bytes(b)
		if json.Valid(b) && !json.Valid(out) {
			t.Errorf("Bytes(%q) = %q; want valid JSON", b, out)
		}
		if again := m.Bytes(out); !bytes.Equal(again, out) {
			t.Errorf("Bytes(Bytes(%q)) = %q; want %q", b, again, out)
		}
	})
}

// finding is a record of about 3 KB as Security Hub sends it.
func finding() []byte {
	arn := "arn:aws:securityhub:eu-west-1:123456789012:subscription/aws-foundational-security-best-practices/v/1.0.0/IAM.3"
	v := map[string]any{
		"SchemaVersion": "2018-10-08", "Id": arn + "/finding/5f2b1c1e-1111-4c2b-9d4e-0123456789ab",
		"ProductArn":  "arn:aws:securityhub:eu-west-1::product/aws/securityhub",
		"GeneratorId": "aws-foundational-security-best-practices/v/1.0.0/IAM.3", "AwsAccountId": "123456789012",
		"Types":           []string{"Software and Configuration Checks/Industry and Regulatory Standards/AWS-Foundational-Security-Best-Practices"},
		"FirstObservedAt": "2026-01-02T03:04:05.678Z", "UpdatedAt": "2026-01-03T03:04:05.678Z",
		"Severity":    map[string]any{"Product": 40, "Label": "MEDIUM", "Normalized": 40, "Original": "MEDIUM"},
		"Title":       "IAM.3 IAM users' access keys should be rotated every 90 days or less",
		"Description": strings.Repeat("This AWS control checks whether the active access keys are rotated within 90 days. Access keys, API tokens and credentials that are not rotated stay valid. ", 6),
		"Remediation": map[string]any{"Recommendation": map[string]any{"Text": "For directions on how to fix this issue, consult the documentation.", "Url": "https://docs.aws.amazon.com/console/securityhub/IAM.3/remediation"}},
		"ProductFields": map[string]any{"StandardsArn": "arn:aws:securityhub:::standards/aws-foundational-security-best-practices/v/1.0.0",
			"StandardsSubscriptionArn": arn, "ControlId": "IAM.3", "RelatedAWSResources:0/name": "securityhub-access-keys-rotated-7d7c8e6b",
			"RelatedAWSResources:0/type": "AWS::Config::ConfigRule", "Resources:0/Id": "arn:aws:iam::123456789012:user/build"},
		"Resources": []any{map[string]any{"Type": "AwsIamUser", "Id": "arn:aws:iam::123456789012:user/build", "Partition": "aws", "Region": "eu-west-1",
			"Details": map[string]any{"AwsIamUser": map[string]any{"CreateDate": "2020-01-02T03:04:05.000Z", "Path": "/", "UserId": "AIDAQZ7YJ3MTWKRV5DNXA", "UserName": "build"}}}},
		"Compliance": map[string]any{"Status": "FAILED", "SecurityControlId": "IAM.3"}, "WorkflowState": "NEW", "RecordState": "ACTIVE",
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func BenchmarkBytes(b *testing.B) {
	m := newMasker(b)
	in := finding()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		m.Bytes(in)
	}
}

// Text that is all keywords must not cost more than a constant times its length.
func BenchmarkHostile(b *testing.B) {
	m := newMasker(b)
	in := []byte(strings.Repeat("okta: 0123456789a sk_live_ password=", 1000))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		m.Bytes(in)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		newMasker(b)
	}
}

func TestRulesAreWhole(t *testing.T) {
	m := newMasker(t)
	ids := make([]string, 0, len(m.rules))
	for _, r := range m.rules {
		ids = append(ids, r.id)
		if r.min < 8 {
			t.Errorf("rule %s matches %d bytes; want an expression that needs more", r.id, r.min)
		}
	}
	if slices.Sort(ids); len(ids) != 215 || len(slices.Compact(ids)) != 215 {
		t.Errorf("New() has %d rules; want 215 different ones", len(ids))
	}
}
