package state

import (
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/internal/failpoint"
)

// auditSlice is how many rows of stories are looked at, or deleted, at a time.
const auditSlice = 10_000

// PurgeAudit looks at the next rows of stories, at most so many and all for 0, deletes those older than
// before and says how many went. The next call goes on behind them, and after the last row from the first
// one again: stories are kept in the order of their cases and findings, so that what is old stands anywhere,
// and with 1,000,000 findings there are some millions of rows. Commits go on while it looks.
func (s *Store) PurgeAudit(before time.Time, rows int) (int, error) {
	s.purgeMu.Lock()
	defer s.purgeMu.Unlock()
	if rows == 0 {
		s.purgeAt = nil
	}
	deleted := 0
	for looked := 0; rows == 0 || looked < rows; {
		n := auditSlice
		if rows > 0 {
			n = min(n, rows-looked)
		}
		old, passed, err := s.oldAudit(before, n)
		if err == nil {
			err = s.deleteAudit(old)
		}
		if err != nil {
			return deleted, fmt.Errorf("clearing old audit lines: %w", err)
		}
		deleted += len(old)
		if looked += passed; s.purgeAt == nil {
			break
		}
	}
	return deleted, nil
}

// oldAudit looks at n rows from s.purgeAt on, moves that behind them (nil: there are no more), and returns
// the keys of the old ones. s.purgeMu is held.
func (s *Store) oldAudit(before time.Time, n int) (old [][]byte, passed int, err error) {
	var next []byte
	err = s.view(func(tx *bolt.Tx) error {
		return s.scan(tx, bucketAudit, s.purgeAt, func(k, _ []byte) error {
			if passed == n {
				next = slices.Clone(k)
				return errEnough
			}
			passed++
			if at, ok := auditTime(k); ok && at.Before(before) {
				old = append(old, slices.Clone(k))
			}
			return nil
		})
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, 0, err
	}
	s.purgeAt = next
	return old, passed, nil
}

func (s *Store) deleteAudit(keys [][]byte) error {
	if len(keys) == 0 {
		return nil
	}
	err := s.update(func(tx *bolt.Tx) error {
		failpoint.Hit("audit/purge")
		for _, k := range keys {
			if err := tx.Bucket(bucketAudit).Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		failpoint.Hit("audit/purged")
	}
	return err
}
