package format_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

const (
	asffA  = `{"SchemaVersion":"2018-10-08","Id":"a","ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/securityhub","AwsAccountId":"111122223333"}`
	asffB  = `{"SchemaVersion":"2018-10-08","Id":"b","ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/securityhub","AwsAccountId":"111122223333"}`
	ocsfA  = `{"class_uid":2003,"metadata":{"product":{"name":"Security Hub"}},"finding_info":{"uid":"u"},"severity_id":3}`
	dockA  = `{"product":"P","id":"1","account":{"id":"1"},"resource":{"id":"r"},"title":"t","severity":"LOW"}`
	health = `{"version":"0","id":"e1","detail-type":"AWS Health Event","source":"aws.health","detail":{"service":"EC2"}}`
	hubEv  = `{"version":"0","id":"e2","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub","detail":{"findings":[` + asffA + `,` + asffB + `]}}`
)

// outcome is what a split gave, short enough for a table.
type outcome struct {
	Format  string
	Records []string // format and data
	Rejects []string // index:line:id reason
	Notes   int
	Err     string
}

func split(text string, opt format.Options) outcome {
	var o outcome
	opt.Reject = func(r pipeline.Reject) error {
		o.Rejects = append(o.Rejects, fmt.Sprintf("%d:%d:%s %s", r.Index, r.Line, r.ID, r.Reason))
		return nil
	}
	doc, err := format.Split(strings.NewReader(text), opt, func(r pipeline.Record) error {
		o.Records = append(o.Records, r.Format+" "+string(r.Data))
		return nil
	})
	o.Format, o.Notes = doc.Format, len(doc.Notes)
	if err != nil {
		o.Err = err.Error()
	}
	if doc.Records != len(o.Records) || doc.Rejected != len(o.Rejects) {
		o.Err += fmt.Sprintf(" (counted %d records, %d rejects)", doc.Records, doc.Rejected)
	}
	return o
}

func TestSplitWrappings(t *testing.T) {
	two := []string{"asff " + asffA, "asff " + asffB}
	tests := []struct {
		name, text string
		want       outcome
	}{
		{"bare object", asffA, outcome{Format: "asff", Records: two[:1]}},
		{"array", "[" + asffA + "," + asffB + "]", outcome{Format: "asff", Records: two}},
		{"findings", `{"findings":[` + asffA + `,` + asffB + `]}`, outcome{Format: "asff", Records: two}},
		{"Findings with NextToken behind", `{"Findings": [` + asffA + `, ` + asffB + `], "NextToken": "x"}`, outcome{Format: "asff", Records: two}},
		{"Findings with NextToken before", "{\n\"NextToken\": \"]}\\\"\",\n\"Findings\": [" + asffA + "," + asffB + "]}\n", outcome{Format: "asff", Records: two}},
		{"pages one after the other", `{"Findings":[` + asffA + `],"NextToken":"x"}` + "\n" + `{"Findings":[` + asffB + `]}`, outcome{Format: "asff", Records: two}},
		{"array of pages", `[{"Findings":[` + asffA + `]},{"Findings":[` + asffB + `]}]`, outcome{Format: "asff", Records: two}},
		{"EventBridge event", hubEv, outcome{Format: "asff", Records: two}},
		{"array of events", "[" + hubEv + "," + health + "]", outcome{Format: "asff", Records: two, Notes: 1}},
		{"lines of events", health + "\n" + hubEv + "\n", outcome{Format: "asff", Records: two, Notes: 1}},
		{"lines", asffA + "\n" + asffB + "\n", outcome{Format: "asff", Records: two}},
		{"lines with CRLF and blanks", asffA + "\r\n\r\n" + asffB, outcome{Format: "asff", Records: two}},
		{"objects without separator", asffA + asffB, outcome{Format: "asff", Records: two}},
		{"byte order mark", "\xef\xbb\xbf" + asffA, outcome{Format: "asff", Records: two[:1]}},
		{"mixed lines", asffA + "\n" + ocsfA + "\n" + dockA, outcome{Format: "mixed", Records: []string{"asff " + asffA, "ocsf " + ocsfA, "docket " + dockA}}},
		{"empty array", "[]", outcome{Notes: 1}},
		{"empty file", "", outcome{Notes: 1}},
		{"empty page", `{"Findings":[]}`, outcome{Notes: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, split(tt.text, format.Options{Origin: "f"})); d != "" {
				t.Errorf("Split(%s) differs (-want +got):\n%s", tt.name, d)
			}
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			z.Write([]byte(tt.text))
			z.Close()
			if d := cmp.Diff(tt.want, split(packed.String(), format.Options{Origin: "f"})); d != "" {
				t.Errorf("Split(gzip of %s) differs (-want +got):\n%s", tt.name, d)
			}
		})
	}
}

func TestSplitRejects(t *testing.T) {
	a, b := "asff "+asffA, "asff "+asffB
	bad := strings.Replace(asffA, `"Id":"a",`, `"Id":"a","Title":nope,`, 1)
	dup := strings.Replace(asffA, `"Id":"a",`, `"Id":"a","Id":"a",`, 1)
	half := asffA[:60]
	tests := []struct {
		name, text string
		records    []string
		rejects    []string // beginnings
	}{
		{"bad word in an array", "[\n" + asffA + ",\n" + bad + ",\n" + asffB + "]", []string{a, b}, []string{"1:3:a invalid character 'o'"}},
		{"repeated key", "[" + dup + "," + asffB + "]", []string{b}, []string{"0:1:a duplicate object member name \"Id\""}},
		{"bad UTF-8", asffA + "\n" + strings.Replace(asffA, `"a"`, "\"\xff\"", 1), []string{a}, []string{"1:2:\xff invalid UTF-8"}},
		{"brackets of two sorts", `[{"Id":"x","ProductArn":["q"},` + asffB + "]", []string{b}, []string{"0:1:x the brackets do not match"}},
		{"open quote in a line", "{\"Id\":\"x,\"ProductArn\":1}\n" + asffB, []string{b}, []string{"0:1:x, "}},
		{"open quote at the end of a line of an array", "[\n{\"ProductArn\": \"x,\n\"Id\": \"y\"},\n" + asffB + "]", []string{b}, []string{"0:2:"}},
		{"a line cut off", half + "\n" + asffB + "\n" + asffA, []string{b, a}, []string{"0:1:a "}},
		{"missing quote in one line", "[" + strings.Replace(asffA, `"a"`, `"a`, 1) + "," + asffB + "," + asffA + "]", []string{b, a}, []string{"0:1:a,"}},
		{"missing brace", "[" + asffA[:len(asffA)-1] + ",\n" + asffB + "," + asffA + "]", []string{b, a}, []string{"0:1:a malformed: the record runs into the one behind it"}},
		{"missing quote twice", "[" + strings.Replace(asffA, `"a"`, `"a`, 1) + "," + asffB + "," + strings.Replace(asffA, `"a"`, `"a`, 1) + "," + asffB + "]", []string{b, b}, []string{"0:1:a,", "2:1:a,"}},
		{"missing quote in a page", `{"Findings":[` + strings.Replace(asffA, `"a"`, `a"`, 1) + "," + asffB + "," + asffA + `],"NextToken":"x"}`, []string{b, a}, []string{"0:1: malformed"}},
		{"missing quote and then more than the limit", "[" + strings.Replace(asffA, `"a"`, `"a`, 1) + strings.Repeat(","+asffB, 40) + "]", slices.Repeat([]string{b}, 40), []string{"0:1:a,"}},
		{"a brace too many", "[" + asffB + "," + strings.Replace(asffA, `"ProductArn"`, `"x":1},"ProductArn"`, 1) + "," + asffB + "]", []string{b, b}, []string{"1:1:a no known", "2:1: malformed: the record before"}},
		{"a bracket too many", "[" + asffB + "," + strings.Replace(asffA, `,"ProductArn"`, `],"ProductArn"`, 1) + "," + asffB + "," + asffA + "]", []string{b, b, a}, []string{"1:1:a the brackets", "2:1: malformed"}},
		{"commas between lines", asffA + ",\n" + asffB + ",\n", []string{a, b}, nil},
		{"related findings do not pass for records", "[" + strings.Replace(asffA, `"Id":"a"`, `"RelatedFindings":[{"Id":"x"},{"ProductArn":"p","Id":"y"}],"Id":nope`, 1) + "," + asffB + "]", []string{b}, []string{"0:1: invalid character"}},
		{"a file cut inside a record", `{"Findings":[` + asffA + "," + half, []string{a}, []string{"1:1:a the document ends inside this record"}},
		{"a file cut between records", "[" + asffA + ",", []string{a}, []string{"1:1: the document ends before its closing bracket"}},
		{"a page cut behind its records", `{"Findings":[` + asffA + "]", []string{a}, []string{"1:1: the document ends before its closing brace"}},
		{"scalars between records", "[" + asffA + `,null,"x,]{",17,` + asffB + "]", []string{a, b}, []string{"1:1: no known", "2:1: no known", "3:1: no known"}},
		{"an unknown object first", "[{\"foo\":1}," + asffB + "]", []string{b}, []string{"0:1: no known findings format: an object with the keys foo"}},
		{"text behind the document", "[" + asffA + "]\ntrailing words", []string{a}, []string{"1:2: no known findings format: text"}},
		{"nested too deep", "[" + strings.Replace(asffA, `"Id"`, `"Deep":`+strings.Repeat("[", 300)+strings.Repeat("]", 300)+`,"Id"`, 1) + "," + asffB + "]", []string{b}, []string{"0:1:a nested too deep"}},
		{"too large", "[" + strings.Replace(asffA, `"Id"`, `"Title":"`+strings.Repeat("x", 4000)+`","Id"`, 1) + "," + asffB + "]", []string{b}, []string{"0:1:a larger than the limit of 2000 bytes"}},
		{"damaged event", strings.Replace(hubEv, `"source":`, `"source" `, 1) + "\n" + asffA, []string{a}, []string{"0:1:e2 invalid character"}},
		{"a finding of an event", strings.Replace(hubEv, asffA, `{"x":1}`, 1), []string{b}, []string{"0:1: no known"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := split(tt.text, format.Options{Origin: "f", MaxRecord: 2000})
			if d := cmp.Diff(tt.records, got.Records); d != "" || got.Err != "" {
				t.Errorf("Split(%s) records differ (-want +got), error %q:\n%s", tt.name, got.Err, d)
			}
			ok := len(got.Rejects) == len(tt.rejects)
			for i := 0; ok && i < len(tt.rejects); i++ {
				ok = strings.HasPrefix(got.Rejects[i], tt.rejects[i])
			}
			if !ok {
				t.Errorf("Split(%s) rejects = %q; want %q", tt.name, got.Rejects, tt.rejects)
			}
		})
	}
}

func TestSplitUnknownDocuments(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a scanner nobody knows", `{"ScanVersion":2,"Artefact":"alpine","Results":[]}`, "keys ScanVersion, Artefact, Results"},
		{"csv", "NAME;WHEN\nprofile;2025\n", `"NAME;WHEN"`},
		{"other findings", `{"findings":[{"findingArn":"arn:x","severity":"HIGH"}]}`, "keys findingArn, severity"},
		{"old SARIF", `{"version":"2.0.0","runs":[{"tool":{"name":"x"}}]}`, `SARIF version "2.0.0"`},
		{"UTF-16", "\xff\xfe{\x00}\x00", "UTF-16"},
		{"UTF-16 without mark", "{\x00}\x00", "UTF-16"},
		{"a number", "42", `"42"`},
		{"many lines of text", strings.Repeat("some text\n", 1000), "some text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := split(tt.text, format.Options{Origin: "in/file.json"})
			if !strings.Contains(got.Err, tt.want) || !strings.Contains(got.Err, "in/file.json") || len(got.Records) != 0 || strings.Count(got.Err, "known here") > 1 {
				t.Errorf("Split(%s) = %+v; want an error that names the file and %s", tt.name, got, tt.want)
			}
		})
	}
	for _, text := range []string{"{}", "\xff\xfe{\x00}\x00"} {
		if _, err := format.Split(strings.NewReader(text), format.Options{}, nil); !errors.Is(err, format.ErrUnknown) {
			t.Errorf("Split(%q) = %v; want ErrUnknown, for which a sender is told that the document is at fault", text, err)
		}
	}
	if _, err := format.Split(strings.NewReader("{}"), format.Options{Format: "csv"}, nil); err == nil {
		t.Error("Split(format csv) = nil; want an error")
	}
}

func TestSplitForcedFormat(t *testing.T) {
	got := split(`{"id":"1"}`, format.Options{Format: format.Docket})
	if want := []string{`docket {"id":"1"}`}; !cmp.Equal(got.Records, want) {
		t.Errorf("Split(format docket) = %+v; want records %q", got, want)
	}
}

func TestSplitDamagedGzip(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for i := range 2000 {
		fmt.Fprintf(z, "%s\n", strings.Replace(asffA, `"a"`, fmt.Sprintf(`"a%d"`, i*7919), 1))
	}
	z.Close()
	got := split(packed.String()[:packed.Len()/2], format.Options{})
	if len(got.Records) < 100 || len(got.Rejects) != 1 || !strings.Contains(got.Rejects[0], "damaged or cut off") || got.Err != "" {
		t.Errorf("Split(half a gzip) = %d records, rejects %q, error %q; want records and one reject", len(got.Records), got.Rejects, got.Err)
	}
}

func TestSplitEndsWithTheCallersError(t *testing.T) {
	stop := errors.New("no room")
	_, err := format.Split(strings.NewReader(asffA+"\n"+asffB), format.Options{}, func(pipeline.Record) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("Split with a failing receiver = %v; want its error", err)
	}
	_, err = format.Split(strings.NewReader(asffA+"\n{\"ProductArn\":x}"), format.Options{Reject: func(pipeline.Reject) error { return stop }},
		func(pipeline.Record) error { return nil })
	if !errors.Is(err, stop) {
		t.Errorf("Split with a failing Reject = %v; want its error", err)
	}
}

func TestSplitKeepsAtMostRejectBytes(t *testing.T) {
	text := `{"ProductArn":"x","Title":"` + strings.Repeat("y", 3*pipeline.RejectBytes) + `",}`
	kept := 0
	if _, err := format.Split(strings.NewReader(text), format.Options{Reject: func(r pipeline.Reject) error {
		kept = len(r.Data)
		return nil
	}}, func(pipeline.Record) error { return nil }); err != nil || kept != pipeline.RejectBytes {
		t.Errorf("Split(a large malformed record) keeps %d bytes, error %v; want %d", kept, err, pipeline.RejectBytes)
	}
}

func TestSplitRecordsAreOwnedByTheReceiver(t *testing.T) {
	var kept []pipeline.Record
	if _, err := format.Split(strings.NewReader("["+asffA+","+asffB+"]"), format.Options{Origin: "o"}, func(r pipeline.Record) error {
		kept = append(kept, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Record{{Format: "asff", Data: []byte(asffA), Origin: "o"}, {Format: "asff", Data: []byte(asffB), Origin: "o", Index: 1}}
	if d := cmp.Diff(want, kept); d != "" {
		t.Errorf("records after the split differ (-want +got):\n%s", d)
	}
}

func readFile(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSplitEventsWithoutFindings(t *testing.T) {
	for _, text := range []string{
		`{"detail-type":"x","source":"s","detail":"words"}`,
		`{"detail-type":"x","source":"s"}`,
		`{"detail-type":"x","source":"s","detail":{"findings":7}}`,
	} {
		if got := split(text, format.Options{}); got.Notes != 1 || got.Rejects != nil || got.Err != "" {
			t.Errorf("Split(%s) = %+v; want a note", text, got)
		}
	}
}
