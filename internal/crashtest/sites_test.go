package crashtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline/triage"
)

// scenario brings a world to the place that env makes docket die at, and reports whether it died.
type scenario func(w *world, env []string) bool

// place is where a site of failpoint.Sites is reached.
type place struct {
	scenario scenario
	trackers []func() tracker
	// again: a process passes it once, so that the second hit is in the next process.
	again bool
}

// A site is reached with one tracker or with two.
var (
	onDisk = []func() tracker{func() tracker { return &folder{} }}
	inJira = []func() tracker{func() tracker { return &jira{} }}
	onBoth = append(slices.Clip(onDisk), inJira...)
)

// places holds every site.
var places = map[string]place{
	"ingest/answer":      {pushed, onDisk, false},
	"findings/publish":   {pushed, onDisk, false},
	"findings/published": {pushed, onDisk, false},
	"watermark/write":    {polled, onDisk, false},
	"watermark/written":  {polled, onDisk, false},
	"triage/read":        {pushed, onBoth, false},
	"triage/decided":     {pushed, onBoth, false},
	"state/commit":       {pushed, onBoth, false},
	"triage/committed":   {pushed, onBoth, false},
	"input/publish":      {pushed, onBoth, false},
	"input/published":    {pushed, onBoth, false},
	"act/stored":         {asPerson, onBoth, true},
	"relay/publish":      {relayed, onBoth, false},
	"relay/published":    {relayed, onBoth, false},
	"relay/removed":      {relayed, onBoth, false},
	"deliver/received":   {pushed, onBoth, false},
	"deliver/claimed":    {pushed, onBoth, false},
	"claims/flushed":     {pushed, onBoth, false},
	"deliver/checked":    {pushed, onBoth, false},
	"file/write":         {pushed, onDisk, false},
	"file/written":       {pushed, onDisk, false},
	"deliver/unsure":     {unheard, inJira, false},
	"deliver/looked":     {unheard, inJira, false},
	"http/send":          {pushed, inJira, false},
	"http/answered":      {pushed, inJira, false},
	"http/read":          {pushed, inJira, false},
	"jira/created":       {pushed, inJira, false},
	"jira/edited":        {pushed, inJira, false},
	"jira/stepped":       {pushed, inJira, false},
	"jira/commented":     {pushed, inJira, false},
	"jira/attached":      {pushed, inJira, false},
	"deliver/answered":   {pushed, onBoth, false},
	"deliver/finish":     {pushed, onBoth, false},
	"deliver/finished":   {pushed, onBoth, false},
	"deliver/reported":   {pushed, onBoth, false},
	"deliver/done":       {pushed, onBoth, false},
	"hook/received":      {acted, inJira, false},
	"watch/read":         {acted, inJira, false},
	"watch/polled":       {asked, inJira, true},
	"stream/free":        {pushed, onDisk, false},
	"stream/freed":       {pushed, onDisk, false},
	"audit/purge":        {aged, onDisk, true},
	"audit/purged":       {aged, onDisk, true},
	"reload/stopped":     {reloaded, onBoth, false},
	"reload/swapped":     {reloaded, onBoth, false},
	"claims/lost":        {unclaimed, onBoth, true},
	"claims/rebuilt":     {unclaimed, onBoth, true},
	"apply/checked":      {applied, onDisk, true},
	"apply/approved":     {applied, onDisk, true},
	"apply/replayed":     {applied, onBoth, true},
	"backup/begun":       {backedUp, onDisk, true},
	"restore/copied":     {restored, onBoth, true},
	"restore/swap":       {restored, onBoth, true},
	"restore/kept":       {restored, onBoth, true},
	"restore/swapped":    {restored, onBoth, true},
	"compact/swap":       {compacted, onDisk, true},
	"compact/swapped":    {compacted, onDisk, true},
	"map/begun":          {migrated, onBoth, true},
	"map/step":           {migrated, onBoth, true},
	"stop/begun":         {stopped, onBoth, true},
	"stop/drained":       {stopped, onBoth, true},
	"state/close":        {stopped, onBoth, true},
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
	hits := 2
	if suite(t) == long {
		hits = 4
	}
	t.Parallel()
	began, runs := time.Now(), 0
	var mu sync.Mutex
	var sum verdict
	t.Run("sites", func(t *testing.T) {
		for _, s := range failpoint.Sites() {
			hits := hits
			if strings.HasPrefix(s.Name, "triage/") || s.Name == "state/commit" {
				hits++ // the first are the equivalence map and the configuration
			}
			for _, far := range places[s.Name].trackers {
				for hit := 1; hit <= hits; hit++ {
					tr := far()
					t.Run(fmt.Sprintf("%s/%s/%d", strings.ReplaceAll(s.Name, "/", "-"), tr.name(), hit), func(t *testing.T) {
						t.Parallel()
						v := dieAt(t, tr, s.Name, hit)
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
		}
	})
	publish(t, row{Suite: "R1", What: fmt.Sprintf("kill -9 at each of %d sites, hits 1 to %d", len(places), hits),
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
		if hit > 2 {
			t.Skipf("the scenario comes to %s fewer than %d times", site, hit)
		}
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

// relayed is a daemon whose tickets the brake holds back: its relay publishes what it handed over and is not carried out.
func relayed(w *world, env []string) bool {
	w.must("brake", "on")
	d := w.daemon(env)
	for group := 0; group < 20 && !d.dead(); group++ {
		w.push(failed, first, []int{group}, 1)
		pushed := time.Now()
		w.until(d, "the relay has had its time", func() bool { return time.Since(pushed) > 1500*time.Millisecond })
	}
	if !d.dead() {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
	}
	dead := d.killed()
	w.must("brake", "off")
	return dead
}

// unheard loses the answers of the first creates, after they took effect.
func unheard(w *world, env []string) bool {
	w.tracker.(*jira).Inject(jiratest.Rule{Route: creates, Times: 3, Fault: jiratest.Fault{Kind: jiratest.DropAfter}})
	w.file("findings", failed, first, span(0, 4), 1)
	return w.start(env, "run", "--once").killed()
}

// braked stops outside writes, dies in it, and lets them go again.
func braked(w *world, env []string) bool {
	w.file("findings", failed, first, span(4*w.docs, 4*w.docs+4), 1)
	dead := w.start(env, "brake", "on").killed()
	w.must("brake", "off")
	return dead
}

// asPerson dies in what a person asked for: a brake, and the retry of what a tracker refused.
func asPerson(w *world, env []string) bool {
	if j, ok := w.tracker.(*jira); ok {
		return retried(w, j, env)
	}
	return braked(w, env)
}

// retried has creates refused for good, and dies when a person asks for them again.
func retried(w *world, j *jira, env []string) bool {
	j.Inject(jiratest.Rule{Route: creates, Times: 2, Fault: jiratest.Fault{Kind: jiratest.AnswerBefore, Status: http.StatusBadRequest}})
	w.file("findings", failed, first, span(4*w.docs, 4*w.docs+4), 1)
	<-w.start(nil, "run", "--once").done // it names what was refused
	if list := w.must("deadletters", "list"); !strings.Contains(list, "DK-") {
		w.t.Fatalf("nothing is dead after two creates were refused:\n%s", list)
	}
	dead := w.start(env, "deadletters", "retry", "--all").killed()
	<-w.start(nil, "deadletters", "retry", "--all").done // the second case; the first, which was stored, is refused
	return dead
}

// acted has people close two tickets, which the tracker tells by its webhook.
func acted(w *world, env []string) bool {
	d := w.daemon(env)
	w.push(failed, first, span(0, 4), 1)
	w.until(d, "what was sent is in the tracker", func() bool { return !w.judge().bad() })
	j := w.tracker.(*jira)
	for g := range 2 {
		if d.dead() {
			break
		}
		w.closeByHand(j, g)
		w.until(d, "docket knows that a person closed a ticket", func() bool { return strings.Contains(w.ask("/api/v1/cases?state=closed"), title(g)) })
	}
	if !d.dead() {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
	}
	return d.killed()
}

// asked has people close tickets while docket is down, so that it asks the tracker for what changed.
func asked(w *world, env []string) bool {
	if len(w.want) == 0 {
		w.file("findings", failed, first, span(0, 4), 1)
		w.must("run", "--once")
		w.closeByHand(w.tracker.(*jira), 0)
		w.closeByHand(w.tracker.(*jira), 1)
	}
	return w.start(env, "run", "--once").killed()
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
	}
	n := 4 * w.docs
	w.file("findings", failed, first, span(n, n+4), 1)
	w.must("run", "--once") // each run removes what the one before wrote
	w.file("findings", failed, first, span(n+4, n+6), 1)
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

// backedUp dies in a backup, which leaves no file.
func backedUp(w *world, env []string) bool {
	if len(w.want) == 0 {
		w.file("findings", failed, first, span(0, 4), 1)
		w.must("run", "--once")
	}
	dead := w.start(env, "state", "backup", "backup.tar").killed()
	if _, err := os.Stat(filepath.Join(w.dir, "backup.tar")); err == nil {
		w.t.Error("a backup that was cut off left a file under its name")
	}
	return dead
}

// restored dies while an older state is put back.
func restored(w *world, env []string) bool {
	if len(w.want) == 0 {
		w.file("findings", failed, first, span(0, 4), 1)
		w.must("run", "--once")
		w.must("state", "backup", "backup.tar")
		w.file("findings", failed, first, span(2, 6), 2)
		w.file("findings", passed, first.Add(time.Hour), []int{0}, 1)
		w.must("run", "--once")
		if j, ok := w.tracker.(*jira); ok {
			j.SetIndexLag(0) // a state is put back long after the index has caught up
		}
	}
	return w.start(env, "state", "restore", "backup.tar").killed()
}

// compacted dies while the state is written anew.
func compacted(w *world, env []string) bool {
	if len(w.want) == 0 {
		w.file("findings", failed, first, span(0, 4), 1)
		w.must("run", "--once")
	}
	return w.start(env, "state", "compact").killed()
}

// migrated dies while the state is taken over from another equivalence map.
func migrated(w *world, env []string) bool {
	if len(w.want) == 0 {
		w.file("findings", failed, first, span(0, 4), 1)
		w.must("run", "--once")
	}
	store, err := state.Open(filepath.Join(w.dir, "data", "state.db"), state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	snap, err := store.View()
	if err != nil {
		w.t.Fatal(err)
	}
	meta := snap.Meta()
	snap.Close()
	meta.Map, meta.Migration = "an older docket's", triage.Migration{}
	if err := errors.Join(store.Commit(&triage.Changeset{Meta: meta}), store.Close()); err != nil {
		w.t.Fatal(err)
	}
	n := 4 * w.docs
	w.file("findings", failed, first, span(n, n+2), 1)
	return w.start(env, "run", "--once").killed()
}

// stopped is told to stop while it delivers.
func stopped(w *world, env []string) bool {
	d := w.daemon(env)
	n := 10 * w.pushes
	w.push(failed, first, span(n, n+8), 1, 2)
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	return d.killed()
}
