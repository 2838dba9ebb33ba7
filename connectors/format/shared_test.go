package format_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
)

// read splits and decodes a whole file.
func read(t *testing.T, path string) (format.Document, []pipeline.Report, []pipeline.Reject) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var reports []pipeline.Report
	var rejects []pipeline.Reject
	doc, err := format.Split(f, format.Options{Origin: path, Reject: func(r pipeline.Reject) error {
		rejects = append(rejects, r)
		return nil
	}}, func(rec pipeline.Record) error {
		r, err := format.Decode(rec)
		if err != nil {
			t.Errorf("Decode(%s record %d) = %v; want a report", path, rec.Index, err)
			return nil
		}
		reports = append(reports, r)
		return nil
	})
	if err != nil {
		t.Errorf("Split(%s) = %v; want no error", path, err)
	}
	return doc, reports, rejects
}

func TestSharedSamples(t *testing.T) {
	asff := map[string]bool{}
	total := 0
	for _, s := range formattest.Samples(t, "asff", "asff-fsbp", "ocsf", "sarif", "eventbridge") {
		t.Run(s.Name, func(t *testing.T) {
			doc, reports, rejects := read(t, s.Path)
			want := s.Findings
			if len(reports) != want || doc.Records != want || len(rejects) != 0 || doc.Rejected != 0 {
				t.Errorf("read(%s) = %d reports of %d records, rejects %v; want %d, none rejected", s.Name, len(reports), doc.Records, rejects, want)
			}
			if strings.HasPrefix(s.Name, "eventbridge/") && want == 0 && len(doc.Notes) != 1 {
				t.Errorf("read(%s) notes = %q; want one that says what was skipped", s.Name, doc.Notes)
			}
			for _, r := range reports {
				checkReport(t, s.Name, r)
				if strings.HasPrefix(s.Name, "asff") {
					total++
					asff[r.Key()] = true
				}
			}
		})
	}
	if total != 70 || len(asff) != 67 {
		t.Errorf("asff and asff-fsbp hold %d findings with %d identities; want 70 and 67", total, len(asff))
	}
}

// TestSharedArchivedFindings reads the findings of a recorded API answer: all
// are ARCHIVED with the workflow status NEW, so none may count as open.
func TestSharedArchivedFindings(t *testing.T) {
	text := readFile(t, filepath.Join(formattest.Shared(t), "data/aws-api/test_ecr_image_modify_policy.securityhub.GetFindings_1.json"))
	var answer struct {
		Data jsontext.Value `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	n := 0
	_, err := format.Split(bytes.NewReader(answer.Data), format.Options{Origin: "GetFindings"}, func(rec pipeline.Record) error {
		n++
		r, err := format.Decode(rec)
		if r.Status != pipeline.StatusResolved {
			t.Errorf("Decode(record %d) = %v; want resolved", rec.Index, r.Status)
		}
		return err
	})
	if err != nil || n != 20 {
		t.Errorf("Split(recorded answer) = %d records, %v; want 20", n, err)
	}
}

// checkReport asserts what every report of a real file has.
func checkReport(t *testing.T, name string, r pipeline.Report) {
	t.Helper()
	code := r.Kind == pipeline.KindCode
	if r.Product == "" || r.ID == "" || r.Kind == "" || r.Title == "" || r.Control == "" || r.Severity == 0 || r.Status == 0 || len(r.Raw) == 0 ||
		!code && (r.Account.ID == "" || r.Region == "" || r.Resource.ID == "" || r.ObservedAt.IsZero()) || code && r.Code == nil {
		t.Errorf("read(%s) = %+v; want every member filled", name, r)
	}
}
