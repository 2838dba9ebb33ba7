package awstest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

const hubProduct = "arn:aws:securityhub:eu-west-1::product/aws/securityhub"

// asff is a finding of n minutes after noon.
func asff(account, region string, n int, more string) []byte {
	return fmt.Appendf(nil, `{"SchemaVersion":"2018-10-08","Id":"arn:aws:securityhub:%[2]s:%[1]s:finding/%[3]d","ProductArn":"arn:aws:securityhub:%[2]s::product/aws/securityhub",
		"GeneratorId":"security-control/S3.1","AwsAccountId":"%[1]s","Region":"%[2]s","UpdatedAt":"2026-11-01T12:%02[3]d:00.000Z","CreatedAt":"2026-11-01T00:00:00Z",
		"Severity":{"Label":"HIGH"},"RecordState":"ACTIVE","Compliance":{"Status":"FAILED"}%[4]s}`, account, region, n, more)
}

func hub(t *testing.T) (*awstest.Server, *awstest.SecurityHub) {
	t.Helper()
	s := start(t, awstest.Options{})
	h := awstest.NewSecurityHub(time.Now)
	s.Handle("securityhub", h.Handler())
	h.Enable(home, "eu-west-1", "us-east-1")
	h.Enable(other, "eu-west-1")
	h.Member(home, other)
	for n := range 5 {
		if err := h.Import(asff(home, "eu-west-1", n, ""), asff(other, "eu-west-1", n+10, ""), asff(home, "us-east-1", n+20, "")); err != nil {
			t.Fatal(err)
		}
	}
	return s, h
}

func ids(list []types.AwsSecurityFinding) (out []string) {
	for _, f := range list {
		id := *f.Id
		out = append(out, id[strings.LastIndexByte(id, '/')+1:])
	}
	return out
}

func TestSecurityHubSees(t *testing.T) {
	s, h := hub(t)
	byTime := []types.SortCriterion{{Field: aws.String("UpdatedAt"), SortOrder: types.SortOrderAscending}}
	since := func(from string) *types.AwsSecurityFindingFilters {
		return &types.AwsSecurityFindingFilters{UpdatedAt: []types.DateFilter{{Start: aws.String(from), End: aws.String("2027-01-01T00:00:00Z")}}}
	}
	h.Link(home, "eu-west-1", "us-east-1")
	for _, c := range []struct {
		name    string
		cfg     aws.Config
		filters *types.AwsSecurityFindingFilters
		want    string
	}{
		{"home region: members and linked regions", as(s, "eu-west-1"), nil, "0 1 2 3 4 10 11 12 13 14 20 21 22 23 24"},
		{"linked region: its own", as(s, "us-east-1"), nil, "20 21 22 23 24"},
		{"member: its own", member(t, s, other, "eu-west-1"), nil, "10 11 12 13 14"},
		{"since, inclusive", as(s, "eu-west-1"), since("2026-11-01T12:22:00Z"), "22 23 24"},
		{"account", as(s, "eu-west-1"), &types.AwsSecurityFindingFilters{AwsAccountId: []types.StringFilter{{Value: aws.String(other), Comparison: types.StringFilterComparisonEquals}}}, "10 11 12 13 14"},
		{"not a region", as(s, "eu-west-1"), &types.AwsSecurityFindingFilters{Region: []types.StringFilter{{Value: aws.String("us"), Comparison: types.StringFilterComparisonPrefixNotEquals}}}, "0 1 2 3 4 10 11 12 13 14"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pages := securityhub.NewGetFindingsPaginator(securityhub.NewFromConfig(c.cfg), &securityhub.GetFindingsInput{Filters: c.filters, SortCriteria: byTime, MaxResults: aws.Int32(4)})
			var got []string
			for pages.HasMorePages() {
				p, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, ids(p.Findings)...)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("GetFindings() = %v; want %s", got, c.want)
			}
		})
	}
	if _, err := securityhub.NewFromConfig(member(t, s, other, "eu-west-1")).GetFindings(t.Context(), nil); err != nil {
		t.Errorf("GetFindings() = %v; want nil", err)
	}
}

func TestSecurityHubRefuses(t *testing.T) {
	s, h := hub(t)
	c := securityhub.NewFromConfig(as(s, "eu-west-1"))
	first, err := c.GetFindings(t.Context(), &securityhub.GetFindingsInput{MaxResults: aws.Int32(2)})
	if err != nil {
		t.Fatal(err)
	}
	get := func(in *securityhub.GetFindingsInput) func() error {
		return func() error { _, err := c.GetFindings(t.Context(), in); return err }
	}
	many := slices.Repeat([]types.StringFilter{{Value: aws.String("x"), Comparison: types.StringFilterComparisonEquals}}, 21)
	for _, x := range []struct {
		name, want string
		do         func() error
	}{
		{"101 results", "InvalidInputException", get(&securityhub.GetFindingsInput{MaxResults: aws.Int32(101)})},
		{"21 values", "InvalidInputException", get(&securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{Id: many}})},
		{"an empty value", "InvalidInputException", get(&securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{Id: []types.StringFilter{{Value: aws.String(" "), Comparison: "EQUALS"}}}})},
		{"CONTAINS, which is for automation rules", "InvalidInputException", get(&securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{Title: []types.StringFilter{{Value: aws.String("x"), Comparison: "CONTAINS"}}}})},
		{"a date that is none", "InvalidInputException", get(&securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{UpdatedAt: []types.DateFilter{{Start: aws.String("yesterday")}}}})},
		{"a token under another question", "InvalidInputException", get(&securityhub.GetFindingsInput{NextToken: first.NextToken, Filters: &types.AwsSecurityFindingFilters{Title: many[:1]}})},
		{"a place where it is off", "InvalidAccessException", func() error {
			_, err := securityhub.NewFromConfig(as(s, "eu-central-1")).GetFindings(t.Context(), nil)
			return err
		}},
		{"101 updates", "InvalidInputException", func() error {
			id := types.AwsSecurityFindingIdentifier{Id: aws.String("x"), ProductArn: aws.String("y")}
			_, err := c.BatchUpdateFindings(t.Context(), &securityhub.BatchUpdateFindingsInput{FindingIdentifiers: slices.Repeat([]types.AwsSecurityFindingIdentifier{id}, 101)})
			return err
		}},
		{"a long note", "InvalidInputException", func() error {
			id := types.AwsSecurityFindingIdentifier{Id: aws.String("x"), ProductArn: aws.String("y")}
			_, err := c.BatchUpdateFindings(t.Context(), &securityhub.BatchUpdateFindingsInput{FindingIdentifiers: []types.AwsSecurityFindingIdentifier{id},
				Note: &types.NoteUpdate{Text: aws.String(strings.Repeat("ä", 513)), UpdatedBy: aws.String("docket")}})
			return err
		}},
		{"two ways to name findings", "ValidationException", func() error {
			_, err := c.BatchUpdateFindingsV2(t.Context(), &securityhub.BatchUpdateFindingsV2Input{})
			return err
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			if got := code(x.do()); got != x.want {
				t.Errorf("error = %s; want %s", got, x.want)
			}
		})
	}
	h.ExpireTokens()
	if got := code(get(&securityhub.GetFindingsInput{NextToken: first.NextToken, MaxResults: aws.Int32(2)})()); got != "InvalidInputException" {
		t.Errorf("an expired token: error = %s; want InvalidInputException", got)
	}
}

func TestSecurityHubKeepsWhatCustomersWrite(t *testing.T) {
	s, h := hub(t)
	c := securityhub.NewFromConfig(as(s, "eu-west-1"))
	id := "arn:aws:securityhub:eu-west-1:" + home + ":finding/1"
	update := func(list ...string) *securityhub.BatchUpdateFindingsOutput {
		in := &securityhub.BatchUpdateFindingsInput{
			Note: &types.NoteUpdate{Text: aws.String("see SEC-1"), UpdatedBy: aws.String("docket")}, Workflow: &types.WorkflowUpdate{Status: types.WorkflowStatusNotified},
		}
		for _, id := range list {
			in.FindingIdentifiers = append(in.FindingIdentifiers, types.AwsSecurityFindingIdentifier{Id: aws.String(id), ProductArn: aws.String(hubProduct)})
		}
		out, err := c.BatchUpdateFindings(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := update(id, id, "nobody")
	var codes []string
	for _, u := range out.UnprocessedFindings {
		codes = append(codes, *u.ErrorCode)
	}
	if got := strings.Join(codes, " "); len(out.ProcessedFindings) != 1 || got != "DuplicatedFindingIdentifier FindingNotFound" {
		t.Errorf("BatchUpdateFindings() = %d done, %s; want 1 done, DuplicatedFindingIdentifier FindingNotFound", len(out.ProcessedFindings), got)
	}
	status := func() string {
		text, _ := h.Finding(hubProduct, id)
		var f struct {
			UpdatedAt string
			Note      struct{ Text string }
			Workflow  struct{ Status string }
		}
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		return f.Workflow.Status + " " + f.Note.Text + " " + f.UpdatedAt
	}
	if got, want := status(), "NOTIFIED see SEC-1 2026-11-01T12:01:00.000Z"; got != want {
		t.Errorf("after the update = %s; want %s", got, want)
	}
	if err := h.Import(asff(home, "eu-west-1", 1, `,"RecordState":"ARCHIVED"`)); err != nil {
		t.Fatal(err)
	}
	if got, want := status(), "NOTIFIED see SEC-1 2026-11-01T12:01:00.000Z"; got != want {
		t.Errorf("archived = %s; want %s", got, want)
	}
	if err := h.Import(asff(home, "eu-west-1", 1, "")); err != nil {
		t.Fatal(err)
	}
	if got, want := status(), "NEW see SEC-1 2026-11-01T12:01:00.000Z"; got != want {
		t.Errorf("active again = %s; want %s", got, want)
	}
	h.FailUpdates(id, "ConcurrentUpdateError")
	if out := update(id); len(out.UnprocessedFindings) != 1 || *out.UnprocessedFindings[0].ErrorCode != "ConcurrentUpdateError" {
		t.Errorf("BatchUpdateFindings() = %+v; want one ConcurrentUpdateError", out.UnprocessedFindings)
	}
}

func TestSecurityHubV2(t *testing.T) {
	s, h := hub(t)
	for n := range 3 {
		if err := h.ImportV2(fmt.Appendf(nil, `{"class_uid":2003,"metadata":{"uid":"u%[1]d","product":{"uid":"p"}},"cloud":{"account":{"uid":"%[2]s"},"region":"eu-west-1"},
			"finding_info":{"uid":"f%[1]d","modified_time_dt":"2026-11-01T12:0%[1]d:00Z"},"severity_id":%[1]d,"status":"New","status_id":1}`, n, home)); err != nil {
			t.Fatal(err)
		}
	}
	c := securityhub.NewFromConfig(as(s, "eu-west-1"))
	in := &securityhub.GetFindingsV2Input{
		MaxResults:   aws.Int32(1),
		SortCriteria: []types.SortCriterion{{Field: aws.String("finding_info.modified_time_dt"), SortOrder: types.SortOrderDescending}},
		Filters: &types.OcsfFindingFilters{CompositeOperator: types.AllowedOperatorsAnd, CompositeFilters: []types.CompositeFilter{
			{NumberFilters: []types.OcsfNumberFilter{{FieldName: types.OcsfNumberFieldSeverityId, Filter: &types.NumberFilter{Gte: aws.Float64(1)}}}},
			{Operator: types.AllowedOperatorsOr, StringFilters: []types.OcsfStringFilter{
				{FieldName: types.OcsfStringFieldCloudAccountUid, Filter: &types.StringFilter{Value: aws.String(other), Comparison: "EQUALS"}},
				{FieldName: types.OcsfStringFieldCloudAccountUid, Filter: &types.StringFilter{Value: aws.String(home), Comparison: "EQUALS"}},
			}},
		}},
	}
	var got []string
	pages := securityhub.NewGetFindingsV2Paginator(c, in)
	for pages.HasMorePages() {
		p, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Findings {
			var v map[string]any
			if err := f.UnmarshalSmithyDocument(&v); err != nil {
				t.Fatal(err)
			}
			got = append(got, v["metadata"].(map[string]any)["uid"].(string))
		}
	}
	if strings.Join(got, " ") != "u2 u1" {
		t.Errorf("GetFindingsV2() = %v; want u2 u1", got)
	}
	out, err := c.BatchUpdateFindingsV2(t.Context(), &securityhub.BatchUpdateFindingsV2Input{
		FindingIdentifiers: []types.OcsfFindingIdentifier{
			{CloudAccountUid: aws.String(home), FindingInfoUid: aws.String("f1"), MetadataProductUid: aws.String("p")},
			{CloudAccountUid: aws.String(home), FindingInfoUid: aws.String("f9"), MetadataProductUid: aws.String("p")},
		},
		StatusId: aws.Int32(3), Comment: aws.String("accepted"),
	})
	if err != nil || len(out.ProcessedFindings) != 1 || len(out.UnprocessedFindings) != 1 {
		t.Fatalf("BatchUpdateFindingsV2() = %+v, %v; want one done, one not", out, err)
	}
	text, _ := h.FindingV2("u1")
	for _, want := range []string{`"comment":"accepted"`, `"status":"Suppressed"`, `"status_id":3`, `"modified_time_dt":"2026-11-01T12:01:00Z"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("FindingV2(u1) = %s; want %s in it", text, want)
		}
	}
}

func TestSecurityHubAggregators(t *testing.T) {
	s, h := hub(t)
	h.Link(home, "eu-west-1", "us-east-1")
	c := securityhub.NewFromConfig(as(s, "us-east-1"))
	list, err := c.ListFindingAggregators(t.Context(), nil)
	if err != nil || len(list.FindingAggregators) != 1 {
		t.Fatalf("ListFindingAggregators() = %+v, %v; want one", list, err)
	}
	got, err := c.GetFindingAggregator(t.Context(), &securityhub.GetFindingAggregatorInput{FindingAggregatorArn: list.FindingAggregators[0].FindingAggregatorArn})
	if err != nil || *got.FindingAggregationRegion != "eu-west-1" || !slices.Equal(got.Regions, []string{"us-east-1"}) {
		t.Errorf("GetFindingAggregator() = %+v, %v; want eu-west-1 with us-east-1", got, err)
	}
	v2, err := c.ListAggregatorsV2(t.Context(), nil)
	if err != nil || len(v2.AggregatorsV2) != 1 {
		t.Fatalf("ListAggregatorsV2() = %+v, %v; want one", v2, err)
	}
	two, err := c.GetAggregatorV2(t.Context(), &securityhub.GetAggregatorV2Input{AggregatorV2Arn: v2.AggregatorsV2[0].AggregatorV2Arn})
	if err != nil || *two.AggregationRegion != "eu-west-1" || !slices.Equal(two.LinkedRegions, []string{"us-east-1"}) {
		t.Errorf("GetAggregatorV2() = %+v, %v; want eu-west-1 with us-east-1", two, err)
	}
	resp, err := http.Get(s.URL + "/findingAggregator/list")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("without a signature: status = %d; want 403", resp.StatusCode)
	}
}
