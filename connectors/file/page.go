package file

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
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
			if !p.head.read(front) && yaml.Unmarshal([]byte(front), &p.head) != nil {
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

// text is a line of front matter that is a text.
type text struct {
	name  string
	value *string
}

// texts are the texts of h, in the order in which they are written; the numbers stand before updated.
func (h *head) texts() []text {
	return []text{
		{"key", &h.Key}, {"case", &h.Case}, {"title", &h.Title}, {"state", &h.State}, {"why", &h.Why},
		{"priority", &h.Priority}, {"severity", &h.Severity}, {"team", &h.Team}, {"group", &h.Group},
		{"installation", &h.Home}, {"updated", &h.Updated}, {"previous", &h.Previous},
	}
}

// read takes a front matter as render writes it, at a fraction of what YAML costs; false, and nothing is
// set, where somebody wrote it otherwise.
func (h *head) read(front string) bool {
	var got head
	texts := got.texts()
	for line := range strings.SplitSeq(front, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		i := slices.IndexFunc(texts, func(t text) bool { return t.name == name })
		var err error
		switch {
		case name == "generation" && got.Gen == 0 && isNumber(value):
			got.Gen, err = strconv.Atoi(value)
		case name == "revision" && got.Revision == 0 && isNumber(value):
			got.Revision, err = strconv.ParseUint(value, 10, 64)
		case i < 0 || *texts[i].value != "":
			return false
		case value != "" && isPlainScalar(value):
			*texts[i].value = value
		default:
			*texts[i].value, err = unquote(value)
		}
		if err != nil {
			return false
		}
	}
	*h = got
	return true
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
	for _, f := range p.head.texts() {
		if f.name == "updated" {
			if p.head.Gen > 0 {
				fmt.Fprintf(&b, "generation: %d\n", p.head.Gen)
			}
			fmt.Fprintf(&b, "revision: %d\n", p.head.Revision)
		}
		field(&b, f.name, *f.value)
	}
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
	b.WriteString(name)
	b.WriteString(": ")
	if isPlainScalar(value) {
		b.WriteString(value)
	} else {
		quote(b, value)
	}
	b.WriteByte('\n')
}

func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '\\' || s[i] == '"' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}

// isNumber reports whether s begins as a number above 0 does that is one to everybody.
func isNumber(s string) bool { return s != "" && s[0] >= '1' && s[0] <= '9' }

var errQuoted = errors.New("not quoted as quote does it")

// unquote undoes quote, and refuses every other way to write a value, and what is not plain ASCII.
func unquote(s string) (string, error) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", errQuoted
	}
	s = s[1 : len(s)-1]
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"' || s[i] < ' ' || s[i] > '~':
			return "", errQuoted
		case s[i] == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", errQuoted
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), nil
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
