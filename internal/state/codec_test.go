package state

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline/triage"
)

// fill gives every field under v a value of its own that is not zero, so that a field which a codec forgets is seen.
func fill(v reflect.Value, n *uint64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(*n%200 + 1)
	case reflect.Uint64:
		v.SetUint(*n)
	}
}

func TestHotRoundTrip(t *testing.T) {
	var want triage.Hot
	var n uint64
	fill(reflect.ValueOf(&want).Elem(), &n)
	got, touched, err := decodeHot(want.Seq, appendHot(nil, &want, 77))
	if err != nil || touched != 77 || !cmp.Equal(got, want) {
		t.Errorf("decodeHot(appendHot(h, 77)) = %+v, %d, %v; want %+v, 77", got, touched, err, want)
	}
}

func TestMemberRoundTrip(t *testing.T) {
	var want triage.Member
	var n uint64
	fill(reflect.ValueOf(&want).Elem(), &n)
	got, err := decodeMember(want.Case, want.Seq, appendMember(nil, &want))
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("decodeMember(appendMember(m)) = %+v, %v; want %+v", got, err, want)
	}
}

func TestSeenRoundTrip(t *testing.T) {
	want := triage.Seen{Count: 3, Broken: "cut off", Keys: map[triage.SeenKey]bool{{Seq: 1, Key: keyOf(1, 0)}: true, {Seq: 1 << 40, Key: keyOf(2, 0)}: true}}
	got := triage.Seen{Keys: map[triage.SeenKey]bool{}}
	if err := addSeen(&got, appendSeen(nil, &want)); err != nil || !cmp.Equal(got, want) {
		t.Errorf("addSeen(appendSeen(s)) = %+v, %v; want %+v", got, err, want)
	}
}

func TestPackRoundTrip(t *testing.T) {
	var p packer
	for name, data := range map[string][]byte{
		"empty": {}, "short": []byte("{}"), "long": bytes.Repeat([]byte("finding "), 5000), "larger than a chunk": bytes.Repeat([]byte("0123456789abcdef"), 50_000),
	} {
		v := p.pack(data)
		got, err := unpack(v)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("unpack(pack(%s)) = %d bytes, %v; want %d bytes", name, len(got), err, len(data))
		}
		if len(data) > compressAbove && len(v) > len(data)/4 {
			t.Errorf("pack(%s) takes %d bytes of %d; want it compressed", name, len(v), len(data))
		}
	}
}

// TestPackKeeps makes values of every size and looks at all of them afterwards: bbolt reads them at the end of the transaction.
func TestPackKeeps(t *testing.T) {
	var p packer
	var values [][]byte
	for i := range 2000 {
		values = append(values, p.pack(bytes.Repeat([]byte{byte(i)}, i)))
	}
	for i, v := range values {
		if got, err := unpack(v); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, i)) {
			t.Fatalf("value %d changed: %v", i, err)
		}
	}
}

func TestDecodeDamaged(t *testing.T) {
	h, _ := finding(1)
	whole := appendHot(nil, &h, 3)
	member := appendMember(nil, &triage.Member{})
	var p packer
	for name, tc := range map[string]struct {
		decode func(v []byte) error
		v      []byte
		want   error
	}{
		"hot of a newer version": {func(v []byte) error { _, _, err := decodeHot(1, v); return err }, append([]byte{9}, whole[1:]...), ErrNewer},
		"hot, empty":             {func(v []byte) error { _, _, err := decodeHot(1, v); return err }, nil, ErrDamaged},
		"hot, cut":               {func(v []byte) error { _, _, err := decodeHot(1, v); return err }, whole[:len(whole)-1], ErrDamaged},
		"hot, bytes left":        {func(v []byte) error { _, _, err := decodeHot(1, v); return err }, append(slices.Clone(whole), 0), ErrDamaged},
		"member, cut":            {func(v []byte) error { _, err := decodeMember(1, 1, v); return err }, member[:len(member)-1], ErrDamaged},
		"packed, unknown form":   {func(v []byte) error { _, err := unpack(v); return err }, []byte{valueVersion, 9}, ErrDamaged},
		"packed, huge length":    {func(v []byte) error { _, err := unpack(v); return err }, []byte{valueVersion, compressed, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}, ErrDamaged},
		"not JSON":               {func(v []byte) error { return load(v, &h) }, p.pack([]byte("{")), ErrDamaged},
		"touches, huge count":    {func(v []byte) error { return eachTouch(v, func(touchKey, int64) {}) }, []byte{valueVersion, 0xff, 0xff, 0xff, 0x7f}, ErrDamaged},
	} {
		if err := tc.decode(tc.v); !errors.Is(err, tc.want) {
			t.Errorf("decoding %s = %v; want %v", name, err, tc.want)
		}
	}
}

// FuzzHot decodes what may stand in a damaged file: no panic, and what is read is written back the same.
func FuzzHot(f *testing.F) {
	h, _ := finding(1)
	f.Add(appendHot(nil, &h, 3))
	f.Add([]byte{valueVersion})
	f.Fuzz(func(t *testing.T, v []byte) {
		h, touched, err := decodeHot(1, v)
		if err != nil {
			return
		}
		again, mark, err := decodeHot(1, appendHot(nil, &h, touched))
		if err != nil || mark != touched || !cmp.Equal(again, h) {
			t.Errorf("decodeHot(appendHot(%+v, %d)) = %+v, %d, %v; want the same", h, touched, again, mark, err)
		}
	})
}

// FuzzRows decodes the other compact values.
func FuzzRows(f *testing.F) {
	f.Add(appendMember(nil, &triage.Member{}))
	f.Add(appendTouches(nil, []triage.Touch{{Seq: 1, Key: keyOf(1, 0), Observed: 5}, {Seq: 3}}))
	f.Add((&caseKeys{ready: key64(1)}).encode(nil))
	var p packer
	f.Add(p.pack(appendRaw(nil, [][]byte{[]byte("{}"), nil})))
	f.Fuzz(func(t *testing.T, v []byte) {
		_, _ = decodeMember(1, 1, v)
		_, _ = decodeCaseKeys(v)
		_, _ = decodeRaw(v)
		_ = eachTouch(v, func(touchKey, int64) {})
		_ = addSeen(&triage.Seen{Keys: map[triage.SeenKey]bool{}}, v)
	})
}

func TestKeysSort(t *testing.T) {
	times := []time.Time{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 5, time.UTC), start, start.Add(1), start.Add(time.Second), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i, at := range times {
		if got := instant(appendInstant(nil, at)); !got.Equal(at) {
			t.Errorf("instant(appendInstant(%v)) = %v; want the same", at, got)
		}
		if i > 0 && bytes.Compare(dueKey(times[i-1], 9), dueKey(at, 1)) >= 0 {
			t.Errorf("dueKey(%v) is not below dueKey(%v)", times[i-1], at)
		}
	}
	for _, a := range names {
		for _, b := range names {
			if a != b && bytes.HasPrefix(nameKey(b), nameKey(a)) {
				t.Errorf("the key of %q begins with the key of %q", b, a)
			}
		}
	}
}
