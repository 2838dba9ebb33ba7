//go:build linux || darwin || freebsd

package app

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// warnOfRoot warns root after a command that wrote to the data folder of another user, where files of docket in it
// are root's: a docket that runs as that user cannot open them. Giving them away is left to people, as who owns the
// folder decides what lies under these names. log may be nil.
func warnOfRoot(dir string, log *slog.Logger) {
	if log == nil || os.Geteuid() != 0 || ownedByRoot(dir) {
		return
	}
	for _, name := range []string{stateFile, claimsFile, streamDir} {
		if path := rootsFile(filepath.Join(dir, name)); path != "" {
			log.Warn("files in data_dir belong to root, and docket cannot open them as the user whose folder it is: "+
				"`chown -R --reference=DIR DIR` gives them to that user; `sudo -u USER docket …` makes none", "data_dir", dir, "file", path)
			return
		}
	}
}

// rootsFile is the first of a file, or of a folder and what is in it, that is root's; "" where there is none.
func rootsFile(path string) (found string) {
	_ = filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && ownedByRoot(name) {
			found = name
			return fs.SkipAll
		}
		return nil // what cannot be looked at is not warned of
	})
	return found
}

// ownedByRoot reports whether what has this name, be it a link, is root's. What is not there is not.
func ownedByRoot(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}
