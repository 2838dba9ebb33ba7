// Package formattest holds what the tests of the finding formats share: the
// folder of sample files beside the module, and golden files.
package formattest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Shared is the folder of sample files: DOCKET_SHARED, else the folder shared
// beside the module's. The test is skipped where there is none.
func Shared(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("DOCKET_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			shared := filepath.Join(filepath.Dir(dir), "shared")
			if _, err := os.Stat(shared); err == nil {
				return shared
			}
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Skip("no folder shared beside the module and DOCKET_SHARED is not set")
	return ""
}

// Sample is one sample file with the number of findings that the folder's README gives.
type Sample struct {
	Name     string // relative to the folder data, as asff/one.json
	Path     string
	Findings int
}

var row = regexp.MustCompile(`^\| ([a-z-]+/[^|]+?) \| [^|]* \| [^|]* \| ([0-9]+) \|`)

// Samples reads the table of the sample folder's README: the files of the given folders.
func Samples(t testing.TB, folders ...string) []Sample {
	t.Helper()
	data := filepath.Join(Shared(t), "data")
	text, err := os.ReadFile(filepath.Join(data, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []Sample
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := row.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		for _, f := range folders {
			if filepath.Dir(m[1]) == f {
				n, _ := strconv.Atoi(m[2])
				out = append(out, Sample{Name: m[1], Path: filepath.Join(data, m[1]), Findings: n})
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("the README of %s lists no file of %v", data, folders)
	}
	return out
}

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Golden compares got, as indented JSON, with the file; with -update it writes the file.
func Golden(t testing.TB, file string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(text)); d != "" {
		t.Errorf("%s differs from what was read (-want +got):\n%s", file, d)
	}
}
