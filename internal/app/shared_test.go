package app

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/internal/api"
)

// published are the sample files with the findings that docket reads of each.
func published(t testing.TB) []formattest.Sample {
	t.Helper()
	return formattest.Samples(t, "asff", "asff-fsbp", "ocsf", "sarif", "eventbridge")
}

// sharedSite has one source per sample file, polled in the order of files.
func sharedSite(t testing.TB, files []formattest.Sample) *site {
	t.Helper()
	var b strings.Builder
	b.WriteString("sources:\n")
	for i, f := range files {
		fmt.Fprintf(&b, "  - {name: s%03d, type: file, paths: [%q]}\n", i, f.Path)
	}
	rest := strings.ReplaceAll(fileSite, `sources: [{name: reports, type: file, paths: ["in/*"]}]`, "")
	return newSite(t, rest+b.String())
}

// TestSharedFilesCount reads every published sample file through a whole run.
func TestSharedFilesCount(t *testing.T) {
	t.Parallel()
	files := published(t)
	s := sharedSite(t, files)
	sum := s.once()
	total := 0
	for i, row := range sum.Sources {
		if row.Records != files[i].Findings || row.Rejected != 0 {
			t.Errorf("%s: %d records, %d rejected; want %d and 0", files[i].Name, row.Records, row.Rejected, files[i].Findings)
		}
		total += files[i].Findings
	}
	if sum.Read != total || sum.Rejected != 0 || len(sum.Rejects) != 0 {
		t.Errorf("RunOnce() read %d, rejected %d %v; want %d and none", sum.Read, sum.Rejected, sum.Rejects, total)
	}
	if len(s.tickets()) == 0 || sum.TicketsCreated != len(s.tickets()) {
		t.Errorf("RunOnce() created %d tickets, %d files; want as many and some", sum.TicketsCreated, len(s.tickets()))
	}
	s.still()
	s.clean()
}

// TestSharedIdentities counts the distinct reports of the ASFF files as state knows them.
func TestSharedIdentities(t *testing.T) {
	t.Parallel()
	s := sharedSite(t, formattest.Samples(t, "asff", "asff-fsbp"))
	if sum := s.once(); sum.Read != 70 {
		t.Errorf("RunOnce() read %d; want 70", sum.Read)
	}
	svc := s.offline()
	keys := map[string]bool{}
	for _, row := range allFindings(t, svc) {
		d, err := svc.Finding(t.Context(), row.Fingerprint.String())
		if err != nil {
			t.Fatal(err)
		}
		for i := range d.Finding.Reports {
			keys[d.Finding.Reports[i].Key()] = true
		}
	}
	if len(keys) != 67 {
		t.Errorf("state knows %d report identities of the 70 ASFF findings; want 67", len(keys))
	}
}

// TestSharedOrders reads the files in several orders, and one alone after the
// other: the end is the same, and reading all again does nothing.
func TestSharedOrders(t *testing.T) {
	t.Parallel()
	files := published(t)
	s := sharedSite(t, files)
	s.once()
	wantFindings, wantCases := outcome(t, s.offline())
	same := func(t *testing.T, svc api.Service) {
		t.Helper()
		findings, cases := outcome(t, svc)
		if d := cmp.Diff(wantFindings, findings); d != "" {
			t.Errorf("findings differ from those of the first order (-first +this):\n%s", d)
		}
		if d := cmp.Diff(wantCases, cases); d != "" {
			t.Errorf("cases differ from those of the first order (-first +this):\n%s", d)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	for name, arrange := range map[string]func([]formattest.Sample){
		"reversed": func(l []formattest.Sample) { slices.Reverse(l) },
		"shuffled": func(l []formattest.Sample) { r.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] }) },
	} {
		t.Run(name, func(t *testing.T) {
			list := slices.Clone(files)
			arrange(list)
			s := sharedSite(t, list)
			s.once()
			same(t, s.offline())
			s.still()
			s.clean()
		})
	}
	t.Run("one alone after the other", func(t *testing.T) {
		s := newSite(t, fileSite)
		list := slices.Clone(files)
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		alone := func(f formattest.Sample) api.Summary {
			b, err := os.ReadFile(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(s.dir, "in")); err != nil {
				t.Fatal(err)
			}
			s.put("in/"+strings.ReplaceAll(f.Name, "/", "_"), b)
			return s.once()
		}
		for _, f := range list {
			alone(f)
		}
		same(t, s.offline())
		before := s.tickets()
		for _, f := range list[:10] {
			if sum := alone(f); moved(sum) {
				t.Errorf("%s again = %s; want nothing created, updated or closed", f.Name, counts(sum))
			}
		}
		if !slices.Equal(before, s.tickets()) {
			t.Error("reading again changed the ticket files")
		}
	})
}
