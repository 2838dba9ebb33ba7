package app

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// TestByWords: an AWS label is matched by its MD5, and under FIPS 140 alone, where that panics, the id in the text is.
func TestByWords(t *testing.T) {
	const id = "arn:aws:securityhub:eu-west-1:111122223333:finding/1"
	for _, c := range []struct {
		name   string
		record pipeline.Listed
		want   bool
	}{
		// printf %s ID | md5sum
		{"its label", pipeline.Listed{Title: "a", Labels: []string{"aws-sec-ec353ae05e8d90d1254eab18cc2bf73e"}, Open: true}, !fips140.Enforced()},
		{"its id", pipeline.Listed{Title: "about " + id, Open: true}, true},
		{"nothing of it", pipeline.Listed{Title: "about something else", Open: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.record.Ref.ID = "A-1"
			m := adopting{sink: "s", wanted: []wantedTicket{{sink: "s", groupKey: "g", gen: 1, title: "T", reports: []string{id}}}}
			m.byWords([]pipeline.Listed{c.record})
			if got := len(m.take) == 1; got != c.want {
				t.Errorf("byWords() takes %+v; want one: %v", m.take, c.want)
			}
		})
	}
	if fips140.Enforced() {
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestByWords$") //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("TestByWords under GODEBUG=fips140=only = %v; want no error\n%s", err, out)
	}
}
