package ingest_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
)

// handing is an intake without a memo whose reports go to a Handover with a clock of its own.
type handing struct {
	*ingest.Intake
	*ingest.Handover
	clock time.Time
}

func newHanding(t *testing.T) *handing {
	t.Helper()
	h := &handing{clock: time.Unix(1000, 0)}
	var err error
	if h.Handover, err = ingest.NewHandover(func() time.Time { return h.clock }); err != nil {
		t.Fatal(err)
	}
	n := &normaliser{}
	h.Intake = ingest.New("read", ingest.Options{Source: "x", Normalise: n.normalise, Handover: h.Handover, Publish: &kept{},
		Mask: bytes.Clone, Now: time.Now})
	return h
}

func (h *handing) in(t *testing.T, texts ...string) {
	t.Helper()
	var list []pipeline.Record
	for _, s := range texts {
		list = append(list, record(s))
	}
	if _, err := h.Records(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

func (h *handing) has(source, text string) bool {
	return h.Take(source, &pipeline.Item{Format: "f", Data: []byte(text)}) != nil
}

func TestHandover(t *testing.T) {
	h := newHanding(t)
	h.in(t, "a one @10", "b one @10", "c bad @1")
	tests := []struct {
		name, source, text string
		want               bool
	}{
		{"another source", "y", "a one @10", false},
		{"another time", "x", "a one @11", false},
		{"the same", "x", "a one @10", true},
		{"the same again", "x", "a one @10", false},
		{"a rejected one", "x", "c bad @1", false},
		{"another", "x", "b one @10", true},
	}
	for _, tt := range tests {
		if got := h.has(tt.source, tt.text); got != tt.want {
			t.Errorf("Take(%s) = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestHandoverIsBounded(t *testing.T) {
	large := func(i int) string { return fmt.Sprintf("%d %s @10", i, bytes.Repeat([]byte("x"), 1<<20)) }
	small := func(i int) string { return fmt.Sprintf("%d one @10", i) }
	for _, text := range []func(int) string{large, small} {
		h := newHanding(t)
		n := 0
		for ; n < 10_000; n++ {
			h.in(t, text(n))
			if !h.has("x", text(n)) {
				break
			}
			h.in(t, text(n)) // stays
		}
		if n == 0 || n == 10_000 {
			t.Fatalf("%d reports found room; want a bound", n)
		}
		if !h.has("x", text(0)) {
			t.Error("the oldest report is gone; want it kept, it is read first")
		}
		h.in(t, text(n))
		if !h.has("x", text(n)) {
			t.Error("a report found no room behind one that was taken")
		}
		h.clock = h.clock.Add(time.Minute)
		h.in(t, "late one @10")
		if h.has("x", text(1)) || !h.has("x", "late one @10") {
			t.Error("what nobody took in a minute is still there; want it dropped")
		}
	}
}
