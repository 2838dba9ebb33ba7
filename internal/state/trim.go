package state

import bolt "go.etcd.io/bbolt"

const (
	scanTrim   = 1 << 20  // bytes of values that a scan passes before memory is looked at: some hundred pages
	lookupTrim = 256      // look-ups after which it is
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
