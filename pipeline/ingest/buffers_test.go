package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ingest"
)

// slow is a Publisher that is still reading what it answered with an error.
type slow struct {
	fail bool
	kept [][]byte
	want [][]byte
}

func (s *slow) PublishFindings(_ context.Context, payload []byte) error {
	if !s.fail {
		return nil
	}
	s.kept, s.want = append(s.kept, payload), append(s.want, bytes.Clone(payload))
	return errors.New("no answer in time")
}

// TestBuffers uses memory again for envelopes that were stored, and never for one that may still be read.
func TestBuffers(t *testing.T) {
	to, room := &slow{}, &ingest.Buffers{}
	n := &normaliser{}
	take := func(i int, fail bool) {
		to.fail = fail
		in := ingest.New("read", ingest.Options{Source: "x", Normalise: n.normalise, Buffers: room, Publish: to, Mask: bytes.Clone, Now: time.Now})
		if _, err := in.Records(t.Context(), []pipeline.Record{record(fmt.Sprintf("%d one @10", i))}); (err != nil) != fail {
			t.Errorf("Records = %v; want an error: %v", err, fail)
		}
	}
	for i := range 100 {
		take(i, i%3 == 0)
	}
	for i := range to.kept {
		if !bytes.Equal(to.kept[i], to.want[i]) {
			t.Errorf("envelope %d changed while it was read", i)
		}
	}
}
