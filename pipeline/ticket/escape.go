package ticket

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean takes out of outside text what could deceive a reader or drive a
// terminal: ANSI escape sequences, control characters but newline and tab, bidirectional
// controls (https://trojansource.codes), invisible format characters and invalid UTF-8 (which
// becomes U+FFFD). Line ends become "\n".
func Clean(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == 0x1b:
			i += ansiLength(s[i:])
			continue
		case r == 0x9b: // CSI as one character
			i += n + csiLength(s[i+n:])
			continue
		case r == '\r':
			if !strings.HasPrefix(s[i+1:], "\n") {
				b.WriteByte('\n')
			}
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r == 0x2028 || r == 0x2029 || r == 0x85: // other line ends
			b.WriteByte('\n')
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || isTag(r):
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// isTag covers variation selectors and Unicode tags, which carry hidden text.
func isTag(r rune) bool {
	return r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0000 && r <= 0xe0fff
}

// ansiLength is the length of the terminal sequence that s begins with:
// CSI, OSC and its like up to their end, or two bytes (ECMA-48, section 5).
func ansiLength(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[':
		return 2 + csiLength(s[2:])
	case ']', 'P', 'X', '^', '_':
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
			if s[i] == '\n' { // never ended: take the line, not the rest of the text
				return i
			}
		}
		return len(s)
	}
	_, n := utf8.DecodeRuneInString(s[1:])
	return 1 + n
}

func csiLength(s string) int {
	for i := range len(s) {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return i + 1
		}
		if s[i] < 0x20 || s[i] > 0x7e {
			return i
		}
	}
	return len(s)
}

// Cut shortens s to at most limit characters, counting in runes. What was left
// out is named at the end: "… (1200 more characters)".
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	at, n := len(s), 0
	for i := range s {
		if n == limit {
			at = i
			break
		}
		n++
	}
	if at == len(s) {
		return s
	}
	return strings.TrimRight(s[:at], " \n") + fmt.Sprintf("… (%d more characters)", utf8.RuneCountInString(s[at:]))
}

// Line is outside text as one line: cleaned, white space folded, at most limit
// characters. It is not escaped: for titles and fields that know no markup.
func Line(s string, limit int) string { return Cut(oneLine(s), limit) }

// oneLine is s cleaned, its white space folded.
func oneLine(s string) string {
	blank := true // before the first character, and behind a space
	for i := range len(s) {
		c := s[i]
		if c >= 0x7f || c < ' ' || c == ' ' && blank {
			return strings.Join(strings.Fields(Clean(s)), " ")
		}
		blank = c == ' '
	}
	return strings.TrimSuffix(s, " ")
}

// Escape makes outside text safe inside a line of Markdown: it reads as it was
// written and makes no link, image, heading, table cell or HTML. Newlines become spaces.
func Escape(s string) string {
	return escapeLine(oneLine(s))
}

// Block is Escape for text of several lines: paragraphs, line ends, and plain
// lists (1. or -) stay. limit is in characters.
func Block(s string, limit int) string {
	var b strings.Builder
	last := "" // the line before; empty at the start and behind a blank line
	for line := range strings.SplitSeq(Cut(strings.TrimSpace(Clean(s)), limit), "\n") {
		line = strings.TrimSpace(line) // four leading spaces would make code
		marker := listMarker(line)
		switch {
		case b.Len() == 0:
		case line == "" && last == "":
			continue
		case line == "", last == "", marker > 0:
			b.WriteByte('\n')
		default:
			b.WriteString("  \n") // two spaces keep the line end
		}
		b.WriteString(line[:marker])
		b.WriteString(escapeLine(line[marker:]))
		last = line
	}
	return b.String()
}

// listMarker is the length of "1. " or "- " at the start of a line, or 0.
func listMarker(line string) int {
	if strings.HasPrefix(line, "- ") {
		return 2
	}
	i := strings.IndexByte(line, ' ')
	if i >= 2 && i <= 4 && isDigits(line[:i-1]) && (line[i-1] == '.' || line[i-1] == ')') {
		return i + 1
	}
	return 0
}

// escapeLine escapes by CommonMark 0.31 (backslash before punctuation) and GFM's tables.
func escapeLine(s string) string {
	if !strings.ContainsAny(s, "<>&\\`*[]|~_#+-=.)") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	for i := range len(s) {
		c := s[i]
		switch c {
		case '<':
			b.WriteString("&lt;")
			continue
		case '>':
			b.WriteString("&gt;")
			continue
		case '&':
			b.WriteString("&amp;")
			continue
		case '\\', '`', '*', '[', ']', '|', '~':
			b.WriteByte('\\')
		case '_':
			if !insideWord(s, i) {
				b.WriteByte('\\')
			}
		case '#', '+', '-', '=':
			if i == 0 { // a heading, a list or an underline
				b.WriteByte('\\')
			}
		case '.', ')':
			if i > 0 && i <= 9 && isDigits(s[:i]) { // a numbered list
				b.WriteByte('\\')
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

func insideWord(s string, i int) bool {
	return i > 0 && i+1 < len(s) && isAlnum(s[i-1]) && isAlnum(s[i+1])
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// Code is outside text as a code span, for ids that people copy. What holds
// characters of Markdown or HTML is escaped text instead: not every reader of Markdown leaves
// the inside of a code span alone.
func Code(s string) string {
	s = oneLine(s)
	if s == "" || strings.ContainsAny(s, "<>`[") {
		return escapeLine(s)
	}
	return "`" + s + "`"
}

// Link is an address from outside as a Markdown autolink; what is not plain
// http or https is shown as text and leads nowhere.
func Link(address string) string {
	address = strings.TrimSpace(Clean(address))
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || strings.ContainsAny(address, " <>\"`\\\n\t") {
		return Code(address)
	}
	return "<" + address + ">"
}
