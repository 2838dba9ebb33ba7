package connectortest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// SourceHarness is a source over an outside system that holds records, one of
// which at least cannot be read, and one scope at least that it is a whole read of.
type SourceHarness struct {
	// Poll is the source's own; for a source that is pushed to, one whole push.
	Poll func(ctx context.Context, req pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error)
	// Records are the origins and positions of all records that can be read, as "origin#index", in any order.
	Records []string
	// Rejected are those of the records that cannot be read.
	Rejected []string
	Scopes   []string // of the scans that end in a full read
}

// Source runs the contract of sources; each test gets one of its own from newSource.
func Source(t *testing.T, newSource func(t *testing.T) SourceHarness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, SourceHarness)
	}{
		{"everything is handed over", everything},
		{"rejects are named", rejectsNamed},
		{"scans come last", scansLast},
		{"the watermark moves only behind what was taken", watermark},
		{"a watermark of somebody else reads everything", strange},
		{"a cancelled context ends it", cancelledSource},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newSource(t)) })
	}
}

// emitter keeps what it is given, and fails from a number of calls on.
type emitter struct {
	calls, failAt int // failAt 0: never
	records       map[string]int
	rejects       []pipeline.Reject
	scans         []pipeline.Scan
	late          []string // scopes of records that came behind the end of their scan
	claimed       []string // scopes that were called whole behind a refusal
	err           error    // what it fails with
}

var errRefused = errors.New("the emitter refuses")

func (e *emitter) next(ctx context.Context) error {
	e.calls++
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.failAt > 0 && e.calls >= e.failAt {
		return e.err
	}
	return nil
}

func (e *emitter) Records(ctx context.Context, list []pipeline.Record) (pipeline.Taken, error) {
	if err := e.next(ctx); err != nil {
		return pipeline.Taken{}, err
	}
	if e.records == nil {
		e.records = map[string]int{}
	}
	for _, r := range list {
		e.records[fmt.Sprintf("%s#%d", r.Origin, r.Index)]++
		for _, s := range e.scans {
			if s.Scope == r.Scope {
				e.late = append(e.late, r.Scope)
			}
		}
	}
	return pipeline.Taken{Accepted: len(list)}, nil
}

func (e *emitter) Reject(ctx context.Context, r pipeline.Reject) error {
	if err := e.next(ctx); err != nil {
		return err
	}
	e.rejects = append(e.rejects, r)
	return nil
}

func (e *emitter) Scan(ctx context.Context, s pipeline.Scan) error {
	if e.failAt > 0 && e.calls >= e.failAt && s.Complete {
		e.claimed = append(e.claimed, s.Scope)
	}
	if err := e.next(ctx); err != nil {
		return err
	}
	e.scans = append(e.scans, s)
	return nil
}

func (e *emitter) Progress(ctx context.Context, _ pipeline.Watermark) error { return e.next(ctx) }

// missing lists the wanted records that the emitter was not given.
func (e *emitter) missing(want []string) []string {
	var out []string
	for _, w := range want {
		if e.records[w] == 0 {
			out = append(out, w)
		}
	}
	return out
}

// full is one read of everything that has to succeed.
func full(t *testing.T, h SourceHarness) (*emitter, pipeline.Result) {
	t.Helper()
	e := &emitter{}
	res, err := h.Poll(t.Context(), pipeline.Request{Full: true}, e)
	if err != nil {
		t.Fatalf("Poll(full) = %v; want no error", err)
	}
	return e, res
}

func everything(t *testing.T, h SourceHarness) {
	e, res := full(t, h)
	if m := e.missing(h.Records); len(m) > 0 || len(e.records) != len(h.Records) {
		t.Errorf("Poll(full) handed over %v; want %v", e.records, h.Records)
	}
	for name, n := range e.records {
		if n != 1 {
			t.Errorf("Poll(full) handed %s over %d times; want once", name, n)
		}
	}
	if res.Rejected != len(h.Rejected) || res.Records != len(h.Records) {
		t.Errorf("Poll(full) = %d records, %d rejected; want %d and %d", res.Records, res.Rejected, len(h.Records), len(h.Rejected))
	}
}

func rejectsNamed(t *testing.T, h SourceHarness) {
	e, _ := full(t, h)
	got := map[string]bool{}
	for _, r := range e.rejects {
		got[fmt.Sprintf("%s#%d", r.Origin, r.Index)] = true
		if r.Reason == "" {
			t.Errorf("the reject %s#%d gives no reason", r.Origin, r.Index)
		}
	}
	for _, w := range h.Rejected {
		if !got[w] {
			t.Errorf("rejects = %v; want %s among them", got, w)
		}
	}
}

func scansLast(t *testing.T, h SourceHarness) {
	e, _ := full(t, h)
	if len(e.late) > 0 {
		t.Errorf("records of %v came behind the end of their scan", e.late)
	}
	got := map[string]bool{}
	for _, s := range e.scans {
		got[s.Scope] = true
		if s.ID == "" || s.Time.IsZero() {
			t.Errorf("scan = %+v; want an id and a time", s)
		}
	}
	for _, w := range h.Scopes {
		if !got[w] {
			t.Errorf("scans = %v; want %s among them", got, w)
		}
	}
}

// watermark fails each call of the emitter in turn: whatever was refused comes again.
func watermark(t *testing.T, h SourceHarness) {
	all, _ := full(t, h)
	for failAt := 1; failAt <= all.calls; failAt++ {
		first := &emitter{failAt: failAt, err: errRefused}
		res, err := h.Poll(t.Context(), pipeline.Request{Full: true}, first)
		if !errors.Is(err, errRefused) {
			t.Errorf("Poll() with call %d refused = %v; want %v", failAt, err, errRefused)
		}
		if len(first.claimed) > 0 {
			t.Errorf("Poll() with call %d refused calls %v read whole", failAt, first.claimed)
		}
		second := &emitter{}
		if _, err := h.Poll(t.Context(), pipeline.Request{Since: res.Watermark}, second); err != nil {
			t.Fatalf("Poll(since) = %v; want no error", err)
		}
		for _, name := range second.missing(h.Records) {
			if first.records[name] == 0 {
				t.Errorf("with call %d refused, %s was never handed over", failAt, name)
			}
		}
		if len(first.scans)+len(second.scans) < len(h.Scopes) {
			t.Errorf("with call %d refused, %d scans were handed over; want %d", failAt, len(first.scans)+len(second.scans), len(h.Scopes))
		}
	}
}

func strange(t *testing.T, h SourceHarness) {
	for _, mark := range []pipeline.Watermark{"", "not ours", "{", "null", "[1]"} {
		e := &emitter{}
		if _, err := h.Poll(t.Context(), pipeline.Request{Since: mark}, e); err != nil {
			t.Errorf("Poll(since %q) = %v; want no error", mark, err)
		}
		if m := e.missing(h.Records); len(m) > 0 {
			t.Errorf("Poll(since %q) did not hand %v over", mark, m)
		}
	}
}

func cancelledSource(t *testing.T, h SourceHarness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := &emitter{}
	res, err := h.Poll(ctx, pipeline.Request{Full: true}, e)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Poll(cancelled) = %v; want %v", err, context.Canceled)
	}
	if len(e.records)+len(e.rejects)+len(e.scans) != 0 {
		t.Errorf("Poll(cancelled) handed things over: %v", e.records)
	}
	again := &emitter{}
	if _, err := h.Poll(t.Context(), pipeline.Request{Since: res.Watermark}, again); err != nil {
		t.Fatalf("Poll(since) = %v; want no error", err)
	}
	if m := again.missing(h.Records); len(m) > 0 {
		t.Errorf("Poll() after a cancelled one did not hand %v over", m)
	}
}
