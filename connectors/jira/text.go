package jira

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// data is what templates see of a ticket. In a description_file texts are to be put through wiki.
func data(t pipeline.Ticket) ticket.Data { return ticket.NewData(t) }

// templates compiles each text, and reads each file, once. It is safe for concurrent use.
type templates struct {
	base  string // where the relative path of a file starts
	mu    sync.Mutex
	all   map[string]*ticket.Template
	files map[string]string // by name as it is written
}

// file is the text of a description_file. It is read when the configuration is loaded, not again.
func (c *templates) file(name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text, ok := c.files[name]; ok {
		return text, nil
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.base, path)
	}
	text, err := ticket.ReadFile(path)
	if err != nil {
		return "", err
	}
	if c.files == nil {
		c.files = map[string]string{}
	}
	c.files[name] = string(text)
	return string(text), nil
}

// try fills every template in for an empty ticket, so that a misspelt field is found at load. Errors
// begin with their key.
func (c *templates) try(texts ticket.Texts, fields map[string]any) error {
	d := data(pipeline.Ticket{Case: "DK-1"})
	var errs []error
	try := func(key string, v any) {
		if _, err := c.renderValue(v, d); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	try("templates.title", texts.Title)
	if texts.DescriptionFile != "" {
		text, err := c.file(texts.DescriptionFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("templates.description_file: %w", err))
		}
		try("templates.description_file", text)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		try("fields."+name, fields[name])
	}
	return errors.Join(errs...)
}

// templatesKept bounds the cache; texts come from the configuration, so that it is never reached in practice.
const templatesKept = 1000

func (c *templates) of(text string) (*ticket.Template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.all[text]; ok {
		return t, nil
	}
	t, err := ticket.Compile("", text, template.FuncMap{"wiki": wikiText})
	if err != nil {
		return nil, err
	}
	if c.all == nil || len(c.all) >= templatesKept {
		c.all = map[string]*ticket.Template{}
	}
	c.all[text] = t
	return t, nil
}

// render is a text of the configuration with its templates filled in.
func (c *templates) render(text string, d ticket.Data) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := c.of(text)
	if err != nil {
		return "", err
	}
	return t.Execute(d)
}

// renderValue renders every text in a value of the configuration.
func (c *templates) renderValue(v any, d ticket.Data) (any, error) {
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
	texts, err := s.config.Templates.Over(t.Settings)
	if err != nil {
		return "", err
	}
	if texts.Title == "" {
		return clip(ticket.Title(t), summaryRunes), nil
	}
	text, err := s.templates.render(texts.Title, data(t))
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
	texts, err := s.config.Templates.Over(t.Settings)
	if err != nil {
		return "", "", err
	}
	if texts.DescriptionFile != "" {
		d := data(t)
		d.Text = full
		text, err := s.templates.file(texts.DescriptionFile)
		if err == nil {
			full, err = s.templates.render(text, d)
		}
		if err != nil {
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
	var b strings.Builder
	b.WriteString(wiki(ticket.Comment(pipeline.Comment{EventID: c.EventID, Time: c.Time})))
	for _, l := range c.Lines {
		mark := "* "
		if rest, nested := strings.CutPrefix(l, "- "); nested {
			mark, l = "** ", rest // an item of the list that the line before begins
		}
		if l = ticket.Line(l, ticket.DescriptionRunes); l != "" {
			b.WriteString(mark + wikiText(l) + "\n")
		}
	}
	s, _ := cutWiki(b.String(), limit, "\n_Cut here._\n")
	return s
}

// commentHead is how the first line of the comment of an event ends.
func commentHead(event string) string { return "(" + wikiText(event) + ")" }
