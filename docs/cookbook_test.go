package docs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/cli"
)

// leastRecipes is how many recipes the cookbook promises.
const leastRecipes = 20

// TestCookbook runs each recipe: the configuration is whole, and `docket rules test` with the tests that
// follow it finds every expectation met and every route, factor, rule and suppression used.
func TestCookbook(t *testing.T) {
	var config *block
	recipes := 0
	for _, b := range blocks(t, "cookbook.md") {
		switch b.info {
		case "yaml config":
			if config != nil {
				t.Errorf("%s: a recipe has no tests; want them behind its configuration", config.at())
			}
			config = &b
		case "yaml tests":
			if config == nil {
				t.Errorf("%s: tests without a configuration before them", b.at())
				continue
			}
			recipes++
			recipe(t, *config, b)
			config = nil
		}
	}
	if recipes < leastRecipes || config != nil {
		t.Errorf("the cookbook has %d recipes, one left over: %v; want at least %d, each with tests", recipes, config != nil, leastRecipes)
	}
}

func recipe(t *testing.T, config, tests block) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"docket.yaml": config.text, "rules.yaml": tests.text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	none := func(string) (string, bool) { return "", false }
	code := cli.Main([]string{"--config", filepath.Join(dir, "docket.yaml"), "rules", "test", filepath.Join(dir, "rules.yaml"), "-o", "json"},
		strings.NewReader(""), &out, &errs, none)
	var rep api.RuleReport
	if err := json.Unmarshal(out.Bytes(), &rep); err != nil {
		t.Errorf("%s: docket rules test = %d, %s; want a report", tests.at(), code, errs.String())
		return
	}
	for _, r := range rep.Tests {
		for _, f := range r.Failures {
			t.Errorf("%s: the test %q (its line %d): %s", tests.at(), r.Name, r.Line, f)
		}
	}
	for _, w := range rep.Warnings {
		t.Errorf("%s warns: %s; want no warning", config.at(), w)
	}
	for _, c := range rep.Cover {
		if !c.Hit {
			t.Errorf("%s: no test meets the %s %s; want all of the recipe tested", tests.at(), c.Kind, c.What)
		}
	}
	if code != 0 && !t.Failed() {
		t.Errorf("%s: docket rules test = %d, %s; want 0", tests.at(), code, errs.String())
	}
}
