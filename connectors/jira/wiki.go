package jira

import (
	"strings"
	"unicode/utf8"
)

// Jira's wiki markup: https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all.
// Everything from outside comes in as Markdown that pipeline/ticket has escaped; here it becomes wiki
// markup whose only active parts are those of that Markdown: what is escaped there is escaped here.

// wikiText escapes text so that it shows as it is written: no macro, link, mention, image, list, table,
// emphasis or emoticon comes of it. Line ends stay.
func wikiText(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/16)
	start := true // only blanks stand before it on the line
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		prev, next := byte(' '), byte(' ')
		if i > 0 {
			prev = s[i-1]
		}
		if i+n < len(s) {
			next = s[i+n]
		}
		if r == '\\' {
			if i+n == len(s) {
				next = 0 // what comes behind this text is not known here
			}
			b.WriteString(backslash(next))
		} else {
			if active(s[i:], r, prev, next, start) {
				b.WriteByte('\\')
			}
			b.WriteString(s[i : i+n])
		}
		switch {
		case r == '\n':
			start = true
		case r != ' ' && r != '\t' && !lineStart(s[:i+n]):
			start = false
		}
		i += n
	}
	return b.String()
}

// backslash shows a backslash: alone before a letter, a digit or a blank, else as an entity, for two
// make a line break and one before anything else vanishes.
func backslash(next byte) string {
	if isWord(next) || next == ' ' || next == '\n' {
		return `\`
	}
	return "&#92;"
}

// active reports whether a character would do something where it stands.
func active(rest string, r rune, prev, next byte, start bool) bool {
	switch r {
	case '{', '}', '[', ']', '|', '*', '^', '~', '@', '!':
		return true
	case '_', '+', '-':
		return !isWord(prev) || !isWord(next) // inside a word it is itself
	case '?':
		return next == '?' || prev == '?'
	case '#':
		return start
	case '.':
		return start // h1. and bq.: lineStart let them pass
	case ':', ';':
		return emoticon(next) && !isWord(prev)
	case '(':
		end := strings.IndexByte(rest, ')')
		return end > 0 && strings.Contains(" y n i / x ! + - ? on off * *r *g *b *y flag flagoff ", " "+rest[1:end]+" ")
	}
	return false
}

func emoticon(c byte) bool { return strings.IndexByte("()DPp", c) >= 0 }

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

// lineStart reports whether a line so far may be the begin of h1. or bq. (a block whose dot decides).
func lineStart(s string) bool {
	s = strings.TrimLeft(s[strings.LastIndexByte(s, '\n')+1:], " \t")
	switch s {
	case "h", "b", "bq", "h1", "h2", "h3", "h4", "h5", "h6":
		return true
	}
	return false
}

// wiki turns the Markdown of package pipeline/ticket into wiki markup. It knows what that package
// writes: headings, lists, one kind of table, fenced code, strong and emphasised text, code spans, links in
// angle brackets, backslash escapes and the three entities. All else is text.
func wiki(markdown string) string {
	var b strings.Builder
	inCode, inTable := false, false
	for line := range strings.Lines(markdown) {
		line = strings.TrimSuffix(line, "\n")
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") {
			inCode = !inCode
			b.WriteString("{noformat}\n")
			continue
		}
		if inCode {
			b.WriteString(strings.ReplaceAll(trimmed, "{noformat}", "(noformat)") + "\n")
			continue
		}
		if strings.HasPrefix(trimmed, "|") {
			if strings.HasPrefix(trimmed, "|-") {
				continue
			}
			b.WriteString(tableRow(trimmed, !inTable) + "\n")
			inTable = true
			continue
		}
		inTable = false
		b.WriteString(wikiLine(line) + "\n")
	}
	return b.String()
}

// wikiLine is one line outside code and tables. A break at its end ("  ") needs no mark of its own.
func wikiLine(line string) string {
	indent := len(line) - len(strings.TrimLeft(line, " "))
	line = strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(line, "# "):
		return "h1. " + inline(line[2:])
	case strings.HasPrefix(line, "## "):
		return "h2. " + inline(line[3:])
	case strings.HasPrefix(line, "### "):
		return "h3. " + inline(line[4:])
	case strings.HasPrefix(line, "- "):
		return strings.Repeat("*", 1+indent/2) + " " + inline(line[2:])
	}
	// Numbers stay as they are written: a list of Jira's own begins again behind each block of code.
	return inline(line)
}

func tableRow(line string, head bool) string {
	bar := "|"
	if head {
		bar = "||"
	}
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	var cells []string
	for from, i := 0, 0; i <= len(line); i++ {
		switch {
		case i == len(line) || line[i] == '|':
			cell := inline(strings.TrimSpace(line[from:i]))
			if cell == "" {
				cell = " "
			}
			cells = append(cells, cell)
			from = i + 1
		case line[i] == '\\':
			i++ // what is escaped ends no cell
		}
	}
	return bar + strings.Join(cells, bar) + bar
}

// inline turns the marks inside a line.
func inline(s string) string {
	var b, text strings.Builder
	flush := func() {
		b.WriteString(wikiText(text.String()))
		text.Reset()
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && isPunct(s[i+1]):
			i++
			text.WriteByte(s[i])
		case c == '`':
			end := strings.IndexByte(s[i+1:], '`')
			if end < 0 {
				text.WriteByte(c)
				continue
			}
			flush()
			b.WriteString("{{" + wikiText(s[i+1:i+1+end]) + "}}")
			i += end + 1
		case c == '<':
			end := strings.IndexByte(s[i:], '>')
			if end < 0 || !strings.HasPrefix(s[i:], "<http") {
				text.WriteByte(c)
				continue
			}
			flush()
			b.WriteString(link(s[i+1 : i+end]))
			i += end
		case c == '*':
			flush()
			mark := "_"
			if strings.HasPrefix(s[i:], "**") {
				i++
				mark = "*"
			}
			b.WriteString(mark)
		case c == '&':
			n, r := entity(s[i:])
			text.WriteString(r)
			i += n - 1
		default:
			text.WriteByte(c)
		}
	}
	flush()
	return b.String()
}

// entity is the length of one of the entities that pipeline/ticket writes, and its character.
func entity(s string) (int, string) {
	for name, char := range map[string]string{"&lt;": "<", "&gt;": ">", "&amp;": "&"} {
		if strings.HasPrefix(s, name) {
			return len(name), char
		}
	}
	return 1, "&"
}

// link is a bare address as a link. What would end the link or mean something in it is percent-encoded.
func link(address string) string {
	return "[" + strings.NewReplacer("[", "%5B", "]", "%5D", "|", "%7C", "{", "%7B", "}", "%7D", "\\", "%5C", "!", "%21", "^", "%5E").Replace(address) + "]"
}

func isPunct(c byte) bool {
	return c > ' ' && c < 0x7f && !isWord(c) || c == '_'
}

// cutWiki cuts wiki markup to so many characters at the end of a line, closes a block that it cuts
// through and adds a note. The second result is false when nothing had to be cut.
func cutWiki(s string, limit int, note string) (string, bool) {
	if fitting(s, limit) == len(s) {
		return s, false
	}
	const closing = "{noformat}\n"
	head := s[:fitting(s, max(0, limit-len(note)-len(closing)-1))]
	if at := strings.LastIndexByte(head, '\n'); at > 0 {
		head = head[:at+1]
	} else if at := strings.LastIndexByte(head, ' '); at > 0 {
		head = strings.TrimRight(head[:at], "\\") + "\n" // one line without an end: never between a backslash and its character
	}
	if strings.Count(head, "{noformat}")%2 == 1 {
		head += closing
	}
	return head + note, true
}
