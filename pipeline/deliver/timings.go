package deliver

import (
	"errors"
	"fmt"
	"time"
)

// Timings are a sink's `unsure` block: what is known of how late a write may
// take effect there, and how long a record may be hidden from the look-up.
type Timings struct {
	Deadline time.Duration // one call, from the check of the claim to giving up
	Pause    time.Duration // stop of the process tolerated between check and send
	Late     time.Duration // how long a tracker or proxy may go on with a request that was given up
	Grace    time.Duration // a write takes effect within this time of its check, or never
	Lag      time.Duration // a record that took effect is found within this time
	Settle   time.Duration // between two looks
	Looks    int           // looks after the first
	Lease    time.Duration // a claim that did not change for this long may be taken over
}

// DefaultTimings are right for trackers whose search lags up to a minute.
func DefaultTimings() Timings {
	return Timings{
		Deadline: 20 * time.Second, Pause: 10 * time.Second, Late: 30 * time.Second,
		Grace: time.Minute, Lag: time.Minute,
		Settle: 40 * time.Second, Looks: 3, Lease: 30 * time.Second,
	}
}

// claimWrite is the time that writing a claim may take; the lease leaves room for it.
const claimWrite = 2 * time.Second

// Validate returns every inequality that does not hold, joined.
func (t Timings) Validate() error {
	var errs []error
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"deadline", t.Deadline}, {"settle", t.Settle}, {"lease", t.Lease}} {
		if d.d <= 0 {
			errs = append(errs, fmt.Errorf("%s is %s; it must be more than 0", d.name, d.d))
		}
	}
	if t.Pause < 0 || t.Late < 0 || t.Lag < 0 {
		errs = append(errs, errors.New("pause, late and lag must not be negative"))
	}
	if t.Looks < 1 {
		errs = append(errs, fmt.Errorf("looks is %d; it must be at least 1", t.Looks))
	}
	if need := t.Deadline + t.Pause + t.Late; t.Grace < need {
		errs = append(errs, fmt.Errorf("grace is %s; it must be at least deadline + pause + late = %s", t.Grace, need))
	}
	if got, need := t.Settle*time.Duration(t.Looks), t.Grace+t.Lag; got < need {
		errs = append(errs, fmt.Errorf("settle x looks is %s; it must be at least grace + lag = %s", got, need))
	}
	if need := t.Deadline + claimWrite; t.Lease <= need {
		errs = append(errs, fmt.Errorf("lease is %s; it must be more than deadline + %s to write the claim = %s", t.Lease, claimWrite, need))
	}
	return errors.Join(errs...)
}
