package config

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Position is a place in a configuration file. Line and Col count from 1, Col
// in characters. The zero Position stands for a value that no file gives.
type Position struct {
	File string
	Line int
	Col  int
}

// String is file:line:col; only the file where the line is not known.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Error is one thing wrong, or merely odd, in a configuration file. Neither its
// text nor its excerpt holds a value that stands in a secret's place.
type Error struct {
	File    string // as the caller named it
	Line    int    // from 1; 0 where no place is known
	Col     int    // from 1, in characters
	Path    string // sources[0].interval; empty for the file as a whole
	Message string
	Hint    string // what to write instead; may be empty

	excerpt string // the source line with secrets masked, cut to a readable length
	caret   int    // the caret's place in excerpt, from 0, in characters
}

// Error is the one-line form: file:line:col: path: message, hint.
func (e Error) Error() string { return e.text("") }

// bare is e without its excerpt.
func (e Error) bare() Error {
	e.excerpt, e.caret = "", 0
	return e
}

func (e Error) text(label string) string {
	var b strings.Builder
	if at := (Position{e.File, e.Line, e.Col}).String(); at != "" {
		b.WriteString(at + ": ")
	}
	b.WriteString(label)
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString(", " + e.Hint)
	}
	return b.String()
}

func (e Error) render(w io.Writer, label string) error {
	if _, err := fmt.Fprintln(w, e.text(label)); err != nil || e.excerpt == "" {
		return err
	}
	number := fmt.Sprintf("%5d", e.Line)
	_, err := fmt.Fprintf(w, "%s | %s\n%s | %s^\n", number, e.excerpt, strings.Repeat(" ", len(number)), strings.Repeat(" ", e.caret))
	return err
}

// Errors are all things wrong with a configuration, ordered by position. Load,
// Block.Decode and Join return them as an error; errors.As finds them.
type Errors []Error

// Error is one line an error.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Render writes one block an error: the line of Error, the source line and a caret.
func (es Errors) Render(w io.Writer) error { return renderAll(w, es, "") }

// Warnings are things that are legal but most likely not meant, ordered by position.
type Warnings []Error

// Render writes one block a warning, as Errors.Render does.
func (ws Warnings) Render(w io.Writer) error { return renderAll(w, ws, "warning: ") }

func renderAll(w io.Writer, es []Error, label string) error {
	for _, e := range es {
		if err := e.render(w, label); err != nil {
			return err
		}
	}
	return nil
}

func sortErrors(es []Error) {
	slices.SortStableFunc(es, func(a, b Error) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
}

// Join gathers the errors of several stages (Load, each Block.Decode, each
// ErrorAt) into one Errors ordered by position; an error of another kind becomes one
// without a place. It is nil when all are nil.
func Join(errs ...error) error {
	var all Errors
	for _, err := range errs {
		var many Errors
		var one Error
		joined, several := err.(interface{ Unwrap() []error })
		switch {
		case err == nil:
		case several:
			if errors.As(Join(joined.Unwrap()...), &many) {
				all = append(all, many...)
			}
		case errors.As(err, &many):
			all = append(all, many...)
		case errors.As(err, &one):
			all = append(all, one)
		default:
			all = append(all, Error{Message: err.Error()})
		}
	}
	if len(all) == 0 {
		return nil
	}
	sortErrors(all)
	return all
}
