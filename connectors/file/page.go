package file

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// head is the front matter of a ticket file.
type head struct {
	Key      string `yaml:"key"`
	Case     string `yaml:"case"`
	Title    string `yaml:"title"`
	State    string `yaml:"state"` // open or closed
	Why      string `yaml:"why"`   // why it is closed
	Priority string `yaml:"priority"`
	Severity string `yaml:"severity"`
	Team     string `yaml:"team"`
	Group    string `yaml:"group"` // what the case is grouped by: name=value; name=value
	Gen      int    `yaml:"generation"`
	Home     string `yaml:"installation"`
	Revision uint64 `yaml:"revision"`
	Updated  string `yaml:"updated"` // when docket last wrote the file
	Previous string `yaml:"previous"`
}

// page is a ticket file taken apart: what docket keeps when it writes it again.
type page struct {
	head    head
	notes   string // a person's, as written
	history string // entries, oldest first
}

// The words of a head's state.
const (
	stateOpen   = "open"
	stateClosed = "closed"
)

// The headings that begin the two sections which are kept. Text from outside
// never begins a line with #: package ticket escapes it.
const (
	fence          = "---\n"
	notesHeading   = "\n## Notes\n"
	historyHeading = "\n## History\n"
	notesHint      = "*Write below: docket keeps this section, and rewrites what stands above it.*"
	entryHeading   = "### "
)

// parse takes a file apart. A damaged front matter reads as an unknown revision:
// the file is then written anew, its notes and history kept.
func parse(text string) page {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var p page
	if rest, ok := strings.CutPrefix(text, fence); ok {
		if front, body, ok := strings.Cut(rest, "\n"+fence); ok {
			if yaml.Unmarshal([]byte(front), &p.head) != nil {
				p.head = head{}
			}
			text = body
		}
	}
	if _, after, ok := strings.Cut(text, notesHeading); ok {
		text = "\n" + after
		notes, history, ok := strings.Cut(text, historyHeading)
		p.notes = strings.TrimSpace(strings.Replace(notes, notesHint, "", 1))
		if ok {
			p.history = strings.TrimSpace(history)
		}
		return p
	}
	if _, history, ok := strings.Cut(text, historyHeading); ok {
		p.history = strings.TrimSpace(history)
	}
	return p
}

// next is the page that t asks for under a title, on top of what p holds.
func (p page) next(t pipeline.Ticket, title string, now time.Time) page {
	n := page{notes: p.notes, history: p.history}
	n.head = head{
		Key: t.Key, Case: t.Case, Title: title, State: stateOpen, Priority: t.Priority.String(),
		Severity: t.Severity.String(), Team: ticket.Line(t.Team, ticket.TitleRunes), Revision: t.Rev,
		Group: groupWord(t.Group), Gen: t.Gen, Home: ticket.Line(t.Installation, ticket.TitleRunes),
		Updated: p.head.Updated, Previous: previous(t.Previous),
	}
	if !t.Open {
		n.head.State, n.head.Why = stateClosed, ticket.Line(t.Why, ticket.TitleRunes)
	}
	told := false
	for _, c := range t.Comments {
		told = n.add(c.Time, c.EventID, c.Lines) || told
	}
	// People read the history: a close or reopen that came without a comment still shows there.
	if was := p.head.State; !told && was != "" && was != n.head.State {
		line := "Reopened."
		if !t.Open {
			line = strings.TrimSuffix("Closed: "+n.head.Why, ": ") + "."
		}
		n.add(now, fmt.Sprintf("%s/r%d %s", t.Case, t.Rev, n.head.State), []string{line})
	}
	return n
}

func previous(r pipeline.Ref) string {
	for _, s := range []string{r.URL, r.Key, r.ID} {
		if s != "" {
			return ticket.Line(s, 4*ticket.TitleRunes)
		}
	}
	return ""
}

// add appends an entry to the history unless one with its event id is there;
// it reports whether the entry is new.
func (p *page) add(at time.Time, event string, lines []string) bool {
	event = ticket.Line(event, ticket.TitleRunes)
	if p.has(event) {
		return false
	}
	var b strings.Builder
	b.WriteString(p.history)
	if p.history != "" {
		b.WriteString("\n\n")
	}
	b.WriteString(entryHeading + at.UTC().Format("2006-01-02 15:04 UTC") + " (" + event + ")\n\n")
	for _, l := range lines {
		mark := "- "
		if rest, nested := strings.CutPrefix(l, mark); nested {
			mark, l = "  - ", rest // an item of the list that the line before begins
		}
		if l = ticket.Escape(ticket.Cut(l, ticket.DescriptionRunes)); l != "" {
			b.WriteString(mark + l + "\n")
		}
	}
	p.history = strings.TrimSpace(b.String())
	return true
}

func (p *page) has(event string) bool {
	for line := range strings.SplitSeq(p.history, "\n") {
		if strings.HasPrefix(line, entryHeading) && strings.HasSuffix(line, " ("+event+")") {
			return true
		}
	}
	return false
}

// render writes the whole file round the ticket's text.
func (p page) render(text string) string {
	var b strings.Builder
	b.Grow(len(text) + len(p.notes) + len(p.history) + 1024)
	b.WriteString(fence)
	for _, f := range []struct{ name, value string }{
		{"key", p.head.Key}, {"case", p.head.Case}, {"title", p.head.Title}, {"state", p.head.State}, {"why", p.head.Why},
		{"priority", p.head.Priority}, {"severity", p.head.Severity}, {"team", p.head.Team},
		{"group", p.head.Group}, {"installation", p.head.Home},
	} {
		field(&b, f.name, f.value)
	}
	if p.head.Gen > 0 {
		fmt.Fprintf(&b, "generation: %d\n", p.head.Gen)
	}
	fmt.Fprintf(&b, "revision: %d\n", p.head.Revision)
	field(&b, "updated", p.head.Updated)
	field(&b, "previous", p.head.Previous)
	b.WriteString(fence + "\n")
	b.WriteString(text)
	b.WriteString(notesHeading + "\n" + notesHint + "\n")
	if p.notes != "" {
		b.WriteString("\n" + p.notes + "\n")
	}
	b.WriteString(historyHeading)
	if p.history != "" {
		b.WriteString("\n" + p.history + "\n")
	}
	return b.String()
}

// field writes one line of front matter; what is not plain letters stands in
// double quotes (YAML 1.2, 7.3.1).
func field(b *strings.Builder, name, value string) {
	if value == "" {
		return
	}
	if !isPlainScalar(value) {
		value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	b.WriteString(name + ": " + value + "\n")
}

// isPlainScalar reports whether a value reads back as the same string without
// quotes: letters first, so that it is no number and no date; words of YAML's own are none of ours.
func isPlainScalar(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return strings.ContainsAny(s[:1], letters) && strings.Trim(s, letters+"0123456789-_") == ""
}
