package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Bucket is public", "Bucket is public"},
		{"letters of the world", "Zürich 東京 עברית 👩‍💻", "Zürich 東京 עברית 👩‍💻"},
		{"colour", "\x1b[31mred\x1b[0m", "red"},
		{"title of the window", "a\x1b]0;owned\x07b", "ab"},
		{"link", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"eight-bit sequence", "a\u009b31mb", "ab"},
		{"reset", "a\x1bcb", "ab"},
		{"lone escape at the end", "a\x1b", "a"},
		{"unterminated title", "a\x1b]0;x", "a"},
		{"reading direction", "abc\u202egnp.exe\u2066x", "abcgnp.exex"},
		{"hidden", "a\u200b\ufeff\u2060b\U000e0041c", "abc"},
		{"line ends", "a\r\nb\nc\rd\u2028e", "a b c d e"},
		{"tab", "a\tb", "a b"},
		{"backspace and bell", "a\b\x07b\x7f", "ab"},
		{"broken UTF-8", "a\xffb", "a\ufffdb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := clean(tt.in); got != tt.want {
				t.Errorf("clean(%q) = %q; want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestCleanHoldsNothingBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("\x1b[]0;m\x07\u009b\u009d\u202e")))).Draw(t, "text")
		got := clean(string(text))
		for _, r := range got {
			if unicode.IsControl(r) || hidden(r) {
				t.Fatalf("clean(%q) = %q with %U; want none", string(text), got, r)
			}
		}
		if again := clean(got); again != got {
			t.Fatalf("clean(%q) = %q; want it unchanged", got, again)
		}
	})
}

func TestWriteJSON(t *testing.T) {
	in := map[string]string{"a": "<b> & \u202e \u009b31m \x7f \x1b \U000e0041 Zürich"}
	var b bytes.Buffer
	if err := writeJSON(&b, in); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r != '\n' && hidden(r) {
			t.Errorf("writeJSON(%q) = %q holds %U", in, b.String(), r)
		}
	}
	var back map[string]string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back["a"] != in["a"] {
		t.Errorf("writeJSON(%q) reads back as %q, %v; want the same", in, back, err)
	}
	if !strings.Contains(b.String(), "<b> & ") {
		t.Errorf("writeJSON(%q) = %q; want < and & as they are", in, b.String())
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		in    string
		width int
		want  string
	}{
		{"short", 5, "short"}, {"longer", 5, "long…"}, {"Zürich", 4, "Zür…"}, {"x", 0, ""}, {"", 3, ""},
	} {
		if got := cut(tt.in, tt.width); got != tt.want {
			t.Errorf("cut(%q, %d) = %q; want %q", tt.in, tt.width, got, tt.want)
		}
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	for _, width := range []int{60, 80, 100, 200} {
		pg := &page{width: width}
		tab := newTable("ID", "RESOURCE", "STATE", "TITLE")
		tab.row("DK-1", strings.Repeat("r", 70), "open", strings.Repeat("t", 90))
		tab.row("DK-2", "short", "open", "Zürich")
		pg.table(tab)
		for _, line := range strings.Split(pg.b.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("a line in a terminal of %d columns has %d characters: %q", width, n, line)
			}
		}
	}
}

// A narrow terminal goes without columns, those that say nothing first, before cutting every column to a stump.
func TestTableGoesWithoutColumns(t *testing.T) {
	for _, tc := range []struct {
		name  string
		width int
		want  string
	}{
		{"room for all", 70, "ID    STATE  GAPS  WATERMARK                             ERROR\nDK-1  open   -     wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww  refused\n"},
		{"cut", 50, "ID    STATE  GAPS  WATERMARK               ERROR\nDK-1  open   -     wwwwwwwwwwwwwwwwwwwww…  refused\n"},
		{"without what says nothing", 35, "ID    STATE  WATERMARK      ERROR\nDK-1  open   wwwwwwwwwwww…  refused\nno room for GAPS: -o json has it\n"},
		{"without what can be spared", 25, "ID    STATE  ERROR\nDK-1  open   refused\nno room for GAPS, WATERMARK: -o json has it\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pg := &page{width: tc.width}
			tab := newTable("ID", "STATE", "GAPS", "WATERMARK", "ERROR")
			tab.spare = []string{"WATERMARK", "GAPS"}
			tab.row("DK-1", "open", "-", strings.Repeat("w", 36), "refused")
			pg.table(tab)
			if got := pg.b.String(); got != tc.want {
				t.Errorf("table of %d columns = %q; want %q", tc.width, got, tc.want)
			}
		})
	}
}

func TestTableIsWholeWithoutTerminal(t *testing.T) {
	pg := &page{}
	tab := newTable("ID", "TITLE")
	long := strings.Repeat("t", 500)
	tab.row("DK-1", long)
	pg.table(tab)
	if !strings.Contains(pg.b.String(), long) {
		t.Error("a table without a terminal was cut")
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	at := testTime
	l := &progressLine{w: &b, now: func() time.Time { return at }}
	l.tell("reading", 1, 0)
	for n := range 1000 { // within the same tenth of a second
		l.tell("reading", n, 0)
	}
	at = at.Add(progressEvery)
	l.tell("reading", 1000, 0)
	l.tell("delivering", 1, 2)
	l.tell("delivering", 2, 2)
	l.end()
	l.tell("delivering", 2, 2)
	const clear = "\x1b[K"
	want := "\rreading 1" + clear + "\rreading 1000" + clear + "\rdelivering 1 of 2 (50%)" + clear + "\rdelivering 2 of 2 (100%)" + clear + "\r" + clear
	if got := b.String(); got != want {
		t.Errorf("progress = %q; want %q", got, want)
	}
}

func TestStreams(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		want int
	}{
		{"given", map[string]string{"COLUMNS": "132"}, 132},
		{"nonsense", map[string]string{"COLUMNS": "wide"}, usualWidth},
		{"nothing known", nil, usualWidth},
	} {
		getenv := func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }
		if got := terminalWidth(&bytes.Buffer{}, getenv); got != tt.want {
			t.Errorf("terminalWidth, %s = %d; want %d", tt.name, got, tt.want)
		}
	}
	s := newStreams(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}, func(string) (string, bool) { return "", false })
	if s.colour || s.width != 0 || s.inTTY || s.outTTY || s.errTTY {
		t.Errorf("newStreams(buffers) = %+v; want no terminal", s)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"team", "team", 0}, {"teem", "team", 1}, {"tam", "team", 1}, {"state", "sate", 1}, {"out", "", 3}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d; want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
