package format

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/docket-hub/docket/connectors/format/asff"
	"github.com/docket-hub/docket/connectors/format/docket"
	"github.com/docket-hub/docket/connectors/format/guardduty"
	"github.com/docket-hub/docket/connectors/format/inspector2"
	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/quoted"
	"github.com/docket-hub/docket/connectors/format/ocsf"
	"github.com/docket-hub/docket/connectors/format/sarif"
	"github.com/docket-hub/docket/connectors/format/trustedadvisor"
	"github.com/docket-hub/docket/pipeline"
)

// maxTimes is one more than the number of members that a format's Moves puts in an order.
const maxTimes = 8

// maxDigits is how long a number may be that every reader reads alike.
const maxDigits = 15

// Steady appends to to what of a record decides the report that Decode makes of
// it, but for ObservedAt and FirstObserved, and returns the former. Two records of one format with
// the same steady text are both readable or both not, and their reports differ in nothing else.
//
// The text is the record's own with some values emptied: those of members that a vendor sets anew
// each time it looks and that Decode does not read, or reads as a time. Only a plain text or a whole
// number is emptied and leaves a value of its sort behind, so a record is as well formed as any
// other with its steady text. It is not ok, and the text means nothing, where that cannot be told
// in one pass, or where the record has no time of its own.
func Steady(to []byte, rec *pipeline.Record) (text []byte, observed time.Time, ok bool) {
	s := steady{data: rec.Data, out: to}
	switch rec.Format {
	case ASFF:
		s.moves = asff.Moves
	case OCSF:
		s.moves = ocsf.Moves
	case SARIF:
		s.moves = sarif.Moves
	case Docket:
		s.moves = docket.Moves
	case GuardDuty:
		s.moves = guardduty.Moves
	case Inspector2:
		s.moves = inspector2.Moves
	case TrustedAdvisor:
		s.moves = trustedadvisor.Moves
	default:
		return to, time.Time{}, false
	}
	if !s.walk() {
		return s.out, time.Time{}, false
	}
	s.out = append(s.out, s.data[s.from:]...)
	for _, t := range s.times {
		if observed = timeOf(t); !observed.IsZero() {
			return s.out, observed, true
		}
	}
	return s.out, time.Time{}, false
}

// steady is the state of one walk. What it does at a place depends on nothing but
// what it has put out before and on the next byte: that is why equal output means equal structure.
type steady struct {
	moves func(outer, inner []byte) int
	data  []byte
	out   []byte
	from  int // the text from here on is not in out yet
	times [maxTimes][]byte

	depth        int
	object       bool // what is open at depth 2 is an object
	outer, inner []byte
	last         byte // the last byte outside strings that is no white space
}

func (s *steady) walk() bool {
	b := s.data
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			n := quoted.End(b[i+1:])
			if n < 0 {
				n = quoted.Close(b[i+1:])
			}
			if n < 0 || s.depth <= 2 && !s.text(i+1, i+1+n) {
				return false
			}
			i += n + 1
		case '{', '[':
			if s.depth++; s.depth == 2 {
				s.object = c == '{'
			}
		case '}', ']':
			s.depth--
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			if s.last == ':' && s.depth <= 2 {
				end, ok := s.number(i)
				if !ok {
					return false
				}
				i = end - 1
			}
		}
		s.last = c
	}
	return true
}

// moving is what Moves says of the value that comes next.
func (s *steady) moving() int {
	switch {
	case s.depth == 1:
		return s.moves(s.outer, nil)
	case s.depth == 2 && s.object:
		return s.moves(s.outer, s.inner)
	}
	return 0
}

// text takes the string between two quotes: a member's name or value.
func (s *steady) text(from, end int) bool {
	v := s.data[from:end]
	switch s.last {
	case ':':
		m := s.moving()
		switch {
		case m == 0:
			return true
		case plain(v):
			return s.empty(m, from, end, "")
		}
		return m < 0
	case '{', ',':
		switch {
		case s.depth == 1:
			s.outer = v
		case s.object:
			s.inner = v
		default:
			return true
		}
		return bytes.IndexByte(v, '\\') < 0 // the name may be another one
	}
	return true
}

// number takes the number that begins at from, and says where it ends.
func (s *steady) number(from int) (end int, ok bool) {
	m := s.moving()
	for end = from; end < len(s.data) && s.data[end] >= '0' && s.data[end] <= '9'; end++ {
	}
	if m == 0 {
		return end, true
	}
	whole := false
	if end < len(s.data) {
		switch s.data[end] {
		case ',', '}', ' ', '\t', '\r', '\n':
			whole = s.data[from] != '0' && end-from <= maxDigits
		}
	}
	if !whole {
		return end, m < 0
	}
	return end, s.empty(m, from, end, "0")
}

// empty leaves the bytes of a value out, and keeps them where they are a time.
func (s *steady) empty(m, from, end int, instead string) bool {
	s.out = append(append(s.out, s.data[s.from:from]...), instead...)
	s.from = end
	if m < 0 {
		return true
	}
	if s.times[m] != nil {
		return false
	}
	s.times[m] = s.data[from:end]
	return true
}

// plain reports whether a string stands for itself, byte by byte.
func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// timeOf reads the time in a value as instant.Time does, zero for none.
func timeOf(v []byte) time.Time {
	for _, c := range v {
		if c < '0' || c > '9' {
			return instant.Parse(string(v))
		}
	}
	n, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		n = math.NaN()
	}
	return instant.FromNumber(n)
}
