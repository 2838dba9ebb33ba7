package trustedadvisor_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/connectors/trustedadvisor"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

// recorded is an answer of the Support API as AWS gave it.
type recorded struct {
	Status int             `json:"status_code"`
	Data   json.RawMessage `json:"data"`
}

func record(t *testing.T, path string) recorded {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := recorded{Status: 200}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Data == nil { // the whole list stands in its file without a wrapping
		r.Data = text
	}
	return r
}

// answers makes the stand-in answer with what was recorded.
func (w *world) answers(byOperation map[string]recorded) {
	h := w.advisor.Support()
	for name, r := range byOperation {
		h.Operations[name] = awstest.Operation{Do: func(awstest.Call, *awstest.Request) (any, error) {
			var e struct {
				Error struct{ Code, Message string }
			}
			if r.Status != 200 {
				if err := json.Unmarshal(r.Data, &e); err != nil {
					return nil, err
				}
				return nil, &awstest.Error{Status: r.Status, Code: e.Error.Code, Message: e.Error.Message}
			}
			return r.Data, nil
		}}
	}
	w.server.Handle("support", h)
}

// TestSharedSupportFiles polls the recorded answers of every support file, with the counts that the README of the data gives.
func TestSharedSupportFiles(t *testing.T) {
	dir := filepath.Join(formattest.Shared(t), "data/aws-api")
	files, err := filepath.Glob(filepath.Join(dir, "*support*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob(%s) = %v, %v; want the support files", dir, files, err)
	}
	full := record(t, filepath.Join(dir, "describe_trusted_advisor_checks.full.json"))
	empty := recorded{200, json.RawMessage(`{"result":{"checkId":"x","timestamp":"2026-01-01T00:00:00Z","status":"ok","resourcesSummary":{},"categorySpecificSummary":{},"flaggedResources":[]}}`)}
	// Green checks of the account itself say so by a row of their own: IAM Use, IAM Password Policy, MFA on Root Account.
	ofAccount := slices.Repeat([]pipeline.Status{pipeline.StatusResolved}, 3)
	for _, c := range []struct {
		file, operation, check string
		change                 func(*trustedadvisor.Config)
		scans                  int
		want                   []pipeline.Status
	}{
		{"describe_trusted_advisor_checks.full.json", "DescribeTrustedAdvisorChecks", "", nil, 17, ofAccount},
		{"describe_trusted_advisor_checks.full.json", "DescribeTrustedAdvisorChecks", "", everyPillar, 104, ofAccount},
		{"test_account_service_limit.support.DescribeTrustedAdvisorChecks_1.json", "DescribeTrustedAdvisorChecks", "", everyPillar, 5, nil},
		{"test_account_service_limit.support.DescribeTrustedAdvisorCheckResult_1.json", "DescribeTrustedAdvisorCheckResult", "XG0aXHpIEt", nil, 1,
			[]pipeline.Status{pipeline.StatusResolved, pipeline.StatusResolved}},
		{"test_account_service_limit_exception.support.DescribeTrustedAdvisorCheckResult_1.json", "DescribeTrustedAdvisorCheckResult", "XG0aXHpIEt", nil, 0, nil},
		{"test_account_service_limit_exception.support.RefreshTrustedAdvisorCheck_1.json", "RefreshTrustedAdvisorCheck", "XG0aXHpIEt", nil, 1, nil},
		{"test_account_service_limit_specific_service.support.DescribeTrustedAdvisorCheckResult_1.json", "DescribeTrustedAdvisorCheckResult", "nO7SS0l7J9", nil, 1,
			[]pipeline.Status{pipeline.StatusResolved}},
		{"test_ebs_fault_tolerant.support.DescribeTrustedAdvisorCheckResult_1.json", "DescribeTrustedAdvisorCheckResult", "H7IgTzjTYb", nil, 1,
			slices.Repeat([]pipeline.Status{pipeline.StatusOpen}, 4)},
	} {
		files = slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == c.file })
		t.Run(strings.TrimSuffix(c.file, ".json"), func(t *testing.T) {
			w := newWorld(t)
			w.answers(map[string]recorded{"DescribeTrustedAdvisorChecks": full, "DescribeTrustedAdvisorCheckResult": empty, c.operation: record(t, filepath.Join(dir, c.file))})
			e, res := poll(t, w.source(func(cfg *trustedadvisor.Config) {
				cfg.Refresh = c.operation == "RefreshTrustedAdvisorCheck"
				if c.check != "" {
					cfg.Checks.Include = []string{c.check}
				}
				if c.change != nil {
					c.change(cfg)
				}
			}), "{}")
			var got []pipeline.Status
			for _, r := range e.reports {
				if r.Account.ID != home {
					continue
				}
				got = append(got, r.Status)
				if r.Title == "" || r.Region == "" || r.Resource.ID == "" || r.ObservedAt.IsZero() || r.Print.IsZero() {
					t.Errorf("report = %+v; want every member filled", r)
				}
			}
			if !slices.Equal(got, c.want) || len(e.scans) != 3*c.scans || len(res.Gaps) != 0 || len(res.Notes) != 0 || res.Rejected != 0 {
				t.Errorf("Poll(%s) = %v with %d scans, %+v; want %v with %d", c.file, got, len(e.scans), res, c.want, 3*c.scans)
			}
		})
	}
	if len(files) != 0 {
		t.Errorf("nothing reads %q; want each support file read", files)
	}
}

func everyPillar(c *trustedadvisor.Config) {
	c.Pillars = []string{"security", "cost_optimizing", "performance", "fault_tolerance", "service_limits"}
}

// TestSharedVolumes looks at one of them more closely: the resource is the volume of the row, although the
// check is in no table, and cells that are null are no columns.
func TestSharedVolumes(t *testing.T) {
	dir := filepath.Join(formattest.Shared(t), "data/aws-api")
	w := newWorld(t)
	w.answers(map[string]recorded{
		"DescribeTrustedAdvisorChecks":      record(t, filepath.Join(dir, "describe_trusted_advisor_checks.full.json")),
		"DescribeTrustedAdvisorCheckResult": record(t, filepath.Join(dir, "test_ebs_fault_tolerant.support.DescribeTrustedAdvisorCheckResult_1.json")),
	})
	e, _ := poll(t, w.source(func(c *trustedadvisor.Config) { c.Refresh, c.Checks.Include = false, []string{"H7IgTzjTYb"} }), "")
	r := e.find(home, "H7IgTzjTYb")[0]
	if want := "arn:aws:ec2:us-east-1:111122223333:volume/vol-abdb8d37"; r.Resource.ID != want || r.Region != "us-east-1" || !strings.Contains(r.Description, "Volume ID: vol-abdb8d37") ||
		strings.Contains(r.Description, "Snapshot ID") || r.Severity != pipeline.High {
		t.Errorf("report = %+v; want one on %s", r, want)
	}
}
