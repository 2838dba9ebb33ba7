package pipeline

import "time"

// Hook is one webhook request by value. Names in Header are in canonical form
// (X-Hub-Signature), as net/http gives them.
type Hook struct {
	Header map[string][]string
	Query  map[string][]string // parameters of the address, for senders that cannot sign
	Body   []byte              // whole and unchanged, as it was signed
}

// Change names a record that may have changed. Only Ref.ID need be set. Updated is the time of
// its change by the tracker's clock, zero where it is not told: one that docket knows of already is not read again.
type Change struct {
	Ref     Ref
	Updated time.Time
}

// Seen is a record as a fresh read found it: what it holds in the tracker's
// words, and what triage must know of it in docket's own. It says how things are, never what
// happened; triage compares it with what docket wrote.
type Seen struct {
	Ref  Ref    `json:"ref"`
	Key  string `json:"key,omitempty"`  // docket's ticket key on the record; empty: it carries none
	Case string `json:"case,omitempty"` // DK-1, as the record says beside the key
	Gen  int    `json:"gen,omitempty"`  // generation, as the record says beside the key

	// Fields are what the record holds, in the words and the spelling of Applied.Held.
	Fields Fields `json:"fields,omitempty"`
	// Acts say who gave a field its present value, and when, by its word in Fields; where
	// the tracker does not tell, the word is missing. It is for people: who set a value does not decide
	// whether it is docket's.
	Acts     map[string]Act `json:"acts,omitempty"`
	Comments []SeenComment  `json:"comments,omitempty"` // by people, oldest first: those that carry an event id of docket are left out
	Updated  time.Time      `json:"updated,omitzero"`   // the record's last change, by the tracker's own clock

	Deleted  bool     `json:"deleted,omitempty"`  // it does not exist any more; nothing else is known
	Closed   bool     `json:"closed,omitempty"`   // it is done in the tracker, whatever its status is called
	WontFix  bool     `json:"wont_fix,omitempty"` // closed in a way that says the risk is accepted (wont_fix)
	Acked    bool     `json:"acked,omitempty"`    // it is in the status that says a person took it (transitions.ack)
	Priority Priority `json:"priority,omitempty"` // the priority that maps to what it holds; 0: none does
	Assignee string   `json:"assignee,omitempty"` // who has it, as people know them: e-mail where known, else a name
}

// Act is who set a value, and when.
type Act struct {
	By string    `json:"by,omitempty"` // e-mail where known, else a name
	At time.Time `json:"at,omitzero"`  // by the tracker's clock
}

// SeenComment is a comment that docket did not write.
type SeenComment struct {
	ID   string    `json:"id"` // the tracker's own, unique in the record
	By   string    `json:"by"`
	Time time.Time `json:"time"`
	Text string    `json:"text"` // at most CommentBytes, cut at a character
}

// CommentBytes is how much of a person's comment is taken over.
const CommentBytes = 4 << 10
