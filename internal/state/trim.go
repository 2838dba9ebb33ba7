package state

import (
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	watchEvery = 5 * time.Millisecond // while a commit or an open goes on

	scanTrim   = 1 << 18  // bytes of values that a scan passes before memory is looked at: some dozen pages
	lookupTrim = 32       // look-ups after which it is
	trimAbove  = 64 << 20 // bytes of mapped files, the program's own included, above which memory is given back
	trimRoom   = 32 << 20 // bytes that the file may have at least, however large the program's own part is
)

// trim gives the pages of the file back that were touched, once they are many.
// The kernel maps 64 KB round each page that is read (more where its cache holds larger pieces), so
// that looking up or changing findings here and there would soon count the whole file as this
// process's memory. Giving back less often saves faults, more often saves memory.
func (s *Store) trim(tx *bolt.Tx) {
	s.lookups.Store(0)
	if now := mapped(); now > trimAbove && now > s.floor.Load()+trimRoom {
		giveBack(tx)
		s.floor.Store(mapped()) // what is left is not the file's: the program's own pages
	}
}

// looked counts n look-ups, and trims when it is time.
func (s *Store) looked(tx *bolt.Tx, n int64) {
	if s.lookups.Add(n) >= lookupTrim {
		s.trim(tx)
	}
}

// scan calls fn for the rows of a bucket from a key on until it returns an error.
func (s *Store) scan(tx *bolt.Tx, bucket, from []byte, fn func(k, v []byte) error) error {
	passed := 0
	c := tx.Bucket(bucket).Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if err := fn(k, v); err != nil {
			return err
		}
		if passed += len(k) + len(v); passed >= scanTrim {
			passed = 0
			s.trim(tx)
		}
	}
	s.looked(tx, int64(passed>>12))
	return nil
}

// memoryWatch looks at memory from outside while bbolt has the thread: what it reads to write a commit is not
// counted as look-ups. Between the commits it sleeps.
type memoryWatch struct {
	working atomic.Int32
	wake    chan struct{}
	stop    chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

func (w *memoryWatch) start(s *Store) {
	w.wake, w.stop = make(chan struct{}, 1), make(chan struct{})
	w.done.Go(func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			tick.Stop()
			select {
			case <-w.wake:
			case <-w.stop:
				return
			}
			tick.Reset(watchEvery)
			for more := true; more; more = w.working.Load() > 0 {
				select {
				case <-tick.C:
				case <-w.stop:
					return
				}
				_ = s.db.View(func(tx *bolt.Tx) error { s.trim(tx); return nil }) // a file that is closed has nothing to give back
			}
		}
	})
}

// work notes that much may be read from now on, until the function that it returns is called.
func (w *memoryWatch) work() func() {
	w.working.Add(1)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return func() { w.working.Add(-1) }
}

// end stops the looks. It may be called twice.
func (w *memoryWatch) end() {
	w.once.Do(func() { close(w.stop) })
	w.done.Wait()
}
