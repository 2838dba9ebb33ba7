package securityhub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/docket-hub/docket/pipeline"
)

// updateAtOnce is how many findings one BatchUpdateFindings or BatchUpdateFindingsV2 takes (API reference).
const updateAtOnce = 100

// readAtOnce is how many values one filter of GetFindings or GetFindingsV2 takes (API reference).
const readAtOnce = 20

// book is one place of Security Hub that findings are read from and written to, in one of its two generations.
type book interface {
	// read is what the findings hold now, by the key of each mark; those that are not there are left out.
	read(ctx context.Context, marks []pipeline.Mark) (map[string]held, error)
	// write changes the findings in one way, at most updateAtOnce of them. What was refused one by one is in the list.
	write(ctx context.Context, of []held, c change) ([]refusal, error)
	// line is a note as this generation keeps it.
	line(note string, status pipeline.MarkStatus) string
}

// held is what a finding holds of what a person or docket writes.
type held struct {
	mark    pipeline.Mark
	handle  string              // api v2: metadata.uid
	status  pipeline.MarkStatus // as it is now
	own     pipeline.MarkStatus // as docket wrote it last; "" where it never did
	note    string
	by      string            // who wrote the note
	defined map[string]string // user-defined fields
}

// refusal is one finding that was not updated.
type refusal struct {
	mark   pipeline.Mark
	reason string
	gone   bool // it is not there any more
	later  bool // another try may do
}

// places opens the place that holds a mark's finding, and names it; the same name is the same place.
type places func(ctx context.Context, m *pipeline.Mark) (name string, b book, err error)

// writeBack tells Security Hub what became of its findings. It reads before it writes, so that it may be repeated
// at any time and leaves what a person wrote. It may be used by several goroutines.
type writeBack struct {
	v2   bool
	open places
}

var _ pipeline.WriteBack = (*writeBack)(nil)

// RepeatsSafely implements pipeline.Repeater.
func (w *writeBack) RepeatsSafely() {}

// Echo implements pipeline.WriteBack: what docket wrote stands beside it in the finding, and the decoders know it by that.
func (w *writeBack) Echo(*pipeline.Report) bool { return false }

// Mark implements pipeline.WriteBack.
func (w *writeBack) Mark(r *pipeline.Report) (pipeline.Mark, bool) {
	if w.v2 {
		return markV2(r)
	}
	return markV1(r)
}

// Apply implements pipeline.Sink: it carries out t.Marks. One place that refuses does not keep the others.
func (w *writeBack) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	type part struct {
		b     book
		marks []pipeline.Mark
	}
	parts := map[string]*part{}
	var errs []error
	for i := range t.Marks {
		name, b, err := w.open(ctx, &t.Marks[i])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if parts[name] == nil {
			parts[name] = &part{b: b}
		}
		parts[name].marks = append(parts[name].marks, t.Marks[i])
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if err := apply(ctx, parts[name].b, parts[name].marks); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return pipeline.Applied{}, worst(errs)
}

// apply carries the marks of one place out.
func apply(ctx context.Context, b book, marks []pipeline.Mark) error {
	var todo []held
	changes := map[string]change{}
	var ways []string
	byWay := map[string][]held{}
	for part := range slices.Chunk(marks, readAtOnce) {
		have, err := b.read(ctx, part)
		if err != nil {
			return err
		}
		for i := range part {
			h, there := have[key(&part[i])]
			if !there {
				continue // deleted, or never there: nobody is left to tell
			}
			h.mark = part[i]
			todo = append(todo, h)
		}
	}
	for i := range todo {
		c := merge(b, &todo[i])
		if c.nothing() {
			continue
		}
		way := c.text()
		if _, known := changes[way]; !known {
			changes[way] = c
			ways = append(ways, way)
		}
		byWay[way] = append(byWay[way], todo[i])
	}
	var refused []refusal
	for _, way := range ways {
		for part := range slices.Chunk(byWay[way], updateAtOnce) {
			more, err := b.write(ctx, part, changes[way])
			if err != nil {
				return err
			}
			refused = append(refused, more...)
		}
	}
	return refusals(refused)
}

// refusals is what those findings that were not updated come to: another try where one may do, else an end.
func refusals(list []refusal) error {
	var later, never []error
	for i := range list {
		r := &list[i]
		err := fmt.Errorf("%s: %s", r.mark.ID, r.reason)
		switch {
		case r.gone:
		case r.later:
			later = append(later, err)
		default:
			never = append(never, err)
		}
	}
	if len(later) > 0 {
		return some(later, len(later))
	}
	return pipeline.Permanent(some(never, len(never)))
}

// shownErrors is how many refused findings an error names.
const shownErrors = 5

func some(errs []error, n int) error {
	if n == 0 {
		return nil
	}
	err := errors.Join(errs[:min(n, shownErrors)]...)
	if n > shownErrors {
		return fmt.Errorf("%w\nand %d more", err, n-shownErrors)
	}
	return err
}

// worst is the error that says what to do with all of the marks: those that another try helps come first,
// because what is written by then is found written.
func worst(errs []error) error {
	for _, err := range errs {
		if !pipeline.IsPermanent(err) && !errors.Is(err, pipeline.ErrForbidden) {
			return err
		}
	}
	return errors.Join(errs...)
}

// key names a mark's finding.
func key(m *pipeline.Mark) string { return m.Product + "\x00" + m.ID }
