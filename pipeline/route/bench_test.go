package route

import (
	"fmt"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// siblings is a root with n children of which only the finding's own can match.
func siblings(n int, child func(i int) Node) Node {
	root := Node{Team: "security", Sinks: []string{"jira"}}
	for i := range n {
		c := child(i)
		c.Team = "shop"
		root.Routes = append(root.Routes, c)
	}
	return root
}

func shapes() map[string]func(i int) Node {
	id := func(i int) string { return fmt.Sprintf("%012d", i*7919) }
	return map[string]func(i int) Node{
		"exact":  func(i int) Node { return Node{Match: match("account", id(i))} },
		"prefix": func(i int) Node { return Node{Match: match("account", id(i)+"*")} },
		"two keys": func(i int) Node {
			return Node{Match: map[string][]string{"region": {"eu-west-1"}, "tag.team": {id(i)}}}
		},
		"own tags":   func(i int) Node { return Node{Match: match("tag."+id(i), "yes")} },
		"equality":   func(i int) Node { return Node{When: fmt.Sprintf(`finding.account.id == %q`, id(i))} },
		"startsWith": func(i int) Node { return Node{When: fmt.Sprintf(`finding.account.id.startsWith(%q)`, id(i))} },
		"equality and more": func(i int) Node {
			return Node{When: fmt.Sprintf(`finding.account.id == %q && finding.severity_rank > 2 && finding.tag["team"] != ""`, id(i))}
		},
	}
}

func benchFinding(hit int) *pipeline.Finding {
	id := fmt.Sprintf("%012d", hit*7919)
	return &pipeline.Finding{Severity: pipeline.High, Region: "eu-west-1", Account: pipeline.Account{ID: id},
		Resource: pipeline.Resource{Tags: map[string]string{"team": id, id: "yes"}}}
}

// BenchmarkRoute reports as ratio the time of 1,000 siblings over that of 10, the
// matching one in the middle: the promise is at most 2.
func BenchmarkRoute(b *testing.B) {
	for name, child := range shapes() {
		var took [2]float64
		for i, n := range []int{10, 1000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				tree, f := testTree(b, siblings(n, child)), benchFinding(n/2)
				b.ReportAllocs()
				for b.Loop() {
					tree.Route(f, nil)
				}
				took[i] = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
				if i == 1 && took[0] > 0 {
					b.ReportMetric(took[1]/took[0], "ratio")
				}
			})
		}
	}
}

func BenchmarkGroup(b *testing.B) {
	f := benchFinding(5)
	b.ReportAllocs()
	for b.Loop() {
		Group(f, []string{"account", "control"}, "security", []string{"jira"})
	}
}

// What the ratio rests on: a finding is compared with the one child that it can match, however many there are.
func TestIndexIsSelective(t *testing.T) {
	for name, child := range shapes() {
		tree, f := testTree(t, siblings(1000, child)), benchFinding(500)
		var c candidates
		c.start(&tree.root.index, f)
		tried := 0
		for i, ok := c.next(); ok; i, ok = c.next() {
			tried++
			if i != 500 {
				t.Errorf("%s: child %d is tried; want only 500", name, i)
			}
		}
		if tried != 1 {
			t.Errorf("%s: %d children are tried; want 1", name, tried)
		}
		if got := tree.Route(f, nil).Path; got != "route.routes[500]" {
			t.Errorf("%s: Route = %s; want route.routes[500]", name, got)
		}
	}
}
