// Command reliability runs the reliability suites of internal/crashtest, prints
// what they found, and keeps it as the table of docs/reliability.md. Everything that the suites choose by
// chance comes from one seed: -seed with the number it printed makes the same choices again. When a
// kill falls among the program's own steps is up to the machine too.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The lines between which the table stands in the document.
const (
	begin = "<!-- reliability: written by make reliability -->"
	end   = "<!-- reliability: end -->"
)

// row is one line of the table, as a suite writes it.
type row struct {
	Suite, What         string
	Runs, Lost, Doubled int
	Seconds             float64
	Failed              bool
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "reliability:", err)
		os.Exit(1)
	}
}

func run() error {
	seed := flag.Uint64("seed", 0, "replay the run with this seed; 0: a new one")
	size := flag.String("size", "short", "short, or long for the figures of a night")
	out := flag.String("out", "docs/reliability.md", "document whose table is replaced; empty: none")
	only := flag.String("run", "^TestReliability", "which suites, as go test -run takes it")
	parallel := flag.Int("parallel", 4, "how many worlds at a time")
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("seed %d, size %s; the same again: make reliability RELIABILITY=%s SEED=%d\n", *seed, *size, *size, *seed)
	at := commit()
	rows, err := suites(*seed, *size, *only, *parallel)
	table := render(rows, *seed, *size, at)
	fmt.Print("\n", table)
	if err == nil && len(rows) == 0 {
		err = errors.New("no suite ran")
	}
	if err == nil && *out != "" {
		err = replace(*out, table)
	}
	return err
}

// suites runs them and reads the rows that they wrote. Rows come with an error too.
func suites(seed uint64, size, only string, parallel int) ([]row, error) {
	dir, err := os.MkdirTemp("", "docket-reliability-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rows")
	tests := exec.Command("go", "test", "-count=1", "-timeout", "12h", "-parallel", fmt.Sprint(parallel), "-run", only, "./internal/crashtest")
	tests.Env = append(os.Environ(), "DOCKET_RELIABILITY="+size, fmt.Sprintf("DOCKET_SEED=%d", seed), "DOCKET_RELIABILITY_ROWS="+path)
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	failed := tests.Run()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(failed, err)
	}
	var rows []row
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var r row
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return nil, errors.Join(failed, err)
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(len(a.Suite)-len(b.Suite), strings.Compare(a.Suite, b.Suite)) // R2 before R17
	})
	return rows, failed
}

// render is the table as Markdown.
func render(rows []row, seed uint64, size, commit string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Run of %s, size %s, commit %s.\n\n", time.Now().UTC().Format(time.DateOnly), size, commit)
	b.WriteString("| suite | what | runs | lost | doubled | seed | seconds | result |\n|---|---|---:|---:|---:|---:|---:|---|\n")
	for _, r := range rows {
		result := "passed"
		if r.Failed {
			result = "**failed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %.0f | %s |\n", r.Suite, r.What, r.Runs, r.Lost, r.Doubled, seed, r.Seconds, result)
	}
	return b.String()
}

// commit names the source that runs, with what is not committed.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude", "*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// replace puts the table between the marks of a document.
func replace(path, table string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(b), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s: the marks %q and %q are not there", path, begin, end)
	}
	return os.WriteFile(path, []byte(before+begin+"\n\n"+table+"\n"+end+after), 0o644)
}
