package securityhub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// placesKept is how long the accounts and regions of a fleet are remembered: they are asked for with each action else.
const placesKept = 5 * time.Minute

// makeWriteBack makes the write-back of a source.
func makeWriteBack(env connectors.Env, block connectors.Block) (pipeline.WriteBack, error) {
	c := DefaultConfig()
	if err := block.Decode(&c); err != nil {
		return nil, err
	}
	if err := placed(block, c.Validate()); err != nil {
		return nil, err
	}
	return newWriteBack(c, env.AWS, env.Now), nil
}

// newWriteBack makes the write-back of a hub: with a home region all goes through that one place, as AWS carries updates
// over to the linked regions; else each finding is written where it is, or from another account that shows its region.
func newWriteBack(c Config, fleet *awsx.Fleet, now func() time.Time) *writeBack {
	f := &fleetPlaces{cfg: c, fleet: fleet, now: now, kept: map[string]keptTargets{}, pacers: map[string]*pacer{}}
	return &writeBack{v2: c.API == V2, open: f.open}
}

// fleetPlaces opens the places of a fleet.
type fleetPlaces struct {
	cfg   Config
	fleet *awsx.Fleet
	now   func() time.Time

	mu     sync.Mutex
	kept   map[string]keptTargets // by region
	pacers map[string]*pacer      // of the calls for findings, by the place's name
}

type keptTargets struct {
	at      time.Time
	targets []awsx.Target
	gaps    []pipeline.Gap
}

func (f *fleetPlaces) open(ctx context.Context, m *pipeline.Mark) (string, book, error) {
	if f.cfg.Region != "" {
		cfg, err := f.fleet.Home(ctx, f.cfg.Region, f.cfg.RoleARN)
		name := "Security Hub in " + f.cfg.Region
		return name, f.book(name, cfg), err
	}
	targets, gaps, err := f.targets(ctx, m.Region)
	if err != nil {
		return "", nil, err
	}
	for i := range targets {
		if targets[i].Account.ID == m.Account {
			name := fmt.Sprintf("Security Hub of account %s in %s", m.Account, m.Region)
			return name, f.book(name, targets[i].Config), nil
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
	name := fmt.Sprintf("Security Hub of account %s in %s", t.Account.ID, t.Region)
	return name, f.book(name, t.Config), nil
}

func (f *fleetPlaces) book(name string, cfg aws.Config) book {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pacers[name] == nil {
		f.pacers[name] = newPacer(f.cfg.Rate)
	}
	client := securityhub.NewFromConfig(cfg)
	if f.cfg.API == V2 {
		return bookV2{client, f.pacers[name]}
	}
	return bookV1{client, f.pacers[name]}
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
