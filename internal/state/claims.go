package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline/deliver"
)

// The conditions of the claims file that a caller branches on.
var (
	// ErrClaimsNew: the file was made just now and knows nothing; Rebuild must come first.
	// It is never taken for "there is no claim".
	ErrClaimsNew = errors.New("the claims file is new: claims must be rebuilt from state first")
	// ErrClaimsVersion: the file was written by a later version of docket.
	ErrClaimsVersion = errors.New("the claims file has a version that this docket does not know")
	// ErrClaimsClosed: Close was called.
	ErrClaimsClosed = errors.New("the claims file is closed")
)

const (
	claimsVersion   = 1
	claimKeyBytes   = 512                    // longest key
	claimBytes      = 1 << 20                // largest claim
	claimsGather    = 2 * time.Millisecond   // longest wait for more to flush
	claimsQuiet     = 100 * time.Microsecond // without another write: no more is coming
	claimsBatch     = 1024                   // most writes in one flush
	claimsLockWait  = time.Second
	claimHeadLength = 9 // version byte, revision
)

// Claims is deliver.Claims on a bbolt file of its own. The file's lock makes
// this process the only holder of claims. Writes of all workers are gathered for at
// most 2 ms and flushed together; without work nothing runs but a goroutine that waits.
type Claims struct {
	db     *bbolt.DB
	swaps  chan *claimSwap
	quit   chan struct{} // closed by Close
	ended  chan struct{} // closed when the writer has flushed the last write
	close  sync.Once
	closed error

	looked atomic.Int64 // rows read and written since mapped pages were given back

	mu     sync.RWMutex
	fresh  bool
	recent recent[string, claimKnown] // what was flushed lately: a worker reads the claim that it just wrote
}

// claimKnown is a claim as it stands in the file.
type claimKnown struct {
	claim    deliver.Claim
	revision uint64
}

var _ deliver.Claims = (*Claims)(nil)

type claimSwap struct {
	key      []byte
	claim    deliver.Claim
	revision uint64
	value    []byte
	result   chan claimResult
}

type claimResult struct {
	revision uint64
	err      error
}

// ClaimEntry is what state knows of one case in one sink, for Rebuild.
type ClaimEntry struct {
	Key      string // deliver.ClaimKey
	N        uint64 // number of the last action
	InFlight bool   // no outcome of it was applied
}

// OpenClaims opens the file at path with mode 0600, and makes it when it is
// not there: then Fresh reports true and reading and writing are refused until Rebuild. A file
// that another process holds is ErrLocked after a second.
func OpenClaims(path string) (*Claims, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: claimsLockWait, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("opening claims %s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("opening claims %s: %w", path, err)
	}
	c := &Claims{db: db, swaps: make(chan *claimSwap), quit: make(chan struct{}), ended: make(chan struct{})}
	if err := db.View(c.readHead); err != nil {
		return nil, errors.Join(fmt.Errorf("opening claims %s: %w", path, err), db.Close())
	}
	go c.write()
	return c, nil
}

var (
	claimsBucket     = []byte("claims")
	claimsHead       = []byte("head")
	claimsVersionKey = []byte("version")
)

func (c *Claims) readHead(tx *bbolt.Tx) error {
	smallPages(tx)
	head := tx.Bucket(claimsHead)
	if head == nil {
		c.fresh = true
		return nil
	}
	if v := head.Get(claimsVersionKey); len(v) != 1 || v[0] != claimsVersion {
		return fmt.Errorf("%w: %v", ErrClaimsVersion, v)
	}
	return nil
}

// Fresh reports that the file knows nothing yet: it is new, or its rebuilding was cut off.
func (c *Claims) Fresh() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.fresh
}

// Rebuild makes one claim per entry, in one transaction, and makes the file
// usable. A first start gives it no entries. A claim in flight belongs to nobody: its next
// taker is unsure. It refuses a file that is in use, for it would wipe out who holds what.
func (c *Claims) Rebuild(entries []ClaimEntry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.fresh {
		return errors.New("rebuilding claims: the file is in use")
	}
	err := c.db.Update(func(tx *bbolt.Tx) error {
		head, err := tx.CreateBucket(claimsHead)
		if err != nil {
			return err
		}
		claims, err := tx.CreateBucket(claimsBucket)
		if err != nil {
			return err
		}
		// Revisions start above those of a lost file, so that none of its numbers comes back.
		if err := claims.SetSequence(uint64(time.Now().UnixNano())); err != nil {
			return err
		}
		for _, e := range entries {
			if e.N == 0 {
				continue // no action was ever issued
			}
			value, err := encodeClaim(e.Key, deliver.Claim{N: e.N, Att: 1, Done: !e.InFlight})
			if err != nil {
				return err
			}
			if _, err := putClaim(claims, []byte(e.Key), value); err != nil {
				return err
			}
		}
		return head.Put(claimsVersionKey, []byte{claimsVersion})
	})
	if err != nil {
		return fmt.Errorf("rebuilding claims: %w", err)
	}
	c.fresh = false
	return nil
}

// Rename gives the claims of the sink from to the sink to; a claim that to has already stays. Nothing may
// hold a claim of either.
func (c *Claims) Rename(from, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.db.Update(func(tx *bbolt.Tx) error {
		claims, prefix := tx.Bucket(claimsBucket), deliver.ClaimKey(from, "")
		rows := map[string][]byte{}
		cur := claims.Cursor()
		for k, row := cur.Seek([]byte(prefix)); bytes.HasPrefix(k, []byte(prefix)); k, row = cur.Next() {
			rows[string(k[len(prefix):])] = bytes.Clone(row)
		}
		for id, row := range rows {
			old, now := deliver.ClaimKey(from, id), []byte(deliver.ClaimKey(to, id))
			if err := claims.Delete([]byte(old)); err != nil {
				return err
			}
			c.recent.remove(old)
			if claims.Get(now) != nil {
				continue
			}
			if err := claims.Put(now, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("renaming the claims of sink %s to %s: %w", from, to, err)
	}
	return nil
}

// Read returns the claim as last flushed.
func (c *Claims) Read(ctx context.Context, key string) (deliver.Claim, uint64, error) {
	var claim deliver.Claim
	var revision uint64
	if err := c.usable(ctx); err != nil {
		return claim, 0, fmt.Errorf("reading claim %s: %w", key, err)
	}
	c.mu.RLock()
	known, ok := c.recent.get(key)
	c.mu.RUnlock()
	if ok {
		return known.claim, known.revision, nil
	}
	err := c.db.View(func(tx *bbolt.Tx) error {
		var err error
		claim, revision, err = decodeClaim(tx.Bucket(claimsBucket).Get([]byte(key)))
		c.trim(tx, 1)
		return err
	})
	if err != nil {
		return deliver.Claim{}, 0, fmt.Errorf("reading claim %s: %w", key, err)
	}
	return claim, revision, nil
}

// Swap returns once the write is on disk. Two swaps of one key in one flush
// are judged one after the other: the second meets the first's revision and gets
// deliver.ErrLost. When ctx ends first the write may still happen.
func (c *Claims) Swap(ctx context.Context, key string, revision uint64, claim deliver.Claim) (uint64, error) {
	if err := c.usable(ctx); err != nil {
		return 0, fmt.Errorf("writing claim %s: %w", key, err)
	}
	if planted.On("claim-unflushed") && !claim.Done {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.recent.put(key, claimKnown{claim, revision}, claimsKept)
		return revision, nil
	}
	value, err := encodeClaim(key, claim)
	if err != nil {
		return 0, fmt.Errorf("writing claim %s: %w", key, err)
	}
	s := &claimSwap{key: []byte(key), claim: claim, revision: revision, value: value, result: make(chan claimResult, 1)}
	select {
	case c.swaps <- s:
	case <-c.quit:
		return 0, fmt.Errorf("writing claim %s: %w", key, ErrClaimsClosed)
	case <-ctx.Done():
		return 0, fmt.Errorf("writing claim %s: %w", key, context.Cause(ctx))
	}
	select {
	case r := <-s.result:
		if r.err != nil {
			return 0, fmt.Errorf("writing claim %s: %w", key, r.err)
		}
		return r.revision, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("writing claim %s: %w", key, context.Cause(ctx))
	}
}

// Close flushes what was handed over, refuses the rest and closes the file. A second call returns the first one's result.
func (c *Claims) Close() error {
	c.close.Do(func() {
		close(c.quit)
		<-c.ended
		if err := c.db.Close(); err != nil {
			c.closed = fmt.Errorf("closing claims: %w", err)
		}
	})
	return c.closed
}

func (c *Claims) usable(ctx context.Context) error {
	select {
	case <-c.quit:
		return ErrClaimsClosed
	default:
	}
	if c.Fresh() {
		return ErrClaimsNew
	}
	return ctx.Err()
}

// write is the one goroutine that writes: it gathers and flushes until Close.
func (c *Claims) write() {
	defer close(c.ended)
	batch := make([]*claimSwap, 0, claimsBatch)
	for {
		select {
		case s := <-c.swaps:
			batch = c.gather(append(batch[:0], s), len(batch))
		case <-c.quit:
			return
		}
		c.flush(batch)
	}
}

// gather adds what other workers write meanwhile. A flush as large as the
// last one is likely all there is, so it goes at once; so does one to which nothing was
// added for a moment. A lone worker never waits.
func (c *Claims) gather(batch []*claimSwap, last int) []*claimSwap {
	end := time.Now().Add(claimsGather)
	quiet := time.NewTimer(claimsQuiet)
	defer quiet.Stop()
	for len(batch) < last && len(batch) < claimsBatch && time.Now().Before(end) {
		select {
		case s := <-c.swaps:
			batch = append(batch, s)
			quiet.Reset(claimsQuiet)
			continue
		case <-quiet.C:
		}
		break
	}
	for len(batch) < claimsBatch {
		select {
		case s := <-c.swaps:
			batch = append(batch, s)
			continue
		default:
		}
		break
	}
	return batch
}

// flush judges and writes the batch in one transaction and tells each worker.
func (c *Claims) flush(batch []*claimSwap) {
	results := make([]claimResult, len(batch))
	err := c.db.Update(func(tx *bbolt.Tx) error {
		c.trim(tx, len(batch)) // before the first row is read: what a transaction has read it reads again as it ends
		claims := tx.Bucket(claimsBucket)
		for i, s := range batch {
			now, err := claimRevision(claims.Get(s.key))
			if err == nil && now != s.revision {
				err = deliver.ErrLost
			}
			if err != nil {
				results[i].err = err
				continue
			}
			if results[i].revision, err = putClaim(claims, s.key, s.value); err != nil {
				return err
			}
		}
		return nil
	})
	failpoint.Hit("claims/flushed")
	err = boltError(err)
	c.learn(batch, results, err)
	for i, s := range batch {
		r := results[i]
		if err != nil && r.err == nil {
			r = claimResult{err: err}
		}
		// A loss in a batch that was not flushed may have been to a write that
		// never happened. It is no proof then.
		if err != nil && errors.Is(r.err, deliver.ErrLost) {
			r = claimResult{err: err}
		}
		s.result <- r
	}
}

const (
	claimsTrim  = 128      // rows read or written, after which the mapped pages are given back
	claimsSmall = 16 << 20 // bytes of a file that may stay mapped
)

// trim counts n rows, and gives the pages of a large file back when they may have become many (see Store.trim).
func (c *Claims) trim(tx *bbolt.Tx, n int) {
	if tx.Size() > claimsSmall && c.looked.Add(int64(n)) >= claimsTrim {
		c.looked.Store(0)
		smallPages(tx)
		giveBack(tx, 0, tx.Size())
	}
}

// claimsKept is how many claims are remembered: those of the actions under way, and some more.
const claimsKept = 4096

// learn remembers what a flush wrote. After one that failed nothing is certain: the file is asked.
func (c *Claims) learn(batch []*claimSwap, results []claimResult, failed error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range batch {
		switch {
		case failed != nil:
			c.recent.remove(string(s.key))
		case results[i].err == nil:
			c.recent.put(string(s.key), claimKnown{s.claim, results[i].revision}, claimsKept)
		}
	}
}

// encodeClaim is the claim in the compact form, within the limits of key and size.
func encodeClaim(key string, claim deliver.Claim) ([]byte, error) {
	if key == "" || len(key) > claimKeyBytes {
		return nil, fmt.Errorf("the key has %d bytes; it must have 1 to %d", len(key), claimKeyBytes)
	}
	value, err := encode(&claim)
	if err != nil {
		return nil, err
	}
	if len(value) > claimBytes {
		return nil, fmt.Errorf("the claim has %d bytes; it must have at most %d", len(value), claimBytes)
	}
	return value, nil
}

// decodeClaim reads a row that putClaim wrote, or an older docket, which wrote JSON.
func decodeClaim(row []byte) (claim deliver.Claim, revision uint64, err error) {
	if revision, err = claimRevision(row); err != nil || revision == 0 {
		return claim, revision, err
	}
	if value := row[claimHeadLength:]; len(value) > 0 && value[0] == '{' {
		err = json.Unmarshal(value, &claim)
	} else {
		err = load(value, &claim)
	}
	return claim, revision, err
}

// putClaim writes version, revision and claim, and returns the revision: the bucket's next number.
func putClaim(claims *bbolt.Bucket, key, value []byte) (uint64, error) {
	revision, err := claims.NextSequence()
	if err != nil {
		return 0, err
	}
	row := make([]byte, 0, claimHeadLength+len(value))
	row = append(row, claimsVersion)
	row = binary.BigEndian.AppendUint64(row, revision)
	return revision, claims.Put(key, append(row, value...))
}

// claimRevision is the revision of a stored claim; 0 when there is none.
func claimRevision(row []byte) (uint64, error) {
	if row == nil {
		return 0, nil
	}
	if len(row) < claimHeadLength || row[0] != claimsVersion {
		return 0, ErrClaimsVersion
	}
	return binary.BigEndian.Uint64(row[1:claimHeadLength]), nil
}
