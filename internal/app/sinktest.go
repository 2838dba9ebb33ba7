package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// testSettle bounds what is spent on clearing a test ticket away once nobody waits for it any more.
const testSettle = 30 * time.Second

// TestSinks proves the settings of the sinks named, or of all. With create a test
// ticket goes the whole way of a ticket in each; it is cleared away even when ctx ends on the way.
func (g *Graph) TestSinks(ctx context.Context, names []string, create bool, p api.Progress) ([]api.SinkTest, error) {
	sinks, err := g.sinksNamed(names)
	if err != nil {
		return nil, err
	}
	out := make([]api.SinkTest, 0, len(sinks))
	for i, s := range sinks {
		p("testing "+s.Name, i, len(sinks))
		t := api.SinkTest{Sink: s.Name, Type: s.Type}
		checks, proves := pipeline.RunChecks(ctx, s.Sink)
		for _, c := range checks {
			t.Checks = append(t.Checks, g.checkRow(g.keyOf(s.Name, c.Key), c))
			t.Failed = t.Failed || c.Err != nil
		}
		if !t.Failed { // else every team would say the same again
			t.Checks = append(t.Checks, g.teamChecks(ctx, s)...)
			t.Failed = slices.ContainsFunc(t.Checks, func(c api.CheckRow) bool { return c.State == api.CheckFailed })
		}
		if !proves {
			t.Checks = append(t.Checks, api.CheckRow{Name: "settings", State: api.CheckSkipped, Fact: "a sink of type " + s.Type + " can prove nothing without writing"})
		}
		if create && s.Back == nil {
			g.tryTicket(ctx, s, &t, p)
		}
		out = append(out, t)
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
	}
	return out, nil
}

// sinksNamed are the configured sinks of these names, all of them for none.
func (g *Graph) sinksNamed(names []string) ([]*Sink, error) {
	var out []*Sink
	var known []string
	for i := range g.Sinks {
		s := &g.Sinks[i]
		known = append(known, s.Name)
		if len(names) == 0 || slices.Contains(names, s.Name) {
			out = append(out, s)
		}
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("%w: there is no sink %q; the configuration has %s", api.ErrNotFound, n, strings.Join(known, ", "))
		}
	}
	return out, nil
}

// checkRow gives a check its place in the configuration, the key at.
func (g *Graph) checkRow(at string, c pipeline.Check) api.CheckRow {
	row := api.CheckRow{Name: c.Name, State: api.CheckOK, Fact: g.mask.String(c.Fact)}
	switch {
	case c.Err != nil:
		place := g.Config.ErrorAt(at, 0, 0, "%s", c.Err)
		row.State, row.Fact = api.CheckFailed, ""
		row.Key, row.At = at, config.Position{File: place.File, Line: place.Line, Col: place.Col}.String()
		row.Error, row.Have, row.Fix = g.mask.String(c.Err.Error()), g.mask.String(c.Have), c.Fix
	case c.Skip != "":
		row.State, row.Fact = api.CheckSkipped, g.mask.String(c.Skip)
	default:
		row.Key = at
	}
	return row
}

// keyOf is the path of a key of a sink's entry in the configuration.
func (g *Graph) keyOf(sink, key string) string {
	for i := range g.Config.Sinks {
		if g.Config.Sinks[i].Name == sink {
			path := fmt.Sprintf("sinks[%d]", i)
			if key != "" {
				path += "." + key
			}
			return path
		}
	}
	return key
}

// trial is a test ticket on its way through a sink.
type trial struct {
	g    *Graph
	s    *Sink
	t    pipeline.Ticket
	out  *api.SinkTest
	tell api.Progress
	made bool // the record may be there
}

// tryTicket makes a marked ticket, finds, changes, comments, closes and removes it.
func (g *Graph) tryTicket(ctx context.Context, s *Sink, out *api.SinkTest, p api.Progress) {
	now := time.Now().UTC().Truncate(time.Second)
	word := strings.ToLower(rand.Text())[:8]
	x := &trial{g: g, s: s, out: out, tell: p, t: pipeline.Ticket{
		Key: pipeline.TicketKey(g.Rules.Installation, "sinks test "+word, 0), Case: "DK-TEST-" + word, Rev: 1, Open: true,
		Installation: g.Rules.Installation,
		Title:        "docket test ticket " + word + ": please ignore",
		Description:  "`docket sinks test --create` made this to prove that it can. It closes it again at once.",
		Priority:     pipeline.P5, Severity: pipeline.Informational, Since: now, Labels: []string{"docket-test"},
		Resource: pipeline.Resource{ID: "docket:sinks-test:" + word, Type: "Other"}, Count: 1, Total: 1,
	}}
	steps := []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"create a test ticket", x.create},
		{"find it by its key", x.find},
		{"change it", x.change},
		{"comment on it", x.comment},
		{"close it", x.close},
	}
	failed := false
	for _, step := range steps {
		if failed {
			x.row(step.name, "an earlier step failed", nil, true)
			continue
		}
		failed = !x.step(ctx, step.name, step.run)
	}
	if !x.made {
		return
	}
	// What was made is cleared away, whoever left meanwhile.
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), testSettle)
	defer cancel()
	if x.t.Ref.IsZero() && !x.step(late, "look for what may have been made", x.seek) || x.t.Ref.IsZero() {
		return
	}
	if failed && x.t.Open {
		x.step(late, "close it", x.close)
	}
	r, can := s.Sink.(pipeline.Remover)
	if !can {
		x.row("remove it", "this sink removes nothing: it stays there closed", nil, true)
		out.Left = x.t.Ref
		return
	}
	if !x.step(late, "remove it", func(ctx context.Context) (string, error) { return "", r.Remove(ctx, x.t.Ref) }) {
		out.Left = x.t.Ref
		out.Steps[len(out.Steps)-1].Fix = "remove it by hand; the right to delete is for test tickets alone, a ticket is never deleted"
	}
}

// step runs one step and notes how it went; false when it failed.
func (x *trial) step(ctx context.Context, name string, run func(context.Context) (string, error)) bool {
	call, cancel := context.WithTimeout(ctx, max(x.s.Unsure.Deadline, 5*time.Second)+x.s.Unsure.Lag)
	defer cancel()
	fact, err := run(call)
	x.row(name, fact, err, fact != "" && err == nil && strings.HasPrefix(fact, "skipped: "))
	return err == nil
}

func (x *trial) row(name, fact string, err error, skipped bool) {
	row := api.CheckRow{Name: name, State: api.CheckOK, Fact: x.g.mask.String(strings.TrimPrefix(fact, "skipped: "))}
	switch {
	case err != nil:
		row.State, row.Fact, row.Error = api.CheckFailed, "", x.g.mask.String(err.Error())
		x.out.Failed = true
	case skipped:
		row.State = api.CheckSkipped
	}
	x.out.Steps = append(x.out.Steps, row)
	x.tell(x.s.Name+": "+name, len(x.out.Steps), 0)
}

func (x *trial) apply(ctx context.Context) (string, error) {
	got, err := x.s.Sink.Apply(ctx, x.t)
	if !got.Ref.IsZero() {
		x.t.Ref = got.Ref
	}
	if got.Held != nil {
		x.t.Last = got.Held
	}
	if err == nil {
		x.t.WasOpen = x.t.Open
	}
	return wordOf(got.Ref), err
}

// wordOf is a record as people find it.
func wordOf(r pipeline.Ref) string {
	word := r.Key
	if word == "" {
		word = r.ID
	}
	if r.URL != "" {
		word = strings.TrimSpace(word + " " + r.URL)
	}
	return word
}

func (x *trial) create(ctx context.Context) (string, error) {
	x.made = true
	fact, err := x.apply(ctx)
	if err != nil && !pipeline.IsUnsure(err) && x.t.Ref.IsZero() && ctx.Err() == nil {
		x.made = false // the answer says that nothing was made
	}
	return fact, err
}

func (x *trial) find(ctx context.Context) (string, error) {
	f, can := x.s.Sink.(pipeline.Finder)
	if !can {
		return "skipped: this sink looks nothing up", nil
	}
	// A tracker's index may show it a while later.
	for {
		refs, err := f.Find(ctx, x.t.Key)
		switch {
		case err != nil:
			return "", err
		case len(refs) > 1:
			return "", fmt.Errorf("%d records carry the key %s; want one", len(refs), x.t.Key)
		case len(refs) == 1 && refs[0].ID != x.t.Ref.ID:
			return "", fmt.Errorf("the key %s finds %s; want %s", x.t.Key, wordOf(refs[0]), wordOf(x.t.Ref))
		case len(refs) == 1:
			return x.t.Key, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the record is not found by its key %s: %w", x.t.Key, context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}

// seek looks for a record whose making was never answered.
func (x *trial) seek(ctx context.Context) (string, error) {
	f, can := x.s.Sink.(pipeline.Finder)
	if !can {
		return "", errors.New("this sink looks nothing up: see whether a test ticket is there")
	}
	refs, err := f.Find(ctx, x.t.Key)
	if err != nil || len(refs) == 0 {
		return "nothing was made, or it does not show yet", err
	}
	x.t.Ref = refs[0]
	return wordOf(x.t.Ref), nil
}

func (x *trial) change(ctx context.Context) (string, error) {
	x.t.Rev++
	x.t.Title, x.t.Priority = "Changed: "+x.t.Title, pipeline.P4
	return x.apply(ctx)
}

func (x *trial) comment(ctx context.Context) (string, error) {
	x.t.Rev++
	x.t.Comments = []pipeline.Comment{{EventID: fmt.Sprintf("%s/r%d", x.t.Case, x.t.Rev), Time: x.t.Since, Lines: []string{"docket can comment here."}}}
	return x.apply(ctx)
}

func (x *trial) close(ctx context.Context) (string, error) {
	x.t.Rev++
	x.t.Open, x.t.Why, x.t.Comments = false, "fixed", nil
	fact, err := x.apply(ctx)
	w, can := x.s.Sink.(pipeline.Watcher)
	if err == nil && can {
		var seen pipeline.Seen
		if seen, err = w.Read(ctx, x.t.Ref); err == nil && !seen.Closed {
			err = errors.New("it is still open: see how transitions.close is set")
		}
	}
	x.t.Open = err != nil
	return fact, err
}
