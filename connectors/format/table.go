package format

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/prowler"
	"github.com/docket-hub/docket/connectors/format/wiz"
	"github.com/docket-hub/docket/pipeline"
)

// maxColumn is how long a column's name may be in bytes.
const maxColumn = 256

// tableOf is the format of a CSV, by its columns, and what stands between them.
func tableOf(format string, text opened) (name string, comma rune, ok bool) {
	begin, _ := text.Peek(peekBytes) // an error comes again when it is read
	line, _, _ := bytes.Cut(begin, []byte("\n"))
	if len(line) == 0 || line[0] == '{' || line[0] == '[' {
		return "", 0, false
	}
	for _, comma := range []rune{';', ','} {
		r := csv.NewReader(bytes.NewReader(line))
		r.Comma, r.LazyQuotes = comma, true
		columns, err := r.Read()
		if err != nil {
			continue
		}
		switch {
		case prowler.IsTable(columns) && (format == "" || format == prowler.Name):
			return prowler.Name, comma, true
		case wiz.IsTable(columns) && (format == "" || format == wiz.Name):
			return wiz.Name, comma, true
		}
	}
	return "", 0, false
}

// bounded refuses to read further once more than so many bytes came since the last row: a
// quote that is never closed would else make one row of the whole text.
type bounded struct {
	r    io.Reader
	left int
}

var errRow = errors.New("a row is larger than a record may be: is a quote not closed?")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRow
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// table reads a CSV: each row becomes an object of its cells by the columns' names, empty ones left out.
func (p *splitter) table(name string, comma rune, text io.Reader) error {
	p.known = true
	limit := &bounded{text, p.opt.MaxRecord}
	r := csv.NewReader(limit)
	r.Comma, r.LazyQuotes, r.ReuseRecord, r.FieldsPerRecord = comma, true, true, -1
	columns, err := r.Read()
	if err != nil {
		return p.tableEnd(err)
	}
	columns = append([]string(nil), columns...)
	for i, name := range columns {
		if len(name) > maxColumn {
			columns[i] = "" // no tool's; it would stand in each row
		}
	}
	var b bytes.Buffer
	for {
		limit.left = p.opt.MaxRecord
		cells, err := r.Read()
		if err != nil {
			return p.tableEnd(err)
		}
		line, _ := r.FieldPos(0)
		b.Reset()
		b.WriteByte('{')
		for i, cell := range cells {
			if i >= len(columns) || cell == "" || columns[i] == "" {
				continue
			}
			if b.Len() > 1 {
				b.WriteByte(',')
			}
			writeText(&b, columns[i])
			b.WriteByte(':')
			writeText(&b, cell)
		}
		b.WriteByte('}')
		p.v.reset(line)
		if len(cells) != len(columns) {
			p.v.data = append(p.v.data, b.Bytes()...)
			if err := p.reject(&p.v, fmt.Sprintf("the row has %d cells, the table %d columns", len(cells), len(columns))); err != nil {
				return err
			}
			continue
		}
		rec := pipeline.Record{Format: name, Origin: p.opt.Origin, Index: p.index, Data: bytes.Clone(b.Bytes())}
		p.scoped(&rec)
		if err := p.hand(rec); err != nil {
			return err
		}
	}
}

// writeText writes a text as JSON does.
func writeText(b *bytes.Buffer, s string) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	out, err := jsontext.AppendQuote(b.AvailableBuffer(), s)
	if err != nil {
		out = []byte(`""`) // valid text always can be quoted
	}
	b.Write(out)
}

// tableEnd tells the end of a table from what cannot be read of it.
func (p *splitter) tableEnd(err error) error {
	var syntax *csv.ParseError
	switch {
	case err == io.EOF:
		return nil
	case errors.As(err, &syntax), errors.Is(err, errRow):
		return p.refuseText("the table is malformed: " + err.Error())
	}
	p.s.err = err
	return p.damage()
}

// scoped gives a record of Prowler's the read that it belongs to.
func (p *splitter) scoped(rec *pipeline.Record) {
	if rec.Format != prowler.Name {
		return
	}
	if scope, at := prowler.Scope(rec.Data); scope != "" && !at.IsZero() {
		rec.Scope, rec.Observed = scope, at
		p.scans.add(scope, "", 1, at)
	}
}
