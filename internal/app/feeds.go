package app

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/feeds"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/risk"
	"github.com/docket-hub/docket/pipeline/triage"
)

const (
	// feedsDir is where in data_dir the last good copies of feeds are kept.
	feedsDir = "feeds"
	// firstFeeds bounds how long a start waits for feeds of which there is no copy yet.
	firstFeeds = 20 * time.Second
	// feedsRetry is the pause after a comparison of state with the feeds that failed.
	feedsRetry = 10 * time.Second
	// feedsAtOnce is how many findings are compared with the feeds at a time.
	feedsAtOnce = 500
)

// feedSet is the feeds of one configuration, those that it has.
type feedSet struct {
	list []*feeds.Feed
	log  *slog.Logger
}

// newFeedSet makes the feeds and reads none of them.
func newFeedSet(cfg *config.Config, o Outside) (*feedSet, error) {
	s := &feedSet{log: o.Log.With("component", "feeds")}
	around := feeds.Options{Dir: filepath.Join(DataDir(cfg), feedsDir), ReadOnly: !o.Holds, Now: o.Now, Log: s.log}
	var errs []error
	add := func(kind feeds.Kind, file, url string, every, age time.Duration) {
		one := around
		one.Kind, one.File, one.URL, one.Interval, one.MaxAge = kind, cfg.Path(file), url, every, age
		f, err := feeds.New(one)
		if err != nil {
			errs = append(errs, cfg.ErrorAt("risk.feeds."+string(kind)+".url", 0, 0, "%s", err))
			return
		}
		s.list = append(s.list, f)
	}
	if k := cfg.Risk.Feeds.KEV; k != nil {
		add(feeds.KEV, k.File, k.URL, k.Interval, k.MaxAge)
	}
	if e := cfg.Risk.Feeds.EPSS; e != nil {
		add(feeds.EPSS, e.File, e.URL, e.Interval, e.MaxAge)
	}
	return s, errors.Join(errs...)
}

// copies are the copies in use.
func (s *feedSet) copies() risk.Feeds {
	var out risk.Feeds
	for _, f := range s.list {
		if c := f.Copy(); c != nil && c.KEV != nil {
			out.KEV = c.KEV
		} else if c != nil {
			out.EPSS = c.EPSS
		}
	}
	return out
}

func (s *feedSet) statuses() []feeds.Status {
	out := make([]feeds.Status, len(s.list))
	for i, f := range s.list {
		out[i] = f.Status()
	}
	return out
}

func (s *feedSet) close() {
	for _, f := range s.list {
		f.Close()
	}
}

// refresh looks after every feed that is due, and reports whether one says something else now. What fails is
// logged, and tried again later: what is known stays in force.
func (s *feedSet) refresh(ctx context.Context) (changed bool) {
	for _, f := range s.list {
		if f.Wait() > 0 {
			continue
		}
		news, err := f.Refresh(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("reading a feed", "err", err, "delay", f.Wait())
		}
		changed = changed || news
	}
	return changed
}

// wait is how long nothing is due.
func (s *feedSet) wait() time.Duration {
	var least time.Duration
	for i, f := range s.list {
		if w := f.Wait(); i == 0 || w < least {
			least = w
		}
	}
	return least
}

// How far a graph goes to have copies of its feeds.
type feedsWanted int

const (
	feedsKept    feedsWanted = iota // the last good copies, and what files hold
	feedsMissing                    // and fetched, where no copy is there
	feedsDue                        // and fetched, where one is due
)

// readFeeds is the graph asking the copies of its feeds. That there is none is told, and holds nothing up.
func (g *Graph) readFeeds(ctx context.Context, want feedsWanted) *Graph {
	if len(g.feeds.list) == 0 {
		return g
	}
	ctx, cancel := context.WithTimeoutCause(ctx, firstFeeds, errors.New("the feeds took too long"))
	defer cancel()
	for _, f := range g.feeds.list {
		if err := f.Load(); err != nil {
			g.feeds.log.Warn("taking up the kept copy of a feed", "err", err)
		}
		ask := f.Local() || want == feedsMissing && f.Copy() == nil || want == feedsDue && f.Wait() == 0
		if !ask {
			continue
		}
		if _, err := f.Refresh(ctx); err != nil {
			g.feeds.log.Warn("reading a feed", "err", err)
		}
	}
	return g.withFeeds(g.feeds.copies())
}

// withFeeds is the graph asking these copies.
func (g *Graph) withFeeds(f risk.Feeds) *Graph {
	other, rules := *g, *g.Rules
	other.model = g.model.With(f)
	other.Rules = &rules
	rules.Decode, rules.Judge, rules.Matches = other.Decode, other.Judge, other.newMatcher().matches
	rules.Feeds, rules.Outdated = f.ID(), nil
	if f != (risk.Feeds{}) {
		rules.Outdated = other.model.Outdated
	}
	return &other
}

// readsScores reports whether an expression of the configuration reads scores of EPSS.
func readsScores(cfg *config.Config) bool {
	var in func(r *config.Route) bool
	in = func(r *config.Route) bool {
		return triage.ReadsScores(r.When) || slices.ContainsFunc(r.Routes, func(below config.Route) bool { return in(&below) })
	}
	return in(&cfg.Route) ||
		slices.ContainsFunc(cfg.Risk.Factors, func(f config.Factor) bool { return triage.ReadsScores(f.When) }) ||
		slices.ContainsFunc(cfg.Risk.Rules, func(r config.RiskRule) bool { return triage.ReadsScores(r.When) }) ||
		slices.ContainsFunc(cfg.Suppressions, func(s config.Suppression) bool { return triage.ReadsScores(s.When) })
}

// watchFeeds keeps the feeds of the graph in force fresh, and the findings in line with them, until ctx ends.
func (a *App) watchFeeds(ctx context.Context, s *feedSet) {
	for ctx.Err() == nil {
		wait := feedsRetry
		if err := a.followFeeds(ctx); err == nil {
			if len(s.list) == 0 {
				return
			}
			wait = s.wait()
		} else if ctx.Err() == nil {
			s.log.Warn("comparing findings with the feeds, will try again", "err", err, "delay", wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if s.refresh(ctx) {
			a.useFeeds(s)
		}
	}
}

// refreshFeeds looks after the feeds that are due, once, and brings the findings in line with them.
func (a *App) refreshFeeds(ctx context.Context) error {
	s := a.Graph().feeds
	if s.refresh(ctx) {
		a.useFeeds(s)
	}
	return a.followFeeds(ctx)
}

// useFeeds makes the graph in force ask the copies that s has now, unless a reload took it out of force.
func (a *App) useFeeds(s *feedSet) {
	a.swapping.Lock()
	defer a.swapping.Unlock()
	g := a.Graph()
	if g.feeds != s {
		return
	}
	a.graph.Store(g.withFeeds(s.copies()))
	for _, st := range s.statuses() {
		s.log.Info("feed in use", "feed", string(st.Kind), "date", st.Date.Format(time.DateOnly), "entries", st.Entries)
	}
}

// followFeeds hands triage the findings of which the feeds say something else than when they were judged. It goes
// through all of them when state was left under other copies, and writes only where something is different; stopped on the way, it begins anew.
func (a *App) followFeeds(ctx context.Context) error {
	rules := a.Graph().Rules
	if same, err := a.followed(rules.Feeds); same || err != nil {
		return err
	}
	// What is being decided under the former copies is committed before findings are looked at.
	if err := a.loop.inject(ctx, triage.Input{}); err != nil {
		return err
	}
	for from := uint64(1); from != 0; {
		snap, err := a.store.View()
		if err != nil {
			return err
		}
		seqs, next, err := triage.Outdated(rules, snap, from, feedsAtOnce)
		err = errors.Join(err, snap.Err())
		snap.Close()
		if err != nil {
			return err
		}
		if len(seqs) > 0 || next == 0 {
			change := triage.FeedChange{Findings: seqs, Feeds: rules.Feeds, Done: next == 0}
			if err := a.loop.inject(ctx, triage.Input{Feeds: &change}); err != nil {
				return err
			}
		}
		from = next
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// followed reports whether every finding was compared with these copies.
func (a *App) followed(id string) (bool, error) {
	snap, err := a.store.View()
	if err != nil {
		return false, err
	}
	defer snap.Close()
	return snap.Meta().Feeds == id, snap.Err()
}

// feedRows shows the feeds in the list of sources.
func feedRows(s *feedSet) []api.SourceRow {
	var out []api.SourceRow
	for _, st := range s.statuses() {
		row := api.SourceRow{
			Name: "risk.feeds." + string(st.Kind), Type: "feed", Interval: config.FormatDuration(st.Interval),
			LastRun: st.Tried, LastSuccess: st.Checked, LastError: st.Err, Records: st.Entries, Rejected: st.Refused.Count, Stale: st.Stale,
		}
		if row.LastRun.IsZero() {
			row.LastRun = st.Checked
		}
		if !st.Date.IsZero() {
			row.Watermark = st.Date.Format(time.DateOnly)
		}
		if st.Stale || st.Date.IsZero() {
			row.Notes = append(row.Notes, st.Text())
		}
		for _, r := range st.Refused.Named {
			row.Notes = append(row.Notes, "refused "+r)
		}
		out = append(out, row)
	}
	return out
}

// feedWarnings is what is wrong with the copies that a configuration would start with.
func (g *Graph) feedWarnings(ctx context.Context) (out config.Warnings) {
	for i, st := range g.readFeeds(ctx, feedsKept).feeds.statuses() {
		path := "risk.feeds." + string(st.Kind)
		if g.feeds.list[i].Local() {
			path += ".file"
		}
		if st.Stale || st.Err != "" {
			out = append(out, g.Config.ErrorAt(path, 0, 0, "%s", st.Text()))
		}
		if st.Refused.Count > 0 {
			out = append(out, g.Config.ErrorAt(path, 0, 0, "%d rows cannot be read and are left out: %s", st.Refused.Count, st.Refused.Named[0]))
		}
	}
	return out
}

// feedNotes says what of a decision's feeds is old, and what they say now where that is another thing.
func (r *reader) feedNotes(was *pipeline.Explanation, f *pipeline.Finding) []string {
	g := r.judging()
	if len(g.feeds.list) == 0 {
		return nil
	}
	now := g.model.Assess(f).Feeds
	var out []string
	for _, st := range g.feeds.statuses() {
		at := slices.IndexFunc(was.Feeds, func(x pipeline.FeedFact) bool { return x.Feed == st.Kind.Title() })
		is := slices.IndexFunc(now, func(x pipeline.FeedFact) bool { return x.Feed == st.Kind.Title() })
		if is >= 0 && (at < 0 || !sameFact(was.Feeds[at], now[is])) {
			out = append(out, "now: "+now[is].String())
		}
		if (at >= 0 || is >= 0) && (st.Stale || st.Date.IsZero()) {
			out = append(out, st.Text())
		}
	}
	return out
}

// sameFact leaves the date out.
func sameFact(a, b pipeline.FeedFact) bool {
	a.Date = b.Date
	return a == b
}
