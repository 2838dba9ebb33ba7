package crashtest

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/planted"
)

// catch is a suite's way to notice a defect.
type catch struct {
	suite string
	run   func(t testing.TB, env ...string) verdict
}

// catches has one for every defect of planted.Defects.
var catches = map[string]catch{
	"position-before-changes": {"R1", func(t testing.TB, env ...string) verdict {
		return dieAt(t, &folder{}, "triage/decided", 2, env...) // the first is the configuration
	}},
	"answer-before-stored": {"R2", answered},
	"token-unchecked":      {"R11", forged},
}

// recorder is a test whose failures are wanted: they are kept, and end no test but the part under it.
type recorder struct {
	*testing.T
	mu     sync.Mutex
	failed []string
}

func (r *recorder) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, text)
}

func (r *recorder) Error(args ...any)                 { r.note(fmt.Sprintln(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.note(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatal(args ...any)                 { r.note(fmt.Sprintln(args...)); runtime.Goexit() }
func (r *recorder) Fatalf(format string, args ...any) {
	r.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// watch runs a suite and returns everything that it has to say against docket.
func watch(t *testing.T, c catch, env ...string) []string {
	t.Helper()
	var out []string
	t.Run("run", func(t *testing.T) {
		r := &recorder{T: t}
		done := make(chan verdict, 1)
		go func() {
			defer close(done)
			done <- c.run(r, env...)
		}()
		v := <-done
		r.mu.Lock()
		defer r.mu.Unlock()
		out = append(v.Wrong, r.failed...)
	})
	return out
}

// TestEveryDefectIsHunted compares the defects in the sources, their list and the suites.
func TestEveryDefectIsHunted(t *testing.T) {
	placed := calls(t, "planted", "On")
	known := map[string]bool{}
	for _, d := range planted.Defects() {
		known[d.Name] = true
		if len(placed[d.Name]) == 0 {
			t.Errorf("defect %s stands nowhere", d.Name)
		}
		if catches[d.Name].run == nil {
			t.Errorf("no suite hunts defect %s", d.Name)
		}
	}
	for name, at := range placed {
		if !known[name] {
			t.Errorf("defect %q at %v is not in planted.Defects", name, at)
		}
	}
}

// TestReliabilityPlanted is suite R21: each defect must fail the suite that is there for it, and that suite must
// pass without it.
func TestReliabilityPlanted(t *testing.T) {
	suite(t)
	began := time.Now()
	caught := 0
	var mu sync.Mutex
	t.Run("defects", func(t *testing.T) {
		for _, d := range planted.Defects() {
			t.Run(d.Name, func(t *testing.T) {
				t.Parallel()
				c := catches[d.Name]
				if bad := watch(t, c); len(bad) > 0 {
					t.Errorf("without the defect the suite says:\n%s", strings.Join(bad, "\n"))
				}
				bad := watch(t, c, "DOCKET_PLANTED="+d.Name)
				if len(bad) == 0 {
					t.Fatalf("%s (%s): not noticed by %s", d.Name, d.What, c.suite)
				}
				t.Logf("noticed: %.200s", bad[0])
				mu.Lock()
				defer mu.Unlock()
				caught++
			})
		}
	})
	publish(t, row{Suite: "R21", What: fmt.Sprintf("%d of %d planted defects noticed", caught, len(planted.Defects())), Runs: 2 * len(planted.Defects())}, began)
}

// answered kills docket as soon as a sender has its answer.
func answered(t testing.TB, env ...string) verdict {
	w := newWorld(t, &folder{}, env...)
	d := w.daemon(nil)
	w.push(failed, first, span(0, 5), 1)
	_ = d.cmd.Process.Kill()
	d.killed()
	return w.settle()
}

// forged sends findings with a wrong token, with a cut one and with none.
func forged(t testing.TB, env ...string) verdict {
	w := newWorld(t, &folder{}, env...)
	d := w.daemon(nil)
	for n, token := range []string{"Bearer wrong", "Bearer " + pushToken[:len(pushToken)-1], "Basic " + pushToken, ""} {
		if code := w.post(token, failed, first, []int{n}, 1); code != http.StatusUnauthorized {
			t.Errorf("a request with the authorization %.12q was answered %d; want 401", token, code)
		}
	}
	_ = d.cmd.Process.Kill()
	d.killed()
	return w.settle()
}
