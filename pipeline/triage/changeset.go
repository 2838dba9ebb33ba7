package triage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Changeset is what this layer changed. The layer must not be used afterwards.
func (l *Layer) Changeset() Changeset {
	c := Changeset{
		Meta: l.meta, Newest: l.newest, Aliases: l.aliases, Approvals: l.approvals,
		Outbox: l.outbox, Audit: l.audit, Rejects: l.rejects,
		PurgedCases: slices.Sorted(maps.Keys(l.purgedCases)), PurgedSeqs: slices.Sorted(maps.Keys(l.purgedSeqs)),
		Interactions: slices.Sorted(maps.Keys(l.done)),
		Hot:          slices.Grow([]Hot(nil), len(l.hotDirty)), Members: slices.Grow([]Member(nil), len(l.memberDirty)),
		Touches: slices.Grow([]Touch(nil), len(l.touches)),
	}
	for _, seq := range slices.Sorted(maps.Keys(l.hotDirty)) {
		if !l.purgedSeqs[seq] {
			c.Hot = append(c.Hot, *l.hot[seq])
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(l.recordDirty)) {
		if !l.purgedSeqs[seq] {
			c.Records = append(c.Records, l.records[seq])
		}
	}
	for _, n := range slices.Sorted(maps.Keys(l.caseDirty)) {
		if !l.purgedCases[n] {
			c.Cases = append(c.Cases, l.cases[n])
		}
	}
	for k := range l.memberDirty {
		if !l.purgedCases[k.Case] {
			c.Members = append(c.Members, l.members[k.Case][k.Seq])
		}
	}
	slices.SortFunc(c.Members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Case, b.Case), cmp.Compare(a.Seq, b.Seq))
	})
	for k, at := range l.touches {
		if !l.hotDirty[k.Seq] && !l.purgedSeqs[k.Seq] {
			c.Touches = append(c.Touches, Touch{k.Seq, k.Key, at})
		}
	}
	slices.SortFunc(c.Touches, func(a, b Touch) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), slices.Compare(a.Key[:], b.Key[:]))
	})
	l.scopeChanges(&c)
	for _, name := range slices.Sorted(maps.Keys(l.teams)) {
		c.Teams = append(c.Teams, l.teams[name])
	}
	for _, name := range slices.Sorted(maps.Keys(l.suppressions)) {
		if s := l.suppressions[name]; s != nil {
			c.Suppressions = append(c.Suppressions, *s)
		} else {
			c.Unsuppressed = append(c.Unsuppressed, name)
		}
	}
	for h, on := range l.holds {
		h.On = on
		c.Held = append(c.Held, h)
	}
	slices.SortFunc(c.Held, func(a, b HoldChange) int {
		return cmp.Or(strings.Compare(a.Suppression, b.Suppression), cmp.Compare(a.Seq, b.Seq))
	})
	return c
}

func (l *Layer) scopeChanges(c *Changeset) {
	for _, s := range l.seen {
		c.Seen = append(c.Seen, *s)
	}
	slices.SortFunc(c.Seen, compareSeen)
	for k := range l.seenEnded {
		c.SeenEnded = append(c.SeenEnded, Seen{Read: k[0], Scope: k[1]})
	}
	slices.SortFunc(c.SeenEnded, compareSeen)
	for _, name := range slices.Sorted(maps.Keys(l.scopes)) {
		c.Scopes = append(c.Scopes, l.scopes[name])
	}
	for r, put := range l.scopeReports {
		if put {
			c.ScopePut = append(c.ScopePut, r)
		} else {
			c.ScopeDel = append(c.ScopeDel, r)
		}
	}
	slices.SortFunc(c.ScopePut, compareScopeReports)
	slices.SortFunc(c.ScopeDel, compareScopeReports)
}

func compareSeen(a, b Seen) int {
	return cmp.Or(strings.Compare(a.Read, b.Read), strings.Compare(a.Scope, b.Scope))
}

// Empty reports whether nothing but the positions moved.
func (c *Changeset) Empty() bool {
	return len(c.Hot)+len(c.Records)+len(c.Cases)+len(c.Members)+len(c.PurgedCases)+len(c.PurgedSeqs)+
		len(c.Newest)+len(c.Aliases)+len(c.Touches)+len(c.Seen)+len(c.SeenEnded)+len(c.Scopes)+len(c.ScopePut)+len(c.ScopeDel)+
		len(c.Teams)+len(c.Suppressions)+len(c.Unsuppressed)+len(c.Held)+len(c.Approvals)+len(c.Interactions)+
		len(c.Outbox)+len(c.Audit)+len(c.Rejects) == 0
}

// Apply lays a changeset over this layer, as a commit would over state. The layer then owns its records.
func (l *Layer) Apply(c Changeset) {
	l.meta = c.Meta
	for i := range c.Hot {
		h := c.Hot[i]
		l.hot[h.Seq], l.prints[h.Print], l.hotDirty[h.Seq] = &h, h.Seq, true
	}
	for _, r := range c.Records {
		l.records[r.Seq], l.recordDirty[r.Seq] = r, true
	}
	for _, x := range c.Cases {
		l.cases[x.Number], l.caseDirty[x.Number] = x, true
	}
	for _, m := range c.Members {
		l.keepMember(m)
	}
	for _, n := range c.PurgedCases {
		l.purgedCases[n] = true
	}
	for _, seq := range c.PurgedSeqs {
		l.purge(seq)
	}
	maps.Copy(l.newest, c.Newest)
	for print, seq := range c.Aliases {
		l.putAlias(print, seq)
	}
	for _, t := range c.Touches {
		l.touch(t.Seq, t.Key, t.Observed)
	}
	for _, k := range c.SeenEnded {
		delete(l.seen, [2]string{k.Read, k.Scope})
		l.seenEnded[[2]string{k.Read, k.Scope}] = true
	}
	for _, s := range c.Seen {
		o := l.seenOf(s.Read, s.Scope)
		o.Count += s.Count
		o.Broken = cmp.Or(s.Broken, o.Broken)
		maps.Copy(o.Keys, s.Keys)
	}
	for _, s := range c.Scopes {
		l.scopes[s.Name] = s
	}
	for _, r := range c.ScopePut {
		l.scopeReports[r] = true
	}
	for _, r := range c.ScopeDel {
		l.scopeReports[r] = false
	}
	for _, t := range c.Teams {
		l.teams[t.Name] = t
	}
	for i := range c.Suppressions {
		s := c.Suppressions[i]
		l.suppressions[s.Name] = &s
	}
	for _, name := range c.Unsuppressed {
		l.suppressions[name] = nil
	}
	for _, h := range c.Held {
		l.holds[HoldChange{Suppression: h.Suppression, Seq: h.Seq}] = h.On
	}
	maps.Copy(l.approvals, c.Approvals)
	for _, id := range c.Interactions {
		l.done[id] = true
	}
	l.outbox = append(l.outbox, c.Outbox...)
	l.audit = append(l.audit, c.Audit...)
	l.rejects = append(l.rejects, c.Rejects...)
}

// Outbox is every action that was issued in this layer, in order.
func (l *Layer) Outbox() []pipeline.Action { return l.outbox }

// AuditLines are the story lines written in this layer.
func (l *Layer) AuditLines() []Audit { return l.audit }

// Rejects are the rejects kept in this layer.
func (l *Layer) Rejects() []pipeline.Reject { return l.rejects }

// CasesChanged lists the numbers of the cases that this layer changed, in order.
func (l *Layer) CasesChanged() []uint64 { return slices.Sorted(maps.Keys(l.caseDirty)) }

func (l *Layer) putHot(h *Hot) {
	l.hot[h.Seq], l.hotDirty[h.Seq] = h, true
	// While a new equivalence map moves findings, one may be about to leave a fingerprint that is another one's already.
	if n := l.prints[h.Print]; n != h.Seq {
		if x := l.hot[n]; x == nil || x.Print != h.Print || l.purgedSeqs[n] {
			l.prints[h.Print] = h.Seq
		}
	}
}

// putPrint makes a fingerprint a finding's own, though another one that is about to leave it still has it.
func (l *Layer) putPrint(h *Hot) {
	l.prints[h.Print] = h.Seq
	l.putHot(h)
}

// putAlias lets a former fingerprint lead to a finding, or, with 0, to none.
func (l *Layer) putAlias(print pipeline.Fingerprint, seq uint64) {
	l.aliases[print] = seq
	if h := l.hotOf(print); h == nil || h.Print != print {
		l.prints[print] = seq
	}
}

func (l *Layer) putRecord(r *Record) { l.records[r.Seq], l.recordDirty[r.Seq] = r, true }

func (l *Layer) putCase(c *Case) {
	l.keepCase(c)
	l.touchedCases[c.Number] = true
}

// keepCase is putCase of what no write-back has to follow.
func (l *Layer) keepCase(c *Case) { l.cases[c.Number], l.caseDirty[c.Number] = c, true }

func (l *Layer) putMember(m Member) {
	l.keepMember(m)
	l.touchedMembers[memberKey{m.Case, m.Seq}] = true
}

// keepMember is putMember of what no write-back has to follow.
func (l *Layer) keepMember(m Member) {
	if l.members[m.Case] == nil {
		l.members[m.Case] = map[uint64]Member{}
	}
	l.members[m.Case][m.Seq] = m
	l.memberDirty[memberKey{m.Case, m.Seq}] = true
}

func (l *Layer) purge(seq uint64) {
	// The same problem may be back under a later number already.
	if h := l.hotSeq(seq); h != nil && l.prints[h.Print] == seq {
		l.prints[h.Print] = 0
	}
	l.purgedSeqs[seq] = true
}

func (l *Layer) touch(seq uint64, key [16]byte, observed int64) {
	if h := l.hotSeq(seq); h != nil {
		if r := h.Find(key); r != nil && observed > r.Observed {
			r.Observed = observed
		}
	}
	k := SeenKey{seq, key}
	l.touches[k] = max(l.touches[k], observed)
}

func (l *Layer) seenOf(read, scope string) *Seen {
	k := [2]string{read, scope}
	if l.seen[k] == nil {
		l.seen[k] = &Seen{Read: read, Scope: scope, Keys: map[SeenKey]bool{}}
	}
	return l.seen[k]
}

// empty is the state before anything happened.
type empty struct{}

func (empty) Meta() Meta                                       { return Meta{NextSeq: 1, NextCase: 1} }
func (empty) Hot(pipeline.Fingerprint) (Hot, bool)             { return Hot{}, false }
func (empty) HotBySeq(uint64) (Hot, bool)                      { return Hot{}, false }
func (empty) Record(uint64) (*Record, error)                   { return nil, nil }
func (empty) Words(uint64) (*Record, error)                    { return nil, nil }
func (empty) Case(uint64) (*Case, error)                       { return nil, nil }
func (empty) Newest(string) uint64                             { return 0 }
func (empty) Members(uint64, func(Member) bool) error          { return nil }
func (empty) Member(uint64, uint64) (Member, bool, error)      { return Member{}, false, nil }
func (empty) Due(time.Time, int) []uint64                      { return nil }
func (empty) Ready(int) []uint64                               { return nil }
func (empty) Held(string) []uint64                             { return nil }
func (empty) HeldTeams() []string                              { return nil }
func (empty) Team(name string) TeamState                       { return TeamState{Name: name} }
func (empty) Scope(name string) Scope                          { return Scope{Name: name} }
func (empty) ScopeReports(string, func(uint64, [16]byte) bool) {}
func (empty) InScope(ScopeReport) bool                         { return false }
func (empty) Seen(read, scope string) Seen                     { return Seen{Read: read, Scope: scope} }
func (empty) Suppressions() []Suppression                      { return nil }
func (empty) SuppressedBy(string, func(uint64) bool)           {}
func (empty) Approval(string) string                           { return "" }
func (empty) Done(string) bool                                 { return false }

var (
	_ View = (*Layer)(nil)
	_ View = empty{}
)
