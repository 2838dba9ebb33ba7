package jira

import (
	"fmt"
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
		{"issue type", jiratest.Options{}, func(c *Config) { c.IssueType = "Incident" }, nil, []string{"issue_type: ", "Task, Bug", "it has"}},
		{"permissions", jiratest.Options{}, func(*Config) {}, func(s *jiratest.Server) error {
			return s.ForbidProject("SEC", jiratest.AddComments, jiratest.TransitionIssues)
		}, []string{"auth: this account lacks ADD_COMMENTS, TRANSITION_ISSUES in project SEC"}},
		{"everything at once", jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", OffScreen: []string{"labels", "duedate"}, Priorities: []string{"Major"}, Workflow: jiratest.EndlessWorkflow(), Fields: required}}},
			func(c *Config) {
				c.Priorities = map[pipeline.Priority]string{pipeline.P1: "Highest"}
				c.Fields = map[string]any{"customfield_9": "x"}
				c.Transitions = Transitions{Ack: "Started", Reopen: "Doing"}
			}, nil, []string{
				"labels is not on the create screen", `priorities.P1: project SEC has no priority "Highest"`, "has Major;", "fields.customfield_9: ", `fields.customfield_4: a Task in project SEC needs a value for "Team"; it takes Payments, Shop`,
				"due_date: ", "transitions.close: no status of Task in project SEC is of category done", `transitions.ack: the workflow has no status "Started"`, "has Backlog (new), Doing (indeterminate);",
			}},
		{"a status of the wrong category", jiratest.Options{}, func(c *Config) { c.Transitions.Close = "In Progress" }, nil, []string{`transitions.close: status "In Progress" is of category indeterminate, wanted is done`}},
		{"a value that is none", jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", Fields: required}}}, func(c *Config) { c.Fields = map[string]any{"customfield_4": "Sales"} }, nil, []string{"fields.customfield_4: ", `"Sales"`, "Payments, Shop"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.o, func(_ *jiratest.Server, conf *Config) { c.change(conf) })
			if c.hand != nil {
				w.do(c.hand(w.srv))
			}
			var told []string
			for _, x := range w.sink.Checks(t.Context()) {
				if x.Err != nil {
					told = append(told, fmt.Sprintf("%s: %v; has %s; fix: %s", x.Key, x.Err, x.Have, x.Fix))
				}
				if x.Err == nil && x.Fact == "" && x.Skip == "" {
					t.Errorf("check %+v says nothing", x)
				}
			}
			all := strings.Join(told, "\n")
			if (all == "") != (c.want == nil) {
				t.Fatalf("Checks() = %s; want %q", all, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(all, part) {
					t.Errorf("Checks() = %s; want it to say %q", all, part)
				}
			}
			if err := w.sink.Check(t.Context()); (err == nil) != (c.want == nil) {
				t.Errorf("Check() = %v; want an error: %v", err, c.want != nil)
			}
			if n := w.writes(); n != 0 || len(w.srv.Issues()) != 0 {
				t.Errorf("Check() made %d writes; want none", n)
			}
		})
	}
}
