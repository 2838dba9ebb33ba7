package state

import (
	"path/filepath"
	"testing"

	"github.com/docket-hub/docket/pipeline/deliver"
)

func TestClaimsOfAnOlderState(t *testing.T) {
	c, err := OpenClaims(filepath.Join(t.TempDir(), "claims.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Rebuild(nil); err != nil {
		t.Fatal(err)
	}
	for key, n := range map[string]uint64{"disk.DK-1": 3, "disk.DK-2": 1, "a.b.DK-3": 2} {
		if _, err := c.Swap(t.Context(), key, 0, deliver.Claim{N: n, Att: 1, Done: true}); err != nil {
			t.Fatal(err)
		}
	}
	at := Position{Findings: 10, Inputs: 20, NextCase: 4}
	if err := c.Note(at); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		p    Position
		want bool
	}{
		{"the same", at, false},
		{"it went on", Position{11, 21, 5, ""}, false},
		{"an older copy by its findings", Position{9, 20, 4, ""}, true},
		{"an older copy by its inputs", Position{10, 19, 4, ""}, true},
		{"a case that it has not numbered", Position{10, 20, 3, ""}, true},
		{"restored from a backup of now", Position{10, 20, 4, "r1"}, true},
		{"a new one", Position{0, 0, 1, ""}, true},
	} {
		if got, err := c.Behind(x.p); err != nil || got != x.want {
			t.Errorf("Behind(%s) = %v, %v; want %v", x.name, got, err, x.want)
		}
	}
	if back, err := c.WasPutBack(); err != nil || back != "" {
		t.Errorf("WasPutBack() = %q, %v; want nothing", back, err)
	}
	older := Position{Findings: 5, Inputs: 5, NextCase: 3}
	if err := c.PutBack([]ClaimEntry{{Key: "disk.DK-1", N: 2, InFlight: true}, {Key: "disk.DK-2", N: 1}}, older); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]deliver.Claim{
		"disk.DK-1": {N: 2, Att: 2},             // in flight then: its next taker looks
		"disk.DK-2": {N: 1, Att: 1, Done: true}, // as it was
		"a.b.DK-3":  {Att: 2, Done: true},       // of a case that is not there any more
	} {
		got, rev, err := c.Read(t.Context(), key)
		if err != nil || rev == 0 || got.N != want.N || got.Att != want.Att || got.Done != want.Done || got.Outcome != nil {
			t.Errorf("Read(%s) = %+v, %d, %v; want %+v", key, got, rev, err, want)
		}
	}
	if back, err := c.WasPutBack(); err != nil || back == "" {
		t.Errorf("WasPutBack() afterwards = %q, %v; want a word", back, err)
	}
	if behind, err := c.Behind(Position{Findings: 5, Inputs: 5, NextCase: 4}); err != nil || behind {
		t.Errorf("Behind() afterwards = %v, %v; want false", behind, err)
	}
}
