//go:build linux || darwin || freebsd

package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWarnOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of others")
	}
	const root, docket = 0, 65532
	for _, c := range []struct {
		name   string
		folder int
		files  map[string]int // owner of each
		want   string         // the file that is named; "" for no warning
	}{
		{"all is root's", root, map[string]int{"state.db": root}, ""},
		{"all is another user's", docket, map[string]int{"state.db": docket, "claims.db": docket, "stream/1.blk": docket}, ""},
		{"the state is root's", docket, map[string]int{"state.db": root, "claims.db": root}, "state.db"},
		{"the claims are root's", docket, map[string]int{"state.db": docket, "claims.db": root}, "claims.db"},
		{"a file of the stream is root's", docket, map[string]int{"state.db": docket, "stream/1.blk": root}, "stream/1.blk"},
		{"what is not docket's is root's", docket, map[string]int{"state.db": docket, "backup": root, "lost+found/x": root}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			give := func(path string, to int) {
				t.Helper()
				if err := os.Lchown(path, to, to); err != nil {
					t.Skipf("giving files to others: %v", err)
				}
			}
			give(dir, c.folder)
			for name, owner := range c.files {
				path := filepath.Join(dir, name)
				if folder := filepath.Dir(path); folder != dir {
					if err := os.MkdirAll(folder, 0o700); err != nil {
						t.Fatal(err)
					}
					give(folder, c.folder)
				}
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				give(path, owner)
			}
			var out bytes.Buffer
			warnOfRoot(dir, slog.New(slog.NewTextHandler(&out, nil)))
			got := out.String()
			if c.want == "" && got != "" || strings.Count(got, "\n") > 1 || !strings.Contains(got, c.want) || c.want != "" && !strings.Contains(got, "chown -R") {
				t.Errorf("warnOfRoot() logged %q; want %q", got, c.want)
			}
			for name, owner := range c.files {
				if path := filepath.Join(dir, name); ownedByRoot(path) != (owner == root) {
					t.Errorf("warnOfRoot() gave %s away", name)
				}
			}
		})
	}
}
