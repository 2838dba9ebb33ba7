package jira

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline"
)

// create makes the issue and reads it back. w.ref is set once the issue is known to exist, with an
// error too.
func (w *work) create(ctx context.Context) error {
	s := w.s
	if err := s.lost(w.settings.place()); err != nil {
		return err
	}
	sc, err := s.screens.of(ctx, w.settings.project, w.settings.issueType)
	if err != nil {
		return err
	}
	if err := s.carries(sc, w.settings.project); err != nil {
		return pipeline.Permanent(err)
	}
	fields, err := w.createFields(ctx, sc)
	if err != nil {
		return err
	}
	made, err := w.post(ctx, fields)
	if err != nil {
		if pipeline.IsPermanent(err) {
			s.screens.forget(w.settings.project, w.settings.issueType)
		}
		return named(fmt.Sprintf("creating a %s in project %s", sc.typeName, w.settings.project), err)
	}
	failpoint.Hit("jira/created")
	w.ref = s.ref(ctx, made)
	w.t.Ref, w.fresh = w.ref, true
	switch err := w.readBack(ctx); {
	case errors.Is(err, pipeline.ErrGone):
		return w.stop("cannot be read by this account (a security level, or a missing permission)")
	case err != nil:
		return fmt.Errorf("reading the new issue back: %w", err)
	}
	return w.confirm()
}

// carries reports whether a create screen takes the ticket key where the search will look for it.
func (s *Sink) carries(sc *screen, project string) error {
	field, key, fix := "labels", "labels", "put it there, or name a text field of that screen with key_field"
	if s.config.KeyField != "" {
		field, key, fix = s.config.KeyField, "key_field", "put it there, or leave key_field out to use a label"
	}
	if _, ok := sc.fields[field]; !ok {
		return fmt.Errorf("%s: %s is not on the create screen of %s in project %s; without it no ticket would be found again: %s", key, field, sc.typeName, project, fix)
	}
	return nil
}

func (w *work) createFields(ctx context.Context, sc *screen) (map[string]any, error) {
	wants, err := w.wants(ctx, sc, true)
	if err != nil {
		return nil, err
	}
	labels, err := w.wantedLabels()
	if err != nil {
		return nil, err
	}
	w.all, w.labels = wants, labels
	fields := map[string]any{
		"project":   map[string]string{"key": w.settings.project},
		"issuetype": map[string]string{"id": sc.typeID},
	}
	for _, x := range wants {
		if x.value != nil {
			fields[x.field] = x.value
		}
	}
	if _, ok := sc.fields["labels"]; ok && len(labels) > 0 && !planted.On("label-not-written") {
		fields["labels"] = labels
	}
	if f := w.s.config.KeyField; f != "" {
		fields[f] = w.t.Key
	}
	var missing []error
	for _, f := range sc.required() {
		if fields[f.ID] == nil {
			missing = append(missing, missingField(f, sc, w.settings.project))
		}
	}
	return fields, pipeline.Permanent(errors.Join(missing...))
}

// missingField says which required field nothing fills, and with what it can be filled.
func missingField(f fieldMeta, sc *screen, project string) error {
	has := ""
	if all := words(f.Allowed); len(all) > 0 {
		has = "; it takes " + strings.Join(all[:min(len(all), allowedShown)], ", ")
	}
	return fmt.Errorf("fields.%s: a %s in project %s needs a value for %q%s", f.ID, sc.typeName, project, f.Name, has)
}

// post sends the create. A refusal that is about the assignee alone costs the assignee: the 400 proves
// that nothing was made, and a ticket without one is better than none.
func (w *work) post(ctx context.Context, fields map[string]any) (*issue, error) {
	m := w.marker()
	m.Wrote = map[string]string{wordLabels: strings.Join(w.labels, " ")}
	for _, x := range w.all {
		m.Wrote[x.word] = digest(x.canon)
	}
	made, err := w.s.c.create(ctx, fields, m)
	if !w.unassign(err, fields, m) {
		return made, err
	}
	return w.s.c.create(ctx, fields, m)
}

// unassign takes the assignee out of a write that was refused for it alone, and reports whether it did.
func (w *work) unassign(err error, fields map[string]any, m marker) bool {
	refused, _ := refusals(err)
	if len(refused) != 1 || refused["assignee"] == "" || fields["assignee"] == nil {
		return false
	}
	w.s.log.Warn("the assignee was refused; the ticket goes without", "sink", w.s.name, "case", w.t.Case, "err", refused["assignee"])
	delete(fields, "assignee")
	delete(m.Wrote, wordAssignee)
	w.all = slices.DeleteFunc(w.all, func(x want) bool { return x.word == wordAssignee })
	return true
}

// confirm proves that the new issue can be found again.
func (w *work) confirm() error {
	m, ok := w.issue.marker()
	var missing string
	switch f := w.s.config.KeyField; {
	case !ok || m.Key != w.t.Key:
		missing = "the issue property " + propertyKey
	case f != "" && w.issue.value(f) != w.t.Key:
		missing = "its key in " + f + " (key_field)"
	case f == "" && !slices.Contains(w.issue.labels(), w.t.Key):
		missing = "its key as a label"
	default:
		return nil
	}
	return w.stop("does not carry " + missing)
}

// stop ends creating in a place whose new issues are not found again, until the settings change or docket is
// started again: they would be made again by every retry.
func (w *work) stop(why string) error {
	err := fmt.Errorf("project %s, %s: the new issue %s %s, so that docket would not find it again; no more are made there until the settings change", w.settings.project, w.settings.issueType, w.ref.Key, why)
	w.s.mu.Lock()
	w.s.refused[w.settings.place()] = err
	w.s.mu.Unlock()
	w.s.log.Error("creating tickets in this place is stopped", "sink", w.s.name, "ticket", w.ref.Key, "err", err)
	return pipeline.Permanent(err)
}

// lost is the refusal of a place whose issues lose their marker, before any call.
func (s *Sink) lost(place string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return pipeline.Permanent(s.refused[place])
}
