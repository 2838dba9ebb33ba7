package config

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func show(t *testing.T, c *Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const shown = `
server:
  auth:
    tokens: [{name: ci, role: ingest, token: {env: SET}}]
sources:
  - {name: reports, type: file, interval: 90m, paths: ["a", "5"], auth: {token: {env: SET}}, statuses: {x: "true"}}
risk: {weights: {production: 15}, thresholds: {P1: 95}}
suppressions: [{name: old, when: "a == 'b: c'\n&& true", reason: "yes", until: 2099-01-31}]
close: {max_ratio: 1}
` + tail

func TestShow(t *testing.T) {
	c := parse(t, shown)
	if err := c.Sources[0].Block.Decode(&blockSample{DueDate: true}); err != nil {
		t.Fatal(err)
	}
	text := show(t, c)
	for _, want := range []string{"keep: 7d", "max_bytes: 10GiB", "{env: SET}", "interval: 1h30m", "P1: 95", "P2: 70", "looks: 3", "due_date: true", `'5'`, "min: 20"} {
		if !strings.Contains(text, want) {
			t.Errorf("Show() is\n%s\nwant it to hold %q", text, want)
		}
	}
	if strings.Contains(text, "planted-secret") {
		t.Errorf("Show() holds a secret:\n%s", text)
	}
	again := parse(t, text)
	if err := again.Sources[0].Block.Decode(&blockSample{}); err != nil {
		t.Fatalf("decoding what Show() wrote: %v", err)
	}
	if diff := cmp.Diff(text, show(t, again)); diff != "" {
		t.Errorf("Show() of what Show() wrote differs:\n%s", diff)
	}
}

func TestShowOfDefaults(t *testing.T) {
	text := show(t, new(Default()))
	if !strings.Contains(text, "tickets_from: P4") || !strings.Contains(text, "for: 0s") {
		t.Errorf("Show() of the defaults is\n%s\nwant the defaults of a route", text)
	}
}

func TestShowHidesWhatMayBeASecret(t *testing.T) {
	c := parse(t, "sources: [{name: reports, type: file, x: hunter2}]\n"+strings.Replace(tail, "{name: sec}", "{name: sec, sinks: {disk: {project: PAY, api_token: hunter2}}}", 1))
	text := show(t, c)
	for _, want := range []string{"x: <redacted>", "api_token: <redacted>", "project: PAY"} {
		if !strings.Contains(text, want) || strings.Contains(text, "hunter2") {
			t.Errorf("Show() is\n%s\nwant it to hold %q", text, want)
		}
	}
}

func TestHash(t *testing.T) {
	first := parse(t, shown)
	before := first.Hash()
	if err := first.Sources[0].Block.Decode(&blockSample{}); err != nil {
		t.Fatal(err)
	}
	if got := first.Hash(); got != before || len(got) != 64 {
		t.Errorf("Hash() after Decode = %s; want %s", got, before)
	}
	cases := []struct {
		name, old, new string
		same           bool
	}{
		{"a comment", "risk:", "# a comment\nrisk:", true},
		{"order of keys", "{name: ci, role: ingest,", "{role: ingest, name: ci,", true},
		{"order in a block", `paths: ["a", "5"], auth: {token: {env: SET}}`, `auth: {token: {env: SET}}, paths: ["a", "5"]`, true},
		{"quotes", "name: reports", `name: "reports"`, true},
		{"another way to say it", "interval: 90m", "interval: 1h30m", true},
		{"a default said aloud", "\nrisk:", "\ndata_dir: ./data\nrisk:", true},
		{"a value", "P1: 95", "P1: 96", false},
		{"a block's value", `"a", "5"`, `"b", "5"`, false},
		{"a block's type", `"a", "5"`, `"a", 5`, false},
		{"a secret's reference", "token: {env: SET}}]", "token: {env: OTHER}}]", false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(shown, tc.old, tc.new, 1)
			if text == shown {
				t.Fatalf("%q is not in the configuration", tc.old)
			}
			env := testEnv()
			env.Getenv = func(string) (string, bool) { return "planted-secret", true }
			c, err := Parse([]File{{"docket.yaml", []byte(text)}}, ".", env)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Hash(); (got == before) != tc.same {
				t.Errorf("Hash() = %s; want the same as before: %v", got, tc.same)
			}
		})
	}
}

func TestSecretsChanged(t *testing.T) {
	load := func(value string) *Config {
		env := testEnv()
		env.Getenv = func(string) (string, bool) { return value, true }
		c, err := Parse([]File{{"docket.yaml", []byte(shown)}}, ".", env)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := load("one"), load("two")
	if a.Hash() != b.Hash() {
		t.Error("Hash() depends on the value of a secret")
	}
	if !b.SecretsChanged(a) || a.SecretsChanged(load("one")) || a.SecretsChanged(nil) {
		t.Error("SecretsChanged() = wrong; want true only for another value")
	}
}

func TestSecretFilesChanged(t *testing.T) {
	held, readable := "one\n", true
	env := testEnv()
	env.ReadFile = func(string) ([]byte, error) {
		if !readable {
			return nil, fs.ErrNotExist
		}
		return []byte(held), nil
	}
	c, err := Parse([]File{{"docket.yaml", []byte(strings.ReplaceAll(shown, "env: SET", "file: token"))}}, ".", env)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name, held string
		readable   bool
		want       bool
	}{
		{"as it was", "one\n", true, false},
		{"another line end", "one\r\n", true, false},
		{"another secret", "two\n", true, true},
		{"not there", "", false, false},
		{"empty", "", true, false},
	} {
		held, readable = x.held, x.readable
		if got := c.SecretFilesChanged(); got != x.want {
			t.Errorf("SecretFilesChanged() of a file that is %s = %v; want %v", x.name, got, x.want)
		}
	}
}

func TestDiff(t *testing.T) {
	base := "sources: [{name: a, type: file}, {name: gone, type: file, retired: true}]\n" + tail
	cases := []struct {
		name, text string
		want       Change
	}{
		{"nothing", base, Change{}},
		{"a source lost", "sources: []\n" + tail, Change{Lost: []Lost{{"source", "a"}}}},
		{"renamed", "sources: [{name: b, type: file, formerly: [a]}]\n" + tail, Change{Renamed: []Rename{{"source", "a", "b"}}}},
		{"retired", "sources: [{name: a, type: file, retired: true}]\n" + tail, Change{}},
		{"a sink lost", "sources: [{name: a, type: file}]\n" + strings.ReplaceAll(tail, "disk", "tape"), Change{Lost: []Lost{{"sink", "disk"}}}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Diff(parse(t, base), parse(t, tc.text))); diff != "" {
				t.Errorf("Diff() differs (-want +got):\n%s", diff)
			}
		})
	}
	want := Change{Lost: []Lost{{"source", "x"}}}
	if diff := cmp.Diff(want, parse(t, base).Missing([]string{"a", "x"}, []string{"disk"})); diff != "" {
		t.Errorf("Missing() differs (-want +got):\n%s", diff)
	}
}

func TestJoin(t *testing.T) {
	if err := Join(nil, nil); err != nil {
		t.Errorf("Join(nil, nil) = %v; want nil", err)
	}
	late, early := Error{File: "a", Line: 9, Col: 1, Message: "late"}, Error{File: "a", Line: 2, Col: 1, Message: "early"}
	es := asErrors(t, Join(Errors{late}, nil, early, errors.New("elsewhere")))
	if got := es.Error(); got != "elsewhere\na:2:1: early\na:9:1: late" {
		t.Errorf("Join() = %q; want all three, by position", got)
	}
}
