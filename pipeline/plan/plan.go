// Package plan runs triage over a snapshot: what would happen, as a value that
// can be printed, saved, compared and carried out.
package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Version is the version of the saved form.
const Version = 1

// The verbs of actions.
const (
	Create = "create"
	Update = "update"
	Close  = "close"
	Reopen = "reopen"
)

// Action is one thing that would happen to one ticket.
type Action struct {
	Verb     string                 `json:"verb"`
	Case     string                 `json:"case,omitempty"` // empty while the case does not exist yet
	GroupKey string                 `json:"group_key"`
	Group    []pipeline.GroupValue  `json:"group"`
	Sink     string                 `json:"sink"`
	Team     string                 `json:"team"`
	Project  string                 `json:"project,omitempty"`
	Priority pipeline.Priority      `json:"priority"`
	Score    int                    `json:"score"`
	Why      string                 `json:"why"`
	Title    string                 `json:"title"`
	Findings []pipeline.Fingerprint `json:"findings"`         // the open ones, sorted
	Change   string                 `json:"change,omitempty"` // what changes, for people
	Held     string                 `json:"held,omitempty"`   // what `run` would hold it back for
}

// ID names the action among those of a plan.
func (a *Action) ID() string { return a.GroupKey + "\x00" + a.Sink }

// Waiting counts the cases that something holds.
type Waiting struct {
	Reason string `json:"reason"`
	Cases  int    `json:"cases"`
}

// Read is what a plan read of one source, by account and region.
type Read struct {
	Source   string         `json:"source"`
	Findings int            `json:"findings"`
	Accounts []Account      `json:"accounts,omitempty"` // by id
	Gaps     []pipeline.Gap `json:"gaps,omitempty"`     // what it did not reach
}

// Account is what was read of one account.
type Account struct {
	ID       string         `json:"id"`
	Name     string         `json:"name,omitempty"`
	Findings int            `json:"findings"`
	Regions  map[string]int `json:"regions"` // findings by region
}

// Plan is what would happen.
type Plan struct {
	Version   int               `json:"version"`
	ID        string            `json:"id"`
	Made      time.Time         `json:"made"`
	Config    string            `json:"config"`          // hash of the configuration that it was made under
	State     string            `json:"state,omitempty"` // installation that it was made for
	Actions   []Action          `json:"actions"`
	Waiting   []Waiting         `json:"waiting,omitempty"`
	WouldMove []string          `json:"would_move,omitempty"`
	Summary   triage.Summary    `json:"summary"`
	Read      []Read            `json:"read,omitempty"` // of the sources that read several accounts
	Notes     []string          `json:"notes,omitempty"`
	Rejected  []pipeline.Reject `json:"rejected,omitempty"`
	Migration *Migration        `json:"migration,omitempty"` // to another equivalence map
}

// Planner lays what would happen over a snapshot. It is used by one goroutine.
type Planner struct {
	rules *triage.Rules
	base  triage.View
	layer *triage.Layer
	now   time.Time
	sum   triage.Summary

	migration *Migration
}

// New starts a plan over base at the instant now. Limits do not hold a plan's
// actions back, because `apply` carries them out whatever the limits are.
func New(rules *triage.Rules, base triage.View, now time.Time) *Planner {
	r := *rules
	r.Limits.PerHour, r.Limits.HoldFirstRun = 0, false
	p := &Planner{rules: &r, base: base, layer: triage.NewLayer(base), now: now}
	return p
}

// Layer is the state as it would be.
func (p *Planner) Layer() *triage.Layer { return p.layer }

// Summary counts what was fed so far.
func (p *Planner) Summary() triage.Summary { return p.sum }

// Start applies the equivalence map, the configuration and the feeds in force when state was left under others.
func (p *Planner) Start() error {
	if err := p.equivalence(); err != nil {
		return err
	}
	if p.rules.Config != p.base.Meta().Config {
		if err := p.decide(triage.Input{Time: p.now, Config: &triage.ConfigChange{Hash: p.rules.Config}}); err != nil {
			return err
		}
		for p.layer.Meta().Sweep != 0 {
			if err := p.decide(triage.Input{Time: p.now, Sweep: atOnce}); err != nil {
				return err
			}
		}
	}
	return p.feeds()
}

// atOnce is how many findings are looked at again at a time.
const atOnce = 500

// feeds judges what the feeds say something else of than they did.
func (p *Planner) feeds() error {
	if p.rules.Feeds == p.base.Meta().Feeds {
		return nil
	}
	for from := uint64(1); from != 0; {
		seqs, next, err := triage.Outdated(p.rules, p.layer, from, atOnce)
		if err != nil {
			return err
		}
		in := triage.FeedChange{Findings: seqs, Feeds: p.rules.Feeds, Done: next == 0}
		if err := p.decide(triage.Input{Time: p.now, Feeds: &in}); err != nil {
			return err
		}
		from = next
	}
	return nil
}

// Feed decides one envelope.
func (p *Planner) Feed(e *pipeline.Envelope) error {
	return p.decide(triage.Input{Time: p.now, Envelope: e})
}

// PublishFindings makes a Planner take what a read of a source would have put on the stream.
func (p *Planner) PublishFindings(_ context.Context, payload []byte) error {
	e, err := pipeline.ParseEnvelope(slices.Clone(payload))
	if err != nil {
		return err
	}
	e.Approved = true
	return p.Feed(&e)
}

func (p *Planner) decide(in triage.Input) error {
	cs, sum, err := triage.Decide(p.rules, p.layer, []triage.Input{in})
	if err != nil {
		return err
	}
	p.sum.Add(sum)
	p.layer.Apply(cs)
	return nil
}

// Finish works out the actions that are due after all that was fed.
func (p *Planner) Finish(limits triage.Limits) (Plan, error) {
	for first := true; first || len(p.layer.Due(p.now, 1)) > 0; first = false {
		due := p.layer.Due(p.now, 1)
		if err := p.decide(triage.Input{Time: p.now, Tick: true}); err != nil {
			return Plan{}, err
		}
		if again := p.layer.Due(p.now, 1); len(again) > 0 && len(due) > 0 && again[0] == due[0] {
			break // a tick leaves it as it is
		}
	}
	for before := -1; before != len(p.layer.Outbox()); {
		before = len(p.layer.Outbox())
		if err := p.decide(triage.Input{Time: p.now, Issue: &triage.Issue{}}); err != nil {
			return Plan{}, err
		}
		if err := p.tell(p.layer.Outbox()[before:]); err != nil {
			return Plan{}, err
		}
	}
	out := Plan{
		Version: Version, Made: p.now, Config: p.rules.Config, State: p.rules.Installation,
		Summary: p.sum, Rejected: p.layer.Rejects(), Migration: p.migration,
	}
	for _, a := range p.layer.Outbox() {
		if len(a.Ticket.Marks) > 0 {
			continue
		}
		act, err := p.describe(&a)
		if err != nil {
			return Plan{}, err
		}
		out.Actions = append(out.Actions, act)
	}
	slices.SortStableFunc(out.Actions, func(a, b Action) int {
		if a.Team != b.Team {
			return strings.Compare(a.Team, b.Team)
		}
		return int(a.Priority) - int(b.Priority)
	})
	hold(out.Actions, p.base, limits, p.now)
	var err error
	if out.Notes, err = p.writeBack(); err != nil {
		return Plan{}, err
	}
	if out.Waiting, err = p.waiting(); err != nil {
		return Plan{}, err
	}
	if out.WouldMove, err = p.wouldMove(); err != nil {
		return Plan{}, err
	}
	out.ID = out.digest()
	return out, nil
}

// digest names the plan by what it would do.
func (p *Plan) digest() string {
	b, err := json.Marshal(struct {
		M time.Time
		A []Action
	}{p.Made, p.Actions})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func (p *Planner) describe(a *pipeline.Action) (Action, error) {
	n, _ := triage.ParseCaseID(a.Case)
	c, err := p.layer.Case(n)
	if err != nil {
		return Action{}, err
	}
	if c == nil {
		return Action{}, fmt.Errorf("case %s has an action and no record", a.Case)
	}
	t := &a.Ticket
	act := Action{
		GroupKey: c.Key, Group: c.Group, Sink: a.Sink, Team: c.Team, Priority: c.Priority,
		Score: c.Explanation.Score, Why: Reason(c.Explanation), Title: t.Title,
	}
	if project, ok := t.Settings["project"].(string); ok {
		act.Project = project
	}
	before, err := p.base.Case(n)
	if err != nil {
		return Action{}, err
	}
	if before != nil {
		act.Case = a.Case
	}
	act.Verb = verb(before, a)
	if len(t.Comments) > 0 {
		act.Change = strings.Join(t.Comments[len(t.Comments)-1].Lines, " ")
	}
	if act.Findings, err = openPrints(p.layer, n); err != nil {
		return Action{}, err
	}
	return act, nil
}

func verb(before *triage.Case, a *pipeline.Action) string {
	var e *triage.Entry
	if before != nil {
		e = before.Entries[a.Sink]
	}
	switch {
	case a.Ticket.Ref.IsZero() && (e == nil || e.N == 0):
		return Create
	case !a.Ticket.Open:
		return Close
	case e != nil && !e.IsOpen && e.Delivered > 0:
		return Reopen
	}
	return Update
}

func openPrints(v triage.View, n uint64) ([]pipeline.Fingerprint, error) {
	var out []pipeline.Fingerprint
	err := v.Members(n, func(m triage.Member) bool {
		if m.Status == triage.Open {
			out = append(out, m.Line.Fingerprint)
		}
		return true
	})
	slices.SortFunc(out, func(a, b pipeline.Fingerprint) int { return slices.Compare(a[:], b[:]) })
	return out, err
}

// Reason is an explanation in one line.
func Reason(x pipeline.Explanation) string {
	if x.Rule != "" {
		return "rule " + x.Rule
	}
	parts := make([]string, 0, len(x.Reasons))
	for _, r := range x.Reasons {
		if r.Points != 0 {
			parts = append(parts, fmt.Sprintf("%s %+d", r.What, r.Points))
		}
	}
	return strings.Join(parts, ", ")
}

// hold says for each new ticket what `run` would hold it back for.
func hold(actions []Action, base triage.View, limits triage.Limits, now time.Time) {
	made := map[string]int{}
	order := make([]*Action, 0, len(actions))
	for i := range actions {
		order = append(order, &actions[i])
	}
	slices.SortStableFunc(order, func(a, b *Action) int { return int(a.Priority) - int(b.Priority) })
	counted := map[string]string{}
	for _, a := range order {
		if a.Verb != Create {
			continue
		}
		if why, again := counted[a.GroupKey]; again {
			a.Held = why
			continue
		}
		if _, known := made[a.Team]; !known {
			t := base.Team(a.Team)
			made[a.Team] = t.CreatedSince(now)
		}
		switch {
		case limits.HoldFirstRun && !base.Meta().Applied:
			a.Held = "first_run"
		case limits.PerHour > 0 && a.Priority != pipeline.P1 && made[a.Team] >= limits.PerHour:
			a.Held = "limit"
		default:
			made[a.Team]++
		}
		counted[a.GroupKey] = a.Held
	}
}

// waiting counts the open cases without a ticket, by what they wait for.
func (p *Planner) waiting() ([]Waiting, error) {
	counts := map[string]int{}
	err := p.eachOpenCase(func(c *triage.Case) error {
		if why := WaitsFor(c); why != "" {
			counts[why]++
		}
		return nil
	})
	var out []Waiting
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, Waiting{why, counts[why]})
	}
	return out, err
}

// WaitsFor is why an open case has no ticket yet; "" when it has one or one is on its way.
func WaitsFor(c *triage.Case) string {
	if !c.Open {
		return ""
	}
	sinks := c.TicketSinks()
	for _, sink := range sinks {
		if e := c.Entries[sink]; e.N > 0 || !e.Ref.IsZero() {
			return ""
		}
	}
	switch {
	case len(sinks) == 0:
		return "no sinks"
	case c.Held != "":
		return c.Held
	case !c.WaitTill.IsZero():
		return "for"
	case c.Settings.TicketsFrom.Above(c.Priority):
		return "tickets_from"
	}
	return ""
}

// wouldMove lists the open cases that the rules in force would put elsewhere.
func (p *Planner) wouldMove() ([]string, error) {
	var out []string
	err := p.eachOpenCase(func(c *triage.Case) error {
		to, err := WouldMove(p.rules, p.layer, c)
		if to != "" {
			out = append(out, fmt.Sprintf("%s would move: %s (`docket cases move %s` does it)", c.ID(), to, c.ID()))
		}
		return err
	})
	return out, err
}

// WouldMove says where the rules in force would put a case's leading finding, when not in this case.
func WouldMove(r *triage.Rules, v triage.View, c *triage.Case) (string, error) {
	if c.Digest || c.Lead == 0 {
		return "", nil
	}
	rec, err := v.Record(c.Lead)
	if err != nil || rec == nil {
		return "", err
	}
	f := rec.Finding()
	verdict := r.Judge(&f)
	if c.Holds(verdict.Key) {
		return "", nil
	}
	parts := []string{"team " + verdict.Team}
	for _, g := range verdict.Group {
		parts = append(parts, g.Name+" "+g.Value)
	}
	if len(verdict.Sinks) > 0 {
		parts = append(parts, "sinks "+strings.Join(verdict.Sinks, ", "))
	}
	return strings.Join(parts, ", "), nil
}

func (p *Planner) eachOpenCase(fn func(*triage.Case) error) error {
	for n := uint64(1); n < p.layer.Meta().NextCase; n++ {
		c, err := p.layer.Case(n)
		if err != nil {
			return err
		}
		if c == nil || !c.Open {
			continue
		}
		if err := fn(c); err != nil {
			return err
		}
	}
	return nil
}
