package jira

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/pipeline"
)

// make makes a sink from the block of a configuration file.
func makeFrom(t *testing.T, block string) (*Sink, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text.tmpl"), []byte("{{ wiki .Case.Title }}"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "sources: [{name: in, type: file, paths: [x]}]\nteams: [{name: sec}]\nroute: {team: sec, sinks: [jira]}\nsinks:\n  - name: jira\n    type: jira\n"
	for line := range strings.Lines(strings.TrimPrefix(block, "\n")) {
		text += "    " + line
	}
	c, err := config.Parse([]config.File{{Name: "docket.yaml", Data: []byte(text)}}, dir, config.Env{
		Getenv: func(string) (string, bool) { return "planted-secret", true },
		Known:  config.Known{Sources: []string{"file"}, Sinks: []string{"jira"}},
	})
	if err != nil {
		t.Fatalf("Parse() = %v; want no error", err)
	}
	s, err := Factory().Sink(connectors.Env{Name: "jira", Dir: dir, Now: time.Now}, c.Sinks[0].Block)
	if err != nil {
		return nil, err
	}
	return s.(*Sink), nil
}

func TestFactory(t *testing.T) {
	s, err := makeFrom(t, `
url: https://acme.atlassian.net
deployment: cloud
auth: {email: bot@acme.com, token: {env: JIRA_TOKEN}}
project: SEC
issue_type: Bug
priorities: {P1: Highest, P2: High, P3: Medium, P4: Low, P5: Lowest}
fields: {customfield_10010: "{{ .Case.Account }}", labels: ["docket", "{{ .Case.Team }}"]}
transitions: {ack: In Progress, close: Done, reopen: To Do}
close: {resolution: Done, accepted: "Won't Do"}
wont_fix: ["Won't Do", Duplicate]
due_date: true
key_field: customfield_10200
webhook_secret: {env: HOOK}
templates: {title: "[{{ .Case.Priority }}] {{ .Case.Title }}", description_file: text.tmpl}
`)
	if err != nil {
		t.Fatal(err)
	}
	if s.config.Priorities[pipeline.P4] != "Low" || s.config.Close.Duplicate != "Duplicate" || s.templates.files["text.tmpl"] != "{{ wiki .Case.Title }}" || s.config.Auth.Token.Reveal() != "planted-secret" {
		t.Errorf("config = %+v; want what the file says over the defaults", s.config)
	}
	for _, c := range []struct{ name, block, want string }{
		{"no address", "auth: {token: {env: A}}\n", "sinks[0].url: is required"},
		{"no credentials", "url: https://x.example\n", "sinks[0].auth: is required"},
		{"an address with a password", "url: https://a:b@x.example\nauth: {token: {env: A}}\n", "sinks[0].url: write the site's address"},
		{"half of the credentials", "url: https://x.example\nauth: {email: a@b.c}\n", "sinks[0].auth.token: email goes with"},
		{"both kinds", "url: https://x.example\nauth: {email: a, user: b, token: {env: A}}\n", "sinks[0].auth: keep email"},
		{"a password alone", "url: https://x.example\nauth: {password: {env: A}}\n", "sinks[0].auth.user: password goes with user"},
		{"a literal secret", "url: https://x.example\nauth: {token: hunter2}\n", "sinks[0].auth.token: a secret must not stand"},
		{"a project by name", "url: https://x.example\nauth: {token: {env: A}}\nproject: security\n", `sinks[0].project: "security" is no project key`},
		{"key_field by name", "url: https://x.example\nauth: {token: {env: A}}\nkey_field: Docket\n", `sinks[0].key_field: "Docket" is no field id`},
		{"a field with a key of its own", "url: https://x.example\nauth: {token: {env: A}}\nfields: {summary: x}\n", "sinks[0].fields.summary: is set by the key templates"},
		{"a misspelt template", "url: https://x.example\nauth: {token: {env: A}}\nfields: {customfield_1: \"{{ .Case.Acount }}\"}\n", "sinks[0].fields.customfield_1: the template is wrong"},
		{"a missing file", "url: https://x.example\nauth: {token: {env: A}}\ntemplates: {description_file: none.tmpl}\n", "sinks[0].templates.description_file: "},
		{"a misspelt key", "url: https://x.example\nauth: {token: {env: A}}\nisue_type: Bug\n", "issue_type"},
		{"no such priority", "url: https://x.example\nauth: {token: {env: A}}\npriorities: {P7: High}\n", "sinks[0].priorities"},
	} {
		_, err := makeFrom(t, c.block)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: making the sink = %v; want it to say %q", c.name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "planted-secret") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: the error carries a secret", c.name)
		}
	}
}

// TestTeamSettings: what a team may set, and what is refused.
func TestTeamSettings(t *testing.T) {
	c := DefaultConfig()
	c.Project, c.Fields = "SEC", map[string]any{"customfield_1": "a", "customfield_2": "b"}
	got, err := c.settings(map[string]any{
		"project": "PAY", "issue_type": "Bug", "due_date": false, "priorities": map[string]any{"p1": "Blocker"},
		"fields": map[string]any{"customfield_2": "c"}, "transitions": map[string]any{"close": "Shut"}, "close": map[string]any{"accepted": "Won't Do"},
	})
	if err != nil || got.project != "PAY" || got.issueType != "Bug" || got.dueDate || got.priorities["P1"] != "Blocker" || got.fields["customfield_1"] != "a" ||
		got.fields["customfield_2"] != "c" || got.transitions.Close != "Shut" || got.resolution("accepted") != "Won't Do" || got.resolution("fixed") != "Done" {
		t.Errorf("settings() = %+v, %v; want the team's over the sink's", got, err)
	}
	if c.Fields["customfield_2"] != "b" {
		t.Error("settings() changed the sink's own fields")
	}
	for key, v := range map[string]any{
		"url": "https://x.example", "project": "pay", "issue_type": 3, "due_date": "yes", "priorities": "High", "fields": map[string]any{"summary": "x"},
		"transitions": map[string]any{"closed": "x"}, "close": []any{},
	} {
		if _, err := c.settings(map[string]any{key: v}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("settings(%s: %v) = %v; want an error that names the key", key, v, err)
		}
	}
}
