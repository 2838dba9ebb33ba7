package ingest

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/docket-hub/docket/pipeline"
)

// futureSkew is how far ahead of our clock a record's own time may be. A time
// beyond it would make every later report of the finding count as older.
const futureSkew = 24 * time.Hour

// Publisher stores an encoded envelope: it returns once it is on disk, or with pipeline.ErrFull.
type Publisher interface {
	PublishFindings(ctx context.Context, payload []byte) error
}

// Options is what the intake of one source works with. Its functions are called at the same time.
type Options struct {
	Source string
	// Normalise decodes and identifies a record and works its risk factors out.
	Normalise func(rec *pipeline.Record) (pipeline.Report, error)
	// Account is what a directory knows of an account; nil for none.
	Account func(id string) (pipeline.Account, bool)
	// Seen is told where each record that is taken in belongs, for a count by account and region; nil for none.
	Seen func(account, region string)
	// Memo spares Normalise of what it knows; nil for none.
	Memo *Memo
	// Handover takes what was decoded; nil for none.
	Handover *Handover
	// Buffers is memory for envelopes, which Publish keeps nothing of then once it returned without an error; nil for none.
	Buffers *Buffers
	// Mask hides credentials in the text of a reject.
	Mask        func([]byte) []byte
	Publish     Publisher
	MinSeverity pipeline.Severity // milder ones are taken in as far as they are known already
	Approved    bool              // by `docket apply`
	Now         func() time.Time
}

// Intake takes in what one read of a source hands over. It is used by one goroutine.
type Intake struct {
	o      Options
	read   string
	broken map[string]string // scope -> why its read can prove nothing
	counts Counts
	known  map[string]string // account id -> AccountText, of this read
}

// Counts is what an Intake took so far.
type Counts struct{ Accepted, Rejected, Skipped int }

// New starts the intake of one read; read is unique to it.
func New(read string, o Options) *Intake {
	return &Intake{o: o, read: read}
}

// Counts is what was taken so far.
func (in *Intake) Counts() Counts { return in.counts }

// Records implements pipeline.Emitter.
func (in *Intake) Records(ctx context.Context, records []pipeline.Record) (pipeline.Taken, error) {
	var taken pipeline.Taken
	e := in.envelope()
	e.Items = make([]pipeline.Item, 0, len(records))
	size := 0
	for i := range records {
		rec := &records[i]
		it, reject := in.item(rec)
		switch {
		case reject != nil:
			e.Rejects = append(e.Rejects, *reject)
			taken.Rejected = append(taken.Rejected, *reject)
			in.breakScope(rec.Scope, reject.Reason)
			size += len(reject.Data)
		case it.Severity < in.o.MinSeverity:
			in.counts.Skipped++
			if it.Mild = true; it.Status != pipeline.StatusResolved {
				it.Data = nil
			}
			e.Items = append(e.Items, it)
			size += it.EncodedSize()
		default:
			e.Items = append(e.Items, it)
			taken.Accepted++
			size += it.EncodedSize()
		}
		if size >= pipeline.PackBytes {
			if err := in.publish(ctx, &e); err != nil {
				return taken, err
			}
			e, size = in.envelope(), 0
		}
	}
	if len(e.Items)+len(e.Rejects) > 0 {
		if err := in.publish(ctx, &e); err != nil {
			return taken, err
		}
	}
	in.counts.Accepted += taken.Accepted
	in.counts.Rejected += len(taken.Rejected)
	return taken, nil
}

// Reject implements pipeline.Emitter: it keeps a record that the source itself could not read.
func (in *Intake) Reject(ctx context.Context, r pipeline.Reject) error {
	r = in.reject(r)
	in.counts.Rejected++
	e := in.envelope()
	e.Rejects = []pipeline.Reject{r}
	return in.publish(ctx, &e)
}

// Scan implements pipeline.Emitter: the end marker travels behind the records that it counts.
func (in *Intake) Scan(ctx context.Context, s pipeline.Scan) error {
	if why := in.broken[s.Scope]; why != "" && s.Complete {
		s.Complete, s.Why = false, "a record was rejected: "+why
	}
	if s.Left {
		s.Complete = false
	}
	if in.o.MinSeverity > pipeline.SeverityUnknown {
		s.Filter = "min_severity=" + in.o.MinSeverity.String() + " " + s.Filter
	}
	e := in.envelope()
	e.Scans = []pipeline.Scan{s}
	return in.publish(ctx, &e)
}

// Progress implements pipeline.Emitter for reads that keep no watermark (plan, a request).
func (in *Intake) Progress(context.Context, pipeline.Watermark) error { return nil }

// accountText is what the directory knows of an account, the same for all of one read.
func (in *Intake) accountText(id string) string {
	if in.o.Account == nil || id == "" {
		return ""
	}
	text, ok := in.known[id]
	if !ok {
		if a, found := in.o.Account(id); found {
			text = pipeline.AccountText(a)
		}
		if in.known == nil {
			in.known = map[string]string{}
		}
		in.known[id] = text
	}
	return text
}

func (in *Intake) envelope() pipeline.Envelope {
	return pipeline.Envelope{Source: in.o.Source, Scan: in.read, Approved: in.o.Approved}
}

func (in *Intake) publish(ctx context.Context, e *pipeline.Envelope) error {
	for _, part := range e.Split(pipeline.PackBytes) {
		payload := pipeline.Append(in.o.Buffers.get(room(&part)), &part)
		if err := in.o.Publish.PublishFindings(ctx, payload); err != nil {
			return fmt.Errorf("storing records of source %s: %w", in.o.Source, err) // it may still be read
		}
		in.o.Buffers.put(payload)
	}
	return nil
}

// room is about what e takes when encoded. A message is up to 700 KB, and growing to
// that step by step would copy it several times.
func room(e *pipeline.Envelope) int {
	n := 256 + len(e.Source) + len(e.Scan) + len(e.Origin)
	for i := range e.Items {
		n += e.Items[i].EncodedSize()
	}
	for i := range e.Rejects {
		n += 256 + len(e.Rejects[i].Data)
	}
	return n
}

func (in *Intake) breakScope(scope, why string) {
	if scope != "" && in.broken[scope] == "" {
		if in.broken == nil {
			in.broken = map[string]string{}
		}
		in.broken[scope] = why
	}
}

func (in *Intake) reject(r pipeline.Reject) pipeline.Reject {
	r.Source, r.Time = in.o.Source, in.o.Now()
	if len(r.Data) > pipeline.RejectBytes {
		r.Data = r.Data[:pipeline.RejectBytes]
	}
	r.Data = in.o.Mask(r.Data)
	r.Reason = string(in.o.Mask([]byte(r.Reason)))
	r.ID = string(in.o.Mask([]byte(r.ID)))
	return r
}

// item normalises a record, or says why it is rejected.
func (in *Intake) item(rec *pipeline.Record) (pipeline.Item, *pipeline.Reject) {
	refuse := func(id, why string) (pipeline.Item, *pipeline.Reject) {
		r := in.reject(pipeline.Reject{Origin: rec.Origin, Index: rec.Index, ID: id, Reason: why, Data: rec.Data})
		return pipeline.Item{}, &r
	}
	if len(rec.Data) > pipeline.MaxRecordBytes {
		return refuse("", fmt.Sprintf("the record has %d bytes, %d is the limit", len(rec.Data), pipeline.MaxRecordBytes))
	}
	var key sum
	keyed := false
	if in.o.Memo != nil {
		var own time.Time
		if key, own, keyed = in.o.Memo.keyOf(in.o.Source, rec); keyed {
			if x, ok := in.o.Memo.find(key); ok && in.accountText(x.account.Value()) == x.known.Value() {
				in.tell(x.severity, x.account.Value(), x.region.Value())
				return x.item(rec, observedAt(own, rec, in.o.Now())), nil
			}
		}
	}
	rep, err := in.o.Normalise(rec)
	if err != nil {
		return refuse(rep.ID, err.Error())
	}
	Stamp(&rep, rec, in.o.Now())
	known := in.accountText(rep.Account.ID)
	if err := pipeline.ApplyAccount(known, &rep.Account); err != nil {
		return refuse(rep.ID, err.Error())
	}
	it := pipeline.Item{
		Print: rep.Print, Key: pipeline.ReportKey(rep.Product, rep.ID), IDHash: IDHash(rep.ID),
		Hash: ContentHash(&rep), Observed: rep.ObservedAt.UnixMilli(), Status: rep.Status, Severity: rep.Severity,
		Occurred: rep.Occurred, Format: rec.Format, Scope: rec.Scope, Account: known, Data: rec.Data,
	}
	if keyed {
		in.o.Memo.put(key, rep.Account.ID, rep.Region, &it)
	}
	in.tell(it.Severity, rep.Account.ID, rep.Region)
	if in.o.Handover != nil {
		in.o.Handover.put(in.o.Source, &it, &rep)
	}
	return it, nil
}

// tell counts a record that is taken in.
func (in *Intake) tell(severity pipeline.Severity, account, region string) {
	if in.o.Seen != nil && severity >= in.o.MinSeverity {
		in.o.Seen(account, region)
	}
}

// Stamp gives a report its time and scope.
func Stamp(rep *pipeline.Report, rec *pipeline.Record, now time.Time) {
	rep.ObservedAt = observedAt(rep.ObservedAt, rec, now)
	if rec.Scope != "" {
		rep.Scope = rec.Scope
	}
}

// observedAt is a record's own time, else its document's, else now.
func observedAt(own time.Time, rec *pipeline.Record, now time.Time) time.Time {
	if own.IsZero() {
		own = rec.Observed
	}
	if own.IsZero() || own.After(now.Add(futureSkew)) {
		own = now
	}
	return own.UTC().Truncate(time.Millisecond)
}

// IDHash is what Item.IDHash holds: a finding is found by its source's own id with it. A
// report's id may have the product's place in front, behind which a space stands (ASFF): people know
// the rest.
func IDHash(id string) uint64 { return xxhash.Sum64String(id[strings.LastIndexByte(id, ' ')+1:]) }

// ContentHash covers the fields whose change matters: standing, severity, risk
// factors, remediation, exposure and whose it is. A vendor's time stamp or counter, a line
// number, a digest, a likelihood (EPSS) or a reworded text is no change. It is never 0.
func ContentHash(r *pipeline.Report) uint64 {
	h := xxhash.New()
	var n [8]byte
	word := func(s string) {
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.WriteString(s)
	}
	h.Write([]byte{byte(r.Status), byte(r.Severity)})
	for _, f := range r.RiskFactors {
		word(f)
	}
	word("")
	word(r.Remediation.Text)
	word(r.Remediation.URL)
	word(r.Account.Name)
	for _, ou := range r.Account.OU {
		word(ou)
	}
	tags := func(m map[string]string) {
		var sum uint64 // order does not matter
		for k, v := range m {
			sum += xxhash.Sum64String(k + "\x00" + v)
		}
		binary.LittleEndian.PutUint64(n[:], sum)
		h.Write(n[:])
	}
	tags(r.Resource.Tags)
	tags(r.Account.Tags)
	if v := r.Vuln; v != nil {
		word(v.FixedVersion)
		if v.KEV {
			word("kev")
		}
		if v.Exploit {
			word("exploit")
		}
	}
	return max(1, h.Sum64())
}
