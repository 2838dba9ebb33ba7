package identity

import (
	"cmp"

	"github.com/docket-hub/docket/pipeline"
)

// keepGiven keeps what the canonical form does not tell any more.
func keepGiven(r *pipeline.Report, given pipeline.Given) {
	if given.ID == r.Resource.Original && (given.ID != "" || r.Resource.ID == "") {
		given.ID = ""
	} else if given.ID == "" {
		given.ID = nothing
	}
	given.Type, given.Region = types().canonical(given.Type), regionOf(given.Region)
	if given.Type == types().canonical(r.Resource.Type) {
		given.Type = ""
	} else if given.Type == "" {
		given.Type = typeOther // says as little
	}
	if given.Region == r.Region {
		given.Region = ""
	} else if given.Region == "" {
		given.Region = nothing
	}
	if given.Account != "" || r.Account.ID == "" {
		given.Account = "" // it is the report's own, perhaps in another spelling
	} else {
		given.Account = nothing
	}
	if given != (pipeline.Given{}) {
		r.Given = &given
	}
}

// nothing is how Given says that the source named none.
const nothing = "-"

// Again gives a report that Identify identified before, under whatever map, the identity that
// this map gives it, as if its source reported it anew, and returns its fingerprint. print is the one it went by. Where the new
// one cannot be told from what the report keeps, because that does not lead to print any more, it leaves
// r alone and returns print and false.
func (t *Map) Again(r *pipeline.Report, print pipeline.Fingerprint) (pipeline.Fingerprint, bool) {
	if kindOf(r) != pipeline.KindControl {
		return print, true // no map has a say in it
	}
	if print != fingerprint(r.Account.ID, r.Region, r.Resource.ID, r.Problem) &&
		print != fingerprint(r.Account.ID, globalRegion, r.Resource.ID, r.Problem) {
		return print, false
	}
	n := *r
	n.Resource.ID = cmp.Or(n.Resource.Original, n.Resource.ID)
	if g := r.Given; g != nil {
		if n.Resource.ID = cmp.Or(g.ID, n.Resource.ID); g.ID == nothing {
			n.Resource.ID = ""
		}
		if g.Account == nothing {
			n.Account.ID = ""
		}
		n.Resource.Type, n.Region = cmp.Or(g.Type, n.Resource.Type), cmp.Or(g.Region, n.Region)
	}
	n.Print, n.Problem, n.RemediationGroup, n.Given = pipeline.Fingerprint{}, "", "", nil
	t.Identify(&n)
	*r = n
	return n.Print, true
}
