// Package mask replaces what looks like a credential in findings, before they
// reach state, rejects, tickets, logs or the API. A Masker knows the rules that gitleaks
// publishes (rules.json, see its head and LICENSE-rules).
//
// A masked value reads ghp_[masked:github-pat]: its first four characters, so
// that people can tell which one it is, and the rule. The id of an AWS access key keeps its
// last four too; a value of fewer than 16 characters and a private key keep nothing.
// The same input always gives the same output, and masking twice is masking once.
package mask

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/docket-hub/docket/pipeline"
)

// Masker finds and replaces credentials. It is read-only once made: any number
// of goroutines may use one.
type Masker struct {
	words    *words
	keywords []keyword
	rules    []rule
	list     []string // the words of keywords
	secret   *words   // secretNames
	generic  int      // index of ruleGeneric
	private  int      // index of rulePrivateKey
}

// New compiles the embedded rules, some ten milliseconds of work: make one and
// share it. An error means that the program was built from a broken rule file.
func New() (*Masker, error) {
	m := &Masker{secret: newWords(secretNames())}
	if err := m.load(); err != nil {
		return nil, err
	}
	return m, nil
}

// String masks plain text. Without a credential it returns s itself.
func (m *Masker) String(s string) string {
	if len(s) < minCredential {
		return s
	}
	text := []byte(s)
	if out, changed := m.text(text); changed {
		return string(out)
	}
	return s
}

// minCredential is shorter than every credential that a rule knows.
const minCredential = 10

// text masks plain text; changed is false when there was nothing to mask.
func (m *Masker) text(text []byte) (out []byte, changed bool) {
	var room [8]span
	spans := m.scan(room[:0], text, 0)
	if len(spans) == 0 {
		return text, false
	}
	return m.replace(text, spans), true
}

// span is one credential: text[from:to], found by a rule.
type span struct {
	from, to int
	rule     int
}

// scan appends the credentials of text, in order and without overlap. What
// ends at or before from is no concern of the caller and may be missing.
func (m *Masker) scan(spans []span, text []byte, from int) []span {
	if len(text) < minCredential {
		return spans
	}
	var done seen
	found := len(spans)
	w, state := m.words, uint32(0)
	for i, c := range text {
		state = w.next[state+uint32(w.class[c])]
		ends := w.ends[state/w.width]
		if len(ends) == 0 {
			continue
		}
		for _, n := range ends {
			k := &m.keywords[n]
			at := i + 1 - k.size
			if k.generic {
				if s, ok := m.genericAt(text, at, i+1); ok {
					spans = append(spans, s)
				}
			}
			if k.pem {
				if end, _, ok := pemAt(text, at); ok {
					spans = append(spans, span{at, end, m.private})
				}
			}
			for _, r := range k.rules {
				spans = m.ruleAt(spans, &done, r, text, at, i+1)
			}
		}
	}
	if len(spans) == found {
		return spans
	}
	return m.tidy(spans, found, text, from)
}

// seen remembers up to where each rule has searched a text, so that a text full
// of keywords costs no more than its length. Few rules meet in one text.
type seen struct {
	rule [8]int
	to   [8]int
	n    int
}

func (s *seen) upTo(rule int) int {
	for i := range min(s.n, len(s.rule)) {
		if s.rule[i] == rule {
			return s.to[i]
		}
	}
	return 0
}

func (s *seen) set(rule, to int) {
	for i := range min(s.n, len(s.rule)) {
		if s.rule[i] == rule {
			s.to[i] = to
			return
		}
	}
	s.rule[s.n%len(s.rule)], s.to[s.n%len(s.rule)] = rule, to
	s.n++
}

// The window in which a rule's expression runs: some bytes before the keyword,
// and at least windowBytes behind it, then on to the end of the token that stands there.
const (
	beforeBytes = 128
	windowBytes = 512
	reachBytes  = 256      // a credential that begins this far into a window is found in it
	tokenBytes  = 16 << 10 // the longest token that is followed
)

// ruleAt runs rule n round its keyword text[at:end], unless a look at the bytes rules it out.
func (m *Masker) ruleAt(spans []span, done *seen, n int, text []byte, at, end int) []span {
	r := &m.rules[n]
	if !r.possible(text, at, end) {
		return spans
	}
	if at+reachBytes <= done.upTo(n) {
		return spans
	}
	from := max(0, at-beforeBytes)
	to := min(len(text), at+windowBytes)
	for to < len(text) && to-at < tokenBytes && isToken(text[to]) {
		to++
	}
	done.set(n, to)
	if to < len(text) {
		to++ // the byte that ends the token is part of many expressions
	}
	window := text[from:to]
	for _, loc := range r.re.FindAllSubmatchIndex(window, -1) {
		a, b := loc[0], loc[1]
		for g := 2; g < len(loc); g += 2 {
			if loc[g] >= 0 && loc[g+1] > loc[g] {
				a, b = loc[g], loc[g+1]
				break
			}
		}
		secret := window[a:b]
		if r.entropy > 0 && entropy(secret) <= r.entropy {
			continue
		}
		if r.allowed(secret, window[loc[0]:loc[1]], line(text, from+loc[0], from+loc[1])) {
			continue
		}
		spans = append(spans, span{from + a, from + b, n})
	}
	return spans
}

// possible is a cheap look round a keyword: false means that the rule's
// expression cannot match there.
func (r *rule) possible(text []byte, at, end int) bool {
	switch r.shape {
	case shapeLoose:
		return len(text)-at >= r.min/2
	case shapeAssign, shapeEither:
		start, ok := assignment(text, end, true)
		if ok && run(text, start, minCredential) >= minCredential {
			return true
		}
		return r.shape == shapeEither && around(text, at, minCredential)
	}
	if r.literal != "" {
		if r.boundary && at > 0 && isWord(text[at-1]) {
			return false
		}
		return string(text[at:end]) == r.literal && run(text, at, r.min) >= r.min
	}
	if r.begins {
		return (!r.boundary || at == 0 || !isWord(text[at-1])) && run(text, at, r.min) >= r.min
	}
	return around(text, at, r.min)
}

// around reports whether text[at] stands in a run of at least n token bytes.
func around(text []byte, at, n int) bool {
	for k := 0; at > 0 && k < n && isToken(text[at-1]); k++ {
		at--
	}
	return run(text, at, n) >= n
}

// run counts the token bytes from text[at] on, up to limit.
func run(text []byte, at, limit int) int {
	n := 0
	for at+n < len(text) && n < limit && isToken(text[at+n]) {
		n++
	}
	return n
}

// tidy sorts the spans behind the first keep ones, drops what stands before
// from or within an earlier mask, and joins those that overlap under the first one's rule.
func (m *Masker) tidy(spans []span, keep int, text []byte, from int) []span {
	tail := spans[keep:]
	slices.SortFunc(tail, func(a, b span) int {
		if a.from != b.from {
			return a.from - b.from
		}
		if a.to != b.to {
			return b.to - a.to
		}
		return a.rule - b.rule
	})
	out := spans[:keep]
	for _, s := range tail {
		s.from = max(s.from, from)
		if s.to <= s.from {
			continue
		}
		if s.rule != m.private && bytes.Contains(text[s.from:s.to], []byte(maskOpen)) {
			continue // only a private key is masked again: nothing of it stays
		}
		if n := len(out); n > keep && s.from < out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

const (
	maskOpen  = "[masked:"
	maskClose = "]"
)

// Masked reports whether something in a text was masked.
func Masked(text string) bool { return strings.Contains(text, maskOpen) }

// replace returns a copy of text with every span masked.
func (m *Masker) replace(text []byte, spans []span) []byte {
	out := make([]byte, 0, len(text))
	last := 0
	for _, s := range spans {
		out = append(out, text[last:s.from]...)
		out = m.appendMask(out, text[s.from:s.to], s.rule)
		last = s.to
	}
	return append(out, text[last:]...)
}

// keepRunes is how many characters of a long enough credential stay readable.
const keepRunes = 4

func (m *Masker) appendMask(out, secret []byte, n int) []byte {
	id := m.rules[n].id
	long := len(secret) >= 16 && n != m.private
	if long {
		out = append(out, secret[:firstRunes(secret, keepRunes)]...)
	}
	out = append(out, maskOpen...)
	out = append(out, id...)
	out = append(out, maskClose...)
	if long && id == ruleAccessKey {
		out = append(out, secret[len(secret)-keepRunes:]...)
	}
	return out
}

// firstRunes is the length of the first n printable ASCII characters, or fewer
// when another one comes before.
func firstRunes(b []byte, n int) int {
	for i, c := range b {
		if i == n || c <= ' ' || c >= utf8.RuneSelf || c == '[' || c == ']' || c == '"' || c == '\\' {
			return i
		}
	}
	return min(n, len(b))
}

// Report masks every text of a report in place: the record as it came (Raw,
// which stays valid JSON), the words, the ids and the tags. It is called before the report is
// identified, so that the same credential masks to the same identity every time.
func (m *Masker) Report(r *pipeline.Report) {
	for _, s := range []*string{
		&r.Product, &r.ID, &r.Generator, &r.Account.ID, &r.Account.Name, &r.Region,
		&r.Resource.ID, &r.Resource.Type, &r.Resource.Name, &r.Resource.Original,
		&r.Repository, &r.Control, &r.Problem, &r.Title, &r.Description,
		&r.Remediation.Text, &r.Remediation.URL, &r.StatusReason, &r.Scope,
	} {
		*s = m.String(*s)
	}
	for _, list := range [][]string{r.Names, r.Links, r.Compliance, r.RiskFactors, r.Tags, r.Account.OU} {
		for i, s := range list {
			list[i] = m.String(s)
		}
	}
	m.tags(r.Account.Tags)
	m.tags(r.Resource.Tags)
	if v := r.Vuln; v != nil {
		v.ID, v.Package = m.String(v.ID), m.String(v.Package)
		v.Version, v.FixedVersion = m.String(v.Version), m.String(v.FixedVersion)
	}
	if g := r.Given; g != nil {
		g.ID, g.Type, g.Region = m.String(g.ID), m.String(g.Type), m.String(g.Region)
	}
	if c := r.Code; c != nil {
		c.Rule, c.Path = m.String(c.Rule), m.String(c.Path)
		c.Snippet, c.Fingerprint = m.String(c.Snippet), m.String(c.Fingerprint)
	}
	if len(r.Raw) > 0 {
		r.Raw = m.Bytes(r.Raw)
	}
}

// tags masks a map in place. The name counts: password = … is a credential by its name.
func (m *Masker) tags(tags map[string]string) {
	for k, v := range tags {
		if masked := m.pair(k, v); masked != v {
			tags[k] = masked
		}
		if name := m.String(k); name != k {
			tags[name] = tags[k]
			delete(tags, k)
		}
	}
}

// pair masks a value that stands under a name.
func (m *Masker) pair(name, v string) string {
	if len(v) < minCredential {
		return v
	}
	text := make([]byte, 0, len(name)+len(v)+2)
	text = append(text, name...)
	text = append(text, `="`...)
	from := len(text)
	text = append(text, v...)
	var room [8]span
	spans := m.scan(room[:0], text, from)
	if len(spans) == 0 {
		return v
	}
	return string(m.replace(text, spans)[from:])
}
