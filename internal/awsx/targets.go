package awsx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/account/types"

	"github.com/docket-hub/docket/pipeline"
)

// membersAtATime is how many accounts are entered at a time.
const membersAtATime = 8

// Targets is every account and every region to read, by account id and region, and what of them cannot
// be reached: an account that does not let docket in is one gap, whatever it has of regions. A gap without an account says that
// the list of accounts is an old one. The error says that there is nothing to read at all; the gaps come with it.
func (f *Fleet) Targets(ctx context.Context, ask Ask) ([]Target, []pipeline.Gap, error) {
	h, err := f.base(ctx)
	if err != nil {
		return nil, nil, err
	}
	members, at, err := f.members(ctx, h)
	if err != nil && at.IsZero() {
		return nil, nil, err
	}
	var gaps []pipeline.Gap
	if err != nil {
		gaps = append(gaps, pipeline.Gap{Reason: fmt.Sprintf("the list of accounts is that of %s: %v", at.UTC().Format(time.RFC3339), err)})
	}
	type entry struct {
		targets []Target
		err     error
	}
	entries := make([]entry, len(members))
	turns := make(chan struct{}, membersAtATime)
	var group sync.WaitGroup
	for i, m := range members {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			entries[i].targets, entries[i].err = f.enter(ctx, h, m, ask)
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	var targets []Target
	var first error
	for i, e := range entries {
		if e.err != nil {
			first = cmp.Or(first, e.err)
			gaps = append(gaps, pipeline.Gap{Account: members[i].account.ID, Reason: e.err.Error()})
		}
		targets = append(targets, e.targets...)
	}
	switch {
	case len(targets) > 0:
		return targets, gaps, nil
	case first != nil:
		return nil, gaps, fmt.Errorf("none of %d accounts can be read: %w", len(members), first)
	}
	return nil, gaps, errors.New("there is no account to read: each one of the organisation is excluded, suspended or closing")
}

// enter takes the role of an account and finds its regions.
func (f *Fleet) enter(ctx context.Context, h home, m member, ask Ask) ([]Target, error) {
	if m.why != "" {
		return nil, errors.New(m.why)
	}
	cfg := h.cfg
	if m.role.arn != "" {
		r := f.role(h, m.role)
		if err := r.ready(ctx); err != nil {
			return nil, err
		}
		cfg = r.cfg
	}
	regions, err := f.regionsOf(ctx, cfg, m, ask)
	if err != nil {
		return nil, err
	}
	var targets []Target
	for _, region := range regions {
		targets = append(targets, Target{Account: m.account, Region: region,
			Config: f.at(cfg, place{service: strings.ToLower(ask.Service), account: m.account.ID, region: region, role: m.role.arn})})
	}
	return targets, nil
}

// regionsOf is the regions to read of an account: those asked for, else those of the settings, else what is enabled there.
func (f *Fleet) regionsOf(ctx context.Context, cfg aws.Config, m member, ask Ask) ([]string, error) {
	for _, want := range [][]string{ask.Regions, f.s.Regions} {
		if len(want) > 0 {
			if !slices.Contains(want, AllRegions) {
				return want, nil
			}
			break
		}
	}
	f.mu.Lock()
	k := f.regions[m.account.ID]
	if k == nil {
		k = newKept[[]string](f.o.Now, refreshAfter, pauseList)
		f.regions[m.account.ID] = k
	}
	f.mu.Unlock()
	regions, at, err := k.get(ctx, func(ctx context.Context) ([]string, error) {
		here := f.at(cfg, place{service: "account", account: m.account.ID, region: cfg.Region, role: m.role.arn})
		return enabled(ctx, account.NewFromConfig(here))
	})
	if !at.IsZero() { // an hour-old list of regions is as good as today's
		return regions, nil
	}
	if Denied(err) {
		return nil, fmt.Errorf("finding the enabled regions: %w; or write their names under aws.regions", err)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the enabled regions: %w", err)
	}
	return regions, nil
}

// enabled lists the regions that an account has enabled, by name.
func enabled(ctx context.Context, client account.ListRegionsAPIClient) ([]string, error) {
	in := &account.ListRegionsInput{RegionOptStatusContains: []types.RegionOptStatus{types.RegionOptStatusEnabled, types.RegionOptStatusEnabledByDefault}}
	var names []string
	for pages := account.NewListRegionsPaginator(client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Class(err)
		}
		for _, r := range page.Regions {
			names = append(names, aws.ToString(r.RegionName))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Each calls fn for every target, limit of them at a time (at least one), and gives back a gap for each that
// failed at AWS; what several regions of an account share, when all of them are refused, is one gap of the account. It goes on to the end.
//
// An error comes back beside the gaps when ctx ended, when fn failed with anything but a call to AWS (a stream that is full
// is no gap; the other targets are then cancelled), or when every one of the targets failed.
func Each(ctx context.Context, targets []Target, limit int, fn func(context.Context, Target) error) ([]pipeline.Gap, error) {
	all, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errs := make([]error, len(targets))
	turns := make(chan struct{}, max(1, limit))
	var group sync.WaitGroup
	for i, t := range targets {
		select {
		case turns <- struct{}{}:
		case <-all.Done():
		}
		if all.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-turns }()
			if errs[i] = Class(fn(all, t)); errs[i] != nil && !fromAWS(errs[i]) {
				cancel(errs[i])
			}
		})
	}
	group.Wait()
	if all.Err() != nil {
		return gapsOf(targets, errs), context.Cause(all)
	}
	gaps := gapsOf(targets, errs)
	if len(targets) > 0 && !slices.Contains(errs, nil) {
		return gaps, fmt.Errorf("none of %d places could be read: %w", len(targets), errs[0])
	}
	return gaps, nil
}

// gapsOf is the gaps of what failed, in the order of the targets.
func gapsOf(targets []Target, errs []error) []pipeline.Gap {
	count, refused := map[string]int{}, map[string]int{}
	for i, t := range targets {
		count[t.Account.ID]++
		if errs[i] != nil && Denied(errs[i]) {
			refused[t.Account.ID]++
		}
	}
	var gaps []pipeline.Gap
	told := map[string]bool{}
	for i, t := range targets {
		id := t.Account.ID
		switch {
		case errs[i] == nil:
		case refused[id] == count[id] && count[id] > 1:
			if !told[id] {
				told[id] = true
				gaps = append(gaps, pipeline.Gap{Account: id, Reason: fmt.Sprintf("in each of %d regions: %v", count[id], errs[i])})
			}
		default:
			gaps = append(gaps, pipeline.Gap{Account: id, Region: t.Region, Reason: errs[i].Error()})
		}
	}
	return gaps
}
