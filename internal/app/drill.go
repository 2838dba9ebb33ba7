package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
	"github.com/docket-hub/docket/pipeline/triage"
)

// A drill is a finding of docket's own that goes the whole way. Its product is docket's
// alone: no source can bring one.
const (
	drillProduct = "docket drill"
	drillSource  = "docket/drill" // a configured source cannot be called so
	drillSinks   = "docket-drill-sinks"
	drillAccount = "000000000000"

	drillWait  = 2 * time.Minute // for each step, when nobody says
	drillLook  = 50 * time.Millisecond
	drillClean = 10 * time.Second // for what ends a drill that was cut off
)

// reserved refuses a record that poses as a drill.
func reserved(source string, rep *pipeline.Report) error {
	if rep.Product == drillProduct && source != drillSource {
		return fmt.Errorf("the product %q is docket's own", drillProduct)
	}
	return nil
}

// drillVerdict routes a drill: to the sinks that it names, as a case of its own, at whatever priority.
func (g *Graph) drillVerdict(f *pipeline.Finding) (triage.Verdict, bool) {
	if !slices.Contains(f.Products, drillProduct) {
		return triage.Verdict{}, false
	}
	var sinks []string
	for _, name := range strings.Split(f.Resource.Tags[drillSinks], ",") {
		if g.Rules.Sinks[name] {
			sinks = append(sinks, name)
		}
	}
	slices.Sort(sinks)
	key := drillKey(f.Resource.ID)
	root := g.Config.Route
	return triage.Verdict{
		Explanation: g.model.Assess(f), Team: root.Team, Route: drillProduct, Sinks: sinks, Key: key, Drill: true,
		Why:   []pipeline.Reason{{What: drillProduct, Why: "asked for by `docket drill`"}},
		Group: []pipeline.GroupValue{{Name: "drill", Value: f.Resource.ID}},
		Settings: triage.Settings{
			TicketsFrom: pipeline.P5, RecheckAfter: *root.RecheckAfter, ReopenWindow: *root.ReopenWindow,
			FlapTimes: root.Flap.Times, FlapWithin: root.Flap.Within, FlapQuiet: root.Flap.Quiet,
		},
	}, true
}

func drillKey(resource string) string { return "drill\x00" + resource }

// drill is one drill under way.
type drill struct {
	app    *App
	sinks  []*Sink
	wait   time.Duration
	tell   api.Progress
	id     string
	record map[string]any
	began  time.Time
	out    api.DrillResult
	number uint64 // of the case
}

// Drill implements api.Service: it sends a marked finding the whole way, looks whether its tickets
// arrived, resolves it, and looks whether they closed. What failed stands in the result.
func (a *App) Drill(ctx context.Context, r api.DrillRequest, p api.Progress) (api.DrillResult, error) {
	d, err := a.newDrill(r, p)
	if err != nil {
		return api.DrillResult{}, err
	}
	if a.brakeOn.Load() {
		return d.out, fmt.Errorf("%w: the brake is on, so no ticket could be made: `docket brake off` first", api.ErrRefused)
	}
	if !a.run.CompareAndSwap(false, true) {
		return d.out, fmt.Errorf("%w: another run or apply is under way", api.ErrBusy)
	}
	defer a.run.Store(false)
	if a.o.HoldIssue {
		// Without a daemon nothing but the drill may be issued.
		only := map[string]bool{drillKey(d.id): true}
		a.loop.issuing.Store(&issuing{only: only})
		defer a.loop.issuing.Store(&issuing{held: true})
	}
	d.began = time.Now()
	if err := d.forth(ctx); err != nil {
		return d.out, errors.Join(err, d.end(ctx))
	}
	if err := d.back(ctx); err != nil {
		return d.out, errors.Join(err, d.end(ctx))
	}
	d.out.OK = !slices.ContainsFunc(d.out.Steps, func(s api.DrillStep) bool { return !s.OK })
	return d.out, d.giveUp(ctx)
}

func (a *App) newDrill(r api.DrillRequest, p api.Progress) (*drill, error) {
	g := a.Graph()
	d := &drill{app: a, wait: cmp.Or(r.Wait, drillWait), tell: p, out: api.DrillResult{Steps: []api.DrillStep{}}}
	var names, all []string
	for i := range g.Sinks {
		s := &g.Sinks[i]
		if !g.Rules.Sinks[s.Name] || s.Back != nil {
			continue
		}
		all = append(all, s.Name)
		if r.Sink == "" || r.Sink == s.Name {
			d.sinks, names = append(d.sinks, s), append(names, s.Name)
		}
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("%w: the configuration has no sink to send anything to", api.ErrRefused)
	case len(names) == 0:
		return nil, fmt.Errorf("%w: there is no sink %q; the configuration has %s", api.ErrNotFound, r.Sink, strings.Join(all, ", "))
	}
	word := strings.ToLower(rand.Text())[:12]
	d.id = "docket-drill/" + word
	d.record = map[string]any{
		"product": drillProduct, "id": "drill-" + word, "kind": "control", "control": "DRILL.1",
		"title":       "Drill of docket, please ignore (" + word + ")",
		"description": "Somebody ran `docket drill` to see whether tickets arrive. It closes by itself within minutes; nothing is wrong.",
		"severity":    "INFORMATIONAL", "account": map[string]any{"id": drillAccount},
		"resource": map[string]any{"id": d.id, "type": "DocketDrill", "tags": map[string]string{drillSinks: strings.Join(names, ",")}},
	}
	return d, nil
}

// say puts the drill's finding onto the stream, as open or as resolved.
func (d *drill) say(ctx context.Context, status string) (pipeline.Fingerprint, error) {
	a, g := d.app, d.app.Graph()
	d.record["status"], d.record["observed_at"] = status, a.now().Format(time.RFC3339Nano)
	data, err := json.Marshal(d.record)
	if err != nil {
		return pipeline.Fingerprint{}, fmt.Errorf("writing the drill's finding: %w", err)
	}
	rec := pipeline.Record{Format: "docket", Data: data, Origin: drillSource}
	rep, err := g.Normalise(drillSource, &rec)
	if err != nil {
		return pipeline.Fingerprint{}, err
	}
	in := ingest.New(readID(drillSource), ingest.Options{
		Source: drillSource, Publish: a.stream, Now: a.now, Mask: g.mask.Bytes,
		Normalise: func(rec *pipeline.Record) (pipeline.Report, error) { return g.Normalise(drillSource, rec) },
	})
	taken, err := in.Records(ctx, []pipeline.Record{rec})
	if err == nil && taken.Accepted != 1 {
		err = fmt.Errorf("the drill's finding was not taken in: %+v", taken.Rejected)
	}
	return rep.Print, err
}

// step notes how a step ended.
func (d *drill) step(sink, name string, ok bool, format string, args ...any) {
	d.out.Steps = append(d.out.Steps, api.DrillStep{
		Sink: sink, Name: name, OK: ok, Text: fmt.Sprintf(format, args...), After: time.Since(d.began),
	})
}

// forth makes the tickets and looks for them.
func (d *drill) forth(ctx context.Context) error {
	d.tell("taking the finding in", 0, 0)
	print, err := d.say(ctx, "open")
	if err != nil {
		return err
	}
	ok, err := d.until(ctx, func() (bool, error) { return d.find(print) })
	if err != nil {
		return err
	}
	if !ok {
		why := "triage has not come to it after " + d.wait.String()
		if x, err := d.app.Explain(ctx, print.String()); err == nil {
			why = x.Verdict
		}
		d.step("", "finding", false, "no case: %s", why)
		return nil
	}
	d.step("", "finding", true, "%s is taken in and decided: %s", print.Short(), d.out.Case)
	for _, s := range d.sinks {
		if err := d.arrives(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// find notes the drill's case, once there is one.
func (d *drill) find(print pipeline.Fingerprint) (bool, error) {
	snap, err := d.app.store.View()
	if err != nil {
		return false, err
	}
	defer snap.Close()
	h, ok := snap.Hot(print)
	if !ok || h.Case == 0 {
		return false, nil
	}
	d.number, d.out.Case = h.Case, triage.CaseID(h.Case)
	return true, nil
}

// entry is the drill's case in a sink.
func (d *drill) entry(sink string) (*triage.Entry, error) {
	snap, err := d.app.store.View()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	c, err := snap.Case(d.number)
	if err != nil || c == nil || c.Entries[sink] == nil {
		return nil, errors.Join(err, fmt.Errorf("%s has no ticket in %s", d.out.Case, sink))
	}
	return c.Entries[sink], nil
}

// arrives waits for the ticket in one sink, and looks for it there.
func (d *drill) arrives(ctx context.Context, s *Sink) error {
	d.tell("waiting for the ticket in "+s.Name, 0, 0)
	e, ok, err := d.rests(ctx, s.Name, func(e *triage.Entry) bool { return !e.Ref.IsZero() && e.IsOpen })
	if err != nil || !ok {
		return err
	}
	d.step(s.Name, "ticket", true, "%s is open%s", cmp.Or(e.Ref.Key, e.Ref.ID), at(e.Ref))
	f, can := s.Sink.(pipeline.Finder)
	if !can {
		d.step(s.Name, "look-up", true, "%s cannot be asked: its answer stands for the ticket", s.Name)
		return nil
	}
	d.tell("looking for the ticket in "+s.Name, 0, 0)
	key := pipeline.TicketKey(d.app.Graph().Rules.Installation, drillKey(d.id), e.Gen)
	var last string
	ok, err = d.until(ctx, func() (bool, error) {
		call, cancel := context.WithTimeoutCause(ctx, s.Unsure.Deadline, errors.New("the look-up took longer than unsure.deadline"))
		defer cancel()
		refs, err := f.Find(call, key)
		switch {
		case err != nil:
			last = err.Error()
		case len(refs) == 0:
			last = "nothing has the key"
		case len(refs) > 1:
			last = fmt.Sprintf("%d records have the key", len(refs))
		case refs[0].ID != e.Ref.ID:
			last = "another record has the key: " + cmp.Or(refs[0].Key, refs[0].ID)
		default:
			return true, nil
		}
		return false, nil
	})
	switch {
	case err != nil:
	case ok:
		d.step(s.Name, "look-up", true, "found by its key %s", key)
	default:
		d.step(s.Name, "look-up", false, "not found by its key %s after %s: %s", key, d.wait, last)
	}
	return err
}

func at(r pipeline.Ref) string {
	if r.URL == "" {
		return ""
	}
	return ": " + r.URL
}

// rests waits until the ticket in a sink is as it should be, or cannot be; the step that failed is noted.
func (d *drill) rests(ctx context.Context, sink string, so func(*triage.Entry) bool) (e *triage.Entry, ok bool, err error) {
	ok, err = d.until(ctx, func() (bool, error) {
		if e, err = d.entry(sink); err != nil {
			return false, err
		}
		stuck, _ := e.Stuck()
		return stuck != "" || so(e) && e.Delivered == e.Wanted, nil
	})
	if err != nil {
		return nil, false, err
	}
	if st, _ := e.Stuck(); st != "" {
		d.step(sink, "ticket", false, "%s: %s", st, e.Reason)
		return e, false, nil
	}
	if !ok {
		d.step(sink, "ticket", false, "%s", d.late(sink))
	}
	return e, ok, nil
}

// late says why nothing came of an action in time.
func (d *drill) late(sink string) string {
	why := fmt.Sprintf("not delivered after %s", d.wait)
	for _, x := range d.app.deliveries() {
		st := x.loop.Status()
		if st.Sink != sink {
			continue
		}
		switch {
		case st.Stopped != "":
			return why + ": the credentials are refused: " + st.Stopped
		case st.Braked:
			return why + ": the brake is on"
		case st.LastError != "":
			return why + ": " + st.LastError
		}
	}
	return why
}

// back resolves the finding and waits until its tickets are closed.
func (d *drill) back(ctx context.Context) error {
	d.tell("resolving the finding", 0, 0)
	if _, err := d.say(ctx, "resolved"); err != nil {
		return err
	}
	if d.number == 0 {
		return nil
	}
	ok, err := d.until(ctx, func() (bool, error) {
		snap, err := d.app.store.View()
		if err != nil {
			return false, err
		}
		defer snap.Close()
		c, err := snap.Case(d.number)
		return c != nil && !c.Open, err
	})
	if err != nil {
		return err
	}
	d.step("", "resolved", ok, "%s is %s", d.out.Case, map[bool]string{true: "closed: its finding is resolved", false: "still open"}[ok])
	for _, s := range d.sinks {
		e, err := d.entry(s.Name)
		if err != nil {
			return err
		}
		if st, _ := e.Stuck(); st != "" || e.Ref.IsZero() && e.St != triage.Inflight {
			continue // it never arrived, and that was said
		}
		d.tell("waiting for the ticket in "+s.Name+" to close", 0, 0)
		e, ok, err := d.rests(ctx, s.Name, func(e *triage.Entry) bool { return !e.IsOpen })
		if err != nil {
			return err
		}
		if ok {
			d.step(s.Name, "closed", true, "%s is closed", cmp.Or(e.Ref.Key, e.Ref.ID))
		}
	}
	return nil
}

// until looks again and again whether so is true, for at most the drill's wait.
func (d *drill) until(ctx context.Context, so func() (bool, error)) (bool, error) {
	end := time.Now().Add(d.wait)
	for {
		if ok, err := so(); ok || err != nil {
			return ok, err
		}
		if time.Now().After(end) {
			return false, nil
		}
		select {
		case <-time.After(drillLook):
		case <-d.app.failed:
			return false, d.app.failure
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// end resolves the finding of a drill that was cut off, so that nothing of it stays open.
func (d *drill) end(ctx context.Context) error {
	soon, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), drillClean, errors.New("ending the drill took too long"))
	defer cancel()
	_, err := d.say(soon, "resolved")
	return errors.Join(err, d.giveUp(soon))
}

// giveUp drops what of the drill could not be delivered: nobody is to look after it.
func (d *drill) giveUp(ctx context.Context) error {
	if d.number == 0 {
		return nil
	}
	rows, err := d.app.DeadLetters(ctx, api.DeadLetterFilter{Case: []string{triage.CaseID(d.number)}})
	if err != nil || !slices.ContainsFunc(rows, func(r api.DeadLetter) bool { return !r.GivenUp }) {
		return err
	}
	_, err = d.app.Act(ctx, pipeline.Interaction{Verb: pipeline.VerbDrop, Cases: []string{triage.CaseID(d.number)}, By: drillProduct, Via: "drill"})
	return err
}
