package deliver

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Kind is what an error of a sink means for the attempt.
type Kind uint8

// The kinds.
const (
	Finished Kind = iota // no error
	Refused              // refused for good; nothing was made
	Stopped              // the credentials are refused: the sink stops, the ticket is not at fault
	Barred               // this place is closed to us: parked for a person
	Deleted              // the record does not exist any more
	Limited              // the server named a wait, for this action or for all; nothing was made
	Lost                 // the answer was lost: look, never plainly send again
	Retry                // nothing was sent: again, with growing delay
)

var kindWords = [...]string{"finished", "refused", "stopped", "barred", "deleted", "limited", "lost", "retry"}

// String is the kind as a metric's label.
func (k Kind) String() string {
	if int(k) < len(kindWords) {
		return kindWords[k]
	}
	return "other"
}

// Decision is what follows from an error. Delay is the wait that the server
// named, else 0; it may stand beside Lost too.
type Decision struct {
	Kind  Kind
	Delay time.Duration
	Part  bool // Delay is about one record or endpoint: it holds this action, not the sink
}

// longestDelay bounds what a server may ask for, so that a broken header does not hold a sink for years.
const longestDelay = 24 * time.Hour

// Classify maps the error of a call to a decision. A lost answer wins over
// everything else that the error says, for it is the one that can cost a second
// ticket; so does a context that ended while the call was under way, unless the sink
// itself says that nothing was made.
func Classify(err error) Decision {
	if err == nil {
		return Decision{Kind: Finished}
	}
	delay, named := pipeline.RetryDelay(err)
	delay = min(max(delay, 0), longestDelay)
	part := pipeline.IsRetryPart(err)
	switch {
	case pipeline.IsUnsure(err):
		return Decision{Lost, delay, part}
	case errors.Is(err, pipeline.ErrUnauthorized):
		return Decision{Kind: Stopped}
	case errors.Is(err, pipeline.ErrForbidden):
		return Decision{Kind: Barred}
	case errors.Is(err, pipeline.ErrGone):
		return Decision{Kind: Deleted}
	case named:
		return Decision{Limited, delay, part}
	case pipeline.IsPermanent(err):
		return Decision{Kind: Refused}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Decision{Kind: Lost}
	default:
		return Decision{Kind: Retry}
	}
}

const (
	backoffMin = time.Second
	backoffMax = 5 * time.Minute
)

// backoff is the delay after the attempt-th failure, from 1: doubled each
// time up to backoffMax, the upper half of it by chance, so that workers do not return together.
func backoff(attempt int) time.Duration {
	d := backoffMax
	if shift := max(attempt, 1) - 1; shift < 9 {
		d = min(backoffMin<<shift, backoffMax)
	}
	return d/2 + rand.N(d/2)
}
