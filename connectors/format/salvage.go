package format

import (
	"bytes"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/pipeline"
)

const (
	// maxSalvages bounds how often one document is picked up again, since each
	// time may read MaxRecord bytes once more.
	maxSalvages = 100
	// maxTries and maxCandidate bound the search for a record's beginning and so its
	// cost; Security Hub takes no finding above 240 KB.
	maxTries     = 100
	maxCandidate = 256 << 10
)

// salvage looks for the next whole record inside an array's element that is
// malformed: a missing quote or brace makes the element swallow what follows it. When there
// is one, the element is cut before it and reading goes on there.
func (s *scanner) salvage(v *value) bool {
	if s.salvages >= maxSalvages || s.err != nil && s.err != io.EOF {
		return false
	}
	excess := v.size - len(v.data) // bytes of the last chunk that v.data had no room for
	if excess < 0 || excess > s.pos {
		return false
	}
	at := nextRecord(v.data)
	if at < 0 {
		return false
	}
	s.salvages++
	s.r = io.MultiReader(bytes.NewReader(bytes.Clone(v.data[at:])), bytes.NewReader(bytes.Clone(s.buf[s.pos-excess:s.end])), s.r)
	s.buf, s.lent, s.pos, s.end, s.err = nil, false, 0, 0, nil
	s.line = v.line + bytes.Count(v.data[:at], []byte("\n"))
	v.data, v.size, v.cut, v.list = v.data[:at], at, false, ""
	v.fault = "malformed: the record runs into the one behind it"
	return true
}

// skip goes on at the next whole record in the text read so far, past the
// wreckage of an object that ended too early; v takes up what was passed over.
func (s *scanner) skip(v *value) {
	if s.salvages >= maxSalvages || !s.fill() {
		return
	}
	text := s.buf[s.pos:s.end]
	at := nextRecord(text)
	if at < 0 {
		return
	}
	s.salvages++
	s.pos += at
	s.line += bytes.Count(text[:at], []byte("\n"))
	if room := min(at, pipeline.RejectBytes-len(v.data)); room > 0 {
		v.data = append(v.data, text[:room]...)
	}
	v.fault = "malformed: the record before ended too early and left this"
}

// wreckage reports whether text that is no value has a member of an object in it.
func wreckage(text []byte) bool {
	return bytes.Contains(text, []byte(`":`)) || bytes.Contains(text, []byte(`" :`))
}

// nextRecord is where in text, behind its first byte, a whole record of a known
// format begins after a comma; -1 if nowhere. Parts of a record hardly pass for one, since the
// outer keys that each format requires must all be there.
func nextRecord(text []byte) int {
	tries := 0
	for at := 1; tries < maxTries; at++ {
		i := bytes.IndexByte(text[at:], '{')
		if i < 0 {
			return -1
		}
		at += i
		if before := bytes.TrimRight(text[max(0, at-64):at], " \t\r\n"); len(before) == 0 || before[len(before)-1] != ',' {
			continue
		}
		tries++
		var v value
		r := reader{v: &v, array: true, span: -1}
		n, done := r.chunk(&scanner{}, text[at:min(len(text), at+maxCandidate)])
		if done && v.fault == "" && complete(v.keys) && jsontext.Value(text[at:at+n]).IsValid() {
			return at
		}
	}
	return -1
}
