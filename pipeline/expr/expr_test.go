package expr

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
)

func testEnv(t testing.TB) *Env {
	t.Helper()
	env, err := NewEnv()
	if err != nil {
		t.Fatalf("NewEnv() = %v", err)
	}
	return env
}

func testFinding() *pipeline.Finding {
	return &pipeline.Finding{
		Kind:       pipeline.KindVulnerability,
		Account:    pipeline.Account{ID: "111122223333", Name: "shop-prod", OU: []string{"root", "sandbox"}, Tags: map[string]string{"tier": "0"}},
		Region:     "eu-west-1",
		Resource:   pipeline.Resource{ID: "arn:aws:s3:::b", Type: "AwsS3Bucket", Name: "b", Original: "b", Tags: map[string]string{"team": "payments", "empty": ""}},
		Repository: "shop/cart", Control: "S3.8", Problem: "s3-public", Title: "Bucket is public", Description: "Everybody can read it",
		Remediation: pipeline.Remediation{Text: "Close it", URL: "https://example.com/fix"},
		Links:       []string{"https://example.com"}, Compliance: []string{"PCI DSS 3.2.1/1.3.1"},
		Severity: pipeline.High, RiskFactors: []string{"known_exploited", "public_exposure"}, Tags: []string{"TTPs/Discovery"},
		Vuln:   &pipeline.Vulnerability{ID: "CVE-2024-3094", Package: "xz", Version: "5.6.0", FixedVersion: "5.6.2", CVSS: 10, EPSS: 0.8, KEV: true},
		Status: pipeline.StatusOpen, StatusReason: "FAILED", Products: []string{"Prowler", "Security Hub"},
		ObservedAt: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), FirstObserved: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		Raw: []byte(`{"Id":"x","Resources":[{"Type":"AwsS3Bucket"}],"Confidence":90,"Sample":true}`),
	}
}

func TestEval(t *testing.T) {
	tests := []struct {
		name, src string
		want      bool
	}{
		{"text", `finding.account.id == "111122223333"`, true},
		{"every text field", `finding.region == "eu-west-1" && finding.repository == "shop/cart" && finding.control == "S3.8" && finding.problem == "s3-public" && finding.title.contains("public") && finding.description != "" && finding.kind == "vulnerability" && finding.status == "open" && finding.status_reason == "FAILED" && finding.fingerprint.size() == 64`, true},
		{"account", `finding.account.name.endsWith("-prod") && "sandbox" in finding.account.ou && finding.account.ou[0] == "root"`, true},
		{"resource", `finding.resource.id.startsWith("arn:aws:s3") && finding.resource.type == "AwsS3Bucket" && finding.resource.name == finding.resource.original`, true},
		{"remediation", `finding.remediation.text == "Close it" && finding.remediation.url.matches("^https://")`, true},
		{"lists", `"known_exploited" in finding.risk_factors && size(finding.products) == 2 && finding.compliance.exists(c, c.startsWith("PCI")) && finding.links.all(l, l != "") && "TTPs/Discovery" in finding.tags`, true},
		{"absent from a list", `"production" in finding.risk_factors`, false},
		{"list joined", `(finding.products + ["x"]).size() == 3`, true},
		{"severity word", `finding.severity == "HIGH"`, true},
		{"severity rank", `finding.severity_rank >= 4`, true},
		{"cvss with a whole number", `finding.vulnerability.cvss >= 9`, true},
		{"vulnerability", `finding.vulnerability.id == "CVE-2024-3094" && finding.vulnerability.package == "xz" && finding.vulnerability.version == "5.6.0" && finding.vulnerability.fixed_version == "5.6.2" && finding.vulnerability.epss > 0.5 && finding.vulnerability.kev && !finding.vulnerability.exploit`, true},
		{"no code", `has(finding.code) || finding.code.line > 0 || finding.code.path != ""`, false},
		{"code of a finding without", `finding.code.rule == "" && finding.code.snippet == "" && finding.code.fingerprint == "" && finding.code.occurrence == 0`, true},
		{"time", `finding.observed_at - finding.first_observed > duration("240h")`, true},
		{"time against a literal", `finding.first_observed < timestamp("2026-12-01T00:00:00Z")`, true},
		{"tag", `finding.tag["team"] == "payments" && finding.tag.team == "payments" && finding.resource.tags.team == "payments"`, true},
		{"account tag", `finding.account.tags["tier"] == "0"`, true},
		{"missing tag reads as empty", `finding.tag["owner"] == "" && finding.tag.owner == "" && finding.account.tags["x"] == ""`, true},
		{"missing tag by a worked-out key", `finding.tag[finding.region] == ""`, true},
		{"has tells the truth", `has(finding.tag.team) && !has(finding.tag.owner) && has(finding.tag.empty)`, true},
		{"in tells the truth", `"team" in finding.tag && !("owner" in finding.tag) && "empty" in finding.tag`, true},
		{"keys of tags", `finding.tag.exists(k, k == "team") && finding.tag.size() == 2 && finding.tag.all(k, k != "owner")`, true},
		{"tags by a condition", `(finding.region == "" ? finding.tag : finding.account.tags)["tier"] == "0"`, true},
		{"a part as a value", `[finding.account].exists(a, a.id == "111122223333" && a.tags["none"] == "")`, true},
		{"a part is itself", `finding.account == finding.account && finding == finding`, true},
		{"types", `type(finding) == type(finding) && type(finding.account) != type(finding.resource) && type(finding.tag) == map && type(finding.tag) == type(finding.account.tags)`, true},
		{"lists of tags", `[finding.tag] == [finding.resource.tags] && [finding.tag] != [finding.account.tags]`, true},
		{"dyn", `dyn(finding).region == "eu-west-1" && has(dyn(finding).region) && !has(dyn(finding).code)`, true},
		{"raw", `finding.raw.Resources[0].Type == "AwsS3Bucket" && finding.raw.Confidence > 80 && finding.raw.Sample == true`, true},
		{"has in raw", `has(finding.raw.Id) && !has(finding.raw.Nothing)`, true},
		{"raw guarded", `has(finding.raw.Nothing) && finding.raw.Nothing.Deep == 1`, false},
		{"error on one side only", `finding.raw.Nothing == 1 || finding.region == "eu-west-1"`, true},
		{"has of empty and full", `has(finding.region) && has(finding.vulnerability) && has(finding.observed_at) && has(finding.account.ou) && has(finding.tag) && has(finding.severity_rank) && has(finding.vulnerability.cvss) && !has(finding.vulnerability.exploit) && has(finding.raw)`, true},
	}
	env, subject := testEnv(t), NewSubject(testFinding())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := env.Compile(tt.src)
			if err != nil {
				t.Fatalf("Compile(%s) = %v", tt.src, err)
			}
			for _, s := range []*Subject{subject, NewSubject(testFinding())} {
				if got, err := p.Eval(s); got != tt.want || err != nil {
					t.Errorf("Eval(%s) = %t, %v; want %t", tt.src, got, err, tt.want)
				}
			}
		})
	}
}

func TestEvalOfAnEmptyFinding(t *testing.T) {
	env := testEnv(t)
	for _, src := range []string{
		`finding.tag["x"] == "" && !has(finding.tag.x) && !has(finding.tag)`,
		`!("x" in finding.risk_factors) && finding.account.ou.size() == 0`,
		`!has(finding.raw) && !has(finding.raw.x)`,
		`finding.severity == "UNKNOWN" && finding.severity_rank == 0 && !has(finding.observed_at)`,
		`!has(finding.vulnerability) && finding.vulnerability.cvss == 0.0 && !finding.vulnerability.kev`,
	} {
		p, err := env.Compile(src)
		if err != nil {
			t.Fatalf("Compile(%s) = %v", src, err)
		}
		if got, err := p.Eval(NewSubject(&pipeline.Finding{})); !got || err != nil {
			t.Errorf("Eval(%s) = %t, %v; want true", src, got, err)
		}
	}
}

func TestEvalErrors(t *testing.T) {
	broken := testFinding()
	broken.Raw = []byte(`{"Id":`)
	tests := []struct {
		name, src string
		finding   *pipeline.Finding
		want      string
	}{
		{"missing raw field", `finding.raw.Nothing == 1`, testFinding(), "no such key: Nothing"},
		{"raw that is not JSON", `finding.raw.Id == "x"`, broken, "read finding.raw: unexpected end of JSON input"},
		{"wrong type in raw", `finding.raw.Id > 3`, testFinding(), "no such overload"},
		{"unknown field behind dyn", `dyn(finding).nothing == 1`, testFinding(), "no such field: finding.nothing"},
		{"a big regular expression from the finding", `finding.region.matches(finding.title)`, &pipeline.Finding{Title: "(a{30}){30}(b{30}){30}(c{30}){30}"}, "regex program size"},
		{"index out of range", `finding.account.ou[7] == ""`, testFinding(), "index out of bounds: 7"},
		{"cost of the raw record", `finding.raw.all(a, finding.raw.all(b, finding.raw.all(c, finding.raw.all(d, a + b + c + d != ""))))`, bigRaw(40), ErrCost.Error()},
		{"cost of many tags", `finding.tag.all(a, finding.tag.all(b, a + b != "-"))`, manyTags(600), ErrCost.Error()},
	}
	env := testEnv(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := env.Compile(tt.src)
			if err != nil {
				t.Fatalf("Compile(%s) = %v", tt.src, err)
			}
			got, err := p.Eval(NewSubject(tt.finding))
			if got || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Eval(%s) = %t, %v; want false and an error with %q", tt.src, got, err, tt.want)
			}
		})
	}
}

func bigRaw(keys int) *pipeline.Finding {
	var b strings.Builder
	for i := range keys {
		b.WriteString(`,"k` + strings.Repeat("x", i) + `":1`)
	}
	return &pipeline.Finding{Raw: []byte("{" + b.String()[1:] + "}")}
}

func manyTags(n int) *pipeline.Finding {
	tags := map[string]string{}
	for i := range n {
		tags[strings.Repeat("k", i+1)] = "v"
	}
	return &pipeline.Finding{Resource: pipeline.Resource{Tags: tags}}
}

// A finding that is bigger than the estimate took it for is counted even by a program that is cheap on usual ones.
func TestUnusualFindingIsCounted(t *testing.T) {
	p, err := testEnv(t).Compile(`finding.tag.all(a, finding.tag[a] != "x")`)
	if err != nil {
		t.Fatal(err)
	}
	if p.plain == nil {
		t.Fatal("the expression is counted on every finding; want only on unusual ones")
	}
	if got, err := p.Eval(NewSubject(manyTags(100))); !got || err != nil {
		t.Errorf("Eval(100 tags) = %t, %v; want true", got, err)
	}
	big := &pipeline.Finding{Resource: pipeline.Resource{Tags: map[string]string{}}}
	for i := range 60_000 {
		big.Resource.Tags[time.Duration(i).String()] = "v"
	}
	if _, err := p.Eval(NewSubject(big)); !errors.Is(err, ErrCost) {
		t.Errorf("Eval(60,000 tags) = %v; want %v", err, ErrCost)
	}
}

func TestCompileErrors(t *testing.T) {
	tests := []struct {
		name, src string
		want      []Error
	}{
		{"unknown field", `finding.acount.id == "1"`, []Error{{1, 8, "undefined field 'acount', did you mean 'account'?"}}},
		{"unknown field of a part", "true &&\n  finding.account.idd == \"1\"", []Error{{2, 18, "undefined field 'idd', did you mean 'id'?"}}},
		{"unknown field of the finding that a part has", `finding.namee == ""`, []Error{{1, 8, "undefined field 'namee'"}}},
		{"unknown field behind a condition", `(true ? finding : finding).namee == ""`, []Error{{1, 27, "undefined field 'namee'"}}},
		{"unknown field, nothing near", `finding.xyzzyxyzzy`, []Error{{1, 8, "undefined field 'xyzzyxyzzy'"}}},
		{"two at once", `finding.regoin == "a" && finding.serverity == "b"`, []Error{
			{1, 8, "undefined field 'regoin', did you mean 'region'?"}, {1, 33, "undefined field 'serverity', did you mean 'severity'?"}}},
		{"columns are characters", `"é" == "é" && finding.knid == ""`, []Error{{1, 22, "undefined field 'knid', did you mean 'kind'?"}}},
		{"unknown variable", `findin.region == "a"`, []Error{{1, 1, "undeclared reference to 'findin' (did you mean 'finding'?)"}}},
		{"wrong type", `finding.severity_rank == "HIGH"`, []Error{{1, 23, "found no matching overload for '_==_' applied to '(int, string)'"}}},
		{"not a condition", `finding.region`, []Error{{1, 1, "the result must be true or false (bool), this is string"}}},
		{"not known to be one", `finding.raw.x`, []Error{{1, 1, "the result's type is not known before it runs; write a comparison, such as … == true"}}},
		{"made in the expression", `account{id: "1"}.id == "1"`, []Error{{1, 8, "an object cannot be made in an expression"}}},
		{"map in a list", `{"a": "b"} in [finding.tag]`, []Error{{1, 12, "maps cannot be compared as a whole; compare single tags"}}},
		{"whole maps", `{"a": "b"} == finding.tag`, []Error{{1, 12, "maps cannot be compared as a whole; compare single tags"}}},
		{"bomb of literals", `[1,2,3,4,5,6,7,8,9,0].map(a, [1,2,3,4,5,6,7,8,9,0].map(b, [1,2,3,4,5,6,7,8,9,0].map(c, [1,2,3,4,5,6,7,8,9,0].map(d, [1,2,3,4,5,6,7,8,9,0].map(e, a + b + c + d + e))))).size() > 0`,
			[]Error{{1, 1, "it would always cost more than the limit of 100000 steps"}}},
	}
	env := testEnv(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := env.Compile(tt.src)
			var got []Error
			for _, one := range All(err) {
				got = append(got, *one)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Compile(%s), -want +got:\n%s", tt.src, diff)
			}
		})
	}
}

func TestErrorTexts(t *testing.T) {
	p, err := testEnv(t).Compile("finding.regoin == \"\" &&\n finding.acount.id == \"\"")
	if p != nil || err == nil {
		t.Fatalf("Compile = %v, %v; want an error", p, err)
	}
	var got []string
	for _, one := range At("route.when", err) {
		var inner *Error
		if !errors.As(one, &inner) {
			t.Errorf("%v holds no *Error", one)
		}
		got = append(got, one.Error())
	}
	want := []string{
		"route.when: line 1, column 8: undefined field 'regoin', did you mean 'region'?",
		"route.when: line 2, column 9: undefined field 'acount', did you mean 'account'?",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("At, -want +got:\n%s", diff)
	}
	if got := At("route.when", nil); got != nil {
		t.Errorf("At(nil) = %v; want nothing", got)
	}
	if got := At("x", ErrCost); len(got) != 1 || !errors.Is(got[0], ErrCost) {
		t.Errorf("At(another error) = %v; want it with its path", got)
	}
}

func TestCompileRefusesHostileTexts(t *testing.T) {
	env := testEnv(t)
	for name, src := range map[string]string{
		"empty":     "",
		"half":      `finding.region == `,
		"too long":  `"` + strings.Repeat("a", MaxRunes) + `" == ""`,
		"too deep":  strings.Repeat("(", 400) + "true" + strings.Repeat(")", 400),
		"too many":  strings.Repeat("true && ", 2000) + "true && 1",
		"bad regex": `finding.region.matches("(")`,
		"big regex": `finding.region.matches("(a{500}){500}")`,
		"control":   "\x00\xff",
	} {
		if _, err := env.Compile(src); len(All(err)) == 0 {
			t.Errorf("Compile(%s) = %v; want an *Error", name, err)
		} else if len(All(err)) > maxErrors {
			t.Errorf("Compile(%s) gives %d errors; want at most %d", name, len(All(err)), maxErrors)
		}
	}
	if All(errors.New("other")) != nil {
		t.Error("All(another error) is not empty")
	}
}

func TestFieldTable(t *testing.T) {
	if n := len(fieldTable()); n > maxFields {
		t.Errorf("fieldTable() has %d fields; want at most %d", n, maxFields)
	}
	seen := map[string]bool{}
	for _, f := range fieldTable() {
		if key := f.object + "." + f.name; seen[key] {
			t.Errorf("%s is there twice", key)
		} else {
			seen[key] = true
		}
	}
}

func TestEqualities(t *testing.T) {
	tests := []struct {
		name, src string
		want      []Equality
	}{
		{"equal", `finding.account.id == "1"`, []Equality{{"account.id", []string{"1"}, nil}}},
		{"the other way round", `"1" == finding.region`, []Equality{{"region", []string{"1"}, nil}}},
		{"in literals", `finding.region in ["b", "a", "a"]`, []Equality{{"region", []string{"a", "b"}, nil}}},
		{"in a list field", `"sandbox" in finding.account.ou`, []Equality{{"account.ou", []string{"sandbox"}, nil}}},
		{"and", `finding.region == "a" && finding.severity_rank > 2 && finding.control == "c"`, []Equality{{"control", []string{"c"}, nil}, {"region", []string{"a"}, nil}}},
		{"and of one field keeps the shorter", `finding.region in ["a", "b"] && finding.region == "b"`, []Equality{{"region", []string{"b"}, nil}}},
		{"or of one field", `finding.region == "a" || finding.region == "b"`, []Equality{{"region", []string{"a", "b"}, nil}}},
		{"or of two fields", `finding.region == "a" || finding.control == "b"`, []Equality{}},
		{"or inside and", `(finding.region == "a" || finding.region == "b" && finding.control == "c") && finding.kind == "k"`, []Equality{{"kind", []string{"k"}, nil}, {"region", []string{"a", "b"}, nil}}},
		{"tag", `finding.tag["team"] == "x" && finding.account.tags.tier == "0" && finding.resource.tags["a.b"] == "y"`,
			[]Equality{{"account.tags.tier", []string{"0"}, nil}, {"resource.tags.a.b", []string{"y"}, nil}, {"tag.team", []string{"x"}, nil}}},
		{"startsWith", `finding.account.id.startsWith("11") && finding.title.startsWith(finding.region)`, []Equality{{"account.id", nil, []string{"11"}}}},
		{"startsWith or equal", `finding.region.startsWith("eu-") || finding.region == "us-east-1"`, []Equality{{"region", []string{"us-east-1"}, []string{"eu-"}}}},
		{"endsWith", `finding.region.endsWith("eu-")`, []Equality{}},
		{"not", `!(finding.region == "a")`, []Equality{}},
		{"raw", `finding.raw.x == "a"`, []Equality{}},
		{"key in tags", `"team" in finding.tag`, []Equality{}},
		{"computed", `finding.region == "a" + "b"`, []Equality{}},
		{"condition", `finding.region == "a" ? true : true`, []Equality{}},
		{"hidden name", `["a"].exists(finding, finding == "a")`, []Equality{}},
	}
	env := testEnv(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := env.Compile(tt.src)
			if err != nil {
				t.Fatalf("Compile(%s) = %v", tt.src, err)
			}
			if diff := cmp.Diff(tt.want, p.Equalities()); diff != "" {
				t.Errorf("Equalities(%s), -want +got:\n%s", tt.src, diff)
			}
		})
	}
}

func TestProgramIsSafeForConcurrentUse(t *testing.T) {
	p, err := testEnv(t).Compile(`finding.tag["team"] == "payments" && finding.raw.Confidence > 80 && finding.links.exists(l, l != "")`)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := p.Eval(NewSubject(testFinding())); !got || err != nil {
					t.Errorf("Eval = %t, %v; want true", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompile(f *testing.F) {
	for _, src := range []string{
		`finding.account.id == "1"`, `"x" in finding.risk_factors`, `has(finding.tag.a) && finding.tag["b"] == ""`,
		`finding.raw.a[0].b > 3`, `finding.tag.all(a, finding.tag.all(b, a == b))`, `[1,2].map(x, x * 2).exists(y, y > 3)`,
		`finding.observed_at > timestamp("2026-01-01T00:00:00Z")`, `finding.title.matches("(a+)+$")`, `1/0 == 1`,
	} {
		f.Add(src, []byte(`{"a":[{"b":4}]}`))
	}
	env := testEnv(f)
	f.Fuzz(func(t *testing.T, src string, raw []byte) {
		p, err := env.Compile(src)
		if err != nil {
			if len(All(err)) == 0 {
				t.Fatalf("Compile(%q) = %v; want an *Error", src, err)
			}
			return
		}
		finding := testFinding()
		finding.Raw = raw
		started := time.Now()
		got, err := p.Eval(NewSubject(finding))
		if err != nil && got {
			t.Errorf("Eval(%q) = true with error %v", src, err)
		}
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("Eval(%q) took %s", src, took)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	env := testEnv(b)
	for name, src := range map[string]string{
		"equal":  `finding.account.id == "111122223333"`,
		"factor": `"exposed_credential" in finding.risk_factors`,
		"tag":    `finding.account.tags["tier"] == "0"`,
		"three":  `finding.account.id == "111122223333" && finding.tag["team"] == "payments" && "public_exposure" in finding.risk_factors`,
		"nested": `finding.risk_factors.exists(a, finding.tags.exists(b, a == b))`,
	} {
		p, err := env.Compile(src)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			f := testFinding()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(NewSubject(f)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/reused", func(b *testing.B) {
			s := NewSubject(testFinding())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestFieldsCanBeRead(t *testing.T) {
	env := testEnv(t)
	for _, f := range Fields() {
		p, err := env.Compile("type(" + f.Name + ") == type(" + f.Name + ") && dyn(" + f.Name + ") == " + f.Name)
		if strings.HasPrefix(f.Type, "map") {
			p, err = env.Compile("size(" + f.Name + ") >= 0")
		}
		if err != nil {
			t.Errorf("Compile(%s) = %v", f.Name, err)
			continue
		}
		if got, err := p.Eval(NewSubject(testFinding())); !got || err != nil {
			t.Errorf("Eval(%s %s) = %t, %v; want true", f.Name, f.Type, got, err)
		}
	}
}
