package docs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/internal/cli"
)

// TestExampleRules runs the tests of deploy/examples/rules as CI would, and sees them fail once a rule is changed.
func TestExampleRules(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	run := func(config string) (int, string) {
		var out, errs bytes.Buffer
		code := cli.Main([]string{"--config", config, "rules", "test", "../deploy/examples/rules/tests", "--min-coverage", "100",
			"--junit", filepath.Join(t.TempDir(), "rules.xml")}, strings.NewReader(""), &out, &errs, none)
		return code, out.String() + errs.String()
	}
	config := filepath.FromSlash("../deploy/examples/rules/docket.yaml")
	if code, out := run(config); code != 0 || strings.Contains(out, "warning") {
		t.Errorf("the tests of the example = %d, want 0 and no warning:\n%s", code, out)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "docket.yaml")
	if err := os.WriteFile(changed, bytes.Replace(text, []byte("team: payments"), []byte("team: web"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := run(changed); code != 1 || !strings.Contains(out, `teams.yaml:12: team = "web"; want "payments"`) || !strings.Contains(out, "because of route.routes[0]") {
		t.Errorf("the tests of the example with another team = %d, want 1 and the line that wants the team:\n%s", code, out)
	}
}

// TestCISnippets: what rules.md shows for CI is YAML, and calls docket as it is.
func TestCISnippets(t *testing.T) {
	n := 0
	for _, b := range blocks(t, "rules.md") {
		if !strings.Contains(b.text, "go install") {
			continue
		}
		n++
		var v map[string]any
		if err := yaml.Load([]byte(b.text), &v); err != nil {
			t.Errorf("%s: %v; want YAML", b.at(), err)
		}
		if !strings.Contains(b.text, "docket rules test rules/ --config docket.yaml --junit rules.xml --min-coverage 80\n") {
			t.Errorf("%s does not run the tests", b.at())
		}
	}
	if n != 2 {
		t.Errorf("rules.md has %d steps of CI; want those of two systems", n)
	}
}
