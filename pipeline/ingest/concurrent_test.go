package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
)

// TestManyIntakes lets requests that say the same share what they remember while
// triage takes, and changes, what they hand over.
func TestManyIntakes(t *testing.T) {
	memo := newMemo(t)
	hand, err := ingest.NewHandover(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			k, n := &kept{}, &normaliser{}
			in := ingest.New("read", ingest.Options{Source: "x", Normalise: n.normalise, Memo: memo, Handover: hand, Publish: k, Mask: bytes.Clone, Now: time.Now})
			for i := range 500 {
				rec := record(fmt.Sprintf("%d text-%d @%d", i%50, i%50, 1+i+g%2))
				if _, err := in.Records(context.Background(), []pipeline.Record{rec}); err != nil {
					t.Error(err)
				}
				it := k.items[len(k.items)-1]
				if want := int64(1+i+g%2) * 1000; it.Observed != want || !bytes.Equal(it.Data, rec.Data) {
					t.Errorf("item of %s was observed at %d; want %d", rec.Data, it.Observed, want)
				}
				if rep := hand.Take("x", &it); rep != nil {
					if rep.ID != fmt.Sprint(i%50) {
						t.Errorf("Take(%s) = report %s; want its own", it.Data, rep.ID)
					}
					rep.ID = "mine"
				}
			}
		})
	}
	group.Wait()
}
