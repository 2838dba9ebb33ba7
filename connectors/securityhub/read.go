package securityhub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/smithy-go"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// reader is one read of one place.
type reader struct {
	poll  *poll
	place *place
	point *point
	began time.Time

	scoped bool           // records belong to scopes: a full read in one go
	seen   map[string]int // records of each scope
	broken string         // why nothing is proven, once something is in the way
	index  int            // of the next record

	// The findings come in the order of their updates. What was updated since the read began may
	// stand anywhere: the service moves it, or shows it with its new time in its old place.
	at        time.Time // everything of the present question up to here was handed over
	before    int       // how many came before those of at
	newest    time.Time
	unordered bool
}

// everything reads all findings of the place, or goes on where a former read was cut off.
func (r *reader) everything(ctx context.Context) error {
	pt := r.point
	var since, began time.Time
	r.locked(func() {
		if pt.Full == nil {
			pt.Full = &full{From: r.began}
		}
		since, began, r.index = pt.Full.At, pt.Full.From, pt.Full.N
	})
	r.scoped = since.IsZero()
	err := r.ask(ctx, everything, since, func() { pt.Full.At, pt.Full.N = r.at, r.before })
	if err != nil {
		if r.scoped && ctx.Err() == nil {
			r.breakOff("the read was cut off: " + err.Error())
			err = errors.Join(err, r.markers(ctx)) // so that nobody waits for the rest of this read
		}
		return err
	}
	if r.scoped {
		if err := r.end(ctx); err != nil {
			return err
		}
	} else {
		r.note(fmt.Sprintf("the full read of %s went on where it was cut off: it proves nothing of what is gone, the next one will", began.Format(time.RFC3339)))
	}
	r.locked(func() { pt.At, pt.Full = r.reached(r.began), nil })
	return nil
}

// changes reads what was updated since the last poll, and a bit before.
func (r *reader) changes(ctx context.Context) error {
	pt := r.point
	since := pt.At.Add(-r.poll.s.cfg.Overlap)
	parts := r.place.filter.parts()
	for i, p := range parts {
		reached := func() {}
		if i == len(parts)-1 { // what the others ask for was handed over whole
			reached = func() {
				if r.at.After(pt.At) {
					pt.At = r.at
				}
			}
		}
		if err := r.ask(ctx, p, since, reached); err != nil {
			return err
		}
	}
	r.locked(func() {
		if at := r.reached(pt.At); at.After(pt.At) {
			pt.At = at
		}
	})
	return nil
}

// reached is the newest update that was seen, and none where nothing was. A provider's clock may be ahead: what is
// updated while that time is still to come must not be passed over.
func (r *reader) reached(none time.Time) time.Time {
	switch {
	case r.newest.IsZero():
		return none
	case r.newest.After(r.began):
		return r.began
	}
	return r.newest
}

// restarts is how often a question is asked anew without getting on.
const restarts = 3

// ask reads the answer to one question to its end. Behind each page that got it further it calls
// reached, with the poll locked. A page token that is refused, for it expired, makes it go on at the last update that was handed over;
// such a read proves nothing of what is gone.
func (r *reader) ask(ctx context.Context, p part, since time.Time, reached func()) error {
	r.at, r.before, r.unordered = since, r.index, false
	from, token, stuck := since, "", 0
	for {
		if err := r.place.pace.wait(ctx); err != nil {
			return err
		}
		got, err := r.place.filter.fetch(ctx, r.place.client, p, span{from, r.began}, token)
		switch {
		case err == nil && got.findings == nil:
			return r.odd("the answer holds no list of findings")
		case err == nil:
		case token != "" && tokenGone(err):
			r.breakOff("a page token expired, the read went on at the last update")
			if stuck++; r.at.After(from) {
				stuck = 0
			}
			if stuck > restarts {
				return fmt.Errorf("page tokens expire faster than pages are read: %w", awsx.Class(err))
			}
			from, token, r.index = r.at, "", r.before
			continue
		default:
			return err
		}
		if err := r.take(ctx, got, reached); err != nil {
			return err
		}
		switch {
		case got.next == "":
			return nil
		case got.next == token:
			return r.odd("the service gives the same page token again and again")
		}
		token = got.next
	}
}

// odd is an answer that is AWS's own and still of no use: a failure of this place alone.
func (r *reader) odd(what string) error {
	op := "GetFindings"
	if r.place.filter.api == V2 {
		op = "GetFindingsV2"
	}
	return &smithy.OperationError{ServiceID: securityhub.ServiceID, OperationName: op, Err: errors.New(what)}
}

// take hands the findings of a page over.
func (r *reader) take(ctx context.Context, got page, reached func()) error {
	name := format.ASFF
	if r.place.filter.api == V2 {
		name = format.OCSF
	}
	var records []pipeline.Record
	var rejects []pipeline.Reject
	was, count := r.at, 0
	origin := "Security Hub " + r.place.key
	_, err := format.Split(bytes.NewReader(got.findings), format.Options{Format: name, Origin: origin, Unchecked: true,
		Reject: func(x pipeline.Reject) error { x.Index = r.index; r.index++; rejects = append(rejects, x); return nil }},
		func(rec pipeline.Record) error {
			f := factsOf(name, rec.Data)
			count++
			r.follow(f.updated)
			rec.Index, rec.Scope, rec.Observed = r.index, "", time.Time{}
			r.index++
			scope := f.scope()
			if scope != "" && !r.place.filter.takes(f) {
				return nil
			}
			if scope == "" {
				r.breakOff("a finding does not say where it belongs")
			} else if r.scoped {
				rec.Scope = scope
				r.seen[scope]++
			}
			records = append(records, rec)
			return nil
		})
	if err != nil {
		rejects = append(rejects, pipeline.Reject{Origin: origin, Index: r.index, Reason: err.Error(),
			Data: bytes.Clone(got.findings[:min(len(got.findings), pipeline.RejectBytes)])})
	}
	return r.hand(ctx, records, rejects, func() {
		if r.at.After(was) {
			reached()
		}
	})
}

// hand gives records and rejects to the emitter, then keeps how far that got the read.
func (r *reader) hand(ctx context.Context, records []pipeline.Record, rejects []pipeline.Reject, reached func()) error {
	p := r.poll
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range rejects {
		r.breakOff("a record was rejected: " + x.Reason)
		if err := p.emit.Reject(ctx, x); err != nil {
			return err
		}
	}
	p.result.Rejected += len(rejects)
	if len(records) > 0 {
		taken, err := p.emit.Records(ctx, records)
		p.result.Records += taken.Accepted + len(taken.Rejected)
		p.result.Rejected += len(taken.Rejected)
		if err != nil {
			return err
		}
	}
	reached()
	return p.progress(ctx)
}

// follow takes the update of the next finding in: at stays where it was when the order is not what was asked for.
func (r *reader) follow(updated time.Time) {
	if updated.IsZero() {
		return
	}
	if updated.After(r.newest) {
		r.newest = updated
	}
	switch {
	case !updated.Before(r.began):
	case updated.Before(r.at):
		if !r.unordered {
			r.unordered = true
			r.poll.s.o.Log.Warn("findings do not come in the order of their updates: a read that is cut off begins anew", "place", r.place.key)
		}
	case !r.unordered && updated.After(r.at):
		r.at, r.before = updated, r.index
	}
}

func (r *reader) breakOff(why string) {
	if r.broken == "" {
		r.broken = why
	}
}

func (r *reader) locked(do func()) {
	r.poll.mu.Lock()
	defer r.poll.mu.Unlock()
	do()
}

func (r *reader) note(text string) {
	r.locked(func() { r.poll.result.Notes = append(r.poll.result.Notes, r.place.key+": "+text) })
}

// markers ends every scope that records were handed over of.
func (r *reader) markers(ctx context.Context) error {
	for _, scope := range sorted(r.seen) {
		if err := r.marker(ctx, scope); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) marker(ctx context.Context, scope string) error {
	r.poll.mu.Lock()
	defer r.poll.mu.Unlock()
	err := r.poll.emit.Scan(ctx, pipeline.Scan{ID: r.poll.id(scope, r.began), Scope: scope, Filter: r.place.filter.within(),
		Count: r.seen[scope], Time: r.began, Complete: r.broken == "", Why: r.broken})
	if err != nil {
		return fmt.Errorf("ending %s: %w", scope, err)
	}
	return nil
}

// end closes a full read: a marker for each scope with findings, an empty one for each that had some when it was
// last read. An account and region of which nothing at all is left, of any product, was
// switched off or left the hub: the service keeps passed and archived findings for weeks (user guide,
// "Finding retention": archived for 30 days, others for 90 days behind their last update), so that a hub which works is
// never empty overnight.
func (r *reader) end(ctx context.Context) error {
	if err := r.markers(ctx); err != nil {
		return err
	}
	alive := map[[2]string]bool{}
	for scope := range r.seen {
		account, region, _ := placeOf(scope)
		alive[[2]string{account, region}] = true
	}
	known := r.point.Scopes.list()
	kept := sorted(r.seen)
	for _, scope := range known {
		account, region, product := placeOf(scope)
		if _, found := r.seen[scope]; found {
			continue
		}
		var err error
		switch {
		case !r.place.filter.watches(account, region, product):
			err = r.poll.leave(ctx, []string{scope}, "it is outside of what the source reads")
		case r.broken != "":
			kept = append(kept, scope)
		case !alive[[2]string{account, region}]:
			err = r.poll.leave(ctx, []string{scope}, "Security Hub shows nothing of this account and region any more")
		default:
			kept = append(kept, scope)
			err = r.marker(ctx, scope)
		}
		if err != nil {
			return err
		}
	}
	slices.Sort(kept)
	list, err := pack(kept)
	if err != nil {
		return err
	}
	r.locked(func() { r.point.Scopes = list })
	return nil
}
