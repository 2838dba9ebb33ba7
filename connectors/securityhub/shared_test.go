package securityhub_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

// TestRecordedAnswers has the source read each recorded answer of GetFindings.
func TestRecordedAnswers(t *testing.T) {
	folder := filepath.Join(formattest.Shared(t), "data", "aws-api")
	names, err := filepath.Glob(filepath.Join(folder, "*.securityhub.*.json"))
	if err != nil {
		t.Fatal(err)
	}
	type findings struct {
		n, resolved int
		severity    pipeline.Severity // of the last one
	}
	wants := map[string]findings{
		"test_ecr_image_modify_policy.securityhub.GetFindings_1.json": {20, 20, pipeline.Low},
		"test_ecr_image_modify_policy.securityhub.GetFindings_2.json": {},
		"test_larger_batch.securityhub.GetFindings_1.json":            {2, 0, pipeline.Informational},
		"test_security_hub_account.securityhub.GetFindings_1.json":    {1, 0, pipeline.Low},
	}
	if len(names) != len(wants) {
		t.Errorf("%d recorded answers; want %d", len(names), len(wants))
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var answer struct {
				Data struct{ Findings jsontext.Value } `json:"data"`
			}
			if err := json.Unmarshal(text, &answer); err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, awsx.Settings{})
			w.aws.Fault(awstest.Match{Operation: "GetFindings"}, awstest.Fault{
				Body: `{"Findings":` + string(answer.Data.Findings) + `}`, Header: map[string][]string{"Content-Type": {"application/json"}},
			})
			k, res := read(t, w.source(homeConfig(), 0), full())
			var got findings
			for _, rec := range k.records {
				r, err := format.Decode(rec)
				if err != nil || rec.Scope == "" || r.ObservedAt.IsZero() || r.Account.ID == "" || r.Resource.ID == "" && r.Resource.Original == "" {
					t.Errorf("Decode(%s) = %+v, %v; want a report with scope, time, account and resource", rec.Data, r, err)
				}
				if r.Status == pipeline.StatusResolved {
					got.resolved++
				}
				got.n++
				got.severity = r.Severity
			}
			if got != wants[filepath.Base(name)] || res.Records != got.n || res.Rejected != 0 {
				t.Errorf("read = %+v with %d records, %d rejected; want %+v", got, res.Records, res.Rejected, wants[filepath.Base(name)])
			}
		})
	}
}
