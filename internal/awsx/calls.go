package awsx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
)

const (
	dialWithin = 10 * time.Second
	// tryWithin is Options.TryWithin by default. SQS holds a receive for up to 20s, and Security Hub takes some seconds for a full page.
	tryWithin = 30 * time.Second
	// callWithin is Options.CallWithin by default.
	callWithin = 2 * time.Minute
	// laneWidth is how many calls of one service are on the way at a time, over all accounts and regions.
	laneWidth = 32
	// maxTries and longestPause are of one call. Eight tries take about a minute where each is throttled.
	maxTries     = 8
	longestPause = 20 * time.Second
)

// place is where calls go: AWS throttles by service, account and region. role is the role that was taken for it, empty for
// docket's own credentials.
type place struct{ service, account, region, role string }

// at is cfg for a place: its region, its rate, and the bounds of every call.
func (f *Fleet) at(cfg aws.Config, p place) aws.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.atLocked(cfg, p)
}

func (f *Fleet) atLocked(cfg aws.Config, p place) aws.Config {
	r := f.retryers[p]
	if r == nil {
		r = newRetryer()
		f.retryers[p] = r
	}
	var again *renewal
	if cache, ok := cfg.Credentials.(*aws.CredentialsCache); ok {
		if again = f.renewals[cache]; again == nil {
			again = &renewal{cache: cache}
			f.renewals[cache] = again
		}
	}
	out := cfg.Copy()
	out.Region = p.region
	out.Retryer = func() aws.Retryer { return r }
	out.APIOptions = append(out.APIOptions, func(s *middleware.Stack) error {
		if err := s.Initialize.Add(&whole{p: p, limit: f.o.CallWithin}, middleware.Before); err != nil {
			return err
		}
		return s.Finalize.Insert(&single{f: f, renewal: again}, "Retry", middleware.After)
	})
	return out
}

// lane holds the turns of a service.
func (f *Fleet) lane(service string) chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lanes[service]
	if l == nil {
		l = make(chan struct{}, laneWidth)
		f.lanes[service] = l
	}
	return l
}

// whole bounds a call with all its tries, and notes the place on its error.
type whole struct {
	p     place
	limit time.Duration
}

func (*whole) ID() string { return "docket/call" }

// errCallLate is the cause when a call outlives its limit.
var errCallLate = errors.New("AWS was tried for too long")

func (w *whole) HandleInitialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	within, cancel := context.WithTimeoutCause(ctx, w.limit, errCallLate)
	defer cancel()
	out, meta, err := next.HandleInitialize(within, in)
	if err != nil {
		if within.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w (%s): %w", errCallLate, w.limit, err)
		}
		err = &placedError{place: w.p, err: err}
	}
	return out, meta, err
}

// single bounds one try, waits for the turn of its service, and renews credentials.
type single struct {
	f       *Fleet
	renewal *renewal // nil: nothing to renew
}

func (*single) ID() string { return "docket/try" }

func (s *single) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	lane := s.f.lane(awsmiddleware.GetServiceID(ctx))
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-ctx.Done():
		return middleware.FinalizeOutput{}, middleware.Metadata{}, context.Cause(ctx)
	}
	late := errTryLate{s.f.o.TryWithin}
	within, cancel := context.WithTimeoutCause(ctx, s.f.o.TryWithin, late)
	defer cancel()
	key := s.renewal.held(within)
	out, meta, err := next.HandleFinalize(within, in)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		// The SDK takes the end of a context for the caller's wish and would not try again.
		return out, meta, late
	}
	return out, meta, s.renewal.of(within, key, s.f.o.Now(), err)
}

// errTryLate is a try without an answer in time. RetryableError is how the SDK asks an error whether another try is worth while.
type errTryLate struct{ limit time.Duration }

func (e errTryLate) Error() string      { return fmt.Sprintf("no answer within %s", e.limit) }
func (errTryLate) RetryableError() bool { return true }

// retryer is the SDK's adaptive one: a token bucket that shrinks when AWS throttles and grows again, on top of
// tries with backoff and jitter and a quota of retries. One is kept for each place, so that what it learnt outlives a poll.
// Measured against the stand-in that lets 20 calls a second through: 4 and 16 callers got 18 a second over 20s, with 8 and 23 throttled tries.
type retryer = retry.AdaptiveMode

func newRetryer() *retryer {
	return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.Throttles = append(o.Throttles, retry.IsErrorThrottleFunc(func(err error) aws.Ternary {
			if Throttled(err) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		}))
		o.StandardOptions = append(o.StandardOptions, func(s *retry.StandardOptions) {
			s.MaxAttempts, s.MaxBackoff = maxTries, longestPause
			// A region without the service has no such host: asking again and again would hold the other regions up.
			s.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				var dns *net.DNSError
				if errors.As(err, &dns) && dns.IsNotFound {
					return aws.FalseTernary
				}
				return aws.UnknownTernary
			})}, s.Retryables...)
		})
	})
}
