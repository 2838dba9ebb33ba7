package triage

import (
	"testing"
	"time"
)

func TestClockConfirms(t *testing.T) {
	type look struct {
		wall, mono time.Duration // since the start
		want       bool
	}
	tests := []struct {
		name  string
		looks []look
	}{
		{"a clock that runs", []look{{0, 0, true}, {time.Second, time.Second, true}, {time.Hour, time.Hour, true}}},
		{"a jump ahead waits for a second look", []look{{0, 0, true}, {3 * day, time.Second, false}, {3*day + time.Second, 2 * time.Second, true}}},
		{"a jump back waits for a second look", []look{{0, 0, true}, {-2 * time.Hour, time.Second, false}, {-2*time.Hour + time.Second, 2 * time.Second, true}}},
		{"a jump and back again confirms nothing of it", []look{
			{0, 0, true}, {3 * day, time.Second, false}, {2 * time.Second, 2 * time.Second, false}, {3 * time.Second, 3 * time.Second, true},
		}},
		{"less than an hour is drift", []look{{0, 0, true}, {50 * time.Minute, time.Second, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c Clock
			for i, l := range tt.looks {
				if got := c.Confirms(start.Add(l.wall), start.Add(l.mono)); got != l.want {
					t.Errorf("look %d: Confirms(%v, %v) = %v; want %v", i+1, l.wall, l.mono, got, l.want)
				}
			}
		})
	}
}
