package ingest

import (
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// The bounds of a Handover.
const (
	handoverCount = 8192
	handoverBytes = 16 << 20 // by weight
	handoverAge   = 10 * time.Second
)

// Handover carries reports that an Intake decoded to triage, which reads the same
// records from the stream a little later and need not decode them again. Each report is taken once.
// Nothing depends on it: what finds no room is decoded again, and what nobody takes in a while, since
// it is known already, is dropped. It belongs to one configuration and may be used by several goroutines.
type Handover struct {
	sums *summer
	now  func() time.Time

	mu    sync.Mutex
	bySum map[sum]*handed
	queue []*handed // in the order of their arrival
	bytes int
}

type handed struct {
	sum    sum
	report *pipeline.Report // nil once it is taken or dropped
	size   int
	at     time.Time
}

// NewHandover makes an empty one.
func NewHandover(now func() time.Time) (*Handover, error) {
	sums, err := newSummer()
	if err != nil {
		return nil, err
	}
	return &Handover{sums: sums, now: now, bySum: map[sum]*handed{}}, nil
}

// sum names what a report is made of, but for its time and scope.
func (h *Handover) sum(source string, it *pipeline.Item) sum {
	x, _ := h.sums.of(source, it.Format, func(to []byte) ([]byte, bool) { return append(to, it.Data...), true })
	return x
}

// put hands over the report of an item; the caller does not touch it afterwards.
func (h *Handover) put(source string, it *pipeline.Item, rep *pipeline.Report) {
	rep.Raw = nil // the item has it
	x := &handed{sum: h.sum(source, it), report: rep, size: weight(rep), at: h.now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.queue) > 0 && (h.queue[0].report == nil || x.at.Sub(h.queue[0].at) > handoverAge) {
		h.drop(h.queue[0])
		h.queue[0] = nil
		h.queue = h.queue[1:]
	}
	if h.bySum[x.sum] != nil || len(h.queue) >= handoverCount || h.bytes+x.size > handoverBytes {
		return
	}
	h.bySum[x.sum] = x
	h.queue = append(h.queue, x)
	h.bytes += x.size
}

// weight is about how many bytes a report holds on to. The rest of its record, often most of it, is not in it.
func weight(r *pipeline.Report) int {
	n := 1<<10 + len(r.ID) + len(r.Resource.ID) + len(r.Resource.Original) + len(r.Title) + len(r.Description) + len(r.Remediation.Text) + len(r.Remediation.URL)
	for _, list := range [][]string{r.Names, r.Links, r.Compliance, r.RiskFactors, r.Tags, r.Account.OU} {
		for _, s := range list {
			n += 16 + len(s)
		}
	}
	for _, tags := range []map[string]string{r.Resource.Tags, r.Account.Tags} {
		for k, v := range tags {
			n += 32 + len(k) + len(v)
		}
	}
	if r.Code != nil {
		n += len(r.Code.Snippet) + len(r.Code.Path) + len(r.Code.Fingerprint)
	}
	return n
}

// Take is the report of an item of a source, without time, scope and record; nil if
// there is none. It belongs to the caller.
func (h *Handover) Take(source string, it *pipeline.Item) *pipeline.Report {
	key := h.sum(source, it)
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.bySum[key]
	if x == nil {
		return nil
	}
	rep := x.report
	h.drop(x)
	return rep
}

// drop forgets a report. The caller holds the lock.
func (h *Handover) drop(x *handed) {
	if x.report == nil {
		return
	}
	x.report = nil
	h.bytes -= x.size
	delete(h.bySum, x.sum)
}
