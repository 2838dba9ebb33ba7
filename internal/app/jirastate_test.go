package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/internal/api"
)

// titled are the issues by their titles; two of one title end the test, and so does one that speaks of another problem's resource.
func (p *play) titled() map[string]jiratest.Snapshot {
	p.t.Helper()
	out := map[string]jiratest.Snapshot{}
	for _, i := range p.jira.Issues() {
		if have, twice := out[i.Summary]; twice {
			p.t.Fatalf("%s and %s have the title %q", have.Key, i.Key, i.Summary)
		}
		out[i.Summary] = i
		n := strings.TrimPrefix(i.Summary, "Sample problem ")
		if !strings.Contains(i.Description, "thing/"+strings.Repeat("0", 5-len(n))+n) {
			p.t.Errorf("%s, %q, is about another problem:\n%s", i.Key, i.Summary, i.Description)
		}
	}
	return out
}

// TestStateLostAndAdopted: the state file, or the whole data folder, is deleted. After adopt, and in the run behind it,
// no ticket is created; so it is without adopt where the look-up by key finds them.
func TestStateLostAndAdopted(t *testing.T) {
	for _, c := range []struct {
		name  string
		lost  string
		adopt bool
	}{
		{"the state file", stateFile, true},
		{"the state file, no adopt", stateFile, false},
		{"the whole folder", ".", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, jiratest.Options{}, "group_by: [account, control]", eachResource)
			for n := 1; n <= 5; n++ {
				p.report(n, "HIGH")
			}
			p.run()
			p.report(5, "resolved")
			p.run()
			p.do(p.jira.Edit(p.titled()["Sample problem 1"].Key, "priority", "Low"))
			p.do(os.RemoveAll(filepath.Join(p.dir, "data", c.lost)))
			if c.adopt {
				got, err := Adopt(t.Context(), p.config(), p.options(), api.AdoptRequest{From: api.FromDocket}, func(*api.Adoption) error { return nil }, quiet)
				if err != nil || len(got.Take) != 4 {
					t.Errorf("Adopt() = %d tickets, %v; want the 4 that are reported", len(got.Take), err)
				}
			}
			for range 2 {
				p.run()
			}
			if n := len(p.jira.Creates()); n != 5 {
				t.Errorf("%d creates; want the 5 of before", n)
			}
			if i := p.titled()["Sample problem 1"]; i.Priority != "Low" {
				t.Errorf("priority of %s = %s; want the person's", i.Key, i.Priority)
			}
			for _, row := range allCases(t, p.offline()) {
				if row.State == "open" && (len(row.Tickets) != 1 || row.Tickets[0].State != "open") {
					t.Errorf("%s = %+v; want its ticket", row.Case, row.Tickets)
				}
			}
			p.report(2, "resolved")
			p.run()
			if i := p.titled()["Sample problem 2"]; i.Category != jiratest.CategoryDone {
				t.Errorf("%s is %s after it was resolved; want it done", i.Key, i.Status)
			}
			p.oracle()
		})
	}
}

// TestYesterdaysState: a copy of the state of yesterday is put back. It numbers what came since anew, and other problems come
// first: no ticket is created for what has one, and none is taken for another problem's.
func TestYesterdaysState(t *testing.T) {
	for _, deadly := range []bool{false, true} {
		name := map[bool]string{false: "in peace", true: "killed after every write"}[deadly]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, jiratest.Options{}, "group_by: [account, control]", eachResource)
			for n := 1; n <= 3; n++ {
				p.report(n, "HIGH")
			}
			p.run()
			yesterday, err := os.ReadFile(filepath.Join(p.dir, "data", stateFile))
			p.do(err)
			p.pass(20 * time.Hour)
			for n := 11; n <= 13; n++ {
				p.report(n, "HIGH")
			}
			p.report(2, "resolved")
			p.run()
			p.pass(time.Hour)
			p.put("data/"+stateFile, yesterday)
			for n := 4; n <= 5; n++ { // read before what came since
				p.report(n, "HIGH")
			}
			p.deadly = deadly
			for range 2 {
				p.run()
			}
			byTitle := p.titled()
			if n := len(p.jira.Creates()); n != 8 || len(byTitle) != 8 {
				t.Errorf("%d creates, %d issues; want 6 of before and 2 new ones", n, len(byTitle))
			}
			for title, i := range byTitle {
				if done := i.Category == jiratest.CategoryDone; done != (title == "Sample problem 2") {
					t.Errorf("%s, %q, is %s; want only problem 2 done", i.Key, title, i.Status)
				}
			}
			p.deadly = false
			p.oracle()
		})
	}
}
