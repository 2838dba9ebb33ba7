package format_test

import (
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// megabyte is what begin, as many of the element as have room, and end come to.
func megabyte(begin, element, sep, end string) string {
	n := (1<<20 - len(begin) - len(end)) / (len(element) + len(sep))
	return begin + strings.Repeat(element+sep, max(n-1, 0)) + element + end
}

// Documents that are made to be copied into many times their size, or to stand deep, are read within the limits of the fuzz
// targets: a megabyte in a second of CPU and 256 MiB.
func TestWorstDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("reads many megabytes")
	}
	long := strings.Repeat("x", 512<<10)
	rule := strings.Repeat("x", 15<<10)
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	vuln := `{"VulnerabilityID":"C","PkgName":"p"}`
	for _, c := range []struct{ name, format, text string }{
		{"a long target, trivy", "trivy", megabyte(`{"SchemaVersion":2,"ArtifactName":"`+long+`","ArtifactType":"container_image","Results":[{"Target":"t","Class":"os-pkgs","Vulnerabilities":[`, vuln, ",", `]}]}`)},
		{"a long name of a result, trivy", "trivy", megabyte(`{"SchemaVersion":2,"ArtifactName":"a","ArtifactType":"container_image","Results":[{"Target":"`+long+`","Class":"os-pkgs","Vulnerabilities":[`, vuln, ",", `]}]}`)},
		{"a long target, grype", "grype", megabyte(`{"source":{"type":"image","target":{"userInput":"`+long+`"}},"descriptor":{"timestamp":"2026-02-03T04:05:06Z"},"matches":[`, `{"vulnerability":{"id":"C"},"artifact":{"name":"z"}}`, ",", `]}`)},
		{"a long query, kics", "kics", megabyte(`{"kics_version":"1","queries":[{"query_name":"q","query_id":"i","severity":"HIGH","description":"`+long+`","files":[`, `{"file_name":"a","line":1}`, ",", `]}]}`)},
		{"a long path, checkov", "checkov", megabyte(`{"check_type":"terraform","url":"`+long+`","results":{"failed_checks":[`, `{"check_id":"a","file_path":"a","resource":"r"}`, ",", `]}}`)},
		{"a long project, snyk", "snyk", megabyte(`{"projectName":"`+long+`","packageManager":"npm","vulnerabilities":[`, `{"id":"a","packageName":"p"}`, ",", `]}`)},
		{"a long head, semgrep", "semgrep", megabyte(`{"version":"`+long+`","errors":[],"paths":{},"results":[`, `{"check_id":"a","path":"p"}`, ",", `]}`)},
		{"a long alert, zap", "zap", megabyte(`{"@version":"1","site":[{"@name":"s","alerts":[{"pluginid":"1","riskcode":"1","desc":"`+long+`","instances":[`, `{"uri":"/"}`, ",", `]}]}]}`)},
		{"a long alert, zap as XML", "zap", megabyte("<OWASPZAPReport><site><alerts><alertitem><pluginid>1</pluginid><riskcode>1</riskcode><desc>"+long+"</desc><instances>", "<instance><uri>/</uri></instance>", "", "</instances></alertitem></alerts></site></OWASPZAPReport>")},
		{"a long rule, SARIF", "sarif", megabyte(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"T","rules":[{"id":"r","fullDescription":{"text":"`+rule+`"}}]}},"results":[`, `{"ruleIndex":0,"message":{"text":"m"}}`, ",", `]}]}`)},
		{"a long tool, SARIF", "sarif", megabyte(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"`+long+`"}},"results":[`, `{"message":{"text":"m"}}`, ",", `]}]}`)},
		{"a long base, SARIF", "sarif", megabyte(`{"version":"2.1.0","runs":[{"originalUriBaseIds":{"A":{"uri":"file:///`+long+`/"}},"tool":{"driver":{"name":"T"}},"results":[`, `{"message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a","uriBaseId":"A"}}}]}`, ",", `]}]}`)},
		{"a long address, SARIF", "sarif", megabyte(`{"version":"2.1.0","runs":[{"versionControlProvenance":[{"repositoryUri":"https://a.example/`+long+`"}],"tool":{"driver":{"name":"T"}},"results":[`, `{"message":{"text":"m"}}`, ",", `]}]}`)},
		{"a long column, wiz", "wiz", megabyte("Created At,Title,Severity,Status,Description,Resource Type,Resource external ID,Subscription ID,Issue ID,"+long+"\n", "a,b,c,d,e,f,g,h,i,j", "\n", "\n")},
		{"a long column, prowler", "prowler", megabyte("CHECK_ID;STATUS;RESOURCE_UID;SEVERITY;ACCOUNT_UID;TIMESTAMP;PROVIDER;"+long+"\n", "a;FAIL;r;low;1;;aws;x", "\n", "\n")},
		{"many empty objects", "", megabyte("[", "{}", ",", "]")},
		{"many opened lists", "", megabyte("", `{"findings":[`, "", "")},
		{"many opened runs", "", megabyte("", `{"runs":[{"results":[`, "", "")},
		{"many quotes that are not closed", "", megabyte(`{"findings":[`, `{"Id":"`, ",", "]}")},
		{"deep, in a record", "", `[{"product":"P","id":"1","account":{"id":"1"},"resource":{"id":"r"},"title":"t","severity":"LOW","x":` + deep + `}]`},
		{"deep, in a report", "trivy", `{"SchemaVersion":2,"ArtifactName":"a","Results":[` + deep + `]}`},
		{"deep, in a run", "sarif", `{"version":"2.1.0","runs":[{"tool":` + deep + `,"results":[` + deep + `]}]}`},
		{"deep elements", "zap", "<OWASPZAPReport>" + strings.Repeat("<a>", 300_000)},
		{"many alerts that are damaged", "zap", megabyte("<OWASPZAPReport><site><alerts>", "<alertitem ", "", "")},
		{"many sites in sites", "zap", megabyte("<OWASPZAPReport>", "<site>", "", "")},
	} {
		t.Run(c.name, func(t *testing.T) { bounded(t, c.format, []byte(c.text)) })
	}
}

// What is left of such a document is one reject, and its scan proves nothing.
func TestSwollenDocument(t *testing.T) {
	text := megabyte(`{"source":{"type":"image","target":{"userInput":"`+strings.Repeat("x", 512<<10)+`"}},"descriptor":{"timestamp":"2026-02-03T04:05:06Z"},"matches":[`, `{"vulnerability":{"id":"C"},"artifact":{"name":"z"}}`, ",", `]}`)
	var rejects []pipeline.Reject
	doc, err := format.Split(strings.NewReader(text), format.Options{Format: "grype", Reject: func(r pipeline.Reject) error {
		rejects = append(rejects, r)
		return nil
	}}, func(pipeline.Record) error { return nil })
	if err != nil || doc.Records == 0 || len(rejects) != 1 || !strings.Contains(rejects[0].Reason, "64 times as large as the document") || len(doc.Scans) != 1 || doc.Scans[0].Complete {
		t.Errorf("Split = %d records, rejects %v, scans %+v, %v; want some records, one reject and no complete scan", doc.Records, rejects, doc.Scans, err)
	}
}
