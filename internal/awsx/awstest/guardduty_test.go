package awstest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

const dutyRegion = "eu-west-1"

// dutyServer has GuardDuty enabled in home and other, with n findings in other: f00, f01 … each a minute younger and of severity i%10.
func dutyServer(t *testing.T, n int) (*awstest.Server, *awstest.GuardDuty) {
	t.Helper()
	s := start(t, awstest.Options{})
	duty := awstest.NewGuardDuty()
	s.Handle("guardduty", duty.Handler())
	duty.Enable(home, dutyRegion)
	duty.Enable(other, dutyRegion)
	for i := range n {
		doc := fmt.Sprintf(`{"id":"f%02d","accountId":%q,"region":%q,"type":"Recon:EC2/Portscan","severity":%d,"updatedAt":"2026-03-01T%02d:%02d:00.000Z"}`, i, other, dutyRegion, i%10, i/60, i%60)
		if err := duty.Put(json.RawMessage(doc)); err != nil {
			t.Fatal(err)
		}
	}
	return s, duty
}

// listAll lists findings page by page.
func listAll(t *testing.T, c *guardduty.Client, in guardduty.ListFindingsInput) ([]string, int) {
	t.Helper()
	var ids []string
	pages := 0
	for p := guardduty.NewListFindingsPaginator(c, &in); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, page.FindingIds...)
	}
	return ids, pages
}

func TestGuardDutyLists(t *testing.T) {
	s, duty := dutyServer(t, 70)
	c := guardduty.NewFromConfig(member(t, s, other, dutyRegion))
	detectors, err := c.ListDetectors(t.Context(), &guardduty.ListDetectorsInput{})
	if err != nil || len(detectors.DetectorIds) != 1 || len(detectors.DetectorIds[0]) != 32 {
		t.Fatalf("ListDetectors() = %+v, %v; want one id of 32 digits", detectors, err)
	}
	id := detectors.DetectorIds[0]
	by := func(name string, order types.OrderBy, criteria map[string]types.Condition) guardduty.ListFindingsInput {
		return guardduty.ListFindingsInput{DetectorId: &id, SortCriteria: &types.SortCriteria{AttributeName: &name, OrderBy: order}, FindingCriteria: &types.FindingCriteria{Criterion: criteria}}
	}
	ids, pages := listAll(t, c, by("updatedAt", types.OrderByAsc, nil))
	if len(ids) != 70 || pages != 2 || !slices.IsSorted(ids) {
		t.Errorf("ListFindings(oldest first) = %d ids on %d pages; want 70 on 2, in order", len(ids), pages)
	}
	duty.Archive(other, dutyRegion, "f09", true)
	ids, _ = listAll(t, c, by("updatedAt", types.OrderByDesc, map[string]types.Condition{
		"severity": {GreaterThanOrEqual: aws.Int64(9)}, "service.archived": {Equals: []string{"false"}}, "updatedAt": {GreaterThanOrEqual: aws.Int64(1772323740000)}}))
	if want := []string{"f69", "f59", "f49", "f39", "f29", "f19"}; !slices.Equal(ids, want) {
		t.Errorf("ListFindings(severe, current) = %q; want %q", ids, want)
	}
	got, err := c.GetFindings(t.Context(), &guardduty.GetFindingsInput{DetectorId: &id, FindingIds: []string{"f09", "nowhere", "f01"}, SortCriteria: &types.SortCriteria{AttributeName: aws.String("updatedAt"), OrderBy: types.OrderByAsc}})
	if err != nil || len(got.Findings) != 2 || *got.Findings[0].Id != "f01" || !*got.Findings[1].Service.Archived {
		t.Errorf("GetFindings() = %+v, %v; want f01, and f09 archived", got, err)
	}
	if arn := *got.Findings[0].Arn; !strings.HasSuffix(arn, ":"+other+":detector/"+id+"/finding/f01") {
		t.Errorf("GetFindings() ARN = %s; want that of the finding", arn)
	}
	elsewhere, err := guardduty.NewFromConfig(as(s, "us-east-1")).ListDetectors(t.Context(), &guardduty.ListDetectorsInput{})
	if err != nil || len(elsewhere.DetectorIds) != 0 {
		t.Errorf("ListDetectors(elsewhere) = %+v, %v; want none", elsewhere, err)
	}
}

func TestGuardDutyAdministrator(t *testing.T) {
	s, duty := dutyServer(t, 3)
	duty.Administer(home, other, dutyRegion)
	admin, mine := guardduty.NewFromConfig(as(s, dutyRegion)), guardduty.NewFromConfig(member(t, s, other, dutyRegion))
	adminID, memberID := duty.Enable(home, dutyRegion), duty.Enable(other, dutyRegion)
	members, err := admin.ListMembers(t.Context(), &guardduty.ListMembersInput{DetectorId: &adminID})
	if err != nil || len(members.Members) != 1 || *members.Members[0].AccountId != other || *members.Members[0].RelationshipStatus != "Enabled" {
		t.Fatalf("ListMembers() = %+v, %v; want %s", members, err, other)
	}
	if ids, _ := listAll(t, admin, guardduty.ListFindingsInput{DetectorId: &adminID}); len(ids) != 3 {
		t.Errorf("ListFindings(administrator) = %q; want the member's 3", ids)
	}
	if _, err := mine.ArchiveFindings(t.Context(), &guardduty.ArchiveFindingsInput{DetectorId: &memberID, FindingIds: []string{"f00"}}); code(err) != "BadRequestException" {
		t.Errorf("ArchiveFindings(member) = %v; want it refused", err)
	}
	if _, err := admin.ArchiveFindings(t.Context(), &guardduty.ArchiveFindingsInput{DetectorId: &adminID, FindingIds: []string{"f00"}}); err != nil || !duty.Archived(other, dutyRegion, "f00") {
		t.Errorf("ArchiveFindings(administrator) = %v, archived %v; want it done", err, duty.Archived(other, dutyRegion, "f00"))
	}
	if _, err := admin.UnarchiveFindings(t.Context(), &guardduty.UnarchiveFindingsInput{DetectorId: &adminID, FindingIds: []string{"f00"}}); err != nil || duty.Archived(other, dutyRegion, "f00") {
		t.Errorf("UnarchiveFindings(administrator) = %v, archived %v; want it undone", err, duty.Archived(other, dutyRegion, "f00"))
	}
}

func TestGuardDutyRefuses(t *testing.T) {
	s, duty := dutyServer(t, 60)
	c := guardduty.NewFromConfig(member(t, s, other, dutyRegion))
	id, homeID := duty.Enable(other, dutyRegion), duty.Enable(home, dutyRegion)
	ctx := t.Context()
	list := func(in guardduty.ListFindingsInput) error {
		if in.DetectorId == nil {
			in.DetectorId = &id
		}
		_, err := c.ListFindings(ctx, &in)
		return err
	}
	where := func(name string, cond types.Condition) guardduty.ListFindingsInput {
		return guardduty.ListFindingsInput{FindingCriteria: &types.FindingCriteria{Criterion: map[string]types.Condition{name: cond}}}
	}
	page, err := c.ListFindings(ctx, &guardduty.ListFindingsInput{DetectorId: &id})
	if err != nil || aws.ToString(page.NextToken) == "" {
		t.Fatalf("ListFindings() = %+v, %v; want a page with a token", page, err)
	}
	duty.ExpireTokens()
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"another account's detector", list(guardduty.ListFindingsInput{DetectorId: &homeID}), "detectorId is not owned"},
		{"too large a page", list(guardduty.ListFindingsInput{MaxResults: aws.Int32(51)}), "out-of-range"},
		{"an empty page", list(guardduty.ListFindingsInput{MaxResults: aws.Int32(0)}), "out-of-range"},
		{"a token that expired", list(guardduty.ListFindingsInput{NextToken: page.NextToken}), "nextToken"},
		{"an unknown order", list(guardduty.ListFindingsInput{SortCriteria: &types.SortCriteria{AttributeName: aws.String("UpdatedAt")}}), "sortCriteria"},
		{"an unknown criterion", list(where("UpdatedAt", types.Condition{GreaterThanOrEqual: aws.Int64(1)})), "UpdatedAt"},
		{"a time by equality", list(where("updatedAt", types.Condition{Equals: []string{"1"}})), "takes a range"},
		{"a deprecated condition", list(where("severity", types.Condition{Gte: aws.Int32(4)})), "unknown field"}, //nolint:staticcheck // deprecated, as the name says
		{"a range of words", list(where("type", types.Condition{LessThan: aws.Int64(4)})), "takes no range"},
		{"too many findings", func() error {
			_, err := c.GetFindings(ctx, &guardduty.GetFindingsInput{DetectorId: &id, FindingIds: make([]string, 51)})
			return err
		}(), "out-of-bounds"},
	} {
		if code(tt.err) != "BadRequestException" || !strings.Contains(fmt.Sprint(tt.err), tt.want) {
			t.Errorf("%s = %v; want BadRequestException with %q", tt.name, tt.err, tt.want)
		}
	}
}

func TestGuardDutyPutRefuses(t *testing.T) {
	duty := awstest.NewGuardDuty()
	for _, doc := range []string{`{`, `{}`, `{"id":"1","accountId":"1","region":"r","type":"t"}`, `{"id":"1","accountId":"1","region":"r","updatedAt":"2026-01-01T00:00:00Z"}`} {
		if err := duty.Put(json.RawMessage(doc)); err == nil {
			t.Errorf("Put(%s) = nil; want an error", doc)
		}
	}
}
