package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/internal/failpoint"
)

// compactStep is how much one transaction of a compaction copies, in bytes.
const compactStep = 16 << 20

// Compact writes the state file anew without its free pages and returns its size before and
// after, in bytes. The copy is checked and takes the file's place in one step; stopped before
// that, nothing has changed. A docket that holds the file is ErrLocked.
func Compact(path string) (before, after int64, err error) {
	if before, err = fileSize(path); err != nil {
		return 0, 0, fmt.Errorf("compacting state: %w", err)
	}
	// Opened to be written, which brings an older layout up to date, and which one process may do at a time.
	src, err := Open(path, Options{})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	removeLeft(path)
	f, err := makeBeside(path, compactingName)
	if err != nil {
		return 0, 0, fmt.Errorf("compacting state: %w", err)
	}
	temp := f.Name()
	defer os.Remove(temp) // gone already when all went well
	if err := f.Close(); err != nil {
		return 0, 0, fmt.Errorf("compacting state: %w", err)
	}
	if err := guard(func() error { return copyCompact(temp, src) }); err != nil {
		return 0, 0, fmt.Errorf("compacting %s: %w", path, boltError(err))
	}
	if after, err = checkCopy(temp, src); err != nil {
		return 0, 0, fmt.Errorf("compacting %s: %w", path, err)
	}
	failpoint.Hit("compact/swap")
	if err := os.Rename(temp, path); err != nil {
		return 0, 0, fmt.Errorf("compacting %s: %w", path, err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return 0, 0, fmt.Errorf("compacting %s: %w", path, err)
	}
	failpoint.Hit("compact/swapped")
	return before, after, nil
}

func copyCompact(to string, src *Store) error {
	// Nothing of it counts before it is whole: one flush at the end is enough.
	dst, err := bolt.Open(to, 0o600, &bolt.Options{NoSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	return errors.Join(bolt.Compact(dst, src.db, compactStep), dst.Sync(), dst.Close())
}

// checkCopy compares a copy with what it was made of and returns its size.
func checkCopy(path string, src *Store) (size int64, err error) {
	dst, err := Open(path, Options{})
	if err != nil {
		return 0, err
	}
	problems := dst.Check()
	have, err := dst.Stats()
	want, werr := src.Stats()
	if err = errors.Join(err, werr, dst.Close()); err != nil {
		return 0, err
	}
	if len(problems) > 0 {
		return 0, fmt.Errorf("%w: %s (and %d more): see `docket state verify`", ErrDamaged, problems[0], len(problems)-1)
	}
	if have.Findings != want.Findings || have.Cases != want.Cases || have.Outbox != want.Outbox || have.Rejects != want.Rejects {
		return 0, fmt.Errorf("%w: the copy counts %+v, the state %+v", ErrDamaged, have, want)
	}
	return fileSize(path)
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
