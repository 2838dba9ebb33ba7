package crashtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// Who signs in to the stand-in; it opens nothing but a server of this test.
const (
	jiraUser  = "docket@example.com"
	jiraToken = "canary-77ab-jira-token"
	hookToken = "canary-19cc-hook-secret"
)

// jira is the stand-in for a Jira, in the process of the test, so that killing docket leaves it alone.
type jira struct {
	*jiratest.Server
	options jiratest.Options
	// unsure are the times of the sink; empty: those of a tracker whose index is at most a second behind.
	unsure string
}

// quick are the shortest times that hold the inequalities for an index one second behind.
const quick = "{deadline: 1s, pause: 0s, late: 0s, grace: 1s, lag: 1s, settle: 1s, looks: 2, lease: 4s}"

func (j *jira) name() string { return "jira" }

func (j *jira) start(w *world) {
	j.options.Token, j.options.User = jiraToken, jiraUser
	if j.unsure == "" {
		j.unsure, j.options.IndexLag = quick, 800*time.Millisecond
	}
	j.options.Projects = []jiratest.Project{{Key: "SEC", Workflow: jiratest.FourStepWorkflow()}}
	j.Server = jiratest.New(w.t, j.options)
	j.SetWebhook(jiratest.Webhook{URL: "http://" + w.addr + "/hooks/out", Secret: hookToken})
	w.env = append(w.env, "DOCKET_JIRA_TOKEN="+jiraToken, "DOCKET_HOOK_SECRET="+hookToken)
}

func (j *jira) sink() string {
	return fmt.Sprintf(`type: jira
url: %s
deployment: cloud
auth: {email: docket@example.com, token: {env: DOCKET_JIRA_TOKEN}}
project: SEC
webhook_secret: {env: DOCKET_HOOK_SECRET}
description_limit: 1000
unsure: %s`, j.URL(), j.unsure)
}

func (j *jira) made() int { return len(j.Creates()) }

func (j *jira) records(t testing.TB) []record {
	t.Helper()
	keys := map[string]string{}
	for _, c := range j.Creates() {
		keys[c.ID] = c.TicketKey
	}
	var out []record
	for _, is := range j.Issues() {
		out = append(out, record{ID: is.Key, Key: keys[is.ID], Title: is.Summary, Open: is.Category != jiratest.CategoryDone})
	}
	return out
}

// creates matches the requests that make issues.
const creates = "POST issue"

// TestTrackerOfTheSuites: the oracle sees what the stand-in holds.
func TestTrackerOfTheSuites(t *testing.T) {
	j := &jira{}
	w := &world{t: t, tracker: j, want: map[int]wanted{}}
	j.start(w)
	w.want[3] = open
	if v := w.judge(); v.Lost != 1 || v.Doubled != 0 {
		t.Errorf("judge() of an empty tracker = %+v; want 1 lost", v)
	}
	for range 2 {
		if code := makeIssue(t, j, "Sample rule 0003 fails", "docket-00000000000000000003"); code != http.StatusCreated {
			t.Fatalf("making an issue: status %d", code)
		}
	}
	if v := w.judge(); v.Lost != 0 || v.Doubled != 1 {
		t.Errorf("judge() of two issues for one group = %+v; want 1 doubled", v)
	}
}

// makeIssue makes an issue as docket would.
func makeIssue(t *testing.T, j *jira, summary, label string) int {
	t.Helper()
	body := fmt.Sprintf(`{"fields":{"project":{"key":"SEC"},"issuetype":{"name":"Task"},"summary":%q,"labels":[%q]}}`, summary, label)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, j.URL()+"/rest/api/2/issue", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(jiraUser, jiraToken)
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// closeByHand closes the ticket of a group as a person does: it stays so, though the findings go on.
func (w *world) closeByHand(j *jira, group int) {
	w.t.Helper()
	for _, is := range j.Issues() {
		if !strings.Contains(is.Summary, title(group)) {
			continue
		}
		if err := j.Transition(is.Key, "Shut", "Done"); err != nil {
			w.t.Fatal(err)
		}
		j.SetIndexLag(0) // when docket asks next, the index has caught up
		w.mu.Lock()
		w.want[group] = closed
		w.byHand = append(w.byHand, group)
		w.mu.Unlock()
		return
	}
	w.t.Fatalf("group %d has no ticket to close", group)
}
