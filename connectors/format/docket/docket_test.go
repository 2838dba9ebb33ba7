package docket_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format/docket"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
)

const least = `{"product":"P","id":"1","account":{"id":"111122223333"},"resource":{"id":"r"},"title":"t","severity":"low"}`

func TestDecodeLeast(t *testing.T) {
	got, err := docket.Decode([]byte(least))
	want := pipeline.Report{Product: "P", ID: "1", Account: pipeline.Account{ID: "111122223333"}, Title: "t", Severity: pipeline.Low,
		Resource: pipeline.Resource{ID: "r", Original: "r"}, Kind: pipeline.KindControl, Status: pipeline.StatusOpen}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("Decode(least) differs, error %v (-want +got):\n%s", err, d)
	}
}

// TestExample reads the example of the format's page, which stands between two lines of fences.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../../../docs/formats/docket.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```json sample\n")
	example, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("docs/formats/docket.md has no sample in a json fence")
	}
	r, err := docket.Decode([]byte(example))
	if err != nil || r.Product != "Trusted Advisor" || r.Control != "HCP4007jGY" || len(r.Names) != 1 || r.Names[0] != "trustedadvisor:HCP4007jGY" ||
		!r.ObservedAt.Equal(time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)) || r.Severity != pipeline.High || r.Resource.Tags["team"] != "payments" {
		t.Errorf("Decode(the page's sample) = %+v, %v; want a Trusted Advisor report", r, err)
	}
}

func TestDecodeErrors(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(least, old, new, 1) }
	tests := []struct{ name, text, want string }{
		{"nothing", `{}`, "product is missing\nid is missing\ntitle is missing\nseverity is missing\naccount.id is missing\nresource.id is missing"},
		{"severity", with(`"low"`, `"bad"`), `severity: "bad"`},
		{"unknown severity", with(`"low"`, `"UNKNOWN"`), `severity: "UNKNOWN"`},
		{"status", with(`"title"`, `"status":"gone","title"`), "status: "},
		{"kind", with(`"title"`, `"kind":"thing","title"`), `kind: "thing"`},
		{"vulnerability without id", with(`"title"`, `"vulnerability":{"package":"p"},"title"`), "vulnerability.id is missing"},
		{"code kind without code", with(`"title"`, `"kind":"code","title"`), "code is missing"},
		{"time", with(`"title"`, `"observed_at":"tomorrow","title"`), `observed_at: "tomorrow"`},
		{"wrong type", with(`"r"}`, `"r","tags":[]}`), "/resource/tags"},
		{"repeated key", with(`"title"`, `"id":"2","title"`), "duplicate"},
	}
	for _, tt := range tests {
		if _, err := docket.Decode([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Decode(%s) = %v; want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestDecodeKinds(t *testing.T) {
	tests := []struct {
		name, add string
		kind      pipeline.Kind
		occurred  bool
	}{
		{"vulnerability", `"vulnerability":{"id":"CVE-1","kev":true}`, pipeline.KindVulnerability, false},
		{"code", `"code":{"rule":"r","path":"p"}`, pipeline.KindCode, false},
		{"threat", `"kind":"threat"`, pipeline.KindThreat, true},
		{"threat that says no", `"kind":"threat","occurred":false`, pipeline.KindThreat, false},
		{"unknown members", `"x_team":"a","fingerprint":7`, pipeline.KindControl, false},
	}
	for _, tt := range tests {
		r, err := docket.Decode([]byte(strings.Replace(least, `"title"`, tt.add+`,"title"`, 1)))
		if err != nil || r.Kind != tt.kind || r.Occurred != tt.occurred {
			t.Errorf("Decode(%s) = %s, occurred %v, error %v; want %s, %v", tt.name, r.Kind, r.Occurred, err, tt.kind, tt.occurred)
		}
	}
	r, err := docket.Decode([]byte(`{"product":"P","id":"1","repository":"https://git.example.com/a","code":{"rule":"x"},"title":"t","severity":"low"}`))
	if err != nil || r.Resource.ID != "https://git.example.com/a" {
		t.Errorf("Decode(code in a repository) = %+v, %v; want the repository as resource", r.Resource, err)
	}
}

func FuzzDocket(f *testing.F) {
	f.Add([]byte(least))
	f.Add([]byte(`{"product":"P","id":"1","repository":"r","vulnerability":{"id":"CVE-1"},"title":"t","severity":"HIGH","status":"resolved","observed_at":"1772337906"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r pipeline.Report
		var err error
		formattest.Bounded(t, len(data), func() { r, err = docket.Decode(data) })
		if err == nil && (r.Product == "" || r.ID == "" || r.Title == "" || r.Severity == 0 || r.Status == 0 || r.Kind == "" || r.Resource.ID == "") {
			t.Errorf("Decode(%q) = %+v; want every required member, or an error", data, r)
		}
	})
}
