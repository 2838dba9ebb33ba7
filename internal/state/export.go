package state

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// exportFormat is the version of the lines that Export writes; members and kinds may be added to it.
const exportFormat = 1

// exporter writes lines.
type exporter struct {
	*Snapshot
	ctx    context.Context
	enc    *json.Encoder
	counts map[string]int
}

// Export writes everything that the snapshot holds as lines of JSON, each with a kind: "header" first, "end"
// with the number of each kind last; a text without it was cut off. Indexes, which say nothing of their own, are left out. It takes
// the memory of one record. Of info the caller fills Installation, Docket and MadeAt.
func (p *Snapshot) Export(ctx context.Context, info BackupInfo, w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 256<<10)
	e := &exporter{Snapshot: p, ctx: ctx, enc: json.NewEncoder(buffered), counts: map[string]int{}}
	e.enc.SetEscapeHTML(false)
	if err := e.header(info); err != nil {
		return err
	}
	for _, part := range exportParts() {
		if err := e.scan(part.bucket, nil, func(k, v []byte) error { return part.row(e, k, v) }); err != nil {
			return fmt.Errorf("exporting %q: %w", part.bucket, err)
		}
	}
	err := e.enc.Encode(struct {
		Kind   string         `json:"kind"`
		Counts map[string]int `json:"counts"`
	}{"end", e.counts})
	if err != nil {
		return err
	}
	return buffered.Flush()
}

func (e *exporter) header(info BackupInfo) error {
	restored, err := e.Restored()
	if err != nil {
		return err
	}
	layout, err := e.s.layout()
	if err != nil {
		return err
	}
	head := struct {
		Kind         string      `json:"kind"`
		Format       int         `json:"format"`
		Installation string      `json:"installation"`
		Docket       string      `json:"docket"`
		Schema       int         `json:"schema"`
		MadeAt       time.Time   `json:"made_at"`
		Meta         triage.Meta `json:"meta"`
		Restored     *Restored   `json:"restored,omitempty"`
	}{"header", exportFormat, info.Installation, info.Docket, int(layout), info.MadeAt, e.meta, nil}
	if restored.ID != "" {
		head.Restored = &restored
	}
	return e.enc.Encode(head)
}

// line writes one line. Whoever asked may have left.
func (e *exporter) line(kind string, v any) error {
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	e.counts[kind]++
	return e.enc.Encode(v)
}

// exportPart says how the rows of a bucket are written.
type exportPart struct {
	bucket []byte
	row    func(e *exporter, k, v []byte) error
}

// exportParts are the buckets that hold what is in no other, in the order of the lines.
func exportParts() []exportPart {
	return []exportPart{
		{bucketWatermarks, stored[SourceState]("source")},
		{bucketTeams, stored[triage.TeamState]("team")},
		{bucketScopes, stored[triage.Scope]("scope")},
		{bucketSuppressions, stored[triage.Suppression]("suppression")},
		{bucketHot, (*exporter).finding},
		{bucketCases, (*exporter).caseOf},
		{bucketMembers, (*exporter).member},
		{bucketSeen, (*exporter).seen},
		{bucketOutbox, stored[pipeline.Action]("action")},
		{bucketApprovals, (*exporter).approval},
		{bucketInteractions, (*exporter).interaction},
		{bucketAudit, (*exporter).story},
		{bucketRejects, stored[pipeline.Reject]("reject")},
	}
}

// derived are the buckets that are left out: they are written from the others, or stand in other lines.
func derived() [][]byte {
	return [][]byte{
		bucketMeta, bucketRecords, bucketRaw, bucketTouches, bucketAliases, // in the header and in the lines of findings
		bucketCaseIndex, bucketDue, bucketReady, bucketHeld, bucketBusy, bucketGroups, bucketScopeReports, bucketSuppressed,
	}
}

// stored writes rows that are JSON already under the name of their kind.
func stored[T any](kind string) func(*exporter, []byte, []byte) error {
	return func(e *exporter, _, v []byte) error {
		var value T
		if err := load(v, &value); err != nil {
			return err
		}
		return e.line(kind, map[string]any{"kind": kind, kind: value})
	}
}

type exportedReport struct {
	Key      string            `json:"key"` // hash of product and id
	Status   string            `json:"status"`
	Severity pipeline.Severity `json:"severity"`
	Seen     time.Time         `json:"last_seen"`
	Record   any               `json:"record,omitempty"` // in the source's own words, masked
}

func (e *exporter) finding(k, v []byte) error {
	h, err := e.hotRow(k, v)
	if err != nil {
		return err
	}
	r, err := e.Record(h.Seq)
	if err != nil {
		return err
	}
	if e.lookups >= lookupTrim {
		e.s.looked(e.tx, e.lookups)
		e.lookups = 0
	}
	out := struct {
		Kind    string           `json:"kind"`
		Finding *triage.Record   `json:"finding"`
		State   string           `json:"state,omitempty"` // in its case
		Reports []exportedReport `json:"last_reports"`    // of each: what a later one is compared with
	}{Kind: "finding", Finding: r, State: h.Member.String()}
	for i := range h.Reports {
		x := &h.Reports[i]
		one := exportedReport{Key: hex.EncodeToString(x.Key[:]), Status: x.Status.String(), Severity: x.Severity, Seen: time.UnixMilli(x.Observed).UTC()}
		if r != nil && i < len(r.Raw) {
			one.Record = asJSON(r.Raw[i])
		}
		out.Reports = append(out.Reports, one)
	}
	return e.line("finding", out)
}

func (e *exporter) hotRow(k, v []byte) (triage.Hot, error) {
	if err := e.s.remember(); err != nil {
		return triage.Hot{}, err
	}
	h, touched, err := decodeHot(number(k), v)
	if err != nil {
		return h, err
	}
	return h, e.touch(&h, touched)
}

// asJSON is data as it is where that is JSON, else as text.
func asJSON(data []byte) any {
	switch {
	case len(data) == 0:
		return nil
	case json.Valid(data):
		return json.RawMessage(data)
	}
	return string(data)
}

func (e *exporter) caseOf(_, v []byte) error {
	var c triage.Case
	if err := load(v, &c); err != nil {
		return err
	}
	return e.line("case", struct {
		Kind string       `json:"kind"`
		ID   string       `json:"id"`
		Case *triage.Case `json:"case"`
	}{"case", c.ID(), &c})
}

func (e *exporter) member(k, v []byte) error {
	m, err := decodeMember(number(k[:min(8, len(k))]), number(k), v)
	if err != nil {
		return err
	}
	return e.line("member", struct {
		Kind     string                 `json:"kind"`
		Case     string                 `json:"case"`
		Finding  uint64                 `json:"finding"` // its arrival number
		State    string                 `json:"state"`
		Priority pipeline.Priority      `json:"priority,omitempty"`
		Line     pipeline.TicketFinding `json:"line"`
		Told     map[string]string      `json:"told,omitempty"`
	}{"member", triage.CaseID(m.Case), m.Seq, m.Status.String(), m.Priority, m.Line, m.Told})
}

func (e *exporter) seen(k, v []byte) error {
	s := triage.Seen{Keys: map[triage.SeenKey]bool{}}
	if err := addSeen(&s, v); err != nil {
		return err
	}
	read, rest := nameIn(k)
	scope, _ := nameIn(rest)
	return e.line("read", struct {
		Kind    string `json:"kind"`
		Read    string `json:"read"`
		Scope   string `json:"scope"`
		Records int    `json:"records"` // of one batch
		Reports int    `json:"reports"` // that it found, each once
		Broken  string `json:"broken,omitempty"`
	}{"read", read, scope, s.Count, len(s.Keys), s.Broken})
}

func (e *exporter) approval(k, v []byte) error {
	group, _ := nameIn(k)
	if len(v) == 0 {
		return fmt.Errorf("%w: an approval without its plan", ErrDamaged)
	}
	return e.line("approval", map[string]string{"kind": "approval", "group": group, "plan": string(v[1:])})
}

// interaction writes the ids that were dealt with, in their order.
func (e *exporter) interaction(k, v []byte) error {
	if len(k) == 0 || k[0] != byOrder {
		return nil // the same the other way round
	}
	if len(v) < 3 {
		return fmt.Errorf("%w: an interaction without its id", ErrDamaged)
	}
	id, _ := nameIn(v[2:])
	return e.line("interaction", map[string]any{"kind": "interaction", "order": number(k), "id": id})
}

func (e *exporter) story(_, v []byte) error {
	if _, ok := pointed(v); ok {
		return nil // the line stands under its case
	}
	return stored[triage.Audit]("story")(e, nil, v)
}

// nameIn is the name that a key begins with, and what follows it. A long one stands there as its hash.
func nameIn(key []byte) (name string, rest []byte) {
	n, ok := firstName(key)
	if !ok {
		return "", nil
	}
	if key[0] == 0xff {
		return "sha256:" + hex.EncodeToString(key[1:n]), key[n:]
	}
	return string(key[1:n]), key[n:]
}
