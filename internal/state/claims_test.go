package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

// openTestClaims opens a rebuilt file; at the end it is checked and nothing of it may run on.
func openTestClaims(t testing.TB, path string, entries ...ClaimEntry) *Claims {
	t.Helper()
	c, err := OpenClaims(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Fresh() {
		if err := c.Rebuild(entries); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close() = %v; want nil", err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				t.Errorf("the file is damaged: %v", err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	return c
}

func TestClaimsSwap(t *testing.T) {
	defer goleak.VerifyNone(t)
	path := filepath.Join(t.TempDir(), "claims.db")
	c := openTestClaims(t, path)
	defer c.Close()
	ctx := t.Context()
	first := deliver.Claim{N: 1, Att: 1, Holder: "a/1", Rev: 3}
	one, err := c.Swap(ctx, "jira.DK-1", 0, first)
	if err != nil || one == 0 {
		t.Fatalf("Swap(absent, 0) = %d, %v; want a revision", one, err)
	}
	for _, rev := range []uint64{0, one - 1, one + 1} {
		if _, err := c.Swap(ctx, "jira.DK-1", rev, deliver.Claim{N: 9}); !errors.Is(err, deliver.ErrLost) {
			t.Errorf("Swap(%d) = %v; want ErrLost", rev, err)
		}
	}
	if _, err := c.Swap(ctx, "jira.DK-2", one, first); !errors.Is(err, deliver.ErrLost) {
		t.Errorf("Swap(absent, %d) = %v; want ErrLost", one, err)
	}
	done := deliver.Claim{N: 1, Att: 1, Holder: "a/1", Rev: 3, Done: true, Ref: pipeline.Ref{ID: "7"},
		Outcome: &pipeline.Outcome{Case: "DK-1", Result: pipeline.OutcomeDone, Held: pipeline.Fields{"title": "x"}}}
	two, err := c.Swap(ctx, "jira.DK-1", one, done)
	if err != nil || two <= one {
		t.Fatalf("Swap(%d) = %d, %v; want a higher revision", one, two, err)
	}
	if got, rev, err := c.Read(ctx, "jira.DK-2"); err != nil || rev != 0 || got != (deliver.Claim{}) {
		t.Errorf("Read(absent) = %+v, %d, %v; want none", got, rev, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	c = openTestClaims(t, path)
	defer c.Close()
	got, rev, err := c.Read(ctx, "jira.DK-1")
	if err != nil || rev != two {
		t.Errorf("Read after opening again = revision %d, %v; want %d", rev, err, two)
	}
	if diff := cmp.Diff(done, got); diff != "" {
		t.Errorf("Read after opening again (-want +got):\n%s", diff)
	}
	if three, err := c.Swap(ctx, "jira.DK-1", two, first); err != nil || three <= two {
		t.Errorf("Swap(%d) = %d, %v; want a higher revision", two, three, err)
	}
}

// Many workers on the same keys: each revision is won once, and the writes share flushes.
func TestClaimsManyWorkers(t *testing.T) {
	c := openTestClaims(t, filepath.Join(t.TempDir(), "claims.db"))
	const workers, keys, rounds = 16, 5, 20
	before := flushes(t, c)
	var wins, losses atomic.Int64
	won := make([]sync.Map, keys)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range keys * rounds {
				k := (i + w) % keys
				key := fmt.Sprint("jira.DK-", k)
				now, rev, err := c.Read(t.Context(), key)
				if err != nil {
					t.Errorf("Read(%s) = %v", key, err)
					return
				}
				next, err := c.Swap(t.Context(), key, rev, deliver.Claim{N: now.N + 1, Att: w})
				switch {
				case errors.Is(err, deliver.ErrLost):
					losses.Add(1)
				case err != nil:
					t.Errorf("Swap(%s) = %v", key, err)
				default:
					wins.Add(1)
					if _, twice := won[k].LoadOrStore(rev, next); twice {
						t.Errorf("revision %d of %s was won twice", rev, key)
					}
				}
			}
		})
	}
	wg.Wait()
	var total uint64
	for k := range keys {
		now, _, err := c.Read(t.Context(), fmt.Sprint("jira.DK-", k))
		if err != nil {
			t.Fatal(err)
		}
		total += now.N
	}
	if int64(total) != wins.Load() {
		t.Errorf("the claims count %d writes; want %d, as many as won", total, wins.Load())
	}
	n := wins.Load() + losses.Load()
	if got := flushes(t, c) - before; int64(got) > n/2 {
		t.Errorf("%d writes took %d flushes; want at most half as many", n, got)
	}
}

// flushes is the number of the last write transaction.
func flushes(t *testing.T, c *Claims) int {
	t.Helper()
	tx, err := c.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	return tx.ID()
}

func TestClaimsRebuild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "claims.db")
	ctx := t.Context()
	c, err := OpenClaims(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(ctx, "k"); !errors.Is(err, ErrClaimsNew) {
		t.Errorf("Read of a new file = %v; want ErrClaimsNew", err)
	}
	if _, err := c.Swap(ctx, "k", 0, deliver.Claim{N: 1}); !errors.Is(err, ErrClaimsNew) {
		t.Errorf("Swap of a new file = %v; want ErrClaimsNew", err)
	}
	// A file left behind by a process that died before rebuilding is still new.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openTestClaims(t, path, ClaimEntry{"jira.DK-1", 4, true}, ClaimEntry{"jira.DK-2", 2, false}, ClaimEntry{"jira.DK-3", 0, false})
	if c.Fresh() {
		t.Error("Fresh() = true after Rebuild; want false")
	}
	if err := c.Rebuild(nil); err == nil {
		t.Error("Rebuild of a file in use = nil; want an error")
	}
	for _, want := range []struct {
		key     string
		claim   deliver.Claim
		present bool
	}{
		{"jira.DK-1", deliver.Claim{N: 4, Att: 1}, true},
		{"jira.DK-2", deliver.Claim{N: 2, Att: 1, Done: true}, true},
		{"jira.DK-3", deliver.Claim{}, false},
	} {
		got, rev, err := c.Read(ctx, want.key)
		if err != nil || got != want.claim || (rev > 0) != want.present {
			t.Errorf("Read(%s) = %+v, %d, %v; want %+v", want.key, got, rev, err, want.claim)
		}
	}
}

// TestClaimsRename: the successor's claims say what its predecessor's said; its own, and those of others, stay.
func TestClaimsRename(t *testing.T) {
	c := openTestClaims(t, filepath.Join(t.TempDir(), "claims.db"), ClaimEntry{Key: "jira.DK-1", N: 3, InFlight: true}, ClaimEntry{Key: "jira.DK-2", N: 1},
		ClaimEntry{Key: "tracker.DK-2", N: 7}, ClaimEntry{Key: "jira2.DK-1", N: 5})
	if _, _, err := c.Read(t.Context(), "jira.DK-1"); err != nil { // a claim that was read is kept in memory
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Rename("jira", "tracker"); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]deliver.Claim{
			"jira.DK-1": {}, "jira.DK-2": {}, "tracker.DK-1": {N: 3, Att: 1}, "tracker.DK-2": {N: 7, Att: 1, Done: true}, "jira2.DK-1": {N: 5, Att: 1, Done: true},
		} {
			got, rev, err := c.Read(t.Context(), key)
			if err != nil || got != want || (rev > 0) != (want.N > 0) {
				t.Errorf("Read(%s) = %+v, %d, %v; want %+v", key, got, rev, err, want)
			}
		}
	}
}

func TestClaimsRefuse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "claims.db")
	c := openTestClaims(t, path)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	big := deliver.Claim{N: 1, Outcome: &pipeline.Outcome{Reason: strings.Repeat("x", claimBytes)}}
	for _, r := range []struct {
		name  string
		ctx   context.Context
		key   string
		claim deliver.Claim
		want  string
	}{
		{"no key", t.Context(), "", deliver.Claim{N: 1}, "the key has 0 bytes"},
		{"long key", t.Context(), strings.Repeat("k", 513), deliver.Claim{N: 1}, "the key has 513 bytes"},
		{"large claim", t.Context(), "k", big, "it must have at most 1048576"},
		{"cancelled", cancelled, "k", deliver.Claim{N: 1}, "context canceled"},
	} {
		if _, err := c.Swap(r.ctx, r.key, 0, r.claim); err == nil || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: Swap() = %v; want %q in it", r.name, err, r.want)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %o; want 600", got)
	}
	if _, err := OpenClaims(path); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("OpenClaims of a held file = %v; want ErrLocked with the file", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Swap(t.Context(), "k", 0, deliver.Claim{N: 1}); !errors.Is(err, ErrClaimsClosed) {
		t.Errorf("Swap after Close = %v; want ErrClaimsClosed", err)
	}
	if _, _, err := c.Read(t.Context(), "k"); !errors.Is(err, ErrClaimsClosed) {
		t.Errorf("Read after Close = %v; want ErrClaimsClosed", err)
	}
	if _, err := OpenClaims(dir); err == nil {
		t.Error("OpenClaims of a folder = nil; want an error")
	}
}

func TestClaimsOfALaterVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "claims.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		head, err := tx.CreateBucket(claimsHead)
		if err != nil {
			return err
		}
		return head.Put(claimsVersionKey, []byte{claimsVersion + 1})
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenClaims(path); !errors.Is(err, ErrClaimsVersion) {
		t.Errorf("OpenClaims = %v; want ErrClaimsVersion", err)
	}
}

func BenchmarkClaimsSwap(b *testing.B) {
	for _, workers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("workers_", workers), func(b *testing.B) {
			c := openTestClaims(b, filepath.Join(b.TempDir(), "claims.db"))
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					var rev uint64
					for left.Add(-1) >= 0 {
						var err error
						if rev, err = c.Swap(context.Background(), fmt.Sprint("file.DK-", w), rev, deliver.Claim{N: 1, Att: 1}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
