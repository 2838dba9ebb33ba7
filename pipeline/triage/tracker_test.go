package triage

import (
	"maps"
	"slices"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// record is what a tracker holds of a ticket, and what people did to it.
type record struct {
	fields   pipeline.Fields
	acts     map[string]pipeline.Act
	comments []pipeline.SeenComment
	updated  time.Time
}

// The statuses of the tests' tracker. Won't is closed too: its risk is accepted.
const (
	toDo  = "To Do"
	doing = "Doing"
	done  = "Done"
	wont  = "Won't"
)

func (r *record) closed() bool {
	return r.fields[pipeline.FieldState] == done || r.fields[pipeline.FieldState] == wont
}

// written is what a ticket makes the tracker write.
func written(t *pipeline.Ticket) pipeline.Fields {
	f := pipeline.Fields{"title": t.Title, "priority": t.Priority.String(), "state": toDo}
	if !t.Open {
		f["state"] = done
	}
	if len(t.Assignees) > 0 {
		f["assignee"] = t.Assignees[0]
	}
	return f
}

// turns reports whether a ticket closes or reopens the record.
func (r *record) turns(t *pipeline.Ticket) bool {
	return t.Open != t.WasOpen && r.closed() == t.Open
}

// write merges a ticket into the record as pipeline.Applied says, and returns what is held.
func (r *record) write(t *pipeline.Ticket, now time.Time) pipeline.Fields {
	want := written(t)
	if r.fields == nil {
		r.fields = want
		r.touch(now)
		return maps.Clone(want)
	}
	held := pipeline.Fields{}
	for _, word := range []string{"title", "priority", "assignee", "state"} {
		there := r.fields[word]
		ours := there == t.Last[word] || slices.ContainsFunc(t.Sent, func(f pipeline.Fields) bool { return f[word] == there })
		change := ours
		if word == "state" {
			change = r.turns(t)
		}
		switch {
		case change:
			r.fields[word] = want[word]
			held[word] = want[word]
		case ours || there == want[word]:
			held[word] = there
		default:
			held[word] = t.Last[word]
		}
	}
	r.touch(now)
	maps.DeleteFunc(held, func(_, v string) bool { return v == "" })
	maps.DeleteFunc(r.fields, func(_, v string) bool { return v == "" })
	return held
}

// touch moves the record's own time on.
func (r *record) touch(now time.Time) {
	if !now.After(r.updated) {
		now = r.updated.Add(time.Millisecond)
	}
	r.updated = now
}

// set is a person who gives a field another value; "" empties it.
func (r *record) set(now time.Time, word, value string) {
	r.touch(now)
	if r.acts == nil {
		r.acts = map[string]pipeline.Act{}
	}
	r.fields[word] = value
	if value == "" {
		delete(r.fields, word)
	}
	r.acts[word] = pipeline.Act{By: "eve@example.com", At: now}
}

// say is a person who writes a comment.
func (r *record) say(now time.Time, id, text string) {
	r.touch(now)
	r.comments = append(r.comments, pipeline.SeenComment{ID: id, By: "eve@example.com", Time: now, Text: text})
}

// row is the record of a case in a sink; nil when there is none.
func (w *world) row(sink, id string) *ticketRow {
	for _, row := range w.tickets {
		if row.last.Case == id && row.ref.ID == sink+"/"+row.last.Key {
			return row
		}
	}
	return nil
}

// seen is a fresh read of a record.
func (r *ticketRow) read() pipeline.Seen {
	p, _ := pipeline.ParsePriority(r.fields["priority"])
	return pipeline.Seen{
		Ref: r.ref, Key: r.last.Key, Case: r.last.Case, Gen: r.last.Gen, Fields: maps.Clone(r.fields),
		Acts: maps.Clone(r.acts), Comments: slices.Clone(r.comments), Updated: r.updated,
		Closed: r.closed(), WontFix: r.fields["state"] == wont, Acked: r.fields["state"] == doing,
		Priority: p, Assignee: r.fields["assignee"],
	}
}

// reads is a fresh read of the record of a case in a sink, as an input; a record that is not there is deleted.
func (w *world) reads(sink, id string) Input {
	if row := w.row(sink, id); row != nil {
		return Input{Reading: &Reading{Sink: sink, Seen: row.read()}}
	}
	s := pipeline.Seen{Case: id, Deleted: true}
	if n, ok := ParseCaseID(id); ok {
		if c, err := w.state.Case(n); err == nil && c != nil && c.Entries[sink] != nil {
			s.Ref = c.Entries[sink].Ref
		}
	}
	return Input{Reading: &Reading{Sink: sink, Seen: s}}
}
