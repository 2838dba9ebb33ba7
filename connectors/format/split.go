package format

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/gitleaks"
	"github.com/docket-hub/docket/connectors/format/ocsf"
	"github.com/docket-hub/docket/pipeline"
)

// DefaultMaxRecord is the largest record that is taken in when Options leaves
// MaxRecord zero: 16 MiB. The largest finding that Security Hub takes is 240 KB
// (Security Hub user guide, BatchImportFindings).
const DefaultMaxRecord = 16 << 20

// maxUnknown is how many objects of no known format are held back before a
// document in which nothing was known counts as unknown.
const maxUnknown = 100

// maxNesting is how deep arrays and pages of records may stand in one another.
const maxNesting = 4

// What a document says once, as its target or a rule, stands in each of its records. Real ones come to a few times their
// size; one that is made to become thousands of times as large is not read to its end.
const (
	swellTimes = 64
	swellFloor = 16 << 20
)

var errSwollen = fmt.Errorf("its records are more than %d times as large as the document: the rest is skipped", swellTimes)

// Options says how to read one document. The zero value finds the format by
// content and drops rejects after counting them.
type Options struct {
	Format    string                      // one of Names; auto or empty finds it record by record
	Origin    string                      // where the document was read: a file's path, "stdin"; for records, rejects and errors
	MaxRecord int                         // largest record in bytes; 0 is DefaultMaxRecord
	Reject    func(pipeline.Reject) error // takes what could not be read; its error ends Split
	// Unchecked leaves the finding of malformed text inside a record to Decode. It
	// saves a third of the time where each record is decoded at once anyway and nobody asks for its line.
	Unchecked bool
}

// Document is what one call of Split found.
type Document struct {
	Format   string          // the format of its records, "mixed" for several, empty when there were none
	Records  int             // records handed over
	Rejected int             // records refused
	Scans    []pipeline.Scan // complete or broken reads of a target, ended with this document, in order of appearance
	Notes    []string        // one line each: what was skipped and why
}

// expected names what a document may hold, for people.
const expected = "findings as ASFF, OCSF, SARIF 2.1.0, of an AWS service, of a scanner, or docket JSON"

// ErrUnknown says that a document holds nothing that any decoder knows.
var ErrUnknown = errors.New("no findings format that is known here")

// Split reads one document and calls each with every record in it, in order;
// the record's Data belongs to the receiver. Compressed (gzip) documents are
// unpacked, a UTF-8 byte order mark is skipped. Memory stays bounded by a few
// MaxRecord however long the document is; the results of a SARIF run above
// 8 MiB wait in a temporary file. An error of each or of Options.Reject ends
// Split with it; a document of no known format ends with ErrUnknown. In each
// case the Document tells what was done until then, without Scans.
func Split(r io.Reader, opt Options, each func(pipeline.Record) error) (Document, error) {
	if opt.MaxRecord <= 0 {
		opt.MaxRecord = DefaultMaxRecord
	}
	if err := Known(opt.Format); err != nil {
		return Document{}, err
	}
	if opt.Format == auto {
		opt.Format = ""
	}
	text, count, err := open(r)
	if err != nil {
		return Document{}, fmt.Errorf("reading %s: %w", opt.Origin, err)
	}
	p := &splitter{s: newScanner(text), opt: opt, each: each, read: count, v: value{names: make([]byte, 0, 160)}}
	read := p.document
	if zapXML(opt.Format, text) {
		read = func() error { return p.zapXML(text) }
	} else if k, is := reportOf(opt.Format, text); is {
		read = func() error { return p.report(k, text) }
	} else if name, comma, is := tableOf(opt.Format, text); is {
		read = func() error { return p.table(name, comma, text) }
	}
	err = read()
	if errors.Is(err, errSwollen) {
		err = p.refuseText(errSwollen.Error())
	}
	if err != nil {
		p.doc.Scans = nil
		return p.doc, fmt.Errorf("reading %s: %w", opt.Origin, err)
	}
	p.doc.Scans = p.scans.end()
	return p.doc, nil
}

// splitter is the state of one Split.
type splitter struct {
	s     *scanner
	opt   Options
	each  func(pipeline.Record) error
	doc   Document
	v     value
	index int
	scans scans

	read   *counter // of the document
	handed int64    // bytes of records

	wrapped bool // the text is the message of an SNS notification
	known   bool // a record or wrapping of a known format was seen
	pending []pipeline.Reject
	odd     string // what the first unknown thing looked like
}

// document reads the values of the text one after the other: usually one, in NDJSON many.
func (p *splitter) document() error {
	if err := p.texts(); err != nil {
		return err
	}
	if err := p.damage(); err != nil {
		return err
	}
	if !p.known && p.odd != "" {
		return fmt.Errorf("%w: %s; expected %s", ErrUnknown, p.odd, expected)
	}
	if p.doc.Records+p.doc.Rejected+len(p.doc.Notes) == 0 && !p.known {
		p.note("the document holds no records")
	}
	return p.flush()
}

// texts reads values until the text ends.
func (p *splitter) texts() error {
	for {
		c, ok := p.s.next()
		if !ok {
			return nil
		}
		if err := p.value(c, 0, false); err != nil {
			return err
		}
		if p.v.cut {
			return nil // the text ended, or what follows has no shape to read on in
		}
	}
}

// damage turns the end of the text into an error or a reject unless it was a clean one.
func (p *splitter) damage() error {
	if p.s.err == nil || p.s.err == io.EOF {
		return nil
	}
	why := unpacking(p.s.err)
	if why == "" {
		return p.s.err
	}
	p.known = true
	p.v.reset(p.s.line)
	return p.reject(&p.v, why)
}

// unpacking is what is wrong with compressed text; "" where the error is one of reading it.
func unpacking(err error) string {
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.As(err, &corrupt) {
		return "the compressed data is damaged or cut off: " + err.Error()
	}
	return ""
}

// value reads the value that begins with c: an object, an array of values, or something unreadable.
func (p *splitter) value(c byte, nesting int, array bool) error {
	switch {
	case c == '{':
		return p.object(nesting, array)
	case c == '[' && nesting < maxNesting:
		p.s.take()
		return p.array(nesting+1, p.value)
	case c == '[':
		p.s.read(&p.v, p.opt.MaxRecord, array, false, false)
		return p.reject(&p.v, "arrays in arrays")
	}
	if !array && (c == ',' || p.s.salvages > 0 && (c == ']' || c == '}')) {
		p.s.take() // objects listed without brackets, or brackets left over from what was rejected
		return nil
	}
	p.s.junk(&p.v, p.opt.MaxRecord, array)
	if p.known && wreckage(p.v.data) {
		if array || !p.s.salvage(&p.v) {
			p.s.skip(&p.v)
		}
		if p.v.fault != "" {
			return p.reject(&p.v, p.v.fault)
		}
	}
	return p.unknown(&p.v, "text that is no JSON object")
}

// array reads elements up to the closing bracket; the opening one was taken.
func (p *splitter) array(nesting int, element func(byte, int, bool) error) error {
	for {
		c, ok := p.s.next()
		switch {
		case !ok:
			if p.damaged() {
				return nil // damage reports it
			}
			p.v.reset(p.s.line)
			p.known = true
			return p.reject(&p.v, "the document ends before its closing bracket")
		case c == ']':
			p.s.take()
			return nil
		case c == ',':
			p.s.take()
			continue
		}
		if err := element(c, nesting, true); err != nil {
			return err
		}
		if p.v.cut {
			return nil // one reject for the cut is enough
		}
	}
}

func (p *splitter) damaged() bool { return p.s.err != nil && p.s.err != io.EOF }

// object reads one object: a record, an event, or a wrapping whose records follow in an array.
func (p *splitter) object(nesting int, array bool) error {
	p.s.read(&p.v, p.opt.MaxRecord, array, nesting < maxNesting, false)
	for p.v.list != "" {
		p.s.take()
		var err error
		if p.v.list == "runs" {
			p.known = true
			if err := sarifVersion(p.v.data); err != nil {
				return err
			}
			err = p.array(nesting+1, p.run)
		} else {
			err = p.array(nesting+1, p.value)
		}
		if err != nil || p.v.cut {
			return err
		}
		if _, ok := p.s.next(); !ok {
			if p.damaged() {
				return nil
			}
			p.v.reset(p.s.line)
			return p.reject(&p.v, "the document ends before its closing brace")
		}
		p.v.reset(p.s.line)
		p.s.read(&p.v, 0, array, true, true)
		if p.v.list == "" {
			if p.v.cut && !p.damaged() {
				return p.reject(&p.v, "the document ends before its closing brace")
			}
			return nil
		}
	}
	return p.record(&p.v, array)
}

// record hands over or refuses the object that was read; array says that it stands in one.
func (p *splitter) record(v *value, array bool) error {
	format := p.opt.Format
	if f := classify(v.keys); format == "" || f == event || f == notification {
		format = f
	}
	broken := v.cut || v.fault != ""
	if !broken && format != unknown && !p.opt.Unchecked && !jsontext.Value(v.data).IsValid() {
		broken = true
	}
	if broken && array {
		p.s.salvage(v)
	}
	switch {
	case v.cut && p.damaged():
		return nil
	case v.cut:
		return p.reject(v, "the document ends inside this record")
	case v.fault != "" && (format != unknown || v.size <= p.opt.MaxRecord):
		return p.reject(v, v.fault)
	case format == unknown || format == SARIF:
		return p.unknown(v, "an object with the keys "+string(v.names))
	case broken:
		return p.reject(v, p.explain(v, nil))
	case format == event:
		return p.event(v)
	case format == notification:
		return p.notification(v)
	}
	return p.emit(v, format)
}

// emit hands over a record of a known format.
func (p *splitter) emit(v *value, format string) error {
	rec := pipeline.Record{Format: format, Origin: p.opt.Origin, Index: p.index}
	if format == OCSF {
		scope, at, err := ocsf.Scope(v.part)
		if err != nil {
			return p.reject(v, p.explain(v, err))
		}
		if scope != "" && !at.IsZero() {
			rec.Scope, rec.Observed = scope, at
			p.scans.add(scope, "", 1, at)
		}
	}
	rec.Data = p.s.give(v)
	if format == gitleaks.Name {
		clean, err := gitleaks.Redact(rec.Data)
		if err != nil {
			return p.reject(v, Reason(err))
		}
		rec.Data = clean
	}
	p.scoped(&rec)
	return p.hand(rec)
}

func (p *splitter) hand(rec pipeline.Record) error {
	if err := p.flush(); err != nil {
		return err
	}
	switch p.doc.Format {
	case "", rec.Format:
		p.doc.Format = rec.Format
	default:
		p.doc.Format = "mixed"
	}
	p.known = true
	if p.handed += int64(len(rec.Data)); p.handed > swellFloor+swellTimes*p.read.n {
		return errSwollen
	}
	p.doc.Records++
	p.index++
	return p.each(rec)
}

// explain says what is wrong with a record and moves v.line there: its text,
// else what reading it as a record met.
func (p *splitter) explain(v *value, met error) string {
	_, err := jsontext.NewDecoder(bytes.NewBuffer(v.data)).ReadValue()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && int(syntax.ByteOffset) <= len(v.data) {
		v.line += bytes.Count(v.data[:syntax.ByteOffset], []byte("\n"))
	}
	switch {
	case err != nil:
		return Reason(err)
	case met != nil:
		return Reason(met)
	}
	return "the text goes on behind the record"
}

// reject counts and hands over what was refused; everything in this document
// that would have ended as a complete scan does not.
func (p *splitter) reject(v *value, reason string) error {
	if err := p.flush(); err != nil {
		return err
	}
	p.known = true
	return p.refuse(p.refusal(v, reason))
}

func (p *splitter) refusal(v *value, reason string) pipeline.Reject {
	r := pipeline.Reject{Origin: p.opt.Origin, Index: p.index, Line: v.line, ID: string(v.id), Reason: reason,
		Data: bytes.Clone(v.data[:min(len(v.data), pipeline.RejectBytes)])}
	if classify(v.keys) == gitleaks.Name {
		r.Data = nil // it holds the secret that was found, and nobody could take it out
	}
	p.index++
	return r
}

func (p *splitter) refuse(r pipeline.Reject) error {
	p.doc.Rejected++
	p.scans.broken(fmt.Sprintf("record %d was rejected: %s", r.Index, r.Reason))
	if p.opt.Reject == nil {
		return nil
	}
	return p.opt.Reject(r)
}

// unknown holds an unknown thing back: beside known records it is a reject,
// alone it makes the document unknown.
func (p *splitter) unknown(v *value, what string) error {
	if v.named == 0 && len(v.data) > 0 {
		what = fmt.Sprintf("%s, %.40q", what, v.data[:min(len(v.data), 200)])
	}
	reason := "no known findings format: " + what
	if p.known {
		return p.reject(v, reason)
	}
	if p.odd == "" {
		p.odd = fmt.Sprintf("line %d has %s", v.line, what)
	}
	p.pending = append(p.pending, p.refusal(v, reason))
	if len(p.pending) >= maxUnknown {
		return fmt.Errorf("%w: %s; expected %s", ErrUnknown, p.odd, expected)
	}
	return nil
}

func (p *splitter) flush() error {
	held := p.pending
	p.pending = nil
	for _, r := range held {
		if err := p.refuse(r); err != nil {
			return err
		}
	}
	return nil
}

func (p *splitter) note(text string) {
	if len(p.doc.Notes) < maxUnknown {
		p.doc.Notes = append(p.doc.Notes, text)
	}
}
