package config

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// excerptRunes is how much of a line is shown; the part round the caret.
const excerptRunes = 120

const mask = "***"

// source is one file's text: where excerpts come from.
type source struct {
	name  string
	lines [][]rune       // without their line ends
	masks map[int][]span // by each line they touch
}

// hider decides whether a span is still to be hidden; nil for always.
type hider interface{ hides() bool }

// span is a stretch of text that must not be shown, from 1, the end not included.
type span struct {
	line, col, endLine, endCol int

	by hider
}

func newSource(name string, data []byte) *source {
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	src := &source{name: name, masks: map[int][]span{}}
	for line := range strings.SplitSeq(text, "\n") {
		src.lines = append(src.lines, []rune(line))
	}
	return src
}

func (s *source) line(n int) []rune {
	if n < 1 || n > len(s.lines) {
		return nil
	}
	return s.lines[n-1]
}

func (s *source) mask(m span) {
	for line := m.line; line <= m.endLine; line++ {
		s.masks[line] = append(s.masks[line], m)
	}
}

// hide masks every scalar at and below n in all excerpts, for as long as by says so.
func (s *source) hide(n *yaml.Node, by hider) { s.hideBelow(n, by, map[*yaml.Node]bool{}) }

func (s *source) hideBelow(n *yaml.Node, by hider, seen map[*yaml.Node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	switch n.Kind {
	case yaml.ScalarNode:
		endLine, endCol := s.locate(n, utf8.RuneCountInString(n.Value))
		s.mask(span{n.Line, n.Column, endLine, endCol, by})
	case yaml.AliasNode:
		if n.Alias != nil {
			s.hideBelow(n.Alias, by, seen)
		}
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			s.hideBelow(n.Content[i], by, seen)
		}
	default:
		for _, c := range n.Content {
			s.hideBelow(c, by, seen)
		}
	}
}

// painted is a line and which of its characters must not be shown.
type painted struct {
	runes  []rune
	hidden []bool
}

// paint applies the masks to a line and cuts its comment, which may hold the secret of yesterday.
func (s *source) paint(line int) painted {
	p := painted{runes: withoutComment(s.line(line))}
	p.hidden = make([]bool, len(p.runes))
	for _, m := range s.masks[line] {
		if m.by != nil && !m.by.hides() {
			continue
		}
		from, to := 0, len(p.runes)
		if line == m.line {
			from = m.col - 1
		}
		if line == m.endLine {
			to = min(to, m.endCol-1)
		}
		for i := max(0, from); i < to; i++ {
			p.hidden[i] = true
		}
	}
	return p
}

// excerpt is the part of the line round column col, control characters replaced,
// and where the character of that column ended up, from 0.
func (p painted) excerpt(col int) (string, int) {
	const around = 2 * excerptRunes // masks may make it shorter
	at := min(max(0, col-1), len(p.runes))
	from, to := max(0, at-around), min(len(p.runes), at+around)
	var out []rune
	caret := -1
	for i := from; i < to; i++ {
		if p.hidden[i] && i > from && p.hidden[i-1] {
			if i == at {
				caret = len(out) - 1
			}
			continue
		}
		if i == at {
			caret = len(out)
		}
		r := p.runes[i]
		switch {
		case p.hidden[i]:
			out = append(out, []rune(mask)...)
			continue
		case r == '\t':
			r = ' '
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		out = append(out, r)
	}
	if caret < 0 {
		caret = len(out)
	}
	return window(out, caret, from > 0, to < len(p.runes))
}

// withoutComment cuts a line at a # that begins a comment (YAML 1.2.2, 6.6): at the
// beginning or behind a blank, outside quotes.
func withoutComment(line []rune) []rune {
	var quote rune
	last := ' '
	for i, r := range line {
		switch {
		case quote != 0:
			if r == quote && !(quote == '"' && last == '\\') {
				quote = 0
			}
		case r == '#' && isBlank(last):
			return line[:i]
		case (r == '"' || r == '\'') && strings.ContainsRune(" \t[{,", last):
			quote = r
		}
		last = r
	}
	return line
}

// window cuts a long line to the part round the caret; cutLeft and cutRight say
// that it was cut before.
func window(line []rune, caret int, cutLeft, cutRight bool) (string, int) {
	from := max(0, min(caret-excerptRunes/2, len(line)-excerptRunes))
	to := min(len(line), from+excerptRunes)
	cutLeft, cutRight = cutLeft || from > 0, cutRight || to < len(line)
	text, shift := string(line[from:to]), 0
	if cutLeft {
		text, shift = "…"+text, 1
	}
	if cutRight {
		return text + "…", caret - from + shift
	}
	return strings.TrimRight(text, " "), caret - from + shift
}

// locate finds the place in the file of character offset of a scalar's value.
// The value and its text differ in quotes, escapes, indentation and folded lines, but
// not in the order of their visible characters, so those are counted. An offset
// past the end is the place just behind the scalar.
func (s *source) locate(n *yaml.Node, offset int) (line, col int) {
	value := []rune(n.Value)
	offset = max(0, min(offset, len(value)))
	before := 0
	for _, r := range value[:offset] {
		if !isBlank(r) {
			before++
		}
	}
	c := cursor{src: s, line: n.Line, col: n.Column}
	if n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		c.skipProperties()
	}
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0, n.Style&yaml.SingleQuotedStyle != 0:
		c.quote = c.peek()
		c.col++
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		c.line, c.col = c.line+1, 1
	}
	endLine, endCol := c.line, c.col
	for seen := 0; seen < before; {
		visible, ok := c.next()
		if !ok {
			return endLine, endCol
		}
		if visible {
			seen++
			endLine, endCol = c.line, c.col
		}
	}
	if offset == len(value) {
		if c.quote != 0 {
			return c.toQuote()
		}
		return endLine, endCol
	}
	// Blanks before the wanted character are skipped, unless it is one itself.
	if isBlank(value[offset]) {
		return endLine, endCol
	}
	return c.skipBlanks()
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }
