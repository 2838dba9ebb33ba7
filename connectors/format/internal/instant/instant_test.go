package instant_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
)

func TestTime(t *testing.T) {
	want := time.Date(2026, 3, 1, 4, 5, 6, 0, time.UTC)
	tests := []struct {
		text string
		want time.Time
	}{
		{`"2026-03-01T04:05:06Z"`, want},
		{`"2026-03-01T05:05:06+01:00"`, want},
		{`"2026-03-01T04:05:06"`, want},
		{`"2026-03-01 04:05:06"`, want},
		{`"2026-03-01T04:05:06.250000"`, want.Add(250 * time.Millisecond)},
		{`"2026-03-01"`, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		{`1772337906`, want},
		{`1772337906000`, want},
		{`"1772337906"`, want},
		{`0`, time.Time{}},
		{`-5`, time.Time{}},
		{`1e300`, time.Time{}},
		{`""`, time.Time{}},
		{`"soon"`, time.Time{}},
		{`null`, time.Time{}},
		{`{"a":[1]}`, time.Time{}},
		{`true`, time.Time{}},
	}
	for _, tt := range tests {
		var got instant.Time
		if err := json.Unmarshal([]byte(tt.text), &got); err != nil || !got.Equal(tt.want) {
			t.Errorf("Time(%s) = %v, %v; want %v", tt.text, got.Time, err, tt.want)
		}
	}
}
