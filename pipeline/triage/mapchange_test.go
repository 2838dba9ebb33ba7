package triage

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"pgregory.net/rapid"
)

// problem is the problem of a control under the tests' map.
func (k config) problem(control string) string {
	if p := k.equiv[control]; p != "" {
		return p
	}
	return control
}

func (k config) print(r *pipeline.Report) pipeline.Fingerprint {
	return sha256.Sum256([]byte(r.Account.ID + "|" + k.problem(r.Control) + "|" + r.Resource.ID))
}

// identify is Rules.Identify. A report whose id begins with a question mark does not tell its identity any more.
func (k config) identify(r *pipeline.Report, print pipeline.Fingerprint) (pipeline.Fingerprint, bool) {
	if strings.HasPrefix(r.ID, "?") {
		return print, false
	}
	r.Problem, r.Print = k.problem(r.Control), k.print(r)
	return r.Print, true
}

// under brings another map into force, in steps of n.
func (w *world) under(equiv map[string]string, version string, n int) error {
	w.config.equiv, w.config.version = equiv, version
	if err := w.decide(Input{Map: &MapChange{Version: version}}); err != nil {
		return err
	}
	for range 1000 {
		if w.state.Meta().Migration == (Migration{}) {
			return nil
		}
		if err := w.decide(Input{Migrate: n}); err != nil {
			return err
		}
	}
	return fmt.Errorf("the migration does not end: %+v", w.state.Meta().Migration)
}

// identities lists what is wrong with the identity of the findings in state.
func (w *world) identities() []string {
	var out []string
	at := map[string]uint64{}
	for seq := uint64(1); seq < w.state.Meta().NextSeq; seq++ {
		h, ok := w.state.HotBySeq(seq)
		if !ok {
			continue
		}
		rec, err := w.state.Record(seq)
		if err != nil || rec.Print != h.Print || len(rec.Reports) != len(h.Reports) || len(rec.Reports) == 0 {
			out = append(out, fmt.Sprintf("finding %d: record and hot record differ (%v)", seq, err))
			continue
		}
		if other, _ := w.state.Hot(h.Print); other.Seq != seq {
			out = append(out, fmt.Sprintf("the fingerprint of finding %d leads to %d", seq, other.Seq))
		}
		for i := range rec.Reports {
			r := &rec.Reports[i]
			if print := w.config.print(r); print != h.Print && !strings.HasPrefix(r.ID, "?") {
				out = append(out, fmt.Sprintf("finding %d is %s, its report %s is %s", seq, h.Print.Short(), r.ID, print.Short()))
			}
			if other := at[r.Key()]; other != 0 {
				out = append(out, fmt.Sprintf("report %s is in %d and %d", r.ID, other, seq))
			}
			at[r.Key()] = seq
			if h.Find(pipeline.ReportKey(r.Product, r.ID)) == nil {
				out = append(out, fmt.Sprintf("finding %d: report %s has no hot report", seq, r.ID))
			}
		}
		for _, a := range rec.Aliases {
			if x, ok := w.state.Hot(a.Print); !ok || x.Seq != seq {
				out = append(out, fmt.Sprintf("the former fingerprint %s of finding %d leads to %d", a.Print.Short(), seq, x.Seq))
			}
		}
		if h.Case == 0 {
			continue
		}
		if m, ok, _ := w.state.Member(h.Case, seq); ok && m.Line.Fingerprint != h.Print {
			out = append(out, fmt.Sprintf("finding %d stands in %s as %s", seq, CaseID(h.Case), m.Line.Fingerprint.Short()))
		}
	}
	return out
}

// homes lists the groups whose findings lead more than one open case.
func (w *world) homes() (out []string) {
	at := map[string]uint64{}
	for n := uint64(1); n < w.state.Meta().NextCase; n++ {
		c, err := w.state.Case(n)
		if err != nil || c == nil || !c.Open || c.OpenCount() == 0 {
			continue
		}
		rec, err := w.state.Record(c.Lead)
		if err != nil || rec == nil {
			out = append(out, fmt.Sprintf("%s is led by finding %d, which is not there (%v)", c.ID(), c.Lead, err))
			continue
		}
		f := rec.Finding()
		key := w.config.rules().Judge(&f).Key
		if other := at[key]; other != 0 {
			out = append(out, fmt.Sprintf("%s and %s are both led by findings of the group %q", CaseID(other), c.ID(), key))
		}
		at[key] = n
	}
	return out
}

func drawMap(t *rapid.T, label string) map[string]string {
	m := map[string]string{}
	for _, c := range []string{"a", "b", "c", "d"} {
		m[c] = rapid.SampledFrom([]string{"a", "P", "Q", "R", c}).Draw(t, label+" "+c)
	}
	return m
}

// TestEveryMapChange brings any map into force over any state: every finding is then what its reports say, no
// ticket is new, former fingerprints lead on, and whatever is reported again, under either map, is known.
func TestEveryMapChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(standard())
		w.config.equiv, w.config.version = drawMap(t, "first"), "m0"
		fatal := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if bad := append(broken(w.state), w.identities()...); len(bad) > 0 {
				t.Fatalf("%s:\n%s", what, strings.Join(bad, "\n"))
			}
		}
		fatal("the first map", w.decide(Input{Map: &MapChange{Version: "m0"}}))
		var says []say
		for i := range rapid.IntRange(1, 14).Draw(t, "reports") {
			s := say{
				product: rapid.SampledFrom([]string{"Hub", "Other"}).Draw(t, "product"), control: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "control"),
				resource: rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "resource"), status: drawStatus(t), observed: start.Add(-time.Hour),
			}
			s.id = fmt.Sprintf("%s/%s/%s/%d", s.product, s.control, s.resource, i%2)
			if !slices.ContainsFunc(says, func(x say) bool { return x.id == s.id }) {
				says = append(says, s)
			}
		}
		for _, s := range says {
			w.now = w.now.Add(time.Minute)
			fatal("a report", w.decide(w.report(s)))
			if rapid.Bool().Draw(t, "deliver") {
				_, err := w.deliver()
				fatal("delivering", err)
			}
		}
		for range rapid.IntRange(0, 3).Draw(t, "people") {
			w.now = w.now.Add(time.Minute)
			id := CaseID(rapid.Uint64Range(1, max(1, w.state.Meta().NextCase-1)).Draw(t, "case"))
			in := person(pipeline.Interaction{Verb: pipeline.VerbClose, Cases: []string{id}})
			if rapid.Bool().Draw(t, "exempt") {
				in = person(pipeline.Interaction{Verb: pipeline.VerbSuppress, Suppression: &pipeline.Suppression{
					Name: "x" + w.now.String(), When: rapid.SampledFrom([]string{"r1", "a", "b"}).Draw(t, "when"), Reason: "so", Until: w.now.Add(24 * time.Hour)}})
			}
			fatal("a person", w.decide(in))
			for w.state.Meta().Sweep != 0 {
				fatal("a sweep", w.decide(Input{Sweep: 100}))
			}
		}
		_, err := w.deliver()
		fatal("delivering", err)
		for i := range 2 {
			old := w.config
			former := map[pipeline.Fingerprint]bool{}
			for seq := uint64(1); seq < w.state.Meta().NextSeq; seq++ {
				if h, ok := w.state.HotBySeq(seq); ok {
					former[h.Print] = true
				}
			}
			held := slices.ContainsFunc(w.state.Suppressions(), func(s Suppression) bool { return s.When != "r1" })
			w.now = w.now.Add(time.Minute)
			if steps := rapid.IntRange(0, 12).Draw(t, "steps of a map that is given up"); steps > 0 {
				w.config.equiv, w.config.version = drawMap(t, "given up"), fmt.Sprintf("x%d", i)
				given := []Input{{Map: &MapChange{Version: w.config.version}}}
				for range steps {
					given = append(given, Input{Migrate: 1})
				}
				for _, in := range given { // half-way, identities of both maps stand side by side
					if err := w.decide(in); err != nil {
						t.Fatalf("a map that is given up: %v", err)
					}
				}
			}
			fatal("another map", w.under(drawMap(t, "next"), fmt.Sprintf("m%d", i+1), rapid.IntRange(1, 5).Draw(t, "step")))
			if bad := w.homes(); len(bad) > 0 {
				t.Fatalf("after another map:\n%s", strings.Join(bad, "\n"))
			}
			verbs, err := w.deliver()
			fatal("delivering", err)
			for _, v := range verbs {
				if strings.HasPrefix(v, "create") && !held { // what an exception on a control does not hold any more gets its ticket
					t.Fatalf("another map made a ticket: %v", verbs)
				}
			}
			for p := range former {
				if _, ok := w.state.Hot(p); !ok {
					t.Fatalf("the former fingerprint %s leads nowhere", p.Short())
				}
			}
			before := dump(w.state)
			fatal("the same map", w.under(w.config.equiv, w.config.version, 1))
			if after := dump(w.state); after != before {
				t.Fatalf("the same map again changed state: %s", differ(after, before))
			}
			known := w.sum.New
			now := w.config
			for _, k := range []config{old, now} { // on its way since the old map, and read anew
				w.config = k
				in := w.report(says...)
				w.config = now
				fatal("reports again", w.decide(in))
			}
			if w.sum.New != known {
				t.Fatalf("%d reports are new after another map; want all known", w.sum.New-known)
			}
		}
	})
}

// TestReopenedCaseLeavesTheGroupToItsHolder: another map gave the group of DK-1's name to DK-2, and DK-1 another group. When DK-1
// comes back for that one, what is new in the group goes on to DK-2.
func TestReopenedCaseLeavesTheGroupToItsHolder(t *testing.T) {
	w := newWorld(standard())
	w.config.equiv, w.config.version = map[string]string{}, "m0"
	first := say{control: "a", resource: "r1"}
	w.must(Input{Map: &MapChange{Version: "m0"}}, w.report(first), w.report(say{control: "b", resource: "r2"}))
	if err := w.under(map[string]string{"a": "c", "b": "a"}, "m1", 10); err != nil {
		t.Fatal(err)
	}
	report := func(s say) {
		t.Helper()
		w.now = w.now.Add(time.Hour)
		w.must(w.report(s))
	}
	gone := first
	gone.status = pipeline.StatusResolved
	report(gone)
	if c, err := w.state.Case(1); err != nil || c.Open || c.Closed != ClosedFixed {
		t.Fatalf("DK-1 = %+v, %v; want it closed as fixed", c, err)
	}
	report(first)
	if c, err := w.state.Case(1); err != nil || !c.Open {
		t.Fatalf("DK-1 = %+v, %v; want it open again", c, err)
	}
	report(say{control: "b", resource: "r3"})
	if h, ok := w.state.HotBySeq(3); !ok || h.Case != 2 {
		t.Errorf("the new finding is in %s; want DK-2, which holds its group and is open", CaseID(h.Case))
	}
}

func drawStatus(t *rapid.T) pipeline.Status {
	return rapid.SampledFrom([]pipeline.Status{pipeline.StatusOpen, pipeline.StatusOpen, pipeline.StatusOpen, pipeline.StatusResolved, pipeline.StatusUnproven}).Draw(t, "status")
}
