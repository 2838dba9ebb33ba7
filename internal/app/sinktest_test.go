package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/internal/api"
)

// brokenSite is a site whose sink jira says settings, each on a line of its own, beside what every one needs.
func brokenSite(t *testing.T, url, route, team string, settings ...string) *site {
	t.Helper()
	block := []string{"name: jira", "type: jira", fmt.Sprintf("url: %q", url), "auth:", "  email: docket@example.com", "  token: {env: TOKEN}"}
	if !slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(s, "project:") }) {
		block = append(block, "project: SEC")
	}
	s := newSite(t, fmt.Sprintf(`installation: test
data_dir: ./data
sources: [{name: reports, type: file, paths: ["in/*"]}]
teams:
  - name: security
%s
route:
  team: security
  sinks: [jira]
%s
sinks:
  - %s
    unsure: {deadline: 1s, pause: 0s, late: 0s, grace: 1s, lag: 1s, settle: 1s, looks: 2, lease: 4s}
`, team, route, strings.Join(append(block, settings...), "\n    ")))
	s.env["TOKEN"] = "jira-token-1"
	return s
}

// TestSinksTestNamesWhatIsBroken breaks one thing at a time, the settings or Jira: `sinks test` names the
// check, the key and its line, what Jira has instead, and what to do.
func TestSinksTestNamesWhatIsBroken(t *testing.T) {
	t.Parallel()
	project := func(p jiratest.Project) jiratest.Options {
		p.Key = "SEC"
		return jiratest.Options{Projects: []jiratest.Project{p, {Key: "OPS"}}}
	}
	team := jiratest.Field{ID: "customfield_4", Name: "Team", Type: jiratest.Select, Required: true, Options: []jiratest.Option{{Value: "Payments"}, {Value: "Shop"}}}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html><title>Sign in</title></html>")
	}))
	defer page.Close()
	forbid := func(what ...string) func(*jiratest.Server) error {
		return func(srv *jiratest.Server) error { return srv.ForbidProject("SEC", what...) }
	}
	for name, tc := range map[string]struct {
		jira                  jiratest.Options
		hand                  func(*jiratest.Server) error
		url                   string // instead of the stand-in's
		team, route           string // lines of theirs
		settings              []string
		check, key, line      string // line: what stands on it
		wrong, have, fix, and string // and: another check that must have failed, "" for none
		create                bool
	}{
		"wrong token": {
			hand:  func(srv *jiratest.Server) error { srv.RotateToken("another"); return nil },
			check: "credentials", key: "sinks[0].auth", line: "email:", wrong: "401", fix: "make a new token",
		},
		"no such project": {
			settings: []string{"project: NONE"}, jira: project(jiratest.Project{}),
			check: "project", key: "sinks[0].project", line: "project: NONE", wrong: "there is no project NONE", have: "OPS, SEC", fix: "write the project's key",
		},
		"wrong issue type": {
			settings: []string{"issue_type: Incident"},
			check:    "issue type", key: "sinks[0].issue_type", line: "issue_type: Incident", wrong: `project SEC has no "Incident"`, have: "Task, Bug", fix: "name one of the project's issue types",
		},
		"a required field that nothing fills": {
			jira:  project(jiratest.Project{Fields: []jiratest.Field{team}}),
			check: "required field customfield_4", key: "sinks[0].fields.customfield_4", line: "- name: jira", wrong: `needs a value for "Team"`, have: "Payments, Shop", fix: "give it a value under fields",
		},
		"a value that the field does not take": {
			jira: project(jiratest.Project{Fields: []jiratest.Field{team}}), settings: []string{"fields:", "  customfield_4: Sales"},
			check: "field customfield_4", key: "sinks[0].fields.customfield_4", line: "customfield_4: Sales", wrong: `"Sales"`, have: "Payments, Shop", fix: "write one of these",
		},
		"unknown field": {
			settings: []string{"fields:", "  customfield_9: x"},
			check:    "field customfield_9", key: "sinks[0].fields.customfield_9", line: "customfield_9: x", wrong: "it is not on the create screen of Task in project SEC", have: "summary", fix: "put it there",
		},
		"a priority that is not in the scheme": {
			jira: project(jiratest.Project{Priorities: []string{"Major", "Minor"}}), settings: []string{"priorities:", "  P1: Highest"},
			check: "priority P1", key: "sinks[0].priorities.P1", line: "P1: Highest", wrong: `project SEC has no priority "Highest"`, have: "Major, Minor", fix: "name one of these, or add it to the project's priority scheme",
		},
		"a status that no workflow has": {
			settings: []string{"transitions:", "  close: Fixed"},
			check:    "status close", key: "sinks[0].transitions.close", line: "close: Fixed", wrong: `the workflow has no status "Fixed"`, have: "To Do (new), In Progress (indeterminate), Done (done)", fix: "name one of these",
		},
		"a resolution that Jira does not have": {
			settings: []string{"close:", "  accepted: Accepted"},
			check:    "close accepted", key: "sinks[0].close.accepted", line: "accepted: Accepted", wrong: `Jira has no resolution "Accepted"`, have: "Done, Won't Do", fix: "name one of these",
		},
		"may not create": {
			hand:  forbid(jiratest.CreateIssues),
			check: "permissions", key: "sinks[0].auth", line: "email:", wrong: "lacks CREATE_ISSUES in project SEC", have: "BROWSE_PROJECTS, EDIT_ISSUES", fix: "add the account to a role", and: "issue type",
		},
		"may not move issues on": {
			hand:  forbid(jiratest.TransitionIssues),
			check: "permissions", key: "sinks[0].auth", line: "email:", wrong: "lacks TRANSITION_ISSUES in project SEC", have: "CREATE_ISSUES", fix: "add the account to a role",
		},
		"may not delete the test ticket": {
			hand: forbid(jiratest.DeleteIssues), create: true,
			check: "remove it", wrong: "403", fix: "remove it by hand",
		},
		"a member who cannot be assigned": {
			jira: project(jiratest.Project{Assignable: []string{"557058:ada"}}), team: "    members:\n      - {slack: U02, jira: bob@example.com}",
			check: "assignee bob@example.com", key: "teams[0].members[0].jira", line: "bob@example.com", wrong: `nobody called "bob@example.com" can be assigned in project SEC`, have: "ada@example.com", fix: "name one of these",
		},
		"a team that is nobody's account": {
			route: "  assignee: [tag.owner, team]",
			check: "assignee security", key: "route.assignee[1]", line: "assignee: [", wrong: `nobody called "security"`, have: "ada@example.com, bob@example.com", fix: "name one of these",
		},
		"a team's project that is not there": {
			team:  "    sinks:\n      jira:\n        project: PAY",
			check: "team security: project", key: "teams[0].sinks.jira.project", line: "project: PAY", wrong: "there is no project PAY", have: "SEC", fix: "write the project's key",
		},
		"wrong deployment": {
			settings: []string{"deployment: datacenter", "due_date: false"}, // signed in as on Cloud
			check:    "server", key: "sinks[0].deployment", line: "deployment: datacenter", wrong: "the server is not datacenter", have: "Cloud", fix: "leave deployment out",
		},
		"an address where Jira is not": {
			url:   page.URL,
			check: "server", key: "sinks[0].url", line: "url:", wrong: "an HTML page", fix: "write the address at which people open Jira",
		},
		"the path is missing": {
			jira:  jiratest.Options{BasePath: "/jira"},
			check: "server", key: "sinks[0].url", line: "url:", wrong: "an HTML page", fix: "write the address at which people open Jira",
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := jiratest.New(t, tc.jira)
			if tc.hand != nil {
				if err := tc.hand(srv); err != nil {
					t.Fatal(err)
				}
			}
			url := strings.TrimSuffix(srv.URL(), tc.jira.BasePath)
			if tc.url != "" {
				url = tc.url
			}
			s := brokenSite(t, url, tc.route, tc.team, tc.settings...)
			got, err := s.offline().TestSinks(t.Context(), nil, tc.create, quiet)
			if err != nil || len(got) != 1 || !got[0].Failed {
				t.Fatalf("TestSinks() = %+v, %v; want a failure", got, err)
			}
			text, err := os.ReadFile(filepath.Join(s.dir, "docket.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			at := ""
			if tc.key != "" {
				for i, line := range strings.Split(string(text), "\n") {
					if strings.Contains(line, tc.line) {
						at = fmt.Sprintf("docket.yaml:%d:", i+1)
						break
					}
				}
			}
			found := false
			for _, row := range append(got[0].Checks, got[0].Steps...) {
				switch {
				case row.Name == tc.check:
					found = true
					if row.State != api.CheckFailed || row.Key != tc.key || !strings.HasPrefix(filepath.Base(row.At), at) || !strings.Contains(row.Error, tc.wrong) || !strings.Contains(row.Have, tc.have) || !strings.Contains(row.Fix, tc.fix) {
						t.Errorf("check %q = %+v; want it failed at %s %s, wrong %q, have %q, fix %q", row.Name, row, at, tc.key, tc.wrong, tc.have, tc.fix)
					}
				case row.State == api.CheckFailed && row.Name != tc.and:
					t.Errorf("check %+v failed too; want %q alone", row, tc.check)
				}
			}
			if !found {
				t.Errorf("TestSinks() = %+v; want a check %q", got[0], tc.check)
			}
			if n := len(srv.Creates()); !tc.create && n != 0 {
				t.Errorf("TestSinks() created %d issues; want none", n)
			}
			if (tc.key == "") == got[0].Left.IsZero() {
				t.Errorf("TestSinks() left %+v; want what cannot be removed named, and nothing else", got[0].Left)
			}
		})
	}
}
