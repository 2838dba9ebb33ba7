package format_test

import (
	"testing"

	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
)

// TestSharedReports reads real reports of scanners: as many findings as their list says, and as many
// distinct problems as their own keys say where it names them.
func TestSharedReports(t *testing.T) {
	distinct := map[string]int{
		"grype/dd-check_all_fields.json": 5, "kics/dd-many_findings.json": 15,
	}
	for _, s := range formattest.Samples(t, "trivy", "grype", "checkov", "kics", "semgrep", "snyk", "prowler-json", "csv") {
		t.Run(s.Name, func(t *testing.T) {
			doc, reports, rejects := read(t, s.Path)
			if len(reports) != s.Findings || doc.Records != s.Findings || len(rejects) != 0 {
				t.Errorf("read(%s) = %d reports of %d records, rejects %v; want %d, none rejected", s.Name, len(reports), doc.Records, rejects, s.Findings)
			}
			ids, prints := map[string]bool{}, map[pipeline.Fingerprint]bool{}
			for _, r := range reports {
				if r.Product == "" || r.ID == "" || r.Kind == "" || r.Title == "" || r.Control == "" || r.Status == 0 || len(r.Raw) == 0 || r.Resource.ID == "" {
					t.Errorf("read(%s) = %+v; want every member filled", s.Name, r)
				}
				r.Repository = "shop/web"
				identity.Identify(&r)
				ids[r.Key()] = true
				prints[r.Print] = true
			}
			if want := distinct[s.Name]; want > 0 && len(ids) != want {
				t.Errorf("read(%s) = %d identities; want %d", s.Name, len(ids), want)
			}
			t.Logf("%d findings, %d identities, %d problems", len(reports), len(ids), len(prints))
		})
	}
}
