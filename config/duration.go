package config

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// durationUnits are the units, largest first. Months and years are left out
// because they have no one length.
func durationUnits() []durationUnit {
	return []durationUnit{{"w", 7 * day}, {"d", day}, {"h", time.Hour}, {"m", time.Minute},
		{"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond}}
}

type durationUnit struct {
	name string
	size time.Duration
}

const durationHelp = "write a number and a unit, such as 500ms, 30s, 5m, 12h or 7d"

// ParseDuration reads 500ms, 30s, 5m, 12h, 7d, 2w and sums such as 1h30m, with an
// optional minus. A day is 24 hours. "0" needs no unit.
func ParseDuration(text string) (time.Duration, error) {
	rest := strings.TrimSpace(text)
	if rest == "0" {
		return 0, nil
	}
	negative := strings.HasPrefix(rest, "-")
	rest = strings.TrimPrefix(rest, "-")
	if rest == "" {
		return 0, errors.New(durationHelp)
	}
	var sum float64
	for rest != "" {
		number := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789."))]
		rest = rest[len(number):]
		name := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyzµ"))]
		rest = rest[len(name):]
		value, err := strconv.ParseFloat(number, 64)
		unit, known := unitSize(name)
		if err != nil || !known {
			return 0, errors.New(durationHelp)
		}
		sum += value * float64(unit)
	}
	if sum >= math.MaxInt64 {
		return 0, errors.New("is longer than 292 years")
	}
	if negative {
		sum = -sum
	}
	return time.Duration(math.Round(sum)), nil
}

func unitSize(name string) (time.Duration, bool) {
	for _, u := range durationUnits() {
		if u.name == name || name == "µs" && u.name == "us" {
			return u.size, true
		}
	}
	return 0, false
}

// FormatDuration is the shortest text that ParseDuration reads back as d: 7d,
// 24h is 1d, 90m is 1h30m. Weeks are written as days.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	// The magnitude is unsigned because the smallest duration has no positive twin.
	rest := uint64(d)
	if d < 0 {
		b.WriteByte('-')
		rest = -rest
	}
	for _, u := range durationUnits()[1:] {
		if n := rest / uint64(u.size); n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			rest %= uint64(u.size)
		}
	}
	return b.String()
}

// Size is a number of bytes. In the file it is a number with a unit: 500MB,
// 10GiB; kB, MB, GB, TB count by 1000 and KiB, MiB, GiB, TiB by 1024.
type Size int64

const sizeHelp = "write a number and a unit, such as 500MiB or 10GiB"

func sizeUnits() []struct {
	name string
	size uint64
} {
	return []struct {
		name string
		size uint64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}, {"", 1}}
}

// UnmarshalText reads a size of at most 8 EiB.
func (s *Size) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	number := word[:len(word)-len(strings.TrimLeft(word, "0123456789"))]
	unit := strings.TrimSpace(word[len(number):])
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return errors.New(sizeHelp)
	}
	for _, u := range sizeUnits() {
		if u.name != unit {
			continue
		}
		high, low := bits.Mul64(n, u.size)
		if high != 0 || low > math.MaxInt64 {
			return errors.New("is more than 8 EiB")
		}
		*s = Size(low)
		return nil
	}
	return errors.New(sizeHelp)
}

// String is the size in its largest whole unit.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && u.size > 1 && int64(s)%int64(u.size) == 0 {
			return strconv.FormatInt(int64(s)/int64(u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Date is the end of an exception: a day, which it includes, or an instant.
type Date struct {
	text    string
	instant time.Time // for a day: its midnight in UTC
	whole   bool
}

// UnmarshalText reads 2027-01-31 or an instant such as 2027-01-31T12:00:00Z (RFC 3339).
func (d *Date) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	if t, err := time.Parse(time.DateOnly, word); err == nil {
		*d = Date{word, t, true}
		return nil
	}
	t, err := time.Parse(time.RFC3339, word)
	if err != nil {
		return errors.New("write a date such as 2027-01-31, or an instant such as 2027-01-31T12:00:00Z")
	}
	*d = Date{word, t, false}
	return nil
}

// IsZero reports whether no date was given.
func (d Date) IsZero() bool { return d.text == "" }

// String is the date as it was written.
func (d Date) String() string { return d.text }

// MarshalText is String.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.text), nil }

// End is the instant, in UTC, at which it is over: for a day the first of the next day in zone.
func (d Date) End(zone *time.Location) time.Time {
	if !d.whole {
		return d.instant.UTC()
	}
	y, m, dd := d.instant.Date()
	return time.Date(y, m, dd+1, 0, 0, 0, 0, zone).UTC()
}
