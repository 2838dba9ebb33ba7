package bench

import (
	"fmt"
	"testing"
	"time"
)

func TestAboutCountsLostDoubledAndRepeated(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ticket := func(key string, rev int, resource string) receipt {
		at = at.Add(time.Second)
		return receipt{at, fmt.Sprintf("%s/r%d", key, rev), fmt.Appendf(nil, `{"ticket":{"key":%q,"resource":{"id":%q}}}`, key, resource)}
	}
	tests := []struct {
		name                             string
		got                              []receipt
		tickets, lost, doubled, repeated int
	}{
		{"each once", []receipt{ticket("a", 1, "x"), ticket("b", 1, "y")}, 2, 0, 0, 0},
		{"one missing", []receipt{ticket("a", 1, "x")}, 1, 1, 0, 0},
		{"a second ticket", []receipt{ticket("a", 1, "x"), ticket("c", 1, "x"), ticket("b", 1, "y")}, 2, 0, 1, 0},
		{"sent again", []receipt{ticket("a", 1, "x"), ticket("a", 1, "x"), ticket("b", 1, "y")}, 2, 0, 0, 1},
		{"another revision", []receipt{ticket("a", 1, "x"), ticket("a", 2, "x"), ticket("b", 1, "y")}, 2, 0, 0, 0},
	}
	for _, tt := range tests {
		got, err := about(tt.got, 2)
		if err != nil || got.Tickets != tt.tickets || got.Lost != tt.lost || got.Doubled != tt.doubled || got.Repeated != tt.repeated {
			t.Errorf("about(%s) = %+v, %v; want %d tickets, %d lost, %d doubled, %d repeated", tt.name, got, err, tt.tickets, tt.lost, tt.doubled, tt.repeated)
		}
		if first := got.first["x"]; !first.Equal(tt.got[0].at) {
			t.Errorf("about(%s) first = %v; want %v", tt.name, first, tt.got[0].at)
		}
	}
	if _, err := about([]receipt{{at, "k", []byte(`{"other":1}`)}}, 1); err == nil {
		t.Error("about(no ticket) = nil; want an error")
	}
}

func TestRateIsOfTheMiddle(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var got []receipt
	for i := range 100 {
		step := 10 * time.Millisecond
		if i < 15 || i > 85 {
			step = time.Second // a slow start and a slow end count for nothing
		}
		at = at.Add(step)
		got = append(got, receipt{at: at})
	}
	if r := rate(got); r < 99.9 || r > 100.1 {
		t.Errorf("rate() = %v; want 100 a second", r)
	}
	if r := rate(got[:3]); r != 0 {
		t.Errorf("rate() of 3 requests = %v; want 0", r)
	}
}

func TestPercentile(t *testing.T) {
	var v []time.Duration
	for i := range 200 {
		v = append(v, time.Duration(200-i)*time.Millisecond)
	}
	for share, want := range map[float64]time.Duration{0.5: 101 * time.Millisecond, 0.99: 199 * time.Millisecond, 1: 200 * time.Millisecond} {
		if got := percentile(v, share); got != want {
			t.Errorf("percentile(1 to 200 ms, %g) = %v; want %v", share, got, want)
		}
	}
	if got := percentile(nil, 0.5); got != 0 {
		t.Errorf("percentile(none) = %v; want 0", got)
	}
}

func TestProblemsAreDistinct(t *testing.T) {
	bodies, resources := problems(3, 0, 250, 100)
	seen := map[string]bool{}
	for _, r := range resources {
		seen[r] = true
	}
	if len(bodies) != 3 || len(seen) != 250 {
		t.Errorf("problems(250) = %d bodies, %d resources; want 3 and 250", len(bodies), len(seen))
	}
	if reports, rejected := read(t, bodies); len(reports) != 250 || rejected != 0 || reports[0].Resource.ID != resources[0] {
		t.Errorf("problems(250) = %d reports, %d rejects; want 250, none", len(reports), rejected)
	}
}
