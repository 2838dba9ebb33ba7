package awsx

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// chain is docket's own credentials as the SDK's standard chain finds them. What it found is kept until drop: then the environment
// and the files are read anew, where somebody may have put other ones meanwhile.
type chain struct {
	load func(context.Context) (aws.CredentialsProvider, error)

	mu    sync.Mutex
	found aws.CredentialsProvider
}

// Retrieve implements aws.CredentialsProvider.
func (c *chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c.mu.Lock()
	from := c.found
	c.mu.Unlock()
	if from == nil {
		var err error
		if from, err = c.load(ctx); err != nil {
			return aws.Credentials{}, err
		}
		c.mu.Lock()
		c.found = from
		c.mu.Unlock()
	}
	return from.Retrieve(ctx)
}

func (c *chain) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = nil
}

// renewed is a refusal of credentials in whose place there are other ones now. RetryableError is how the SDK asks an error whether
// another try is worth while.
type renewed struct{ err error }

func (e renewed) Error() string      { return e.err.Error() }
func (e renewed) Unwrap() error      { return e.err }
func (renewed) RetryableError() bool { return true }

// renewal replaces credentials that AWS refuses though their time is not over: sessions were revoked, a clock is wrong, or
// a tool has written new ones into the shared file. It happens once for each set of them, however many calls they fail.
type renewal struct {
	cache *aws.CredentialsCache
	chain *chain // nil: the cache is that of a role

	mu sync.Mutex
	at time.Time // of the last one
}

// renewalPause is the least time between two renewals: what AWS has just handed out and calls expired is not mended by more of it.
const renewalPause = time.Minute

// held is the id of the key that a call is about to be signed with; "" where it cannot be replaced.
func (r *renewal) held(ctx context.Context) string {
	if r == nil {
		return ""
	}
	c, err := r.cache.Retrieve(ctx)
	if err != nil || !c.CanExpire && r.chain == nil {
		return ""
	}
	return c.AccessKeyID
}

// of is the error of a call that was signed with that key.
func (r *renewal) of(ctx context.Context, key string, now time.Time, err error) error {
	if key == "" || !expired(err) && (r.chain == nil || !slices.Contains(tokenCodes, code(err))) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c, got := r.cache.Retrieve(ctx)
	if got == nil && c.AccessKeyID == key { // no other call was faster
		if between(now, r.at, renewalPause) {
			return err
		}
		r.at = now
		if r.chain != nil {
			r.chain.drop()
		}
		r.cache.Invalidate()
		c, got = r.cache.Retrieve(ctx)
	}
	switch {
	case got != nil && r.chain == nil:
		return got // why the role cannot be taken any more says more than that its session is over
	case got != nil, c.AccessKeyID == key:
		return err
	}
	return renewed{err}
}
