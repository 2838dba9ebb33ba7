// Package planted holds known defects, so that the reliability suites can
// prove that they would notice one. Built without the tag "planted", as every
// released program is, On is constantly false and the compiler drops what it guards.
//
// With the tag, DOCKET_PLANTED=name switches one defect on.
package planted

// Defect is one planted defect.
type Defect struct {
	Name string
	What string // what docket does wrong with it
}

// Defects are all of them. Each name stands at one or more calls of On, and internal/crashtest
// has a suite that has to fail with it.
func Defects() []Defect {
	return []Defect{
		{"position-before-changes", "the position of the inputs is committed before what they changed"},
		{"answer-before-stored", "findings are confirmed before the stream has stored them"},
		{"token-unchecked", "a sender's token is not compared"},
		{"hook-unverified", "the signature of a tracker's webhook is not checked"},
		{"claims-ignored", "an action is carried out whatever its claim says"},
		{"claim-unflushed", "a claim is answered before it is on disk"},
		{"blind-retry", "a write whose answer was lost is sent again without a look"},
		{"one-look", "one look-up is believed, though the tracker's index may be behind"},
		{"label-not-written", "a ticket is made without its key"},
		{"retry-after-ignored", "the wait that a server asks for is not kept"},
		{"secret-in-error", "an error shows the credentials of its request"},
	}
}
