package quoted

import (
	"strings"
	"testing"
)

func TestEnd(t *testing.T) {
	for _, before := range []string{"", "a", "seven b", "eight by", "nine byte", strings.Repeat("long ", 9), "ä€\xff\x7f\x80"} {
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
