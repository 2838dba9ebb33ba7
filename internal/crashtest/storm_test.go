package crashtest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// TestReliabilityStorm is suite R2: 10,000 findings in 300 groups go to a Jira that loses a tenth of the
// creates, answers a tenth with 429 and a tenth with 503, and whose index is five seconds behind, while docket is
// killed at random. In the end there are 300 issues.
func TestReliabilityStorm(t *testing.T) {
	size := suite(t)
	t.Parallel()
	kills, rounds := 50, 1
	if size == long {
		rounds = 20
	}
	began, sent := time.Now(), 0
	var sum verdict
	for round := range rounds {
		t.Run(fmt.Sprintf("round %d", round+1), func(t *testing.T) {
			n, v := storm(t, kills)
			sent += n
			sum.Lost, sum.Doubled = sum.Lost+v.Lost, sum.Doubled+v.Doubled
		})
	}
	publish(t, row{Suite: "R2", What: fmt.Sprintf("%d findings, %d groups: %d random kills under load; the tracker loses 10%% of the creates, 10%% 429, 10%% 503, index 5 s behind",
		findings, groups, sent), Runs: rounds, Lost: sum.Lost, Doubled: sum.Doubled}, began)
}

func storm(t *testing.T, kills int) (int, verdict) {
	t.Helper()
	r := seed(t)
	tenth := func(f jiratest.Fault) jiratest.Rule { return jiratest.Rule{Route: creates, Share: 0.1, Fault: f} }
	j := &jira{
		unsure: "{deadline: 3s, pause: 0s, late: 0s, grace: 3s, lag: 6s, settle: 3s, looks: 3, lease: 6s}",
		options: jiratest.Options{IndexLag: 5 * time.Second, Seed: r.Uint64(), Rules: []jiratest.Rule{
			tenth(jiratest.Fault{Kind: jiratest.DropAfter}),
			tenth(jiratest.Fault{Kind: jiratest.AnswerBefore, Status: http.StatusTooManyRequests, RetryAfter: "1"}),
			tenth(jiratest.Fault{Kind: jiratest.AnswerBefore, Status: http.StatusServiceUnavailable}),
		}},
	}
	w := newWorld(t, j)
	w.patient = 10 * time.Minute
	fill(t, w.dir, findings)
	for g := range groups {
		w.want[g] = open
	}
	k := &killer{r: r, made: j.made, cmd: func(args ...string) *exec.Cmd {
		cmd := exec.Command(w.bin, args...)
		cmd.Dir, cmd.Env = w.dir, append(os.Environ(), w.env...)
		return cmd
	}}
	sent := k.storm(t, kills)
	t.Logf("%d of %d requests were struck", j.Struck(), j.Requests(nil))
	v := w.settle()
	for _, line := range v.Wrong {
		t.Error(line)
	}
	if n := j.made(); n != groups {
		t.Errorf("%d issues were made; want exactly %d", n, groups)
	}
	return sent, v
}
