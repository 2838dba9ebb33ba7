package awsx

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestKept(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	k := newKept[int](func() time.Time { return now }, time.Hour, time.Minute)
	refused := errors.New("refused")
	fetched := 0
	var failure error
	fetch := func(context.Context) (int, error) {
		fetched++
		return fetched, failure
	}
	steps := []struct {
		name    string
		after   time.Duration
		failure error
		want    int // the value
		calls   int // fetches so far
		err     error
	}{
		{"the first time", 0, nil, 1, 1, nil},
		{"within its life", 59 * time.Minute, nil, 1, 1, nil},
		{"after its life", time.Minute, nil, 2, 2, nil},
		{"a fetch that fails", time.Hour, refused, 2, 3, refused},
		{"right after the failure", 59 * time.Second, nil, 2, 3, refused},
		{"after the pause", time.Second, nil, 4, 4, nil},
		{"a clock that was set back", -2 * time.Hour, nil, 5, 5, nil},
	}
	for _, s := range steps {
		now, failure = now.Add(s.after), s.failure
		got, at, err := k.get(t.Context(), fetch)
		if got != s.want || fetched != s.calls || !errors.Is(err, s.err) || at.IsZero() {
			t.Errorf("get() %s = %d of %v, %v after %d fetches; want %d, %v after %d", s.name, got, at, err, fetched, s.want, s.err, s.calls)
		}
	}
}

func TestKeptForgetsAnAskerThatLeft(t *testing.T) {
	k := newKept[int](time.Now, time.Hour, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	_, at, err := k.get(ctx, func(ctx context.Context) (int, error) {
		cancel()
		return 0, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) || !at.IsZero() {
		t.Errorf("get() of an asker that leaves = %v, %v; want %v and no value", at, err, context.Canceled)
	}
	if got, _, err := k.get(t.Context(), func(context.Context) (int, error) { return 7, nil }); got != 7 || err != nil {
		t.Errorf("get() of the next one = %d, %v; want a fetch of its own", got, err)
	}

	// Whoever waits for another's fetch can leave, too.
	inside, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	slow := newKept[int](time.Now, time.Hour, time.Hour)
	go func() {
		_, _, _ = slow.get(context.Background(), func(context.Context) (int, error) {
			close(inside)
			<-release
			return 1, nil
		})
	}()
	<-inside
	if _, _, err := slow.get(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("get() while another fetches, in a context that ended = %v; want %v", err, context.Canceled)
	}
}

func TestRoleARN(t *testing.T) {
	tests := []struct{ partition, name, want string }{
		{"aws", "docket-readonly", "arn:aws:iam::111122223333:role/docket-readonly"},
		{"aws-cn", "/security/docket", "arn:aws-cn:iam::111122223333:role/security/docket"},
		{"aws-us-gov", "security/docket", "arn:aws-us-gov:iam::111122223333:role/security/docket"},
	}
	for _, tt := range tests {
		if got := roleARN(tt.partition, "111122223333", tt.name); got != tt.want || accountOf(got) != "111122223333" {
			t.Errorf("roleARN(%q, %q) = %q; want %q", tt.partition, tt.name, got, tt.want)
		}
	}
	if got := accountOf("docket"); got != "" {
		t.Errorf("accountOf(docket) = %q; want nothing", got)
	}
}
