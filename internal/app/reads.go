package app

import (
	"maps"
	"slices"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/plan"
)

// reads counts what one read of a source brought, by account and region.
type reads map[string]map[string]int

func (r reads) add(account, region string) {
	if r[account] == nil {
		r[account] = map[string]int{}
	}
	r[account][region]++
}

// of is the count for people, nil for a source that reads no accounts.
func (r reads) of(g *Graph, source string, res *pipeline.Result) *plan.Read {
	if res.Accounts == 0 && len(res.Gaps) == 0 {
		return nil
	}
	out := &plan.Read{Source: source, Gaps: g.gaps(res.Gaps)}
	for _, id := range slices.Sorted(maps.Keys(r)) {
		a := plan.Account{ID: id, Regions: r[id]}
		if known, ok := g.fleet.Account(id); ok {
			a.Name = known.Name
		}
		for _, n := range a.Regions {
			a.Findings += n
		}
		out.Findings += a.Findings
		out.Accounts = append(out.Accounts, a)
	}
	return out
}
