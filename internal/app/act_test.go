package app

import (
	"context"
	"errors"
	"testing"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// TestActWaitsForNoFlood: an interaction is answered as soon as triage has applied it, also while updates of tickets wait for
// the end of a flood; one about an exception when every finding was looked at again.
func TestActWaitsForNoFlood(t *testing.T) {
	const asked = 7 // the sequence of the interaction
	for name, c := range map[string]struct {
		verb     pipeline.Verb
		meta     triage.Meta
		settled  bool
		answered bool
	}{
		"not read yet":                        {pipeline.VerbAck, triage.Meta{Inputs: asked - 1}, true, false},
		"applied":                             {pipeline.VerbAck, triage.Meta{Inputs: asked}, true, true},
		"applied in a flood":                  {pipeline.VerbAck, triage.Meta{Inputs: asked}, false, true},
		"applied while findings are swept":    {pipeline.VerbAck, triage.Meta{Inputs: asked, Sweep: 1}, false, true},
		"an exception, findings to look at":   {pipeline.VerbSuppress, triage.Meta{Inputs: asked, Sweep: 1}, false, false},
		"an exception in a flood":             {pipeline.VerbSuppress, triage.Meta{Inputs: asked}, false, true},
		"an exception ends, findings to look": {pipeline.VerbUnsuppress, triage.Meta{Inputs: asked, Sweep: 1}, false, false},
		"an exception ends in a flood":        {pipeline.VerbUnsuppress, triage.Meta{Inputs: asked}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := &App{failed: make(chan struct{})}
			a.loop = &loop{app: a}
			a.loop.position.changed = make(chan struct{})
			a.loop.committed(c.meta, triage.Summary{}, c.settled)
			ctx, hangUp := context.WithCancel(t.Context())
			hangUp() // what is not answered at once is not answered
			err := a.decided(ctx, &pipeline.Interaction{Verb: c.verb}, asked)
			if err != nil && !errors.Is(err, context.Canceled) || (err == nil) != c.answered {
				t.Errorf("decided(%s) = %v; want it answered: %v", c.verb, err, c.answered)
			}
		})
	}
}
