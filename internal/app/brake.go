package app

import (
	"context"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// startBrake reads the brake before the first claim is taken: from state, and from what
// waits on the stream. Until that was applied no write starts.
func (a *App) startBrake(ctx context.Context, meta triage.Meta) error {
	a.brakeOn.Store(meta.Brake.On)
	last, err := a.stream.InputsLastSeq(ctx)
	if err != nil {
		return err
	}
	if meta.Inputs >= last {
		a.brakeKnown.Store(true)
		return nil
	}
	a.background("brake", func(ctx context.Context) error {
		if err := a.loop.applied(ctx, last); err != nil {
			return err
		}
		a.brakeKnown.Store(true)
		return nil
	})
	return nil
}

// braked reports whether no outside write may start.
func (a *App) braked() bool { return a.o.HoldSinks || a.brakeOn.Load() || !a.brakeKnown.Load() }

// pulled makes the brake work at once: what was asked is durable by now, and triage may be busy. When
// it says that it did, brakeAsDecided follows once triage has applied it.
func (a *App) pulled(in *pipeline.Interaction) bool {
	if in.Verb == pipeline.VerbBrakeOn {
		a.brakeOn.Store(true)
	}
	return in.Verb == pipeline.VerbBrakeOn
}

// brakeAsDecided makes the brake what state says. Triage does so itself when it changes the brake; but what
// was pulled may change nothing, where it was asked for twice, or taken back at once.
func (a *App) brakeAsDecided() {
	a.brakeMu.Lock()
	defer a.brakeMu.Unlock()
	snap, err := a.store.View()
	if err != nil {
		a.o.Log.Error("reading the brake", "err", err)
		return
	}
	defer snap.Close()
	a.brakeOn.Store(snap.Meta().Brake.On)
}

// brakeVerb reports whether an interaction is about the brake and names no case.
func brakeVerb(v pipeline.Verb) bool {
	return v == pipeline.VerbBrakeOn || v == pipeline.VerbBrakeOff
}

// Brake implements api.Service.
func (a *App) Brake(ctx context.Context) (api.BrakeStatus, error) {
	out, err := a.reader().Brake(ctx)
	if err == nil {
		out.Sinks, err = a.Sinks(ctx)
	}
	return out, err
}

// Brake implements api.Service from state alone.
func (r *reader) Brake(ctx context.Context) (api.BrakeStatus, error) {
	var out api.BrakeStatus
	err := r.view(func(snap *state.Snapshot) error {
		b := snap.Meta().Brake
		out.On, out.By, out.Since, out.Text = b.On, b.By, b.Since, b.Text
		return nil
	})
	if err != nil {
		return out, err
	}
	out.Sinks, err = r.Sinks(ctx)
	return out, err
}
