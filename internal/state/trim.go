package state

import bolt "go.etcd.io/bbolt"

const (
	scanTrim   = 32 << 20 // bytes of values that a scan passes before memory is given back
	lookupTrim = 1 << 13  // look-ups after which it is: each may touch a page of its own
	trimAbove  = 32 << 20 // bytes of file below which it is not worth the faults
)

// trim gives the pages of the file back that reading has touched.
func (s *Store) trim(tx *bolt.Tx) {
	if tx.Size() >= trimAbove {
		giveBack(tx)
	}
	s.lookups.Store(0)
}

// trimWhenDue is trim once enough records were looked up.
func (s *Store) trimWhenDue(tx *bolt.Tx) {
	if s.lookups.Load() >= lookupTrim {
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
	if passed > scanTrim/4 {
		s.trim(tx)
	}
	return nil
}
