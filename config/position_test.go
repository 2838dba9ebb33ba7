package config

import (
	"errors"
	"strings"
	"testing"
)

func TestErrorAtFindsTheCharacter(t *testing.T) {
	// Each text holds BAD once where the value does; the error must stand on its B.
	cases := []struct{ name, when string }{
		{"plain", "when: finding.BAD == 1"},
		{"plain, folded", "when: finding.kind ==\n          1 && BAD"},
		{"single quotes", "when: 'finding.BAD'"},
		{"doubled single quotes", "when: 'a == ''x'' && BAD'"},
		{"double quotes", `when: "a == \"x\" && BAD"`},
		{"escapes", `when: "\u00e9\x41\t\n BAD"`},
		{"line continuation", "when: \"a == \\\n        1 && BAD\""},
		{"literal block", "when: |\n        a == 1 &&\n          BAD\n"},
		{"folded block", "when: >-\n        a == 1\n        && BAD\n"},
		{"wide characters", "when: 'é == \"ü\" && BAD'"},
		{"anchor", "when: &x 'a && BAD'"},
		{"tag", "when: !!str a && BAD"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			text := "teams: [{name: sec}]\nsinks: [{name: disk, type: file}]\nroute:\n  team: sec\n  sinks: [disk]\n  routes:\n    - team: sec\n      " + tc.when
			c := parse(t, text)
			value := c.Route.Routes[0].When
			before := value[:strings.Index(value, "BAD")]
			line := strings.Count(before, "\n")
			col := len([]rune(before[strings.LastIndex(before, "\n")+1:]))
			got := c.ErrorAt("route.routes[0].when", line, col, "undeclared reference to %s", "BAD")
			wantLine, wantCol := 0, 0
			for i, l := range strings.Split(text, "\n") {
				if at := strings.Index(l, "BAD"); at >= 0 {
					wantLine, wantCol = i+1, len([]rune(l[:at]))+1
				}
			}
			if got.Line != wantLine || got.Col != wantCol {
				t.Errorf("ErrorAt() = %d:%d; want %d:%d in\n%s", got.Line, got.Col, wantLine, wantCol, text)
			}
			if string([]rune(got.excerpt)[got.caret:][:3]) != "BAD" {
				t.Errorf("the caret of %q is at %d; want it under BAD", got.excerpt, got.caret)
			}
		})
	}
}

func TestPos(t *testing.T) {
	c := parse(t, "risk:\n  rules:\n    - {when: 'true', priority: P1}\n"+tail)
	cases := []struct {
		path      string
		line, col int
	}{
		{"risk.rules[0].when", 3, 14},
		{"risk.rules[0]", 3, 7},
		{"risk.rules[7].when", 3, 5}, // not there: the list
		{"nonsense", 1, 1},
		{"sinks[0].name", 6, 16},
	}
	for _, tc := range cases {
		if got, want := c.Pos(tc.path), (Position{"docket.yaml", tc.line, tc.col}); got != want {
			t.Errorf("Pos(%s) = %v; want %v", tc.path, got, want)
		}
	}
	def := Default()
	if got := def.Pos("route.team"); got != (Position{}) {
		t.Errorf("Default().Pos() = %v; want none", got)
	}
}

func TestLongLineIsCutRoundTheCaret(t *testing.T) {
	_, err := Parse([]File{{"docket.yaml", []byte("admins: [" + strings.Repeat("someone, ", 60) + "{a: b}, " + strings.Repeat("other, ", 60) + "last]")}}, ".", testEnv())
	for _, e := range asErrors(t, err) {
		if e.Path != "admins[60]" {
			continue
		}
		if runes := []rune(e.excerpt); len(runes) > excerptRunes+2 || runes[e.caret] != '{' {
			t.Errorf("excerpt is %q with the caret at %d; want at most %d characters and the caret on {", e.excerpt, e.caret, excerptRunes+2)
		}
		return
	}
	t.Errorf("Parse() = %v; want an error at admins[60]", err)
}

func TestBlock(t *testing.T) {
	text := "sources:\n  - {name: reports, type: file, intervall: 5m, pathz: [a], auth: {token: {env: SET}, tokn: hunter2}, wait: soon}\n" + tail
	c, err := Parse([]File{{"docket.yaml", []byte(text)}}, "/etc/docket", testEnv())
	if err != nil {
		t.Fatalf("Parse() = %v; want no error before the block is decoded", err)
	}
	b := c.Sources[0].Block
	into := blockSample{Paths: []string{"default"}}
	err = b.Decode(&into)
	es := asErrors(t, err)
	mustHold(t, es, 2, 33, "sources[0].intervall", "did you mean interval?")
	mustHold(t, es, 2, 48, "sources[0].pathz", "did you mean paths?")
	mustHold(t, es, 2, 86, "sources[0].auth.tokn", "did you mean token?")
	mustHold(t, es, 2, 108, "sources[0].wait", "7d")
	for _, e := range es {
		if strings.Contains(e.excerpt, "hunter2") {
			t.Errorf("excerpt %q holds the secret", e.excerpt)
		}
	}
	if into.Auth.Token.Reveal() != "planted-secret" || into.Paths[0] != "default" {
		t.Errorf("Decode() = %+v; want the secret resolved and the default kept", into)
	}
	var one Error
	if err := b.Errorf("wait", "no"); !errors.As(err, &one) || one.Line != 2 || one.Col != 108 || one.Path != "sources[0].wait" {
		t.Errorf("Errorf(wait) = %+v; want 2:108", one)
	}
	if got := b.Path("x"); got != "/etc/docket/x" {
		t.Errorf("Path(x) = %s; want /etc/docket/x", got)
	}
	if !b.Has("wait") || b.Has("paths") || b.Has("name") {
		t.Error("Has() knows other keys than the block's")
	}
	if err := b.Decode(into); err == nil {
		t.Error("Decode(not a pointer) = nil; want an error")
	}
	if err := (Block{}).Decode(&into); err != nil {
		t.Errorf("Decode of the zero Block = %v; want nil", err)
	}
}
