package identity

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// carriers are the ways in which sources hand over the name of a control.
func carriers(name string) map[string]pipeline.Report {
	ns, id, _ := strings.Cut(name, ":")
	out := map[string]pipeline.Report{
		"names":       {Product: "Somebody", Names: []string{name}},
		"other case":  {Product: "Somebody", Names: []string{" " + strings.ToUpper(name)}},
		"in control":  {Product: "Somebody", Control: name},
		"with others": {Product: "Somebody", Names: []string{"zzz:other", name, "cis-9.9.9:1.1"}},
	}
	switch {
	case ns == "fsbp":
		out["consolidated"] = pipeline.Report{Product: "Security Hub", Generator: "security-control/" + id, Control: id}
		out["standard"] = pipeline.Report{Product: "Security Hub", Generator: "aws-foundational-security-best-practices/v/1.0.0/" + id}
		out["control only"] = pipeline.Report{Product: "AWS Security Hub CSPM", Control: id}
	case ns == "nist-800-53-r5":
		out["standard"] = pipeline.Report{Product: "Security Hub", Generator: "nist-800-53/v/5.0.0/" + id}
	case ns == "pci-3.2.1":
		out["standard"] = pipeline.Report{Product: "Security Hub", Generator: "pci-dss/v/3.2.1/" + id, Control: id}
	case ns == "cis-1.2.0":
		out["standard"] = pipeline.Report{Product: "Security Hub", Control: id,
			Generator: "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/" + id}
	case strings.HasPrefix(ns, "cis-"):
		out["standard"] = pipeline.Report{Product: "Security Hub", Control: id,
			Generator: "cis-aws-foundations-benchmark/v/" + ns[4:] + "/" + id}
	case ns == "prowler":
		out["plain word"] = pipeline.Report{Product: "Prowler", Control: id}
		out["through Security Hub"] = pipeline.Report{Product: "Prowler", Generator: "prowler-" + id}
	case ns == "trustedadvisor":
		out["plain word"] = pipeline.Report{Product: "Trusted Advisor", Control: id}
	case ns == "docket":
		out["plain word"] = pipeline.Report{Product: "docket", Control: id}
	}
	return out
}

// sample is a bare name for a resource of a kind, as a source with nothing better gives it.
func sample(kind string) string {
	if rt := types().byType[kind]; rt != nil && rt.Prefix != "" {
		return rt.Prefix + "0123456789abcdef0"
	}
	return "thing"
}

func TestEveryRowGivesOneFingerprint(t *testing.T) {
	for _, row := range Rows() {
		var want pipeline.Fingerprint
		for _, name := range row.Names {
			for how, r := range carriers(name) {
				r.Kind = pipeline.KindControl
				r.ID, r.Title, r.Severity = how, name, pipeline.High
				r.Account.ID, r.Region = "123456789012", "eu-west-1"
				r.Resource.ID = sample(row.Kind)
				Identify(&r)
				if r.Problem != row.Problem {
					t.Errorf("Identify(%s, %s).Problem = %q; want %q", name, how, r.Problem, row.Problem)
				}
				if want.IsZero() {
					want = r.Print
				}
				if r.Print != want {
					t.Errorf("Identify(%s, %s).Print = %s; want that of %s, %s", name, how, r.Print.Short(), row.Names[0], want.Short())
				}
			}
		}
	}
}

func TestTheMapIsWellFormed(t *testing.T) {
	word := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	shape := regexp.MustCompile(`^(fsbp:[A-Za-z0-9]+\.\d+|nist-800-53-r5:[A-Za-z0-9]+\.\d+|cis-(1\.2\.0|1\.4\.0|3\.0\.0|5\.0\.0):\d+(\.\d+)+` +
		`|pci-3\.2\.1:PCI\.[A-Za-z0-9]+\.\d+|prowler:[a-z0-9_]+|trustedadvisor:[A-Za-z0-9]+|docket:[a-z0-9-]+)$`)
	three, owner := 0, map[string]string{}
	groups := map[string]string{} // related name without a row -> remediation
	rows := Rows()
	byName := map[string]Row{}
	for _, row := range rows {
		for _, n := range row.Names {
			byName[key(n)] = row
		}
	}
	for _, row := range rows {
		if len(row.Names) >= 3 {
			three++
		}
		if !word.MatchString(row.Problem) || row.Kind == "" || row.Title == "" || row.Remediation == "" || len(row.Names) == 0 {
			t.Errorf("row %+v is not whole", row)
		}
		for _, s := range row.Sources {
			if !strings.Contains("HNVPTD", s) || s == "" {
				t.Errorf("%s has source %q; want letters of the file's head", row.Problem, s)
			}
		}
		for _, n := range row.Names {
			if !shape.MatchString(n) {
				t.Errorf("%s has the name %q, which no source writes", row.Problem, n)
			}
			if o, ok := owner[n]; ok {
				t.Errorf("%s stands in %s and %s", n, o, row.Problem)
			}
			owner[n] = row.Problem
		}
		for _, rel := range row.Related {
			other, ok := byName[key(rel.Name)]
			switch {
			case !shape.MatchString(rel.Name) || rel.Note == "":
				t.Errorf("%s is related to %q because of %q; want a name and a reason", row.Problem, rel.Name, rel.Note)
			case ok && other.Problem == row.Problem:
				t.Errorf("%s is the same as %s and related to it", rel.Name, row.Problem)
			case ok && other.Remediation != row.Remediation:
				t.Errorf("%s is related to %s, but their remediations are %s and %s", rel.Name, row.Problem, other.Remediation, row.Remediation)
			case !ok && groups[rel.Name] != "" && groups[rel.Name] != row.Remediation:
				t.Errorf("%s is in the remediations %s and %s", rel.Name, groups[rel.Name], row.Remediation)
			case !ok:
				groups[rel.Name] = row.Remediation
			}
		}
	}
	if three < 60 {
		t.Errorf("rows with three or more names = %d; want at least 60", three)
	}
	if Embedded().Version() == "" {
		t.Error("Embedded().Version() is empty")
	}
}

func TestRelatedIsNeverFolded(t *testing.T) {
	for _, row := range Rows() {
		for _, rel := range row.Related {
			r := pipeline.Report{Kind: pipeline.KindControl, Names: []string{rel.Name}}
			Identify(&r)
			if r.Problem == row.Problem {
				t.Errorf("Identify(%s).Problem = %s, which it is only related to", rel.Name, r.Problem)
			}
			if got := Remediation(r.Problem); got != row.Remediation {
				t.Errorf("Remediation(%s) = %s; want %s", r.Problem, got, row.Remediation)
			}
		}
	}
	if got := Remediation("prowler:unheard_of"); got != "prowler:unheard_of" {
		t.Errorf("Remediation(prowler:unheard_of) = %s; want itself", got)
	}
}

func TestRowsAreTheCallersOwn(t *testing.T) {
	Rows()[0].Names[0] = "changed"
	if Rows()[0].Names[0] == "changed" {
		t.Error("Rows() hands out its own slices; want copies")
	}
}

func TestReadControlsRefuses(t *testing.T) {
	row := "a-b\tAwsAccount\tsame\tfsbp:X.1\t-\tTitle\tH\n"
	for name, c := range map[string]struct{ file, want string }{
		"no version":        {row, "no version line"},
		"columns":           {"version 1\na-b\tAwsAccount\n", "line 2: 2 columns, want 7"},
		"relation":          {"version 1\na-b\tX\tlike\tfsbp:X.1\t-\tT\tH\n", `line 2: relation "like", want same or related`},
		"problem twice":     {"version 1\n" + row + row, "line 3: problem a-b stands twice"},
		"name twice":        {"version 1\n" + row + "c-d\tX\tsame\tnist-800-53-r5:x.1\t-\tT\tH\n", "line 3: nist-800-53-r5:x.1 is the same as both a-b and c-d"},
		"related to none":   {"version 1\na-b\tX\trelated\tfsbp:X.1\t-\tT\tH\n", "line 2: related to a-b, which has no row above"},
		"other remediation": {"version 1\n" + row + "a-b\tX\trelated\tfsbp:Y.1\tz\tT\tH\n", "line 3: remediation z, but that of a-b is a-b"},
	} {
		_, err := ReadMap(c.file)
		if err == nil || err.Error() != c.want {
			t.Errorf("ReadMap(%s) = %v; want %s", name, err, c.want)
		}
	}
}

func TestEveryBuiltInCheckIsInTheMap(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(sharedDir(t), "checks.md"))
	if err != nil {
		t.Skip("no list of checks: ", err)
	}
	var names []string
	for _, row := range Rows() {
		names = append(names, row.Names...)
	}
	id := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	found := 0
	for _, line := range strings.Split(string(file), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 8 {
			continue
		}
		first := ""
		for _, c := range strings.Split(cells[1], ",") {
			c = strings.TrimSpace(c)
			if strings.HasPrefix(c, "-") && first != "" { // "alt-contact-security, -billing"
				c = first[:strings.LastIndexByte(first, '-')] + c
			}
			if !id.MatchString(c) {
				continue
			}
			first = c
			found++
			if !slices.Contains(names, "docket:"+c) {
				t.Errorf("docket:%s stands in no row", c)
			}
		}
	}
	if found < 60 {
		t.Errorf("checks found in the list = %d; want at least 60", found)
	}
}

// sharedDir is the folder of material shared with this repository's sibling:
// DOCKET_SHARED, else ../shared beside the module.
func sharedDir(t *testing.T) string {
	t.Helper()
	if d := os.Getenv("DOCKET_SHARED"); d != "" {
		return d
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		shared := filepath.Join(filepath.Dir(dir), "shared")
		if _, err := os.Stat(shared); err == nil {
			return shared
		}
	}
	t.Skip("no folder shared beside the module and no DOCKET_SHARED")
	return ""
}
