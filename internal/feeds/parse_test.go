package feeds

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline/risk"
)

// kevText is a catalogue in CISA's form.
func kevText(released string, cves ...string) string {
	var rows []string
	for _, c := range cves {
		rows = append(rows, fmt.Sprintf(`{"cveID": %q, "vendorProject": "Acme", "product": "Server", "vulnerabilityName": "Acme Server",
			"dateAdded": "2024-03-29", "shortDescription": "x", "requiredAction": "Apply updates", "dueDate": "2024-04-19",
			"knownRansomwareCampaignUse": "Unknown", "notes": "", "cwes": ["CWE-78"]}`, c))
	}
	return fmt.Sprintf(`{"title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2026.11.20",
		"dateReleased": %q, "count": %d, "vulnerabilities": [%s]}`, released, len(cves), strings.Join(rows, ","))
}

const kevDate = "2026-11-20T15:00:33.6829Z"

func epssText(date string, rows ...string) string {
	return "#model_version:v2025.03.14,score_date:" + date + "\ncve,epss,percentile\n" + strings.Join(rows, "\n") + "\n"
}

const epssDate = "2026-11-20T00:00:00+0000"

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func cve(t testing.TB, text string) risk.CVE {
	t.Helper()
	c, ok := risk.ParseCVE(text)
	if !ok {
		t.Fatalf("ParseCVE(%q) = false; want true", text)
	}
	return c
}

func TestParseKEV(t *testing.T) {
	good := kevText(kevDate, "CVE-2024-3094", "CVE-2021-44228")
	known := strings.Replace(good, `"Unknown"`, `"Known"`, 1)
	many := make([]string, 2000)
	for i := range many {
		many[i] = fmt.Sprintf("CVE-2020-%05d", i)
	}
	half := kevText(kevDate, append(many, "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12")...)
	tests := []struct {
		name, in string
		entries  int
		refused  int
		err      string // a part of it; "" for none
	}{
		{"as CISA writes it", good, 2, 0, ""},
		{"packed", string(packed(t, good)), 2, 0, ""},
		{"with ransomware", known, 2, 0, ""},
		{"an entry that names no CVE", kevText(kevDate, "CVE-2024-3094", "CVE-24-1"), 1, 1, ""},
		{"an entry with a date that is none", strings.Replace(good, "2024-03-29", "29.3.2024", 1), 1, 1, ""},
		{"an entry that is no object", strings.Replace(good, `"vulnerabilities": [`, `"vulnerabilities": [7,`, 1), 0, 0, "says that it has 2 entries and holds 3"},
		{"a few among thousands", half, 2000, 12, ""},
		{"more than it says", strings.Replace(good, `"count": 2`, `"count": 3`, 1), 0, 0, "3 entries and holds 2"},
		{"no count", strings.Replace(good, `"count": 2,`, ``, 1), 2, 0, ""},
		{"empty", "", 0, 0, "it is empty"},
		{"no entries", kevText(kevDate), 0, 0, "holds no entry"},
		{"entries that cannot be read", kevText(kevDate, "x", "y"), 0, 2, "2 of its 2 rows"},
		{"no date", kevText("", "CVE-2024-3094"), 0, 0, "nobody could tell how old"},
		{"a web page", "<!DOCTYPE html><html>sign in</html>", 0, 0, "web page"},
		{"cut off", good[:len(good)-40], 0, 0, "not CISA's catalogue"},
		{"cut off in the packing", string(packed(t, good)[:60]), 0, 0, "unexpected EOF"},
		{"another document", `{"dataType": "CVE_RECORD"}`, 0, 0, "dateReleased"},
		{"a list", `[]`, 0, 0, "not CISA's catalogue"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, refused, err := ParseKEV(strings.NewReader(tt.in))
			if refused.Count != tt.refused {
				t.Errorf("refused rows = %d %v; want %d", refused.Count, refused.Named, tt.refused)
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("ParseKEV() = %v; want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil || got.Len() != tt.entries {
				t.Fatalf("ParseKEV() = %v entries, %v; want %d", got, err, tt.entries)
			}
			if want := time.Date(2026, 11, 20, 15, 0, 33, 682_900_000, time.UTC); !got.Released.Equal(want) || got.Version != "2026.11.20" {
				t.Errorf("ParseKEV() = version %s of %s; want 2026.11.20 of %s", got.Version, got.Released, want)
			}
		})
	}
	kev, _, err := ParseKEV(strings.NewReader(known))
	if err != nil {
		t.Fatal(err)
	}
	e, ok := kev.Find(cve(t, "CVE-2024-3094"))
	if want := time.Date(2024, 3, 29, 0, 0, 0, 0, time.UTC); !ok || !e.Ransomware || !e.Added.Equal(want) {
		t.Errorf("Find(CVE-2024-3094) = %+v, %v; want ransomware, added %s", e, ok, want)
	}
}

func TestParseEPSS(t *testing.T) {
	good := epssText(epssDate, "CVE-1999-0001,0.01141,0.77786", "CVE-2024-3094,0.93,0.99812", "CVE-2024-100001,0.000430000,0.07")
	tests := []struct {
		name, in string
		scores   int
		refused  int
		err      string
	}{
		{"as FIRST writes it", good, 3, 0, ""},
		{"packed", string(packed(t, good)), 3, 0, ""},
		{"lines of Windows", strings.ReplaceAll(good, "\n", "\r\n"), 3, 0, ""},
		{"with a byte order mark", "\xef\xbb\xbf" + good, 3, 0, ""},
		{"the date as RFC 3339", strings.Replace(good, "+0000", "Z", 1), 3, 0, ""},
		{"other columns", "#score_date:2026-11-20\nepss,date,cve\n0.5,x,CVE-2024-3094\n", 1, 0, ""},
		{"without an end of line", strings.TrimSuffix(good, "\n"), 3, 0, ""},
		{"a row that names no CVE", good + "GHSA-1,0.5,0.5\n", 3, 1, ""},
		{"a row cut short", good + "CVE-2024-3095,0.9", 3, 1, ""},
		{"a score that is none", good + "CVE-2024-3095,high,0.5\n", 3, 1, ""},
		{"a score above 1", good + "CVE-2024-3095,1.01,0.5\n", 3, 1, ""},
		{"a score that is NaN", good + "CVE-2024-3095,NaN,0.5\n", 3, 1, ""},
		{"a CVE twice", good + "CVE-2024-3094,0.5,0.5\n", 3, 0, ""},
		{"mostly rows that cannot be read", good + strings.Repeat("x,y,z\n", 11), 3, 11, "11 of its 14 rows"},
		{"empty", "", 0, 0, "empty"},
		{"no rows", epssText(epssDate), 0, 0, "holds no entry"},
		{"no date", "cve,epss,percentile\nCVE-2024-3094,0.93,0.99\n", 0, 0, "score_date"},
		{"a date that is none", epssText("soon", "CVE-2024-3094,0.93,0.99"), 0, 0, `"soon" is no date`},
		{"a web page", "<!DOCTYPE html>\n<html>sign in</html>\n", 0, 0, "web page"},
		{"other columns alone", "#score_date:2026-11-20\na,b\n1,2\n", 0, 0, "names no columns"},
		{"cut off in the packing", string(packed(t, good)[:50]), 0, 0, "unexpected EOF"},
		{"one endless line", strings.Repeat("x", maxLine+1), 0, 0, "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, refused, err := ParseEPSS(strings.NewReader(tt.in))
			if refused.Count != tt.refused {
				t.Errorf("refused rows = %d %v; want %d", refused.Count, refused.Named, tt.refused)
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("ParseEPSS() = %v; want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil || got.Len() != tt.scores {
				t.Fatalf("ParseEPSS() = %v scores, %v; want %d", got, err, tt.scores)
			}
			if want := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC); !got.Date.Equal(want) {
				t.Errorf("date = %s; want %s", got.Date, want)
			}
			if score, ok := got.Find(cve(t, "CVE-2024-3094")); !ok || score < 0.5 {
				t.Errorf("Find(CVE-2024-3094) = %v, %v; want its score", score, ok)
			}
		})
	}
}

// TestNamesRows looks at how a refused row is named.
func TestNamesRows(t *testing.T) {
	_, refused, err := ParseEPSS(strings.NewReader(epssText(epssDate, "CVE-2024-3094,0.93,0.9", "nonsense", "CVE-2024-1,0.1,0.1")))
	want := `line 4: "nonsense" is no CVE; line 5: "CVE-2024-1" is no CVE`
	if got := strings.Join(refused.Named, "; "); err != nil || got != want {
		t.Errorf("refused = %s, %v; want %s", got, err, want)
	}
	_, refused, err = ParseKEV(strings.NewReader(kevText(kevDate, "CVE-2024-3094", "nonsense")))
	want = `vulnerabilities[1]: cveID "nonsense" is no CVE`
	if got := strings.Join(refused.Named, "; "); err != nil || got != want {
		t.Errorf("refused = %s, %v; want %s", got, err, want)
	}
}

func FuzzParseKEV(f *testing.F) {
	f.Add([]byte(kevText(kevDate, "CVE-2024-3094", "x")))
	f.Add(packed(f, kevText(kevDate, "CVE-2024-3094")))
	f.Add([]byte(`{"dateReleased": "2026-11-20", "vulnerabilities": [null, {}, {"cveID": "CVE-2024-3094"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, refused, err := ParseKEV(bytes.NewReader(data))
		checkParsed(t, err, refused, func() (int, time.Time) { return got.Len(), got.Released })
	})
}

func FuzzParseEPSS(f *testing.F) {
	f.Add([]byte(epssText(epssDate, "CVE-2024-3094,0.93,0.99", "x")))
	f.Add(packed(f, epssText(epssDate, "CVE-2024-3094,0.93,0.99")))
	f.Add([]byte("#score_date:2026-11-20\nepss,cve\n1e-9,cve-2024-3094\n-0,CVE-2024-3095\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, refused, err := ParseEPSS(bytes.NewReader(data))
		checkParsed(t, err, refused, func() (int, time.Time) { return got.Len(), got.Date })
	})
}

// checkParsed holds what every accepted copy has: an entry, a date, and few refused rows.
func checkParsed(t *testing.T, err error, refused Refused, of func() (int, time.Time)) {
	t.Helper()
	if err != nil {
		return
	}
	n, date := of()
	if n == 0 || date.IsZero() || date.Location() != time.UTC {
		t.Errorf("accepted a copy of %d entries of %s; want an entry and a date", n, date)
	}
	if refused.Count > 0 && len(refused.Named) == 0 {
		t.Errorf("%d rows are refused and none is named", refused.Count)
	}
}

// BenchmarkParseEPSS reads as many scores as the feed has.
func BenchmarkParseEPSS(b *testing.B) {
	var text strings.Builder
	text.WriteString(epssText(epssDate))
	for i := range 300_000 {
		fmt.Fprintf(&text, "CVE-%d-%04d,0.%05d,0.5\n", 1999+i/12_000, i%12_000, i%100_000)
	}
	body := packed(b, text.String())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseEPSS(bytes.NewReader(body)); err != nil {
			b.Fatal(err)
		}
	}
}
