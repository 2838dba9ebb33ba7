package docs_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/docket-hub/docket/internal/cli"
)

// TestMain makes this test's program answer to the name docket, so that a shell finds the product under it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"docket": func() {
		os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv))
	}})
}

// pageAddress is where the pages' daemons listen; a test puts a free address in its place.
const pageAddress = "127.0.0.1:8080"

// consoleWithin bounds all commands of one page.
const consoleWithin = 2 * time.Minute

// typedPages are the pages whose commands are typed, with the number of them at least.
func typedPages() map[string]int { return map[string]int{"getting-started.md": 15, "closing.md": 12} }

// TestTypedPages types what a page says, from its first block to its last, into one shell, and compares what that prints. A block whose info is "… file NAME" is a file that the reader writes. In the output, … stands for any
// text of a line, and a line of … for any lines.
func TestTypedPages(t *testing.T) {
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here", program)
		}
	}
	for name, least := range typedPages() {
		t.Run(name, func(t *testing.T) { typePage(t, name, least) })
	}
}

func typePage(t *testing.T, name string, least int) {
	address := freeAddress(t)
	here := strings.NewReplacer(pageAddress, address)
	var script strings.Builder
	script.WriteString("exec 2>&1\ntrap '[ -z \"$daemon\" ] || kill $daemon; exit 1' INT\n")
	var typed []command
	for _, b := range blocks(t, name) {
		switch file, isFile := strings.CutPrefix(b.mark(), "file "); {
		case isFile:
			fmt.Fprintf(&script, "mkdir -p \"$(dirname %s)\"\ncat > %s <<'END OF FILE'\n%sEND OF FILE\n", file, file, here.Replace(b.text))
		case b.lang() == "console":
			for _, c := range commands(b) {
				typed = append(typed, c)
				fmt.Fprintf(&script, "printf '\\n%s%%d\\n' %d\n%s\n", boundary, len(typed)-1, here.Replace(c.line))
			}
		}
	}
	if len(typed) < least {
		t.Fatalf("%s has %d commands; want those that are there found", name, len(typed))
	}
	out, dir := typeIn(t, script.String())
	for range 2 { // a machine under load takes longer than a command waits for the daemon of its own state
		if bytes.Contains(out, []byte("does not answer at server.listen")) {
			out, dir = typeIn(t, script.String())
		}
	}
	printed := bytes.Split(out, []byte("\n"+boundary))
	if len(printed) != len(typed)+1 {
		t.Fatalf("%d commands were run; want %d:\n%s", len(printed)-1, len(typed), out)
	}
	for i, c := range typed {
		_, text, _ := strings.Cut(string(printed[i+1]), "\n")
		text = strings.NewReplacer(address, pageAddress, filepath.ToSlash(dir), "…").Replace(text)
		if c.prints != "" && !alike(c.prints, text) {
			t.Errorf("%s:%d: %s\nprints\n%s\nwant\n%s", name, c.at, c.line, text, c.prints)
		}
	}
}

// typeIn runs a script in an empty folder and gives what it printed, and the folder.
func typeIn(t *testing.T, script string) (out []byte, dir string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), consoleWithin)
	defer stop()
	sh := exec.CommandContext(ctx, "sh", "-c", script)
	sh.Dir = t.TempDir()
	sh.Env = append(os.Environ(), "HOME="+sh.Dir, "USER=you", "NO_COLOR=1", "DOCKET_CONFIG=", "DOCKET_TOKEN=", "GORACE=atexit_sleep_ms=20")
	// Told to stop, the shell ends the daemon that it started, which would outlive it.
	sh.Cancel = func() error { return sh.Process.Signal(os.Interrupt) }
	sh.WaitDelay = 5 * time.Second
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Errorf("the shell ended with %v; want no error", err)
	}
	return out, sh.Dir
}

// boundary stands before each command's output.
const boundary = "---- command "

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// command is one line behind a prompt, and what stands below it.
type command struct {
	line, prints string
	at           int
}

func commands(b block) []command {
	var out []command
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		if rest, is := strings.CutPrefix(line, "$ "); is {
			out = append(out, command{line: rest, at: b.line + 1 + i})
		} else if len(out) > 0 {
			out[len(out)-1].prints += line + "\n"
		}
	}
	return out
}

var manyLines = regexp.MustCompile(`(?m)^…\n`)

// alike compares an output with what a page shows of it, without regard to blanks at the ends of lines.
func alike(shown, got string) bool {
	trim := func(s string) string {
		var b strings.Builder
		for line := range strings.Lines(strings.TrimSpace(s)) {
			b.WriteString(strings.TrimRight(line, " \n") + "\n")
		}
		return b.String()
	}
	pattern := regexp.QuoteMeta(trim(shown))
	pattern = manyLines.ReplaceAllString(pattern, `(?:.*\n)*?`)
	pattern = strings.ReplaceAll(pattern, "…", `[^\n]*`)
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(trim(got))
}

func TestAlike(t *testing.T) {
	tests := []struct {
		shown, got string
		want       bool
	}{
		{"a\nb\n", "a\nb  \n", true},
		{"a\nb\n", "a\n", false},
		{"a … c\n", "a b c\n", true},
		{"a … c\n", "a b\nc\n", false},
		{"a\n…\nd\n", "a\nb\nc\nd\n", true},
		{"a\n…\nd\n", "a\nd\n", true},
		{"a\n…\nd\n", "a\nb\n", false},
		{"a (b)\n", "a (b)\n", true},
	}
	for _, tt := range tests {
		if got := alike(tt.shown, tt.got); got != tt.want {
			t.Errorf("alike(%q, %q) = %v; want %v", tt.shown, tt.got, got, tt.want)
		}
	}
}
