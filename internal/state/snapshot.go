package state

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Snapshot is state at one moment. It is for one goroutine at a time, and must
// be closed. Everything it returns is a copy.
type Snapshot struct {
	s    *Store
	tx   *bolt.Tx
	meta triage.Meta
	row  uint64   // newest row of touches
	own  *overlay // read from the rows, once the store's overlay has moved on
	err  error    // the first damaged value met where a method cannot say so
	buf  [4]uint64

	lookups int64 // records read; counted by the store on Close
}

var _ triage.View = (*Snapshot)(nil)

// View opens a snapshot of what is committed. Close it before the same goroutine commits.
func (s *Store) View() (*Snapshot, error) {
	s.mu.Lock()
	s.snapshots++
	s.mu.Unlock()
	tx, err := s.db.Begin(false)
	if err != nil {
		s.released()
		return nil, fmt.Errorf("reading state: %w", err)
	}
	p := &Snapshot{s: s, tx: tx, row: tx.Bucket(bucketTouches).Sequence()}
	if p.meta, err = readHead(tx); err != nil {
		_ = p.Close() // the reading error says more
		return nil, err
	}
	return p, nil
}

// Close ends the snapshot. It may be called twice.
func (p *Snapshot) Close() error {
	if p.tx == nil {
		return nil
	}
	p.s.looked(p.tx, p.lookups)
	err := p.tx.Rollback()
	p.tx = nil
	p.s.released()
	return err
}

func (s *Store) released() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots--
	s.buryGraves()
}

// Err is the first damaged value met by a method that has no error of its
// own and took it as missing. Look before what was decided from the snapshot is committed.
func (p *Snapshot) Err() error { return p.err }

func (p *Snapshot) note(err error) {
	if p.err == nil && err != nil {
		p.err = err
	}
}

func (p *Snapshot) get(bucket, key []byte) []byte {
	if p.lookups++; p.lookups >= lookupTrim {
		p.s.looked(p.tx, p.lookups)
		p.lookups = 0
	}
	return p.tx.Bucket(bucket).Get(key)
}

// Meta implements triage.View.
func (p *Snapshot) Meta() triage.Meta { return p.meta }

// Hot implements triage.View.
func (p *Snapshot) Hot(print pipeline.Fingerprint) (triage.Hot, bool) {
	if err := p.s.remember(); err != nil {
		p.note(err)
		return triage.Hot{}, false
	}
	p.s.mu.RLock()
	seqs := p.s.prints.find(p.buf[:0], print)
	p.s.mu.RUnlock()
	for _, seq := range seqs {
		// The index may know more than this snapshot, and only half of the print.
		v := p.get(bucketHot, key64(seq))
		if len(v) >= hotPrintAt+32 && bytes.Equal(v[hotPrintAt:hotPrintAt+32], print[:]) {
			return p.hot(seq, v)
		}
	}
	if len(seqs) > 0 { // a former fingerprint stands in the index too
		if seq := p.aliasOf(print); seq != 0 {
			return p.HotBySeq(seq)
		}
	}
	return triage.Hot{}, false
}

// HotBySeq implements triage.View.
func (p *Snapshot) HotBySeq(seq uint64) (triage.Hot, bool) {
	if err := p.s.remember(); err != nil {
		p.note(err)
		return triage.Hot{}, false
	}
	v := p.get(bucketHot, key64(seq))
	if v == nil {
		return triage.Hot{}, false
	}
	return p.hot(seq, v)
}

func (p *Snapshot) hot(seq uint64, v []byte) (triage.Hot, bool) {
	h, touched, err := decodeHot(seq, v)
	if err == nil {
		err = p.touch(&h, touched)
	}
	if err != nil {
		p.note(err)
		return triage.Hot{}, false
	}
	return h, true
}

// touch brings the last-seen times of h up to this snapshot.
func (p *Snapshot) touch(h *triage.Hot, touched uint64) error {
	if p.own == nil && p.touchShared(h, touched) {
		return nil
	}
	if p.own == nil {
		own, _, err := p.s.loadTouches(p.tx)
		if err != nil {
			return err
		}
		p.own = &own
	}
	p.own.apply(h, touched)
	return nil
}

// touchShared does it from the store's overlay, or leaves h alone and reports
// false where that is older or newer than this snapshot.
func (p *Snapshot) touchShared(h *triage.Hot, touched uint64) bool {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	o := &p.s.overlay
	if o.shrunk > p.tx.ID() || o.row < p.row {
		return false
	}
	if o.row > p.row {
		for i := range h.Reports {
			if t, ok := o.entries[touchKeyOf(h.Seq, h.Reports[i].Key)]; ok && t.row > p.row {
				return false
			}
		}
	}
	o.apply(h, touched)
	return true
}

// Words implements triage.View: it is Record without Raw.
func (p *Snapshot) Words(seq uint64) (*triage.Record, error) {
	v := p.get(bucketRecords, key64(seq))
	if v == nil {
		return nil, nil
	}
	r := &triage.Record{}
	if err := load(v, r); err != nil {
		return nil, fmt.Errorf("reading finding %d: %w", seq, err)
	}
	return r, nil
}

// Record implements triage.View. The reports' own records are in Raw.
func (p *Snapshot) Record(seq uint64) (*triage.Record, error) {
	r, err := p.Words(seq)
	if r == nil || err != nil {
		return nil, err
	}
	if v := p.get(bucketRaw, key64(seq)); v != nil {
		raw, err := decodeRaw(v)
		if err != nil {
			return nil, fmt.Errorf("reading the source records of finding %d: %w", seq, err)
		}
		r.Raw = raw
	}
	return r, nil
}

// Case implements triage.View.
func (p *Snapshot) Case(number uint64) (*triage.Case, error) {
	p.s.mu.RLock()
	known, ok := p.s.cases.get(number)
	p.s.mu.RUnlock()
	if ok && known.id <= p.tx.ID() {
		return known.value.Clone(), nil
	}
	v := p.get(bucketCases, key64(number))
	if v == nil {
		return nil, nil
	}
	c := &triage.Case{}
	if err := load(v, c); err != nil {
		return nil, fmt.Errorf("reading %s: %w", triage.CaseID(number), err)
	}
	return c, nil
}

// Newest implements triage.View.
func (p *Snapshot) Newest(groupKey string) uint64 {
	return number(p.get(bucketGroups, nameKey(groupKey)))
}

// Members implements triage.View.
func (p *Snapshot) Members(n uint64, fn func(triage.Member) bool) error {
	return p.MembersFrom(n, 0, fn)
}

// MembersFrom implements triage.View.
func (p *Snapshot) MembersFrom(n, from uint64, fn func(triage.Member) bool) error {
	c := p.tx.Bucket(bucketMembers).Cursor()
	prefix := key64(n)
	for k, v := c.Seek(key64s(n, from)); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		m, err := decodeMember(n, number(k), v)
		if err != nil || !fn(m) {
			return err
		}
	}
	return nil
}

// Member implements triage.View.
func (p *Snapshot) Member(n, seq uint64) (triage.Member, bool, error) {
	v := p.get(bucketMembers, key64s(n, seq))
	if v == nil {
		return triage.Member{}, false, nil
	}
	m, err := decodeMember(n, seq, v)
	return m, err == nil, err
}

// each calls fn for the rows whose keys begin with prefix, in order, until it returns false.
func (p *Snapshot) each(bucket, prefix []byte, fn func(k, v []byte) bool) {
	c := p.tx.Bucket(bucket).Cursor()
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix) && fn(k, v); k, v = c.Next() {
	}
}

// Due implements triage.View.
func (p *Snapshot) Due(now time.Time, limit int) []uint64 {
	last := appendInstant(nil, now)
	var out []uint64
	p.each(bucketDue, nil, func(k, _ []byte) bool {
		if len(out) >= limit || len(k) < instantBytes || bytes.Compare(k[:instantBytes], last) > 0 {
			return false
		}
		out = append(out, number(k))
		return true
	})
	return out
}

// Ready implements triage.View.
func (p *Snapshot) Ready(limit int) []uint64 {
	var out []uint64
	p.each(bucketReady, nil, func(k, _ []byte) bool {
		if len(out) >= limit {
			return false
		}
		out = append(out, number(k))
		return true
	})
	return out
}

// Held implements triage.View.
func (p *Snapshot) Held(team string) []uint64 {
	var out []uint64
	p.each(bucketHeld, nameKey(team), func(k, _ []byte) bool {
		out = append(out, number(k))
		return true
	})
	return out
}

// HeldTeams implements triage.View, sorted.
func (p *Snapshot) HeldTeams() []string {
	var out []string
	c := p.tx.Bucket(bucketHeld).Cursor()
	for k, v := c.First(); k != nil && len(v) > 0; {
		team := string(v[1:])
		out = append(out, team)
		// No key of this team is above the one that ends in 0xff where a priority stands.
		k, v = c.Seek(append(nameKey(team), 0xff))
	}
	slices.Sort(out)
	return out
}

// Team implements triage.View.
func (p *Snapshot) Team(name string) triage.TeamState {
	t := triage.TeamState{Name: name}
	p.json(bucketTeams, name, &t)
	return t
}

// Scope implements triage.View.
func (p *Snapshot) Scope(name string) triage.Scope {
	s := triage.Scope{Name: name}
	p.json(bucketScopes, name, &s)
	return s
}

func (p *Snapshot) json(bucket []byte, name string, out any) {
	if v := p.get(bucket, nameKey(name)); v != nil {
		if err := load(v, out); err != nil {
			p.note(fmt.Errorf("reading %s of %s: %w", name, bucket, err))
		}
	}
}

// ScopeReports implements triage.View, in order of arrival.
func (p *Snapshot) ScopeReports(scope string, fn func(seq uint64, key [16]byte) bool) {
	prefix := nameKey(scope)
	p.each(bucketScopeReports, prefix, func(k, _ []byte) bool {
		rest := k[len(prefix):]
		if len(rest) != 24 {
			p.note(fmt.Errorf("%w: key of a report in scope %s", ErrDamaged, scope))
			return true
		}
		return fn(number(rest[:8]), [16]byte(rest[8:]))
	})
}

// InScope implements triage.View.
func (p *Snapshot) InScope(r triage.ScopeReport) bool {
	return p.get(bucketScopeReports, scopeReportKey(r.Scope, r.Seq, r.Key)) != nil
}

// Seen implements triage.View.
func (p *Snapshot) Seen(read, scope string) triage.Seen {
	s := triage.Seen{Read: read, Scope: scope, Keys: map[triage.SeenKey]bool{}}
	p.each(bucketSeen, seenPrefix(read, scope), func(_, v []byte) bool {
		if err := addSeen(&s, v); err != nil {
			// A read that is not known in full proves nothing.
			s.Broken = "what was seen of it is damaged in state"
			p.note(fmt.Errorf("reading what read %s saw of scope %s: %w", read, scope, err))
			return false
		}
		return true
	})
	return s
}

// Suppressions implements triage.View, sorted by name.
func (p *Snapshot) Suppressions() []triage.Suppression {
	var out []triage.Suppression
	p.each(bucketSuppressions, nil, func(_, v []byte) bool {
		var s triage.Suppression
		if err := load(v, &s); err != nil {
			p.note(fmt.Errorf("reading a suppression: %w", err))
			return true
		}
		out = append(out, s)
		return true
	})
	slices.SortFunc(out, func(a, b triage.Suppression) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// SuppressedBy implements triage.View, in order of arrival.
func (p *Snapshot) SuppressedBy(name string, fn func(seq uint64) bool) {
	p.each(bucketSuppressed, nameKey(name), func(k, _ []byte) bool { return fn(number(k)) })
}

// Approval implements triage.View.
func (p *Snapshot) Approval(groupKey string) string {
	if v := p.get(bucketApprovals, nameKey(groupKey)); len(v) > 0 {
		return string(v[1:])
	}
	return ""
}

// Done implements triage.View. Of the newest 100,000 interactions it is certain.
func (p *Snapshot) Done(interaction string) bool {
	return p.get(bucketInteractions, appendName([]byte{byID}, interaction)) != nil
}
