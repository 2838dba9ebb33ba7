package app

import (
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
	"github.com/docket-hub/docket/pipeline/triage"
)

// TestClaimedScopeListsAgain: what a claimed whole scan left out and a later one
// lists again, with the same old time of its own, is open again.
func TestClaimedScopeListsAgain(t *testing.T) {
	g := benchGraph(t)
	start := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	scope := pipeline.ClaimScope("ci/nightly")
	w := &world{g: g, layer: triage.NewLayer(nil)}
	scan := func(read string, at time.Time, names ...string) {
		t.Helper()
		w.now = at
		in := ingest.New(read, ingest.Options{
			Source: "ci", Normalise: func(r *pipeline.Record) (pipeline.Report, error) { return g.Normalise("ci", r) },
			Mask: g.mask.Bytes, Publish: publisher(w.PublishFindings), Now: func() time.Time { return at },
		})
		var records []pipeline.Record
		for _, n := range names {
			rec := carry(t, n, "AwsEc2SecurityGroup", start, false)
			rec.Scope = scope
			records = append(records, rec)
		}
		if _, err := in.Records(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		if err := in.Scan(t.Context(), pipeline.Scan{ID: read, Scope: scope, Count: len(records), Time: at, Complete: true}); err != nil {
			t.Fatal(err)
		}
	}
	open := func() int {
		t.Helper()
		n := 0
		for num := uint64(1); num < w.layer.Meta().NextCase; num++ {
			c, err := w.layer.Case(num)
			if err != nil {
				t.Fatal(err)
			}
			if c.Open {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		names []string
		want  int
	}{
		{"both listed", time.Hour, []string{"fsbp:EC2.2", "fsbp:EC2.18"}, 2},
		{"one left out", 2 * time.Hour, []string{"fsbp:EC2.2"}, 1},
		{"listed again", 3 * time.Hour, []string{"fsbp:EC2.2", "fsbp:EC2.18"}, 2},
	} {
		scan(step.name, start.Add(step.after), step.names...)
		if got := open(); got != step.want {
			t.Errorf("%s: %d open cases; want %d", step.name, got, step.want)
		}
	}
}
