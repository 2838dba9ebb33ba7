package config

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	cases := []struct {
		name, text string
		want       time.Duration
		ok         bool
	}{
		{"milliseconds", "500ms", 500 * time.Millisecond, true},
		{"seconds", "30s", 30 * time.Second, true},
		{"minutes", "5m", 5 * time.Minute, true},
		{"hours", "12h", 12 * time.Hour, true},
		{"days", "7d", 168 * time.Hour, true},
		{"weeks", "2w", 336 * time.Hour, true},
		{"a sum", "1d12h30m", 36*time.Hour + 30*time.Minute, true},
		{"a fraction", "1.5h", 90 * time.Minute, true},
		{"negative", "-5m", -5 * time.Minute, true},
		{"zero", "0", 0, true},
		{"no unit", "5", 0, false},
		{"no number", "d", 0, false},
		{"months", "1mo", 0, false},
		{"empty", "", 0, false},
		{"only a sign", "-", 0, false},
		{"two points", "1.2.3s", 0, false},
		{"a blank inside", "5 m", 0, false},
		{"too long", "300000d", 0, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseDuration(tc.text)
			if got != tc.want || (err == nil) != tc.ok {
				t.Errorf("ParseDuration(%q) = %v, %v; want %v, ok %v", tc.text, got, err, tc.want, tc.ok)
			}
		})
	}
}

func TestFormatDuration(t *testing.T) {
	for _, want := range []string{"0s", "7d", "1d12h", "1h30m", "500ms", "-5m", "1ns", "2us"} {
		d, err := ParseDuration(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %s; want %s", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	cases := []struct {
		text string
		want Size
		back string // "" where the text is refused
	}{
		{"10GiB", 10 << 30, "10GiB"}, {"500MB", 500e6, "500MB"}, {"1 KiB", 1024, "1KiB"}, {"7", 7, "7B"},
		{"1024MiB", 1 << 30, "1GiB"}, {"0", 0, "0B"}, {"-1", 0, ""}, {"GiB", 0, ""}, {"1.5GiB", 0, ""},
		{"10 gigs", 0, ""}, {"9000000TiB", 0, ""}, {"99999999999999999999", 0, ""},
	}
	for _, tc := range cases {
		var got Size
		err := got.UnmarshalText([]byte(tc.text))
		if got != tc.want || (err == nil) != (tc.back != "") || err == nil && got.String() != tc.back {
			t.Errorf("UnmarshalText(%q) = %d (%s), %v; want %d (%s)", tc.text, got, got, err, tc.want, tc.back)
		}
	}
}

func TestDateEnds(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("no time zones on this machine: %v", err)
	}
	cases := []struct {
		name, text string
		zone       *time.Location
		want       string
	}{
		{"a day in UTC", "2027-01-31", time.UTC, "2027-02-01T00:00:00Z"},
		{"a day in winter", "2027-01-31", berlin, "2027-01-31T23:00:00Z"},
		{"the day the clocks change", "2027-03-28", berlin, "2027-03-28T22:00:00Z"},
		{"an instant", "2027-01-31T12:00:00+02:00", berlin, "2027-01-31T10:00:00Z"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var d Date
			if err := d.UnmarshalText([]byte(tc.text)); err != nil {
				t.Fatal(err)
			}
			if got := d.End(tc.zone).Format(time.RFC3339); got != tc.want {
				t.Errorf("End(%s) = %s; want %s", tc.text, got, tc.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	known := []string{"group_by", "team", "sinks", "P1", "account"}
	cases := []struct{ word, want string }{
		{"groupby", "group_by"}, {"Group-By", "group_by"}, {"taem", "team"}, {"sink", "sinks"},
		{"P9", ""}, {"p1", "P1"}, {"zebra", ""}, {"", ""}, {"acount", "account"},
	}
	for _, tc := range cases {
		if got := nearest(tc.word, known); got != tc.want {
			t.Errorf("nearest(%q) = %q; want %q", tc.word, got, tc.want)
		}
	}
}
