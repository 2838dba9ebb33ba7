package jira

import (
	"fmt"
	"strings"
)

// quoteJQL is a text as a JQL string
// (https://support.atlassian.com/jira-software-cloud/docs/what-is-advanced-search-in-jira-cloud/, reserved characters).
func quoteJQL(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ':
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// keyJQL looks for the issues of one ticket key, in every project and status, oldest first.
func keyJQL(key, keyField string) string {
	if n := fieldNumber(keyField); n != "" {
		// A text field is matched by words; the quotes within ask for the phrase.
		return fmt.Sprintf("cf[%s] ~ %s ORDER BY created ASC", n, quoteJQL(`"`+key+`"`))
	}
	return "labels = " + quoteJQL(key) + " ORDER BY created ASC"
}

// isTicketKey reports whether s is what pipeline.TicketKey makes; nothing else goes into a query or a label.
func isTicketKey(s string) bool {
	digits, ok := strings.CutPrefix(s, "docket-")
	return ok && len(digits) == 20 && strings.Trim(digits, "0123456789abcdef") == ""
}
