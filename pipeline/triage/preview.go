package triage

import (
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// TicketOf is the ticket of a case in one sink as its next action would carry it,
// whatever holds that action. The case may be one that the sink has nothing of yet. It changes nothing.
func TicketOf(r *Rules, view View, number uint64, sink string, now time.Time) (pipeline.Ticket, error) {
	d := &decider{r: r, l: NewLayer(view), now: now}
	c, err := d.mustCase(number)
	if err != nil {
		return pipeline.Ticket{}, err
	}
	e := c.Entries[sink]
	if e == nil {
		e = &Entry{WantOpen: c.Open, Gen: c.Gen}
	}
	t, err := d.ticket(c, sink, e)
	if err == nil && !e.Pending.Empty() && !e.Ref.IsZero() {
		t.Comments = append(t.Comments, d.comment(c, e))
	}
	return t, err
}
