package guardduty

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// sightLife is how long it is believed which detector a place has and which members.
const sightLife = 15 * time.Minute

// sight is what is known of a place.
type sight struct {
	detector string // empty: GuardDuty is not enabled there
	members  []string
	at       time.Time
}

// seen is a place as it was looked at.
type seen struct {
	awsx.Target
	sight
}

func keyOf(account, region string) string { return account + "/" + region }

// look finds the detector and the members of every target that answers.
func (s *Source) look(ctx context.Context, targets []awsx.Target, now time.Time) ([]seen, []pipeline.Gap, error) {
	var mu sync.Mutex
	var out []seen
	gaps, err := awsx.Each(ctx, targets, placesAtATime, func(ctx context.Context, t awsx.Target) error {
		x, err := s.sight(ctx, t, now)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		out = append(out, seen{t, x})
		return nil
	})
	return out, gaps, err
}

// sight is what is known of a place, asked for where that is nothing or old.
func (s *Source) sight(ctx context.Context, t awsx.Target, now time.Time) (sight, error) {
	key := keyOf(t.Account.ID, t.Region)
	s.mu.Lock()
	x, ok := s.known[key]
	s.mu.Unlock()
	if age := now.Sub(x.at); ok && age >= 0 && age < sightLife {
		return x, nil
	}
	fresh, err := ask(ctx, s.dial(t.Config))
	if err != nil {
		if ok && ctx.Err() == nil {
			// The read itself will tell what is wrong. Without the list of members each of them would be read by itself meanwhile.
			return x, nil
		}
		return sight{}, err
	}
	fresh.at = now
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[key] = fresh
	return fresh, nil
}

// ask asks a place for its detector and members.
func ask(ctx context.Context, c client) (sight, error) {
	id, err := detectorIn(ctx, c)
	if err != nil || id == "" {
		return sight{}, err
	}
	members, err := membersOf(ctx, c, id)
	return sight{detector: id, members: members}, err
}

// forget has a place looked at anew by the next poll.
func (s *Source) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}

// plan is which places are read, and whose findings each of them tells.
type plan struct {
	targets   []awsx.Target       // the places to read, by account and region
	detectors map[string]string   // of these places
	members   map[string][]string // further accounts that a place tells of, without those that are excluded
	readers   map[string]string   // account/region -> the place that tells of it
	off       []pipeline.Gap      // places without a detector
	excluded  func(account string) bool
}

// newPlan reads each account of a region once: through its administrator where that one is read, too.
func newPlan(places []seen, excluded func(string) bool) plan {
	slices.SortFunc(places, func(a, b seen) int {
		return slices.Compare([]string{a.Account.ID, a.Region}, []string{b.Account.ID, b.Region})
	})
	p := plan{detectors: map[string]string{}, members: map[string][]string{}, readers: map[string]string{}, excluded: excluded}
	for _, x := range places {
		key := keyOf(x.Account.ID, x.Region)
		if x.detector == "" || p.readers[key] != "" {
			continue
		}
		for _, m := range x.members {
			// A member has no members of its own; where the lists say so all the same, both are read.
			if at := keyOf(m, x.Region); m != x.Account.ID && p.readers[at] == "" && len(p.members[at]) == 0 && !excluded(m) {
				p.readers[at] = key
				p.members[key] = append(p.members[key], m)
			}
		}
	}
	silent, all := map[string][]string{}, map[string]int{}
	for _, x := range places {
		key := keyOf(x.Account.ID, x.Region)
		all[x.Account.ID]++
		switch {
		case p.readers[key] != "":
		case x.detector == "":
			silent[x.Account.ID] = append(silent[x.Account.ID], x.Region)
		default:
			p.readers[key] = key
			p.detectors[key] = x.detector
			p.targets = append(p.targets, x.Target)
		}
	}
	for _, account := range slices.Sorted(maps.Keys(silent)) {
		regions := silent[account]
		if len(regions) == all[account] && len(regions) > 1 {
			p.off = append(p.off, pipeline.Gap{Account: account, Reason: fmt.Sprintf("GuardDuty is not enabled in any of %d regions: there is no detector", len(regions))})
			continue
		}
		for _, r := range regions {
			p.off = append(p.off, pipeline.Gap{Account: account, Region: r, Reason: "GuardDuty is not enabled: there is no detector"})
		}
	}
	return p
}

// reader is the place that tells of an account in a region; empty where none does.
func (p *plan) reader(account, region string) string { return p.readers[keyOf(account, region)] }

func (p *plan) reads(account, region string) bool { return p.reader(account, region) != "" }

func (p *plan) isReader(key string) bool { return p.detectors[key] != "" }

// takes reports whether a finding of an account is to be taken from a place. Of accounts that are
// neither its members nor read by themselves it may tell, too: a former member's, or any where docket may not list members.
func (p *plan) takes(place, account, region string) bool {
	switch r := p.reader(account, region); r {
	case place:
		return true
	case "":
		return !p.excluded(account)
	}
	return false
}

// others says of a gap which other accounts it leaves unread.
func (p *plan) others(g pipeline.Gap) string {
	if n := len(p.members[keyOf(g.Account, g.Region)]); n > 0 {
		return fmt.Sprintf(" (and through it %d member accounts)", n)
	}
	return ""
}
