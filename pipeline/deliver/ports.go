// Package deliver carries actions to a sink: one Loop a sink takes actions from
// its queue, takes the claim of the case in that sink, checks it as the last step
// before it sends, puts the result into the claim, publishes the outcome and only
// then lets go of the message. An attempt that finds an earlier one unfinished is
// unsure: it waits until the earlier one can no longer land, looks the record up
// by its key, and only then creates.
//
// The claim is the only thing that correctness rests on. Delivery counts, ack
// times and message ids may be wrong in any way; they cost time, never a ticket.
package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// ErrLost says that a compare-and-set found another revision than the one
// named: somebody else wrote the claim. Nothing was changed.
var ErrLost = errors.New("the claim was changed by another worker")

// Claim is the fence of one case in one sink. It is a lease on outside
// effects, not state of the case. The zero Claim stands for "none".
type Claim struct {
	N      uint64 `json:"n"`                // number of the action
	Att    int    `json:"att"`              // attempt at it, from 1
	Holder string `json:"holder,omitempty"` // the attempt that holds it, unique; empty when it was given back
	// Clean is set on a claim given back when nothing of this action can
	// be under way at the sink: the next taker need not look.
	Clean bool `json:"clean,omitempty"`
	Done  bool `json:"done,omitempty"`
	// Ref is the record, once an attempt at this action has seen it.
	Ref pipeline.Ref `json:"ref,omitzero"`
	Rev uint64       `json:"rev,omitempty"` // revision that the action writes
	// Outcome is how a done action ended, whole, so that it can be published
	// again. Nil on a claim rebuilt from state, where the outcome was applied.
	Outcome *pipeline.Outcome `json:"outcome,omitempty"`
}

// ClaimKey is the key of a case in a sink: "<sink>.<case>".
func ClaimKey(sink, caseID string) string { return sink + "." + caseID }

// Claims keeps the claims, durably. It is used by all workers at the same time.
type Claims interface {
	// Read returns the claim and its revision; revision 0 and no error when there is none.
	// Claims that were lost as a whole are an error, never "none".
	Read(ctx context.Context, key string) (Claim, uint64, error)
	// Swap writes c if the claim still has the revision named (0: there is
	// none) and returns the new revision, which is higher than every earlier one of
	// that key, once the write is durable. ErrLost when the revision is another. After
	// any other error the write may or may not have happened.
	Swap(ctx context.Context, key string, revision uint64, c Claim) (uint64, error)
}

// Queue hands out the actions of one sink.
type Queue interface {
	// Fetch returns up to n messages. It waits for the first one no longer than
	// about a second, not at all for more, and returns none without an error when none came.
	Fetch(ctx context.Context, n int) ([]Message, error)
}

// Message is one action on its way. It may come any number of times, also while another copy is
// being worked on.
type Message interface {
	// Action reads the action; an error says that the message is damaged.
	Action() (pipeline.Action, error)
	// Done takes the message off the queue.
	Done() error
	// NakWithDelay lets the message come again after the delay.
	NakWithDelay(delay time.Duration) error
	// InProgress says that it is still being worked on and must not come again yet.
	InProgress() error
}

// Outcomes takes what workers report. Publish returns once it is durable; it
// is called by all workers at the same time, so that it can gather. The pair of
// action number and attempt is unique among the outcomes of a case and sink.
type Outcomes interface {
	Publish(ctx context.Context, o pipeline.Outcome) error
}

// Brake reports whether outside writes must not start. It is called often and must be cheap.
type Brake func() bool
