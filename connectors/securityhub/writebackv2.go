package securityhub

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/ocsf"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// eventV2 is what a write-back reads of an OCSF finding.
type eventV2 struct {
	Comment  string `json:"comment"`
	Status   string `json:"status"`
	StatusID int    `json:"status_id"`
	Metadata struct {
		UID     string `json:"uid"`
		Product struct {
			UID string `json:"uid"`
		} `json:"product"`
	} `json:"metadata"`
	Info struct {
		UID string `json:"uid"`
	} `json:"finding_info"`
	Cloud struct {
		Region  string `json:"region"`
		Account struct {
			UID string `json:"uid"`
		} `json:"account"`
	} `json:"cloud"`
}

// markV2 names a report that came from Security Hub in OCSF: by its metadata.uid, which is its own everywhere.
func markV2(r *pipeline.Report) (pipeline.Mark, bool) {
	var e eventV2
	if len(r.Raw) == 0 || json.Unmarshal(r.Raw, &e) != nil || e.Metadata.UID == "" || !strings.Contains(e.Metadata.Product.UID, ":securityhub:") {
		return pipeline.Mark{}, false
	}
	return pipeline.Mark{ID: e.Metadata.UID, Account: e.Cloud.Account.UID, Region: e.Cloud.Region}, true
}

// clientV2 is what bookV2 calls.
type clientV2 interface {
	GetFindingsV2(context.Context, *securityhub.GetFindingsV2Input, ...func(*securityhub.Options)) (*securityhub.GetFindingsV2Output, error)
	BatchUpdateFindingsV2(context.Context, *securityhub.BatchUpdateFindingsV2Input, ...func(*securityhub.Options)) (*securityhub.BatchUpdateFindingsV2Output, error)
}

// bookV2 is one place of Security Hub, in OCSF. There are no user-defined fields: what docket set a status to stands in
// brackets behind its line of the comment.
type bookV2 struct {
	client clientV2
	pace   *pacer
}

func (b bookV2) line(note string, status pipeline.MarkStatus) string {
	if status == "" {
		return note
	}
	return note + " [" + string(status) + "]"
}

// statusesV2 are the status ids of OCSF's finding classes, by what docket calls them.
func statusesV2() map[pipeline.MarkStatus]int {
	return map[pipeline.MarkStatus]int{pipeline.MarkNew: 1, pipeline.MarkNotified: 2, pipeline.MarkSuppressed: 3, pipeline.MarkResolved: 4}
}

func (b bookV2) read(ctx context.Context, marks []pipeline.Mark) (map[string]held, error) {
	either := types.CompositeFilter{Operator: types.AllowedOperatorsOr}
	for i := range marks {
		either.StringFilters = append(either.StringFilters, types.OcsfStringFilter{
			FieldName: types.OcsfStringFieldMetadataUid,
			Filter:    &types.StringFilter{Comparison: types.StringFilterComparisonEquals, Value: &marks[i].ID},
		})
	}
	in := &securityhub.GetFindingsV2Input{
		Filters:    &types.OcsfFindingFilters{CompositeFilters: []types.CompositeFilter{either}, CompositeOperator: types.AllowedOperatorsAnd},
		MaxResults: aws.Int32(100),
	}
	out := map[string]held{}
	for pages := securityhub.NewGetFindingsV2Paginator(b.client, in); pages.HasMorePages(); {
		if err := b.pace.wait(ctx); err != nil {
			return nil, err
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsx.Class(err)
		}
		for _, doc := range page.Findings {
			text, err := doc.MarshalSmithyDocument()
			if err != nil {
				return nil, err
			}
			var e eventV2
			if err := json.Unmarshal(text, &e); err != nil {
				return nil, err
			}
			out[key(&pipeline.Mark{ID: e.Metadata.UID})] = held{
				handle: e.Metadata.UID, note: e.Comment, by: ownAuthor, status: e.standing(), own: pipeline.MarkStatus(ocsf.OwnStatus(e.Comment)),
			}
		}
	}
	return out, nil
}

// standing is the event's status in docket's words; one of neither is as it stands there.
func (e *eventV2) standing() pipeline.MarkStatus {
	for st, id := range statusesV2() {
		if e.StatusID == id {
			return st
		}
	}
	switch word := strings.ToUpper(e.Status); word {
	case "", "UNKNOWN":
		return pipeline.MarkNew
	case "IN PROGRESS":
		return pipeline.MarkNotified
	default:
		return pipeline.MarkStatus(word)
	}
}

func (b bookV2) write(ctx context.Context, of []held, c change) ([]refusal, error) {
	in := &securityhub.BatchUpdateFindingsV2Input{}
	for i := range of {
		in.MetadataUids = append(in.MetadataUids, of[i].handle)
	}
	if c.note != "" {
		in.Comment = &c.note
	}
	if c.status != "" {
		in.StatusId = aws.Int32(int32(statusesV2()[c.status]))
	}
	out, err := b.client.BatchUpdateFindingsV2(ctx, in)
	if err != nil {
		return nil, awsx.Class(err)
	}
	var refused []refusal
	for _, u := range out.UnprocessedFindings {
		r := refusal{mark: pipeline.Mark{ID: aws.ToString(u.MetadataUid)}, reason: string(u.ErrorCode) + ": " + aws.ToString(u.ErrorMessage)}
		switch u.ErrorCode {
		case types.BatchUpdateFindingsV2UnprocessedFindingErrorCodeResourceNotFoundException:
			r.gone = true
		case types.BatchUpdateFindingsV2UnprocessedFindingErrorCodeInternalServerException, types.BatchUpdateFindingsV2UnprocessedFindingErrorCodeConflictException:
			r.later = true
		}
		refused = append(refused, r)
	}
	return refused, nil
}
