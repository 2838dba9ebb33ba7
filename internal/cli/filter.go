package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
)

// filter is the flags that select findings or cases.
type filter struct {
	api.Filter
	since string
	all   bool
}

func (f *filter) flags(c *cobra.Command, states string) {
	fl := c.Flags()
	fl.StringSliceVar(&f.Team, "team", nil, "only of these teams (this and the next flags: several with commas)")
	fl.StringSliceVar(&f.Priority, "priority", nil, "only of these priorities, P1 to P5")
	fl.StringSliceVar(&f.State, "state", nil, "only in these states: "+states)
	fl.StringSliceVar(&f.Account, "account", nil, "only in these accounts, by id")
	fl.StringSliceVar(&f.Region, "region", nil, "only in these regions")
	fl.StringSliceVar(&f.Source, "source", nil, "only reported by these products (\"Security Hub\", Prowler)")
	fl.StringSliceVar(&f.RiskFactor, "risk-factor", nil, "only with one of these risk factors")
	fl.StringSliceVar(&f.Repository, "repository", nil, "only in these repositories")
	fl.StringSliceVar(&f.Severity, "severity", nil, "only of these severities, CRITICAL to INFORMATIONAL")
	fl.StringVar(&f.since, "since", "", "only what changed since: 7d, a date or an instant")
}

func (f *filter) paging(c *cobra.Command) {
	c.Flags().IntVar(&f.Limit, "limit", 100, "at most so many rows")
	c.Flags().StringVar(&f.Cursor, "cursor", "", "go on where an earlier list ended")
	c.Flags().BoolVar(&f.all, "all", false, "all rows, however many")
}

// given reports whether a flag of the filter was used.
func (f *filter) given() bool {
	n := len(f.Team) + len(f.Priority) + len(f.State) + len(f.Account) + len(f.Region) + len(f.Source) +
		len(f.RiskFactor) + len(f.Repository) + len(f.Severity)
	return n > 0 || f.since != ""
}

func (p *program) readFilter(c *cobra.Command, f *filter) error {
	if c.Flags().Lookup("limit") != nil && f.Limit < 1 {
		return misuse(c, "--limit %d: at least 1", f.Limit)
	}
	if f.all && c.Flags().Changed("limit") {
		return misuse(c, "--all and --limit exclude each other")
	}
	if f.since == "" {
		return nil
	}
	var err error
	f.Since, err = p.since(c, f.since)
	return err
}

// pageMost is how many rows a service gives at once at most.
const pageMost = 1000

// pages calls get until so many rows as wanted are there; get answers how many it got
// and where the next page begins. What pages returns is where the list could go on.
func (f *filter) pages(get func(api.Filter) (int, string, error)) (string, error) {
	ask := f.Filter
	for have := 0; ; {
		ask.Limit = pageMost
		if !f.all {
			ask.Limit = min(pageMost, f.Limit-have)
		}
		n, next, err := get(ask)
		have += n
		if err != nil || next == "" || !f.all && have >= f.Limit {
			return next, err
		}
		ask.Cursor = next
	}
}

func (f *filter) findings(ctx context.Context, svc api.Service) (api.FindingList, error) {
	out := api.FindingList{Findings: []api.FindingRow{}}
	next, err := f.pages(func(ask api.Filter) (int, string, error) {
		got, err := svc.Findings(ctx, ask)
		out.Findings = append(out.Findings, got.Findings...)
		return len(got.Findings), got.Next, err
	})
	out.Next = next
	return out, err
}

func (f *filter) cases(ctx context.Context, svc api.Service) (api.CaseList, error) {
	out := api.CaseList{Cases: []api.CaseRow{}}
	next, err := f.pages(func(ask api.Filter) (int, string, error) {
		got, err := svc.Cases(ctx, ask)
		out.Cases = append(out.Cases, got.Cases...)
		return len(got.Cases), got.Next, err
	})
	out.Next = next
	return out, err
}

// flagSuggestion is a hint at the flag that an unknown one may be meant for.
func flagSuggestion(c *cobra.Command, err error) string {
	_, word, ok := strings.Cut(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	return didYouMean(near(c, word))
}
