package state

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline/deliver"
)

// Position is how far a state had read its streams.
type Position struct {
	Findings, Inputs uint64
	NextCase         uint64 // the number of its next case
	Restored         string // id of the last restore that the state went through; "" for none
}

var (
	claimsPosition = []byte("position") // of the state, when it was last opened or closed
	claimsRestored = []byte("restored") // of that state: the restore it went through
	claimsBack     = []byte("back")     // set for good once the state was found to be older than the claims; new each time
)

// Behind reports whether a state is an older copy than the one that these claims
// belong to, or a new one: its position lies before the noted one, it was restored since, or there are
// claims of cases that it has not numbered yet.
func (c *Claims) Behind(p Position) (bool, error) {
	behind := false
	err := c.db.View(func(tx *bbolt.Tx) error {
		behind = string(tx.Bucket(claimsHead).Get(claimsRestored)) != p.Restored
		if b := tx.Bucket(claimsHead).Get(claimsPosition); len(b) == 16 {
			behind = behind || p.Findings < binary.BigEndian.Uint64(b) || p.Inputs < binary.BigEndian.Uint64(b[8:])
		}
		defer c.trim(tx, claimsTrim) // all of it is read
		return tx.Bucket(claimsBucket).ForEach(func(k, _ []byte) error {
			i := bytes.LastIndex(k, []byte(".DK-"))
			if i < 0 {
				return nil
			}
			n, err := strconv.ParseUint(string(k[i+len(".DK-"):]), 10, 64)
			behind = behind || err == nil && n >= p.NextCase
			return nil
		})
	})
	if err != nil {
		return false, fmt.Errorf("comparing claims with state: %w", err)
	}
	return behind, nil
}

func (p Position) put(head *bbolt.Bucket) error {
	at := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, p.Findings), p.Inputs)
	return errors.Join(head.Put(claimsPosition, at), head.Put(claimsRestored, []byte(p.Restored)))
}

// Note remembers the position of the state that the claims belong to.
func (c *Claims) Note(p Position) error {
	err := c.db.Update(func(tx *bbolt.Tx) error { return p.put(tx.Bucket(claimsHead)) })
	if err != nil {
		return fmt.Errorf("noting the position of the state: %w", err)
	}
	return nil
}

// PutBack brings the claims into line with a state that is behind them: no claim is
// ahead of its entry any more, so that actions which the state numbers anew are carried out, and what
// became of them before is forgotten. WasPutBack reports it from then on. Nothing may hold a claim.
func (c *Claims) PutBack(entries []ClaimEntry, p Position) error {
	known := map[string]ClaimEntry{}
	for _, e := range entries {
		known[e.Key] = e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.db.Update(func(tx *bbolt.Tx) error {
		head, claims := tx.Bucket(claimsHead), tx.Bucket(claimsBucket)
		change := map[string]deliver.Claim{}
		err := claims.ForEach(func(k, row []byte) error {
			was, _, err := decodeClaim(row)
			if err != nil {
				return err
			}
			e := known[string(k)]
			if was.N > e.N || e.Key == "" {
				change[string(k)] = deliver.Claim{N: e.N, Att: was.Att + 1, Done: !e.InFlight}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for k, claim := range change {
			value, err := encodeClaim(k, claim)
			if err != nil {
				return err
			}
			if _, err := putClaim(claims, []byte(k), value); err != nil {
				return err
			}
			c.recent.remove(k)
		}
		return errors.Join(p.put(head), head.Put(claimsBack, []byte(rand.Text())))
	})
	if err != nil {
		return fmt.Errorf("bringing the claims into line with state: %w", err)
	}
	return nil
}

// WasPutBack says since when the state may lack what was delivered, as a word that is another one after each
// PutBack; "" when the state was never found to be older than the claims. Else tickets that it does not know may be
// there, and actions that it numbers anew are not those that were numbered so before.
func (c *Claims) WasPutBack() (string, error) {
	back := ""
	err := c.db.View(func(tx *bbolt.Tx) error {
		back = hex.EncodeToString(tx.Bucket(claimsHead).Get(claimsBack))
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading the claims: %w", err)
	}
	return back, nil
}
