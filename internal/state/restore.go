package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/internal/failpoint"
)

var keyRestored = []byte("restored")

// Restored says that a state was put back from a backup: tickets that it does not know may be there.
type Restored struct {
	ID     string    `json:"id"`      // unique to this restore
	At     time.Time `json:"at"`      // when
	MadeAt time.Time `json:"made_at"` // of the backup
	Docket string    `json:"docket"`  // the version that made the backup
	// InputsFreed is the last message of inputs that the stream held no more at that time: what came behind the
	// backup up to here was applied by the state before, and the tickets tell what became of it.
	InputsFreed uint64 `json:"inputs_freed,omitempty"`
}

// Restored is the last restore that this state went through; its zero value is none.
func (p *Snapshot) Restored() (Restored, error) {
	var r Restored
	if v := p.get(bucketMeta, keyRestored); v != nil {
		if err := load(v, &r); err != nil {
			return r, fmt.Errorf("reading of the last restore: %w", err)
		}
	}
	return r, nil
}

func (s *Store) setRestored(r Restored) error {
	return s.update(func(tx *bolt.Tx) error {
		var p packer
		v, err := p.value(&r)
		if err != nil {
			return err
		}
		return tx.Bucket(bucketMeta).Put(keyRestored, v)
	})
}

// Restoring is a backup on its way to become the state: it was read and lies beside the state
// file, which nobody else can open meanwhile. End it with Swap or Close.
type Restoring struct {
	Info        BackupInfo
	InputsFreed uint64 // what the caller found of the stream, for Restored

	path string
	temp string
	hold *bolt.DB // keeps others away from the state file; nil where there is none that can be opened
	st   *Store   // the state of the backup
}

// Restore reads a backup into a new file beside path, brings its layout up to date and checks all
// of it. A docket that holds the state is ErrLocked. A state file that is damaged is in nobody's way.
func Restore(path string, r io.Reader) (_ *Restoring, err error) {
	x := &Restoring{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("restoring %s: %w", path, err), x.Close())
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if x.hold, err = holdFile(path); err != nil {
		return nil, err
	}
	removeLeft(path)
	f, err := makeBeside(path, restoringName)
	if err != nil {
		return nil, err
	}
	x.temp = f.Name()
	x.Info, err = ReadBackup(r, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	failpoint.Hit("restore/copied")
	if x.st, err = Open(x.temp, Options{}); err != nil {
		return nil, err
	}
	if problems := x.st.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%w: the state in the backup contradicts itself: %s (and %d more)", ErrDamaged, problems[0], len(problems)-1)
	}
	snap, err := x.st.View()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	// What the state itself says counts, not what stands beside it.
	x.Info.Findings, x.Info.Inputs, x.Info.NextCase = snap.Meta().Findings, snap.Meta().Inputs, snap.Meta().NextCase
	return x, nil
}

// What is written beside the state file until it takes its place, behind that file's name.
const (
	restoringName  = ".restoring-"
	compactingName = ".compacting-"
)

// makeBeside makes a new file (mode 0600) beside a state file.
func makeBeside(path, name string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), filepath.Base(path)+name+"*")
}

// removeLeft removes what a killed Restore or Compact left beside a state file. The caller holds that file.
func removeLeft(path string) {
	// The names are compared and not matched: those of folders may hold what has a meaning in a pattern.
	left, _ := os.ReadDir(filepath.Dir(path)) // what is left only takes room
	for _, e := range left {
		for _, name := range []string{restoringName, compactingName} {
			if strings.HasPrefix(e.Name(), filepath.Base(path)+name) {
				_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name()))
			}
		}
	}
}

// holdFile opens a state file so that no other process can. None that is there, or one that cannot
// be read, is nil: a docket could not run on it either.
func holdFile(path string) (*bolt.DB, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var db *bolt.DB
	err := guard(func() (err error) {
		db, err = openFile(path, Options{Timeout: time.Second})
		return err
	})
	if errors.Is(err, ErrLocked) || errors.Is(err, fs.ErrPermission) { // whether somebody has a file open that may not be opened is not known
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	return db, nil
}

// Stats counts what the backup holds.
func (x *Restoring) Stats() (Stats, error) { return x.st.Stats() }

// ReadFrom sets the positions that the state reads its streams on from: for streams that are not those of the backup.
func (x *Restoring) ReadFrom(findings, inputs uint64) error {
	err := x.st.update(func(tx *bolt.Tx) error {
		m, err := readHead(tx)
		if err != nil {
			return err
		}
		m.Findings, m.Inputs = findings, inputs
		var p packer
		v, err := p.value(&m)
		if err != nil {
			return err
		}
		return tx.Bucket(bucketMeta).Put(keyHead, v)
	})
	if err != nil {
		return fmt.Errorf("setting the position of the state: %w", err)
	}
	return nil
}

// Swap makes the backup the state. The file that was the state stays beside it under the name that is
// returned, "" where there was none. At every instant one of the two is the state, whole. Where a docket
// made a state since Restore found none, or one that it could not open, the error is ErrLocked while it runs.
func (x *Restoring) Swap(now time.Time) (kept string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restoring %s: %w", x.path, err)
		}
	}()
	r := Restored{ID: rand.Text(), At: now.UTC(), MadeAt: x.Info.MadeAt, Docket: x.Info.Docket, InputsFreed: x.InputsFreed}
	if err := errors.Join(x.st.setRestored(r), x.st.Close()); err != nil {
		return "", err
	}
	if x.hold == nil {
		if x.hold, err = holdFile(x.path); err != nil {
			return "", err
		}
	}
	failpoint.Hit("restore/swap")
	if kept, err = x.place(now); err != nil {
		return "", err
	}
	failpoint.Hit("restore/swapped")
	return kept, syncFolder(filepath.Dir(x.path))
}

// place gives the new file the name of the state.
func (x *Restoring) place(now time.Time) (kept string, err error) {
	if _, err := os.Lstat(x.path); errors.Is(err, fs.ErrNotExist) {
		// Unlike a rename this replaces nothing that is made just now.
		err = place(x.temp, x.path, false)
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w: it was made meanwhile", ErrLocked)
		}
		return "", err
	}
	kept = fmt.Sprintf("%s.before-restore-%s", x.path, now.UTC().Format("20060102T150405.000Z"))
	if err := keepFile(x.path, kept, os.Link); err != nil {
		return "", err
	}
	failpoint.Hit("restore/kept")
	if err := os.Rename(x.temp, x.path); err != nil {
		return "", errors.Join(err, os.Remove(kept))
	}
	return kept, nil
}

// Close gives up what was not swapped in, and lets others open the state file again. It may be called twice.
func (x *Restoring) Close() error {
	var errs []error
	if x.st != nil {
		errs = append(errs, x.st.Close())
		x.st = nil
	}
	if x.temp != "" {
		_ = os.Remove(x.temp) // gone already after Swap
		x.temp = ""
	}
	if x.hold != nil {
		errs = append(errs, x.hold.Close())
		x.hold = nil
	}
	return errors.Join(errs...)
}

// keepFile gives what is at path a second name, so that it is never without one. Where link cannot (a file system
// without links), kept is a copy, whole or not there.
func keepFile(path, kept string, link func(from, to string) error) error {
	err := link(path, kept)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = copyFile(path, kept)
	}
	if err != nil {
		return fmt.Errorf("keeping what was there: %w", err)
	}
	return syncFolder(filepath.Dir(kept)) // before the first name goes to another file
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	return WriteFile(to, false, func(f *os.File) error {
		_, err := io.Copy(f, src)
		return err
	})
}
