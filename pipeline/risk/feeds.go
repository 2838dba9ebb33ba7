package risk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Feeds are the copies of feeds that a Model asks; either may be nil. They are only read.
type Feeds struct {
	KEV  *KEV
	EPSS *EPSS
}

// ID names what the feeds say; two with the same ID say the same. Empty for none.
func (f Feeds) ID() string {
	var parts []string
	if f.KEV != nil {
		parts = append(parts, "kev/"+f.KEV.Digest)
	}
	if f.EPSS != nil {
		parts = append(parts, "epss/"+f.EPSS.Digest)
	}
	return strings.Join(parts, " ")
}

// KEV is one copy of CISA's catalogue of known exploited vulnerabilities.
type KEV struct {
	Version  string    // catalogVersion, "2026.11.20"
	Released time.Time // dateReleased
	Digest   string    // of what it says
	entries  map[CVE]Exploited
}

// Exploited is one entry of the catalogue.
type Exploited struct {
	Added      time.Time // a date; zero where the entry has none
	Ransomware bool      // known to be used in ransomware campaigns
}

// NewKEV is the copy with these entries, which it takes over.
func NewKEV(version string, released time.Time, digest string, entries map[CVE]Exploited) *KEV {
	return &KEV{Version: version, Released: released, Digest: digest, entries: entries}
}

// Len is the number of entries.
func (k *KEV) Len() int { return len(k.entries) }

// Find is the entry of a CVE, if it is listed.
func (k *KEV) Find(c CVE) (Exploited, bool) {
	e, ok := k.entries[c]
	return e, ok
}

// EPSS is one copy of the scores of FIRST's Exploit Prediction Scoring System.
type EPSS struct {
	Model  string    // model_version, "v2025.03.14"
	Date   time.Time // score_date
	Digest string    // of what it says
	scores []Score   // by CVE
}

// Score is the likelihood, 0 to 1, that a CVE is exploited in the 30 days after the scores' date.
type Score struct {
	CVE   CVE
	Value float64
}

// NewEPSS is the copy with these scores, which it takes over and sorts. Of two of one CVE the higher counts.
func NewEPSS(model string, date time.Time, digest string, scores []Score) *EPSS {
	slices.SortFunc(scores, func(a, b Score) int { return cmp.Or(cmp.Compare(a.CVE, b.CVE), cmp.Compare(b.Value, a.Value)) })
	scores = slices.CompactFunc(scores, func(a, b Score) bool { return a.CVE == b.CVE })
	return &EPSS{Model: model, Date: date, Digest: digest, scores: slices.Clip(scores)}
}

// Len is the number of scores.
func (e *EPSS) Len() int { return len(e.scores) }

// Find is the score of a CVE, if it has one.
func (e *EPSS) Find(c CVE) (float64, bool) {
	i, ok := slices.BinarySearchFunc(e.scores, c, func(s Score, c CVE) int { return cmp.Compare(s.CVE, c) })
	if !ok {
		return 0, false
	}
	return e.scores[i].Value, true
}

// CVE is a CVE's id as a number: the year times 10⁹, plus the number in the year. The zero CVE is none.
type CVE uint64

// ParseCVE reads CVE-2024-3094, in either case. The number has 4 to 9 digits; the rules of the CVE
// program say at least 4, and 7 are the most that were given out.
func ParseCVE(s string) (CVE, bool) {
	if len(s) < len("CVE-1999-0001") || len(s) > len("CVE-1999-000000001") || !strings.EqualFold(s[:4], "CVE-") || s[8] != '-' {
		return 0, false
	}
	year, ok := digits(s[4:8])
	number, fine := digits(s[9:])
	if !ok || !fine || year == 0 {
		return 0, false
	}
	return CVE(year*1e9 + number), true
}

func digits(s string) (n uint64, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return n, true
}

// String is CVE-2024-3094.
func (c CVE) String() string { return fmt.Sprintf("CVE-%04d-%04d", c/1e9, c%1e9) }

// With is the model asking these feeds.
func (m *Model) With(feeds Feeds) *Model {
	other := *m
	other.feeds = feeds
	return &other
}

// Feeds are the feeds that the model asks.
func (m *Model) Feeds() Feeds { return m.feeds }

// Outdated reports whether the feeds say something else of f than they did when was was decided, such
// that the decision may be another one: KEV lists it or no longer does, EPSS crossed the score of LikelyExploited. With
// scores every other score counts: some expression reads it.
func (m *Model) Outdated(was *pipeline.Explanation, f *pipeline.Finding, scores bool) bool {
	rich, told := m.enrich(f)
	if listed(was.Feeds) != listed(told) {
		return true
	}
	likely := slices.ContainsFunc(was.Reasons, func(r pipeline.Reason) bool { return r.What == LikelyExploited })
	return likely != slices.Contains(rich.RiskFactors, LikelyExploited) || scores && score(was.Feeds) != score(told)
}

func listed(facts []pipeline.FeedFact) bool { return fact(facts, pipeline.FeedKEV).Listed }

func score(facts []pipeline.FeedFact) float64 { return fact(facts, pipeline.FeedEPSS).Score }

// fact is what a feed says; the zero fact for nothing.
func fact(facts []pipeline.FeedFact, feed string) pipeline.FeedFact {
	for _, f := range facts {
		if f.Feed == feed {
			return f
		}
	}
	return pipeline.FeedFact{}
}

// enrich is f with what the feeds say of the CVEs that it names, and these facts: f itself, and none, where it
// names none or no feed is there. KEV adds to what the sources say; a score of EPSS takes the place of theirs, which has no date.
func (m *Model) enrich(f *pipeline.Finding) (*pipeline.Finding, []pipeline.FeedFact) {
	if m.feeds == (Feeds{}) {
		return f, nil
	}
	var buf [4]CVE
	cves := named(buf[:0], f)
	if len(cves) == 0 {
		return f, nil
	}
	rich, vuln := *f, pipeline.Vulnerability{}
	if f.Vuln != nil {
		vuln = *f.Vuln
	}
	rich.Vuln = &vuln
	told := make([]pipeline.FeedFact, 0, 2)
	var found set
	if m.feeds.KEV != nil {
		kev := m.feeds.KEV.ask(cves)
		if told = append(told, kev); kev.Listed {
			found, vuln.KEV = knownExploited, true
		}
	}
	if m.feeds.EPSS != nil {
		epss := m.feeds.EPSS.ask(cves)
		if told = append(told, epss); epss.Listed {
			vuln.EPSS = epss.Score
		}
		if epss.Listed && epss.Score >= m.likely && found == 0 && !slices.Contains(f.RiskFactors, KnownExploited) {
			found = likelyExploited // the stronger fact would cover it
		}
	}
	rich.RiskFactors = found.add(f.RiskFactors)
	return &rich, told
}

// named adds the CVEs that a finding names, each once: the vulnerability's own id, and further names of reports.
func named(to []CVE, f *pipeline.Finding) []CVE {
	add := func(name string) {
		if c, ok := ParseCVE(strings.TrimPrefix(name, "cve:")); ok && !slices.Contains(to, c) {
			to = append(to, c)
		}
	}
	if f.Vuln != nil {
		add(f.Vuln.ID)
	}
	add(f.Control)
	for i := range f.Reports {
		r := &f.Reports[i]
		if r.Vuln != nil {
			add(r.Vuln.ID)
		}
		add(r.Control)
		for _, name := range r.Names {
			add(name)
		}
	}
	return to
}

// ask is what the catalogue says of the first of these CVEs that it lists, else of the first.
func (k *KEV) ask(cves []CVE) pipeline.FeedFact {
	out := pipeline.FeedFact{Feed: pipeline.FeedKEV, Date: k.Released.UTC().Format(time.DateOnly), CVE: cves[0].String()}
	for _, c := range cves {
		e, ok := k.Find(c)
		if !ok {
			continue
		}
		out.CVE, out.Listed, out.Ransomware = c.String(), true, e.Ransomware
		if !e.Added.IsZero() {
			out.Added = e.Added.Format(time.DateOnly)
		}
		break
	}
	return out
}

// ask is the highest score of these CVEs.
func (e *EPSS) ask(cves []CVE) pipeline.FeedFact {
	out := pipeline.FeedFact{Feed: pipeline.FeedEPSS, Date: e.Date.UTC().Format(time.DateOnly), CVE: cves[0].String()}
	for _, c := range cves {
		if value, ok := e.Find(c); ok && (!out.Listed || value > out.Score) {
			out.CVE, out.Listed, out.Score = c.String(), true, value
		}
	}
	return out
}

// sourced says in the reason of a factor which feed gives it, or contradicts it.
func (m *Model) sourced(r *pipeline.Reason, told []pipeline.FeedFact) {
	switch r.What {
	case KnownExploited:
		kev := fact(told, pipeline.FeedKEV)
		if kev.Feed == "" {
			return
		}
		if kev.Listed {
			r.Feed, r.Why = kev.Feed, r.Why+": "+kev.String()
		} else {
			r.Why += ": the source says so"
		}
	case LikelyExploited:
		if epss := fact(told, pipeline.FeedEPSS); epss.Listed {
			r.Feed, r.Why = epss.Feed, fmt.Sprintf("a likelihood, no proof: %s, from %g up", epss, m.likely)
		}
	}
}
