package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// runFlags are the flags of run.
type runFlags struct {
	output
	once  bool
	wait  string
	pprof bool
}

func (p *program) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use: "run", Short: "Run the daemon, or everything once",
		Long: `Run is the daemon: it polls the sources, decides, delivers and serves HTTP. SIGHUP reloads
the configuration, SIGTERM stops within 20 seconds and loses nothing.

With --once it polls every source once, carries everything through, prints a summary
and exits: 0 when only for, limits or the brake hold something, else 1. A second run
over the same input creates nothing.

  docket run
  docket run --once --wait 2m`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			if !f.once {
				for _, name := range []string{"wait", "output"} {
					if c.Flags().Changed(name) {
						return misuse(c, "--%s goes with --once only", name)
					}
				}
				return p.runDaemon(c, &f)
			}
			if f.pprof {
				return misuse(c, "--pprof goes with the daemon only, not with --once")
			}
			wait, err := config.ParseDuration(f.wait)
			if err != nil || wait < 0 {
				return misuse(c, "--wait %s: write a number and a unit, such as 30s or 5m", f.wait)
			}
			return p.runOnce(c, &f, wait)
		},
	}
	c.Flags().BoolVar(&f.once, "once", false, "poll every source once, carry everything through, print a summary, exit")
	c.Flags().StringVar(&f.wait, "wait", "5m", "with --once: how long to wait for what can be done later")
	c.Flags().BoolVar(&f.pprof, "pprof", false, "serve profiles under /debug/pprof/")
	f.output.flag(c)
	return c
}

func (p *program) runDaemon(c *cobra.Command, f *runFlags) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	o, err := p.runOptions(c, slog.LevelInfo)
	if err != nil {
		return err
	}
	if err := p.warn(cfg); err != nil {
		return err
	}
	reload, stop := reloads(c.Context())
	defer stop()
	o.Pprof, o.Reload = f.pprof, reload
	return p.daemon(c.Context(), cfg, o)
}

// reloads delivers a value for each SIGHUP; those that come while one waits are one.
func reloads(ctx context.Context) (<-chan struct{}, func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	out := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case <-hup:
			case <-ctx.Done():
				return
			}
			select {
			case out <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, func() {
		signal.Stop(hup)
		cancel()
	}
}

func (p *program) runOnce(c *cobra.Command, f *runFlags, wait time.Duration) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	o, err := p.runOptions(c, slog.LevelWarn)
	if err != nil {
		return err
	}
	if err := p.warn(cfg); err != nil {
		return err
	}
	tell, end := p.progress()
	sum, err := p.once(c.Context(), cfg, o, wait, tell)
	end()
	if err != nil && len(sum.Sources) == 0 {
		return busy(err)
	}
	if shown := p.show(f.output, sum, func(pg *page) { drawSummary(pg, &sum) }); shown != nil {
		return shown
	}
	if err != nil {
		return err
	}
	return summaryError(&sum)
}

// warn shows what is odd in a configuration.
func (p *program) warn(cfg *config.Config) error {
	return p.warnings(cfg).Render(safeWriter{p.err})
}

// summaryError is what a run failed at; nil when only for, limits or the brake hold something.
func summaryError(s *api.Summary) error {
	switch {
	case s.Failures > 0:
		return fmt.Errorf("%s: `docket sinks list` and `docket cases list --state dead,parked,gone` show them", count(s.Failures, "failure"))
	case s.Left > 0:
		return fmt.Errorf("%s could not be carried out in time: run it again, or with a longer --wait", count(s.Left, "action"))
	}
	return nil
}

// drawSummary writes what a run did.
func drawSummary(pg *page, s *api.Summary) {
	t := newTable("", "")
	t.row("findings read", s.Read)
	for _, r := range []struct {
		name  string
		n     int
		shown bool
	}{
		{"  new", s.New, true}, {"  changed", s.Changed, true}, {"  unchanged", s.Unchanged, true},
		{"  resolved", s.Resolved, true}, {"  older than known", s.Older, s.Older > 0}, {"  rejected", s.Rejected, s.Rejected > 0},
		{"cases opened", s.Opened, true}, {"cases updated", s.Updated, true}, {"cases closed", s.Closed, true},
		{"tickets created", s.TicketsCreated, true}, {"tickets updated", s.TicketsUpdated, true},
		{"tickets closed", s.TicketsClosed, true}, {"not done in time", s.Left, s.Left > 0},
	} {
		if r.shown {
			t.row(r.name, r.n)
		}
	}
	failures := cell{text: fmt.Sprint(s.Failures)}
	if s.Failures > 0 {
		failures.colour = red
	}
	t.row("failures", failures)
	t.row("took", s.Duration.Round(time.Millisecond).String())
	pg.table(t)
	drawWaiting(pg, s.Waiting)
	for i := range s.Sources {
		src := &s.Sources[i]
		if src.LastError != "" {
			pg.line("%s source %s: %s", cell{"failed:", red}, src.Name, src.LastError)
		}
		drawGaps(pg, src.Name, src.Gaps)
		for _, n := range src.Notes {
			pg.line("%s: %s", src.Name, n)
		}
	}
	drawRejected(pg, s.Rejects, s.Rejected)
}

func drawWaiting(pg *page, rows []api.Waiting) {
	for _, w := range rows {
		pg.line("%s %s: %s", cell{"waiting:", yellow}, count(w.Cases, "case"), waitLong(w.Reason))
	}
}

// namedRejects is how many rejected records are named one by one.
const namedRejects = 20

// drawRejected names rejected records; total may be more than there are rows.
func drawRejected(pg *page, rows []pipeline.Reject, total int) {
	total = max(total, len(rows))
	rows = rows[:min(len(rows), namedRejects)]
	for i := range rows {
		pg.line("%s %s: %s", cell{"rejected:", yellow}, rejectPlace(&rows[i]), reasonOf(&rows[i]))
	}
	if more := total - len(rows); more > 0 && len(rows) > 0 {
		pg.line("%s and %s more: `docket rejects list` shows them", cell{"rejected:", yellow}, fmt.Sprint(more))
	}
}
