package ticket

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Data is what a user's templates see. It is stable: fields are added, never
// renamed. All texts are cleaned of control and invisible characters, and carry whatever markup a finding
// holds: a description puts them through the function of its sink (md, wiki).
type Data struct {
	Case     Case
	Findings []Finding       // the first 50, open ones first
	Ticket   pipeline.Ticket // everything, as docket itself uses it; may change
	Reason   string          // why the ticket is closed; empty while it is open
	Text     string          // docket's own description, in the sink's markup; only in descriptions
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

// Finding is one row of a ticket's list, as plain texts.
type Finding struct {
	Fingerprint, Title, Severity, Status, Account, Region, Resource string
	Products                                                        []string
}

// NewData is what templates see of a ticket.
func NewData(t pipeline.Ticket) Data {
	line := func(s string) string { return Line(s, DescriptionRunes) }
	day := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return at.UTC().Format("2006-01-02")
	}
	c := Case{
		ID: t.Case, Key: t.Key, Team: line(t.Team), Route: line(t.Route),
		Title: Title(t), Description: Cut(Clean(t.Description), DescriptionRunes),
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
	d := Data{Case: c, Ticket: t, Reason: line(t.Why)}
	for i := range t.Findings[:min(len(t.Findings), pipeline.TicketFindings)] {
		f := &t.Findings[i]
		d.Findings = append(d.Findings, Finding{
			Fingerprint: f.Fingerprint.Short(), Title: line(f.Title), Severity: f.Severity.String(), Status: line(f.Status),
			Account: line(f.Account), Region: line(f.Region), Resource: line(f.Resource), Products: f.Products,
		})
	}
	return d
}

const (
	// templateBytes bounds what a template may write, and what a function in it may return.
	templateBytes = 256 << 10
	// templateLoops is how deep loops may stand in one another: over 50 findings each, three are 125,000 turns.
	templateLoops = 3
)

var errLong = fmt.Errorf("it writes more than %d bytes", templateBytes)

// Template is a user's template. It is safe for concurrent use.
type Template struct{ t *template.Template }

// Compile reads a template and tries it on sample tickets, one that has everything
// and one that has nothing, so that a misspelt field is an error now. name stands before the line of an
// error: a file's, or empty. funcs are the sink's own beside lower, upper, join and those of text/template.
// What could run for ever or without bound is refused: loops more than three deep, and templates that call templates.
func Compile(name, text string, funcs template.FuncMap) (*Template, error) {
	t, err := template.New(name).Option("missingkey=zero").Funcs(template.FuncMap{
		"lower": strings.ToLower, "upper": strings.ToUpper,
		"join":   func(list []string, by string) (string, error) { return bounded(strings.Join(list, by)) },
		"printf": func(format string, args ...any) (string, error) { return bounded(fmt.Sprintf(format, args...)) },
		"print":  func(args ...any) (string, error) { return bounded(fmt.Sprint(args...)) },
	}).Funcs(funcs).Parse(text)
	if err != nil {
		return nil, templateError(err)
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("the template is wrong: {{define}} and {{block}} are not for tickets: write it in one piece")
	}
	if t.Tree != nil {
		if err := tame(t.Root, 0); err != nil {
			return nil, templateError(err)
		}
	}
	out := &Template{t}
	for _, d := range samples() {
		if _, err := out.Execute(d); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func bounded(s string) (string, error) {
	if len(s) > templateBytes {
		return "", errLong
	}
	return s, nil
}

// tame refuses what could run without bound.
func tame(n parse.Node, loops int) error {
	list := func(l *parse.ListNode, loops int) error {
		if l == nil {
			return nil
		}
		for _, x := range l.Nodes {
			if err := tame(x, loops); err != nil {
				return err
			}
		}
		return nil
	}
	switch n := n.(type) {
	case *parse.ListNode:
		return list(n, loops)
	case *parse.TemplateNode:
		return fmt.Errorf("line %d: {{template}} is not for tickets: write it in one piece", n.Line)
	case *parse.RangeNode:
		for _, c := range n.Pipe.Cmds {
			for _, arg := range c.Args {
				if arg.Type() == parse.NodeNumber {
					return fmt.Errorf("line %d: a loop runs over findings or other lists, not over a number", n.Line)
				}
			}
		}
		if loops == templateLoops {
			return fmt.Errorf("line %d: loops stand more than %d deep", n.Line, templateLoops)
		}
		return errors.Join(list(n.List, loops+1), list(n.ElseList, loops))
	case *parse.IfNode:
		return errors.Join(list(n.List, loops), list(n.ElseList, loops))
	case *parse.WithNode:
		return errors.Join(list(n.List, loops), list(n.ElseList, loops))
	}
	return nil
}

// samples are a ticket that has nothing and one that has everything.
func samples() []Data {
	at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	full := NewData(pipeline.Ticket{
		Key: "docket-0123456789abcdef0123", Case: "DK-1", Team: "team", Route: "route", Title: "title", Description: "description", Why: "fixed",
		Group: []pipeline.GroupValue{{Name: "account", Value: "111122223333"}}, Resource: pipeline.Resource{ID: "resource", Type: "type", Name: "name", Tags: map[string]string{"owner": "x"}},
		Account: pipeline.Account{ID: "111122223333", Name: "name", OU: []string{"ou"}, Tags: map[string]string{"tier": "0"}}, Region: "eu-west-1",
		Severity: pipeline.High, Priority: pipeline.P2, Explanation: pipeline.Explanation{Priority: pipeline.P2, Score: 70, Rule: "rule", Reasons: []pipeline.Reason{{What: "severity HIGH", Points: 70, Why: "why"}}},
		Remediation: pipeline.Remediation{Text: "text", URL: "https://example.com"}, Links: []string{"https://example.com"}, Compliance: []string{"CIS 1.4"},
		Labels: []string{"recurring"}, Since: at, Due: at, Count: 1, Total: 2, Acked: "ada", Assignees: []string{"ada"}, CaseURL: "https://example.com/cases/DK-1",
		Findings: []pipeline.TicketFinding{{Title: "title", Severity: pipeline.High, Status: "open", Account: "1", Region: "eu-west-1", Resource: "resource", Products: []string{"Prowler"}}},
		Previous: pipeline.Ref{ID: "1", Key: "SEC-1", URL: "https://example.com"}, Settings: map[string]any{"project": "SEC"},
	})
	full.Text = "text"
	return []Data{NewData(pipeline.Ticket{Case: "DK-1"}), full}
}

// Execute fills the template in.
func (t *Template) Execute(d Data) (string, error) {
	w := &boundedText{}
	if err := t.t.Execute(w, d); err != nil {
		return "", templateError(err)
	}
	return w.b.String(), nil
}

// boundedText refuses to grow beyond the bound.
type boundedText struct{ b strings.Builder }

func (w *boundedText) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > templateBytes {
		return 0, errLong
	}
	return w.b.Write(p)
}

// templateError drops the words that name every template, and begins with its name, line and column.
func templateError(err error) error {
	return fmt.Errorf("the template is wrong: %s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "template: "), ":"))
}

// Functions are those of a Markdown description: md makes a text from outside safe
// in a line, text in paragraphs, code makes it a code span, link an address.
func Functions() template.FuncMap {
	return template.FuncMap{
		"md": Escape, "code": Code, "link": Link,
		"text": func(s string) string { return Block(s, DescriptionRunes) },
	}
}
