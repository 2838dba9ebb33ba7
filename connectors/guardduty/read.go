package guardduty

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"

	"github.com/docket-hub/docket/connectors/format"
	duty "github.com/docket-hub/docket/connectors/format/guardduty"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// reading is the read of one place under way.
type reading struct {
	p        *poll
	key      string
	region   string
	detector string
	client   client
	origin   string

	full   bool           // everything is read, or the rest of everything
	partly string         // why what is read proves no absence; empty: it does
	since  int64          // everything that was updated before was handed over by earlier polls
	began  time.Time      // by docket's clock, or AWS's where that is behind; zero until AWS answered
	look   time.Time      // what is read says how things were then: began less overlap
	counts map[string]int // records handed over, by account
	bad    int            // findings that could not be read
}

// place reads one place. It returns an error of AWS, which becomes a gap, or of the emitter, which ends the poll.
func (p *poll) place(ctx context.Context, t awsx.Target) error {
	key := keyOf(t.Account.ID, t.Region)
	p.mu.Lock()
	pt := *p.mark.at(key)
	p.mu.Unlock()
	r := &reading{p: p, key: key, region: t.Region, detector: p.plan.detectors[key], client: p.s.dial(t.Config),
		origin: "guardduty " + key, counts: map[string]int{}}
	begin := int64(0)
	switch {
	case pt.From > 0:
		r.full, r.partly, begin = true, "the read was cut off and went on", pt.From
	case pt.At == 0 || p.full && pt.Full < p.mark.Round:
		r.full = true
	default:
		r.partly, begin = "only what was updated was read", max(0, pt.At-overlap.Milliseconds())
	}
	if pt.At > 0 {
		r.since = pt.At - overlap.Milliseconds()
	}
	err := r.pages(ctx, begin)
	p.mu.Lock()
	defer p.mu.Unlock()
	point := p.mark.at(key)
	point.knows(r.counts)
	if err != nil {
		var bad *types.BadRequestException
		if errors.As(err, &bad) {
			p.s.forget(key) // the detector may be another one by now
		}
		return cmp.Or(r.abandon(ctx), err)
	}
	if err := r.end(ctx, point); err != nil {
		return err
	}
	if r.full {
		point.Full = millis(p.started)
	}
	point.At, point.From = millis(r.began), 0
	p.reached[key] = true
	if !r.full {
		return nil
	}
	return p.progress(ctx)
}

// end tells how the scopes of the place were read. The caller holds the lock.
func (r *reading) end(ctx context.Context, pt *point) error {
	if r.partly != "" {
		return r.unproven(ctx, r.partly)
	}
	own, region := r.own(), r.region
	accounts := map[string]int{own: 0}
	for _, a := range pt.Accounts {
		accounts[a] = 0
	}
	maps.Copy(accounts, r.counts)
	for _, a := range slices.Sorted(maps.Keys(accounts)) {
		if !r.p.plan.takes(r.key, a, region) {
			continue
		}
		s := pipeline.Scan{ID: r.p.scanID(a, region), Scope: scope(a, region), Filter: r.p.s.filter(), Count: accounts[a], Time: r.look, Complete: true}
		if err := r.p.emit.Scan(ctx, s); err != nil {
			return err
		}
	}
	pt.knows(map[string]int{own: 0})
	return nil
}

// unproven ends the scopes that records were handed over of, without a claim about the others. Only the
// marker of what should have been a full read has a time, so that people are told. The caller holds the lock.
func (r *reading) unproven(ctx context.Context, why string) error {
	for _, a := range slices.Sorted(maps.Keys(r.counts)) {
		s := pipeline.Scan{ID: r.p.scanID(a, r.region), Scope: scope(a, r.region), Filter: r.p.s.filter(), Count: r.counts[a], Why: why}
		if r.full {
			s.Time = r.look
		}
		if err := r.p.emit.Scan(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// abandon ends what was begun of a place that failed; where ctx ended nothing can be handed over any more.
func (r *reading) abandon(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return r.unproven(ctx, "the read did not reach its end")
}

func (r *reading) own() string { return r.key[:len(r.key)-len(r.region)-1] }

// found is a finding with its head.
type found struct {
	duty.Head
	data []byte
}

// pages reads what was updated at begin or later, the longest ago first. It asks anew from the last time
// it saw rather than follow page tokens: a finding that is updated meanwhile moves to the end, and pages that are counted
// would then pass one over. Only among the newest, which may still change, and among those of one time, does it follow tokens.
func (r *reading) pages(ctx context.Context, begin int64) error {
	at, handed := begin, map[string]bool{}
	var token *string
	for restarts := 0; ; {
		out, err := r.p.s.list(ctx, r.client, r.detector, at, token)
		if token != nil && awsx.TokenExpired(err) && restarts < maxRestarts {
			token, restarts = nil, restarts+1
			continue
		}
		if err != nil {
			return err
		}
		r.clock(out)
		ids := slices.DeleteFunc(slices.Clone(out.FindingIds), func(id string) bool { return handed[id] })
		batch, err := r.findings(ctx, ids)
		if err != nil {
			return err
		}
		next := at
		for _, f := range batch {
			if u := millis(f.Updated); u <= millis(r.look) {
				next = max(next, u)
			}
		}
		if err := r.hand(ctx, batch, next); err != nil {
			return err
		}
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		if next > at {
			at, token, handed = next, nil, map[string]bool{}
		} else {
			token = out.NextToken
		}
		for _, f := range batch {
			if token != nil || millis(f.Updated) == at {
				handed[f.ID] = true
			}
		}
	}
}

// clock takes the time of the first answer. Times of update are of AWS's clock: with one of docket's that is ahead, what
// is updated in the time between would be asked for by no poll.
func (r *reading) clock(out *guardduty.ListFindingsOutput) {
	if !r.began.IsZero() {
		return
	}
	r.began = r.p.started
	// A difference that the overlap covers is left: AWS tells whole seconds.
	if at, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok && r.began.Sub(at) > time.Minute {
		r.began = at.UTC()
	}
	r.look = r.began.Add(-overlap)
}

// maxRestarts is how often the newest findings are listed from their beginning because a page token was refused.
const maxRestarts = 3

// findings gets findings and their heads, the one that was updated the longest ago first. One that cannot be read is a reject.
func (r *reading) findings(ctx context.Context, ids []string) ([]found, error) {
	var out []found
	for chunk := range slices.Chunk(ids, pageSize) {
		list, err := get(ctx, r.client, r.detector, chunk)
		if err != nil {
			return nil, err
		}
		if len(list) < len(chunk) {
			r.doubt("GuardDuty listed findings that it did not give")
		}
		for _, data := range list {
			head, err := duty.ReadHead(data)
			if err != nil {
				if err := r.reject(ctx, data, err); err != nil {
					return nil, err
				}
				continue
			}
			out = append(out, found{head, data})
		}
	}
	slices.SortStableFunc(out, func(a, b found) int { return a.Updated.Compare(b.Updated) })
	return out, nil
}

// reject keeps a finding that cannot be read. Nobody knows whose it is, so no scope of the place is whole.
func (r *reading) reject(ctx context.Context, data json.RawMessage, why error) error {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	r.doubt("a finding could not be read")
	r.p.result.Rejected++
	r.bad++
	return r.p.emit.Reject(ctx, pipeline.Reject{Origin: r.origin, Index: r.bad - 1, Reason: format.GuardDuty + ": " + format.Reason(why), Data: data})
}

// doubt has the read prove no absence.
func (r *reading) doubt(why string) {
	if r.partly == "" {
		r.partly = why
	}
}

// hand hands a page of findings over. A full read has then come to the time reached.
func (r *reading) hand(ctx context.Context, batch []found, reached int64) error {
	p := r.p
	records := make([]pipeline.Record, 0, len(batch))
	accounts := make([]string, 0, len(batch))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range batch {
		switch {
		case !p.plan.takes(r.key, f.Account, r.region):
			continue
		case f.Sample && !p.s.c.Samples:
			p.samples++
			continue
		}
		records = append(records, r.record(f))
		accounts = append(accounts, f.Account)
	}
	if len(records) > 0 {
		taken, err := p.emit.Records(ctx, records)
		p.result.Records += taken.Accepted
		p.result.Rejected += len(taken.Rejected)
		if err != nil {
			return err
		}
	}
	for _, a := range accounts {
		r.counts[a]++
	}
	if !r.full {
		return nil
	}
	pt := p.mark.at(r.key)
	pt.knows(r.counts)
	pt.From = reached
	if p.behind += len(records); p.behind >= progressEvery {
		return p.progress(ctx)
	}
	return nil
}

// record is a finding as it is handed over. Archiving moves no time of a finding's own, so a full read says of one
// that was handed over before how it is now, at the time of the read. That is not for what may have happened again since the read
// before: its own time of update tells that.
func (r *reading) record(f found) pipeline.Record {
	rec := pipeline.Record{Format: format.GuardDuty, Data: f.data, Origin: r.origin + " " + f.ID, Scope: scope(f.Account, r.region)}
	known := r.since > 0 && millis(f.Updated) <= r.since
	if r.full && f.Updated.Before(r.look) && (known || f.Archived) {
		rec.Format, rec.Observed = format.GuardDutyState, r.look
	}
	return rec
}

// progress keeps how far the poll came. The caller holds the lock.
func (p *poll) progress(ctx context.Context) error {
	p.behind = 0
	w, err := p.mark.watermark()
	if err != nil {
		return err
	}
	return p.emit.Progress(ctx, w)
}
