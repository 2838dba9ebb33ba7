package triage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// WriteBack is a write-back sink as Decide needs it: pure functions of the report, see pipeline.WriteBack.
type WriteBack struct {
	Mark func(r *pipeline.Report) (pipeline.Mark, bool)
	Echo func(r *pipeline.Report) bool
}

// Back is what an entry of a write-back has instead of a record: which findings of the case are to be looked at,
// since their product may have to be told something else. What each was told last is in its Member row.
type Back struct {
	// Epoch rises when it is not certain any more what became of that which was told: all of it is told again, which changes nothing where it arrived.
	Epoch int      `json:"epoch,omitempty"`
	All   bool     `json:"all,omitempty"`  // every member from the number From on
	From  uint64   `json:"from,omitempty"` // arrival number
	Todo  []uint64 `json:"todo,omitempty"` // these too; at most todoKept
	Off   bool     `json:"off,omitempty"`  // the write-back is turned off: what happens meanwhile is not followed
	Word  string   `json:"word,omitempty"` // what of the case itself decides what is told
}

// todoKept is how many members are listed one by one; of more, every one is looked at.
const todoKept = 500

// again lets everything be told once more.
func (b *Back) again() {
	b.Epoch++
	b.All, b.From, b.Todo = true, 0, nil
}

// add lets one member be looked at.
func (b *Back) add(seq uint64) {
	switch {
	case b.All && b.From == 0 || slices.Contains(b.Todo, seq):
	case len(b.Todo) >= todoKept:
		b.All, b.From, b.Todo = true, 0, nil
	default:
		b.Todo = append(b.Todo, seq)
	}
}

// off: nobody is told anything of this case while the write-back is turned off. Once it is on again, every member is looked at.
func (b *Back) off() { b.All, b.From, b.Todo, b.Off = false, 0, nil, true }

// on is the end of off.
func (b *Back) on() { b.All, b.From, b.Todo, b.Off = true, 0, nil, false }

func (b *Back) clone() *Back {
	if b == nil {
		return nil
	}
	x := *b
	x.Todo = slices.Clone(b.Todo)
	return &x
}

// TicketSinks lists the sinks that hold, or may hold, a ticket of the case, sorted.
func (c *Case) TicketSinks() []string {
	names := make([]string, 0, len(c.Entries))
	for sink, e := range c.Entries {
		if e.Back == nil {
			names = append(names, sink)
		}
	}
	slices.Sort(names)
	return names
}

func compareMembers(a, b memberKey) int {
	return cmp.Or(cmp.Compare(a.Case, b.Case), cmp.Compare(a.Seq, b.Seq))
}

// followUp marks what the input that was just applied touched: the members whose rows changed, and the cases
// that say something else now.
func (d *decider) followUp() error {
	if len(d.r.WriteBack) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(d.l.touchedMembers), compareMembers)
	clear(d.l.touchedMembers)
	for _, k := range keys {
		if err := d.followMember(k); err != nil {
			return err
		}
	}
	numbers := slices.Sorted(maps.Keys(d.l.touchedCases))
	clear(d.l.touchedCases)
	for _, n := range numbers {
		c, err := d.l.caseOf(n)
		if err != nil {
			return err
		}
		if c == nil {
			continue // it was purged
		}
		word := c.backWord()
		for _, e := range c.Entries {
			if e.Back != nil && e.Back.Word != word {
				e.Back.Word, e.Back.All, e.Back.From, e.Back.Todo = word, true, 0, nil
				d.l.keepCase(c)
			}
		}
	}
	return nil
}

func (d *decider) followMember(k memberKey) error {
	c, err := d.l.caseOf(k.Case)
	if err != nil || c == nil || c.Digest || c.Drill {
		return err
	}
	for _, sink := range slices.Sorted(maps.Keys(d.r.WriteBack)) {
		e := c.Entries[sink]
		if e == nil {
			marks, err := d.named(sink, k.Seq)
			if err != nil {
				return err
			}
			if len(marks) == 0 {
				continue
			}
			e = &Entry{Gen: c.Gen, St: Idle, Back: &Back{Word: c.backWord()}}
			c.Entries[sink] = e
		}
		if e.Back == nil {
			continue
		}
		e.Back.add(k.Seq)
		d.l.keepCase(c)
	}
	return nil
}

// issueBacks issues what the case's write-backs have to tell.
func (d *decider) issueBacks(c *Case) error {
	for _, sink := range slices.Sorted(maps.Keys(c.Entries)) {
		e := c.Entries[sink]
		if e.Back == nil || !e.Wants() {
			continue
		}
		if _, on := d.r.WriteBack[sink]; !on || !d.sinkIs(sink) {
			e.Back.off()
			d.l.keepCase(c)
			continue
		}
		marks, err := d.marks(c, sink, e)
		if err != nil {
			return err
		}
		d.l.keepCase(c)
		if len(marks) == 0 {
			continue
		}
		e.N++
		e.K, e.St, e.Issued, e.Rev, e.Wanted = 0, Inflight, d.now, c.Rev, c.Rev
		d.l.outbox = append(d.l.outbox, pipeline.Action{Case: c.ID(), Sink: sink, N: e.N, Issued: d.now, Ticket: pipeline.Ticket{
			Key: pipeline.TicketKey(d.r.Installation, c.Key, e.Gen), Installation: d.r.Installation,
			Case: c.ID(), Rev: c.Rev, Gen: e.Gen, Open: c.Open, WasOpen: c.Open, Team: c.Team, Priority: c.Priority, Marks: marks,
		}})
		d.sum.Issued++
	}
	return nil
}

// marks takes as many members as one action may tell of off what is to be looked at, and says what it tells.
func (d *decider) marks(c *Case, sink string, e *Entry) ([]pipeline.Mark, error) {
	b := e.Back
	var marks []pipeline.Mark
	var twice []uint64
	// tell looks at members until the action is full, and returns how many it looked at.
	tell := func(seqs []uint64) (n int, err error) {
		for ; n < len(seqs) && len(marks) < pipeline.MarksAtOnce; n++ {
			more, again, err := d.markMember(c, sink, b.Epoch, seqs[n])
			if err != nil {
				return n, err
			}
			marks = append(marks, more...)
			if again {
				twice = append(twice, seqs[n])
			}
		}
		return n, nil
	}
	if !b.All {
		n, err := tell(b.Todo)
		if err != nil {
			return nil, err
		}
		b.Todo = slices.Clone(b.Todo[n:])
	}
	for b.All && len(marks) < pipeline.MarksAtOnce {
		seqs, next, err := d.membersFrom(c, b.From)
		if err != nil {
			return nil, err
		}
		n, err := tell(seqs)
		switch {
		case err != nil:
			return nil, err
		case n < len(seqs):
			b.From = seqs[n]
		case next != 0:
			b.From = next
		default:
			b.All, b.From = false, 0
		}
	}
	for _, seq := range twice {
		b.add(seq)
	}
	return marks, nil
}

// membersFrom lists as many members as an action may tell of, from one on, and the one that follows; 0 for none.
func (d *decider) membersFrom(c *Case, from uint64) (seqs []uint64, next uint64, err error) {
	err = d.l.MembersFrom(c.Number, from, func(m Member) bool {
		if len(seqs) == pipeline.MarksAtOnce {
			next = m.Seq
			return false
		}
		seqs = append(seqs, m.Seq)
		return true
	})
	return seqs, next, err
}

// markMember says what the product of one member is to be told, and notes that it is told. twice: once that
// is done there is more to say.
func (d *decider) markMember(c *Case, sink string, epoch int, seq uint64) (marks []pipeline.Mark, twice bool, err error) {
	m, ok, err := d.l.Member(c.Number, seq)
	if err != nil || !ok {
		return nil, false, err
	}
	row := m.Told[sink]
	want, err := d.wants(c, &m, lastTold(row), !strings.HasPrefix(row, strconv.Itoa(epoch)+" "))
	if err != nil || want.word == "" || row == want.row(epoch) {
		return nil, false, err
	}
	reports, err := d.named(sink, seq)
	if err != nil {
		return nil, false, err
	}
	for _, r := range reports {
		done := r.status == pipeline.StatusResolved
		if done && want.status != pipeline.MarkResolved && want.status != pipeline.MarkNew {
			continue // the finding is open by another report of it
		}
		r.mark.Status, r.mark.Note = want.status, want.note
		if want.status == pipeline.MarkResolved && r.reason != "" {
			r.mark.Note += ": " + r.reason
		}
		marks = append(marks, r.mark)
	}
	if m.Told = maps.Clone(m.Told); m.Told == nil {
		m.Told = map[string]string{}
	}
	m.Told[sink] = want.row(epoch)
	d.l.keepMember(m)
	if want.status == pipeline.MarkNew {
		then, err := d.wants(c, &m, pipeline.MarkNew, false)
		return marks, then.word != "" && then.word != want.word, err
	}
	return marks, false, nil
}

// toldBefore is what the products of a finding were told when it was in another case.
func (d *decider) toldBefore(h *Hot) (map[string]string, error) {
	if t, ok := d.carried[h.Seq]; ok {
		delete(d.carried, h.Seq)
		return t, nil
	}
	if h.Case == 0 || len(d.r.WriteBack) == 0 {
		return nil, nil
	}
	m, _, err := d.l.Member(h.Case, h.Seq)
	return m.Told, err
}

// retell: a report of the finding is new, or stands otherwise than before. Its product is told once more.
func (d *decider) retell(h *Hot, rep *pipeline.Report) error {
	if len(d.r.WriteBack) == 0 || h.Case == 0 {
		return nil
	}
	m, ok, err := d.l.Member(h.Case, h.Seq)
	if err != nil || !ok {
		return err
	}
	m.Told = maps.Clone(m.Told)
	for sink, row := range m.Told {
		if b := d.r.WriteBack[sink]; b.Mark == nil {
			continue
		} else if _, its := b.Mark(rep); !its {
			continue
		}
		_, word, _ := strings.Cut(row, " ")
		m.Told[sink] = stale + " " + word
	}
	d.l.putMember(m)
	return nil
}

// left takes a member out of its case for another one, which goes on from what its product was told.
func (d *decider) left(m Member) {
	m.Status, m.Line.Status = Left, Left.String()
	if len(m.Told) > 0 {
		d.carried[m.Seq] = m.Told
		m.Told = nil
	}
	d.l.putMember(m)
}

// echo reports whether a report says that the problem is gone only because a write-back archived it.
func (d *decider) echo(h *Hot, rep *pipeline.Report) (bool, error) {
	if len(d.r.WriteBack) == 0 || rep.Status != pipeline.StatusResolved || h.Case == 0 {
		return false, nil
	}
	m, ok, err := d.l.Member(h.Case, h.Seq)
	if err != nil || !ok {
		return false, err
	}
	for sink, row := range m.Told {
		last := lastTold(row)
		// Until the end of the exception is told and seen, a source may still have read what was there before.
		if (last == pipeline.MarkSuppressed || last == pipeline.MarkNew) && d.r.WriteBack[sink].Echo != nil && d.r.WriteBack[sink].Echo(rep) {
			return true, nil
		}
	}
	return false, nil
}

// backOutcome applies how an action of a write-back ended. There is no record: late outcomes say nothing.
func (d *decider) backOutcome(c *Case, sink string, e *Entry, o *pipeline.Outcome) error {
	if o.N != e.N || e.St != Inflight && !e.Awaited {
		return nil
	}
	e.Awaited = false
	switch o.Result {
	case pipeline.OutcomeDone:
		e.St, e.Reason, e.Since, e.Delivered = Idle, "", time.Time{}, o.Rev
		if o.Rev != e.Rev {
			e.Back.again()
		}
	case pipeline.OutcomeRefused, pipeline.OutcomeGone:
		d.sum.Failures++
		e.Back.again()
		e.St, e.Reason, e.Since = Dead, o.Reason, d.now
		if d.r.SinkConfig != nil {
			e.Under = d.r.SinkConfig(c.Team, c.Route, sink)
		}
		d.auditCase(c, "dead_letter", "", "%s refused what it was told: %s", sink, o.Reason)
	case pipeline.OutcomeUnknown:
		d.sum.Failures++
		e.Back.again()
		e.St, e.Reason, e.Since = Parked, o.Reason, d.now
		d.auditCase(c, "parked", "", "%s could not be told: %s", sink, o.Reason)
	case pipeline.OutcomeSighted, pipeline.OutcomeAdopted:
		return nil
	default:
		return fmt.Errorf("case %s: the outcome of action %d has the unknown result %q", o.Case, o.N, o.Result)
	}
	d.l.keepCase(c)
	return nil
}

// ToNotify counts, by write-back sink, the findings of a case whose products would be told NOTIFIED once its
// tickets are there, and were not told so yet.
func ToNotify(r *Rules, view View, number uint64) (map[string]int, error) {
	d := &decider{r: r, l: NewLayer(view)}
	c, err := d.l.caseOf(number)
	if err != nil || c == nil {
		return nil, err
	}
	out := map[string]int{}
	for sink, e := range c.Entries {
		if e.Back == nil || r.WriteBack[sink].Mark == nil {
			continue
		}
		var seqs []uint64
		err := d.l.Members(number, func(m Member) bool {
			if m.Status == Open && lastTold(m.Told[sink]) != pipeline.MarkNotified {
				seqs = append(seqs, m.Seq)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
		for _, seq := range seqs {
			reports, err := d.named(sink, seq)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(reports, func(r namedReport) bool { return r.status != pipeline.StatusResolved }) {
				out[sink]++
			}
		}
	}
	return out, nil
}
