package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// tell takes write-backs as done, so that the next part of what they have to tell is issued.
func (p *Planner) tell(rows []pipeline.Action) error {
	for i := range rows {
		a := &rows[i]
		if len(a.Ticket.Marks) == 0 {
			continue
		}
		o := pipeline.Outcome{Case: a.Case, Sink: a.Sink, N: a.N, Attempt: 1, Gen: a.Ticket.Gen, Key: a.Ticket.Key, Rev: a.Ticket.Rev, Result: pipeline.OutcomeDone}
		if err := p.decide(triage.Input{Time: p.now, Outcome: &o}); err != nil {
			return err
		}
	}
	return nil
}

// writeBack says in a line for each write-back what it would tell: now, and once the tickets of the plan are there.
func (p *Planner) writeBack() ([]string, error) {
	counts := map[string]map[pipeline.MarkStatus]int{}
	add := func(sink string, st pipeline.MarkStatus, n int) {
		if counts[sink] == nil {
			counts[sink] = map[pipeline.MarkStatus]int{}
		}
		counts[sink][st] += n
	}
	opened := map[string]bool{}
	for _, a := range p.layer.Outbox() {
		for i := range a.Ticket.Marks {
			add(a.Sink, a.Ticket.Marks[i].Status, 1)
		}
		if len(a.Ticket.Marks) > 0 || !a.Ticket.Open || opened[a.Case] {
			continue
		}
		opened[a.Case] = true
		n, _ := triage.ParseCaseID(a.Case)
		later, err := triage.ToNotify(p.rules, p.layer, n)
		if err != nil {
			return nil, err
		}
		for sink, n := range later {
			add(sink, pipeline.MarkNotified, n)
		}
	}
	var out []string
	for _, sink := range slices.Sorted(maps.Keys(counts)) {
		var parts []string
		for _, st := range slices.Sorted(maps.Keys(counts[sink])) {
			word := string(st)
			if st == "" {
				word = "only a note"
			}
			if n := counts[sink][st]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, word))
			}
		}
		if len(parts) > 0 {
			out = append(out, sink+" would mark findings: "+strings.Join(parts, ", "))
		}
	}
	return out, nil
}
