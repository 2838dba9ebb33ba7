package app

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Act implements api.Service: it hands an interaction to triage and answers what became of it.
func (a *App) Act(ctx context.Context, in pipeline.Interaction) (api.ActResult, error) {
	if err := a.checkAct(&in); err != nil {
		return api.ActResult{}, err
	}
	if in.ID == "" {
		in.ID = rand.Text()
	}
	if err := a.input(ctx, message{Interaction: &in}, "i/"+in.ID); err != nil {
		return api.ActResult{}, err
	}
	failpoint.Hit("act/stored")
	if a.pulled(&in) {
		defer a.brakeAsDecided()
	}
	inputs, err := a.stream.InputsLastSeq(ctx)
	if err != nil {
		return api.ActResult{}, err
	}
	if err := a.decided(ctx, &in, inputs); err != nil {
		return api.ActResult{}, err
	}
	return a.became(&in)
}

// decided returns once triage has applied an interaction that stands in the inputs up to a sequence. What tickets say of it
// may wait for the end of a flood, and nobody waits for that here. An exception is applied when every finding was
// looked at again.
func (a *App) decided(ctx context.Context, in *pipeline.Interaction, inputs uint64) error {
	if in.Verb == pipeline.VerbSuppress || in.Verb == pipeline.VerbUnsuppress {
		return a.loop.swept(ctx, inputs)
	}
	return a.loop.applied(ctx, inputs)
}

// checkAct refuses what can be seen to be wrong before it becomes an input.
func (a *App) checkAct(in *pipeline.Interaction) error {
	if in.By == "" {
		return fmt.Errorf("%w: who is acting is missing", api.ErrInvalid)
	}
	if s := in.Suppression; s != nil && in.Verb == pipeline.VerbSuppress {
		if _, err := a.Graph().env.Compile(s.When); err != nil {
			return fmt.Errorf("%w: when: %w", api.ErrInvalid, err)
		}
		switch {
		case s.Name == "":
			return fmt.Errorf("%w: a suppression needs a name", api.ErrInvalid)
		case s.Reason == "":
			return fmt.Errorf("%w: a suppression needs a reason", api.ErrInvalid)
		case !s.Until.After(a.now()):
			return fmt.Errorf("%w: a suppression needs an end in the future", api.ErrInvalid)
		}
		return nil
	}
	if in.Verb == pipeline.VerbUnsuppress {
		return nil
	}
	if brakeVerb(in.Verb) {
		in.Cases = nil // the brake is one for all
		return nil
	}
	if len(in.Cases) == 0 {
		return fmt.Errorf("%w: name at least one case", api.ErrInvalid)
	}
	return a.reader().view(func(snap *state.Snapshot) error {
		for i, word := range in.Cases {
			c, err := a.reader().findCase(snap, word)
			if err != nil {
				return err
			}
			in.Cases[i] = c.ID()
		}
		return nil
	})
}

// became collects what the story says about an interaction.
func (a *App) became(in *pipeline.Interaction) (api.ActResult, error) {
	var out api.ActResult
	err := a.reader().view(func(snap *state.Snapshot) error {
		numbers := []uint64{0}
		if len(in.Cases) > 0 {
			numbers = numbers[:0]
		}
		for _, id := range in.Cases {
			n, _ := triage.ParseCaseID(id)
			numbers = append(numbers, n)
		}
		for _, n := range numbers {
			lines, err := snap.Audit(n)
			if err != nil {
				return err
			}
			for _, l := range lines {
				if l.Cause != in.ID {
					continue
				}
				text := l.Text
				if n != 0 {
					text = triage.CaseID(n) + ": " + text
				}
				out.Lines = append(out.Lines, api.StoryLine{Time: l.Time, Kind: l.Kind, Text: text, By: l.By})
				out.Refused = out.Refused || l.Kind == "refused"
			}
		}
		return nil
	})
	return out, err
}
