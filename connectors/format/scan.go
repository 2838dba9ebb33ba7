package format

import (
	"bytes"
	"io"
	"slices"

	"github.com/docket-hub/docket/connectors/format/internal/quoted"
)

// maxDepth is how deep a record may nest. Real findings stay under 20; the
// bound keeps hostile text from reaching recursive readers further on.
const maxDepth = 200

// maxWord is how much of a key or an id is looked at.
const maxWord = 512

// scanner walks JSON text without building values. It only follows brackets
// and strings, so that a record with an error inside still has an end.
type scanner struct {
	r        io.Reader
	buf      []byte
	pos, end int
	line     int   // 1-based line of the next byte
	err      error // sticky; io.EOF at the end of the text
	salvages int   // how often a malformed element was cut before the record that it had swallowed

	whole bool   // all of the text is in buf, which is never written to
	lent  bool   // a record in buf belongs to somebody else now: what was read of it is not written again
	open  *value // is being read, and its text stands in buf

	stack, word, name []byte // kept from value to value for their memory
}

// newScanner reads a text; one that is in memory is read there and written nowhere.
func newScanner(r io.Reader) *scanner {
	room := make([]byte, 256) // for most documents: what needs more grows
	s := &scanner{r: r, line: 1, stack: room[:0:32], word: room[32:32:160], name: room[160:160:256]}
	if m, ok := r.(*memory); ok {
		s.r, s.buf, s.end, s.err, s.whole, s.lent = &memory{}, m.rest, len(m.rest), io.EOF, true, true
	}
	return s
}

// The buffer begins small, as most documents that are sent by themselves are,
// and doubles while the reader fills it. A read is not asked for less than minRead.
const minBuffer, maxBuffer, minRead = 4 << 10, 64 << 10, 512

// fill reports whether a byte can be read at pos.
func (s *scanner) fill() bool {
	for s.pos >= s.end {
		if s.err != nil {
			return false
		}
		switch {
		case len(s.buf)-s.end < minRead:
			s.turn()
		case !s.lent && s.open == nil:
			s.end = 0
		}
		var n int
		n, s.err = s.r.Read(s.buf[s.end:])
		s.pos, s.end = s.end, s.end+n
	}
	return true
}

// turn makes room to read into, and takes the beginning of the value that is
// being read along: to the head of the buffer, or out of it when it is long.
func (s *scanner) turn() {
	if s.lent || len(s.buf) < maxBuffer {
		s.buf = make([]byte, min(max(minBuffer, 2*len(s.buf)), maxBuffer))
		s.lent = false
	}
	s.end = 0
	if v := s.open; v != nil {
		if len(v.data) <= len(s.buf)/2 {
			s.end = copy(s.buf, v.data)
			v.data = s.buf[:s.end]
		} else {
			v.data, v.lent, s.open = append(v.room[:0], v.data...), false, nil
		}
	}
}

// next skips white space and shows the byte after it without taking it;
// false at the end of the text.
func (s *scanner) next() (byte, bool) {
	for s.fill() {
		switch c := s.buf[s.pos]; c {
		case '\n':
			s.line++
			s.pos++
		case ' ', '\t', '\r', 0x1e: // 0x1e starts each text of an RFC 7464 sequence
			s.pos++
		default:
			return c, true
		}
	}
	return 0, false
}

// take consumes the byte that next showed.
func (s *scanner) take() { s.pos++ }

// value is one JSON value as it was read, with what its outermost members tell.
type value struct {
	data  []byte // the text, at most max bytes of it; valid until the next read
	lent  bool   // data stands in the scanner's buffer
	room  []byte // memory for data that does not
	size  int    // its whole length
	line  int    // where it starts
	keys  keySet
	names []byte // the first outer keys, for messages
	named int    // how many they are
	id    []byte // the outer member Id or id
	fault string // why it cannot be a valid record; empty if nothing was seen
	cut   bool   // the text ended inside it
	list  string // the outer key whose array comes next: the value holds records and was left open
	spans [spanCount]span
}

// span is where in value.data the value of an outer member stands.
type span struct{ start, end int }

// give hands the text of the value that was just read over: it is not written to again.
func (s *scanner) give(v *value) []byte {
	if !v.lent {
		return bytes.Clone(v.data)
	}
	s.lent = true
	return v.data
}

// part is the text of one of the outer members that spanOf knows; nil where there is none.
func (v *value) part(key string) []byte {
	if i := spanOf([]byte(key)); i >= 0 {
		if s := v.spans[i]; s.end > s.start && s.end <= len(v.data) {
			return v.data[s.start:s.end]
		}
	}
	return nil
}

func (v *value) reset(line int) {
	room := v.room
	if !v.lent && cap(v.data) > cap(room) {
		room = v.data
	}
	*v = value{data: room[:0], room: room[:0], names: v.names[:0], id: v.id[:0], line: line}
}

// grow adds the chunk that follows in the text, of at most max bytes in all.
func (v *value) grow(chunk []byte, max int) {
	chunk = chunk[:min(len(chunk), max-len(v.data))]
	if v.lent {
		v.data = v.data[:len(v.data)+len(chunk)] // the chunk stands there
		return
	}
	v.data = append(v.data, chunk...)
}

// reader is the state of reading one value.
type reader struct {
	v        *value
	max      int
	array    bool // the value is an element: a stray ] ends it
	open     bool // stop before the array of a key that holds records
	stack    []byte
	string   bool
	escape   bool
	key      bool // at the outer level a key comes next
	isKey    bool // the string being read is an outer key
	wantID   bool // the string being read is the outer id
	word     []byte
	name     []byte // the last outer key
	last     byte   // last significant byte outside strings
	lineHead bool   // the byte before was a line feed
	span     int    // index of the outer member being read in value.spans, -1 for any other
}

// read takes the value that begins at the byte that next showed: an object,
// or with any also an array or a scalar. With resume the value's opening brace was taken before.
func (s *scanner) read(v *value, max int, array, open, resume bool) {
	if !resume {
		v.reset(s.line)
	}
	r := reader{v: v, max: max, array: array, open: open, span: -1, stack: s.stack[:0], word: s.word[:0], name: s.name[:0]}
	defer func() {
		s.stack, s.word, s.name, s.open = r.stack, r.word, r.name, nil
		if v.lent {
			v.data = slices.Clip(v.data) // what follows is not the value's
		}
	}()
	if max > 0 && s.fill() {
		v.data, v.lent, s.open = s.buf[s.pos:s.pos], true, v
	}
	if resume {
		r.stack, r.last, v.list = append(r.stack, '{'), '[', ""
	}
	tried := !array || !open
	for {
		if !s.fill() {
			v.cut = true
			return
		}
		chunk := s.buf[s.pos:s.end]
		n, done := r.chunk(s, chunk)
		v.size += n
		v.grow(chunk[:n], max)
		s.pos += n
		if done {
			if v.size > max && v.fault == "" && v.list == "" {
				v.fault = tooLarge(max)
			}
			return
		}
		if !tried && v.size > max {
			if tried = true; s.salvage(v) {
				return
			}
		}
	}
}

// chunk follows the text of b and returns how much of it belongs to the value
// and whether the value ended there.
func (r *reader) chunk(s *scanner, b []byte) (int, bool) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if r.string {
			i += r.inString(s, b[i:])
			continue
		}
		head := r.lineHead
		r.lineHead = c == '\n'
		switch c {
		case '\n':
			s.line++
			continue
		case ' ', '\t', '\r':
			continue
		case '"':
			r.beginString()
			// Nearly every string is short of escapes and whole in the buffer.
			if n := quoted.End(b[i+1:]); n >= 0 {
				if r.isKey || r.wantID {
					r.word = append(r.word, b[i+1:i+1+min(n, maxWord)]...)
				}
				r.endString()
				i += n + 1
			}
			continue
		case '{', '[':
			if c == '{' && head && !r.array && r.unexpected() {
				r.blame("the record is not closed before the next one begins")
				return i, true
			}
			if c == '[' && r.open && len(r.stack) == 1 && r.last == ':' && listKey(r.name) {
				r.v.list = string(r.name)
				return i, true
			}
			r.push(c)
		case '}', ']':
			if len(r.stack) == 1 && r.span >= 0 {
				r.endSpan(i)
			}
			if ends, taken := r.pop(c); ends {
				return i + taken, true
			}
		case ':':
			if len(r.stack) == 1 {
				if r.span = spanOf(r.name); r.span >= 0 {
					r.v.spans[r.span].start = r.v.size + i + 1
				}
			}
		case ',':
			if r.key = len(r.stack) == 1; r.key && r.span >= 0 {
				r.endSpan(i)
			}
		}
		r.last = c
	}
	return len(b), false
}

// inString reads on in a string and returns the index of the last byte it used.
func (r *reader) inString(s *scanner, b []byte) int {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case r.escape:
			r.escape = false
		case c == '\\':
			r.escape = true
		case c == '"':
			r.endString()
			return i
		case c == '\n':
			// JSON has no raw line feed in a string, so a quote is missing:
			// ending the string here keeps the damage in this record.
			r.blame("a string is not closed at the end of its line")
			r.endString()
			r.lineHead = true
			s.line++
			return i
		}
		if (r.isKey || r.wantID) && len(r.word) < maxWord {
			r.word = append(r.word, c)
		}
	}
	return len(b) - 1
}

func (r *reader) endSpan(i int) {
	r.v.spans[r.span].end = r.v.size + i
	r.span = -1
}

func (r *reader) beginString() {
	r.string, r.word = true, r.word[:0]
	if len(r.stack) == 1 && r.stack[0] == '{' {
		r.isKey, r.key = r.key, false
		r.wantID = !r.isKey && r.last == ':' && len(r.v.id) == 0 && (string(r.name) == "Id" || string(r.name) == "id")
	}
}

func (r *reader) endString() {
	r.string, r.escape, r.last = false, false, '"'
	if r.isKey {
		r.name = append(r.name[:0], r.word...)
		r.v.keys |= keyBit(r.name)
		if r.v.named < 8 {
			if r.v.named++; r.v.named > 1 {
				r.v.names = append(r.v.names, ", "...)
			}
			r.v.names = append(r.v.names, r.name...)
		}
	}
	if r.wantID {
		r.v.id = append(r.v.id, r.word...)
	}
	r.isKey, r.wantID = false, false
}

// unexpected reports whether no object may begin here: between two records of
// a sequence that says that the first one was cut.
func (r *reader) unexpected() bool {
	if len(r.stack) == 0 {
		return false
	}
	switch r.last {
	case ':', '[':
		return false
	case ',':
		return r.stack[len(r.stack)-1] == '{'
	}
	return true
}

func (r *reader) push(c byte) {
	r.stack = append(r.stack, c)
	if len(r.stack) == 1 {
		r.key = c == '{'
	}
	if len(r.stack) == maxDepth+1 {
		r.blame("nested too deep")
	}
}

// pop closes a bracket. It returns whether that ended the value and how many
// bytes (0 or 1) of the bracket belong to it.
func (r *reader) pop(c byte) (bool, int) {
	want := byte('{')
	if c == ']' {
		want = '['
	}
	top := len(r.stack) - 1
	if r.stack[top] != want {
		r.blame("the brackets do not match")
		if at := bytes.LastIndexByte(r.stack, want); at >= 0 {
			top = at
		} else if r.array {
			return true, 0
		} else {
			return false, 0
		}
	}
	r.stack = r.stack[:top]
	return top == 0, 1
}

func (r *reader) blame(why string) {
	if r.v.fault == "" {
		r.v.fault = why
	}
}

// junk takes what is no object or array: to the next separator of an array, else to the end of the line.
func (s *scanner) junk(v *value, max int, array bool) {
	v.reset(s.line)
	quoted, escaped := false, false
	for s.fill() {
		c := s.buf[s.pos]
		switch {
		case c == '\n':
			if !array || quoted {
				return
			}
			s.line++
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case array && (c == ',' || c == ']' || c == '{' || c == '[') && v.size > 0:
			return
		}
		s.pos++
		v.size++
		if len(v.data) < max {
			v.data = append(v.data, c)
		}
	}
}

// key reads an object's key and the colon behind it; false when there is none.
func (s *scanner) key() (string, bool) {
	if c, ok := s.next(); !ok || c != '"' {
		return "", false
	}
	s.take()
	var word []byte
	for s.fill() && len(word) < maxWord {
		c := s.buf[s.pos]
		s.pos++
		switch c {
		case '\n':
			s.line++
			return "", false
		case '"':
			if c, ok := s.next(); !ok || c != ':' {
				return "", false
			}
			s.take()
			return string(word), true
		}
		word = append(word, c)
	}
	return "", false
}

// scalar skips a string, a number or a word.
func (s *scanner) scalar() {
	quoted, escaped := false, false
	for s.fill() {
		c := s.buf[s.pos]
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
			if !quoted {
				s.pos++
				return
			}
		case c == '\n':
			return
		case !quoted && (c == ',' || c == '}' || c == ']'):
			return
		}
		s.pos++
	}
}
