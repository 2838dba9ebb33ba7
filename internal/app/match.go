package app

import (
	"cmp"
	"crypto/fips140"
	"crypto/md5" //nolint:gosec // the other tool's label is an MD5; nothing rests on its strength
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// wantedTicket is a ticket that would be made, with what a record of it would carry.
type wantedTicket struct {
	sink     string
	groupKey string
	caseID   string // empty while the case does not exist yet
	gen      int    // generation that its ticket would have
	title    string
	team     string
	group    []pipeline.GroupValue
	reopen   time.Duration // how long after its close a ticket is opened again
	reports  []string      // the ids of its open reports
	places   []string      // its resources
}

// generations is how many generations of a group's tickets are looked for.
const generations = 64

// adopting matches records with the tickets that would be made. It looks at values only.
type adopting struct {
	sink         string
	installation string
	now          time.Time
	wanted       []wantedTicket
	known        map[string]bool // ids of records that state has already
	raise        []api.Takeover  // groups without a record to take over whose old keys must not be used again
	take         []api.Takeover
	leave        []api.LeftRecord
}

func (m *adopting) takeOver(w *wantedTicket, l *pipeline.Listed, gen int, why string) {
	m.take = append(m.take, api.Takeover{
		Sink: m.sink, Ref: l.Ref, Record: l.Title, Open: l.Open, Case: w.caseID, Title: w.title, Team: w.team, Group: w.group,
		Why: why, GroupKey: w.groupKey, Gen: gen, Rev: l.Rev,
	})
}

func (m *adopting) leaveIt(l *pipeline.Listed, format string, args ...any) {
	m.leave = append(m.leave, api.LeftRecord{Sink: m.sink, Ref: l.Ref, Title: l.Title, Why: fmt.Sprintf(format, args...)})
}

// byKey matches docket's own records: by the ticket key of each generation, and only
// where the record says nothing else about its group.
func (m *adopting) byKey(records []pipeline.Listed) {
	type place struct{ ticket, gen int }
	keys := map[string]place{}
	for i := range m.wanted {
		for gen := range generations {
			keys[pipeline.TicketKey(m.installation, m.wanted[i].groupKey, gen)] = place{i, gen}
		}
	}
	hits := map[int][]*pipeline.Listed{}
	genOf := map[*pipeline.Listed]int{}
	for i := range records {
		l := &records[i]
		at, found := keys[l.Key]
		switch {
		case m.known[l.Ref.ID]:
		case l.Installation != "" && l.Installation != m.installation:
		case !found && l.Open:
			m.leaveIt(l, "no problem that is reported now would have its ticket")
		case !found:
		case !sameGroup(l.Group, m.wanted[at.ticket].group):
			m.leaveIt(l, "it carries the key of %q, but says that it is about another group", m.wanted[at.ticket].title)
		default:
			genOf[l] = at.gen
			hits[at.ticket] = append(hits[at.ticket], l)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(hits)) {
		m.choose(&m.wanted[i], hits[i], genOf)
	}
}

// choose takes the newest ticket of a group: an open one before a closed one. One that was closed
// longer ago than reopen_window is left, as it would be if docket remembered it.
func (m *adopting) choose(w *wantedTicket, hits []*pipeline.Listed, gens map[*pipeline.Listed]int) {
	slices.SortFunc(hits, func(a, b *pipeline.Listed) int {
		open := func(l *pipeline.Listed) int {
			if l.Open {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(open(a), open(b)), cmp.Compare(gens[b], gens[a]), olderFirst(a, b))
	})
	first, last := hits[0], w.gen
	for _, l := range hits {
		last = max(last, gens[l])
	}
	if !first.Open && !first.Updated.IsZero() && m.now.Sub(first.Updated) > w.reopen {
		m.leaveIt(first, "closed for longer than reopen_window: the problem gets a new ticket")
		m.raise = append(m.raise, api.Takeover{Sink: m.sink, GroupKey: w.groupKey, Gen: last + 1})
		return
	}
	m.takeOver(w, first, gens[first], "its key")
	for _, l := range hits[1:] {
		if l.Open {
			m.leaveIt(l, "a further record of %q beside %s: `docket reconcile --repair` links and closes it", w.title, full(first.Ref))
		}
	}
}

// sameGroup compares what a record says of its group with the case's. A record that says nothing agrees.
func sameGroup(said, is []pipeline.GroupValue) bool {
	if len(said) == 0 {
		return true
	}
	words := func(list []pipeline.GroupValue) []string {
		var out []string
		for _, g := range list {
			// Trackers fold and cut text; what stays of it is compared.
			out = append(out, strings.Join(strings.FieldsFunc(g.Name+" "+g.Value, func(r rune) bool { return r == ';' || r == ' ' || r == '\t' || r == '\n' }), " "))
		}
		slices.Sort(out)
		return out
	}
	a, b := words(said), words(is)
	return slices.EqualFunc(a, b, func(x, y string) bool {
		if i := strings.Index(x, "…"); i > 0 {
			return strings.HasPrefix(y, x[:i])
		}
		return x == y
	})
}

// The labels that other tools find their tickets by.
var (
	// jiralert: JIRALERT{} round a SHA-512 of the group's labels, or the older ALERT{name="value",…}
	// (prometheus-community/jiralert, pkg/notify/notify.go, toGroupTicketLabel).
	jiralertLabel = regexp.MustCompile(`^(JIRALERT\{[0-9a-f]{128}\}|ALERT\{.*=.*\})$`)
	// Alertmanager's own Jira receiver: ALERT{} round the SHA-256 of the group key (prometheus/alertmanager, notify/jira/jira.go).
	alertmanagerLabel = regexp.MustCompile(`^ALERT\{[0-9a-f]{64}\}$`)
	// The AWS sample: aws-sec- and the MD5 of the finding's id (aws-samples/aws-securityhub-jira-software-integration, src/code/utils.py).
	awsLabel = regexp.MustCompile(`^aws-sec-[0-9a-f]{32}$`)
)

// labelOf tells a tool's tickets; nil for a tool that nothing is known of.
func labelOf(from string) func(label string) bool {
	switch from {
	case api.FromJiralert:
		return jiralertLabel.MatchString
	case api.FromAlertmanager:
		return alertmanagerLabel.MatchString
	case api.FromAWS:
		return awsLabel.MatchString
	}
	return nil
}

// idRunes is the least length of an id that is looked for in text: shorter ones are words.
const idRunes = 12

// byWords matches another tool's records: by a report's id, or else by a resource, that stands whole
// in the title, the text or the labels. Only a record that fits one ticket which fits no other record is taken over.
func (m *adopting) byWords(records []pipeline.Listed) {
	reports, places := map[string][]int{}, map[string][]int{}
	note := func(index map[string][]int, word string, i int) {
		if len(word) >= idRunes && !slices.Contains(index[word], i) {
			index[word] = append(index[word], i)
		}
	}
	for i := range m.wanted {
		for _, id := range m.wanted[i].reports {
			note(reports, id, i)
			if !fips140.Enforced() { // there MD5 panics, and the record is found by the id in its text alone
				sum := md5.Sum([]byte(id))
				note(reports, "aws-sec-"+hex.EncodeToString(sum[:]), i)
			}
		}
		for _, id := range m.wanted[i].places {
			note(places, id, i)
		}
	}
	fits := map[int][]int{} // record by ticket
	why := map[int]string{} // by record
	one := map[int]int{}    // ticket by record
	for r := range records {
		l := &records[r]
		if m.known[l.Ref.ID] || !l.Open {
			continue
		}
		words := wordsOf(l)
		found, what := fitting(reports, words), "a finding's id"
		if len(found) == 0 {
			found, what = fitting(places, words), "its resource"
		}
		switch len(found) {
		case 0:
			m.leaveIt(l, "it names no finding and no resource of a ticket that would be made")
		case 1:
			one[r], why[r] = found[0], what
			fits[found[0]] = append(fits[found[0]], r)
		default:
			m.leaveIt(l, "it fits %d tickets that would be made", len(found))
		}
	}
	for _, r := range slices.Sorted(maps.Keys(one)) {
		w := &m.wanted[one[r]]
		if n := len(fits[one[r]]); n > 1 {
			m.leaveIt(&records[r], "%d records fit %q", n, w.title)
			continue
		}
		m.takeOver(w, &records[r], w.gen, why[r])
	}
}

func fitting(index map[string][]int, words map[string]bool) []int {
	found := map[int]bool{}
	for w := range words {
		for _, i := range index[w] {
			found[i] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// wordsOf are the words of a record, as ids are written: letters, digits and the signs of ARNs and paths.
func wordsOf(l *pipeline.Listed) map[string]bool {
	out := map[string]bool{}
	cut := func(text string) {
		for w := range strings.FieldsFuncSeq(text, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._-+=@", r)
		}) {
			out[strings.Trim(w, ".:=/")] = true
			if _, value, ok := strings.Cut(w, "="); ok {
				out[strings.Trim(value, ".:=/")] = true
			}
		}
	}
	cut(l.Title)
	cut(l.Text)
	for _, label := range l.Labels {
		cut(label)
	}
	return out
}
