package trustedadvisor

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/trustedadvisor"
	"github.com/aws/aws-sdk-go-v2/service/trustedadvisor/types"

	format "github.com/docket-hub/docket/connectors/format/trustedadvisor"
	"github.com/docket-hub/docket/internal/awsx"
)

// pageSize is the largest page of the newer API (Trusted Advisor API reference, maxResults: 1 to 200).
const pageSize = 200

// begins is how often a list is begun whose page token AWS does not take any more.
const begins = 3

// recommendations reads an account through the Trusted Advisor API: the recommendations of checks, not those that a
// person of AWS made (Trusted Advisor Priority), which name no check.
func (p *poll) recommendations(ctx context.Context, t awsx.Target) error {
	client := trustedadvisor.NewFromConfig(t.Config)
	checks, err := p.checks(ctx, client)
	if err != nil {
		return err
	}
	found, err := p.found(ctx, client)
	if err != nil {
		return err
	}
	listed := checks[:0]
	for _, c := range checks {
		if len(found[c.id]) > 0 {
			listed = append(listed, c)
		}
	}
	err = p.each(ctx, t, listed, func(ctx context.Context, c check) error {
		return p.resources(ctx, client, t, c, found[c.id])
	})
	if err == nil {
		p.reached(t, listed)
	}
	return err
}

// asked are the pillars to list: with checks that are named one by one, all.
func (p *poll) asked() []types.RecommendationPillar {
	names := p.s.c.Pillars
	if len(p.s.c.Checks.Include) > 0 {
		names = pillars()
	}
	var out []types.RecommendationPillar
	for _, n := range names {
		out = append(out, types.RecommendationPillar(n))
	}
	return out
}

// checks lists the wanted checks by id.
func (p *poll) checks(ctx context.Context, client *trustedadvisor.Client) ([]check, error) {
	byID := map[string]check{}
	for _, pillar := range p.asked() {
		err := pages(ctx, func(ctx context.Context, token *string) (*string, error) {
			out, err := client.ListChecks(ctx, &trustedadvisor.ListChecksInput{Pillar: pillar, MaxResults: aws.Int32(pageSize), NextToken: token})
			if err != nil {
				return nil, err
			}
			for _, s := range out.CheckSummaries {
				id := aws.ToString(s.Id)
				if id != "" && p.s.c.wanted(id, string(pillar)) {
					byID[id] = check{id: id, name: aws.ToString(s.Name), category: string(pillar), description: aws.ToString(s.Description), headings: s.Metadata}
				}
			}
			return out.NextToken, nil
		})
		if err != nil {
			return nil, err
		}
	}
	var list []check
	for _, c := range byID {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b check) int { return strings.Compare(a.id, b.id) })
	return list, nil
}

// found lists the recommendations by the id of their check.
func (p *poll) found(ctx context.Context, client *trustedadvisor.Client) (map[string][]types.RecommendationSummary, error) {
	byARN := map[string]types.RecommendationSummary{}
	for _, pillar := range p.asked() {
		err := pages(ctx, func(ctx context.Context, token *string) (*string, error) {
			out, err := client.ListRecommendations(ctx, &trustedadvisor.ListRecommendationsInput{
				Pillar: pillar, Type: types.RecommendationTypeStandard, MaxResults: aws.Int32(pageSize), NextToken: token})
			if err != nil {
				return nil, err
			}
			for _, r := range out.RecommendationSummaries {
				byARN[aws.ToString(r.Arn)] = r
			}
			return out.NextToken, nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := map[string][]types.RecommendationSummary{}
	for _, r := range byARN {
		// arn:aws:trustedadvisor:::check/HCP4007jGY
		if _, id, ok := strings.Cut(aws.ToString(r.CheckArn), ":check/"); ok {
			out[id] = append(out[id], r)
		}
	}
	return out, nil
}

// resources hands over what a check's recommendations list.
func (p *poll) resources(ctx context.Context, client *trustedadvisor.Client, t awsx.Target, c check, list []types.RecommendationSummary) error {
	l := &listing{p: p, account: t.Account.ID, check: c}
	for _, r := range list {
		before := l.count
		err := pages(ctx, func(ctx context.Context, token *string) (*string, error) {
			out, err := client.ListRecommendationResources(ctx, &trustedadvisor.ListRecommendationResourcesInput{
				RecommendationIdentifier: r.Arn, MaxResults: aws.Int32(pageSize), NextToken: token})
			if err != nil {
				return nil, err
			}
			rows := make([]format.Record, 0, len(out.RecommendationResourceSummaries))
			for _, s := range out.RecommendationResourceSummaries {
				rows = append(rows, p.row(c, r, s))
			}
			return out.NextToken, l.rows(ctx, rows)
		})
		if err != nil {
			return err
		}
		if l.count == before {
			rows := whole(c, string(r.Status))
			for i := range rows {
				rows[i].CheckStatus, rows[i].Timestamp = string(r.Status), p.looked(r.LastUpdatedAt)
			}
			if err := l.rows(ctx, rows); err != nil {
				return err
			}
		}
	}
	return l.end(ctx, p.start)
}

func (p *poll) row(c check, r types.RecommendationSummary, s types.RecommendationResourceSummary) format.Record {
	cells := map[string]string{}
	for key, v := range s.Metadata {
		name := strings.TrimSpace(c.headings[key])
		if name == "" {
			name = key
		}
		if v != "" {
			cells[name] = v
		}
	}
	return format.Record{
		CheckStatus: string(r.Status), Status: string(s.Status), Region: aws.ToString(s.RegionCode), ResourceID: aws.ToString(s.Id),
		AWSResource: aws.ToString(s.AwsResourceId), IsSuppressed: s.ExclusionStatus == types.ExclusionStatusExcluded,
		Timestamp: p.looked(r.LastUpdatedAt, s.LastUpdatedAt), Metadata: cells,
	}
}

// looked is the latest of the times, that of the poll where there is none.
func (p *poll) looked(times ...*time.Time) string {
	var last time.Time
	for _, t := range times {
		if t != nil && t.After(last) {
			last = *t
		}
	}
	if last.IsZero() || last.After(p.start) {
		last = p.start
	}
	return last.UTC().Format(time.RFC3339Nano)
}

// pages reads a list to its end. Where a page token is not good any more, the list is begun again.
func pages(ctx context.Context, page func(context.Context, *string) (*string, error)) error {
	var token *string
	for begun := 1; ; {
		next, err := page(ctx, token)
		switch {
		case err != nil && token != nil && awsx.TokenExpired(err) && begun < begins:
			token = nil
			begun++
		case err != nil:
			return err
		case aws.ToString(next) == "":
			return nil
		default:
			token = next
		}
	}
}
