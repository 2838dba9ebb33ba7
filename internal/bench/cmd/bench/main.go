// Command bench measures docket and writes the results into a document:
//
//	go run ./internal/bench/cmd/bench -size smoke|standard|growth -out docs/performance.md
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/docket-hub/docket/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var (
		size   = flags.String("size", "smoke", "smoke (10,000 findings), standard (100,000), or growth (standard's part with 1,000,000 known)")
		seed   = flags.Uint64("seed", 20260101, "seed of the load")
		known  = flags.Int("known", -1, "findings known before growth is measured; 0: not measured (smoke 20,000, standard 1,000,000)")
		rounds = flags.Int("rounds", 0, "interleaved repetitions (smoke 1 or 2, standard 3 or 5)")
		out    = flags.String("out", "", "document in which the tables of the measured parts are replaced")
		dir    = flags.String("dir", ".", "folder on the disk to be measured; the scratch folder made in it is removed again")
		count  = flags.Int("findings", 0, "findings of a load (smoke 10,000, standard 100,000)")
		prof   = flags.String("profile", "", "file for a CPU profile of the load of repeats; with the suffix .tickets, one of a backlog")
		only   = flags.String("only", "", "measure one part alone: intake, growth, delivery or alertmanager")
		check  = flags.Bool("check", false, "fail when a target is missed")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	plan, err := bench.Size(*size)
	if err != nil {
		return err
	}
	plan.Seed, plan.Profile = *seed, *prof
	if *known >= 0 {
		plan.Known = *known
	}
	if *count > 0 {
		plan.Findings = *count
	}
	if *rounds > 0 {
		plan.Repetitions, plan.Grown, plan.Deliveries, plan.Compared = *rounds, *rounds, *rounds, *rounds
	}
	if *only != "" {
		if plan, err = plan.Only(*only); err != nil {
			return err
		}
	}
	if plan.Dir, err = os.MkdirTemp(*dir, ".docket-bench-*"); err != nil {
		return err
	}
	defer func() {
		if e := os.RemoveAll(plan.Dir); err == nil {
			err = e
		}
	}()
	plan.Progress = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	if plan.Binary, err = bench.Build(ctx, ".", plan.Dir); err != nil {
		return err
	}
	results, err := plan.Run(ctx)
	if err != nil {
		return err
	}
	blocks := results.Blocks("go run ./internal/bench/cmd/bench " + strings.Join(args, " "))
	for _, b := range blocks {
		fmt.Println(b.Text)
	}
	if *out != "" {
		if err := bench.Write(*out, blocks); err != nil {
			return err
		}
	}
	if *check {
		return results.Check()
	}
	return nil
}
