package triage

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// start is when the tests' clock begins.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// say is one report in the tests' words: account, control and resource make the finding.
type say struct {
	product, id                string
	account, control, resource string
	status                     pipeline.Status
	severity                   pipeline.Severity
	observed, first            time.Time
	threat                     bool
	scope                      string
}

// encode is the tests' encoding of a record: its fields between bars.
func (s say) encode() []byte {
	return []byte(strings.Join([]string{
		s.product, s.id, s.account, s.control, s.resource, strconv.Itoa(int(s.status)), strconv.Itoa(int(s.severity)),
		strconv.FormatInt(s.observed.UnixMilli(), 10), strconv.FormatInt(s.first.UnixMilli(), 10), strconv.FormatBool(s.threat),
	}, "|"))
}

// item is what ingest would make of it.
func (s say) item() pipeline.Item {
	if s.product == "" {
		s.product = "Scanner"
	}
	if s.id == "" {
		s.id = s.account + "/" + s.control + "/" + s.resource
	}
	if s.status == 0 {
		s.status = pipeline.StatusOpen
	}
	if s.severity == 0 {
		s.severity = pipeline.Medium
	}
	h := fnv.New64a()
	fmt.Fprint(h, s.status, s.severity)
	id := fnv.New64a()
	id.Write([]byte(s.id))
	return pipeline.Item{
		Print: s.print(), Key: pipeline.ReportKey(s.product, s.id), IDHash: id.Sum64(), Hash: h.Sum64() | 1,
		Observed: s.observed.UnixMilli(), Status: s.status, Severity: s.severity, Occurred: s.threat,
		Format: "test", Scope: s.scope, Data: s.encode(),
	}
}

func (s say) print() pipeline.Fingerprint {
	return sha256.Sum256([]byte(s.account + "|" + s.control + "|" + s.resource))
}

// decode reads what encode wrote. The word "bad" for a control is a record that is refused.
func decode(_ string, it *pipeline.Item) (pipeline.Report, error) {
	w := strings.Split(string(it.Data), "|")
	if len(w) != 10 {
		return pipeline.Report{}, errors.New("a record has ten fields")
	}
	if w[3] == "bad" {
		return pipeline.Report{ID: w[1]}, errors.New("bad control")
	}
	var n [4]int64
	for i, s := range w[5:9] {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return pipeline.Report{ID: w[1]}, err
		}
		n[i] = v
	}
	r := pipeline.Report{
		Product: w[0], ID: w[1], Kind: pipeline.KindControl, Account: pipeline.Account{ID: w[2]}, Control: w[3],
		Resource: pipeline.Resource{ID: w[4]}, Title: w[3] + " on " + w[4], Print: it.Print,
		Status: pipeline.Status(n[0]), Severity: pipeline.Severity(n[1]), ObservedAt: instant(n[2]), FirstObserved: instant(n[3]),
		Scope: it.Scope, Occurred: w[9] == "true",
	}
	if n[3] <= 0 {
		r.FirstObserved = time.Time{}
	}
	if r.Occurred {
		r.Kind = pipeline.KindThreat
	}
	return r, nil
}

// config is what the tests' rules are made of.
type config struct {
	hash     string
	group    string // "control" (with the account) or "resource"
	sinks    []string
	active   []string // sinks that take actions; sinks when nil
	settings Settings
	exempt   []pipeline.Suppression
	limits   Limits
	raised   int // how many steps more urgent than its severity a finding is
	retain   time.Duration
	renamed  map[string]string
	sinkHash string
	team     string
	equiv    map[string]string // problem by control: the equivalence map; nil for none
	version  string            // of it
	back     string            // the product that the write-back "hub/write-back" tells; none when empty
	echoes   bool              // what the product says may be that write-back's own doing
}

func standard() config {
	return config{
		hash: "c1", group: "control", sinks: []string{"disk"}, team: "sec", retain: 180 * 24 * time.Hour,
		settings: Settings{
			TicketsFrom: pipeline.P4, ReopenWindow: 7 * 24 * time.Hour, RecheckAfter: 24 * time.Hour,
			FlapTimes: 3, FlapWithin: 7 * 24 * time.Hour, FlapQuiet: 7 * 24 * time.Hour,
		},
	}
}

func (k config) rules() *Rules {
	r := &Rules{
		Config: k.hash, Installation: "test", Decode: decode, Judge: k.judge,
		Matches: func(when string, f *pipeline.Finding) (bool, error) {
			return when == "all" || when == f.Resource.ID || when == f.Control, nil
		},
		Due: func(p pipeline.Priority, at time.Time) time.Time {
			return at.Add(time.Duration(p) * 24 * time.Hour)
		},
		Suppressions: k.exempt, Teams: []string{k.team}, Limits: k.limits, Retain: k.retain,
		AckFor: 7 * 24 * time.Hour, AckMax: 30 * 24 * time.Hour, Sinks: map[string]bool{}, Renamed: k.renamed,
	}
	if k.equiv != nil {
		r.Map, r.Identify = k.version, k.identify
		r.Decode = func(source string, it *pipeline.Item) (pipeline.Report, error) {
			rep, err := decode(source, it)
			rep.Problem, rep.Print = k.problem(rep.Control), k.print(&rep)
			return rep, err
		}
	}
	for _, s := range k.sinks {
		r.Sinks[s] = k.active == nil || slices.Contains(k.active, s)
	}
	if k.back != "" {
		r.Sinks[backSink] = k.active == nil || slices.Contains(k.active, backSink)
		r.WriteBack = map[string]WriteBack{backSink: {
			Mark: func(r *pipeline.Report) (pipeline.Mark, bool) { return pipeline.Mark{ID: r.ID}, r.Product == k.back },
			Echo: func(r *pipeline.Report) bool { return k.echoes && r.Product == k.back },
		}}
	}
	if k.sinkHash != "" {
		r.SinkConfig = func(string, string, string) string { return k.sinkHash }
	}
	return r
}

func (k config) judge(f *pipeline.Finding) Verdict {
	p := min(max(pipeline.Priority(6-int(f.Severity)-k.raised), pipeline.P1), pipeline.P5)
	group := f.Account.ID + "/" + f.Control
	if k.equiv != nil {
		group = f.Account.ID + "/" + f.Problem
	}
	if k.group == "resource" {
		group = f.Resource.ID
	}
	return Verdict{
		Explanation: pipeline.Explanation{Priority: p, Score: 100 - 10*int(p)},
		Team:        k.team, Route: "route", Sinks: slices.Clone(k.sinks), Key: k.team + "|" + group,
		Group: []pipeline.GroupValue{{Name: k.group, Value: group}}, Settings: k.settings,
	}
}

// world is state, clock and tracker of a test.
type world struct {
	config   config
	state    *Layer
	now      time.Time
	taken    int                   // outbox rows that the tracker has seen
	tickets  map[string]*ticketRow // by ticket key and sink
	failures map[string]pipeline.OutcomeResult
	comments []string            // written since the last look
	marks    []pipeline.Mark     // what the write-back told
	heard    map[string][]string // the same by sink
	last     Changeset
	sum      Summary
}

// ticketRow is a record in the tests' tracker.
type ticketRow struct {
	ref  pipeline.Ref
	last pipeline.Ticket
	seen map[string]bool // event ids of its comments
	record
}

func newWorld(k config) *world {
	return &world{
		config: k, state: NewLayer(nil), now: start, tickets: map[string]*ticketRow{},
		failures: map[string]pipeline.OutcomeResult{}, heard: map[string][]string{},
	}
}

// decide commits one batch.
func (w *world) decide(inputs ...Input) error {
	for i := range inputs {
		if inputs[i].Time.IsZero() {
			inputs[i].Time = w.now
		}
	}
	before, _ := json.Marshal(w.state.cases) // plain values: they can be encoded
	cs, sum, err := Decide(w.config.rules(), w.state, inputs)
	if err != nil {
		return err
	}
	if after, _ := json.Marshal(w.state.cases); !bytes.Equal(before, after) {
		return fmt.Errorf("Decide changed the state that it was given:\n%s\n%s", before, after)
	}
	w.state.Apply(cs)
	w.last = cs
	w.sum.Add(sum)
	return nil
}

// deliver issues and carries out what is due until nothing is left, and returns the verbs in order.
func (w *world) deliver() ([]string, error) {
	var verbs []string
	for range 20 {
		if err := w.decide(Input{Issue: &Issue{}}); err != nil {
			return verbs, err
		}
		rows := w.state.Outbox()[w.taken:]
		if len(rows) == 0 {
			return verbs, nil
		}
		w.taken = len(w.state.Outbox())
		for _, a := range rows {
			verb, o := w.write(a)
			verbs = append(verbs, verb)
			if err := w.decide(Input{Outcome: &o}); err != nil {
				return verbs, err
			}
		}
	}
	return verbs, errors.New("delivery does not come to rest")
}

// write is a worker and its tracker in one: it makes the record match the ticket.
func (w *world) write(a pipeline.Action) (string, pipeline.Outcome) {
	o := pipeline.Outcome{Case: a.Case, Sink: a.Sink, N: a.N, Attempt: 1, Gen: a.Ticket.Gen, Rev: a.Ticket.Rev, Result: pipeline.OutcomeDone}
	if how, fails := w.failures[a.Sink]; fails {
		o.Result, o.Reason, o.Sent = how, "told to", written(&a.Ticket)
		return string(how) + " " + a.Case, o
	}
	if a.Sink == backSink {
		w.marks = append(w.marks, a.Ticket.Marks...)
		return "mark " + a.Case, o
	}
	id := a.Sink + "/" + a.Ticket.Key
	row := w.tickets[id]
	verb := "update"
	switch {
	case row == nil && !a.Ticket.Ref.IsZero():
		o.Result = pipeline.OutcomeGone
		return "gone " + a.Case, o
	case row == nil:
		verb = "create"
		row = &ticketRow{ref: pipeline.Ref{ID: id, Key: a.Case}, seen: map[string]bool{}}
		w.tickets[id] = row
	case !a.Ticket.Open && row.turns(&a.Ticket):
		verb = "close"
	case a.Ticket.Open && row.turns(&a.Ticket):
		verb = "reopen"
	}
	for _, c := range a.Ticket.Comments {
		if !row.seen[c.EventID] {
			row.seen[c.EventID] = true
			w.comments = append(w.comments, c.Lines...)
			w.heard[a.Sink] = append(w.heard[a.Sink], c.Lines...)
		}
	}
	row.last = a.Ticket
	o.Ref, o.Held, o.Updated = row.ref, row.write(&a.Ticket, w.now), row.updated
	return verb + " " + a.Case, o
}

// remove is a person who deletes the ticket of a case.
func (w *world) remove(id string) {
	for k, row := range w.tickets {
		if row.last.Case == id {
			delete(w.tickets, k)
		}
	}
}

// report is an envelope of reports that were observed now, unless they say otherwise.
func (w *world) report(says ...say) Input {
	e := &pipeline.Envelope{Source: "src"}
	for _, s := range says {
		e.Items = append(e.Items, w.item(s))
	}
	return Input{Envelope: e}
}

// item is what ingest makes of a report under the world's equivalence map.
func (w *world) item(s say) pipeline.Item {
	it := w.filled(s).item()
	if w.config.equiv != nil {
		rep, err := decode("src", &it)
		if err != nil {
			panic(err) // the tests' own records
		}
		it.Print = w.config.print(&rep)
	}
	return it
}

func (w *world) filled(s say) say {
	if s.observed.IsZero() {
		s.observed = w.now
	}
	if s.first.IsZero() {
		s.first = s.observed
	}
	if s.account == "" {
		s.account = "1111"
	}
	if s.control == "" {
		s.control = "EC2.1"
	}
	return s
}

// scan is a whole read of a scope at an instant.
func (w *world) scan(scope string, at time.Time, says ...say) Input {
	e := &pipeline.Envelope{Source: "src", Scan: "scan-" + at.Format(time.RFC3339Nano)}
	for _, s := range says {
		s.scope, s.observed = scope, at
		if s.first.IsZero() {
			s.first = start
		}
		e.Items = append(e.Items, w.item(s))
	}
	e.Scans = []pipeline.Scan{{ID: e.Scan, Scope: scope, Count: len(says), Time: at, Complete: true}}
	return Input{Envelope: e}
}

// person is an interaction.
func person(in pipeline.Interaction) Input {
	if in.By == "" {
		in.By = "ann@example.com"
	}
	return Input{Interaction: &in}
}

// dump is all of a state, in one canonical text.
func dump(l *Layer) string {
	var b strings.Builder
	put := func(what string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte(err.Error())
		}
		fmt.Fprintf(&b, "%s %s\n", what, text)
	}
	put("meta", l.Meta())
	scopes := map[string]bool{}
	for seq := uint64(1); seq < l.Meta().NextSeq; seq++ {
		h, ok := l.HotBySeq(seq)
		if !ok {
			continue
		}
		put("hot", h)
		if r, err := l.Record(seq); err == nil && r != nil {
			put("record", r)
			for i := range r.Reports {
				scopes[r.Reports[i].Scope] = true
			}
		}
	}
	for n := uint64(1); n < l.Meta().NextCase; n++ {
		c, err := l.Case(n)
		if err != nil || c == nil {
			continue
		}
		put("case", c)
		put("newest", l.Newest(c.Key))
		put("team", l.Team(c.Team))
		_ = l.Members(n, func(m Member) bool { // a Layer over nothing has no error to give
			put(fmt.Sprintf("member %d %d", n, m.Seq), m)
			return true
		})
	}
	for _, s := range slices.Sorted(maps.Keys(scopes)) {
		put("scope", l.Scope(s))
		l.ScopeReports(s, func(seq uint64, key [16]byte) bool {
			fmt.Fprintf(&b, "in scope %d %x\n", seq, key)
			return true
		})
	}
	for _, s := range l.Suppressions() {
		put("suppression", s)
		l.SuppressedBy(s.Name, func(seq uint64) bool {
			fmt.Fprintf(&b, "holds %d\n", seq)
			return true
		})
	}
	for _, a := range l.Outbox() {
		put("action", a)
	}
	for _, a := range l.AuditLines() {
		put("audit", a)
	}
	return b.String()
}
