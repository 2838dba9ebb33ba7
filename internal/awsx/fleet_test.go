package awsx_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

const (
	hub     = "111111111111"
	denied  = "555555555555"
	closing = "999999999999"
)

// tenAccounts is an organisation of ten accounts, of which one does not let docket in, and one that is closing.
func tenAccounts() awstest.Org {
	o := awstest.Org{Home: hub, Regions: []string{"eu-central-1", "eu-west-1", "us-east-1"}}
	for i := range 10 {
		id := strings.Repeat(fmt.Sprint((i+1)%10), 12)
		a := awstest.Account{ID: id, Name: "account " + id[:1], Denied: id == denied, OU: []string{"workloads", "prod"}, Tags: map[string]string{"tier": id[:1]}}
		switch id {
		case hub:
			a.OU = nil
		case "222222222222":
			a.Regions = []string{"us-east-1"}
		case closing:
			a.Status = "PENDING_CLOSURE"
		}
		o.Accounts = append(o.Accounts, a)
	}
	return o
}

// start is a stand-in that the standard chain of the SDK finds.
func start(t *testing.T, o awstest.Options) *awstest.Server {
	t.Helper()
	s, err := awstest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, line := range s.Env() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	return s
}

// clock is a time that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func fleet(t *testing.T, s awsx.Settings, o awsx.Options) *awsx.Fleet {
	t.Helper()
	f, err := awsx.New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// places are targets as account/region.
func places(targets []awsx.Target) []string {
	var out []string
	for _, t := range targets {
		out = append(out, t.Account.ID[:1]+"/"+t.Region)
	}
	return out
}

// gapped are gaps as account/region, an empty part for all.
func gapped(gaps []pipeline.Gap) []string {
	var out []string
	for _, g := range gaps {
		out = append(out, g.Account+"/"+g.Region)
	}
	return out
}

func organization() awsx.Settings {
	return awsx.Settings{Organization: &awsx.Organization{RoleName: "docket-readonly", Exclude: []string{"333333333333"}}}
}

func TestTargetsOfAnOrganization(t *testing.T) {
	s := start(t, awstest.Options{Org: tenAccounts()})
	c := &clock{time.Now()}
	f := fleet(t, organization(), awsx.Options{Now: c.now})
	ctx := t.Context()
	targets, gaps, err := f.Targets(ctx, awsx.Ask{Service: "ssm"})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields("0/eu-central-1 0/eu-west-1 0/us-east-1 1/eu-central-1 1/eu-west-1 1/us-east-1 2/us-east-1 " + // 3 is excluded
		"4/eu-central-1 4/eu-west-1 4/us-east-1 6/eu-central-1 6/eu-west-1 6/us-east-1 " + // 5 refuses
		"7/eu-central-1 7/eu-west-1 7/us-east-1 8/eu-central-1 8/eu-west-1 8/us-east-1") // 9 is closing
	if got := places(targets); !slices.Equal(got, want) {
		t.Errorf("Targets() = %q; want %q", got, want)
	}
	if got := gapped(gaps); !slices.Equal(got, []string{denied + "/"}) || !strings.Contains(gaps[0].Reason, "trust policy") || !strings.Contains(gaps[0].Reason, "arn:aws:iam::"+denied+":role/docket-readonly") {
		t.Errorf("Targets() gaps = %q; want the account %s, with its role and what to do", gaps, denied)
	}
	if got := targets[len(targets)-1].Account; got.Name != "account 8" || !slices.Equal(got.OU, []string{"workloads", "prod"}) || got.Tags["tier"] != "8" {
		t.Errorf("the account of a target = %+v; want its name, units and tags", got)
	}
	if got, ok := f.Account(closing); !ok || got.Name != "account 9" {
		t.Errorf("Account(%s) = %+v, %v; want the closing account's name", closing, got, ok)
	}
	if _, ok := f.Account("123456789012"); ok {
		t.Error("Account(123456789012) is known; want nothing of a strange account")
	}

	calls := map[awstest.Match]int{}
	for _, m := range []awstest.Match{{Service: "organizations"}, {Service: "account"}, {Service: "sts"}} {
		calls[m] = s.Calls(m)
	}
	if _, again, err := f.Targets(ctx, awsx.Ask{Service: "guardduty"}); err != nil || !slices.Equal(again, gaps) {
		t.Errorf("Targets() again = %q, %v; want the same gaps", again, err)
	}
	for m, before := range calls {
		if got := s.Calls(m); got != before {
			t.Errorf("Targets() again made %d calls of %s; want none", got-before, m.Service)
		}
	}
	c.t = c.t.Add(6 * time.Minute)
	if _, _, err := f.Targets(ctx, awsx.Ask{Service: "ssm"}); err != nil {
		t.Fatal(err)
	}
	if got := s.Calls(awstest.Match{Service: "sts"}); got != calls[awstest.Match{Service: "sts"}]+1 {
		t.Errorf("Targets() after 6 minutes: %d calls of sts; want one more than %d, for the role that refused", got, calls[awstest.Match{Service: "sts"}])
	}
}

func TestTheListOfAccountsOutlivesAFailure(t *testing.T) {
	s := start(t, awstest.Options{Org: tenAccounts()})
	c := &clock{time.Now()}
	var log bytes.Buffer
	f := fleet(t, organization(), awsx.Options{Now: c.now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	first, _, err := f.Targets(t.Context(), awsx.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	s.Fault(awstest.Match{Service: "organizations"}, awstest.Denied())
	for range 3 {
		c.t = c.t.Add(61 * time.Minute)
		got, gaps, err := f.Targets(t.Context(), awsx.Ask{})
		if err != nil || !slices.Equal(places(got), places(first)) {
			t.Errorf("Targets() while Organizations refuses = %q, %v; want what was known", places(got), err)
		}
		if len(gaps) != 2 || gaps[0].Account != "" || !strings.Contains(gaps[0].Reason, "organizations") && !strings.Contains(gaps[0].Reason, "Organizations") {
			t.Errorf("Targets() while Organizations refuses: gaps %q; want one about the list first", gaps)
		}
	}
	s.Heal()
	c.t = c.t.Add(2 * time.Minute)
	s.Fault(awstest.Match{Operation: "ListTagsForResource"}, awstest.Denied())
	s.Fault(awstest.Match{Operation: "ListRoots"}, awstest.Denied())
	if _, gaps, err := f.Targets(t.Context(), awsx.Ask{}); err != nil || len(gaps) != 1 {
		t.Errorf("Targets() after that = %q, %v; want the one gap of the account that refuses", gaps, err)
	}
	if got, _ := f.Account("888888888888"); !slices.Equal(got.OU, []string{"workloads", "prod"}) || got.Tags["tier"] != "8" {
		t.Errorf("Account(888888888888) once units and tags may not be read = %+v; want those known before", got)
	}
	if n := strings.Count(log.String(), "going on with those known"); n != 1 {
		t.Errorf("the log says %d times that an old list is used; want once\n%s", n, log.String())
	}
	if !strings.Contains(log.String(), "can be read again") {
		t.Errorf("the log = %s; want a line that the list is read again", log.String())
	}
}

func TestWhatADeniedPermissionCosts(t *testing.T) {
	tests := []struct {
		name    string
		denied  awstest.Match
		wantErr string // empty: targets come
		want    string // of the first gap's reason, or of the log
	}{
		{"the list of accounts", awstest.Match{Operation: "ListAccounts"}, "ListAccounts", ""},
		{"tags of accounts", awstest.Match{Operation: "ListTagsForResource"}, "", "organizations:ListTagsForResource"},
		{"units of accounts", awstest.Match{Operation: "ListOrganizationalUnitsForParent"}, "", "organizations:ListRoots"},
		{"regions of one account", awstest.Match{Operation: "ListRegions", Account: "444444444444"}, "", "aws.regions"},
		{"regions everywhere", awstest.Match{Operation: "ListRegions"}, "none of", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, awstest.Options{Org: tenAccounts()})
			s.Fault(tt.denied, awstest.Denied())
			var log bytes.Buffer
			f := fleet(t, organization(), awsx.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			targets, gaps, err := f.Targets(t.Context(), awsx.Ask{})
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || !errors.Is(err, pipeline.ErrForbidden) || len(targets) > 0 {
					t.Errorf("Targets() = %q, %v; want a refusal that names %s", places(targets), err, tt.wantErr)
				}
				return
			}
			all := log.String()
			for _, g := range gaps {
				all += g.Reason
			}
			if err != nil || len(targets) < 15 || strings.Count(all, tt.want) != 1 {
				t.Errorf("Targets() = %q, %q, %v; want the other accounts, and %s named once in\n%s", places(targets), gaps, err, tt.want, all)
			}
		})
	}
}

func TestTargetsOfAList(t *testing.T) {
	start(t, awstest.Options{Org: awstest.Org{Home: hub, Role: "docket", ExternalID: "secret-handshake", Accounts: tenAccounts().Accounts}})
	role := func(id string) string { return "arn:aws:iam::" + id + ":role/docket" }
	f := fleet(t, awsx.Settings{ExternalID: "wrong", Regions: []string{"eu-west-1"}, Accounts: []awsx.Account{
		{ID: "222222222222", RoleARN: role("222222222222"), ExternalID: "secret-handshake", Name: "two", Tags: map[string]string{"tier": "2"}},
		{ID: hub},
		{ID: "333333333333", RoleARN: role("333333333333")},
		{ID: "444444444444"},
	}}, awsx.Options{})
	if got, ok := f.Account("222222222222"); !ok || got.Name != "two" || got.Tags["tier"] != "2" {
		t.Errorf("Account(222222222222) before any call = %+v, %v; want what the list says", got, ok)
	}
	targets, gaps, err := f.Targets(t.Context(), awsx.Ask{})
	if got, want := places(targets), []string{"1/eu-west-1", "2/eu-west-1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Targets() = %q, %v; want %q", got, err, want)
	}
	if got := gapped(gaps); !slices.Equal(got, []string{"333333333333/", "444444444444/"}) || !strings.Contains(gaps[0].Reason, "external id") || !strings.Contains(gaps[1].Reason, "role_arn") {
		t.Errorf("Targets() gaps = %q; want the wrong external id, and the account without a role", gaps)
	}
	for _, ask := range []awsx.Ask{{Regions: []string{"us-east-1"}}, {Service: "support", Regions: []string{"us-east-1"}}} {
		if targets, _, err := f.Targets(t.Context(), ask); err != nil || len(targets) != 2 || targets[0].Region != "us-east-1" {
			t.Errorf("Targets(%+v) = %q, %v; want the region asked for", ask, places(targets), err)
		}
	}
}

func TestTargetsWithoutSettings(t *testing.T) {
	start(t, awstest.Options{Org: tenAccounts()})
	targets, gaps, err := fleet(t, awsx.Settings{}, awsx.Options{}).Targets(t.Context(), awsx.Ask{})
	if got, want := places(targets), []string{"1/eu-central-1", "1/eu-west-1", "1/us-east-1"}; err != nil || len(gaps) > 0 || !slices.Equal(got, want) {
		t.Errorf("Targets() = %q, %q, %v; want %q", got, gaps, err, want)
	}
}

func TestHome(t *testing.T) {
	org := tenAccounts()
	start(t, awstest.Options{Org: org, Parameters: everywhere(org)})
	f := fleet(t, organization(), awsx.Options{})
	tests := []struct {
		name, region, role, wantRegion, wantErr string
	}{
		{"as it is", "", "", "eu-central-1", ""},
		{"a region", "us-east-1", "", "us-east-1", ""},
		{"a role", "eu-west-1", "arn:aws:iam::222222222222:role/docket-readonly", "eu-west-1", ""},
		{"a role that refuses", "eu-west-1", "arn:aws:iam::" + denied + ":role/docket-readonly", "", "trust policy"},
		{"no ARN", "eu-west-1", "docket-readonly", "", "docket-readonly"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := f.Home(t.Context(), tt.region, tt.role)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("Home(%q, %q) = %v; want %q in it", tt.region, tt.role, err, tt.wantErr)
				}
				return
			}
			if err != nil || cfg.Region != tt.wantRegion {
				t.Fatalf("Home(%q, %q) = %q, %v; want %q", tt.region, tt.role, cfg.Region, err, tt.wantRegion)
			}
			if tt.role == "" {
				if err := read(t.Context(), cfg); err != nil {
					t.Errorf("a call with it = %v; want an answer", err)
				}
			}
		})
	}
	if got, ok := f.Account("222222222222"); !ok || got.Name != "account 2" {
		t.Errorf("Account(222222222222) after Home = %+v, %v; want the directory", got, ok)
	}
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	tests := map[string]awsx.Settings{
		"both kinds of accounts": {Organization: &awsx.Organization{RoleName: "x"}, Accounts: []awsx.Account{{ID: hub}}},
		"no role":                {Organization: &awsx.Organization{}},
		"all and another":        {Regions: []string{"all", "eu-west-1"}},
	}
	for name, s := range tests {
		if _, err := awsx.New(s, awsx.Options{}); err == nil {
			t.Errorf("New(%s) = nil error; want one", name)
		}
	}
}

// TestALargeOrganization has more accounts than one page of any list, in units of several depths.
func TestALargeOrganization(t *testing.T) {
	org := awstest.Org{Regions: []string{"eu-west-1"}}
	for i := range 45 {
		a := awstest.Account{ID: fmt.Sprintf("1%011d", i), Name: fmt.Sprint("account ", i), Tags: map[string]string{"n": fmt.Sprint(i)}}
		if i < 43 {
			a.OU = []string{"workloads", fmt.Sprint("unit ", i%2), "deep"}[:i%4]
		}
		org.Accounts = append(org.Accounts, a)
	}
	s := start(t, awstest.Options{Org: org})
	f := fleet(t, organization(), awsx.Options{})
	targets, gaps, err := f.Targets(t.Context(), awsx.Ask{})
	if err != nil || len(gaps) > 0 || len(targets) != 45 {
		t.Fatalf("Targets() = %d targets, %q, %v; want 45", len(targets), gaps, err)
	}
	for i, a := range org.Accounts {
		if got, want := targets[i].Account, (pipeline.Account{ID: a.ID, Name: a.Name, OU: a.OU, Tags: a.Tags}); got.ID != want.ID || got.Name != want.Name || !slices.Equal(got.OU, want.OU) || got.Tags["n"] != fmt.Sprint(i) {
			t.Errorf("account %d = %+v; want %+v", i, got, want)
		}
	}
	if got := s.Calls(awstest.Match{Operation: "ListAccountsForParent"}); got > 15 {
		t.Errorf("ListAccountsForParent was called %d times; want one or two for each of seven units", got)
	}
}
