package format_test

import (
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
)

// Places of one query that are the same to KICS are one finding: each record says what is wrong at all of
// them, so that reading the report again changes nothing.
func TestPlacesThatKICSTakesForOne(t *testing.T) {
	place := func(similarity, expected string) string {
		return `{"file_name": "rbac.yaml", "similarity_id": "` + similarity + `", "expected_value": "` + expected + `", "actual_value": "x"}`
	}
	_, rejects, records := scansOf(t, `{"files_scanned": 1, "queries_total": 1, "queries": [{"query_id": "q", "query_name": "n", "severity": "LOW", "files": [`+
		place("a", "no star in verbs")+","+place("b", "no star in rules")+","+place("a", "no star in groups")+","+place("a", "no star in verbs")+`]}]}`)
	if len(records) != 4 || len(rejects) != 0 {
		t.Fatalf("Split = %d records, rejects %q; want 4 and none", len(records), rejects)
	}
	both := "Expected: no star in verbs\nFound: x\nExpected: no star in groups\nFound: x"
	for i, want := range []string{both, "Expected: no star in rules\nFound: x", both, both} {
		rep, err := format.Decode(records[i])
		if err != nil || rep.Remediation.Text != want {
			t.Errorf("Decode(place %d) = %q, %v; want %q", i, rep.Remediation.Text, err, want)
		}
	}
	// Of texts that are too long together the first is said everywhere, and a place without one says what the others do.
	for name, texts := range map[string][2]string{
		"too long together": {strings.Repeat("v", 3<<10), strings.Repeat("w", 3<<10)}, "too long alone": {strings.Repeat("v", 5<<10), "w"},
		"one says nothing": {"v", ""},
	} {
		_, _, records := scansOf(t, `{"files_scanned": 1, "queries_total": 1, "queries": [{"query_id": "q", "severity": "LOW", "files": [`+
			place("a", texts[0])+","+place("a", texts[1])+`]}]}`)
		var said []string
		for i := range records {
			rep, err := format.Decode(records[i])
			if n := len(records[i].Data); err != nil || n > 10<<10 {
				t.Errorf("%s: record %d has %d bytes, %v; want what is said of the other places bounded", name, i, n, err)
			}
			said = append(said, rep.Remediation.Text)
		}
		if len(said) != 2 || said[0] != said[1] || said[0] == "" {
			t.Errorf("%s: the places say %.40q; want the same", name, said)
		}
	}
}

// An id is shown and stored as it is, so the line that Semgrep found is not part of it.
func TestSemgrepIDHoldsNoCode(t *testing.T) {
	found := func(line string) string {
		return `{"errors": [], "paths": {}, "results": [{"check_id": "a.secret", "path": "x.py", "extra": {"severity": "ERROR", "lines": "` + line + `"}}]}`
	}
	ids := map[string]bool{}
	for _, line := range []string{"password = 'correct-horse-battery'", "password = 'staple'", ""} {
		_, _, records := scansOf(t, found(line))
		rep, err := format.Decode(records[0])
		if err != nil || strings.Contains(rep.ID, "password") {
			t.Errorf("Decode(line %q) = id %q, %v; want one without the line", line, rep.ID, err)
		}
		ids[rep.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("ids = %v; want one for each line", ids)
	}
}
