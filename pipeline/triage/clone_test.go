package triage

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// replaced are the parts that a Clone shares with its original: Decide replaces each as a whole
// and changes none in place. Whoever changes one in place makes Clone copy it and takes it off this list.
var replaced = []string{
	"Group", "Why", "Settings.Assignee", "Explanation.Reasons", "Explanation.Errors", "Explanation.Feeds",
	"Entries[].Last", "Entries[].Sent[]", "Entries[].Comments[].Lines",
	"Entries[].Waiting", "Entries[].Waiting.Fields", "Entries[].Waiting.Acts", "Entries[].Waiting.Comments",
}

// TestCloneIsDeep fills every field of a case, changes everything that a clone leads to, and looks at the original.
func TestCloneIsDeep(t *testing.T) {
	fresh := func() *Case {
		c := &Case{}
		fill(reflect.ValueOf(c).Elem(), 1)
		return c
	}
	original, want := fresh(), fresh()
	clone := original.Clone()
	if !reflect.DeepEqual(clone, want) {
		t.Fatalf("Clone() = %+v; want %+v", clone, want)
	}
	var shared []string
	alter(reflect.ValueOf(clone).Elem(), "", func(path string, change func() (undo func())) {
		undo := change()
		if !reflect.DeepEqual(original, want) {
			shared = append(shared, path)
		}
		undo()
	})
	for _, path := range shared {
		if !slices.Contains(replaced, path) {
			t.Errorf("a change of %s in a clone shows in the original", path)
		}
	}
	for _, path := range replaced {
		if !slices.Contains(shared, path) {
			t.Errorf("%s is not shared by clones; take it off the list", path)
		}
	}
}

// TestLayerWords: the words of a finding are those that the batch in hand gave it.
func TestLayerWords(t *testing.T) {
	base := NewLayer(nil)
	base.putRecord(&Record{Seq: 1, Case: 1})
	base.putRecord(&Record{Seq: 2, Case: 2})
	base.putRecord(&Record{Seq: 3, Case: 3})
	l := NewLayer(base)
	l.putRecord(&Record{Seq: 2, Case: 20})
	l.purge(3)
	for seq, want := range map[uint64]*Record{1: {Seq: 1, Case: 1}, 2: {Seq: 2, Case: 20}, 3: nil, 4: nil} {
		if got, err := l.Words(seq); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Words(%d) = %+v, %v; want %+v", seq, got, err, want)
		}
	}
}

// fill sets everything in v, slices and maps with two elements each.
func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(n))
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.String:
		v.SetString(fmt.Sprint("text ", n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 4))
		fill(v.Index(0), n)
		fill(v.Index(1), n+1)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n+i)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n+i)
			fill(value, n+i)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(start.Add(time.Duration(n) * time.Hour)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("a field of kind " + v.Kind().String()) // the test must learn it
	}
}

// alter offers one change in place of every slice and map, and of what every pointer leads to, under v.
func alter(v reflect.Value, path string, try func(path string, change func() (undo func()))) {
	set := func(v reflect.Value) func() func() {
		return func() func() {
			was := reflect.New(v.Type()).Elem()
			was.Set(v)
			v.SetZero()
			return func() { v.Set(was) }
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		try(path, set(v.Elem()))
		alter(v.Elem(), path, try)
	case reflect.Slice:
		try(path, set(v.Index(0)))
		alter(v.Index(1), path+"[]", try)
	case reflect.Map:
		key := v.MapKeys()[0]
		try(path, func() func() {
			was := v.MapIndex(key)
			v.SetMapIndex(key, reflect.Value{})
			return func() { v.SetMapIndex(key, was) }
		})
		if value := v.MapIndex(key); value.Kind() == reflect.Pointer {
			alter(value, path+"[]", try)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if path != "" {
				name = path + "." + name
			}
			alter(v.Field(i), name, try)
		}
	}
}
