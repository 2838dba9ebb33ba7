package expr

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/interpreter"
)

// Error is one thing that is wrong with an expression's text.
type Error struct {
	Line    int // 1-based, within the expression
	Column  int // 1-based, in characters
	Message string
}

// Error is "line 1, column 9: undefined field 'acount', did you mean 'account'?".
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// All takes an error of Compile apart; nil for any other error.
func All(err error) []*Error {
	var single *Error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*Error
		for _, one := range joined.Unwrap() {
			all = append(all, All(one)...)
		}
		return all
	}
	if errors.As(err, &single) {
		return []*Error{single}
	}
	return nil
}

// maxErrors is how many errors of one expression are told; a broken text can have hundreds.
const maxErrors = 5

func wholeError(message string) error { return &Error{1, 1, message} }

func compileErrors(src string, issues *cel.Issues) error {
	var all []error
	for _, one := range issues.Errors() {
		if len(all) == maxErrors {
			break
		}
		line, column := 1, 1
		if at := one.Location; at != nil && at.Line() > 0 {
			line, column = at.Line(), at.Column()+1
		}
		all = append(all, &Error{line, column, suggest(src, line, column, one.Message)})
	}
	if len(all) == 0 {
		return wholeError(issues.Err().Error())
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// suggest adds the nearest field's name to CEL's word for an unknown field, which
// comes without one. The place is that of the dot, so the word before it tells whose field was meant.
func suggest(src string, line, column int, message string) string {
	name, ok := strings.CutPrefix(message, "undefined field '")
	if !ok {
		return message
	}
	object := wordBefore(src, line, column)
	var names []string
	for _, f := range fields() {
		if f.object == object {
			names = append(names, f.name)
		}
	}
	if best := Nearest(strings.TrimSuffix(name, "'"), names); best != "" {
		return message + ", did you mean '" + best + "'?"
	}
	return message
}

// wordBefore is the word that ends before a place of src; both count from 1.
func wordBefore(src string, line, column int) string {
	lines := strings.Split(src, "\n")
	if line > len(lines) {
		return ""
	}
	text := []rune(lines[line-1])
	before := strings.TrimSpace(string(text[:min(column-1, len(text))]))
	return before[strings.LastIndexFunc(before, func(r rune) bool { return r < 'a' || r > 'z' })+1:]
}

// Nearest is the first of words that is at most two single-letter edits away
// from word and nearest to it, else empty: what a "did you mean" should say.
func Nearest(word string, words []string) string {
	best, near := "", 3
	for _, w := range words {
		if d := distance(word, w, near); d < near {
			best, near = w, d
		}
	}
	return best
}

// distance is the number of single-letter edits between a and b, or limit when it is not smaller.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			step := diagonal
			if a[i] != b[j] {
				step = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], step
		}
	}
	return min(row[len(b)], limit)
}

// ErrCost says that an evaluation was stopped at CostLimit.
var ErrCost = fmt.Errorf("the expression was stopped: it cost more than %d steps", CostLimit)

func evalError(err error) error {
	var stopped interpreter.EvalCancelledError
	if errors.As(err, &stopped) && stopped.Cause == interpreter.CostLimitExceeded {
		return ErrCost
	}
	return fmt.Errorf("run expression: %w", err)
}

// PathError is one thing that is wrong with a configured value.
type PathError struct {
	Path string // "risk.factors[0].when", as in the configuration file
	Err  error  // an *Error when the value is an expression
}

// Error is the path and what is wrong there.
func (e *PathError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *PathError) Unwrap() error { return e.Err }

// At puts the path before every error of a Compile; nil stays nil.
func At(path string, err error) []error {
	var all []error
	for _, one := range All(err) {
		all = append(all, &PathError{path, one})
	}
	if err != nil && all == nil {
		all = append(all, &PathError{path, err})
	}
	return all
}
