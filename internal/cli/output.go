package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/pipeline"
)

// output is the flag --output.
type output struct{ format string }

func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "table", "how to print: table or json")
}

func (o *output) check(c *cobra.Command) error {
	if o.format != "table" && o.format != "json" {
		return misuse(c, "--output %s: use table or json", o.format)
	}
	return nil
}

func (o *output) json() bool { return o.format == "json" }

// show prints value as JSON, or what draw writes.
func (p *program) show(o output, value any, draw func(*page)) error {
	if o.json() {
		return writeJSON(p.out, value)
	}
	pg := p.page()
	draw(pg)
	_, err := io.WriteString(p.out, pg.b.String())
	return err
}

// writeJSON writes value indented. What a terminal may act on is escaped, so that
// the text means the same and does nothing.
func writeJSON(w io.Writer, value any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	text := b.String()
	if !plain(text) {
		var out strings.Builder
		for _, r := range text {
			switch {
			case r == '\n' || !hidden(r):
				out.WriteRune(r)
			case r > 0xffff:
				r -= 0x10000 // as a surrogate pair (RFC 8259, 7)
				fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			default:
				fmt.Fprintf(&out, `\u%04x`, r)
			}
		}
		text = out.String()
	}
	_, err := io.WriteString(w, text)
	return err
}

// page gathers what a command prints for people.
type page struct {
	b      strings.Builder
	colour bool
	width  int
}

func (p *program) page() *page { return &page{colour: p.colour, width: p.width} }

// cell is a text in a colour: one of the constants below, or "".
type cell struct{ text, colour string }

// The colours (ECMA-48, 8.3.117).
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	urgent = "1;31"
	faint  = "2"
)

func (pg *page) paint(c cell) string {
	text := clean(c.text)
	if !pg.colour || c.colour == "" || text == "" {
		return text
	}
	return "\x1b[" + c.colour + "m" + text + "\x1b[0m"
}

// line writes one line; texts among args are made safe, cells painted.
func (pg *page) line(format string, args ...any) {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = clean(v)
		case cell:
			args[i] = pg.paint(v)
		}
	}
	fmt.Fprintf(&pg.b, format, args...)
	pg.b.WriteByte('\n')
}

// head begins a part of the page.
func (pg *page) head(text string) {
	if pg.b.Len() > 0 {
		pg.b.WriteByte('\n')
	}
	pg.line("%s", cell{text, bold})
}

// table is rows of cells under a header.
type table struct {
	header []string
	rows   [][]cell
	flex   int // the column that is cut first
	indent int
	spare  []string // columns that a narrow terminal goes without, the first first
}

func newTable(header ...string) *table { return &table{header: header, flex: len(header) - 1} }

// row adds texts and cells.
func (t *table) row(cells ...any) {
	r := make([]cell, len(cells))
	for i, c := range cells {
		switch v := c.(type) {
		case cell:
			r[i] = cell{strings.TrimSpace(clean(v.text)), v.colour}
		case string:
			r[i] = cell{text: strings.TrimRight(clean(v), " ")}
		default:
			r[i] = cell{text: clean(fmt.Sprint(v))}
		}
	}
	t.rows = append(t.rows, r)
}

const gap = 2 // blanks between columns

// table writes t, cut to the terminal's width.
func (pg *page) table(t *table) {
	widths := make([]int, len(t.header))
	for i, h := range t.header {
		widths[i] = utf8.RuneCountInString(h)
	}
	for _, r := range t.rows {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	if pg.width > 0 {
		if left, gone := t.without(widths, pg.width-t.indent); len(gone) > 0 {
			pg.table(left)
			pg.line("%s", cell{"no room for " + strings.Join(gone, ", ") + ": -o json has it", faint})
			return
		}
		fit(widths, t.flex, pg.width-t.indent)
	}
	if strings.Join(t.header, "") != "" {
		head := make([]cell, len(t.header))
		for i, h := range t.header {
			head[i] = cell{h, bold}
		}
		pg.tableRow(head, widths, t.indent)
	}
	for _, r := range t.rows {
		pg.tableRow(r, widths, t.indent)
	}
}

// without is the table without the columns that a terminal so wide has no room for, with their
// names: first those that say nothing in any row, then those that can be spared.
func (t *table) without(widths []int, width int) (*table, []string) {
	least := -gap
	for _, w := range widths {
		least += min(w, leastWidth) + gap
	}
	drop := make([]bool, len(widths))
	var gone []string
	take := func(i int) {
		drop[i] = true
		gone = append(gone, t.header[i])
		least -= min(widths[i], leastWidth) + gap
	}
	for i := range widths {
		if least > width && slices.Contains(t.spare, t.header[i]) && !slices.ContainsFunc(t.rows, func(r []cell) bool { return r[i].text != "" && r[i].text != "-" }) {
			take(i)
		}
	}
	for _, name := range t.spare {
		if i := slices.Index(t.header, name); least > width && i >= 0 && !drop[i] {
			take(i)
		}
	}
	if len(gone) == 0 {
		return t, nil
	}
	left := &table{indent: t.indent}
	keep := func(r []cell) (out []cell) {
		for i, c := range r {
			if !drop[i] {
				out = append(out, c)
			}
		}
		return out
	}
	for i, name := range t.header {
		if i == t.flex {
			left.flex = len(left.header)
		}
		if !drop[i] {
			left.header = append(left.header, name)
		}
	}
	for _, r := range t.rows {
		left.rows = append(left.rows, keep(r))
	}
	return left, gone
}

// leastWidth is what is left of a column however narrow the terminal is.
const leastWidth = 12

// fit narrows columns until a row has so many characters: flex first, then the widest.
func fit(widths []int, flex, width int) {
	over := gap*(len(widths)-1) - width
	for _, w := range widths {
		over += w
	}
	for next := flex; over > 0; {
		less := min(over, widths[next]-leastWidth)
		if less > 0 {
			widths[next] -= less
			over -= less
		}
		next = widest(widths)
		if widths[next] <= leastWidth {
			return
		}
	}
}

func widest(widths []int) int {
	at := 0
	for i, w := range widths {
		if w > widths[at] {
			at = i
		}
	}
	return at
}

func (pg *page) tableRow(cells []cell, widths []int, indent int) {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", indent))
	last := len(cells) - 1
	for last > 0 && cells[last].text == "" {
		last-- // no blanks at the end of a line
	}
	for i, c := range cells[:last+1] {
		c.text = cut(c.text, widths[i])
		b.WriteString(pg.paint(c))
		if i < last {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+gap))
		}
	}
	pg.b.WriteString(b.String())
	pg.b.WriteByte('\n')
}

// cut shortens text to so many characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	if width < 1 {
		return ""
	}
	return string(runes[:width-1]) + "…"
}

func priorityCell(p pipeline.Priority) cell {
	colours := map[pipeline.Priority]string{pipeline.P1: urgent, pipeline.P2: red, pipeline.P3: yellow, pipeline.P4: cyan}
	return cell{p.String(), colours[p]}
}

func stateCell(state string) cell {
	switch state {
	case "open", "partly":
		return cell{state, yellow}
	case "closed", "resolved", "ok":
		return cell{state, green}
	case "suppressed", "unwatched", "none", "unproven":
		return cell{state, faint}
	case "dead", "parked", "gone", "failed", "lost":
		return cell{state, red}
	}
	return cell{text: state}
}

// stamp is a time for people, in UTC; "-" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// second is stamp to the second, for what happens one after the other.
func second(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

// dateOf is the day of an instant, in UTC; "-" for none.
func dateOf(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
