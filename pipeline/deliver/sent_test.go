package deliver

import (
	"context"
	"maps"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// renderer is a sink that can say what it would write, or fails to.
type renderer struct {
	pipeline.Sink
	says func(t pipeline.Ticket) pipeline.Fields
}

func (r renderer) Fields(t pipeline.Ticket) pipeline.Fields { return r.says(t) }

// mute is a sink that cannot say what it would write.
type mute struct{}

func (mute) Apply(context.Context, pipeline.Ticket) (pipeline.Applied, error) {
	return pipeline.Applied{}, nil
}

// TestOutcomesSayWhatWasSent: only an outcome that does not know what is held says what may have been written.
func TestOutcomesSayWhatWasSent(t *testing.T) {
	says := renderer{mute{}, func(t pipeline.Ticket) pipeline.Fields { return pipeline.Fields{"title": t.Title} }}
	breaks := renderer{mute{}, func(pipeline.Ticket) pipeline.Fields { panic("no template") }}
	want := pipeline.Fields{"title": "a bucket is public"}
	for _, tc := range []struct {
		name   string
		sink   pipeline.Sink
		result pipeline.OutcomeResult
		want   pipeline.Fields
	}{
		{"refused", says, pipeline.OutcomeRefused, want},
		{"unknown", says, pipeline.OutcomeUnknown, want},
		{"done", says, pipeline.OutcomeDone, nil},
		{"gone", says, pipeline.OutcomeGone, nil},
		{"a sink that cannot say", mute{}, pipeline.OutcomeRefused, nil},
		{"a sink that panics", breaks, pipeline.OutcomeUnknown, nil},
	} {
		w := &attempt{l: &Loop{o: Options{Sink: tc.sink}}, t: pipeline.Ticket{Title: "a bucket is public"}}
		if got := w.outcome(tc.result, "").Sent; !maps.Equal(got, tc.want) {
			t.Errorf("%s: outcome().Sent = %v; want %v", tc.name, got, tc.want)
		}
	}
}
