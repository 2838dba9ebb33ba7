package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// SinkOptions is what the program adds to a sink's settings.
type SinkOptions struct {
	Base string           // the folder that a relative path starts from
	Now  func() time.Time // nil is time.Now; for the stamps in a file only
}

// Sink writes one Markdown file a ticket: KEY.md, the ticket key and nothing
// else, so that a file is found again without any state. A file is replaced as a whole (temporary
// file, flush, rename, flush of the folder): after a crash it is the old one or the new one.
//
// What a person writes under "## Notes" stays, and so does everything under
// "## History"; the rest is docket's. The same ticket again does not touch the file. A revision older
// than the file's changes nothing.
type Sink struct {
	dir   string
	now   func() time.Time
	start sync.Once
	texts *texts
}

var (
	_ pipeline.Sink      = (*Sink)(nil)
	_ pipeline.Finder    = (*Sink)(nil)
	_ pipeline.Repeater  = (*Sink)(nil)
	_ pipeline.Inspector = (*Sink)(nil)
	_ pipeline.Previewer = (*Sink)(nil)
	_ pipeline.Lister    = (*Sink)(nil)
	_ pipeline.Remover   = (*Sink)(nil)

	_ pipeline.SettingsChecker = (*Sink)(nil)
)

// NewSink makes the sink; it touches no file.
func NewSink(c SinkConfig, o SinkOptions) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	dir := c.Path
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(o.Base, dir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the folder %s: %w", c.Path, err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sink{dir: dir, now: o.Now, texts: &texts{own: c.Templates, base: o.Base}}
	if _, err := s.texts.of(c.Templates); err != nil {
		return nil, err
	}
	return s, nil
}

// RepeatsSafely marks the write as idempotent by ticket key.
func (s *Sink) RepeatsSafely() {}

const (
	extension  = ".md"
	tempPrefix = ".docket-"
	tempSuffix = ".tmp"
	fileBytes  = 32 << 20 // a ticket larger than this is none that was written here
)

// Apply makes the file match t. Errors about the folder (missing rights, a full
// disk) name the path and are plain: trying again helps once a person made room. A file that
// was there (t.Ref) and is not any more is pipeline.ErrGone; a key that is no file name is permanent.
func (s *Sink) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	if err := ctx.Err(); err != nil {
		return pipeline.Applied{}, err
	}
	name, err := fileName(t)
	if err != nil {
		return pipeline.Applied{}, pipeline.Permanent(err)
	}
	s.start.Do(s.sweep)
	path := filepath.Join(s.dir, name)
	old, err := readFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && t.Ref.ID != "":
		return pipeline.Applied{}, fmt.Errorf("ticket file %s: %w", path, pipeline.ErrGone)
	case err != nil && !missing:
		return pipeline.Applied{}, fmt.Errorf("reading a ticket: %w", err)
	}
	held := parse(old)
	if held.head.Key == t.Key && held.head.Revision > t.Rev {
		return s.applied(name, held.head), nil
	}
	now := s.now().UTC()
	title, text, err := s.texts.render(t)
	if err != nil {
		return pipeline.Applied{}, pipeline.Permanent(err)
	}
	next := held.next(t, title, now)
	if missing || t.Rev != held.head.Revision || next.render(text) != old {
		next.head.Updated = now.Format(time.RFC3339)
		if err := s.write(path, next.render(text)); err != nil {
			return pipeline.Applied{}, fmt.Errorf("writing ticket %s: %w", path, err)
		}
	}
	if twin := t.Twin.ID; twin != "" && twin != name {
		if err := s.closeTwin(twin, name, now); err != nil {
			return s.applied(name, next.head), err
		}
	}
	return s.applied(name, next.head), nil
}

// closeTwin closes a second file of a ticket and names the one that stays. One that is closed, or gone, is let be.
func (s *Sink) closeTwin(name, stays string, now time.Time) error {
	if !isName(strings.TrimSuffix(name, extension)) || !strings.HasSuffix(name, extension) {
		return nil // none of ours
	}
	path := filepath.Join(s.dir, name)
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading a second file of a ticket: %w", err)
	}
	p := parse(text)
	if p.head.State == stateClosed {
		return nil
	}
	p.head.State, p.head.Why, p.head.Updated = stateClosed, "second file of "+stays, now.Format(time.RFC3339)
	p.add(now, "twin of "+stays, []string{"Closed: " + stays + " is the ticket."})
	if err := s.write(path, p.render("\n# "+ticket.Escape(p.head.Title)+"\n\nThe ticket is "+ticket.Code(stays)+".\n")); err != nil {
		return fmt.Errorf("closing a second file of a ticket: %w", err)
	}
	return nil
}

// fileName is the file of a ticket: that of the known record, else that of the key.
func fileName(t pipeline.Ticket) (string, error) {
	name := t.Key + extension
	if t.Ref.ID != "" {
		name = t.Ref.ID
	}
	if !isName(strings.TrimSuffix(name, extension)) || !strings.HasSuffix(name, extension) {
		return "", fmt.Errorf("ticket key %q makes no file name: letters, digits, - _ and . only", t.Key)
	}
	return name, nil
}

func isName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return s != "" && len(s) <= 128 && s[0] != '.' && strings.Trim(s, allowed) == ""
}

func (s *Sink) applied(name string, h head) pipeline.Applied {
	return pipeline.Applied{
		Ref:  s.ref(name, h.Case),
		Held: pipeline.Fields{"title": h.Title, "priority": h.Priority, "state": h.State},
	}
}

func (s *Sink) ref(name, key string) pipeline.Ref {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(s.dir, name))}
	return pipeline.Ref{ID: name, Key: key, URL: u.String()}
}

// Find returns the file of the key, open or closed, or nothing. A key has at most one.
func (s *Sink) Find(ctx context.Context, key string) ([]pipeline.Ref, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !isName(key) {
		return []pipeline.Ref{}, nil
	}
	text, err := readFile(filepath.Join(s.dir, key+extension))
	if errors.Is(err, fs.ErrNotExist) {
		return []pipeline.Ref{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a ticket: %w", err)
	}
	return []pipeline.Ref{s.ref(key+extension, parse(text).head.Case)}, nil
}

// sweep removes what a killed process left half written. What cannot be removed
// does no harm: a leftover has a name of its own and is never read.
func (s *Sink) sweep() {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) && strings.HasSuffix(e.Name(), tempSuffix) {
			_ = os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
}

// readFile returns a ticket's text. What is no regular file is refused, since
// reading a pipe would wait for ever.
func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > fileBytes {
		return "", fmt.Errorf("%s is no ticket file: move it away", path)
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// write replaces path. Where the folder is not there yet, or a second sink on the same folder
// swept the temporary file away just as it started, the write is done once more.
func (s *Sink) write(path, text string) error {
	err := replaceFile(path, text)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return fmt.Errorf("making the ticket folder: %w", err)
		}
		err = replaceFile(path, text)
	}
	return err
}

func replaceFile(path, text string) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, tempPrefix+"*"+tempSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.WriteString(text); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil { // a ticket is for everybody who may see the folder
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	failpoint.Hit("file/write")
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	failpoint.Hit("file/written")
	return syncDir(dir)
}

// syncDir makes a rename durable (rename(2) leaves that to an fsync of the folder).
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
