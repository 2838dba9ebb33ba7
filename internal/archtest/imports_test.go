package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/docket-hub/docket"

// pkg is what `go list -json` says of a package; imports of its tests are not looked at.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Error      *struct{ Err string }
}

// local is the path below the module; "." is the module's root.
func (p *pkg) local() (string, bool) { return localPath(p.ImportPath) }

func localPath(importPath string) (string, bool) {
	rest, ok := strings.CutPrefix(importPath, module+"/")
	return rest, ok
}

func list(t *testing.T) map[string]*pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Standard,Imports,Error", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	all := map[string]*pkg{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		if p.Error != nil {
			t.Errorf("package %s: %s", p.ImportPath, p.Error.Err)
		}
		all[p.ImportPath] = &p
	}
	return all
}

// rule says what the packages that match of may import of this module. The first
// rule whose pattern matches a package is its rule. Patterns are those of path.Match, and
// one that ends in /... matches everything below, too.
type rule struct {
	of, may string // may: patterns separated by blanks
}

// probes do nothing but in a build for the reliability suites, and import nothing.
const probes = "internal/failpoint internal/planted"

// rules are the import rules of docs/architecture.md.
var rules = []rule{
	{"cmd/docket", "internal/cli"},
	{"pipeline", ""},
	{"pipeline/triage", "pipeline pipeline/expr pipeline/risk pipeline/route"},
	{"pipeline/plan", "pipeline pipeline/expr pipeline/triage"},
	{"pipeline/deliver", "pipeline pipeline/expr " + probes},
	{"pipeline/*", "pipeline pipeline/expr"},

	{"config/secret", ""},
	{"config", "config/secret pipeline"},

	{"connectors", "pipeline internal/awsx"},
	{"connectors/all", "connectors connectors/*"},
	{"connectors/connectortest", "connectors connectors/format/... pipeline pipeline/..."},
	{"connectors/format/...", "pipeline connectors/format/..."},
	{"connectors/jira/jiratest", ""}, // no rule of the product names it: only tests import it
	// Beside what every connector may use, a sink writes the text that pipeline/ticket lays out.
	{"connectors/*", "connectors connectors/format/... pipeline pipeline/ticket config/secret internal/httpx internal/awsx " + probes},

	{probes, ""},
	{"internal/httpx", "pipeline " + probes},
	{"internal/awsx", "pipeline"},
	{"internal/awsx/awstest/...", "internal/awsx/awstest internal/awsx/awstest/lab"}, // no rule of the product names it: only tests and the lab import it
	{"internal/mask", "pipeline"},
	{"internal/feeds", "pipeline pipeline/risk internal/httpx"},
	{"internal/stream", "pipeline " + probes},
	{"internal/state", "pipeline pipeline/deliver pipeline/triage " + probes},
	{"internal/api", "pipeline pipeline/plan config/secret"},
	{"internal/server", "internal/api pipeline config/secret " + probes},
	{"internal/app", "config/... connectors connectors/all connectors/format/... pipeline/... " +
		"internal/api internal/awsx internal/feeds internal/httpx internal/mask internal/server internal/state internal/stream " + probes},
	{"internal/cli", "internal/app internal/api config/... pipeline pipeline/plan"},

	// Tools and tests stand outside the flow.
	{"internal/archtest", ""},
	{"internal/crashtest/...", "..."},
	{"internal/bench/...", "..."},
	{"deploy/...", "deploy/..."},
	{"docs", ""},
}

// libraries names who alone may import the big libraries.
var libraries = []rule{
	{"github.com/nats-io", "internal/stream internal/bench/..."},
	{"go.etcd.io/bbolt", "internal/state"},
	{"cel.dev", "pipeline/expr"},
	{"github.com/google/cel-go", "pipeline/expr"},
	{"github.com/spf13/cobra", "internal/cli"},
	{"github.com/prometheus", "internal/app internal/server internal/cli"},
	{"go.yaml.in/yaml", "config connectors/file"},
	{"github.com/aws", "internal/awsx connectors/*"},
	{"github.com/andygrunwald/go-jira", "connectors/jira"},
}

// matches reports whether a path below the module matches one of the patterns.
func matches(patterns, name string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(pattern string) bool {
		if pattern == "..." {
			return true
		}
		if above, ok := strings.CutSuffix(pattern, "/..."); ok {
			return name == above || strings.HasPrefix(name, above+"/")
		}
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}

func TestImports(t *testing.T) {
	all := list(t)
	for name, p := range all {
		here, ok := p.local()
		if !ok {
			continue
		}
		at := slices.IndexFunc(rules, func(r rule) bool { return matches(r.of, here) })
		if at < 0 {
			t.Errorf("no rule says what %s may import; want one here and in docs/architecture.md", here)
			continue
		}
		for _, imported := range p.Imports {
			if there, ok := localPath(imported); ok && !matches(rules[at].may, there) {
				t.Errorf("%s imports %s; want only %q", here, there, rules[at].may)
			}
			if here == "pipeline" && all[imported] != nil && !all[imported].Standard {
				t.Errorf("pipeline imports %s; want only the standard library", imported)
			}
			for _, l := range libraries {
				if (imported == l.of || strings.HasPrefix(imported, l.of+"/")) && !matches(l.may, here) {
					t.Errorf("%s imports %s; want that only in %q", name, imported, l.may)
				}
			}
		}
	}
}

func TestMatches(t *testing.T) {
	tests := []struct {
		patterns, name string
		want           bool
	}{
		{"pipeline", "pipeline", true},
		{"pipeline", "pipeline/risk", false},
		{"pipeline/*", "pipeline/risk", true},
		{"pipeline/*", "pipeline/risk/deep", false},
		{"a connectors/format/...", "connectors/format", true},
		{"a connectors/format/...", "connectors/format/internal/instant", true},
		{"connectors/format/...", "connectors/formatted", false},
		{"...", "anything/at/all", true},
		{"", "pipeline", false},
	}
	for _, tt := range tests {
		if got := matches(tt.patterns, tt.name); got != tt.want {
			t.Errorf("matches(%q, %q) = %v; want %v", tt.patterns, tt.name, got, tt.want)
		}
	}
}
