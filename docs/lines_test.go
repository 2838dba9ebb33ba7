package docs_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docket-hub/docket/internal/cli"
)

// commandTree are the paths of all commands, "cases list", and whether each has commands below it.
func commandTree(t *testing.T) map[string]bool {
	t.Helper()
	tree := map[string]bool{}
	var walk func(at []string)
	walk = func(at []string) {
		subs := below(help(t, at))
		tree[strings.Join(at, " ")] = len(subs) > 0
		for _, s := range subs {
			walk(append(slices.Clip(at), s))
		}
	}
	walk(nil)
	tree["help"], tree["completion"] = false, false
	return tree
}

// words splits a line of a shell as far as pages need it: quotes, comments, and the signs between commands.
func words(line string) (out [][]string) {
	var now []string
	var word strings.Builder
	in := false // a word was begun
	quote := rune(0)
	flush := func() {
		if in {
			now = append(now, word.String())
		}
		word.Reset()
		in = false
	}
	end := func() {
		flush()
		if len(now) > 0 {
			out = append(out, now)
		}
		now = nil
	}
	for _, r := range line {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == '#' && !in:
			end()
			return out
		case r == ' ' || r == '\t':
			flush()
		case strings.ContainsRune("|&;()", r):
			end()
		case r == '>' || r == '<':
			end() // what follows is a file's name, and no command
			now = append(now, "file")
		default:
			word.WriteRune(r)
			in = true
		}
	}
	end()
	return out
}

// shellLines are the lines of a block that a shell runs, long ones put together again.
func shellLines(b block) []string {
	text := strings.ReplaceAll(b.text, "\\\n", " ")
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if b.lang() == "console" {
			rest, is := strings.CutPrefix(line, "$ ")
			if !is {
				continue
			}
			line = rest
		}
		out = append(out, line)
	}
	return out
}

var placeholder = regexp.MustCompile(`^[A-Z][A-Z-]+$`)

// TestCommandLines holds every command line of docket in the pages against the program: the command is there, and so is each flag.
func TestCommandLines(t *testing.T) {
	tree := commandTree(t)
	n := 0
	checked := map[string]bool{}
	check := func(at string, args []string) {
		if len(args) > 0 && (placeholder.MatchString(args[0]) || args[0] == "…") {
			return // `docket COMMAND --help`
		}
		n++
		if text := strings.Join(args, "\x00"); checked[text] {
			return
		} else {
			checked[text] = true
		}
		if problem := judge(t, tree, args); problem != "" {
			t.Errorf("%s: docket %s: %s", at, strings.Join(args, " "), problem)
		}
	}
	inline := regexp.MustCompile("`(?:[A-Z_]+=\\S+ )?docket ([a-z-][^`]*)`")
	for _, name := range allPages(t) {
		if name == "commands.md" {
			continue // written by the commands themselves
		}
		for _, b := range blocks(t, name) {
			if l := b.lang(); l != "sh" && l != "console" && l != "" {
				continue
			}
			for _, line := range shellLines(b) {
				for _, w := range words(line) {
					for len(w) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(w[0]) {
						w = w[1:]
					}
					if len(w) > 1 && (w[0] == "docket" || strings.HasSuffix(w[0], "/docket")) {
						check(b.at(), w[1:])
					}
				}
			}
		}
		for _, m := range inline.FindAllStringSubmatch(prose(page(t, name)), -1) {
			for i, w := range words("docket " + m[1]) {
				if i == 0 {
					check(name, w[1:])
				}
			}
		}
	}
	if n < 90 {
		t.Errorf("the pages have %d command lines; want those that are there found", n)
	}
}

// judge says what is wrong with a command line: asked for its help, a command reads its flags and does nothing.
func judge(t *testing.T, tree map[string]bool, args []string) string {
	t.Helper()
	path := []string{}
	takes := map[string]bool{"-c": true, "--config": true, "--server": true, "--log-format": true, "--log-level": true}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if strings.HasPrefix(a, "-") && len(a) > 1 {
			if takes[a] { // of the flags before a command's name only these have a value
				i++
			}
			continue
		}
		next := strings.Join(append(slices.Clip(path), a), " ")
		if _, is := tree[next]; is {
			path = append(path, a)
			continue
		}
		if tree[strings.Join(path, " ")] {
			if placeholder.MatchString(a) {
				return ""
			}
			return "there is no such command"
		}
		break
	}
	problem := asked(args, "--help")
	if problem != "" && strings.HasPrefix(args[len(args)-1], "-") {
		problem = asked(args, "VALUE", "--help") // the text names a flag that wants a value
	}
	return problem
}

func asked(args []string, more ...string) string {
	var out, errs bytes.Buffer
	none := func(string) (string, bool) { return "", false }
	if code := cli.Main(slices.Concat(args, more), strings.NewReader(""), &out, &errs, none); code != 0 {
		return strings.TrimSpace(errs.String())
	}
	return ""
}

func TestJudge(t *testing.T) {
	tree := commandTree(t)
	tests := []struct {
		line string
		good bool
	}{
		{"cases list --team payments", true},
		{"-c docket.yaml cases list", true},
		{"cases lost", false},
		{"cases list --tame payments", false},
		{"plan --out plan.json", true},
		{"plan --out", true},
		{"explode", false},
		{"explain DK-1", true},
	}
	for _, tt := range tests {
		if got := judge(t, tree, strings.Fields(tt.line)); (got == "") != tt.good {
			t.Errorf("judge(%s) = %q; want good to be %v", tt.line, got, tt.good)
		}
	}
}
