package ingest

import "testing"

// TestSums: one text has one sum, under either kind of key, and what differs has another.
func TestSums(t *testing.T) {
	fast, err := newSummer()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*summer{"as the process is": fast, "where GCM is refused": {key: fast.key}} {
		of := func(source, format, text string) sum {
			x, ok := s.of(source, format, func(to []byte) ([]byte, bool) { return append(to, text...), true })
			if !ok {
				t.Errorf("%s: of(%s) is refused; want a sum", name, text)
			}
			return x
		}
		one := of("hub", "asff", "text")
		if again := of("hub", "asff", "text"); one == (sum{}) || one != again {
			t.Errorf("%s: of(text) = %x, then %x; want one sum", name, one, again)
		}
		for _, other := range []sum{of("hub", "asff", "texu"), of("hub", "ocsf", "text"), of("hu", "basff", "text"), of("other", "asff", "text")} {
			if other == one {
				t.Errorf("%s: two texts have the sum %x", name, one)
			}
		}
		if x, ok := s.of("hub", "asff", func(to []byte) ([]byte, bool) { return to, false }); ok || x != (sum{}) {
			t.Errorf("%s: of(nothing) = %x, %v; want none", name, x, ok)
		}
	}
}
