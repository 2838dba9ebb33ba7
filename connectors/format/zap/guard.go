package zap

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// guard gives the bytes of a report to the XML reader, and bounds what it may take in at once: the reader by itself
// holds a whole text, comment or tag in memory, whatever its size.
type guard struct {
	r      *bufio.Reader
	before string // stands in for what was read of the report, when reading goes on behind damage
	line   int
	left   int   // how many more bytes the next token may have
	err    error // what reading met
	last   byte  // the one that was taken last

	begin bool // the last byte was <
	tag   int  // bytes of the start tag so far; 0 outside of one
	quote byte // inside a quoted value
}

// again begins a new reading, behind what stands in for the part before.
func (g *guard) again(before string) {
	g.before, g.begin, g.tag, g.quote = before, false, 0, 0
}

// ReadByte implements io.ByteReader. Control characters, which XML cannot hold and some reports
// do, become spaces.
func (g *guard) ReadByte() (byte, error) {
	if g.before != "" {
		c := g.before[0]
		g.before = g.before[1:]
		return c, g.within(c)
	}
	if g.left--; g.left < 0 {
		return 0, limitError{text: "a text in it is larger than an alert may be"}
	}
	c, err := g.take()
	if err != nil {
		return 0, err
	}
	if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
		c = ' '
	}
	return c, g.within(c)
}

// Read implements io.Reader, as the XML reader's constructor asks for; bytes are taken one by one.
func (g *guard) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := g.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

func (g *guard) take() (byte, error) {
	c, err := g.r.ReadByte()
	if err != nil {
		if err != io.EOF {
			g.err = err
		}
		return 0, err
	}
	if c == '\n' {
		g.line++
	}
	g.last = c
	return c, nil
}

// within counts the bytes of a start tag.
func (g *guard) within(c byte) error {
	switch {
	case g.tag == 0:
		if g.begin && c != '!' && c != '?' && c != '/' {
			g.tag = 1
		}
		g.begin = c == '<'
	case g.quote != 0:
		if c == g.quote {
			g.quote = 0
		}
	case c == '"' || c == '\'':
		g.quote = c
	case c == '>':
		g.tag = 0
		return nil
	}
	if g.tag > 0 {
		if g.tag++; g.tag > maxTag {
			return limitError{text: fmt.Sprintf("a tag is longer than %d bytes", maxTag)}
		}
	}
	return nil
}

// seek reads on behind the next of the tags and gives it; "" at the end of the text.
func (g *guard) seek(tags ...string) string {
	var last []byte
	if g.last == '<' { // taken as a part of what is damaged
		last = append(last, '<')
	}
	for {
		c, err := g.take()
		if err != nil {
			return ""
		}
		if c == '<' {
			last = last[:0]
		}
		if len(last) > len("<alertitem") {
			continue // no tag that is looked for is as long
		}
		last = append(last, c)
		next, _ := g.r.Peek(1)
		for _, tag := range tags {
			if string(last) == tag && bytes.ContainsAny(next, " \t\r\n/>") {
				return strings.Clone(tag)
			}
		}
	}
}
