package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Tickets counts the ticket files of a daemon.
type Tickets struct {
	Open, Closed int
	// Doubled are open tickets whose case, or one of whose findings, stands in
	// another open ticket too.
	Doubled int
}

// printed finds the fingerprint at the end of a line of a ticket's table of findings.
var printed = regexp.MustCompile("(?m)^\\| .* \\| `([0-9a-f]{12})` \\|$")

// Tickets reads every ticket on disk.
func (d *Daemon) Tickets() (Tickets, error) {
	var t Tickets
	files, err := filepath.Glob(filepath.Join(d.tickets, "*.md"))
	if err != nil {
		return t, err
	}
	seen := map[string]bool{}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return t, fmt.Errorf("count tickets: %w", err)
		}
		ids, open, err := identities(string(text))
		if err != nil {
			return t, fmt.Errorf("count tickets: %s: %w", path, err)
		}
		if !open {
			t.Closed++
			continue
		}
		t.Open++
		doubled := false
		for _, id := range ids {
			doubled = doubled || seen[id]
			seen[id] = true
		}
		if doubled {
			t.Doubled++
		}
	}
	return t, nil
}

// identities are the case of a ticket and the fingerprints it lists.
func identities(text string) (ids []string, open bool, err error) {
	front, body, ok := strings.Cut(strings.TrimPrefix(text, "---\n"), "\n---\n")
	if !ok {
		return nil, false, fmt.Errorf("no front matter in %.80q", text)
	}
	for line := range strings.Lines(front) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "case":
			ids = append(ids, value)
		case "state":
			open = value == "open"
		}
	}
	if len(ids) != 1 {
		return nil, false, fmt.Errorf("%d cases in the front matter of %.80q", len(ids), text)
	}
	for _, m := range printed.FindAllStringSubmatch(body, -1) {
		if !strings.Contains(m[0], "| resolved |") {
			ids = append(ids, m[1])
		}
	}
	return ids, open, nil
}
