package securityhub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// placesKept is how long the accounts and regions of a fleet are remembered: they are asked for with each action else.
const placesKept = 5 * time.Minute

// newWriteBack makes the write-back of a hub: with a home region all goes through that one place, as AWS carries updates
// over to the linked regions; else each finding is written where it is, or from another account that shows its region.
func newWriteBack(fleet *awsx.Fleet, region, roleARN string, v2 bool, now func() time.Time) *writeBack {
	f := &fleetPlaces{fleet: fleet, region: region, roleARN: roleARN, v2: v2, now: now, kept: map[string]keptTargets{}}
	return &writeBack{v2: v2, open: f.open}
}

// fleetPlaces opens the places of a fleet.
type fleetPlaces struct {
	fleet           *awsx.Fleet
	region, roleARN string
	v2              bool
	now             func() time.Time

	mu   sync.Mutex
	kept map[string]keptTargets // by region
}

type keptTargets struct {
	at      time.Time
	targets []awsx.Target
	gaps    []pipeline.Gap
}

func (f *fleetPlaces) open(ctx context.Context, m *pipeline.Mark) (string, book, error) {
	if f.region != "" {
		cfg, err := f.fleet.Home(ctx, f.region, f.roleARN)
		return "Security Hub in " + f.region, f.book(cfg), err
	}
	targets, gaps, err := f.targets(ctx, m.Region)
	if err != nil {
		return "", nil, err
	}
	for i := range targets {
		if targets[i].Account.ID == m.Account {
			return fmt.Sprintf("Security Hub of account %s in %s", m.Account, m.Region), f.book(targets[i].Config), nil
		}
	}
	for _, g := range gaps {
		if g.Account == m.Account {
			return "", nil, errors.Join(fmt.Errorf("account %s in %s: %s", m.Account, m.Region, g.Reason), pipeline.ErrForbidden)
		}
	}
	if len(targets) == 0 {
		return "", nil, pipeline.Permanent(fmt.Errorf("no account of the aws block reads %s, where finding %s of account %s is", m.Region, m.ID, m.Account))
	}
	t := &targets[0]
	return fmt.Sprintf("Security Hub of account %s in %s", t.Account.ID, t.Region), f.book(t.Config), nil
}

func (f *fleetPlaces) book(cfg aws.Config) book {
	client := securityhub.NewFromConfig(cfg)
	if f.v2 {
		return bookV2{client}
	}
	return bookV1{client}
}

func (f *fleetPlaces) targets(ctx context.Context, region string) ([]awsx.Target, []pipeline.Gap, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k, ok := f.kept[region]; ok && f.now().Sub(k.at) < placesKept {
		return k.targets, k.gaps, nil
	}
	targets, gaps, err := f.fleet.Targets(ctx, awsx.Ask{Service: securityhub.ServiceID, Regions: []string{region}})
	if err == nil {
		f.kept[region] = keptTargets{f.now(), targets, gaps}
	}
	return targets, gaps, err
}
