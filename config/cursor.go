package config

import "strings"

// cursor walks the text of a scalar one character of its value at a time.
type cursor struct {
	src       *source
	line, col int  // of the next character, from 1
	quote     rune // the quote the scalar stands in; 0 for none
}

// peek is the character under the cursor: '\n' at a line's end, 0 at the text's end.
func (c *cursor) peek() rune {
	if c.line > len(c.src.lines) {
		return 0
	}
	line := c.src.line(c.line)
	if c.col > len(line) {
		return '\n'
	}
	return line[c.col-1]
}

func (c *cursor) step() {
	if c.peek() == '\n' {
		c.line, c.col = c.line+1, 1
		return
	}
	c.col++
}

// next moves past one character of the value and reports whether it is a
// visible one; not ok at the end of the scalar or the text.
func (c *cursor) next() (visible, ok bool) {
	r := c.peek()
	if r == 0 {
		return false, false
	}
	switch {
	case c.quote == '"' && r == '\\':
		return c.escape(), true
	case c.quote != 0 && r == c.quote:
		c.step()
		if c.quote == '\'' && c.peek() == '\'' {
			c.step()
			return true, true
		}
		return false, false
	}
	c.step()
	return !isBlank(r), true
}

// escape moves past one escape of a double-quoted scalar (YAML 1.2.2, 5.7).
func (c *cursor) escape() (visible bool) {
	c.step()
	letter := c.peek()
	c.step()
	for range map[rune]int{'x': 2, 'u': 4, 'U': 8}[letter] {
		c.step()
	}
	return !strings.ContainsRune("nrt \t\n", letter)
}

// skipBlanks is the place of the next visible character, or the end of the scalar.
func (c *cursor) skipBlanks() (line, col int) {
	for {
		before := *c
		if visible, ok := c.next(); visible || !ok {
			*c = before
			return c.line, c.col
		}
	}
}

// skipProperties moves past the anchor and the tag that stand before a value;
// the place of such a node is that of the first of them.
func (c *cursor) skipProperties() {
	for r := c.peek(); r == '&' || r == '!'; r = c.peek() {
		for r := c.peek(); r != 0 && !isBlank(r); r = c.peek() {
			c.step()
		}
		c.skipBlanks()
	}
}

// toQuote is the place behind the closing quote.
func (c *cursor) toQuote() (line, col int) {
	for {
		if _, ok := c.next(); !ok {
			return c.line, c.col
		}
	}
}
