package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// fillSome sets what v leads to: with full everything, else some of it, by chance.
func fillSome(r *rand.Rand, v reflect.Value, full bool) {
	n := 1 + r.IntN(100)
	if !full && r.IntN(3) == 0 {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n - 2*n*r.IntN(2)))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(1 + n%3)) // the enumerations have at least so many words
	case reflect.Float64:
		v.SetFloat(float64(n) / 8)
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d ü", n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillSome(r, v.Elem(), full)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+n%3, 1+n%3))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fillSome(r, v.Index(i), full)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range 1 + n%3 {
			value := reflect.New(v.Type().Elem()).Elem()
			switch value.Kind() {
			case reflect.Interface:
				value.Set(reflect.ValueOf(map[string]any{"n": 1.5, "list": []any{"a", true, nil}}))
			default:
				fillSome(r, value, full || value.Kind() == reflect.Pointer)
			}
			v.SetMapIndex(reflect.ValueOf(fmt.Sprint("key ", i)).Convert(v.Type().Key()), value)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1_700_000_000+int64(n), int64(n)).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				fillSome(r, v.Field(i), full)
			}
		}
	default:
		panic("a field of kind " + v.Kind().String()) // the test must learn it
	}
}

// types are all that have a compact form, by name.
func types() []reflect.Type {
	var out []reflect.Type
	for t := range forms {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b reflect.Type) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	return out
}

// TestCompactComesBack writes values with everything and with some of it set, and reads them again.
func TestCompactComesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range types() {
		for i := range 300 {
			want, got := reflect.New(typ), reflect.New(typ)
			fillSome(r, want.Elem(), i == 0)
			var p packer
			v, err := p.value(want.Interface())
			if err != nil {
				t.Fatalf("value(%+v) = %v; want its compact form", want.Elem(), err)
			}
			if v[1] != compact && v[1] != compactCompressed {
				t.Fatalf("value(%s) has the form %d; want a compact one", typ, v[1])
			}
			if err := load(v, got.Interface()); err != nil || !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Fatalf("load(value(%s)) = %+v, %v; want %+v", typ, got.Elem(), err, want.Elem())
			}
		}
	}
}

// TestJSONIsStillRead: what layout 2 wrote says the same as the compact form of it.
func TestJSONIsStillRead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, typ := range types() {
		want, got := reflect.New(typ), reflect.New(typ)
		fillSome(r, want.Elem(), true)
		text, err := json.Marshal(want.Interface())
		if err != nil {
			t.Fatal(err)
		}
		var p packer
		if err := load(p.pack(text), got.Interface()); err != nil || !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("load(%s) = %+v, %v; want %+v", text, got.Elem(), err, want.Elem())
		}
	}
}

func TestCompactKeepsWhatJSONKeeps(t *testing.T) {
	zone := time.FixedZone("CEST", 7200)
	c := triage.Case{
		Opened: time.Date(2026, 7, 1, 0, 30, 0, 5, zone), Ack: &triage.Ack{}, Sinks: []string{},
		Entries: map[string]*triage.Entry{"a": {Last: pipeline.Fields{}}, "b": {}},
	}
	var p packer
	v, err := p.value(&c)
	if err != nil {
		t.Fatal(err)
	}
	var got triage.Case
	if err := load(v, &got); err != nil {
		t.Fatal(err)
	}
	if day := got.Opened.Format(time.RFC3339Nano); day != "2026-07-01T00:30:00.000000005+02:00" {
		t.Errorf("an instant comes back as %s; want its offset kept", day)
	}
	if got.Ack == nil || got.Person != nil {
		t.Errorf("Ack = %v, Person = %v; want an empty one and none", got.Ack, got.Person)
	}
	if got.Entries["a"].Last == nil || got.Entries["b"].Last != nil || got.Sinks == nil || got.Returns != nil {
		t.Errorf("load(%+v) = %+v; want empty and nil kept apart", c, got)
	}
}

// TestCompactSkipsWhatItDoesNotKnow reads an Action into a type that lacks most of its fields.
func TestCompactSkipsWhatItDoesNotKnow(t *testing.T) {
	type ticket struct {
		Rev uint64 `json:"rev"`
	}
	type action struct {
		New    int    `json:"new"`
		Sink   string `json:"sink"`
		Ticket ticket `json:"ticket"`
		N      uint64 `json:"n"`
	}
	var a pipeline.Action
	fillSome(rand.New(rand.NewPCG(5, 6)), reflect.ValueOf(&a).Elem(), true)
	b, err := forms[reflect.TypeFor[pipeline.Action]()].write(nil, reflect.ValueOf(&a).Elem())
	if err != nil {
		t.Fatal(err)
	}
	var got action
	r := reader{b: b, text: string(b)}
	formOf(reflect.TypeFor[action]()).read(&r, reflect.ValueOf(&got).Elem())
	if want := (action{Sink: a.Sink, Ticket: ticket{a.Ticket.Rev}, N: a.N}); got != want || r.end("action") != nil {
		t.Errorf("read = %+v, %v; want %+v", got, r.end("action"), want)
	}
}

func TestEveryCutOfACompactValueIsDamage(t *testing.T) {
	var a pipeline.Action
	fillSome(rand.New(rand.NewPCG(7, 8)), reflect.ValueOf(&a).Elem(), true)
	b, err := forms[reflect.TypeFor[pipeline.Action]()].write([]byte{valueVersion, compact}, reflect.ValueOf(&a).Elem())
	if err != nil {
		t.Fatal(err)
	}
	for n := 2; n < len(b); n++ {
		var got pipeline.Action
		if err := load(b[:n], &got); !errors.Is(err, ErrDamaged) {
			t.Fatalf("load(the first %d of %d bytes) = %v; want ErrDamaged", n, len(b), err)
		}
	}
	deep := append([]byte{valueVersion, compact}, bytes.Repeat([]byte{wireStruct, 0, 0}, 1<<20)...)
	if err := load(deep, &a); !errors.Is(err, ErrDamaged) {
		t.Errorf("load(a million structs in one another) = %v; want ErrDamaged", err)
	}
}

// FuzzCompact reads damaged values: an error is all that may come of them, and what is read is written and read the same.
func FuzzCompact(f *testing.F) {
	r := rand.New(rand.NewPCG(9, 10))
	for i, typ := range types() {
		for _, full := range []bool{true, false} {
			v := reflect.New(typ)
			fillSome(r, v.Elem(), full)
			b, err := forms[typ].write(nil, v.Elem())
			if err != nil {
				f.Fatal(err)
			}
			f.Add(i, b)
		}
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		all := types()
		typ := all[((which%len(all))+len(all))%len(all)]
		got, again := reflect.New(typ), reflect.New(typ)
		if load(append([]byte{valueVersion, compact}, data...), got.Interface()) != nil {
			return
		}
		b, err := forms[typ].write([]byte{valueVersion, compact}, got.Elem())
		if err != nil {
			t.Fatalf("write(%+v) = %v; want what was read to be written", got.Elem(), err)
		}
		if err := load(b, again.Interface()); err != nil {
			t.Fatalf("load(write(%+v)) = %v; want it read again", got.Elem(), err)
		}
		twice, err := forms[typ].write([]byte{valueVersion, compact}, again.Elem())
		if err != nil || !bytes.Equal(twice, b) {
			t.Fatalf("written again %x, %v; want %x", twice, err, b)
		}
	})
}
