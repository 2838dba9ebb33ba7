package triage

import (
	"fmt"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"pgregory.net/rapid"
)

// broken lists what must never be true of a state, whatever came before.
func broken(l *Layer) []string {
	var out []string
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	openGroups := map[string]uint64{}
	keys := map[string]uint64{}
	counted := map[uint64]uint64{} // finding -> the case that counts it
	for n := uint64(1); n < l.Meta().NextCase; n++ {
		c, err := l.Case(n)
		if err != nil || c == nil {
			continue
		}
		if c.Open {
			key := about(l, c)
			if other := openGroups[key]; other != 0 && l.Meta().Migration == (Migration{}) {
				bad("%s and %s are both open for group %q", CaseID(other), c.ID(), key)
			}
			openGroups[key] = n
		}
		for sink, e := range c.Entries {
			if _, given := e.Stuck(); given && (e.Wants() || e.St != Idle && e.St != Inflight) {
				bad("%s is given up in %s and stands as %s, wanting %v", c.ID(), sink, e.St, e.Wants())
			}
			if e.N == 0 || e.Back != nil {
				continue // a write-back has no record that a key could find
			}
			k := sink + " " + pipeline.TicketKey("test", c.Key, e.Gen)
			if other := keys[k]; other != 0 {
				bad("%s and %s share the ticket key of generation %d in %s", CaseID(other), c.ID(), e.Gen, sink)
			}
			keys[k] = n
		}
		var count [6]int
		suppressed := 0
		_ = l.Members(n, func(m Member) bool { // a Layer over nothing has no error to give
			switch m.Status {
			case Open:
				count[m.Priority]++
				if other := counted[m.Seq]; other != 0 {
					bad("finding %d counts in %s and %s", m.Seq, CaseID(other), c.ID())
				}
				counted[m.Seq] = n
			case Suppressed:
				suppressed++
			}
			return true
		})
		if count != c.Count || suppressed != c.Suppressed {
			bad("%s counts %v and %d suppressed, its members are %v and %d", c.ID(), c.Count, c.Suppressed, count, suppressed)
		}
		if c.Open && c.OpenCount() == 0 && !c.Recurring && !c.Digest {
			bad("%s is open without an open finding", c.ID())
		}
		if !c.Open && c.OpenCount() > 0 && c.Closed != ClosedPerson {
			bad("%s is closed as %s with %d open findings", c.ID(), c.Closed, c.OpenCount())
		}
	}
	for seq := uint64(1); seq < l.Meta().NextSeq; seq++ {
		if h, ok := l.HotBySeq(seq); ok {
			for _, why := range misplaced(l, &h, counted[seq]) {
				bad("finding %d: %s", seq, why)
			}
		}
	}
	return out
}

// about is the group that an open case is about: its own, unless another equivalence map gave it another.
func about(l *Layer, c *Case) string {
	if n := len(c.Groups); n > 0 && l.Newest(c.Key) != c.Number {
		for _, key := range c.Groups {
			if l.Newest(key) == c.Number {
				return key
			}
		}
	}
	return c.Key
}

// misplaced says what is wrong with where a finding stands; in is the case that counts it.
func misplaced(l *Layer, h *Hot, in uint64) []string {
	var out []string
	rec, err := l.Record(h.Seq)
	if err != nil || rec == nil {
		return []string{"it has no record"}
	}
	if rec.Case != h.Case || rec.Member != h.Member {
		out = append(out, fmt.Sprintf("its record says %d %s, its hot record %d %s", rec.Case, rec.Member, h.Case, h.Member))
	}
	if len(rec.Reports) != len(h.Reports) {
		out = append(out, fmt.Sprintf("%d reports in its record, %d in its hot record", len(rec.Reports), len(h.Reports)))
	}
	for i := range rec.Reports {
		r := &rec.Reports[i]
		hr := h.Find(pipeline.ReportKey(r.Product, r.ID))
		if hr == nil || hr.Status != r.Status || hr.Severity != r.Severity {
			out = append(out, "its report "+r.ID+" differs from the hot one")
		}
	}
	f := rec.Finding()
	held := false
	if rec.SuppressedBy != "" {
		l.SuppressedBy(rec.SuppressedBy, func(seq uint64) bool {
			held = held || seq == h.Seq
			return true
		})
	}
	if held != (h.Member == Suppressed) {
		out = append(out, fmt.Sprintf("it stands as %s, and an exception holds it: %v", h.Member, held))
	}
	var c *Case
	if h.Case != 0 {
		if c, err = l.Case(h.Case); err != nil || c == nil {
			return append(out, "its case "+CaseID(h.Case)+" does not exist")
		}
	}
	switch {
	case h.Member == Open && (in != h.Case || c == nil || !c.Open):
		out = append(out, "it stands as open, and no open case counts it")
	case h.Member == Watched && (in != h.Case || c == nil || c.Closed != ClosedPerson):
		out = append(out, "it stands as watched, and its case was not closed by a person")
	case h.Member != Open && h.Member != Watched && in != 0:
		out = append(out, fmt.Sprintf("it stands as %s, and %s counts it", h.Member, CaseID(in)))
	case f.Status == pipeline.StatusOpen && h.Member != Open && h.Member != Watched && h.Member != Suppressed:
		out = append(out, fmt.Sprintf("it is open and stands as %q", h.Member))
	case f.Status == pipeline.StatusResolved && (h.Member == Open || h.Member == Watched || h.Member == Suppressed):
		out = append(out, "it is resolved and stands as "+h.Member.String())
	}
	return out
}

// issuedOnce says which action was issued while another of its case and sink was in flight, or out of order.
func issuedOnce(before, after *Layer, rows []pipeline.Action) []string {
	var out []string
	last := map[string]uint64{}
	for _, a := range rows {
		k := a.Case + " " + a.Sink
		n, _ := ParseCaseID(a.Case)
		if _, met := last[k]; !met {
			if c, err := before.Case(n); err == nil && c != nil && c.Entries[a.Sink] != nil {
				last[k] = c.Entries[a.Sink].N
			}
		}
		if a.K == 0 && a.N != last[k]+1 {
			out = append(out, fmt.Sprintf("action %d of %s follows action %d", a.N, k, last[k]))
		}
		last[k] = a.N
	}
	for n := uint64(1); n < before.Meta().NextCase; n++ {
		was, _ := before.Case(n)
		is, _ := after.Case(n)
		if was == nil || is == nil {
			continue
		}
		for sink, e := range was.Entries {
			if x := is.Entries[sink]; x != nil && x.N < e.N {
				out = append(out, fmt.Sprintf("the action number of %s in %s fell from %d to %d", is.ID(), sink, e.N, x.N))
			}
		}
	}
	return out
}

// life is a world that random inputs drive.
type life struct {
	*world
	old     []pipeline.Outcome // for late repeats
	pending []pipeline.Action
	scans   int
	acts    int
}

func (w *life) check(t interface{ Fatalf(string, ...any) }, what string, inputs ...Input) {
	before := NewLayer(nil)
	before.Apply(w.copyOf())
	taken := len(w.state.Outbox())
	if err := w.decide(inputs...); err != nil {
		t.Fatalf("%s: Decide = %v", what, err)
	}
	rows := w.state.Outbox()[taken:]
	w.pending = append(w.pending, rows...)
	if bad := append(broken(w.state), issuedOnce(before, w.state, rows)...); len(bad) > 0 {
		t.Fatalf("after %s: %q", what, bad)
	}
}

// copyOf is what issuedOnce needs of the state before.
func (w *life) copyOf() Changeset {
	c := Changeset{Meta: w.state.Meta()}
	for n := uint64(1); n < c.Meta.NextCase; n++ {
		if x, err := w.state.Case(n); err == nil && x != nil {
			c.Cases = append(c.Cases, x)
		}
	}
	return c
}

var (
	accounts  = rapid.SampledFrom([]string{"1111", "2222"})
	controls  = rapid.SampledFrom([]string{"EC2.1", "S3.1"})
	resources = rapid.SampledFrom([]string{"r1", "r2", "r3"})
	products  = rapid.SampledFrom([]string{"Security Hub", "Prowler"})
	statuses  = rapid.SampledFrom([]pipeline.Status{
		pipeline.StatusOpen, pipeline.StatusOpen, pipeline.StatusResolved, pipeline.StatusUnproven,
	})
	severities = rapid.SampledFrom([]pipeline.Severity{pipeline.Informational, pipeline.Low, pipeline.High, pipeline.Critical})
	waits      = rapid.SampledFrom([]time.Duration{0, time.Minute, 11 * time.Minute, 2 * time.Hour, 25 * time.Hour, 8 * 24 * time.Hour, 200 * 24 * time.Hour})
)

func (w *life) drawSay(t *rapid.T) say {
	s := say{
		product: products.Draw(t, "product"), account: accounts.Draw(t, "account"), control: controls.Draw(t, "control"),
		resource: resources.Draw(t, "resource"), status: statuses.Draw(t, "status"), severity: severities.Draw(t, "severity"),
		observed: w.now.Add(-time.Duration(rapid.IntRange(0, 2).Draw(t, "age")) * time.Hour), first: start,
		threat: rapid.IntRange(0, 4).Draw(t, "threat") == 0,
	}
	s.id = s.account + s.control + s.resource
	return s
}

func (w *life) drawCase(t *rapid.T) string {
	return CaseID(uint64(rapid.IntRange(1, max(1, int(w.state.Meta().NextCase)-1)).Draw(t, "case")))
}

// actions are the random inputs.
func (w *life) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"report": func(t *rapid.T) { w.check(t, "report", w.report(w.drawSay(t), w.drawSay(t))) },
		"again":  func(t *rapid.T) { w.check(t, "report", w.report(w.drawSay(t))) },
		"scan":   w.drawScan,
		"wait": func(t *rapid.T) {
			w.now = w.now.Add(waits.Draw(t, "wait"))
			w.check(t, "tick", Input{Tick: true})
		},
		"issue":    func(t *rapid.T) { w.check(t, "issue", Input{Issue: &Issue{}}) },
		"outcome":  w.drawOutcome,
		"sighting": w.drawSighting,
		"person":   w.drawPerson,
		"exempt":   w.drawExemption,
		"config":   func(t *rapid.T) { w.drawConfig(t, func(*config) {}) },
		"approval": func(t *rapid.T) {
			key := w.config.team + "|" + accounts.Draw(t, "account") + "/" + controls.Draw(t, "control")
			w.check(t, "approval", Input{Approval: &Approval{Plan: "p", Groups: []string{key}}})
		},
		"reissue": func(t *rapid.T) {
			var list []Reissue
			for n := uint64(1); n < w.state.Meta().NextCase; n++ {
				if c, err := w.state.Case(n); err == nil && c != nil {
					for sink, e := range c.Entries {
						list = append(list, Reissue{Case: n, Sink: sink, N: e.N})
					}
				}
			}
			w.check(t, "reissue", Input{Reissue: list})
		},
	}
}

func (w *life) drawScan(t *rapid.T) {
	w.scans++
	var says []say
	for range rapid.IntRange(0, 3).Draw(t, "records") {
		s := w.drawSay(t)
		s.product, s.status = "Trivy", pipeline.StatusOpen
		says = append(says, s)
	}
	at := w.now.Add(-time.Duration(rapid.IntRange(0, 1).Draw(t, "age")) * time.Hour)
	in := w.scan("target", at, says...)
	s := &in.Envelope.Scans[0]
	switch rapid.IntRange(0, 5).Draw(t, "fault") {
	case 0:
		s.Complete = false
	case 1:
		s.Count++
	case 2:
		s.Filter = "other"
	}
	in.Envelope.Approved = rapid.Bool().Draw(t, "approved")
	w.check(t, "scan", in)
}

func (w *life) drawOutcome(t *rapid.T) {
	if len(w.pending) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.pending)-1).Draw(t, "action")
	a := w.pending[i]
	delete(w.failures, a.Sink)
	if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
		w.failures[a.Sink] = rapid.SampledFrom([]pipeline.OutcomeResult{
			pipeline.OutcomeRefused, pipeline.OutcomeUnknown, pipeline.OutcomeGone,
		}).Draw(t, "result")
	}
	_, o := w.write(a)
	delete(w.failures, a.Sink)
	if rapid.Bool().Draw(t, "last") {
		w.pending = append(w.pending[:i:i], w.pending[i+1:]...)
	}
	w.old = append(w.old, o)
	w.check(t, fmt.Sprintf("outcome %s of action %d of %s", o.Result, o.N, o.Case), Input{Outcome: &o})
}

func (w *life) drawSighting(t *rapid.T) {
	if len(w.old) == 0 {
		return
	}
	o := rapid.SampledFrom(w.old).Draw(t, "outcome")
	if rapid.Bool().Draw(t, "sighted") {
		o.Result = pipeline.OutcomeSighted
		o.Ref = pipeline.Ref{ID: o.Sink + "/" + rapid.SampledFrom([]string{"twin", o.Ref.ID}).Draw(t, "ref")}
	}
	w.check(t, "late outcome", Input{Outcome: &o})
}

func (w *life) drawPerson(t *rapid.T) {
	w.acts++
	in := pipeline.Interaction{
		ID: fmt.Sprint("i", w.acts), Cases: []string{w.drawCase(t)}, Text: "because", Sink: "disk",
		Until: w.now.Add(48 * time.Hour), WontFix: rapid.Bool().Draw(t, "wont fix"),
		Verb: rapid.SampledFrom([]pipeline.Verb{
			pipeline.VerbAck, pipeline.VerbUnack, pipeline.VerbSnooze, pipeline.VerbAssign, pipeline.VerbComment,
			pipeline.VerbClose, pipeline.VerbClose, pipeline.VerbReopen, pipeline.VerbTicket, pipeline.VerbMove,
			pipeline.VerbRetry, pipeline.VerbResolveParked, pipeline.VerbDrop,
		}).Draw(t, "verb"),
	}
	if rapid.Bool().Draw(t, "ref") {
		in.Ref = pipeline.Ref{ID: "disk/found" + in.Cases[0]}
	}
	w.check(t, string(in.Verb)+" "+in.Cases[0], person(in))
}

func (w *life) drawExemption(t *rapid.T) {
	w.acts++
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
	in := pipeline.Interaction{ID: fmt.Sprint("i", w.acts), Verb: pipeline.VerbUnsuppress}
	if rapid.Bool().Draw(t, "add") {
		in.Verb = pipeline.VerbSuppress
	}
	in.Suppression = &pipeline.Suppression{
		Name: name, When: rapid.SampledFrom([]string{"all", "r1", "EC2.1"}).Draw(t, "when"), Reason: "old", By: "bob",
		Until: w.now.Add(waits.Draw(t, "until") + time.Hour),
	}
	w.check(t, string(in.Verb)+" "+name, person(in))
	w.sweep(t)
}

func (w *life) sweep(t interface{ Fatalf(string, ...any) }) {
	for w.state.Meta().Sweep != 0 {
		w.check(t, "sweep", Input{Sweep: 2})
	}
}

// drawConfig brings another configuration into force, as but leaves it.
func (w *life) drawConfig(t *rapid.T, but func(*config)) {
	k := standard()
	k.hash = fmt.Sprint("c", w.state.Meta().NextSeq, rapid.IntRange(0, 9).Draw(t, "hash"))
	k.group = rapid.SampledFrom([]string{"control", "resource"}).Draw(t, "group")
	k.raised = rapid.IntRange(0, 1).Draw(t, "raised")
	if rapid.Bool().Draw(t, "limited") {
		k.limits = Limits{PerHour: 1, CloseRatio: 0.5, CloseMin: 1}
	}
	k.sinks = rapid.SampledFrom([][]string{{"disk"}, {"disk", "jira"}, {}}).Draw(t, "sinks")
	k.back = rapid.SampledFrom([]string{"", "Security Hub"}).Draw(t, "back")
	k.echoes = rapid.Bool().Draw(t, "echoes")
	if rapid.Bool().Draw(t, "for") {
		k.settings.For = 10 * time.Minute
	}
	if rapid.IntRange(0, 3).Draw(t, "exempt") == 0 {
		k.exempt = []pipeline.Suppression{{Name: "conf", When: "S3.1", Reason: "x", Until: start.Add(300 * 24 * time.Hour), Config: true}}
	}
	but(&k)
	w.config = k
	w.check(t, "configuration "+k.hash, Input{Config: &ConfigChange{Hash: k.hash}})
	w.sweep(t)
}

// TestNoSequenceBreaksTheState drives random inputs of every kind and looks at
// the whole state after each; in the end everything comes to rest.
func TestNoSequenceBreaksTheState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &life{world: newWorld(standard())}
		t.Repeat(w.actions())
		for range 50 {
			w.check(t, "issue", Input{Issue: &Issue{}})
			if len(w.pending) == 0 {
				break
			}
			rows := w.pending
			w.pending = nil
			for _, a := range rows {
				_, o := w.write(a)
				w.check(t, "outcome", Input{Outcome: &o})
			}
		}
		for n := uint64(1); n < w.state.Meta().NextCase; n++ {
			c, err := w.state.Case(n)
			if err != nil || c == nil {
				continue
			}
			for sink, e := range c.Entries {
				if c.Held == "" && e.Wants() && w.config.rules().Sinks[sink] {
					t.Fatalf("%s in %s still wants %d, delivered is %d, standing %s", c.ID(), sink, e.Wanted, e.Delivered, e.St)
				}
			}
			for _, why := range w.untold(c) {
				t.Fatalf("%s: %s", c.ID(), why)
			}
			if c.Ready() && c.Held == "" {
				t.Fatalf("%s is ready for ever: nothing is issued for it", c.ID())
			}
		}
	})
}
