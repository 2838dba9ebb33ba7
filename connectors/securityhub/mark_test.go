package securityhub

import (
	"fmt"
	"slices"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

func TestPack(t *testing.T) {
	var scopes []string
	for i := range 20_000 {
		scopes = append(scopes, facts{account: fmt.Sprintf("%012d", i/20), region: fmt.Sprintf("eu-west-%d", i%4), product: fmt.Sprint("aws/p", i%5)}.scope())
	}
	slices.Sort(scopes)
	p, err := pack(scopes)
	if err != nil || !slices.Equal(p.list(), scopes) {
		t.Fatalf("pack() = %d bytes, %v; want the same %d scopes back", len(p), err, len(scopes))
	}
	if len(p) > 100_000 {
		t.Errorf("pack(%d scopes) = %d bytes; want hardly any", len(scopes), len(p))
	}
	for _, damaged := range []packed{"", "x", p[:len(p)/2], "!" + p} {
		if got := damaged.list(); len(got) != 0 {
			t.Errorf("list(damaged) = %d scopes; want none", len(got))
		}
	}
}

func TestScope(t *testing.T) {
	for _, c := range []struct {
		f    facts
		want string
	}{
		{facts{account: "1", region: "eu-west-1", product: "aws/guardduty"}, "aws/securityhub/1/eu-west-1/guardduty"},
		{facts{account: "1", region: "eu-west-1", product: "prowler/prowler"}, "aws/securityhub/1/eu-west-1/prowler/prowler"},
		{facts{account: "1", region: "eu-west-1", product: "1/default"}, "aws/securityhub/1/eu-west-1/1/default"},
		{facts{account: "1", region: "eu-west-1"}, ""},
		{facts{region: "eu-west-1", product: "aws/x"}, ""},
	} {
		got := c.f.scope()
		if got != c.want {
			t.Errorf("scope(%+v) = %q; want %q", c.f, got, c.want)
		}
		account, region, product := placeOf(got)
		if got != "" && (account != c.f.account || region != c.f.region || product != c.f.product) {
			t.Errorf("placeOf(%q) = %s, %s, %s; want %+v", got, account, region, product, c.f)
		}
	}
}

func TestLinkShows(t *testing.T) {
	for _, c := range []struct {
		link   link
		region string
		want   bool
	}{
		{link{home: "a"}, "a", true},
		{link{home: "a"}, "b", false},
		{link{"a", "NO_REGIONS", nil}, "b", false},
		{link{"a", "ALL_REGIONS", nil}, "b", true},
		{link{"a", "ALL_REGIONS_EXCEPT_SPECIFIED", []string{"b"}}, "b", false},
		{link{"a", "ALL_REGIONS_EXCEPT_SPECIFIED", []string{"b"}}, "c", true},
		{link{"a", "SPECIFIED_REGIONS", []string{"b"}}, "b", true},
		{link{"a", "SPECIFIED_REGIONS", []string{"b"}}, "c", false},
	} {
		if got := c.link.shows(c.region); got != c.want {
			t.Errorf("shows(%+v, %s) = %t; want %t", c.link, c.region, got, c.want)
		}
	}
}

func FuzzMark(f *testing.F) {
	for _, seed := range []string{"", "null", `{"v":1}`, `{"v":1,"places":{"home/eu-west-1":null}}`, `{"v":1,"places":{"a/b":{"at":"2026-11-01T00:00:00Z","filter":"","full":{"from":"2026-11-01T00:00:00Z"},"scopes":"H4s"}}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := parseMark(pipeline.Watermark(text))
		for _, p := range m.Places {
			p.Scopes.list()
		}
		again, err := m.text()
		if err != nil {
			return // an instant beyond the year 9999 cannot be written, and is told
		}
		if twice, err := parseMark(again).text(); err != nil || twice != again {
			t.Errorf("parse(%q) written = %q, and again %q, %v; want the same", text, again, twice, err)
		}
	})
}

// FuzzRecord holds that no text of a finding or of a page breaks the reading of it.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"Findings":[{"Id":"x","AwsAccountId":"1","ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/x","UpdatedAt":"2026-11-01T00:00:00Z"}],"NextToken":"t"}`))
	f.Add([]byte(`{"cloud":{"account":{"uid":"1"},"region":"r"},"metadata":{"product":{"uid":"a:productv2/aws/x"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		parsePage(data)
		for _, name := range []string{"asff", "ocsf"} {
			r := factsOf(name, data)
			if s := r.scope(); s != "" {
				if account, region, _ := placeOf(s); account+region == "" {
					t.Errorf("placeOf(%q) is empty; want a place", s)
				}
			}
		}
	})
}

func TestProductARNs(t *testing.T) {
	for _, c := range []struct {
		name     string
		products []string
		regions  []string
		want     []string
	}{
		{"AWS's own in known regions", []string{"GuardDuty", "aws/macie"}, []string{"cn-north-1", "eu-west-1"}, []string{
			"arn:aws-cn:securityhub:cn-north-1::product/aws/guardduty", "arn:aws-cn:securityhub:cn-north-1::product/aws/macie",
			"arn:aws:securityhub:eu-west-1::product/aws/guardduty", "arn:aws:securityhub:eu-west-1::product/aws/macie"}},
		{"unknown regions", []string{"guardduty"}, nil, nil},
		{"another company's", []string{"guardduty", "prowler/prowler"}, []string{"eu-west-1"}, nil},
		{"all", nil, []string{"eu-west-1"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFilter(Config{Products: c.products, Regions: c.regions}, 0)
			if got := f.productARNs("product"); !slices.Equal(got, c.want) {
				t.Errorf("productARNs() = %v; want %v", got, c.want)
			}
		})
	}
}
