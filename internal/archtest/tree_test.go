package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			t.Fatal("no go.mod above the package")
		}
		dir = above
	}
}

// each calls f with every file of the repository, its path relative and with
// slashes. What git ignores is left out by name.
func each(t *testing.T, f func(name string, data []byte)) {
	t.Helper()
	top := root(t)
	ignored := []string{".git", "bin", ".bin", "data", "coverage.out", "deploy/quickstart/data", "deploy/quickstart/tickets"}
	err := filepath.WalkDir(top, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, at)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if slices.Contains(ignored, name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		f(name, data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFolders compares the folders that docs/architecture.md lists under
// "Folders" with those that are there, in both directions.
func TestFolders(t *testing.T) {
	top := root(t)
	page, err := os.ReadFile(filepath.Join(top, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## Folders\n")
	if !ok {
		t.Fatal("docs/architecture.md has no heading Folders")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(section, -1) {
		name := strings.TrimSuffix(m[1], "/")
		listed[name] = true
		if info, err := os.Stat(filepath.Join(top, filepath.FromSlash(name))); err != nil || !info.IsDir() {
			t.Errorf("docs/architecture.md lists the folder %s; want it there", name)
		}
	}
	if len(listed) == 0 {
		t.Fatal("docs/architecture.md lists no folder")
	}
	packages := map[string]bool{}
	each(t, func(name string, _ []byte) {
		if strings.HasSuffix(name, ".go") {
			packages[filepath.ToSlash(filepath.Dir(name))] = true
		}
	})
	for name := range packages {
		// A folder inside a listed one may be explained there.
		if !slices.ContainsFunc([]string{name, filepath.ToSlash(filepath.Dir(name)), filepath.ToSlash(filepath.Dir(filepath.Dir(name)))},
			func(n string) bool { return listed[n] }) {
			t.Errorf("the folder %s stands nowhere in docs/architecture.md; want it listed under Folders", name)
		}
	}
}

// TestNoTraces looks for what only makes sense on one machine. The patterns are
// put together here, so that this file does not hold what it looks for.
func TestNoTraces(t *testing.T) {
	join := func(parts ...string) string { return strings.Join(parts, "") }
	forbidden := regexp.MustCompile(strings.Join([]string{
		join(`(^|[\s"'=(:])/wo`, `rk/`),
		join(`(^|[\s"'=(:])/ro`, `ot/`),
		join(`proxy\.gol`, `ang\.org`), join(`sum\.gol`, `ang\.org`),
		join(`registry\.npm`, `js`), join(`py`, `pi\.org`), join(`python`, `hosted\.org`), join(`ruby`, `gems\.org`),
		join(`index\.cra`, `tes\.io`), join(`repo\.mav`, `en\.apache`), join(`deb\.deb`, `ian\.org`), join(`archive\.ubu`, `ntu\.com`),
	}, "|"))
	// The expression is slow, most of all under the race detector: it looks only where one of these stands.
	words := [][]byte{}
	for _, word := range []string{join(`/wo`, `rk/`), join(`/ro`, `ot/`), join(`gol`, `ang.org`), join(`npm`, `js`), join(`py`, `pi.org`), join(`python`, `hosted`),
		join(`ruby`, `gems`), join(`index.cra`, `tes`), join(`repo.mav`, `en`), join(`deb.deb`, `ian`), join(`archive.ubu`, `ntu`)} {
		words = append(words, []byte(word))
	}
	each(t, func(name string, data []byte) {
		if bytes.IndexByte(data, 0) >= 0 || !slices.ContainsFunc(words, func(w []byte) bool { return bytes.Contains(data, w) }) {
			return
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if found := forbidden.Find(line); found != nil {
				t.Errorf("%s:%d names %q; want nothing of one machine or registry in the repository", name, i+1, found)
			}
		}
	})
}

// TestMainDoesNothing keeps main to one call.
func TestMainDoesNothing(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(t), "cmd", "docket", "*.go"))
	if err != nil || len(files) != 1 {
		t.Fatalf("cmd/docket holds %v (%v); want main.go alone", files, err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), files[0], nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name != "main" || len(d.Body.List) > 1 {
				t.Errorf("cmd/docket has a func %s of %d statements; want main with one", d.Name.Name, len(d.Body.List))
			}
		case *ast.GenDecl:
			if d.Tok != token.IMPORT {
				t.Errorf("cmd/docket declares a %s; want none", d.Tok)
			}
		}
	}
}

// The sizes above which code wants a reason.
const (
	longFile     = 500
	longFunction = 60
)

// TestSizes lists what has grown long. It fails nothing: a reason decides, not a number.
func TestSizes(t *testing.T) {
	each(t, func(name string, data []byte) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return
		}
		if lines := bytes.Count(data, []byte("\n")); lines > longFile {
			t.Logf("%s has %d lines", name, lines)
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, data, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("parsing %s: %v", name, err)
			return
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if lines := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; lines > longFunction {
				t.Logf("%s: func %s has %d lines", name, fn.Name.Name, lines)
			}
		}
	})
}
