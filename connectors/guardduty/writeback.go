package guardduty

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"

	"github.com/docket-hub/docket/connectors"
	format "github.com/docket-hub/docket/connectors/format/guardduty"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// writeBack archives findings while an exception holds them and once they are closed on evidence, and takes them back
// when an exception is over. GuardDuty keeps no notes and no other status. It may be used by several goroutines.
type writeBack struct {
	src *Source // knows which detector tells of an account
	now func() time.Time

	mu    sync.Mutex
	plans map[string]regionPlan
}

// regionPlan is who tells of which account in one region.
type regionPlan struct {
	plan
	at      time.Time
	targets map[string]awsx.Target // by account/region
	gaps    []pipeline.Gap
}

var _ pipeline.WriteBack = (*writeBack)(nil)

// makeWriteBack makes the write-back of a source.
func makeWriteBack(env connectors.Env, block connectors.Block) (pipeline.WriteBack, error) {
	s, err := makeSource(env, block)
	if err != nil {
		return nil, err
	}
	return newWriteBack(s.Source.(*Source)), nil
}

func newWriteBack(src *Source) *writeBack {
	return &writeBack{src: src, now: src.o.Now, plans: map[string]regionPlan{}}
}

// RepeatsSafely implements pipeline.Repeater.
func (w *writeBack) RepeatsSafely() {}

// Echo implements pipeline.WriteBack: GuardDuty does not say who archived a finding.
func (w *writeBack) Echo(r *pipeline.Report) bool {
	return r.Product == format.Product && r.Status == pipeline.StatusResolved
}

// Mark implements pipeline.WriteBack. The finding is known by its ARN, whichever way the report came.
func (w *writeBack) Mark(r *pipeline.Report) (pipeline.Mark, bool) {
	if r.Product != format.Product {
		return pipeline.Mark{}, false
	}
	if where, id, ok := strings.Cut(r.ID, "/finding/"); ok {
		if part := strings.Split(where, ":"); len(part) == 6 && part[2] == "guardduty" {
			return pipeline.Mark{ID: id, Account: part[4], Region: part[3]}, true
		}
	}
	if region, id, ok := strings.Cut(r.ID, "/guardduty "); ok {
		return pipeline.Mark{ID: id, Account: r.Account.ID, Region: region}, true
	}
	return pipeline.Mark{}, false
}

// archives says what a status means to GuardDuty: archived or not, or nothing.
func archives(st pipeline.MarkStatus) (archived, matters bool) {
	switch st {
	case pipeline.MarkSuppressed, pipeline.MarkResolved:
		return true, true
	case pipeline.MarkNew:
		return false, true
	}
	return false, false
}

// job is the findings of one place that are to be archived, or to be taken back.
type job struct {
	key, region string
	archive     bool
}

// Apply implements pipeline.Sink: it carries out t.Marks. One place that refuses does not keep the others.
func (w *writeBack) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	ids := map[job][]string{}
	var jobs []job
	var errs []error
	for i := range t.Marks {
		m := &t.Marks[i]
		archive, matters := archives(m.Status)
		if !matters {
			continue
		}
		key, err := w.placeOf(ctx, m)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		j := job{key, m.Region, archive}
		if ids[j] == nil {
			jobs = append(jobs, j)
		}
		ids[j] = append(ids[j], m.ID)
	}
	for _, j := range jobs {
		for part := range slices.Chunk(ids[j], pageSize) {
			if err := w.turn(ctx, j, part); err != nil {
				errs = append(errs, fmt.Errorf("GuardDuty of %s: %w", j.key, awsx.Class(err)))
				break
			}
		}
	}
	return pipeline.Applied{}, worst(errs)
}

// backClient is what a write-back calls of GuardDuty.
type backClient interface {
	GetFindings(context.Context, *guardduty.GetFindingsInput, ...func(*guardduty.Options)) (*guardduty.GetFindingsOutput, error)
	ArchiveFindings(context.Context, *guardduty.ArchiveFindingsInput, ...func(*guardduty.Options)) (*guardduty.ArchiveFindingsOutput, error)
	UnarchiveFindings(context.Context, *guardduty.UnarchiveFindingsInput, ...func(*guardduty.Options)) (*guardduty.UnarchiveFindingsOutput, error)
}

// turn archives those of the findings that are there and not archived yet, or the other way round.
func (w *writeBack) turn(ctx context.Context, j job, ids []string) error {
	w.mu.Lock()
	p := w.plans[j.region]
	w.mu.Unlock()
	var client backClient = guardduty.NewFromConfig(p.targets[j.key].Config)
	detector := aws.String(p.detectors[j.key])
	have, err := client.GetFindings(ctx, &guardduty.GetFindingsInput{DetectorId: detector, FindingIds: ids})
	if err != nil {
		return err
	}
	var turn []string
	for i := range have.Findings {
		f := &have.Findings[i]
		if archived := f.Service != nil && aws.ToBool(f.Service.Archived); archived != j.archive && f.Id != nil {
			turn = append(turn, *f.Id)
		}
	}
	switch {
	case len(turn) == 0:
		return nil
	case j.archive:
		_, err = client.ArchiveFindings(ctx, &guardduty.ArchiveFindingsInput{DetectorId: detector, FindingIds: turn})
	default:
		_, err = client.UnarchiveFindings(ctx, &guardduty.UnarchiveFindingsInput{DetectorId: detector, FindingIds: turn})
	}
	return err
}

// placeOf is the place that may archive a finding: the account that administers it, or its own.
func (w *writeBack) placeOf(ctx context.Context, m *pipeline.Mark) (string, error) {
	p, err := w.region(ctx, m.Region)
	if err != nil {
		return "", awsx.Class(err)
	}
	if key := p.reader(m.Account, m.Region); key != "" {
		return key, nil
	}
	for _, g := range p.gaps {
		if g.Account == m.Account {
			return "", errors.Join(fmt.Errorf("account %s in %s: %s", m.Account, m.Region, g.Reason), pipeline.ErrForbidden)
		}
	}
	return "", pipeline.Permanent(fmt.Errorf("no account of the aws block tells of GuardDuty's findings of account %s in %s", m.Account, m.Region))
}

// region is who tells of which account in a region, asked for where that is nothing or old.
func (w *writeBack) region(ctx context.Context, region string) (regionPlan, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if p, ok := w.plans[region]; ok && now.Sub(p.at) < sightLife {
		return p, nil
	}
	targets, gaps, err := w.src.o.Fleet.Targets(ctx, awsx.Ask{Service: "guardduty", Regions: []string{region}})
	if err != nil {
		return regionPlan{}, err
	}
	places, more, err := w.src.look(ctx, targets, now)
	if err != nil {
		return regionPlan{}, err
	}
	p := regionPlan{at: now, targets: map[string]awsx.Target{}, gaps: append(gaps, more...)}
	p.plan = newPlan(places, func(string) bool { return false })
	for _, t := range targets {
		p.targets[keyOf(t.Account.ID, t.Region)] = t
	}
	w.plans[region] = p
	return p, nil
}

// worst is the error that says what to do with all of the marks: those that another try helps come first,
// because what is done by then is found done.
func worst(errs []error) error {
	final := func(err error) bool { return pipeline.IsPermanent(err) || errors.Is(err, pipeline.ErrForbidden) }
	for _, err := range errs {
		if !final(err) {
			return err
		}
	}
	return errors.Join(errs...)
}
