package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline/expr"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Check builds everything that a configuration asks for, short of connecting.
func Check(cfg *config.Config) error {
	_, err := checked(cfg)
	return err
}

func checked(cfg *config.Config) (*Graph, error) {
	set, err := all.Set()
	if err != nil {
		return nil, err
	}
	return Build(cfg, Outside{Set: set, Log: slog.New(slog.DiscardHandler), Now: time.Now})
}

// Warnings are what is legal in a configuration but most likely not meant.
func Warnings(cfg *config.Config) config.Warnings {
	out := slices.Clone(cfg.Warnings())
	g, err := checked(cfg)
	if err != nil {
		return out
	}
	for _, w := range g.Tree.Warnings() {
		var at *expr.PathError
		if errors.As(w, &at) {
			out = append(out, cfg.ErrorAt(at.Path, 0, 0, "%s", at.Err))
		}
	}
	return append(out, g.feedWarnings(context.Background())...)
}

// Lost names the sources and sinks that state knows and a configuration does
// not, with their open tickets, one line each. Without a state there are none; while a daemon holds it the error is ErrRunning.
func Lost(cfg *config.Config) (_ []string, err error) {
	path := filepath.Join(DataDir(cfg), stateFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	store, err := state.Open(path, state.Options{ReadOnly: true})
	if errors.Is(err, state.ErrLocked) {
		return nil, fmt.Errorf("%w (%s)", ErrRunning, path)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return lostIn(store, cfg)
}

func lostIn(store *state.Store, cfg *config.Config) ([]string, error) {
	marks, err := store.Watermarks()
	if err != nil {
		return nil, err
	}
	var sources []string
	for _, w := range marks {
		if !isSinkMark(w.Name) {
			sources = append(sources, w.Name)
		}
	}
	open := map[string]int{}
	snap, err := store.View()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	err = snap.EachCase(1, func(c *triage.Case) bool {
		for _, sink := range c.TicketSinks() {
			if e := c.Entries[sink]; e.IsOpen {
				open[sink]++
			} else {
				open[sink] += 0
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range cfg.Missing(sources, slices.Sorted(maps.Keys(open))).Lost {
		line := fmt.Sprintf("%s %s is known to state and not to the configuration", l.Kind, l.Name)
		if l.Kind == "sink" {
			line += fmt.Sprintf("; it has %d open tickets", open[l.Name])
		}
		out = append(out, line+fmt.Sprintf(": say `formerly: [%s]` on its successor, or keep it with `retired: true`", l.Name))
	}
	return out, nil
}
