package guardduty

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

const (
	// overlap is how far back a read begins before the one before it, and how old a finding's time of update
	// must be so that it cannot be one that AWS still writes, by a clock that is not ours.
	overlap = 10 * time.Minute
	// roundLife is how long a full read that was cut off is gone on with. What it read before then is read again.
	roundLife = 6 * time.Hour
	// placesAtATime is how many places are read at a time. AWS throttles each account and region by itself.
	placesAtATime = 8
	// progressEvery is after how many findings of a full read its progress is kept.
	progressEvery = 500
)

// Fleet is the accounts and regions to read; *awsx.Fleet is one.
type Fleet interface {
	Targets(context.Context, awsx.Ask) ([]awsx.Target, []pipeline.Gap, error)
	Account(id string) (pipeline.Account, bool)
}

// Options are what a Source takes from the process round it.
type Options struct {
	Fleet       Fleet
	MinSeverity pipeline.Severity // milder findings are not asked for
	Now         func() time.Time  // nil: time.Now
}

// Source reads GuardDuty's findings. Poll is called by one goroutine at a time.
type Source struct {
	c    Config
	o    Options
	dial func(aws.Config) client

	mu    sync.Mutex // guards what follows
	known map[string]sight
}

var _ pipeline.Source = (*Source)(nil)

// New makes a source. It makes no call.
func New(c Config, o Options) *Source {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Source{c: c, o: o, known: map[string]sight{}, dial: func(cfg aws.Config) client { return guardduty.NewFromConfig(cfg) }}
}

// poll is one Poll under way.
type poll struct {
	s       *Source
	full    bool
	started time.Time
	look    time.Time // started less overlap
	plan    plan

	mu      sync.Mutex // guards what follows; the emitter is one goroutine's at a time
	emit    pipeline.Emitter
	mark    *mark
	result  pipeline.Result
	behind  int // findings since the last progress
	samples int
	reached map[string]bool // places that were read to their end
}

// Poll implements pipeline.Source. A place that cannot be read is a gap of the result; the error says that none
// could, that ctx ended or that what was read found no room. The watermark holds how far each place was read.
func (s *Source) Poll(ctx context.Context, req pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error) {
	m := readMark(req.Since)
	started := s.o.Now().UTC().Truncate(time.Millisecond)
	p := &poll{s: s, full: req.Full, started: started, look: started.Add(-overlap), emit: &sticky{to: emit}, mark: m, reached: map[string]bool{}}
	if p.full && millis(started)-m.Round > roundLife.Milliseconds() {
		m.Round = millis(started)
	}
	targets, gaps, err := s.o.Fleet.Targets(ctx, awsx.Ask{Service: "guardduty", Regions: s.c.Regions})
	p.result.Gaps = gaps
	if err != nil {
		p.result.Watermark = req.Since
		return p.result, fmt.Errorf("finding the accounts and regions: %w", awsx.Class(err))
	}
	err = p.run(ctx, targets)
	p.finish()
	w, markErr := m.watermark()
	p.result.Watermark = w
	return p.result, cmp.Or(err, markErr)
}

// run reads every place.
func (p *poll) run(ctx context.Context, targets []awsx.Target) error {
	places, gaps, err := p.s.look(ctx, targets, p.started)
	p.result.Gaps = append(p.result.Gaps, gaps...)
	if err != nil {
		return err
	}
	p.plan = newPlan(places, p.excluded(targets))
	p.result.Gaps = append(p.result.Gaps, p.plan.off...)
	gaps, err = awsx.Each(ctx, p.plan.targets, placesAtATime, p.place)
	for _, g := range gaps {
		g.Reason += p.plan.others(g)
		p.result.Gaps = append(p.result.Gaps, g)
	}
	if err != nil {
		return err
	}
	if err := p.left(ctx); err != nil {
		return err
	}
	p.mark.Round = 0
	return nil
}

// finish counts what was reached.
func (p *poll) finish() {
	accounts, regions := map[string]bool{}, map[string]bool{}
	for key := range p.reached {
		account, region, _ := strings.Cut(key, "/")
		accounts[account], regions[region] = true, true
		for _, m := range p.plan.members[key] {
			accounts[m] = true
		}
	}
	p.result.Accounts, p.result.Regions = len(accounts), len(regions)
	if p.samples > 0 {
		p.result.Notes = append(p.result.Notes, fmt.Sprintf("%d sample findings are left out (samples: false)", p.samples))
	}
	slices.SortFunc(p.result.Gaps, func(a, b pipeline.Gap) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
}

// excluded reports which accounts of an administrator's list are not to be read: those that the organisation
// has and the fleet neither reads nor misses, because the configuration leaves them out or they are suspended.
func (p *poll) excluded(targets []awsx.Target) func(account string) bool {
	wanted := map[string]bool{}
	for _, t := range targets {
		wanted[t.Account.ID] = true
	}
	for _, g := range p.result.Gaps {
		wanted[g.Account] = true
	}
	return func(account string) bool {
		if wanted[account] {
			return false
		}
		_, known := p.s.o.Fleet.Account(account)
		return known
	}
}

// left tells of scopes that nobody reads any more: the account left, the region is not read now. What could not be reached
// in this poll was not left.
func (p *poll) left(ctx context.Context) error {
	for _, key := range slices.Sorted(maps.Keys(p.mark.Places)) {
		_, region, _ := strings.Cut(key, "/")
		pt := p.mark.Places[key]
		var kept []string
		for _, account := range pt.Accounts {
			switch {
			case p.missed(account, region):
				kept = append(kept, account)
			case p.plan.reads(account, region):
				if r := p.plan.reader(account, region); r == key {
					kept = append(kept, account)
				} else { // another place tells of it now, and ends its scope
					p.mark.at(r).knows(map[string]int{account: 0})
				}
			default:
				err := p.emit.Scan(ctx, pipeline.Scan{ID: p.scanID(account, region), Scope: scope(account, region), Filter: p.s.filter(), Time: p.look,
					Left: true, Why: "the account or region is not read any more"})
				if err != nil {
					return err
				}
			}
		}
		pt.Accounts = kept
		if !p.plan.isReader(key) && len(kept) == 0 {
			delete(p.mark.Places, key)
		}
	}
	return nil
}

// missed reports whether a place is one of the gaps.
func (p *poll) missed(account, region string) bool {
	return slices.ContainsFunc(p.result.Gaps, func(g pipeline.Gap) bool {
		return g.Account == "" || g.Account == account && (g.Region == "" || g.Region == region)
	})
}

// scope is the scope of absence of an account in a region.
func scope(account, region string) string { return "aws/guardduty/" + account + "/" + region }

func (p *poll) scanID(account, region string) string {
	return scope(account, region) + "/" + p.started.Format(time.RFC3339Nano)
}

// filter says in one way everything that narrows what is read.
func (s *Source) filter() string {
	var parts []string
	if !s.c.Samples {
		parts = append(parts, "samples=false")
	}
	if n := s.lowest(); n > 0 {
		parts = append(parts, fmt.Sprintf("severity>=%d", n))
	}
	return strings.Join(parts, " ")
}
