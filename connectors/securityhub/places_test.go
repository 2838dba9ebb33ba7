package securityhub_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

// placesConfig reads each account and region by itself.
func placesConfig() securityhub.Config {
	c := homeConfig()
	c.Region = ""
	return c
}

// ten is an organisation of ten accounts, the last of which does not let docket in.
func ten() []awstest.Account {
	list := []awstest.Account{{ID: admin, Name: "security"}, {ID: member, Name: "payments"}}
	for i := 3; i <= 10; i++ {
		list = append(list, awstest.Account{ID: strings.Repeat(fmt.Sprint(i%10), 12), Name: fmt.Sprint("account ", i), Denied: i == 10})
	}
	return list
}

func organization() awsx.Settings {
	return awsx.Settings{Organization: &awsx.Organization{RoleName: "docket-readonly"}}
}

// reasons are the gaps, a line each, with the given words of their reason.
func reasons(t *testing.T, gaps []pipeline.Gap, words ...string) string {
	t.Helper()
	var lines []string
	for _, g := range gaps {
		found := "other: " + g.Reason
		for _, w := range words {
			if strings.Contains(g.Reason, w) {
				found = w
			}
		}
		lines = append(lines, strings.TrimSpace(g.Account+" "+g.Region)+" "+found)
	}
	return strings.Join(lines, "\n")
}

func TestEachPlaceByItself(t *testing.T) {
	w := newWorld(t, organization(), ten()...)
	w.put(t, finding{id: "a"}, finding{id: "b", account: member}, finding{id: "c", account: member, region: "us-east-1"},
		finding{id: "d", account: "000000000000"}, finding{id: "e", account: "333333333333", product: "aws/guardduty"})
	c := placesConfig()
	c.Regions = []string{"eu-west-1", "us-east-1"}
	s := w.source(c, 0)
	k, res := read(t, s, full())
	want(t, "a full read", k.ids(t), "a b c e")
	if len(k.records) != 4 {
		t.Errorf("%d records; want 4: what the administrator sees of its members is not read twice", len(k.records))
	}
	want(t, "scans", k.marks(), strings.Join([]string{
		admin + "/eu-west-1/securityhub 1 complete", member + "/eu-west-1/securityhub 1 complete", member + "/us-east-1/securityhub 1 complete",
		"333333333333/eu-west-1/guardduty 1 complete",
	}, "\n"))
	want(t, "gaps", reasons(t, res.Gaps, "is not authorized", "role"), "000000000000 role")
	if res.Accounts != 9 || res.Regions != 2 {
		t.Errorf("Poll() reached %d accounts in %d regions; want 9 in 2", res.Accounts, res.Regions)
	}

	w.put(t, finding{id: "f", account: member, minutes: -1})
	k, _ = read(t, s, since(res.Watermark))
	if got := k.ids(t); !strings.Contains(got, "f") || k.marks() != "" {
		t.Errorf("changes = %s with scans %q; want f among them and no scans", got, k.marks())
	}
}

func TestPlacesThatAreSwitchedOff(t *testing.T) {
	w := newWorld(t, organization())
	w.put(t, finding{id: "a"}, finding{id: "b", account: member}, finding{id: "c", account: member, region: "us-east-1"})
	c := placesConfig()
	c.Regions = []string{"eu-west-1", "us-east-1"}
	_, res := read(t, w.source(c, 0), full())

	w.hub.Disable(member, "us-east-1")
	k, res := read(t, w.source(c, 0), pipeline.Request{Since: res.Watermark, Full: true})
	want(t, "Security Hub is switched off in one place", k.marks(), strings.Join([]string{
		admin + "/eu-west-1/securityhub 1 complete", member + "/eu-west-1/securityhub 1 complete", member + "/us-east-1/securityhub 0 left",
	}, "\n"))
	want(t, "gaps", reasons(t, res.Gaps, "not enabled"), member+" us-east-1 not enabled")

	c.Regions = []string{"us-east-1"}
	k, res = read(t, w.source(c, 0), since(res.Watermark))
	want(t, "a region is not read any more", k.marks(), strings.Join([]string{
		admin + "/eu-west-1/securityhub 0 left", member + "/eu-west-1/securityhub 0 left",
	}, "\n"))

	w.aws.Fault(awstest.Match{Service: "securityhub", Account: admin}, awstest.Denied())
	w.put(t, finding{id: "d", account: another, region: "us-east-1"})
	k, res = read(t, w.source(c, 0), pipeline.Request{Since: res.Watermark, Full: true})
	want(t, "denied in one account: the others are read", k.marks(), another+"/us-east-1/securityhub 1 complete")
	want(t, "gaps", reasons(t, res.Gaps, "AccessDenied", "not enabled"), admin+" us-east-1 AccessDenied\n"+member+" us-east-1 not enabled")

	w.aws.Heal()
	w.hub.Enable(member, "us-east-1")
	w.put(t, finding{id: "g", region: "us-east-1"})
	k, _ = read(t, w.source(c, 0), since(res.Watermark)) // the places that were not read whole are, now
	want(t, "back again", k.marks(), strings.Join([]string{
		admin + "/us-east-1/securityhub 1 complete", member + "/us-east-1/securityhub 1 complete",
	}, "\n"))
}

func TestAccountLeaves(t *testing.T) {
	accounts := []awsx.Account{{ID: admin}, {ID: member, RoleARN: "arn:aws:iam::" + member + ":role/docket-readonly"}}
	w := newWorld(t, awsx.Settings{Accounts: accounts, Regions: []string{"eu-west-1"}})
	w.put(t, finding{id: "a"}, finding{id: "b", account: member})
	_, res := read(t, w.source(placesConfig(), 0), full())
	fleet, err := awsx.New(awsx.Settings{Accounts: accounts[:1], Regions: []string{"eu-west-1"}}, awsx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.fleet = fleet
	k, res := read(t, w.source(placesConfig(), 0), since(res.Watermark))
	want(t, "an account is not listed any more", k.marks(), member+"/eu-west-1/securityhub 0 left")
	k, _ = read(t, w.source(placesConfig(), 0), since(res.Watermark))
	want(t, "it is told once", k.marks(), "")
}

func TestFromPlacesToHome(t *testing.T) {
	w := newWorld(t, organization())
	w.put(t, finding{id: "a"}, finding{id: "b", account: member})
	c := placesConfig()
	c.Regions = []string{"eu-west-1"}
	_, res := read(t, w.source(c, 0), full())
	k, _ := read(t, w.source(homeConfig(), 0), since(res.Watermark))
	if len(k.scans) != 4 || !k.scans[0].Left || !k.scans[1].Left || !k.scans[2].Complete || !k.scans[3].Complete {
		t.Errorf("scans = %+v; want the places left, then the home region read whole", k.scans)
	}
}
