package pipeline

// Split cuts e into envelopes whose packed form is at most limit bytes, in
// order: items first, then rejects, and the scans in the last one, so that an
// end marker still travels behind all that it counts. One item or reject that is
// larger by itself travels alone. The parts share e's slices. An empty envelope is no parts.
func (e *Envelope) Split(limit int) []Envelope {
	head := Envelope{Source: e.Source, Scan: e.Scan, Approved: e.Approved, Origin: e.Origin}
	s := splitter{
		head:  head,
		fixed: 64 + len(e.Source) + len(e.Scan) + len(e.Origin),
		limit: limit,
		now:   head,
		words: make(map[string]bool),
	}
	s.size = s.fixed
	for i := range e.Items {
		it := &e.Items[i]
		s.room(it.EncodedSize() + s.wordSize(it.Format) + s.wordSize(it.Scope) + s.wordSize(it.Account))
		s.size += it.EncodedSize() + s.word(it.Format) + s.word(it.Scope) + s.word(it.Account)
		s.now.Items = e.Items[i-len(s.now.Items) : i+1]
	}
	for i := range e.Rejects {
		size := rejectSize(&e.Rejects[i])
		s.room(size)
		s.size += size
		s.now.Rejects = e.Rejects[i-len(s.now.Rejects) : i+1]
	}
	for i := range e.Scans {
		size := scanSize(&e.Scans[i])
		s.room(size)
		s.size += size
		s.now.Scans = e.Scans[i-len(s.now.Scans) : i+1]
	}
	s.cut()
	return s.parts
}

// splitter fills one part after the other. Sizes are upper bounds.
type splitter struct {
	head  Envelope
	now   Envelope
	parts []Envelope
	words map[string]bool // in the table of the part being filled
	fixed int             // of an empty part
	size  int             // of the part being filled
	limit int
}

func (s *splitter) room(size int) {
	if s.size+size > s.limit {
		s.cut()
	}
}

func (s *splitter) cut() {
	if len(s.now.Items)+len(s.now.Rejects)+len(s.now.Scans) == 0 {
		return
	}
	s.parts = append(s.parts, s.now)
	s.now, s.size = s.head, s.fixed
	clear(s.words)
}

// word notes that the part's table holds w, and answers what that adds.
func (s *splitter) word(w string) int {
	n := s.wordSize(w)
	s.words[w] = true
	return n
}

func (s *splitter) wordSize(w string) int {
	if s.words[w] {
		return 0
	}
	return len(w) + 5
}

// scanSize and rejectSize bound the packed form: ten bytes a number.
func scanSize(s *Scan) int {
	return 80 + len(s.ID) + len(s.Scope) + len(s.Filter) + len(s.Why)
}

func rejectSize(r *Reject) int {
	return 90 + len(r.Origin) + len(r.ID) + len(r.Reason) + len(r.Data) + len(r.Source)
}
