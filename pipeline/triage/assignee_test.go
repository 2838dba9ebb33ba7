package triage

import (
	"slices"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

func TestAssignees(t *testing.T) {
	chain := []string{"tag.owner", "account_tag.owner", "team"}
	for _, tt := range []struct {
		name              string
		resource, account map[string]string
		want              []string
	}{
		{"all known", map[string]string{"owner": "a@example.com"}, map[string]string{"owner": "b@example.com"}, []string{"a@example.com", "b@example.com", "payments"}},
		{"no tag on the resource", nil, map[string]string{"owner": "b@example.com"}, []string{"b@example.com", "payments"}},
		{"no tags at all", nil, nil, []string{"payments"}},
		{"one person twice", map[string]string{"owner": "a@example.com"}, map[string]string{"owner": "a@example.com"}, []string{"a@example.com", "payments"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Case{Team: "payments", Settings: Settings{Assignee: chain}}
			f := &pipeline.Finding{Resource: pipeline.Resource{Tags: tt.resource}, Account: pipeline.Account{Tags: tt.account}}
			if got := assignees(c, f); !slices.Equal(got, tt.want) {
				t.Errorf("assignees() = %q; want %q", got, tt.want)
			}
		})
	}
}
