package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
)

func testEnv(t testing.TB) *expr.Env {
	t.Helper()
	env, err := expr.NewEnv()
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func testTree(t testing.TB, root Node) *Tree {
	t.Helper()
	tree, err := New(testEnv(t), root, []Team{{"payments"}, {"security"}, {"shop"}})
	if err != nil {
		t.Fatalf("New(%+v) = %v", root, err)
	}
	return tree
}

func match(key string, patterns ...string) map[string][]string {
	return map[string][]string{key: patterns}
}

func hours(n int) *time.Duration {
	d := time.Duration(n) * time.Hour
	return &d
}

// exampleTree is the tree of the product's example configuration, with a second level.
func exampleTree() Node {
	return Node{Team: "security", Sinks: []string{"jira", "slack"}, GroupBy: []string{"account", "control"}, For: hours(1), Routes: []Node{
		{Match: map[string][]string{"account": {"1111*"}, "tag.team": {"payments"}}, Team: "payments", GroupBy: []string{"resource"}, Routes: []Node{
			{Match: match("severity", "low", "informational"), Sinks: []string{}, TicketsFrom: pipeline.P2, For: hours(0)},
		}},
		{When: `"sandbox" in finding.account.ou`, Sinks: []string{}},
		{When: `finding.raw.Confidence == 1`, Sinks: []string{"slack"}},
		{Match: match("title", "*audit*"), Sinks: []string{"archive"}, Continue: true, Team: "shop", ReopenWindow: hours(48), Flap: Flap{Times: 3}},
		{Match: match("repository", "shop/*"), Team: "shop", Sinks: []string{"fresh", "jira"}},
	}}
}

func TestRoute(t *testing.T) {
	base := DefaultSettings()
	base.Team, base.Sinks, base.For = "security", []string{"jira", "slack"}, time.Hour
	with := func(change func(*Settings)) Settings {
		s := base
		change(&s)
		return s
	}
	root := pipeline.Reason{What: "route", Why: "every finding"}
	raw := []byte(`{"Confidence":7}`)
	tests := []struct {
		name    string
		finding pipeline.Finding
		want    Decision
	}{
		{"nothing matches", pipeline.Finding{Raw: raw}, Decision{Settings: base, Path: "route", Why: []pipeline.Reason{root}}},
		{"both keys match", pipeline.Finding{Account: pipeline.Account{ID: "111122223333"}, Resource: pipeline.Resource{Tags: map[string]string{"team": "payments"}}, Severity: pipeline.High},
			Decision{Settings: with(func(s *Settings) { s.Team, s.GroupBy = "payments", []string{"resource"} }), Path: "route.routes[0]",
				Why: []pipeline.Reason{root, {What: "route.routes[0]", Why: "account is 1111*, and tag.team is payments"}}}},
		{"one key does not", pipeline.Finding{Account: pipeline.Account{ID: "111122223333"}, Raw: raw}, Decision{Settings: base, Path: "route", Why: []pipeline.Reason{root}}},
		{"the deepest", pipeline.Finding{Account: pipeline.Account{ID: "111122223333"}, Resource: pipeline.Resource{Tags: map[string]string{"team": "payments"}}, Severity: pipeline.Low},
			Decision{Settings: with(func(s *Settings) {
				s.Team, s.GroupBy, s.Sinks, s.TicketsFrom, s.For = "payments", []string{"resource"}, nil, pipeline.P2, 0
			}), Path: "route.routes[0].routes[0]",
				Why: []pipeline.Reason{root, {What: "route.routes[0]", Why: "account is 1111*, and tag.team is payments"}, {What: "route.routes[0].routes[0]", Why: "severity is low or informational"}}}},
		{"an expression", pipeline.Finding{Account: pipeline.Account{OU: []string{"root", "sandbox"}}},
			Decision{Settings: with(func(s *Settings) { s.Sinks = nil }), Path: "route.routes[1]",
				Why: []pipeline.Reason{root, {What: "route.routes[1]", Why: `"sandbox" in finding.account.ou`}}}},
		{"a failing expression", pipeline.Finding{Repository: "shop/cart"},
			Decision{Settings: with(func(s *Settings) { s.Team, s.Sinks = "shop", []string{"fresh", "jira"} }), Path: "route.routes[4]",
				Why:    []pipeline.Reason{root, {What: "route.routes[4]", Why: "repository is shop/*"}},
				Errors: []string{"route.routes[2].when: run expression: no such key: Confidence"}}},
		{"continue adds sinks and nothing else", pipeline.Finding{Title: "no audit log", Repository: "shop/cart", Raw: raw},
			Decision{Settings: with(func(s *Settings) {
				s.Team, s.Sinks, s.ReopenWindow, s.Flap.Times = "shop", []string{"archive", "fresh", "jira"}, 48*time.Hour, 3
			}), Path: "route.routes[3]", Also: []string{"route.routes[4]"},
				Why: []pipeline.Reason{root, {What: "route.routes[3]", Why: "title is *audit*"}, {What: "route.routes[4], by continue", Why: "repository is shop/*"}}}},
		{"continue with nothing after it", pipeline.Finding{Title: "no audit log", Raw: raw},
			Decision{Settings: with(func(s *Settings) {
				s.Team, s.Sinks, s.ReopenWindow, s.Flap.Times = "shop", []string{"archive"}, 48*time.Hour, 3
			}), Path: "route.routes[3]", Why: []pipeline.Reason{root, {What: "route.routes[3]", Why: "title is *audit*"}}}},
	}
	tree := testTree(t, exampleTree())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, s := range []*expr.Subject{nil, expr.NewSubject(&tt.finding)} {
				if diff := cmp.Diff(tt.want, tree.Route(&tt.finding, s), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("Route, -want +got:\n%s", diff)
				}
			}
		})
	}
}

func TestMatch(t *testing.T) {
	f := pipeline.Finding{
		Kind: pipeline.KindControl, Region: "eu-west-1", Repository: "shop/cart", Control: "EC2.19", Problem: "ec2-open-port", Title: "Port open", Severity: pipeline.High,
		Account:  pipeline.Account{ID: "1111", Name: "shop-prod", OU: []string{"root", "workloads"}, Tags: map[string]string{"tier": "0"}},
		Resource: pipeline.Resource{ID: "arn:aws:ec2:::sg", Type: "AwsEc2SecurityGroup", Tags: map[string]string{"team": "payments", "a.b": "c"}},
		Products: []string{"Prowler", "Security Hub"},
	}
	tests := []struct {
		name  string
		match map[string][]string
		want  bool
	}{
		{"account", match("account", "1111"), true},
		{"exact is whole", match("account", "111"), false},
		{"several are or", match("account", "2222", "1111"), true},
		{"keys are and", map[string][]string{"account": {"1111"}, "region": {"us-east-1"}}, false},
		{"account_name", match("account_name", "*-prod"), true},
		{"ou", match("ou", "workloads"), true},
		{"ou glob", match("ou", "work*"), true},
		{"ou not", match("ou", "sandbox"), false},
		{"region", match("region", "eu-*"), true},
		{"resource", match("resource", "arn:aws:ec2:*"), true},
		{"resource_type", match("resource_type", "AwsEc2*"), true},
		{"control", match("control", "EC2.1?"), true},
		{"control in another case", match("control", "ec2.19"), false},
		{"problem", match("problem", "ec2-open-port"), true},
		{"product", match("product", "Security Hub"), true},
		{"kind", match("kind", "control"), true},
		{"severity in any case", match("severity", "high"), true},
		{"severity glob", match("severity", "H*"), true},
		{"repository", match("repository", "shop/*"), true},
		{"title", match("title", "Port*"), true},
		{"tag", match("tag.team", "payments"), true},
		{"tag with a dot", match("tag.a.b", "c"), true},
		{"account tag", match("account_tag.tier", "0"), true},
		{"missing tag is empty", match("tag.owner", ""), true},
		{"missing tag matches anything", match("tag.owner", "*"), true},
		{"missing tag is not something", match("tag.owner", "?*"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := testTree(t, Node{Routes: []Node{{Match: tt.match}}})
			if got := tree.Route(&f, nil).Path == "route.routes[0]"; got != tt.want {
				t.Errorf("match %v = %t; want %t", tt.match, got, tt.want)
			}
		})
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"?", "", false}, {"?", "a", true}, {"?", "é", true}, {"??", "é", false},
		{"a*", "abc", true}, {"a*", "bac", false}, {"*c", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abcd", false}, {"a**c", "ac", true},
		{"*a*b*", "xxaxxbxx", true}, {"*a*b*", "xxbxxaxx", false}, {"a?c*", "abc", true}, {"*é?", "aéb", true}, {"*ab", "aab", true}, {"a*b", "a", false},
		{strings.Repeat("*a", 40) + "b", strings.Repeat("a", 4000), false},
	}
	for _, tt := range tests {
		if got := glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("glob(%.20q, %.20q) = %t; want %t", tt.pattern, tt.s, got, tt.want)
		}
	}
}

// FuzzGlob compares with the obvious, exponential matcher on short texts.
func FuzzGlob(f *testing.F) {
	f.Add("a*b?", "aabc")
	f.Add("*é", "\xffé")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 12 {
			_ = glob(pattern, s) // it returns, however odd they are
			return
		}
		if got, want := glob(pattern, s), obviousGlob(pattern, s); got != want {
			t.Errorf("glob(%q, %q) = %t; want %t", pattern, s, got, want)
		}
	})
}

func obviousGlob(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		if obviousGlob(pattern[1:], s) {
			return true
		}
		return s != "" && obviousGlob(pattern, s[runeLength(s):])
	case s == "":
		return false
	case pattern[0] == '?':
		return obviousGlob(pattern[1:], s[runeLength(s):])
	}
	return pattern[0] == s[0] && obviousGlob(pattern[1:], s[1:])
}

func TestNewTellsEveryError(t *testing.T) {
	ago := -time.Hour
	_, err := New(testEnv(t), Node{Team: "securty", Match: match("account", "1"), When: "true", Continue: true, GroupBy: []string{"acount", "tag.", "account", "account"},
		TicketsFrom: 9, Assignee: []string{"owner", "tag.owner"}, For: &ago, Flap: Flap{Times: 1, Within: -1, Quiet: -1}, Routes: []Node{
			{Match: map[string][]string{"acount": {"1"}, "tag.": {"x"}, "region": nil, "severity": {"hgih", "low"}}},
			{Routes: []Node{{When: `finding.regoin == "x"`, ReopenWindow: &ago, RecheckAfter: &ago}}},
		}}, []Team{{"security"}})
	keys := strings.Join(MatchKeys(), ", ") + ", tag.NAME or account_tag.NAME"
	groups := strings.Join(GroupNames(), ", ") + " or tag.NAME"
	want := []string{
		"route.match: the root takes every finding and has no condition",
		"route.when: the root takes every finding and has no condition",
		"route.continue: nothing comes after the root",
		"route.team: no team is named securty, did you mean security?",
		`route.group_by[0]: unknown name "acount", did you mean account?: use ` + groups,
		`route.group_by[1]: unknown name "tag.": use ` + groups,
		"route.group_by[3]: account is there twice",
		"route.tickets_from: P1, P2, P3, P4 or P5 is needed",
		`route.assignee[0]: unknown name "owner": use team, tag.NAME or account_tag.NAME`,
		"route.for: -1h0m0s is negative",
		"route.flap.times: at least 2 is needed: once is not recurring",
		"route.flap.within: -1ns is negative",
		"route.flap.quiet: -1ns is negative",
		"route.routes[0].match.acount: unknown key, did you mean account?: use " + keys,
		"route.routes[0].match.region: at least one value is needed",
		`route.routes[0].match.severity[0]: unknown severity "hgih": use CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL or UNKNOWN`,
		"route.routes[0].match.tag.: unknown key: use " + keys,
		"route.routes[1].routes[0].reopen_window: -1h0m0s is negative",
		"route.routes[1].routes[0].recheck_after: -1h0m0s is negative",
		"route.routes[1].routes[0].when: line 1, column 8: undefined field 'regoin', did you mean 'region'?",
	}
	var got []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			var path *expr.PathError
			if !errors.As(one, &path) {
				t.Errorf("New gives %v; want an *expr.PathError", one)
			}
			got = append(got, one.Error())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("New's errors, -want +got:\n%s", diff)
	}
}

func TestWarnings(t *testing.T) {
	tree := testTree(t, Node{Routes: []Node{{Continue: true}, {Team: "shop", Routes: []Node{{}, {When: "true"}}}, {When: "true"}}})
	var got []string
	for _, w := range tree.Warnings() {
		got = append(got, w.Error())
	}
	want := []string{
		"route.routes[1].routes[1]: it is never reached: route.routes[1].routes[0] before it takes every finding",
		"route.routes[2]: it is never reached: route.routes[1] before it takes every finding",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Warnings(), -want +got:\n%s", diff)
	}
}

func TestDraw(t *testing.T) {
	var b strings.Builder
	root := exampleTree()
	root.Assignee, root.RecheckAfter = []string{"tag.owner", "team"}, hours(36)
	root.Routes = append(root.Routes, Node{When: "finding.region == \"x\" ||\n  true", GroupBy: []string{}, Flap: Flap{Within: 48 * time.Hour, Quiet: 90 * time.Minute}},
		Node{Match: match("kind", "code")})
	if err := testTree(t, root).Draw(&b); err != nil {
		t.Fatal(err)
	}
	want := `route: team security; sinks jira, slack; by account, control; for 1h; recheck after 36h; assignee tag.owner, team
├─ [0] account is 1111*, and tag.team is payments -> team payments; by resource
│  └─ [0] severity is low or informational -> no sinks; tickets from P2; for 0s
├─ [1] "sandbox" in finding.account.ou -> no sinks
├─ [2] finding.raw.Confidence == 1 -> sinks slack
├─ [3] title is *audit* -> team shop; sinks archive; reopen window 2d; flap 3 times; continue
├─ [4] repository is shop/* -> team shop; sinks fresh, jira
├─ [5] finding.region == "x" || true -> one case for all; flap within 2d quiet 90m
└─ [6] kind is code -> as above
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("Draw, -want +got:\n%s", diff)
	}
}

// naive walks the same compiled nodes without an index, in file order.
func naive(n *node, w *walk) {
	matched := false
	for _, c := range n.children {
		if !w.matches(c) {
			continue
		}
		matched = true
		naive(c, w)
		if !c.more {
			break
		}
	}
	if !matched {
		w.hits = append(w.hits, n)
	}
}

// words are few, so that random trees and findings meet.
var words = []string{"", "a", "ab", "abc", "b", "ba", "*"}

func drawNode(t *rapid.T, depth int, label string) Node {
	n := Node{Continue: rapid.Bool().Draw(t, label+" continue"), Team: rapid.SampledFrom([]string{"", "shop", "payments"}).Draw(t, label+" team")}
	word := rapid.OneOf(rapid.SampledFrom(words), rapid.SampledFrom([]string{"a*", "ab*", "*b", "?", "a?", "b*"}))
	if rapid.IntRange(0, 3).Draw(t, label+" matched") > 0 {
		n.Match = rapid.MapOfN(rapid.SampledFrom([]string{"account", "region", "ou", "product", "tag.x", "tag.y", "account_tag.x", "control"}),
			rapid.SliceOfN(word, 1, 3), 0, 3).Draw(t, label+" match")
	}
	if rapid.IntRange(0, 2).Draw(t, label+" conditional") == 0 {
		q := func(i int) string {
			return fmt.Sprintf("%q", rapid.SampledFrom(words).Draw(t, fmt.Sprint(label, " word ", i)))
		}
		n.When = rapid.SampledFrom([]string{
			`finding.account.id == ` + q(0),
			`finding.tag["x"] == ` + q(0) + ` && finding.raw.n == 1`,
			`finding.raw.n == 1 && finding.tag.y in [` + q(0) + `, ` + q(1) + `]`,
			q(0) + ` in finding.account.ou || ` + q(1) + ` in finding.account.ou`,
			`finding.region == ` + q(0) + ` || finding.control == ` + q(1),
			`(finding.region == ` + q(0) + ` || finding.region == ` + q(1) + `) && finding.account.tags.x != ""`,
			`finding.raw.n == 2`,
			`finding.tag.x.startsWith(` + q(0) + `) && finding.raw.n == 1`,
			`finding.region.startsWith(` + q(0) + `) || finding.region == ` + q(1),
			q(0) + ` in finding.risk_factors && ` + q(1) + ` in finding.risk_factors`,
		}).Draw(t, label+" when")
	}
	if depth > 0 {
		for i := range rapid.IntRange(0, 6).Draw(t, label+" children") {
			n.Routes = append(n.Routes, drawNode(t, depth-1, fmt.Sprint(label, ".", i)))
		}
	}
	return n
}

func drawFinding(t *rapid.T) pipeline.Finding {
	word := rapid.SampledFrom(words)
	tags := rapid.MapOfN(rapid.SampledFrom([]string{"x", "y", "z"}), word, 0, 3)
	return pipeline.Finding{
		Region: word.Draw(t, "region"), Control: word.Draw(t, "control"), Products: rapid.SliceOfN(word, 0, 2).Draw(t, "products"), RiskFactors: rapid.SliceOfN(word, 0, 2).Draw(t, "factors"),
		Account:  pipeline.Account{ID: word.Draw(t, "account"), OU: rapid.SliceOfN(word, 0, 3).Draw(t, "ou"), Tags: tags.Draw(t, "account tags")},
		Resource: pipeline.Resource{Tags: tags.Draw(t, "tags")},
		Raw:      rapid.SampledFrom([][]byte{nil, []byte(`{"n":1}`), []byte(`{"n":2}`), []byte(`{`)}).Draw(t, "raw"),
	}
}

// The index must change nothing: the same nodes, in the same order, with the same errors.
func TestIndexIsExact(t *testing.T) {
	env := testEnv(t)
	rapid.Check(t, func(t *rapid.T) {
		root := drawNode(t, 3, "root")
		root.Match, root.When, root.Continue = nil, "", false
		tree, err := New(env, root, []Team{{"shop"}, {"payments"}})
		if err != nil {
			t.Fatalf("New = %v", err)
		}
		for range 4 {
			f := drawFinding(t)
			want := walk{f: &f}
			naive(tree.root, &want)
			got := tree.Route(&f, nil)
			var paths []string
			for _, n := range want.hits {
				paths = append(paths, n.path)
			}
			if diff := cmp.Diff(paths, append([]string{got.Path}, got.Also...)); diff != "" {
				t.Fatalf("Route(%+v), -want +got:\n%s", f, diff)
			}
			if diff := cmp.Diff(want.errs, got.Errors); diff != "" {
				t.Fatalf("errors of Route(%+v), -want +got:\n%s", f, diff)
			}
			if got.Team != want.hits[0].settings.Team {
				t.Fatalf("team of Route(%+v) = %s; want %s", f, got.Team, want.hits[0].settings.Team)
			}
		}
	})
}
