package jira

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// Data is what templates see. All texts are cleaned of control and invisible characters; in a
// description_file they are to be put through wiki.
type Data struct {
	Case   Case
	Ticket pipeline.Ticket
	Reason string // why the ticket is closed; empty while it is open
	Text   string // docket's own description as wiki markup; only in description_file
}

// Case is the part of a ticket that most templates want, as plain texts.
type Case struct {
	ID, Key, Team, Route       string
	Title, Description         string
	Account, AccountName       string
	Region                     string
	Resource, ResourceType     string
	Priority, Severity         string
	Count, Total               int
	Since, Due                 string // dates, 2006-01-02; Due is empty without an SLA
	URL                        string
	Group, AccountTags, Labels map[string]string
}

func data(t pipeline.Ticket) Data {
	line := func(s string) string { return ticket.Line(s, ticket.DescriptionRunes) }
	day := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return at.UTC().Format("2006-01-02")
	}
	c := Case{
		ID: t.Case, Key: t.Key, Team: line(t.Team), Route: line(t.Route),
		Title: ticket.Title(t), Description: ticket.Cut(ticket.Clean(t.Description), ticket.DescriptionRunes),
		Account: line(t.Account.ID), AccountName: line(t.Account.Name), Region: line(t.Region),
		Resource: line(t.Resource.ID), ResourceType: line(t.Resource.Type),
		Priority: t.Priority.String(), Severity: t.Severity.String(), Count: t.Count, Total: t.Total,
		Since: day(t.Since), Due: day(t.Due), URL: t.CaseURL,
		Group: map[string]string{}, AccountTags: map[string]string{}, Labels: map[string]string{},
	}
	for _, g := range t.Group {
		c.Group[g.Name] = line(g.Value)
	}
	for k, v := range t.Account.Tags {
		c.AccountTags[k] = line(v)
	}
	for _, l := range t.Labels {
		c.Labels[l] = l
	}
	return Data{Case: c, Ticket: t, Reason: line(t.Why)}
}

// templates compiles each text once. It is safe for concurrent use.
type templates struct {
	mu  sync.Mutex
	all map[string]*template.Template
}

// templatesKept bounds the cache; texts come from the configuration, so that it is never reached in practice.
const templatesKept = 1000

func (c *templates) of(text string) (*template.Template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.all[text]; ok {
		return t, nil
	}
	t, err := template.New("").Option("missingkey=zero").Funcs(template.FuncMap{
		"wiki": wikiText, "lower": strings.ToLower, "upper": strings.ToUpper,
		"join": func(list []string, by string) string { return strings.Join(list, by) },
	}).Parse(text)
	if err != nil {
		return nil, templateError(err)
	}
	if c.all == nil || len(c.all) >= templatesKept {
		c.all = map[string]*template.Template{}
	}
	c.all[text] = t
	return t, nil
}

// templateError drops the prefix that names a template of no name.
func templateError(err error) error {
	return fmt.Errorf("the template is wrong: %s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "template: "), ":"))
}

// render is a text of the configuration with its templates filled in.
func (c *templates) render(text string, d Data) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := c.of(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, d); err != nil {
		return "", templateError(err)
	}
	return b.String(), nil
}

// renderValue renders every text in a value of the configuration.
func (c *templates) renderValue(v any, d Data) (any, error) {
	switch v := v.(type) {
	case string:
		return c.render(v, d)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			r, err := c.renderValue(x, d)
			if err != nil {
				return nil, err
			}
			out[i] = r
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			r, err := c.renderValue(v[k], d)
			if err != nil {
				return nil, err
			}
			out[k] = r
		}
		return out, nil
	}
	return v, nil
}

// title is the summary: one line of at most 255 characters.
func (s *Sink) title(t pipeline.Ticket) (string, error) {
	if s.config.Templates.Title == "" {
		return clip(ticket.Title(t), summaryRunes), nil
	}
	text, err := s.templates.render(s.config.Templates.Title, data(t))
	if err != nil {
		return "", fmt.Errorf("templates.title: %w", err)
	}
	if text = strings.Join(strings.Fields(ticket.Clean(text)), " "); text == "" {
		text = ticket.Title(t)
	}
	return clip(text, summaryRunes), nil
}

// text is the description: what fits, and the whole as Markdown where it does not fit.
func (s *Sink) text(t pipeline.Ticket) (fits, whole string, err error) {
	markdown := ticket.Markdown(t)
	full := wiki(markdown)
	if s.description != "" {
		d := data(t)
		d.Text = full
		if full, err = s.templates.render(s.description, d); err != nil {
			return "", "", fmt.Errorf("templates.description_file: %w", err)
		}
	}
	fits, cut := cutWiki(full, s.config.DescriptionLimit, "\n_Cut here: the text is longer than the tracker takes. The whole of it is attached._\n")
	if !cut {
		return fits, "", nil
	}
	return fits, markdown, nil
}

// commentText is a comment as wiki markup. Its first line carries the event id.
func commentText(c pipeline.Comment, limit int) string {
	s, _ := cutWiki(wiki(ticket.Comment(c)), limit, "\n_Cut here._\n")
	return s
}

// commentHead is how the first line of the comment of an event ends.
func commentHead(event string) string { return "(" + wikiText(event) + ")" }
