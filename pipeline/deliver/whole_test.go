package deliver_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
	"github.com/docket-hub/docket/pipeline/triage"
)

// whole is triage and the delivery of several sinks together: what workers report is
// decided, and what is decided is delivered.
type whole struct {
	*world // of the sink jira
	others map[string]*world
	rules  *triage.Rules
	layer  *triage.Layer
	read   int // outcomes that triage has seen
	issued int // actions in all
	sum    triage.Summary
	acts   int
}

// routed are rules that send everything to these sinks, a case a resource.
func routed(sinks ...string) *triage.Rules {
	r := &triage.Rules{
		Config: fmt.Sprint(sinks), Installation: "test", Sinks: map[string]bool{"jira": true, "other": true},
		Decode: func(_ string, it *pipeline.Item) (rep pipeline.Report, err error) {
			err = json.Unmarshal(it.Data, &rep)
			rep.Print = it.Print
			return rep, err
		},
		Judge: func(f *pipeline.Finding) triage.Verdict {
			return triage.Verdict{
				Explanation: pipeline.Explanation{Priority: pipeline.P2}, Team: "sec", Route: "route", Sinks: sinks,
				Key: fmt.Sprint(f.Resource.ID, sinks), Settings: triage.Settings{TicketsFrom: pipeline.P5, ReopenWindow: time.Hour},
			}
		},
		Matches: func(string, *pipeline.Finding) (bool, error) { return false, nil },
		Due:     func(pipeline.Priority, time.Time) time.Time { return time.Time{} },
	}
	return r
}

func newWhole(w *world, sinks ...string) *whole {
	x := &whole{world: w, others: map[string]*world{}, rules: routed(sinks...), layer: triage.NewLayer(nil)}
	x.others["other"] = &world{t: w.t, tracker: &tracker{}, queue: &queue{wait: time.Minute}, outcomes: w.outcomes, claims: w.claims}
	return x
}

// decide commits the inputs, then lets everything be issued that is due.
func (x *whole) decide(inputs ...triage.Input) {
	x.t.Helper()
	inputs = append(inputs, triage.Input{Issue: &triage.Issue{}})
	for i := range inputs {
		inputs[i].Time = time.Now()
	}
	cs, sum, err := triage.Decide(x.rules, x.layer, inputs)
	if err != nil {
		x.t.Fatalf("Decide() = %v", err)
	}
	x.layer.Apply(cs)
	x.sum.Add(sum)
	x.issued += len(cs.Outbox)
	for _, a := range cs.Outbox {
		if w := x.others[a.Sink]; w != nil {
			w.queue.publish(a)
			continue
		}
		x.queue.publish(a)
	}
}

// report is an open finding on a resource whose title is that text.
func (x *whole) report(resource, title string) triage.Input {
	rep := pipeline.Report{
		Product: "Scanner", ID: resource, Kind: pipeline.KindControl, Title: title, Resource: pipeline.Resource{ID: resource},
		Status: pipeline.StatusOpen, Severity: pipeline.High, ObservedAt: time.Now(),
	}
	data, err := json.Marshal(rep)
	if err != nil {
		x.t.Fatal(err)
	}
	hash := sha256.Sum256(data)
	return triage.Input{Envelope: &pipeline.Envelope{Source: "src", Items: []pipeline.Item{{
		Print: sha256.Sum256([]byte(resource)), Key: pipeline.ReportKey(rep.Product, rep.ID), Hash: uint64(hash[0])<<8 | uint64(hash[1]) | 1<<32,
		Observed: rep.ObservedAt.UnixMilli(), Status: rep.Status, Severity: rep.Severity, Format: "test", Data: data,
	}}}}
}

// act is what a person does with DK-n.
func (x *whole) act(n int, in pipeline.Interaction) triage.Input {
	x.acts++
	in.ID, in.By, in.Cases = fmt.Sprint("i", x.acts), "ann@example.com", []string{fmt.Sprint("DK-", n)}
	return triage.Input{Interaction: &in}
}

// live lets time pass, second by second, and triage decide what workers report.
func (x *whole) live(d time.Duration) {
	x.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		all := x.outcomes.list()
		var inputs []triage.Input
		for _, o := range all[x.read:] {
			inputs = append(inputs, triage.Input{Outcome: &o})
		}
		x.read = len(all)
		x.decide(inputs...)
	}
}

// again publishes what is not done a second time, as a relay may: another worker gets it.
func (q *queue) again() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range slices.Clone(q.items) {
		if !it.done {
			q.items = append(q.items, &item{data: it.data})
		}
	}
}

// open lists the open records of a tracker.
func open(tr *tracker) (ids []string) {
	for _, r := range tr.all() {
		if r.open && !r.deleted {
			ids = append(ids, r.ref.ID)
		}
	}
	return ids
}

func (x *whole) entry(n uint64, sink string) *triage.Entry {
	x.t.Helper()
	c, err := x.layer.Case(n)
	if err != nil || c == nil || c.Entries[sink] == nil {
		x.t.Fatalf("Case(%d) = %+v, %v; want one with an entry in %s", n, c, err, sink)
	}
	return c.Entries[sink]
}

// A person repairs the field and two of them retry: one action, one ticket.
func TestSequence11RetryTwice(t *testing.T) {
	bubble(t, func(w *world) {
		x := newWhole(w, "jira")
		w.tracker.fault = once(1, fault{err: pipeline.Permanent(errAnswer)})
		p := w.start("p1")
		x.decide(x.report("r1", "first"))
		x.live(time.Minute)
		if st, _ := x.entry(1, "jira").Stuck(); st != triage.Dead {
			w.t.Fatalf("the entry is %q; want %q", st, triage.Dead)
		}
		retry := pipeline.Interaction{Verb: pipeline.VerbRetry}
		x.decide(x.act(1, retry), x.act(1, retry))
		x.live(5 * time.Minute)
		x.decide(x.act(1, retry))
		x.live(5 * time.Minute)
		p.stop()
		if e := x.entry(1, "jira"); x.issued != 2 || e.N != 2 || e.Delivered != e.Wanted {
			w.t.Errorf("%d actions, the entry is at n %d, %d/%d; want 2 actions and all delivered", x.issued, e.N, e.Delivered, e.Wanted)
		}
		w.wantRecords(1, 1)
	})
}

// Another sink while the create on the old one is under way, and back again: one open record,
// on the right sink.
func TestSequence12RerouteAndBack(t *testing.T) {
	for _, back := range []bool{false, true} {
		for _, f := range []fault{{sleep: 15 * time.Second}, {loseAfter: true}, {loseBefore: true}, {late: 50 * time.Second}} {
			t.Run(fmt.Sprintf("back %v, %+v", back, f), func(t *testing.T) {
				bubble(t, func(w *world) {
					x := newWhole(w, "jira")
					w.tracker.fault = once(1, f)
					p := w.start("p1", alone)
					other := x.others["other"].start("p1", alone, func(_ *process, o *deliver.Options) { o.Name = "other" })
					x.decide(x.report("r1", "first"))
					x.live(5 * time.Second)
					right := x.others["other"].tracker
					x.rules = routed("other")
					x.decide(x.act(1, pipeline.Interaction{Verb: pipeline.VerbMove}))
					if back {
						x.live(2 * time.Second)
						x.rules, right = routed("jira"), w.tracker
						x.decide(x.act(2, pipeline.Interaction{Verb: pipeline.VerbMove}))
					}
					x.live(30 * time.Minute)
					p.stop()
					other.stop()
					here, there := open(w.tracker), open(x.others["other"].tracker)
					if len(here)+len(there) != 1 || len(open(right)) != 1 {
						w.t.Errorf("open records = %v in jira, %v in other; want one, on the right sink", here, there)
					}
					if x.sum.TicketsDoubled != 0 {
						w.t.Errorf("second tickets = %d; want 0", x.sum.TicketsDoubled)
					}
				})
			})
		}
	}
}

// The control: a worker that stands still longer than P between check and send must make a
// twin. It is counted once, linked and closed, and the ticket that stays has the wanted text.
func TestSequence15TwinIsRepaired(t *testing.T) {
	bubble(t, func(w *world) {
		x := newWhole(w, "jira")
		w.tracker.fault = once(1, fault{sleep: 10 * time.Minute})
		x.decide(x.report("r1", "first"))
		a := w.start("p1", oneCall)
		time.Sleep(time.Second)
		w.queue.again()
		b := w.start("p2")
		x.live(5 * time.Minute)
		w.wantRecords(1, 1)
		x.decide(x.report("r1", "second"))
		x.live(30 * time.Minute)
		a.stop()
		b.stop()
		e := x.entry(1, "jira")
		if all := w.tracker.all(); len(all) != 2 {
			w.t.Fatalf("records = %+v; want a twin, else this test sees nothing", all)
		}
		if got := open(w.tracker); !slices.Equal(got, []string{e.Ref.ID}) {
			w.t.Errorf("open records = %v; want only %s, which state knows", got, e.Ref.ID)
		}
		if x.sum.TicketsDoubled != 1 || !e.Twin.IsZero() {
			w.t.Errorf("second tickets = %d, twin left %+v; want 1 and none", x.sum.TicketsDoubled, e.Twin)
		}
		w.wantRecords(2, e.Wanted)
	})
}

// The same with an update: the old text that lands late is written over, once.
func TestSequence15OldTextIsRewritten(t *testing.T) {
	bubble(t, func(w *world) {
		x := newWhole(w, "jira")
		p := w.start("p1", oneCall)
		x.decide(x.report("r1", "first"))
		x.live(time.Minute)
		w.tracker.fails(once(2, fault{sleep: 10 * time.Minute}))
		x.decide(x.report("r1", "second"))
		x.live(5 * time.Second)
		w.queue.again()
		b := w.start("p2")
		x.live(5 * time.Minute) // p2 took it over
		x.decide(x.report("r1", "third"))
		x.live(time.Minute)
		newest := x.entry(1, "jira").Wanted
		w.wantRecords(1, newest)
		calls := w.tracker.writeCount()
		x.live(30 * time.Minute)
		p.stop()
		b.stop()
		if got := w.tracker.writeCount() - calls; got != 1 {
			w.t.Errorf("writes after the old text landed = %d; want 1", got)
		}
		w.wantRecords(1, newest)
		if x.sum.TicketsDoubled != 0 {
			w.t.Errorf("second tickets = %d; want 0", x.sum.TicketsDoubled)
		}
	})
}
