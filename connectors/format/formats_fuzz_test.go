package format_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
)

// One target a decoder: any text is read as a document of that format, within formattest's limits, and what is
// read of it can be told apart. ASFF, OCSF, SARIF, GuardDuty and docket's own have theirs beside their decoders.

func FuzzCheckov(f *testing.F)    { fuzzDocument(f, "checkov", "checkov.json") }
func FuzzGitleaks(f *testing.F)   { fuzzDocument(f, "gitleaks", "gitleaks.json") }
func FuzzGrype(f *testing.F)      { fuzzDocument(f, "grype", "grype.json") }
func FuzzInspector2(f *testing.F) { fuzzDocument(f, "inspector2", "inspector2.json") }
func FuzzKICS(f *testing.F)       { fuzzDocument(f, "kics", "kics.json") }
func FuzzMacie(f *testing.F)      { fuzzDocument(f, "macie", "macie.json") }
func FuzzProwler(f *testing.F) {
	fuzzDocument(f, "prowler", "prowler.json", "prowler.csv", "prowler2.csv")
}
func FuzzSemgrep(f *testing.F) { fuzzDocument(f, "semgrep", "semgrep.json") }
func FuzzSnyk(f *testing.F)    { fuzzDocument(f, "snyk", "snyk.json", "snyk-code.json") }
func FuzzTrivy(f *testing.F) {
	fuzzDocument(f, "trivy", "trivy.json", "trivy-cluster.json", "trivy-config.json")
}
func FuzzTrustedAdvisor(f *testing.F) { fuzzDocument(f, "trustedadvisor", "trustedadvisor.json") }
func FuzzWiz(f *testing.F)            { fuzzDocument(f, "wiz", "wiz.csv") }
func FuzzZAP(f *testing.F)            { fuzzDocument(f, "zap", "zap.json") }
func FuzzZAPXML(f *testing.F)         { fuzzDocument(f, "zap", "zap.xml") }

func FuzzAccessAnalyzer(f *testing.F) {
	fuzzDetail(f, "aws.access-analyzer", "Access Analyzer Finding",
		`{"id":"a","findingId":"f","findingType":"UnusedIAMRole","resource":"r","resourceType":"AWS::S3::Bucket","accountId":"1","principal":{"AWS":"2"},"isPublic":true,"status":"ACTIVE"}`)
}

func FuzzAWSConfig(f *testing.F) {
	fuzzDetail(f, "aws.config", "Config Rules Compliance Change",
		`{"configRuleName":"r","resourceType":"AWS::S3::Bucket","resourceId":"i","awsAccountId":"1","awsRegion":"r","newEvaluationResult":{"complianceType":"NON_COMPLIANT","resultRecordedTime":"2026-01-01T00:00:00Z"}}`)
}

func FuzzAWSHealth(f *testing.F) {
	fuzzDetail(f, "aws.health", "AWS Health Event",
		`{"eventTypeCode":"AWS_RISK_CREDENTIALS_EXPOSED","eventArn":"a","service":"RISK","affectedEntities":[{"entityValue":"AKIA"}],"eventDescription":[{"language":"en","latestDescription":"d"}],"page":"1"}`)
}

// fuzzDocument reads any text as a document of a format, beginning with samples of testdata.
func fuzzDocument(f *testing.F, name string, samples ...string) {
	for _, s := range samples {
		b, err := os.ReadFile("testdata/" + s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) { bounded(t, name, data) })
}

// fuzzDetail reads any text as the detail of an EventBridge event.
func fuzzDetail(f *testing.F, source, detailType, sample string) {
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, detail []byte) { bounded(t, "", []byte(wrap(source, detailType, string(detail)))) })
}

// bounded reads a document and all its records within the limits, and looks at what comes out.
func bounded(t *testing.T, name string, data []byte) {
	var doc format.Document
	var records, rejects int
	var odd []pipeline.Report
	formattest.Bounded(t, len(data), func() {
		records, rejects, odd = 0, 0, nil
		opt := format.Options{Format: name, Reject: func(pipeline.Reject) error { rejects++; return nil }}
		doc, _ = format.Split(bytes.NewReader(data), opt, func(rec pipeline.Record) error {
			records++
			if r, err := format.Decode(rec); err == nil && (r.Product == "" || strings.TrimSpace(r.ID) == "" || r.Kind == "" || r.Status == 0) {
				r.Raw = nil
				odd = append(odd, r)
			}
			return nil
		})
	})
	if doc.Records != records || doc.Rejected != rejects {
		t.Errorf("Split counts %d records and %d rejects, and handed over %d and %d", doc.Records, doc.Rejected, records, rejects)
	}
	for _, r := range odd {
		t.Errorf("Decode(a record of %.200q) = %+v; want product, id, kind and status, or an error", data, r)
	}
}
