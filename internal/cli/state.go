package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/app"
)

func (p *program) stateCommand() *cobra.Command {
	return group("state", "Back the state up, restore, check, export and compact it",
		"The state is what docket knows, in data_dir.\n\n  docket state backup docket.tar\n  docket state verify",
		p.stateVerify(), p.stateBackup(), p.stateRestore(), p.stateExport(), p.stateCompact())
}

func (p *program) stateVerify() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "verify", Short: "Check that the state is whole",
		Long: `Verify reads the whole state, compares it with the streams and names every
contradiction. It exits with 1 when there is one.

  docket state verify`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				v, err := svc.Verify(ctx)
				if err != nil {
					return err
				}
				if v.Problems == nil {
					v.Problems = []string{}
				}
				err = p.show(o, v, func(pg *page) { drawVerification(pg, v) })
				if err == nil && len(v.Problems) > 0 {
					err = fmt.Errorf("the state has %s: stop docket and `docket state restore` a backup, or ask with this list", count(len(v.Problems), "problem"))
				}
				return err
			})
		},
	}
	o.flag(c)
	return c
}

func drawVerification(pg *page, v api.Verification) {
	for _, line := range v.Problems {
		pg.line("%s", line)
	}
	if len(v.Problems) == 0 {
		pg.line("%s", "the state is whole")
		pg.line("%s, %s, %s on their way, %s kept, %s", count(v.Findings, "finding"), count(v.Cases, "case"),
			count(v.Outbox, "action"), count(v.Rejects, "reject"), bytesOf(v.Bytes))
	}
	for _, s := range v.Streams {
		holds := "nothing"
		if s.First <= s.Last && s.Last > 0 {
			holds = fmt.Sprintf("%d to %d", s.First, s.Last)
		}
		pg.line("stream %s: read up to %d, holds %s", s.Stream, s.Position, holds)
	}
	for _, line := range v.Notes {
		pg.line("%s", line)
	}
}

func (p *program) stateBackup() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "backup FILE|-", Short: "Write one moment of the state to a file",
		Long: `Backup writes the state as it is at one moment, through the daemon while one runs
(a token of role admin in $DOCKET_TOKEN), else from the file itself. It interrupts
nothing. The file (mode 0600) appears when it is whole and was checked; - writes to
standard output. It holds the state, the installation's name and the position in the
stream, as a tar archive; not the stream, the claims and the configuration.

  docket state backup docket-2026-11-23.tar
  docket state backup - | zstd > docket.tar.zst`,
		Args: arguments(1, 1, "FILE, or - for standard output"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				b, err := p.backup(ctx, svc, args[0], force)
				if err != nil {
					return err
				}
				// With - the standard output is the backup.
				fmt.Fprintf(p.err, "%s of %s, position %d in the stream of findings, installation %s\n", bytesOf(b.Bytes), b.MadeAt.Format(time.RFC3339), b.Findings, clean(b.Installation))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace FILE when it is there")
	return c
}

// backup writes a backup to a file, or to standard output.
func (p *program) backup(ctx context.Context, svc api.Service, to string, force bool) (api.Backup, error) {
	progress, end := p.progress()
	defer end()
	open := func(w io.Writer) func(api.Backup) (io.Writer, error) {
		return func(b api.Backup) (io.Writer, error) {
			return &counted{w: w, total: b.Bytes, tell: progress}, nil
		}
	}
	if to == "-" {
		if p.outTTY {
			return api.Backup{}, errors.New("standard output is a terminal: name a file, or send it on with a pipe")
		}
		return svc.Backup(ctx, open(p.out))
	}
	var b api.Backup
	err := app.WriteFile(to, force, func(f *os.File) (err error) {
		if b, err = svc.Backup(ctx, open(f)); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		progress("checking", 0, 0)
		return app.CheckBackup(bufio.NewReaderSize(f, 1<<20))
	})
	return b, there(err, to)
}

// there says what to do where a file is in the way.
func there(err error, file string) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name another file, or replace it with --force", file)
	}
	return err
}

// counted tells how much was written, in MiB.
type counted struct {
	w     io.Writer
	total int64
	n     int64
	tell  api.Progress
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.tell("MiB written:", int(c.n>>20), int(c.total>>20))
	return n, err
}

func (p *program) stateRestore() *cobra.Command {
	var q app.RestoreRequest
	var o output
	c := &cobra.Command{
		Use: "restore FILE|-", Short: "Put the state of a backup in place",
		Long: `Restore checks a backup and puts its state in the place of the present one, which
stays beside it under a dated name. Stop docket first. When it starts again it takes in
from the stream what came after the backup, and looks every ticket up by its key before
it makes one. What people did by command since the backup is gone.

It stops, and changes nothing, where the stream does not hold all that was taken in
since (stream.keep): --accept-loss goes on without it.

  docket state restore docket-2026-11-23.tar --check
  docket state restore docket-2026-11-23.tar`,
		Args: arguments(1, 1, "FILE, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.restoreFrom(c, args[0], q, o)
		},
	}
	c.Flags().BoolVar(&q.AcceptLoss, "accept-loss", false, "go on although findings are missing from the stream")
	c.Flags().BoolVar(&q.DryRun, "check", false, "only check the backup and say what would be")
	o.flag(c)
	return c
}

func (p *program) restoreFrom(c *cobra.Command, file string, q app.RestoreRequest, o output) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	opts, err := p.runOptions(c, slog.LevelWarn)
	if err != nil {
		return err
	}
	from := p.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		from = f
	}
	progress, end := p.progress()
	r, err := p.restore(c.Context(), cfg, opts, bufio.NewReaderSize(from, 1<<20), q, progress)
	end()
	if errors.Is(err, app.ErrLoss) {
		return fmt.Errorf("%w; go on without them with --accept-loss", err)
	}
	if err != nil {
		return stopFirst(err)
	}
	return p.show(o, r, func(pg *page) { drawRestore(pg, r, q.DryRun) })
}

func drawRestore(pg *page, r api.Restore, check bool) {
	verb := "restored"
	if check {
		verb = "the backup is whole:"
	}
	pg.line("%s %s and %s as of %s, made by docket %s, installation %s", verb, count(r.Known, "finding"), count(r.Cases, "case"),
		r.MadeAt.Format(time.RFC3339), clean(r.Docket), clean(r.Installation))
	if r.Kept != "" && !check {
		pg.line("the state before lies in %s", r.Kept)
	}
	if r.Lost != "" {
		pg.line("missing: %s", r.Lost)
	}
	pg.line("%s in the stream to take in again; tickets are looked for by their keys before new ones are made", count(int(r.Replay), "message"))
	if !check {
		pg.line("%s", "start docket, then compare with the trackers: docket reconcile")
	}
}

func (p *program) stateExport() *cobra.Command {
	var to string
	var force bool
	c := &cobra.Command{
		Use: "export", Short: "Write the state as lines of JSON",
		Long: `Export writes everything in the state as NDJSON: a line a record, each with its kind. The
first line is the header, the last ("end") counts the kinds; docs/operations.md describes
them. It reads one moment and interrupts nothing.

  docket state export -o state.ndjson
  docket state export | jq -c 'select(.kind == "case")'`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				if to == "" || to == "-" {
					return svc.Export(ctx, p.out)
				}
				return there(app.WriteFile(to, force, func(f *os.File) error { return svc.Export(ctx, f) }), to)
			})
		},
	}
	c.Flags().StringVarP(&to, "output", "o", "", "write to this file (mode 0600) instead of standard output")
	c.Flags().BoolVar(&force, "force", false, "replace the file when it is there")
	return c
}

func (p *program) stateCompact() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "compact", Short: "Give the state file's free space back to the disk",
		Long: `Compact writes the state file anew without its free pages, checks the copy and puts it in
the file's place. Stop docket first; the disk needs room for both meanwhile. Free pages
are used again by themselves: it is worth while after much was deleted.

  docket state compact`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			cfg, err := p.config()
			if err != nil {
				return err
			}
			r, err := p.compact(cfg)
			if err != nil {
				return stopFirst(err)
			}
			return p.show(o, r, func(pg *page) { pg.line("the state file had %s, and has %s", bytesOf(r.Before), bytesOf(r.After)) })
		},
	}
	o.flag(c)
	return c
}

// bytesOf is a size for people.
func bytesOf(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return count(int(n), "byte")
}
