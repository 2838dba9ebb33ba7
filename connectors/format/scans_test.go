package format_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// scansOf splits text and gives the scans, the rejects' reasons and the records.
func scansOf(t *testing.T, text string) ([]pipeline.Scan, []string, []pipeline.Record) {
	t.Helper()
	var reasons []string
	var records []pipeline.Record
	doc, err := format.Split(strings.NewReader(text), format.Options{Reject: func(r pipeline.Reject) error {
		reasons = append(reasons, r.Reason)
		return nil
	}}, func(r pipeline.Record) error {
		records = append(records, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc.Scans, reasons, records
}

func prowler(account, uid, when string) string {
	return `{"class_uid":2004,"metadata":{"product":{"name":"Prowler"},"event_code":"c"},"severity_id":2,"finding_info":{"uid":"` + uid +
		`"},"cloud":{"provider":"aws","account":{"uid":"` + account + `"}},"time_dt":"` + when + `"}`
}

func TestScansOfProwler(t *testing.T) {
	text := "[" + prowler("111122223333", "a", "2026-03-01T04:00:00") + "," + prowler("111122223333", "b", "2026-03-01T04:05:00") +
		"," + prowler("444455556666", "c", "2026-03-01T04:01:00") + "," + prowler("<account_uid>", "d", "2026-03-01T04:01:00") +
		"," + prowler("777788889999", "e", "") + "," + ocsfA + "]"
	scans, _, records := scansOf(t, text)
	want := []pipeline.Scan{
		{Scope: "ocsf Prowler aws 111122223333", Count: 2, Time: time.Date(2026, 3, 1, 4, 5, 0, 0, time.UTC), Complete: true},
		{Scope: "ocsf Prowler aws 444455556666", Count: 1, Time: time.Date(2026, 3, 1, 4, 1, 0, 0, time.UTC), Complete: true},
	}
	again, _, _ := scansOf(t, text)
	for i := range scans {
		if len(scans[i].ID) != 20 || scans[i].ID != again[i].ID {
			t.Errorf("scan %d has ID %q, read again %q; want the same 20 digits", i, scans[i].ID, again[i].ID)
		}
		scans[i].ID = ""
	}
	if d := cmp.Diff(want, scans); d != "" {
		t.Errorf("scans differ (-want +got):\n%s", d)
	}
	if r := records[0]; r.Scope != want[0].Scope || !r.Observed.Equal(time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)) {
		t.Errorf("record 0 has scope %q observed %v; want its scan's scope and its own time", r.Scope, r.Observed)
	}
	for _, i := range []int{3, 4, 5} {
		if records[i].Scope != "" {
			t.Errorf("record %d has scope %q; want none", i, records[i].Scope)
		}
	}
}

func TestScansAreBrokenByAReject(t *testing.T) {
	for _, text := range []string{
		"[" + prowler("111122223333", "a", "2026-03-01T04:00:00") + ",{\"class_uid\":nope}]",
		"[" + prowler("111122223333", "a", "2026-03-01T04:00:00") + ",",
		prowler("111122223333", "a", "2026-03-01T04:00:00") + "\n{\"class_uid\":200",
	} {
		scans, reasons, _ := scansOf(t, text)
		if len(scans) != 1 || scans[0].Complete || scans[0].Why == "" || len(reasons) != 1 {
			t.Errorf("Split(%s) = scans %+v, rejects %q; want one broken scan and one reject", text, scans, reasons)
		}
	}
}

func TestExportsProveNothing(t *testing.T) {
	for _, text := range []string{asffA, "[" + dockA + "]", hubEv} {
		if scans, _, records := scansOf(t, text); len(scans) != 0 || records[0].Scope != "" {
			t.Errorf("Split(%s) = scans %+v, scope %q; want none", text, scans, records[0].Scope)
		}
	}
}

// run is a SARIF document of one run with the given members besides its tool.
func run(members string) string {
	return `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"T"}}` + members + `}]}`
}

const (
	repo    = `,"versionControlProvenance":[{"repositoryUri":"https://git.example.com/a/b.git","branch":"main"}]`
	ended   = `,"invocations":[{"executionSuccessful":true,"endTimeUtc":"2026-03-01T04:05:06Z"}]`
	finding = `{"ruleId":"r","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go"},"region":{"startLine":3}}}]}`
	results = `,"results":[` + finding + `]`
)

func TestScansOfSARIF(t *testing.T) {
	scope := "sarif T https://git.example.com/a/b@main"
	tests := []struct {
		name, text string
		scope      string // empty: no scan
		count      int
		why        string // beginning; empty: complete
		rejects    int
	}{
		{name: "repository and time", text: run(repo + ended + results), scope: scope, count: 1},
		{name: "nothing found", text: run(repo + ended + `,"results":[]`), scope: scope},
		{name: "no time", text: run(repo + results)},
		{name: "no target", text: run(ended + results)},
		{name: "category", text: run(ended + results + `,"automationDetails":{"id":"shop/api/17"}`), scope: "sarif T shop/api", count: 1},
		{name: "repository and category", text: run(repo + ended + results + `,"automationDetails":{"id":"/language:go/"}`), scope: scope + " /language:go", count: 1},
		{name: "GitHub's category alone names no target", text: run(ended + results + `,"automationDetails":{"id":"/language:go/"}`)},
		{name: "remote root", text: run(ended + results + `,"originalUriBaseIds":{"R":{"uri":"https://git.example.com/a/b/"}}`), scope: "sarif T https://git.example.com/a/b", count: 1},
		{name: "start time only", text: run(repo + `,"invocations":[{"startTimeUtc":"2026-03-01T04:05:06Z"}]` + results), scope: scope, count: 1},
		{name: "time in properties", text: run(repo + `,"properties":{"endTimeUtc":"2026-03-01T04:05:06Z"}` + results), scope: scope, count: 1},
		{name: "not successful", text: run(repo + strings.Replace(ended, "true", "false", 1) + results), scope: scope, count: 1, why: "the tool says"},
		{name: "no results array", text: run(repo + ended), scope: scope, why: "the run has no results"},
		{name: "null results", text: run(repo + ended + `,"results":null`), scope: scope, why: "the run has no results"},
		{name: "results elsewhere", text: run(repo + ended + `,"externalPropertyFileReferences":{"results":[{"itemCount":3}]}`), scope: scope, why: "its results are in another file"},
		{name: "a malformed result", text: run(repo + ended + `,"results":[` + finding + `,{"ruleId":nope}]`), scope: scope, count: 1, why: "record 1 was rejected", rejects: 1},
		{name: "cut inside a result", text: run(repo + ended + `,"results":[` + finding[:60]), scope: scope, why: "the document ends inside", rejects: 1},
		{name: "cut behind the results", text: strings.TrimSuffix(run(repo+ended+results), `}]}`), scope: scope, count: 1, why: "the document ends", rejects: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			scans, reasons, _ := scansOf(t, tt.text)
			if len(reasons) != tt.rejects {
				t.Errorf("rejects = %q; want %d", reasons, tt.rejects)
			}
			if tt.scope == "" {
				if len(scans) != 0 {
					t.Errorf("scans = %+v; want none", scans)
				}
				return
			}
			if len(scans) != 1 {
				t.Fatalf("scans = %+v; want one", scans)
			}
			s := scans[0]
			if s.Scope != tt.scope || s.Count != tt.count || s.Complete != (tt.why == "" && tt.rejects == 0) || !strings.HasPrefix(s.Why, tt.why) ||
				!s.Time.Equal(time.Date(2026, 3, 1, 4, 5, 6, 0, time.UTC)) {
				t.Errorf("scan = %+v; want scope %q, count %d, why %q", s, tt.scope, tt.count, tt.why)
			}
		})
	}
}
