package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/checkov"
	"github.com/docket-hub/docket/connectors/format/grype"
	"github.com/docket-hub/docket/connectors/format/kics"
	"github.com/docket-hub/docket/connectors/format/report"
	"github.com/docket-hub/docket/connectors/format/semgrep"
	"github.com/docket-hub/docket/connectors/format/snyk"
	"github.com/docket-hub/docket/connectors/format/trivy"
	"github.com/docket-hub/docket/connectors/format/zap"
	"github.com/docket-hub/docket/pipeline"
)

// reportKinds are the scanners' reports, in the order in which they are tried. They are the same for every document.
var reportKinds = sync.OnceValue(func() []report.Kind {
	return []report.Kind{trivy.Kind(), grype.Kind(), checkov.Kind(), kics.Kind(), semgrep.Kind(), snyk.Kind(), zap.Kind()}
})

// maxReport is how large a scanner's report may be, in bytes: one list element, and what stands beside the
// lists, are held in memory.
const maxReport = 256 << 20

// reportMemory is how much of a report is kept in memory before it moves to a file: it is read twice, since
// what names its target may stand behind what was found there.
const reportMemory = 8 << 20

// reportOf is the kind of report that a document is, by the format that was asked for or by how it begins.
func reportOf(format string, text opened) (report.Kind, bool) {
	kinds := reportKinds()
	if format != "" {
		for _, k := range kinds {
			if k.Name == format {
				return k, !snykCode(format, text)
			}
		}
		return report.Kind{}, false
	}
	begin, _ := text.Peek(peekBytes) // an error comes again when it is read
	if b := bytes.TrimLeft(begin, " \t\r\n"); len(b) == 0 || b[0] != '{' && b[0] != '[' {
		return report.Kind{}, false
	}
	if !marked(begin) {
		return report.Kind{}, false
	}
	keys := report.KeysOf(begin)
	for _, k := range kinds {
		if slices.ContainsFunc(k.Marks, func(m string) bool { return bytes.Contains(begin, []byte(m)) }) && k.Is(keys) {
			return k, true
		}
	}
	return report.Kind{}, false
}

// reportMarks are the marks of all kinds, by the letter that follows their quote.
var reportMarks = sync.OnceValue(func() *[256][]string {
	var by [256][]string
	for _, k := range reportKinds() {
		for _, m := range k.Marks {
			by[m[1]] = append(by[m[1]], m)
		}
	}
	return &by
})

// marked reports whether a document that begins so holds a mark of any kind. Marks are names of members with
// their quotes, so one pass over the quotes finds them all.
func marked(begin []byte) bool {
	by := reportMarks()
	for {
		n := bytes.IndexByte(begin, '"')
		if n < 0 || n+1 == len(begin) {
			return false
		}
		begin = begin[n:]
		for _, m := range by[begin[1]] {
			if len(begin) >= len(m) && string(begin[:len(m)]) == m {
				return true
			}
		}
		begin = begin[1:]
	}
}

// snykCode reports whether what was asked for as Snyk's is SARIF, as `snyk code test --json` writes it.
func snykCode(format string, text opened) bool {
	begin, _ := text.Peek(peekBytes) // an error comes again when it is read
	return format == snyk.Name && report.KeysOf(begin)["runs"]
}

// report reads a document that is one scanner's report, or an array of them.
func (p *splitter) report(k report.Kind, text io.Reader) error {
	p.known = true
	doc, err := put(text)
	defer doc.close()
	if err != nil {
		if why := unpacking(err); why != "" {
			return p.refuseText(why)
		}
		return err
	}
	if doc.size > maxReport {
		return p.refuseText(tooLarge(maxReport))
	}
	err = p.reportValue(k, doc.open, true)
	if err == nil && p.doc.Records+p.doc.Rejected == 0 {
		p.note("the " + k.Name + " report holds no findings")
	}
	return err
}

func (p *splitter) refuseText(why string) error {
	p.v.reset(1)
	return p.reject(&p.v, why)
}

// reportValue reads one report, or with many an array of them.
func (p *splitter) reportValue(k report.Kind, open func() (io.Reader, error), many bool) error {
	r, err := open()
	if err != nil {
		return err
	}
	d := report.NewDecoder(r)
	if d.PeekKind() == '[' && many {
		_, _ = d.ReadToken()
		for d.PeekKind() != ']' {
			one, err := d.ReadValue()
			if err != nil {
				return p.malformed(err)
			}
			data := bytes.Clone(one)
			if err := p.reportValue(k, func() (io.Reader, error) { return bytes.NewReader(data), nil }, false); err != nil {
				return err
			}
		}
		return nil
	}
	head, err := p.reportHead(k, d)
	if err != nil {
		return p.malformed(err)
	}
	rep, err := k.Open(head)
	if err != nil {
		return p.refuseText(k.Name + ": " + Reason(err))
	}
	if r, err = open(); err != nil {
		return err
	}
	return p.reportLists(k, rep, report.NewDecoder(r))
}

// malformed refuses what could not be read of a document; what was handed on stays.
func (p *splitter) malformed(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return p.refuseText("the report is malformed: " + Reason(err))
	}
	return err
}

// reportHead is the document without its lists.
func (p *splitter) reportHead(k report.Kind, d *jsontext.Decoder) ([]byte, error) {
	var head bytes.Buffer
	err := members(d, k.Lists, "", &head, func(_ string, d *jsontext.Decoder) error { return d.SkipValue() })
	return head.Bytes(), err
}

// members walks an object: elements of lists go to element one by one, everything else into head.
func members(d *jsontext.Decoder, lists []string, above string, head *bytes.Buffer, element func(list string, d *jsontext.Decoder) error) error {
	if tok, err := d.ReadToken(); err != nil {
		return err
	} else if tok.Kind() != '{' {
		return &jsontext.SyntacticError{Err: errors.New("an object is wanted")}
	}
	head.WriteByte('{')
	first := true
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return err
		}
		quoted := string(name)
		word, err := jsontext.AppendUnquote(nil, name)
		if err != nil {
			word = name
		}
		path := above + string(word)
		if slices.Contains(lists, path) && d.PeekKind() == '[' {
			if err := elements(d, path, element); err != nil {
				return err
			}
			continue
		}
		if !first {
			head.WriteByte(',')
		}
		first = false
		head.WriteString(quoted)
		head.WriteByte(':')
		if d.PeekKind() == '{' && leads(lists, path+".") {
			if err := members(d, lists, path+".", head, element); err != nil {
				return err
			}
			continue
		}
		v, err := d.ReadValue()
		if err != nil {
			return err
		}
		head.Write(v)
	}
	head.WriteByte('}')
	_, err := d.ReadToken()
	return err
}

func elements(d *jsontext.Decoder, list string, element func(string, *jsontext.Decoder) error) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		if err := element(list, d); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

func leads(lists []string, prefix string) bool {
	return slices.ContainsFunc(lists, func(l string) bool { return strings.HasPrefix(l, prefix) })
}

// handed marks an error that is not the document's.
type handed struct{ error }

// reportLists hands on what the lists hold.
func (p *splitter) reportLists(k report.Kind, rep report.Report, d *jsontext.Decoder) error {
	scope, run, at := rep.Scan()
	if at.IsZero() {
		scope = ""
	}
	if scope != "" {
		p.scans.add(scope, run, 0, at) // a scan that found nothing is one, too
	}
	var none bytes.Buffer
	err := members(d, k.Lists, "", &none, func(list string, d *jsontext.Decoder) error {
		none.Reset()
		v, err := d.ReadValue()
		if err != nil {
			return err
		}
		err = rep.Split(list, v, func(data []byte) error {
			if err := p.offer(k.Name, scope, run, at, data); err != nil {
				return handed{err}
			}
			return nil
		})
		var own handed
		if err == nil || errors.As(err, &own) {
			return err
		}
		p.v.reset(0)
		p.v.data = append(p.v.data, v...)
		if err := p.reject(&p.v, k.Name+": "+Reason(err)); err != nil {
			return handed{err}
		}
		return nil
	})
	var own handed
	if errors.As(err, &own) {
		return own.error
	}
	if err != nil {
		return p.malformed(err)
	}
	return nil
}

// offer hands one record of a report on, or refuses it for its size.
func (p *splitter) offer(format, scope, run string, at time.Time, data []byte) error {
	if len(data) > p.opt.MaxRecord {
		p.v.reset(0)
		return p.reject(&p.v, tooLarge(p.opt.MaxRecord))
	}
	if scope != "" {
		p.scans.add(scope, run, 1, at)
	}
	return p.hand(pipeline.Record{Format: format, Origin: p.opt.Origin, Index: p.index, Scope: scope, Observed: at, Data: data})
}

// stored is a document that can be read several times, in memory while it is small, else in a
// temporary file that no name leads to any more.
type stored struct {
	mem  []byte
	file *os.File
	size int64
}

// put stores a text, at most one byte more than maxReport.
func put(text io.Reader) (*stored, error) {
	s := &stored{}
	text = io.LimitReader(text, maxReport+1)
	var b bytes.Buffer
	n, err := io.CopyN(&b, text, reportMemory)
	s.mem, s.size = b.Bytes(), n
	if err != nil {
		if err == io.EOF {
			err = nil
		}
		return s, err
	}
	if s.file, err = os.CreateTemp("", "docket-report-*"); err != nil {
		return s, fmt.Errorf("putting a report aside: %w", err)
	}
	_ = os.Remove(s.file.Name()) // where the system allows it, so that a kill leaves nothing behind
	if _, err := s.file.Write(s.mem); err != nil {
		return s, fmt.Errorf("putting a report aside: %w", err)
	}
	s.mem = nil
	n, err = io.Copy(s.file, text)
	s.size += n
	return s, err
}

// open reads the document from its begin.
func (s *stored) open() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.mem), nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(s.file, 256<<10), nil
}

func (s *stored) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name()) // where an open file could not lose its name
	}
}
