package securityhub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// Type is the type's name in the configuration.
const Type = "securityhub"

// placesAtATime is how many accounts and regions are read at a time.
const placesAtATime = 16

// Factory makes sources of type securityhub.
func Factory() connectors.Factory {
	return connectors.Factory{Type: Type, SourceConfig: Config{}, Source: makeSource, WriteBack: makeWriteBack}
}

func makeSource(env connectors.Env, block connectors.Block) (connectors.Source, error) {
	c := DefaultConfig()
	if err := block.Decode(&c); err != nil {
		return connectors.Source{}, err
	}
	if err := placed(block, c.Validate()); err != nil {
		return connectors.Source{}, err
	}
	return connectors.Source{Source: NewSource(c, Options{Fleet: env.AWS, MinSeverity: env.MinSeverity, Log: env.Log, Now: env.Now})}, nil
}

// Options are what a source takes from the process round it.
type Options struct {
	Fleet *awsx.Fleet
	// MinSeverity: milder findings are not asked for when changes are read, but for checks that pass now. A full
	// read asks for them, too: who takes the records in can then tell one that became milder from one that is gone.
	MinSeverity pipeline.Severity
	Log         *slog.Logger     // nil: none
	Now         func() time.Time // nil: time.Now
}

// source reads Security Hub. Poll is called by one goroutine at a time.
type source struct {
	cfg    Config
	o      Options
	filter filter
	pacers map[string]*pacer // by place.key
	link   *link             // of the home region; nil: not asked for yet
}

var _ pipeline.Source = (*source)(nil)

// NewSource makes a source; c was validated. It makes no call.
func NewSource(c Config, o Options) pipeline.Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &source{cfg: c, o: o, filter: newFilter(c, o.MinSeverity), pacers: map[string]*pacer{}}
}

// place is one hub to ask.
type place struct {
	key             string // of the watermark: ACCOUNT/REGION, or home/REGION
	account, region string // account is empty for a home region
	filter          filter
	client          *securityhub.Client
	pace            *pacer
}

func (s *source) place(key, account, region string, cfg aws.Config, f filter) *place {
	if s.pacers[key] == nil {
		s.pacers[key] = newPacer(s.cfg.Rate)
	}
	return &place{key: key, account: account, region: region, filter: f, client: securityhub.NewFromConfig(cfg), pace: s.pacers[key]}
}

// Poll implements pipeline.Source.
func (s *source) Poll(ctx context.Context, req pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error) {
	p := &poll{s: s, full: req.Full, began: s.o.Now().UTC(), emit: emit, mark: parseMark(req.Since)}
	var err error
	if s.cfg.Region != "" {
		err = p.home(ctx)
	} else {
		err = p.places(ctx)
	}
	w, unwritten := p.mark.text()
	p.result.Watermark = w
	if err != nil && unwritten == nil {
		// The next poll goes on from what the emitter was told last.
		unwritten = emit.Progress(context.WithoutCancel(ctx), w)
	}
	return p.result, errors.Join(err, unwritten)
}

// poll is the state of one Poll. Places are read at the same time, so mu guards what follows it.
type poll struct {
	s     *source
	full  bool
	began time.Time

	mu     sync.Mutex
	emit   pipeline.Emitter // is called by one goroutine at a time
	mark   *mark
	told   time.Time // when progress was last told
	size   int       // of its text
	result pipeline.Result
}

// home reads the hub of one region, which shows what is linked to it.
func (p *poll) home(ctx context.Context) error {
	region := p.s.cfg.Region
	cfg, err := p.s.o.Fleet.Home(ctx, region, p.s.cfg.RoleARN)
	if err != nil {
		return fmt.Errorf("reaching Security Hub in %s: %w", region, err)
	}
	pl := p.s.place("home/"+region, "", region, cfg, p.s.filter)
	if err := p.abandon(ctx, map[string]bool{pl.key: true}, nil); err != nil {
		return err
	}
	if err := p.read(ctx, pl); err != nil {
		return fmt.Errorf("reading Security Hub in %s: %w", region, awsx.Class(err))
	}
	accounts, regions := map[string]bool{}, map[string]bool{region: true}
	for _, scope := range p.mark.Places[pl.key].Scopes.list() {
		account, region, _ := placeOf(scope)
		accounts[account], regions[region] = true, true
	}
	p.result.Accounts, p.result.Regions = max(1, len(accounts)), len(regions)
	p.linked(ctx, pl)
	return nil
}

// places reads each account and region by itself: its own findings alone, so that an administrator's
// account and a home region give nothing twice.
func (p *poll) places(ctx context.Context) error {
	targets, gaps, err := p.s.o.Fleet.Targets(ctx, awsx.Ask{Service: Type, Regions: p.s.cfg.Regions})
	p.result.Gaps = gaps
	if err != nil {
		return fmt.Errorf("finding the accounts to read: %w", err)
	}
	targets = slices.DeleteFunc(targets, func(t awsx.Target) bool {
		return len(p.s.filter.accounts) > 0 && !slices.Contains(p.s.filter.accounts, t.Account.ID)
	})
	all := map[string]*place{}
	reached := map[string]bool{}
	for _, t := range targets {
		f := p.s.filter
		f.accounts, f.regions = []string{t.Account.ID}, []string{t.Region}
		key := t.Account.ID + "/" + t.Region
		all[key], reached[key] = p.s.place(key, t.Account.ID, t.Region, t.Config, f), true
	}
	unreached := map[string]bool{}
	for _, g := range gaps {
		unreached[g.Account] = true
	}
	if err := p.abandon(ctx, reached, unreached); err != nil {
		return err
	}
	accounts, regions := map[string]bool{}, map[string]bool{}
	more, err := awsx.Each(ctx, targets, placesAtATime, func(ctx context.Context, t awsx.Target) error {
		if err := p.read(ctx, all[t.Account.ID+"/"+t.Region]); err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		accounts[t.Account.ID], regions[t.Region] = true, true
		return nil
	})
	p.result.Gaps = append(p.result.Gaps, more...)
	p.result.Accounts, p.result.Regions = len(accounts), len(regions)
	return err
}

// abandon ends the scopes of places that are read no more: the account left, the region was switched off, the configuration
// changed. A place that could not be reached this time is none of these.
func (p *poll) abandon(ctx context.Context, reached, unreached map[string]bool) error {
	for _, key := range slices.Sorted(maps.Keys(p.mark.Places)) {
		account, _, _ := strings.Cut(key, "/")
		if reached[key] || unreached[account] {
			continue
		}
		if err := p.leave(ctx, p.mark.Places[key].Scopes.list(), "the account or region is not read any more"); err != nil {
			return err
		}
		delete(p.mark.Places, key)
	}
	return nil
}

// leave says of scopes that nobody reads them from now on.
func (p *poll) leave(ctx context.Context, scopes []string, why string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, scope := range scopes {
		if err := p.emit.Scan(ctx, pipeline.Scan{ID: p.id(scope, p.began), Scope: scope, Time: p.began, Left: true, Why: why}); err != nil {
			return fmt.Errorf("ending %s: %w", scope, err)
		}
	}
	return nil
}

func (p *poll) id(scope string, at time.Time) string {
	return scope + " " + at.UTC().Format(time.RFC3339Nano)
}

// progressEvery and progressPerByte are how often a read tells how far it is. It costs a flush of the disk, and the
// watermark of thousands of places is long: one of a megabyte is told every five seconds.
const (
	progressEvery   = 250 * time.Millisecond
	progressPerByte = 5 * time.Microsecond
)

// progress keeps how far the places are. The caller holds mu.
func (p *poll) progress(ctx context.Context) error {
	now := time.Now()
	if now.Sub(p.told) < max(progressEvery, time.Duration(p.size)*progressPerByte) {
		return nil
	}
	w, err := p.mark.text()
	if err != nil {
		return err
	}
	p.told, p.size = now, len(w)
	if err := p.emit.Progress(ctx, w); err != nil {
		return fmt.Errorf("keeping the progress: %w", err)
	}
	return nil
}

// read reads one place. A place where Security Hub was switched off is read no more until it is back.
func (p *poll) read(ctx context.Context, pl *place) error {
	p.mu.Lock()
	pt := p.mark.Places[pl.key]
	if pt == nil {
		pt = &point{}
		p.mark.Places[pl.key] = pt
	}
	if text := pl.filter.text(); pt.Filter != text {
		pt.Filter, pt.At, pt.Full = text, time.Time{}, nil
	}
	r := &reader{poll: p, place: pl, point: pt, began: p.s.o.Now().UTC(), seen: map[string]int{}}
	whole := p.full || pt.Full != nil || pt.At.IsZero()
	p.mu.Unlock()
	var err error
	if whole {
		err = r.everything(ctx)
	} else {
		err = r.changes(ctx)
	}
	if err != nil && pl.account != "" && awsx.NotEnabled(err) {
		p.mu.Lock()
		delete(p.mark.Places, pl.key)
		p.mu.Unlock()
		return cmp.Or(p.leave(ctx, pt.Scopes.list(), "Security Hub is switched off there"), err)
	}
	return err
}

// placed gives errors that start with a key ("regions[0]: …") their place in the file.
func placed(block connectors.Block, err error) error {
	if err == nil {
		return nil
	}
	list := []error{err}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		list = j.Unwrap()
	}
	var out []error
	for _, e := range list {
		key, text, found := strings.Cut(e.Error(), ": ")
		if !found {
			key, text = "", e.Error()
		}
		out = append(out, block.Errorf(key, "%s", text))
	}
	return errors.Join(out...)
}
