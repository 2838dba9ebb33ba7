package pipeline

import "time"

// Action says "make the ticket of this case in this sink match revision Rev".
// At most one is in flight per case and sink (protocol: n, k).
type Action struct {
	Case   string    `json:"case"`
	Sink   string    `json:"sink"`
	N      uint64    `json:"n"` // number of the action of this case and sink, from 1
	K      int       `json:"k"` // how often it was issued again
	Issued time.Time `json:"issued"`
	Ticket Ticket    `json:"ticket"`
}

// OutcomeResult is how an action ended.
type OutcomeResult string

// The results.
const (
	OutcomeDone    OutcomeResult = "done"
	OutcomeRefused OutcomeResult = "refused" // refused for good, non-creation proven: a dead letter
	OutcomeUnknown OutcomeResult = "unknown" // cannot be decided: parked for a person
	OutcomeGone    OutcomeResult = "gone"    // the record was deleted by a person
	OutcomeSighted OutcomeResult = "sighted" // not an end: a loser of the claim saw this record
	OutcomeAdopted OutcomeResult = "adopted" // not an end: a person made this record the case's ticket (adopt, reconcile)
)

// Outcome is the end of an action, as the worker that finished its claim reports it.
type Outcome struct {
	Case    string        `json:"case"`
	Sink    string        `json:"sink"`
	N       uint64        `json:"n"`
	Attempt int           `json:"attempt"`
	Gen     int           `json:"gen"`
	Key     string        `json:"key,omitempty"` // the ticket key it is about; another one than the case's is of another problem
	Rev     uint64        `json:"rev"`
	Result  OutcomeResult `json:"result"`
	Ref     Ref           `json:"ref"`
	Twin    Ref           `json:"twin,omitzero"`
	Held    Fields        `json:"held,omitempty"`
	Sent    Fields        `json:"sent,omitempty"` // refused, unknown: what the action may have written all the same
	Created bool          `json:"created,omitempty"`
	Updated time.Time     `json:"updated,omitzero"` // of the record read back, by the tracker's clock
	Reason  string        `json:"reason,omitempty"` // for people; without secrets
}

// Verb is what a person did.
type Verb string

// The verbs of interactions.
const (
	VerbAck           Verb = "ack"
	VerbUnack         Verb = "unack"
	VerbSnooze        Verb = "snooze"
	VerbAssign        Verb = "assign"
	VerbComment       Verb = "comment"
	VerbClose         Verb = "close"
	VerbReopen        Verb = "reopen"
	VerbTicket        Verb = "ticket"
	VerbMove          Verb = "move"
	VerbSuppress      Verb = "suppress"
	VerbUnsuppress    Verb = "unsuppress"
	VerbRetry         Verb = "retry"   // a dead or gone entry, by hand
	VerbResolveParked Verb = "resolve" // a parked entry: it is Ref, or it does not exist
	VerbDrop          Verb = "drop"    // a dead, parked or gone entry: give it up
	VerbBrakeOn       Verb = "brake"   // start no outside write; names no case
	VerbBrakeOff      Verb = "unbrake"
)

// Interaction is what a person did, in docket or in a tracker.
type Interaction struct {
	ID          string       `json:"id"` // unique; a second one with the same id does nothing
	Verb        Verb         `json:"verb"`
	Cases       []string     `json:"cases,omitempty"`
	Finding     string       `json:"finding,omitempty"`
	By          string       `json:"by"`
	Via         string       `json:"via,omitempty"` // cli, api, the sink's name
	Text        string       `json:"text,omitempty"`
	At          time.Time    `json:"at,omitzero"` // when, by a tracker's clock; zero: when it is applied
	Until       time.Time    `json:"until,omitzero"`
	WontFix     bool         `json:"wont_fix,omitempty"`
	Sink        string       `json:"sink,omitempty"`
	Ref         Ref          `json:"ref,omitzero"`
	Suppression *Suppression `json:"suppression,omitempty"`
}

// Suppression is an accepted exception. It always has an end.
type Suppression struct {
	Name       string    `json:"name"`
	When       string    `json:"when"` // CEL over finding
	Reason     string    `json:"reason"`
	By         string    `json:"by"`
	Until      time.Time `json:"until"` // the instant it ends
	Created    time.Time `json:"created,omitzero"`
	Config     bool      `json:"config,omitempty"` // it stands in the configuration file, not in state
	ApprovedBy string    `json:"approved_by,omitempty"`
}
