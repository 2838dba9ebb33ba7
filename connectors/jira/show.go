package jira

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

var (
	_ pipeline.Renderer = (*Sink)(nil)
	_ pipeline.Remover  = (*Sink)(nil)
)

// plainWants are the fields as far as they are known without asking Jira: by their ids, as text.
func (s *Sink) plainWants(t pipeline.Ticket) (eff settings, title, text string, fields map[string]string, err error) {
	if eff, err = s.config.settings(t.Settings); err != nil {
		return eff, "", "", nil, err
	}
	if title, err = s.title(t); err != nil {
		return eff, "", "", nil, err
	}
	if text, _, err = s.text(t); err != nil {
		return eff, "", "", nil, err
	}
	w := &work{s: s, t: t, settings: eff}
	labels, err := w.wantedLabels()
	if err != nil {
		return eff, "", "", nil, err
	}
	fields = map[string]string{"labels": strings.Join(labels, " ")}
	if name, ok := eff.priorities[t.Priority.String()]; ok {
		fields["priority"] = name
	} else {
		fields["priority"] = usualPriority(t.Priority)
	}
	if eff.dueDate && !t.Due.IsZero() {
		fields["duedate"] = t.Due.UTC().Format("2006-01-02")
	}
	d := data(t)
	for _, field := range slices.Sorted(maps.Keys(eff.fields)) {
		if field == "labels" {
			continue
		}
		v, err := s.templates.renderValue(eff.fields[field], d)
		if err != nil {
			return eff, "", "", nil, fmt.Errorf("fields.%s: %w", field, err)
		}
		fields[field] = canonText(plainText(v))
	}
	return eff, title, text, fields, nil
}

// Fields are the values that Apply would write, as far as they are known without asking Jira.
func (s *Sink) Fields(t pipeline.Ticket) pipeline.Fields {
	eff, title, text, fields, err := s.plainWants(t)
	if err != nil {
		return nil // Apply says why
	}
	f := pipeline.Fields{wordTitle: canonText(title), wordDescription: short(canonText(text))}
	words := map[string]string{"priority": wordPriority, "duedate": wordDue, "labels": wordLabels}
	for field, v := range fields {
		if word, ok := words[field]; ok {
			field = word
		}
		f[field] = short(v)
	}
	if t.Open != t.WasOpen && !t.Ref.IsZero() {
		f[wordState] = eff.transitions.Reopen
		if !t.Open {
			f[wordState], f[wordResolution] = eff.transitions.Close, eff.resolution(t.Why)
		}
	}
	maps.DeleteFunc(f, func(_, v string) bool { return v == "" })
	return f
}

// Remove deletes an issue that carries a ticket key of docket's; any other is refused. One that is not there
// is no error.
func (s *Sink) Remove(ctx context.Context, ref pipeline.Ref) error {
	i, err := s.c.read(ctx, ref.ID, "summary")
	if errors.Is(err, pipeline.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if m, ok := i.marker(); !ok || !isTicketKey(m.Key) {
		return pipeline.Permanent(fmt.Errorf("%s is no ticket of docket's: it is not deleted", i.Key))
	}
	_, err = s.c.http.Do(ctx, http.MethodDelete, issuePath(i.ID), nil, nil)
	if err != nil && !errors.Is(err, pipeline.ErrGone) {
		return fmt.Errorf("deleting %s: %w", i.Key, err)
	}
	return nil
}
