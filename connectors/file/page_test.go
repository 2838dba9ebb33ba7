package file

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// fronts are front matters as docket and as people write them.
var fronts = []struct{ name, text string }{
	{"docket's own", "key: docket-0123\ncase: DK-1\ntitle: \"Say \\\"no\\\" to C:\\\\x\"\nstate: open\ngeneration: 2\nrevision: 7\nupdated: \"2026-01-02T03:04:05Z\""},
	{"nothing", ""},
	{"an unknown key", "key: docket-0123\ncolour: red"},
	{"single quotes", "key: 'docket-0123'"},
	{"a comment", "title: \"a\" # \"b\""},
	{"an escape of YAML's", `title: "a\u0041\n"`},
	{"a quote left open", `title: "a\"`},
	{"a bare word of YAML's", "state: true"},
	{"a list", "title: [a, b]"},
	{"two lines", "title: a\n  b"},
	{"a key twice", "title: a\ntitle: b"},
	{"a number twice", "revision: 1\nrevision: 2"},
	{"a number of YAML's", "revision: 0x10"},
	{"a negative revision", "revision: -1"},
	{"no value", "title:\nrevision: 3"},
	{"an empty text", "title: \"\"\nrevision: 3"},
	{"a blank behind", "title: a \nrevision: 3"},
	{"a blank behind the key", "title : a"},
	{"a tab", "title: \"a\tb\""},
}

func TestHeadReadsAsYAMLDoes(t *testing.T) {
	for _, tc := range fronts {
		t.Run(tc.name, func(t *testing.T) { checkHead(t, tc.text) })
	}
	var h head
	if !h.read(fronts[0].text) || h.Revision != 7 || h.Title != `Say "no" to C:\x` {
		t.Errorf("read(%q) = %+v; want docket's own front matter read without YAML", fronts[0].text, h)
	}
}

func FuzzHead(f *testing.F) {
	for _, tc := range fronts {
		f.Add(tc.text)
	}
	f.Fuzz(checkHead)
}

// checkHead: what read takes in, YAML reads the same way.
func checkHead(t *testing.T, text string) {
	var quick, full head
	if !quick.read(text) {
		if quick != (head{}) {
			t.Errorf("read(%q) = false, %+v; want nothing set", text, quick)
		}
		return
	}
	if err := yaml.Unmarshal([]byte(text), &full); err != nil {
		t.Errorf("read(%q) = true; YAML says %v", text, err)
	} else if quick != full {
		t.Errorf("read(%q) = %+v; want %+v", text, quick, full)
	}
}

func TestQuoteComesBack(t *testing.T) {
	for _, s := range []string{"", `"`, `\`, `\"`, `a "b" \c`, strings.Repeat(`\"`, 50)} {
		var b strings.Builder
		quote(&b, s)
		if got, err := unquote(b.String()); got != s || err != nil {
			t.Errorf("unquote(quote(%q)) = %q, %v; want it back", s, got, err)
		}
	}
}
