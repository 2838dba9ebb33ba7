// Command bench measures docket and writes the results into a document:
//
//	go run ./internal/bench/cmd/bench -size smoke|standard -out docs/performance.md
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
		size   = flags.String("size", "smoke", "smoke (10,000 findings) or standard (100,000)")
		seed   = flags.Uint64("seed", 20260101, "seed of the load")
		known  = flags.Int("known", -1, "findings known before growth is measured; 0: not measured (smoke 50,000, standard 1,000,000)")
		rounds = flags.Int("rounds", 0, "interleaved repetitions (smoke 2, standard 5)")
		out    = flags.String("out", "", "document whose table is replaced")
		dir    = flags.String("dir", ".", "folder on the disk to be measured; the scratch folder made in it is removed again")
		count  = flags.Int("findings", 0, "findings of a load (smoke 10,000, standard 100,000)")
		prof   = flags.String("profile", "", "file for a CPU profile of the load of repeats; with the suffix .tickets, one of a backlog")
		only   = flags.String("only", "", "measure intake or delivery alone")
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
		plan.Repetitions, plan.Deliveries = *rounds, *rounds
	}
	switch *only {
	case "":
	case "intake":
		plan.Tickets = 0
	case "delivery":
		plan.Repetitions, plan.Known = 0, 0
	default:
		return fmt.Errorf("-only %q: use intake or delivery", *only)
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
	text := results.Markdown("go run ./internal/bench/cmd/bench " + strings.Join(args, " "))
	fmt.Print(text)
	if *out != "" {
		if err := bench.Write(*out, text); err != nil {
			return err
		}
	}
	if *check {
		return results.Check()
	}
	return nil
}
