package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/mask"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
	"github.com/docket-hub/docket/pipeline/triage"
)

// migrateChunk is how many findings one transaction takes over into another equivalence map.
const migrateChunk = 500

// equivalence is the map that a graph identifies by: this binary's own unless tests give another.
func (o *Outside) equivalence() *identity.Map {
	if o.Map != nil {
		return o.Map
	}
	return identity.Embedded()
}

// identify is triage.Rules.Identify. What was masked before it was stored does not tell any more what its source will
// report next.
func (g *Graph) identify(r *pipeline.Report, print pipeline.Fingerprint) (pipeline.Fingerprint, bool) {
	words := []string{r.ID, r.Generator, r.Control, r.Account.ID, r.Region, r.Resource.ID, r.Resource.Name, r.Resource.Original}
	if slices.ContainsFunc(append(words, r.Names...), mask.Masked) {
		return print, false
	}
	return g.equiv.Again(r, print)
}

// sameMap keeps the fingerprint that an item came with, unless its record says on its own that another
// equivalence map gave it: it was on its way while this one came into force.
func (g *Graph) sameMap(source string, it *pipeline.Item, rep *pipeline.Report) {
	if rep.Print == it.Print {
		return
	}
	byMap := rep.Kind == "" || rep.Kind == pipeline.KindControl
	if !byMap || g.Source(source) == nil || mask.Masked(string(it.Data)) {
		rep.Print = it.Print
	}
}

// migrate takes state over into the map in force before anything else is decided: what comes meanwhile waits
// in the stream. It is done a transaction at a time, and goes on where a former process stopped.
func (l *loop) migrate(ctx context.Context) error {
	snap, err := l.store.View()
	if err != nil {
		return err
	}
	meta := snap.Meta()
	snap.Close()
	to := l.app.Graph().Rules.Map
	if meta.Map == to && meta.Migration == (triage.Migration{}) {
		return nil
	}
	if meta.NextSeq > 1 {
		l.log.Info("taking state over into another equivalence map", "from", meta.Map, "to", to, "findings", meta.NextSeq-1)
	}
	before := l.summary()
	if err := l.commit([]triage.Input{{Time: l.app.now(), Map: &triage.MapChange{Version: to}}}); err != nil {
		return err
	}
	failpoint.Hit("map/begun")
	for l.migrating && ctx.Err() == nil {
		if err := l.commit([]triage.Input{{Time: l.app.now(), Migrate: migrateChunk}}); err != nil {
			return fmt.Errorf("taking state over into the equivalence map %s: %w", to, err)
		}
		failpoint.Hit("map/step")
	}
	if s := l.summary(); meta.NextSeq > 1 && !l.migrating {
		l.log.Info("state is under the equivalence map", "map", to, "identified", s.Identified-before.Identified, "merged", s.Merged-before.Merged,
			"split", s.Split-before.Split, "cases_merged", s.CasesMerged-before.CasesMerged, "unidentified", s.Unidentified-before.Unidentified)
	}
	return nil
}
