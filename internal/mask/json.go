package mask

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Bytes masks JSON text, one value or several. Valid JSON stays valid: only the
// contents of string literals change. A member's name counts ("password": "…"), and so does
// the name beside a value ({"Name": "DB_PASSWORD", "Value": "…"}). What is not JSON is
// masked as plain text. Without a credential it returns b itself; b is never changed.
func (m *Masker) Bytes(b []byte) []byte {
	d := document{m: m, in: b, name: -1}
	if !d.walk() {
		out, _ := m.text(b)
		return out
	}
	if d.out == nil {
		return b
	}
	return append(d.out, b[d.copied:]...)
}

// document is one walk over the string literals of a JSON text.
type document struct {
	m      *Masker
	in     []byte
	out    []byte // what was written so far; nil while nothing changed
	copied int    // in[:copied] is in out

	name     int     // start of the member name before the next value, or -1
	nameEnd  int     // end of it, both without quotes
	label    literal // value of the last member called Name or Key: it names the Value beside it
	pem      bool    // a private key began in an earlier literal and has not ended
	scratch  []byte
	spanRoom [8]span
}

// literal is the contents of a string literal, in[from:to], without its quotes.
type literal struct {
	from, to int
	escaped  bool
}

// walk visits every string literal. It is false when the text is no JSON.
func (d *document) walk() bool {
	in := d.in
	for i := 0; i < len(in); {
		switch c := in[i]; {
		case c == '"':
			lit, next, ok := readLiteral(in, i)
			if !ok {
				return false
			}
			i = next
			for i < len(in) && isSpace(in[i]) {
				i++
			}
			if i < len(in) && in[i] == ':' {
				d.flushName()
				d.name, d.nameEnd = lit.from, lit.to
				i++
				continue
			}
			d.value(lit)
			d.name = -1
		case c == '{' || c == '[' || c == '}' || c == ']':
			d.flushName()
			d.name = -1
			if c != '[' {
				d.label = literal{}
			}
			i++
		case isSpace(c) || c == ',' || c == ':' || c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9' || bytes.IndexByte([]byte("truefalsnE"), c) >= 0:
			i++
		default:
			return false
		}
	}
	d.flushName()
	return true
}

// readLiteral reads the literal whose opening quote is in[at].
func readLiteral(in []byte, at int) (lit literal, next int, ok bool) {
	lit.from = at + 1
	i := at + 1
	for {
		n := bytes.IndexByte(in[i:], '"')
		if n < 0 {
			return lit, 0, false
		}
		back := bytes.IndexByte(in[i:i+n], '\\')
		if back < 0 {
			lit.to = i + n
			return lit, i + n + 1, true
		}
		lit.escaped = true
		i += back + 2
		if i > len(in) {
			return lit, 0, false
		}
	}
}

// flushName masks a member name whose value is no string: names can be credentials too.
func (d *document) flushName() {
	if d.name >= 0 {
		lit := literal{from: d.name, to: d.nameEnd, escaped: bytes.IndexByte(d.in[d.name:d.nameEnd], '\\') >= 0}
		d.name = -1
		d.mask(lit, nil)
	}
}

// value masks a string value together with the name before it.
func (d *document) value(lit literal) {
	if d.name < 0 {
		d.mask(lit, nil)
		return
	}
	name := d.in[d.name:d.nameEnd]
	short := len(name) <= 5
	if short && d.label.to > 0 && bytes.EqualFold(name, []byte("value")) {
		d.mask(lit, d.in[d.label.from:d.label.to])
		return
	}
	if short && (bytes.EqualFold(name, []byte("name")) || bytes.EqualFold(name, []byte("key"))) {
		d.label = lit
	}
	d.flushLong(name)
	d.mask(lit, name)
}

// flushLong masks a member name that is long enough to be a credential itself.
func (d *document) flushLong(name []byte) {
	if len(name) >= 16 {
		d.mask(literal{from: d.name, to: d.nameEnd, escaped: bytes.IndexByte(name, '\\') >= 0}, nil)
	}
}

// mask masks one literal; name is what its value is called, or nil.
func (d *document) mask(lit literal, name []byte) {
	raw := d.in[lit.from:lit.to]
	if len(raw) < minCredential && !d.pem {
		return
	}
	plain := raw
	if lit.escaped {
		var s string
		if json.Unmarshal(d.in[lit.from-1:lit.to+1], &s) == nil {
			plain = []byte(s)
		}
	}
	if d.pem && d.insideKey(lit, plain) {
		return
	}
	text, from := plain, 0
	if name != nil {
		d.scratch = append(d.scratch[:0], name...)
		d.scratch = append(d.scratch, `": "`...)
		from = len(d.scratch)
		d.scratch = append(d.scratch, plain...)
		text = d.scratch
	}
	spans := d.m.scan(d.spanRoom[:0], text, from)
	if len(spans) == 0 {
		return
	}
	if last := spans[len(spans)-1]; last.rule == d.m.private {
		_, d.pem, _ = pemAt(text, last.from)
	}
	d.write(lit, d.m.replace(text, spans)[from:])
}

// insideKey masks a literal that continues a private key begun in an earlier
// one, as tools that list a file's lines one by one write it.
func (d *document) insideKey(lit literal, plain []byte) bool {
	if bytes.Contains(plain, []byte(pemEnd)) {
		d.pem = false
		return false
	}
	if !isKeyMaterial(plain) {
		return false
	}
	d.write(lit, d.m.appendMask(nil, plain, d.m.private))
	return true
}

// write puts new contents in the place of a literal's.
func (d *document) write(lit literal, contents []byte) {
	if d.out == nil {
		d.out = make([]byte, 0, len(d.in)+64)
	}
	d.out = append(d.out, d.in[d.copied:lit.from]...)
	d.out = appendEscaped(d.out, contents)
	d.copied = lit.to
}

// appendEscaped writes text as the contents of a JSON string.
func appendEscaped(out, text []byte) []byte {
	const hex = "0123456789abcdef"
	for len(text) > 0 {
		c := text[0]
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			out = append(out, c)
		default:
			_, n := utf8.DecodeRune(text)
			out = append(out, text[:n]...)
			text = text[n:]
			continue
		}
		text = text[1:]
	}
	return out
}
