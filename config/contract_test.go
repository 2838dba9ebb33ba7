package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// contractExample is the YAML of the contract's section on the configuration.
func contractExample(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("DOCKET_SHARED")
	if dir == "" {
		root, err := filepath.Abs(".")
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil || root == filepath.Dir(root) {
				break
			}
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "..", "shared")
	}
	data, err := os.ReadFile(filepath.Join(dir, "contract.md"))
	if err != nil {
		t.Skipf("the contract is not here: %v", err)
	}
	_, after, _ := strings.Cut(string(data), "```yaml\n")
	example, _, ok := strings.Cut(after, "```")
	if !ok {
		t.Fatal("the contract holds no YAML")
	}
	return example
}

func TestContractExample(t *testing.T) {
	text := contractExample(t)
	env := testEnv()
	env.Getenv = func(string) (string, bool) { return "planted-secret", true }
	env.ReadFile = func(string) ([]byte, error) { return []byte("planted-secret\n"), nil }
	load := func(env Env) (*Config, Errors) {
		c, err := Parse([]File{{"docket.yaml", []byte(text)}}, ".", env)
		return c, asErrors(t, err)
	}

	_, es := load(env)
	if len(es) == 0 {
		t.Error("Parse(example) = no error; want the types that are not built yet")
	}
	for _, e := range es {
		if !strings.Contains(e.Message, "is not built yet in this version") {
			t.Errorf("Parse(example) = %v; want only what is not built yet", e)
		}
	}

	env.Known = Known{Sources: plannedSources(), Sinks: plannedSinks()}
	c, es := load(env)
	if len(es) > 0 {
		t.Errorf("Parse(example) with all types = %v; want no error", es)
	}
	if len(c.Sources) != 7 || len(c.Sinks) != 5 || len(c.Route.Routes) != 3 || c.Teams[0].Members[1].Slack != "U02" {
		t.Errorf("Parse(example) has %d sources, %d sinks, %d routes, members %v; want 7, 5, 3 and U02 as second member",
			len(c.Sources), len(c.Sinks), len(c.Route.Routes), c.Teams[0].Members)
	}
	if c.NATS.Creds.Reveal() != "planted-secret" {
		t.Error("nats.creds was not read from its file")
	}

	// Without its environment it fails at exactly the references.
	env.Getenv = testEnv().Getenv
	env.ReadFile = testEnv().ReadFile
	_, es = load(env)
	for _, e := range es {
		if !strings.HasSuffix(e.Path, ".env") && !strings.HasSuffix(e.Path, ".file") {
			t.Errorf("Parse(example) without environment = %v; want only errors at references", e)
		}
	}
}
