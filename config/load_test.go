package config

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestBrokenFiles(t *testing.T) {
	names, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(names) < 12 {
		t.Fatalf("Glob() = %d files, %v; want at least 12", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse([]File{{filepath.Base(name), data}}, ".", testEnv())
			var out bytes.Buffer
			if err := asErrors(t, err).Render(&out); err != nil {
				t.Fatal(err)
			}
			if err := c.Warnings().Render(&out); err != nil {
				t.Fatal(err)
			}
			if err == nil {
				t.Error("Parse() = no error; want some")
			}
			if strings.Contains(out.String(), "hunter2") {
				t.Errorf("the messages hold a literal secret:\n%s", out.String())
			}
			golden := strings.TrimSuffix(name, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("messages are\n%s\nwant\n%s", out.String(), want)
			}
		})
	}
}

func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("10-base.yaml", tail+"admins: [U1]\nack: {for: 1d}\n")
	write("20-pay.yml", "teams: [{name: pay}]\nadmins: [U2]\nack: {remind: 2h}\nroute:\n  routes: [{when: 'true', team: pay}]\n")
	write("30-shop.yaml", "# nothing yet\n")
	write("40-more.yaml", "route:\n  routes: [{when: 'false', team: pay, sinks: [dsk]}]\n")
	write("notes.txt", "not: [yaml")
	env := Env{Known: builtTypes()}
	c, err := Load(dir, env)
	es := asErrors(t, err)
	if len(es) != 1 || es[0].File != filepath.Join(dir, "40-more.yaml") || es[0].Path != "route.routes[1].sinks[0]" || es[0].Line != 2 {
		t.Errorf("Load(folder) = %v; want the misspelt sink at 40-more.yaml:2, route.routes[1].sinks[0]", err)
	}
	if got := len(c.Teams); got != 2 {
		t.Errorf("Load(folder) has %d teams; want 2", got)
	}
	if got := strings.Join(c.Admins, " "); got != "U1 U2" {
		t.Errorf("Load(folder) has admins %s; want U1 U2", got)
	}
	if c.Ack.For != day || FormatDuration(c.Ack.Remind) != "2h" {
		t.Errorf("Load(folder) has ack %v; want the parts of both files", c.Ack)
	}
	if want := filepath.Join(dir, "data"); c.Path(c.DataDir) != want {
		t.Errorf("Path(data_dir) = %s; want %s", c.Path(c.DataDir), want)
	}

	write("40-more.yaml", "ack: {for: 2d}\nroute: {sinks: [disk]}\ntime_zone: UTC\nteams: nonsense\n")
	write("50-zone.yaml", "time_zone: UTC\n")
	_, err = Load(dir, env)
	es = asErrors(t, err)
	for _, want := range []string{
		"40-more.yaml:1:7: ack.for: is given twice, first in " + filepath.Join(dir, "10-base.yaml") + ":6:7",
		"40-more.yaml:2:9: route.sinks: is given twice",
		"40-more.yaml:4:1: teams: is given twice",
		"50-zone.yaml:1:1: time_zone: is given twice, first in " + filepath.Join(dir, "40-more.yaml"),
	} {
		if !strings.Contains(es.Error(), want) {
			t.Errorf("Load(folder) = %v; want %s", es, want)
		}
	}
}

func TestLoadWithoutFile(t *testing.T) {
	c, err := Load(filepath.Join(t.TempDir(), "docket.yaml"), Env{})
	if c != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load(absent) = %v, %v; want nil and fs.ErrNotExist", c, err)
	}
	if _, err := Load(t.TempDir(), Env{}); err == nil || !strings.Contains(err.Error(), "holds no *.yaml file") {
		t.Errorf("Load(empty folder) = %v; want that it holds no file", err)
	}
}

func TestSyntaxErrorHidesNoOtherFile(t *testing.T) {
	_, err := Parse([]File{{"a.yaml", []byte("teams: [")}, {"b.yaml", []byte("ack: {for: never}\n")}}, ".", testEnv())
	es := asErrors(t, err)
	mustHold(t, es, 1, 12, "ack.for", "7d")
	if len(es) != 2 || es[0].File != "a.yaml" {
		t.Errorf("Parse() = %v; want the error of each file and no other", es)
	}
}

func TestOddText(t *testing.T) {
	cases := []struct {
		name, text string
		line, col  int
		message    string
	}{
		{"not UTF-8", "admins: [a]\nteams: \xff", 2, 8, "not UTF-8"},
		{"control character", "admins: [é\x01]", 1, 11, "U+0001"},
		{"a list", "- a", 1, 1, "wants a mapping"},
		{"a text", "hunter2", 1, 1, "wants a mapping"},
		{"alias without anchor", "server: {auth: {tokens: [{token: *hunter2}]}}", 1, 34, "no anchor"},
		{"merge into itself", "server: &a {<<: *a}", 1, 9, "back to itself"},
		{"alias in itself", "teams: [{name: x, sinks: {jira: &a {b: *a}}}]", 1, 33, "more than docket reads"},
		{"complex key", "? [hunter2]\n: b\n", 1, 3, "plain text"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse([]File{{"docket.yaml", []byte(tc.text)}}, ".", testEnv())
			var out bytes.Buffer
			es := asErrors(t, err)
			if err := es.Render(&out); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), "hunter2") {
				t.Errorf("messages hold the secret:\n%s", out.String())
			}
			for _, e := range es {
				if e.Line == tc.line && e.Col == tc.col && strings.Contains(e.Message, tc.message) {
					return
				}
			}
			t.Errorf("Parse(%q) = %v; want %d:%d %s", tc.text, err, tc.line, tc.col, tc.message)
		})
	}
}

func TestAliasBombEnds(t *testing.T) {
	var b strings.Builder
	b.WriteString("teams:\n- name: sec\n  sinks:\n    x:\n      a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n")
	for i := range 9 {
		n, last := string(rune('1'+i)), string(rune('0'+i))
		b.WriteString("      a" + n + ": &a" + n + " [" + strings.Repeat("*a"+last+", ", 9) + "*a" + last + "]\n")
	}
	_, err := Parse([]File{{"docket.yaml", []byte(b.String())}}, ".", testEnv())
	if err == nil || !strings.Contains(err.Error(), "more than docket reads") {
		t.Errorf("Parse(alias bomb) = %v; want a refusal", err)
	}
}

// A machine may write a file with a great many errors in one line; each has its
// place, and finding it must not cost more with the length of the line.
func TestManyErrorsInOneLine(t *testing.T) {
	const count = 50_000
	_, err := Parse([]File{{"docket.yaml", []byte("admins: [" + strings.Repeat("{a: b}, ", count) + "]" + tail)}}, ".", testEnv())
	es := asErrors(t, err)
	if len(es) != count {
		t.Fatalf("Parse() = %d errors; want %d", len(es), count)
	}
	last := es[count-1]
	if want := len("admins: [") + 8*(count-1) + 1; last.Col != want || []rune(last.excerpt)[last.caret] != '{' {
		t.Errorf("the last error is at column %d with the excerpt %q; want %d and the caret on {", last.Col, last.excerpt, want)
	}
}

func TestStarter(t *testing.T) {
	c, err := Parse([]File{{"docket.yaml", Starter()}}, ".", testEnv())
	if err != nil || len(c.Warnings()) > 0 {
		t.Errorf("Parse(Starter()) = %v, warnings %v; want none", err, c.Warnings())
	}
	if len(c.Sources) != 1 || len(c.Sinks) != 1 || c.Route.Team != "security" {
		t.Errorf("Parse(Starter()) = %+v; want one source, one sink, team security", c)
	}
}

func FuzzLoad(f *testing.F) {
	names, _ := filepath.Glob("testdata/broken/*.yaml")
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
	f.Add(Starter())
	f.Add([]byte("a: &x {q: 1}\nroute: {<<: *x, when: \"\\x41\\\n b\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse([]File{{"a.yaml", data}, {"b.yaml", []byte(tail)}}, ".", testEnv())
		es := asErrors(t, err)
		for _, e := range append(es, c.Warnings()...) {
			if e.File != "a.yaml" && e.File != "b.yaml" || e.Line < 1 || e.Col < 1 || e.excerpt == "" && e.Line > 1 && e.File == "b.yaml" {
				t.Errorf("Parse(%q) has an error without a place: %+v", data, e)
			}
		}
		for _, s := range c.Sources {
			asErrors(t, s.Block.Decode(&blockSample{}))
		}
		c.ErrorAt("route.routes[0].when", 1, 3, "x")
		first := c.Hash()
		if c.Hash() != first {
			t.Errorf("Hash() of %q is not stable", data)
		}
	})
}
