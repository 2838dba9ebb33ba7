package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
)

// since reads --since: how long ago (7d), a day (its beginning in the
// configuration's time zone) or an instant.
func (p *program) since(c *cobra.Command, word string) (time.Time, error) {
	if d, err := config.ParseDuration(word); err == nil {
		if d < 0 {
			d = -d
		}
		return p.now().Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, word); err == nil {
		return t.UTC(), nil
	}
	if _, err := time.Parse(time.DateOnly, word); err != nil {
		return time.Time{}, misuse(c, "--since %s: write how long ago (7d, 12h), a date (2026-01-31) or an instant (2026-01-31T12:00:00Z)", word)
	}
	zone, err := p.location()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.ParseInLocation(time.DateOnly, word, zone)
	return t.UTC(), err
}

// until reads an end: a day, which it includes, or an instant. It must lie ahead.
func (p *program) until(c *cobra.Command, word string) (time.Time, error) {
	var d config.Date
	if err := d.UnmarshalText([]byte(word)); err != nil {
		return time.Time{}, misuse(c, "--until %s: %s", word, err)
	}
	zone, err := p.location()
	if err != nil {
		return time.Time{}, err
	}
	end := d.End(zone)
	if !end.After(p.now()) {
		return time.Time{}, misuse(c, "--until %s is over: name a day ahead", word)
	}
	return end, nil
}

// lasting reads --for: from now on.
func (p *program) lasting(c *cobra.Command, word string) (time.Time, error) {
	d, err := config.ParseDuration(word)
	if err == nil && d <= 0 {
		err = fmt.Errorf("it must be longer than nothing")
	}
	if err != nil {
		return time.Time{}, misuse(c, "--for %s: %s", word, err)
	}
	return p.now().Add(d), nil
}
