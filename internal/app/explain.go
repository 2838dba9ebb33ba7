package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
	"github.com/docket-hub/docket/pipeline/plan"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Explain implements api.Service: the whole story of a case, a finding or a
// record, and for what did not happen, why not.
func (r *reader) Explain(_ context.Context, word string) (api.Explained, error) {
	var out api.Explained
	err := r.view(func(snap *state.Snapshot) error {
		var err error
		out, err = r.explain(snap, strings.TrimSpace(word))
		return err
	})
	return out, err
}

func (r *reader) explain(snap *state.Snapshot, word string) (api.Explained, error) {
	if strings.HasPrefix(strings.ToUpper(word), "DK-") {
		c, err := r.findCase(snap, word)
		if err != nil {
			return api.Explained{}, err
		}
		return r.explainCase(snap, c)
	}
	rec, err := findPrint(snap, word)
	if err == nil {
		out, err := r.explainFinding(snap, rec)
		if why := formerly(rec, word); why != "" {
			out.Verdict = why + ". " + out.Verdict
		}
		return out, err
	}
	if !errors.Is(err, api.ErrNotFound) {
		return api.Explained{}, err
	}
	seqs, err := snap.FindByID(ingest.IDHash(word))
	if err != nil {
		return api.Explained{}, err
	}
	for _, seq := range seqs {
		rec, err := snap.Record(seq)
		if err != nil {
			return api.Explained{}, err
		}
		if rec != nil && calledSo(rec, word) {
			return r.explainFinding(snap, rec)
		}
	}
	if c, err := r.findCase(snap, word); err == nil {
		return r.explainCase(snap, c)
	}
	return r.explainReject(word)
}

// formerly says that a finding does not go by the fingerprint that was asked for any more; "" where it does.
func formerly(rec *triage.Record, word string) string {
	word = strings.ToLower(word)
	for _, a := range rec.Aliases {
		switch {
		case strings.HasPrefix(rec.Print.String(), word) || !strings.HasPrefix(a.Print.String(), word):
		case a.Seq != rec.Seq:
			return fmt.Sprintf("%s became one with %s by the equivalence map %s on %s", a.Print.Short(), rec.Print.Short(), a.Map, a.At.Format(time.DateOnly))
		default:
			return fmt.Sprintf("%s is %s by the equivalence map %s since %s", a.Print.Short(), rec.Print.Short(), a.Map, a.At.Format(time.DateOnly))
		}
	}
	return ""
}

// calledSo reports whether one of the reports has this id, with or without the place in front of it.
func calledSo(rec *triage.Record, id string) bool {
	return slices.ContainsFunc(rec.Reports, func(rep pipeline.Report) bool {
		return rep.ID == id || strings.HasSuffix(rep.ID, " "+id)
	})
}

// explainReject looks for a record that was refused.
func (r *reader) explainReject(word string) (api.Explained, error) {
	list, err := r.store.Rejects(1, func(x *pipeline.Reject) bool {
		return x.ID == word || strings.Contains(string(x.Data), `"`+word+`"`)
	})
	if err != nil {
		return api.Explained{}, err
	}
	if len(list) == 0 {
		return api.Explained{}, fmt.Errorf("%w: no case, ticket, finding, source id or rejected record is called %q", api.ErrNotFound, word)
	}
	x := list[0]
	return api.Explained{
		Subject: fmt.Sprintf("record %d of %s", x.Index, x.Origin),
		Verdict: "no ticket: the record was rejected: " + x.Reason,
		Reject:  &x,
		Story:   []api.StoryLine{{Time: x.Time, Kind: "rejected", Text: x.Reason}},
	}, nil
}

func (r *reader) explainCase(snap *state.Snapshot, c *triage.Case) (api.Explained, error) {
	d, err := r.caseDetail(snap, c)
	if err != nil {
		return api.Explained{}, err
	}
	return api.Explained{Subject: c.ID(), Verdict: r.caseVerdict(c), Case: &d, Story: d.Story}, nil
}

// caseVerdict is what became of a case, in one sentence.
func (r *reader) caseVerdict(c *triage.Case) string {
	if !c.Open {
		return fmt.Sprintf("closed as %s on %s: %s", c.Closed, c.ClosedAt.Format("2006-01-02 15:04"), cmp.Or(c.Evidence, "no finding is open"))
	}
	switch plan.WaitsFor(c) {
	case "no sinks":
		return "no ticket: " + c.Route + " has no sinks, the case is recorded only"
	case "for":
		return fmt.Sprintf("no ticket yet: waits until %s, `for: %s` of %s", c.WaitTill.Format("2006-01-02 15:04:05 MST"), c.Settings.For, c.Route)
	case "tickets_from":
		return fmt.Sprintf("no ticket: priority %s is below tickets_from %s of %s", c.Priority, c.Settings.TicketsFrom, c.Route)
	case "limit":
		return "no ticket yet: " + triage.HeldWord("limit")
	case "first_run":
		return "no ticket yet: " + triage.HeldWord("first_run")
	}
	var parts []string
	for _, t := range tickets(r.graph().Rules.Installation, c) {
		switch t.State {
		case "open", "closed":
			parts = append(parts, fmt.Sprintf("ticket %s in %s is %s", cmp.Or(t.Ref.Key, t.Ref.ID), t.Sink, t.State))
		case "in flight", "waiting":
			parts = append(parts, "the ticket in "+t.Sink+" is on its way")
		case "none":
		default:
			parts = append(parts, fmt.Sprintf("the ticket in %s is %s: %s", t.Sink, t.State, t.Reason))
		}
	}
	return cmp.Or(strings.Join(parts, "; "), "no ticket")
}

func (r *reader) explainFinding(snap *state.Snapshot, rec *triage.Record) (api.Explained, error) {
	d, err := r.detail(snap, rec)
	if err != nil {
		return api.Explained{}, err
	}
	route := r.judge(&d.Finding)
	out := api.Explained{Subject: "finding " + rec.Print.Short(), Finding: &d, Route: &route}
	lines, err := snap.AuditFinding(rec.Seq)
	if err != nil {
		return out, err
	}
	for i := range rec.Reports {
		rep := &rec.Reports[i]
		out.Story = append(out.Story, api.StoryLine{
			Time: rep.ObservedAt, Kind: "reported",
			Text: fmt.Sprintf("%s %s: %s, %s (%s)", rep.Product, rep.Control, rep.Severity, rep.Status, rep.ID),
		})
	}
	for _, a := range rec.Aliases {
		if a.Seq == rec.Seq {
			continue
		}
		before, err := snap.AuditFinding(a.Seq) // of what became one with it
		if err != nil {
			return out, err
		}
		lines = append(lines, before...)
	}
	for _, line := range story(lines) {
		if !slices.Contains(out.Story, line) {
			out.Story = append(out.Story, line)
		}
	}
	var c *triage.Case
	if rec.Case != 0 {
		if c, err = snap.Case(rec.Case); err != nil {
			return out, err
		}
	}
	if c != nil {
		cd, err := r.caseDetail(snap, c)
		if err != nil {
			return out, err
		}
		out.Case = &cd
		for _, line := range cd.Story {
			if !slices.Contains(out.Story, line) { // what the finding did in its case stands in both
				out.Story = append(out.Story, line)
			}
		}
	}
	slices.SortStableFunc(out.Story, func(a, b api.StoryLine) int { return a.Time.Compare(b.Time) })
	out.Verdict = r.findingVerdict(snap, rec, &d.Finding, c)
	return out, nil
}

// findingVerdict is what became of a finding, in one sentence.
func (r *reader) findingVerdict(snap *state.Snapshot, rec *triage.Record, f *pipeline.Finding, c *triage.Case) string {
	switch {
	case rec.SuppressedBy != "":
		until := ""
		for _, s := range snap.Suppressions() {
			if s.Name == rec.SuppressedBy {
				until = " until " + lastDay(s.Until, r.graph().Config.Location()) + " (" + s.Reason + ")"
			}
		}
		return "no ticket: suppressed by " + rec.SuppressedBy + until
	case rec.Unwatched:
		return "unwatched: its source does not read that place, or not under that filter, any more; it is listed, and never closed as fixed"
	case c == nil && f.Status == pipeline.StatusResolved:
		return "no ticket: it was reported as resolved (" + f.StatusReason + ") and never as open"
	case c == nil && f.Status == pipeline.StatusUnproven:
		return "no ticket: " + cmp.Or(f.StatusReason, "its source says neither that the problem is there nor that it is gone")
	case c == nil:
		return "no case"
	case rec.Member == triage.Resolved:
		return fmt.Sprintf("resolved in %s: %s", c.ID(), f.StatusReason)
	}
	folded := ""
	if n := len(rec.Reports); n > 1 {
		folded = fmt.Sprintf(" (%d reports of it are folded into this one finding)", n)
	}
	if c.OpenCount() > 1 {
		folded += fmt.Sprintf(", with %d other open findings", c.OpenCount()-1)
	}
	return fmt.Sprintf("in %s%s: %s", c.ID(), folded, r.caseVerdict(c))
}

// lastDay is the last day before an end: an exception until a date ends with
// that day, so its end is the next one's first instant.
func lastDay(end time.Time, zone *time.Location) string {
	return end.Add(-time.Nanosecond).In(zone).Format(time.DateOnly)
}

// judge is what the rules in force say about a finding.
func (r *reader) judge(f *pipeline.Finding) api.RouteResult {
	g := r.judging()
	v := g.Rules.Judge(f)
	out := api.RouteResult{
		Fingerprint: f.Fingerprint, Title: f.Title, Resource: f.Resource.ID, Problem: f.Problem, Status: f.Status,
		Route: v.Route, Team: v.Team, Sinks: v.Sinks, Priority: v.Explanation.Priority, Group: v.Group,
		Why: v.Why, Explanation: v.Explanation,
	}
	for _, s := range g.Rules.Suppressions {
		if ok, err := g.Rules.Matches(s.When, f); err == nil && ok {
			out.Suppressed = s.Name
			break
		}
	}
	return out
}
