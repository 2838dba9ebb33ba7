// Package report is what the reports of scanners have in common: one document that names a
// target, and arrays of what was found there. Each kind says which arrays those are and what an element
// comes to; taking the document apart in bounded memory is the format package's part.
package report

import (
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is one scanner's report.
type Kind struct {
	Name string // as Options.Format and Record.Format spell it
	// Marks are names of members, in their quotes, of which one stands at the begin of every such document: a quick look before the real one.
	Marks []string
	// Lists are the members whose elements are read one by one: a name, or two with a dot between them for a
	// member of an object. The rest of the document is its head.
	Lists []string
	// Is says whether a document that begins with these keys is such a report.
	Is func(k Keys) bool
	// Open reads a document's head.
	Open func(head []byte) (Report, error)
}

// Report is one document that was opened.
type Report interface {
	// Scan names the target that the report is a whole scan of, the tool's own name of the run, where it has one,
	// and when it was; an empty scope or no time: what the report leaves out proves nothing.
	Scan() (scope, run string, at time.Time)
	// Split hands on what one element of a list comes to, as a record that the format's decoder reads by
	// itself. An error refuses the element.
	Split(list string, element []byte, each func(record []byte) error) error
}

// Keys are names of members that stand at the begin of a document: "results", "results.check_id". Arrays
// count as what they hold.
type Keys map[string]bool

// All says whether every key is there.
func (k Keys) All(keys ...string) bool {
	for _, key := range keys {
		if !k[key] {
			return false
		}
	}
	return true
}

// deepest is how many levels of keys are looked at.
const deepest = 3

// KeysOf reads the keys of the document that begins so, as far as it goes.
func KeysOf(begin []byte) Keys {
	keys := Keys{}
	d := NewDecoder(bytes.NewReader(begin))
	var at []string // the names above
	var levels []bool
	name := "" // the member whose value comes next, in an object
	for {
		tok, err := d.ReadToken()
		if err != nil {
			return keys
		}
		inObject := len(levels) > 0 && levels[len(levels)-1]
		switch tok.Kind() {
		case '{', '[':
			at, levels, name = append(at, name), append(levels, tok.Kind() == '{'), ""
		case '}', ']':
			at, levels, name = at[:len(at)-1], levels[:len(levels)-1], ""
		case '"':
			if !inObject || name != "" {
				name = ""
				continue
			}
			name = tok.String()
			if named(at) >= deepest {
				continue // a dot stands behind each
			}
			if path := join(at, name); strings.Count(path, ".") < deepest {
				keys[path] = true
			}
		default:
			name = ""
		}
		if len(levels) == 0 {
			return keys
		}
	}
}

// named is how many of the levels above have a name.
func named(above []string) (n int) {
	for _, a := range above {
		if a != "" {
			n++
		}
	}
	return n
}

func join(above []string, name string) string {
	if named(above) == 0 {
		return name
	}
	var b strings.Builder
	for _, a := range above {
		if a != "" {
			b.WriteString(a)
			b.WriteByte('.')
		}
	}
	return b.String() + name
}

// NewDecoder reads JSON as leniently as scanners write it.
func NewDecoder(r io.Reader) *jsontext.Decoder {
	return jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// Image is an image's reference without tag and digest, by which rebuilt images are one target.
func Image(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// Occurrences numbers equal texts at different places of one report: the first is 0, and one that is
// reported twice at one place keeps its number.
type Occurrences struct {
	seen map[string][]place
}

type place struct{ line, column int }

// At is the number of the text at a place.
func (o *Occurrences) At(text string, line, column int) int {
	if o.seen == nil {
		o.seen = map[string][]place{}
	}
	p := place{line, column}
	for i, known := range o.seen[text] {
		if known == p {
			return i
		}
	}
	o.seen[text] = append(o.seen[text], p)
	return len(o.seen[text]) - 1
}
