package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// The conditions that a caller branches on.
var (
	// ErrLocked: another process has the state file open.
	ErrLocked = errors.New("another docket holds the state file")
	// ErrNewer: the file, or a value in it, was written by a newer docket.
	ErrNewer = errors.New("written by a newer version of docket")
	// ErrOlder: the file has an older docket's layout, and is open for reading only.
	ErrOlder = errors.New("written by an older version of docket")
	// ErrDamaged: a stored value cannot be read.
	ErrDamaged = errors.New("damaged value in the state file")
	// ErrStale: a changeset ends before what is already applied. Nothing was changed.
	ErrStale = errors.New("changeset is older than the state")
	// ErrFull: the state file has reached Options.MaxSize. Nothing was changed; reading goes on.
	ErrFull = errors.New("the state file has reached its maximum size")
	// ErrNoRoom: the disk is full or cannot be written, or a quota is used up (pipeline.ErrNoRoom too). Nothing was changed; reading goes on.
	ErrNoRoom = fmt.Errorf("the state cannot be written: %w", pipeline.ErrNoRoom)
	// ErrHalf: the last page of a commit was written and its flush failed. The store must be opened again, which reads what the file says.
	ErrHalf = errors.New("nobody knows whether the last commit is in the state file: start docket again")
	// ErrReadOnly: a change was asked of a store that was opened to be read.
	ErrReadOnly = errors.New("the state file is open for reading only")
)

var (
	keySchema = []byte("schema")
	keyHead   = []byte("head")
)

// Options says how to open a store. The zero value opens it to be written.
type Options struct {
	// ReadOnly opens an existing file without changing it. Several processes
	// may do so at once, but none while another has it open to be written.
	ReadOnly bool
	// Timeout is how long to wait for another process to let the file go; zero is one second.
	Timeout time.Duration
	// MaxSize in bytes is where commits end with ErrFull; zero is no limit.
	MaxSize int64
}

// Store is an open state file. Its methods may be called by several goroutines at once.
type Store struct {
	db       *bolt.DB
	path     string
	temp     *os.File // removed by Close: a copy of path that is open in its place
	readOnly bool
	lookups  atomic.Int64 // since memory was last looked at; each may touch a page of its own

	own       ownMemory
	floor     atomic.Pointer[floor]
	small     atomic.Int64  // bytes of the file that are mapped in small pages
	hand      atomic.Uint32 // the part of the file that was given back last
	published keySet        // rows of the outbox that the next commit removes
	watch     memoryWatch

	commitMu  sync.Mutex // one commit at a time; guards fold and packer
	packer    packer     // of the next commit
	fold      folding
	foldAfter int // touches in rows before they are folded
	foldStep  int // touches folded, or rows deleted, by one commit

	purgeMu sync.Mutex // one purge of stories at a time
	purgeAt []byte     // the row of audit that the next one begins with; nil: the first

	memory    sync.Once // builds what follows, at Open or at first use
	memoryErr error
	mu        sync.RWMutex // guards what follows
	prints    *printIndex
	overlay   overlay
	snapshots int          // open ones
	graves    []triage.Hot // purged findings, to leave the index once no snapshot is open
	cases     recent[uint64, caseKnown]
}

// caseKnown is a case as transaction id wrote it: what joins or leaves a case reads it again
// soon, and decoding one costs ten times as much as a copy.
type caseKnown struct {
	value *triage.Case
	id    int
}

// casesKept is how many cases are remembered, each a few kilobytes.
const casesKept = 2048

// Open opens the state file, and makes it with its folder (modes 0600 and
// 0700) unless ReadOnly is set. The caller closes the store. A file that
// another process holds is ErrLocked, one of a newer docket ErrNewer, and a
// missing one under ReadOnly fs.ErrNotExist. The layout of an older docket is
// brought up to date in one transaction; under ReadOnly it is ErrOlder.
func Open(path string, opt Options) (*Store, error) {
	if opt.Timeout <= 0 {
		opt.Timeout = time.Second
	}
	if !opt.ReadOnly {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("making the state folder: %w", err)
		}
	}
	var s *Store
	err := guard(func() error {
		db, err := openFile(path, opt)
		if err != nil {
			return err
		}
		s = &Store{db: db, path: path, readOnly: opt.ReadOnly, foldAfter: 100_000, foldStep: 4096, own: lookAtMemory()}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening state %s: %w", path, err)
	}
	s.watch.start(s)
	done := func() {}
	if !opt.ReadOnly { // a file that is only read has its free pages read by Check alone, beside which nothing may begin to look
		done = s.watch.work()
	}
	err = guard(s.prepare)
	done()
	if err != nil {
		s.watch.end()
		err = errors.Join(fmt.Errorf("opening state %s: %w", path, err), s.db.Close())
		s.own.close()
		return nil, err
	}
	return s, nil
}

// guard runs fn over a file that may be damaged: bbolt trusts its pages, so
// that a wrong one ends in a panic or reads beyond the file. Either becomes ErrDamaged.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v; restore a backup", ErrDamaged, r)
		}
	}()
	return fn()
}

// openFile opens the file that has the name, also once it has the lock: while it waited for that, another
// process may have put a new file in the place of the one that it opened (Compact and Restore do).
func openFile(path string, opt Options) (*bolt.DB, error) {
	for end := time.Now().Add(max(opt.Timeout, time.Second)); ; {
		var file *os.File
		db, err := openOnce(path, opt, &file)
		if err != nil {
			return nil, err
		}
		opened, err := file.Stat()
		if err == nil {
			var named fs.FileInfo
			if named, err = os.Stat(path); err == nil && os.SameFile(opened, named) {
				return db, nil
			}
		}
		if err = errors.Join(err, db.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%w: the file is being replaced again and again", ErrLocked)
		}
	}
}

// openOnce opens the file and tells which one it is. Where bbolt panics over damaged pages nothing of it stays locked.
func openOnce(path string, opt Options, file **os.File) (*bolt.DB, error) {
	o := &bolt.Options{
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			*file = f
			return f, err
		},
		Timeout: opt.Timeout, ReadOnly: opt.ReadOnly, MaxSize: int(opt.MaxSize),
		NoFreelistSync: true, FreelistType: bolt.FreelistMapType,
	}
	if strconv.IntSize == 64 && runtime.GOOS != "windows" {
		// Address space only. With it the map is not moved while the file grows,
		// which would make a commit wait for every open snapshot.
		o.InitialMmapSize = 16 << 30
	}
	defer func() {
		if r := recover(); r != nil {
			if *file != nil {
				letGo(*file)
			}
			panic(r)
		}
	}()
	db, err := bolt.Open(path, 0o600, o)
	if err != nil && o.InitialMmapSize > 0 && !errors.Is(err, berrors.ErrTimeout) && !errors.Is(err, fs.ErrNotExist) {
		o.InitialMmapSize = 0 // address space may be limited
		db, err = bolt.Open(path, 0o600, o)
	}
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w: stop it, or use the commands that talk to it", ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return db, err
}

// prepare checks the layout, makes what is missing and builds the memory.
func (s *Store) prepare() error {
	if err := s.checkSchema(); err != nil {
		return err
	}
	if s.readOnly {
		return nil // built when first needed: many commands do not
	}
	return s.remember()
}

// remember builds the index and the overlay, once.
func (s *Store) remember() error {
	s.memory.Do(func() {
		s.memoryErr = s.db.View(func(tx *bolt.Tx) error {
			smallPages(tx)
			prints, err := s.loadPrints(tx)
			if err != nil {
				return err
			}
			over, logged, err := s.loadTouches(tx)
			if err != nil {
				return err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.prints, s.overlay, s.fold.logged = prints, over, logged
			return nil
		})
	})
	return s.memoryErr
}

func (s *Store) loadPrints(tx *bolt.Tx) (*printIndex, error) {
	head, err := readHead(tx)
	if err != nil {
		return nil, err
	}
	// A hot record takes more than 64 bytes, so a damaged head cannot ask for more room than the file has.
	x := newPrintIndex(int(min(head.NextSeq, uint64(tx.Size()/64))))
	err = s.scan(tx, bucketHot, nil, func(k, v []byte) error {
		if len(v) < hotPrintAt+32 || v[0] != valueVersion {
			if _, _, err := decodeHot(number(k), v); err != nil {
				return err
			}
		}
		if err := x.add([32]byte(v[hotPrintAt:hotPrintAt+32]), number(k)); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.scan(tx, bucketAliases, nil, func(k, v []byte) error {
		if len(k) != 32 {
			return fmt.Errorf("%w: key of a former fingerprint", ErrDamaged)
		}
		return x.add([32]byte(k), number(v))
	})
	return x, err
}

// Path is where the state file is.
func (s *Store) Path() string { return s.path }

// Close waits for open snapshots and lets the file go. It may be called twice.
func (s *Store) Close() error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	s.watch.end()
	if s.temp != nil {
		defer dropTemp(s.temp)
	}
	defer s.own.close()
	if !s.readOnly && s.db.Path() != "" {
		s.db.NoFreelistSync = false
		if err := s.db.Update(func(tx *bolt.Tx) error { return nil }); err != nil {
			return errors.Join(fmt.Errorf("closing state: %w", err), s.db.Close())
		}
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing state: %w", err)
	}
	return nil
}

// maxFreeList is up to how many free pages (8 bytes each) their list is written with every commit. With
// 1,000,000 findings some 10,000 are free, and a commit writes a megabyte or two.
const maxFreeList = 16_384

// chooseFreeList decides whether the next transaction writes the list of free
// pages. A file without one is read whole by the next Open (measured with
// 1,000,000 findings: 2.5 s and 1.1 GB of mapped pages), which only a kill
// should cost, and only while the list is too long to be written every time.
// s.commitMu is held.
func (s *Store) chooseFreeList() {
	st := s.db.Stats()
	s.db.NoFreelistSync = st.FreePageN+st.PendingPageN > maxFreeList
}

func readHead(tx *bolt.Tx) (triage.Meta, error) {
	m := triage.Meta{NextSeq: 1, NextCase: 1}
	if v := tx.Bucket(bucketMeta).Get(keyHead); v != nil {
		if err := load(v, &m); err != nil {
			return m, fmt.Errorf("reading the head of state: %w", err)
		}
	}
	return m, nil
}

// boltError gives bbolt's conditions this package's names.
func boltError(err error) error {
	switch {
	case errors.Is(err, berrors.ErrMaxSizeReached):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, berrors.ErrDatabaseReadOnly):
		return ErrReadOnly
	case unwritable(err):
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return err
}

// half is the error of the failed transaction id: ErrHalf where it can be seen all the same. s.commitMu is held.
func (s *Store) half(id int, err error) error {
	seen := 0
	viewErr := s.db.View(func(tx *bolt.Tx) error { seen = tx.ID(); return nil })
	if viewErr != nil || seen >= id {
		return fmt.Errorf("%w: %s", ErrHalf, err.Error()) // not ErrNoRoom, whatever failed
	}
	return err
}

// unwritable reports whether err passes once there is room: bbolt writes pages that nothing refers to yet, and has
// changed nothing when that fails. Of a failure to make the file longer it keeps the words alone (db.go, grow).
func unwritable(err error) bool {
	if err == nil {
		return false
	}
	for _, no := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS} {
		if errors.Is(err, no) || strings.HasPrefix(err.Error(), "file ") && strings.HasSuffix(err.Error(), no.Error()) {
			return true
		}
	}
	return false
}
