package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline/triage"
)

func positionOf(m triage.Meta, r state.Restored) state.Position {
	return state.Position{Findings: m.Findings, Inputs: m.Inputs, NextCase: m.NextCase, Restored: r.ID}
}

// stateLost reports whether a data folder had a state that is not there any more:
// its installation id is made after the state file.
func stateLost(dir string) bool {
	_, id := os.Stat(filepath.Join(dir, "installation"))
	_, db := os.Stat(filepath.Join(dir, stateFile))
	return id == nil && errors.Is(db, fs.ErrNotExist)
}

// lineUp compares the claims with the state. They are ahead of it when an older copy of the
// state was put back, or the state was lost: it will number its cases and actions anew, and what the
// claims and the stream say of these numbers is about others. From then on a ticket is looked for before it is made.
func (a *App) lineUp(ctx context.Context, pos state.Position) error {
	behind, err := a.claims.Behind(pos)
	if err != nil {
		return err
	}
	if behind || a.lookFirst {
		a.o.Log.Warn("the state is older than what was delivered since: it was put back to a copy, or lost; tickets are looked for by their keys before new ones are made",
			"component", "state")
		snap, err := a.store.View()
		if err != nil {
			return err
		}
		var entries []state.ClaimEntry
		err = snap.EachCase(1, claimEntries(&entries))
		snap.Close()
		if err != nil {
			return err
		}
		if err := a.stream.DropActions(ctx); err != nil {
			return err
		}
		if err := a.claims.PutBack(entries, pos); err != nil {
			return err
		}
	} else if err := a.claims.Note(pos); err != nil {
		return err
	}
	a.epoch, err = a.claims.WasPutBack()
	if a.epoch != "" {
		a.lookFirst, a.epoch = true, "/"+a.epoch
	}
	return err
}

// noteEnd notes how far the state came, so that a copy from before is known when it is put back.
func (a *App) noteEnd() error {
	if a.claims.Fresh() {
		return nil
	}
	snap, err := a.store.View()
	if err != nil {
		return err
	}
	defer snap.Close()
	restored, err := snap.Restored()
	if err != nil {
		return err
	}
	return a.claims.Note(positionOf(snap.Meta(), restored))
}
