package identity

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// otherMaps are the program's map and maps that differ from it: rows joined, split, without names, on another kind.
func otherMaps(t *testing.T) map[string]*Map {
	t.Helper()
	lines := strings.Split(controlsFile, "\n")
	var same []int
	for i, l := range lines {
		if c := strings.Split(l, "\t"); len(c) == 7 && c[2] == "same" {
			same = append(same, i)
		}
	}
	edit := func(each func(n int, col []string) []string) *Map {
		out := append([]string(nil), lines...)
		for n, i := range same {
			out[i] = strings.Join(each(n, strings.Split(lines[i], "\t")), "\t")
		}
		m, err := ReadMap(strings.Join(out, "\n"))
		if err != nil {
			t.Fatalf("ReadMap of a changed map = %v", err)
		}
		return m
	}
	kinds := []string{"AwsAccount", "AwsAccount@global", "AwsEc2Instance", "AwsS3Bucket", "AwsIamUser", "Other"}
	return map[string]*Map{
		"own": Embedded(),
		"split": edit(func(n int, col []string) []string {
			if names := strings.Split(col[3], ","); len(names) > 1 {
				col[3] = strings.Join(names[:len(names)/2], ",")
			}
			return col
		}),
		"other kinds": edit(func(n int, col []string) []string { col[1] = kinds[n%len(kinds)]; return col }),
		"shifted": edit(func(n int, col []string) []string {
			col[3] = strings.Split(lines[same[(n+1)%len(same)]], "\t")[3]
			return col
		}),
		"none": mustRead(t, "version 9\n"),
	}
}

func mustRead(t *testing.T, file string) *Map {
	t.Helper()
	m, err := ReadMap(file)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAgainIsIdentifyingAnew: whatever map a report was identified under, Again makes of it what
// another map would have made of the source's own words.
func TestAgainIsIdentifyingAnew(t *testing.T) {
	maps := otherMaps(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	ids := []string{"i-0123456789abcdef0", "thing", "AWS::::Account:123456789012", "123456789012", "arn:aws:iam::123456789012:root",
		"arn:aws:s3:::bucket", "s3://bucket/key", "arn:aws:iam::123456789012:user/ann", "arn:aws:ec2:eu-west-1:123456789012:instance/i-0123456789abcdef0", ""}
	kinds := []string{"", "Other", "AwsAccount", "AwsEc2Instance", "AWS::S3::Bucket", "AwsIamUser"}
	regions := []string{"", "eu-west-1", "us-east-1a", "global", "aws-global", "-"}
	var reports []pipeline.Report
	for _, row := range Rows() {
		for _, name := range row.Names {
			for how, r := range carriers(name) {
				r.Kind, r.ID, r.Title, r.Severity = pipeline.KindControl, how, name, pipeline.High
				r.Account.ID = []string{"123456789012", "1234-5678-9012", ""}[rnd.IntN(3)]
				r.Region, r.Resource.Type = regions[rnd.IntN(len(regions))], kinds[rnd.IntN(len(kinds))]
				r.Resource.ID = ids[rnd.IntN(len(ids))]
				if rnd.IntN(3) == 0 {
					r.Resource.Original = "another word"
				}
				reports = append(reports, r)
			}
		}
	}
	for from, a := range maps {
		for to, b := range maps {
			for _, r := range reports {
				stored, want := r, r
				a.Identify(&stored)
				b.Identify(&want)
				print := stored.Print
				if got, ok := b.Again(&stored, print); !ok || got != stored.Print {
					t.Fatalf("Again(%s, %s to %s) = %s, %v; want %s, true", r.Title, from, to, got.Short(), ok, stored.Print.Short())
				}
				if stored.Print != want.Print || stored.Problem != want.Problem || stored.Region != want.Region || stored.Resource.ID != want.Resource.ID ||
					plainType(&stored) != plainType(&want) || stored.RemediationGroup != want.RemediationGroup {
					t.Fatalf("Again(%+v, %s to %s) =\n%s; want\n%s", r, from, to, place(&stored), place(&want))
				}
			}
		}
	}
}

// plainType is a type in one spelling; Other says as little as none.
func plainType(r *pipeline.Report) string {
	return strings.TrimPrefix(types().canonical(r.Resource.Type), typeOther)
}

func place(r *pipeline.Report) string {
	return fmt.Sprintf("%q %q %q %q %q, given %+v", r.Account.ID, r.Region, r.Resource.ID, r.Resource.Type, r.Problem, r.Given)
}

func TestAgainLeavesAlone(t *testing.T) {
	r := pipeline.Report{Product: "Prowler", ID: "1", Control: "iam_root_mfa_enabled", Account: pipeline.Account{ID: "123456789012"}, Region: "eu-west-1"}
	Identify(&r)
	cut := r
	cut.Resource.ID = "AWS::::Account:[masked]"
	before := cut
	if got, ok := Embedded().Again(&cut, r.Print); ok || got != r.Print || !reflect.DeepEqual(cut, before) {
		t.Errorf("Again of a report that does not lead to its fingerprint = true or %+v; want false and no change", cut)
	}
	v := pipeline.Report{Kind: pipeline.KindVulnerability, Vuln: &pipeline.Vulnerability{ID: "CVE-1", Package: "x"}, Resource: pipeline.Resource{ID: "i-1"}}
	Identify(&v)
	was := v.Print
	if got, ok := mustRead(t, "version 9\n").Again(&v, was); !ok || got != was || v.Print != was {
		t.Errorf("Again of a vulnerability = %s; want %s: no map has a say in it", v.Print.Short(), was.Short())
	}
}

func TestMapVersion(t *testing.T) {
	row := "a-b\tAwsAccount\tsame\tfsbp:X.1,prowler:x\t-\tTitle\tH\n"
	first := mustRead(t, "version 7\n"+row).Version()
	if !strings.HasPrefix(first, "7-") || len(first) != 2+8 {
		t.Errorf("Version() = %q; want 7- and 8 digits", first)
	}
	for name, c := range map[string]struct {
		file string
		same bool
	}{
		"comment and title": {"# more\nversion 7\n" + strings.Replace(row, "Title", "Words", 1), true},
		"order of names":    {"version 7\n" + strings.Replace(row, "fsbp:X.1,prowler:x", "prowler:x,fsbp:X.1", 1), true},
		"a name less":       {"version 7\n" + strings.Replace(row, ",prowler:x", "", 1), false},
		"another kind":      {"version 7\n" + strings.Replace(row, "AwsAccount", "AwsAccount@global", 1), false},
		"another group":     {"version 7\n" + strings.Replace(row, "\t-\t", "\tz\t", 1), false},
		"another word":      {"version 8\n" + row, false},
	} {
		if got := mustRead(t, c.file).Version(); (got == first) != c.same {
			t.Errorf("Version(%s) = %s, of the first %s; want the same: %v", name, got, first, c.same)
		}
	}
}
