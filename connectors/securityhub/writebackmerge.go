package securityhub

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/docket-hub/docket/pipeline"
)

// noteLength is how long a note or a comment may be, in characters (API reference: types Note and
// BatchUpdateFindingsV2).
const noteLength = 512

// leastNote is how many characters a note of docket's needs beside a person's, to be worth writing.
const leastNote = 32

// change is what one update sets; an empty part is left alone.
type change struct {
	status pipeline.MarkStatus
	note   string
	by     string
	// defined are all user-defined fields, docket's among them: an update replaces them as a whole.
	defined map[string]string
}

func (c *change) nothing() bool { return c.status == "" && c.note == "" }

// text tells one change from another.
func (c *change) text() string { return fmt.Sprintf("%q %q %q %q", c.status, c.note, c.by, c.defined) }

// merge is what has to be written so that a finding shows its mark, and what a person put there still stands: a
// status that ends the work, and every line of the note that docket did not write.
func merge(b book, h *held) change {
	var c change
	if want := h.mark.Status; want != "" && want != h.status && !h.persons() {
		c.status = want
	}
	now := h.own
	if c.status != "" {
		now = c.status
	}
	if note, by := mergeNote(h.note, h.by, b.line(h.mark.Note, now)); note != h.note {
		c.note, c.by = note, by
	}
	if c.status != "" {
		c.defined = map[string]string{}
		for k, v := range h.defined {
			c.defined[k] = v
		}
	}
	return c
}

// persons reports whether the status is not docket's to change: one that a person set to end the work on the
// finding, or one that is the product's evidence, as OCSF's Archived.
func (h *held) persons() bool {
	return h.status != pipeline.MarkNew && h.status != pipeline.MarkNotified && h.status != h.own
}

// ownLine is a line that docket wrote (pipeline.NotePrefix).
var ownLine = regexp.MustCompile(`^docket DK-[0-9]+: `)

// mergeNote puts a line of docket's into a note in the place of its last one, behind what a person wrote. Where there
// is no room beside a person's words, those stay and the line is shortened or left out.
func mergeNote(note, by, line string) (text, author string) {
	var kept []string
	for _, l := range strings.Split(note, "\n") {
		if !ownLine.MatchString(l) {
			kept = append(kept, l)
		}
	}
	theirs := strings.TrimRight(strings.Join(kept, "\n"), "\n")
	if strings.TrimSpace(theirs) == "" {
		return shorten(line, noteLength), ownAuthor
	}
	room := noteLength - utf8.RuneCountInString(theirs) - 1
	if room < min(leastNote, utf8.RuneCountInString(line)) {
		return note, by
	}
	if by == "" || by == ownAuthor {
		return theirs + "\n" + shorten(line, room), ownAuthor
	}
	if !strings.HasSuffix(by, ", "+ownAuthor) {
		by += ", " + ownAuthor
	}
	return theirs + "\n" + shorten(line, room), by
}

// ownAuthor is whom a note names that is docket's alone.
const ownAuthor = "docket"

// shorten cuts a text to n characters; a status in brackets at its end stays.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	tail := "…"
	if i := strings.LastIndexByte(s, '['); i > 0 && strings.HasSuffix(s, "]") {
		tail += " " + s[i:]
	}
	runes := []rune(s)
	return string(runes[:max(0, n-utf8.RuneCountInString(tail))]) + tail
}
