// Package connectortest is the contract of sinks and sources as tests: every
// connector runs Sink or Source over the real system, or what stands in for it on this machine.
package connectortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Record is a ticket as the outside system shows it.
type Record struct {
	Ref  pipeline.Ref
	Open bool
	Text string // title, body and comments as they are stored
}

// SinkHarness is a sink with an outside system of its own that is empty.
type SinkHarness struct {
	Sink pipeline.Sink
	// Records lists everything that the outside system holds.
	Records func(t testing.TB) []Record
	// Break makes the outside system fail from then on; nil where that cannot be done.
	Break func(t testing.TB)
	// Lose makes the outside system carry out the n-th request from now on, from 1, and lose the answer; 0
	// ends that. Nil where it cannot be done.
	Lose func(t testing.TB, n int)
	// Secrets are the credentials that the sink works with.
	Secrets []string
}

// sinkTest is one run of the contract.
type sinkTest struct {
	SinkHarness
	t *testing.T
}

// Sink runs the contract of ticket sinks; each test gets a sink of its own from newSink.
func Sink(t *testing.T, newSink func(t *testing.T) SinkHarness) {
	for _, c := range []struct {
		name string
		run  func(*sinkTest)
	}{
		{"create", (*sinkTest).create},
		{"the same again changes nothing", (*sinkTest).repeat},
		{"two keys are two records", (*sinkTest).twoKeys},
		{"update", (*sinkTest).update},
		{"close and reopen", (*sinkTest).closeReopen},
		{"a comment stands once per event", (*sinkTest).comments},
		{"a lost answer doubles nothing", (*sinkTest).lost},
		{"found by key in every state", (*sinkTest).find},
		{"an older revision changes nothing", (*sinkTest).older},
		{"a cancelled context writes nothing", (*sinkTest).cancelled},
		{"hostile text stays text", (*sinkTest).hostile},
		{"errors carry no secret", (*sinkTest).failing},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(&sinkTest{newSink(t), t}) })
	}
}

// Ticket is an open ticket at revision 1, with a key of its own for each n.
func Ticket(n int) pipeline.Ticket {
	since := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	return pipeline.Ticket{
		Key: fmt.Sprintf("docket-%020x", n+1), Case: fmt.Sprintf("DK-%d", n+1), Rev: 1, Open: true,
		Team: "payments", Title: fmt.Sprintf("Bucket number %d is public", n), Description: "Everybody can read it.",
		Priority: pipeline.P2, Severity: pipeline.High, Since: since, Count: 1, Total: 1,
		Resource: pipeline.Resource{ID: fmt.Sprintf("arn:aws:s3:::bucket-%d", n), Type: "AwsS3Bucket"},
		Account:  pipeline.Account{ID: "111122223333"}, Region: "eu-west-1",
	}
}

func (x *sinkTest) apply(in pipeline.Ticket) pipeline.Applied {
	x.t.Helper()
	out, err := x.Sink.Apply(x.t.Context(), in)
	if err != nil {
		x.t.Fatalf("Apply(rev %d) = %v; want no error", in.Rev, err)
	}
	if out.Ref.ID == "" {
		x.t.Errorf("Apply(rev %d) = %+v; want the id of the record", in.Rev, out.Ref)
	}
	return out
}

// only is the one record that there has to be.
func (x *sinkTest) only() Record {
	x.t.Helper()
	list := x.Records(x.t)
	if len(list) != 1 {
		x.t.Fatalf("the outside system holds %d records; want 1", len(list))
	}
	return list[0]
}

func (x *sinkTest) create() {
	in := Ticket(0)
	out := x.apply(in)
	got := x.only()
	if got.Ref.ID != out.Ref.ID || !got.Open || !strings.Contains(got.Text, in.Title) {
		x.t.Errorf("record = %+v; want %s open with its title", got, out.Ref.ID)
	}
	for _, part := range []string{in.Resource.ID, "P2"} {
		if !strings.Contains(got.Text, part) {
			x.t.Errorf("record does not say %s", part)
		}
	}
}

func (x *sinkTest) repeat() {
	in := Ticket(0)
	first := x.apply(in)
	before := x.only()
	for name, ref := range map[string]pipeline.Ref{"without its ref": {}, "with its ref": first.Ref} {
		in.Ref = ref
		if again := x.apply(in); again.Ref.ID != first.Ref.ID {
			x.t.Errorf("Apply() again %s = %s; want %s", name, again.Ref.ID, first.Ref.ID)
		}
		if got := x.only(); got != before {
			x.t.Errorf("Apply() again %s changed the record:\n%+v\nwant\n%+v", name, got, before)
		}
	}
}

func (x *sinkTest) twoKeys() {
	a, b := x.apply(Ticket(0)), x.apply(Ticket(1))
	if a.Ref.ID == b.Ref.ID || len(x.Records(x.t)) != 2 {
		x.t.Errorf("Apply() of two keys = %s and %s, %d records; want two", a.Ref.ID, b.Ref.ID, len(x.Records(x.t)))
	}
}

func (x *sinkTest) update() {
	in := Ticket(0)
	in.Ref = x.apply(in).Ref
	in.Rev, in.Title, in.Priority = 2, "Two buckets are public", pipeline.P1
	x.apply(in)
	if got := x.only(); !strings.Contains(got.Text, in.Title) || strings.Contains(got.Text, Ticket(0).Title) || !got.Open {
		x.t.Errorf("record = %+v; want the new title only", got)
	}
}

func (x *sinkTest) closeReopen() {
	in := Ticket(0)
	in.Ref = x.apply(in).Ref
	for i, open := range []bool{false, true, false} {
		in.Rev, in.Open, in.Why = uint64(i+2), open, ""
		if !open {
			in.Why = "fixed"
		}
		in.Comments = []pipeline.Comment{{EventID: fmt.Sprintf("DK-1/r%d", in.Rev), Time: in.Since, Lines: []string{fmt.Sprintf("evidence %d", i)}}}
		if out := x.apply(in); out.Ref.ID != in.Ref.ID {
			x.t.Errorf("Apply(open %v) = %s; want the same record %s", open, out.Ref.ID, in.Ref.ID)
		}
		got := x.only()
		if got.Open != open || !strings.Contains(got.Text, fmt.Sprintf("evidence %d", i)) {
			x.t.Errorf("record after open %v = %+v; want that state, with the evidence", open, got)
		}
	}
}

func (x *sinkTest) comments() {
	in := Ticket(0)
	in.Ref = x.apply(in).Ref
	one := pipeline.Comment{EventID: "DK-1/r2", Time: in.Since, Lines: []string{"the first thing happened"}}
	two := pipeline.Comment{EventID: "DK-1/r3", Time: in.Since, Lines: []string{"the second thing happened"}}
	in.Rev, in.Comments = 2, []pipeline.Comment{one}
	x.apply(in)
	x.apply(in)
	in.Rev, in.Comments = 3, []pipeline.Comment{one, two}
	x.apply(in)
	in.Rev, in.Comments = 4, nil
	x.apply(in)
	text := x.only().Text
	for _, c := range []pipeline.Comment{one, two} {
		if n := strings.Count(text, c.Lines[0]); n != 1 {
			x.t.Errorf("the comment of %s stands %d times; want once", c.EventID, n)
		}
	}
}

// lost loses the answer of each request of a create and of a close with a comment, one after the other, and
// repeats the ticket as deliver does: with the ref once it is known.
func (x *sinkTest) lost() {
	if x.Lose == nil {
		x.t.Skip("the answers of this outside system cannot be lost")
	}
	deliver := func(in pipeline.Ticket, n int) pipeline.Applied {
		x.t.Helper()
		x.Lose(x.t, n)
		out, err := x.Sink.Apply(x.t.Context(), in)
		x.Lose(x.t, 0)
		if err == nil {
			return out
		}
		if pipeline.IsPermanent(err) {
			x.t.Errorf("Apply() whose request %d was lost = %v; want it to be tried again", n, err)
		}
		if !out.Ref.IsZero() {
			in.Ref = out.Ref
		}
		return x.apply(in)
	}
	const most = 12 // requests of one Apply
	for n := 1; n <= most; n++ {
		in := Ticket(n)
		in.Comments = []pipeline.Comment{{EventID: in.Case + "/r1", Time: in.Since, Lines: []string{"the case was opened"}}}
		out := deliver(in, n)
		if got := len(x.Records(x.t)); got != n {
			x.t.Fatalf("%d records after request %d of a create was lost; want %d", got, n, n)
		}
		in.Ref, in.Last, in.WasOpen, in.Rev, in.Open, in.Why = out.Ref, out.Held, true, 2, false, "fixed"
		in.Comments = []pipeline.Comment{{EventID: in.Case + "/r2", Time: in.Since, Lines: []string{"the evidence"}}}
		deliver(in, n)
		list := x.Records(x.t)
		at := slices.IndexFunc(list, func(r Record) bool { return r.Ref.ID == out.Ref.ID })
		if at < 0 || len(list) != n {
			x.t.Fatalf("%d records, and %s is one of them: %v; want %d", len(list), out.Ref.ID, at >= 0, n)
		}
		if r := list[at]; r.Open || strings.Count(r.Text, "the case was opened") > 1 || strings.Count(r.Text, "the evidence") != 1 {
			x.t.Errorf("after request %d was lost the record is %+v; want it closed, with each comment once", n, r)
		}
	}
}

func (x *sinkTest) find() {
	f, ok := x.Sink.(pipeline.Finder)
	if !ok {
		x.t.Skip("this sink finds nothing by key")
	}
	look := func(key string, want ...string) {
		x.t.Helper()
		refs, err := f.Find(x.t.Context(), key)
		var ids []string
		for _, r := range refs {
			ids = append(ids, r.ID)
		}
		if err != nil || refs == nil || !slices.Equal(ids, want) {
			x.t.Errorf("Find(%s) = %v, %v; want %v", key, ids, err, want)
		}
	}
	in := Ticket(0)
	look(in.Key)
	in.Ref = x.apply(in).Ref
	x.apply(Ticket(1))
	look(in.Key, in.Ref.ID)
	in.Rev, in.Open, in.Why = 2, false, "fixed"
	x.apply(in)
	look(in.Key, in.Ref.ID)
	look(Ticket(2).Key)
	// What begins like another key is another key.
	look(in.Key[:len(in.Key)-1])
	look(in.Key + "0")
}

func (x *sinkTest) older() {
	old := Ticket(0)
	first := x.apply(old)
	old.Ref, old.Last, old.WasOpen = first.Ref, first.Held, true
	now := old
	now.Rev, now.Title, now.Open, now.Why = 5, "Closed meanwhile", false, "fixed"
	x.apply(now)
	before := x.only()
	if _, err := x.Sink.Apply(x.t.Context(), old); err != nil {
		x.t.Errorf("Apply(an older revision) = %v; want no error", err)
	}
	if got := x.only(); got != before {
		x.t.Errorf("an older revision changed the record to %+v; want %+v", got, before)
	}
}

func (x *sinkTest) cancelled() {
	ctx, cancel := context.WithCancel(x.t.Context())
	cancel()
	if _, err := x.Sink.Apply(ctx, Ticket(0)); !errors.Is(err, context.Canceled) {
		x.t.Errorf("Apply(cancelled) = %v; want %v", err, context.Canceled)
	}
	if n := len(x.Records(x.t)); n != 0 {
		x.t.Errorf("Apply(cancelled) made %d records; want none", n)
	}
	if f, ok := x.Sink.(pipeline.Finder); ok {
		if _, err := f.Find(ctx, Ticket(0).Key); !errors.Is(err, context.Canceled) {
			x.t.Errorf("Find(cancelled) = %v; want %v", err, context.Canceled)
		}
	}
}

// hostile is text that would do something where it is not taken as text.
func hostile() []string {
	return []string{
		"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\x1b[31mred\x1b[0m\x07", "line\r\nkey: other\n---\n", "\u202egnp.exe",
		"{{ .Secret }} ${HOME} $(id) `id`", "=cmd|'/C calc'!A1", "<!channel> @channel", "[a](javascript:alert(1))", "a\x00b", "\xff\xfe", "../../etc/passwd",
		strings.Repeat("long ", 100_000),
	}
}

func (x *sinkTest) hostile() {
	for i, text := range hostile() {
		in := Ticket(i)
		in.Title, in.Description, in.Team = text, text, text
		in.Resource.ID, in.Resource.Name = text, text
		in.Remediation.Text, in.Links, in.Compliance = text, []string{text}, []string{text}
		in.Comments = []pipeline.Comment{{EventID: "DK-1/r1", Time: in.Since, Lines: []string{text}}}
		in.Ref = x.apply(in).Ref
		in.Rev, in.Open, in.Why = 2, false, text
		if out := x.apply(in); out.Ref.ID != in.Ref.ID {
			x.t.Errorf("text %d: closing made another record", i)
		}
	}
	list := x.Records(x.t)
	if len(list) != len(hostile()) {
		x.t.Errorf("the outside system holds %d records; want %d", len(list), len(hostile()))
	}
	for _, r := range list {
		if r.Open {
			x.t.Errorf("%s is open; want it closed whatever its text says", r.Ref.ID)
		}
		for _, active := range []string{"<script", "<img", "\x1b", "\u202e", "\x00", "[a](javascript:"} {
			if strings.Contains(r.Text, active) {
				x.t.Errorf("%s holds %q; want it taken out or escaped", r.Ref.ID, active)
			}
		}
	}
}

func (x *sinkTest) failing() {
	if x.Break == nil {
		x.t.Skip("the outside system of this sink cannot be made to fail")
	}
	in := Ticket(0)
	in.Ref = x.apply(in).Ref
	x.Break(x.t)
	in.Rev, in.Title = 2, "Another title"
	for name, t := range map[string]pipeline.Ticket{"an update": in, "a create": Ticket(1)} {
		_, err := x.Sink.Apply(x.t.Context(), t)
		if err == nil {
			x.t.Errorf("Apply(%s) to a broken system = nil; want an error", name)
			continue
		}
		for _, secret := range x.Secrets {
			if strings.Contains(err.Error(), secret) {
				x.t.Errorf("Apply(%s): the error carries a secret", name)
			}
		}
	}
}
