package cli

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const readOnlySite = `
data_dir: ./data
server: {listen: "127.0.0.1:1"}
sources: [{name: reports, type: file, paths: ["findings/*.json"]}]
teams: [{name: platform}]
route: {team: platform, sinks: [disk]}
sinks: [{name: disk, type: file, path: ./tickets}]
`

const oneFinding = `{"product":"sample","id":"s-1","title":"Open port","severity":"HIGH","control":"S.1","observed_at":"2026-01-01T00:00:00Z",
"account":{"id":"611000000102"},"resource":{"id":"arn:aws:ec2:eu-west-1:611000000102:instance/i-1"}}
`

// TestReadOnlyFolder: what only looks works in a folder that may not be written, what writes says which file it
// could not, and nothing in it changes.
func TestReadOnlyFolder(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("docket.yaml", readOnlySite)
	put("findings/a.json", strings.ReplaceAll(oneFinding, "\n", ""))
	ask := func(args ...string) (string, error) { return unprivileged(t, dir, args...) }
	must := func(args ...string) {
		t.Helper()
		if text, err := ask(args...); err != nil {
			t.Fatalf("docket %s = %v; want no error\n%s", strings.Join(args, " "), err, text)
		}
	}
	backup, export := filepath.Join(out, "backup.tar"), filepath.Join(out, "export.ndjson")
	if err := os.Mkdir(filepath.Join(dir, "tickets"), 0o700); err != nil {
		t.Fatal(err)
	}
	freeze(t, dir)
	refused(t, ask, "data", "run", "--once") // no data_dir, and none can be made
	thaw(t, dir)

	must("run", "--once")
	must("state", "backup", filepath.Join(dir, "before.tar"))
	freeze(t, dir)
	before := contents(t, dir)
	for _, args := range [][]string{{"plan"}, {"cases", "list"}, {"explain", "DK-1"}, {"state", "verify"}, {"state", "backup", backup}, {"state", "export", "-o", export}} {
		must(args...)
	}
	for _, args := range [][]string{{"run", "--once"}, {"cases", "ack", "DK-1"}, {"state", "compact"}, {"state", "restore", "before.tar"}} {
		refused(t, ask, "data/state.db", args...)
	}
	refused(t, ask, "here.tar", "state", "backup", "here.tar")
	refused(t, ask, "here.ndjson", "state", "export", "-o", "here.ndjson")
	for name, text := range contents(t, dir) {
		if before[name] != text {
			t.Errorf("%s has changed", name)
		}
		delete(before, name)
	}
	if len(before) > 0 {
		t.Errorf("%v are gone", before)
	}
	thaw(t, dir)
	for _, name := range []string{backup, export} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
	must("state", "restore", backup)
	must("run", "--once")
	must("state", "verify")
}

// refused fails unless a command ends with 1 and a line that names what.
func refused(t *testing.T, ask func(...string) (string, error), what string, args ...string) {
	t.Helper()
	text, err := ask(args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(text, what) || !strings.Contains(text, "permission denied") {
		t.Errorf("docket %s = %v, %q; want 1 and %s: permission denied", strings.Join(args, " "), err, text, what)
	}
}

// unprivileged runs docket as somebody whom the modes of files bind. For root that is root in a name space of users, where
// it is called 1000 and owns its files as before.
func unprivileged(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("docket") // testscript.Main made it
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir, c.Env = dir, append(os.Environ(), "DOCKET_CONFIG=docket.yaml", "DOCKET_TOKEN=", "GORACE=atexit_sleep_ms=20")
	if os.Geteuid() == 0 {
		one := func(id int) []syscall.SysProcIDMap {
			return []syscall.SysProcIDMap{{ContainerID: 1000, HostID: id, Size: 1}}
		}
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: one(os.Geteuid()), GidMappings: one(os.Getegid())}
	}
	b, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Skipf("running docket without root's rights: %v", err)
	}
	return string(b), err
}

// chmod gives every folder below dir a mode, and every file that without the rights to search.
func chmod(t *testing.T, dir string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var folders []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			folders = append(folders, path)
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, mode&^0o111)
	})
	for _, path := range folders {
		err = errors.Join(err, os.Chmod(path, mode))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func freeze(t *testing.T, dir string) {
	t.Helper()
	chmod(t, dir, 0o500)
	t.Cleanup(func() { thaw(t, dir) }) // or the folder of the test cannot be removed
}

func thaw(t *testing.T, dir string) {
	t.Helper()
	chmod(t, dir, 0o700)
}

// contents are all files below dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
