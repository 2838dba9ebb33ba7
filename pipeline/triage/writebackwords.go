package triage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// told is what a product should be told of one member. The zero value: nothing.
type told struct {
	word   string // decides whether it is news: begins with the status, or with "NOTE"
	status pipeline.MarkStatus
	note   string
}

// stale stands in a row for the epoch of what is to be told once more.
const stale = "-"

// noteWord stands for a status where only a note is written.
const noteWord = "NOTE"

// lastTold is the status that a member's row says was told last, certain or not; "" for none.
func lastTold(row string) pipeline.MarkStatus {
	words := strings.Fields(row)
	if len(words) < 2 {
		return ""
	}
	return pipeline.MarkStatus(words[1])
}

// row is what the member's row keeps of it.
func (t *told) row(epoch int) string { return strconv.Itoa(epoch) + " " + t.word }

// short is a few digits that tell these texts from others.
func short(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:6])
}

// backWord is what of a case itself decides what its findings' products are told.
func (c *Case) backWord() string {
	switch {
	case c.Open:
		return "open " + short(c.openTickets()...)
	case c.Closed == ClosedPerson && c.Person != nil:
		return "person " + short(c.Person.By, c.Person.At.Format(time.RFC3339))
	}
	return "closed"
}

// openTickets names each ticket of the case that is open, as last written or read: its key and its address.
func (c *Case) openTickets() []string {
	var out []string
	for _, sink := range c.TicketSinks() {
		if e := c.Entries[sink]; !e.Ref.IsZero() && e.IsOpen {
			out = append(out, ticketWord(e))
		}
	}
	return out
}

func ticketWord(e *Entry) string { return strings.TrimSpace(refWord(e.Ref) + " " + e.Ref.URL) }

// named are the reports of a finding that a write-back's product holds, as its API names them, with what each says.
func (d *decider) named(sink string, seq uint64) ([]namedReport, error) {
	rec, err := d.l.record(seq)
	if err != nil || rec == nil {
		return nil, err
	}
	f := rec.Finding() // which gives the reports their raw records
	var out []namedReport
	for i := range f.Reports {
		if m, ok := d.r.WriteBack[sink].Mark(&f.Reports[i]); ok {
			out = append(out, namedReport{m, f.Reports[i].Status, f.Reports[i].StatusReason})
		}
	}
	return out, nil
}

type namedReport struct {
	mark   pipeline.Mark
	status pipeline.Status
	reason string
}

// wants is what the product of a member should be told, given what it was told last and whether that may not have arrived.
func (d *decider) wants(c *Case, m *Member, last pipeline.MarkStatus, uncertain bool) (told, error) {
	say := func(status pipeline.MarkStatus, word, format string, args ...any) (told, error) {
		return told{word, status, pipeline.NotePrefix(c.ID()) + fmt.Sprintf(format, args...)}, nil
	}
	tickets := c.openTickets()
	switch {
	case m.Status == Resolved:
		return say(pipeline.MarkResolved, string(pipeline.MarkResolved), "fixed")
	case m.Status == Suppressed:
		return d.wantsSuppressed(c, m)
	case m.Status != Open:
		return told{}, nil
	case last == pipeline.MarkSuppressed:
		return say(pipeline.MarkNew, string(pipeline.MarkNew), "the exception is over, it counts again")
	case last == pipeline.MarkResolved:
		return say(pipeline.MarkNew, string(pipeline.MarkNew), "the problem is back")
	case c.Open && last == pipeline.MarkNew && (uncertain || len(tickets) == 0):
		return say(pipeline.MarkNew, string(pipeline.MarkNew), "it counts again")
	case c.Open && len(tickets) > 0:
		return say(pipeline.MarkNotified, string(pipeline.MarkNotified)+" "+short(tickets...), "ticket %s", strings.Join(tickets, ", "))
	case c.Closed == ClosedPerson && c.Person != nil && (last != "" || !c.Ticketed.IsZero()):
		what := c.ID()
		for _, sink := range c.TicketSinks() {
			if e := c.Entries[sink]; !e.Ref.IsZero() {
				what = "ticket " + ticketWord(e)
				break
			}
		}
		return say("", noteWord+" "+short(c.Person.By, c.Person.At.Format(time.RFC3339)), "%s was closed by %s; the problem is still reported", what, c.Person.By)
	}
	return told{}, nil
}

func (d *decider) wantsSuppressed(c *Case, m *Member) (told, error) {
	rec, err := d.l.record(m.Seq)
	if err != nil || rec == nil {
		return told{}, err
	}
	list := d.active()
	i := slices.IndexFunc(list, func(s Suppression) bool { return s.Name == rec.SuppressedBy })
	if i < 0 {
		return told{}, nil
	}
	s := &list[i]
	by := ""
	if s.By != "" {
		by = " by " + s.By
	}
	return told{
		word:   string(pipeline.MarkSuppressed) + " " + short(s.Name, s.By, s.Reason, s.Until.Format(time.RFC3339)),
		status: pipeline.MarkSuppressed,
		note:   fmt.Sprintf("%saccepted%s until %s (%s): %s", pipeline.NotePrefix(c.ID()), by, lastDay(s.Until), s.Name, s.Reason),
	}, nil
}
