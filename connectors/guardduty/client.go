package guardduty

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/docket-hub/docket/internal/awsx"
)

// client is what docket calls of GuardDuty.
type client interface {
	guardduty.ListDetectorsAPIClient
	guardduty.ListMembersAPIClient
	guardduty.ListFindingsAPIClient
	GetFindings(context.Context, *guardduty.GetFindingsInput, ...func(*guardduty.Options)) (*guardduty.GetFindingsOutput, error)
}

// pageSize is the most that ListFindings lists and GetFindings takes at a time (GuardDuty API reference).
const pageSize = 50

// severities are the lowest value of each severity (GuardDuty user guide, "Severity levels of GuardDuty findings").
var severities = [...]int64{0, 0, 1, 4, 7, 9} // by pipeline.Severity

// list asks for the ids of findings that were updated at since (milliseconds) or later, the longest ago first.
func (s *Source) list(ctx context.Context, c client, detector string, since int64, token *string) (*guardduty.ListFindingsOutput, error) {
	criteria := map[string]types.Condition{"updatedAt": {GreaterThanOrEqual: aws.Int64(since)}}
	if n := s.lowest(); n > 0 {
		criteria["severity"] = types.Condition{GreaterThanOrEqual: aws.Int64(n)}
	}
	out, err := c.ListFindings(ctx, &guardduty.ListFindingsInput{
		DetectorId: &detector, MaxResults: aws.Int32(pageSize), NextToken: token,
		FindingCriteria: &types.FindingCriteria{Criterion: criteria},
		SortCriteria:    &types.SortCriteria{AttributeName: aws.String("updatedAt"), OrderBy: types.OrderByAsc},
	})
	if err == nil && out.FindingIds == nil {
		return nil, empty("ListFindings", "findingIds")
	}
	return out, err
}

// empty is the error of an answer without the list that it is about. It may come from a proxy; taken for an empty list it
// would say that every finding is gone.
func empty(operation, member string) error {
	return &smithy.OperationError{ServiceID: guardduty.ServiceID, OperationName: operation, Err: fmt.Errorf("the answer has no %s", member)}
}

// lowest is the least severity that is read, on GuardDuty's scale.
func (s *Source) lowest() int64 {
	if int(s.o.MinSeverity) < len(severities) {
		return severities[s.o.MinSeverity]
	}
	return 0
}

// get reads findings as GuardDuty wrote them: the SDK's types would lose what is newer than they are.
func get(ctx context.Context, c client, detector string, ids []string) ([]json.RawMessage, error) {
	var body []byte
	_, err := c.GetFindings(ctx, &guardduty.GetFindingsInput{DetectorId: &detector, FindingIds: ids,
		SortCriteria: &types.SortCriteria{AttributeName: aws.String("updatedAt"), OrderBy: types.OrderByAsc}}, keepBody(&body))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Findings []json.RawMessage `json:"findings"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("reading the answer of GetFindings: %w", err)
	}
	if answer.Findings == nil {
		return nil, empty("GetFindings", "findings")
	}
	return answer.Findings, nil
}

// keepBody copies the body of a good answer before the SDK decodes it. Of several tries the last one stays.
func keepBody(into *[]byte) func(*guardduty.Options) {
	keep := middleware.DeserializeMiddlewareFunc("docket/body", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleDeserialize(ctx, in)
		r, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || r.StatusCode != http.StatusOK {
			return out, meta, err
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return out, meta, fmt.Errorf("reading the answer: %w", err)
		}
		_ = r.Body.Close() // it was read to its end
		*into, r.Body = text, io.NopCloser(bytes.NewReader(text))
		return out, meta, nil
	})
	return func(o *guardduty.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error { return stack.Deserialize.Add(keep, middleware.After) })
	}
}

// detectorIn is the id of a region's detector, of which there is at most one; empty where GuardDuty is not enabled.
func detectorIn(ctx context.Context, c client) (string, error) {
	for pages := guardduty.NewListDetectorsPaginator(c, &guardduty.ListDetectorsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		if len(page.DetectorIds) > 0 {
			return page.DetectorIds[0], nil
		}
	}
	return "", nil
}

// membersOf are the accounts that a detector's account administers. Where docket may not ask, or the account is a
// member itself, there are none: each account is then read by itself.
func membersOf(ctx context.Context, c client, detector string) ([]string, error) {
	var out []string
	for pages := guardduty.NewListMembersPaginator(c, &guardduty.ListMembersInput{DetectorId: &detector}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		var bad *types.BadRequestException
		switch {
		case awsx.Denied(err), errors.As(err, &bad):
			return nil, nil
		case err != nil:
			return nil, err
		}
		for _, m := range page.Members {
			// Other words: Created, Invited, Disabled, Removed, Resigned … (GuardDuty API reference, type Member).
			if aws.ToString(m.RelationshipStatus) == "Enabled" {
				out = append(out, aws.ToString(m.AccountId))
			}
		}
	}
	return out, nil
}
