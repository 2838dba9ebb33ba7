package bench

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func results() *Results {
	rep := func(rate, cpu float64) Repetition {
		l := Limits{Append: 90_000, JetStream: 50_000, HTTP: 20_000}
		return Repetition{Before: l, After: l, Rate: rate, SingleRate: 8000, CPU: cpu, Drained: 9000, RSS: 200 << 20, Tickets: Tickets{Open: 300}, Distinct: 2500}
	}
	return &Results{
		Plan:        Plan{Seed: 5, Findings: 10_000},
		Repetitions: []Repetition{rep(25_000, 3), rep(30_000, 2), rep(20_000, 9)},
		Growth:      &Growth{Few: 10_000, Known: 1_000_000, FewCPU: []float64{2, 2}, ManyCPU: []float64{5, 5}},
	}
}

func TestMarkdownShowsMedianRangeAndWhatWasMissed(t *testing.T) {
	got := results().Markdown("go run x")
	for _, want := range []string{
		"seed 5", "`go run x`", "10000 findings a load, 3 repetitions (0 void)",
		"| P1 | accepted durably at 100 a request, over the packed-JetStream limit | at least 0.4 | 0.50 | 0.40 to 0.60 | 25,000 of 50,000 findings/s |",
		"| at most 3.5 s | 3.00 s | 2.00 to 9.00 s |",
		"at 1,000,000 known over the same at 10,000 | at most 2 (missed) | 2.50 |",
		"300 tickets, none doubled", "| 50,000 | 50,000 to 50,000 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Markdown() lacks %q:\n%s", want, got)
		}
	}
}

func TestCheckNamesWhatWasMissed(t *testing.T) {
	r := results()
	if err := r.Check(); err == nil || !strings.Contains(err.Error(), "P10: 2.50; must be 2.00") || strings.Contains(err.Error(), "P1:") {
		t.Errorf("Check() = %v; want P10 alone", err)
	}
	r.Growth = nil
	if err := r.Check(); err != nil {
		t.Errorf("Check() = %v; want nothing, since every target is met", err)
	}
}

func TestDeliveryIsShownAndChecked(t *testing.T) {
	r := &Results{Deliveries: []Delivery{{
		Fast: 2880, Slow: 288, BareFast: 3100, BareSlow: 318, CPU: 250,
		Latency: Latency{Findings: 2400, Median: 45 * time.Millisecond, P99: 70 * time.Millisecond, FlushP99: 5 * time.Millisecond},
		Outage:  Outage{Tickets: 12_000, Repeated: 64, Refused: 201, Back: 3 * time.Second, Rate: 2880},
	}}}
	got := r.Markdown("x")
	for _, want := range []string{
		"| P3 |", "| at most 70 ms | 65.00 ms |", "p99 70.0 ms, median 45.0 ms, flush p99 5.0 ms; 2,400 findings",
		"| at least 0.8 | 0.90 |", "2,880 of 3,200 tickets/s; a plain client 3,100; 250 us of CPU a ticket",
		"| at least 0.95 (missed) | 0.90 |", "| at most 200 (missed) | 201.00 |", "12,000 tickets, none lost, none doubled; 64 requests repeated; first ticket 3.0 s",
		"| at least 0.9 | 1.00 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Markdown() lacks %q:\n%s", want, got)
		}
	}
	if err := r.Check(); err == nil || !strings.Contains(err.Error(), "P9: 201.00; must be 200.00") || strings.Contains(err.Error(), "P3") {
		t.Errorf("Check() = %v; want P4 at 200 ms and the refused calls", err)
	}
}

func TestVoid(t *testing.T) {
	base := Limits{JetStream: 30_000, HTTP: 10_000}
	for _, tt := range []struct {
		name  string
		after Limits
		want  bool
	}{
		{"the same", base, false},
		{"a little slower", Limits{JetStream: 12_000, HTTP: 9000}, false},
		{"the disk slower", Limits{JetStream: 9000, HTTP: 10_000}, true},
		{"the network faster", Limits{JetStream: 30_000, HTTP: 31_000}, true},
	} {
		if got := (Repetition{Before: base, After: tt.after}).Void(); got != tt.want {
			t.Errorf("Void() of %s = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestSpread(t *testing.T) {
	if got, want := spread([]float64{3, 1, 2}), (Spread{2, 1, 3}); got != want {
		t.Errorf("spread(3 1 2) = %v; want %v", got, want)
	}
	if got, want := spread([]float64{4, 1}), (Spread{2.5, 1, 4}); got != want {
		t.Errorf("spread(4 1) = %v; want %v", got, want)
	}
	if got := spread(nil); !math.IsNaN(got.Median) {
		t.Errorf("spread() = %v; want no number", got)
	}
}

func TestWriteReplacesBetweenTheMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(path, []byte("head\n"+beginMark+"old\n"+endMark+"tail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, "new\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := "head\n" + beginMark + "new\n" + endMark + "tail\n"; err != nil || string(got) != want {
		t.Errorf("Write() left %q, %v; want %q", got, err, want)
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, "new"); err == nil {
		t.Error("Write() on a document without marks = nil; want an error")
	}
}

func TestDoubledTicketsAreFound(t *testing.T) {
	ticket := func(key, state, print string) string {
		return "---\nkey: K-" + key + "\ncase: DK-" + key + "\nstate: " + state + "\n---\n\n# t\n\n| HIGH | open | a | b | c | d | e | `" + print + "` |\n"
	}
	tests := []struct {
		name  string
		files []string
		want  Tickets
	}{
		{"two problems", []string{ticket("1", "open", "aaaaaaaaaaaa"), ticket("2", "open", "bbbbbbbbbbbb")}, Tickets{Open: 2}},
		{"one finding in two", []string{ticket("1", "open", "aaaaaaaaaaaa"), ticket("2", "open", "aaaaaaaaaaaa")}, Tickets{Open: 2, Doubled: 1}},
		{"one case twice", []string{ticket("1", "open", "aaaaaaaaaaaa"), ticket("1", "open", "bbbbbbbbbbbb")}, Tickets{Open: 2, Doubled: 1}},
		{"the other one closed", []string{ticket("1", "open", "aaaaaaaaaaaa"), ticket("2", "closed", "aaaaaaaaaaaa")}, Tickets{Open: 1, Closed: 1}},
	}
	for _, tt := range tests {
		d := &Daemon{tickets: t.TempDir()}
		for i, text := range tt.files {
			if err := os.WriteFile(filepath.Join(d.tickets, string(rune('a'+i))+".md"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := d.Tickets(); err != nil || got != tt.want {
			t.Errorf("Tickets() of %s = %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
}
