package route

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docket-hub/docket/pipeline"
)

func TestGroupValues(t *testing.T) {
	f := &pipeline.Finding{
		Account: pipeline.Account{ID: "1111", Name: "shop"}, Region: "eu-west-1", Repository: "shop/cart", Title: "Open port", Control: "EC2.19", Problem: "ec2-open-port",
		Resource: pipeline.Resource{ID: "arn:sg", Type: "AwsEc2SecurityGroup", Tags: map[string]string{"owner": "ann"}}, Remediation: pipeline.Remediation{Text: " Close the port.\nThen test."},
	}
	by := append(GroupNames(), "tag.owner", "tag.none")
	_, got := Group(f, by, "security", []string{"jira"})
	want := []pipeline.GroupValue{
		{Name: "account", Value: "1111"}, {Name: "region", Value: "eu-west-1"}, {Name: "resource", Value: "arn:sg"}, {Name: "resource_type", Value: "AwsEc2SecurityGroup"},
		{Name: "control", Value: "EC2.19"}, {Name: "remediation", Value: "Close the port."}, {Name: "title", Value: "Open port"}, {Name: "repository", Value: "shop/cart"},
		{Name: "tag.owner", Value: "ann"}, {Name: "tag.none", Value: ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Group's values, -want +got:\n%s", diff)
	}
	long := &pipeline.Finding{Remediation: pipeline.Remediation{Text: strings.Repeat("é", 300)}}
	if _, got := Group(long, []string{"remediation"}, "", nil); got[0].Value != strings.Repeat("é", shownRunes)+"…" {
		t.Errorf("a long remediation is shown as %q; want %d characters", got[0].Value, shownRunes)
	}
}

func TestGroupKey(t *testing.T) {
	base := pipeline.Finding{Account: pipeline.Account{ID: "1"}, Control: "EC2.19", Problem: "p", Resource: pipeline.Resource{ID: "r"}}
	by := []string{"account", "control"}
	sinks := []string{"jira", "snow"}
	want, _ := Group(&base, by, "team", sinks)
	if len(want) != 64 || strings.Trim(want, "0123456789abcdef") != "" {
		t.Fatalf("Group's key = %q; want 64 hex digits", want)
	}
	// A key is written to state and into tickets: it must never change by itself.
	if known := "120e7e81e5d6d62d57f51c9cce87fec961d10611ddbffeec80e3cc6ab3df7827"; want != known {
		t.Errorf("Group's key = %s; want %s", want, known)
	}
	change := func(c func(*pipeline.Finding)) pipeline.Finding {
		f := base
		c(&f)
		return f
	}
	tests := []struct {
		name    string
		finding pipeline.Finding
		by      []string
		team    string
		sinks   []string
		same    bool
	}{
		{"the same", base, by, "team", sinks, true},
		{"names in another order", base, []string{"control", "account"}, "team", sinks, true},
		{"sinks in another order, one twice", base, by, "team", []string{"snow", "jira", "jira"}, true},
		{"the control in another source's words", change(func(f *pipeline.Finding) { f.Control = "ec2_open" }), by, "team", sinks, true},
		{"what is not grouped by", change(func(f *pipeline.Finding) { f.Resource.ID, f.Severity = "s", pipeline.Critical }), by, "team", sinks, true},
		{"another problem", change(func(f *pipeline.Finding) { f.Problem = "q" }), by, "team", sinks, false},
		{"another account", change(func(f *pipeline.Finding) { f.Account.ID = "2" }), by, "team", sinks, false},
		{"another team", base, by, "teams", sinks, false},
		{"fewer sinks", base, by, "team", []string{"jira"}, false},
		{"fewer names", base, []string{"account"}, "team", sinks, false},
		{"other names", base, []string{"account", "resource"}, "team", sinks, false},
		{"shifted borders", change(func(f *pipeline.Finding) { f.Account.ID, f.Problem = "", "1p" }), by, "team", sinks, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := Group(&tt.finding, tt.by, tt.team, tt.sinks)
			if (got == want) != tt.same {
				t.Errorf("Group's key = %s, equal %t; want equal %t", got, got == want, tt.same)
			}
		})
	}
}

// Two findings share a key exactly when everything that is compared is equal.
func TestGroupKeySeparates(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "a", "aa", "ab", "b", "\x01a", "\x00"})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) (pipeline.Finding, string, []string) {
			return pipeline.Finding{Region: word.Draw(t, label), Title: word.Draw(t, label), Resource: pipeline.Resource{Tags: map[string]string{"x": word.Draw(t, label)}}},
				word.Draw(t, label), rapid.SliceOfNDistinct(word, 0, 1, rapid.ID[string]).Draw(t, label)
		}
		by := []string{"region", "tag.x", "title"}
		a, teamA, sinksA := draw("a")
		b, teamB, sinksB := draw("b")
		keyA, valuesA := Group(&a, by, teamA, sinksA)
		keyB, valuesB := Group(&b, by, teamB, sinksB)
		equal := teamA == teamB && cmp.Equal(sinksA, sinksB) && cmp.Equal(valuesA, valuesB)
		if (keyA == keyB) != equal {
			t.Errorf("keys equal %t; want %t", keyA == keyB, equal)
		}
	})
}
