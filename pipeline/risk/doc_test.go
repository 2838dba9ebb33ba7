package risk

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/expr"
)

var update = flag.Bool("update", false, "write docs/risk.md from the tables")

func TestDocumentIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "risk.md")
	want := document(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/risk.md is not what the tables say (%v); run: go test ./pipeline/risk -run TestDocumentIsCurrent -update", err)
	}
}

// page is a Markdown text under way.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// cell keeps a text inside one cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func document(t *testing.T) string {
	var p page
	p.line("<!-- Written from the tables of pipeline/risk by: go test ./pipeline/risk -run TestDocumentIsCurrent -update -->")
	p.line("# Risk factors, points and priority\n")
	p.line("A finding's priority is worked out in four steps, and `docket explain` shows each of them:\n")
	p.line("1. its **severity** gives points;")
	p.line("2. each of its **risk factors** adds points, or takes some away;")
	p.line("3. the first of the configured **rules** whose condition holds decides the priority, whatever the score;")
	p.line("4. without such a rule the **thresholds** turn the score into the priority.\n")
	points(&p)
	factorTable(&p)
	origins(&p)
	feedPage(&p)
	configured(&p)
	sla(&p)
	examples(t, &p)
	expressions(&p)
	return p.String()
}

func points(p *page) {
	d := DefaultConfig()
	p.line("## Points and thresholds\n")
	p.line("| severity | points |\n|---|---|")
	for s := pipeline.Critical; ; s-- {
		note := ""
		if s == pipeline.SeverityUnknown {
			note = " (no source gave one: as MEDIUM, unless set)"
		}
		p.line("| %s | %d%s |", s, d.Severity[s], note)
		if s == pipeline.SeverityUnknown {
			break
		}
	}
	p.line("\n| priority | from a score of |\n|---|---|")
	for priority := pipeline.P1; priority < pipeline.P5; priority++ {
		p.line("| %s | %d |", priority, d.Thresholds[priority])
	}
	p.line("| P5 | everything below |\n")
	p.line("`risk.severity` and `risk.thresholds` change single values; what they leave out stays as above.\n")
}

func factorTable(p *page) {
	p.line("## The built-in risk factors\n")
	p.line("| factor | points | meaning |\n|---|---|---|")
	for _, f := range BuiltinFactors() {
		p.line("| `%s` | %d | %s |", f.Name, f.Points, cell(f.Meaning))
	}
	p.line("\n`risk.weights` changes a built-in factor's points; 0 switches it off. A factor that a source itself names and that has")
	p.line("no points is shown, and changes nothing.\n")
}

func origins(p *page) {
	p.line("## Where the built-in factors come from\n")
	p.line("Factors are worked out when a report comes in, from what the report itself carries:\n")
	p.line("- **vulnerability data**: `known_exploited` only from CISA's KEV catalogue, `exploit_available` only when the source says so. A score of EPSS")
	p.line("  that a source gives is a likelihood without a date and makes no factor; `finding.vulnerability.epss` reads it, and [the feeds](#the-feeds-kev-and-epss) do more;")
	p.line("- **the kind**: every threat has `active_threat`;")
	p.line("- **the names of the control**, all that the report has for it, compared without regard to case, whole or from behind the last `/`, as listed below;")
	var prefixes []string
	for _, prefix := range controlPrefixes {
		prefixes = append(prefixes, "`"+prefix+"*`")
	}
	p.line("  and every name that starts with %s: `public_exposure`;", strings.Join(prefixes, ", "))
	p.line("- **ASFF types** that start with one of these:")
	for _, x := range typePrefixes {
		p.line("  `%s`: %s;", x.prefix, factorNames(x.factors))
	}
	p.line("- **code**: `exposed_credential` for everything from %s, for rules with the part `secrets` (`generic.secrets.…`), and for `CKV_SECRET_*`;", strings.Join(secretScanners[:], ", "))
	p.line("- **tags** of the resource and the account (keys and values without regard to case, `-`, `_` and blanks): `env`, `environment` or `stage` with a word")
	p.line("  `prod`, `production`, `prd` or `live`, not after `non`, `no`, `not` or `pre`: `production`; the resource's own tag decides, else the account's, else the same words")
	p.line("  in the account's name. `data-classification`, `classification`, `data-sensitivity` or `sensitivity` with confidential, highly confidential,")
	p.line("  restricted, sensitive, secret, pii, phi or pci: `sensitive_data`. `exposure` or `internet-facing` on the resource with public, internet,")
	p.line("  internet-facing, external, true or yes, and every CloudFront distribution: `internet_facing`, unless `public_exposure` says more;")
	p.line("- **the title**, only of a control that is in no table and about which nothing else was found:")
	byFactor := map[set][]string{}
	var order []set
	for _, x := range titlePhrases {
		if byFactor[x.factors] == nil {
			order = append(order, x.factors)
		}
		byFactor[x.factors] = append(byFactor[x.factors], "\""+x.phrase+"\"")
	}
	for _, s := range order {
		p.line("  %s: %s;", factorNames(s), strings.Join(byFactor[s], ", "))
	}
	p.line("  never when it has %s.\n", "\""+strings.Join(titleStops[:], "\", \"")+"\"")
	p.line("| control, check or finding type | factors |\n|---|---|")
	for _, r := range slices.Concat(controlRows(), threatRows()) {
		names := factorNames(r.factors)
		if r.factors == 0 {
			names = "none: about watching, or a guard rail"
		}
		p.line("| %s | %s |", strings.Join(strings.Fields(r.names), ", "), names)
	}
	p.line("")
}

func feedPage(p *page) {
	p.line("## The feeds KEV and EPSS\n")
	p.line("Sources tell what they know of a CVE, or nothing. Two public feeds tell the rest, each as a file or an address, each optional:\n")
	p.line("```yaml\nrisk:\n  feeds:")
	p.line("    kev: {url: https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json}")
	p.line("    epss: {file: /srv/feeds/epss_scores-current.csv.gz, likely: %g}\n```\n", DefaultLikely)
	p.line("- **KEV**, CISA's catalogue of known exploited vulnerabilities, gives `known_exploited` and makes `finding.vulnerability.kev` true. It adds to what sources say: a")
	p.line("  vulnerability that a source calls known exploited stays so when the catalogue does not list it, and the explanation says whose word it is.")
	p.line("- **EPSS** gives `likely_exploited` from a score of `risk.feeds.epss.likely` up, and never `known_exploited`: it is the likelihood that somebody exploits the")
	p.line("  vulnerability within 30 days, and no proof that anybody does. `known_exploited` is the stronger fact and covers it. Its score takes the place of the source's in")
	p.line("  `finding.vulnerability.epss`, because it has a date.")
	p.line("- A finding is looked up by every CVE that its reports name; of several the worst counts. An id of another kind (GHSA) is in neither feed.")
	p.line("- **Every decision keeps the date** of the copies that it was made with, also where they say nothing of the CVE: `docket explain` shows `EPSS 0.93 on 2026-11-20 for CVE-2024-3094`,")
	p.line("  and what they say now where that is something else.")
	p.line("- **A new copy** is compared with the open findings. What it lists anew or no longer, and scores that crossed `likely`, are judged again: priorities rise at once and fall after")
	p.line("  a quiet day, and the story says why. Where an expression reads `finding.vulnerability.epss`, every other score is judged again. All else stays as it was decided, and nothing is written.")
	p.line("- **A copy that cannot be read** (a broken download, a web page in its place, fewer entries than it says, from an address one that is older or has less than half of the entries) is refused, and the")
	p.line("  last good one stays in use; it is kept in `data_dir/feeds`, so a restart without a network has it too. A row that cannot be read is named and left out; when that is more than ten")
	p.line("  rows and more than one in a hundred, the copy is refused.")
	p.line("- **A stale copy** is one whose own date is older than `max_age`. It is used as before, since an old fact about a vulnerability is better than none, and it is told: a warning in the log once a day, `docket_feed_stale` and")
	p.line("  `docket_feed_age_seconds`, `docket sources list`, `docket config check` and `docket explain`. Readiness does not depend on it.")
	p.line("- `docket rules test` asks no feed: a test says what they hold ([rules](rules.md)). `docket rules diff` judges both configurations with the same copies.\n")
}

func factorNames(s set) string {
	var all []string
	for i, name := range setNames {
		if s&(1<<i) != 0 {
			all = append(all, "`"+name+"`")
		}
	}
	return strings.Join(all, ", ")
}

// exampleConfig is what the second half of the examples uses.
func exampleConfig() Config {
	return Config{
		Factors: []Factor{{Name: "crown_jewel", When: `finding.account.tags["tier"] == "0"`, Points: 30}},
		Weights: map[string]int{Production: 15},
		Rules: []Rule{
			{When: `"exposed_credential" in finding.risk_factors`, Priority: pipeline.P1},
			{When: `finding.vulnerability.epss > 0.5 && finding.severity_rank >= 4`, Priority: pipeline.P2},
		},
	}
}

func configured(p *page) {
	c := exampleConfig()
	p.line("## Factors and rules of your own\n")
	p.line("```yaml\nrisk:\n  factors:")
	for _, f := range c.Factors {
		p.line("    - {name: %s, when: '%s', points: %d}", f.Name, f.When, f.Points)
	}
	p.line("  weights: {%s: %d}", Production, c.Weights[Production])
	p.line("  rules:")
	for _, r := range c.Rules {
		p.line("    - {when: '%s', priority: %s}", r.When, r.Priority)
	}
	p.line("```\n")
	p.line("A factor's points may be negative. Rules, routes and suppressions see the names of your factors in `finding.risk_factors`; the conditions of other factors do not.\n")
}

func sla(p *page) {
	d := DefaultConfig().SLA
	p.line("## The date by which a case must be solved\n")
	p.line("| priority | time |\n|---|---|")
	for priority := pipeline.P1; priority <= pipeline.P5; priority++ {
		limit := "none"
		if due := d.Due[priority]; due > 0 {
			limit = fmt.Sprintf("%d days", due/(24*time.Hour))
			if due == 24*time.Hour {
				limit = "1 day"
			}
		}
		p.line("| %s | %s |", priority, limit)
	}
	p.line("\n`risk.sla` changes single values; `0s` means no date. It counts from `risk.sla.start`: `%s` (the default: the source's word),", StartFirstObserved)
	p.line("`%s` (when docket first heard of it) or `%s`.\n", StartFirstSeen, StartTicketed)
}

func examples(t *testing.T, p *page) {
	report := func(r pipeline.Report) pipeline.Finding {
		Derive(&r)
		return pipeline.Finding{Kind: r.Kind, Severity: r.Severity, RiskFactors: r.RiskFactors, Account: r.Account, Resource: r.Resource, Control: r.Control, Vuln: r.Vuln, Raw: r.Raw}
	}
	tests := []struct {
		title string
		cfg   Config
		f     pipeline.Finding
	}{
		{"A bucket without encryption in a test account (S3.4, MEDIUM)", Config{}, report(pipeline.Report{Kind: pipeline.KindControl, Control: "S3.4", Severity: pipeline.Medium, Account: pipeline.Account{Name: "shop-test"}})},
		{"A cluster endpoint open to everybody, in a production account (EKS.1, HIGH)", Config{}, report(pipeline.Report{Kind: pipeline.KindControl, Control: "EKS.1", Severity: pipeline.High, Account: pipeline.Account{Name: "shop-prod"}})},
		{"A vulnerability that is known to be exploited (MEDIUM)", Config{}, report(pipeline.Report{Kind: pipeline.KindVulnerability, Severity: pipeline.Medium, Vuln: &pipeline.Vulnerability{ID: "CVE-2024-3094", KEV: true}})},
		{"A port scan seen by GuardDuty (LOW)", Config{}, report(pipeline.Report{Kind: pipeline.KindThreat, Control: "Recon:EC2/Portscan", Severity: pipeline.Low})},
		{"A missing tag (INFORMATIONAL)", Config{}, report(pipeline.Report{Kind: pipeline.KindControl, Control: "untagged", Severity: pipeline.Informational})},
		{"With the configuration above: the test bucket in a tier 0 account", exampleConfig(), report(pipeline.Report{Kind: pipeline.KindControl, Control: "S3.4", Severity: pipeline.Medium, Account: pipeline.Account{Tags: map[string]string{"tier": "0"}}})},
		{"With the configuration above: a key in a function's environment (LOW)", exampleConfig(), report(pipeline.Report{Kind: pipeline.KindControl, Control: "secret-in-env", Severity: pipeline.Low})},
		{"With the configuration above: a vulnerability that is likely to be exploited (HIGH)", exampleConfig(), report(pipeline.Report{Kind: pipeline.KindVulnerability, Severity: pipeline.High, Vuln: &pipeline.Vulnerability{EPSS: 0.7}})},
	}
	p.line("## Worked examples\n")
	for _, tt := range tests {
		got := testModel(t, tt.cfg).Assess(&tt.f)
		p.line("**%s: %s**\n", tt.title, got.Priority)
		p.line("| step | points | why |\n|---|---|---|")
		for _, r := range got.Reasons {
			points := fmt.Sprintf("%+d", r.Points)
			if r.Points == 0 {
				points = ""
			}
			p.line("| %s | %s | %s |", r.What, points, cell(r.Why))
		}
		p.line("")
	}
}

func expressions(p *page) {
	p.line("## What an expression can read\n")
	p.line("Expressions are [CEL](https://cel.dev) over one finding, with CEL's standard functions and macros. A field that does not exist is an error when the configuration is loaded.\n")
	p.line("| field | type |\n|---|---|")
	for _, f := range expr.Fields() {
		p.line("| `%s` | %s |", f.Name, f.Type)
	}
	p.line("\n- `finding.severity_rank` is 0 (unknown), 1 (INFORMATIONAL) to 5 (CRITICAL), for `<` and `>`.")
	p.line("- `finding.tag` and `finding.resource.tags` are the same. A tag that is missing reads as `\"\"`; `has(finding.tag.owner)` and `\"owner\" in finding.tag` tell whether it is there.")
	p.line("- `finding.raw` is the ranking source's whole record. Nothing is known about it before it is read: a field that is missing makes the expression fail")
	p.line("  on that finding, so ask first: `has(finding.raw.Confidence) && finding.raw.Confidence > 80`.")
	p.line("- An expression that fails counts as false, is counted, and shows in `docket explain`.")
	p.line("- One evaluation may cost at most %d of CEL's units. What would always cost more is refused at load, the rest is stopped and counts as failed.", expr.CostLimit)
}
