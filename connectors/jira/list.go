package jira

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

var (
	_ pipeline.Lister        = (*Sink)(nil)
	_ pipeline.ForeignLister = (*Sink)(nil)
	_ pipeline.Previewer     = (*Sink)(nil)

	_ pipeline.SettingsChecker = (*Sink)(nil)
)

// listPages bounds a list; a page has 100 issues. A site with more needs another way to be compared.
const listPages = 1000

// listFields are what a list shows of an issue.
var listFields = []string{"summary", "status", "labels", "created", "updated"}

// List calls fn for every issue of docket's, in every project and status. The search proposes; an
// issue counts by the property that names its key. Data Center shows no properties in a search, so that each
// issue is read there.
func (s *Sink) List(ctx context.Context, fn func(pipeline.Listed) error) error {
	err := s.c.each(ctx, s.mine()+" ORDER BY created ASC", listPages, listFields, func(found *issue) error {
		i := found
		if len(i.Properties) == 0 {
			var err error
			i, err = s.c.read(ctx, found.ID, listFields...)
			if errors.Is(err, pipeline.ErrGone) {
				return nil // it is in the index only
			}
			if err != nil {
				return err
			}
		}
		m, ok := i.marker()
		if !ok || m.Key == "" {
			return nil // a clone, or somebody else's label
		}
		l := s.listed(ctx, i)
		l.Key, l.Gen, l.Case, l.Rev, l.Installation = m.Key, m.Gen, m.Case, m.Rev, m.Home
		l.Group, l.Labels = m.Group, i.labels()
		return fn(l)
	})
	if err != nil {
		return fmt.Errorf("listing issues: %w", err)
	}
	return nil
}

func (s *Sink) listed(ctx context.Context, i *issue) pipeline.Listed {
	return pipeline.Listed{
		Ref: s.ref(ctx, i), Open: i.state() == stateOpen, Created: i.time("created"), Updated: i.time("updated"), Title: i.value("summary"),
	}
}

// ListForeign calls fn for the issues of the sink's project that carry a label for which is says yes.
func (s *Sink) ListForeign(ctx context.Context, is func(label string) bool, fn func(pipeline.Listed) error) error {
	if s.config.Project == "" {
		return pipeline.Permanent(errors.New("project: name the project whose issues are to be taken over"))
	}
	fields := append([]string{"description"}, listFields...)
	err := s.c.each(ctx, "project = "+quoteJQL(s.config.Project)+" ORDER BY created ASC", listPages, fields, func(i *issue) error {
		if _, ours := i.marker(); ours || !slices.ContainsFunc(i.labels(), is) {
			return nil
		}
		l := s.listed(ctx, i)
		l.Labels, l.Text = i.labels(), plainDescription(i.Fields["description"])
		return fn(l)
	})
	if err != nil {
		return fmt.Errorf("listing the issues of project %s: %w", s.config.Project, err)
	}
	return nil
}

// plainDescription is the text of a description: wiki markup as it is, and of an Atlassian document, which
// version 3 of the interface answers, its texts and links.
func plainDescription(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var doc any
	if json.Unmarshal(raw, &doc) != nil {
		return ""
	}
	var b strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range []string{"text", "href", "url", "content", "marks", "attrs"} {
				walk(v[key])
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case string:
			b.WriteString(v + " ")
		}
	}
	walk(doc)
	return b.String()
}

// Preview is what a new issue would hold: title, wiki markup, and the fields of the call that makes it, typed
// by the create screen. Jira is read, nothing is changed.
func (s *Sink) Preview(ctx context.Context, t pipeline.Ticket) (pipeline.Preview, error) {
	eff, err := s.config.settings(t.Settings)
	if err != nil {
		return pipeline.Preview{}, err
	}
	sc, err := s.screens.of(ctx, eff.project, eff.issueType)
	if err != nil {
		return pipeline.Preview{}, err
	}
	w := &work{s: s, t: t, settings: eff}
	// Why fields are refused shows in the tickets; what can be shown is shown.
	fields, refused := w.createFields(ctx, sc)
	if fields == nil {
		return pipeline.Preview{}, refused
	}
	title, _ := fields["summary"].(string)
	text, _ := fields["description"].(string)
	delete(fields, "summary")
	delete(fields, "description")
	if refused != nil {
		fields["refused"] = ticket.Line(refused.Error(), ticket.DescriptionRunes)
	}
	return pipeline.Preview{Title: title, Format: "wiki", Body: text, Fields: fields}, nil
}
