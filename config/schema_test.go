package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/app"
)

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
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	quick, err := os.ReadFile("../deploy/quickstart/docket.yaml")
	if err != nil || block == nil {
		t.Fatalf("the samples are not there: %v", err)
	}
	for name, text := range map[string]string{
		"the starter": string(config.Starter()), "the README's": string(block[1]), "the quick start's": string(quick),
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
