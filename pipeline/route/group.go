package route

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// GroupNames are what cases can be grouped by, beside tag.NAME (the resource's tags).
func GroupNames() []string {
	return []string{"account", "region", "resource", "resource_type", "control", "remediation", "title", "repository"}
}

func knownGroup(name string) bool {
	tag, ok := strings.CutPrefix(name, tagPrefix)
	return ok && tag != "" || slices.Contains(GroupNames(), name)
}

// Group makes the key of the case that f joins: 64 hex digits, SHA-256 over
// the length-prefixed team, ticket sinks and names with values of by. The order of by and
// of the sinks does not matter. control is compared as the canonical problem (of code and
// vulnerabilities as the scanner's rule and the CVE), remediation as the map's group where it knows one,
// and shown in the source's words; what a finding does not carry is "". values is in the order of by.
func Group(f *pipeline.Finding, by []string, team string, ticketSinks []string) (key string, values []pipeline.GroupValue) {
	type part struct{ name, compared string }
	parts := make([]part, 0, 8)
	values = make([]pipeline.GroupValue, 0, len(by))
	for _, name := range by {
		compared, shown := groupValue(f, name)
		parts = append(parts, part{name, compared})
		values = append(values, pipeline.GroupValue{Name: name, Value: shown})
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.name, b.name) })
	var sinkRoom [8]string
	sinks := append(sinkRoom[:0], ticketSinks...)
	slices.Sort(sinks)
	sinks = slices.Compact(sinks)

	var room [512]byte
	b := appendText(room[:0], team)
	b = binary.AppendUvarint(b, uint64(len(sinks)))
	for _, s := range sinks {
		b = appendText(b, s)
	}
	for _, p := range parts {
		b = appendText(appendText(b, p.name), p.compared)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), values
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// groupValue is what is compared and what people see.
func groupValue(f *pipeline.Finding, name string) (compared, shown string) {
	switch name {
	case "control":
		compared, shown = f.Problem, f.Control
		// A problem in code or in a package is as narrow as one place or one package:
		// what groups them is the scanner's rule, or the CVE.
		if compared == "" || shown != "" && (f.Kind == pipeline.KindCode || f.Kind == pipeline.KindVulnerability) {
			compared = shown
		}
		if shown == "" {
			shown = f.Problem
		}
		return compared, shown
	case "remediation":
		if f.RemediationGroup != "" {
			return f.RemediationGroup, f.RemediationGroup
		}
		if f.Remediation.URL != "" {
			return f.Remediation.URL, f.Remediation.URL
		}
		return f.Remediation.Text, firstLine(f.Remediation.Text)
	}
	compared, _ = value(f, name)
	return compared, compared
}

// shownRunes is how much of a remediation's text names a group.
const shownRunes = 120

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	n := 0
	for i := range s {
		if n == shownRunes {
			return s[:i] + "…"
		}
		n++
	}
	return strings.TrimSpace(s)
}
