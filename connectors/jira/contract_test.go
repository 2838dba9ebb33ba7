package jira

import (
	"testing"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// TestSinkContract runs the contract of sinks over every flavour and workflow.
func TestSinkContract(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      jiratest.Options
		change func(*jiratest.Server, *Config)
	}{
		{"cloud", jiratest.Options{}, nil},
		{"data center", jiratest.Options{DataCenter: true, BasePath: "/jira"}, nil},
		{"data center, personal access token", jiratest.Options{DataCenter: true}, func(_ *jiratest.Server, c *Config) {
			c.Auth = Auth{Token: secret.New("jira-token-1", secret.Ref{})}
		}},
		{"cloud through the gateway", jiratest.Options{}, func(s *jiratest.Server, c *Config) {
			c.URL, c.Auth = s.GatewayURL(), Auth{Token: secret.New("jira-token-1", secret.Ref{})}
		}},
		{"four steps, resolution required", jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", Workflow: jiratest.FourStepWorkflow()}}}, nil},
		{"team-managed, without priorities", jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", NoPriority: true}}}, nil},
		{"key in a field", jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", OffScreen: []string{"labels"},
			Fields: []jiratest.Field{{ID: "customfield_10200", Name: "docket", Type: jiratest.Text}}}}},
			func(_ *jiratest.Server, c *Config) { c.KeyField = "customfield_10200" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			connectortest.Sink(t, func(t *testing.T) connectortest.SinkHarness {
				w := newWorld(t, c.o, func(s *jiratest.Server, conf *Config) {
					if c.change != nil {
						c.change(s, conf)
					}
				})
				return connectortest.SinkHarness{
					Sink:    w.sink,
					Records: func(t testing.TB) []connectortest.Record { return records(t, w.srv) },
					Break:   func(testing.TB) { w.srv.RevokeToken() },
					Secrets: []string{"jira-token-1"},
					Lose: func(_ testing.TB, n int) {
						w.srv.Heal()
						if n > 0 {
							w.srv.Inject(jiratest.Rule{Skip: n - 1, Times: 1, Fault: jiratest.Fault{Kind: jiratest.DropAfter}})
						}
					},
				}
			})
		})
	}
}
