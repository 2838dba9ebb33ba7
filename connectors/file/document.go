package file

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// How much goes to the emitter in one call: it makes one durable message of it.
const (
	batchRecords = 500
	batchBytes   = 700 << 10
)

// document is one file, or standard input, on its way through.
type document struct {
	poll    *poll
	origin  string
	scope   string    // the scope that complete: always gives it
	changed time.Time // when the document was last written: the time of that scope
	steady  func() bool
	batch   []pipeline.Record
	size    int
	records int
	rejects int
	whole   bool // read to its end, and it did not change under the reader
}

// read takes the document apart, hands its records over and then its scans. The
// error is about reading r; what the emitter refuses is in poll.stopped.
func (d *document) read(r io.Reader) error {
	p := d.poll
	in := &input{r: r, p: p}
	parts, err := p.source.opt.Split(in, Document{Origin: d.origin, Format: p.source.config.Format, Reject: d.reject}, d.record)
	if p.stopped == nil {
		d.flush()
	}
	if p.stopped != nil {
		return nil
	}
	if in.err != nil {
		d.scans(parts.Scans, "the file could not be read to its end")
		return fmt.Errorf("reading findings from %s: %w", d.origin, in.err)
	}
	for _, n := range parts.Notes {
		p.note("%s: %s", d.origin, n)
	}
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), "reading "+d.origin+": ")
		if d.reject(pipeline.Reject{Origin: d.origin, Reason: reason}) != nil {
			return nil // it is in poll.stopped
		}
		d.scans(parts.Scans, "the file could not be taken apart: "+reason)
		p.note("%s: rejected: %s", d.origin, reason)
		d.whole = d.steady()
		return nil
	}
	d.whole = d.steady()
	why := ""
	if !d.whole {
		why = "the file changed while it was read"
		p.note("%s: changed while it was read, it will be read again", d.origin)
	}
	d.scans(parts.Scans, why)
	return nil
}

// record is called by the splitter for each record.
func (d *document) record(rec pipeline.Record) error {
	if d.poll.stopped != nil {
		return d.poll.stopped
	}
	if len(d.batch) > 0 && (len(d.batch) == batchRecords || d.size+len(rec.Data) > batchBytes) {
		if err := d.flush(); err != nil {
			return err
		}
	}
	switch d.poll.source.config.Complete {
	case CompleteNever:
		rec.Scope = ""
	case CompleteAlways:
		rec.Scope, rec.Observed = d.scope, d.changed
	}
	if d.batch == nil {
		d.batch = make([]pipeline.Record, 0, batchRecords)
	}
	d.batch = append(d.batch, rec)
	d.size += len(rec.Data)
	return nil
}

// flush hands the batch over. The emitter may keep it, so the next one is new.
func (d *document) flush() error {
	p := d.poll
	if len(d.batch) == 0 {
		return nil
	}
	taken, err := p.emit.Records(p.ctx, d.batch)
	if err != nil {
		return d.stop(err)
	}
	d.records += len(d.batch)
	d.rejects += len(taken.Rejected)
	p.result.Records += len(d.batch)
	p.result.Rejected += len(taken.Rejected)
	d.batch, d.size = nil, 0
	return nil
}

func (d *document) stop(err error) error {
	d.poll.stopped = fmt.Errorf("handing over findings from %s: %w", d.origin, err)
	return d.poll.stopped
}

// reject keeps what the splitter could not read.
func (d *document) reject(r pipeline.Reject) error {
	p := d.poll
	if p.stopped != nil {
		return p.stopped
	}
	if r.Time.IsZero() {
		r.Time = p.source.opt.Now().UTC()
	}
	if len(r.Data) > pipeline.RejectBytes {
		r.Data = r.Data[:pipeline.RejectBytes]
	}
	if err := p.emit.Reject(p.ctx, r); err != nil {
		return d.stop(err)
	}
	d.rejects++
	p.result.Rejected++
	return nil
}

// scans emits the document's end markers; a non-empty why makes all of them incomplete.
func (d *document) scans(scans []pipeline.Scan, why string) {
	p := d.poll
	switch p.source.config.Complete {
	case CompleteNever:
		return
	case CompleteAlways:
		scans = []pipeline.Scan{{
			ID:    d.scope + "@" + strconv.FormatInt(d.changed.UnixNano(), 36),
			Scope: d.scope, Count: d.records, Time: d.changed, Complete: true,
		}}
		if why == "" && d.rejects > 0 {
			why = strconv.Itoa(d.rejects) + " of its records were rejected"
		}
	}
	for _, s := range scans {
		if why != "" && s.Complete {
			s.Complete, s.Why = false, why
		}
		if err := p.emit.Scan(p.ctx, s); err != nil {
			_ = d.stop(err)
			return
		}
	}
}

// input reads on behalf of a splitter and keeps apart what went wrong with the
// reading itself. It ends with the context.
type input struct {
	r   io.Reader
	p   *poll
	err error
}

func (in *input) Read(b []byte) (int, error) {
	if err := in.p.ctx.Err(); err != nil {
		in.p.stopped = err
		return 0, err
	}
	n, err := in.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		in.err = err
	}
	return n, err
}
