package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// Checks proves that files can be made in the folder, or in the nearest one above
// it that is there. It leaves nothing behind.
func (s *Sink) Checks(ctx context.Context) []pipeline.Check {
	place := pipeline.Check{Name: "ticket folder", Key: "path", Fact: s.dir}
	write := pipeline.Check{Name: "files can be written", Key: "path"}
	dir, err := nearest(s.dir)
	if err != nil {
		place.Fact, place.Err = "", err
		place.Fix = "name another folder, or move away what stands there"
		write.Skip = "there is no folder to write to"
		return []pipeline.Check{place, write}
	}
	if dir != s.dir {
		place.Fact += " (will be made with the first ticket)"
	}
	if err := tryWrite(ctx, dir); err != nil {
		write.Err = fmt.Errorf("ticket folder %s cannot be written: %w", s.dir, err)
		write.Fix = "give the user that docket runs as the right to write there, or name another folder"
	}
	return []pipeline.Check{place, write}
}

// nearest is the folder itself, or the nearest one above it that is there.
func nearest(want string) (string, error) {
	dir := want
	for {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return "", fmt.Errorf("ticket folder %s: %s is no folder", want, dir)
		}
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", fmt.Errorf("ticket folder: %w", err)
		}
		dir = filepath.Dir(dir)
	}
}

func tryWrite(ctx context.Context, dir string) error {
	f, err := os.CreateTemp(dir, tempPrefix+"*"+tempSuffix)
	if err != nil {
		return err
	}
	return errors.Join(ctx.Err(), f.Close(), os.Remove(f.Name()))
}

// Preview is the whole file of a new ticket.
func (s *Sink) Preview(_ context.Context, t pipeline.Ticket) (pipeline.Preview, error) {
	title, text, err := s.texts.render(t)
	if err != nil {
		return pipeline.Preview{}, err
	}
	return pipeline.Preview{Title: title, Format: "markdown", Body: page{}.next(t, title, s.now().UTC()).render(text)}, nil
}

// Remove deletes the file of ref; one that is not there is no error.
func (s *Sink) Remove(ctx context.Context, ref pipeline.Ref) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !isName(strings.TrimSuffix(ref.ID, extension)) || !strings.HasSuffix(ref.ID, extension) {
		return fmt.Errorf("%q is no ticket file", ref.ID)
	}
	if err := os.Remove(filepath.Join(s.dir, ref.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a ticket: %w", err)
	}
	return nil
}

// List calls fn for every ticket file of the folder, by name. The key that counts
// is the file's name, as for Find; a file whose front matter names another key, or none, is a copy or was
// edited: it is listed under the key that it names, and one that names none is left out.
func (s *Sink) List(ctx context.Context, fn func(pipeline.Listed) error) error {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing tickets: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := e.Name()
		if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, extension) {
			continue
		}
		l, ok, err := s.listed(name)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := fn(l); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sink) listed(name string) (pipeline.Listed, bool, error) {
	path := filepath.Join(s.dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return pipeline.Listed{}, false, nil
	}
	if err != nil {
		return pipeline.Listed{}, false, fmt.Errorf("listing tickets: %w", err)
	}
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return pipeline.Listed{}, false, nil // removed since
	}
	if err != nil {
		return pipeline.Listed{}, false, fmt.Errorf("listing tickets: %w", err)
	}
	h := parse(text).head
	if h.Key == "" {
		return pipeline.Listed{}, false, nil
	}
	updated, err := time.Parse(time.RFC3339, h.Updated)
	if err != nil {
		updated = info.ModTime().UTC()
	}
	return pipeline.Listed{
		Ref: s.ref(name, h.Case), Key: h.Key, Gen: h.Gen, Case: h.Case, Rev: h.Revision, Open: h.State != stateClosed,
		Updated: updated, Title: h.Title, Installation: h.Home, Group: groupOf(h.Group),
	}, true, nil
}

// groupWord is a case's group as the front matter holds it: name=value, a line each.
func groupWord(group []pipeline.GroupValue) string {
	var parts []string
	for _, g := range group {
		parts = append(parts, ticket.Line(g.Name, ticket.TitleRunes)+"="+strings.ReplaceAll(ticket.Line(g.Value, ticket.TitleRunes), groupSep, " "))
	}
	return strings.Join(parts, groupSep)
}

const groupSep = "; "

func groupOf(s string) []pipeline.GroupValue {
	if s == "" {
		return nil
	}
	var out []pipeline.GroupValue
	for part := range strings.SplitSeq(s, groupSep) {
		name, value, _ := strings.Cut(part, "=")
		out = append(out, pipeline.GroupValue{Name: name, Value: value})
	}
	return out
}
