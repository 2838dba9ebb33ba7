package triage

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Reading is what a fresh read of a record in a sink found.
type Reading struct {
	Sink string        `json:"sink"`
	Seen pipeline.Seen `json:"seen"`
}

// sentKept is how many attempts without a known outcome an entry remembers. Attempts that write the same are one.
const sentKept = 8

// reading takes in how a record is now. What people did there is what differs
// from what docket wrote: an echo is known by its value and its time, never by its author.
func (d *decider) reading(in *Reading) error {
	n, ok := ParseCaseID(in.Seen.Case)
	if !ok {
		return nil // no record of ours
	}
	c, err := d.l.caseOf(n)
	if err != nil || c == nil {
		return err
	}
	sink := in.Sink
	if to, renamed := d.r.Renamed[sink]; renamed && c.Entries[sink] == nil {
		sink = to
	}
	e := c.Entries[sink]
	if e == nil {
		return nil
	}
	return d.read(c, sink, e, &in.Seen)
}

// read judges a reading of a case's record, or keeps it until a write under way is over: until then
// nobody can tell what of it is the write's.
func (d *decider) read(c *Case, sink string, e *Entry, s *pipeline.Seen) error {
	switch {
	case e.Ref.ID != s.Ref.ID:
		return d.otherRecord(c, sink, e, s)
	case s.Deleted && e.St == Inflight:
		d.keepWaiting(c, e, s) // it may have been deleted behind the write under way, which says nothing of it then
		return nil
	case s.Deleted:
		d.recordDeleted(c, sink, e)
		return nil
	case !s.Updated.IsZero() && s.Updated.Before(e.HeldAt):
		return nil // it was read before our last write was over, or before another reading
	}
	if s.Ref.Key != "" && s.Ref.Key != e.Ref.Key {
		d.auditCase(c, "renamed", "", "%s: %s is %s now", sink, refWord(e.Ref), s.Ref.Key)
		e.Ref = s.Ref
		d.l.putCase(c)
	}
	if e.St == Inflight || e.Last == nil {
		d.keepWaiting(c, e, s)
		return nil
	}
	if s.Updated.After(e.HeldAt) {
		e.HeldAt = s.Updated
		d.l.putCase(c)
	}
	d.from = sink
	defer func() { d.from = "" }()
	return d.judge(c, sink, e, s)
}

// otherRecord: a record that the entry does not name. One that carries this ticket's key is the
// ticket when none is known yet, else a second one.
func (d *decider) otherRecord(c *Case, sink string, e *Entry, s *pipeline.Seen) error {
	if s.Deleted || s.Key != pipeline.TicketKey(d.r.Installation, c.Key, e.Gen) {
		return nil // none of ours, or one that was given up
	}
	if !e.Ref.IsZero() && s.Closed {
		return nil // a second ticket, and done with already
	}
	if e.Ref.IsZero() {
		d.keepWaiting(c, e, s)
	}
	d.sighting(c, sink, e, &pipeline.Outcome{Result: pipeline.OutcomeSighted, Ref: s.Ref, Gen: e.Gen})
	return nil
}

// keepWaiting keeps the newest reading for the end of the write under way.
func (d *decider) keepWaiting(c *Case, e *Entry, s *pipeline.Seen) {
	if w := e.Waiting; w != nil && (!s.Deleted && s.Updated.Before(w.Updated) || reflect.DeepEqual(w, s)) {
		return
	}
	kept := *s
	e.Waiting = &kept
	d.l.putCase(c)
}

// waited judges, at the end of a write, what was read while it was under way.
func (d *decider) waited(c *Case, sink string, e *Entry) error {
	s := e.Waiting
	if s == nil || e.St == Inflight {
		return nil
	}
	e.Waiting = nil
	return d.read(c, sink, e, s)
}

// recordDeleted: one more write finds it gone, looks for it by its key, and says what became of it.
// A closed ticket is not missed.
func (d *decider) recordDeleted(c *Case, sink string, e *Entry) {
	if e.Ref.IsZero() || !e.rests() || e.GivenUp != "" || e.Again || !e.WantOpen {
		return
	}
	e.Again = true
	d.auditCase(c, "deleted", "", "%s: %s was deleted; it is looked for by its key", sink, refWord(e.Ref))
	d.l.putCase(c)
}

// judge compares a reading with what docket wrote, field by field.
func (d *decider) judge(c *Case, sink string, e *Entry, s *pipeline.Seen) error {
	if err := d.commented(c, e, s); err != nil {
		return err
	}
	if v := s.Fields[pipeline.FieldPriority]; v != "" && e.news(pipeline.FieldPriority, v) {
		e.takeNote(pipeline.FieldPriority, v)
		d.prioritySeen(c, s)
	}
	if v := s.Fields[pipeline.FieldAssignee]; s.Fields != nil && e.news(pipeline.FieldAssignee, v) {
		e.takeNote(pipeline.FieldAssignee, v)
		if err := d.assigneeSeen(c, s); err != nil {
			return err
		}
	}
	for _, word := range slices.Sorted(maps.Keys(e.Last)) {
		switch word {
		case pipeline.FieldState, pipeline.FieldPriority, pipeline.FieldAssignee, pipeline.FieldResolution:
			continue
		}
		if v, there := s.Fields[word]; there && e.news(word, v) {
			e.takeNote(word, v)
			in := d.acted(s, word, "")
			d.auditCase(c, "edited", in.By, "%s changed the %s; it stays so", d.who(in), word)
			d.l.putCase(c)
		}
	}
	if s.Fields == nil && s.Closed != e.IsOpen {
		return nil
	}
	return d.stateSeen(c, e, s)
}

// acted is the interaction that a person's new value in a field amounts to.
func (d *decider) acted(s *pipeline.Seen, word string, verb pipeline.Verb) *pipeline.Interaction {
	a := s.Acts[word]
	in := &pipeline.Interaction{Verb: verb, By: cmp.Or(a.By, "somebody"), Via: d.from, At: a.At}
	if in.At.IsZero() {
		in.At = s.Updated
	}
	if in.At.IsZero() || in.At.After(d.now) {
		in.At = d.now // no source can have looked after an instant that is yet to come
	}
	return in
}

// who names a person, and the tracker where it happened.
func (d *decider) who(in *pipeline.Interaction) string {
	if d.from == "" {
		return in.By
	}
	return in.By + " in " + d.from
}

// tried carries out what a person's change in a tracker amounts to, and says what stands against it.
func (d *decider) tried(c *Case, in *pipeline.Interaction) (refusal string, err error) {
	why := d.act(c, in)
	r := refused("")
	if errors.As(why, &r) {
		return string(r), nil
	}
	return "", why
}

// commented takes comments over that were not taken over yet, oldest first.
func (d *decider) commented(c *Case, e *Entry, s *pipeline.Seen) error {
	comments := slices.SortedStableFunc(slices.Values(s.Comments), func(a, b pipeline.SeenComment) int { return a.Time.Compare(b.Time) })
	for i := range comments {
		x := &comments[i]
		if x.Time.Before(e.HeardAt) || x.Time.Equal(e.HeardAt) && slices.Contains(e.Heard, x.ID) {
			continue
		}
		if x.Time.After(e.HeardAt) {
			e.HeardAt, e.Heard = x.Time, nil
		}
		e.Heard = append(e.Heard, x.ID)
		in := &pipeline.Interaction{Verb: pipeline.VerbComment, By: cmp.Or(x.By, "somebody"), Via: d.from, Text: x.Text}
		if !d.others(c, e) {
			d.auditCase(c, string(in.Verb), in.By, "%s: %s", d.who(in), in.Text)
			d.l.putCase(c)
			continue
		}
		if err := d.act(c, in); err != nil {
			return err
		}
	}
	return nil
}

// ownStateSeen: the record is in a state that docket put it into, or found it in at a write.
func (d *decider) ownStateSeen(c *Case, e *Entry, s *pipeline.Seen, v string) {
	switch {
	case e.IsOpen != s.Closed:
		return
	case e.Turning && v != "" && v != e.Last[pipeline.FieldState]:
		// The attempt that we knew no end of got there.
		e.Last = maps.Clone(e.Last)
		e.Last[pipeline.FieldState] = v
		delete(e.Theirs, pipeline.FieldState)
	case !e.rests():
		return
	}
	e.IsOpen, e.Turning = !s.Closed, false
	e.LeftOpen = e.LeftOpen && e.IsOpen
	d.l.putCase(c)
}

// others reports whether the case has a ticket besides this one, to tell of what happened here.
func (d *decider) others(c *Case, e *Entry) bool {
	any := false
	d.eachTicket(c, func(x *Entry) { any = any || x != e })
	return any
}

// stateSeen: closed, reopened or taken by a person.
func (d *decider) stateSeen(c *Case, e *Entry, s *pipeline.Seen) error {
	v, told := s.Fields[pipeline.FieldState]
	if told && !e.news(pipeline.FieldState, v) || !told && !e.rests() && e.RevOpen != s.Closed {
		d.wontFixSeen(c, e, s, false)
		d.ownStateSeen(c, e, s, v)
		return nil
	}
	back := told && v == e.Last[pipeline.FieldState]
	if told {
		e.takeNote(pipeline.FieldState, v)
	}
	wasOpen := e.IsOpen
	e.IsOpen, e.Turning = !s.Closed, false
	e.LeftOpen = e.LeftOpen && e.IsOpen
	d.l.putCase(c)
	switch {
	case wasOpen && s.Closed:
		return d.closedSeen(c, s)
	case s.Closed:
		d.wontFixSeen(c, e, s, true)
	case !wasOpen && !s.Closed:
		return d.reopenedSeen(c, e, s)
	case s.Acked && c.Open && c.Ack == nil:
		_, err := d.tried(c, d.acted(s, pipeline.FieldState, pipeline.VerbAck))
		return err
	case back && c.Ack != nil && c.Ack.Via == d.from && !s.Acked:
		_, err := d.tried(c, d.acted(s, pipeline.FieldState, pipeline.VerbUnack))
		return err
	}
	return nil
}

// wontFixSeen: who closed it says afterwards that it will not be fixed, by its state or by its resolution.
func (d *decider) wontFixSeen(c *Case, e *Entry, s *pipeline.Seen, news bool) {
	if v := s.Fields[pipeline.FieldResolution]; v != "" && e.news(pipeline.FieldResolution, v) {
		e.takeNote(pipeline.FieldResolution, v)
		d.l.putCase(c)
		news = true
	}
	if !news || !s.Closed || !s.WontFix || c.Open || c.Person == nil || c.Person.WontFix {
		return
	}
	c.Person.WontFix = true
	in := d.acted(s, pipeline.FieldState, "")
	d.auditCase(c, "closed", in.By, "%s says that it will not be fixed", d.who(in))
	d.l.putCase(c)
}

// closedSeen: a person closed the record, and so the case. A source that looked
// meanwhile, before docket heard of it, did look again.
func (d *decider) closedSeen(c *Case, s *pipeline.Seen) error {
	if !c.Open {
		return nil
	}
	if c.OpenCount() == 0 && !c.Digest {
		return d.quietSeen(c, d.acted(s, pipeline.FieldState, pipeline.VerbClose))
	}
	seqs, err := d.openMembers(c)
	if err != nil {
		return err
	}
	in := d.acted(s, pipeline.FieldState, pipeline.VerbClose)
	if in.WontFix = s.WontFix; in.WontFix {
		in.Text = "it will not be fixed"
	}
	if _, err := d.tried(c, in); err != nil || !in.At.Before(d.now) {
		return err
	}
	d.from = "" // what follows is docket's doing, and said in that ticket too
	for _, seq := range seqs {
		h := d.l.hotSeq(seq)
		if h == nil || h.Member != Watched {
			continue
		}
		rec, err := d.mustRecord(seq)
		if err != nil {
			return err
		}
		d.observed(h, rec)
		f := rec.Finding()
		if err := d.lookedAgain(h, lastLook(&f)); err != nil {
			return err
		}
	}
	return nil
}

// quietSeen: a person ended the wait of a recurring case of which nothing is open.
func (d *decider) quietSeen(c *Case, in *pipeline.Interaction) error {
	d.auditCase(c, "quiet", in.By, "%s closed the ticket: it is not kept open any longer", d.who(in))
	c.Recurring, c.Returns, c.QuietAt = false, nil, time.Time{}
	d.closeWhenDone(c)
	return nil
}

// reopenedSeen: a person opened the record again. Where nothing of the case is open, the ticket is that person's, and stays.
func (d *decider) reopenedSeen(c *Case, e *Entry, s *pipeline.Seen) error {
	if c.Open {
		return nil
	}
	in := d.acted(s, pipeline.FieldState, pipeline.VerbReopen)
	why, err := d.tried(c, in)
	if why == "" || err != nil {
		return err
	}
	e.LeftOpen = true
	text := fmt.Sprintf("%s reopened the ticket, but %s. It stays open until a person closes it.", d.who(in), why)
	d.auditCase(c, "left_open", in.By, "%s", text)
	d.sayEverywhere(c, text)
	d.revised(c)
	return nil
}

// sayEverywhere is say, in the ticket of the person who acted too.
func (d *decider) sayEverywhere(c *Case, text string) {
	from := d.from
	d.from = ""
	d.say(c, text)
	d.from = from
}

// prioritySeen: from here on the priority is the person's.
func (d *decider) prioritySeen(c *Case, s *pipeline.Seen) {
	in := d.acted(s, pipeline.FieldPriority, "")
	if s.Priority == 0 {
		d.auditCase(c, "edited", in.By, "%s changed the priority to %s; it stays so there", d.who(in), s.Fields[pipeline.FieldPriority])
		d.l.putCase(c)
		return
	}
	was := c.Priority
	c.Priority, c.PriorityBy, c.LowerAt = s.Priority, in.By, time.Time{}
	text := fmt.Sprintf("Priority %s, was %s: set by %s.", c.Priority, was, d.who(in))
	d.say(c, text)
	d.auditCase(c, "priority", in.By, "%s", text)
	d.due(c)
	d.revised(c)
}

func (d *decider) assigneeSeen(c *Case, s *pipeline.Seen) error {
	in := d.acted(s, pipeline.FieldAssignee, pipeline.VerbAssign)
	in.Text = cmp.Or(s.Assignee, s.Fields[pipeline.FieldAssignee])
	if in.Text != "" {
		_, err := d.tried(c, in)
		return err
	}
	c.Assignee = ""
	return d.told(c, in, "No longer assigned (%s).", d.who(in))
}

// news reports whether a value in the tracker is one that docket never wrote, and that was not taken note of yet.
func (e *Entry) news(word, value string) bool {
	for _, f := range e.Sent {
		if f[word] == value {
			return false
		}
	}
	if theirs, noted := e.Theirs[word]; noted {
		return value != theirs
	}
	return value != e.Last[word]
}

// takeNote remembers a person's value.
func (e *Entry) takeNote(word, value string) {
	if e.Theirs == nil {
		e.Theirs = pipeline.Fields{}
	}
	e.Theirs[word] = value
}

// wrote takes over what the record held after a write: a person's value that the write left alone stays the
// person's, every other is docket's now.
func (e *Entry) wrote(o *pipeline.Outcome) {
	turned := e.Turning || e.RevOpen != e.opened()
	e.Turning = false
	for word, theirs := range e.Theirs {
		if held := o.Held[word]; held == theirs || held != e.Last[word] || word == pipeline.FieldState && turned {
			delete(e.Theirs, word)
		}
	}
	if turned {
		e.IsOpen = e.RevOpen
	}
	e.Last, e.Sent = o.Held, nil
	if e.Last == nil {
		e.Last = pipeline.Fields{} // an end is known: what the record holds is a person's
	}
	if o.Updated.After(e.HeldAt) {
		e.HeldAt = o.Updated
	}
}

// wasOpen is what a sink must take the record to have been. Where an attempt may have turned it, it is turned for
// certain; where the end of no write is known, a record that is found is left as it is, since a person may have closed it.
func (e *Entry) wasOpen() bool {
	switch {
	case e.Ref.IsZero() || e.Last == nil:
		return e.WantOpen
	case e.Turning:
		return !e.WantOpen
	}
	return e.opened()
}

// opened reports whether the record is open as far as docket has a say in it.
func (e *Entry) opened() bool { return e.IsOpen && !e.LeftOpen }

// sent remembers what an action may have written, until an outcome says what is held.
func (e *Entry) sent(f pipeline.Fields) {
	if len(f) == 0 || slices.ContainsFunc(e.Sent, func(have pipeline.Fields) bool { return maps.Equal(have, f) }) {
		return
	}
	if len(e.Sent) >= sentKept {
		e.Sent = slices.Clone(e.Sent[1:])
	}
	e.Sent = append(e.Sent, f)
}
