package docs_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/app"
)

// allPages are the paths of every Markdown page for people, from this folder, with slashes.
func allPages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, below := range []string{"..", ".", "../connectors", "../deploy"} {
		err := filepath.WalkDir(filepath.FromSlash(below), func(at string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || d.Name() == "tickets" || d.Name() == "data" || below == ".." && at != ".."):
				return fs.SkipDir
			case strings.HasSuffix(at, ".md"):
				out = append(out, filepath.ToSlash(at))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// block is a fenced block of a page.
type block struct {
	page, info, text string
	line             int // of its first fence, from 1
}

// first is the first word of a block's info, the rest says what a test does with it.
func (b block) lang() string { l, _, _ := strings.Cut(b.info, " "); return l }
func (b block) mark() string { _, m, _ := strings.Cut(b.info, " "); return m }
func (b block) at() string   { return b.page + ":" + strconv.Itoa(b.line) }

// blocks are the fenced blocks of a page, in order.
func blocks(t *testing.T, name string) []block {
	t.Helper()
	var out []block
	var open *block
	for i, line := range strings.Split(page(t, name), "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{page: name, info: strings.TrimPrefix(line, "```"), line: i + 1}
		case fence:
			out, open = append(out, *open), nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s: a fence is not closed; want pairs", open.at())
	}
	return out
}

// prose is a page without its fenced blocks.
func prose(text string) string {
	var b strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			b.WriteString(line)
		}
	}
	return b.String()
}

var heading = regexp.MustCompile(`(?m)^#{1,6} (.*)$`)

// anchors are the names of a page's headings, as they stand behind # in links: lower case, blanks as hyphens,
// no punctuation, and -1, -2 behind repeats.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(prose(text), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(m[1]))
		n := seen[slug]
		seen[slug]++
		if n > 0 {
			slug += "-" + strconv.Itoa(n)
		}
		out[slug] = true
	}
	return out
}

func TestAnchors(t *testing.T) {
	got := anchors("# Source `file`\n## What, then?\n## What, then?\n```\n# no heading\n```\n### P1 and up\n")
	for _, want := range []string{"source-file", "what-then", "what-then-1", "p1-and-up"} {
		if !got[want] {
			t.Errorf("anchors = %v; want %s among them", got, want)
		}
	}
	if len(got) != 4 {
		t.Errorf("anchors = %v; want four", got)
	}
}

// TestLinks follows every relative link of the pages, and every anchor.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, name := range allPages(t) {
		for _, m := range link.FindAllStringSubmatch(prose(page(t, name)), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			info, err := os.Stat(filepath.FromSlash(target))
			switch {
			case err != nil:
				t.Errorf("%s links to %s, which is not there; want a link that can be followed", name, m[1])
			case anchor != "" && (info.IsDir() || !anchors(page(t, target))[anchor]):
				t.Errorf("%s links to %s, which has no such heading; want one of %v", name, m[1], anchors(page(t, target)))
			}
		}
	}
}

// TestEverythingHasItsPage fails when a connector or a format comes without a page, and when a page is not in the site map.
func TestEverythingHasItsPage(t *testing.T) {
	set, err := all.Set()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for _, name := range set.SourceTypes() {
		want = append(want, "sources/"+name+".md")
	}
	for _, name := range set.SinkTypes() {
		want = append(want, "sinks/"+name+".md")
	}
	keys := page(t, "configuration.md")
	for _, name := range format.Names() {
		if !regexp.MustCompile("(?m)^\\| `format` .*`" + name + "`").MatchString(keys) {
			t.Errorf("configuration.md does not name %s beside the key format; want every format", name)
		}
		if name != "auto" {
			want = append(want, "formats/"+name+".md")
		}
	}
	for _, name := range want {
		if _, err := os.Stat(filepath.FromSlash(name)); err != nil {
			t.Errorf("docs/%s is not there; want a page for each connector and format", name)
		}
	}
	site, formats := page(t, "README.md"), page(t, "formats/README.md")
	for _, name := range allPages(t) {
		folder := path.Dir(name)
		switch {
		case name == "README.md", strings.HasPrefix(name, "../"):
		case folder == "formats" && name != "formats/README.md":
			if !strings.Contains(formats, "]("+path.Base(name)+")") {
				t.Errorf("docs/formats/README.md has no link to %s; want every format", name)
			}
		case !strings.Contains(site, "]("+name+")"):
			t.Errorf("docs/README.md has no link to %s; want every page in the site map", name)
		}
		if (folder == "sources" || folder == "sinks" || folder == "formats" && name != "formats/README.md") && !slices.Contains(want, name) {
			t.Errorf("docs/%s is of no connector and no format; want no page left over", name)
		}
	}
}

// wholes are the words behind yaml that say what a block is.
const (
	wholeConfig = "config" // a whole configuration
	partConfig  = "part"   // a part of one: the test adds what is missing
)

// complete adds to a part of a configuration the top-level keys that no configuration can lack.
func complete(part string) string {
	has := func(key string) bool { return regexp.MustCompile(`(?m)^` + key + `:`).MatchString(part) }
	if !has("route") {
		sink := regexp.MustCompile(`(?ms)^sinks:\s*\n\s*- ?\{?\s*name: (\w+)`).FindStringSubmatch(part)
		name := ""
		if sink != nil {
			name = sink[1]
		}
		part += "\nroute: {team: security, sinks: [" + name + "]}\n"
	}
	if !has("teams") {
		part += "\nteams: [{name: security}]\n"
	} else if strings.Contains(part, "team: security") && !strings.Contains(part, "name: security") {
		part = strings.Replace(part, "teams:\n", "teams:\n  - {name: security}\n", 1)
	}
	return part
}

// TestConfigurations loads every block that is marked as a configuration or as a part of one, as `docket config check` does.
func TestConfigurations(t *testing.T) {
	n := 0
	for _, name := range allPages(t) {
		for _, b := range blocks(t, name) {
			text := b.text
			switch b.info {
			case "yaml " + wholeConfig:
			case "yaml " + partConfig:
				text = complete(text)
			default:
				folder := path.Dir(name)
				if b.lang() == "yaml" && b.mark() == "" && (folder == "sources" || folder == "sinks" || folder == "formats" || name == "cookbook.md") {
					t.Errorf("%s: a block of YAML says not what it is; want one of config, part, tests, reads, other behind yaml", b.at())
				}
				continue
			}
			n++
			load(t, b.at(), text)
		}
	}
	if n < 20 {
		t.Errorf("the pages have %d configurations; want those that are there found", n)
	}
}

// load reads a configuration as a start does, short of connecting, and wants neither errors nor warnings.
func load(t *testing.T, at, text string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "docket.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := app.Load(name, func(string) (string, bool) { return "0123456789abcdef0123456789abcdef", true })
	if err != nil {
		t.Errorf("%s: %v; want a configuration without errors", at, err)
		return
	}
	for _, w := range app.Warnings(c) {
		t.Errorf("%s warns: %v; want no warning", at, w)
	}
}
