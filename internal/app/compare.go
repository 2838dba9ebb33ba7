package app

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// knownTicket is what state says of one case in one sink.
type knownTicket struct {
	number uint64
	key    string // the ticket key of the entry's generation
	entry  triage.Entry
}

func (k *knownTicket) id() string { return triage.CaseID(k.number) }

// comparison is one sink's records against what state says of them. It looks at
// values only.
type comparison struct {
	sink         string
	installation string
	watched      bool              // the sink tells what people did: a state of theirs is taken in, not undone
	settled      time.Time         // tickets whose last write is younger may not show in the list yet
	tickets      []knownTicket     // by case
	keys         map[string]uint64 // every ticket key that the groups in state ever had, and its group's newest case
	records      []pipeline.Listed

	byID  map[string]*pipeline.Listed
	byKey map[string][]*pipeline.Listed
	ours  map[string]bool // keys of the tickets compared
	row   api.ReconciledSink
	out   []api.Difference
}

// run lists the differences, by case, then those of records that no case has.
func (c *comparison) run() (api.ReconciledSink, []api.Difference) {
	c.row = api.ReconciledSink{Sink: c.sink}
	c.byID, c.byKey, c.ours = map[string]*pipeline.Listed{}, map[string][]*pipeline.Listed{}, map[string]bool{}
	for i := range c.records {
		l := &c.records[i]
		if c.byID[l.Ref.ID] != nil {
			continue // a list that changes while it is read names some twice
		}
		c.byID[l.Ref.ID] = l
		c.byKey[l.Key] = append(c.byKey[l.Key], l)
		c.row.Records++
	}
	for _, list := range c.byKey {
		slices.SortFunc(list, olderFirst)
	}
	for i := range c.tickets {
		k := &c.tickets[i]
		c.ours[k.key] = true
		if !k.entry.Ref.IsZero() {
			c.row.Tickets++
		}
		c.ticket(k)
	}
	for i := range c.records {
		if l := &c.records[i]; c.byID[l.Ref.ID] == l && !c.ours[l.Key] {
			c.stray(l)
		}
	}
	return c.row, c.out
}

// olderFirst orders records of one key: the first made is the one that counts.
func olderFirst(a, b *pipeline.Listed) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(len(a.Ref.ID), len(b.Ref.ID)), cmp.Compare(a.Ref.ID, b.Ref.ID))
}

func (c *comparison) add(kind string, k *knownTicket, ref pipeline.Ref, keep pipeline.Ref, repair, format string, args ...any) {
	d := api.Difference{Sink: c.sink, Kind: kind, Ref: ref, Keep: keep, What: fmt.Sprintf(format, args...), Repair: repair}
	if k != nil {
		d.Case, d.Key = k.id(), k.key
	}
	d.ID = c.sink + "/" + kind + "/" + d.Case + "/" + ref.ID
	c.out = append(c.out, d)
}

// ticket compares what state says of one ticket.
func (c *comparison) ticket(k *knownTicket) {
	e := &k.entry
	if e.St != triage.Idle && e.St != "" && e.St != triage.Parked || e.Wants() || e.Issued.After(c.settled) {
		c.row.Moving++
		return
	}
	hits := c.byKey[k.key]
	if e.Ref.IsZero() {
		c.unrecorded(k, hits)
		return
	}
	if e.St == triage.Parked {
		c.row.Moving++
		return
	}
	switch l := c.byID[e.Ref.ID]; {
	case l == nil:
		c.missing(k, hits)
		return
	case l.Ref.Key != "" && l.Ref.Key != e.Ref.Key:
		c.add(api.DiffMoved, k, l.Ref, pipeline.Ref{}, "follow it", "%s is called %s now", nameOf(e.Ref), nameOf(l.Ref))
	case l.Open && !e.WantOpen && !e.LeftOpen:
		c.add(api.DiffState, k, l.Ref, pipeline.Ref{}, c.bring("close it"), "%s is open; its case is closed", nameOf(l.Ref))
		c.out[len(c.out)-1].Open = true
	case !l.Open && e.WantOpen && e.IsOpen:
		c.add(api.DiffState, k, l.Ref, pipeline.Ref{}, c.bring("open it again"), "%s is closed; its case is open", nameOf(l.Ref))
	}
	c.twins(k, hits, e.Ref)
}

// bring is what is done about a state that is not docket's.
func (c *comparison) bring(back string) string {
	if c.watched {
		return "take it in as what a person did"
	}
	return back
}

// unrecorded: state knows no record. One that is there is the ticket all the same.
func (c *comparison) unrecorded(k *knownTicket, hits []*pipeline.Listed) {
	hits = slices.DeleteFunc(slices.Clone(hits), func(l *pipeline.Listed) bool { return !l.Open && !k.entry.WantOpen })
	if len(hits) == 0 {
		return
	}
	c.add(api.DiffUnknown, k, hits[0].Ref, pipeline.Ref{}, "record it as the ticket of "+k.id(),
		"%s carries the key of %s, and state knows no ticket of it", nameOf(hits[0].Ref), k.id())
	c.twins(k, hits[1:], hits[0].Ref)
}

// missing: the record that state names is not in the list.
func (c *comparison) missing(k *knownTicket, hits []*pipeline.Listed) {
	e := &k.entry
	if !e.WantOpen && !e.IsOpen && len(hits) == 0 {
		return // closed, and nobody misses it
	}
	if len(hits) > 0 {
		c.add(api.DiffMoved, k, hits[0].Ref, pipeline.Ref{}, "follow it", "%s is not there; %s carries its key", full(e.Ref), full(hits[0].Ref))
		c.twins(k, hits[1:], hits[0].Ref)
		return
	}
	c.add(api.DiffDeleted, k, e.Ref, pipeline.Ref{}, "look it up once more; make it again where it is gone and wanted", "%s is not there any more", nameOf(e.Ref))
}

// twins names the open records beside the one that stays.
func (c *comparison) twins(k *knownTicket, hits []*pipeline.Listed, keep pipeline.Ref) {
	for _, l := range hits {
		if l.Ref.ID != keep.ID && l.Open {
			c.add(api.DiffTwin, k, l.Ref, keep, "link it to "+full(keep)+" and close it", "%s is a second record of %s beside %s", full(l.Ref), k.id(), full(keep))
		}
	}
}

// stray: a record whose key no compared ticket has.
func (c *comparison) stray(l *pipeline.Listed) {
	number, known := c.keys[l.Key]
	switch {
	case known:
		if !l.Open {
			return // an earlier ticket of the group
		}
		i := slices.IndexFunc(c.tickets, func(k knownTicket) bool { return k.number == number && !k.entry.Ref.IsZero() })
		if i < 0 {
			c.add(api.DiffOrphan, nil, l.Ref, pipeline.Ref{}, "", "%s was given up for another ticket of its group, and is open", nameOf(l.Ref))
			return
		}
		k := &c.tickets[i]
		c.add(api.DiffTwin, k, l.Ref, k.entry.Ref, "link it to "+full(k.entry.Ref)+" and close it",
			"%s is an earlier record of the group of %s, and open", full(l.Ref), k.id())
	case l.Installation != c.installation:
		c.row.Foreign++
	case l.Open:
		c.add(api.DiffOrphan, nil, l.Ref, pipeline.Ref{}, "", "%s is open, and no case has it: `docket adopt` takes it over where its problem is still reported, else close it", nameOf(l.Ref))
	}
}

// full is a record's name, and its id where that says more.
func full(r pipeline.Ref) string {
	if r.Key == "" || r.Key == r.ID {
		return r.ID
	}
	return r.Key + " (" + r.ID + ")"
}

// nameOf is what people call a record.
func nameOf(r pipeline.Ref) string { return cmp.Or(r.Key, r.ID) }
