package securityhub

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// link is what an aggregator says of the regions that a home region shows.
type link struct {
	home    string // empty: there is no aggregator
	mode    string // ALL_REGIONS, ALL_REGIONS_EXCEPT_SPECIFIED, SPECIFIED_REGIONS or NO_REGIONS
	regions []string
}

// shows reports whether the findings of a region are seen from the home region.
func (l link) shows(region string) bool {
	switch {
	case region == l.home:
		return true
	case l.mode == "ALL_REGIONS":
		return true
	case l.mode == "ALL_REGIONS_EXCEPT_SPECIFIED":
		return !slices.Contains(l.regions, region)
	}
	return l.mode == "SPECIFIED_REGIONS" && slices.Contains(l.regions, region)
}

// aggregator asks which regions are linked. An account has at most one aggregator (user guide, "Cross-Region aggregation").
func aggregator(ctx context.Context, client *securityhub.Client, api string) (link, error) {
	if api == V2 {
		list, err := client.ListAggregatorsV2(ctx, &securityhub.ListAggregatorsV2Input{})
		if err != nil || len(list.AggregatorsV2) == 0 {
			return link{}, err
		}
		a, err := client.GetAggregatorV2(ctx, &securityhub.GetAggregatorV2Input{AggregatorV2Arn: list.AggregatorsV2[0].AggregatorV2Arn})
		if err != nil {
			return link{}, err
		}
		return link{aws.ToString(a.AggregationRegion), aws.ToString(a.RegionLinkingMode), a.LinkedRegions}, nil
	}
	list, err := client.ListFindingAggregators(ctx, &securityhub.ListFindingAggregatorsInput{})
	if err != nil || len(list.FindingAggregators) == 0 {
		return link{}, err
	}
	a, err := client.GetFindingAggregator(ctx, &securityhub.GetFindingAggregatorInput{FindingAggregatorArn: list.FindingAggregators[0].FindingAggregatorArn})
	if err != nil {
		return link{}, err
	}
	return link{aws.ToString(a.FindingAggregationRegion), aws.ToString(a.RegionLinkingMode), a.Regions}, nil
}

// linked says which regions a home region shows, and which of those that the source wants it does not. It is
// only for people: an answer that fails is a note.
func (p *poll) linked(ctx context.Context, pl *place) {
	s := p.s
	if p.full || s.link == nil {
		l, err := aggregator(ctx, pl.client, s.cfg.API)
		if err != nil {
			p.result.Notes = append(p.result.Notes, "which regions are linked to "+pl.region+" is not known: "+awsx.Class(err).Error())
			return
		}
		if l.home == "" {
			l.home = pl.region
		}
		s.link = &l
		p.result.Notes = append(p.result.Notes, s.link.describe(pl.region))
	}
	for _, region := range s.cfg.Regions {
		if !s.link.shows(region) || s.link.home != pl.region && region != pl.region {
			p.result.Gaps = append(p.result.Gaps, pipeline.Gap{Region: region,
				Reason: fmt.Sprintf("its findings do not show in %s: link it to the home region of Security Hub", pl.region)})
		}
	}
}

// describe is one line for people about what region shows.
func (l link) describe(region string) string {
	switch {
	case l.home != region:
		return fmt.Sprintf("%s shows its own findings alone: the home region of this hub is %s, set region to it", region, l.home)
	case l.mode == "ALL_REGIONS":
		return region + " shows the findings of every region"
	case l.mode == "ALL_REGIONS_EXCEPT_SPECIFIED":
		return fmt.Sprintf("%s shows the findings of every region but %d", region, len(l.regions))
	case l.mode == "SPECIFIED_REGIONS":
		return fmt.Sprintf("%s shows the findings of %d linked regions, too", region, len(l.regions))
	}
	return region + " shows its own findings alone: no region is linked to it"
}
