package state

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	jsonv1 "github.com/go-json-experiment/json/v1"
)

// The compact form of a struct says what its JSON says, at a fraction of the cost: field by field a kind, a
// number made of the field's JSON name, and the value; a zero byte ends it. Zero values are left out. So a field can be
// added, and one that is gone is skipped, as in JSON; one that is renamed, or changes its kind, is lost or damage, as in JSON. Lists
// and maps that are nil stay apart from empty ones. Instants keep their offset from UTC, not the name of their zone.

// The kinds: how a value ends, for those who do not know its field.
const (
	wireEnd    = iota
	wireNumber // varint, of signed ones zigzag
	wireFloat  // 8 bytes
	wireTime   // three varints: seconds since 1970, nanoseconds, seconds east of UTC
	wireBytes  // length, bytes; what holds `any` is JSON
	wireStruct // fields up to wireEnd
	wireList   // kind of the elements, count and one (0: nil), elements
	wireMap    // as wireList, each element behind its key, in order of keys; a key is as wireBytes
)

// wireDepth bounds what is skipped: nothing that docket wrote is nested deeper.
const wireDepth = 50

// form is how values of one type are written and read. It never changes.
type form struct {
	kind  byte
	zero  func(v reflect.Value) bool // left out of a struct
	write func(b []byte, v reflect.Value) ([]byte, error)
	read  func(r *reader, v reflect.Value) // of a zero v, which it sets
}

type wireField struct {
	index  int
	number uint16
	form
}

// formOf makes the form of a type. It panics on one that has none: the types are known when docket is built.
func formOf(t reflect.Type) form {
	isZero := reflect.Value.IsZero
	switch kind := t.Kind(); {
	case kind == reflect.Bool:
		return form{wireNumber, isZero,
			func(b []byte, v reflect.Value) ([]byte, error) { return append(b, btoi(v.Bool())), nil },
			func(r *reader, v reflect.Value) { v.SetBool(r.uvarint() != 0) }}
	case kind >= reflect.Int && kind <= reflect.Int64:
		return form{wireNumber, isZero,
			func(b []byte, v reflect.Value) ([]byte, error) { return binary.AppendVarint(b, v.Int()), nil },
			func(r *reader, v reflect.Value) {
				n := r.varint()
				r.bad = r.bad || v.OverflowInt(n)
				v.SetInt(n)
			}}
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		return form{wireNumber, isZero,
			func(b []byte, v reflect.Value) ([]byte, error) { return binary.AppendUvarint(b, v.Uint()), nil },
			func(r *reader, v reflect.Value) {
				n := r.uvarint()
				r.bad = r.bad || v.OverflowUint(n)
				v.SetUint(n)
			}}
	case kind == reflect.Float64:
		return form{wireFloat, isZero,
			func(b []byte, v reflect.Value) ([]byte, error) {
				return binary.BigEndian.AppendUint64(b, math.Float64bits(v.Float())), nil
			},
			func(r *reader, v reflect.Value) { v.SetFloat(math.Float64frombits(r.uint64())) }}
	case kind == reflect.String:
		return form{wireBytes, isZero,
			func(b []byte, v reflect.Value) ([]byte, error) { return appendString(b, v.String()), nil },
			func(r *reader, v reflect.Value) { v.SetString(r.shared()) }}
	case t == reflect.TypeFor[time.Time]():
		return timeForm
	case kind == reflect.Struct:
		return structForm(t)
	case kind == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		return pointerForm(t)
	case kind == reflect.Array && t.Elem().Kind() == reflect.Uint8:
		return form{wireBytes, isZero,
			func(b []byte, v reflect.Value) ([]byte, error) {
				return append(binary.AppendUvarint(b, uint64(v.Len())), v.Bytes()...), nil
			},
			func(r *reader, v reflect.Value) {
				if s := r.bytes(r.uvarint()); reflect.Copy(v, reflect.ValueOf(s)) != v.Len() || len(s) != v.Len() {
					r.bad = true
				}
			}}
	case kind == reflect.Array, kind == reflect.Slice:
		return listForm(t)
	case kind == reflect.Map && t.Elem().Kind() == reflect.Interface:
		return form{wireBytes, reflect.Value.IsNil,
			func(b []byte, v reflect.Value) ([]byte, error) {
				data, err := json.Marshal(v.Interface())
				return append(binary.AppendUvarint(b, uint64(len(data))), data...), err
			},
			func(r *reader, v reflect.Value) {
				if s := r.bytes(r.uvarint()); !r.bad && jsonv1.Unmarshal(s, v.Addr().Interface()) != nil {
					r.bad = true
				}
			}}
	case kind == reflect.Map && t.Key().Kind() == reflect.String:
		return mapForm(t)
	}
	panic("state: " + t.String() + " has no compact form")
}

func btoi(b bool) byte {
	if b {
		return 1
	}
	return 0
}

const daySeconds = 24 * 3600

var timeForm = form{
	wireTime,
	func(v reflect.Value) bool { return v.Addr().Interface().(*time.Time).IsZero() },
	func(b []byte, v reflect.Value) ([]byte, error) {
		t := v.Addr().Interface().(*time.Time)
		_, east := t.Zone()
		b = binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond()))
		return binary.AppendVarint(b, int64(east)), nil
	},
	func(r *reader, v reflect.Value) {
		sec, nsec, east := r.varint(), r.uvarint(), r.varint()
		if r.bad || nsec > 999_999_999 || east <= -daySeconds || east >= daySeconds {
			r.bad = true
			return
		}
		t := time.Unix(sec, int64(nsec)).UTC()
		if east != 0 {
			t = t.In(time.FixedZone("", int(east)))
		}
		*v.Addr().Interface().(*time.Time) = t
	},
}

func pointerForm(t reflect.Type) form {
	f := formOf(t.Elem())
	return form{f.kind, reflect.Value.IsNil,
		func(b []byte, v reflect.Value) ([]byte, error) {
			if v.IsNil() {
				return b, errors.New("a nil element has no compact form")
			}
			return f.write(b, v.Elem())
		},
		func(r *reader, v reflect.Value) {
			v.Set(reflect.New(t.Elem()))
			f.read(r, v.Elem())
		}}
}

// fieldNumber stands for a name: two bytes of its FNV-1a hash.
func fieldNumber(name string) uint16 {
	h := fnv.New32a()
	h.Write([]byte(name)) // never fails
	n := h.Sum32()
	return uint16(n>>16) ^ uint16(n)
}

func structForm(t reflect.Type) form {
	var fields []wireField
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		x := wireField{i, fieldNumber(cmp.Or(name, sf.Name)), formOf(sf.Type)}
		if !sf.IsExported() || sf.Anonymous || slices.ContainsFunc(fields, func(y wireField) bool { return x.number == y.number }) {
			panic(fmt.Sprintf("state: field %s of %s has no compact form", sf.Name, t))
		}
		fields = append(fields, x)
	}
	if len(fields) == 0 {
		panic("state: " + t.String() + " has nothing to write")
	}
	return form{wireStruct, reflect.Value.IsZero,
		func(b []byte, v reflect.Value) ([]byte, error) { return writeFields(b, fields, v) },
		func(r *reader, v reflect.Value) { readFields(r, fields, v) }}
}

func writeFields(b []byte, fields []wireField, v reflect.Value) (_ []byte, err error) {
	for i := range fields {
		x := &fields[i]
		fv := v.Field(x.index)
		if x.zero(fv) {
			continue
		}
		b = binary.BigEndian.AppendUint16(append(b, x.kind), x.number)
		if b, err = x.write(b, fv); err != nil {
			return b, err
		}
	}
	return append(b, wireEnd), nil
}

func readFields(r *reader, fields []wireField, v reflect.Value) {
	next := 0 // they were written in order, mostly of this very type
	for {
		kind := r.byte()
		if r.bad || kind == wireEnd {
			return
		}
		head := r.bytes(2)
		if r.bad {
			return
		}
		number := binary.BigEndian.Uint16(head)
		for n := 0; n < len(fields) && fields[next%len(fields)].number != number; n++ {
			next++
		}
		switch x := &fields[next%len(fields)]; {
		case x.number != number:
			r.skip(kind, wireDepth)
		case x.kind != kind:
			r.bad = true
		default:
			x.read(r, v.Field(x.index))
			next++
		}
	}
}

// listStep is how many elements are made at a time, so that a damaged count cannot ask for memory.
const listStep = 32

func listForm(t reflect.Type) form {
	f, array := formOf(t.Elem()), t.Kind() == reflect.Array
	zero := reflect.Value.IsZero // of a slice: nil
	return form{wireList, zero,
		func(b []byte, v reflect.Value) (_ []byte, err error) {
			b = append(b, f.kind)
			if !array && v.IsNil() {
				return append(b, 0), nil
			}
			b = binary.AppendUvarint(b, uint64(v.Len())+1)
			for i := range v.Len() {
				if b, err = f.write(b, v.Index(i)); err != nil {
					return b, err
				}
			}
			return b, nil
		},
		func(r *reader, v reflect.Value) {
			kind, n := r.byte(), r.elements()
			if r.bad || kind != f.kind || array && n > v.Len() {
				r.bad = true
				return
			}
			if n < 0 {
				return
			}
			if !array {
				v.Set(reflect.MakeSlice(t, min(n, listStep), min(n, listStep)))
			}
			for i := 0; i < n && !r.bad; i++ {
				if i == v.Len() {
					v.Grow(1)
					v.SetLen(min(n, v.Cap()))
				}
				f.read(r, v.Index(i))
			}
		}}
}

func mapForm(t reflect.Type) form {
	f := formOf(t.Elem())
	return form{wireMap, reflect.Value.IsNil,
		func(b []byte, v reflect.Value) (_ []byte, err error) {
			b = append(b, f.kind)
			if v.IsNil() {
				return append(b, 0), nil
			}
			keys := v.MapKeys()
			slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
			b = binary.AppendUvarint(b, uint64(len(keys))+1)
			elem := reflect.New(t.Elem()).Elem() // an address, for what needs one
			for _, k := range keys {
				elem.Set(v.MapIndex(k))
				if b, err = f.write(appendString(b, k.String()), elem); err != nil {
					return b, err
				}
			}
			return b, nil
		},
		func(r *reader, v reflect.Value) {
			kind, n := r.byte(), r.elements()
			if r.bad || kind != f.kind {
				r.bad = true
				return
			}
			if n < 0 {
				return
			}
			m := reflect.MakeMapWithSize(t, min(n, listStep))
			for ; n > 0 && !r.bad; n-- {
				key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
				key.SetString(r.shared())
				f.read(r, elem)
				m.SetMapIndex(key, elem)
			}
			v.Set(m)
		}}
}

// skip passes over a value of a field that is not known.
func (r *reader) skip(kind byte, depth int) {
	if depth == 0 {
		r.bad = true
	}
	if r.bad {
		return
	}
	switch kind {
	case wireNumber:
		r.uvarint()
	case wireFloat:
		r.bytes(8)
	case wireTime:
		r.uvarint()
		r.uvarint()
		r.uvarint()
	case wireBytes:
		r.bytes(r.uvarint())
	case wireStruct:
		for kind := r.byte(); !r.bad && kind != wireEnd; kind = r.byte() {
			r.bytes(2)
			r.skip(kind, depth-1)
		}
	case wireList, wireMap:
		elem := r.byte()
		for n := r.elements(); n > 0 && !r.bad; n-- {
			if kind == wireMap {
				r.bytes(r.uvarint())
			}
			r.skip(elem, depth-1)
		}
	default:
		r.bad = true
	}
}

// elements reads the number of elements of a list or map, each of at least a byte; -1 for nil.
func (r *reader) elements() int {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b))+1 {
		r.bad = true
		return -1
	}
	return int(n) - 1
}

// shared is a string that shares its memory with those of all the other strings of the value: one piece of memory instead of many.
func (r *reader) shared() string {
	n := len(r.bytes(r.uvarint()))
	end := len(r.text) - len(r.b)
	return r.text[end-n : end]
}
