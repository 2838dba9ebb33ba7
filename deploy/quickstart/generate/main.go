// Command generate writes the findings of the quick start, or with -check says
// whether the files are what it would write.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docket-hub/docket/deploy/quickstart"
)

//go:generate go run . -to ../findings

func main() {
	to := flag.String("to", "deploy/quickstart/findings", "the `folder` to write")
	check := flag.Bool("check", false, "write nothing, end with 1 where a file differs")
	flag.Parse()
	if err := run(*to, *check); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	files, err := quickstart.Files()
	if err != nil {
		return err
	}
	if check {
		return compare(dir, files)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare names the first file that is missing, different or too many.
func compare(dir string, files []quickstart.File) error {
	want := map[string][]byte{}
	for _, f := range files {
		want[f.Name] = f.Data
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if expected, ok := want[name]; !ok || !bytes.Equal(data, expected) {
			return fmt.Errorf("%s is not what it should be: run make generate", path)
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		return err
	}
	for name := range want {
		return fmt.Errorf("%s is missing: run make generate", filepath.Join(dir, name))
	}
	return nil
}
