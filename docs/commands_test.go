package docs_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/docket-hub/docket/internal/cli"
)

var update = flag.Bool("update", false, "write commands.md again")

// help is what `docket COMMAND --help` prints.
func help(t *testing.T, command []string) string {
	t.Helper()
	var out, errs bytes.Buffer
	none := func(string) (string, bool) { return "", false }
	if code := cli.Main(append(command, "--help"), strings.NewReader(""), &out, &errs, none); code != 0 {
		t.Fatalf("docket %s --help = %d, %s; want 0", strings.Join(command, " "), code, errs.String())
	}
	return out.String()
}

// below are the names of the commands that a help text lists.
func below(text string) []string {
	_, list, ok := strings.Cut(text, "\nAvailable Commands:\n")
	if !ok {
		return nil
	}
	var names []string
	for line := range strings.Lines(list) {
		if strings.TrimSpace(line) == "" {
			break
		}
		if name := strings.Fields(line)[0]; name != "help" {
			names = append(names, name)
		}
	}
	return names
}

// describe writes a command and the commands below it.
func describe(t *testing.T, b *strings.Builder, command []string) {
	text := help(t, command)
	subs := below(text)
	own, _, _ := strings.Cut(text, "\nGlobal Flags:")
	own, _, _ = strings.Cut(own, "\nUse \"docket")
	if len(command) > 0 {
		b.WriteString("\n## docket " + strings.Join(command, " ") + "\n")
	}
	b.WriteString("\n```text\n" + strings.TrimSpace(own) + "\n```\n")
	for _, name := range subs {
		describe(t, b, append(command[:len(command):len(command)], name))
	}
}

// TestCommandsAreCurrent compares commands.md with what the program says of itself.
func TestCommandsAreCurrent(t *testing.T) {
	var b strings.Builder
	b.WriteString("<!-- Written from the commands' own help by: go test ./docs -run TestCommandsAreCurrent -update -->\n" +
		"# Commands\n\nExit status: 0 fine, 1 failed, 2 wrong usage or configuration, 3 (`plan --detailed-exitcode`) there is something to do. Data goes to\n" +
		"standard output, everything else to standard error; `-o json` prints the fields of the API.\n")
	describe(t, &b, nil)
	if *update {
		if err := os.WriteFile("commands.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := page(t, "commands.md"); got != b.String() {
		t.Error("commands.md is not what the commands say of themselves; want it the same (run the test with -update)")
	}
}
