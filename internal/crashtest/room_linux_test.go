package crashtest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReliabilityNoRoom is suite R8: under load the disk of data_dir fills up to its last byte, or a quota refuses that a file
// grows. Findings are refused with 503 while that lasts, the process goes on, and once there is room it takes more, without a
// restart. What it had accepted is in the tracker, once.
func TestReliabilityNoRoom(t *testing.T) {
	suite(t)
	began := time.Now()
	var sum verdict
	runs := 0
	for _, x := range []struct {
		name string
		fill func(w *world, d *process) (free func())
	}{
		{"the disk is full", fillDisk},
		{"a quota is used up", capFiles},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, &folder{})
			w.patient = 90 * time.Second
			data := filepath.Join(w.dir, "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("tmpfs", data, "tmpfs", 0, "size=256m,mode=0700"); err != nil {
				t.Skipf("mounting a small file system: %v", err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(data, unix.MNT_DETACH); err != nil {
					t.Errorf("Unmount = %v", err)
				}
			})
			runs++
			v := outOfRoom(w, x.fill)
			for _, line := range v.Wrong {
				t.Error(line)
			}
			sum.Lost, sum.Doubled = sum.Lost+v.Lost, sum.Doubled+v.Doubled
		})
	}
	if runs > 0 {
		publish(t, row{Suite: "R8", What: "the disk is full, or a quota used up, under load: no restart", Runs: runs, Lost: sum.Lost, Doubled: sum.Doubled}, began)
	}
}

func outOfRoom(w *world, fill func(*world, *process) func()) verdict {
	w.t.Helper()
	d := w.daemon(nil)
	w.push(failed, first, span(0, 20), 1, 2)
	w.until(d, "what was sent is in the tracker", func() bool { return !w.judge().bad() })
	free := fill(w, d)
	refused := 0
	for end := time.Now().Add(20 * time.Second); refused < 5 && time.Now().Before(end); {
		n := 20 + w.pushes
		code := w.post("Bearer "+pushToken, failed, first, []int{n}, span(0, 300)...)
		w.pushes++
		w.sent(failed, []int{n}, code/100 == 2)
		switch {
		case code == http.StatusServiceUnavailable:
			refused++
		case code/100 != 2 && code != 0:
			w.t.Errorf("push without room: status %d; want 202 or 503", code)
		}
	}
	if refused < 5 {
		w.t.Errorf("%d pushes were refused; want 503 once there is no room\n%s", refused, d.out.String())
	}
	if code, text := w.ready(); code != http.StatusServiceUnavailable || !strings.Contains(text, "room") {
		w.t.Errorf("/-/ready = %d %s; want 503 that says why", code, text)
	}
	w.until(d, "docket_disk_full is 1", func() bool {
		m := w.ask("/metrics")
		return strings.Contains(m, `docket_disk_full{part="state"} 1`) || strings.Contains(m, `docket_disk_full{part="stream"} 1`)
	})
	free()
	w.until(d, "ready again", func() bool { code, _ := w.ready(); return code == http.StatusOK })
	if d.dead() {
		w.t.Fatalf("docket ended for want of room:\n%s", d.out.String())
	}
	w.push(failed, first, []int{900}, 1)
	w.push(passed, first.Add(time.Hour), []int{0, 1}, 1, 2)
	w.until(d, "what was sent is in the tracker", func() bool { return !w.judge().bad() })
	_ = d.cmd.Process.Signal(unix.SIGTERM)
	if d.killed() {
		w.t.Error("docket was killed")
	}
	w.t.Log(d.out.String())
	return w.settle()
}

// ready asks whether the daemon is.
func (w *world) ready() (int, string) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.addr+"/-/ready", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+pushToken)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	b := make([]byte, 4096)
	n, _ := answer.Body.Read(b)
	return answer.StatusCode, string(b[:n])
}

// fillDisk leaves not a byte.
func fillDisk(w *world, _ *process) func() {
	w.t.Helper()
	path := filepath.Join(w.dir, "data", "ballast")
	f, err := os.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10} {
		for b := make([]byte, size); err == nil; {
			_, err = f.Write(b)
		}
		err = nil
	}
	return func() {
		if err := os.Remove(path); err != nil {
			w.t.Error(err)
		}
	}
}

// capFiles lets no file of the process grow beyond what the largest of the stream has now, as a quota would.
func capFiles(w *world, d *process) func() {
	w.t.Helper()
	var most uint64
	err := filepath.WalkDir(filepath.Join(w.dir, "data", "stream"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			most = max(most, uint64(info.Size()))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most + 100, Max: unix.RLIM_INFINITY}, &before); err != nil {
		w.t.Skipf("limiting the files of a process: %v", err)
	}
	return func() {
		if err := unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_FSIZE, &before, nil); err != nil {
			w.t.Error(err)
		}
	}
}
