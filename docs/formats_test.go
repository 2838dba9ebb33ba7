package docs_test

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
	"github.com/docket-hub/docket/pipeline/risk"
)

// reads is what a page says of its sample.
type reads struct {
	// Findings are what the sample comes to, in order; what is left out may be anything.
	Findings []finding `yaml:"findings"`
	// Scan is the scope whose absence the sample proves; "none" where it proves nothing.
	Scan string `yaml:"scan"`
	// Source is what the source adds: its repository and account.
	Source struct {
		Repository string `yaml:"repository"`
		Account    string `yaml:"account"`
	} `yaml:"source"`
	// Edits of the sample and what they make of its first finding.
	Edits []edit `yaml:"edits"`
}

type finding struct {
	Kind        string   `yaml:"kind"`
	Product     string   `yaml:"product"`
	Control     string   `yaml:"control"`
	Severity    string   `yaml:"severity"`
	Status      string   `yaml:"status"`
	Account     string   `yaml:"account"`
	Region      string   `yaml:"region"`
	Resource    string   `yaml:"resource"`
	Repository  string   `yaml:"repository"`
	Problem     string   `yaml:"problem"`
	RiskFactors []string `yaml:"risk_factors"`
}

// edit puts one text for another in the sample. Is says what that makes of the first finding: "the same finding",
// "another finding", a severity, a status, "rejected" or "no scan".
type edit struct {
	For string `yaml:"for"`
	Put string `yaml:"put"`
	Is  string `yaml:"is"`
}

// read is what docket makes of a document.
type read struct {
	reports  []pipeline.Report
	scans    []pipeline.Scan
	rejected []string
}

func decode(t *testing.T, name, doc string, r *reads) read {
	t.Helper()
	var out read
	known, err := format.Split(strings.NewReader(doc), format.Options{Origin: name, Reject: func(x pipeline.Reject) error {
		out.rejected = append(out.rejected, x.Reason)
		return nil
	}}, func(rec pipeline.Record) error {
		rep, err := format.Decode(rec)
		if err != nil {
			out.rejected = append(out.rejected, err.Error())
			return nil
		}
		if rep.Repository == "" {
			rep.Repository = r.Source.Repository
		}
		if rep.Account.ID == "" {
			rep.Account.ID = r.Source.Account
		}
		identity.Identify(&rep)
		risk.Derive(&rep)
		out.reports = append(out.reports, rep)
		return nil
	})
	if err != nil {
		out.rejected = append(out.rejected, err.Error())
	}
	out.scans = known.Scans
	return out
}

// TestFormats decodes the samples of the pages and holds what the pages say of them against the result: each page has a
// block "sample" and behind it one with what docket reads in it.
func TestFormats(t *testing.T) {
	names, err := filepath.Glob("formats/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = filepath.ToSlash(name)
		if name == "formats/README.md" {
			continue
		}
		var sample *block
		pairs, proves := 0, false
		for _, b := range blocks(t, name) {
			switch b.mark() {
			case "sample":
				sample = &b
			case "reads":
				if sample == nil {
					t.Errorf("%s: a block of what is read without a sample before it", b.at())
					continue
				}
				pairs++
				proves = proves || !strings.Contains(b.text, "\nscan: none\n")
				compareSample(t, *sample, b)
				sample = nil
			}
		}
		base := strings.TrimSuffix(filepath.Base(name), ".md")
		row := regexp.MustCompile("(?m)^\\| \\[`" + base + "`\\].*\\| ([^|]+) \\|$").FindStringSubmatch(page(t, "formats/README.md"))
		if row == nil || (row[1] == "nothing") == proves {
			t.Errorf("formats/README.md says of what a document of %s is a whole scan: %v; want what its samples are: %v", base, row, proves)
		}
		if pairs == 0 || sample != nil {
			t.Errorf("%s has %d samples with what is read, one left over: %v; want at least one and none left", name, pairs, sample != nil)
		}
	}
}

func compareSample(t *testing.T, sample, says block) {
	t.Helper()
	var r reads
	d := yaml.NewDecoder(strings.NewReader(says.text))
	d.KnownFields(true)
	if err := d.Decode(&r); err != nil {
		t.Errorf("%s: %v; want findings, scan, source, edits", says.at(), err)
		return
	}
	got := decode(t, sample.page, sample.text, &r)
	if len(got.rejected) > 0 || len(got.reports) != len(r.Findings) || len(got.reports) == 0 {
		t.Errorf("%s comes to %d findings, refused: %v; want the %d that %s says", sample.at(), len(got.reports), got.rejected, len(r.Findings), says.at())
		return
	}
	for i := range r.Findings {
		r.Findings[i].compare(t, says.at(), i, &got.reports[i])
	}
	scan := "none"
	if len(got.scans) > 0 {
		scan = got.scans[0].Scope
	}
	if scan != r.Scan {
		t.Errorf("%s is a scan of %q; want %q", sample.at(), scan, r.Scan)
	}
	for _, e := range r.Edits {
		if !strings.Contains(sample.text, e.For) {
			t.Errorf("%s: the sample has no %q to put another text for", says.at(), e.For)
			continue
		}
		if err := e.check(&got, decode(t, sample.page, strings.ReplaceAll(sample.text, e.For, e.Put), &r)); err != nil {
			t.Errorf("%s: %q for %q: %v", says.at(), e.Put, e.For, err)
		}
	}
}

func (f *finding) compare(t *testing.T, at string, i int, got *pipeline.Report) {
	t.Helper()
	for _, m := range []struct{ name, got, want string }{
		{"kind", string(got.Kind), f.Kind}, {"product", got.Product, f.Product}, {"control", got.Control, f.Control},
		{"severity", got.Severity.String(), f.Severity}, {"status", got.Status.String(), f.Status}, {"account", got.Account.ID, f.Account},
		{"region", got.Region, f.Region}, {"resource", got.Resource.ID, f.Resource}, {"repository", got.Repository, f.Repository}, {"problem", got.Problem, f.Problem},
	} {
		if m.want != "" && m.got != m.want {
			t.Errorf("%s: %s of finding %d = %q; want %q", at, m.name, i, m.got, m.want)
		}
	}
	for _, must := range []struct{ name, word string }{{"kind", f.Kind}, {"severity", f.Severity}, {"status", f.Status}, {"resource", f.Resource}} {
		if must.word == "" {
			t.Errorf("%s says nothing of the %s of finding %d; want kind, severity, status and resource", at, must.name, i)
		}
	}
	for _, w := range f.RiskFactors {
		if !slices.Contains(got.RiskFactors, w) {
			t.Errorf("%s: risk factors of finding %d = %v; want %s among them", at, i, got.RiskFactors, w)
		}
	}
}

// check compares what an edited sample comes to with what the page says.
func (e *edit) check(before *read, after read) error {
	wrong := func(got string) error { return errors.New("is " + got + "; want " + e.Is) }
	switch {
	case e.Is == "rejected":
		if len(after.rejected) == 0 {
			return wrong("read")
		}
		return nil
	case e.Is == "no scan":
		if len(after.scans) > 0 {
			return wrong("a scan of " + after.scans[0].Scope)
		}
		return nil
	case len(after.reports) == 0:
		return wrong("refused: " + strings.Join(after.rejected, ", "))
	}
	was, is := &before.reports[0], &after.reports[0]
	switch e.Is {
	case "the same finding":
		if was.Print != is.Print {
			return wrong("another finding (" + is.Problem + " of " + is.Resource.ID + ")")
		}
	case "another finding":
		if was.Print == is.Print {
			return wrong("the same finding")
		}
	case "open", "resolved", "unproven":
		if is.Status.String() != e.Is {
			return wrong(is.Status.String() + " (" + is.StatusReason + ")")
		}
	default:
		if is.Severity.String() != e.Is {
			return wrong(is.Severity.String())
		}
		if was.Print != is.Print {
			return wrong("another finding")
		}
	}
	return nil
}

// TestFolds puts the words of formats/README.md into the first samples of the pages and wants one finding of them.
func TestFolds(t *testing.T) {
	type fold struct {
		What    string `yaml:"what"`
		Samples []struct {
			Page string            `yaml:"page"`
			Put  map[string]string `yaml:"put"`
		} `yaml:"samples"`
	}
	n := 0
	for _, b := range blocks(t, "formats/README.md") {
		if b.mark() != "folds" {
			continue
		}
		var folds []fold
		if err := yaml.Unmarshal([]byte(b.text), &folds); err != nil {
			t.Fatalf("%s: %v; want a list", b.at(), err)
		}
		for _, f := range folds {
			var print pipeline.Fingerprint
			for _, s := range f.Samples {
				all := blocks(t, "formats/"+s.Page)
				text := all[slices.IndexFunc(all, func(b block) bool { return b.mark() == "sample" })].text
				for from, to := range s.Put {
					if !strings.Contains(text, from) {
						t.Errorf("%s: the sample of %s has no %q", b.at(), s.Page, from)
					}
					text = strings.ReplaceAll(text, from, to)
				}
				got := decode(t, s.Page, text, &reads{})
				switch {
				case len(got.reports) != 1:
					t.Errorf("%s: %s of %s comes to %d findings, refused: %v; want one", b.at(), f.What, s.Page, len(got.reports), got.rejected)
				case print.IsZero():
					print = got.reports[0].Print
				case got.reports[0].Print != print:
					r := got.reports[0]
					t.Errorf("%s: %s of %s is %s of %s in %s %s; want the same finding as of %s", b.at(), f.What, s.Page, r.Problem, r.Resource.ID, r.Account.ID, r.Region, f.Samples[0].Page)
				}
				n++
			}
		}
	}
	if n < 8 {
		t.Errorf("formats/README.md folds %d samples; want those that are there found", n)
	}
}
