package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Document names one document for a Splitter.
type Document struct {
	Origin string // the file's path as the user would write it, or "stdin"
	Format string // what the user said: auto or a format's name
	Reject func(pipeline.Reject) error
}

// Parts is what a Splitter found in one document.
type Parts struct {
	Scans []pipeline.Scan // reads that end with this document, whole or broken
	Notes []string        // one line each for people
}

// Splitter takes a document apart and calls each with every record, in order; it
// ends with the first error of each or Reject. Its own error means that the document as a whole
// could not be read.
type Splitter func(r io.Reader, d Document, each func(pipeline.Record) error) (Parts, error)

// SourceOptions is what the program adds to a source's settings.
type SourceOptions struct {
	Base  string           // the folder that relative paths start from
	Stdin io.Reader        // what "-" reads
	Split Splitter         // required
	Now   func() time.Time // nil is time.Now
}

// Source reads findings from files. It is safe for one Poll and one Watch at a time.
type Source struct {
	config SourceConfig
	opt    SourceOptions
	stdin  atomic.Bool   // standard input was read
	settle time.Duration // how long a change has to rest, see Watch
}

var (
	_ pipeline.Source   = (*Source)(nil)
	_ pipeline.Notifier = (*Source)(nil)
	_ pipeline.Checker  = (*Source)(nil)
)

// NewSource makes the source; it touches no file.
func NewSource(c SourceConfig, o SourceOptions) (*Source, error) {
	d := DefaultSourceConfig()
	if c.Format == "" {
		c.Format = d.Format
	}
	if c.Complete == "" {
		c.Complete = d.Complete
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if o.Split == nil {
		return nil, errors.New("a file source needs a splitter")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Source{config: c, opt: o, settle: defaultSettle}, nil
}

// Check proves that every file that the patterns name now can be opened.
func (s *Source) Check(ctx context.Context) error {
	found, _, err := s.find()
	errs := []error{err}
	for _, f := range found {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r, err := os.Open(f.path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		_ = r.Close()
	}
	return errors.Join(errs...)
}

// mark is what the watermark remembers of a file that was read to its end.
type mark struct {
	Size  int64 `json:"size"`
	MTime int64 `json:"mtime"` // nanoseconds since 1970
}

// fresh is how long after its last change a file may change again without a new
// time stamp: file systems stamp in steps of up to 2 s (FAT). Such a file is not remembered, so the
// next poll reads it once more.
const fresh = 2 * time.Second

// Poll reads the files that the patterns name, in the order of their paths, then
// standard input. A file that did not change since req.Since is passed over unless req.Full is set.
// A pattern or name that meets nothing is a note. A file that is no findings document is rejected
// and named. A file that cannot be opened or read is an error that comes after all others were read.
// What emit refuses ends the poll with what was reached.
func (s *Source) Poll(ctx context.Context, req pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error) {
	known := map[string]mark{}
	if req.Since != "" && json.Unmarshal([]byte(req.Since), &known) != nil {
		known = map[string]mark{} // not ours: read everything
	}
	p := &poll{source: s, ctx: ctx, emit: emit, next: map[string]mark{}}
	found, notes, err := s.find()
	p.result.Notes = notes
	errs := []error{err}
	for _, f := range found {
		if m, ok := known[f.shown]; ok && !req.Full && m == f.mark() {
			p.next[f.shown] = m
			continue
		}
		if err := p.file(f); err != nil {
			p.note("%s: %v", f.shown, err)
			errs = append(errs, err)
		}
		if p.stopped != nil {
			break
		}
	}
	if p.stopped == nil && s.readsStdin() {
		errs = append(errs, p.stdin())
	}
	if p.stopped != nil {
		// Files that were not reached keep what was known of them.
		for name, m := range known {
			if _, ok := p.next[name]; !ok && !p.begun[name] {
				p.next[name] = m
			}
		}
		errs = append(errs, p.stopped)
	}
	b, err := json.Marshal(p.next)
	errs = append(errs, err)
	p.result.Watermark = pipeline.Watermark(b)
	return p.result, errors.Join(errs...)
}

func (s *Source) readsStdin() bool {
	for _, p := range s.config.Paths {
		if p == stdinPath {
			return true
		}
	}
	return false
}

// stdinPath in paths stands for standard input.
const stdinPath = "-"

// poll is one call of Poll.
type poll struct {
	source  *Source
	ctx     context.Context // of the one call that this value lives in
	emit    pipeline.Emitter
	result  pipeline.Result
	next    map[string]mark
	begun   map[string]bool
	stopped error // emit refused or the context ended: nothing more is read
}

func (p *poll) note(format string, args ...any) {
	p.result.Notes = append(p.result.Notes, fmt.Sprintf(format, args...))
}

// file reads one file. Its error is about this file alone.
func (p *poll) file(f found) error {
	if p.begun == nil {
		p.begun = map[string]bool{}
	}
	p.begun[f.shown] = true
	r, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		p.note("%s: gone before it was read", f.shown)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading findings: %w", err)
	}
	defer r.Close()
	before, err := r.Stat()
	if err != nil {
		return fmt.Errorf("reading findings: %w", err)
	}
	if !before.Mode().IsRegular() {
		p.note("%s: no regular file", f.shown)
		return nil
	}
	steady := func() bool {
		after, err := r.Stat()
		return err == nil && after.Size() == before.Size() && after.ModTime().Equal(before.ModTime())
	}
	d := &document{poll: p, origin: f.shown, scope: pipeline.ClaimScope("file " + f.shown), changed: before.ModTime().UTC(), steady: steady}
	if err := d.read(r); err != nil || p.stopped != nil {
		return err
	}
	if now := p.source.opt.Now(); d.whole && now.Sub(before.ModTime()) >= fresh {
		p.next[f.shown] = mark{before.Size(), before.ModTime().UnixNano()}
	}
	return nil
}

// stdin reads standard input, the first time it is asked to.
func (p *poll) stdin() error {
	s := p.source
	if s.opt.Stdin == nil {
		return errors.New("reading findings: there is no standard input here")
	}
	if s.stdin.Swap(true) {
		p.note("stdin: was read already, it is read once")
		return nil
	}
	d := &document{poll: p, origin: "stdin", scope: pipeline.ClaimScope("file stdin"), changed: s.opt.Now().UTC(), steady: func() bool { return true }}
	return d.read(s.opt.Stdin)
}
