package file

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// Templates replace docket's own texts.
type Templates struct {
	Title           string `yaml:"title"`            // one line
	DescriptionFile string `yaml:"description_file"` // a file with Markdown; relative to the configuration file
}

// texts are the templates of a sink and of the teams that have their own, compiled once.
type texts struct {
	own  Templates
	base string
	mu   sync.Mutex
	all  map[Templates]*compiled
}

// compiled are the templates of one place; nil stands for docket's own text.
type compiled struct{ title, description *ticket.Template }

// of compiles templates. The error begins with their key; it is found at load.
func (x *texts) of(t Templates) (*compiled, error) {
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
		x.all = map[Templates]*compiled{}
	}
	x.all[t] = c
	return c, nil
}

func (x *texts) file(name string) (*ticket.Template, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(x.base, path)
	}
	b, err := os.ReadFile(path)
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

// overlaid are the sink's templates with a team's laid over them.
func (x *texts) overlaid(over map[string]any) (Templates, error) {
	t := x.own
	raw, given := over["templates"]
	if !given {
		return t, nil
	}
	m, ok := raw.(map[string]any)
	if !ok {
		return t, errors.New("templates: wants title and description_file")
	}
	for key, v := range m {
		text, ok := v.(string)
		switch {
		case !ok:
			return t, fmt.Errorf("templates.%s: wants a text", key)
		case key == "title":
			t.Title = text
		case key == "description_file":
			t.DescriptionFile = text
		default:
			return t, fmt.Errorf("templates.%s: there are title and description_file", key)
		}
	}
	return t, nil
}

// render is the title and the text of a ticket.
func (x *texts) render(t pipeline.Ticket) (title, text string, err error) {
	title = ticket.Title(t)
	which, err := x.overlaid(t.Settings)
	if err != nil {
		return "", "", err
	}
	c, err := x.of(which)
	if err != nil {
		return "", "", err
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
	t, err := s.texts.overlaid(over)
	if err != nil {
		return err
	}
	_, err = s.texts.of(t)
	return err
}
