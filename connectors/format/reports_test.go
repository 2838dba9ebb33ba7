package format_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

const grypeHead = `"source": {"type": "image", "target": {"userInput": "shop/api:1"}}, "descriptor": {"timestamp": "2026-02-03T04:05:06Z"}`

func grypeMatch(id string) string {
	return `{"vulnerability": {"id": "` + id + `", "severity": "High"}, "artifact": {"name": "zlib", "version": "1"}}`
}

// What names the target may stand behind what was found, and a finding that cannot be read costs the scan its
// completeness, not the others.
func TestReports(t *testing.T) {
	many := strings.Repeat(grypeMatch("CVE-2020-1")+",", 80_000) + grypeMatch("CVE-2020-2")
	for _, c := range []struct {
		name, text        string
		records, rejected int
		complete          bool
		note              string
	}{
		{"target behind the findings", `{"matches": [` + grypeMatch("CVE-2020-1") + `], ` + grypeHead + `}`, 1, 0, true, ""},
		{"target before them", `{` + grypeHead + `, "matches": [` + grypeMatch("CVE-2020-1") + `]}`, 1, 0, true, ""},
		{"nothing found", `{"matches": [], ` + grypeHead + `}`, 0, 0, true, "holds no findings"},
		{"larger than what is kept in memory", `{"matches": [` + many + `], ` + grypeHead + `}`, 80_001, 0, true, ""},
		{"cut off", `{` + grypeHead + `, "matches": [` + grypeMatch("CVE-2020-1") + `, {"vulner`, 0, 1, false, ""},
		{"a name twice in a finding", `{` + grypeHead + `, "matches": [{"a": 1, "a": 2}, ` + grypeMatch("CVE-2020-1") + `]}`, 1, 1, false, ""},
		{"a semgrep result of another shape", `{"errors": [], "paths": {}, "results": [{"check_id": 7}, {"check_id": "a.b", "path": "x", "extra": {"severity": "ERROR"}}]}`, 1, 1, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var rejects []pipeline.Reject
			n := 0
			doc, err := format.Split(strings.NewReader(c.text), format.Options{Origin: "r.json", Reject: func(r pipeline.Reject) error {
				rejects = append(rejects, r)
				return nil
			}}, func(pipeline.Record) error { n++; return nil })
			if err != nil || n != c.records || doc.Records != c.records || len(rejects) != c.rejected || doc.Rejected != c.rejected {
				t.Fatalf("Split = %d records (%d counted), rejects %v, %v; want %d and %d", n, doc.Records, rejects, err, c.records, c.rejected)
			}
			if complete := len(doc.Scans) == 1 && doc.Scans[0].Complete && doc.Scans[0].Count == c.records; complete != c.complete {
				t.Errorf("scans = %+v; want a complete one: %v", doc.Scans, c.complete)
			}
			if notes := strings.Join(doc.Notes, "\n"); !strings.Contains(notes, c.note) {
				t.Errorf("notes = %q; want %q", notes, c.note)
			}
		})
	}
}

func TestReportCutOffInGzip(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(`{"matches": [` + strings.Repeat(grypeMatch("CVE-2020-1")+",", 1000) + grypeMatch("CVE-2020-2") + `], ` + grypeHead + `}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var rejects []pipeline.Reject
	doc, err := format.Split(bytes.NewReader(b.Bytes()[:b.Len()-20]), format.Options{Origin: "r.json.gz", Format: "grype", Reject: func(r pipeline.Reject) error {
		rejects = append(rejects, r)
		return nil
	}}, func(pipeline.Record) error { return nil })
	if err != nil || doc.Records != 0 || doc.Rejected != 1 || len(rejects) != 1 || !strings.Contains(rejects[0].Reason, "damaged or cut off") {
		t.Errorf("Split(cut off) = %+v, rejects %v, %v; want one reject that says so", doc, rejects, err)
	}
}

func TestTables(t *testing.T) {
	const head = "CHECK_ID;STATUS;RESOURCE_UID;SEVERITY;ACCOUNT_UID;TIMESTAMP;PROVIDER\n"
	const row = "a_check;FAIL;arn:aws:s3:::a;low;111122223333;2026-02-03 04:05:06;aws\n"
	for _, c := range []struct {
		name, text        string
		records, rejected int
	}{
		{"rows", head + row + row, 2, 0},
		{"only columns", head, 0, 0},
		{"no line end at the end", head + strings.TrimSpace(row), 1, 0},
		{"lines of another system", strings.ReplaceAll(head+row, "\n", "\r\n"), 1, 0},
		{"a byte order mark", "\xef\xbb\xbf" + head + row, 1, 0},
		{"a row with a cell too few", head + "a_check;FAIL\n" + row, 1, 1},
		{"a quote that is not closed", head + row + `"` + strings.Repeat("x", 1<<17), 1, 1},
		{"text that is not UTF-8", head + strings.Replace(row, "a_check", "a\xffcheck", 1), 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, err := format.Split(strings.NewReader(c.text), format.Options{Origin: "p.csv", MaxRecord: 1 << 16}, func(r pipeline.Record) error {
				_, err := format.Decode(r)
				return err
			})
			if err != nil || doc.Records != c.records || doc.Rejected != c.rejected {
				t.Errorf("Split(%s) = %d records, %d rejects, %v; want %d and %d", c.name, doc.Records, doc.Rejected, err, c.records, c.rejected)
			}
		})
	}
}

// Neither a record nor a reject holds the secret that gitleaks found.
func TestLeaksAreRedacted(t *testing.T) {
	const secret = "nobody-knows-this-kind-of-word"
	for name, text := range map[string]string{
		"whole":   `[{"RuleID": "x", "File": "a", "Secret": "` + secret + `", "Match": "k=` + secret + `", "Line": "k=` + secret + `"}]`,
		"no file": `[{"RuleID": "x", "Secret": "` + secret + `", "Match": "k=` + secret + `"}]`,
		"damaged": `[{"RuleID": "x", "File": "a", "Secret": "` + secret + `", "Match": 7, "Match": 8}]`,
	} {
		t.Run(name, func(t *testing.T) {
			var out []string
			_, err := format.Split(strings.NewReader(text), format.Options{Origin: "l.json", Reject: func(r pipeline.Reject) error {
				out = append(out, string(r.Data), r.Reason)
				return nil
			}}, func(r pipeline.Record) error {
				out = append(out, string(r.Data))
				if _, err := format.Decode(r); err != nil {
					out = append(out, err.Error())
				}
				return nil
			})
			if err != nil || len(out) == 0 || strings.Contains(strings.Join(out, " "), secret) {
				t.Errorf("Split(%s) = %q, %v; want something, without the secret", name, out, err)
			}
		})
	}
}

// `snyk code test --json` writes SARIF: it is read as that, whether the format is left open or said to be Snyk's.
func TestSnykCode(t *testing.T) {
	text := readFile(t, "testdata/snyk-code.json")
	for _, name := range []string{"", "auto", "snyk", "sarif"} {
		var got []string
		doc, err := format.Split(strings.NewReader(text), format.Options{Format: name}, func(rec pipeline.Record) error {
			r, err := format.Decode(rec)
			got = append(got, rec.Format+" "+r.Product+" "+r.Control)
			return err
		})
		if err != nil || len(got) != 1 || doc.Rejected != 0 || got[0] != "sarif SnykCode python/Sqli" {
			t.Errorf("Split(format %q) = %q, %d rejects, %v; want one SARIF result of SnykCode", name, got, doc.Rejected, err)
		}
	}
}
