package guardduty

import (
	"context"

	"github.com/docket-hub/docket/pipeline"
)

// sticky is an emitter that refuses everything once it refused something: while one place gives up, the
// others must not claim to have been read.
type sticky struct {
	to  pipeline.Emitter
	err error
}

func (s *sticky) Records(ctx context.Context, list []pipeline.Record) (taken pipeline.Taken, err error) {
	if s.err == nil {
		taken, s.err = s.to.Records(ctx, list)
	}
	return taken, s.err
}

func (s *sticky) Reject(ctx context.Context, r pipeline.Reject) error {
	if s.err == nil {
		s.err = s.to.Reject(ctx, r)
	}
	return s.err
}

func (s *sticky) Scan(ctx context.Context, scan pipeline.Scan) error {
	if s.err == nil {
		s.err = s.to.Scan(ctx, scan)
	}
	return s.err
}

func (s *sticky) Progress(ctx context.Context, w pipeline.Watermark) error {
	if s.err == nil {
		s.err = s.to.Progress(ctx, w)
	}
	return s.err
}
