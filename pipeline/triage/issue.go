package triage

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// IssueAtOnce bounds how many cases one Issue looks at.
const IssueAtOnce = 1000

// The reasons why a first ticket waits for room.
const (
	heldLimit    = "limit"
	heldFirstRun = "first_run"
)

// issue makes the actions that are due, worst first, within the limits.
func (d *decider) issue(in *Issue) error {
	var ready []*Case
	teams := map[string]bool{}
	due := d.l.Ready(IssueAtOnce)
	// More is due than is issued at once: first tickets may stand behind it, so that nothing waits.
	firstOnly := in.FirstOnly && len(due) < IssueAtOnce
	for _, n := range due {
		c, err := d.mustCase(n)
		if err != nil {
			return err
		}
		if in.Only != nil && !in.Only[c.Key] || firstOnly && !d.firstTicket(c) {
			continue
		}
		ready = append(ready, c)
	}
	if in.Only == nil {
		for _, team := range d.l.HeldTeams() {
			more, err := d.roomFor(team)
			if err != nil {
				return err
			}
			if len(more) > 0 {
				teams[team] = true
			}
			ready = append(ready, more...)
		}
	}
	slices.SortStableFunc(ready, func(a, b *Case) int {
		return cmp.Or(cmp.Compare(urgency(a), urgency(b)), a.Opened.Compare(b.Opened), cmp.Compare(a.Number, b.Number))
	})
	d.l.outbox = slices.Grow(d.l.outbox, len(ready)) // an action is large, and mostly each has one
	for _, c := range ready {
		if err := d.issueCase(c, teams); err != nil {
			return err
		}
	}
	return d.digests(teams, in.Only)
}

// digests keeps the digests of these teams in step, and of those whose list is another by now.
func (d *decider) digests(teams, only map[string]bool) error {
	for _, team := range d.r.Teams {
		c, err := d.l.caseOf(d.l.Team(team).Digest)
		if err != nil {
			return err
		}
		if c == nil || !c.Open || teams[team] {
			continue
		}
		waiting, err := d.waiting(team)
		if err != nil {
			return err
		}
		teams[team] = len(waiting) != c.Total
	}
	for _, team := range slices.Sorted(maps.Keys(teams)) {
		if !teams[team] || only != nil && !only[digestKey(team)] {
			continue
		}
		if err := d.digest(team); err != nil {
			return err
		}
	}
	return nil
}

func urgency(c *Case) int {
	if c.Priority == 0 {
		return 9
	}
	return int(c.Priority)
}

// roomFor lists the held cases of a team that may have their ticket now.
func (d *decider) roomFor(team string) ([]*Case, error) {
	held := d.l.Held(team)
	var out []*Case
	free := len(held)
	if d.r.Limits.PerHour > 0 {
		made := d.l.Team(team)
		free = d.r.Limits.PerHour - made.CreatedSince(d.now)
	}
	firstRun := d.r.Limits.HoldFirstRun && !d.l.meta.Applied
	for _, n := range held {
		c, err := d.mustCase(n)
		if err != nil {
			return nil, err
		}
		released := c.Approved || c.Manual || c.Held == heldFirstRun && !firstRun ||
			c.Held == heldLimit && (c.Priority == pipeline.P1 || len(out) < free)
		if released {
			out = append(out, c)
		}
	}
	return out, nil
}

// countTicket notes one more ticket of a team.
func (d *decider) countTicket(team string) {
	t := d.l.Team(team)
	minute := d.now.Unix() / 60
	t.Created = slices.DeleteFunc(slices.Clone(t.Created), func(m Minute) bool { return m.At <= minute-60 })
	if n := len(t.Created); n > 0 && t.Created[n-1].At == minute {
		t.Created[n-1].N++
	} else {
		t.Created = append(t.Created, Minute{At: minute, N: 1})
	}
	d.l.teams[team] = t
}

// issueCase issues what the case's sinks need, or holds its first ticket back.
func (d *decider) issueCase(c *Case, teams map[string]bool) error {
	if err := d.issueBacks(c); err != nil {
		return err
	}
	if d.firstTicket(c) {
		if why := d.noRoom(c); why != "" {
			if c.Held != why {
				c.Held = why
				d.auditCase(c, "held", "", "its ticket waits: %s", HeldWord(why))
				d.l.putCase(c)
			}
			teams[c.Team] = true
			return nil
		}
		if c.Held != "" {
			teams[c.Team] = true
			c.Held = ""
		}
		if !c.Digest && !c.Drill {
			d.countTicket(c.Team)
		}
	} else if c.Held != "" {
		c.Held, teams[c.Team] = "", true // a record of it was found meanwhile
	}
	for _, sink := range slices.Sorted(maps.Keys(c.Entries)) {
		e := c.Entries[sink]
		switch {
		case e.Back != nil || !e.Wants():
			continue
		case !d.sinkIs(sink):
			e.St, e.Reason, e.Since = Parked, sinkRemoved, d.now
			continue
		}
		e.N++
		e.K = 0
		if err := d.action(c, sink, e); err != nil {
			return err
		}
	}
	d.l.putCase(c)
	return nil
}

// HeldWord says in words why a first ticket waits for room.
func HeldWord(why string) string {
	if why == heldFirstRun {
		return "the first run over an empty state waits for `docket apply` (limits.first_run: hold)"
	}
	return "its team has had limits.max_new_tickets_per_hour new tickets within the hour; it is a line of the team's digest"
}

func (d *decider) firstTicket(c *Case) bool {
	wants := false
	for _, sink := range c.TicketSinks() {
		e := c.Entries[sink]
		if e.N > 0 || !e.Ref.IsZero() {
			return false
		}
		wants = wants || e.WantOpen
	}
	return wants
}

// noRoom says why the first ticket of a case waits; "" when it need not. P1 is never held by the limit.
func (d *decider) noRoom(c *Case) string {
	if c.Approved || c.Manual || c.Digest || c.Drill {
		return ""
	}
	if d.r.Limits.HoldFirstRun && !d.l.meta.Applied {
		return heldFirstRun
	}
	made := d.l.Team(c.Team)
	if d.r.Limits.PerHour > 0 && c.Priority != pipeline.P1 && made.CreatedSince(d.now) >= d.r.Limits.PerHour {
		return heldLimit
	}
	return ""
}

// action puts "make the ticket match this revision" into the outbox.
func (d *decider) action(c *Case, sink string, e *Entry) error {
	switch {
	case e.Ref.IsZero():
		e.Comments, e.Pending = nil, Pending{} // a first text carries all by itself
	case !e.Pending.Empty():
		e.Comments = append(e.Comments, d.comment(c, e))
		e.Pending = Pending{}
	}
	if c.Ticketed.IsZero() {
		c.Ticketed = d.now
		d.due(c)
	}
	e.InComments, e.InTwin, e.Again = len(e.Comments), e.Twin, false
	e.St, e.Issued, e.Rev, e.RevOpen = Inflight, d.now, c.Rev, e.WantOpen
	e.Wanted = c.Rev
	t, err := d.ticket(c, sink, e)
	if err != nil {
		return err
	}
	d.l.outbox = append(d.l.outbox, pipeline.Action{Case: c.ID(), Sink: sink, N: e.N, K: e.K, Issued: d.now, Ticket: t})
	d.sum.Issued++
	return nil
}

// comment writes out what happened since the last revision that was delivered.
func (d *decider) comment(c *Case, e *Entry) pipeline.Comment {
	p := &e.Pending
	var lines []string
	if p.Joined > 0 {
		lines = append(lines, fmt.Sprintf("%s joined; %d open now:", countWord(p.Joined), c.OpenCount()))
		lines = append(lines, listSome(p.JoinedSome, p.Joined)...)
	}
	if p.Gone > 0 {
		lines = append(lines, fmt.Sprintf("%s resolved; %d open now:", countWord(p.Gone), c.OpenCount()))
		lines = append(lines, listSome(p.GoneSome, p.Gone)...)
	}
	lines = append(lines, p.Lines...)
	return pipeline.Comment{EventID: fmt.Sprintf("%s/r%d", c.ID(), c.Rev), Time: d.now, Lines: lines}
}

func countWord(n int) string {
	if n == 1 {
		return "1 finding"
	}
	return fmt.Sprintf("%d findings", n)
}

func listSome(names []string, n int) []string {
	var out []string
	for _, s := range names {
		out = append(out, "- "+s)
	}
	if n > len(names) {
		out = append(out, fmt.Sprintf("- and %d more", n-len(names)))
	}
	return out
}

// ticket is the case by value, as the sink should show it.
func (d *decider) ticket(c *Case, sink string, e *Entry) (pipeline.Ticket, error) {
	t := pipeline.Ticket{
		Key: pipeline.TicketKey(d.r.Installation, c.Key, e.Gen), Case: c.ID(), Rev: c.Rev, Gen: e.Gen,
		Installation: d.r.Installation,
		Open:         e.WantOpen, WasOpen: e.wasOpen(), Why: string(c.Closed), Ref: e.Ref, Last: e.Last, Sent: e.Sent, Twin: e.Twin,
		Team: c.Team, Route: c.Route, Group: c.Group, Priority: c.Priority, Explanation: c.Explained(),
		Since: c.Since, Due: c.Due, Count: c.OpenCount(), Total: c.Total,
		Comments: slices.Clone(e.Comments),
	}
	if c.Recurring {
		t.Labels = append(t.Labels, "recurring")
	}
	if c.Disputed != "" {
		t.Labels = append(t.Labels, "disputed")
	}
	if c.Ack != nil {
		t.Acked = fmt.Sprintf("%s until %s", c.Ack.By, c.Ack.Until.Format("2006-01-02"))
	}
	if c.Assignee != "" {
		t.Assignees = []string{c.Assignee}
	}
	if d.r.CaseURL != nil {
		t.CaseURL = d.r.CaseURL(c.ID())
	}
	if d.r.Settings != nil {
		t.Settings = d.r.Settings(c.Team, c.Route, sink)
	}
	earlier := c.Previous
	if c.Closed == ClosedMerged {
		earlier = c.MovedTo
	}
	if earlier != 0 {
		if prev, err := d.l.caseOf(earlier); err == nil && prev != nil && prev.Entries[sink] != nil {
			t.Previous = prev.Entries[sink].Ref
		}
	}
	if c.Digest {
		return t, d.digestText(c, &t)
	}
	return t, d.words(c, &t)
}

// leading is the finding whose words the ticket carries; of one that was purged since, what its row says.
func (d *decider) leading(c *Case) (pipeline.Finding, error) {
	rec, err := d.l.Words(c.Lead)
	if err != nil {
		return pipeline.Finding{}, fmt.Errorf("reading finding number %d: %w", c.Lead, err)
	}
	if rec != nil {
		return rec.Finding(), nil
	}
	m, _, err := d.l.Member(c.Number, c.Lead)
	return pipeline.Finding{
		Title: m.Line.Title, Severity: m.Line.Severity, Account: pipeline.Account{ID: m.Line.Account},
		Region: m.Line.Region, Resource: pipeline.Resource{ID: m.Line.Resource},
	}, err
}

// assignees are the candidates that the route's assignee chain names for the leading
// finding, best first; what it does not carry is left out.
func assignees(c *Case, f *pipeline.Finding) []string {
	var out []string
	for _, name := range c.Settings.Assignee {
		who := ""
		if tag, ok := strings.CutPrefix(name, "account_tag."); ok {
			who = f.Account.Tags[tag]
		} else if tag, ok := strings.CutPrefix(name, "tag."); ok {
			who = f.Tag(tag)
		} else if name == "team" {
			who = c.Team
		}
		if who != "" && !slices.Contains(out, who) {
			out = append(out, who)
		}
	}
	return out
}

// words fills in what the leading finding says, and the list of findings.
func (d *decider) words(c *Case, t *pipeline.Ticket) error {
	if c.Lead != 0 {
		f, err := d.leading(c)
		if err != nil {
			return err
		}
		t.Title, t.Description, t.Remediation, t.Links, t.Compliance = f.Title, f.Description, f.Remediation, f.Links, f.Compliance
		t.Resource, t.Account, t.Region, t.Severity = f.Resource, f.Account, f.Region, f.Severity
		if t.Title == "" {
			t.Title = f.Control
		}
		t.Assignees = append(t.Assignees, assignees(c, &f)...)
	}
	var err error
	t.Findings, err = d.listed(c)
	return err
}

// listed are the findings that a ticket lists, in order of arrival: the leading one and further open ones, then others as far as there is
// room. Of a large case it looks at few: before the leading one most are resolved.
func (d *decider) listed(c *Case) ([]pipeline.TicketFinding, error) {
	var list []Member
	take := func(from, till uint64, want int, which func(Member) bool) error {
		if len(list) >= want {
			return nil
		}
		return d.l.MembersFrom(c.Number, from, func(m Member) bool {
			if m.Seq < till && which(m) {
				list = append(list, m)
			}
			return m.Seq < till && len(list) < want
		})
	}
	open := func(m Member) bool { return m.Status == Open }
	want := min(c.OpenCount(), pipeline.TicketFindings)
	err := cmp.Or(take(c.Lead, math.MaxUint64, want, open), take(0, c.Lead, want, open))
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.Seq, b.Seq) })
	if err == nil {
		err = take(0, math.MaxUint64, pipeline.TicketFindings, func(m Member) bool { return !open(m) })
	}
	var out []pipeline.TicketFinding
	for i := range list {
		out = append(out, list[i].Line)
	}
	return out, err
}
