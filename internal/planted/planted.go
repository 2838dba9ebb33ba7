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
	}
}
