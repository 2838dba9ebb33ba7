//go:build linux || darwin || freebsd

package app

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRootLeavesFilesToTheirOwner: what root does with the state of a docket that runs as somebody else leaves nothing that they cannot open.
func TestRootLeavesFilesToTheirOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of others")
	}
	const docket = 65532
	s := newSite(t, fileSite)
	s.put("in/a.json", ndjson(t, samples(0, 2)...))
	s.once()
	data := filepath.Join(s.dir, "data")
	files := func(see func(name string, st *syscall.Stat_t)) {
		t.Helper()
		err := filepath.WalkDir(data, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil {
				see(name, info.Sys().(*syscall.Stat_t))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	theirs := func(after string) {
		t.Helper()
		files(func(name string, st *syscall.Stat_t) {
			if st.Uid != docket || st.Gid != docket {
				t.Errorf("after %s: %s belongs to %d:%d; want %d", after, name, st.Uid, st.Gid, docket)
			}
		})
	}
	files(func(name string, _ *syscall.Stat_t) {
		if err := os.Lchown(name, docket, docket); err != nil {
			t.Skipf("giving files to others: %v", err)
		}
	})
	b := s.backup()
	theirs("backup")
	s.clean()
	theirs("verify")
	if _, err := Compact(s.config()); err != nil {
		t.Fatal(err)
	}
	theirs("compact")
	if _, err := s.restore(b, RestoreRequest{}); err != nil {
		t.Fatal(err)
	}
	theirs("restore")
	s.once()
	theirs("run --once")

	// Neither a link that leads out of the folder nor a second name of a file elsewhere is followed.
	outside := filepath.Join(s.dir, "outside")
	s.put("outside", []byte("root's"))
	if err := os.Symlink(outside, filepath.Join(data, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(outside, filepath.Join(data, "second")); err != nil {
		t.Fatal(err)
	}
	s.once()
	info, err := os.Stat(outside)
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("a file outside the folder was given away, %v", err)
	}
}
