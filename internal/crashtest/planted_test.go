package crashtest

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
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
		// The first are the equivalence map and the configuration, and a tick may come before the findings.
		for hit := 2; hit < 5; hit++ {
			if v := dieAt(t, &folder{}, "triage/decided", hit, env...); v.bad() {
				return v
			}
		}
		return dieAt(t, &folder{}, "triage/decided", 5, env...)
	}},
	"answer-before-stored": {"R2", answered},
	"token-unchecked":      {"R11", forged},
	"hook-unverified":      {"R11", forgedHook},
	"claims-ignored":       {"R1", made},
	"claim-unflushed":      {"R1", made},
	"blind-retry":          {"R4", lostAnswers},
	"one-look":             {"R4", lostAnswers},
	"label-not-written":    {"R4", lostAnswers},
	"retry-after-ignored":  {"R5", limited},
	"secret-in-error":      {"R13", badGateway},
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
	t.Parallel()
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

// slow is a Jira whose index is behind by more than a restart takes.
func slow() *jira {
	return &jira{
		unsure:  "{deadline: 2s, pause: 0s, late: 0s, grace: 2s, lag: 3s, settle: 2500ms, looks: 2, lease: 5s}",
		options: jiratest.Options{IndexLag: 2500 * time.Millisecond},
	}
}

// made kills docket when an issue is made and nothing of it written down.
func made(t testing.TB, env ...string) verdict {
	return dieAt(t, slow(), "deliver/answered", 1, env...)
}

// lostAnswers makes issues whose answers do not come.
func lostAnswers(t testing.TB, env ...string) verdict {
	j := slow()
	w := newWorld(t, j, env...)
	j.Inject(jiratest.Rule{Route: creates, Times: 3, Fault: jiratest.Fault{Kind: jiratest.DropAfter}})
	w.file("findings", failed, first, span(0, 4), 1)
	w.must("run", "--once")
	return w.settle()
}

// limited asks docket to wait.
func limited(t testing.TB, env ...string) verdict {
	const wait = 3 * time.Second
	j := slow()
	w := newWorld(t, j, env...)
	j.Inject(jiratest.Rule{Route: creates, Times: 1, Fault: jiratest.Fault{Kind: jiratest.AnswerBefore, Status: http.StatusTooManyRequests, RetryAfter: "3"}})
	w.file("findings", failed, first, span(0, 1), 1)
	w.must("run", "--once")
	var asked time.Time
	for _, r := range j.RequestLog() {
		switch {
		case r.Route != creates:
		case r.Status == http.StatusTooManyRequests:
			asked = r.At
		case asked.IsZero():
			t.Errorf("a create came before the server asked to wait")
		case r.At.Sub(asked) < wait:
			t.Errorf("the server asked to wait %s; the next create came after %s", wait, r.At.Sub(asked))
		}
	}
	return w.settle()
}

// badGateway answers as a proxy does, after the effect.
func badGateway(t testing.TB, env ...string) verdict {
	j := slow()
	w := newWorld(t, j, env...)
	j.Inject(jiratest.Rule{Route: creates, Times: 2, Fault: jiratest.Fault{Kind: jiratest.AnswerAfter, Status: http.StatusBadGateway}})
	w.file("findings", failed, first, span(0, 3), 1)
	w.must("run", "--once")
	return w.settle()
}

// forgedHook tells of a change in the tracker's name, with a wrong signature and with none.
func forgedHook(t testing.TB, env ...string) verdict {
	w := newWorld(t, &jira{}, env...)
	d := w.daemon(nil)
	for _, signature := range []string{"sha256=" + strings.Repeat("0", 64), ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.addr+"/hooks/out", strings.NewReader(`{"webhookEvent":"jira:issue_updated","issue":{"id":"10001","key":"SEC-1"}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature", signature)
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("a webhook with the signature %.12q was answered %d; want 401", signature, answer.StatusCode)
		}
	}
	_ = d.cmd.Process.Kill()
	d.killed()
	return w.settle()
}
