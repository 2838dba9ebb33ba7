package jira

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

var (
	_ pipeline.Renderer  = (*Sink)(nil)
	_ pipeline.Previewer = (*Sink)(nil)
	_ pipeline.Lister    = (*Sink)(nil)
	_ pipeline.Remover   = (*Sink)(nil)

	_ pipeline.ForeignLister = (*Sink)(nil)
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

// Preview is the issue as it would be made.
func (s *Sink) Preview(_ context.Context, t pipeline.Ticket) (pipeline.Preview, error) {
	eff, title, text, fields, err := s.plainWants(t)
	if err != nil {
		return pipeline.Preview{}, err
	}
	p := pipeline.Preview{Title: title, Format: "wiki", Body: text, Fields: map[string]any{"project": eff.project, "issuetype": eff.issueType}}
	for field, v := range fields {
		if v != "" {
			p.Fields[field] = v
		}
	}
	p.Fields["labels"] = strings.Fields(fields["labels"])
	if f := s.config.KeyField; f != "" {
		p.Fields[f] = t.Key
	}
	return p, nil
}

// List calls fn for every issue of docket's that this account may see, in every project and status, oldest
// first. The search proposes, the issue's own property decides.
func (s *Sink) List(ctx context.Context, fn func(pipeline.Listed) error) error {
	err := s.c.each(ctx, s.mine()+" ORDER BY created ASC", changedPages, []string{"created"}, func(hit *issue) error {
		i, err := s.c.read(ctx, hit.ID, "summary", "status", "created", "updated", "labels")
		if errors.Is(err, pipeline.ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		m, _ := i.marker()
		if m.Key == "" {
			return nil // a clone, or one that was given up
		}
		return fn(pipeline.Listed{
			Ref: s.ref(ctx, i), Key: m.Key, Gen: m.Gen, Case: m.Case, Rev: m.Rev, Open: i.state() == stateOpen,
			Created: i.time("created"), Updated: i.time("updated"), Title: i.value("summary"), Group: m.Group, Labels: i.labels(),
		})
	})
	if err != nil {
		return fmt.Errorf("listing tickets: %w", err)
	}
	return nil
}

// ListForeign calls fn for every issue of the sink's project with a label for which is says yes, oldest
// first, as the index knows it. JQL cannot look for the beginning of a label, so that the whole project is read.
func (s *Sink) ListForeign(ctx context.Context, is func(label string) bool, fn func(pipeline.Listed) error) error {
	if s.config.Project == "" {
		return pipeline.Permanent(errors.New("project: name the project whose tickets are to be taken over"))
	}
	jql := "project = " + quoteJQL(s.config.Project) + " ORDER BY created ASC"
	fields := []string{"summary", "description", "status", "created", "updated", "labels"}
	err := s.c.each(ctx, jql, changedPages, fields, func(i *issue) error {
		if !slices.ContainsFunc(i.labels(), is) {
			return nil
		}
		var text string
		_ = json.Unmarshal(i.Fields["description"], &text) // none stays empty
		return fn(pipeline.Listed{
			Ref: s.ref(ctx, i), Open: i.state() == stateOpen, Created: i.time("created"), Updated: i.time("updated"),
			Title: i.value("summary"), Labels: i.labels(), Text: text,
		})
	})
	if err != nil {
		return fmt.Errorf("listing tickets of another tool: %w", err)
	}
	return nil
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
