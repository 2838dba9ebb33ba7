package jira

import (
	"strings"
	"testing"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
)

func TestCheck(t *testing.T) {
	required := []jiratest.Field{{ID: "customfield_4", Name: "Team", Type: jiratest.Select, Required: true, Options: []jiratest.Option{{Value: "Payments"}, {Value: "Shop"}}}}
	for _, c := range []struct {
		name   string
		o      jiratest.Options
		change func(*Config)
		hand   func(*jiratest.Server) error
		want   []string // none: all is well
	}{
		{"all is well", jiratest.Options{}, func(c *Config) {
			c.Transitions = Transitions{Ack: "In Progress", Close: "Done", Reopen: "To Do"}
			c.Priorities = map[pipeline.Priority]string{pipeline.P1: "Highest"}
			c.Fields = map[string]any{"labels": []any{"docket"}}
		}, nil, nil},
		{"data center", jiratest.Options{DataCenter: true}, func(*Config) {}, nil, nil},
		{"each team names its project", jiratest.Options{}, func(c *Config) { c.Project = "" }, nil, nil},
		{"deployment", jiratest.Options{}, func(c *Config) { c.Deployment = datacenter }, nil, []string{"deployment: "}},
		{"credentials", jiratest.Options{}, func(c *Config) { c.Auth.Token = secret.New("wrong", secret.Ref{}) }, nil, []string{"refused"}},
		{"project", jiratest.Options{}, func(c *Config) { c.Project = "NONE" }, nil, []string{"project: there is no project NONE"}},
		{"issue type", jiratest.Options{}, func(c *Config) { c.IssueType = "Incident" }, nil, []string{"issue_type: ", "Task, Bug"}},
		{"permissions", jiratest.Options{}, func(*Config) {}, func(s *jiratest.Server) error {
			return s.ForbidProject("SEC", jiratest.AddComments, jiratest.TransitionIssues)
		}, []string{"auth: this account lacks ADD_COMMENTS, TRANSITION_ISSUES in project SEC"}},
		{"everything at once", jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", OffScreen: []string{"labels", "duedate"}, Priorities: []string{"Major"}, Workflow: jiratest.EndlessWorkflow(), Fields: required}}},
			func(c *Config) {
				c.Priorities = map[pipeline.Priority]string{pipeline.P1: "Highest"}
				c.Fields = map[string]any{"customfield_9": "x"}
				c.Transitions = Transitions{Ack: "Started", Reopen: "Doing"}
			}, nil, []string{
				"labels: ", `priorities.P1: project SEC has no priority "Highest", it has Major`, "fields.customfield_9: ", `fields.customfield_4: a Task in project SEC needs a value for "Team"; it takes Payments, Shop`,
				"due_date: ", "transitions.close: no status of Task in project SEC is of category done", `transitions.ack: the workflow has no status "Started", it has Backlog (new), Doing (indeterminate)`,
			}},
		{"a status of the wrong category", jiratest.Options{}, func(c *Config) { c.Transitions.Close = "In Progress" }, nil, []string{`transitions.close: status "In Progress" is of category indeterminate, wanted is done`}},
		{"a value that is none", jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", Fields: required}}}, func(c *Config) { c.Fields = map[string]any{"customfield_4": "Sales"} }, nil, []string{"fields.customfield_4 (Team): "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.o, func(_ *jiratest.Server, conf *Config) { c.change(conf) })
			if c.hand != nil {
				w.do(c.hand(w.srv))
			}
			err := w.sink.Check(t.Context())
			if (err == nil) != (c.want == nil) {
				t.Fatalf("Check() = %v; want %q", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Check() = %v; want it to say %q", err, part)
				}
			}
			if n := w.writes(); n != 0 || len(w.srv.Issues()) != 0 {
				t.Errorf("Check() made %d writes; want none", n)
			}
		})
	}
}
