package crashtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReliabilityTwoOnOneState: while one docket has a state, another says so and leaves, and the first goes on.
func TestReliabilityTwoOnOneState(t *testing.T) {
	suite(t)
	t.Parallel()
	began := time.Now()
	w := newWorld(t, &folder{})
	d := w.daemon(nil)
	w.push(failed, first, span(0, 3), 1)
	second := []string{"run", "run --once"}
	for _, args := range second {
		cmd := exec.Command(w.bin, strings.Fields(args)...)
		cmd.Dir, cmd.Env = w.dir, append(os.Environ(), w.env...)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "another docket is running on this state") {
			t.Errorf("docket %s beside a running one = %v\n%s\nwant exit status 1 and why", args, err, out)
		}
		w.push(failed, first, span(w.pushes*10, w.pushes*10+3), 1)
	}
	w.until(d, "what was sent is in the tracker", func() bool { return !w.judge().bad() })
	_ = d.cmd.Process.Kill()
	d.killed()
	v := w.settle()
	for _, line := range v.Wrong {
		t.Error(line)
	}
	publish(t, row{Suite: "state", What: "a second docket on one state says so and leaves", Runs: len(second), Lost: v.Lost, Doubled: v.Doubled}, began)
}

// TestReliabilityOldState: a copy of the state from before is put back, after which new findings come first.
// No ticket is made for what has one, and none is taken for another problem.
func TestReliabilityOldState(t *testing.T) {
	suite(t)
	t.Parallel()
	began, runs := time.Now(), 0
	var sum verdict
	for _, tr := range []func() tracker{func() tracker { return &folder{} }, func() tracker { return &jira{} }} {
		for _, what := range []struct {
			name string
			back []string // of data_dir, put back as it was
			gone []string // of data_dir, lost
		}{
			{"state file alone", []string{"state.db"}, nil},
			{"state file, stream lost", []string{"state.db"}, []string{"stream"}},
			{"state file, stream and claims lost", []string{"state.db"}, []string{"stream", "claims.db"}},
			{"the whole folder", []string{"state.db", "claims.db", "stream"}, nil},
		} {
			far := tr()
			t.Run(far.name()+" "+what.name, func(t *testing.T) {
				runs++
				v := oldState(t, far, what.back, what.gone)
				sum.Lost, sum.Doubled = sum.Lost+v.Lost, sum.Doubled+v.Doubled
				for _, line := range v.Wrong {
					t.Error(line)
				}
			})
		}
	}
	publish(t, row{Suite: "R17", What: "an old copy of the state is put back", Runs: runs, Lost: sum.Lost, Doubled: sum.Doubled}, began)
}

func oldState(t *testing.T, tr tracker, back, gone []string) verdict {
	t.Helper()
	w := newWorld(t, tr)
	w.patient = 20 * time.Second
	data, saved := filepath.Join(w.dir, "data"), filepath.Join(w.dir, "saved")
	w.file("findings", failed, first, span(0, 4), 1, 2)
	w.must("run", "--once")
	if err := os.CopyFS(saved, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	w.file("findings", failed, first, span(4, 8), 1, 2)
	w.file("findings", passed, first.Add(time.Hour), []int{0}, 1, 2)
	w.must("run", "--once")
	for n := range 3 { // the ticket comes to a revision that the copy does not know
		w.file("findings", failed, first, []int{1}, 3+n)
		w.must("run", "--once")
	}
	if j, ok := tr.(*jira); ok {
		j.SetIndexLag(0) // a copy is put back long after the index has caught up
	}
	made := tr.made()
	for _, name := range append(gone, back...) {
		if err := os.RemoveAll(filepath.Join(data, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range back {
		copyOver(t, filepath.Join(saved, name), filepath.Join(data, name))
	}
	// What comes first now did not exist then: it gets the numbers that others had.
	w.file("more", failed, first, span(8, 10), 1)
	w.rename("more", "findings", "000-first.json")
	w.file("findings", passed, first.Add(time.Hour), []int{1}, 1, 2, 3, 4, 5)
	v := w.settle()
	if n := tr.made() - made; n != 2 {
		t.Errorf("%d records were made after the state was put back; want 2, for what is new", n)
	}
	return v
}

// rename moves the one file of a folder into another, under a name that is read first.
func (w *world) rename(from, to, name string) {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(w.dir, from, "*.json"))
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%s holds %v, %v; want one file", from, list, err)
	}
	if err := os.Rename(list[0], filepath.Join(w.dir, to, name)); err != nil {
		w.t.Fatal(err)
	}
}

func copyOver(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, b)
}

// TestReliabilityAdopt: the state is lost but for the installation's name; after `adopt` the next runs make nothing.
func TestReliabilityAdopt(t *testing.T) {
	suite(t)
	t.Parallel()
	began, runs := time.Now(), 0
	var sum verdict
	for _, tr := range []tracker{&folder{}, &jira{}} {
		t.Run(tr.name(), func(t *testing.T) {
			w := newWorld(t, tr)
			w.patient = time.Minute
			w.file("findings", failed, first, span(0, 6), 1, 2)
			w.must("run", "--once")
			if j, ok := tr.(*jira); ok {
				j.SetIndexLag(0) // state is lost long after the index has caught up
			}
			made := tr.made()
			for _, name := range []string{"state.db", "claims.db", "stream"} {
				if err := os.RemoveAll(filepath.Join(w.dir, "data", name)); err != nil {
					t.Fatal(err)
				}
			}
			w.must("adopt", "--from", "docket", "--yes")
			v := w.settle()
			for _, line := range v.Wrong {
				t.Error(line)
			}
			if n := tr.made() - made; n != 0 {
				t.Errorf("%d records were made after the state was lost and its tickets adopted; want none", n)
			}
			runs++
			sum.Lost, sum.Doubled = sum.Lost+v.Lost, sum.Doubled+v.Doubled
		})
	}
	publish(t, row{Suite: "R17", What: "the state is lost, its tickets are adopted", Runs: runs, Lost: sum.Lost, Doubled: sum.Doubled}, began)
}
