package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/internal/stream"
)

// ErrLoss says that what docket took in since a backup is not all in the stream any more.
var ErrLoss = errors.New("findings would be missing")

// clockSlack is how far apart two clocks of one machine may be over time.
const clockSlack = 5 * time.Minute

// Backup implements api.Service.
func (a *App) Backup(ctx context.Context, open func(api.Backup) (io.Writer, error)) (api.Backup, error) {
	return a.reader().backup(ctx, a.info(), open)
}

// Export implements api.Service.
func (a *App) Export(ctx context.Context, w io.Writer) error {
	return a.reader().export(ctx, a.info(), w)
}

// Verify implements api.Service.
func (a *App) Verify(ctx context.Context) (api.Verification, error) {
	return a.reader().verifyLive(func() (stream.Held, error) { return a.held(ctx) })
}

// verifyLive checks the state, and compares it with streams that triage goes on to read meanwhile.
func (r *reader) verifyLive(look func() (stream.Held, error)) (api.Verification, error) {
	out, err := r.check()
	if err != nil || len(out.Problems) > 0 {
		return out, err
	}
	// What triage has applied was in the stream before, and is freed after: so the first message is that of a look
	// before the position is read, and the last that of a look after it.
	before, first := look()
	at, restored, err := r.standing()
	if err != nil {
		return out, err
	}
	held, last := look()
	held.Findings.First, held.Inputs.First = before.Findings.First, before.Inputs.First
	compare(&out, at, restored, held, errors.Join(first, last))
	return out, nil
}

// held is what the streams hold now.
func (a *App) held(ctx context.Context) (stream.Held, error) {
	st, err := a.stream.Stats(ctx)
	return stream.Held{Findings: st.Findings, Inputs: st.Inputs}, err
}

func (a *App) info() state.BackupInfo {
	return state.BackupInfo{Installation: a.Graph().Rules.Installation, Docket: a.o.Version, MadeAt: a.now()}
}

func (f *offline) info() state.BackupInfo {
	return state.BackupInfo{Installation: InstallationOf(f.cfg), Docket: f.o.Version, MadeAt: f.now()}
}

func (f *offline) Backup(ctx context.Context, open func(api.Backup) (io.Writer, error)) (api.Backup, error) {
	return one(f.known, func(r *reader) (api.Backup, error) { return r.backup(ctx, f.info(), open) })
}

func (f *offline) Export(ctx context.Context, w io.Writer) error {
	return f.known(func(r *reader) error { return r.export(ctx, f.info(), w) })
}

func (f *offline) Verify(ctx context.Context) (api.Verification, error) {
	return one(f.known, func(r *reader) (api.Verification, error) {
		out, err := r.check()
		if err != nil || len(out.Problems) > 0 {
			return out, err
		}
		at, restored, err := r.standing()
		if err != nil {
			return out, err
		}
		held, err := inspect(ctx, f.cfg, at, f.o.Log)
		warnOfRoot(DataDir(f.cfg), f.o.Log)
		compare(&out, at, restored, held, err)
		return out, nil
	})
}

// inspect looks at the stream of a data folder that no docket has open.
func inspect(ctx context.Context, cfg *config.Config, pos state.Position, log *slog.Logger) (held stream.Held, err error) {
	path := filepath.Join(DataDir(cfg), claimsFile)
	if _, err := os.Stat(path); err == nil {
		// The lock of the claims keeps a second look away: two servers on one folder would damage it.
		claims, err := state.OpenClaims(path)
		if err != nil {
			return held, err
		}
		defer func() { err = errors.Join(err, claims.Close()) }()
	}
	o := streamOptions(cfg, pos)
	o.Log = log
	return stream.Inspect(ctx, o)
}

// streamOptions are the options of a configuration's stream for a state at a position.
func streamOptions(cfg *config.Config, pos state.Position) stream.Options {
	so := stream.Options{
		Dir: filepath.Join(DataDir(cfg), streamDir), Keep: cfg.Stream.Keep, MaxBytes: int64(cfg.Stream.MaxBytes),
		FindingsPosition: pos.Findings, InputsPosition: pos.Inputs,
	}
	if cfg.NATS != nil {
		so.URL, so.Creds, so.Replicas = cfg.NATS.URL, cfg.NATS.Creds.Reveal(), cfg.NATS.Replicas
	}
	return so
}

func (r *reader) backup(ctx context.Context, info state.BackupInfo, open func(api.Backup) (io.Writer, error)) (out api.Backup, err error) {
	_, err = r.store.Backup(info, func(info state.BackupInfo, size int64) (io.Writer, error) {
		out = backupOf(info)
		out.Bytes = size
		w, err := open(out)
		if err != nil {
			return nil, err
		}
		return &until{ctx, w.Write}, nil
	})
	return out, err
}

func backupOf(info state.BackupInfo) api.Backup {
	return api.Backup{
		Installation: info.Installation, Docket: info.Docket, Schema: info.Schema, MadeAt: info.MadeAt,
		Findings: info.Findings, Inputs: info.Inputs,
	}
}

func (r *reader) export(ctx context.Context, info state.BackupInfo, w io.Writer) error {
	return r.view(func(snap *state.Snapshot) error { return snap.Export(ctx, info, w) })
}

// until reads or writes for as long as a context lasts.
type until struct {
	ctx context.Context
	do  func([]byte) (int, error)
}

func (u *until) Read(b []byte) (int, error)  { return u.step(b) }
func (u *until) Write(b []byte) (int, error) { return u.step(b) }

func (u *until) step(b []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.do(b)
}

// check checks and counts what the state holds.
func (r *reader) check() (api.Verification, error) {
	out := api.Verification{Problems: r.store.Check()}
	if len(out.Problems) > 0 {
		return out, nil // counting over damaged pages would not end well
	}
	st, err := r.store.Stats()
	out.Findings, out.Cases, out.Outbox, out.Rejects, out.Bytes = st.Findings, st.Cases, st.Outbox, st.Rejects, st.Bytes
	return out, err
}

// standing is how far the state has come, and its last restore.
func (r *reader) standing() (pos state.Position, restored state.Restored, err error) {
	err = r.view(func(snap *state.Snapshot) error {
		var err error
		restored, err = snap.Restored()
		pos = positionOf(snap.Meta(), restored)
		return err
	})
	return pos, restored, err
}

// compare adds what a look at the streams says of a state at a position; err is why there was none.
func compare(out *api.Verification, pos state.Position, restored state.Restored, held stream.Held, err error) {
	if restored.ID != "" {
		out.Notes = append(out.Notes, fmt.Sprintf("the state was restored at %s from a backup of %s", stamp(restored.At), stamp(restored.MadeAt)))
	}
	if err != nil {
		out.Notes = append(out.Notes, "the stream was not looked at: "+err.Error())
		return
	}
	if held.Missing {
		if pos.Findings > 0 {
			out.Problems = append(out.Problems, fmt.Sprintf("stream findings: it is missing, and state has read it up to %d: it was lost, or state and stream are not of one data folder", pos.Findings))
		}
		return
	}
	findings := api.StreamPosition{Stream: "findings", Position: pos.Findings, First: held.Findings.First, Last: held.Findings.Last}
	inputs := api.StreamPosition{Stream: "inputs", Position: pos.Inputs, First: held.Inputs.First, Last: held.Inputs.Last}
	out.Streams = []api.StreamPosition{findings, inputs}
	if line := contradiction(findings); line != "" {
		out.Problems = append(out.Problems, line) // also after a restore: these findings are missing
	}
	line := contradiction(inputs)
	switch {
	case line == "":
	case inputs.Last >= inputs.Position && inputs.First <= restored.InputsFreed+1:
		out.Notes = append(out.Notes, fmt.Sprintf("stream inputs: messages %d to %d are of the time between the backup and the restore, and were freed once the state before had applied them; "+
			"what became of tickets is looked up, what people did by command is gone", inputs.Position+1, inputs.First-1))
	default:
		out.Problems = append(out.Problems, line)
	}
}

// contradiction is how the position of a state and a stream contradict each other; "" where they do not.
func contradiction(s api.StreamPosition) string {
	switch {
	case s.Last < s.Position:
		return fmt.Sprintf("stream %s: it ends at %d, before the position %d of the state: it was lost or replaced", s.Stream, s.Last, s.Position)
	case s.First > s.Position+1:
		return fmt.Sprintf("stream %s: messages %d to %d were freed before the state has read them: an older copy of the state was put back", s.Stream, s.Position+1, s.First-1)
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// WriteFile makes a file (mode 0600) whole or not at all. Without replace, one that is there is fs.ErrExist.
func WriteFile(path string, replace bool, write func(*os.File) error) error {
	return state.WriteFile(path, replace, write)
}

// CheckBackup reads a backup to its end and says what is wrong with it.
func CheckBackup(r io.Reader) error {
	_, err := state.ReadBackup(r, nil)
	return err
}

// RestoreRequest says how to restore.
type RestoreRequest struct {
	AcceptLoss bool // go on although findings are missing from the stream
	DryRun     bool // only check and tell
}

// Restore puts the state of a backup in the place of the present one, which stays beside it. It is
// refused while a docket runs on the state (ErrRunning), for a backup of another installation, one that
// is damaged or newer, and (ErrLoss, with what is missing in the answer) where the stream does not hold what was taken in since.
func Restore(ctx context.Context, cfg *config.Config, o RunOptions, from io.Reader, q RestoreRequest, p api.Progress) (out api.Restore, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	defer warnOfRoot(DataDir(cfg), o.Log)
	path := filepath.Join(DataDir(cfg), stateFile)
	p("reading and checking the backup", 0, 0)
	x, err := state.Restore(path, &until{ctx, from.Read})
	if errors.Is(err, state.ErrLocked) {
		return out, fmt.Errorf("%w (%s)", ErrRunning, path)
	}
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if err := sameInstallation(cfg, x.Info); err != nil {
		return out, err
	}
	st, err := x.Stats()
	if err != nil {
		return out, err
	}
	out = api.Restore{Backup: backupOf(x.Info), Known: st.Findings, Cases: st.Cases}
	p("looking at the stream", 0, 0)
	held, err := inspect(ctx, cfg, state.Position{Findings: x.Info.Findings, Inputs: x.Info.Inputs}, o.Log)
	if errors.Is(err, state.ErrLocked) {
		return out, fmt.Errorf("%w (%s), and its state file is gone or damaged", ErrRunning, DataDir(cfg))
	}
	if err != nil {
		return out, fmt.Errorf("looking at the stream: %w", err)
	}
	on := readingOf(x.Info, held)
	out.Replay, out.Lost = on.replay, on.lost
	if out.Lost != "" && !q.AcceptLoss {
		return out, fmt.Errorf("%w: %s; nothing was changed", ErrLoss, out.Lost)
	}
	if q.DryRun {
		return out, nil
	}
	// The id first: a state without it would make every ticket again.
	if _, err := state.Installation(DataDir(cfg), x.Info.Installation); err != nil {
		return out, err
	}
	if on.anew {
		if err := x.ReadFrom(max(held.Findings.First, 1)-1, held.Inputs.Last); err != nil {
			return out, err
		}
	}
	x.InputsFreed = max(held.Inputs.First, 1) - 1
	out.Kept, err = x.Swap(time.Now().Add(o.Skew))
	if errors.Is(err, state.ErrLocked) {
		err = fmt.Errorf("%w: it was started meanwhile (%s)", ErrRunning, path)
	}
	return out, err
}

// sameInstallation refuses a backup of another installation: its tickets carry other keys.
func sameInstallation(cfg *config.Config, info state.BackupInfo) error {
	_, err := os.Stat(filepath.Join(DataDir(cfg), "installation"))
	if errors.Is(err, fs.ErrNotExist) {
		if cfg.Installation == "" || cfg.Installation == info.Installation {
			return nil
		}
		return fmt.Errorf("%w: the backup is of %q, the configuration says installation: %s; its tickets carry the first, so say `installation: %s`",
			state.ErrInstallation, info.Installation, cfg.Installation, info.Installation)
	}
	if err != nil {
		return fmt.Errorf("reading the installation id: %w", err)
	}
	if id := InstallationOf(cfg); id != info.Installation {
		return fmt.Errorf("%w: the backup is of %q, %s holds %q; its tickets carry other keys, so restore it into an empty data_dir",
			state.ErrInstallation, info.Installation, DataDir(cfg), id)
	}
	return nil
}

// reading is how a restored state reads on.
type reading struct {
	replay uint64 // messages of findings that the stream holds behind the backup
	lost   string // what is missing since; "" where nothing is
	// anew: the positions of the backup say nothing about this stream. All that it holds is read: what the backup
	// knows already changes nothing. What people did by command meanwhile named cases of another state, and is left out.
	anew bool
}

// readingOf compares a backup with the stream that is there.
func readingOf(info state.BackupInfo, held stream.Held) reading {
	since := "what was taken in since " + stamp(info.MadeAt)
	f := held.Findings
	switch {
	case held.Missing:
		return reading{lost: since + " is missing: there is no stream here. " + again}
	case f.Last < info.Findings:
		return reading{f.Messages, fmt.Sprintf("%s is missing: the stream ends at message %d, before the backup's position %d, so it was lost or replaced. %s", since, f.Last, info.Findings, again), true}
	case held.At.After(info.MadeAt.Add(clockSlack)):
		return reading{f.Messages, fmt.Sprintf("%s is missing: the stream's message %d is of %s, later than the backup that has applied it, so it is another stream. %s",
			since, info.Findings, stamp(held.At), again), true}
	case f.First > info.Findings+1:
		until := "now"
		if f.Messages > 0 {
			until = stamp(held.FirstTime)
		}
		return reading{replay: f.Messages, lost: fmt.Sprintf("findings taken in from %s to %s are missing: messages %d to %d were freed from the stream (stream.keep). %s",
			stamp(info.MadeAt), until, info.Findings+1, f.First-1, again)}
	}
	return reading{replay: f.Last - info.Findings}
}

// again is what becomes of findings that are missing.
const again = "Sources that docket reads bring theirs again; what was pushed to a webhook source has to be sent again"

// Compact writes the state file anew without its free pages. With a docket on the same state the error is ErrRunning.
func Compact(cfg *config.Config) (api.Compaction, error) {
	path := filepath.Join(DataDir(cfg), stateFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return api.Compaction{}, fmt.Errorf("%w: no state in %s", api.ErrNotFound, DataDir(cfg))
	}
	defer warnOfRoot(DataDir(cfg), slog.Default())
	before, after, err := state.Compact(path)
	if errors.Is(err, state.ErrLocked) {
		return api.Compaction{}, fmt.Errorf("%w (%s)", ErrRunning, path)
	}
	return api.Compaction{Before: before, After: after}, err
}
