package crashtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
)

// scenario brings a world to the place that env makes docket die at, and reports whether it died.
type scenario func(w *world, env []string) bool

// place is where a site of failpoint.Sites is reached.
type place struct {
	scenario scenario
	// again: a process passes it once, so that the second hit is in the next process.
	again bool
}

// places holds every site.
var places = map[string]place{
	"ingest/answer":      {pushed, false},
	"findings/publish":   {pushed, false},
	"findings/published": {pushed, false},
	"watermark/write":    {polled, false},
	"watermark/written":  {polled, false},
	"triage/read":        {pushed, false},
	"triage/decided":     {pushed, false},
	"state/commit":       {pushed, false},
	"triage/committed":   {pushed, false},
	"input/publish":      {pushed, false},
	"input/published":    {pushed, false},
	"relay/publish":      {pushed, false},
	"relay/published":    {pushed, false},
	"relay/removed":      {pushed, false},
	"deliver/received":   {pushed, false},
	"deliver/claimed":    {pushed, false},
	"claims/flushed":     {pushed, false},
	"deliver/checked":    {pushed, false},
	"file/write":         {pushed, false},
	"file/written":       {pushed, false},
	"deliver/answered":   {pushed, false},
	"deliver/finish":     {pushed, false},
	"deliver/finished":   {pushed, false},
	"deliver/reported":   {pushed, false},
	"deliver/done":       {pushed, false},
	"stream/free":        {pushed, false},
	"stream/freed":       {pushed, false},
	"audit/purge":        {aged, true},
	"audit/purged":       {aged, true},
	"reload/stopped":     {reloaded, false},
	"reload/swapped":     {reloaded, false},
	"claims/lost":        {unclaimed, true},
	"claims/rebuilt":     {unclaimed, true},
	"apply/checked":      {applied, true},
	"apply/approved":     {applied, true},
	"apply/replayed":     {applied, true},
	"stop/begun":         {stopped, true},
	"stop/drained":       {stopped, true},
	"state/close":        {stopped, true},
}

// TestEverySiteHasAPlace compares the calls of failpoint.Hit in the sources, the registry and the suite.
func TestEverySiteHasAPlace(t *testing.T) {
	called := calls(t, "failpoint", "Hit")
	known := map[string]bool{}
	for _, s := range failpoint.Sites() {
		known[s.Name] = true
		if n := len(called[s.Name]); n != 1 {
			t.Errorf("site %s stands at %d places %v; want 1", s.Name, n, called[s.Name])
		}
		if _, ok := places[s.Name]; !ok {
			t.Errorf("no scenario reaches site %s", s.Name)
		}
		if s.At == "" {
			t.Errorf("site %s does not say what it is", s.Name)
		}
	}
	for name, at := range called {
		if !known[name] {
			t.Errorf("site %q at %v is not in failpoint.Sites", name, at)
		}
	}
	for name := range places {
		if !known[name] {
			t.Errorf("the suite has a scenario for %s, which is no site", name)
		}
	}
	if n := len(known); n < 25 {
		t.Errorf("%d sites; want at least 25", n)
	}
}

// TestNormalBuildHasNoSites: what the suites switch on is not in a program that is built as usual.
func TestNormalBuildHasNoSites(t *testing.T) {
	b, err := os.ReadFile(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"DOCKET_FAILPOINT", "DOCKET_PLANTED", failpoint.Sites()[0].At} {
		if bytes.Contains(b, []byte(text)) {
			t.Errorf("the program holds %q; want no trace of the suites in it", text)
		}
	}
}

// TestReliabilitySites is suite R1: docket dies at every site, at its first hit and at its second,
// starts again, and the tracker holds what was accepted: nothing lost, nothing twice.
func TestReliabilitySites(t *testing.T) {
	suite(t)
	began, runs := time.Now(), 0
	var mu sync.Mutex
	var sum verdict
	t.Run("sites", func(t *testing.T) {
		for _, s := range failpoint.Sites() {
			for hit := 1; hit <= 2; hit++ {
				t.Run(fmt.Sprintf("%s:%d", strings.ReplaceAll(s.Name, "/", "-"), hit), func(t *testing.T) {
					t.Parallel()
					v := dieAt(t, &folder{}, s.Name, hit)
					for _, line := range v.Wrong {
						t.Error(line)
					}
					mu.Lock()
					defer mu.Unlock()
					runs++
					sum.Lost, sum.Doubled = sum.Lost+v.Lost, sum.Doubled+v.Doubled
				})
			}
		}
	})
	publish(t, row{Suite: "R1", What: fmt.Sprintf("kill -9 at each of %d sites, first and second hit", len(places)),
		Runs: runs, Lost: sum.Lost, Doubled: sum.Doubled}, began)
}

// dieAt is one run of the suite.
func dieAt(t testing.TB, tr tracker, site string, hit int, env ...string) verdict {
	t.Helper()
	w, p := newWorld(t, tr, env...), places[site]
	if p.again {
		for range hit {
			if !p.scenario(w, failAt(site, 1)) {
				t.Fatalf("the scenario never came to %s", site)
			}
		}
	} else if !p.scenario(w, failAt(site, hit)) {
		t.Fatalf("the scenario never came to %s for the %d. time", site, hit)
	}
	return w.settle()
}

func failAt(site string, hit int) []string {
	return []string{fmt.Sprintf("DOCKET_FAILPOINT=%s:%d", site, hit)}
}

// pushed is the daemon's whole way: findings are sent, joined by more, resolved, and the daemon is stopped.
func pushed(w *world, env []string) bool {
	d := w.daemon(env)
	steps := []func(){
		func() { w.push(failed, first, span(0, 5), 1, 2) },
		func() { w.push(failed, first, span(2, 8), 3) },
		func() { w.push(passed, first.Add(time.Hour), []int{0, 1}, 1, 2) },
	}
	for _, step := range steps {
		if d.dead() {
			break
		}
		step()
		w.until(d, "what was sent is in the tracker", func() bool { return !w.judge().bad() })
	}
	if !d.dead() {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
	}
	return d.killed()
}

// polled reads two file sources by their watermarks, twice.
func polled(w *world, env []string) bool {
	w.file("findings", failed, first, span(0, 4), 1)
	w.file("more", failed, first, span(4, 8), 1)
	dead := w.start(env, "run", "--once").killed()
	w.file("findings", failed, first, span(8, 10), 1)
	return dead || w.start(env, "sources", "run", "reports").killed()
}

// aged has lines of the story that are older than they may become.
func aged(w *world, env []string) bool {
	if len(w.want) == 0 {
		w.extra = "retention: {audit: 1ms}"
		w.configure()
		w.file("findings", failed, first, span(0, 4), 1)
		w.must("run", "--once")
	}
	w.file("findings", failed, first, span(4*w.docs, 4*w.docs+2), 1)
	return w.start(env, "run", "--once").killed()
}

// unclaimed loses the claims while actions are under way.
func unclaimed(w *world, env []string) bool {
	if len(w.want) == 0 {
		w.file("findings", failed, first, span(0, 6), 1)
		if !w.start(failAt("deliver/answered", 3), "run", "--once").killed() {
			w.t.Fatal("the run did not die in the midst of its deliveries")
		}
	}
	if err := os.Remove(filepath.Join(w.dir, "data", "claims.db")); err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return w.start(env, "run", "--once").killed()
}

// applied dies in an apply; a later one finishes it.
func applied(w *world, env []string) bool {
	if len(w.want) == 0 {
		w.file("findings", failed, first, span(0, 6), 1, 2)
		w.must("plan", "--out", "plan.json")
	}
	return w.start(env, "apply", "plan.json").killed()
}

// reloaded changes the configuration of a daemon at work, twice.
func reloaded(w *world, env []string) bool {
	d := w.daemon(env)
	for n := range 2 {
		if d.dead() {
			break
		}
		w.push(failed, first, span(10*n, 10*n+5), 1)
		w.extra = fmt.Sprintf("ack: {for: %dd}", n+1)
		w.configure()
		_ = d.cmd.Process.Signal(syscall.SIGHUP)
		w.until(d, "reloaded", func() bool { return strings.Count(d.out.String(), "msg=reloaded") > n })
	}
	if !d.dead() {
		w.until(d, "what was sent is in the tracker", func() bool { return !w.judge().bad() })
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
	}
	return d.killed()
}

// stopped is told to stop while it delivers.
func stopped(w *world, env []string) bool {
	d := w.daemon(env)
	n := 10 * w.pushes
	w.push(failed, first, span(n, n+8), 1, 2)
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	return d.killed()
}
