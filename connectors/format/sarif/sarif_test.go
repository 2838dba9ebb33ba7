package sarif_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/connectors/format/sarif"
	"github.com/docket-hub/docket/pipeline"
)

const driver = `{"driver":{"name":"T","rules":[{"id":"r","shortDescription":{"text":"rule r"},"messageStrings":{"m":{"text":"{0} of {1}"}}},{"id":"sev","properties":{"security-severity":"9.1"}},{"id":"lvl","defaultConfiguration":{"level":"note"}}]},
 "extensions":[{"name":"ext","rules":[{"id":"x/1","shortDescription":{"text":"rule of an extension"}}]}]}`

// reports reads results of one run with the given further members.
func reports(t *testing.T, members map[string]string, results ...string) []pipeline.Report {
	t.Helper()
	run := &sarif.Run{}
	if members["tool"] == "" {
		if err := run.Set("tool", []byte(driver)); err != nil {
			t.Fatal(err)
		}
	}
	for k, v := range members {
		if err := run.Set(k, []byte(v)); err != nil {
			t.Fatalf("Set(%s) = %v", k, err)
		}
	}
	var found []sarif.Found
	for _, r := range results {
		f := run.Read([]byte(r))
		run.Look(&f)
		found = append(found, f)
	}
	run.Close()
	var out []pipeline.Report
	for i, r := range results {
		data, err := run.Compose(&found[i], []byte(r))
		if err != nil {
			t.Fatalf("Compose(%s) = %v", r, err)
		}
		rep, err := sarif.Decode(data)
		if err != nil {
			t.Fatalf("Decode(%s) = %v", data, err)
		}
		out = append(out, rep)
	}
	return out
}

func at(uri, line, snippet, more string) string {
	return `{"ruleId":"r","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"` + uri + `"},"region":{"startLine":` + line + `,"snippet":{"text":"` + snippet + `"}}}}]` + more + `}`
}

func TestSeverity(t *testing.T) {
	tests := []struct {
		result string
		want   pipeline.Severity
	}{
		{`{"ruleId":"r","level":"error"}`, pipeline.High},
		{`{"ruleId":"r","level":"warning"}`, pipeline.Medium},
		{`{"ruleId":"r","level":"note"}`, pipeline.Low},
		{`{"ruleId":"r","level":"none"}`, pipeline.Informational},
		{`{"ruleId":"r"}`, pipeline.Medium},
		{`{"ruleId":"lvl"}`, pipeline.Low},
		{`{"ruleId":"lvl","level":"error"}`, pipeline.High},
		{`{"ruleId":"sev","level":"note"}`, pipeline.Critical},
		{`{"ruleId":"r","properties":{"security-severity":7.0}}`, pipeline.High},
		{`{"ruleId":"r","properties":{"security-severity":"4"}}`, pipeline.Medium},
		{`{"ruleId":"r","properties":{"security-severity":"0.1"}}`, pipeline.Low},
		{`{"ruleId":"r","level":"error","properties":{"security-severity":"high"}}`, pipeline.High},
		{`{"ruleId":"r","kind":"review"}`, pipeline.Informational},
		{`{"ruleIndex":2}`, pipeline.Low},
	}
	for _, tt := range tests {
		if got := reports(t, nil, tt.result)[0].Severity; got != tt.want {
			t.Errorf("severity of %s = %v; want %v", tt.result, got, tt.want)
		}
	}
}

func TestStatus(t *testing.T) {
	tests := []struct {
		result string
		want   pipeline.Status
	}{
		{`{"ruleId":"r"}`, pipeline.StatusOpen},
		{`{"ruleId":"r","kind":"fail"}`, pipeline.StatusOpen},
		{`{"ruleId":"r","kind":"pass"}`, pipeline.StatusResolved},
		{`{"ruleId":"r","kind":"notApplicable"}`, pipeline.StatusUnproven},
		{`{"ruleId":"r","kind":"informational"}`, pipeline.StatusUnproven},
		{`{"ruleId":"r","kind":"open"}`, pipeline.StatusUnproven},
		{`{"ruleId":"r","kind":"review"}`, pipeline.StatusUnproven},
		{`{"ruleId":"r","kind":"new word"}`, pipeline.StatusOpen},
		{`{"ruleId":"r","baselineState":"absent"}`, pipeline.StatusResolved},
		{`{"ruleId":"r","baselineState":"unchanged"}`, pipeline.StatusOpen},
		{`{"ruleId":"r","suppressions":[]}`, pipeline.StatusOpen},
		{`{"ruleId":"r","suppressions":[{"kind":"external"}]}`, pipeline.StatusUnproven},
		{`{"ruleId":"r","suppressions":[{"state":"rejected"}]}`, pipeline.StatusOpen},
		{`{"ruleId":"r","suppressions":[{"state":"underReview"}]}`, pipeline.StatusOpen},
		{`{"ruleId":"r","suppressions":[{"state":"rejected"},{"state":"accepted"}]}`, pipeline.StatusUnproven},
	}
	for _, tt := range tests {
		if got := reports(t, nil, tt.result)[0]; got.Status != tt.want {
			t.Errorf("status of %s = %v %q; want %v", tt.result, got.Status, got.StatusReason, tt.want)
		}
	}
}

func TestPath(t *testing.T) {
	members := map[string]string{
		"originalUriBaseIds": `{"ROOT":{"uri":"file:///build/job/"},"SRC":{"uri":"src/","uriBaseId":"ROOT"},"LOOP":{"uri":"l/","uriBaseId":"LOOP"}}`,
		"invocations":        `[{"workingDirectory":{"uri":"file:///home/me/work%20dir"}}]`,
	}
	tests := []struct{ location, want string }{
		{`"uri":"a/b.go"`, "a/b.go"},
		{`"uri":"./a//b.go"`, "a/b.go"},
		{`"uri":"a%20b.go"`, "a b.go"},
		{`"uri":"a\\b.go"`, "a/b.go"},
		{`"uri":" a.go"`, "a.go"},
		{`"uri":"100%.go"`, "100%.go"},
		{`"uri":"a.go","uriBaseId":"%SRCROOT%"`, "a.go"},
		{`"uri":"a.go","uriBaseId":"ROOT"`, "a.go"},
		{`"uri":"a.go","uriBaseId":"SRC"`, "src/a.go"},
		{`"uri":"file:///build/job/src/a.go"`, "src/a.go"},
		{`"uri":"file:///home/me/work%20dir/a.go"`, "a.go"},
		{`"uri":"file://host/build/job/a.go"`, "a.go"},
		{`"uri":"file:///elsewhere/a.go"`, "/elsewhere/a.go"},
		{`"uri":"file:///C:/code/a.go"`, "C:/code/a.go"},
		{`"uri":"https://example.com/a//b.go"`, "https://example.com/a//b.go"},
	}
	for _, tt := range tests {
		result := `{"ruleId":"r","locations":[{"physicalLocation":{"artifactLocation":{` + tt.location + `}}}]}`
		if got := reports(t, members, result)[0].Code.Path; got != tt.want {
			t.Errorf("path of %s = %q; want %q", tt.location, got, tt.want)
		}
	}
	if got := reports(t, members, `{"ruleId":"r","locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go","uriBaseId":"LOOP"}}}]}`)[0].Code.Path; !strings.HasSuffix(got, "a.go") {
		t.Errorf("path below a base in a ring = %q; want one that ends in a.go", got)
	}
	if got := reports(t, nil, `{"ruleId":"r","locations":[{"logicalLocations":[{"fullyQualifiedName":"ns::f"}]}]}`)[0].Code.Path; got != "ns::f" {
		t.Errorf("path of a logical location = %q; want its name", got)
	}
}

// TestStableIdentity moves code and asks that ids and fingerprints stay.
func TestStableIdentity(t *testing.T) {
	identity := func(results ...string) []string {
		var out []string
		for _, r := range reports(t, nil, results...) {
			out = append(out, r.ID+" | "+r.Code.Fingerprint)
		}
		return out
	}
	before := identity(at("a.go", "10", "x := f()", ""), at("a.go", "20", "x := f()", ""), at("a.go", "30", "y", ""), at("b.go", "10", "x := f()", ""))
	moved := identity(at("a.go", "15", "x  :=  f()", ""), at("a.go", "25", "x := f()", ""), at("a.go", "35", "y", ""), at("b.go", "10", "x := f()", ""))
	if d := cmp.Diff(before, moved); d != "" {
		t.Errorf("identities differ after moving lines (-before +after):\n%s", d)
	}
	distinct := map[string]bool{}
	for _, id := range before {
		distinct[id] = true
	}
	if len(distinct) != 4 {
		t.Errorf("identities = %q; want four", before)
	}
	twice := identity(at("a.go", "20", "x := f()", ""), at("a.go", "10", "x := f()", ""), at("a.go", "20", "x := f()", ""))
	if twice[0] != twice[2] || twice[0] == twice[1] || !strings.Contains(twice[0], "#1") || strings.Contains(twice[1], "#") {
		t.Errorf("identities of a repeated result = %q; want first and third equal, numbered by line", twice)
	}
}

func TestFingerprints(t *testing.T) {
	one := func(more string) pipeline.Report { return reports(t, nil, at("a.go", "10", "s", more))[0] }
	tests := []struct{ name, more, want string }{
		{"none", "", ""},
		{"highest version", `,"fingerprints":{"h/v1":"one","h/v10":"ten","h/v9":"nine"},"partialFingerprints":{"primaryLocationLineHash":"p:1"}`, "r h/v10=ten a.go"},
		{"placeholder", `,"fingerprints":{"matchBasedId/v1":"requires login"}`, ""},
		{"line hash without its counter", `,"partialFingerprints":{"primaryLocationLineHash":"p:3","other":"z"}`, "r primaryLocationLineHash=p a.go"},
		{"ones that change with the file", `,"partialFingerprints":{"scanFileHash":"f","scanPrimaryLocationHash":"l","primaryLocationStartColumnFingerprint":"4"}`, ""},
	}
	for _, tt := range tests {
		if got := one(tt.more).Code.Fingerprint; got != tt.want {
			t.Errorf("fingerprint of %s = %q; want %q", tt.name, got, tt.want)
		}
	}
	two := reports(t, nil, at("a.go", "10", "s", `,"partialFingerprints":{"tags":"1"}`), at("a.go", "10", "s", `,"partialFingerprints":{"tags":"2"}`))
	if two[0].ID == two[1].ID || two[0].Code.Fingerprint == two[1].Code.Fingerprint {
		t.Errorf("ids at one place with other fingerprints = %q, %q; want two", two[0].ID, two[1].ID)
	}
	bare := reports(t, nil, `{"ruleId":"r","message":{"text":"one"}}`, `{"ruleId":"r","message":{"text":"two"}}`, `{"ruleId":"r","message":{"text":"one"}}`)
	if bare[0].ID == bare[1].ID || bare[0].ID != bare[2].ID {
		t.Errorf("ids without a place = %q, %q, %q; want them told apart by message", bare[0].ID, bare[1].ID, bare[2].ID)
	}
}

func TestRule(t *testing.T) {
	tests := []struct{ result, control, title, words string }{
		{`{"ruleId":"r","message":{"id":"m","arguments":["one","two"]}}`, "r", "rule r", "one of two"},
		{`{"ruleId":"r/part","message":{"text":"w"}}`, "r/part", "rule r", "w"},
		{`{"ruleIndex":0,"message":{"text":"w"}}`, "r", "rule r", "w"},
		{`{"rule":{"id":"x/1","index":0,"toolComponent":{"index":0}},"message":{"text":"w"}}`, "x/1", "rule of an extension", "w"},
		{`{"ruleId":"x/1","message":{"text":"w"}}`, "x/1", "rule of an extension", "w"},
		{`{"ruleId":"gone","ruleIndex":99,"message":{"text":"first line\nsecond"}}`, "gone", "first line", "first line\nsecond"},
	}
	for _, tt := range tests {
		r := reports(t, nil, tt.result)[0]
		if r.Control != tt.control || !strings.HasPrefix(r.ID, tt.control+" ") || r.Title != tt.title || r.Description != tt.words {
			t.Errorf("%s = %q %q %q; want %q %q %q", tt.result, r.Control, r.Title, r.Description, tt.control, tt.title, tt.words)
		}
	}
}

func TestLongRuleLosesItsHelp(t *testing.T) {
	long := `{"driver":{"name":"T","rules":[{"id":"r","shortDescription":{"text":"short"},"help":{"text":"` + strings.Repeat("h", 40<<10) + `"}}]}}`
	r := reports(t, map[string]string{"tool": long}, `{"ruleId":"r","message":{"text":"m"}}`)[0]
	if r.Title != "short" || r.Remediation.Text != "" {
		t.Errorf("title and help = %q, %d bytes; want the rule without its help", r.Title, len(r.Remediation.Text))
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"tool":{},"stable":"r"}`, "tool.driver.name is missing"},
		{`{"tool":{"name":"T"},"result":{}}`, "not composed"},
		{`{"tool":{"name":"T"},"stable":"r","result":{"level":7}}`, "/result/level"},
		{`{"tool":1`, ""},
	} {
		if _, err := sarif.Decode([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Decode(%s) = %v; want an error with %q", tt.text, err, tt.want)
		}
	}
}

// FuzzSARIF reads any text as a result of a run that has any text as its members.
func FuzzSARIF(f *testing.F) {
	f.Add([]byte("{\"message\" :\n{ \"text\":\" a \\\"  b\" , \"id\"\t: \"\" }}"), []byte(`{}`))
	f.Add([]byte(at("a.go", "1", "s", `,"fingerprints":{"a/v1":"b"}`)), []byte(`{"R":{"uri":"file:///r/"}}`))
	f.Add([]byte(`{"ruleIndex":-1,"rule":{"index":7,"toolComponent":{"index":0}},"message":{"id":"m","arguments":["a"]}}`), []byte(`{"A":{"uri":"b","uriBaseId":"A"}}`))
	f.Add([]byte(`{"locations":[{"physicalLocation":{"artifactLocation":{"uri":"file:","uriBaseId":"A"},"region":{"startLine":-4}}}]}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, result, bases []byte) {
		var data []byte
		var r pipeline.Report
		var composed, decoded error
		formattest.Bounded(t, len(result)+len(bases), func() {
			run := &sarif.Run{}
			if err := run.Set("tool", []byte(driver)); err != nil {
				t.Fatal(err)
			}
			_ = run.Set("originalUriBaseIds", bases)
			found := run.Read(result)
			run.Look(&found)
			run.Close()
			if data, composed = run.Compose(&found, result); composed == nil {
				r, decoded = sarif.Decode(data)
			}
		})
		if composed != nil {
			return
		}
		if !jsontext.Value(data).IsValid() {
			t.Errorf("Compose(%q) = %q; want valid JSON", result, data)
		}
		if decoded == nil && (r.Product != "T" || r.ID == "" || r.Status == 0 || r.Code == nil || r.Code.Line < 0 || r.Severity == 0) {
			t.Errorf("Decode(%q) = %+v; want a whole report or an error", data, r)
		}
	})
}
