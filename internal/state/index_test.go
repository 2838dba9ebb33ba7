package state

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// TestIndex adds and removes many fingerprints: each leads to its own numbers, and few of them to others.
func TestIndex(t *testing.T) {
	x := newPrintIndex(0)
	const n = 20_000
	for seq := uint64(1); seq <= n; seq++ {
		for range 2 { // adding twice is the same as once
			if err := x.add(printOf(seq), seq); err != nil {
				t.Fatalf("add(%d) = %v; want no error", seq, err)
			}
		}
	}
	gone := map[uint64]bool{}
	r := rand.New(rand.NewPCG(1, 2))
	for range n / 2 {
		seq := r.Uint64N(n) + 1
		gone[seq] = true
		x.remove(printOf(seq), seq)
	}
	if want := n - len(gone); x.n != want {
		t.Errorf("n = %d; want %d", x.n, want)
	}
	others := 0
	for seq := uint64(1); seq <= n; seq++ {
		got := x.find(nil, printOf(seq))
		if slices.Contains(got, seq) == gone[seq] {
			t.Fatalf("find(%d) = %v; want it found: %v", seq, got, !gone[seq])
		}
		for _, s := range got {
			if gone[s] {
				t.Fatalf("find(%d) = %v; finding %d was removed", seq, got, s)
			}
			if s != seq {
				others++
			}
		}
	}
	// 28 bits of hash over 20,000 findings: about one pair in all.
	if others > 20 {
		t.Errorf("candidates that are not the finding = %d; want a handful", others)
	}
}

func TestIndexBounds(t *testing.T) {
	x := newPrintIndex(0)
	for _, seq := range []uint64{0, maxSeq + 1} {
		if err := x.add(pipeline.Fingerprint{}, seq); err == nil {
			t.Errorf("add(%d) = no error; want one", seq)
		}
	}
	if err := x.add(pipeline.Fingerprint{}, maxSeq); err != nil {
		t.Errorf("add(%d) = %v; want no error", uint64(maxSeq), err)
	}
	if got := x.find(nil, pipeline.Fingerprint{}); !slices.Equal(got, []uint64{maxSeq}) {
		t.Errorf("find() = %v; want %d", got, uint64(maxSeq))
	}
}
