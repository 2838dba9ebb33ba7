package triage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Layer is a View with changes laid over a base: of one batch while it is
// decided, or of a whole plan. As a View it keeps nothing of what it only reads, so that a plan over a large state holds what it
// changes alone. It is not safe for concurrent use.
type Layer struct {
	base View

	meta         Meta
	hot          map[uint64]*Hot
	prints       map[pipeline.Fingerprint]uint64
	aliases      map[pipeline.Fingerprint]uint64 // 0: none any more
	records      map[uint64]*Record
	recordDirty  map[uint64]bool
	cases        map[uint64]*Case
	caseDirty    map[uint64]bool
	newest       map[string]uint64
	members      map[uint64]*memberRows
	memberDirty  map[memberKey]bool
	purgedCases  map[uint64]bool
	purgedSeqs   map[uint64]bool
	hotDirty     map[uint64]bool
	touches      map[SeenKey]int64
	seen         map[[2]string]*Seen
	seenEnded    map[[2]string]bool
	scopes       map[string]Scope
	scopeReports map[ScopeReport]bool // true put, false deleted
	teams        map[string]TeamState
	suppressions map[string]*Suppression // nil: removed
	holds        map[HoldChange]bool     // key with On false; value on or off
	approvals    map[string]string
	done         map[string]bool

	// What one input touched, for the write-backs; followUp empties them.
	touchedCases   map[uint64]bool
	touchedMembers map[memberKey]bool

	outbox  []pipeline.Action
	audit   []Audit
	rejects []pipeline.Reject
}

// memberKey names one member row.
type memberKey struct{ Case, Seq uint64 }

// NewLayer lays nothing over base yet. A nil base is the empty state.
func NewLayer(base View) *Layer {
	if base == nil {
		base = empty{}
	}
	return &Layer{
		base: base, meta: base.Meta(),
		hot: map[uint64]*Hot{}, prints: map[pipeline.Fingerprint]uint64{}, aliases: map[pipeline.Fingerprint]uint64{}, hotDirty: map[uint64]bool{},
		records: map[uint64]*Record{}, recordDirty: map[uint64]bool{},
		cases: map[uint64]*Case{}, caseDirty: map[uint64]bool{}, newest: map[string]uint64{},
		members: map[uint64]*memberRows{}, memberDirty: map[memberKey]bool{},
		purgedCases: map[uint64]bool{}, purgedSeqs: map[uint64]bool{},
		touches: map[SeenKey]int64{}, seen: map[[2]string]*Seen{}, seenEnded: map[[2]string]bool{},
		scopes: map[string]Scope{}, scopeReports: map[ScopeReport]bool{}, teams: map[string]TeamState{},
		suppressions: map[string]*Suppression{}, holds: map[HoldChange]bool{},
		approvals: map[string]string{}, done: map[string]bool{},
		touchedCases: map[uint64]bool{}, touchedMembers: map[memberKey]bool{},
	}
}

// Base is the state under this layer.
func (l *Layer) Base() View { return l.base }

// Meta is the head with this layer's changes.
func (l *Layer) Meta() Meta { return l.meta }

// Hot implements View.
func (l *Layer) Hot(print pipeline.Fingerprint) (Hot, bool) {
	if seq, ok := l.prints[print]; ok {
		if seq == 0 {
			return Hot{}, false
		}
		return l.HotBySeq(seq)
	}
	h, ok := l.base.Hot(print)
	if !ok {
		return Hot{}, false
	}
	if l.hot[h.Seq] != nil || l.purgedSeqs[h.Seq] {
		return l.HotBySeq(h.Seq)
	}
	return h, true
}

// hotOf is the layer's own copy, loaded from the base at first use; nil when unknown. A former
// fingerprint leads to the finding that goes by another one now.
func (l *Layer) hotOf(print pipeline.Fingerprint) *Hot {
	if seq, ok := l.prints[print]; ok {
		if seq == 0 || l.purgedSeqs[seq] {
			return nil
		}
		return l.hotSeq(seq)
	}
	h, ok := l.base.Hot(print)
	if !ok || l.purgedSeqs[h.Seq] {
		return nil
	}
	if known := l.hot[h.Seq]; known != nil { // by its other fingerprint
		l.prints[print] = h.Seq
		return known
	}
	l.prints[print] = h.Seq
	l.hot[h.Seq] = &h
	return &h
}

// HotBySeq implements View.
func (l *Layer) HotBySeq(seq uint64) (Hot, bool) {
	if l.purgedSeqs[seq] {
		return Hot{}, false
	}
	h := l.hot[seq]
	if h == nil {
		return l.base.HotBySeq(seq)
	}
	c := *h
	c.Reports = slices.Clone(h.Reports)
	return c, true
}

func (l *Layer) hotSeq(seq uint64) *Hot {
	if l.purgedSeqs[seq] {
		return nil
	}
	if h, ok := l.hot[seq]; ok {
		return h
	}
	h, ok := l.base.HotBySeq(seq)
	if !ok {
		return nil
	}
	if _, known := l.prints[h.Print]; !known {
		l.prints[h.Print] = seq
	}
	l.hot[seq] = &h
	return &h
}

// Record implements View.
func (l *Layer) Record(seq uint64) (*Record, error) {
	if l.purgedSeqs[seq] {
		return nil, nil
	}
	r := l.records[seq]
	if r == nil {
		return l.base.Record(seq)
	}
	c := *r
	c.Reports = slices.Clone(r.Reports)
	c.Also = slices.Clone(r.Also)
	c.Raw = slices.Clone(r.Raw)
	return &c, nil
}

func (l *Layer) record(seq uint64) (*Record, error) {
	if l.purgedSeqs[seq] {
		return nil, nil
	}
	if r, ok := l.records[seq]; ok {
		return r, nil
	}
	r, err := l.base.Record(seq)
	if r == nil || err != nil {
		return nil, err
	}
	l.records[seq] = r
	return r, nil
}

// Case implements View.
func (l *Layer) Case(number uint64) (*Case, error) {
	if number == 0 || l.purgedCases[number] {
		return nil, nil
	}
	c := l.cases[number]
	if c == nil {
		return l.base.Case(number)
	}
	return c.Clone(), nil
}

func (l *Layer) caseOf(number uint64) (*Case, error) {
	if number == 0 || l.purgedCases[number] {
		return nil, nil
	}
	if c, ok := l.cases[number]; ok {
		return c, nil
	}
	c, err := l.base.Case(number)
	if c == nil || err != nil {
		return nil, err
	}
	l.cases[number] = c
	return c, nil
}

// Clone is a copy that shares with c only what nobody changes in place.
func (c *Case) Clone() *Case {
	d := *c
	d.Returns = slices.Clone(c.Returns)
	d.Sinks = slices.Clone(c.Sinks)
	d.Groups, d.Rekeyed = slices.Clone(c.Groups), slices.Clone(c.Rekeyed)
	d.Entries = make(map[string]*Entry, len(c.Entries))
	for k, e := range c.Entries {
		x := *e
		x.Back = e.Back.clone()
		x.Comments = slices.Clone(e.Comments)
		x.Sent = slices.Clone(e.Sent)
		x.Theirs = maps.Clone(e.Theirs)
		x.Heard = slices.Clone(e.Heard)
		x.Pending.JoinedSome = slices.Clone(e.Pending.JoinedSome)
		x.Pending.GoneSome = slices.Clone(e.Pending.GoneSome)
		x.Pending.Lines = slices.Clone(e.Pending.Lines)
		d.Entries[k] = &x
	}
	if c.Ack != nil {
		a := *c.Ack
		d.Ack = &a
	}
	if c.Person != nil {
		p := *c.Person
		d.Person = &p
	}
	return &d
}

// Newest implements View.
func (l *Layer) Newest(key string) uint64 {
	if n, ok := l.newest[key]; ok {
		return n
	}
	if n := l.base.Newest(key); n != 0 && !l.purgedCases[n] {
		return n
	}
	return 0
}

// memberRows are the members of one case that a layer changed.
type memberRows struct {
	row  map[uint64]Member
	seqs []uint64 // sorted: a look from one of them on need not sort them all
}

func (r *memberRows) put(m Member) {
	if _, known := r.row[m.Seq]; !known {
		i, _ := slices.BinarySearch(r.seqs, m.Seq)
		r.seqs = slices.Insert(r.seqs, i, m.Seq)
	}
	r.row[m.Seq] = m
}

// Members implements View.
func (l *Layer) Members(number uint64, fn func(Member) bool) error {
	return l.MembersFrom(number, 0, fn)
}

// MembersFrom implements View.
func (l *Layer) MembersFrom(number, from uint64, fn func(Member) bool) error {
	if l.purgedCases[number] {
		return nil
	}
	over := l.members[number]
	if over == nil {
		return l.base.MembersFrom(number, from, fn)
	}
	seqs := over.seqs
	i, _ := slices.BinarySearch(seqs, from)
	stopped := false
	err := l.base.MembersFrom(number, from, func(m Member) bool {
		for ; i < len(seqs) && seqs[i] < m.Seq; i++ {
			if !fn(over.row[seqs[i]]) {
				stopped = true
				return false
			}
		}
		if i < len(seqs) && seqs[i] == m.Seq {
			m = over.row[seqs[i]]
			i++
		}
		stopped = !fn(m)
		return !stopped
	})
	for ; err == nil && !stopped && i < len(seqs); i++ {
		stopped = !fn(over.row[seqs[i]])
	}
	return err
}

// Member implements View.
func (l *Layer) Member(number, seq uint64) (Member, bool, error) {
	if l.purgedCases[number] {
		return Member{}, false, nil
	}
	if over := l.members[number]; over != nil {
		if m, ok := over.row[seq]; ok {
			return m, true, nil
		}
	}
	return l.base.Member(number, seq)
}

// Due implements View.
func (l *Layer) Due(now time.Time, limit int) []uint64 {
	type due struct {
		at time.Time
		n  uint64
	}
	var list []due
	add := func(n uint64) {
		if c, err := l.caseOf(n); err == nil && c != nil {
			if at := c.DueAt(); !at.IsZero() && !at.After(now) {
				list = append(list, due{at, n})
			}
		}
	}
	for n := range l.caseDirty {
		add(n)
	}
	for _, n := range l.base.Due(now, limit+len(l.caseDirty)) {
		if !l.caseDirty[n] {
			add(n)
		}
	}
	slices.SortFunc(list, func(a, b due) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.n, b.n))
	})
	var out []uint64
	for _, d := range list {
		out = append(out, d.n)
	}
	return out[:min(len(out), limit)]
}

// Ready implements View.
func (l *Layer) Ready(limit int) []uint64 {
	var out []uint64
	for n := range l.caseDirty {
		if c := l.cases[n]; c != nil && !l.purgedCases[n] && c.Ready() {
			out = append(out, n)
		}
	}
	for _, n := range l.base.Ready(limit + len(l.caseDirty)) {
		if !l.caseDirty[n] && !l.purgedCases[n] {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), limit)]
}

// Held implements View.
func (l *Layer) Held(team string) []uint64 {
	var list []*Case
	for n := range l.caseDirty {
		if c := l.cases[n]; c != nil && !l.purgedCases[n] && c.Open && c.Held != "" && c.Team == team {
			list = append(list, c)
		}
	}
	for _, n := range l.base.Held(team) {
		if l.caseDirty[n] || l.purgedCases[n] {
			continue
		}
		if c, err := l.caseOf(n); err == nil && c != nil {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *Case) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Opened.Compare(b.Opened), cmp.Compare(a.Number, b.Number))
	})
	out := make([]uint64, len(list))
	for i, c := range list {
		out[i] = c.Number
	}
	return out
}

// HeldTeams implements View.
func (l *Layer) HeldTeams() []string {
	teams := map[string]bool{}
	for _, t := range l.base.HeldTeams() {
		if len(l.Held(t)) > 0 {
			teams[t] = true
		}
	}
	for n := range l.caseDirty {
		if c := l.cases[n]; c != nil && c.Open && c.Held != "" {
			teams[c.Team] = true
		}
	}
	return slices.Sorted(maps.Keys(teams))
}

// Team implements View.
func (l *Layer) Team(name string) TeamState {
	if t, ok := l.teams[name]; ok {
		return t
	}
	t := l.base.Team(name)
	t.Name = name
	return t
}

// Scope implements View.
func (l *Layer) Scope(name string) Scope {
	if s, ok := l.scopes[name]; ok {
		return s
	}
	s := l.base.Scope(name)
	s.Name = name
	return s
}

// ScopeReports implements View, in order of arrival.
func (l *Layer) ScopeReports(scope string, fn func(seq uint64, key [16]byte) bool) {
	var all []ScopeReport
	l.base.ScopeReports(scope, func(seq uint64, key [16]byte) bool {
		r := ScopeReport{scope, seq, key}
		if _, over := l.scopeReports[r]; !over && !l.purgedSeqs[seq] {
			all = append(all, r)
		}
		return true
	})
	for r, put := range l.scopeReports {
		if put && r.Scope == scope && !l.purgedSeqs[r.Seq] {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, compareScopeReports)
	for _, r := range all {
		if !fn(r.Seq, r.Key) {
			return
		}
	}
}

// InScope implements View.
func (l *Layer) InScope(r ScopeReport) bool {
	if l.purgedSeqs[r.Seq] {
		return false
	}
	if put, ok := l.scopeReports[r]; ok {
		return put
	}
	return l.base.InScope(r)
}

func compareScopeReports(a, b ScopeReport) int {
	return cmp.Or(strings.Compare(a.Scope, b.Scope), cmp.Compare(a.Seq, b.Seq), slices.Compare(a.Key[:], b.Key[:]))
}

// Seen implements View.
func (l *Layer) Seen(read, scope string) Seen {
	k := [2]string{read, scope}
	s := Seen{Read: read, Scope: scope, Keys: map[SeenKey]bool{}}
	if !l.seenEnded[k] {
		b := l.base.Seen(read, scope)
		s.Count, s.Broken = b.Count, b.Broken
		maps.Copy(s.Keys, b.Keys)
	}
	if o := l.seen[k]; o != nil {
		s.Count += o.Count
		s.Broken = cmp.Or(o.Broken, s.Broken)
		maps.Copy(s.Keys, o.Keys)
	}
	return s
}

// Suppressions implements View, sorted by name.
func (l *Layer) Suppressions() []Suppression {
	var out []Suppression
	for _, s := range l.base.Suppressions() {
		if _, over := l.suppressions[s.Name]; !over {
			out = append(out, s)
		}
	}
	for _, s := range l.suppressions {
		if s != nil {
			out = append(out, *s)
		}
	}
	slices.SortFunc(out, func(a, b Suppression) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// SuppressedBy implements View, in order of arrival.
func (l *Layer) SuppressedBy(name string, fn func(seq uint64) bool) {
	var all []uint64
	l.base.SuppressedBy(name, func(seq uint64) bool {
		if _, over := l.holds[HoldChange{Suppression: name, Seq: seq}]; !over && !l.purgedSeqs[seq] {
			all = append(all, seq)
		}
		return true
	})
	for h, on := range l.holds {
		if on && h.Suppression == name && !l.purgedSeqs[h.Seq] {
			all = append(all, h.Seq)
		}
	}
	slices.Sort(all)
	for _, seq := range all {
		if !fn(seq) {
			return
		}
	}
}

// Approval implements View.
func (l *Layer) Approval(key string) string {
	if p, ok := l.approvals[key]; ok {
		return p
	}
	return l.base.Approval(key)
}

// Done implements View.
func (l *Layer) Done(id string) bool { return l.done[id] || l.base.Done(id) }
