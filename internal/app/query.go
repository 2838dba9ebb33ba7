package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/plan"
	"github.com/docket-hub/docket/pipeline/triage"
)

// pageSize is how many rows a list gives where nobody says; pageMax is the most.
const (
	pageSize = 100
	pageMax  = 1000
)

// reader answers questions about state. It works over an open App as well as
// over a state file that was opened for reading only.
type reader struct {
	store *state.Store
	graph func() *Graph
	// live is graph with the copies of its feeds, which take a moment to read where no daemon has them; nil: graph has them.
	live func() *Graph
	now  func() time.Time
}

// judging is the graph that judges findings.
func (r *reader) judging() *Graph {
	if r.live != nil {
		return r.live()
	}
	return r.graph()
}

// view runs fn over one consistent moment.
func (r *reader) view(fn func(*state.Snapshot) error) error {
	snap, err := r.store.View()
	if err != nil {
		return err
	}
	defer snap.Close()
	return fn(snap)
}

func limitOf(f api.Filter) int {
	if f.Limit <= 0 {
		return pageSize
	}
	return min(f.Limit, pageMax)
}

// cursor is where a page starts: the number after the last row of the page before.
func cursor(f api.Filter) (uint64, error) {
	if f.Cursor == "" {
		return 1, nil
	}
	n, err := strconv.ParseUint(f.Cursor, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: cursor %q: use the next of the page before", api.ErrInvalid, f.Cursor)
	}
	return n, nil
}

// Findings implements api.Service.
func (r *reader) Findings(_ context.Context, f api.Filter) (api.FindingList, error) {
	out := api.FindingList{Findings: []api.FindingRow{}}
	from, err := cursor(f)
	if err != nil {
		return out, err
	}
	if err := checkWords(f, findingStates); err != nil {
		return out, err
	}
	limit := limitOf(f)
	err = r.view(func(snap *state.Snapshot) error {
		var failed error
		err := snap.EachRecord(from, func(rec *triage.Record) bool {
			merged := rec.Finding()
			row, err := r.findingRow(snap, rec, &merged)
			if err != nil {
				failed = err
				return false
			}
			if !keepFinding(f, &row, rec) {
				return true
			}
			if len(out.Findings) == limit {
				out.Next = strconv.FormatUint(rec.Seq, 10)
				return false
			}
			out.Findings = append(out.Findings, row)
			return true
		})
		return firstOf(err, failed)
	})
	return out, err
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) findingRow(v triage.View, rec *triage.Record, f *pipeline.Finding) (api.FindingRow, error) {
	row := api.FindingRow{
		Fingerprint: rec.Print, State: findingState(rec, f), Priority: rec.Explanation.Priority, Severity: f.Severity,
		Title: f.Title, Control: f.Control, Resource: f.Resource.ID, Account: f.Account.ID, Region: f.Region,
		Repository: f.Repository, Products: f.Products, RiskFactors: factorsOf(rec, f), Suppressed: rec.SuppressedBy,
		FirstSeen: rec.FirstSeen, LastChange: rec.LastChange,
	}
	if rec.Case != 0 {
		row.Case = triage.CaseID(rec.Case)
		c, err := v.Case(rec.Case)
		if err != nil {
			return row, err
		}
		if c != nil {
			row.Team = c.Team
		}
	}
	return row, nil
}

// factorsOf are a finding's risk factors, those included that feeds gave it when it was judged.
func factorsOf(rec *triage.Record, f *pipeline.Finding) []string {
	out := f.RiskFactors
	for _, reason := range rec.Explanation.Reasons {
		if reason.Feed != "" && !slices.Contains(out, reason.What) {
			out = append(slices.Clip(out), reason.What)
			slices.Sort(out)
		}
	}
	return out
}

var findingStates = []string{"open", "resolved", "unproven", "suppressed", "unwatched"}

func findingState(rec *triage.Record, f *pipeline.Finding) string {
	switch {
	case rec.Unwatched:
		return "unwatched"
	case rec.SuppressedBy != "":
		return "suppressed"
	}
	return f.Status.String()
}

// checkWords refuses filter words that can never match.
func checkWords(f api.Filter, states []string) error {
	for _, s := range f.State {
		if !slices.Contains(states, s) {
			return fmt.Errorf("%w: state %q: use one of %s", api.ErrInvalid, s, strings.Join(states, ", "))
		}
	}
	for _, p := range f.Priority {
		if _, ok := pipeline.ParsePriority(p); !ok {
			return fmt.Errorf("%w: priority %q: use P1 to P5", api.ErrInvalid, p)
		}
	}
	for _, s := range f.Severity {
		if _, ok := pipeline.ParseSeverity(s); !ok {
			return fmt.Errorf("%w: severity %q: use CRITICAL, HIGH, MEDIUM, LOW or INFORMATIONAL", api.ErrInvalid, s)
		}
	}
	return nil
}

// in reports whether one of the words is the value; no words select all.
func in(words []string, value string) bool {
	return len(words) == 0 || slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, value) })
}

// anyIn reports whether one of the words is among the values.
func anyIn(words, values []string) bool {
	return len(words) == 0 || slices.ContainsFunc(values, func(v string) bool { return in(words, v) })
}

func keepFinding(f api.Filter, row *api.FindingRow, rec *triage.Record) bool {
	return in(f.Team, row.Team) && in(f.Priority, row.Priority.String()) && in(f.State, row.State) &&
		in(f.Account, row.Account) && in(f.Region, row.Region) && anyIn(f.Source, row.Products) &&
		anyIn(f.RiskFactor, row.RiskFactors) && in(f.Repository, row.Repository) &&
		in(f.Severity, row.Severity.String()) && (f.Since.IsZero() || !rec.LastChange.Before(f.Since))
}

// Finding implements api.Service.
func (r *reader) Finding(_ context.Context, print string) (api.FindingDetail, error) {
	var out api.FindingDetail
	err := r.view(func(snap *state.Snapshot) error {
		rec, err := findPrint(snap, print)
		if err != nil {
			return err
		}
		out, err = r.detail(snap, rec)
		return err
	})
	return out, err
}

func (r *reader) detail(v triage.View, rec *triage.Record) (api.FindingDetail, error) {
	f := rec.Finding()
	row, err := r.findingRow(v, rec, &f)
	out := api.FindingDetail{FindingRow: row, Finding: f, Explanation: rec.Explanation, FeedNotes: r.feedNotes(&rec.Explanation, &f)}
	for _, a := range rec.Aliases {
		out.Former = append(out.Former, api.Former{Fingerprint: a.Print, Map: a.Map, At: a.At})
	}
	return out, err
}

// findPrint finds a finding by its fingerprint, or one that it went by under an earlier equivalence map, or the first
// 8 or more digits of either.
func findPrint(snap *state.Snapshot, word string) (*triage.Record, error) {
	var print pipeline.Fingerprint
	if len(word) == 64 && print.UnmarshalText([]byte(word)) == nil {
		h, ok := snap.Hot(print)
		if !ok {
			return nil, fmt.Errorf("%w: no finding has the fingerprint %s", api.ErrNotFound, word)
		}
		return snap.Record(h.Seq)
	}
	if len(word) < 8 || strings.Trim(strings.ToLower(word), "0123456789abcdef") != "" {
		return nil, fmt.Errorf("%w: %q is no fingerprint (64 hex digits, or at least the first 8)", api.ErrNotFound, word)
	}
	var hits []uint64
	add := func(print pipeline.Fingerprint, seq uint64) bool {
		if strings.HasPrefix(print.String(), strings.ToLower(word)) && !slices.Contains(hits, seq) {
			hits = append(hits, seq)
		}
		return len(hits) < 2
	}
	err := firstOf(snap.EachHot(1, func(h triage.Hot) bool { return add(h.Print, h.Seq) }), snap.EachAlias(add))
	switch {
	case err != nil:
		return nil, err
	case len(hits) == 0:
		return nil, fmt.Errorf("%w: no finding's fingerprint starts with %s", api.ErrNotFound, word)
	case len(hits) > 1:
		return nil, fmt.Errorf("%w: several fingerprints start with %s: give more digits", api.ErrInvalid, word)
	}
	return snap.Record(hits[0])
}

// Cases implements api.Service.
func (r *reader) Cases(_ context.Context, f api.Filter) (api.CaseList, error) {
	out := api.CaseList{Cases: []api.CaseRow{}}
	from, err := cursor(f)
	if err != nil {
		return out, err
	}
	if err := checkWords(f, caseStates); err != nil {
		return out, err
	}
	limit := limitOf(f)
	err = r.view(func(snap *state.Snapshot) error {
		var failed error
		err := snap.EachCase(from, func(c *triage.Case) bool {
			row, keep, err := r.caseRow(snap, c, f)
			if err != nil {
				failed = err
				return false
			}
			if !keep {
				return true
			}
			if len(out.Cases) == limit {
				out.Next = strconv.FormatUint(c.Number, 10)
				return false
			}
			out.Cases = append(out.Cases, row)
			return true
		})
		return firstOf(err, failed)
	})
	return out, err
}

var caseStates = []string{"open", "closed", "held", "waiting", "disputed", "recurring", "acked", "digest", "dead", "parked", "gone"}

// states are all the words that select a case.
func states(c *triage.Case) []string {
	out := []string{"closed"}
	if c.Open {
		out = []string{"open"}
	}
	if c.Held != "" {
		out = append(out, "held")
	}
	if plan.WaitsFor(c) != "" {
		out = append(out, "waiting")
	}
	for _, e := range c.Entries {
		if e.St == triage.Dead || e.St == triage.Parked || e.St == triage.Gone {
			out = append(out, string(e.St))
		}
	}
	return append(out, labels(c)...)
}

func labels(c *triage.Case) []string {
	var out []string
	if c.Recurring {
		out = append(out, "recurring")
	}
	if c.Disputed != "" {
		out = append(out, "disputed")
	}
	if c.Digest {
		out = append(out, "digest")
	}
	if c.Ack != nil {
		out = append(out, "acked")
	}
	if !c.Snooze.IsZero() {
		out = append(out, "snoozed")
	}
	return out
}

// caseRow describes a case; the lead finding is read only when the filter lets the case through so far.
func (r *reader) caseRow(v triage.View, c *triage.Case, f api.Filter) (api.CaseRow, bool, error) {
	if !in(f.Team, c.Team) || !in(f.Priority, c.Priority.String()) || !anyIn(f.State, states(c)) ||
		!f.Since.IsZero() && c.Changed.Before(f.Since) {
		return api.CaseRow{}, false, nil
	}
	row := api.CaseRow{
		Case: c.ID(), State: "closed", Reason: string(c.Closed), Priority: c.Priority, Team: c.Team,
		Open: c.OpenCount(), Total: c.Total, Group: c.Group, Opened: c.Opened, Changed: c.Changed, Due: c.Due,
		Labels: labels(c), Tickets: tickets(r.graph().Rules.Installation, c),
	}
	if c.Open {
		row.State, row.Reason = "open", plan.WaitsFor(c)
	}
	row.Assignee = c.Assignee
	if c.Ack != nil {
		row.Acked = fmt.Sprintf("%s until %s", c.Ack.By, c.Ack.Until.Format("2006-01-02"))
	}
	if c.Digest {
		row.Title = "digest of team " + c.Team
		return row, noFindingFilter(f), nil
	}
	rec, err := v.Record(c.Lead)
	if err != nil || rec == nil {
		return row, noFindingFilter(f), err
	}
	lead := rec.Finding()
	row.Title = lead.Title
	keep := in(f.Account, lead.Account.ID) && in(f.Region, lead.Region) && anyIn(f.Source, lead.Products) &&
		anyIn(f.RiskFactor, factorsOf(rec, &lead)) && in(f.Repository, lead.Repository) && in(f.Severity, lead.Severity.String())
	return row, keep, nil
}

func noFindingFilter(f api.Filter) bool {
	return len(f.Account)+len(f.Region)+len(f.Source)+len(f.RiskFactor)+len(f.Repository)+len(f.Severity) == 0
}

// tickets describes a case in each of its sinks.
func tickets(installation string, c *triage.Case) []api.TicketRow {
	var out []api.TicketRow
	for _, sink := range sortedSinks(c) {
		e := c.Entries[sink]
		t := api.TicketRow{
			Sink: sink, Ref: e.Ref, Wanted: e.Wanted, Delivered: e.Delivered, Reason: e.Reason,
			Key: pipeline.TicketKey(installation, c.Key, e.Gen),
		}
		switch {
		case e.St == triage.Inflight:
			t.State = "in flight"
		case e.St == triage.Dead || e.St == triage.Parked || e.St == triage.Gone:
			t.State = string(e.St)
		case e.GivenUp != "":
			t.State = "given up"
		case e.Back != nil && e.Wants():
			t.State = "waiting"
		case e.Back != nil:
			t.State = "told"
		case e.Ref.IsZero() && e.WantOpen:
			t.State = "waiting"
		case e.Ref.IsZero():
			t.State = "none"
		case e.IsOpen:
			t.State = "open"
		default:
			t.State = "closed"
		}
		out = append(out, t)
	}
	return out
}

func sortedSinks(c *triage.Case) []string {
	var names []string
	for s := range c.Entries {
		names = append(names, s)
	}
	slices.Sort(names)
	return names
}

// Case implements api.Service.
func (r *reader) Case(_ context.Context, id string) (api.CaseDetail, error) {
	var out api.CaseDetail
	err := r.view(func(snap *state.Snapshot) error {
		c, err := r.findCase(snap, id)
		if err != nil {
			return err
		}
		out, err = r.caseDetail(snap, c)
		return err
	})
	return out, err
}

// findCase finds a case by DK-1 or by what people call its ticket.
func (r *reader) findCase(snap *state.Snapshot, word string) (*triage.Case, error) {
	if n, ok := triage.ParseCaseID(word); ok {
		c, err := snap.Case(n)
		if err == nil && c == nil {
			err = fmt.Errorf("%w: there is no case %s", api.ErrNotFound, triage.CaseID(n))
		}
		return c, err
	}
	var hit *triage.Case
	err := snap.EachCase(1, func(c *triage.Case) bool {
		for _, e := range c.Entries {
			if !e.Ref.IsZero() && (strings.EqualFold(e.Ref.Key, word) || e.Ref.ID == word) {
				hit = c
				return false
			}
		}
		return true
	})
	if err == nil && hit == nil {
		err = fmt.Errorf("%w: no case and no ticket is called %q", api.ErrNotFound, word)
	}
	return hit, err
}

func (r *reader) caseDetail(snap *state.Snapshot, c *triage.Case) (api.CaseDetail, error) {
	row, _, err := r.caseRow(snap, c, api.Filter{})
	if err != nil {
		return api.CaseDetail{}, err
	}
	out := api.CaseDetail{CaseRow: row, Route: c.Route, Why: c.Why, Explanation: c.Explained(), Findings: []pipeline.TicketFinding{}}
	if c.Previous != 0 {
		out.Previous = triage.CaseID(c.Previous)
	}
	if c.MovedTo != 0 {
		out.MovedTo = triage.CaseID(c.MovedTo)
	}
	err = snap.Members(c.Number, func(m triage.Member) bool {
		out.Findings = append(out.Findings, m.Line)
		return len(out.Findings) < pageMax
	})
	if err != nil {
		return out, err
	}
	if c.Open {
		if out.WouldMove, err = plan.WouldMove(r.judging().Rules, snap, c); err != nil {
			return out, err
		}
	}
	lines, err := snap.Audit(c.Number)
	out.Story = story(lines)
	return out, err
}

func story(lines []triage.Audit) []api.StoryLine {
	out := make([]api.StoryLine, 0, len(lines))
	for _, a := range lines {
		text := a.Text
		out = append(out, api.StoryLine{Time: a.Time, Kind: a.Kind, Text: text, By: a.By})
	}
	return out
}
