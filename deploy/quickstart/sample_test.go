package quickstart_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/deploy/quickstart"
	"github.com/docket-hub/docket/internal/app"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
	"github.com/docket-hub/docket/pipeline/risk"
)

// sample is what docket would read from the folder findings.
type sample struct {
	reports []pipeline.Report
	rejects []pipeline.Reject
	formats map[string]int
}

func read(t *testing.T) sample {
	t.Helper()
	s := sample{formats: map[string]int{}}
	err := filepath.WalkDir("findings", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		_, err = format.Split(f, format.Options{Origin: path, Reject: s.reject}, func(rec pipeline.Record) error {
			r, err := format.Decode(rec)
			if err != nil {
				return s.reject(pipeline.Reject{Origin: rec.Origin, Index: rec.Index, Reason: err.Error()})
			}
			identity.Identify(&r)
			risk.Derive(&r)
			s.reports = append(s.reports, r)
			s.formats[rec.Format]++
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sample) reject(r pipeline.Reject) error {
	s.rejects = append(s.rejects, r)
	return nil
}

// byPrint are the reports of each finding.
func (s *sample) byPrint() map[pipeline.Fingerprint][]pipeline.Report {
	out := map[pipeline.Fingerprint][]pipeline.Report{}
	for _, r := range s.reports {
		out[r.Print] = append(out[r.Print], r)
	}
	return out
}

func TestFilesAreGenerated(t *testing.T) {
	files, err := quickstart.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join("findings", filepath.FromSlash(f.Name)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, f.Data) {
			t.Errorf("findings/%s is not what the generator writes; want it the same (make generate)", f.Name)
		}
	}
}

func TestCounts(t *testing.T) {
	s := read(t)
	findings := s.byPrint()
	reports := map[int]int{} // findings by how many reports they have
	statuses := map[pipeline.Status]int{}
	accounts, repositories := map[string]bool{}, map[string]bool{}
	for _, list := range findings {
		reports[min(len(list), 3)]++
		statuses[merged(list)]++
		for _, r := range list {
			accounts[r.Account.ID] = true
			repositories[r.Repository] = true
		}
	}
	delete(accounts, "")
	delete(repositories, "")
	type counts struct {
		Reports, Findings, Accounts, Repositories, ASFF, OCSF, SARIF, Docket int
		Open, Resolved, Unproven                                             int
		One, Two, More                                                       int
	}
	got := counts{
		len(s.reports), len(findings), len(accounts), len(repositories),
		s.formats[format.ASFF], s.formats[format.OCSF], s.formats[format.SARIF], s.formats[format.Docket],
		statuses[pipeline.StatusOpen], statuses[pipeline.StatusResolved], statuses[pipeline.StatusUnproven],
		reports[1], reports[2], reports[3],
	}
	want := counts{
		Reports: 288, Findings: 172, Accounts: 6, Repositories: 2, ASFF: 144, OCSF: 108, SARIF: 23, Docket: 13,
		Open: 159, Resolved: 9, Unproven: 4, One: 84, Two: 66, More: 22,
	}
	if got != want {
		t.Errorf("the sample has %+v; want %+v", got, want)
	}
}

// merged is the status of a finding with these reports, before absence is counted.
func merged(list []pipeline.Report) pipeline.Status {
	status := pipeline.StatusResolved
	for _, r := range list {
		switch {
		case r.Status == pipeline.StatusOpen:
			return pipeline.StatusOpen
		case r.Status == pipeline.StatusUnproven:
			status = pipeline.StatusUnproven
		}
	}
	return status
}

func TestRejects(t *testing.T) {
	s := read(t)
	want := []string{
		"1: asff: Id is missing",
		`2: asff: Severity.Label: "SEVERE" is no severity`,
		"3: asff: AwsAccountId is missing",
		"4: a string is not closed at the end of its line",
		`5: docket: observed_at: "last week" is no time; write RFC 3339, 2026-01-31T12:00:00Z`,
	}
	var got []string
	for _, r := range s.rejects {
		got = append(got, fmt.Sprintf("%d: %s", r.Index, r.Reason))
	}
	if !slices.Equal(got, want) {
		t.Errorf("rejects = %q; want %q", got, want)
	}
}

func TestStories(t *testing.T) {
	s := read(t)
	// find returns the reports of the one finding that has a report like this.
	find := func(t *testing.T, like func(pipeline.Report) bool) []pipeline.Report {
		t.Helper()
		var found []pipeline.Report
		for _, list := range s.byPrint() {
			if slices.ContainsFunc(list, like) {
				if found != nil {
					t.Fatalf("two findings have a report like that: %s and %s", found[0].ID, list[0].ID)
				}
				found = list
			}
		}
		if found == nil {
			t.Fatal("no finding has a report like that")
		}
		return found
	}
	products := func(list []pipeline.Report) string {
		var names []string
		for _, r := range list {
			names = append(names, r.Product)
		}
		slices.Sort(names)
		return strings.Join(names, ", ")
	}
	t.Run("two standards, Prowler and Trusted Advisor make one finding", func(t *testing.T) {
		got := products(find(t, func(r pipeline.Report) bool {
			return r.Problem == "iam-root-mfa" && r.Account.ID == "622000000201"
		}))
		if want := "Prowler, Security Hub, Security Hub, Trusted Advisor"; got != want {
			t.Errorf("the root user's MFA is reported by %s; want %s", got, want)
		}
	})
	t.Run("a rebuilt image is nothing new", func(t *testing.T) {
		got := find(t, func(r pipeline.Report) bool {
			return r.Account.ID == "622000000201" && r.Vuln != nil && r.Vuln.ID == "CVE-2021-44228"
		})
		if len(got) != 2 || !got[0].Vuln.KEV || got[0].Vuln.EPSS < 0.9 || !slices.Contains(got[0].RiskFactors, "known_exploited") {
			t.Errorf("log4j in payments-prod has %d reports, KEV %v, EPSS %v, factors %v; want 2, true, above 0.9, known_exploited",
				len(got), got[0].Vuln.KEV, got[0].Vuln.EPSS, got[0].RiskFactors)
		}
	})
	t.Run("moved code is nothing new", func(t *testing.T) {
		got := find(t, func(r pipeline.Report) bool { return r.Code != nil && r.Code.Path == "src/db/customers.js" })
		if len(got) != 2 || got[0].ID != got[1].ID || got[0].Code.Line == got[1].Code.Line {
			t.Errorf("the query in customers.js has %d reports; want one id at two lines", len(got))
		}
	})
	for name, like := range map[string]func(pipeline.Report) bool{
		"a key that AWS found in public": func(r pipeline.Report) bool { return r.Control == "12Fnkpl8Y5" },
		"a key in the code":              func(r pipeline.Report) bool { return r.Product == "gitleaks" },
		"stolen role credentials": func(r pipeline.Report) bool {
			return r.Product == "GuardDuty" && r.Account.ID == "622000000201"
		},
	} {
		t.Run(name+" is an exposed credential", func(t *testing.T) {
			if got := find(t, like)[0].RiskFactors; !slices.Contains(got, "exposed_credential") {
				t.Errorf("risk factors = %v; want exposed_credential among them", got)
			}
		})
	}
	t.Run("what Prowler still sees stays open", func(t *testing.T) {
		for _, list := range s.byPrint() {
			passes := slices.ContainsFunc(list, func(r pipeline.Report) bool {
				return r.Product == "Security Hub" && r.Status == pipeline.StatusResolved
			})
			fails := slices.ContainsFunc(list, func(r pipeline.Report) bool {
				return r.Product == "Prowler" && r.Status == pipeline.StatusOpen
			})
			if passes && fails {
				return
			}
		}
		t.Error("no finding passes at Security Hub and fails at Prowler; want one")
	})
}

func TestConfiguration(t *testing.T) {
	c, err := app.Load("docket.yaml", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("docket.yaml warns: %v; want no warning", w)
	}
}
