package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/app"
)

//go:generate go test . -count=1 -run TestSchemaIsCurrent -update

// schemaFile is the schema that the examples of this repository name.
const schemaFile = "docket.schema.json"

// TestSchemaIsCurrent compares the schema in this folder with what `docket config schema` prints.
func TestSchemaIsCurrent(t *testing.T) {
	text, err := app.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(schemaFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(schemaFile); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%s is not the configuration's schema (%v); want it the same: make generate writes it", schemaFile, err)
	}
}

// modeline is the line by which editors find a file's schema (yaml-language-server, "Using inlined schema").
var modeline = regexp.MustCompile(`^# yaml-language-server: \$schema=(\S+)\n`)

// TestExamplesNameTheSchema: every configuration that the repository holds begins with the schema's place from there, is
// right by it, and is right for docket.
func TestExamplesNameTheSchema(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob("../deploy/*/docket.yaml")
	if more, err2 := filepath.Glob("../deploy/examples/*/docket.yaml"); err != nil || err2 != nil || len(files) == 0 {
		t.Fatalf("the examples are not there: %v, %v", err, err2)
	} else {
		files = append(files, more...)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m := modeline.FindSubmatch(text)
		if m == nil {
			t.Errorf("%s begins without a line for yaml-language-server", name)
			continue
		}
		if at := filepath.Join(filepath.Dir(name), string(m[1])); at != schemaFile && filepath.Clean(at) != filepath.Join("..", "config", schemaFile) {
			t.Errorf("%s names the schema %s, which is %s; want config/%s", name, m[1], at, schemaFile)
		}
		if err := validate(t, s, string(text)); err != nil {
			t.Errorf("%s = %v; want it to be right by the schema", name, err)
		}
		if c, err := app.LoadBlind(name, func(string) (string, bool) { return "", false }); err != nil || len(app.Warnings(c)) > 0 {
			t.Errorf("LoadBlind(%s) = %v, warnings %v; want neither", name, err, app.Warnings(c))
		}
	}
	for name, text := range map[string]string{"the starter": string(config.Starter()), "the README's": readme(t)} {
		if m := modeline.FindStringSubmatch(text); m == nil || m[1] != schemaFile {
			t.Errorf("%s configuration begins %.80q; want the schema beside it named", name, text)
		}
	}
}

// readme is the whole configuration that the README shows.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml[^\n]*\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the README has no configuration")
	}
	return string(block[1])
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := app.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("docket.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("docket.json")
	if err != nil {
		t.Fatalf("the schema is none: %v", err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var doc any
	if err := yaml.Load([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(doc) // dates become the texts that they are
	if err != nil {
		t.Fatal(err)
	}
	if doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// TestSchemaTakesWhatLoadTakes: every configuration that this repository shows is right by the schema, too.
func TestSchemaTakesWhatLoadTakes(t *testing.T) {
	s := compiled(t)
	for name, text := range map[string]string{
		"the starter": string(config.Starter()), "the README's": readme(t),
		"every type": `
sources:
  - {name: hub, type: securityhub, region: eu-west-1, interval: 2m, min_severity: low, write_back: true}
  - {name: threat, type: guardduty, interval: 1m}
  - {name: ta, type: trustedadvisor, interval: 6h, checks: {exclude: [abc]}}
  - {name: events, type: sqs, queue_url: "https://sqs.eu-west-1.amazonaws.com/1/q"}
  - {name: ci, type: webhook}
sinks:
  - {name: jira, type: jira, url: "https://x.example.com", auth: {email: a@example.com, token: {env: T}}, project: SEC, priorities: {P1: Highest}, poll: 15m, unsure: {grace: 60s}}
  - {name: hook, type: webhook, url: "https://x.example.com"}
route: {team: a, routes: [{match: {account: ["1*"]}, routes: [{when: "true", sinks: []}]}]}
`,
	} {
		if err := validate(t, s, text); err != nil {
			t.Errorf("%s configuration = %v; want it to be right", name, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for name, c := range map[string]struct{ text, where string }{
		"an unknown key":            {"limit: {}", "limit"},
		"a key of another type":     {"sources: [{name: a, type: webhook, queue_url: x}]", "queue_url"},
		"a type that is not":        {"sources: [{name: a, type: securityhubb}]", "type"},
		"a missing key":             {"sources: [{type: webhook}]", "name"},
		"a secret in the file":      {"server: {auth: {tokens: [{name: a, role: admin, token: abc}]}}", "token"},
		"two forms of a secret":     {"nats: {url: x, creds: {env: A, file: b}}", "creds"},
		"a word for a duration":     {"stream: {keep: soon}", "keep"},
		"an unknown priority":       {"route: {tickets_from: P9}", "tickets_from"},
		"an unknown role":           {"server: {auth: {tokens: [{name: a, role: boss, token: {env: A}}]}}", "role"},
		"a slip deep in the routes": {"route: {routes: [{routes: [{groupby: [account]}]}]}", "groupby"},
	} {
		if err := validate(t, s, c.text); err == nil || !strings.Contains(err.Error(), c.where) {
			t.Errorf("validating %s = %v; want an error about %s", name, err, c.where)
		}
	}
}
