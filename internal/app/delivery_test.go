package app

import (
	"strings"
	"testing"
)

// Of two sinks one cannot be written to: the other's tickets come, and metrics and
// log say once what is wrong.
func TestDeadSinkBesideAnother(t *testing.T) {
	site := strings.Replace(daemonSite, "sinks: [disk]", "sinks: [disk, dead]", 1)
	site = strings.Replace(site, "sinks: [{name: disk", "sinks: [{name: dead, type: file, path: ./blocked/tickets}, {name: disk", 1)
	s := newSite(t, site)
	s.env["CI_TOKEN"], s.env["BOSS_TOKEN"] = ciToken, bossToken
	s.put("blocked", []byte("a file where a folder should be"))
	d := s.start()
	d.ingest(ndjson(t, samples(1, 200)...))
	eventually(t, "200 tickets are open", func() bool { return len(s.tickets()) == 200 })
	eventually(t, "the dead sink's breaker is open", func() bool { return d.metric(`docket_delivery_breaker_open{sink="dead"}`) == 1 })
	for line, want := range map[string]float64{
		`docket_delivery_breaker_open{sink="disk"}`:                  0,
		`docket_delivery_held{sink="dead",why="breaker"}`:            1,
		`docket_delivery_held{sink="dead",why="brake"}`:              0,
		`docket_delivery_attempts_total{result="done",sink="disk"}`:  200,
		`docket_delivery_attempts_total{result="done",sink="dead"}`:  0,
		`docket_delivery_attempts_total{result="retry",sink="disk"}`: 0,
	} {
		if got := d.metric(line); got != want {
			t.Errorf("%s = %v; want %v", line, got, want)
		}
	}
	if got := d.metric(`docket_delivery_attempts_total{result="retry",sink="dead"}`); got < 3 || got > 30 {
		t.Errorf("calls of the dead sink = %v; want 3 to 30 for 200 actions", got)
	}
	if n := strings.Count(s.log.String(), "a call failed; it will be tried again"); n != 1 {
		t.Errorf("the failure stands %d times in the log; want once", n)
	}
}
