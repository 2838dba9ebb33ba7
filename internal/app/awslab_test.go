package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/awsx/awstest/lab"
	"github.com/docket-hub/docket/pipeline"
)

// labAt is when everything of the lab was seen last.
func labAt() time.Time { return time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second) }

// decoded reads documents as the sources hand them over.
func decoded(t testing.TB, g *Graph, docs []json.RawMessage) []pipeline.Report {
	t.Helper()
	var out []pipeline.Report
	for _, doc := range docs {
		_, err := format.Split(bytes.NewReader(doc), format.Options{Reject: func(r pipeline.Reject) error { return fmt.Errorf("refused: %s: %s", r.Reason, doc) }},
			func(rec pipeline.Record) error {
				r, err := g.Normalise("lab", &rec)
				out = append(out, r)
				return err
			})
		if err != nil {
			t.Fatalf("reading %s: %v", doc, err)
		}
	}
	return out
}

// TestLabFolds: what the services of the lab say about one problem has one fingerprint, and there are as many as problems.
func TestLabFolds(t *testing.T) {
	w := lab.New(labAt())
	g := benchGraph(t)
	docs := map[string][]json.RawMessage{lab.EventBridge: w.Events()}
	for _, a := range w.Org.Accounts {
		for _, region := range w.Org.Regions {
			docs[lab.SecurityHub] = append(docs[lab.SecurityHub], w.Hub(a.ID, region)...)
			docs[lab.GuardDuty] = append(docs[lab.GuardDuty], w.Duty(a.ID, region)...)
		}
	}
	all := map[string]bool{}
	for service, list := range docs {
		here := map[string]bool{}
		for _, r := range decoded(t, g, list) {
			if r.Status == pipeline.StatusOpen {
				here[r.Print.String()], all[r.Print.String()] = true, true
			}
		}
		want := 0
		for _, p := range w.Problems {
			if slices.Contains(p.Kind.Seen(), service) {
				want++
			}
		}
		if len(here) != want {
			t.Errorf("%s reports %d problems; want %d", service, len(here), want)
		}
	}
	if len(all) != len(w.Problems) {
		t.Errorf("together they report %d problems; want %d", len(all), len(w.Problems))
	}
}
