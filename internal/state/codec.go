package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/klauspost/compress/s2"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
	"github.com/docket-hub/docket/pipeline/triage"
)

// valueVersion is the first byte of every value written by this version.
const valueVersion = 1

// The second byte of a value says its form. The compact forms came with layout 3; JSON is still read everywhere.
const (
	plain             = 0 // JSON, or the source records
	compressed        = 1 // the same, compressed
	pointer           = 2 // of a story: another row's key
	compact           = 3 // wire.go
	compactCompressed = 4
)

const (
	compressAbove = 1024      // bytes; shorter values gain little
	maxValue      = 256 << 20 // bytes after decompression; a damaged length must not take the memory
)

// reader reads the compact values: after the first short or impossible read bad stays set and all reads give zero.
type reader struct {
	b    []byte
	bad  bool
	text string // for shared: ends where b ends
}

func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if r.bad || size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.b)
	if r.bad || size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) string() string { return string(r.bytes(r.uvarint())) }

// count reads a number of elements of at least size bytes each, so that a damaged one cannot ask for memory.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

// version reads the first byte and says what is wrong with it.
func (r *reader) version() error {
	v := r.byte()
	if r.bad {
		return fmt.Errorf("%w: empty value", ErrDamaged)
	}
	if v != valueVersion {
		return fmt.Errorf("%w: value of version %d, this docket knows %d", ErrNewer, v, valueVersion)
	}
	return nil
}

// end is the error of a value that was too short, or has bytes left.
func (r *reader) end(what string) error {
	if r.bad || len(r.b) > 0 {
		return fmt.Errorf("%w: %s", ErrDamaged, what)
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

const (
	hotPrintAt    = 1  // where the fingerprint stands in a hot value
	hotReportSize = 35 // the least that one report takes
)

// appendHot appends the compact form of h. Touches of rows up to touched are in it already.
func appendHot(b []byte, h *triage.Hot, touched uint64) []byte {
	b = append(b, valueVersion)
	b = append(b, h.Print[:]...)
	b = binary.AppendUvarint(b, h.Case)
	b = append(b, byte(h.Member))
	b = binary.AppendUvarint(b, touched)
	b = binary.AppendUvarint(b, uint64(len(h.Reports)))
	for i := range h.Reports {
		r := &h.Reports[i]
		b = append(b, r.Key[:]...)
		b = binary.BigEndian.AppendUint64(b, r.IDHash)
		b = binary.BigEndian.AppendUint64(b, r.Hash)
		b = binary.AppendVarint(b, r.Observed)
		b = append(b, byte(r.Status), byte(r.Severity))
	}
	return b
}

// decodeHot reads what appendHot wrote. It copies everything out of v.
func decodeHot(seq uint64, v []byte) (triage.Hot, uint64, error) {
	r := reader{b: v}
	if err := r.version(); err != nil {
		return triage.Hot{}, 0, fmt.Errorf("finding %d: %w", seq, err)
	}
	h := triage.Hot{Seq: seq}
	copy(h.Print[:], r.bytes(32))
	h.Case = r.uvarint()
	h.Member = triage.Status(r.byte())
	touched := r.uvarint()
	if n := r.count(hotReportSize); n > 0 {
		h.Reports = make([]triage.HotReport, n)
	}
	for i := range h.Reports {
		p := &h.Reports[i]
		copy(p.Key[:], r.bytes(16))
		p.IDHash, p.Hash, p.Observed = r.uint64(), r.uint64(), r.varint()
		p.Status, p.Severity = pipeline.Status(r.byte()), pipeline.Severity(r.byte())
	}
	if err := r.end("hot record"); err != nil {
		return triage.Hot{}, 0, fmt.Errorf("finding %d: %w", seq, err)
	}
	return h, touched, nil
}

func appendMember(b []byte, m *triage.Member) []byte {
	b = append(b, valueVersion, byte(m.Status), byte(m.Priority), byte(m.Line.Severity))
	b = append(b, m.Line.Fingerprint[:]...)
	for _, s := range [...]string{m.Line.Title, m.Line.Status, m.Line.Account, m.Line.Region, m.Line.Resource} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Line.Products)))
	for _, s := range m.Line.Products {
		b = appendString(b, s)
	}
	if len(m.Told) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(m.Told)))
	for _, sink := range slices.Sorted(maps.Keys(m.Told)) {
		b = appendString(appendString(b, sink), m.Told[sink])
	}
	return b
}

func decodeMember(number, seq uint64, v []byte) (triage.Member, error) {
	r := reader{b: v}
	if err := r.version(); err != nil {
		return triage.Member{}, fmt.Errorf("finding %d in %s: %w", seq, triage.CaseID(number), err)
	}
	m := triage.Member{Case: number, Seq: seq, Status: triage.Status(r.byte()), Priority: pipeline.Priority(r.byte())}
	m.Line.Severity = pipeline.Severity(r.byte())
	copy(m.Line.Fingerprint[:], r.bytes(32))
	for _, s := range [...]*string{&m.Line.Title, &m.Line.Status, &m.Line.Account, &m.Line.Region, &m.Line.Resource} {
		*s = r.string()
	}
	if n := r.count(1); n > 0 {
		m.Line.Products = make([]string, n)
	}
	for i := range m.Line.Products {
		m.Line.Products[i] = r.string()
	}
	if !r.bad && len(r.b) > 0 {
		m.Told = map[string]string{}
		for n := r.count(2); n > 0; n-- {
			sink := r.string()
			m.Told[sink] = r.string()
		}
	}
	if err := r.end("member"); err != nil {
		return triage.Member{}, fmt.Errorf("finding %d in %s: %w", seq, triage.CaseID(number), err)
	}
	return m, nil
}

func appendRaw(b []byte, raw [][]byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(raw)))
	for _, d := range raw {
		b = append(binary.AppendUvarint(b, uint64(len(d))), d...)
	}
	return b
}

func decodeRaw(v []byte) ([][]byte, error) {
	data, err := unpack(v)
	if err != nil {
		return nil, err
	}
	r := reader{b: data}
	raw := make([][]byte, r.count(1))
	for i := range raw {
		raw[i] = slices.Clone(r.bytes(r.uvarint()))
	}
	return raw, r.end("source records")
}

func appendSeen(b []byte, s *triage.Seen) []byte {
	keys := make([]triage.SeenKey, 0, len(s.Keys))
	for k, on := range s.Keys {
		if on {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b triage.SeenKey) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), bytes.Compare(a.Key[:], b.Key[:]))
	})
	b = append(b, valueVersion)
	b = binary.AppendUvarint(b, uint64(s.Count))
	b = appendString(b, s.Broken)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	var last uint64
	for _, k := range keys {
		b = binary.AppendUvarint(b, k.Seq-last)
		b = append(b, k.Key[:]...)
		last = k.Seq
	}
	return b
}

// addSeen adds one row of what a read saw to s.
func addSeen(s *triage.Seen, v []byte) error {
	r := reader{b: v}
	if err := r.version(); err != nil {
		return err
	}
	s.Count += int(r.uvarint())
	s.Broken = cmp.Or(r.string(), s.Broken)
	var k triage.SeenKey
	for n := r.count(17); n > 0; n-- {
		k.Seq += r.uvarint()
		copy(k.Key[:], r.bytes(16))
		if !r.bad {
			s.Keys[k] = true
		}
	}
	return r.end("row of a read")
}

// forms are the compact forms of what is written often.
var forms = map[reflect.Type]form{
	reflect.TypeFor[triage.Case]():      formOf(reflect.TypeFor[triage.Case]()),
	reflect.TypeFor[triage.Record]():    formOf(reflect.TypeFor[triage.Record]()),
	reflect.TypeFor[triage.Audit]():     formOf(reflect.TypeFor[triage.Audit]()),
	reflect.TypeFor[triage.Meta]():      formOf(reflect.TypeFor[triage.Meta]()),
	reflect.TypeFor[triage.TeamState](): formOf(reflect.TypeFor[triage.TeamState]()),
	reflect.TypeFor[triage.Scope]():     formOf(reflect.TypeFor[triage.Scope]()),
	reflect.TypeFor[pipeline.Action]():  formOf(reflect.TypeFor[pipeline.Action]()),
	reflect.TypeFor[pipeline.Outcome](): formOf(reflect.TypeFor[pipeline.Outcome]()),
	reflect.TypeFor[deliver.Claim]():    formOf(reflect.TypeFor[deliver.Claim]()),
}

// packer makes values that stay as they are until the transaction ends, as bbolt wants them.
type packer struct {
	arena  []byte
	json   bytes.Buffer
	wire   []byte
	packed []byte
}

const arenaChunk = 256 << 10

// again is a packer for the next transaction, once this one's has ended, in the same memory as far as that is not much.
func (p *packer) again() packer {
	var next packer
	if cap(p.arena) <= 4*arenaChunk {
		next.arena = p.arena[:0]
	}
	if cap(p.wire) <= arenaChunk {
		next.wire = p.wire
	}
	if cap(p.packed) <= arenaChunk {
		next.packed = p.packed
	}
	return next
}

// keep is a copy of b that lives in the arena.
func (p *packer) keep(b []byte) []byte {
	if cap(p.arena)-len(p.arena) < len(b) {
		p.arena = make([]byte, 0, max(arenaChunk, len(b)))
	}
	start := len(p.arena)
	p.arena = append(p.arena, b...)
	return p.arena[start:len(p.arena):len(p.arena)]
}

// value is what v, a pointer, leads to: in the compact form where it has one, else as JSON. It is compressed where that helps.
func (p *packer) value(v any) ([]byte, error) {
	x := reflect.ValueOf(v).Elem()
	if f, ok := forms[x.Type()]; ok {
		var err error
		if p.wire, err = f.write(p.wire[:0], x); err != nil {
			return nil, err
		}
		return p.packAs(compact, p.wire), nil
	}
	p.json.Reset()
	e := json.NewEncoder(&p.json)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return p.pack(bytes.TrimSuffix(p.json.Bytes(), []byte("\n"))), nil
}

// encode is what v, a pointer to something small, leads to, in its compact form.
func encode(v any) ([]byte, error) {
	x := reflect.ValueOf(v).Elem()
	return forms[x.Type()].write(append(make([]byte, 0, 512), valueVersion, compact), x)
}

// EncodeOutcome is an outcome as it travels on the inputs stream.
func EncodeOutcome(o *pipeline.Outcome) ([]byte, error) { return encode(o) }

// DecodeOutcome reads what EncodeOutcome wrote; the error is ErrDamaged or ErrNewer.
func DecodeOutcome(data []byte) (*pipeline.Outcome, error) {
	o := &pipeline.Outcome{}
	return o, load(data, o)
}

// pack puts the version and, for long data, compression round it. The result lives in the arena.
func (p *packer) pack(data []byte) []byte { return p.packAs(plain, data) }

// packAs is pack of data of the form given; compressed, it has the next one.
func (p *packer) packAs(form byte, data []byte) []byte {
	if len(data) > compressAbove {
		if need := s2.MaxEncodedLen(len(data)); cap(p.packed) < need+2 {
			p.packed = make([]byte, need+2)
		}
		p.packed = p.packed[:cap(p.packed)]
		if z := s2.Encode(p.packed[2:], data); len(z) < len(data) {
			p.packed[0], p.packed[1] = valueVersion, form+1
			return p.keep(p.packed[:len(z)+2])
		}
	}
	p.packed = append(append(p.packed[:0], valueVersion, form), data...)
	return p.keep(p.packed)
}

// unpack undoes pack. The result may share memory with v.
func unpack(v []byte) ([]byte, error) {
	data, form, err := open(v)
	if err == nil && form != plain {
		err = fmt.Errorf("%w: form of a value", ErrDamaged)
	}
	return data, err
}

// open undoes packAs, and says which form the data has.
func open(v []byte) (data []byte, form byte, err error) {
	r := reader{b: v}
	if err := r.version(); err != nil {
		return nil, 0, err
	}
	switch form := r.byte(); {
	case !r.bad && (form == plain || form == compact):
		return r.b, form, nil
	case !r.bad && (form == compressed || form == compactCompressed):
		if n, err := s2.DecodedLen(r.b); err != nil || n > maxValue {
			return nil, 0, fmt.Errorf("%w: compressed value", ErrDamaged)
		}
		data, err := s2.Decode(nil, r.b)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: compressed value: %w", ErrDamaged, err)
		}
		return data, form - 1, nil
	}
	return nil, 0, fmt.Errorf("%w: form of a value", ErrDamaged)
}

// load decodes a value made by packer.value, of this or an earlier layout, into what out, a pointer, leads to.
func load(v []byte, out any) error {
	data, kind, err := open(v)
	if err != nil {
		return err
	}
	if kind == compact {
		x := reflect.ValueOf(out).Elem()
		f, ok := forms[x.Type()]
		if !ok {
			return fmt.Errorf("%w: a compact %s", ErrDamaged, x.Type())
		}
		r := reader{b: data, text: string(data)}
		f.read(&r, x)
		return r.end(x.Type().Name())
	}
	// The standard library's rules, at half its cost.
	if err := jsonv1.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
