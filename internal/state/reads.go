package state

import (
	"bytes"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Reads are reads of sources of which state holds what they saw so far. They are found when a process
// starts, before it reads anything itself: then they are those of a process that ended.
type Reads struct{ prefixes [][]byte }

// Reads lists the reads that did not come to an end.
func (s *Store) Reads() (Reads, error) {
	var r Reads
	err := s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketSeen).Cursor()
		for k, _ := c.First(); k != nil; {
			name, ok := firstName(k)
			if !ok {
				k, _ = c.Next() // verify names it
				continue
			}
			prefix := slices.Clone(k[:name])
			r.prefixes = append(r.prefixes, prefix)
			for k != nil && bytes.HasPrefix(k, prefix) {
				k, _ = c.Next()
			}
		}
		return nil
	})
	return r, err
}

// Forget drops what those reads saw, where nothing of them is on its way any more: nobody
// can end them, and what they saw would stay for good.
func (s *Store) Forget(r Reads) error {
	if len(r.prefixes) == 0 {
		return nil
	}
	return s.update(func(tx *bolt.Tx) error {
		for _, prefix := range r.prefixes {
			if err := deletePrefix(tx.Bucket(bucketSeen), prefix); err != nil {
				return err
			}
		}
		return nil
	})
}
