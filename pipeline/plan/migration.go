package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline/triage"
)

// Migration is what another equivalence map makes of the findings in state, before anything is read.
type Migration struct {
	From         string       `json:"from,omitempty"`
	To           string       `json:"to"`
	Identified   int          `json:"identified"` // findings of which something changes
	Merged       int          `json:"merged"`     // findings that become one with another
	Split        int          `json:"split"`      // parts that leave their finding
	Unidentified int          `json:"unidentified,omitempty"`
	Cases        []MergedCase `json:"cases,omitempty"` // that close as merged, by number
}

// MergedCase is a case that closes because its findings go to another one.
type MergedCase struct {
	Case        string   `json:"case"`
	Tickets     []string `json:"tickets,omitempty"`
	Into        string   `json:"into"`
	IntoTickets []string `json:"into_tickets,omitempty"`
}

// String is the merge in half a line.
func (m MergedCase) String() string {
	return withTickets(m.Case, m.Tickets) + " closes as merged into " + withTickets(m.Into, m.IntoTickets)
}

func withTickets(id string, tickets []string) string {
	if len(tickets) == 0 {
		return id
	}
	return fmt.Sprintf("%s (%s)", id, strings.Join(tickets, ", "))
}

// equivalence takes the state over into the map in force.
func (p *Planner) equivalence() error {
	meta := p.base.Meta()
	if p.rules.Map == meta.Map && meta.Migration == (triage.Migration{}) {
		return nil
	}
	if err := p.decide(triage.Input{Time: p.now, Map: &triage.MapChange{Version: p.rules.Map}}); err != nil {
		return err
	}
	for m := p.layer.Meta(); m.Migration != (triage.Migration{}); m = p.layer.Meta() {
		before := m.Migration
		if err := p.decide(triage.Input{Time: p.now, Migrate: atOnce}); err != nil {
			return err
		}
		if p.layer.Meta().Migration == before && before.From == 0 {
			return fmt.Errorf("taking state over into the equivalence map %s does not come to an end", p.rules.Map)
		}
	}
	if meta.NextSeq <= 1 {
		return nil
	}
	p.migration = &Migration{
		From: meta.Map, To: p.rules.Map, Identified: p.sum.Identified, Merged: p.sum.Merged, Split: p.sum.Split, Unidentified: p.sum.Unidentified,
	}
	for _, n := range p.layer.CasesChanged() {
		c, err := p.layer.Case(n)
		if err != nil {
			return err
		}
		was, err := p.base.Case(n)
		if err != nil {
			return err
		}
		if c == nil || c.Closed != triage.ClosedMerged || was == nil || !was.Open {
			continue
		}
		into, err := p.layer.Case(c.MovedTo)
		if err != nil {
			return err
		}
		m := MergedCase{Case: c.ID(), Tickets: ticketNames(c), Into: triage.CaseID(c.MovedTo)}
		if into != nil {
			m.IntoTickets = ticketNames(into)
		}
		p.migration.Cases = append(p.migration.Cases, m)
	}
	return nil
}

// ticketNames are the tickets of a case by their sinks' names of them.
func ticketNames(c *triage.Case) []string {
	var out []string
	for _, sink := range c.TicketSinks() {
		if r := c.Entries[sink].Ref; !r.IsZero() {
			out = append(out, cmp.Or(r.Key, r.ID))
		}
	}
	return slices.Compact(out)
}
