package state

import (
	"slices"
	"strings"
	"testing"

	"github.com/docket-hub/docket/pipeline/triage"
)

func TestForgetReads(t *testing.T) {
	s := newStore(t)
	long := "hub/" + strings.Repeat("x", 300)
	put := func(findings uint64, reads ...string) {
		t.Helper()
		cs := &triage.Changeset{}
		cs.Meta.Findings = findings
		for _, r := range reads {
			cs.Seen = append(cs.Seen, triage.Seen{Read: r, Scope: "aws/hub/1/eu", Count: 1, Keys: map[triage.SeenKey]bool{{Seq: 1}: true}})
		}
		if err := s.Commit(cs); err != nil {
			t.Fatal(err)
		}
	}
	put(1, "hub/a", "hub/ab", long)
	put(2, "hub/a")
	old, err := s.Reads()
	if err != nil {
		t.Fatal(err)
	}
	put(3, "hub/new")
	if err := s.Forget(old); err != nil {
		t.Fatal(err)
	}
	snap, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	var got []int
	for _, r := range []string{"hub/a", "hub/ab", long, "hub/new"} {
		got = append(got, snap.Seen(r, "aws/hub/1/eu").Count)
	}
	if want := []int{0, 0, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("records seen by the reads a, ab, a long one and a new one = %v; want %v", got, want)
	}
}
