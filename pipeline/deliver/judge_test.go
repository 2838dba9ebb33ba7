package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

func TestJudge(t *testing.T) {
	claim := func(n uint64, done, clean bool) Claim { return Claim{N: n, Att: 1, Done: done, Clean: clean} }
	for _, c := range []struct {
		name    string
		claim   Claim
		present bool
		n       uint64
		over    bool
		want    verdict
	}{
		{"none, first action", Claim{}, false, 1, false, takeSure},
		{"none, later action", Claim{}, false, 2, false, takeUnsure},
		{"higher, done", claim(3, true, false), true, 2, true, drop},
		{"higher, not done", claim(3, false, false), true, 2, true, drop},
		{"same, done", claim(2, true, false), true, 2, true, repeat},
		{"same, not done, held", claim(2, false, false), true, 2, false, wait},
		{"same, not done, over", claim(2, false, false), true, 2, true, takeUnsure},
		{"same, given back clean", claim(2, false, true), true, 2, true, takeSure},
		{"lower, done", claim(1, true, false), true, 2, false, takeSure},
		{"lower, not done, held", claim(1, false, false), true, 2, false, takeUnsure},
		{"lower, not done, over", claim(1, false, false), true, 2, true, takeUnsure},
		{"lower, not done, clean", claim(1, false, true), true, 2, true, takeUnsure},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judge(c.claim, c.present, c.n, c.over); got != c.want {
				t.Errorf("judge(%+v, %v, %d, %v) = %d; want %d", c.claim, c.present, c.n, c.over, got, c.want)
			}
		})
	}
}

func TestClassify(t *testing.T) {
	base := errors.New("x")
	for _, c := range []struct {
		name string
		err  error
		want Decision
	}{
		{"none", nil, Decision{Kind: Finished}},
		{"plain", base, Decision{Kind: Retry}},
		{"permanent", pipeline.Permanent(base), Decision{Kind: Refused}},
		{"permanent, wrapped", fmt.Errorf("creating: %w", pipeline.Permanent(base)), Decision{Kind: Refused}},
		{"401", fmt.Errorf("a: %w", pipeline.ErrUnauthorized), Decision{Kind: Stopped}},
		{"401 called permanent", pipeline.Permanent(pipeline.ErrUnauthorized), Decision{Kind: Stopped}},
		{"403", pipeline.ErrForbidden, Decision{Kind: Barred}},
		{"404", fmt.Errorf("b: %w", pipeline.ErrGone), Decision{Kind: Deleted}},
		{"429", pipeline.RetryAfter(base, 7*time.Second), Decision{Kind: Limited, Delay: 7 * time.Second}},
		{"429, negative", pipeline.RetryAfter(base, -time.Second), Decision{Kind: Limited}},
		{"429, for years", pipeline.RetryAfter(base, 1e9*time.Second), Decision{Kind: Limited, Delay: 24 * time.Hour}},
		{"lost", pipeline.Unsure(base), Decision{Kind: Lost}},
		{"429 about one record", fmt.Errorf("x: %w", pipeline.RetryPart(base, time.Second)), Decision{Limited, time.Second, true}},
		{"lost, with a wait", pipeline.Unsure(pipeline.RetryAfter(base, time.Second)), Decision{Kind: Lost, Delay: time.Second}},
		{"lost, with a wait of one endpoint", pipeline.Unsure(pipeline.RetryPart(base, time.Second)), Decision{Lost, time.Second, true}},
		{"lost wins over permanent", pipeline.Permanent(pipeline.Unsure(base)), Decision{Kind: Lost}},
		{"lost wins over 401", errors.Join(pipeline.ErrUnauthorized, pipeline.Unsure(base)), Decision{Kind: Lost}},
		{"deadline", fmt.Errorf("c: %w", context.DeadlineExceeded), Decision{Kind: Lost}},
		{"cancelled", context.Canceled, Decision{Kind: Lost}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Classify(c.err); got != c.want {
				t.Errorf("Classify(%v) = %+v; want %+v", c.err, got, c.want)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		attempt  int
		min, max time.Duration
	}{
		{0, 500 * time.Millisecond, time.Second},
		{1, 500 * time.Millisecond, time.Second},
		{4, 4 * time.Second, 8 * time.Second},
		{9, 128 * time.Second, 256 * time.Second},
		{10, 150 * time.Second, 5 * time.Minute},
		{1 << 40, 150 * time.Second, 5 * time.Minute},
	} {
		for range 50 {
			if got := backoff(c.attempt); got < c.min || got > c.max {
				t.Errorf("backoff(%d) = %s; want %s to %s", c.attempt, got, c.min, c.max)
			}
		}
	}
}

func TestTimingsValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Timings)
		want   string // a part of the error; empty for none
	}{
		{"defaults", func(*Timings) {}, ""},
		{"grace too short", func(u *Timings) { u.Late = 31 * time.Second }, "grace is 1m0s; it must be at least"},
		{"looks end too early", func(u *Timings) { u.Looks = 2 }, "settle x looks is 1m20s"},
		{"no looks", func(u *Timings) { u.Looks = 0 }, "looks is 0"},
		{"lease within a call", func(u *Timings) { u.Lease = 22 * time.Second }, "lease is 22s"},
		{"no deadline", func(u *Timings) { u.Deadline = 0 }, "deadline is 0s"},
		{"negative lag", func(u *Timings) { u.Lag = -1 }, "must not be negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := DefaultTimings()
			c.change(&u)
			err := u.Validate()
			if got := fmt.Sprint(err); (err != nil) != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("Validate() = %v; want %q", err, c.want)
			}
		})
	}
}

func TestLeaseIsJudgedByWatching(t *testing.T) {
	l := leases{lease: 30 * time.Second, seen: map[string]watched{}}
	at := time.Now()
	for _, c := range []struct {
		name     string
		revision uint64
		after    time.Duration
		want     time.Duration
	}{
		{"first sight", 7, 0, 30 * time.Second},
		{"still there", 7, 20 * time.Second, 10 * time.Second},
		{"renewed", 8, 25 * time.Second, 30 * time.Second},
		{"not renewed", 8, 54 * time.Second, time.Second},
		{"over", 8, 56 * time.Second, 0},
	} {
		if got := l.rest("k", c.revision, at.Add(c.after)); got != c.want {
			t.Errorf("%s: rest(%d) = %s; want %s", c.name, c.revision, got, c.want)
		}
	}
	l.forget("k")
	if got := l.rest("k", 8, at.Add(time.Minute)); got != 30*time.Second {
		t.Errorf("rest after forget = %s; want 30s", got)
	}
}

func TestLeasesAreBounded(t *testing.T) {
	l := leases{lease: 30 * time.Second, seen: map[string]watched{}}
	at := time.Now()
	for i := range 3 * leasesKept {
		l.rest(fmt.Sprint(i), 1, at.Add(time.Duration(i)*time.Second))
	}
	if got := len(l.seen); got > leasesKept {
		t.Errorf("%d claims are watched; want at most %d", got, leasesKept)
	}
}
