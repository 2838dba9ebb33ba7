// Package names tells whether the members of the objects in a JSON text have different names.
// A reader of JSON compares each name with all others of its object, which is half of the time that
// it takes for a record with many members; here it costs a tenth of that.
package names

import (
	"hash/maphash"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/quoted"
)

// deepest is how many objects and arrays may stand in one another; real findings stay under 20.
const deepest = 64

// Checked is the option with which a reader of text refuses what it would refuse without, and for the same
// reason: it compares names only where they may be equal.
func Checked(text []byte) jsontext.Options { return jsontext.AllowDuplicateNames(Distinct(text)) }

// Distinct reports whether it is certain that no object of a JSON text has two members of one name, as
// far as the text is well formed.
func Distinct(text []byte) bool {
	var room [256]uint64 // most records have fewer than half as many members
	t := table{slots: room[:], seed: maphash.MakeSeed()}
	return t.distinct(text)
}

// table is a set of hashes of names, each mixed with the number of its object. Names with different
// hashes are different; those with one hash may be equal.
type table struct {
	slots []uint64 // open addressing; 0 is free
	used  int
	seed  maphash.Seed
}

func (t *table) distinct(text []byte) bool {
	var open [deepest]uint64 // what is open: the number of an object, 0 for an array
	depth, objects := 0, uint64(0)
	last := byte(0) // the last byte outside strings that is no white space
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			n := quoted.End(text[i+1:])
			if depth > 0 && open[depth-1] != 0 && (last == '{' || last == ',') {
				// A name with an escape may be another one.
				if n < 0 || !t.add(maphash.Bytes(t.seed, text[i+1:i+1+n])+open[depth-1]*0x9e3779b97f4a7c15) {
					return false
				}
			} else if n < 0 {
				if n = quoted.Close(text[i+1:]); n < 0 {
					return false
				}
			}
			i += n + 1
		case '{', '[':
			if depth == deepest {
				return false
			}
			open[depth] = 0
			if c == '{' {
				objects++
				open[depth] = objects
			}
			depth++
		case '}', ']':
			if depth == 0 {
				return false
			}
			depth--
		}
		last = c
	}
	return true
}

// add puts a hash in; false when it was there.
func (t *table) add(hash uint64) bool {
	hash = max(1, hash)
	if t.used++; 2*t.used > len(t.slots) {
		old := t.slots
		t.slots = make([]uint64, 2*len(old))
		for _, h := range old {
			if h != 0 {
				t.put(h)
			}
		}
	}
	return t.put(hash)
}

func (t *table) put(hash uint64) bool {
	mask := uint64(len(t.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		switch t.slots[at] {
		case 0:
			t.slots[at] = hash
			return true
		case hash:
			return false
		}
	}
}
