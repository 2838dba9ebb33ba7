package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
)

// mapSite groups by account and control, as the default does: a problem has one ticket.
var mapSite = strings.Replace(fileSite, "[account, region, resource, control]", "[account, control]", 1)

// equivalenceOf makes a map of problems and their names.
func equivalenceOf(t testing.TB, version string, rows map[string][]string) *identity.Map {
	t.Helper()
	text := "version " + version + "\n"
	for _, problem := range slices.Sorted(maps.Keys(rows)) {
		text += fmt.Sprintf("%s\tAwsEc2SecurityGroup\tsame\t%s\t-\t%s\tH\n", problem, strings.Join(rows[problem], ","), problem)
	}
	m, err := identity.ReadMap(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// twoMaps are a map in which ten controls of Prowler are problems of their own and two of its pairs are one problem, and
// one in which the ten are one with Security Hub's and the two pairs are four problems.
func twoMaps(t testing.TB) (old, next *identity.Map) {
	before, after := map[string][]string{}, map[string][]string{}
	for i := range 10 {
		hub, prowler := fmt.Sprintf("fsbp:Merge.%d", i), fmt.Sprintf("prowler:merge_%d", i)
		before[fmt.Sprintf("hub-merge-%d", i)] = []string{hub}
		before[fmt.Sprintf("own-merge-%d", i)] = []string{prowler}
		after[fmt.Sprintf("hub-merge-%d", i)] = []string{hub, prowler}
	}
	for i := range 2 {
		hub, prowler := fmt.Sprintf("fsbp:Split.%d", i), fmt.Sprintf("prowler:split_%d", i)
		before[fmt.Sprintf("hub-split-%d", i)] = []string{hub, prowler}
		after[fmt.Sprintf("hub-split-%d", i)] = []string{hub}
		after[fmt.Sprintf("own-split-%d", i)] = []string{prowler}
	}
	return equivalenceOf(t, "2026-11", before), equivalenceOf(t, "2026-12", after)
}

// controlDoc is one report of a control on one security group.
func controlDoc(name string, group int, at time.Time) map[string]any {
	space, id, _ := strings.Cut(name, ":")
	return map[string]any{
		"product": map[string]string{"fsbp": "Security Hub", "prowler": "Prowler"}[space], "id": fmt.Sprintf("%s/%d", name, group), "title": name,
		"severity": "HIGH", "status": "open", "control": id, "names": []string{name}, "account": map[string]any{"id": foldAccount}, "region": "eu-west-1",
		"resource":    map[string]any{"id": fmt.Sprintf("sg-%08d", group), "type": "AwsEc2SecurityGroup"},
		"observed_at": at.UTC().Format(time.RFC3339),
	}
}

// controlDocs are the reports of the scene: each pair of controls on three groups, and each alone on one more.
func controlDocs(at time.Time) []map[string]any {
	var docs []map[string]any
	pair := func(hub, prowler string) {
		for g := range 3 {
			docs = append(docs, controlDoc(hub, g, at), controlDoc(prowler, g, at))
		}
		docs = append(docs, controlDoc(hub, 3, at), controlDoc(prowler, 4, at))
	}
	for i := range 10 {
		pair(fmt.Sprintf("fsbp:Merge.%d", i), fmt.Sprintf("prowler:merge_%d", i))
	}
	for i := range 2 {
		pair(fmt.Sprintf("fsbp:Split.%d", i), fmt.Sprintf("prowler:split_%d", i))
	}
	return docs
}

// under makes the site's docket one with that map.
func (s *site) under(m *identity.Map) { s.equiv = m }

// printsOf are the fingerprints of the open findings, with their cases.
func printsOf(t testing.TB, s *site) map[pipeline.Fingerprint]string {
	t.Helper()
	out := map[pipeline.Fingerprint]string{}
	for _, f := range allFindings(t, s.offline()) {
		if _, twice := out[f.Fingerprint]; twice {
			t.Errorf("two findings have the fingerprint %s", f.Fingerprint.Short())
		}
		out[f.Fingerprint] = f.Case
	}
	return out
}

// openTickets are the open tickets by case.
func openTickets(s *site) map[string]ticketFile {
	out := map[string]ticketFile{}
	for _, x := range s.tickets() {
		if x.State == "open" {
			out[x.Case] = x
		}
	}
	return out
}

func TestAnotherEquivalenceMap(t *testing.T) {
	old, next := twoMaps(t)
	s := newSite(t, mapSite)
	s.under(old)
	at := time.Now().Add(-time.Hour)
	s.put("in/all.json", ndjson(t, controlDocs(at)...))
	s.once()
	if n := len(s.tickets()); n != 22 {
		t.Fatalf("the old map makes %d tickets; want 22: twenty controls, two pairs", n)
	}
	before := printsOf(t, s)

	s.under(next)
	pl, err := s.offline().Plan(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	m := pl.Migration
	if m == nil || len(m.Cases) != 10 || m.Merged != 30 || m.Split != 6 || m.To != next.Version() || m.From != old.Version() {
		t.Errorf("Plan().Migration = %+v; want 30 findings merged, 6 parts split off, ten cases merged", m)
	}
	verbs := map[string]int{}
	for _, a := range pl.Actions {
		verbs[a.Verb]++
	}
	if verbs["close"] != 10 || verbs["create"] != 0 {
		t.Errorf("the plan's actions are %v; want ten closed and none created", verbs)
	}

	sum := s.once()
	if sum.TicketsCreated != 0 || sum.TicketsClosed != 10 || sum.Opened != 0 || sum.New != 0 {
		t.Errorf("RunOnce() under the new map = %s; want no new ticket, ten closed", counts(sum))
	}
	open := openTickets(s)
	if len(open) != 12 {
		t.Errorf("%d tickets are open; want 12", len(open))
	}
	for _, c := range allCases(t, s.offline()) {
		if c.State == "open" {
			continue
		}
		d, err := s.offline().Case(t.Context(), c.Case)
		if err != nil {
			t.Fatal(err)
		}
		into, ok := open[d.MovedTo]
		if c.Reason != "merged" || !ok || !strings.Contains(into.Text, c.Case+" \\(") {
			t.Errorf("%s is closed as %q into %s; want merged into a case whose open ticket links it", c.Case, c.Reason, d.MovedTo)
		}
		for _, x := range s.tickets() {
			if x.Case == c.Case && (x.State != "closed" || !strings.Contains(x.Text, into.Case+" \\(")) {
				t.Errorf("the ticket of %s is %s and does not link %s:\n%s", c.Case, x.State, into.Case, x.Text)
			}
		}
	}
	s.clean()
	s.followed(next)
	for print := range before {
		x, err := s.offline().Explain(t.Context(), print.String())
		if err != nil || x.Finding == nil {
			t.Fatalf("Explain(%s) = %v; want the finding that it is now", print.Short(), err)
		}
		if short, err := s.offline().Explain(t.Context(), print.String()[:16]); err != nil || short.Finding.Fingerprint != x.Finding.Fingerprint {
			t.Errorf("Explain(%s) = %v; want the same finding", print.String()[:16], err)
		}
		if x.Finding.Fingerprint != print && !strings.Contains(x.Verdict, "by the equivalence map "+next.Version()) {
			t.Errorf("Explain(%s) = %q; want what became of it", print.Short(), x.Verdict)
		}
	}
	s.still()
	s.touched(at)

	// And back: what was made one is two again, in the case where it is.
	s.under(old)
	sum = s.once()
	if sum.TicketsCreated != 0 || sum.Opened != 0 {
		t.Errorf("RunOnce() under the old map again = %s; want no new ticket", counts(sum))
	}
	s.clean()
	s.followed(old)
	now := printsOf(t, s)
	if !slices.Equal(sortedPrints(before), sortedPrints(now)) {
		t.Errorf("%d fingerprints after there and back; want the %d that were", len(now), len(before))
	}
	s.still()
	s.touched(at)
}

func sortedPrints(m map[pipeline.Fingerprint]string) []string {
	var out []string
	for p := range m {
		out = append(out, p.String())
	}
	slices.Sort(out)
	return out
}

// followed fails unless every finding's fingerprint is the one that its reports give under a map.
func (s *site) followed(m *identity.Map) {
	s.t.Helper()
	for _, f := range allFindings(s.t, s.offline()) {
		d, err := s.offline().Finding(s.t.Context(), f.Fingerprint.String())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range d.Finding.Reports {
			again := r
			if print, ok := m.Again(&again, f.Fingerprint); !ok || print != f.Fingerprint {
				s.t.Errorf("%s has the report %s, which is %s by the map", f.Fingerprint.Short(), r.ID, print.Short())
			}
		}
	}
}

// touched reads the same reports again, a little later: nothing is new.
func (s *site) touched(at time.Time) {
	s.t.Helper()
	s.put("in/all.json", ndjson(s.t, controlDocs(at.Add(time.Minute))...))
	if sum := s.once(); moved(sum) {
		s.t.Errorf("RunOnce() of the same reports = %s; want nothing new", counts(sum))
	}
}
