//go:build linux || darwin || freebsd

package app

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
)

// giveToOwner gives what root made in a data folder to the user that the folder belongs to: a docket that runs as
// them could not open it. For anybody else it does nothing. log may be nil.
func giveToOwner(dir string, log *slog.Logger) {
	if os.Geteuid() != 0 {
		return
	}
	if err := giveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && log != nil {
		log.Warn("files that root made could not be given to the owner of the folder; docket can open them as root alone", "data_dir", dir, "err", err)
	}
}

func giveAll(dir string) error {
	root, err := os.OpenRoot(dir) // whoever owns the folder may put links there, and none leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		// A file with another name elsewhere is left as it is: that may be anybody's.
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Uid != 0 || !e.IsDir() && st.Nlink > 1 {
			return nil
		}
		return root.Lchown(name, int(owner.Uid), int(owner.Gid))
	})
}
