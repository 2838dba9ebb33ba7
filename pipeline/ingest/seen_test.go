package ingest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
)

// TestSeen counts records by account and region, whether they were decoded or remembered. What is too mild or rejected
// is not counted.
func TestSeen(t *testing.T) {
	memo, n := newMemo(t), &normaliser{}
	want := map[string]int{"111122223333 eu-west-1": 2, "111122223333 us-east-1": 1}
	for range 2 { // the second time all are remembered
		got := map[string]int{}
		in := ingest.New("read", ingest.Options{
			Source: "x", Memo: memo, Publish: &kept{}, MinSeverity: pipeline.Low,
			Mask: func(b []byte) []byte { return b }, Now: func() time.Time { return time.Unix(2000, 0) },
			Normalise: func(rec *pipeline.Record) (pipeline.Report, error) {
				r, err := n.normalise(rec)
				r.Account.ID, r.Region = "111122223333", "eu-west-1"
				switch r.ID {
				case "b":
					r.Region = "us-east-1"
				case "mild":
					r.Severity = pipeline.Informational
				}
				return r, err
			},
			Seen: func(account, region string) { got[account+" "+region]++ },
		})
		if _, err := in.Records(t.Context(), []pipeline.Record{record("a one @10"), record("a two @10"), record("b one @10"), record("mild one @10"), record("c bad @10")}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("Seen differs (-want +got):\n%s", d)
		}
	}
	if n.n != 6 { // five, and the one that is rejected again
		t.Errorf("%d records were decoded; want 6, the rest is remembered", n.n)
	}
}
