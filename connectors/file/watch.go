package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// defaultSettle is how long the files have to rest before a change counts: a
	// report is often written in several steps.
	defaultSettle = 500 * time.Millisecond
	// maxLooks ends the wait for a file that never rests; reading it says so itself.
	maxLooks = 60
)

// Watch tells changed once at its start, then each time files came, went or
// changed and rested since. It ends with ctx (without error), or when the system refuses to watch a
// folder. A folder that is not there yet is waited for in the nearest one above it.
func (s *Source) Watch(ctx context.Context, changed chan<- struct{}) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching for files: %w", err)
	}
	defer w.Close()
	if err := s.watchAll(w); err != nil {
		return err
	}
	// Look first, then tell: what changes in between shows as an event.
	told, last, looks := s.look(), "", 0
	tell(changed)
	timer := time.NewTimer(s.settle)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err, ok := <-w.Errors:
			if !ok {
				return errors.New("watching for files: the watcher ended")
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watching for files: %w", err)
			}
			timer.Reset(s.settle) // events were lost: look
		case _, ok := <-w.Events:
			if !ok {
				return errors.New("watching for files: the watcher ended")
			}
			if looks == 0 {
				last, looks = s.look(), 1
				timer.Reset(s.settle)
			}
		case <-timer.C:
			if err := s.watchAll(w); err != nil { // folders may be new
				return err
			}
			now := s.look()
			if now != last && looks < maxLooks {
				last = now
				looks++
				timer.Reset(s.settle)
				continue
			}
			if now != told {
				told = now
				tell(changed)
			}
			looks = 0
		}
	}
}

// tell never blocks: a full channel already says what there is to say.
func tell(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

// look is the state of all files that the patterns name, as one comparable text.
func (s *Source) look() string {
	files, _, _ := s.find() // what cannot be listed now is an error of the next poll
	var b strings.Builder
	for _, f := range files {
		m := f.mark()
		fmt.Fprintf(&b, "%s\x00%d\x00%d\n", f.shown, m.Size, m.MTime)
	}
	return b.String()
}

// watchAll adds every folder that can hold a match and is not watched yet.
func (s *Source) watchAll(w *fsnotify.Watcher) error {
	for _, pattern := range s.config.Paths {
		if pattern == stdinPath {
			continue
		}
		dir, rest := s.split(pattern)
		root := s.absolute(dir)
		for {
			info, err := os.Stat(root)
			if err == nil && info.IsDir() {
				break
			}
			up := filepath.Dir(root)
			if up == root {
				return fmt.Errorf("watching %s: no folder above it is there", pattern)
			}
			root, rest = up, "" // wait here for what is missing
		}
		if err := s.watchTree(w, root, strings.Contains(rest, "/")); err != nil {
			return err
		}
	}
	return nil
}

// watchTree adds root, and the folders below it when deep. Hidden folders are
// left out; a ConfigMap's swap shows as events in the folder that holds its links.
func (s *Source) watchTree(w *fsnotify.Watcher, root string, deep bool) error {
	if !deep {
		return watchFolder(w, root)
	}
	return filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil: // gone since, or closed to us: the poll says so
			if e != nil && e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !e.IsDir():
			return nil
		case p != root && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		}
		return watchFolder(w, p)
	})
}

func watchFolder(w *fsnotify.Watcher, dir string) error {
	if err := w.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("watching %s: %w (the interval's polls go on)", dir, err)
	}
	return nil
}
