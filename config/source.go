package config

import (
	"slices"
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
	lines []string // without their line ends
	masks []span
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
	return &source{name: name, lines: strings.Split(text, "\n")}
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
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
		s.masks = append(s.masks, span{n.Line, n.Column, endLine, endCol, by})
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

// excerpt is the line with masks applied, its comment cut (it may hold the secret
// of yesterday) and control characters replaced, and
// where the character of column col ended up, from 0.
func (s *source) excerpt(line, col int) (string, int) {
	var out []rune
	caret := -1
	hidden := false
	masks := s.masksOf(line)
	for i, r := range withoutComment([]rune(s.line(line))) {
		was := hidden
		hidden = slices.ContainsFunc(masks, func(m span) bool { return m.covers(line, i+1) })
		if hidden && !was {
			if i+1 == col {
				caret = len(out)
			}
			out = append(out, []rune(mask)...)
		}
		if hidden {
			if caret < 0 && i+1 == col {
				caret = len(out) - 1
			}
			continue
		}
		if i+1 == col {
			caret = len(out)
		}
		if r == '\t' {
			r = ' '
		} else if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		out = append(out, r)
	}
	if caret < 0 {
		caret = len(out)
	}
	return window(out, caret)
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

func (s *source) masksOf(line int) (on []span) {
	for _, m := range s.masks {
		if m.line <= line && line <= m.endLine && (m.by == nil || m.by.hides()) {
			on = append(on, m)
		}
	}
	return on
}

func (m span) covers(line, col int) bool {
	afterStart := line > m.line || line == m.line && col >= m.col
	beforeEnd := line < m.endLine || line == m.endLine && col < m.endCol
	return afterStart && beforeEnd
}

// window cuts a long line to the part round the caret.
func window(line []rune, caret int) (string, int) {
	if len(line) <= excerptRunes {
		return strings.TrimRight(string(line), " "), caret
	}
	from := max(0, min(caret-excerptRunes/2, len(line)-excerptRunes))
	to := from + excerptRunes
	text, shift := string(line[from:to]), 0
	if from > 0 {
		text, shift = "…"+text, 1
	}
	if to < len(line) {
		text += "…"
	}
	return text, caret - from + shift
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
