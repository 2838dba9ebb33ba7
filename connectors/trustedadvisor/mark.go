package trustedadvisor

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/pipeline"
)

// mark is the watermark: when was read, and which checks in which accounts, so that what is read no more is known.
// Accounts with the same checks, as most have, stand in one group.
type mark struct {
	Read   time.Time `json:"read"`
	Groups []group   `json:"groups,omitempty"`
}

type group struct {
	Accounts []string `json:"accounts"`
	Checks   []string `json:"checks"`
}

// parseMark reads a watermark; one that is not of this source is as if there was none.
func parseMark(w pipeline.Watermark) mark {
	var m mark
	if err := json.Unmarshal([]byte(w), &m); err != nil {
		return mark{}
	}
	return m
}

// accounts are the checks of each account.
func (m mark) accounts() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, g := range m.Groups {
		for _, a := range g.Accounts {
			out[a] = map[string]bool{}
			for _, c := range g.Checks {
				out[a][c] = true
			}
		}
	}
	return out
}

func (m *mark) add(account string, checks map[string]bool) {
	ids := slices.Sorted(maps.Keys(checks))
	for i := range m.Groups {
		if slices.Equal(m.Groups[i].Checks, ids) {
			m.Groups[i].Accounts = append(m.Groups[i].Accounts, account)
			return
		}
	}
	m.Groups = append(m.Groups, group{Accounts: []string{account}, Checks: ids})
}

// text is the watermark, the same for the same reads.
func (m mark) text() (pipeline.Watermark, error) {
	for i := range m.Groups {
		slices.Sort(m.Groups[i].Accounts)
	}
	slices.SortFunc(m.Groups, func(a, b group) int { return strings.Compare(a.Accounts[0], b.Accounts[0]) })
	b, err := json.Marshal(m)
	return pipeline.Watermark(b), err
}
