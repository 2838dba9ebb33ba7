package quoted

import (
	"strings"
	"testing"
)

func TestEnd(t *testing.T) {
	for _, before := range []string{"", "a", "seven b", "eight by", "nine byte", strings.Repeat("long ", 9), strings.Repeat("longer !#\xff", 16), strings.Repeat("x", near), "ä€\xff\x7f\x80"} {
		for _, behind := range []string{"", "x", "seven b", `"\"\`, "\n\n\n\n\n\n\n\n\n", "\x80\xa2\xdc"} {
			for _, tt := range []struct {
				end  string
				want int
			}{{`"`, len(before)}, {`\`, -1}, {"\n", -1}, {"\x00", -1}, {"\x1f", -1}, {` "`, len(before) + 1}, {"]\"", len(before) + 1}, {"#!\"", len(before) + 2}} {
				if got := End([]byte(before + tt.end + behind)); got != tt.want {
					t.Errorf("End(%q) = %d; want %d", before+tt.end+behind, got, tt.want)
				}
			}
		}
		if got := End([]byte(before)); got != -1 {
			t.Errorf("End(%q) = %d; want -1", before, got)
		}
	}
}

// FuzzEnd compares End with reading byte by byte.
func FuzzEnd(f *testing.F) {
	f.Add([]byte(`text"`))
	f.Add([]byte(strings.Repeat("!", near+9) + "\x02\"\\"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := -1
		for i, c := range b {
			if c == '"' {
				want = i
			}
			if c == '"' || c == '\\' || c < ' ' {
				break
			}
		}
		if got := End(b); got != want {
			t.Errorf("End(%q) = %d; want %d", b, got, want)
		}
	})
}

func BenchmarkEnd(b *testing.B) {
	for name, n := range map[string]int{"key": 9, "id": 80, "text": 2000} {
		text := []byte(strings.Repeat("x", n) + `"` + strings.Repeat("y", 20))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				End(text)
			}
		})
	}
}
