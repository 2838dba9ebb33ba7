package bench

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
)

// read decodes bodies as docket would and returns the reports and the number of rejects.
func read(t *testing.T, bodies []Body) (reports []pipeline.Report, rejected int) {
	t.Helper()
	for _, b := range bodies {
		_, err := format.Split(bytes.NewReader(b.Data), format.Options{Reject: func(pipeline.Reject) error { rejected++; return nil }}, func(rec pipeline.Record) error {
			rep, err := format.Decode(rec)
			if err != nil {
				rejected++
				return nil
			}
			if rep.ObservedAt.IsZero() {
				rep.ObservedAt = rec.Observed
			}
			if rec.Scope != "" {
				t.Fatalf("record %s has the scope %q; want none, since a body is no whole scan", rep.ID, rec.Scope)
			}
			rep.Repository = "acme/shop"
			identity.Identify(&rep)
			reports = append(reports, rep)
			return nil
		})
		if err != nil {
			t.Fatalf("Split(%.200s) = %v; want every body readable", b.Data, err)
		}
	}
	return reports, rejected
}

func TestBodiesAreWhatTheyCount(t *testing.T) {
	const n = 20_000
	w := New(Options{Seed: 7, Mix: Standard()})
	bodies := w.Bodies(n, 100)
	reports, rejected := read(t, bodies)
	c := w.Counts()
	if c.Events != n || len(reports)+rejected != n {
		t.Errorf("Bodies(%d) = %d events, %d reports and %d rejects; want all", n, c.Events, len(reports), rejected)
	}
	want := 0
	for _, b := range bodies {
		want += b.Malformed
		if len(b.Records) > 100 {
			t.Errorf("a body has %d records; want at most 100", len(b.Records))
		}
	}
	if mean := n / len(bodies); mean < 80 {
		t.Errorf("a body has %d records on average; want most of 100", mean)
	}
	if rejected != c.Malformed || rejected != want || rejected == 0 {
		t.Errorf("rejected = %d; want the %d malformed ones, %d by body", rejected, c.Malformed, want)
	}
	prints, resolved, old, products := map[pipeline.Fingerprint]bool{}, 0, 0, map[string]int{}
	for i := range reports {
		r := &reports[i]
		prints[r.Print] = true
		products[r.Product]++
		if r.Status == pipeline.StatusResolved {
			resolved++
		}
		if r.ObservedAt.Year() == 2025 {
			old++
		}
	}
	if len(prints) != c.First {
		t.Errorf("distinct fingerprints = %d; want %d", len(prints), c.First)
	}
	for _, share := range []struct {
		name string
		got  int
		want float64
	}{
		{"first seen", c.First, 0.20}, {"resolved", resolved, 0.04}, {"older", old, 0.01},
		{"Security Hub", products["Security Hub"], 0.60}, {"GuardDuty", products["GuardDuty"], 0.10},
		{"Trusted Advisor", products["Trusted Advisor"], 0.05}, {"own checks", products["docket"], 0.05},
		{"scanners", products["Cloud Scanner"] + products["Code Scanner"], 0.20},
	} {
		if got := float64(share.got) / n; got < share.want*0.8-0.003 || got > share.want*1.2+0.003 {
			t.Errorf("share of %s = %.3f; want about %.3f", share.name, got, share.want)
		}
	}
}

func TestSizes(t *testing.T) {
	w := New(Options{Seed: 7, Mix: Fresh()})
	var sizes []int
	for _, b := range w.Bodies(40_000, 100) {
		for _, r := range b.Records {
			sizes = append(sizes, len(r))
		}
	}
	slices.Sort(sizes)
	for _, q := range []struct {
		at   float64
		want int
	}{{0.5, 2150}, {0.9, 6 << 10}, {0.99, 30 << 10}, {0.9999, 240 << 10}} {
		got := sizes[int(q.at*float64(len(sizes)-1))]
		if got < q.want*8/10 || got > q.want*12/10 {
			t.Errorf("size at quantile %g = %d; want about %d", q.at, got, q.want)
		}
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	sum := func(o Options) (out [32]byte) {
		h := sha256.New()
		for _, b := range New(o).Bodies(3000, 100) {
			h.Write(b.Data)
		}
		return [32]byte(h.Sum(nil))
	}
	a := Options{Seed: 1, Mix: Standard(), Step: 8}
	if first, second := sum(a), sum(a); first != second {
		t.Error("Bodies of one seed differ; want the same bytes")
	}
	b := a
	b.Seed = 2
	if sum(a) == sum(b) {
		t.Error("Bodies of two seeds are equal; want others")
	}
}

func TestClientsShareNoFinding(t *testing.T) {
	seen := map[pipeline.Fingerprint]int{}
	for client := range 3 {
		reports, _ := read(t, New(Options{Seed: 3, Mix: Standard(), Offset: client, Step: 3}).Bodies(2000, 50))
		for i := range reports {
			if other, ok := seen[reports[i].Print]; ok && other != client {
				t.Fatalf("clients %d and %d both send %s; want a finding at one client only", other, client, reports[i].ID)
			}
			seen[reports[i].Print] = client
		}
	}
}
