package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/docket-hub/docket/pipeline/triage"
)

// The layouts of the file: 2 added the bucket busy, and its key to the rows of caseindex; 3 added the compact forms
// of values (an older docket cannot read them, this one reads both: nothing is rewritten); 4 added the bucket aliases.
const (
	schemaFirst   = 1
	schemaBusy    = 2
	schemaAliases = 4
	schemaVersion = 4 // the layout that this version writes and reads
)

// checkSchema makes the layout of a new file, brings that of an older docket up to date
// and refuses every other.
func (s *Store) checkSchema() error {
	layout, err := s.layout()
	if err != nil {
		return err
	}
	switch {
	case layout > schemaVersion:
		return fmt.Errorf("%w: layout %d, this docket knows %d; use the newer docket, or restore a backup made by this one", ErrNewer, layout, schemaVersion)
	case layout == schemaVersion:
		return s.db.View(func(tx *bolt.Tx) error { return haveBuckets(tx, allBuckets()) })
	case layout == 0 && s.readOnly:
		return fmt.Errorf("%w: it is not a state file", ErrDamaged)
	case s.readOnly:
		return fmt.Errorf("%w: layout %d, this docket reads %d; start `docket run`, which brings it up to date, then try again", ErrOlder, layout, schemaVersion)
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		var err error
		if layout > 0 && layout < schemaAliases {
			_, err = tx.CreateBucketIfNotExists(bucketAliases)
		}
		switch {
		case err != nil || layout == 0:
		case layout < schemaBusy:
			err = s.indexCases(tx)
		default:
			err = haveBuckets(tx, allBuckets())
		}
		if err != nil {
			return fmt.Errorf("bringing layout %d up to %d: %w", layout, schemaVersion, err)
		}
		for _, name := range allBuckets() {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keySchema, binary.BigEndian.AppendUint32(nil, schemaVersion))
	})
}

// OpenCopy opens the state of an older docket without changing it: a copy in the folder for temporary files, which is
// brought up to date and takes its room until the store is closed. On Linux it has no name, so that nothing is left of
// it whatever ends the process. Path and the size in Stats are those of the original.
func OpenCopy(ctx context.Context, path string) (_ *Store, err error) {
	f, err := os.CreateTemp("", "docket-state-*.db") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("copying state: %w", err)
	}
	defer func() {
		if err != nil {
			dropTemp(f)
		}
	}()
	name := unname(f)
	err = guard(func() error {
		db, err := openFile(path, Options{ReadOnly: true, Timeout: time.Second})
		if err != nil {
			return err
		}
		err = db.View(func(tx *bolt.Tx) error {
			if _, err := tx.WriteTo(&whileWanted{ctx, f}); ctx.Err() == nil {
				return err
			}
			return context.Cause(ctx) // of which bbolt keeps the words alone
		})
		return errors.Join(err, db.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("copying state %s: %w", path, err)
	}
	s, err := Open(name, Options{})
	if err != nil {
		return nil, err
	}
	s.path, s.temp = path, f
	return s, nil
}

// unname takes an open file's name away where the system has another way to open it (proc_pid_fd(5)), and returns
// what it can be opened by for as long as f is open.
func unname(f *os.File) string {
	if runtime.GOOS != "linux" {
		return f.Name()
	}
	name := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	is, err := f.Stat()
	if err != nil {
		return f.Name()
	}
	if there, err := os.Stat(name); err != nil || !os.SameFile(is, there) || os.Remove(f.Name()) != nil { // /proc may be missing
		return f.Name()
	}
	return name
}

// dropTemp closes a temporary file and removes the name that it may still have.
func dropTemp(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}

// whileWanted writes for as long as a context lasts.
type whileWanted struct {
	ctx context.Context
	w   io.Writer
}

func (w *whileWanted) Write(b []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	return w.w.Write(b)
}

// layout is the version that stands in the file; 0 for a file without any content.
func (s *Store) layout() (n uint32, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return nil
		}
		v := meta.Get(keySchema)
		if len(v) != 4 || binary.BigEndian.Uint32(v) < schemaFirst {
			return fmt.Errorf("%w: schema version", ErrDamaged)
		}
		n = binary.BigEndian.Uint32(v)
		return nil
	})
	return n, err
}

func haveBuckets(tx *bolt.Tx, names [][]byte) error {
	for _, name := range names {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: bucket %s is missing", ErrDamaged, name)
		}
	}
	return nil
}

// indexCases writes the indexes of cases anew from the cases themselves, whatever an older
// layout kept in them. What else it lacks is damage: layout 1 had every other bucket.
func (s *Store) indexCases(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketCaseIndex, bucketDue, bucketReady, bucketHeld, bucketBusy} {
		if err := tx.DeleteBucket(name); err != nil && (!errors.Is(err, berrors.ErrBucketNotFound) || string(name) != string(bucketBusy)) {
			return fmt.Errorf("%w: bucket %s: %w", ErrDamaged, name, err)
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	if err := haveBuckets(tx, allBuckets()); err != nil {
		return err
	}
	w := &writer{s: s, tx: tx, buckets: map[string]*bolt.Bucket{}}
	return s.scan(tx, bucketCases, nil, func(k, v []byte) error {
		var c triage.Case
		if err := load(v, &c); err != nil {
			return fmt.Errorf("%s: %w", triage.CaseID(number(k)), err)
		}
		return w.indexCase(number(k), caseKeysOf(&c), c.Team)
	})
}
