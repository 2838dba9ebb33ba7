package jiratest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// query is a parsed JQL query: what must hold, and the order.
type query struct {
	clauses []clause
	order   []ordering
}

type clause struct {
	field, operator string
	values          []string
	test            func(*content) bool
}

type ordering struct {
	field string
	down  bool
}

// orderLimit is how many fields an order may have. Source: the description of search/jql.
const orderLimit = 7

// token is a word, a quoted text or a sign of a query.
type token struct {
	text   string
	quoted bool
}

// reserved are the characters that only a quoted text may hold, beside blanks and signs.
const reserved = "+.;?|*/%^$#@{}\\"

// tokens takes a query apart.
func tokens(jql string) ([]token, error) {
	var out []token
	runes := []rune(jql)
	for i := 0; i < len(runes); {
		r := runes[i]
		switch {
		case unicode.IsSpace(r):
			i++
		case r == '"' || r == '\'':
			text, next, err := quoted(runes, i)
			if err != nil {
				return nil, err
			}
			out, i = append(out, token{text, true}), next
		case strings.ContainsRune("(),", r):
			out, i = append(out, token{string(r), false}), i+1
		case strings.ContainsRune("=~!<>", r):
			n := 1
			if i+1 < len(runes) && (runes[i+1] == '=' || runes[i+1] == '~') {
				n = 2
			}
			out, i = append(out, token{string(runes[i : i+n]), false}), i+n
		case strings.ContainsRune(reserved, r):
			return nil, fmt.Errorf("Error in the JQL Query: The character '%c' is a reserved JQL character. You must enclose it in a string or use the escape '\\u%04x' instead. (line 1, character %d)", r, r, i+1)
		default:
			from := i
			for i < len(runes) && !unicode.IsSpace(runes[i]) && !strings.ContainsRune("(),=~!<>\"'"+reserved, runes[i]) {
				i++
			}
			out = append(out, token{string(runes[from:i]), false})
		}
	}
	return out, nil
}

// quoted reads a text in quotes with its escapes.
func quoted(runes []rune, from int) (text string, next int, err error) {
	var b strings.Builder
	for i := from + 1; i < len(runes); i++ {
		switch {
		case runes[i] == runes[from]:
			return b.String(), i + 1, nil
		case runes[i] == '\\' && i+1 < len(runes):
			i++
			switch runes[i] {
			case '"', '\'', '\\', ' ':
				b.WriteRune(runes[i])
			case 'n':
				b.WriteRune('\n')
			case 't':
				b.WriteRune('\t')
			default:
				return "", 0, fmt.Errorf("Error in the JQL Query: '\\%c' is an illegal JQL escape sequence. (line 1, character %d)", runes[i], i)
			}
		default:
			b.WriteRune(runes[i])
		}
	}
	return "", 0, fmt.Errorf("Error in the JQL Query: The quoted string '%s' has not been completed. (line 1, character %d)", b.String(), from+1)
}

// parser walks over the tokens of a query.
type parser struct {
	list []token
	at   int
}

func (p *parser) peek() string {
	if p.at < len(p.list) && !p.list[p.at].quoted {
		return strings.ToUpper(p.list[p.at].text)
	}
	return ""
}

func (p *parser) take(word string) bool {
	if p.peek() != word {
		return false
	}
	p.at++
	return true
}

func (p *parser) next() (token, error) {
	if p.at >= len(p.list) {
		return token{}, fmt.Errorf("Error in the JQL Query: the query ends too early.")
	}
	p.at++
	return p.list[p.at-1], nil
}

// parseJQL reads a query of the forms that the stand-in knows: clauses joined by
// AND, and an order. Everything else is an error, as a typo is in Jira.
func parseJQL(jql string) (query, error) {
	var q query
	list, err := tokens(jql)
	if err != nil {
		return q, err
	}
	p := &parser{list: list}
	for p.at < len(list) && p.peek() != "ORDER" {
		if len(q.clauses) > 0 && !p.take("AND") {
			return q, fmt.Errorf("Error in the JQL Query: Expecting either 'OR' or 'AND' but got '%s'.", list[p.at].text)
		}
		c, err := p.clause()
		if err != nil {
			return q, err
		}
		q.clauses = append(q.clauses, c)
	}
	if !p.take("ORDER") {
		return q, nil
	}
	if !p.take("BY") {
		return q, fmt.Errorf("Error in the JQL Query: Expecting 'BY' after 'ORDER'.")
	}
	for {
		field, err := p.next()
		if err != nil {
			return q, err
		}
		o := ordering{field: strings.ToLower(field.text)}
		if o.down = p.take("DESC"); !o.down {
			p.take("ASC")
		}
		q.order = append(q.order, o)
		if !p.take(",") {
			break
		}
	}
	if p.at < len(list) {
		return q, fmt.Errorf("Error in the JQL Query: '%s' is not expected here.", list[p.at].text)
	}
	if len(q.order) > orderLimit {
		return q, fmt.Errorf("The maximum number of fields in the ORDER BY clause is %d.", orderLimit)
	}
	return q, nil
}

func (p *parser) clause() (clause, error) {
	field, err := p.next()
	if err != nil {
		return clause{}, err
	}
	operator, err := p.next()
	if err != nil {
		return clause{}, err
	}
	c := clause{field: field.text, operator: strings.ToLower(operator.text)}
	if operator.quoted || !slices.Contains([]string{"=", "~", ">=", "in"}, c.operator) {
		return c, fmt.Errorf("Error in the JQL Query: the operator '%s' is not one that this server knows.", operator.text)
	}
	if c.operator != "in" {
		value, err := p.value()
		c.values = []string{value}
		return c, err
	}
	if !p.take("(") {
		return c, fmt.Errorf("Error in the JQL Query: Expecting '(' after 'in'.")
	}
	for {
		value, err := p.value()
		if err != nil {
			return c, err
		}
		c.values = append(c.values, value)
		if p.take(")") {
			return c, nil
		}
		if !p.take(",") {
			return c, fmt.Errorf("Error in the JQL Query: Expecting ')' or ','.")
		}
	}
}

func (p *parser) value() (string, error) {
	t, err := p.next()
	words := []string{"AND", "OR", "NOT", "IN", "IS", "EMPTY", "NULL", "ORDER", "BY", "WAS", "CHANGED"}
	if err == nil && !t.quoted && (strings.ContainsAny(t.text, "(),=~!<>") || slices.Contains(words, strings.ToUpper(t.text))) {
		err = fmt.Errorf("Error in the JQL Query: '%s' is a reserved JQL word. You must surround it in quotation marks to use it in a query.", t.text)
	}
	return t.text, err
}

var customField = regexp.MustCompile(`^cf\[(\d+)\]$`)

// bind turns a clause into a test of issues, or says why there is none.
func (s *Server) bind(c *clause) error {
	field := strings.ToLower(c.field)
	if m := customField.FindStringSubmatch(field); m != nil {
		return s.bindCustom(c, "customfield_"+m[1])
	}
	switch field {
	case "updated", "created":
		if c.operator != ">=" {
			return noOperator(c)
		}
		from, err := s.jqlTime(c.field, c.values[0])
		c.test = func(in *content) bool {
			if field == "created" {
				return !in.created.Before(from)
			}
			return !in.updated.Before(from)
		}
		return err
	case "project", "labels", "key", "issuekey", "issue", "id", "status":
		if c.operator != "=" && c.operator != "in" {
			return noOperator(c)
		}
		return s.bindExact(c, field)
	default:
		return noField(c)
	}
}

func noOperator(c *clause) error {
	return fmt.Errorf("The operator '%s' is not supported by the '%s' field.", c.operator, c.field)
}

func noField(c *clause) error {
	return fmt.Errorf("Field '%s' does not exist or you do not have permission to view it.", c.field)
}

// bindExact binds a clause with = or in: values that must exist, but for labels.
func (s *Server) bindExact(c *clause, field string) error {
	for i, value := range c.values {
		switch field {
		case "labels":
		case "project":
			p := s.projectBy(strings.ToUpper(value)) // keys in any case
			if p == nil {
				return fmt.Errorf("The value '%s' does not exist for the field 'project'.", value)
			}
			c.values[i] = p.Key
		case "status":
			if !slices.ContainsFunc(s.statuses, func(st statusRef) bool { return strings.EqualFold(st.Name, value) }) {
				return fmt.Errorf("The value '%s' does not exist for the field 'status'.", value)
			}
		default:
			is, bad := s.issueBy(value)
			if bad != nil {
				return fmt.Errorf("An issue with key '%s' does not exist for field '%s'.", value, c.field)
			}
			c.values[i] = is.id
		}
	}
	c.test = func(in *content) bool {
		have := []string{in.id}
		switch field {
		case "project":
			have = []string{in.project.Key}
		case "status":
			have = []string{in.status.Name}
		case "labels":
			have, _ = in.fields["labels"].([]string)
		}
		return c.names(have)
	}
	return nil
}

// names reports whether one of the clause's values is among what an issue has, in any case.
func (c *clause) names(have []string) bool {
	return slices.ContainsFunc(have, func(h string) bool {
		return slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(h, v) })
	})
}

// bindCustom binds a clause over a custom field: one-line and long texts know ~
// alone, which looks for words and not for the whole; the others know = and in.
func (s *Server) bindCustom(c *clause, id string) error {
	var f *Field
	for _, p := range s.sortedProjects() {
		for i := range p.Fields {
			if p.Fields[i].ID == id && p.may(BrowseProjects) {
				f = &p.Fields[i]
			}
		}
	}
	if f == nil {
		return noField(c)
	}
	text := f.Type == Text || f.Type == TextArea
	if text != (c.operator == "~") || c.operator == ">=" {
		return noOperator(c)
	}
	c.test = func(in *content) bool {
		if text {
			return hasWords(plain(in.fields[id]), c.values[0])
		}
		return c.names(optionWords(in.fields[id]))
	}
	return nil
}

// optionWords are the values that a clause with = may name.
func optionWords(value any) []string {
	switch v := value.(type) {
	case nil:
		return nil
	case []string:
		return v
	case Option:
		return []string{v.Value, v.ID}
	case []Option:
		var out []string
		for _, o := range v {
			out = append(out, o.Value, o.ID)
		}
		return out
	default:
		return []string{plain(v)}
	}
}

// words takes a text apart as the index does: a hyphen ends a word.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// hasWords reports whether a text has all words of a search; between quotes, in that order and side by side.
func hasWords(text, search string) bool {
	have, want := words(text), words(search)
	if len(want) == 0 {
		return false
	}
	if strings.HasPrefix(search, `"`) && strings.HasSuffix(search, `"`) {
		for i := 0; i+len(want) <= len(have); i++ {
			if slices.Equal(have[i:i+len(want)], want) {
				return true
			}
		}
		return false
	}
	return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(have, w) })
}

var relative = regexp.MustCompile(`^-(\d+)([mhdw])$`)

// jqlTime reads a time of a query: minutes are its finest unit, and it stands in the user's time zone.
func (s *Server) jqlTime(field, text string) (time.Time, error) {
	if m := relative.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
		return s.now().Add(-time.Duration(n) * unit), err
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006/01/02 15:04", "2006-01-02", "2006/01/02"} {
		if at, err := time.ParseInLocation(layout, text, s.opts.TimeZone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("Date value '%s' for field '%s' is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', 'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', '4w 2d'.", text, field)
}
