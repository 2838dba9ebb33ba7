// Package instant reads points in time as findings write them: RFC 3339 with
// or without a zone, and seconds or milliseconds since 1970 as a number or a text.
package instant

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// layouts are tried in order; one without a zone is UTC. Prowler 4 writes
// local times without a zone and means UTC (its recorded output, 2024 and 2025).
var layouts = [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02"}

// Parse reads one point in time; the result is UTC, zero when the text is none.
func Parse(text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, text); err == nil {
			return t.UTC()
		}
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return FromNumber(f)
	}
	return time.Time{}
}

// FromNumber reads seconds or, from 1e11 on, milliseconds since 1970: as
// seconds that would be past the year 5138. Zero, negative and absurd numbers are the zero time.
func FromNumber(f float64) time.Time {
	switch {
	case math.IsNaN(f) || f <= 0 || f > 1e15:
		return time.Time{}
	case f >= 1e11:
		return time.UnixMilli(int64(f)).UTC()
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(frac*1e9)).UTC()
}

// First is the first of the times that is not zero.
func First(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// Time is a JSON member that holds a time in any of the spellings; what is
// none of them is the zero time, not an error.
type Time struct{ time.Time }

// UnmarshalJSONFrom reads a string or a number and skips everything else.
func (t *Time) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch d.PeekKind() {
	case '"', '0':
	default:
		return d.SkipValue()
	}
	tok, err := d.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() == '"' {
		t.Time = Parse(tok.String())
	} else {
		t.Time = FromNumber(tok.Float())
	}
	return nil
}
