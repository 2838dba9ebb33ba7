package guardduty

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

const (
	backAdmin  = "111111111111"
	backMember = "222222222222"
	backAlone  = "333333333333"
	backRegion = "eu-west-1"
)

// newDesk is a GuardDuty of an administrator with one member and of an account by itself, with a write-back to it.
func newDesk(t *testing.T) (*awstest.Server, *awstest.GuardDuty, *writeBack) {
	t.Helper()
	server, err := awstest.New(awstest.Options{Org: awstest.Org{Home: backAdmin, Accounts: []awstest.Account{{ID: backAdmin}, {ID: backMember}, {ID: backAlone}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, line := range server.Env() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	duty := awstest.NewGuardDuty()
	server.Handle("guardduty", duty.Handler())
	for _, a := range []string{backAdmin, backMember, backAlone} {
		duty.Enable(a, backRegion)
	}
	duty.Administer(backAdmin, backMember, backRegion)
	fleet, err := awsx.New(awsx.Settings{Organization: &awsx.Organization{RoleName: "docket-readonly"}, Regions: []string{backRegion}}, awsx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return server, duty, newWriteBack(New(DefaultConfig(), Options{Fleet: fleet}))
}

// put adds n findings of an account and is what they are marked by.
func put(t *testing.T, duty *awstest.GuardDuty, w *writeBack, account string, n int) []pipeline.Mark {
	t.Helper()
	var marks []pipeline.Mark
	for i := range n {
		id := fmt.Sprintf("%s-%d", account, i)
		doc := fmt.Sprintf(`{"id":%q,"accountId":%q,"region":%q,"type":"Recon:EC2/Portscan","severity":5,"title":"t","createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z",`+
			`"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-1"}},"service":{"count":1}}`, id, account, backRegion)
		if err := duty.Put(json.RawMessage(doc)); err != nil {
			t.Fatal(err)
		}
		m, ok := w.Mark(&pipeline.Report{Product: "GuardDuty", ID: "arn:aws:guardduty:" + backRegion + ":" + account + ":detector/d/finding/" + id})
		if !ok || m.ID != id || m.Account != account {
			t.Fatalf("Mark(%s) = %+v, %v; want it by its id and account", id, m, ok)
		}
		marks = append(marks, m)
	}
	return marks
}

func tell(t *testing.T, w *writeBack, st pipeline.MarkStatus, marks []pipeline.Mark) error {
	t.Helper()
	for i := range marks {
		marks[i].Status = st
	}
	applied, err := w.Apply(t.Context(), pipeline.Ticket{Marks: marks})
	if !applied.Ref.IsZero() {
		t.Errorf("Apply() = %+v; want no record", applied)
	}
	return err
}

func TestWriteBackArchives(t *testing.T) {
	for _, c := range []struct {
		name    string
		account string
		n       int
	}{
		{"of the administrator", backAdmin, 3},
		{"of its member", backMember, 120},
		{"of an account by itself", backAlone, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, duty, w := newDesk(t)
			marks := put(t, duty, w, c.account, c.n)
			check := func(what string, want bool) {
				t.Helper()
				for _, m := range marks {
					if got := duty.Archived(c.account, backRegion, m.ID); got != want {
						t.Fatalf("%s: finding %s archived = %v; want %v", what, m.ID, got, want)
					}
				}
			}
			for _, step := range []struct {
				status pipeline.MarkStatus
				want   bool
			}{{"NOTIFIED", false}, {"SUPPRESSED", true}, {"NOTIFIED", true}, {"", true}, {"NEW", false}, {"RESOLVED", true}} {
				if err := tell(t, w, step.status, marks); err != nil {
					t.Fatal(err)
				}
				check("after "+string(step.status), step.want)
			}
			calls := server.Calls(awstest.Match{Operation: "ArchiveFindings"})
			if err := tell(t, w, pipeline.MarkResolved, marks); err != nil || server.Calls(awstest.Match{Operation: "ArchiveFindings"}) != calls {
				t.Errorf("Apply() again = %v; want nothing archived once more", err)
			}
		})
	}
}

// One account that refuses keeps its own findings; one that nobody reads is a person's to decide.
func TestWriteBackErrors(t *testing.T) {
	server, duty, w := newDesk(t)
	marks := append(put(t, duty, w, backAlone, 1), put(t, duty, w, backMember, 1)...)
	server.Fault(awstest.Match{Service: "guardduty", Account: backAlone, Operation: "ArchiveFindings"}, awstest.Denied())
	if err := tell(t, w, pipeline.MarkSuppressed, marks); !errors.Is(err, pipeline.ErrForbidden) || !strings.Contains(err.Error(), backAlone) {
		t.Errorf("Apply() = %v; want the account named and its place forbidden", err)
	}
	if !duty.Archived(backMember, backRegion, marks[1].ID) {
		t.Error("the other account's finding is not archived")
	}
	server.Heal()
	if err := tell(t, w, pipeline.MarkSuppressed, marks); err != nil || !duty.Archived(backAlone, backRegion, marks[0].ID) {
		t.Errorf("Apply() again = %v; want all archived", err)
	}
	stranger := []pipeline.Mark{{ID: "x", Account: "999999999999", Region: backRegion}}
	if err := tell(t, w, pipeline.MarkSuppressed, stranger); !pipeline.IsPermanent(err) {
		t.Errorf("Apply(an account that is not read) = %v; want it permanent", err)
	}
}

func TestMark(t *testing.T) {
	for _, c := range []struct {
		product, id string
		want        pipeline.Mark
	}{
		{"GuardDuty", "arn:aws:guardduty:eu-west-1:1:detector/d/finding/f", pipeline.Mark{ID: "f", Account: "1", Region: "eu-west-1"}},
		{"GuardDuty", "eu-west-1/guardduty f", pipeline.Mark{ID: "f", Account: "7", Region: "eu-west-1"}},
		{"GuardDuty", "f", pipeline.Mark{}},
		{"GuardDuty", "arn:aws:securityhub:eu-west-1:1:x/finding/f", pipeline.Mark{}},
		{"Inspector", "arn:aws:guardduty:eu-west-1:1:detector/d/finding/f", pipeline.Mark{}},
	} {
		m, ok := (&writeBack{}).Mark(&pipeline.Report{Product: c.product, ID: c.id, Account: pipeline.Account{ID: "7"}})
		if m != c.want || ok != (c.want.ID != "") {
			t.Errorf("Mark(%s %s) = %+v, %v; want %+v", c.product, c.id, m, ok, c.want)
		}
	}
}
