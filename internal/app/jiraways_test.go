package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/internal/api"
)

// jiraWaysSite is watchedSite with Jira in the board's place; %s is its address.
const jiraWaysSite = `
installation: test
data_dir: ./data
server:
  listen: 127.0.0.1:0
  auth:
    tokens:
      - {name: ci, role: ingest, token: {env: CI_TOKEN}}
      - {name: boss, role: admin, token: {env: BOSS_TOKEN}}
sources: [{name: ci, type: webhook}]
teams: [{name: security}]
route: {team: security, sinks: [jira, disk], group_by: [account, region, resource, control]}
sinks:
  - {name: disk, type: file, path: ./tickets}
  - name: jira
    type: jira
    url: %s
    deployment: cloud
    auth: {email: bot@example.com, token: {env: JIRA_TOKEN}}
    project: SEC
    transitions: {ack: In Progress, close: Done, reopen: To Do}
    webhook_secret: {env: JIRA_HOOK}
limits: {max_new_tickets_per_hour: 100000}
`

// TestJiraTwoWays: Jira's webhooks come before the answer of what caused them, so that the first of an
// issue overtakes the outcome of its create; what people do there reaches the case and its other ticket.
func TestJiraTwoWays(t *testing.T) {
	srv := jiratest.New(t, jiratest.Options{User: "bot@example.com", Token: "jira-token"})
	s := newSite(t, fmt.Sprintf(jiraWaysSite, srv.URL()))
	s.env["CI_TOKEN"], s.env["BOSS_TOKEN"], s.env["JIRA_TOKEN"], s.env["JIRA_HOOK"] = ciToken, bossToken, "jira-token", "hook-secret"
	d := s.start()
	srv.SetWebhook(jiratest.Webhook{URL: d.url + "/hooks/jira", Secret: "hook-secret", When: jiratest.BeforeAnswer})
	const n = 8
	d.ingest(ndjson(t, samples(1, n)...))
	keys := make([]string, n+1)
	eventually(t, "every sample has its issue and its file", func() bool {
		for _, is := range srv.Issues() {
			for i := 1; i <= n; i++ {
				if is.Summary == fmt.Sprintf("Sample problem %d", i) {
					keys[i] = is.Key
				}
			}
		}
		for i := 1; i <= n; i++ {
			if keys[i] == "" || jiraCase(t, d, keys[i]).Case == "" {
				return false
			}
		}
		return len(s.tickets()) == n
	})
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(srv.Comment(keys[1], "why me?"))
	do(srv.Transition(keys[2], "Done", ""))
	do(srv.Transition(keys[3], "In Progress", ""))
	do(srv.Edit(keys[4], "priority", "Lowest"))
	do(srv.Edit(keys[5], "summary", "mine"))
	do(srv.Transition(keys[6], "Done", "Won't Do"))
	do(srv.Assign(keys[7], "ada"))
	do(srv.Delete(keys[8]))
	for i, want := range map[int]string{
		1: "why me?", 2: "closed Closed by a person:", 3: "ack Taken by", 4: "priority Priority P5, was P2", 5: "changed the title",
		6: "it will not be fixed", 7: "assign Assigned to",
	} {
		eventually(t, fmt.Sprintf("the case of sample %d says %q", i, want), func() bool {
			return strings.Contains(jiraStory(t, d, keys[i]), want)
		})
		if got := strings.Count(jiraStory(t, d, keys[i]), want); got != 1 {
			t.Errorf("the case of sample %d says %q %d times; want once", i, want, got)
		}
	}
	eventually(t, "the deleted issue is made again", func() bool {
		for _, is := range srv.Issues() {
			if is.Summary == "Sample problem 8" && is.Key != keys[8] {
				return true
			}
		}
		return false
	})
	// A change of every finding lets docket write every issue: what people set stays, and is told no second time.
	var changed []map[string]any
	for i := 1; i <= n; i++ {
		changed = append(changed, sample{n: i, severity: "CRITICAL", title: fmt.Sprintf("Sample problem %d again", i)}.doc())
	}
	before := map[int]string{}
	for i := 1; i <= 7; i++ {
		before[i] = people(jiraStory(t, d, keys[i]))
	}
	d.ingest(ndjson(t, changed...))
	eventually(t, "docket wrote what people left to it", func() bool {
		for _, i := range []int{1, 3, 4, 7} {
			if is, ok := srv.Issue(keys[i]); !ok || !strings.HasSuffix(is.Summary, "again") {
				return false
			}
		}
		is, ok := srv.Issue(keys[5])
		return ok && is.Priority == "Highest"
	})
	for i := range before { // once these are heard of, so is every write of docket's
		do(srv.Comment(keys[i], "last word"))
	}
	for i := range before {
		eventually(t, "the last word was heard", func() bool { return strings.Contains(jiraStory(t, d, keys[i]), "last word") })
	}
	d.stop()
	for i, want := range map[int][3]string{
		3: {"In Progress", "Highest", "Sample problem 3 again"}, 4: {"To Do", "Lowest", "Sample problem 4 again"}, 5: {"To Do", "Highest", "mine"}, 6: {"Done", "", ""},
	} {
		is, ok := srv.Issue(keys[i])
		if got := [3]string{is.Status, is.Priority, is.Summary}; !ok || got[0] != want[0] || want[1] != "" && got != want {
			t.Errorf("issue of sample %d = %q; want %q", i, got, want)
		}
	}
	for i, was := range before {
		svc := s.offline()
		e, err := svc.Explain(t.Context(), keys[i])
		if err != nil {
			t.Fatal(err)
		}
		if got := people(storyText(e)); got != was {
			t.Errorf("the story of sample %d says of people\n%s\nafter docket's own writes; want\n%s", i, got, was)
		}
	}
	for key, open := range srv.OpenByKey() {
		if len(open) > 1 {
			t.Errorf("%s is on the open issues %v; want one", key, open)
		}
	}
	s.clean()
}

func jiraCase(t *testing.T, d *daemon, key string) api.CaseDetail {
	c := api.NewClient(d.url, bossToken)
	defer c.Close()
	x, err := c.Case(t.Context(), key)
	if err != nil {
		return api.CaseDetail{}
	}
	return x
}

func jiraStory(t *testing.T, d *daemon, key string) string {
	c := api.NewClient(d.url, bossToken)
	defer c.Close()
	e, err := c.Explain(t.Context(), jiraCase(t, d, key).Case)
	if err != nil {
		return err.Error()
	}
	return storyText(e)
}

func storyText(e api.Explained) string {
	var b strings.Builder
	lines := e.Story
	if len(lines) == 0 && e.Case != nil {
		lines = e.Case.Story
	}
	for _, l := range lines {
		fmt.Fprintln(&b, l.Kind, l.Text)
	}
	return b.String()
}

// people are the lines of a story about what people did.
func people(story string) string {
	var b strings.Builder
	for line := range strings.Lines(story) {
		switch kind, rest, _ := strings.Cut(line, " "); {
		case strings.Contains(rest, "last word"):
		case kind == "comment", kind == "ack", kind == "assign", kind == "edited", kind == "left_open", strings.Contains(rest, "by a person"), strings.Contains(rest, "set by"):
			b.WriteString(line)
		}
	}
	return b.String()
}
