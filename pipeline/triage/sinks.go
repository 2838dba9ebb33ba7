package triage

import (
	"maps"
	"slices"
	"time"
)

// sinkRemoved is why an entry is parked whose sink takes no actions any more.
const sinkRemoved = "the sink was removed from the configuration"

func (d *decider) sinkIs(name string) bool { return d.r.Sinks == nil || d.r.Sinks[name] }

// refit carries renamed and removed sinks, and changed settings of sinks, over into a case's entries.
func (d *decider) refit(c *Case) {
	for i, sink := range c.Sinks {
		to, renamed := d.r.Renamed[sink]
		if !renamed || c.Entries[sink] == nil || c.Entries[to] != nil {
			continue
		}
		c.Sinks[i] = to
		c.Entries[to] = c.Entries[sink]
		delete(c.Entries, sink)
		d.l.putCase(c)
	}
	slices.Sort(c.Sinks)
	for _, sink := range slices.Sorted(maps.Keys(c.Entries)) {
		if to, renamed := d.r.Renamed[sink]; renamed && c.Entries[sink].Back != nil && c.Entries[to] == nil {
			c.Entries[to] = c.Entries[sink]
			delete(c.Entries, sink)
			d.l.putCase(c)
		}
	}
	for _, sink := range slices.Sorted(maps.Keys(c.Entries)) {
		e := c.Entries[sink]
		switch {
		case d.sinkIs(sink):
			d.takeUp(c, sink, e)
		case e.Back != nil && e.St != Inflight:
			if !e.Back.Off {
				e.Back.off()
				d.l.keepCase(c)
			}
		case e.St == Inflight || e.rests() && e.GivenUp == "" && (e.Wants() || e.WantOpen):
			e.Awaited = e.St == Inflight
			e.St, e.Reason, e.Since = Parked, sinkRemoved, d.now
			d.l.putCase(c)
		}
	}
	if d.tickets(c) {
		d.l.putCase(c)
	}
}

func (e *Entry) rests() bool { return e.St == Idle || e.St == "" }

// takeUp lets an entry go on whose sink is back, with the action that was under way, and tries a dead letter once
// more when the settings that it was refused under have changed.
func (d *decider) takeUp(c *Case, sink string, e *Entry) {
	switch {
	case e.St == Parked && e.Reason == sinkRemoved:
		st := Idle
		if e.Awaited {
			st = Inflight // its message is carried out now, or was lost and is issued again
		}
		e.free()
		e.St = st
	case e.St == Dead && d.r.SinkConfig != nil && e.Under != d.r.SinkConfig(c.Team, c.Route, sink):
		e.St, e.Reason, e.Since, e.Delivered, e.Under = Idle, "", time.Time{}, 0, ""
		d.auditCase(c, "retried", "", "%s: its settings changed", sink)
	case e.Back != nil && e.Back.Off:
		e.Back.on()
	default:
		return
	}
	d.l.putCase(c)
}
