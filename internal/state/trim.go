package state

import (
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	watchEvery = 5 * time.Millisecond // while a commit or an open goes on

	scanTrim   = 1 << 18     // bytes of values that a scan passes before memory is looked at: some dozen pages
	lookupTrim = 32          // look-ups after which it is
	trimAbove  = 64 << 20    // bytes of mapped files, the program's own included, above which memory is given back
	trimRoom   = 32 << 20    // bytes that the file may have at least, however large the program's own part is
	floorFor   = time.Second // how long the size of that part is believed: it shrinks once docket has started
	trimParts  = 8           // of the file, given back in turn
	trimAlign  = 2 << 20     // bytes: a part begins where a large page does
)

// floor is what was left when all of the file was given back.
type floor struct {
	bytes int64
	at    time.Time
}

// trim gives pages of the file back that were touched, once they are many.
// Looking up or changing findings here and there would soon count the whole file as this
// process's memory. One part of the file after the other is given back until there is room again, so that most of what is
// in use stays.
func (s *Store) trim(tx *bolt.Tx) {
	s.lookups.Store(0)
	now := s.own.mapped()
	limit := int64(trimAbove)
	if f := s.floor.Load(); f != nil && time.Since(f.at) < floorFor {
		limit = max(limit, f.bytes+trimRoom)
	}
	if now <= limit {
		return
	}
	if size := tx.Size(); s.small.Swap(size) != size { // it grew since
		smallPages(tx)
	}
	size := (tx.Size()/trimParts + trimAlign - 1) / trimAlign * trimAlign
	least := now
	for range trimParts {
		if at := int64(s.hand.Add(1)%trimParts) * size; at < tx.Size() {
			giveBack(tx, at, min(size, tx.Size()-at))
		}
		if now = s.own.mapped(); now <= limit-trimRoom/4 {
			return
		}
		least = min(least, now) // others go on touching pages meanwhile
	}
	s.floor.Store(&floor{least, time.Now()}) // what is left is not the file's: the program's own pages
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
