package securityhub

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/docket-hub/docket/pipeline"
)

// maxValues is how many values one filter attribute takes (API reference, GetFindings). A longer list is
// applied here alone.
const maxValues = 20

// filter is what of the findings is read.
type filter struct {
	api                                    string
	accounts, regions, products, standards []string // sorted
	severity                               pipeline.Severity
}

func newFilter(c Config, severity pipeline.Severity) filter {
	f := filter{api: c.API, accounts: slices.Clone(c.Accounts), regions: slices.Clone(c.Regions), severity: severity}
	for _, p := range c.Products {
		f.products = append(f.products, product(p))
	}
	for _, name := range c.Standards {
		f.standards = append(f.standards, standard(name))
	}
	for _, list := range [][]string{f.accounts, f.regions, f.products, f.standards} {
		slices.Sort(list)
	}
	f.products, f.standards = slices.Compact(f.products), slices.Compact(f.standards)
	return f
}

// within is what narrows the read inside of a scope, in one spelling. Accounts, regions and products are not in it, since a
// scope is one of each, read whole or not at all; nor is the severity, since a full read reads every
// one and leaves the choice to who takes the records in.
func (f filter) within() string {
	var parts []string
	if f.api != V1 {
		parts = append(parts, "api="+f.api)
	}
	if len(f.standards) > 0 {
		parts = append(parts, "standards="+strings.Join(f.standards, ","))
	}
	return strings.Join(parts, " ")
}

// text is the whole filter in one spelling: what was read under another one is to be read again.
func (f filter) text() string {
	parts := []string{}
	if in := f.within(); in != "" {
		parts = append(parts, in)
	}
	for _, p := range []struct {
		key  string
		list []string
	}{{"accounts", f.accounts}, {"products", f.products}, {"regions", f.regions}} {
		if len(p.list) > 0 {
			parts = append(parts, p.key+"="+strings.Join(p.list, ","))
		}
	}
	if f.severity > pipeline.Informational {
		parts = append(parts, "severity="+f.severity.String())
	}
	return strings.Join(parts, " ")
}

// watches reports whether a scope is read at all.
func (f filter) watches(account, region, product string) bool {
	return f.takes(facts{account: account, region: region, product: product, standards: f.standards})
}

// takes applies the filter here again: what the service was not asked to leave out, and what it
// should have left out.
func (f filter) takes(r facts) bool {
	return (len(f.accounts) == 0 || slices.Contains(f.accounts, r.account)) &&
		(len(f.regions) == 0 || slices.Contains(f.regions, r.region)) &&
		(len(f.products) == 0 || slices.Contains(f.products, r.product)) &&
		(len(f.standards) == 0 || slices.ContainsFunc(r.standards, func(id string) bool {
			return slices.ContainsFunc(f.standards, func(name string) bool { return strings.HasPrefix(standard(id), name) })
		}))
}

// standardKinds stand before a standard's name in its id, and in its ARN before that: standards/NAME/v/VERSION, and ruleset/ for
// CIS 1.2.0 (user guide, "Standards reference").
func standardKinds() []string { return []string{"standards/", "ruleset/"} }

// standard is a standard's name and version without what stands before them.
func standard(id string) string {
	for _, kind := range standardKinds() {
		if _, name, ok := strings.Cut(id, kind); ok {
			return name
		}
	}
	return id
}

// productARNs are the ARNs of the wanted products in the wanted regions. There are none where an ARN is not known before it is
// seen: GetFindings compares whole texts or their beginnings (API reference, StringFilter: CONTAINS is for
// automation rules), the ARN has the region in it, and that of another company's product an account that only AWS knows.
func (f filter) productARNs(kind string) []string {
	var arns []string
	for _, region := range f.regions {
		partition := "aws"
		switch {
		case strings.HasPrefix(region, "cn-"):
			partition = "aws-cn"
		case strings.HasPrefix(region, "us-gov-"):
			partition = "aws-us-gov"
		}
		for _, p := range f.products {
			if !strings.HasPrefix(p, "aws/") {
				return nil
			}
			arns = append(arns, "arn:"+partition+":securityhub:"+region+"::"+kind+"/"+p)
		}
	}
	return arns
}

// span is the updates that a question is about; both ends count, and a zero one is open.
type span struct{ from, to time.Time }

// stamp is how the service writes an instant.
const stamp = "2006-01-02T15:04:05.000Z"

func (s span) date() *types.DateFilter {
	if s.from.IsZero() {
		return nil
	}
	// Findings are updated until the answer is made, and clocks differ.
	return &types.DateFilter{Start: aws.String(s.from.UTC().Format(stamp)), End: aws.String(s.to.UTC().Add(24 * time.Hour).Format(stamp))}
}

// part is which severities a question is about.
type part int

const (
	everything part = iota
	// mildPassed is the checks that pass among those below the severity: the service gives a passed check
	// the severity INFORMATIONAL (user guide, "Required top-level ASFF attributes", Severity), and without them
	// nobody would see that something severe was mended.
	mildPassed
	severe
)

// parts are the questions that together give what the filter wants of what changed.
func (f filter) parts() []part {
	if f.severity <= pipeline.Informational {
		return []part{everything}
	}
	return []part{mildPassed, severe}
}

// labels are the service's words of the severities from one on, or below it.
func labels(from pipeline.Severity, below bool) []string {
	all := []string{"INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"}
	n := int(from - pipeline.Informational)
	if below {
		return all[:n]
	}
	return all[n:]
}

func words(comparison types.StringFilterComparison, list ...string) []types.StringFilter {
	if len(list) == 0 || len(list) > maxValues {
		return nil
	}
	out := make([]types.StringFilter, len(list))
	for i, v := range list {
		out[i] = types.StringFilter{Value: aws.String(v), Comparison: comparison}
	}
	return out
}

// v1 is the question to GetFindings.
func (f filter) v1(p part, s span) *types.AwsSecurityFindingFilters {
	q := &types.AwsSecurityFindingFilters{
		AwsAccountId:                    words(types.StringFilterComparisonEquals, f.accounts...),
		Region:                          words(types.StringFilterComparisonEquals, f.regions...),
		ProductArn:                      words(types.StringFilterComparisonEquals, f.productARNs("product")...),
		ComplianceAssociatedStandardsId: words(types.StringFilterComparisonPrefix, f.standardIDs()...),
	}
	if d := s.date(); d != nil {
		q.UpdatedAt = []types.DateFilter{*d}
	}
	switch p {
	case severe:
		q.SeverityLabel = words(types.StringFilterComparisonEquals, labels(f.severity, false)...)
	case mildPassed:
		q.SeverityLabel = words(types.StringFilterComparisonEquals, labels(f.severity, true)...)
		q.ComplianceStatus = words(types.StringFilterComparisonEquals, string(types.ComplianceStatusPassed))
	}
	return q
}

// standardIDs are the beginnings of the wanted standards' ids.
func (f filter) standardIDs() []string {
	var ids []string
	for _, name := range f.standards {
		for _, kind := range standardKinds() {
			ids = append(ids, kind+name)
		}
	}
	return ids
}

// v2 is the question to GetFindingsV2: each attribute is one composite filter, whose values are joined by OR. How
// this generation writes a standard's id is not documented, so standards are chosen here alone.
func (f filter) v2(p part, s span) *types.OcsfFindingFilters {
	q := &types.OcsfFindingFilters{CompositeOperator: types.AllowedOperatorsAnd}
	either := func(c types.CompositeFilter) {
		c.Operator = types.AllowedOperatorsOr
		q.CompositeFilters = append(q.CompositeFilters, c)
	}
	one := func(field types.OcsfStringField, list []types.StringFilter) {
		var c types.CompositeFilter
		for _, w := range list {
			c.StringFilters = append(c.StringFilters, types.OcsfStringFilter{FieldName: field, Filter: &w})
		}
		if len(list) > 0 {
			either(c)
		}
	}
	number := func(field types.OcsfNumberField, filter types.NumberFilter) {
		either(types.CompositeFilter{NumberFilters: []types.OcsfNumberFilter{{FieldName: field, Filter: &filter}}})
	}
	one(types.OcsfStringFieldCloudAccountUid, words(types.StringFilterComparisonEquals, f.accounts...))
	one(types.OcsfStringFieldCloudRegion, words(types.StringFilterComparisonEquals, f.regions...))
	one(types.OcsfStringFieldMetadataProductUid, words(types.StringFilterComparisonEquals, f.productARNs("productv2")...))
	if d := s.date(); d != nil {
		either(types.CompositeFilter{DateFilters: []types.OcsfDateFilter{{FieldName: types.OcsfDateFieldFindingInfoModifiedTimeDt, Filter: d}}})
	}
	switch at := aws.Float64(float64(f.severity)); p { // OCSF counts severities as docket does: 1 is Informational
	case severe:
		number(types.OcsfNumberFieldSeverityId, types.NumberFilter{Gte: at})
	case mildPassed:
		number(types.OcsfNumberFieldSeverityId, types.NumberFilter{Lt: at})
		number(types.OcsfNumberFieldComplianceStatusId, types.NumberFilter{Eq: aws.Float64(1)}) // Pass
	}
	if len(q.CompositeFilters) == 0 {
		return nil
	}
	return q
}
