package guardduty

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// markVersion is that of the watermark's text.
const markVersion = 1

// mark is the watermark: how far each place was read. Times are milliseconds since 1970.
type mark struct {
	Version int               `json:"v"`
	Round   int64             `json:"round,omitempty"` // when the full read under way began; 0: there is none
	Places  map[string]*point `json:"places"`          // by account/region
}

// point is how far one place was read.
type point struct {
	At   int64 `json:"at,omitempty"`   // everything that was updated before was handed over; 0: it was never read to its end
	From int64 `json:"from,omitempty"` // a full read was cut off and goes on from this time of update; 0: none was
	Full int64 `json:"full,omitempty"` // when the last whole read began
	// Accounts are those that findings were handed over of: their scopes are what a full read ends.
	Accounts []string `json:"accounts,omitempty"`
}

// readMark reads a watermark. The empty one, and one that is none of ours, is the beginning.
func readMark(w pipeline.Watermark) *mark {
	m := &mark{}
	if json.Unmarshal([]byte(w), m) != nil || m.Version != markVersion || m.Places == nil {
		return &mark{Version: markVersion, Places: map[string]*point{}}
	}
	for key, p := range m.Places {
		if p == nil || !strings.Contains(key, "/") {
			delete(m.Places, key)
		}
	}
	return m
}

func (m *mark) watermark() (pipeline.Watermark, error) {
	text, err := json.Marshal(m)
	return pipeline.Watermark(text), err
}

// at is the point of a place, made where there was none.
func (m *mark) at(key string) *point {
	if m.Places[key] == nil {
		m.Places[key] = &point{}
	}
	return m.Places[key]
}

// knows adds accounts, which stay sorted.
func (p *point) knows(accounts map[string]int) {
	for a := range accounts {
		if i, found := slices.BinarySearch(p.Accounts, a); !found {
			p.Accounts = slices.Insert(p.Accounts, i, a)
		}
	}
}

func millis(t time.Time) int64 { return t.UnixMilli() }
