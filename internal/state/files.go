package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WriteFile makes a file whole or not at all: write fills a new one (mode 0600) beside
// path, which is flushed and then takes its place. Without replace, a file that is there is fs.ErrExist,
// found before anything is written. What killed processes left in the folder is removed a day later.
func WriteFile(path string, replace bool, write func(*os.File) error) error {
	if !replace {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s: %w", path, fs.ErrExist)
		}
	}
	dir := filepath.Dir(path)
	removeParts(dir, time.Now().Add(-partAge))
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*"+partSuffix) // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := place(f.Name(), path, replace); err != nil {
		return err
	}
	return syncFolder(dir)
}

const (
	partSuffix = ".docket-part"
	partAge    = 24 * time.Hour // nobody writes for so long without a single byte
)

// removeParts removes parts of files in a folder that nobody has written to since a time.
func removeParts(dir string, since time.Time) {
	left, _ := os.ReadDir(dir) // what is left only takes room
	for _, e := range left {
		if !strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), partSuffix) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().Before(since) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// place gives a file its name. Without replace, one that came to have the name meanwhile stays.
func place(from, to string, replace bool) error {
	if replace {
		return os.Rename(from, to)
	}
	err := os.Link(from, to) // unlike a rename it never replaces
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(from, to) // a file system without links
}
