package pipeline

// Gap is a place that a poll should have read and could not. It holds the others up in
// nothing, and what is known of it stays as it is.
type Gap struct {
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"` // empty: the whole account
	Reason  string `json:"reason"`           // for people: what failed and what to do
}
