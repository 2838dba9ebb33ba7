package triage

import (
	"fmt"
	"slices"

	"github.com/docket-hub/docket/pipeline"
)

func digestKey(team string) string { return "digest\x00" + team }

// waiting lists a team's cases that wait for room under the hourly limit: worst first, then oldest.
func (d *decider) waiting(team string) ([]*Case, error) {
	var out []*Case
	for _, n := range d.l.Held(team) {
		c, err := d.mustCase(n)
		if err != nil {
			return nil, err
		}
		if c.Held == heldLimit {
			out = append(out, c)
		}
	}
	return out, nil
}

// digest keeps a team's digest in step with the cases that wait for room.
func (d *decider) digest(team string) error {
	waiting, err := d.waiting(team)
	if err != nil {
		return err
	}
	c, err := d.l.caseOf(d.l.Team(team).Digest)
	if err != nil {
		return err
	}
	if len(waiting) == 0 {
		if c == nil || !c.Open {
			return nil
		}
		c.Total = 0
		d.close(c, ClosedEmpty, "")
		return d.issueCase(c, map[string]bool{})
	}
	if c == nil || !c.Open {
		c = d.newDigest(team, c, waiting[0])
	}
	for _, w := range waiting {
		for _, s := range w.Sinks {
			if c.Entries[s] == nil {
				c.Sinks = append(c.Sinks, s)
				slices.Sort(c.Sinks)
				c.Entries[s] = &Entry{Gen: c.Gen, St: Idle}
			}
		}
	}
	c.Priority, c.Total = waiting[0].Priority, len(waiting)
	d.changed(c)
	return d.issueCase(c, map[string]bool{})
}

func (d *decider) newDigest(team string, previous *Case, worst *Case) *Case {
	t := d.l.Team(team)
	c := &Case{
		Number: d.l.meta.NextCase, Key: digestKey(team), Team: team, Route: "limits.max_new_tickets_per_hour",
		Gen: t.Gen + 1, Settings: worst.Settings, Open: true, Opened: d.now, Changed: d.now, Since: d.now,
		Digest: true, Entries: map[string]*Entry{},
	}
	d.l.meta.NextCase++
	if previous != nil {
		c.Previous, c.Gen = previous.Number, max(c.Gen, lastGen(previous)+1)
	}
	t.Digest, t.Gen = c.Number, c.Gen
	d.l.teams[team] = t
	d.l.newest[c.Key] = c.Number
	d.l.putCase(c)
	d.sum.Opened++
	d.counted[c.Number] = true
	d.auditCase(c, "opened", "", "digest of team %s: its further cases wait for room", team)
	return c
}

// digestText lists the waiting cases, worst first.
func (d *decider) digestText(c *Case, t *pipeline.Ticket) error {
	waiting, err := d.waiting(c.Team)
	if err != nil {
		return err
	}
	t.Labels = append(t.Labels, "digest")
	t.Title = fmt.Sprintf("%d further cases of team %s wait for room", len(waiting), c.Team)
	if !c.Open {
		t.Title = fmt.Sprintf("Further cases of team %s: none waits any more", c.Team)
		waiting = nil
	}
	t.Description = "The team has had as many new tickets within the hour as limits.max_new_tickets_per_hour allows. " +
		"These cases wait for theirs, worst first; each gets its ticket and leaves this list as room comes. " +
		"`docket cases ticket DK-…` makes one at once."
	t.Count, t.Total = len(waiting), c.Total
	for _, w := range waiting[:min(len(waiting), pipeline.TicketFindings)] {
		rec, err := d.mustRecord(w.Lead)
		if err != nil {
			return err
		}
		f := rec.Finding()
		r := row(&f, Open)
		r.Title = fmt.Sprintf("%s %s: %s (%s)", w.ID(), w.Priority, f.Title, countWord(w.OpenCount()))
		t.Findings = append(t.Findings, r)
	}
	return nil
}
