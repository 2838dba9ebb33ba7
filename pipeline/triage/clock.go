package triage

import "time"

// jump is how far the wall clock may be from what monotonic time expects.
const jump = time.Hour

// Clock tells a wall clock that runs from one that jumped. A tick that is more
// than an hour from what monotonic time expects moves nothing by time until a
// second one confirms it. The zero Clock is ready.
type Clock struct {
	wall time.Time
	mono time.Time
	off  bool
}

// Confirms reports whether a tick at wall may act; mono is the same instant with
// a monotonic reading. It is called once a tick.
func (c *Clock) Confirms(wall, mono time.Time) bool {
	if c.wall.IsZero() {
		c.wall, c.mono = wall.Round(0), mono
		return true
	}
	expected := c.wall.Add(mono.Sub(c.mono))
	off := wall.Round(0).Sub(expected).Abs() > jump
	if off && !c.off {
		// The jump itself is taken as the new base: the next tick is compared with it.
		c.wall, c.mono, c.off = wall.Round(0), mono, true
		return false
	}
	c.wall, c.mono, c.off = wall.Round(0), mono, off
	return !off
}
