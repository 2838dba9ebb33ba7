package awsx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
)

const (
	dialWithin = 10 * time.Second
	// tryWithin bounds one try of a call. SQS holds a receive for up to 20s, and Security Hub takes some seconds for a full page.
	tryWithin = 30 * time.Second
	// callWithin bounds a call with all its tries and waits.
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
	cache, _ := cfg.Credentials.(*aws.CredentialsCache)
	out := cfg.Copy()
	out.Region = p.region
	out.Retryer = func() aws.Retryer { return renewing{retryer: r, cache: cache} }
	out.APIOptions = append(out.APIOptions, func(s *middleware.Stack) error {
		if err := s.Initialize.Add(&whole{p: p}, middleware.Before); err != nil {
			return err
		}
		return s.Finalize.Insert(&single{f: f}, "Retry", middleware.After)
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
type whole struct{ p place }

func (*whole) ID() string { return "docket/call" }

var errCallLate = fmt.Errorf("AWS was tried for %s without success", callWithin)

func (w *whole) HandleInitialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	within, cancel := context.WithTimeoutCause(ctx, callWithin, errCallLate)
	defer cancel()
	out, meta, err := next.HandleInitialize(within, in)
	if err != nil {
		if within.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errCallLate, err)
		}
		err = &placedError{place: w.p, err: err}
	}
	return out, meta, err
}

// single bounds one try, and waits for the turn of its service.
type single struct{ f *Fleet }

func (*single) ID() string { return "docket/try" }

func (s *single) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	lane := s.f.lane(awsmiddleware.GetServiceID(ctx))
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-ctx.Done():
		return middleware.FinalizeOutput{}, middleware.Metadata{}, context.Cause(ctx)
	}
	within, cancel := context.WithTimeoutCause(ctx, tryWithin, errTryLate{})
	defer cancel()
	out, meta, err := next.HandleFinalize(within, in)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		// The SDK takes the end of a context for the caller's wish and would not try again.
		err = errTryLate{}
	}
	return out, meta, err
}

// errTryLate is a try without an answer in time. RetryableError is how the SDK asks an error whether another try is worth while.
type errTryLate struct{}

func (errTryLate) Error() string        { return fmt.Sprintf("no answer within %s", tryWithin) }
func (errTryLate) RetryableError() bool { return true }

// retryer is the SDK's adaptive one: a token bucket that halves or so when AWS throttles and grows again, on top of
// tries with backoff and jitter and a quota of retries. One is kept for each place, so that what it learnt outlives a poll.
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
		})
	})
}

// renewing has credentials that AWS calls expired fetched anew, once for each set of them, and the call tried
// again. It happens when a clock is wrong, or when sessions were revoked.
type renewing struct {
	*retryer
	cache *aws.CredentialsCache // nil: nothing to renew
}

// IsErrorRetryable is the SDK's judgement, and true for expired credentials that can be renewed.
func (r renewing) IsErrorRetryable(err error) bool {
	if !expired(err) {
		return r.retryer.IsErrorRetryable(err)
	}
	var p *placedError
	if r.cache == nil || errors.As(err, &p) { // the credentials that the renewal itself stands on
		return false
	}
	held, got := r.cache.Retrieve(context.Background())
	if got != nil || !held.CanExpire {
		return false // nothing that another try would change
	}
	r.cache.Invalidate()
	return true
}
