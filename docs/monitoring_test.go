package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// metricsOfCode are the metrics that the program registers, by the text of its source.
func metricsOfCode(t *testing.T) map[string]bool {
	t.Helper()
	name := regexp.MustCompile(`"(docket_[a-z_]+)"`)
	out := map[string]bool{}
	for _, dir := range []string{"app", "server", "state", "stream"} {
		err := filepath.WalkDir(filepath.Join("..", "internal", dir), func(at string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(at, ".go") || strings.HasSuffix(at, "_test.go") {
				return err
			}
			text, err := os.ReadFile(at)
			for _, m := range name.FindAllStringSubmatch(string(text), -1) {
				out[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestMetrics holds the metrics of the code against operations.md, which lists them, and against the alerts of
// monitoring.md, each of which has a runbook.
func TestMetrics(t *testing.T) {
	known := metricsOfCode(t)
	if len(known) < 15 {
		t.Fatalf("the code has %d metrics; want those that are there found", len(known))
	}
	operations := page(t, "operations.md")
	for name := range known {
		if !strings.Contains(operations, "`"+name) {
			t.Errorf("operations.md does not name %s; want every metric", name)
		}
	}
	used := regexp.MustCompile(`docket_[a-z_]+`)
	for _, b := range blocks(t, "monitoring.md") {
		for _, name := range used.FindAllString(b.text, -1) {
			if !known[name] {
				t.Errorf("%s uses %s, which nothing registers; want a metric that is there", b.at(), name)
			}
		}
		if b.mark() != "alerts" {
			continue
		}
		var rules struct {
			Groups []struct {
				Rules []struct{ Alert, Expr string }
			}
		}
		if err := yaml.Unmarshal([]byte(b.text), &rules); err != nil || len(rules.Groups) == 0 {
			t.Fatalf("%s: %v; want rules of Prometheus", b.at(), err)
		}
		for _, r := range rules.Groups[0].Rules {
			if !regexp.MustCompile(`(?m)^### .*\b` + r.Alert + `\b`).MatchString(page(t, "monitoring.md")) {
				t.Errorf("%s: the alert %s has no runbook; want a heading of that name", b.at(), r.Alert)
			}
		}
	}
}

// TestSizing compares what sizing.md tells people to plan with with what was measured last: never less.
func TestSizing(t *testing.T) {
	sizing, measured := page(t, "sizing.md"), page(t, "performance.md")
	number := func(text, pattern string) float64 {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Errorf("nothing there matches %s; want a figure", pattern)
			return 0
		}
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, tt := range []struct{ name, plan, is string }{
		{"CPU seconds of 100,000 findings", `\| processor \| (\d+) CPU seconds`, `\| P5 \|[^|]*\|[^|]*\| ([\d.]+) s \|`},
		{"milliseconds to a ticket", `\| time to a ticket \| (\d+) ms`, `\| P3 \|[^|]*\|[^|]*\|[^|]*\|[^|]*\| p99 ([\d.]+) ms`},
	} {
		if plan, is := number(sizing, tt.plan), number(measured, tt.is); plan < is {
			t.Errorf("sizing.md plans %g %s; want at least the %g of performance.md", plan, tt.name, is)
		}
	}
}
