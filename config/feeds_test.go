package config

import (
	"strings"
	"testing"
	"time"
)

func TestFeeds(t *testing.T) {
	const rest = "\nteams: [{name: a}]\nroute: {team: a}\n"
	tests := []struct {
		name, yaml string
		want       []string // parts of the errors, in order; none: it is fine
	}{
		{"a file and an address", "risk: {feeds: {kev: {file: kev.json}, epss: {url: 'https://example.com/epss.csv.gz', likely: 0.9, max_age: 3d}}}", nil},
		{"an address with a query", "risk: {feeds: {kev: {url: 'https://example.com/kev?x=1'}}}", nil},
		{"neither", "risk: {feeds: {kev: {max_age: 3d}}}", []string{"docket.yaml:1:16: risk.feeds.kev: names neither a file nor an address"}},
		{"both", "risk: {feeds: {kev: {file: a, url: 'https://example.com/b'}}}", []string{"risk.feeds.kev.url: stands beside file"}},
		{"no address", "risk: {feeds: {epss: {url: example.com}}}", []string{"risk.feeds.epss.url: is no web address"}},
		{"credentials", "risk: {feeds: {epss: {url: 'https://me:hunter2@example.com/x'}}}", []string{"risk.feeds.epss.url: must not carry credentials"}},
		{"too often", "risk: {feeds: {epss: {url: 'https://example.com/x', interval: 1m}}}", []string{"risk.feeds.epss.interval: is 1m; ask for a feed at most every 15m"}},
		{"no likelihood", "risk: {feeds: {epss: {file: x, likely: 1.5}}}", []string{"risk.feeds.epss.likely"}},
		{"of the other", "risk: {feeds: {kev: {file: x, likely: 0.5}}}", []string{"risk.feeds.kev.likely: unknown key"}},
		{"a misspelt one", "risk: {feeds: {eps: {file: x}}}", []string{"did you mean epss"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]File{{"docket.yaml", []byte(tt.yaml + rest)}}, ".", testEnv())
			got := asErrors(t, err)
			if len(got) != len(tt.want) {
				t.Fatalf("Parse() = %v; want %d errors", err, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i].Error(), want) || strings.Contains(got[i].Error(), "hunter2") {
					t.Errorf("Parse() = %v; want %q", got[i], want)
				}
			}
		})
	}
	cfg, err := Parse([]File{{"docket.yaml", []byte("risk: {feeds: {kev: {file: a}, epss: {file: b}}}" + rest)}}, ".", testEnv())
	if err != nil {
		t.Fatal(err)
	}
	k, e := cfg.Risk.Feeds.KEV, cfg.Risk.Feeds.EPSS
	if k.MaxAge != 14*24*time.Hour || k.Interval != 24*time.Hour || e.MaxAge != 7*24*time.Hour || e.Interval != 24*time.Hour || e.Likely != 0.5 {
		t.Errorf("defaults = %+v, %+v; want those of docs/configuration.md", k, e)
	}
}

func TestRuleTestsSayWhatFeedsHold(t *testing.T) {
	const test = "tests: [{name: x, file: y, want: {team: a}%s}]\n"
	parse := func(head, inside string) ([]RuleTest, Errors) {
		return parseRuleTests(File{"rules.yaml", []byte(head + strings.Replace(test, "%s", inside, 1))})
	}
	got, errs := parse("feeds: {date: 2026-11-20, kev: [CVE-2024-3094]}\n", "")
	if len(errs) > 0 || got[0].Feeds == nil || got[0].Feeds.KEV[0] != "CVE-2024-3094" {
		t.Errorf("parseRuleTests() = %+v, %v; want the feeds of the file", got, errs)
	}
	got, errs = parse("feeds: {date: 2026-11-20, kev: [CVE-2024-3094]}\n", ", feeds: {date: 2026-11-21, epss: {CVE-2024-0001: 0.5}}")
	if len(errs) > 0 || len(got[0].Feeds.KEV) != 0 || got[0].Feeds.EPSS["CVE-2024-0001"] != 0.5 {
		t.Errorf("parseRuleTests() = %+v, %v; want the test's own feeds", got, errs)
	}
	for inside, want := range map[string]string{
		", feeds: {kev: [CVE-2024-3094]}":                         "tests[0].feeds.date",
		", feeds: {date: 2026-11-21, kev: [GHSA-1]}":              `tests[0].feeds.kev[0]: "GHSA-1" is no CVE`,
		", feeds: {date: 2026-11-21, epss: {CVE-2024-0001: 93}}":  "93 is no likelihood from 0 to 1",
		", feeds: {date: 2026-11-21, epss: {CVE-2024-01: 0.5}}":   `"CVE-2024-01" is no CVE`,
		", feeds: {date: 2026-11-21, epps: {CVE-2024-0001: 0.5}}": "did you mean epss",
	} {
		if _, errs := parse("", inside); len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("parseRuleTests(%s) = %v; want %q", inside, errs, want)
		}
	}
}
