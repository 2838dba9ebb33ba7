package names

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestDistinct(t *testing.T) {
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, `"name %d":{"a":%d},`, i, i)
	}
	tests := []struct {
		name, text string
		want       bool
	}{
		{"empty", ``, true},
		{"no object", `["a","a"]`, true},
		{"one of each", `{"a":1,"b":"a","c":["a","a"]}`, true},
		{"twice", `{"a":1,"b":2,"a":3}`, false},
		{"in two objects", `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, true},
		{"twice within", `{"b":[{"a":1},{"a":2, "a" : 3}]}`, false},
		{"behind an inner object", `{"a":{"b":{}},"a":1}`, false},
		{"an escape that says the same", `{"a":1,"\u0061":3}`, false},
		{"an escape in a value", `{"a":"\"a\":","b":"{\"a\""}`, true},
		{"the empty name", `{"":1,"":2}`, false},
		{"many", "{" + many.String() + `"a":1}`, true},
		{"many and one again", "{" + many.String() + `"name 7":1}`, false},
		{"too deep to tell", strings.Repeat("[", 65) + strings.Repeat("]", 65), false},
	}
	for _, tt := range tests {
		if got := Distinct([]byte(tt.text)); got != tt.want {
			t.Errorf("Distinct(%s) = %v; want %v", tt.name, got, tt.want)
		}
		same(t, []byte(tt.text))
	}
}

// same reads a text with and without Checked.
func same(t *testing.T, text []byte) {
	t.Helper()
	read := func(o ...jsontext.Options) string {
		_, err := jsontext.NewDecoder(strings.NewReader(string(text)), o...).ReadValue()
		return fmt.Sprint(err)
	}
	if got, want := read(Checked(text)), read(); got != want {
		t.Errorf("reading %q = %s; want %s", text, got, want)
	}
}

func FuzzChecked(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":2,"a":3}`, `{"a":{"a":1},"b":[{"a":1,"\u0061":2}]}`, `{"a":[{"b":1}],"a"`, `[{"a":1]}`, `{"a":"\"","a\\":1,"":"\\"}`, "{\"\xff\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(same)
}

func BenchmarkDistinct(b *testing.B) {
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, `"aws/securityhub/field-%d":"a value of some length",`, i)
	}
	doc := []byte("{" + text.String() + `"a":1}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if !Distinct(doc) {
			b.Fatal("Distinct = false; want true")
		}
	}
}
