package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// found is one file that a pattern named.
type found struct {
	shown string // as the user would write it: relative to the base, with slashes
	path  string
	info  fs.FileInfo
}

func (f found) mark() mark { return mark{f.info.Size(), f.info.ModTime().UnixNano()} }

// inFolder is what a pattern that names a folder stands for.
const inFolder = "**/*.{json,jsonl,ndjson,sarif,csv,xml,json.gz,jsonl.gz,ndjson.gz,sarif.gz,csv.gz,xml.gz}"

// split cuts a pattern into the folder without wildcards that it starts from
// and the rest, both with slashes.
func (s *Source) split(pattern string) (dir, rest string) {
	pattern = filepath.ToSlash(pattern)
	if info, err := os.Stat(s.absolute(pattern)); err == nil && info.IsDir() {
		return path.Clean(pattern), inFolder
	}
	dir, rest = doublestar.SplitPattern(path.Clean(pattern))
	return dir, rest
}

func (s *Source) absolute(dir string) string {
	dir = filepath.FromSlash(dir)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.opt.Base, dir)
	}
	return dir
}

// find expands the patterns into regular files, sorted by path, each once even
// when several names lead to it. Hidden files and folders count only where the pattern names them,
// as in a shell; this also keeps the copies away that Kubernetes holds behind a ConfigMap's links.
// The error names folders that could not be listed.
func (s *Source) find() (files []found, notes []string, err error) {
	var errs []error
	seen := map[string]bool{}
	for _, pattern := range s.config.Paths {
		if pattern == stdinPath {
			continue
		}
		dir, rest := s.split(pattern)
		n := 0
		root := s.absolute(dir)
		walk := func(name string, _ fs.DirEntry) error {
			if hidden(name) && !hidden(rest) {
				return nil
			}
			shown := path.Join(dir, name)
			at := filepath.Join(root, filepath.FromSlash(name))
			info, err := os.Stat(at)
			if errors.Is(err, fs.ErrNotExist) { // gone since, or a link to nowhere
				return nil
			}
			if err != nil {
				errs = append(errs, err)
				return nil
			}
			if info.IsDir() {
				return nil
			}
			n++
			if !info.Mode().IsRegular() {
				notes = append(notes, shown+": no regular file")
				return nil
			}
			files = append(files, found{shown, at, info})
			return nil
		}
		err := doublestar.GlobWalk(os.DirFS(root), rest, walk, doublestar.WithFailOnIOErrors())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("listing %s: %w", pattern, err))
			// Once more past what is closed to us; files met twice count once.
			if err := doublestar.GlobWalk(os.DirFS(root), rest, walk); err != nil {
				errs = append(errs, fmt.Errorf("listing %s: %w", pattern, err))
			}
		}
		if n == 0 {
			notes = append(notes, pattern+": there is no such file")
		}
	}
	slices.SortStableFunc(files, func(a, b found) int { return strings.Compare(a.shown, b.shown) })
	files = slices.DeleteFunc(files, func(f found) bool {
		real, err := filepath.EvalSymlinks(f.path)
		if err != nil {
			real = f.path
		}
		twice := seen[real]
		seen[real] = true
		return twice
	})
	return files, notes, errors.Join(errs...)
}

// hidden reports whether a part of a relative path begins with a dot.
func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." && part != ".." {
			return true
		}
	}
	return false
}
