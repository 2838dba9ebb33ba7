package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
)

// The records of these tests are "<id> <content> <seconds>".

func steady(to []byte, rec *pipeline.Record) ([]byte, time.Time, bool) {
	head, at, ok := bytes.Cut(rec.Data, []byte(" @"))
	if !ok {
		return to, time.Time{}, false
	}
	var sec int64
	fmt.Sscan(string(at), &sec)
	return append(to, head...), time.Unix(sec, 0), sec > 0
}

// normaliser counts the records that it is asked for.
type normaliser struct{ n int }

func (n *normaliser) normalise(rec *pipeline.Record) (pipeline.Report, error) {
	n.n++
	id, rest, _ := strings.Cut(string(rec.Data), " ")
	text, at, _ := strings.Cut(rest, " @")
	if text == "bad" {
		return pipeline.Report{}, errors.New("bad")
	}
	var sec int64
	fmt.Sscan(at, &sec)
	r := pipeline.Report{Product: "p", ID: id, Severity: pipeline.High, Status: pipeline.StatusOpen, Occurred: text == "threat",
		Print: pipeline.Fingerprint{byte(len(id)), id[0]}, Remediation: pipeline.Remediation{Text: text}}
	if sec > 0 {
		r.ObservedAt = time.Unix(sec, 0)
	}
	return r, nil
}

// kept is a Publisher that keeps the items.
type kept struct{ items []pipeline.Item }

func (k *kept) PublishFindings(_ context.Context, payload []byte) error {
	e, err := pipeline.ParseEnvelope(payload)
	k.items = append(k.items, e.Items...)
	return err
}

func take(t *testing.T, memo *ingest.Memo, n *normaliser, source string, records ...pipeline.Record) []pipeline.Item {
	t.Helper()
	k := &kept{}
	in := ingest.New("read", ingest.Options{Source: source, Normalise: n.normalise, Memo: memo, Publish: k,
		Mask: func(b []byte) []byte { return b }, Now: func() time.Time { return time.Unix(2000, 0) }})
	if _, err := in.Records(context.Background(), records); err != nil {
		t.Fatal(err)
	}
	return k.items
}

func newMemo(t *testing.T) *ingest.Memo {
	t.Helper()
	m, err := ingest.NewMemo(steady)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func record(text string) pipeline.Record { return pipeline.Record{Format: "f", Data: []byte(text)} }

func TestMemoChangesNothing(t *testing.T) {
	scoped := record("a one @70")
	scoped.Scope, scoped.Observed = "s", time.Unix(5, 0)
	undated := record("a one")
	undated.Observed = time.Unix(5, 0)
	records := []pipeline.Record{record("a one @10"), record("a one @20"), record("b one @20"), record("a two @30"), record("a one @40"), record("a threat @50"),
		record("a threat @60"), scoped, undated, record("a bad @1"), record("a bad @2"), record("a one @999999"), record("a one @0")}
	plain, with := &normaliser{}, &normaliser{}
	want, got := take(t, nil, plain, "x", records...), take(t, newMemo(t), with, "x", records...)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("items with a memo differ (-without +with):\n%s", d)
	}
	if plain.n != len(records) || with.n != 8 {
		t.Errorf("%d records normalised without a memo, %d with one; want %d and 8", plain.n, with.n, len(records))
	}
}

func TestMemoTellsApart(t *testing.T) {
	other := record("a one @10")
	other.Format = "g"
	m, n := newMemo(t), &normaliser{}
	take(t, m, n, "x", record("a one @10"), other)
	take(t, m, n, "y", record("a one @10"))
	take(t, newMemo(t), n, "x", record("a one @10"))
	if n.n != 4 {
		t.Errorf("%d records normalised; want 4, each is of another format, source or configuration", n.n)
	}
}

func TestMemoForgets(t *testing.T) {
	const many = 300_000
	m, n := newMemo(t), &normaliser{}
	var list []pipeline.Record
	for i := range many {
		list = append(list, record(fmt.Sprintf("%d one @10", i)))
		if i%1000 == 0 {
			list = append(list, record("busy one @10"))
		}
	}
	take(t, m, n, "x", list...)
	if n.n != many+1 {
		t.Errorf("%d records normalised; want %d, what is seen again and again stays known", n.n, many+1)
	}
	take(t, m, n, "x", record("0 one @11"))
	if n.n != many+2 {
		t.Errorf("%d records normalised; want %d, the oldest are forgotten", n.n, many+2)
	}
}

func TestMemoAsksTheDirectory(t *testing.T) {
	known := map[string]pipeline.Account{}
	n := &normaliser{}
	m := newMemo(t)
	take := func() pipeline.Item {
		k := &kept{}
		in := ingest.New("read", ingest.Options{
			Source: "x", Memo: m, Publish: k, Mask: func(b []byte) []byte { return b }, Now: func() time.Time { return time.Unix(2000, 0) },
			Normalise: func(rec *pipeline.Record) (pipeline.Report, error) {
				r, err := n.normalise(rec)
				r.Account.ID = "111122223333"
				return r, err
			},
			Account: func(id string) (pipeline.Account, bool) { a, ok := known[id]; return a, ok },
		})
		if _, err := in.Records(context.Background(), []pipeline.Record{record("a one @10")}); err != nil {
			t.Fatal(err)
		}
		return k.items[0]
	}
	before := take()
	known["111122223333"] = pipeline.Account{ID: "111122223333", Name: "shop", Tags: map[string]string{"tier": "0"}}
	named, again := take(), take()
	if before.Account != "" || named.Account != `{"name":"shop","tags":{"tier":"0"}}` || again.Account != named.Account {
		t.Errorf("accounts = %q, %q, %q; want none, then what the directory knows", before.Account, named.Account, again.Account)
	}
	if before.Hash == named.Hash || named.Hash != again.Hash || n.n != 2 {
		t.Errorf("hashes %x, %x, %x after %d records normalised; want a change once, and 2", before.Hash, named.Hash, again.Hash, n.n)
	}
}
