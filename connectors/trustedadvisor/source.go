package trustedadvisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/support"
	"github.com/aws/smithy-go"

	format "github.com/docket-hub/docket/connectors/format/trustedadvisor"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// accountsAtATime is how many accounts are read at a time. Both APIs have low rates, but for each account its own.
const accountsAtATime = 8

// recordsAtATime is how many records are handed over in one call.
const recordsAtATime = 200

// Fleet is what the source needs of awsx.Fleet.
type Fleet interface {
	Targets(ctx context.Context, ask awsx.Ask) ([]awsx.Target, []pipeline.Gap, error)
}

// Options is what a source works with beside its settings. The zero value works.
type Options struct {
	Log *slog.Logger
	Now func() time.Time
	// Pause waits between two looks at a refresh; nil waits in real time.
	Pause func(context.Context, time.Duration) error
}

// Source reads Trusted Advisor in every account of a fleet.
type Source struct {
	c     Config
	fleet Fleet
	o     Options

	mu sync.Mutex
	// automatic are the checks that refresh themselves and refuse to be asked.
	automatic map[string]bool
	// notBefore says when a check of an account may be refreshed again, by "account/check".
	notBefore map[string]time.Time
}

var _ pipeline.Source = (*Source)(nil)

// New makes a source. It makes no call.
func New(c Config, fleet Fleet, o Options) *Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	return &Source{c: c, fleet: fleet, o: o, automatic: map[string]bool{}, notBefore: map[string]time.Time{}}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Poll reads every wanted check of every account, whatever the request says: there is no other way to read than
// whole. The scope of a check in an account, aws/trustedadvisor/ACCOUNT/CHECK, ends in a full read once its result was read to the
// end. An account that cannot be read is a gap, one without a support plan too.
func (s *Source) Poll(ctx context.Context, req pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error) {
	p := &poll{s: s, emit: emit, start: s.o.Now().UTC(), members: map[string]*member{}, read: map[string]map[string]bool{},
		// Without a watermark it is a plan, which changes nothing anywhere and has a person waiting, or the first read.
		refreshing: s.c.Refresh && req.Since != ""}
	p.res.Watermark = req.Since
	targets, gaps, err := s.fleet.Targets(ctx, awsx.Ask{Service: s.c.API, Regions: []string{s.c.Region}})
	p.res.Gaps = gaps
	if err != nil {
		return p.res, err
	}
	err = p.all(ctx, targets)
	slices.SortStableFunc(p.res.Gaps, func(a, b pipeline.Gap) int { return cmp.Compare(a.Account, b.Account) })
	p.res.Accounts = len(p.read)
	p.notes()
	if err != nil {
		return p.res, err
	}
	p.res.Watermark, err = p.leave(ctx, parseMark(req.Since), targets)
	return p.res, err
}

// all reads the accounts: first each is asked for a new look, then there is one wait for all of them, then each is read.
func (p *poll) all(ctx context.Context, targets []awsx.Target) error {
	gaps, err := awsx.Each(ctx, targets, accountsAtATime, p.begin)
	p.res.Gaps = append(p.res.Gaps, gaps...)
	if err != nil {
		return err
	}
	if err := p.await(ctx); err != nil {
		return err
	}
	gaps, err = awsx.Each(ctx, p.targets(func(*member) bool { return true }), accountsAtATime, p.account)
	p.res.Gaps = append(p.res.Gaps, gaps...)
	return err
}

// member is an account that lets itself be read.
type member struct {
	target  awsx.Target
	client  *support.Client // with the Support API
	checks  []check         // likewise
	waiting []string        // checks whose refresh is under way
}

// targets are the members for which a condition holds, by account.
func (p *poll) targets(is func(*member) bool) []awsx.Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []awsx.Target
	for _, id := range slices.Sorted(maps.Keys(p.members)) {
		if is(p.members[id]) {
			out = append(out, p.members[id].target)
		}
	}
	return out
}

func (p *poll) member(t awsx.Target) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members[t.Account.ID]
}

// begin makes an account a member, unless it has no support plan.
func (p *poll) begin(ctx context.Context, t awsx.Target) error {
	m := &member{target: t}
	if p.s.c.API == APISupport {
		if err := p.prepare(ctx, m); err != nil {
			return p.unlessOff(t, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members[t.Account.ID] = m
	return nil
}

// unlessOff makes a gap of an account without a support plan, and leaves other errors as they are.
func (p *poll) unlessOff(t awsx.Target, err error) error {
	if !awsx.NotEnabled(err) {
		return err
	}
	p.gap(t, "the account has no AWS support plan with this API (Business or higher): leave it out, or see https://aws.amazon.com/premiumsupport/plans/")
	return nil
}

// poll is one read of all accounts. Its methods are called by several goroutines.
type poll struct {
	s          *Source
	start      time.Time
	refreshing bool // checks are to look again first

	mu        sync.Mutex // the emitter is used by one goroutine at a time; it guards what follows, too
	emit      pipeline.Emitter
	res       pipeline.Result
	members   map[string]*member
	read      map[string]map[string]bool // account -> its checks, of accounts that were reached
	unrefresh []string                   // accounts that do not let their checks be refreshed
	late      int                        // checks whose refresh did not end in time
	refused   error                      // of the emitter: nothing more is handed over after it
}

// check is a check of an account.
type check struct {
	id, name, category, description string
	columns                         []string          // of the Support API
	headings                        map[string]string // of the newer API
}

// account reads one account. What does not come from AWS ends the whole poll.
func (p *poll) account(ctx context.Context, t awsx.Target) error {
	if p.s.c.API == APITrustedAdvisor {
		return p.unlessOff(t, p.recommendations(ctx, t))
	}
	return p.unlessOff(t, p.results(ctx, p.member(t)))
}

func (p *poll) gap(t awsx.Target, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.res.Gaps = append(p.res.Gaps, pipeline.Gap{Account: t.Account.ID, Reason: reason})
}

// reached notes the checks that an account has.
func (p *poll) reached(t awsx.Target, checks []check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := map[string]bool{}
	for _, c := range checks {
		ids[c.id] = true
	}
	p.read[t.Account.ID] = ids
}

// each reads one check after the other. A check that AWS does not give is told and holds the others up in nothing;
// an account that gives none is an error, and so is what does not come from AWS.
func (p *poll) each(ctx context.Context, t awsx.Target, checks []check, read func(context.Context, check) error) error {
	var failed []string
	var first error
	for _, c := range checks {
		err := read(ctx, c)
		switch {
		case err == nil:
			continue
		case !fromAWS(err), ctx.Err() != nil, awsx.Denied(err), awsx.NotEnabled(err):
			return err
		}
		failed = append(failed, c.id)
		if first == nil {
			first = err
		}
	}
	switch {
	case len(failed) == 0:
	case len(failed) == len(checks):
		return first
	default:
		p.gap(t, fmt.Sprintf("%d of %d checks could not be read (%s first): %v", len(failed), len(checks), failed[0], awsx.Class(first)))
	}
	return nil
}

func fromAWS(err error) bool {
	var op *smithy.OperationError
	return errors.As(err, &op)
}

// listing hands over what one check lists in one account, and ends its scope.
type listing struct {
	p       *poll
	account string
	check   check
	count   int
}

func (l *listing) scope() string { return scopeOf(l.account, l.check.id) }

func scopeOf(account, check string) string { return "aws/trustedadvisor/" + account + "/" + check }

func (l *listing) origin() string { return "trustedadvisor " + l.account + " " + l.check.id }

// rows hands records over, in pieces.
func (l *listing) rows(ctx context.Context, rows []format.Record) error {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	for part := range slices.Chunk(rows, recordsAtATime) {
		records := make([]pipeline.Record, 0, len(part))
		for i := range part {
			r := &part[i]
			r.CheckID, r.CheckName, r.Category, r.Description, r.Account = l.check.id, l.check.name, l.check.category, l.check.description, l.account
			data, err := r.Encode()
			if err != nil {
				return err
			}
			records = append(records, pipeline.Record{Format: formatName, Data: data, Origin: l.origin(), Index: l.count + len(records), Scope: l.scope()})
		}
		if l.p.refused != nil {
			return l.p.refused
		}
		l.count += len(records)
		taken, err := l.p.emit.Records(ctx, records)
		l.p.res.Records += taken.Accepted + len(taken.Rejected)
		l.p.res.Rejected += len(taken.Rejected)
		if l.p.refused = err; err != nil {
			return err
		}
	}
	return nil
}

// formatName is what connectors/format calls these records.
const formatName = "trustedadvisor"

// end says that the check's result was read to its end; at is when Trusted Advisor looked.
func (l *listing) end(ctx context.Context, at time.Time) error {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.p.refused == nil {
		l.p.refused = l.p.emit.Scan(ctx, pipeline.Scan{
			ID: l.scope() + " " + at.Format(time.RFC3339Nano), Scope: l.scope(), Filter: "api=" + l.p.s.c.API,
			Count: l.count, Time: at, Complete: true,
		})
	}
	return l.p.refused
}

// whole is the one row of a check that lists none: what the check itself says is then said of the account. A green check
// that looks at resources needs none, its empty list says it.
func whole(c check, status string) []format.Record {
	switch {
	case status == format.StatusError, status == format.StatusWarning,
		status == format.StatusOK && format.OnAccount(c.id):
		return []format.Record{{Status: status}}
	}
	return nil
}

// notes tells what people should know of the poll.
func (p *poll) notes() {
	if n := len(p.unrefresh); n > 0 {
		slices.Sort(p.unrefresh)
		p.res.Notes = append(p.res.Notes, fmt.Sprintf("%d accounts do not let docket refresh their checks (%s first): results are as old as AWS's own refresh; allow support:RefreshTrustedAdvisorCheck or set refresh: false", n, p.unrefresh[0]))
	}
	if p.late > 0 {
		p.res.Notes = append(p.res.Notes, fmt.Sprintf("%d refreshes did not end within %s (refresh_wait): the next poll reads their results", p.late, p.s.c.RefreshWait))
	}
}

// leave tells of the scopes that were read at the last poll and are read no more: those of accounts that left, and of checks that
// the settings or AWS took away. It returns the new watermark.
func (p *poll) leave(ctx context.Context, old mark, targets []awsx.Target) (pipeline.Watermark, error) {
	now := mark{Read: p.start}
	there := map[string]bool{}
	for _, t := range targets {
		there[t.Account.ID] = true
	}
	for _, g := range p.res.Gaps {
		there[g.Account] = true // not to be reached now, which is not the same as gone
	}
	before := old.accounts()
	for _, account := range slices.Sorted(maps.Keys(before)) {
		checks, read := p.read[account]
		switch {
		case !read && there[account]:
			now.add(account, before[account])
			continue
		case !read:
			checks = nil
		}
		for _, id := range slices.Sorted(maps.Keys(before[account])) {
			if checks[id] {
				continue
			}
			why := "the check is read no more"
			if !read {
				why = "the account is read no more"
			}
			if err := p.emit.Scan(ctx, pipeline.Scan{ID: scopeOf(account, id) + " left " + p.start.Format(time.RFC3339Nano),
				Scope: scopeOf(account, id), Time: p.start, Left: true, Why: why}); err != nil {
				return p.res.Watermark, err
			}
		}
	}
	for account, checks := range p.read {
		now.add(account, checks)
	}
	return now.text()
}
