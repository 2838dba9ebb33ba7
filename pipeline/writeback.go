package pipeline

// MarkStatus is a standing that docket gives a finding in its product's own console: the words of Security Hub's
// Workflow.Status. The empty one leaves the standing as it is.
type MarkStatus string

// The standings.
const (
	MarkNew        MarkStatus = "NEW"        // it counts again: an exception ended, or the problem is back
	MarkNotified   MarkStatus = "NOTIFIED"   // it has an open ticket
	MarkResolved   MarkStatus = "RESOLVED"   // gone, on evidence
	MarkSuppressed MarkStatus = "SUPPRESSED" // an accepted exception
)

// MarksAtOnce is how many marks one ticket carries at most, so that one call of a sink stays short: Security
// Hub takes a hundred findings at once (API reference, BatchUpdateFindings).
const MarksAtOnce = 100

// Mark is what the console of a report's product should show of it.
type Mark struct {
	ID      string     `json:"id"`                // the product's own id, as its API wants it
	Product string     `json:"product,omitempty"` // what else its API names a finding by: a ProductArn
	Account string     `json:"account,omitempty"`
	Region  string     `json:"region,omitempty"`
	Status  MarkStatus `json:"status,omitempty"`
	Note    string     `json:"note,omitempty"` // one line for people; it begins with "docket DK-1: "
}

// NotePrefix begins every note that docket writes: "docket DK-1: ". What a case says replaces what it said before.
func NotePrefix(caseID string) string { return "docket " + caseID + ": " }

// WriteBack is a Sink that tells a product what became of its findings. It makes no record of its own: its Apply
// reads Ticket.Marks and nothing else of what a ticket should show, returns no Ref and may be repeated.
type WriteBack interface {
	Sink
	Repeater
	// Mark names the report as the product's API does; Status and Note are left to the caller. It is not ok for
	// a report that the product does not hold. It asks nobody, and says always the same of the same report.
	Mark(r *Report) (m Mark, ok bool)
	// Echo reports whether a report that says that its problem is gone may say so only because this sink marked the
	// finding as SUPPRESSED: then it is no evidence. A sink whose product tells the two apart says no.
	Echo(r *Report) bool
}
