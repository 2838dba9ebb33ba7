package triage

import (
	"fmt"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// counting counts what Decide reads of a state.
type counting struct {
	*Layer
	rows, records int
}

func (v *counting) Members(number uint64, fn func(Member) bool) error {
	return v.MembersFrom(number, 0, fn)
}

func (v *counting) MembersFrom(number, from uint64, fn func(Member) bool) error {
	return v.Layer.MembersFrom(number, from, func(m Member) bool {
		v.rows++
		return fn(m)
	})
}

func (v *counting) Record(seq uint64) (*Record, error) {
	v.records++
	return v.Layer.Record(seq)
}

// large is a state with large cases, and what its decisions read.
type large struct {
	config config
	view   *counting
	now    time.Time
	most   int // records that one decision read
}

// migrationStep is how many findings or cases one step of a migration looks at.
const migrationStep = 500

func newLarge(tb testing.TB, equiv map[string]string, says []say) *large {
	k := standard()
	k.equiv, k.version = equiv, "m0"
	w := &large{config: k, view: &counting{Layer: NewLayer(nil)}, now: start.Add(time.Hour)}
	w.decide(tb, Input{Map: &MapChange{Version: "m0"}})
	for len(says) > 0 {
		n := min(len(says), migrationStep)
		w.decide(tb, w.reported(says[:n]))
		says = says[n:]
	}
	w.settle(tb)
	w.view.rows, w.view.records, w.most = 0, 0, 0
	return w
}

func (w *large) reported(says []say) Input {
	e := benchEnvelope(says, w.now)
	for i := range e.Items {
		rep, err := decode("src", &e.Items[i])
		if err != nil {
			panic(err) // the tests' own records
		}
		e.Items[i].Print = w.config.print(&rep)
	}
	return Input{Envelope: e}
}

func (w *large) decide(tb testing.TB, in Input) Changeset {
	tb.Helper()
	in.Time = w.now
	before := w.view.records
	cs, _, err := Decide(w.config.rules(), w.view, []Input{in})
	if err != nil {
		tb.Fatal(err)
	}
	w.view.Apply(cs)
	w.most = max(w.most, w.view.records-before)
	return cs
}

// settle carries out what is due.
func (w *large) settle(tb testing.TB) {
	for {
		rows := w.decide(tb, Input{Issue: &Issue{}}).Outbox
		if len(rows) == 0 {
			return
		}
		for _, a := range rows {
			w.decide(tb, Input{Outcome: &pipeline.Outcome{
				Case: a.Case, Sink: a.Sink, N: a.N, Gen: a.Ticket.Gen, Rev: a.Ticket.Rev, Result: pipeline.OutcomeDone, Ref: pipeline.Ref{ID: a.Ticket.Key},
			}})
		}
	}
}

// under brings another map into force, and returns the number of steps.
func (w *large) under(tb testing.TB, equiv map[string]string, version string) int {
	w.config.equiv, w.config.version = equiv, version
	w.decide(tb, Input{Map: &MapChange{Version: version}})
	steps := 0
	for ; w.view.Meta().Migration != (Migration{}); steps++ {
		w.decide(tb, Input{Migrate: migrationStep})
	}
	return steps
}

// open are the counts of open findings, by case.
func (w *large) open(tb testing.TB) (out []int) {
	for n := uint64(1); n < w.view.Meta().NextCase; n++ {
		c, err := w.view.Case(n)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, c.OpenCount())
	}
	return out
}

// findingsOf are n findings of each of the controls; shared: on the same resources.
func findingsOf(n int, shared bool, controls ...string) []say {
	var out []say
	for _, c := range controls {
		for i := range n {
			s := say{
				product: "Hub", account: "1111", control: c, resource: fmt.Sprint("r", i), id: fmt.Sprint(c, "/", i),
				status: pipeline.StatusOpen, severity: pipeline.High, first: start,
			}
			if !shared {
				s.resource = c + s.resource
			}
			out = append(out, s)
		}
	}
	return out
}

// scaleCases are what happens to cases of n findings.
var scaleCases = []struct {
	name string
	n    int // findings
	run  func(testing.TB, int) (*large, []int)
	want func(n int) []int // open findings by case
}{
	{"two cases become one", 2, func(tb testing.TB, n int) (*large, []int) {
		w := newLarge(tb, map[string]string{"a": "a", "b": "b"}, findingsOf(n, false, "a", "b"))
		w.under(tb, map[string]string{"a": "P", "b": "P"}, "m1")
		return w, w.open(tb)
	}, func(n int) []int { return []int{2 * n, 0} }},
	{"the findings of two cases become one", 2, func(tb testing.TB, n int) (*large, []int) {
		w := newLarge(tb, map[string]string{"a": "a", "b": "b"}, findingsOf(n, true, "a", "b"))
		w.under(tb, map[string]string{"a": "P", "b": "P"}, "m1")
		return w, w.open(tb)
	}, func(n int) []int { return []int{n, 0} }},
	{"each finding becomes two, and half go elsewhere", 3, func(tb testing.TB, n int) (*large, []int) {
		says := append(findingsOf(n, true, "a", "b"), findingsOf(1, false, "c")...)
		w := newLarge(tb, map[string]string{"a": "P", "b": "P", "c": "Q"}, says)
		w.under(tb, map[string]string{"a": "P", "b": "Q", "c": "Q"}, "m1")
		return w, w.open(tb)
	}, func(n int) []int { return []int{n, n + 1} }},
	{"a group that has a case leaves another", 2, func(tb testing.TB, n int) (*large, []int) {
		says := append(findingsOf(n, false, "a", "b"), findingsOf(1, false, "c")...)
		w := newLarge(tb, map[string]string{"a": "P", "b": "P", "c": "b"}, says)
		w.under(tb, map[string]string{"a": "P", "b": "b", "c": "b"}, "m1")
		return w, w.open(tb)
	}, func(n int) []int { return []int{n, n + 1} }},
	{"findings are resolved one by one", 1, func(tb testing.TB, n int) (*large, []int) {
		says := findingsOf(n, false, "a")
		w := newLarge(tb, map[string]string{}, says)
		w.now = w.now.Add(time.Hour)
		for i := range says {
			says[i].status = pipeline.StatusResolved
			w.decide(tb, w.reported(says[i:i+1]))
		}
		return w, w.open(tb)
	}, func(int) []int { return []int{0} }},
	{"findings are resolved in batches, and told", 1, func(tb testing.TB, n int) (*large, []int) {
		says := findingsOf(n, false, "a")
		w := newLarge(tb, map[string]string{}, says)
		w.now = w.now.Add(time.Hour)
		for len(says) > 0 {
			k := min(len(says), 100)
			for i := range says[:k] {
				says[i].status = pipeline.StatusResolved
			}
			w.decide(tb, w.reported(says[:k]))
			w.settle(tb)
			says = says[k:]
		}
		return w, w.open(tb)
	}, func(int) []int { return []int{0} }},
	{"their product is told of all", 2, func(tb testing.TB, n int) (*large, []int) {
		w := newLarge(tb, map[string]string{}, findingsOf(n, false, "a"))
		w.config.back, w.config.hash = "Hub", "c2"
		w.decide(tb, Input{Config: &ConfigChange{Hash: "c2"}})
		for w.view.Meta().Sweep != 0 {
			w.decide(tb, Input{Sweep: migrationStep})
		}
		w.settle(tb)
		told := 0
		if err := w.view.Members(1, func(m Member) bool { told += len(m.Told); return true }); err != nil || told != n {
			tb.Errorf("%d findings were told (%v); want %d", told, err, n)
		}
		return w, w.open(tb)
	}, func(n int) []int { return []int{n} }},
	{"the urgent ones become mild one by one", 1, func(tb testing.TB, n int) (*large, []int) {
		says := findingsOf(n, false, "a")
		w := newLarge(tb, map[string]string{}, says)
		w.now = w.now.Add(time.Hour)
		for i := range says {
			says[i].severity = pipeline.Low
			w.decide(tb, w.reported(says[i:i+1]))
		}
		return w, w.open(tb)
	}, func(n int) []int { return []int{n} }},
}

// TestLargeCases counts what is read of cases of two sizes: it grows with them and no faster, and no step reads more than its share.
func TestLargeCases(t *testing.T) {
	for _, x := range scaleCases {
		t.Run(x.name, func(t *testing.T) {
			const n = 2000
			w, open := x.run(t, n)
			if want := x.want(n); fmt.Sprint(open) != fmt.Sprint(want) {
				t.Errorf("open findings by case = %v; want %v", open, want)
			}
			t.Logf("%d rows, %d records, at most %d at once", w.view.rows, w.view.records, w.most)
			if limit := 4 * x.n * n; w.view.rows > limit || w.view.records > limit {
				t.Errorf("%d rows and %d records were read; want no more than %d", w.view.rows, w.view.records, limit)
			}
			if limit := 4 * migrationStep; w.most > limit {
				t.Errorf("one decision read %d records; want no more than %d", w.most, limit)
			}
		})
	}
}

func BenchmarkLargeCases(b *testing.B) {
	for _, x := range scaleCases {
		for _, n := range []int{2000, 20_000} {
			b.Run(fmt.Sprintf("%s/%d", x.name, n), func(b *testing.B) {
				for b.Loop() {
					x.run(b, n)
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/finding")
			})
		}
	}
}

// TestLayerKeepsChangesOnly lays a migration that changes one finding of many over a state, as a plan does.
func TestLayerKeepsChangesOnly(t *testing.T) {
	w := newLarge(t, map[string]string{}, append(findingsOf(1200, false, "a"), findingsOf(1, false, "b")...))
	w.view = &counting{Layer: NewLayer(w.view.Layer)}
	w.under(t, map[string]string{"b": "P"}, "m1")
	if w.view.records < 1200 {
		t.Fatalf("the migration read %d records; want all 1201", w.view.records)
	}
	if l := w.view.Layer; len(l.records) != 1 || len(l.hot) != 1 || len(l.cases) != 1 || len(l.members) != 1 {
		t.Errorf("the layer holds %d records, %d hot ones, %d cases and rows of %d; want one of each", len(l.records), len(l.hot), len(l.cases), len(l.members))
	}
}
