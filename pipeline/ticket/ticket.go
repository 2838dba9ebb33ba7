package ticket

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// How much of outside text a ticket carries, in characters. Trackers take
// 32,767 in a description (Jira Cloud's limit); these leave room for the rest.
const (
	TitleRunes       = 200
	DescriptionRunes = 8000
	RemediationRunes = 6000
	cellRunes        = 160
	listed           = 20      // links and compliance controls
	usualBytes       = 4 << 10 // of a ticket's text
)

// Title is the ticket's title as one cleaned line of at most TitleRunes
// characters, without markup. A ticket without one is called by its case.
func Title(t pipeline.Ticket) string {
	if s := Line(t.Title, TitleRunes); s != "" {
		return s
	}
	return "Security findings of case " + t.Case
}

// Markdown is the whole text of a ticket (CommonMark with GFM tables and task
// lists), without its history. It ends with a newline.
func Markdown(t pipeline.Ticket) string {
	w := &writer{}
	w.b.Grow(usualBytes)
	w.line("# " + Escape(Title(t)))
	w.summary(&t)
	w.what(&t)
	w.where(&t)
	w.when(&t)
	w.why(&t)
	w.list("Compliance controls", t.Compliance, Escape)
	w.fix(&t)
	w.recovery(t)
	w.findings(&t)
	w.accept(&t)
	w.about(&t)
	return w.b.String()
}

// Comment is one delivered change as Markdown: a line each. The event id stands
// on it, so that the comment is found before it is written again. It ends with a newline.
func Comment(c pipeline.Comment) string {
	w := &writer{}
	w.line("**" + stamp(c.Time) + "** (" + Escape(c.EventID) + ")")
	w.line("")
	for _, l := range c.Lines {
		if l = Escape(Cut(l, DescriptionRunes)); l != "" {
			w.line("- " + l)
		}
	}
	return w.b.String()
}

type writer struct{ b strings.Builder }

func (w *writer) line(s string) {
	w.b.WriteString(s)
	w.b.WriteByte('\n')
}

func (w *writer) heading(s string) {
	w.line("")
	w.line("## " + s)
	w.line("")
}

// field writes a list entry when there is a value; the value is Markdown already.
func (w *writer) field(name, value string) {
	if value != "" {
		w.line("- " + name + ": " + value)
	}
}

func (w *writer) list(heading string, items []string, show func(string) string) {
	if len(items) == 0 {
		return
	}
	w.heading(heading)
	w.items(items, show)
}

func (w *writer) items(items []string, show func(string) string) {
	for i, s := range items {
		if i == listed {
			w.line(fmt.Sprintf("- and %d more", len(items)-listed))
			break
		}
		w.line("- " + show(Cut(s, cellRunes*4)))
	}
}

func (w *writer) summary(t *pipeline.Ticket) {
	state := "open"
	if !t.Open {
		state = "closed"
		if t.Why != "" {
			state += " (" + cell(t.Why) + ")"
		}
	}
	parts := []string{"**" + t.Priority.String() + "**", t.Severity.String(), state, count(t.Count, "open finding")}
	if t.Team != "" {
		parts = append(parts, "team "+cell(t.Team))
	}
	for _, l := range t.Labels {
		parts = append(parts, "*"+cell(l)+"*")
	}
	w.line("")
	w.line(strings.Join(parts, " · "))
}

func (w *writer) what(t *pipeline.Ticket) {
	w.heading("What is wrong")
	if s := Block(t.Description, DescriptionRunes); s != "" {
		w.line(s)
		return
	}
	w.line(Escape(Title(*t)))
}

func (w *writer) where(t *pipeline.Ticket) {
	w.heading("Where")
	r := t.Resource
	w.field("Resource", Code(Cut(r.ID, cellRunes*4)))
	if r.Name != "" && r.Name != r.ID {
		w.field("Name", cell(r.Name))
	}
	w.field("Type", cell(r.Type))
	if address := ConsoleURL(r, t.Region); address != "" {
		w.field("AWS console", Link(address))
	}
	w.field("Account", account(t.Account))
	w.field("Region", cell(t.Region))
	for _, g := range t.Group {
		w.field("Grouped by "+cell(g.Name), Code(Cut(g.Value, cellRunes*2)))
	}
}

func account(a pipeline.Account) string {
	s := cell(a.ID)
	if a.Name != "" {
		s = strings.TrimSpace(s + " (" + cell(a.Name) + ")")
	}
	return s
}

func (w *writer) when(t *pipeline.Ticket) {
	w.heading("Since when, until when")
	w.field("First observed", stamp(t.Since))
	if t.Due.IsZero() {
		w.field("Due (SLA)", "no date")
	} else {
		w.field("Due (SLA)", stamp(t.Due))
	}
	w.field("Taken on by", cell(t.Acked))
	for _, a := range t.Assignees {
		w.field("Assignee", cell(a))
	}
}

// stamp is an instant in UTC to the minute, empty for the zero time.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04 UTC")
}

func (w *writer) why(t *pipeline.Ticket) {
	w.heading("How bad, and why")
	e := t.Explanation
	w.field("Priority", t.Priority.String()+", score "+strconv.Itoa(e.Score))
	w.field("Decided by the rule", Code(Cut(e.Rule, cellRunes)))
	for _, r := range e.Reasons {
		s := cell(r.What)
		if r.Points != 0 {
			s += fmt.Sprintf(": %+d", r.Points)
		}
		if r.Why != "" {
			s += " (" + Escape(Cut(r.Why, cellRunes*2)) + ")"
		}
		w.line("- " + s)
	}
	w.field("Route", cell(t.Route))
	for _, s := range e.Errors {
		w.field("An expression failed here and counted as false", Escape(Cut(s, cellRunes*2)))
	}
}

func (w *writer) fix(t *pipeline.Ticket) {
	w.heading("How to fix it")
	text := Block(t.Remediation.Text, RemediationRunes)
	switch {
	case text != "":
		w.line(text)
	case t.Remediation.URL == "" && len(t.Links) == 0:
		w.line("The source gave no remedy.")
	}
	if t.Remediation.URL != "" {
		w.line("")
		w.line("Step by step: " + Link(t.Remediation.URL))
	}
	if len(t.Links) > 0 {
		w.line("")
		w.items(t.Links, Link)
	}
}

func (w *writer) findings(t *pipeline.Ticket) {
	w.heading("Findings")
	w.line(fmt.Sprintf("%s now, %d in all since the case began.", count(t.Count, "open finding"), t.Total))
	if len(t.Findings) == 0 {
		return
	}
	w.line("")
	w.line("| Severity | Status | Finding | Resource | Account | Region | Seen by | Fingerprint |")
	w.line("|---|---|---|---|---|---|---|---|")
	shown := min(len(t.Findings), pipeline.TicketFindings)
	for _, f := range t.Findings[:shown] {
		w.line("| " + strings.Join([]string{
			f.Severity.String(), cell(f.Status), cell(f.Title), cell(f.Resource), cell(f.Account), cell(f.Region),
			cell(strings.Join(f.Products, ", ")), "`" + f.Fingerprint.Short() + "`",
		}, " | ") + " |")
	}
	if more := max(t.Total, t.Count, len(t.Findings)) - shown; more > 0 {
		w.line("")
		s := fmt.Sprintf("And %d more: `docket cases show %s`", more, t.Case)
		if t.CaseURL != "" {
			s += " or " + Link(t.CaseURL)
		}
		w.line(s)
	}
}

// cell is a short value from outside.
func cell(s string) string { return Escape(Cut(Clean(s), cellRunes)) }

func (w *writer) accept(t *pipeline.Ticket) {
	w.heading("Accept the risk")
	w.line("An exception has a reason and an end, at most a year away:")
	w.line("")
	w.line("```sh")
	w.line(fmt.Sprintf("docket suppress add --case %s --reason \"why this is acceptable\" --until YYYY-MM-DD", t.Case))
	w.line("```")
}

func (w *writer) about(t *pipeline.Ticket) {
	w.heading("About this ticket")
	id := Escape(t.Case)
	if t.CaseURL != "" {
		id += " " + Link(t.CaseURL)
	}
	w.field("Case", id)
	w.field("Key", Code(t.Key))
	w.field("The whole story", "`docket explain "+t.Case+"`")
	if p := t.Previous; !p.IsZero() {
		s := cell(p.Key)
		if s == "" {
			s = cell(p.ID)
		}
		if p.URL != "" {
			s += " " + Link(p.URL)
		}
		w.field("Earlier ticket of the same group", s)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
