package app

import (
	"cmp"
	"slices"

	"github.com/docket-hub/docket/pipeline"
)

// gaps are what a poll did not reach, without credentials, by account and region, each once.
func (g *Graph) gaps(list []pipeline.Gap) []pipeline.Gap {
	out := make([]pipeline.Gap, 0, len(list))
	for _, x := range list {
		x.Reason = g.mask.String(x.Reason)
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(a, b pipeline.Gap) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
	return out
}
