package app

import (
	"bytes"
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/internal/bench"
	"github.com/docket-hub/docket/pipeline"
)

// keeper is a Publisher that keeps the items.
type keeper struct{ items []pipeline.Item }

func (k *keeper) PublishFindings(_ context.Context, payload []byte) error {
	e, err := pipeline.ParseEnvelope(payload)
	k.items = append(k.items, e.Items...)
	return err
}

// TestIntakeTwice takes a load in, in which most records are seen again, with what an
// intake remembers and without. Items and reports must be the same: neither what the intake
// remembers nor what it hands over may be told from what is decoded.
func TestIntakeTwice(t *testing.T) {
	t.Parallel()
	g, other := benchGraph(t), benchGraph(t)
	other.memo = nil
	remembering, forgetting := &keeper{}, &keeper{}
	for _, body := range bench.New(bench.Options{Seed: 7, Mix: bench.Standard()}).Bodies(3000, 50) {
		for _, x := range []struct {
			g  *Graph
			to *keeper
		}{{g, remembering}, {other, forgetting}} {
			s := x.g.Source("ci")
			in := x.g.intake(s, "r", x.to, func() time.Time { return time.Unix(1_800_000_000, 0) })
			if _, err := s.Source.Source.(connectors.Pusher).Push(t.Context(), bytes.NewReader(body.Data), connectors.Push{}, in); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !reflect.DeepEqual(forgetting.items, remembering.items) {
		t.Fatal("items differ between an intake that remembers and one that does not")
	}
	taken := 0
	other = benchGraph(t)
	for i := range remembering.items {
		it := &remembering.items[i]
		if x := g.hand.Take("ci", it); x != nil {
			taken++
			in := g.intake(g.Source("ci"), "r", &keeper{}, time.Now)
			if _, err := in.Records(t.Context(), []pipeline.Record{{Format: it.Format, Data: bytes.Clone(it.Data)}}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := g.Decode("ci", it)
		if err != nil {
			t.Fatal(err)
		}
		want, err := other.Decode("ci", it)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("Decode of what was handed over differs (-decoded +handed over):\n%s", cmp.Diff(want, got))
		}
	}
	if taken < 500 {
		t.Errorf("%d of %d reports were handed over; want those that were decoded", taken, len(remembering.items))
	}
}
