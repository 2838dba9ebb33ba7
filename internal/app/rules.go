package app

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
	"github.com/docket-hub/docket/pipeline/risk"
	"github.com/docket-hub/docket/pipeline/route"
	"github.com/docket-hub/docket/pipeline/triage"
)

// reissueAfter is R of the delivery protocol: longer than an action can be on its way.
const reissueAfter = 10 * time.Minute

func riskConfig(cfg *config.Config) risk.Config {
	c := risk.Config{
		Severity: cfg.Risk.Severity, Weights: cfg.Risk.Weights, Thresholds: cfg.Risk.Thresholds,
		SLA: risk.SLA{Start: cfg.Risk.SLA.Start, Due: map[pipeline.Priority]time.Duration{}},
	}
	if e := cfg.Risk.Feeds.EPSS; e != nil {
		c.Likely = e.Likely
	}
	for _, f := range cfg.Risk.Factors {
		c.Factors = append(c.Factors, risk.Factor{Name: f.Name, When: f.When, Points: f.Points})
	}
	for _, r := range cfg.Risk.Rules {
		c.Rules = append(c.Rules, risk.Rule{When: r.When, Priority: r.Priority})
	}
	for p := pipeline.P1; p <= pipeline.P5; p++ {
		c.SLA.Due[p] = cfg.Risk.SLA.Of(p)
	}
	return c
}

func routeNode(r config.Route) route.Node {
	n := route.Node{
		Team: r.Team, Sinks: r.Sinks, GroupBy: r.GroupBy, For: r.For, TicketsFrom: r.TicketsFrom,
		ReopenWindow: r.ReopenWindow, RecheckAfter: r.RecheckAfter, Assignee: r.Assignee,
		Flap:  route.Flap{Times: r.Flap.Times, Within: r.Flap.Within, Quiet: r.Flap.Quiet},
		Match: r.Match, When: r.When, Continue: r.Continue,
	}
	for _, child := range r.Routes {
		n.Routes = append(n.Routes, routeNode(child))
	}
	return n
}

// teams are the names that routes may use. That each of them is a configured
// team was checked when the file was loaded, and is not said twice.
func teams(cfg *config.Config) []route.Team {
	var out []route.Team
	var collect func(r config.Route)
	collect = func(r config.Route) {
		if r.Team != "" {
			out = append(out, route.Team{Name: r.Team})
		}
		for _, child := range r.Routes {
			collect(child)
		}
	}
	collect(cfg.Route)
	return out
}

func (g *Graph) rules(cfg *config.Config, o Outside) {
	r := &triage.Rules{
		Config: cfg.Hash(), Installation: o.Installation, ReadsScores: readsScores(cfg),
		Map: g.equiv.Version(), Identify: g.identify,
		Decode: g.Decode, Judge: g.Judge, Matches: g.newMatcher().matches,
		Due: g.model.Due, SLAStart: g.model.SLAStart(),
		NeedsApproval: cfg.Approval,
		Limits: triage.Limits{
			PerHour: cfg.Limits.MaxNewTicketsPerHour, HoldFirstRun: cfg.Limits.FirstRun == "hold",
			CloseRatio: cfg.Close.MaxRatio, CloseMin: cfg.Close.Min,
		},
		Retain: cfg.Retention.Resolved, AckFor: cfg.Ack.For, AckMax: cfg.Ack.Max,
		Sinks: map[string]bool{}, Renamed: map[string]string{},
		Reissue: reissueAfter,
	}
	digests := map[string]string{}
	for _, s := range cfg.Sinks {
		digests[s.Name] = s.Block.Digest()
		r.Sinks[s.Name] = !s.Retired
		for _, old := range s.Formerly {
			r.Renamed[old] = s.Name
		}
	}
	g.writeBackRules(cfg, r, digests)
	settings := map[string]map[string]map[string]any{}
	for _, t := range cfg.Teams {
		r.Teams = append(r.Teams, t.Name)
		settings[t.Name] = t.Sinks
	}
	texts := routeTemplates(cfg.Route)
	r.Settings = func(team, route, sink string) map[string]any {
		return withTemplates(settings[team][sink], texts[route][sink])
	}
	routes := map[string]string{}
	routeDigests(cfg.Route, "route", "", routes)
	r.SinkConfig = func(team, route, sink string) string {
		// encoding a map of plain values sorts its keys and cannot fail
		own, _ := json.Marshal(settings[team][sink])
		return digests[sink] + routes[route] + string(own)
	}
	if base := cfg.Server.ExternalURL; base != "" {
		r.CaseURL = func(id string) string { return base + "/cases/" + id }
	}
	for _, s := range cfg.Suppressions {
		r.Suppressions = append(r.Suppressions, pipeline.Suppression{
			Name: s.Name, When: s.When, Reason: s.Reason, By: s.By, Until: s.Until.End(cfg.Location()), Config: true,
		})
	}
	g.Rules = r
	g.first = map[string]string{}
	for _, s := range cfg.Sinks {
		if len(s.Formerly) > 0 {
			g.first[s.Name] = s.Formerly[0]
		}
	}
}

// writeBackRules adds the write-backs: sinks that take actions, but of no route.
func (g *Graph) writeBackRules(cfg *config.Config, r *triage.Rules, digests map[string]string) {
	for _, s := range cfg.Sources {
		digests[s.Name+connectors.WriteBackSuffix] = s.Block.Digest()
	}
	for i := range g.Sinks {
		s := &g.Sinks[i]
		if s.Back == nil {
			continue
		}
		if r.WriteBack == nil {
			r.WriteBack = map[string]triage.WriteBack{}
		}
		r.Sinks[s.Name], r.WriteBack[s.Name] = true, triage.WriteBack{Mark: s.Back.Mark, Echo: s.Back.Echo}
		for _, old := range s.Formerly {
			r.Renamed[old] = s.Name
		}
	}
}

// routeDigests notes a hash of what each route says, the routes above it included, by its path.
func routeDigests(r config.Route, path, above string, out map[string]string) {
	below := r.Routes
	r.Routes = nil
	// encoding plain values and pointers to them cannot fail
	own, _ := json.Marshal(r)
	sum := sha256.Sum256([]byte(above + string(own)))
	out[path] = hex.EncodeToString(sum[:8])
	for i, child := range below {
		routeDigests(child, fmt.Sprintf("%s.routes[%d]", path, i), out[path], out)
	}
}

// groupSinks is what stands for sinks in a group's key: a renamed one by the first of
// the names that it had, so that further findings go on joining the cases that it holds.
func (g *Graph) groupSinks(sinks []string) []string {
	if len(g.first) == 0 {
		return sinks
	}
	out := slices.Clone(sinks)
	for i, s := range out {
		if old, renamed := g.first[s]; renamed {
			out[i] = old
		}
	}
	return out
}

// Judge works out priority, route and group of a finding.
func (g *Graph) Judge(f *pipeline.Finding) triage.Verdict {
	if v, is := g.drillVerdict(f); is {
		return v
	}
	x := g.model.Assess(f)
	full := g.model.Extend(f) // with the user's own factors, for conditions only
	d := g.Tree.Route(full, expr.NewSubject(full))
	x.Errors = append(x.Errors, d.Errors...)
	key, values := route.Group(f, d.GroupBy, d.Team, g.groupSinks(d.Sinks))
	return triage.Verdict{
		Explanation: x, Team: d.Team, Route: d.Path, Why: d.Why, Sinks: slices.Clone(d.Sinks), Key: key, Group: values,
		Settings: triage.Settings{
			TicketsFrom: d.TicketsFrom, For: d.For, ReopenWindow: d.ReopenWindow, RecheckAfter: d.RecheckAfter,
			FlapTimes: d.Flap.Times, FlapWithin: d.Flap.Within, FlapQuiet: d.Flap.Quiet, Assignee: d.Assignee,
		},
	}
}

// matcher compiles the expressions of suppressions once. It may be used at the same time.
type matcher struct {
	env      *expr.Env
	model    *risk.Model
	mu       sync.Mutex
	programs map[string]*expr.Program
}

func (g *Graph) newMatcher() *matcher {
	return &matcher{env: g.env, model: g.model, programs: map[string]*expr.Program{}}
}

func (m *matcher) matches(when string, f *pipeline.Finding) (bool, error) {
	m.mu.Lock()
	p, ok := m.programs[when]
	if !ok {
		var err error
		if p, err = m.env.Compile(when); err != nil {
			m.mu.Unlock()
			return false, err
		}
		m.programs[when] = p
	}
	m.mu.Unlock()
	return p.Eval(expr.NewSubject(m.model.Extend(f)))
}
