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
		return Repetition{Before: l, After: l, Rate: rate, SingleRate: 8000, CPU: cpu, Drained: 9000, RSS: 200 << 20, Tickets: Tickets{Open: 300}, Distinct: 2500, Written: 5}
	}
	return &Results{
		Plan:        Plan{Seed: 5, Findings: 10_000, Chunk: 2000, Grown: 2},
		Repetitions: []Repetition{rep(25_000, 3), rep(30_000, 2), rep(20_000, 9)},
		Growth: &Growth{Few: 10_000, Known: 1_000_000, FillRate: 2500, FillRSS: 400 << 20, Size: 4000 << 20, IdleCPU: 3, IdleFlushes: 5, FlushesKnown: true, Rounds: []Grown{
			{FewCPU: 2, ManyCPU: 5, FewWritten: 3, ManyWritten: 9, RSS: 240 << 20, Clean: time.Second, Killed: 3 * time.Second},
			{FewCPU: 2, ManyCPU: 5, FewWritten: 3, ManyWritten: 9, RSS: 250 << 20, Clean: time.Second, Killed: 5 * time.Second},
		}},
	}
}

// text is what all blocks say.
func text(r *Results) string {
	var b strings.Builder
	for _, x := range r.Blocks("go run x") {
		b.WriteString(x.Part + "\n" + x.Text)
	}
	return b.String()
}

func TestBlocksShowMedianRangeAndWhatWasMissed(t *testing.T) {
	got := text(results())
	for _, want := range []string{
		"intake\nMade on", "seed 5", "`go run x`", "10,000 findings a load, 3 repetitions (0 void)",
		"| P1 | accepted durably at 100 a request, over the packed-JetStream limit | at least 0.4 | 0.50 | 0.40 to 0.60 | 25,000 of 50,000 findings/s |",
		"| at most 3.5 s | 3.00 s | 2.00 to 9.00 s |", "| at most 4 (missed) | 5.00 |",
		"300 tickets, none doubled", "| 50,000 | 50,000 to 50,000 |",
		"growth\nMade on", "2,000 findings a load, 2 repetitions",
		"| P6 | peak memory with 1,000,000 known, over a start and a load of the standard mix | at most 250 MB | 245 MB | 240 to 250 MB | 400 MB while they were filled in, at 2,500 findings/s to the last ticket; 4000 MB on disk |",
		"| P7 | restart to ready with 1,000,000 known | at most 2 s | 1.00 s |", "| at most 2 s (missed) | 4.00 s | 3.00 to 5.00 s |",
		"at 1,000,000 known over the same at 10,000 | at most 2 (missed) | 2.50 |", "| 9.00 | 9.00 to 9.00 | 3.0 at 10,000 known |",
		"| at most 10 s | 3.00 s |", "| at most 4 (missed) | 5.00 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Blocks() lack %q:\n%s", want, got)
		}
	}
	r := results()
	r.Growth.FlushesKnown = false
	if got := text(r); !strings.Contains(got, "not counted") {
		t.Errorf("Blocks() without a count of flushes do not say so:\n%s", got)
	}
}

func TestBesideShowsRatios(t *testing.T) {
	r := &Results{Plan: Plan{Findings: 20_000}, Beside: []Comparison{{Events: 20_000, Distinct: 5000,
		Docket:       Run{Accepted: 30_000, Told: 4000, CPU: 10, RSS: 200 << 20},
		Alertmanager: Run{Accepted: 10_000, Told: 8000, CPU: 20, RSS: 400 << 20},
	}}}
	got := text(r)
	for _, want := range []string{
		"20,000 findings a load, 1 interleaved repetitions", "alertmanager v0.34.2", "| 3.00 | 3.00 to 3.00 | 30000 of 10000; 20,000 events, 5,000 of them distinct",
		"| 0.50 | 0.50 to 0.50 | 4000 of 8000 |", "| 10.0 of 20.0 |", "| 200 of 400 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Blocks() lack %q:\n%s", want, got)
		}
	}
}

func TestCheckNamesWhatWasMissed(t *testing.T) {
	r := results()
	err := r.Check()
	for _, want := range []string{"P10: 2.50; must be 2.00", "P11: 5.00; must be 4.00", "P7: 4.00 s; must be 2.00", "P12: 5.00; must be 4.00"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check() = %v; want %q", err, want)
		}
	}
	if err != nil && strings.Count(err.Error(), "must be") != 4 {
		t.Errorf("Check() = %v; want P7, P10, P11 and P12 alone, each once", err)
	}
	r.Growth = nil
	for i := range r.Repetitions {
		r.Repetitions[i].Written = 2
	}
	if err := r.Check(); err != nil {
		t.Errorf("Check() = %v; want nothing, since every target is met", err)
	}
}

func TestOnlyLeavesOnePart(t *testing.T) {
	all := Plan{Repetitions: 1, Known: 2, Tickets: 3, Compared: 4}
	for _, tt := range []struct {
		part string
		want Plan
	}{
		{"intake", Plan{Repetitions: 1}}, {"growth", Plan{Known: 2}}, {"delivery", Plan{Tickets: 3}}, {"alertmanager", Plan{Compared: 4}},
	} {
		got, err := all.Only(tt.part)
		if err != nil || got.Repetitions != tt.want.Repetitions || got.Known != tt.want.Known || got.Tickets != tt.want.Tickets || got.Compared != tt.want.Compared {
			t.Errorf("Only(%s) = %+v, %v; want %+v", tt.part, got, err, tt.want)
		}
	}
	if _, err := all.Only("speed"); err == nil {
		t.Error("Only(speed) = nil; want an error")
	}
}

func TestDeliveryIsShownAndChecked(t *testing.T) {
	r := &Results{Deliveries: []Delivery{{
		Fast: 2880, Slow: 288, BareFast: 3100, BareSlow: 318, CPU: 250,
		Latency: Latency{Findings: 2400, Median: 45 * time.Millisecond, P99: 70 * time.Millisecond, FlushP99: 5 * time.Millisecond},
		Outage:  Outage{Tickets: 12_000, Repeated: 64, Refused: 201, Back: 3 * time.Second, Rate: 2880},
	}}}
	got := text(r)
	for _, want := range []string{
		"| P3 |", "| at most 70 ms | 65.00 ms |", "p99 70.0 ms, median 45.0 ms, flush p99 5.0 ms; 2,400 findings",
		"| at least 0.8 | 0.90 |", "2,880 of 3,200 tickets/s; a plain client 3,100; 250 us of CPU a ticket",
		"| at least 0.95 (missed) | 0.90 |", "| at most 200 (missed) | 201.00 |", "12,000 tickets, none lost, none doubled; 64 requests repeated; first ticket 3.0 s",
		"| at least 0.9 | 1.00 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Blocks() lack %q:\n%s", want, got)
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

func TestWriteReplacesMeasuredPartsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	doc := func(intake, growth string) string {
		return "head\n" + beginMark("intake") + intake + endMark("intake") + "between\n" + beginMark("growth") + growth + endMark("growth") + "tail\n"
	}
	if err := os.WriteFile(path, []byte(doc("old\n", "kept\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []Block{{"intake", "new\n"}}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := doc("new\n", "kept\n"); err != nil || string(got) != want {
		t.Errorf("Write() left %q, %v; want %q", got, err, want)
	}
	if err := Write(path, []Block{{"intake", "newer\n"}, {"delivery", "x\n"}}); err == nil {
		t.Error("Write() on a document without the marks of a part = nil; want an error")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != doc("new\n", "kept\n") {
		t.Errorf("Write() that failed left %q, %v; want the document as it was", got, err)
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
