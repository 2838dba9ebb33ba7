package file

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// texts are the templates of a sink and of the teams and routes that have their own, compiled once.
type texts struct {
	own  ticket.Texts
	base string
	mu   sync.Mutex
	all  map[ticket.Texts]*compiled
}

// compiled are the templates of one place; nil stands for docket's own text.
type compiled struct{ title, description *ticket.Template }

// of compiles templates. The error begins with their key; it is found at load.
func (x *texts) of(t ticket.Texts) (*compiled, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.all[t]; c != nil {
		return c, nil
	}
	c := &compiled{}
	var errs []error
	if t.Title != "" {
		var err error
		if c.title, err = ticket.Compile("", t.Title, nil); err != nil {
			errs = append(errs, fmt.Errorf("templates.title: %w", err))
		}
	}
	if t.DescriptionFile != "" {
		var err error
		if c.description, err = x.file(t.DescriptionFile); err != nil {
			errs = append(errs, fmt.Errorf("templates.description_file: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if x.all == nil {
		x.all = map[ticket.Texts]*compiled{}
	}
	x.all[t] = c
	return c, nil
}

func (x *texts) file(name string) (*ticket.Template, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(x.base, path)
	}
	b, err := ticket.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(b), "\n") {
		if line = strings.TrimSpace(line); line == strings.TrimSpace(notesHeading) || line == strings.TrimSpace(historyHeading) {
			return nil, fmt.Errorf("%s:%d: %q is a heading of docket's own: call it otherwise", name, i+1, line)
		}
	}
	return ticket.Compile(name, string(b), ticket.Functions())
}

// render is the title and the text of a ticket.
func (x *texts) render(t pipeline.Ticket) (title, text string, err error) {
	title = ticket.Title(t)
	which, err := x.own.Over(t.Settings)
	if err != nil {
		return "", "", err
	}
	c, err := x.of(which)
	if err != nil {
		return "", "", err
	}
	if c.title == nil && c.description == nil {
		return title, ticket.Markdown(t), nil
	}
	d := ticket.NewData(t)
	if c.title != nil {
		if title, err = c.title.Execute(d); err != nil {
			return "", "", fmt.Errorf("templates.title: %w", err)
		}
		t.Title = title
		title = ticket.Title(t) // one line, as long as titles are
	}
	text = ticket.Markdown(t)
	if c.description == nil {
		return title, text, nil
	}
	d.Text = text
	if text, err = c.description.Execute(d); err != nil {
		return "", "", fmt.Errorf("templates.description_file: %w", err)
	}
	return title, strings.TrimRight(kept(text), "\n") + "\n", nil
}

// kept takes the sting out of lines that would read as docket's own headings, and out of control characters.
func kept(text string) string {
	lines := strings.Split(ticket.Clean(text), "\n")
	for i, l := range lines {
		if trimmed := strings.TrimSpace(l); trimmed == strings.TrimSpace(notesHeading) || trimmed == strings.TrimSpace(historyHeading) {
			lines[i] = `\` + trimmed
		}
	}
	return strings.Join(lines, "\n")
}

// CheckSettings compiles a team's templates.
func (s *Sink) CheckSettings(over map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(over)) {
		if key != "templates" {
			return fmt.Errorf("%s: a team can set templates", key)
		}
	}
	t, err := s.texts.own.Over(over)
	if err != nil {
		return err
	}
	_, err = s.texts.of(t)
	return err
}
