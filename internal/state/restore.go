package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	Info BackupInfo
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
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+restoringName) // mode 0600
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

// What is written beside the state file until it takes its place.
const (
	restoringName  = ".restoring-*"
	compactingName = ".compacting-*"
)

// removeLeft removes what a killed Restore or Compact left beside a state file. The caller holds that file.
func removeLeft(path string) {
	for _, pattern := range []string{restoringName, compactingName} {
		left, _ := filepath.Glob(path + pattern) // the pattern is a good one
		for _, name := range left {
			_ = os.Remove(name) // it only takes room
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
	if errors.Is(err, ErrLocked) {
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
// returned, "" where there was none. At every instant one of the two is the state, whole.
func (x *Restoring) Swap(now time.Time) (kept string, err error) {
	r := Restored{ID: rand.Text(), At: now.UTC(), MadeAt: x.Info.MadeAt, Docket: x.Info.Docket}
	if err := errors.Join(x.st.setRestored(r), x.st.Close()); err != nil {
		return "", fmt.Errorf("restoring %s: %w", x.path, err)
	}
	failpoint.Hit("restore/swap")
	kept, err = swapFile(x.temp, x.path, "before-restore", now)
	if err != nil {
		return "", fmt.Errorf("restoring %s: %w", x.path, err)
	}
	failpoint.Hit("restore/swapped")
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

// swapFile puts the file from in the place of path. With a word, what was there stays under a dated name with that word in it.
func swapFile(from, path, word string, now time.Time) (kept string, err error) {
	if _, err := os.Lstat(path); err == nil && word != "" {
		kept = fmt.Sprintf("%s.%s-%s", path, word, now.UTC().Format("20060102T150405.000Z"))
		// A second name first, so that the state is never without one.
		if err := os.Link(path, kept); err != nil {
			if err := os.Rename(path, kept); err != nil { // a file system without links
				return "", err
			}
		}
	}
	if err := os.Rename(from, path); err != nil {
		return kept, err
	}
	return kept, syncFolder(filepath.Dir(path))
}
