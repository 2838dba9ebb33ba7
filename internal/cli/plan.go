package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline/plan"
)

// planFlags are the flags of plan.
type planFlags struct {
	output
	out      string
	exitcode bool
}

func (p *program) planCommand() *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use: "plan", Short: "Show what would happen, and change nothing",
		Long: `Plan reads every source, compares with what is known, and prints for each case what would
happen and why. It changes nothing anywhere. --out saves the plan for docket apply.

  docket plan
  docket plan --out plan.json && docket apply plan.json`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			if f.out != "" { // a plan of a company takes minutes: say at once that it cannot be kept
				if dir := filepath.Dir(f.out); !isDir(dir) {
					return misuse(c, "--out %s: there is no folder %s", f.out, dir)
				}
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error { return p.plan(ctx, svc, &f) })
		},
	}
	c.Flags().StringVar(&f.out, "out", "", "save the plan to this file (only you can read it)")
	c.Flags().BoolVar(&f.exitcode, "detailed-exitcode", false, "exit with 3 when there is something to do")
	f.output.flag(c)
	return c
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (p *program) plan(ctx context.Context, svc api.Service, f *planFlags) error {
	if p.loaded != nil {
		if err := p.warn(p.loaded); err != nil {
			return err
		}
	}
	tell, end := p.progress()
	got, err := svc.Plan(ctx, tell)
	end()
	if err != nil {
		return fmt.Errorf("no plan, because not everything could be read: %w", err)
	}
	if err := p.show(f.output, got, func(pg *page) { drawPlan(pg, &got, f.out) }); err != nil {
		return err
	}
	if f.out != "" {
		if err := writePlan(f.out, &got); err != nil {
			return err
		}
	}
	if f.exitcode && len(got.Actions) > 0 {
		return &quietError{errToDo}
	}
	return nil
}

// writePlan stores a plan whole or not at all, for its owner only: it names resources and what is wrong with them.
func writePlan(path string, pl *api.Plan) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("saving the plan: %w", err), os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(writeJSON(f, pl), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// mostPlan bounds the size of a saved plan that is read.
const mostPlan = 1 << 30

// readPlan reads a saved plan strictly: a file that holds anything else is refused.
func readPlan(c *cobra.Command, path string) (api.Plan, error) {
	var out api.Plan
	f, err := os.Open(path)
	if err != nil {
		return out, fmt.Errorf("reading the plan: %w: `docket plan --out %s` makes one", err, path)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostPlan))
	if err != nil {
		return out, fmt.Errorf("reading the plan: %w", err)
	}
	// The version comes first, so that a newer file is not called broken.
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return out, misuse(c, "%s is no plan: %s", path, err)
	}
	if head.Version != plan.Version {
		return out, misuse(c, "%s is a plan of version %d, this docket makes version %d: make a new one with `docket plan --out %s`", path, head.Version, plan.Version, path)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return out, misuse(c, "%s is no plan: %s", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return out, misuse(c, "%s is no plan: something stands behind it", path)
	}
	return out, nil
}

// applyFlags are the flags of apply.
type applyFlags struct {
	output
	strict bool
}

func (p *program) applyCommand() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{
		Use: "apply FILE", Short: "Carry out exactly what a plan shows",
		Long: `Apply makes exactly the actions of a saved plan. It reads the sources again first; when an
action would be different now it stops before the first write and names it. What only
came in addition waits for the next plan. Interrupted, run it again: it finishes.

  docket plan --out plan.json
  docket apply plan.json`,
		Args: arguments(1, 1, "the file that `docket plan --out FILE` wrote"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			saved, err := readPlan(c, args[0])
			if err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error { return p.apply(ctx, svc, &saved, &f) })
		},
	}
	c.Flags().BoolVar(&f.strict, "strict", false, "stop, too, when something came in addition to the plan")
	f.output.flag(c)
	return c
}

func (p *program) apply(ctx context.Context, svc api.Service, saved *api.Plan, f *applyFlags) error {
	tell, end := p.progress()
	got, err := svc.Apply(ctx, *saved, f.strict, tell)
	end()
	if err != nil {
		return err
	}
	if err := p.show(f.output, got, func(pg *page) { drawApplied(pg, &got) }); err != nil {
		return err
	}
	return summaryError(&got.Summary)
}

func drawApplied(pg *page, a *api.Applied) {
	pg.line("%s planned, %s done before", count(a.Planned, "action"), fmt.Sprint(a.Already))
	drawSummary(pg, &a.Summary)
	if a.Later > 0 {
		pg.line("%s that came in addition to the plan: `docket plan` shows what they would do", cell{count(a.Later, "finding") + " wait", yellow})
	}
}
